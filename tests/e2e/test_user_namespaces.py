"""Pods with users of their own: root in the container is nobody on the node."""

from collections.abc import Iterator

import pytest

from e2e import world
from factory import tenant
from harness import MERGE, Api, conditions, kubectl, wait_for
from securetenant.api import kinds
from securetenant.sandbox.instances import Instance

POD = world.Probe(namespace="theta-a", name="one")


@pytest.fixture(scope="module")
def theta(tenants: Instance) -> Iterator[Api]:
    admin = Api(tenants.admin_kubeconfig)
    body = tenant(
        "theta", namespaces=[{"name": "theta-a"}], workloads={"userNamespaces": "Required"}
    )
    admin.apply(kinds.SECURE_TENANT, body, manager="e2e").ok()
    yield admin
    kubectl(tenants, "delete", "securetenant", "theta")


def supported(admin: Api) -> bool:
    """Tell what the kubelet of the shared node says of its runtime."""
    handlers = admin.get(kinds.NODE, world.SHARED)["status"]["runtimeHandlers"]
    (default,) = (each for each in handlers if not each.get("name"))
    return bool(default["features"]["userNamespaces"])


def test_a_pod_has_users_of_its_own_and_no_way_out_of_them(theta: Api, tenants: Instance) -> None:
    if not supported(theta):
        pytest.skip("the container runtime of this machine has no user namespaces")
    kubectl(tenants, "wait", "--for=condition=Ready", "securetenant/theta", "--timeout=60s")
    world.start(tenants, POD)
    try:
        seen = world.run(tenants, POD.namespace, POD.name, "self")
        inside, outside, count = seen["uid_map"].split()
        assert (inside, count) == ("0", "65536")
        assert int(outside) >= 65536
        lines = seen["status"].splitlines()
        status = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
        assert set(status["CapEff"]) == set(status["CapBnd"]) == {"0000000000000000"}
        assert status["NoNewPrivs"] == ["1"]
        assert status["Seccomp"] == ["2"]
    finally:
        world.remove(tenants, POD)


def test_where_no_node_has_user_namespaces_the_tenant_is_not_ready(
    theta: Api, tenants: Instance
) -> None:
    """The kubelet would say so in its Node; its word is put there by hand, and it takes it back."""
    seen: list[str] = []

    def told() -> bool:
        body = {
            "status": {"runtimeHandlers": [{"name": "", "features": {"userNamespaces": False}}]}
        }
        path = kinds.NODE.path("", world.SHARED, "status")
        theta.call("PATCH", path, body, content_type=MERGE).ok()
        found = conditions(theta.get(kinds.SECURE_TENANT, "theta"))
        seen.append(found.get("PodSecurityEnforced", {}).get("reason", ""))
        return seen[-1] == "UserNamespacesUnsupported"

    wait_for(told, what="the operator to see it", seconds=20)
    wait_for(
        lambda: conditions(theta.get(kinds.SECURE_TENANT, "theta"))["Ready"]["status"] == "True",
        what="the kubelet to say what its runtime has",
        seconds=60,
    )
