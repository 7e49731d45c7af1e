"""Conditions of a SecureTenant, from the outcomes of its namespaces.

The conventions are those of the Kubernetes API (positive polarity, ``observedGeneration``)
and of kstatus (``Reconciling`` and ``Stalled`` are there only while True).
"""

import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from securetenant.api import kinds, status
from securetenant.api.objects import Ref
from securetenant.status.outcome import Outcome

_STALLED = (status.SPEC_REFUSED, status.CONFLICT, status.REFUSED)
"""Reasons that wait for somebody; the first that occurs is the one that is told."""
_SHOWN = 3
"""How many namespaces a message names; the rest are counted."""


class _Verdict(NamedTuple):
    type: str
    status: str
    reason: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What a status is about."""

    generation: int
    outcomes: Sequence[Outcome]
    """One per namespace of the spec, sorted by name."""
    refusal: str = ""
    """Why the spec is refused; the walls of the last good one stay."""
    exception_reason: str = ""
    """The reason given for Pod Security level baseline."""


def summarize(
    subject: Subject, previous: Mapping[str, Any], now: datetime.datetime
) -> dict[str, Any]:
    """Return the whole status document.

    ``previous`` is the status as it stands; only its transition times are read.
    """
    ready = sum(outcome.ready for outcome in subject.outcomes)
    desired = len(subject.outcomes)
    return {
        "observedGeneration": subject.generation,
        "conditions": _timed(_verdicts(subject), subject.generation, previous, now),
        "namespaces": {
            "desired": desired,
            "ready": ready,
            "summary": f"{ready}/{desired}",
        },
    }


def _verdicts(subject: Subject) -> list[_Verdict]:
    if subject.refusal:
        message = f"{subject.refusal} What was in place stays in place; correct the spec."
        return [
            _Verdict(status.READY, "False", status.SPEC_REFUSED, message),
            _Verdict(status.STALLED, "True", status.SPEC_REFUSED, message),
        ]
    worst = _worst(subject.outcomes)
    verdicts = [
        _ready(subject, worst),
        _aspect(
            subject,
            status.NAMESPACES_READY,
            lambda _: True,
            "{count} with every object as specified",
        ),
        _aspect(
            subject,
            status.NETWORK_ISOLATED,
            lambda ref: ref.kind in (kinds.NAMESPACE.name, kinds.NETWORK_POLICY.name),
            "{count} with default-deny NetworkPolicies, whole and unchanged; objects are not"
            " packets: that they are enforced is the network plugin's part",
        ),
        _pod_security(subject),
    ]
    if worst is not None and worst.reason in _STALLED:
        verdicts.append(_Verdict(status.STALLED, "True", worst.reason, worst.message))
    elif worst is not None:
        message = worst.message or "Working on what is pending."
        verdicts.append(_Verdict(status.RECONCILING, "True", worst.reason, message))
    return verdicts


def _ready(subject: Subject, worst: Outcome | None) -> _Verdict:
    count = _namespaces(len(subject.outcomes))
    if worst is None:
        return _Verdict(
            status.READY, "True", status.AS_SPECIFIED, f"{count}, everything as specified"
        )
    pending = [outcome for outcome in subject.outcomes if not outcome.ready]
    message = worst.message or f"Working on {_listed(each.namespace for each in pending)}"
    return _Verdict(status.READY, "False", worst.reason, message)


def _aspect(subject: Subject, type: str, concerns: Callable[[Ref], bool], message: str) -> _Verdict:
    """Judge one aspect: True when no pending object concerns it."""
    failing = [outcome for outcome in subject.outcomes if any(map(concerns, outcome.pending))]
    if not failing:
        text = message.format(count=_namespaces(len(subject.outcomes)))
        return _Verdict(type, "True", status.AS_SPECIFIED, text)
    text = f"Not yet in {_listed(outcome.namespace for outcome in failing)}"
    worst = _worst(failing)
    return _Verdict(type, "False", worst.reason if worst else status.PROGRESSING, text)


def _pod_security(subject: Subject) -> _Verdict:
    verdict = _aspect(
        subject,
        status.POD_SECURITY_ENFORCED,
        lambda ref: ref.kind == kinds.NAMESPACE.name,
        "{count} with Pod Security Admission enforced at the specified level",
    )
    if verdict.status == "True" and subject.exception_reason:
        return verdict._replace(
            reason=status.EXCEPTION_GRANTED,
            message=f"Enforced at level baseline, by exception: {subject.exception_reason}",
        )
    return verdict


def _worst(outcomes: Iterable[Outcome]) -> Outcome | None:
    """Return the outcome to tell first: one that waits for somebody before one that goes on."""
    pending = [outcome for outcome in outcomes if not outcome.ready]
    ranks = {reason: rank for rank, reason in enumerate((*_STALLED, status.UNAVAILABLE))}
    return min(
        pending,
        key=lambda outcome: (ranks.get(outcome.reason, len(ranks)), outcome.namespace),
        default=None,
    )


def _namespaces(count: int) -> str:
    return f"{count} namespace{'' if count == 1 else 's'}"


def _listed(namespaces: Iterable[str]) -> str:
    every = sorted(namespaces)
    shown = ", ".join(every[:_SHOWN])
    return f"{shown} and {len(every) - _SHOWN} more" if len(every) > _SHOWN else shown


def _timed(
    verdicts: list[_Verdict],
    generation: int,
    previous: Mapping[str, Any],
    now: datetime.datetime,
) -> list[dict[str, Any]]:
    """Add generation and transition time; the time moves only when the status does."""
    before = {each["type"]: each for each in previous.get("conditions") or ()}
    stamp = now.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    conditions = []
    for verdict in verdicts:
        same = before.get(verdict.type, {})
        kept = same.get("lastTransitionTime") if same.get("status") == verdict.status else None
        conditions.append(
            {
                "type": verdict.type,
                "status": verdict.status,
                "reason": verdict.reason,
                "message": verdict.message,
                "observedGeneration": generation,
                "lastTransitionTime": kept or stamp,
            }
        )
    return conditions
