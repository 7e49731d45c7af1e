"""The roll-out of TenancySettings: which tenants wait for their turn, and how the moved ones do."""

from collections.abc import Iterable, Mapping
from typing import Any

from securetenant.api import names, status
from securetenant.api.objects import Body
from securetenant.api.tenancysettings import SettingsSpec
from securetenant.plan import rollout
from securetenant.plan.rollout import Health, Situation
from securetenant.reconcile.tenants import Record, what_people_change
from securetenant.status import conditions
from securetenant.status.settings import Progress


class Rollout:
    """What is remembered between two waves; :mod:`securetenant.plan.rollout` decides."""

    def __init__(self) -> None:
        self.waiting: set[str] = set()
        """Tenants whose turn has not come."""
        self._target: SettingsSpec | None = None
        self._witnesses: set[str] = set()
        """Tenants that were healthy before: what becomes of them tells whether to go on."""
        self._casualties: set[str] = set()
        """Tenants that an earlier roll-out harmed and that still suffer: a correction is for them
        first."""
        self._uncompared: set[str] = set()
        """Tenants of which nobody knows yet, after a restart, whether they need a turn."""
        self._moved: set[str] = set()
        self._working: set[str] = set()
        self._harmed: dict[str, str] = {}
        """Tenants that were healthy before their turn, and why they are not any more."""
        self._halted = False
        self._requested: tuple[Any, ...] | None = None
        self._restoring = False
        self._harms = False
        """Whether the roll-out, before a restart, left tenants unhealthy at its end."""
        self._heard: dict[str, tuple[Any, ...]] = {}
        """What people had asked of tenants when these were read last."""
        self._held: dict[int, tuple[SettingsSpec, SettingsSpec]] = {}
        """What tenants that wait are kept by, by the identity of what they followed."""

    @property
    def is_under_way(self) -> bool:
        """Tell whether tenants wait for their turn, or are not done with it."""
        return bool(self.waiting or self._working)

    @property
    def is_watching(self) -> bool:
        """Tell whether something is waited for before the next turn."""
        return bool(self._working or self._uncompared)

    @property
    def is_halted(self) -> bool:
        """Tell whether nobody gets a turn until somebody acts."""
        return self._halted and bool(self.waiting)

    def begin(self, target: SettingsSpec, body: Body, records: Mapping[str, Record]) -> None:
        """Take changed settings: a tenant that followed others waits for its turn.

        At the start of the operator nobody knows what tenants followed. Where the last roll-out
        was over, they followed these settings, and what differs is drift: repaired at once.
        """
        if self._target is None:
            self._restoring = not _is_over(body)
            self._halted = self._restoring and _is_halted(body)
            self._harms = self._restoring and _has_harmed(body)
        else:
            self._halted = False
        self._witnesses = {
            name
            for name, record in records.items()
            if (found := standing(record)) is Health.READY
            # Changed again before it was done: it counts as it stood before the first change.
            or (found is Health.WORKING and name in self._witnesses)
        } & {name for name, record in records.items() if not record.is_suspended}
        self._target, self._held = target, {}
        self._casualties = {
            name
            for name in (self._casualties | self._harmed.keys()) & records.keys()
            if standing(records[name]) is Health.UNHEALTHY
        }
        self._moved, self._working, self._harmed = set(), set(), {}
        self.waiting = {name for name, record in records.items() if self._waits(name, record)}
        self._casualties &= self.waiting
        self._uncompared = {name for name in self.waiting if records[name].follows is None}

    def _waits(self, name: str, record: Record) -> bool:
        if record.follows is None:
            return name in self.waiting or self.arrived(name, record)
        return self.followed(name, record, waits=True) is not self._target

    def _is_restored(self, record: Record) -> bool:
        """Tell whether the tenant stood before the operator started, and nobody changed it since.

        Who changed a spec meanwhile waits for it.
        """
        metadata = record.body["metadata"]
        seen = record.status.get("observedGeneration")
        return self._restoring and seen == metadata.get("generation") and not record.is_deleted

    def arrived(self, name: str, record: Record) -> bool:
        """Record a tenant that was not known; tell whether it waits for its turn."""
        if not self._is_restored(record):
            return False
        self._heard[name] = what_people_change(record.body)
        self.waiting.add(name)
        self._uncompared.add(name)
        return True

    def left(self, name: str) -> bool:
        """Record that a tenant moves by itself, since its spec changed, or is gone.

        Tells whether that may change what comes next.
        """
        concerned = name in self.waiting or name in self._working or name in self._harmed
        self._witnesses.discard(name)
        self._uncompared.discard(name)
        self.waiting.discard(name)
        self._working.discard(name)
        self._harmed.pop(name, None)
        self._heard.pop(name, None)
        return concerned

    def is_asked(self, name: str, record: Record) -> bool:
        """Tell whether people changed it since it was read: they wait, so it moves by itself."""
        return self._heard.get(name) != what_people_change(record.body)

    def take_turn(self, name: str, record: Record) -> SettingsSpec:
        """Return the settings by which a tenant is read now."""
        self._heard[name] = what_people_change(record.body)
        record.awaits_turn = record.follows is None and name in self.waiting
        return self.followed(name, record)

    def follow(self, record: Record, followed: SettingsSpec) -> None:
        """Take that a tenant was read by these settings."""
        if record.awaits_turn:
            # It was read to be compared; its objects are not built by them yet.
            record.follows = None
        elif record.spec is not None and not (record.is_refused and record.follows):
            record.follows = followed

    def compared(
        self,
        name: str,
        record: Record,
        *,
        differs: bool,
        was_ready: bool,
        owns: bool = True,
    ) -> None:
        """Record what was found of a tenant after a restart.

        Where nothing differs no turn is needed. Whether it was ready is seen by the labels of its
        namespaces, and not by a status; ``owns`` that they are its own. A tenant in a Conflict was
        not ready before, and is not harmed by the settings.
        """
        self._uncompared.discard(name)
        if not differs:
            self.waiting.discard(name)
            record.awaits_turn, record.follows = False, self._target
        elif owns and (was_ready or self._harms):
            self._witnesses.add(name)

    def followed(self, name: str, record: Record, *, waits: bool = False) -> SettingsSpec:
        """Return the settings by which a tenant is read now."""
        target = self._target
        if target is None:
            raise LookupError("There are no settings to follow")
        if record.follows is None or not (waits or name in self.waiting):
            return target
        known = self._held.get(id(record.follows))
        if known is None:
            kept = rollout.held(record.follows, target)
            # One object for all equal ones, and the key kept alive: both are compared by identity.
            kept = target if kept == target else kept
            known = self._held[id(record.follows)] = (record.follows, kept)
            self._held[id(kept)] = (kept, kept)
        return known[1]

    def take_request(self, body: Body) -> bool:
        """Go on, if somebody asks for it; tell whether somebody does.

        What became unhealthy is taken as it is then, and counts no more.
        """
        metadata = body["metadata"]
        asked = (
            metadata.get("uid"),
            (metadata.get("annotations") or {}).get(names.REQUESTED_ANNOTATION),
        )
        before, self._requested = self._requested, asked
        if before is None or before == asked or asked[1] is None:
            return False
        if not (self.is_under_way or self._harmed):
            return False
        self._halted = False
        self._witnesses -= self._harmed.keys() | self._working
        self._harmed, self._working = {}, set()
        return True

    def note(self, name: str, record: Record) -> bool:
        """Record how a tenant stands; tell whether that may change what comes next."""
        if not (self.waiting or self.is_watching or self._harmed):
            # It is over: what becomes of a tenant from now on is none of its doing.
            self._witnesses.clear()
        if name not in self._moved or name not in self._witnesses or record.stale:
            return False
        if record.is_suspended or record.is_deleted:
            return self.left(name)
        before = (name in self._working, name in self._harmed)
        found = standing(record)
        self._working.discard(name)
        self._harmed.pop(name, None)
        if found is Health.WORKING:
            self._working.add(name)
        elif found is Health.UNHEALTHY:
            self._harmed[name] = reasons(record)[0]
        return before != (name in self._working, name in self._harmed)

    def advance(self, records: Mapping[str, Record]) -> tuple[str, ...]:
        """Return the tenants whose turn comes now."""
        moved = len(self._moved - self._casualties)
        working = self._working | self._uncompared
        decision = rollout.decide(
            Situation(
                fleet=len(records),
                # Sorting them all is for the moment at which one of them may move.
                waiting=tuple(self.waiting) if working else self._ordered(records),
                moved=moved,
                working=working,
                harmed=self._harmed,
                halted=self._halted,
            )
        )
        self._halted = decision.halted
        for name in decision.turns:
            self.waiting.discard(name)
            self._moved.add(name)
            if name in self._witnesses:
                self._working.add(name)
        self._restoring &= bool(self.waiting)
        self._harms &= self._restoring
        return decision.turns

    def _ordered(self, records: Mapping[str, Record]) -> tuple[str, ...]:
        """Return who waits, in the order of turns.

        First those that a correction is for; then those that can tell of harm, the smallest first.
        """

        def turn(name: str) -> tuple[bool, bool, int, str]:
            size = len(records[name].units)
            return (name not in self._casualties, name not in self._witnesses, size, name)

        return tuple(sorted(self.waiting & records.keys(), key=turn))

    def progress(self, total: int, problem: str) -> Progress:
        """Return how far it is, for the status."""
        return Progress(
            total=total,
            waiting=len(self.waiting),
            working=tuple(sorted(self._working)),
            harmed=tuple(sorted(self._harmed.items())),
            halted=self._halted,
            problem=problem,
        )


def standing(record: Record) -> Health:
    """Tell how a tenant stands; what holds for the platform as a whole does not count."""
    found = reasons(record)
    if any(map(conditions.is_stalled, found)):
        return Health.UNHEALTHY
    return Health.WORKING if found or record.follows is None else Health.READY


def reasons(record: Record) -> list[str]:
    """Return why a tenant is not ready; what waits for somebody first."""
    found: Iterable[str] = {
        *(each.reason for each in record.findings if not each.informs),
        *(each.reason for each in record.missing),
        *(unit.outcome.reason for unit in record.units.values() if not unit.outcome.ready),
    }
    return sorted(found, key=lambda reason: (not conditions.is_stalled(reason), reason))


def _rolled_out(body: Body) -> Mapping[str, Any]:
    """Return the condition, if it is about this generation."""
    for each in (body.get("status") or {}).get("conditions") or ():
        if each["type"] == status.ROLLED_OUT and each.get("observedGeneration") == body[
            "metadata"
        ].get("generation"):
            return dict(each)
    return {}


def _is_over(body: Body) -> bool:
    return _rolled_out(body).get("status") == "True"


def _has_harmed(body: Body) -> bool:
    return _rolled_out(body).get("reason") == status.TENANTS_HARMED


def _is_halted(body: Body) -> bool:
    return _rolled_out(body).get("reason") == status.ROLL_OUT_HALTED
