"""Whether the operator is at work can be seen in the cluster, and by its readiness."""

import urllib.error
from pathlib import Path
from typing import Any

import pytest

from conftest import Ready
from factory import tenant
from harness import OPERATOR, Api, Operator, wait_for
from securetenant.api import kinds
from securetenant.sandbox.instances import Instance

RENEWED_SECONDS = 100
"""Ten times what there is between two renewals."""
TOLD_SECONDS = 400
"""Ten times how long a Lease counts."""


def lease(admin: Api) -> dict[str, Any]:
    found = admin.get(kinds.LEASE, OPERATOR[1], OPERATOR[0])
    return found["spec"] if found else {}


def answer(operator: Operator) -> tuple[int, str]:
    """Return status and text of ``/readyz``."""
    try:
        return 200, operator.asked("readyz")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def give_back(admin: Api, body: dict[str, Any]) -> None:
    """Bind the operator to its rights, if it is not."""
    again = {key: body[key] for key in ("apiVersion", "kind", "roleRef", "subjects")}
    again["metadata"] = {"name": OPERATOR[1], "labels": body["metadata"]["labels"]}
    assert admin.create(kinds.CLUSTER_ROLE_BINDING, again).status in (201, 409)


@pytest.mark.timeout(1200)
def test_the_lease_is_renewed_while_the_operator_is_at_work_and_not_without_its_rights(
    sandbox: Instance, admin: Api, operator: Operator, ready: Ready, tmp_path: Path
) -> None:
    """T9: nothing in the cluster showed that it is away, and it was ready without any right."""
    ready(tenant("beating", namespaces=[{"name": "beating-1"}]))
    assert operator.stop() == 0
    # The first Lease is to be this one's.
    admin.delete(kinds.LEASE, OPERATOR[1], OPERATOR[0])
    binding = kinds.CLUSTER_ROLE_BINDING.path("", OPERATOR[1])
    body = admin.call("GET", binding).ok()
    beating = Operator(sandbox, tmp_path / "log", lease_seconds=15)
    beating.start()
    try:
        first = wait_for(lambda: lease(admin), what="the Lease", seconds=RENEWED_SECONDS)
        assert first["holderIdentity"]
        assert first["leaseDurationSeconds"] == 15
        wait_for(
            lambda: lease(admin)["renewTime"] > first["renewTime"],
            what="the Lease to be renewed",
            seconds=RENEWED_SECONDS,
        )
        assert lease(admin)["acquireTime"] == first["acquireTime"]
        assert answer(beating) == (200, "ok\n")

        admin.call("DELETE", binding).ok()
        wait_for(lambda: answer(beating)[0] == 503, what="not ready", seconds=TOLD_SECONDS)
        told = answer(beating)[1]
        assert "is forbidden" in told, told
        stood = lease(admin)["renewTime"]

        give_back(admin, body)
        wait_for(lambda: answer(beating)[0] == 200, what="ready", seconds=TOLD_SECONDS)
        assert lease(admin)["renewTime"] > stood
        assert beating.stop() == 0
        ended = lease(admin)["renewTime"]
        assert lease(admin)["renewTime"] == ended
    finally:
        give_back(admin, body)
        if beating in Operator.at_work:
            beating.stop()
        operator.start()
