"""Whether the operator is at work can be seen in the cluster, and by its readiness."""

import os
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import control_plane
from harness import OPERATOR, Api, Operator, wait_for
from securetenant.api import kinds
from securetenant.sandbox.instances import Instance

RENEWED_SECONDS = 100
"""Ten times what there is between two renewals."""
TOLD_SECONDS = 400
"""Ten times how long a Lease counts."""


@pytest.fixture(scope="module")
def plane() -> Iterator[Instance]:
    """A control plane of its own: the operator loses its rights."""
    with control_plane(f"test-{os.getpid()}-heart", nodes=1) as instance:
        yield instance


def lease(admin: Api) -> dict[str, Any]:
    found = admin.get(kinds.LEASE, OPERATOR[1], OPERATOR[0])
    return found["spec"] if found else {}


def answer(operator: Operator) -> tuple[int, str]:
    """Return status and text of ``/readyz``."""
    try:
        return 200, operator.asked("readyz")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.timeout(1200)
def test_the_lease_is_renewed_while_the_operator_is_at_work_and_not_without_its_rights(
    plane: Instance, tmp_path: Path
) -> None:
    """T9: nothing in the cluster showed that it is away, and it was ready without any right."""
    admin = Api(plane.admin_kubeconfig)
    operator = Operator(plane, tmp_path / "log")
    operator.start()
    try:
        first = wait_for(lambda: lease(admin), what="the Lease", seconds=RENEWED_SECONDS)
        assert first["holderIdentity"]
        assert first["leaseDurationSeconds"] == 40
        wait_for(
            lambda: lease(admin)["renewTime"] > first["renewTime"],
            what="the Lease to be renewed",
            seconds=RENEWED_SECONDS,
        )
        assert lease(admin)["acquireTime"] == first["acquireTime"]
        assert answer(operator) == (200, "ok\n")

        binding = kinds.CLUSTER_ROLE_BINDING.path("", OPERATOR[1])
        body = admin.call("GET", binding).ok()
        admin.call("DELETE", binding).ok()
        wait_for(lambda: answer(operator)[0] == 503, what="not ready", seconds=TOLD_SECONDS)
        told = answer(operator)[1]
        assert "is forbidden" in told, told
        stood = lease(admin)["renewTime"]

        again = {key: body[key] for key in ("apiVersion", "kind", "roleRef", "subjects")}
        again["metadata"] = {"name": OPERATOR[1], "labels": body["metadata"]["labels"]}
        admin.create(kinds.CLUSTER_ROLE_BINDING, again).ok()
        wait_for(lambda: answer(operator)[0] == 200, what="ready", seconds=TOLD_SECONDS)
        assert lease(admin)["renewTime"] > stood
    finally:
        assert operator.stop() == 0
    ended = lease(admin)["renewTime"]
    assert lease(admin)["renewTime"] == ended
