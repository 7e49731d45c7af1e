"""What is reported of a tenant: its status, and the events about it."""

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Literal

from securetenant.api import kinds, lockdown, status
from securetenant.api.objects import Body, Ref
from securetenant.reconcile.errors import (
    ClusterError,
    MissingError,
    RefusedError,
    UnavailableError,
)
from securetenant.reconcile.ports import Announcement, Announcer, Cluster, Meter
from securetenant.reconcile.tenants import Record, Unit
from securetenant.reconcile.unit import is_worth_telling
from securetenant.status import conditions, statements, tenant
from securetenant.status.outcome import Finding
from securetenant.status.statements import Aspect, Remark, Statement
from securetenant.status.tenant import Subject

_ALWAYS = frozenset({"conditions", "namespaces", "observedGeneration"})
"""What every version of the CRD keeps of the status of a SecureTenant."""

_PROGRESS_SECONDS = 2.0
"""How often a status tells of progress while something is still to be worked on."""


class Statuses:
    """Reports what changed, and nothing twice."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        meter: Meter,
        announcer: Announcer,
        now: Callable[[], datetime],
    ) -> None:
        self._cluster = cluster
        self._meter = meter
        self._announcer = announcer
        self._now = now

    def wait(self, record: Record, *, learns: bool) -> float:
        """Return how long to hold the status back, since most of it is about to change.

        While namespaces were not worked on yet, the status is written now and then only: a
        new generation is in progress by its number (kstatus), and a restart must not
        call unfinished what it has not looked at. ``learns`` says that something of it is
        being found out.
        """
        now = time.monotonic()
        told = all(conditions.is_stalled(each.reason) for each in record.missing)
        if (
            told
            and not learns
            and all(
                unit.outcome.ready or (unit.attempted and is_worth_telling(unit.outcome))
                for unit in record.units.values()
            )
        ):
            record.told_at = float("-inf")
            return 0.0
        if record.told_at == float("-inf"):
            record.told_at = now
        wait = record.told_at + _PROGRESS_SECONDS - now
        if wait <= 0:
            record.told_at = now
        return max(wait, 0.0)

    def is_due(self, unit: Unit) -> bool:
        """Tell whether a namespace's own status should be written now."""
        now = time.monotonic()
        if unit.outcome.ready:
            unit.unready_since = float("-inf")
        elif unit.unready_since == float("-inf"):
            unit.unready_since = now
        return is_worth_telling(unit.outcome) or now - unit.unready_since > _PROGRESS_SECONDS

    async def write(
        self, name: str, record: Record, subject: Subject, *, lacks_fields: bool = False
    ) -> None:
        """Write the status if it says something new, and announce what changed in it.

        ``lacks_fields`` says that a CRD is older than this operator: it has a whole write refused
        for one field that it does not know. Raises a :class:`ClusterError`.
        """
        document = tenant.summarize(subject, record.status, self._now())
        is_ready = _condition(document, status.READY).get("status") == "True"
        self._meter.stood(name, is_ready=is_ready)
        if document == record.status:
            return
        ref = Ref(kinds.SECURE_TENANT.name, "", name)
        previous = record.expect(document)
        try:
            body = await self._apply(ref, document, lacks_fields=lacks_fields)
        except MissingError:
            return  # The SecureTenant is gone.
        except ClusterError:
            record.withdraw(document, previous)
            raise
        self._meter.wrote("status", ref.kind)
        record.confirm(document, body)
        self._announce_proof(name, record, previous, document)
        before, after = (_condition(each, status.READY) for each in (previous, document))
        good = after["status"] == "True"
        worth = good or before.get("status") == "True" or conditions.is_stalled(after["reason"])
        if worth and (before.get("status"), before.get("reason")) != (
            after["status"],
            after["reason"],
        ):
            self.announce(
                name,
                record,
                after["reason"],
                "Reconcile",
                after["message"],
                # What was asked for and goes on is no warning.
                is_warning=not good and after["reason"] != status.TERMINATING,
            )

    async def _apply(self, ref: Ref, document: Body, *, lacks_fields: bool) -> Body:
        try:
            return await self._cluster.apply_status(ref, document)
        except (RefusedError, UnavailableError):
            if not lacks_fields:
                raise
            known = {key: each for key, each in document.items() if key in _ALWAYS}
            return await self._cluster.apply_status(ref, known)

    def _announce_proof(self, name: str, record: Record, previous: Body, document: Body) -> None:
        """Announce that the isolation was seen, or is open, but not that nothing is known."""
        before, after = (
            _condition(each, status.ISOLATION_VERIFIED) for each in (previous, document)
        )
        if after.get("status", "Unknown") not in ("Unknown", before.get("status")):
            is_open = after["status"] == "False"
            self.announce(
                name, record, after["reason"], "Verify", after["message"], is_warning=is_open
            )

    def announce(
        self,
        name: str,
        record: Record,
        reason: str,
        action: str,
        note: str,
        *,
        is_warning: bool = False,
    ) -> None:
        """Tell of something that happened, in an event about the SecureTenant."""
        severity: Literal["Normal", "Warning"] = "Warning" if is_warning else "Normal"
        self._announcer.announce(Announcement(name, record.uid, severity, reason, action, note))


def _condition(document: Body, type: str) -> Body:
    for condition in document.get("conditions") or ():
        if condition["type"] == type:
            return dict(condition)
    return {}


def subject(record: Record, spoken: Iterable[Statement]) -> Subject:
    """Return what the status of a tenant is about."""
    said = tuple(spoken)
    exception = ""
    if record.spec is not None and record.spec.effective_pod_security.level == "baseline":
        exception = record.spec.effective_pod_security.exception_reason or ""
    return Subject(
        generation=int(record.body["metadata"].get("generation", 0)),
        outcomes=[unit.outcome for _, unit in sorted(record.units.items())],
        findings=tuple(each for each in said if isinstance(each, Finding)),
        exception_reason=exception,
        remarks=tuple(each for each in said if isinstance(each, Remark)),
        aspects=tuple(each for each in said if isinstance(each, Aspect)),
        parts=tuple(each for each in said if isinstance(each, statements.Record)),
        states=tuple(_states(record)),
        deleted=record.is_deleted,
    )


def _states(record: Record) -> Iterator[tuple[str, str]]:
    """Return what the spec asks for that makes the tenant unlike others."""
    if record.is_suspended:
        yield status.SUSPENDED, tenant.SUSPENDED_NOTE
    asked = lockdown.NONE if record.spec is None else record.spec.lockdown
    if asked == lockdown.FROZEN:
        told = "lockdown is Frozen: nothing in the namespaces is created, changed or deleted"
        yield status.FROZEN, told
    if asked == lockdown.QUARANTINED:
        told = (
            "lockdown is Quarantined: traffic is cut, no pod starts, and nothing in the namespaces"
            " is created, changed or deleted"
        )
        yield status.QUARANTINED, told
    if record.spec is not None and record.spec.enforcement == "Audit":
        told = "enforcement is Audit: rules by which the tenant protects itself only warn"
        yield status.AUDIT_ONLY, told
