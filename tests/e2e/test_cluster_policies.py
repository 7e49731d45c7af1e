"""With ClusterNetworkPolicies on the cluster: what the Admin tier adds, as packets see it."""

from collections.abc import Iterator

import pytest

from e2e import installed, newcomers, power, world
from harness import Api, kubectl, wait_for
from securetenant.api import kinds
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance

CRD = "tests/clusternetworkpolicies.yaml"


@pytest.fixture(scope="module")
def served(tenants: Instance) -> Iterator[Api]:
    """Serve them, and filter by an engine that knows them, while these tests run."""
    admin = Api(tenants.admin_kubeconfig)
    kubectl(tenants, "apply", "-f", CRD)
    try:
        wait_for(
            lambda: len(written(admin)) >= 2,
            what="the operator to write them",
            seconds=60,
        )
        power.switch_engine(tenants, to="cluster-network-policies")
        yield admin
    finally:
        power.switch_engine(tenants, to="network-policies")
        kubectl(tenants, "delete", "-f", CRD)


@pytest.fixture
def unattended(tenants: Instance) -> Iterator[None]:
    """Have no operator, who would delete what nobody declared."""
    scale = ("scale", "deployment/securetenant-operator", f"-n{installed.NAMESPACE}")
    kubectl(tenants, *scale, "--replicas=0")
    kubectl(tenants, "wait", "--for=delete", "pod", "--all", f"-n{installed.NAMESPACE}")
    yield
    kubectl(tenants, *scale, "--replicas=2")
    kubectl(tenants, "rollout", "status", *scale[1:])


def test_every_flow_is_as_it_is_computed_with_the_admin_tier(
    served: Api, tenants: Instance
) -> None:
    assert len(world.agreed(tenants, seconds=20)) > 300


def test_no_first_packet_of_a_new_pod_passes_where_containerd_names_pods(
    served: Api, tenants: Instance
) -> None:
    """This engine sees every packet, and hears of a pod before its first process starts."""
    with newcomers.started(tenants) as new:
        reached = {target for found in new for target in found}
    assert reached == {newcomers.allowed(tenants)}


def test_while_the_operator_is_away_a_forced_opening_opens_no_other_tenant(
    served: Api, unattended: None, tenants: Instance
) -> None:
    """Somebody who broke the glass writes a NetworkPolicy that allows everything."""
    groups = ("system:masters", "securetenant:break-glass")
    breaker = Api(kubeconfigs.for_user(tenants, "breaker", groups))
    for namespace in ("acme-prod", "beta-web"):
        breaker.create(kinds.NETWORK_POLICY, _everything(), namespace).ok()
    try:
        found = world.agreed(tenants, seconds=20)
    finally:
        for namespace in ("acme-prod", "beta-web"):
            breaker.delete(kinds.NETWORK_POLICY, "everything", namespace)
    assert found["acme-prod/web", "203.0.113.10", "tcp 8080"], "the policy is in force"
    assert found["acme-prod/web", "beta-web/web", "tcp 8081"], "the peer's port"
    assert not found["acme-prod/web", "beta-web/web", "tcp 8080"]
    assert not found["beta-web/web", "acme-prod/web", "tcp 8081"]
    assert not found["acme-prod/web", "169.254.169.254", "tcp 8080"]


def written(admin: Api) -> list[str]:
    """Return the names of the policies that are there; none while the kind is not served."""
    answer = admin.call("GET", kinds.CLUSTER_NETWORK_POLICY.path())
    items = answer.body["items"] if answer.status == 200 else ()
    return [each["metadata"]["name"] for each in items]


def _everything() -> dict[str, object]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "everything"},
        "spec": {
            "podSelector": {},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{}],
            "egress": [{}],
        },
    }
