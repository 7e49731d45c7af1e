"""A quota that namespaces share as a pool, with pods that really run."""

from collections.abc import Iterator
from typing import Any

import pytest

from e2e import world
from factory import tenant
from harness import MERGE, Api, conditions, kubectl, wait_for, wait_for_account
from securetenant.api import kinds, names
from securetenant.sandbox.instances import Instance

_TOTAL = 8
"""Pods of the tenant; each of its two namespaces begins with half of them."""


@pytest.fixture(scope="module")
def zeta(tenants: Instance) -> Iterator[Api]:
    admin = Api(tenants.admin_kubeconfig)
    body = tenant(
        "zeta", namespaces=[{"name": "zeta-a"}, {"name": "zeta-b"}], quota={"pods": _TOTAL}
    )
    admin.apply(kinds.SECURE_TENANT, body, manager="e2e").ok()
    kubectl(tenants, "wait", "--for=condition=Ready", "securetenant/zeta", "--timeout=60s")
    yield admin
    kubectl(tenants, "delete", "securetenant", "zeta")


def deployment(namespace: str, replicas: int) -> dict[str, Any]:
    """Return a Deployment of probes."""
    pod = world.Probe(namespace=namespace, name="web", labels={"app": "web"}).body()
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": pod["spec"]},
        },
    }


def test_a_deployment_that_was_refused_for_lack_of_room_runs_a_moment_later(
    zeta: Api, tenants: Instance
) -> None:
    """It takes what the other namespace leaves idle, and never more than there is."""
    wait_for_account(zeta, "zeta-a")
    path = "/apis/apps/v1/namespaces/zeta-a/deployments"
    zeta.call("POST", path, deployment("zeta-a", _TOTAL - 1)).ok()
    kubectl(tenants, "rollout", "status", "deployment/web", "-nzeta-a", "--timeout=120s")
    events = zeta.call("GET", "/api/v1/namespaces/zeta-a/events").ok()["items"]
    assert any("exceeded quota" in each["message"] for each in events), "it was refused before"
    zeta.call("PATCH", f"{path}/web/scale", {"spec": {"replicas": 3 * _TOTAL}}, content_type=MERGE)
    wait_for(
        lambda: (
            conditions(zeta.get(kinds.SECURE_TENANT, "zeta"))["QuotaEnforced"]["reason"]
            == "PoolExhausted"
        ),
        what="the pool to be used up",
        seconds=30,
    )
    hard = [
        int(zeta.get(kinds.RESOURCE_QUOTA, names.QUOTA, each)["spec"]["hard"]["pods"])
        for each in ("zeta-a", "zeta-b")
    ]
    assert sum(hard) <= _TOTAL
    pods = zeta.list(kinds.POD, "zeta-a")
    assert len(pods) == hard[0]
