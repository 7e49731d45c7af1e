"""Our kinds, nodes and static pods: what is guarded outside the namespaces of tenants."""

from typing import Any

import pytest

import factory
from attack_harness import MIRRORS, Policy, verdict
from harness import JSON_PATCH, MERGE, Api
from securetenant.sandbox.instances import Instance
from stolen_operator import RBAC

CRDS, NODES = Policy("securetenant-crds"), Policy("securetenant-nodes")

pytestmark = pytest.mark.usefixtures("tenants")


@pytest.mark.parametrize("plural", ["securetenants", "tenantpolicies", "tenancysettings"])
def test_our_kinds_are_not_removed_while_tenants_depend_on_them(plural: str, admin: Api) -> None:
    """H20."""
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{plural}.securetenant.io"
    assert verdict(admin.call("DELETE", path, dryRun="All"), CRDS) == "Blocked"
    patch = [{"op": "replace", "path": "/spec/versions/0/served", "value": False}]
    answer = admin.call("PATCH", path, patch, content_type=JSON_PATCH, dryRun="All")
    assert verdict(answer, CRDS) == "Blocked"
    labels = {"metadata": {"labels": {"upgraded": "yes"}}}
    admin.call("PATCH", path, labels, content_type=MERGE, dryRun="All").ok()


@pytest.mark.parametrize("plural", ["securetenants", "tenantpolicies", "tenancysettings"])
def test_not_even_a_broken_glass_removes_a_kind_that_policies_read(
    plural: str, breaker: Api
) -> None:
    """H20: pods everywhere would be refused for want of a parameter. The policies go first."""
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{plural}.securetenant.io"
    answer = breaker.call("DELETE", path, dryRun="All")
    assert verdict(answer, CRDS) == "Blocked"
    assert "policies first: kubectl delete -k manifests/policies" in answer.message


def test_the_settings_are_changed_and_not_deleted(admin: Api, breaker: Api) -> None:
    path = "/apis/securetenant.io/v1alpha1/tenancysettings"
    for where in (path, f"{path}/default"):
        answer = admin.call("DELETE", where, dryRun="All")
        assert verdict(answer, Policy("securetenant-settings")) == "Blocked"
    breaker.call("DELETE", f"{path}/default", dryRun="All").ok()


LABEL = "securetenant.node-restriction.kubernetes.io/tenant"


@pytest.mark.parametrize("subresource", ["", "/status"])
@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"metadata": {"labels": {LABEL: "south"}}}, id="label"),
        pytest.param(
            {
                "spec": {
                    "taints": [
                        {"key": "securetenant.io/tenant", "value": "x", "effect": "NoSchedule"}
                    ]
                }
            },
            id="taint",
        ),
    ],
)
def test_nobody_moves_a_node_to_a_tenant(change: Any, subresource: str, admin: Api) -> None:
    """H03: also not by the status subresource, which carries metadata and, for nodes, spec."""
    answer = admin.call(
        "PATCH", f"/api/v1/nodes/node-0{subresource}", change, content_type=MERGE, dryRun="All"
    )
    if answer.status < 300:
        current = admin.call("GET", "/api/v1/nodes/node-0").ok()
        assert answer.body["metadata"].get("labels") == current["metadata"].get("labels")
        assert answer.body["spec"].get("taints") == current["spec"].get("taints")
    else:
        assert verdict(answer, NODES) == "Blocked"


@pytest.fixture(scope="module")
def agent(admin: Api, sandbox: Instance) -> Api:
    """A node agent, as monitoring and device plugins run it: it may patch every node's status."""
    rules = [{"apiGroups": [""], "resources": ["nodes", "nodes/status"], "verbs": ["patch"]}]
    role = {"metadata": {"name": "node-agent"}, "rules": rules}
    admin.call("POST", f"/apis/{RBAC}/v1/clusterroles", role).ok()
    subject = {"kind": "User", "name": "node-agent", "apiGroup": RBAC}
    binding = factory.binding(subject, role="node-agent")
    body = {**binding, "kind": "ClusterRoleBinding", "metadata": {"name": "node-agent"}}
    admin.call("POST", f"/apis/{RBAC}/v1/clusterrolebindings", body).ok()
    return Api(sandbox.admin_kubeconfig, speaking_as="node-agent")


@pytest.mark.parametrize("subresource", ["", "/status"])
def test_a_node_agent_moves_no_node_and_goes_on_reporting(subresource: str, agent: Api) -> None:
    """H03."""
    path = f"/api/v1/nodes/node-0{subresource}"
    for labels, expected in (({LABEL: "south"}, "Blocked"), ({"agent.example/gpu": "1"}, "Open")):
        body = {"metadata": {"labels": labels}}
        answer = agent.call("PATCH", path, body, content_type=MERGE, dryRun="All")
        assert verdict(answer, NODES) == expected


def test_a_node_does_not_label_itself(node: Api) -> None:
    """C06: NodeRestriction knows the prefix, and so does the guard of nodes."""
    answer = node.call(
        "PATCH",
        "/api/v1/nodes/node-0",
        {"metadata": {"labels": {LABEL: "south"}}},
        content_type=MERGE,
        dryRun="All",
    )
    assert answer.status == 403
    assert "is not allowed to modify labels" in answer.message or "is set by the" in answer.message


def test_nodes_report_and_others_label_them_as_ever(node: Api, admin: Api) -> None:
    labels = {"metadata": {"labels": {"topology.example/zone": "a"}}}
    admin.call("PATCH", "/api/v1/nodes/node-0", labels, content_type=MERGE, dryRun="All").ok()
    status = {"status": {"phase": "Running"}}
    node.call("PATCH", "/api/v1/nodes/node-0/status", status, content_type=MERGE, dryRun="All").ok()


def test_a_node_mirrors_static_pods_where_they_belong_and_nowhere_else(
    node: Api, admin: Api
) -> None:
    """H04: a stolen node credential became the cluster's DNS."""
    uid = admin.call("GET", "/api/v1/nodes/node-0").ok()["metadata"]["uid"]
    labels = {"component": "kube-proxy", "tier": "node"}
    node.create_pod("kube-system", factory.mirror(uid=uid, labels=labels), dryRun="All").ok()
    for namespace, labels in (
        ("default", {}),
        ("north-1", {}),
        ("south-1", {}),
        ("kube-system", {"k8s-app": "kube-dns"}),
        ("kube-system", {"k8s-app": "anything"}),
    ):
        answer = node.create_pod(namespace, factory.mirror(uid=uid, labels=labels), dryRun="All")
        assert verdict(answer, MIRRORS) == "Blocked"
