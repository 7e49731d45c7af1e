"""Who a tenant may let in, and for how long: catalogue rows A17 and H11."""

from typing import Any

import pytest

import factory
from attack_harness import Policy, mutate, verdict
from harness import Api
from securetenant.api import kinds

RBAC = "rbac.authorization.k8s.io"
NAMES = Policy("securetenant-names")
ACCESS, TOKENS = Policy("securetenant-access"), Policy("securetenant-token-requests")

pytestmark = pytest.mark.usefixtures("tenants")


@pytest.fixture(scope="module")
def own_role(members: dict[str, Api], tenants: None) -> None:
    """A Role of each tenant's own, which its admin may bind."""
    role = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "Role",
        "metadata": {"name": "mine"},
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}],
    }
    for name, member in members.items():
        member.call("POST", f"/apis/{RBAC}/v1/namespaces/{name}-1/roles", role).ok()


@pytest.mark.parametrize(
    "subject",
    [
        {"kind": "Group", "name": "system:authenticated"},
        {"kind": "Group", "name": "system:unauthenticated"},
        {"kind": "Group", "name": "system:serviceaccounts"},
        {"kind": "Group", "name": "ATTACKER-admins"},
        {"kind": "User", "name": "ATTACKER-admin"},
        {"kind": "User", "name": "system:serviceaccount:ATTACKER-1:default"},
        {"kind": "ServiceAccount", "name": "default", "namespace": "VICTIM-1"},
        {"kind": "ServiceAccount", "name": "default", "namespace": "kube-system"},
    ],
    ids=lambda each: "A17 " + " ".join(each.values()),
)
def test_a_tenants_binding_names_its_own_accounts_alone(
    subject: dict[str, str], attacker: str, members: dict[str, Api], own_role: None
) -> None:
    other = {"north": "south", "south": "north"}[attacker]
    subject = {
        key: value.replace("ATTACKER", attacker).replace("VICTIM", other)
        for key, value in subject.items()
    }
    subject = {"apiGroup": RBAC, **subject} if subject["kind"] != "ServiceAccount" else subject
    body = factory.binding(subject)
    answer = members[attacker].create(kinds.ROLE_BINDING, body, f"{attacker}-1", dryRun="All")
    assert verdict(answer, ACCESS) == "Blocked"


@pytest.mark.parametrize(
    "name", ["x" * 254, "é" * 200, " ", "a;b", "a\nb", "a\x1b[31mb", "\u202eb"], ids=ascii
)
def test_what_gives_rights_has_a_name_by_which_it_can_be_deleted(
    name: str, attacker: str, members: dict[str, Api], own_role: None, admin: Api
) -> None:
    """F3: a RoleBinding that no URL could name gave its rights for ever."""
    body = factory.binding(
        {"kind": "ServiceAccount", "name": "default", "namespace": f"{attacker}-1"}
    )
    role: dict[str, Any] = {"metadata": {}, "rules": []}
    for who in (members[attacker], admin):
        for plural, each in (("rolebindings", body), ("roles", role)):
            path = f"/apis/{RBAC}/v1/namespaces/{attacker}-1/{plural}"
            named = {**each, "metadata": {"name": name}}
            assert verdict(who.call("POST", path, named, dryRun="All"), NAMES) == "Blocked"
            named["metadata"] = {"generateName": name[:1] + "é"}
            assert verdict(who.call("POST", path, named, dryRun="All"), NAMES) == "Blocked"


@pytest.mark.parametrize("number", [12, 300])
def test_a_role_does_not_multiply_until_the_api_server_has_no_memory_left(
    number: int, attacker: str, members: dict[str, Api], admin: Api
) -> None:
    """It writes out each combination before any validating policy is asked, in a dry run too."""
    each = [str(one) for one in range(number)]
    rule = {"apiGroups": each, "resources": each, "verbs": each, "resourceNames": each}
    path = f"/apis/{RBAC}/v1/namespaces/{attacker}-1/roles"
    body = {"metadata": {"name": "many"}, "rules": [rule]}
    for who in (members[attacker], admin):
        answer = who.call("POST", path, body, dryRun="All")
        assert "policy 'securetenant-roles' with binding" in answer.message
        assert "securetenant: the Role has more than 256 rules, or its" in answer.message
    role = {"metadata": {"name": "few"}, "rules": []}
    members[attacker].call("POST", path, role).ok()
    answer = members[attacker].call("PUT", f"{path}/few", mutate(role, "rules", [rule]))
    assert "policy 'securetenant-roles' with binding" in answer.message
    members[attacker].call("DELETE", f"{path}/few").ok()


_FEW = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param([_FEW] * 257, id="rules"),
        pytest.param([{**_FEW, "resourceNames": [*map(str, range(510))]}], id="names"),
        pytest.param([{**_FEW, "resources": [*map(str, range(200))]}] * 3, id="names in all"),
        pytest.param([{**_FEW, "nonResourceURLs": [*map(str, range(510))]}], id="URLs"),
        pytest.param(
            [{**_FEW, "resources": [*map(str, range(33))], "verbs": [*map(str, range(32))]}],
            id="combinations",
        ),
    ],
)
def test_s4_a_role_has_no_more_names_than_the_api_server_compares_in_a_second(
    rules: list[Any], attacker: str, members: dict[str, Api]
) -> None:
    """It compares each combination with every name of every Role that the author holds."""
    path = f"/apis/{RBAC}/v1/namespaces/{attacker}-1/roles"
    body = {"metadata": {"name": "many"}, "rules": rules}
    answer = members[attacker].call("POST", path, body, dryRun="All")
    assert "policy 'securetenant-roles' with binding" in answer.message


def test_a_role_of_many_ordinary_rules_is_admitted(north: Api) -> None:
    own = {"apiGroups": [""], "resources": ["configmaps", "pods"], "verbs": ["get", "list"]}
    path = f"/apis/{RBAC}/v1/namespaces/north-1/roles"
    body = {"metadata": {"name": "operator"}, "rules": [own] * 100}
    north.call("POST", path, body, dryRun="All").ok()
    names = {**own, "resources": ["configmaps"], "verbs": ["get"]}
    body["rules"] = [{**names, "resourceNames": [*map(str, range(500))]}]
    north.call("POST", path, body, dryRun="All").ok()


@pytest.mark.parametrize("name", ["system:a", "me@corp.example", "A_c.d~e+f"])
def test_an_ordinary_name_of_a_role_is_admitted(name: str, north: Api) -> None:
    path = f"/apis/{RBAC}/v1/namespaces/north-1/roles"
    north.call("POST", path, {"metadata": {"name": name}, "rules": []}, dryRun="All").ok()


def test_a_tenants_admin_gives_rights_to_its_own_accounts(north: Api, own_role: None) -> None:
    """Of any of its namespaces; and later changes are judged like the first."""
    subjects = [
        {"kind": "ServiceAccount", "name": "default", "namespace": "north-1"},
        {"kind": "ServiceAccount", "name": "default", "namespace": "north-2"},
    ]
    north.create(kinds.ROLE_BINDING, factory.binding(*subjects), "north-1").ok()
    north.patch(kinds.ROLE_BINDING, "mine", {"metadata": {"labels": {"a": "b"}}}, "north-1").ok()
    stranger = [{"kind": "User", "name": "x", "apiGroup": RBAC}]
    answer = north.patch(
        kinds.ROLE_BINDING, "mine", {"subjects": stranger}, "north-1", dryRun="All"
    )
    assert verdict(answer, ACCESS) == "Blocked"
    north.delete(kinds.ROLE_BINDING, "mine", "north-1").ok()


def test_a_tenant_binds_no_cluster_role_beyond_its_policy(north: Api, admin: Api) -> None:
    """Even one whose rights the admin holds: whoever may change it later would change this."""
    role = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "harmless"},
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}],
    }
    admin.call("POST", f"/apis/{RBAC}/v1/clusterroles", role).ok()
    subject = {"kind": "ServiceAccount", "name": "default", "namespace": "north-1"}
    answer = north.create(
        kinds.ROLE_BINDING, factory.binding(subject, role="harmless"), "north-1", dryRun="All"
    )
    assert verdict(answer, ACCESS) == "Blocked"
    assert "allows its own Roles and securetenant:admin, securetenant:developer" in answer.message
    north.create(
        kinds.ROLE_BINDING,
        factory.binding(subject, role="securetenant:viewer"),
        "north-1",
        dryRun="All",
    ).ok()


def test_the_platform_binds_its_monitoring_as_ever(admin: Api) -> None:
    """Who may create ClusterRoleBindings can give away everything anyway."""
    subject = {"kind": "ServiceAccount", "name": "prometheus", "namespace": "monitoring"}
    admin.create(
        kinds.ROLE_BINDING, factory.binding(subject, role="view"), "north-1", dryRun="All"
    ).ok()


@pytest.mark.parametrize(("seconds", "allowed"), [(3600, True), (86_400, True), (86_401, False)])
def test_tokens_of_a_year_are_not_made(seconds: int, allowed: bool, admin: Api) -> None:
    """H11: an expiring admin leaves no credential behind. Even somebody who may ask is refused."""
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": seconds, "audiences": ["nobody"]},
    }
    answer = admin.call("POST", "/api/v1/namespaces/north-1/serviceaccounts/default/token", body)
    assert verdict(answer, TOKENS) == ("Open" if allowed else "Blocked")
