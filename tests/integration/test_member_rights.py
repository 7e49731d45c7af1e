"""What members of a tenant can do with its namespaces, and how the platform adds to it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import documents
import factory
from conftest import settled
from harness import ROOT, Api, Operator, conditions, kubectl, wait_for
from securetenant.api import kinds
from securetenant.plan import roles
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance

RBAC = "rbac.authorization.k8s.io"
ADDONS = sorted((ROOT / "manifests" / "roles" / "addons").iterdir())
HOME, OTHER = "hold-1", "hold-2"
ROLES = ("Admin", "Developer", "Viewer")
LEASE = {"metadata": {"name": "leader"}, "spec": {"holderIdentity": "me"}}

Member = Callable[[str], Api]


@pytest.fixture(scope="module", autouse=True)
def tenant(admin: Api, operator: Operator) -> None:
    """A tenant with a group for each role."""
    access = [
        {
            "name": each.lower(),
            "role": each,
            "subjects": [{"kind": "Group", "name": f"hold-{each}"}],
        }
        for each in ROLES
    ]
    for body in (
        factory.tenant("hold", namespaces=[{"name": HOME}], access=access),
        factory.tenant("hold-other", namespaces=[{"name": OTHER}]),
    ):
        admin.create(kinds.SECURE_TENANT, body).ok()
    for name in ("hold", "hold-other"):
        settled(admin, name)


@pytest.fixture(scope="module")
def member(sandbox: Instance) -> Member:
    """Return somebody who holds a role."""
    found = {
        each: Api(kubeconfigs.for_user(sandbox, f"hold-{each.lower()}", (f"hold-{each}",)))
        for each in ROLES
    }
    return found.__getitem__


@pytest.mark.parametrize("role", ROLES)
def test_a_member_gets_its_own_namespace_and_no_other(role: str, member: Member) -> None:
    """E7: `kubectl get namespace` was refused, so people could not see its labels."""
    found = member(role).call("GET", f"/api/v1/namespaces/{HOME}").ok()
    assert found["metadata"]["labels"]["securetenant.io/tenant"] == "hold"
    for path in ("/api/v1/namespaces", f"/api/v1/namespaces/{OTHER}"):
        assert member(role).call("GET", path).status == 403
    label = {"metadata": {"labels": {"a": "b"}}}
    assert member(role).patch(kinds.NAMESPACE, HOME, label, dryRun="All").status == 403


@pytest.mark.parametrize(("role", "status"), [("Admin", 201), ("Developer", 201), ("Viewer", 403)])
def test_those_who_run_applications_let_them_elect_leaders(
    role: str, status: int, member: Member
) -> None:
    """E7: an operator without a Lease of its own does not start."""
    path = f"/apis/coordination.k8s.io/v1/namespaces/{HOME}/leases"
    assert member(role).call("POST", path, LEASE, dryRun="All").status == status


def test_leases_are_counted(admin: Api) -> None:
    """Everything that a member may create is."""
    quota = admin.get(kinds.RESOURCE_QUOTA, "securetenant", HOME)
    assert "count/leases.coordination.k8s.io" in quota["status"]["hard"]


def own_role(*rules: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": "operator"}, "rules": list(rules)}


OPERATORS = own_role(
    {
        "apiGroups": ["coordination.k8s.io"],
        "resources": ["leases"],
        "verbs": ["create", "get", "list", "patch", "update", "watch"],
    },
    {"apiGroups": [""], "resources": ["endpoints"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": ["apps"], "resources": ["deployments", "deployments/status"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]},
)
EVENTS = {"apiGroups": ["", "events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]}
PATH = f"/apis/{RBAC}/v1/namespaces/{HOME}/roles"


def test_an_admin_gives_what_operators_ask_for_to_its_accounts(member: Member) -> None:
    """E7: Kubernetes lets an admin give only what the admin holds."""
    member("Admin").call("POST", PATH, OPERATORS, dryRun="All").ok()
    for role in ROLES:
        subject = {"kind": "ServiceAccount", "name": "default", "namespace": HOME}
        body = factory.binding(subject, role=f"securetenant:{role.lower()}")
        member("Admin").create(kinds.ROLE_BINDING, body, HOME, dryRun="All").ok()


@pytest.fixture
def added(sandbox: Instance, admin: Api) -> Iterator[None]:
    """Everything that comes on request, and nothing of it afterwards."""
    for each in ADDONS:
        kubectl(sandbox, "apply", "-k", str(each))
    yield
    for each in ADDONS:
        kubectl(sandbox, "delete", "-k", str(each))
    wait_for(lambda: _rules(admin) <= _rules_of_ours(admin), what="the rights to go")


def _rules(admin: Api) -> set[str]:
    found = admin.call("GET", kinds.CLUSTER_ROLE.path("", "securetenant:admin")).ok()
    return {*roles.allowed({"rules": found["rules"]})}


def _rules_of_ours(admin: Api) -> set[str]:
    bodies = [admin.call("GET", kinds.CLUSTER_ROLE.path("", each)).ok() for each in roles.BASE]
    return {what for each in bodies for what in roles.allowed(each)}


def said(admin: Api, type: str) -> Any:
    return conditions(admin.get(kinds.SECURE_TENANT, "hold"))[type]


def test_what_comes_on_request_is_held_and_named(
    added: None, admin: Api, member: Member, sandbox: Instance
) -> None:
    """E7: certificates, routes, snapshots, monitors, metrics and Events, each by one apply."""
    wanted = {
        what
        for folder in ADDONS
        for body in documents.within(folder)
        for what in roles.allowed(body)
    }
    wait_for(lambda: wanted <= _rules(admin), what="every right to be aggregated")
    wait_for(
        lambda: "more rights come" in said(admin, "AccessScoped")["message"],
        what="the condition to name them",
    )
    told = said(admin, "AccessScoped")["message"]
    assert "securetenant:addon-cert-manager (securetenant:admin, securetenant:developer)" in told
    wait_for(lambda: said(admin, "PoliciesInForce")["status"] == "True", what="nothing to differ")
    assert said(admin, "AccessScoped")["status"] == "True"
    member("Admin").call("POST", PATH, own_role(EVENTS), dryRun="All").ok()


def test_events_are_not_a_members_to_write_unless_the_platform_adds_it(member: Member) -> None:
    """D05, G01: no quota counts them, and they say what their author likes."""
    answer = member("Admin").call("POST", PATH, own_role(EVENTS), dryRun="All")
    assert "attempting to grant RBAC permissions not currently held" in answer.message
    event = {"metadata": {"name": "e"}, "involvedObject": {"namespace": HOME}}
    path = f"/api/v1/namespaces/{HOME}/events"
    for role in ROLES:
        assert member(role).call("POST", path, event, dryRun="All").status == 403
