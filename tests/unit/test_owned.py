"""The tenant's own namespaces: those that it has, not those that its spec asks for."""

from typing import Any

import pytest

from factory import namespace, seen, settings_spec, tenant
from securetenant.api import kinds, names, status
from securetenant.api.objects import Ref
from securetenant.desired import network, policy
from securetenant.plan import ownership
from securetenant.reconcile.store import Store
from securetenant.reconcile.tenants import Record, Tenants

CONSENT = {names.ADOPT_ANNOTATION: "acme"}
RETAINED = {names.STATE_LABEL: names.RETAINED}


class World:
    """Tenants and the namespaces that are there."""

    def __init__(self, **settings: Any) -> None:
        self.tenants, self.store = Tenants(), Store()
        self.settings = settings_spec(**settings)

    def put(self, *bodies: dict[str, Any]) -> None:
        for each in bodies:
            self.store.put(ownership.ref_of(each), ownership.observe(each))

    def read(self, body: dict[str, Any]) -> Record:
        name = body["metadata"]["name"]
        self.tenants.see(name, seen(body))
        self.tenants.read(name, self.settings, self.store)
        self.tenants.redeclare(name)
        return self.tenants.records[name]


def listed(record: Record, inside: str) -> list[str]:
    """Return ``serviceAccountNamespaces`` of the TenantPolicy."""
    body = policy.build(record.units[inside].scope).body
    return list(body["spec"]["access"]["serviceAccountNamespaces"])


def policy_in(namespace: str) -> dict[str, Any]:
    """Return the TenantPolicy by which a namespace is this SecureTenant's, not an earlier one's."""
    spec = {"tenant": "acme", "tenantUID": "uid-of-acme"}
    metadata = {"name": "effective", "namespace": namespace, "uid": "u", "resourceVersion": "1"}
    return {"kind": "TenantPolicy", "metadata": metadata, "spec": spec}


def asking(*names_: str, **spec: Any) -> dict[str, Any]:
    return tenant("acme", namespaces=[{"name": each} for each in ("acme-a", *names_)], **spec)


@pytest.mark.parametrize(
    "there",
    [
        pytest.param(namespace("monitoring"), id="nobody's"),
        pytest.param(namespace("monitoring", annotations=CONSENT), id="nobody's, with consent"),
        pytest.param(namespace("monitoring", "beta"), id="another tenant's"),
        pytest.param(namespace("monitoring", "acme", labels=RETAINED), id="retained"),
        pytest.param(
            namespace("monitoring", "acme", labels=RETAINED, deletionTimestamp="now"),
            id="retained and on its way out",
        ),
        pytest.param(namespace("monitoring", deletionTimestamp="now"), id="nobody's, going"),
    ],
)
def test_a_namespace_that_is_named_and_not_owned_is_in_no_list(there: dict[str, Any]) -> None:
    """S9: naming an existing namespace lets the tenant bind its ServiceAccounts."""
    world = World()
    world.put(there, namespace("acme-a", "acme"), policy_in("acme-a"))
    account = {"kind": "ServiceAccount", "name": "prometheus", "namespace": "monitoring"}
    grant = {"name": "all", "role": "Admin", "subjects": [account]}
    record = world.read(asking("monitoring", access=[grant]))
    assert listed(record, "acme-a") == ["acme-a"]
    assert record.units["acme-a"].scope.grants == ()
    assert record.declaration is not None
    assert record.declaration.namespaces == ("acme-a",)


def test_a_peer_opens_nothing_to_a_namespace_that_the_other_tenant_only_asks_for() -> None:
    """S9: the list of a peer's namespaces is one of names that were asked for too."""
    world = World()
    world.put(namespace("monitoring"), namespace("beta-a", "beta"))
    ports = [{"port": 443}]
    world.read(
        tenant(
            "beta",
            namespaces=[{"name": "beta-a"}],
            network={
                "peers": [
                    {
                        "tenant": "acme",
                        "direction": "Both",
                        "namespaces": ["acme-a", "monitoring"],
                        "ports": ports,
                    }
                ]
            },
        )
    )
    record = world.read(
        asking(
            "monitoring",
            network={
                "peers": [
                    {
                        "tenant": "beta",
                        "direction": "Both",
                        "namespaces": ["beta-a"],
                        "ports": ports,
                    }
                ]
            },
        )
    )
    for each in ("beta", "acme"):
        world.tenants.read(each, world.settings, world.store)
    beta = world.tenants.records["beta"].units["beta-a"].scope
    assert network.named(beta).namespaces == ("acme-a",)
    assert record.tier is not None
    assert "monitoring" not in str(record.tier.manifest.body)
    told = world.tenants.records["beta"].tier
    assert told is not None
    assert "monitoring" not in str(told.manifest.body)


@pytest.mark.parametrize(
    ("there", "held"),
    [
        pytest.param(namespace("acme-b", "acme"), False, id="there"),
        pytest.param(namespace("acme-b", "acme", deletionTimestamp="now"), False, id="made again"),
        pytest.param(
            namespace("acme-b", "acme", labels=RETAINED, annotations=CONSENT), False, id="consented"
        ),
        pytest.param(namespace("acme-b"), True, id="its label was stripped"),
        pytest.param(None, False, id="not made yet"),
    ],
)
def test_a_namespace_of_the_tenant_is_in_every_list(
    there: dict[str, Any] | None, held: bool
) -> None:
    """A name that is free counts: else each of N new namespaces would rewrite N TenantPolicies."""
    world = World()
    if there is not None:
        world.put(there)
    if held:
        world.put(policy_in("acme-b"))
    assert listed(world.read(asking("acme-b")), "acme-a") == ["acme-a", "acme-b"]


def test_a_free_name_that_the_platform_keeps_is_in_no_list() -> None:
    """S9: the operator never creates it, so it would stand there until somebody else does."""
    world = World(protectedNames=["monitoring"])
    assert listed(world.read(asking("monitoring")), "acme-a") == ["acme-a"]


def test_a_tenant_is_read_again_when_a_namespace_becomes_its_own_or_another_s() -> None:
    """S9: what was free when it was read may be somebody else's a moment later."""
    world = World()
    world.put(namespace("acme-a", "acme"))
    record = world.read(asking("monitoring"))
    assert listed(record, "acme-a") == ["acme-a", "monitoring"]
    moved = world.tenants.has_moved
    assert not moved("acme", "monitoring", world.store)
    world.put(namespace("monitoring", "acme", version=2))
    assert not moved("acme", "monitoring", world.store), "its creation is no news"
    world.put(namespace("monitoring", version=3))
    assert moved("acme", "monitoring", world.store)
    world.tenants.read("acme", world.settings, world.store)
    assert listed(record, "acme-a") == ["acme-a"]
    assert not moved("acme", "monitoring", world.store)
    world.store.drop(Ref(kinds.NAMESPACE.name, "", "monitoring"), 4)
    assert moved("acme", "monitoring", world.store), "the name is free again"


def quota(namespace: str, **hard: str) -> dict[str, Any]:
    metadata = {"name": names.QUOTA, "namespace": namespace, "uid": "q", "resourceVersion": "1"}
    held = {"hard": hard}
    return {"kind": "ResourceQuota", "metadata": metadata, "spec": held, "status": held}


@pytest.mark.parametrize("owner", ["", "beta"])
def test_a_foreign_quota_takes_no_room_in_the_ledger(owner: str) -> None:
    """S14: a Conflict over another tenant's namespace blocks a tenant's own namespaces."""
    world = World()
    world.put(namespace("beta-a", owner), quota("beta-a", pods="500"))
    record = world.read(asking("beta-a", quota={"pods": 10}))
    assert record.units["acme-a"].share["pods"] == 5
    assert not record.is_waiting
    assert not record.findings


@pytest.mark.parametrize("state", [names.ACTIVE, names.RETAINED])
def test_a_quota_that_is_the_tenants_still_counts_while_consent_is_missing(state: str) -> None:
    """What a retained namespace may use is taken from the tenant's total, named or not."""
    world = World()
    world.put(
        namespace("acme-b", "acme", labels={names.STATE_LABEL: state}),
        policy_in("acme-b"),
        quota("acme-b", pods="8"),
    )
    record = world.read(asking("acme-b", quota={"pods": 10}))
    assert record.units["acme-a"].share["pods"] == 0
    assert record.is_waiting


@pytest.mark.parametrize(
    "earlier",
    [
        pytest.param({"tenant": "acme", "tenantUID": "another"}, id="of another uid"),
        pytest.param(None, id="retained, and nobody knows by whom"),
    ],
)
def test_a_tenant_that_had_begun_goes_on_and_names_what_is_of_an_earlier_one(
    earlier: dict[str, str] | None,
) -> None:
    """After an upgrade, or by break-glass: traffic of both mixes, so a condition reports it."""
    world = World()
    world.put(namespace("acme-a", "acme"), policy_in("acme-a"))
    world.put(namespace("acme-old", "acme", labels=RETAINED))
    if earlier is not None:
        world.put({**policy_in("acme-old"), "spec": earlier})
    record = world.read(asking())
    assert list(record.units) == ["acme-a"]
    (finding,) = (each for each in record.findings if each.reason == status.CONSENT_NEEDED)
    assert finding.type == status.NETWORK_ISOLATED
    assert "Namespace acme-old belongs to an earlier SecureTenant acme" in finding.message
