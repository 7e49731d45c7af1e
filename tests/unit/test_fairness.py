"""FlowSchemas: who is in them, and what would have no place there."""

from typing import Any

import pytest

from factory import seen, settings_spec, tenant
from securetenant.api import kinds, names
from securetenant.api.access import Subject
from securetenant.api.objects import Body, Ref
from securetenant.api.tenancysettings import Bounds
from securetenant.concerns.fairness.flows import Flows
from securetenant.desired import fairness
from securetenant.plan import flows, ownership
from securetenant.plan.flows import Person
from securetenant.reconcile.store import Store
from securetenant.reconcile.tenants import Tenants

BOUNDS = Bounds(groups=("acme-*",), users=())


def subject(kind: Any, name: str) -> Subject:
    return Subject.model_construct(kind=kind, name=name)


def test_a_flow_is_as_a_flow_schema_says_it() -> None:
    body = fairness.build(7, ["acme-prod"], [("User", "jane"), ("Group", "acme-devs")]).body
    assert body["metadata"] == {
        "name": "securetenant-flow-07",
        "labels": {names.MANAGED_BY_LABEL: names.MANAGED_BY},
    }
    assert body["spec"] == {
        "matchingPrecedence": 8000,
        "priorityLevelConfiguration": {"name": "securetenant-tenants"},
        "rules": [
            {
                "subjects": [
                    {"kind": "Group", "group": {"name": "acme-devs"}},
                    {"kind": "Group", "group": {"name": "system:serviceaccounts:acme-prod"}},
                    {"kind": "User", "user": {"name": "jane"}},
                ],
                "resourceRules": [
                    {
                        "verbs": ["*"],
                        "apiGroups": ["*"],
                        "resources": ["*"],
                        "clusterScope": True,
                        "namespaces": ["*"],
                    }
                ],
                "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
            }
        ],
    }


@pytest.mark.parametrize("number", [0, 9, 63])
def test_a_flow_is_known_by_its_name(number: int) -> None:
    assert names.number_of_flow(names.flow(number)) == number


@pytest.mark.parametrize(
    "name", ["securetenant-flow-64", "securetenant-flow-7", "securetenant-flow-", "flow-07", ""]
)
def test_no_other_name_is_a_flow(name: str) -> None:
    assert names.number_of_flow(name) is None


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        pytest.param("Group", "*", id="everybody, by groups"),
        pytest.param("User", "*", id="everybody, by users"),
        pytest.param("Group", "system:authenticated", id="everybody, by name"),
        pytest.param("Group", "others", id="a group beyond the bounds"),
        pytest.param("User", "mallory", id="a user, where none is allowed"),
        pytest.param("ServiceAccount", "ci", id="a ServiceAccount, which comes with its namespace"),
    ],
)
def test_whoever_would_keep_the_flow_from_being_written_is_left_out(kind: str, name: str) -> None:
    asked = (subject(kind, name), subject("Group", "acme-devs"))
    assert flows.people(asked, BOUNDS) == (Person("Group", "acme-devs"),)


@pytest.mark.parametrize("name", ["kube-system", "openshift-x", "default", "securetenant-system"])
def test_the_clusters_own_controllers_wait_behind_no_tenant(name: str) -> None:
    """A label that somebody put there by mistake changes nothing."""
    assert flows.accounts([name, "acme-prod"]) == ("acme-prod",)


class World:
    """What the operator has seen."""

    def __init__(self) -> None:
        self.store, self.tenants = Store(), Tenants()
        self.flows = Flows(self.store, self.tenants)
        self._version = 0

    def add(self, name: str, **spec: Any) -> None:
        """Add a tenant with its two namespaces, and read it."""
        body = seen(tenant(name, **spec))
        self.tenants.see(name, body)
        for each in body["spec"]["namespaces"]:
            self.label(each["name"], name)
        self.tenants.read(name, settings_spec(), self.store)

    def label(self, namespace: str, owner: str) -> None:
        self._put("Namespace", namespace, {names.TENANT_LABEL: owner})

    def remove(self, namespace: str) -> None:
        self._version += 1
        self.store.drop(Ref("Namespace", "", namespace), self._version)

    def write(self, name: str) -> None:
        """Let a FlowSchema be what it should be."""
        manifest = self.flows.build(name, settings_spec())
        assert manifest is not None
        self._put("FlowSchema", name, {}, spec=manifest.body["spec"])

    def _put(self, kind: str, name: str, labels: dict[str, str], **fields: Any) -> None:
        self._version += 1
        metadata = {
            "name": name,
            "uid": name,
            "labels": labels,
            "resourceVersion": str(self._version),
        }
        body: Body = {"kind": kind, "metadata": metadata, **fields}
        self.store.put(Ref(kind, "", name), ownership.observe(body))

    def subjects(self, name: str, **bounds: Any) -> list[str]:
        manifest = self.flows.build(name, settings_spec(bounds=bounds))
        if manifest is None:
            return []
        return [
            (each.get("group") or each["user"])["name"]
            for each in manifest.body["spec"]["rules"][0]["subjects"]
        ]


def granted(*groups: str) -> list[dict[str, Any]]:
    subjects = [{"kind": "Group", "name": each} for each in groups]
    return [{"name": "devs", "role": "Developer", "subjects": subjects}]


def test_a_tenant_brings_its_namespaces_and_its_people() -> None:
    world = World()
    world.add("acme", access=granted("acme-devs"))
    world.flows.begin()
    assert world.subjects(world.flows.look("acme")) == [
        "acme-devs",
        "system:serviceaccounts:acme-a",
        "system:serviceaccounts:acme-b",
    ]


def test_a_namespace_that_is_not_the_tenants_does_not_come_with_it() -> None:
    """A spec may name what belongs to somebody else; the label says whose it is."""
    world = World()
    world.add("acme")
    world.label("acme-b", "beta")
    world.flows.begin()
    assert world.subjects(world.flows.look("acme")) == ["system:serviceaccounts:acme-a"]


def test_a_group_that_the_bounds_refuse_does_not_keep_its_neighbours_out() -> None:
    world = World()
    for number in range(names.FLOWS):
        world.label(f"other-{number}", f"other-{number}")
    world.flows.begin()
    world.add("acme", access=granted("acme-devs"))
    assert world.subjects(world.flows.look("acme"), groups=["other-*"]) == [
        "system:serviceaccounts:acme-a",
        "system:serviceaccounts:acme-b",
        "system:serviceaccounts:other-0",
    ]


def test_what_is_retained_stays_in_its_flow_and_people_leave() -> None:
    world = World()
    world.add("acme", access=granted("acme-devs"))
    world.flows.begin()
    flow = world.flows.look("acme")
    world.tenants.forget("acme")
    assert world.flows.look("acme") == flow
    assert world.subjects(flow) == [
        "system:serviceaccounts:acme-a",
        "system:serviceaccounts:acme-b",
    ]


def test_a_flow_that_nobody_is_in_is_not_wanted() -> None:
    world = World()
    world.add("acme")
    world.flows.begin()
    flow = world.flows.look("acme")
    world.remove("acme-a")
    world.remove("acme-b")
    assert world.flows.look("acme") == flow
    assert world.subjects(flow) == []
    assert world.flows.names() == []


def test_after_a_restart_a_tenant_is_where_it_was() -> None:
    world = World()
    world.flows.begin()
    for name in ("alpha", "beta"):
        world.add(name)
        world.write(world.flows.look(name))
    world.remove("alpha-a")
    world.remove("alpha-b")
    again = Flows(world.store, world.tenants)
    again.begin()
    assert again.look("beta") == world.flows.look("beta") == names.flow(1)


def test_before_all_flow_schemas_were_seen_nobody_is_placed() -> None:
    world = World()
    world.add("acme")
    assert world.flows.look("acme") == ""


def test_a_flow_is_left_alone_while_a_tenant_in_it_was_not_read() -> None:
    world = World()
    world.tenants.see("acme", seen(tenant("acme")))
    world.label("acme-a", "acme")
    world.flows.begin()
    flow = world.flows.look("acme")
    assert world.flows.is_left_alone(flow)
    world.tenants.read("acme", settings_spec(), world.store)
    assert not world.flows.is_left_alone(flow)


def test_a_flow_whose_tenants_are_all_suspended_is_left_alone() -> None:
    world = World()
    world.add("acme", reconciliation="Suspended")
    world.flows.begin()
    flow = world.flows.look("acme")
    assert world.flows.is_left_alone(flow)


def test_a_problem_is_told_to_those_who_are_in_the_flow_and_once() -> None:
    world = World()
    world.add("acme")
    world.flows.begin()
    flow = world.flows.look("acme")
    assert world.flows.note(flow, b"x", "Refused", "no") == {"acme"}
    assert world.flows.note(flow, b"x", "Refused", "no") == set()
    (finding,) = world.flows.findings("acme")
    assert finding.message == f"{kinds.FLOW_SCHEMA.name} {flow} is not as it should be: no"
    assert world.flows.note(flow, b"x", "", "") == {"acme"}
    assert world.flows.findings("acme") == ()
