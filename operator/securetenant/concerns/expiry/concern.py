"""Access that ends: how it joins the work of the machine.

The tenant is read again at the moment when a grant ends, and what is read then has no such grant:
the same work that withdraws access which somebody took out of a spec does the rest.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from securetenant.api import status
from securetenant.plan.expiry import Ending
from securetenant.reconcile.concern import Concern, Work
from securetenant.reconcile.keys import Key
from securetenant.reconcile.machine import Machine
from securetenant.reconcile.tenants import Record
from securetenant.status import statements
from securetenant.status.statements import Statement

_BEFORE = timedelta(minutes=15)
"""How long before the end of a grant there is another event."""
_LONGEST = 3600.0
"""Seconds. Clocks are set: what ends in a month is looked at again sooner."""


class Expiry(Concern):
    """Has tenants read again when a grant of theirs ends, and tells of it."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._known: dict[str, dict[Ending, str]] = {}
        """By tenant: the last event about each grant that ends."""

    def works(self) -> Mapping[str, Work]:
        """Look at a tenant when something of its access ends."""
        return {"Expire": self._look}

    def tenant_read(self, name: str, record: Record) -> None:
        """Tell of what is new or has ended, and wait for what comes next."""
        self._tell(name, record, self._machine.now())

    def tenant_gone(self, name: str) -> None:
        """Forget a tenant."""
        self._known.pop(name, None)
        self._machine.queue.forget(_key(name))

    async def _look(self, key: Key) -> bool:
        record = self._machine.tenants.get(key.line)
        if record is not None:
            now = self._machine.now()
            known = self._known.get(key.line, {})
            if any(
                each.at <= now and told != status.ACCESS_EXPIRED for each, told in known.items()
            ):
                # What is read now has no such grant.
                self._machine.read_again(key.line)
            else:
                self._tell(key.line, record, now)
        return False

    def _tell(self, name: str, record: Record, now: datetime) -> None:
        is_first = name not in self._known
        before = self._known.get(name, {})
        found: dict[Ending, str] = {}
        for each in record.endings:
            found[each] = _state(each, now)
            if found[each] == before.get(each):
                continue
            if each not in before and is_first and not _is_news(each, found[each], record):
                continue
            self._announce(name, each, found[each])
        self._known[name] = found
        if waits := [_wait(each, now) for each in found if each.at > now]:
            self._machine.queue.add_after(_key(name), min(*waits, _LONGEST))

    def _announce(self, name: str, ending: Ending, what: str) -> None:
        words = {
            status.ACCESS_GRANTED: f"Access {ending.name} is given until {ending.told}",
            status.ACCESS_EXPIRING: (
                f"Access {ending.name} ends at {ending.told}. To keep it, write a later expiresAt"
            ),
            status.ACCESS_EXPIRED: (
                f"Access {ending.name} ended at {ending.told}: nobody has access by it any more"
            ),
        }
        is_warning = what == status.ACCESS_EXPIRING
        self._machine.announce(name, what, "Expire", words[what], is_warning=is_warning)

    def statements(self, name: str, record: Record) -> Iterable[Statement]:
        """Say when access ends next."""
        now = self._machine.now()
        upcoming = [each for each in record.endings if each.at > now]
        if upcoming:
            yield statements.Record(field="access", value={"nextExpiry": upcoming[0].told})


def _state(ending: Ending, now: datetime) -> str:
    if ending.at <= now:
        return status.ACCESS_EXPIRED
    return status.ACCESS_EXPIRING if ending.at - _BEFORE <= now else status.ACCESS_GRANTED


def _wait(ending: Ending, now: datetime) -> float:
    """Return the seconds until something is to be told, or done, about a grant."""
    warned = ending.at - _BEFORE
    return ((warned if warned > now else ending.at) - now).total_seconds()


def _is_news(ending: Ending, what: str, record: Record) -> bool:
    """Tell whether an earlier process has not told of it: a restart repeats nothing."""
    if record.status.get("observedGeneration") != record.body["metadata"].get("generation"):
        return True
    upcoming = (record.status.get("access") or {}).get("nextExpiry", "")
    return what == status.ACCESS_EXPIRED and bool(upcoming) and upcoming <= ending.told


def _key(tenant: str) -> Key:
    return Key("Expire", tenant)
