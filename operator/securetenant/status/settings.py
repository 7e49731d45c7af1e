"""The status of TenancySettings: what holds for the whole platform."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from securetenant.api import names, status
from securetenant.plan import override
from securetenant.plan.packets import Packets
from securetenant.status import conditions, packets
from securetenant.status.conditions import Condition
from securetenant.status.outcome import Finding

_SHOWN = 20
_UNCHANGED = "Every admission policy, CRD and role of this version is installed and unchanged"
_GO_ON = (
    f"kubectl annotate tenancysettings {names.SETTINGS_NAME} --overwrite"
    f' {names.REQUESTED_ANNOTATION}="$(date -Is)"'
)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a roll-out is."""

    total: int = 0
    """How many tenants there are."""
    waiting: int = 0
    """How many have not had their turn."""
    working: Sequence[str] = ()
    """Tenants that the next ones wait for, sorted."""
    harmed: Sequence[tuple[str, str]] = ()
    """Tenants that became unhealthy and the reason, sorted."""
    halted: bool = False
    problem: str = ""
    """Why nobody can follow them."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """How the platform stands."""

    crds_problem: str = ""
    policies_problem: str = ""
    roles_problem: str = ""
    remark: str = ""
    """What the policies cannot do on this cluster."""
    holders: Sequence[str] = ()
    """Who holds the verb override."""
    fairness: Finding | None = None
    """What keeps tenants from queueing apart."""
    packets: Packets | None = None
    """What the packet probe came to, once it was looked at."""


def summarize(
    report: Report,
    *,
    generation: int,
    progress: Progress,
    teardowns: Sequence[Mapping[str, str]] = (),
    former_names: Sequence[Mapping[str, str]] = (),
    previous: Mapping[str, Any],
    now: datetime.datetime,
) -> dict[str, Any]:
    """Return the whole status document."""
    unread = status.CRDS_CHANGED if report.crds_problem else status.SPEC_REFUSED
    verdicts = [
        _policies(report),
        _override(report.holders),
        _fair(report.fairness),
        _rolled_out(progress, generation, unread),
    ]
    # Anyone who is cluster-admin by a group holds the verb, as on every cluster that kubeadm makes.
    # It exempts nobody by itself, and is reported without keeping the settings from being ready.
    needed = [each for each in verdicts if each.type != status.OVERRIDE_HELD]
    filtered = packets.condition(report.packets, previous.get("conditions") or ())
    if filtered is not None:
        verdicts.append(filtered)
        # A node that is away is no reason for the platform not to be ready.
        needed += [filtered] if filtered.status == "False" else []
    ready = all(each.status == "True" for each in needed)
    # What waits for a person is reported before a roll-out that goes on by itself.
    worst = min(needed, key=lambda each: (each.status == "True", each.reason == status.ROLLING_OUT))
    verdicts.insert(
        0,
        Condition(status.READY, "True", status.AS_SPECIFIED, "In force for every tenant")
        if ready
        else Condition(status.READY, "False", worst.reason, worst.message),
    )
    if not ready:
        # Everything but a roll-out that goes on waits for a person.
        pair = status.RECONCILING if worst.reason == status.ROLLING_OUT else status.STALLED
        verdicts.append(Condition(pair, "True", worst.reason, worst.message))
    return {
        "observedGeneration": generation,
        "conditions": conditions.timed(verdicts, generation, conditions.transitions(previous), now),
        **({"teardowns": list(teardowns)} if teardowns else {}),
        **({"formerNames": list(former_names)} if former_names else {}),
    }


def _policies(report: Report) -> Condition:
    found = (
        (status.CRDS_CHANGED, report.crds_problem),
        (status.POLICIES_CHANGED, report.policies_problem),
        (status.ROLES_CHANGED, report.roles_problem),
    )
    wrong = [(reason, problem) for reason, problem in found if problem]
    if wrong:
        message = ". ".join(problem for _, problem in wrong)
        return Condition(status.POLICIES_IN_FORCE, "False", wrong[0][0], message)
    return Condition(
        status.POLICIES_IN_FORCE,
        "True",
        status.AS_SPECIFIED,
        "; ".join(filter(None, (_UNCHANGED, report.remark))),
    )


def _fair(finding: Finding | None) -> Condition:
    if finding is not None:
        return Condition(finding.type, "False", finding.reason, finding.message)
    message = (
        f"Requests of tenants queue apart, in at most {names.FLOWS} flows of the priority level"
        f" {names.PRIORITY_LEVEL}"
    )
    return Condition(status.FAIRNESS_IN_FORCE, "True", status.AS_SPECIFIED, message)


def _rolled_out(progress: Progress, generation: int, refused: str) -> Condition:
    """Say how many tenants follow, and what the rest wait for; ``refused`` why nobody can."""
    if progress.problem:
        return Condition(status.ROLLED_OUT, "False", refused, progress.problem)
    names_and_reasons = [f"{name} ({reason})" for name, reason in progress.harmed]
    if not progress.waiting and not progress.working and names_and_reasons:
        message = (
            f"Every tenant had its turn with generation {generation}, and these became unhealthy:"
            f" {conditions.listed(names_and_reasons)}. Correct the settings, or take it as it is:"
            f" {_GO_ON}"
        )
        return Condition(status.ROLLED_OUT, "False", status.TENANTS_HARMED, message)
    if not progress.waiting and not progress.working:
        # Without a number: tenants that come and go say nothing new about the settings.
        message = f"Every tenant follows generation {generation}"
        return Condition(status.ROLLED_OUT, "True", status.AS_SPECIFIED, message)
    followed = progress.total - progress.waiting
    told = f"{followed} of {progress.total} tenants follow generation {generation}"
    if progress.halted:
        # Their names do not outlive the operator, and some have recovered since.
        who = conditions.listed(names_and_reasons) or "tenants that are healthy now, or were then"
        message = (
            f"{told}; halted, since they made unhealthy: {who}. Correct the settings, or go on:"
            f" {_GO_ON}"
        )
        return Condition(status.ROLLED_OUT, "False", status.ROLL_OUT_HALTED, message)
    if progress.working:
        what = "the next wait for" if progress.waiting else "not done yet:"
        told = f"{told}; {what} {conditions.listed(progress.working)}"
    return Condition(status.ROLLED_OUT, "False", status.ROLLING_OUT, told)


def _override(holders: Sequence[str]) -> Condition:
    """Name everybody; what is unexpected makes the condition False.

    The verb by itself exempts nobody: the policies also ask for the identity or the group.
    """
    strangers = [each for each in holders if each not in override.EXPECTED]
    listed = ", ".join(holders[:_SHOWN])
    if not strangers:
        return Condition(status.OVERRIDE_HELD, "True", status.AS_SPECIFIED, f"Held by {listed}")
    return Condition(
        status.OVERRIDE_HELD,
        "False",
        status.UNEXPECTED_HOLDER,
        f"Also held by {', '.join(strangers[:_SHOWN])}: through a wildcard, most likely. It exempts"
        " only the operator, deletion and securetenant:break-glass; look who may impersonate that"
        f" group. Held by {listed}",
    )
