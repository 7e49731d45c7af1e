"""Nodes of a tenant's own, with kubelets that judge pods themselves."""

from collections.abc import Iterator

import pytest

from e2e import power, world
from factory import tenant
from harness import Api, conditions, kubectl, wait_for
from securetenant.api import kinds
from securetenant.sandbox.instances import Instance

_GIVEN = "securetenant.node-restriction.kubernetes.io/tenant"
_POOL = "node-restriction.kubernetes.io/pool"
OWN = world.Probe(namespace="gamma-a", name="own")
INTRUDER = world.Probe(
    namespace="tools", name="intruder", spec={"nodeName": world.DEDICATED, "restartPolicy": "Never"}
)


@pytest.fixture(scope="module")
def dedicated(tenants: Instance) -> Iterator[Api]:
    """A tenant that has a node to itself, and a pod there."""
    admin = Api(tenants.admin_kubeconfig)
    admin.patch(kinds.NODE, world.DEDICATED, {"metadata": {"labels": {_POOL: "gamma"}}}).ok()
    nodes = {"dedication": "Dedicated", "selector": {"matchLabels": {_POOL: "gamma"}}}
    body = tenant("gamma", namespaces=[{"name": "gamma-a"}], nodes=nodes)
    admin.apply(kinds.SECURE_TENANT, body, manager="e2e").ok()
    kubectl(tenants, "wait", "--for=condition=Ready", "securetenant/gamma", "--timeout=60s")
    world.start(tenants, OWN)
    yield admin
    world.remove(tenants, OWN)
    kubectl(tenants, "delete", "securetenant", "gamma")


def test_its_pods_run_on_its_node(dedicated: Api) -> None:
    found = dedicated.get(kinds.POD, OWN.name, OWN.namespace)
    assert found["spec"]["nodeName"] == world.DEDICATED


def test_a_pod_that_names_the_node_and_skips_the_scheduler_never_runs_there(
    dedicated: Api, tenants: Instance
) -> None:
    """The kubelet refuses it for the taint, or the taint's controller has deleted it by then."""
    dedicated.create_pod(INTRUDER.namespace, INTRUDER.body()).ok()
    seen: list[str] = []

    def ended() -> bool:
        found = dedicated.get(kinds.POD, INTRUDER.name, INTRUDER.namespace)
        if found is None:
            return True
        seen.append(found["status"]["phase"])
        assert not any(
            "startedAt" in str(each["state"])
            for each in found["status"].get("containerStatuses", ())
        )
        return seen[-1] == "Failed"

    try:
        wait_for(ended, what="the intruder to be refused")
        assert "Running" not in seen
    finally:
        world.remove(tenants, INTRUDER)


def test_a_node_that_registers_anew_is_nobodys_until_it_is_labelled(
    dedicated: Api, tenants: Instance
) -> None:
    """A machine was replaced: its kubelet cannot give itself the labels that decide."""
    instance, admin = tenants, dedicated
    of = power.node(instance, world.DEDICATED)
    with power.held(of, "kubelet"):
        admin.delete(kinds.NODE, world.DEDICATED).ok()
    node = wait_for(
        lambda: (
            (found := admin.get(kinds.NODE, world.DEDICATED))
            and conditions(found)["Ready"]["status"] == "True"
            and found
        ),
        what="the node to register",
        seconds=30,
    )
    assert not {_GIVEN, _POOL, "node-restriction.kubernetes.io/tenancy"} & set(
        node["metadata"]["labels"]
    )
    labels = {"node-restriction.kubernetes.io/tenancy": "dedicated", _POOL: "gamma"}
    admin.patch(kinds.NODE, world.DEDICATED, {"metadata": {"labels": labels}}).ok()
    wait_for(
        lambda: admin.get(kinds.NODE, world.DEDICATED)["metadata"]["labels"].get(_GIVEN) == "gamma",
        what="the operator to give it",
    )
    world.remove(instance, OWN)
    world.start(instance, OWN)
