"""Whether a tenant's isolation was seen: the condition IsolationVerified, from what was tried."""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from securetenant.api import status
from securetenant.checks.attacks.verdicts import Seen, Verdict
from securetenant.status import conditions
from securetenant.status.conditions import Condition
from securetenant.status.outcome import Finding

_TOLD = 3
"""How many of what is wrong a message names."""
_SEVERITY = (Verdict.OPEN, Verdict.BLOCKED_BY_OTHER, Verdict.INCONCLUSIVE)
_REMEDIES = (
    ("securetenant-", "Install the policies: kubectl apply -k manifests/policies"),
    (
        "Pod Security",
        (
            "Look at the labels pod-security.kubernetes.io/* of the Namespace, and whether the API"
            " server's admission plugin PodSecurity exempts somebody"
        ),
    ),
    ("LimitRange", "Look at LimitRange and ResourceQuota securetenant in the namespace"),
    (
        "RBAC",
        "Find the binding that gives it: kubectl get clusterrolebindings,rolebindings -A -o wide",
    ),
)
_PARTS = frozenset(
    {
        status.NETWORK_ISOLATED,
        status.QUOTA_ENFORCED,
        status.ACCESS_SCOPED,
        status.POD_SECURITY_ENFORCED,
        status.POLICIES_IN_FORCE,
        status.NODES_DEDICATED,
        status.PIDS_LIMITED,
    }
)
"""Conditions without which nothing is isolated, whatever was tried."""
_UNDER_WAY = frozenset(
    {
        status.AWAITING_TURN,
        status.PROGRESSING,
        status.UNAVAILABLE,
        status.WAITING_FOR_QUOTA,
        status.WAITING_FOR_SHARE,
    }
)
"""Reasons that pass by themselves: nothing is wrong, and nothing is seen yet."""


class Trial(NamedTuple):
    """What came of everything that was tried in one namespace."""

    namespace: str
    at: datetime.datetime
    refused: int
    """How much was refused by the control that is there for it."""
    others: tuple[Seen, ...] = ()
    """What was not, the worst first."""
    problem: str = ""
    """Why the pod that must be admitted was not; then nothing else is known."""
    unanswered: str = ""
    """Why nothing could be tried at all."""

    @property
    def tried(self) -> int:
        """Return how much was tried."""
        return self.refused + len(self.others)


def sort(seen: Sequence[Seen]) -> tuple[Seen, ...]:
    """Return what was not refused as it has to be, the worst first."""
    return tuple(
        sorted(
            (each for each in seen if each.verdict is not Verdict.BLOCKED),
            key=lambda each: (_SEVERITY.index(each.verdict), not each.critical, each.row),
        )
    )


def judge(trials: Sequence[Trial], missing: Sequence[str]) -> Condition:
    """Return the condition; ``missing`` are namespaces where nothing was tried yet."""
    for verdict, answer in (
        (Verdict.OPEN, ("False", status.ISOLATION_OPEN)),
        (Verdict.BLOCKED_BY_OTHER, ("Unknown", status.REFUSED_BY_OTHERS)),
    ):
        found = [(each.namespace, seen) for each in trials for seen in each.others]
        found = [each for each in found if each[1].verdict is verdict]
        if found:
            return Condition(status.ISOLATION_VERIFIED, *answer, _told(found, verdict))
    for trial in trials:
        if trial.problem:
            message = (
                f"The pod that {trial.namespace} must admit was refused, so nothing is known of"
                f" what else is refused there: {trial.problem}"
            )
            return Condition(status.ISOLATION_VERIFIED, "Unknown", status.TRIAL_REFUSED, message)
    if told := _unknown(trials, missing):
        return Condition(status.ISOLATION_VERIFIED, "Unknown", status.NOT_VERIFIED, told)
    count = sum(each.tried for each in trials)
    message = (
        f"{count} attempts in {conditions.count(len(trials))} were each refused by the"
        " control that must refuse them"
    )
    return Condition(status.ISOLATION_VERIFIED, "True", status.ATTACKS_REFUSED, message)


def proved(
    verdict: Condition, others: Sequence[Condition], findings: Sequence[Finding]
) -> Condition:
    """Return what holds in addition to the other conditions of a tenant, and what else was found.

    What was tried says nothing of those that a changed policy exempts, of a taint that is gone, or
    of a limit that no kubelet keeps: while a part is not seen, the whole is not.
    """
    if verdict.status == "False":
        return verdict
    found = [each for each in findings if each.type == verdict.type]
    # What is not known must not hide what is.
    for finding in sorted(found, key=lambda each: each.reason == status.FLOWS_UNCLEAR):
        answer = "Unknown" if finding.reason == status.FLOWS_UNCLEAR else "False"
        return Condition(verdict.type, answer, finding.reason, finding.message)
    for answer in ("False", "Unknown"):
        for each in others:
            if each.type in _PARTS and each.status == answer:
                is_under_way = answer == "Unknown" or each.reason in _UNDER_WAY
                message = f"{each.type} is {answer}: {each.message}"
                return Condition(
                    verdict.type, "Unknown" if is_under_way else "False", each.reason, message
                )
    return verdict


def record(trials: Sequence[Trial]) -> Mapping[str, Any]:
    """Return the part ``isolation`` of the status."""
    oldest = min(each.at for each in trials).astimezone(datetime.UTC)
    admitted = sum(seen.verdict is Verdict.OPEN for each in trials for seen in each.others)
    return {
        "verifiedAt": oldest.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "tried": sum(each.tried for each in trials),
        "refused": sum(each.refused for each in trials),
        "admitted": admitted,
    }


def _unknown(trials: Sequence[Trial], missing: Sequence[str]) -> str:
    """Say what is not known; nothing: everything is."""
    for trial in trials:
        if trial.unanswered:
            return f"Nothing could be tried in {trial.namespace}: {trial.unanswered}"
    if missing or not trials:
        return f"Not tried yet in {conditions.listed(missing)}" if missing else "Not tried yet"
    left = sum(len(each.others) for each in trials)
    return f"{left} of what was tried were not answered; they are tried again" if left else ""


def _told(found: Sequence[tuple[str, Seen]], verdict: Verdict) -> str:
    """Say what was not refused as it has to be, the worst first, and what to do about that."""
    worst = sorted(found, key=lambda each: (not each[1].critical, each[1].row, each[0]))
    named: dict[tuple[str, str], tuple[Seen, list[str]]] = {}
    for namespace, seen in worst:
        named.setdefault((seen.row, seen.what), (seen, []))[1].append(namespace)
    shown = list(named.values())[:_TOLD]
    verb = "admitted in" if verdict is Verdict.OPEN else "refused by something else in"
    parts = [
        f"{seen.what} ({seen.row}): {verb} {conditions.listed(spaces)}, and {seen.control} must"
        f" refuse it{_said(seen, verdict)}"
        for seen, spaces in shown
    ]
    more = f"; and {len(named) - _TOLD} more" if len(named) > _TOLD else ""
    remedies = dict.fromkeys(filter(None, (_remedy(seen) for seen, _ in shown)))
    return f"{'; '.join(parts)}{more}. {'. '.join(remedies)}".rstrip(". ")


def _said(seen: Seen, verdict: Verdict) -> str:
    is_other = verdict is Verdict.BLOCKED_BY_OTHER and seen.message
    return f" (it was: {seen.message})" if is_other else ""


def _remedy(seen: Seen) -> str:
    return next((text for start, text in _REMEDIES if seen.control.startswith(start)), "")
