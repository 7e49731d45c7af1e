"""Objects in tenants' namespaces that the operator did not make, each reduced to a few fields.

One collection for RoleBindings, NetworkPolicies and Ingresses, by namespace and by what they name.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable
from typing import Any, Generic, Protocol, TypeVar

from securetenant.api.kinds import Kind
from securetenant.api.objects import Body, Ref
from securetenant.reconcile.concern import Watch
from securetenant.reconcile.machine import Machine


class Reduced(Protocol):
    """A named tuple that begins with its version."""

    @property
    def version(self) -> int:
        """The resourceVersion."""

    def __getitem__(self, part: slice, /) -> tuple[Any, ...]:
        """Return some of its fields."""


T = TypeVar("T", bound=Reduced)
K = TypeVar("K", bound=Hashable)


class Watched(Protocol):
    """Takes what is seen of one kind; each method returns the tenants whose state it changes."""

    def seen(self, ref: Ref, body: Body) -> set[str]:
        """Take an object as it now is."""

    def gone(self, ref: Ref, version: int) -> set[str]:
        """Forget an object that was deleted at that version."""

    def refs(self, kind: str) -> list[Ref]:
        """Return every object that is known."""


class Foreign(Generic[T, K]):
    """The known objects of one kind."""

    def __init__(self, names: Callable[[T], Iterable[K]] = lambda _: ()) -> None:
        """``names`` returns the keys by which an object is found again."""
        self._names = names
        self._known: dict[Ref, T] = {}
        self._inside: defaultdict[str, set[Ref]] = defaultdict(set)
        self._naming: defaultdict[K, set[Ref]] = defaultdict(set)

    def put(self, ref: Ref, found: T) -> bool:
        """Take an object as it now is; return whether anything but its version changed."""
        known = self._known.get(ref)
        if known is not None and found.version <= known.version:
            return False
        if known is not None and found[1:] == known[1:]:
            self._known[ref] = found
            return False
        self.forget(ref)
        self._known[ref] = found
        self._inside[ref.namespace].add(ref)
        for key in self._names(found):
            self._naming[key].add(ref)
        return True

    def drop(self, ref: Ref, version: int) -> T | None:
        """Forget an object that was deleted at that version; return it if it was known."""
        known = self._known.get(ref)
        if known is None or known.version > version:
            return None
        self.forget(ref)
        return known

    def forget(self, ref: Ref) -> None:
        """Forget an object, whatever its version."""
        known = self._known.pop(ref, None)
        if known is None:
            return
        _discard(self._inside, ref.namespace, ref)
        for key in self._names(known):
            _discard(self._naming, key, ref)

    def get(self, ref: Ref) -> T | None:
        """Return what is remembered of an object."""
        return self._known.get(ref)

    def refs(self) -> list[Ref]:
        """Return every object that is known."""
        return list(self._known)

    def inside(self, namespaces: Collection[str]) -> list[tuple[Ref, T]]:
        """Return the objects in these namespaces, sorted by namespace and name."""
        return [
            (ref, self._known[ref])
            for namespace in sorted(self._inside.keys() & set(namespaces))
            for ref in sorted(self._inside[namespace])
        ]

    def naming(self, key: K) -> list[Ref]:
        """Return the objects that name something, sorted."""
        return sorted(self._naming.get(key, ()))


def _discard(index: defaultdict[K, set[Ref]], key: K, ref: Ref) -> None:
    index[key].discard(ref)
    if not index[key]:
        del index[key]


def watch(machine: Machine, watched: Watched, kind: Kind, selector: str = "") -> Watch:
    """Return a watch by which ``watched`` follows a kind, and tenants hear what it changes."""
    return Watch(
        kind=kind,
        selector=selector,
        seen=lambda ref, body: machine.tell(watched.seen(ref, body)),
        gone=lambda ref, version: machine.tell(watched.gone(ref, version)),
        known=watched.refs,
    )
