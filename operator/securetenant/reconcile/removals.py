"""Deletions of objects that the operator did not make.

Each is asked for once, and none keeps the others from being asked for. It is over when the object
is gone: one that finalizers keep is in force until they are taken off.
"""

from collections.abc import Callable
from typing import Protocol

from securetenant.api.objects import Body, Ref
from securetenant.reconcile.errors import ClusterError, RefusedError
from securetenant.reconcile.unit import Writer


class Removable(Protocol):
    """What is remembered of such an object."""

    @property
    def uid(self) -> str:
        """Which one of this name it is."""

    @property
    def held(self) -> tuple[str, ...]:
        """The finalizers of one that is being deleted."""


class Removals:
    """What was asked for, and what came of it."""

    def __init__(self, writer: Writer, seen: Callable[[Ref, Body], object]) -> None:
        """``seen`` takes an object that is still there after its deletion was accepted."""
        self._writer = writer
        self._seen = seen
        self._asked: set[str] = set()
        """Uids of those whose deletion was accepted, until they are seen gone."""
        self._failed: dict[str, str] = {}
        """Why a deletion did not work, by uid."""
        self._troubled: set[str] = set()

    async def ask(self, ref: Ref, uid: str) -> bool:
        """Delete an object, unless that was accepted before; tell whether it went now."""
        if uid in self._asked:
            return False
        try:
            left = await self._writer.delete(ref, uid)
        except ClusterError as error:
            if uid not in self._failed:
                said = "refused to delete it" if isinstance(error, RefusedError) else "failed"
                self._failed[uid] = f"the API server {said}: {error}"
                self._troubled.add(ref.namespace)
            return False
        self._failed.pop(uid, None)
        self._asked.add(uid)
        if left is not None:
            self._troubled.add(ref.namespace)
            self._seen(ref, left)
        return left is None

    def has_failed(self, uid: str) -> bool:
        """Tell whether the deletion has to be tried again."""
        return uid in self._failed

    def is_wanted(self, uid: str) -> bool:
        """Tell whether the deletion was asked for, with whatever result."""
        return uid in self._asked or uid in self._failed

    def is_over(self, known: Removable) -> bool:
        """Tell whether the object is gone, as far as the API server said."""
        return known.uid in self._asked and not known.held

    def obstacle(self, known: Removable, *, is_suspended: bool = False) -> str:
        """Return why the object is still there, for people to read."""
        if known.held:
            return f"it is being deleted and has the finalizers {', '.join(known.held)}"
        if is_suspended:
            return "the operator is suspended and does not delete it"
        return self._failed.get(known.uid, "")

    def settle(self, uid: str) -> None:
        """Forget what was tried with one that is gone, or is not what it was."""
        self._asked.discard(uid)
        self._failed.pop(uid, None)

    def troubled(self) -> set[str]:
        """Return, once, the namespaces in which an object came to stay."""
        found, self._troubled = self._troubled, set()
        return found
