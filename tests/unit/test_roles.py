"""Our ClusterRoles: whether they allow what the manifests of this version allow."""

import functools
from collections.abc import Mapping
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

ADDONS = ROOT / "manifests" / "roles" / "addons"


@functools.cache
def shipped(folder: Path = ROOT / "manifests") -> dict[str, Any]:
    """Return the ClusterRoles of the manifests by name, without those that come on request."""
    found = {
        each["metadata"]["name"]: each
        for each in documents.within(folder)
        if each["kind"] == "ClusterRole"
    }
    on_request = {} if folder == ADDONS else shipped(ADDONS)
    return {name: body for name, body in found.items() if name not in on_request}


def aggregated(bodies: dict[str, Body]) -> dict[str, Body]:
    """Return these roles as kube-controller-manager fills them in."""
    rules = {
        name: [
            rule
            for each in bodies.values()
            if any((each["metadata"].get("labels") or {}).get(key) == "true" for key in labels)
            for rule in each.get("rules") or ()
        ]
        for name, labels in roles.SOURCES.items()
    }
    return {**bodies, **{name: {**bodies[name], "rules": rules[name]} for name in rules}}


def installed(**changed: Body | None) -> Installed:
    """Return what is known of a cluster with our roles, some of them changed or gone.

    A role of members that is changed is not filled in.
    """
    bases = {name: body for name, body in {**shipped(), **changed}.items() if body is not None}
    filled = aggregated({**bases, **{name: shipped()[name] for name in roles.SOURCES}})
    return seen({**filled, **changed})


def seen(bodies: Mapping[str, Body | None]) -> Installed:
    """Return what is known of a cluster with these roles."""
    found = Installed()
    for name, body in bodies.items():
        if body is not None:
            found.take(Ref(kinds.CLUSTER_ROLE.name, "", name), body)
    return found


def with_labels(*levels: str, name: str = "tools", **rule: list[str]) -> Body:
    """Return a ClusterRole that adds a rule to some roles of members."""
    labels = {f"securetenant.io/aggregate-to-{each}": "true" for each in levels}
    return {"metadata": {"name": name, "labels": labels}, "rules": [rule]}


def with_rule(name: str, **rule: list[str]) -> Body:
    body = shipped()[name]
    return {**body, "rules": [*body["rules"], rule]}


def test_as_they_are_shipped_nothing_is_said() -> None:
    found = installed()
    assert (found.roles_problem, found.access_problem, found.own_roles_problem) == ("", "", "")


def test_rules_may_be_divided_and_ordered_in_any_way() -> None:
    """S13: what they allow is compared, not how it is written."""
    name = "securetenant:aggregate-to-developer"
    body = shipped()[name]
    rules = [
        {"apiGroups": [group], "resources": [resource], "verbs": list(reversed(rule["verbs"]))}
        for rule in reversed(body["rules"])
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    ]
    found = installed(**{name: {**body, "rules": rules}})
    assert found.roles_problem == ""


@pytest.mark.parametrize("name", [*roles.BASE, "securetenant:canary"])
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
        (
            {"aggregationRule": {"clusterRoleSelectors": [{}]}},
            "anything on aggregationRule everything",
        ),
    ],
)
def test_what_is_missing_narrowed_or_aggregated_is_named(
    change: dict[str, Any] | None, told: str
) -> None:
    """S13: each way in which a role may be another."""
    name = "securetenant:aggregate-to-viewer"
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
    assert found.roles_problem == ""
    assert found.take(Ref(kinds.CLUSTER_ROLE.name, "", "securetenant:viewer"), None)
    assert "securetenant:viewer is missing" in found.roles_problem


def test_what_the_platform_adds_is_no_difference_and_is_named() -> None:
    tools = with_labels("viewer", apiGroups=["tools.example"], resources=["widgets"], verbs=["get"])
    found = installed(tools=tools)
    assert (found.roles_problem, found.access_problem) == ("", "")
    assert found.additions == (
        "more rights come from ClusterRoles tools (securetenant:admin, securetenant:developer,"
        " securetenant:viewer)"
    )
    assert found.take(Ref(kinds.CLUSTER_ROLE.name, "", "tools"), None)
    assert "also allows get on widgets.tools.example" in found.roles_problem, "until it is gone"
    assert found.additions == ""


def test_what_is_labelled_for_admins_is_nobody_elses() -> None:
    tools = with_labels("admin", apiGroups=["tools.example"], resources=["widgets"], verbs=["get"])
    found = installed(tools=tools).additions
    assert found == "more rights come from ClusterRoles tools (securetenant:admin)"


def test_what_nobody_holds_yet_is_not_said_to_be_held() -> None:
    """The guard may refuse it, or kube-controller-manager be slow."""
    found = installed()
    tools = with_labels("viewer", apiGroups=[""], resources=["pods/proxy"], verbs=["get"])
    assert found.take(Ref(kinds.CLUSTER_ROLE.name, "", "tools"), tools)
    assert (found.roles_problem, found.additions) == ("", "")


def test_each_role_of_members_holds_nothing_but_what_is_labelled() -> None:
    """Somebody writes rules into it while nobody aggregates."""
    for name in roles.SOURCES:
        wide = aggregated(shipped())[name]
        proxy = {"apiGroups": [""], "resources": ["pods/proxy"], "verbs": ["get"]}
        wide = {**wide, "rules": [*wide["rules"], proxy]}
        problem = installed(**{name: wide}).roles_problem
        assert problem.startswith(f"ClusterRole {name} also allows get on pods/proxy")


def test_each_role_of_members_gathers_by_our_labels_only() -> None:
    for name in roles.SOURCES:
        body = aggregated(shipped())[name]
        selectors = [*body["aggregationRule"]["clusterRoleSelectors"], {"matchLabels": {"a": "b"}}]
        wide = {**body, "aggregationRule": {"clusterRoleSelectors": selectors}}
        problem = installed(**{name: wide}).roles_problem
        assert f"ClusterRole {name} also allows anything on aggregationRule a=b" in problem


def test_roles_of_members_that_nobody_fills_in_are_named() -> None:
    problem = seen(shipped()).access_problem
    assert "ClusterRole securetenant:viewer does not allow" in problem
    assert "which kube-controller-manager fills in" in problem


def test_an_admin_holds_all_that_a_developer_holds_who_holds_all_that_a_viewer_holds() -> None:
    """Kubernetes lets an admin give only what the admin holds."""
    for one, other in (("developer", "admin"), ("viewer", "developer")):
        less, more = roles.SOURCES[f"securetenant:{one}"], roles.SOURCES[f"securetenant:{other}"]
        assert {*less} < {*more}


def test_each_that_comes_on_request_adds_rights_to_members_and_to_nobody_else() -> None:
    for name, body in shipped(ADDONS).items():
        assert roles.source(body) is not None, name
        assert name not in roles.COMPARED


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
