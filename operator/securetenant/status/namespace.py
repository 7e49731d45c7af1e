"""The status of a TenantPolicy: how its namespace stands, for those who work in it."""

import datetime
from typing import Any

from securetenant.plan.ownership import PolicyFacts
from securetenant.status import conditions
from securetenant.status.outcome import Outcome


def summarize(outcome: Outcome, policy: PolicyFacts, now: datetime.datetime) -> dict[str, Any]:
    """Return the whole status document; of ``policy`` only times and generation are read."""
    since = {each.type: (each.status, each.time) for each in policy.transitions}
    verdicts = conditions.judge((outcome,), ())
    return {
        "observedGeneration": policy.generation,
        "conditions": conditions.timed(verdicts, policy.generation, since, now),
    }
