"""What people wrote, kept for the engine until this process leads.

The engine takes what it sees of SecureTenants and TenancySettings as changes: which tenants wait,
which names rest. While another process leads, that is for it to remember, and it stores it in
statuses. So a standby keeps the latest of each, and its engine sees them when it begins, as after a
restart, but without a request.
"""

from collections.abc import Iterable, Mapping

from securetenant.api.kinds import Kind
from securetenant.api.objects import Body
from securetenant.app.specs_watch import Source


class Specs:
    """Hands on what is seen, from :meth:`hand_over` on; until then it keeps it."""

    def __init__(self, sources: Mapping[Kind, Source]) -> None:
        """``sources`` take it, in this order."""
        self._sources = sources
        self._kept: dict[Kind, dict[str, Body]] | None = {kind: {} for kind in sources}

    @property
    def kinds(self) -> Iterable[Kind]:
        """Return which kinds they are of."""
        return self._sources.keys()

    def seen(self, kind: Kind, name: str, body: Body) -> None:
        """Take an object as it now is."""
        if self._kept is None:
            self._sources[kind].seen(name, body)
        else:
            self._kept[kind][name] = body

    def gone(self, kind: Kind, name: str) -> None:
        """Take that it is gone."""
        if self._kept is None:
            self._sources[kind].gone(name)
        else:
            self._kept[kind].pop(name, None)

    def kept(self, kind: Kind) -> set[str] | None:
        """Return what is kept of a kind; nothing: the engine has it."""
        return None if self._kept is None else set(self._kept[kind])

    def hand_over(self) -> None:
        """Let the engine see all of it, and whatever comes."""
        kept, self._kept = self._kept, None
        for kind, bodies in (kept or {}).items():
            for name, body in bodies.items():
                self._sources[kind].seen(name, body)
