"""The ClusterNetworkPolicy of a tenant: what it denies, what it leaves out, and that it fits."""

import ipaddress
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory import CLOUDS, seen, settings_spec, tenant
from securetenant.api.tenancysettings import SettingsSpec
from securetenant.desired.admin_tier import Tier
from securetenant.reconcile.store import Store
from securetenant.reconcile.tenants import Tenants

ODD = [{"port": port} for port in range(1, 64, 2)]
"""Thirty-two ports, no two of which touch."""


def tiers(
    *specs: tuple[str, dict[str, Any]], settings: SettingsSpec | None = None
) -> dict[str, Tier]:
    """Return the tier of each of these tenants, which know each other."""
    known = Tenants()
    for name, network in specs:
        known.see(name, seen(tenant(name, network=network)))
    found = {}
    for name, _ in specs:
        known.read(name, settings or settings_spec(), Store())
        record = known.get(name)
        assert record is not None
        assert record.tier is not None, record.findings
        found[name] = record.tier
    return found


def spec(tier: Tier) -> Any:
    return tier.manifest.body["spec"]


def peer(name: str, direction: str, ports: Any = None, *namespaces: str) -> dict[str, Any]:
    return {
        "tenant": name,
        "direction": direction,
        "namespaces": list(namespaces) or [f"{name}-a"],
        "ports": ports or [{"port": 443}],
    }


def denies(rules: Any, side: str, labels: dict[str, str], protocol: str, port: int) -> bool:
    """Tell whether a rule denies a pod in a namespace with these labels, at a port."""
    return any(
        any(selects(each["namespaces"], labels) for each in rule[side] if "namespaces" in each)
        and (
            "protocols" not in rule
            or any(holds(each, protocol, port) for each in rule["protocols"])
        )
        for rule in rules
    )


def selects(selector: Any, labels: dict[str, str]) -> bool:
    """Read a label selector as apimachinery does: NotIn holds where the label is absent too."""
    return all(
        labels.get(key) == value for key, value in selector.get("matchLabels", {}).items()
    ) and all(meets(each, labels) for each in selector.get("matchExpressions", ()))


def meets(expression: Any, labels: dict[str, str]) -> bool:
    key = expression["key"]
    if expression["operator"] == "Exists":
        return key in labels
    listed = labels.get(key) in expression["values"]
    return listed if expression["operator"] == "In" else not listed


def holds(rule: Any, protocol: str, port: int) -> bool:
    where = rule.get(protocol.lower(), {}).get("destinationPort")
    if where is None:
        return False
    span = where.get("range", {"start": where.get("number"), "end": where.get("number")})
    return bool(span["start"] <= port <= span["end"])


def of(name: str, namespace: str = "") -> dict[str, str]:
    """Return the labels of a tenant's namespace."""
    return {
        "securetenant.io/tenant": name,
        "kubernetes.io/metadata.name": namespace or f"{name}-a",
    }


def reachable(tier: Tier, address: str) -> bool:
    """Tell whether no rule denies an address."""
    found = ipaddress.ip_address(address)
    networks = [
        network
        for rule in spec(tier)["egress"]
        for each in rule["to"]
        for network in each.get("networks", ())
    ]
    return not any(found in ipaddress.ip_network(each) for each in networks)


def test_it_is_about_the_pods_of_the_tenant_alone() -> None:
    found = spec(tiers(("acme", {}))["acme"])
    labels = {"securetenant.io/tenant": "acme"}
    assert found["subject"] == {"namespaces": {"matchLabels": labels}}
    assert (found["tier"], found["priority"]) == ("Admin", 100)


def test_nothing_is_accepted_and_nothing_skips_later_rules() -> None:
    found = tiers(
        ("acme", {"peers": [peer("beta", "Both")]}), ("beta", {"peers": [peer("acme", "Both")]})
    )
    for tier in found.values():
        rules = spec(tier)["ingress"] + spec(tier)["egress"]
        assert {rule["action"] for rule in rules} == {"Deny"}


def test_other_tenants_are_denied_and_the_platform_is_not() -> None:
    found = spec(tiers(("acme", {}))["acme"])
    for side, direction in (("from", "ingress"), ("to", "egress")):
        assert denies(found[direction], side, of("beta"), "TCP", 443)
        assert not denies(found[direction], side, of("acme"), "TCP", 443)
        platform = {"kubernetes.io/metadata.name": "kube-system"}
        assert not denies(found[direction], side, platform, "TCP", 443)


def test_a_peer_that_one_side_declares_stays_denied() -> None:
    found = tiers(("acme", {"peers": [peer("beta", "Both")]}), ("beta", {}))
    assert denies(spec(found["acme"])["egress"], "to", of("beta"), "TCP", 443)
    assert denies(spec(found["beta"])["ingress"], "from", of("acme"), "TCP", 443)


def test_a_peer_that_both_declare_is_left_to_network_policies_in_its_direction() -> None:
    found = tiers(
        ("acme", {"peers": [peer("beta", "Egress")]}),
        ("beta", {"peers": [peer("acme", "Ingress")]}),
    )
    acme, beta = spec(found["acme"]), spec(found["beta"])
    assert not denies(acme["egress"], "to", of("beta"), "TCP", 443)
    assert not denies(beta["ingress"], "from", of("acme"), "TCP", 443)
    assert denies(acme["ingress"], "from", of("beta"), "TCP", 443)
    assert denies(beta["egress"], "to", of("acme"), "TCP", 443)


def test_of_a_peer_other_namespaces_ports_and_protocols_stay_denied() -> None:
    found = tiers(
        ("acme", {"peers": [peer("beta", "Egress")]}),
        ("beta", {"peers": [peer("acme", "Ingress")]}),
    )
    rules = spec(found["acme"])["egress"]
    assert denies(rules, "to", of("beta", "beta-b"), "TCP", 443)
    for port in (1, 442, 444, 65535):
        assert denies(rules, "to", of("beta"), "TCP", port)
    assert denies(rules, "to", of("beta"), "UDP", 443)
    assert denies(rules, "to", of("beta"), "SCTP", 443)


def test_ports_that_do_not_fit_are_left_to_network_policies_and_told() -> None:
    """A rule lists at most 25 of them; the peer's other namespaces are denied all the same."""
    found = tiers(
        ("acme", {"peers": [peer("beta", "Egress", ODD)]}),
        ("beta", {"peers": [peer("acme", "Ingress", ODD)]}),
    )["acme"]
    rules = spec(found)["egress"]
    assert not any("protocols" in rule for rule in rules)
    assert denies(rules, "to", of("beta", "beta-b"), "TCP", 1)
    assert found.remark == (
        "ports of peers are too many for it, so only NetworkPolicies decide about them"
    )


def test_as_many_peers_as_a_tenant_may_have_are_left_out() -> None:
    """Thirty-two in a direction, each with ports of its own: more rules than there may be."""
    others = [f"other-{number}" for number in range(32)]
    ports = {name: [{"port": 1000 + 2 * number}] for number, name in enumerate(others)}
    found = tiers(
        ("acme", {"peers": [peer(name, "Egress", ports[name]) for name in others]}),
        *((name, {"peers": [peer("acme", "Ingress", ports[name])]}) for name in others),
    )["acme"]
    rules = spec(found)["egress"]
    for name in others:
        assert not denies(rules, "to", of(name), "TCP", ports[name][0]["port"])
        assert denies(rules, "to", of(name, f"{name}-b"), "TCP", ports[name][0]["port"])
    assert denies(rules, "to", of("stranger"), "TCP", 1000)
    assert "ports of peers" in found.remark
    assert within_limits(found)


def test_metadata_addresses_are_denied_by_every_name_of_theirs() -> None:
    settings = settings_spec(metadataAddresses=["192.0.2.200/32"])
    found = tiers(("acme", {}), settings=settings)["acme"]
    for address in ("192.0.2.200", "169.254.169.254", "168.63.129.16", "fd00:ec2::254"):
        assert not reachable(found, address)
    assert reachable(found, "192.0.2.201")


@pytest.mark.parametrize("address", CLOUDS.values(), ids=CLOUDS)
def test_no_clouds_credentials_are_reached_whatever_a_tenant_opens(address: str) -> None:
    """S14: ``::/0`` leaves Google's and Alibaba's metadata addresses open."""
    found = tiers(("acme", egress("0.0.0.0/0", "::/0", reason="all")))["acme"]
    assert not reachable(found, address)
    assert within_limits(found)


def egress(*networks: str, **more: Any) -> dict[str, Any]:
    to = [{"cidr": each} for each in networks]
    return {"egress": [{"name": "x", "to": to, "ports": [{"port": 80}], **more}]}


def test_a_metadata_address_that_is_named_is_left_to_network_policies() -> None:
    settings = settings_spec(metadataAddresses=["100.100.0.0/16"])
    network = egress("169.254.169.254/32", "100.100.7.0/24")
    found = tiers(("acme", network), settings=settings)["acme"]
    assert reachable(found, "169.254.169.254")
    assert reachable(found, "100.100.7.9")
    for address in ("168.63.129.16", "100.100.6.9", "100.100.8.9", "100.100.255.255"):
        assert not reachable(found, address)


def test_a_network_that_holds_a_metadata_address_does_not_name_it() -> None:
    found = tiers(("acme", egress("0.0.0.0/0", reason="all")))["acme"]
    assert not reachable(found, "169.254.169.254")


def test_an_opening_that_holds_nowhere_names_nothing() -> None:
    found = tiers(("acme", egress("169.254.169.254/32", namespaces=[])))["acme"]
    assert not reachable(found, "169.254.169.254")


def test_a_dns_server_at_such_an_address_is_named() -> None:
    """One cloud resolves names where it hands out its metadata."""
    dns = {"pods": [], "addresses": ["168.63.129.16/32"], "ports": [53]}
    assert reachable(tiers(("acme", {}), settings=settings_spec(dns=dns))["acme"], "168.63.129.16")


def test_named_addresses_that_do_not_fit_are_left_to_network_policies_and_told() -> None:
    """Each /128 cut out of a /64 leaves parts of every length between."""
    addresses = [f"fd12:0:0:0:{number * 257:x}::/128" for number in range(1, 31)]
    settings = settings_spec(metadataAddresses=["fd12::/48"])
    spelled = [str(ipaddress.ip_network(each)) for each in addresses]
    found = tiers(("acme", egress(*spelled)), settings=settings)["acme"]
    assert reachable(found, "fd12::1")
    assert not reachable(found, "169.254.169.254")
    assert "metadata networks in which addresses are named" in found.remark
    assert within_limits(found)


def within_limits(tier: Tier) -> bool:
    """Tell whether the CRD would accept the lengths of all lists."""
    found = spec(tier)
    return all(
        0 < len(rules) <= 25
        and all(
            0 < len(rule[side]) <= 25
            and len(rule.get("protocols", ["any"])) <= 25
            and all(0 < len(each.get("networks", ["any"])) <= 25 for each in rule[side])
            for rule in rules
        )
        for rules, side in ((found["ingress"], "from"), (found["egress"], "to"))
    )


ports = st.lists(
    st.tuples(st.integers(1, 12), st.integers(0, 4), st.sampled_from(["TCP", "UDP"])),
    min_size=1,
    max_size=4,
)
entries = st.lists(
    st.tuples(
        st.sampled_from(["Ingress", "Egress", "Both"]),
        st.sets(st.sampled_from(["a", "b"]), min_size=1),
        ports,
    ),
    max_size=3,
    unique_by=lambda each: each[0],
)


def declared(other: str, drawn: Any) -> dict[str, Any]:
    return {
        "peers": [
            {
                "tenant": other,
                "direction": direction,
                "namespaces": [f"{other}-{each}" for each in sorted(namespaces)],
                "ports": [
                    {"port": first, "endPort": first + more, "protocol": protocol}
                    for first, more, protocol in spans
                ],
            }
            for direction, namespaces, spans in drawn
        ]
    }


def flows(one: str, other: str, mine: Any, theirs: Any) -> set[tuple[str, str, int]]:
    """Return (namespace of the other, protocol, port) that both let ``one`` reach."""
    found = set()
    for outward, inward in itertools.product(mine["peers"], theirs["peers"]):
        if outward["direction"] == "Ingress" or inward["direction"] == "Egress":
            continue
        both = [
            {
                (each["protocol"], port)
                for each in entry["ports"]
                for port in range(each["port"], each["endPort"] + 1)
            }
            for entry in (outward, inward)
        ]
        if set(inward["namespaces"]) & {f"{one}-a", f"{one}-b"}:
            found |= {
                (namespace, *each)
                for namespace in outward["namespaces"]
                for each in both[0] & both[1]
            }
    return found


@given(entries, entries)
def test_exactly_what_both_declare_is_left_out(mine: Any, theirs: Any) -> None:
    """Held to a reading of the two specs port by port."""
    acme, beta = declared("beta", mine), declared("acme", theirs)
    found = tiers(("acme", acme), ("beta", beta))
    open_ports = flows("acme", "beta", acme, beta)
    for namespace, protocol, port in itertools.product(
        ("beta-a", "beta-b"), ("TCP", "UDP", "SCTP"), (*range(1, 19), 65535)
    ):
        labels = of("beta", namespace)
        denied = denies(spec(found["acme"])["egress"], "to", labels, protocol, port)
        assert denied != ((namespace, protocol, port) in open_ports)
    assert all(within_limits(each) for each in found.values())
    again = tiers(("beta", beta), ("acme", acme))
    assert again["acme"] == found["acme"], "the order in which tenants are seen does not matter"
