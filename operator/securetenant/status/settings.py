"""The status of TenancySettings: what holds for the whole platform."""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from securetenant.api import status
from securetenant.plan import override
from securetenant.status import conditions
from securetenant.status.conditions import Verdict

_SHOWN = 20


def summarize(
    *,
    generation: int,
    policies_problem: str,
    remark: str,
    holders: Sequence[str],
    previous: Mapping[str, Any],
    now: datetime.datetime,
) -> dict[str, Any]:
    """Return the whole status document."""
    verdicts = [_policies(policies_problem, remark), _override(holders)]
    ready = all(each.status == "True" for each in verdicts)
    worst = next((each for each in verdicts if each.status != "True"), verdicts[0])
    verdicts.insert(
        0,
        Verdict(status.READY, "True", status.AS_SPECIFIED, "In force for every tenant")
        if ready
        else Verdict(status.READY, "False", worst.reason, worst.message),
    )
    return {
        "observedGeneration": generation,
        "conditions": conditions.timed(verdicts, generation, conditions.transitions(previous), now),
    }


def _policies(problem: str, remark: str) -> Verdict:
    if problem:
        return Verdict(status.POLICIES_IN_FORCE, "False", status.POLICIES_CHANGED, problem)
    return Verdict(
        status.POLICIES_IN_FORCE,
        "True",
        status.AS_SPECIFIED,
        "; ".join(
            filter(
                None, ("Every admission policy of this version is installed and unchanged", remark)
            )
        ),
    )


def _override(holders: Sequence[str]) -> Verdict:
    """Name everybody; what is unexpected makes the condition False.

    The verb alone exempts nobody: the policies also ask for the identity or the group.
    """
    strangers = [each for each in holders if each not in override.EXPECTED]
    listed = ", ".join(holders[:_SHOWN])
    if not strangers:
        return Verdict(status.OVERRIDE_HELD, "True", status.AS_SPECIFIED, f"Held by {listed}")
    return Verdict(
        status.OVERRIDE_HELD,
        "False",
        status.UNEXPECTED_HOLDER,
        f"Also held by {', '.join(strangers[:_SHOWN])}: through a wildcard, most likely. It exempts"
        " only the operator, deletion and securetenant:break-glass; look who may impersonate that"
        f" group. Held by {listed}",
    )
