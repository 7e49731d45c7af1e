"""ClusterNetworkPolicies, sentence by sentence of their API documentation."""

from typing import Any

import pytest

from securetenant.checks import blocks, ports
from securetenant.checks.reachability import Namespace, Pod, World

NAMESPACES = [Namespace(name=name, labels={"name": name, "t": name}) for name in ("one", "two")]
PODS = [
    Pod(namespace="one", name="source", labels={"app": "a"}, addresses=("10.0.0.1", "fd00::1")),
    Pod(
        namespace="two",
        name="target",
        labels={"app": "b"},
        addresses=("10.0.0.2", "fd00::2"),
        ports={("TCP", "web"): 80, ("UDP", "web"): 81},
    ),
]
EVERYBODY: dict[str, Any] = {"namespaces": {}}
ALL = "SCTP, TCP, UDP, other protocols"
NOTHING = ""


def tier(
    name: str, *rules: dict[str, Any], tier: str = "Admin", priority: int = 0, **spec: Any
) -> dict[str, Any]:
    """Return a policy about the pod that is reached."""
    return {
        "metadata": {"name": name},
        "spec": {
            "tier": tier,
            "priority": priority,
            "subject": {"namespaces": {"matchLabels": {"name": "two"}}},
            "ingress": [{"from": [EVERYBODY], **rule} for rule in rules],
            **spec,
        },
    }


def wall(**spec: Any) -> dict[str, Any]:
    """Return a NetworkPolicy that isolates the pod that is reached."""
    return {
        "metadata": {"namespace": "two", "name": "wall"},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"], **spec},
    }


def opened(*cluster: dict[str, Any], policies: Any = (), pods: Any = None) -> str:
    """Return the ports on which the one pod reaches the other."""
    world = World(NAMESPACES, pods or PODS, policies, cluster, tenant_label="t")
    found = ports.union(span for flow in world.flows("one", "two") for span in flow.ports)
    return ", ".join(map(str, found))


ACCEPT, DENY, PASS = ({"action": each} for each in ("Accept", "Deny", "Pass"))
WEB = {"protocols": [{"tcp": {"destinationPort": {"number": 80}}}]}


@pytest.mark.parametrize(
    ("cluster", "policies", "expected"),
    [
        pytest.param([], [], ALL, id="nothing decides: all is open"),
        pytest.param([], [wall()], NOTHING, id="only NetworkPolicies"),
        pytest.param([tier("a", ACCEPT)], [wall()], ALL, id="Admin accepts before them"),
        pytest.param(
            [tier("a", DENY)], [wall(ingress=[{}])], NOTHING, id="Admin denies before them"
        ),
        pytest.param([tier("a", PASS)], [wall()], NOTHING, id="passed on to them"),
        pytest.param([tier("a", PASS)], [], ALL, id="passed on, and nothing isolates"),
        pytest.param(
            [tier("a", PASS), tier("b", ACCEPT, priority=1)],
            [wall()],
            NOTHING,
            id="Pass skips the rest of the tier",
        ),
        pytest.param(
            [tier("b", ACCEPT, priority=1), tier("a", DENY)],
            [],
            NOTHING,
            id="the lower number first",
        ),
        pytest.param([tier("a", DENY, ACCEPT)], [], NOTHING, id="the first rule of a policy"),
        pytest.param(
            [tier("a", {**ACCEPT, **WEB}, DENY)], [], "TCP 80", id="rule by rule, by ports"
        ),
        pytest.param([tier("a", DENY, tier="Baseline")], [], NOTHING, id="Baseline denies"),
        pytest.param(
            [tier("a", DENY, tier="Baseline")], [wall(ingress=[{}])], ALL, id="not the isolated"
        ),
        pytest.param(
            [tier("a", ACCEPT, tier="Baseline")], [wall()], NOTHING, id="nor opens the isolated"
        ),
        pytest.param(
            [tier("a", PASS, tier="Baseline"), tier("b", DENY, tier="Baseline", priority=1)],
            [],
            ALL,
            id="Pass of Baseline is for the default",
        ),
        pytest.param(
            [tier("a", DENY), tier("b", ACCEPT)], [], ALL, id="of one priority, any may decide"
        ),
        pytest.param(
            [tier("a", DENY), tier("b", PASS)], [wall(ingress=[{}])], ALL, id="also one that passes"
        ),
        pytest.param(
            [tier("a", DENY), tier("b", {**ACCEPT, **WEB})],
            [],
            "TCP 80",
            id="of one priority, what only one is about it decides",
        ),
        pytest.param(
            [tier("a", {**DENY, **WEB}), tier("b", DENY)],
            [],
            NOTHING,
            id="denied by all that are about it",
        ),
    ],
)
def test_the_tiers_decide_in_their_order(cluster: Any, policies: Any, expected: str) -> None:
    assert opened(*cluster, policies=policies) == expected
    assert opened(*reversed(cluster), policies=policies) == expected, "whatever came first"


@pytest.mark.parametrize(
    ("protocols", "expected"),
    [
        ([{"tcp": {"destinationPort": {"number": 443}}}], "TCP 443"),
        ([{"udp": {"destinationPort": {"range": {"start": 5, "end": 9}}}}], "UDP 5-9"),
        ([{"sctp": {}}], "SCTP"),
        ([{"destinationNamedPort": "web"}], "TCP 80, UDP 81"),
        ([{"destinationNamedPort": "absent"}], NOTHING),
        ([{"quic": {}}], NOTHING),
    ],
)
def test_ports_are_numbers_ranges_and_names_of_any_protocol(protocols: Any, expected: str) -> None:
    assert opened(tier("a", {**ACCEPT, "protocols": protocols}), policies=[wall()]) == expected


def outward(*rules: dict[str, Any]) -> dict[str, Any]:
    found = tier("out", subject={"namespaces": {"matchLabels": {"name": "one"}}}, ingress=[])
    found["spec"]["egress"] = list(rules)
    return found


def test_networks_also_hold_pods_each_connection_by_its_own_address() -> None:
    v4 = {"action": "Deny", "to": [{"networks": ["10.0.0.0/8"]}]}
    v6 = {"action": "Deny", "to": [{"networks": ["fd00::/8"]}]}
    assert opened(outward(v4)) == ALL, "the other address is still open"
    assert opened(outward(v4, v6)) == NOTHING


def test_pods_on_the_host_network_are_neither_subject_nor_peer_by_labels() -> None:
    on_host = [PODS[0], Pod(namespace="two", name="target", host_network=True)]
    assert opened(tier("a", DENY), pods=on_host) == ALL
    deny = {"action": "Deny", "to": [EVERYBODY]}
    assert opened(outward(deny), pods=on_host) == ALL
    world = World(NAMESPACES, on_host, [], [outward(deny)], tenant_label="t")
    assert any(flow.target.namespace == "two" for flow in world.crossings()), "nor overlooked"
    assert opened(outward(deny)) == NOTHING


def test_what_is_open_to_addresses_is_what_the_tiers_leave() -> None:
    metadata = {"action": "Deny", "to": [{"networks": ["169.254.169.254/32"]}]}
    known = {"action": "Accept", "to": [{"networks": ["203.0.113.0/24"]}], **WEB}
    closed = {
        "metadata": {"namespace": "one", "name": "closed"},
        "spec": {
            "podSelector": {},
            "policyTypes": ["Egress"],
            "egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": [{"port": 443}]}],
        },
    }
    world = World(NAMESPACES, PODS, [closed], [outward(metadata, known)], tenant_label="t")
    found = {
        (blocks.told(each.addresses), ", ".join(map(str, each.ports)), str(each.opener))
        for each in world.outside("one")
        if each.direction == "Egress"
    }
    assert found == {
        ("203.0.113.0/24", "TCP 80", "ClusterNetworkPolicy out, rule 1"),
        ("203.0.113.0/24", "TCP 443", "NetworkPolicy closed, rule 0"),
        (
            "0.0.0.0/0 without 169.254.169.254/32, 203.0.113.0/24",
            "TCP 443",
            "NetworkPolicy closed, rule 0",
        ),
    }


def test_a_policy_that_is_not_understood_counts_as_open_and_is_named() -> None:
    odd = wall(ingress=[{"from": [{"ipBlock": {"cidr": "nonsense"}}]}])
    world = World(NAMESPACES, PODS, [wall(), odd], tenant_label="t")
    (flow,) = world.flows("one", "two")
    assert str(flow.ingress) == "NetworkPolicy wall"
    strange = tier("strange", DENY, subject={"namespaces": {"matchExpressions": [{"key": "x"}]}})
    world = World(NAMESPACES, PODS, [], [strange], tenant_label="t")
    assert world.flows("one", "two")
    assert world.unclear("one") == (
        "ClusterNetworkPolicy strange, whose form is not that of v1alpha2",
    )


def test_zeros_in_front_of_a_number_mean_nothing() -> None:
    assert blocks.cidr("010.00.0.001/32") == blocks.cidr("10.0.0.1/32")
