"""Agents: a program of the platform writes what its entry lists, and nobody else does.

Two tenants, one of them in Audit mode. Each row is refused to another program and to a member.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

import factory
import standing
from attack_harness import Policy, verdict
from harness import MERGE, Api, Operator, wait_for
from securetenant.api import kinds
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance

MODES = {"served": "Enforce", "waited": "Audit"}
AGENT = "system:serviceaccount:agents-of-tests:issuer"
KEY = "issuer.example/request"
FINALIZER = "issuer.example/cleanup"
REGISTRY = "agents.example/"
SETTINGS = {
    "protectedNames": ["agents-of-tests"],
    "agents": [
        {
            "name": "issuer",
            "serviceAccount": {"namespace": "agents-of-tests", "name": "issuer"},
            "allows": {
                "annotations": [KEY],
                "registries": [REGISTRY],
                "serviceTypes": ["NodePort"],
            },
        }
    ],
}
ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
_INGRESS = {
    "ingressClassName": "nginx",
    "rules": [{"host": "a.NAME.example", "http": {"paths": []}}],
}
_SERVICE = {"selector": {"a": "b"}, "ports": [{"port": 80}]}


class Row(NamedTuple):
    """What an agent writes."""

    policy: str
    plural: str
    spec: Any = None
    annotations: Any = None


NOTE = {KEY: "x"}
_CONTAINER = factory.pod()["spec"]["containers"][0]
ROWS = {
    "annotation of a Secret": Row("annotations", "secrets", annotations=NOTE),
    "annotation of a pod": Row(
        "pods", "pods", {"containers": [{**_CONTAINER, "image": "registry.example/a:1"}]}, NOTE
    ),
    "annotation of a Service": Row("services", "services", _SERVICE, NOTE),
    "annotation of an Ingress": Row("ingress", "ingresses", _INGRESS, NOTE),
    "type of a Service": Row("services", "services", {**_SERVICE, "type": "NodePort"}),
    "image": Row(
        "pods-hardening",
        "pods",
        {"containers": [{**_CONTAINER, "image": f"{REGISTRY}a:1"}]},
    ),
}


@pytest.fixture(scope="module")
def two(admin: Api, operator: Operator) -> Iterator[None]:
    """Two tenants and the agent's rights."""
    before = admin.get(kinds.TENANCY_SETTINGS, "default")["spec"]
    admin.patch(kinds.TENANCY_SETTINGS, "default", {"spec": SETTINGS}).ok()
    everything = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["create", "get", "update"]}
    finalizer = {
        "apiGroups": ["securetenant.io"],
        "resources": ["finalizers"],
        "resourceNames": [FINALIZER],
        "verbs": ["use"],
    }
    writer = {**everything, "apiGroups": ["", "networking.k8s.io"]}
    for name, users, rules in (
        ("agents-of-tests-writer", [AGENT, f"{AGENT}-2"], [writer]),
        ("agents-of-tests-finalizer", [AGENT], [finalizer]),
    ):
        admin.call("POST", ROLES, {"metadata": {"name": name}, "rules": rules}).ok()
        binding = {
            "metadata": {"name": name},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": name,
            },
            "subjects": [{"kind": "User", "name": user} for user in users],
        }
        admin.call("POST", BINDINGS, binding).ok()
    workloads = {
        "registries": ["registry.example/", "docker.io/library/"],
        "hostnames": [".NAME.example"],
        "ingressClasses": ["nginx"],
    }
    quota = {"services.nodeports": 5, "services.loadbalancers": 5}
    with standing.tenants(admin, MODES, role="Admin", workloads=workloads, quota=quota):
        yield
    undone = {"protectedNames": before["protectedNames"], "agents": None}
    admin.patch(kinds.TENANCY_SETTINGS, "default", {"spec": undone}).ok()


@pytest.fixture(params=MODES)
def tenant(request: pytest.FixtureRequest, two: None, admin: Api) -> str:
    """Each of the tenants, once the entry is in force."""
    name = str(request.param)

    def is_in_force() -> bool:
        policy = admin.get(kinds.TENANT_POLICY, "effective", f"{name}-1")
        return bool(policy["spec"].get("agents"))

    wait_for(is_in_force, what="the agent's entry in TenantPolicy", seconds=60)
    return name


def as_user(sandbox: Instance, user: str) -> Api:
    """Return a client that is this user."""
    return Api(kubeconfigs.for_user(sandbox, user, ()))


def attempt(api: Api, tenant: str, row: Row) -> Any:
    """Try to create the object."""
    root = "/apis/networking.k8s.io/v1" if row.plural == "ingresses" else "/api/v1"
    body: dict[str, Any] = {"metadata": {"name": "new", "annotations": row.annotations or {}}}
    if row.spec is not None:
        body["spec"] = row.spec
        if row.plural == "ingresses":
            rule = {**row.spec["rules"][0], "host": f"a.{tenant}.example"}
            paths = [
                {
                    "path": "/",
                    "pathType": "Prefix",
                    "backend": {"service": {"name": "a", "port": {"number": 80}}},
                }
            ]
            body["spec"] = {**row.spec, "rules": [{**rule, "http": {"paths": paths}}]}
    return api.call("POST", f"{root}/namespaces/{tenant}-1/{row.plural}", body, dryRun="All")


@pytest.mark.parametrize("title", ROWS)
def test_an_agent_writes_what_its_entry_lists(title: str, tenant: str, sandbox: Instance) -> None:
    attempt(as_user(sandbox, AGENT), tenant, ROWS[title]).ok()


@pytest.mark.parametrize("title", ROWS)
def test_another_program_of_the_same_namespace_does_not(
    title: str, tenant: str, sandbox: Instance
) -> None:
    row = ROWS[title]
    answer = attempt(as_user(sandbox, f"{AGENT}-2"), tenant, row)
    expect_refused(answer, row, tenant)


@pytest.mark.parametrize("title", ROWS)
def test_a_member_does_not(title: str, tenant: str, sandbox: Instance) -> None:
    row = ROWS[title]
    expect_refused(attempt(standing.member(sandbox, tenant), tenant, row), row, tenant)


def expect_refused(answer: Any, row: Row, tenant: str) -> None:
    """See it refused; in Audit mode rules about the tenant's own images warn."""
    if row.policy == "pods-hardening" and MODES[tenant] == "Audit":
        assert "securetenant: image is agents.example/a:1" in answer.warnings
    else:
        assert verdict(answer, Policy(f"securetenant-{row.policy}")) == "Blocked"


def test_an_agent_is_judged_as_the_tenant_in_all_else(tenant: str, sandbox: Instance) -> None:
    agent = as_user(sandbox, AGENT)
    for row in (
        Row("annotations", "secrets", annotations={"replicator.v1.mittwald.de/replicate-to": "x"}),
        Row("services", "services", {**_SERVICE, "type": "LoadBalancer"}),
        Row("services", "services", {**_SERVICE, "externalIPs": ["203.0.113.7"]}),
    ):
        assert verdict(attempt(agent, tenant, row), Policy(f"securetenant-{row.policy}")) == (
            "Blocked"
        )


def test_a_finalizer_is_for_who_may_use_it(tenant: str, sandbox: Instance, admin: Api) -> None:
    """By a ClusterRole that names it; the tenant's Admin cannot give itself the right."""
    path = f"/api/v1/namespaces/{tenant}-1/configmaps"
    for user, finalizers, refused in (
        (AGENT, [FINALIZER], False),
        (AGENT, ["other.example/never"], True),
        (AGENT, [FINALIZER, "other.example/never"], True),
        (f"{AGENT}-2", [FINALIZER], True),
    ):
        body = {"metadata": {"name": "held", "finalizers": finalizers}}
        answer = as_user(sandbox, user).call("POST", path, body, dryRun="All")
        assert (verdict(answer, Policy("securetenant-finalizers")) == "Blocked") == refused, user
    member = standing.member(sandbox, tenant)
    rule = {
        "apiGroups": ["securetenant.io"],
        "resources": ["finalizers"],
        "resourceNames": [FINALIZER],
        "verbs": ["use"],
    }
    roles = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{tenant}-1/roles"
    answer = member.call("POST", roles, {"metadata": {"name": "mine"}, "rules": [rule]})
    assert "is attempting to grant RBAC permissions not currently held" in answer.message


def test_what_an_agent_wrote_stays_when_a_member_changes_something_else(
    tenant: str, sandbox: Instance
) -> None:
    path = f"/api/v1/namespaces/{tenant}-1/configmaps"
    agent, member = as_user(sandbox, AGENT), standing.member(sandbox, tenant)
    body = {"metadata": {"name": "shared", "annotations": NOTE}}
    agent.call("POST", path, body).ok()
    change = {"data": {"a": "b"}}
    member.call("PATCH", f"{path}/shared", change, content_type=MERGE).ok()
    other = {"metadata": {"annotations": {KEY: "y"}}}
    answer = member.call("PATCH", f"{path}/shared", other, content_type=MERGE)
    assert verdict(answer, Policy("securetenant-annotations")) == "Blocked"
    member.call("DELETE", f"{path}/shared").ok()
