"""The status of a TenantPolicy: how its namespace stands, for those who work in it."""

import datetime
from collections.abc import Sequence
from typing import Any

from securetenant.api import status
from securetenant.plan.ownership import PolicyFacts, Proof
from securetenant.status import conditions, isolation
from securetenant.status.conditions import Condition
from securetenant.status.outcome import Finding, Outcome


def summarize(
    outcome: Outcome,
    policy: PolicyFacts,
    now: datetime.datetime,
    proof: Proof | None = None,
    findings: Sequence[Finding] = (),
) -> dict[str, Any]:
    """Return the whole status document; of ``policy`` only times and generation are read."""
    since = {each.type: (each.status, each.time) for each in policy.transitions}
    verdicts = conditions.judge((outcome,), ())
    counts = {}
    if proof is not None:
        tried = Condition(status.ISOLATION_VERIFIED, proof.status, proof.reason, proof.message)
        verdicts.append(isolation.proved(tried, verdicts, findings))
        counts = {
            "isolation": {
                "verifiedAt": proof.verified_at,
                "tried": proof.tried,
                "refused": proof.refused,
                "admitted": proof.admitted,
            }
        }
    return {
        "observedGeneration": policy.generation,
        "conditions": conditions.timed(verdicts, policy.generation, since, now),
        **counts,
    }
