"""The status of a SecureTenant."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from securetenant.api import status
from securetenant.status import conditions, isolation
from securetenant.status.conditions import Condition
from securetenant.status.outcome import Finding, Outcome
from securetenant.status.statements import Aspect, Record, Remark

SUSPENDED_NOTE = (
    "the operator is suspended: nothing is changed, drift is not repaired, and a lockdown or"
    " withdrawn access takes effect only when spec.reconciliation is Active again"
)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What a status is about."""

    generation: int
    outcomes: Sequence[Outcome]
    """One per namespace of the spec, sorted by name."""
    findings: Sequence[Finding] = ()
    """What else keeps the tenant from being ready."""
    exception_reason: str = ""
    """The reason given for Pod Security level baseline."""
    remarks: Sequence[Remark] = ()
    aspects: Sequence[Aspect] = ()
    states: Sequence[tuple[str, str]] = ()
    """What the spec asks for that makes it unlike others: reasons, and what each means.

    When all is in place Ready has the first reason."""
    parts: Sequence[Record] = ()
    """What else the status holds."""
    deleted: bool = False
    """Whether its deletion was asked for: then the only finding says what that waits for."""


def summarize(
    subject: Subject, previous: Mapping[str, Any], now: datetime.datetime
) -> dict[str, Any]:
    """Return the whole status document.

    ``previous`` is the status as it stands; only its transition times are read.
    """
    since = conditions.transitions(previous)
    outcomes = () if subject.deleted else subject.outcomes
    ready, desired = sum(outcome.ready for outcome in outcomes), len(outcomes)
    return {
        "observedGeneration": subject.generation,
        "conditions": conditions.timed(_verdicts(subject), subject.generation, since, now),
        "namespaces": {
            "desired": desired,
            "ready": ready,
            "summary": f"{ready}/{desired}",
        },
        **{each.field: dict(each.value) for each in subject.parts},
    }


def _verdicts(subject: Subject) -> list[Condition]:
    if subject.deleted:
        # Its namespaces are not kept any more, so nothing is claimed of them.
        finding = subject.findings[0]
        return conditions.waiting(finding.reason, finding.message)
    for finding in subject.findings:
        if finding.type == status.READY and finding.reason in (
            status.SPEC_REFUSED,
            status.SETTINGS_MISSING,
            status.BOUND_PASSED,
            status.CONSENT_NEEDED,
        ):
            notes = (note for _, note in subject.states)
            return conditions.refused(finding.reason, "; ".join((finding.message, *notes)))
    holding = (each.verdict for each in subject.aspects if each.holds_ready)
    findings = [*subject.findings, *(each.finding for each in holding)]
    verdicts = conditions.judge(subject.outcomes, findings, platform=True)
    pair = [each for each in verdicts if each.type in (status.RECONCILING, status.STALLED)]
    verdicts = [
        *(each for each in verdicts if each not in pair),
        *(each.verdict for each in subject.aspects),
        *pair,
    ]
    verdicts = [
        isolation.proved(each, verdicts, subject.findings)
        if each.type == status.ISOLATION_VERIFIED
        else each
        for each in verdicts
    ]
    verdicts = _with_state(verdicts, subject)
    return [
        _with_remarks(_with_exception(each, subject.exception_reason), subject.remarks)
        for each in verdicts
    ]


def _with_state(verdicts: list[Condition], subject: Subject) -> list[Condition]:
    """Say what the spec asks for that makes the tenant unlike others, although it is in place."""
    ready, *rest = verdicts
    told = [note for _, note in subject.states]
    ready = ready._replace(message="; ".join((ready.message, *told)))
    if not subject.states:
        return verdicts
    reason = subject.states[0][0]
    if ready.status == "True":
        return [ready._replace(reason=reason), *rest]
    if reason != status.SUSPENDED:
        return [ready, *rest]
    # Nobody works on what is pending.
    rest = [each for each in rest if each.type not in (status.RECONCILING, status.STALLED)]
    stalled = Condition(status.STALLED, "True", reason, ready.message)
    return [ready._replace(reason=reason), *rest, stalled]


def _with_remarks(verdict: Condition, remarks: Sequence[Remark]) -> Condition:
    if verdict.status != "True":
        return verdict
    # What an earlier process said may be said as it stands, with its remarks.
    told = [
        each.message
        for each in remarks
        if each.type == verdict.type and each.message not in verdict.message
    ]
    return verdict._replace(message="; ".join((verdict.message, *told)))


def _with_exception(verdict: Condition, reason: str) -> Condition:
    if reason and verdict.type == status.POD_SECURITY_ENFORCED and verdict.status == "True":
        return verdict._replace(
            reason=status.EXCEPTION_GRANTED,
            message=f"{verdict.message}; level baseline is an exception: {reason}",
        )
    return verdict
