"""What takes away is in force at once, also from a spec that is refused for another reason."""

from typing import Any

import pytest

from factory import namespace, seen, settings_spec, tenant
from securetenant.api.securetenant import TenantSpec
from securetenant.plan import ownership, restrictions
from securetenant.reconcile.store import Store
from securetenant.reconcile.tenants import Record, Tenants

DEVS = {"kind": "Group", "name": "devs"}
OPS = {"kind": "Group", "name": "ops"}
DB = {"name": "db", "to": [{"cidr": "10.20.0.0/16"}], "ports": [{"port": 5432}]}
WEB = {"name": "web", "from": [{"cidr": "10.30.0.0/16"}], "ports": [{"port": 80}]}
PEER = {
    "tenant": "beta",
    "direction": "Both",
    "namespaces": ["beta-a"],
    "ports": [{"port": 443}],
}


def grant(*subjects: dict[str, str], role: str = "Developer", **more: Any) -> dict[str, Any]:
    return {"name": role.lower(), "role": role, "subjects": list(subjects), **more}


GOOD: dict[str, Any] = {
    "access": [grant(DEVS, OPS), grant(OPS, role="Admin")],
    "network": {"ingress": [WEB], "egress": [DB], "peers": [PEER], "apiServer": "Allow"},
    "workloads": {"hostnames": [".a.example", ".b.example"], "registries": ["r.example/"]},
}
WRONG = {"surprise": 1}
"""A field that this operator does not know: the spec is refused as a whole."""


class World:
    """One tenant, whose spec was good first."""

    def __init__(self, **settings: Any) -> None:
        self.tenants, self.store, self.version = Tenants(), Store(), 0
        self.settings = settings_spec(**settings)
        self.store.put(
            ownership.ref_of(namespace("acme-a")),
            ownership.observe(namespace("acme-a", "acme")),
        )

    def read(self, **spec: Any) -> Record:
        self.version += 1
        self.tenants.see("acme", seen(tenant("acme", **spec), self.version))
        self.tenants.read("acme", self.settings, self.store)
        return self.tenants.records["acme"]


def granted(record: Record, inside: str = "acme-a") -> dict[str, list[str]]:
    return {
        role: [each.name for each in subjects]
        for role, subjects in record.units[inside].scope.grants
    }


def refused(**spec: Any) -> Record:
    """Read the good spec, then this one, which is refused for another reason."""
    world = World()
    world.read(**GOOD)
    record = world.read(**{**GOOD, **WRONG, **spec})
    assert record.is_refused
    return record


def test_a_refused_spec_that_takes_nothing_away_changes_nothing() -> None:
    world = World()
    before = world.read(**GOOD).units["acme-a"].scope
    assert world.read(**GOOD, **WRONG).units["acme-a"].scope == before


def test_a_lockdown_in_a_refused_spec_freezes_and_leaves_when_it_is_taken_back() -> None:
    """S6: ``lockdown: Frozen`` does nothing while the spec is refused for another reason."""
    world = World()
    world.read(**GOOD)
    assert world.read(**GOOD, **WRONG, lockdown="Frozen").units["acme-a"].scope.lockdown == "Frozen"
    assert world.read(**GOOD, **WRONG).units["acme-a"].scope.lockdown == "None"
    assert world.read(**GOOD, lockdown="Frozen").units["acme-a"].scope.lockdown == "Frozen"
    record = world.read(**GOOD, **WRONG)
    assert record.units["acme-a"].scope.lockdown == "Frozen", "a refused spec lifts nothing"


def test_a_lockdown_that_is_not_known_is_a_lockdown() -> None:
    """S6: a value of a newer CRD locks at least as much."""
    assert refused(lockdown="Sealed").units["acme-a"].scope.lockdown == "Frozen"


@pytest.mark.parametrize(
    ("access", "left"),
    [
        pytest.param(None, {}, id="all of it"),
        pytest.param(
            [grant(OPS), grant(OPS, role="Admin")],
            {"Admin": ["ops"], "Developer": ["ops"]},
            id="a subject",
        ),
        pytest.param([grant(DEVS, OPS)], {"Developer": ["devs", "ops"]}, id="an entry"),
        pytest.param(
            [grant(DEVS, OPS, namespaces=["acme-b"]), grant(OPS, role="Admin")],
            {"Admin": ["ops"]},
            id="a namespace",
        ),
        pytest.param(
            [grant(DEVS, expiresAt="2030-01-01"), grant(OPS, role="Admin", surprise={})],
            {"Admin": ["ops"], "Developer": ["devs"]},
            id="entries with fields that are not known",
        ),
        pytest.param(
            [grant(DEVS, OPS, {"kind": "Group", "name": "new"}), grant(DEVS, role="Admin")],
            {"Developer": ["devs", "ops"]},
            id="what a refused spec adds is not given",
        ),
    ],
)
def test_a_grant_that_a_refused_spec_withdraws_is_gone(access: Any, left: Any) -> None:
    """S6: a withdrawn grant stays while the spec is refused for another reason."""
    assert granted(refused(access=access)) == left


@pytest.mark.parametrize(
    "access",
    ["nobody", {}, [grant(DEVS), "x"], [{"role": "Admin"}], [grant(DEVS, role="Root")]],
    ids=str,
)
def test_what_cannot_be_read_withdraws_nothing(access: Any) -> None:
    assert granted(refused(access=access)) == {"Admin": ["ops"], "Developer": ["devs", "ops"]}


def test_a_withdrawn_namespace_of_a_grant_leaves_the_others() -> None:
    record = refused(access=[grant(DEVS, OPS, namespaces=["acme-b"])])
    assert granted(record, "acme-b") == {"Developer": ["devs", "ops"]}
    assert granted(record, "acme-a") == {}


@pytest.mark.parametrize(
    ("network", "left"),
    [
        pytest.param(None, [], id="all of it"),
        pytest.param({"ingress": [WEB]}, ["securetenant-ingress-web"], id="an opening"),
        pytest.param(
            {"ingress": [{**WEB, "from": [{"cidr": "0.0.0.0/0"}]}], "egress": [{"name": "new"}]},
            ["securetenant-ingress-web"],
            id="what a refused spec opens stays closed",
        ),
        pytest.param(
            "x", ["securetenant-egress-db", "securetenant-ingress-web"], id="not readable"
        ),
        pytest.param(
            {"ingress": "x", "egress": [DB]},
            ["securetenant-egress-db", "securetenant-ingress-web"],
            id="a list that is not readable",
        ),
    ],
)
def test_an_opening_that_a_refused_spec_withdraws_is_closed(network: Any, left: Any) -> None:
    """S6: the sibling of a withdrawn grant."""
    scope = refused(network=network).units["acme-a"].scope
    assert [each.name for each in scope.openings] == left


def reduced(**spec: Any) -> TenantSpec:
    good = TenantSpec.model_validate({**tenant("acme")["spec"], **GOOD})
    return restrictions.reduce(good, {**tenant("acme")["spec"], **GOOD, **WRONG, **spec}, None)


@pytest.mark.parametrize(
    ("asked", "left"),
    [
        ([], []),
        ([{**PEER, "direction": "Egress"}], ["Egress"]),
        ([PEER], ["Both"]),
        ([{**PEER, "direction": "Ingress"}, {**PEER, "direction": "Egress"}], ["Both"]),
        ([{**PEER, "tenant": "gamma"}], []),
        ([{**PEER, "tenant": {}}], ["Both"]),
    ],
)
def test_a_peer_that_a_refused_spec_withdraws_is_closed(asked: Any, left: list[str]) -> None:
    """S6: the sibling of a withdrawn opening."""
    network = reduced(network={**GOOD["network"], "peers": asked}).network
    assert network is not None
    assert [each.direction for each in network.peers or ()] == left


def test_switches_and_lists_that_a_refused_spec_narrows_are_narrowed() -> None:
    """S6: siblings in ``network`` and ``workloads``."""
    spec = reduced(
        network={**GOOD["network"], "apiServer": "Deny", "sameTenant": "Deny"},
        workloads={"hostnames": [".b.example", ".c.example"], "registries": []},
    )
    assert spec.network is not None
    assert (spec.network.api_server, spec.network.same_tenant) == ("Deny", "Deny")
    assert spec.workloads is not None
    assert (spec.workloads.hostnames, spec.workloads.registries) == ((".b.example",), ())


def test_an_absent_list_gives_up_host_names_and_nothing_that_has_a_default() -> None:
    spec = reduced(workloads=None)
    assert spec.workloads is not None
    assert (spec.workloads.hostnames, spec.workloads.registries) == ((), ("r.example/",))


@pytest.mark.parametrize(
    "spec",
    [
        {"namespaces": []},
        {"quota": {"pods": 0}},
        {"podSecurity": {"level": "restricted"}},
        {"enforcement": "Enforce"},
        {"nodes": {"names": ["n"]}},
        {"deletionPolicy": "Delete"},
    ],
    ids=str,
)
def test_what_is_not_on_the_list_waits_for_a_good_spec(spec: dict[str, Any]) -> None:
    """It moves, deletes or stops what runs, so a mistake would do harm."""
    before = reduced()
    after = reduced(**spec)
    assert after == before
    assert before.namespaces


def test_whoever_the_bounds_exclude_leaves_a_binding_that_is_made_smaller() -> None:
    """S6: the API server refuses the operator a binding with anybody beyond the bounds.

    Nothing is taken from them before: bounds that exclude a tenant take nothing away.
    """
    world = World()
    world.read(**GOOD)
    world.settings = settings_spec(bounds={"groups": ["devs"]})
    record = world.read(**GOOD)
    assert record.findings[0].reason == "BoundPassed"
    assert granted(record) == {"Admin": ["ops"], "Developer": ["devs", "ops"]}
    record = world.read(**{**GOOD, "access": [grant(DEVS, OPS)]})
    assert record.findings[0].reason == "BoundPassed"
    assert granted(record) == {"Developer": ["devs"]}


def test_reconciliation_is_read_from_a_refused_spec_too() -> None:
    """S6: a refused spec that says Suspended is obeyed before any good one was read."""
    record = World().read(**GOOD, **WRONG, reconciliation="Suspended")
    assert record.is_suspended
    assert refused(reconciliation="Suspended").is_suspended
    assert not refused().is_suspended


def test_no_spec_at_all_withdraws_nothing() -> None:
    good = TenantSpec.model_validate({**tenant("acme")["spec"], **GOOD})
    assert restrictions.reduce(good, None, None) == good
    assert restrictions.read("x") == restrictions.Reading(
        is_suspended=False, lockdown="None", access=None
    )
