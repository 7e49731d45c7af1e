"""Peers as the tenants that are known change: who is read again, and what is open then."""

from typing import Any

from factory import seen, settings_spec, tenant
from securetenant.desired import network
from securetenant.reconcile.store import Store
from securetenant.reconcile.tenants import Record, Tenants

HTTPS = [{"port": 443}]
SETTINGS = settings_spec()


def peer(other: str, direction: str, *namespaces: str) -> dict[str, Any]:
    return {
        "tenant": other,
        "direction": direction,
        "namespaces": list(namespaces) or [f"{other}-a"],
        "ports": HTTPS,
    }


class World:
    """Tenants, each read as soon as it is seen, and then all that it concerns."""

    def __init__(self) -> None:
        self.tenants = Tenants()
        self.version = 0

    def see(self, name: str, *peers: dict[str, Any], **metadata: Any) -> set[str]:
        """See a tenant; return who was read again because of it."""
        self.version += 1
        body = seen(tenant(name, network={"peers": list(peers)}), self.version)
        body["metadata"].update(metadata)
        self.tenants.see(name, body)
        return self._read(name)

    def _read(self, name: str) -> set[str]:
        self.tenants.read(name, SETTINGS, Store())
        concerned = {
            each for each in self.tenants.redeclare(name) if self.tenants.get(each) is not None
        }
        for each in concerned:
            self.tenants.read(each, SETTINGS, Store())
            assert not self.tenants.redeclare(each), "reading again is no news"
        return concerned

    def record(self, name: str) -> Record:
        found = self.tenants.get(name)
        assert found is not None
        return found

    def policies(self, name: str) -> dict[str, Any]:
        found = network.build(self.record(name).units[f"{name}-a"].scope)
        return {ref.name: body["spec"] for ref, body in found}


def test_a_peer_opens_when_both_declare_it_and_closes_when_one_withdraws() -> None:
    world = World()
    world.see("red", peer("blue", "Egress"))
    assert "securetenant-peer-blue" not in world.policies("red")
    assert world.see("blue", peer("red", "Ingress")) == {"red"}
    (rule,) = world.policies("red")["securetenant-peer-blue"]["egress"]
    assert rule["to"] == [
        {
            "namespaceSelector": {
                "matchLabels": {"securetenant.io/tenant": "blue"},
                "matchExpressions": [
                    {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["blue-a"]}
                ],
            }
        }
    ]
    assert world.policies("red")["securetenant-peer-blue"]["ingress"] == []
    (rule,) = world.policies("blue")["securetenant-peer-red"]["ingress"]
    assert rule["ports"] == [{"port": 443, "protocol": "TCP"}]
    assert world.see("blue") == {"red"}
    assert "securetenant-peer-blue" not in world.policies("red")
    assert "securetenant-peer-red" not in world.policies("blue")


def test_only_the_namespaces_that_the_other_names_take_part() -> None:
    world = World()
    world.see("red", peer("blue", "Egress"))
    world.see("blue", peer("red", "Ingress", "red-b", "blue-b"))
    assert "securetenant-peer-blue" not in world.policies("red")
    found = world.record("red").units["red-b"].scope
    assert [each.source_namespaces for each in found.agreements] == [("red-b",)]
    assert network.named(found).namespaces == ("blue-a",)


def test_a_deleted_peer_closes_at_once() -> None:
    world = World()
    world.see("red", peer("blue", "Both"))
    world.see("blue", peer("red", "Both"))
    assert "securetenant-peer-blue" in world.policies("red")
    concerned = world.see("blue", peer("red", "Both"), deletionTimestamp="2026-01-01T00:00:00Z")
    assert concerned == {"red"}
    assert "securetenant-peer-blue" not in world.policies("red")


def test_a_peer_that_is_gone_concerns_those_that_name_it() -> None:
    world = World()
    world.see("red", peer("blue", "Both"))
    world.see("green", peer("blue", "Both"))
    world.see("blue", peer("red", "Both"))
    assert world.tenants.concerned("blue") == {"red", "green"}


def test_a_peer_that_was_not_read_yet_is_not_taken_for_one_that_says_nothing() -> None:
    """After a restart tenants are read one by one; nothing may close and open again."""
    tenants = Tenants()
    tenants.see("red", seen(tenant("red", network={"peers": [peer("blue", "Egress")]})))
    tenants.see("blue", seen(tenant("blue", network={"peers": [peer("red", "Ingress")]})))
    tenants.read("red", SETTINGS, Store())
    record = tenants.get("red")
    assert record is not None
    assert len(record.units["red-a"].scope.agreements) == 1


def test_a_spec_that_is_refused_withdraws_nothing() -> None:
    """What was in place stays in place, on both sides."""
    world = World()
    world.see("red", peer("blue", "Both"))
    world.see("blue", peer("red", "Both"))
    assert world.see("blue", {**peer("red", "Both"), "ports": []}) == set()
    assert world.record("blue").is_refused
    assert "securetenant-peer-blue" in world.policies("red")
    assert "securetenant-peer-red" in world.policies("blue")


def test_while_one_side_is_missing_each_is_told_what_to_declare() -> None:
    world = World()
    world.see("red", peer("blue", "Egress"))
    world.see("blue")
    for name in ("red", "blue"):
        (finding,) = world.record(name).findings
        assert (finding.type, finding.reason) == ("NetworkIsolated", "PeerMissing")
        assert finding.informs, "a wall that stands is no reason not to be ready"
        assert finding.message == (
            "Closed until both sides declare it: red declares traffic from red to blue, blue has to"
            " declare it too: spec.network.peers {tenant: red, direction: Ingress, namespaces:"
            " [red-a, red-b], ports: [{port: 443}]}."
        )
    world.see("blue", peer("red", "Ingress"))
    assert world.record("red").findings == world.record("blue").findings == ()


def test_a_tenant_is_no_peer_of_itself() -> None:
    world = World()
    world.see("red", peer("red", "Both"))
    (finding,) = world.record("red").findings
    assert finding.reason == "SpecRefused"
    assert "a tenant is no peer of itself" in finding.message


def test_the_first_tenant_that_is_read_knows_who_names_it() -> None:
    """After a restart its status must not change, and then change back."""
    tenants = Tenants()
    tenants.see("red", seen(tenant("red")))
    tenants.see("blue", seen(tenant("blue", network={"peers": [peer("red", "Ingress")]})))
    tenants.read("red", SETTINGS, Store())
    (finding,) = tenants.records["red"].findings
    assert "blue declares traffic from red to blue, red has to declare it too" in finding.message
    assert tenants.forget("blue") is not None
    tenants.read("red", SETTINGS, Store())
    assert not tenants.records["red"].findings
