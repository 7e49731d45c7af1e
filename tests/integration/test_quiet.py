"""When nothing changes, nothing is written; after a restart too."""

import time
from typing import Any

from conftest import Ready
from factory import tenant
from harness import Api, Operator, settle, wait_for, writes_by_operator
from securetenant.api import kinds
from securetenant.sandbox.instances import Instance

QUIET_SECONDS = 60


def test_a_minute_passes_without_a_write(
    sandbox: Instance, ready: Ready, operator: Operator
) -> None:
    """Counted in the API server's audit log, by user agent."""
    ready(tenant("quiet"))
    # A status says within half a minute how much of a quota is used, also by earlier tests.
    seen = settle(sandbox, still_for=31)
    # Not a wait for something: the minute itself is the claim.
    time.sleep(QUIET_SECONDS)
    assert told(writes_by_operator(sandbox)[seen:]) == []


def test_a_restart_writes_nothing_and_then_works(
    sandbox: Instance, admin: Api, ready: Ready, operator: Operator
) -> None:
    ready(tenant("restart", namespaces=[{"name": "restart-a"}]))
    seen = settle(sandbox)
    assert operator.stop() == 0
    operator.start()
    settle(sandbox)
    assert told(writes_by_operator(sandbox)[seen:]) == []
    admin.patch(
        kinds.SECURE_TENANT, "restart", {"spec": {"namespaces": [{"name": "restart-b"}]}}
    ).ok()
    wait_for(lambda: admin.get(kinds.NAMESPACE, "restart-b"), what="the new namespace")


def told(events: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Return what was written, for the one who reads a failure."""
    return [(event["verb"], event["requestURI"], event["stageTimestamp"]) for event in events]
