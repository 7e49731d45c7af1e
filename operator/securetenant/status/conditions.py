"""Conditions of a tenant or of one namespace, from outcomes and findings.

The conventions are those of the Kubernetes API (positive polarity, ``observedGeneration``)
and of kstatus (``Reconciling`` and ``Stalled`` are there only while True).
"""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from securetenant.api import status, text
from securetenant.status.outcome import Finding, Outcome

_LONGEST = 4096
"""Characters of a message. The API server refuses a status with a longer one than the CRD allows,
and then every condition stays as it was."""

_STALLED = (
    status.SPEC_REFUSED,
    status.SETTINGS_MISSING,
    status.BOUND_PASSED,
    status.CRDS_CHANGED,
    status.QUOTA_OVERCOMMITTED,
    status.CONFLICT,
    status.PROTECTED_NAME,
    status.CONSENT_NEEDED,
    status.ADOPTION_BLOCKED,
    status.NAME_RESTING,
    status.REFUSED,
    status.SUSPENDED,
    status.UNKNOWN_NAMESPACE,
    status.HOSTNAME_TAKEN,
    status.FOREIGN_HOSTNAMES,
    status.NOT_IN_SETTINGS,
    status.SHARE_TOO_SMALL,
    status.NO_CPU_LIMITS,
    status.AGENT_OF_TENANT,
    status.NODE_CONFLICT,
    status.LAST_NODE,
    status.UNKNOWN_NODE,
    status.PODS_ELSEWHERE,
    status.NOT_LIMITED,
    status.NO_NODES,
    status.USER_NAMESPACES_UNSUPPORTED,
    status.NAMESPACE_STUCK,
)
"""Reasons that wait for somebody; the first that occurs is the one that is reported."""
_WAITING = (
    # The platform team's to do, and stalled on TenancySettings: an upgrade fails no tenant.
    status.POLICIES_CHANGED,
    status.ROLES_CHANGED,
    status.FOREIGN_BINDINGS,
    status.FOREIGN_POLICIES,
    status.EVICTION_WAITING,
    status.NODE_IN_USE,
    status.KUBELET_UNREAD,
    status.AWAITING_TURN,
    status.UNAVAILABLE,
    status.TEARDOWN_DELAYED,
    status.TERMINATING,
)
_NOT_OWN = frozenset(
    {
        status.ADOPTION_BLOCKED,
        status.CONFLICT,
        status.CONSENT_NEEDED,
        status.NAME_RESTING,
        status.PROTECTED_NAME,
    }
)
"""Reasons for which a namespace of the spec is not the tenant's: it needs no objects."""
_RANKS = {reason: rank for rank, reason in enumerate((*_STALLED, *_WAITING))}
_SHOWN = 3
"""How many namespaces a message names; the rest are counted."""


class Condition(NamedTuple):
    """A condition without its time."""

    type: str
    status: str
    reason: str
    message: str

    @property
    def finding(self) -> Finding:
        """Return what it tells of, as a finding of its own."""
        return Finding(
            type=self.type,
            reason=self.reason,
            message=self.message,
            informs=self.status == "True",
        )


class _Aspect(NamedTuple):
    type: str
    message: str
    """What was seen in each namespace when it is True, after a number of namespaces."""
    missing: str = ""
    """What was not seen when it is False, before names of namespaces."""


_ASPECTS = (
    _Aspect(
        status.NETWORK_ISOLATED,
        "whose NetworkPolicies, default-deny included, are as specified. Whether packets are"
        " filtered depends on your network plugin",
        "A NetworkPolicy is missing, changed or not wanted",
    ),
    _Aspect(
        status.QUOTA_ENFORCED,
        "with quota and limits in force",
        "The ResourceQuota or the LimitRange is missing or changed, or status.hard of the"
        " ResourceQuota is not what its spec says",
    ),
    _Aspect(
        status.ACCESS_SCOPED,
        "with the RoleBindings of spec.access whole and unchanged",
        "A RoleBinding is missing, changed or not wanted",
    ),
    _Aspect(
        status.POD_SECURITY_ENFORCED,
        "with the Pod Security labels of the specified level and version; pods that were admitted"
        " before these labels are not judged",
        "A Pod Security label is missing or changed",
    ),
)
_NAMESPACES = _Aspect(
    status.NAMESPACES_READY,
    "with every object as specified",
    "Not every object is as specified",
)
"""False where anything is pending."""
_POLICIES = _Aspect(
    status.POLICIES_IN_FORCE,
    "held to the admission policies of this version, installed and unchanged",
)
"""Only findings decide about it."""


def judge(
    outcomes: Sequence[Outcome], findings: Sequence[Finding], *, platform: bool = False
) -> list[Condition]:
    """Return every condition but their times: Ready, the aspects, then the kstatus pair.

    ``platform`` adds what holds for the platform as a whole.
    """
    worst = _worst(outcomes, findings)
    verdicts = [_ready(outcomes, worst)]
    aspects = (_NAMESPACES, *_ASPECTS, *((_POLICIES,) if platform else ()))
    verdicts += [_judge_aspect(aspect, outcomes, findings) for aspect in aspects]
    if worst is not None:
        stalled = worst.reason in _STALLED
        type = status.STALLED if stalled else status.RECONCILING
        verdicts.append(Condition(type, "True", worst.reason, worst.message))
    return verdicts


def refused(reason: str, message: str) -> list[Condition]:
    """Return the conditions of a tenant that cannot be judged at all."""
    return [
        Condition(status.READY, "False", reason, message),
        Condition(status.STALLED, "True", reason, message),
    ]


def waiting(reason: str, message: str) -> list[Condition]:
    """Return the conditions of a tenant of which nothing is kept any more."""
    pair = status.STALLED if is_stalled(reason) else status.RECONCILING
    return [
        Condition(status.READY, "False", reason, message),
        Condition(pair, "True", reason, message),
    ]


def is_stalled(reason: str) -> bool:
    """Tell whether a reason waits for somebody."""
    return reason in _STALLED


def timed(
    verdicts: Iterable[Condition],
    generation: int,
    since: Mapping[str, tuple[str, str]],
    now: datetime.datetime,
) -> list[dict[str, Any]]:
    """Add generation and transition time; the time moves only when the status does.

    ``since`` maps a type to the (status, time) that stand there now.
    """
    stamp = now.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    conditions = []
    for verdict in verdicts:
        before, time = since.get(verdict.type, ("", stamp))
        conditions.append(
            {
                "type": verdict.type,
                "status": verdict.status,
                "reason": verdict.reason,
                "message": text.shorten(text.escape(verdict.message), _LONGEST),
                "observedGeneration": generation,
                "lastTransitionTime": time if before == verdict.status else stamp,
            }
        )
    return conditions


def transitions(document: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Return (status, time) by type of the conditions in a status document."""
    return {
        each["type"]: (each["status"], each["lastTransitionTime"])
        for each in document.get("conditions") or ()
    }


def count(number: int) -> str:
    """Return for example ``1 namespace`` or ``3 namespaces``."""
    return f"{number} namespace{'' if number == 1 else 's'}"


def listed(namespaces: Iterable[str]) -> str:
    """Return a few names, and the number of the rest."""
    every = sorted(namespaces)
    shown = ", ".join(every[:_SHOWN])
    return f"{shown} and {len(every) - _SHOWN} more" if len(every) > _SHOWN else shown


class _Worst(NamedTuple):
    reason: str
    message: str


def _worst(outcomes: Sequence[Outcome], findings: Sequence[Finding]) -> _Worst | None:
    """Return what to tell first: what waits for somebody before what goes on by itself."""
    pending = [outcome for outcome in outcomes if not outcome.ready]
    worst = min(
        pending,
        key=lambda each: (_rank(each.reason), each.message == "", each.namespace),
        default=None,
    )
    candidates = [_Worst(each.reason, each.message) for each in findings if not each.informs]
    if worst is not None:
        where = listed(each.namespace for each in pending if each.reason == worst.reason)
        candidates.append(_Worst(worst.reason, worst.message or f"Working on {where}"))
    return min(candidates, key=lambda each: _rank(each.reason), default=None)


def _rank(reason: str) -> int:
    return _RANKS.get(reason, len(_RANKS))


def _ready(outcomes: Sequence[Outcome], worst: _Worst | None) -> Condition:
    if worst is None:
        message = f"{count(len(outcomes))}, everything as specified"
        return Condition(status.READY, "True", status.AS_SPECIFIED, message)
    return Condition(status.READY, "False", worst.reason, worst.message)


def _judge_aspect(
    aspect: _Aspect, outcomes: Sequence[Outcome], findings: Sequence[Finding]
) -> Condition:
    for finding in findings:
        if finding.type == aspect.type and not finding.informs:
            return Condition(aspect.type, "False", finding.reason, finding.message)
    failing = [
        each
        for each in outcomes
        if aspect.type in each.unproved or (aspect is _NAMESPACES and not each.ready)
    ]
    if not failing:
        message = f"{count(len(outcomes))} {aspect.message}"
        for finding in findings:
            if finding.type == aspect.type:
                return Condition(
                    aspect.type, "True", finding.reason, f"{finding.message} {message}"
                )
        return Condition(aspect.type, "True", status.AS_SPECIFIED, message)
    worst = min(failing, key=lambda each: (_rank(each.reason), each.namespace))
    own = [each.namespace for each in failing if each.reason not in _NOT_OWN]
    others = [each.namespace for each in failing if each.reason in _NOT_OWN]
    told = [f"{aspect.missing} in {listed(own)}"] if own else []
    if others:
        told.append(f"Nothing is done in {listed(others)}, which the tenant does not own")
    return Condition(aspect.type, "False", worst.reason, ". ".join(told))
