"""Our ClusterRoles: whether they allow what the manifests of this version allow."""

import functools
from pathlib import Path
from typing import Any

import pytest

import documents
from harness import ROOT
from securetenant.api import kinds
from securetenant.api.objects import Body, Ref
from securetenant.concerns.policies.installed import Installed
from securetenant.plan import pack, roles
from securetenant.plan.pack import Level


@functools.cache
def shipped(folder: Path = ROOT / "manifests") -> dict[str, Any]:
    """Return the ClusterRoles of the manifests by name."""
    return {
        each["metadata"]["name"]: each
        for each in documents.within(folder)
        if each["kind"] == "ClusterRole"
    }


def installed(**changed: Body | None) -> Installed:
    """Return what is known of a cluster with our roles, some of them changed or gone."""
    found = Installed()
    for name, body in {**shipped(), **changed}.items():
        if body is not None:
            found.take(Ref(kinds.CLUSTER_ROLE.name, "", name), body)
    return found


def with_rule(name: str, **rule: list[str]) -> Body:
    body = shipped()[name]
    return {**body, "rules": [*body["rules"], rule]}


def test_as_they_are_shipped_nothing_is_said() -> None:
    found = installed()
    assert (found.roles_problem, found.access_problem, found.own_roles_problem) == ("", "", "")


def test_rules_may_be_divided_and_ordered_in_any_way() -> None:
    """S13: what they allow is compared, not how it is written."""
    body = shipped()["securetenant:developer"]
    rules = [
        {"apiGroups": [group], "resources": [resource], "verbs": list(reversed(rule["verbs"]))}
        for rule in reversed(body["rules"])
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    ]
    found = installed(**{"securetenant:developer": {**body, "rules": rules}})
    assert found.roles_problem == ""


@pytest.mark.parametrize("name", roles.TENANTS)
def test_a_widened_role_of_tenants_is_named_with_what_it_adds(name: str) -> None:
    """S13: it acts at once in every namespace, and nothing said so."""
    wide = with_rule(name, apiGroups=[""], resources=["pods/proxy"], verbs=["create", "get"])
    found = installed(**{name: wide})
    assert found.roles_problem == (
        f"ClusterRole {name} also allows create, get on pods/proxy. Restore what differs: kubectl"
        " apply -k manifests/roles"
    )
    assert bool(found.access_problem) == (name in roles.ACCESS)
    assert found.own_roles_problem == ""


@pytest.mark.parametrize("name", roles.OWN)
def test_a_widened_role_of_our_own_is_told_to_the_platform_only(name: str) -> None:
    """S13: the sibling: a stolen token would allow more than docs/credentials.md says."""
    wide = with_rule(name, apiGroups=["*"], resources=["*"], verbs=["*"])
    found = installed(**{name: wide})
    assert f"ClusterRole {name} also allows * on *.*" in found.own_roles_problem
    assert found.roles_problem == ""


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (None, "is missing"),
        ({"rules": None}, "does not allow"),
        ({"aggregationRule": {"clusterRoleSelectors": [{}]}}, "anything on aggregationRule"),
    ],
)
def test_what_is_missing_narrowed_or_aggregated_is_named(
    change: dict[str, Any] | None, told: str
) -> None:
    """S13: each way in which a role may be another."""
    name = "securetenant:viewer"
    body = None if change is None else {**shipped()[name], **change}
    assert told in installed(**{name: body}).roles_problem


def test_a_name_that_a_rule_is_for_counts() -> None:
    """S13: bind of four roles is not bind of all roles."""
    body = shipped()["securetenant-operator"]
    rules = [
        {key: value for key, value in rule.items() if key != "resourceNames"}
        for rule in body["rules"]
    ]
    problem = installed(**{"securetenant-operator": {**body, "rules": rules}}).own_roles_problem
    assert "also allows bind on clusterroles.rbac.authorization.k8s.io" in problem


def test_a_role_that_is_deleted_and_one_of_somebody_else() -> None:
    found = installed()
    foreign = {**shipped()["securetenant:viewer"], "rules": []}
    assert not found.take(Ref(kinds.CLUSTER_ROLE.name, "", "view"), foreign)
    assert found.take(Ref(kinds.CLUSTER_ROLE.name, "", "securetenant:viewer"), None)
    assert "securetenant:viewer is missing" in found.roles_problem


@pytest.mark.parametrize(
    ("spec", "level"),
    [
        ({"type": "Exempt"}, Level.UNLIMITED),
        ({"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}}, Level.REFUSING),
        ({"type": "Limited", "limited": {"limitResponse": {"type": "Queue"}}}, Level.QUEUEING),
    ],
)
def test_a_priority_level_that_queues_nobody_is_not_as_shipped(spec: Any, level: Level) -> None:
    """S13: the sibling: it was enough that one of that name was there."""
    assert pack.level({"spec": spec}) is level
