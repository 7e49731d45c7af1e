"""Namespaces that are being deleted: what each waits for, and whether that takes too long."""

import datetime

from securetenant.plan.ownership import NamespaceFacts

STUCK_AFTER = datetime.timedelta(minutes=10)
"""Pods have long grace periods, and volumes are released after them."""
ADVICE = (
    "It takes more than 10 minutes: look for what holds it, and who should take that away, see"
    ' docs/operations.md, "A namespace that does not terminate"'
)


def describe(namespace: str, facts: NamespaceFacts, *, since: bool = False) -> str:
    """Return its name, what its deletion waits for, and where it is asked for, since when."""
    asked = f"since {facts.deleted_at}" if since and facts.deleted_at else ""
    told = ": ".join(filter(None, (asked, facts.remaining)))
    return f"{namespace} ({told})" if told else namespace


def stuck_in(facts: NamespaceFacts, now: datetime.datetime) -> float:
    """Return in how many seconds it will have been terminating for too long; 0 when it has."""
    if not facts.deleted_at:
        return STUCK_AFTER.total_seconds()
    since = datetime.datetime.fromisoformat(facts.deleted_at)
    return max((since + STUCK_AFTER - now).total_seconds(), 0.0)
