"""The core claims of the tests on real nodes, with another runtime and another network plugin."""

from e2e import installed, world
from harness import Api, conditions, wait_for
from kind import cluster
from securetenant.api import kinds
from securetenant.sandbox.instances import Instance

_EFFECT_SECONDS = 10


def test_the_operator_is_a_pod_that_is_ready(kind: Instance) -> None:
    for pod in Api(kind.admin_kubeconfig).list(kinds.POD, installed.NAMESPACE):
        assert conditions(pod)["Ready"]["status"] == "True"


def test_every_flow_is_as_it_is_computed(tenants: Instance) -> None:
    """Pods of two tenants, of the platform and of a node; TCP and UDP."""
    found = world.agreed(tenants, cluster.CAST, seconds=_EFFECT_SECONDS)
    assert len(found) > 200
    assert found["acme-prod/web", "kube-system/dns", "udp 53"]
    assert found["tools/api", "acme-prod/web", "tcp 8080"]
    assert found["acme-prod/db", "beta-web/web", "tcp 8081"]
    assert not found["tools/api", "acme-prod/db", "tcp 8080"]
    assert not found["acme-prod/web", "beta-web/web", "tcp 8080"]


def test_networkpolicies_that_are_deleted_are_back_and_in_force(tenants: Instance) -> None:
    admin = Api(tenants.admin_kubeconfig)
    breaker = Api(tenants.admin_kubeconfig, speaking_as="breaker", group="securetenant:break-glass")
    names = {each["metadata"]["name"] for each in admin.list(kinds.NETWORK_POLICY, "beta-web")}
    for each in names:
        breaker.delete(kinds.NETWORK_POLICY, each, "beta-web").ok()
    wait_for(
        lambda: (
            {each["metadata"]["name"] for each in admin.list(kinds.NETWORK_POLICY, "beta-web")}
            == names
        ),
        what="the NetworkPolicies to be back",
    )
    world.agreed(tenants, cluster.CAST, seconds=_EFFECT_SECONDS)
