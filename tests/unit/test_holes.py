"""Ten holes in good walls, each as somebody might make it; the evaluator must find every one."""

import copy
import itertools
from collections.abc import Callable
from typing import Any

import pytest

from securetenant.checks import blocks
from securetenant.checks.reachability import End, Namespace, Pod, World

Policy = dict[str, Any]
TENANT = "securetenant.io/tenant"
NAME = "kubernetes.io/metadata.name"
OWNERS = {"red-a": "red", "red-b": "red", "blue-a": "blue", "kube-system": ""}
SPACES = [
    Namespace(name=name, labels={NAME: name, **({TENANT: owner} if owner else {})})
    for name, owner in OWNERS.items()
]
PODS = [
    Pod(
        namespace=name,
        name=app,
        labels={"app": app},
        addresses=(f"10.{row}.0.{column}",),
    )
    for row, name in enumerate(OWNERS)
    for column, app in enumerate(("web", "db", "kube-dns"))
]


def policy(namespace: str, name: str, types: list[str], **spec: Any) -> Policy:
    return {
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"podSelector": {}, "policyTypes": types, "ingress": [], "egress": [], **spec},
    }


def good() -> list[Policy]:
    """Return walls without a hole: deny, DNS, same tenant; and one peer that both agree on."""
    found = []
    for name, owner in OWNERS.items():
        if not owner:
            continue
        own = [{"namespaceSelector": {"matchLabels": {TENANT: owner}}}]
        dns = {
            "namespaceSelector": {"matchLabels": {NAME: "kube-system"}},
            "podSelector": {"matchLabels": {"app": "kube-dns"}},
        }
        rule = {"to": [dns], "ports": [{"port": 53, "protocol": "UDP"}]}
        found += [
            policy(name, "deny", ["Ingress", "Egress"]),
            policy(name, "dns", ["Egress"], egress=[rule]),
            policy(
                name, "same", ["Ingress", "Egress"], ingress=[{"from": own}], egress=[{"to": own}]
            ),
        ]
    blue, red = (
        [{"namespaceSelector": {"matchLabels": {NAME: name, TENANT: OWNERS[name]}}}]
        for name in ("blue-a", "red-a")
    )
    https = [{"port": 443, "protocol": "TCP"}]
    return [
        *found,
        policy("red-a", "peer", ["Egress"], egress=[{"to": blue, "ports": https}]),
        policy("blue-a", "peer", ["Ingress"], ingress=[{"from": red, "ports": https}]),
    ]


def get(policies: list[Policy], namespace: str, name: str) -> dict[str, Any]:
    (found,) = (
        each["spec"]
        for each in policies
        if (each["metadata"]["namespace"], each["metadata"]["name"]) == (namespace, name)
    )
    assert isinstance(found, dict)
    return found


def everybody(policies: list[Policy]) -> None:
    """`from: []` and no `from` at all are everybody."""
    get(policies, "red-b", "same")["ingress"] = [{}]
    get(policies, "blue-a", "same")["egress"] = [{"to": []}]


def no_denial(policies: list[Policy]) -> None:
    """The policies that remain isolate in one direction only."""
    kept = {("red-a", "deny"), ("red-a", "same"), ("blue-a", "deny"), ("blue-a", "same")}
    kept |= {("blue-a", "peer")}
    policies[:] = [
        each
        for each in policies
        if (each["metadata"]["namespace"], each["metadata"]["name"]) not in kept
    ]


def empty_selector(policies: list[Policy]) -> None:
    """`namespaceSelector: {}` is every namespace, and it hides beside a good peer."""
    get(policies, "red-a", "same")["egress"][0]["to"].append({"namespaceSelector": {}})
    get(policies, "blue-a", "same")["ingress"][0]["from"].append({"namespaceSelector": {}})


def all_but(policies: list[Policy]) -> None:
    """NotIn also selects what lacks the key, and every other tenant."""
    other = {"matchExpressions": [{"key": TENANT, "operator": "NotIn", "values": ["green"]}]}
    get(policies, "red-b", "same")["egress"].append({"to": [{"namespaceSelector": other}]})
    get(policies, "blue-a", "same")["ingress"].append({"from": [{"namespaceSelector": other}]})


def any_tenant(policies: list[Policy]) -> None:
    tenants = {"matchExpressions": [{"key": TENANT, "operator": "Exists"}]}
    get(policies, "blue-a", "same")["egress"] = [{"to": [{"namespaceSelector": tenants}]}]
    get(policies, "red-b", "same")["ingress"] = [{"from": [{"namespaceSelector": tenants}]}]


def pods_by_address(policies: list[Policy]) -> None:
    """A block that holds the pods' addresses."""
    get(policies, "red-b", "deny")["egress"] = [
        {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/16"]}}]}
    ]
    get(policies, "blue-a", "deny")["ingress"] = [{"from": [{"ipBlock": {"cidr": "10.1.0.0/16"}}]}]


def wide_range(policies: list[Policy]) -> None:
    """A forgotten digit of endPort, on both sides of an agreed peer."""
    for namespace, direction in (("red-a", "egress"), ("blue-a", "ingress")):
        (rule,) = get(policies, namespace, "peer")[direction]
        rule["ports"] = [{"port": 443, "endPort": 4430, "protocol": "TCP"}]


def one_direction(policies: list[Policy]) -> None:
    """Egress is not implied: without it in policyTypes nothing is isolated."""
    for name in ("deny", "same"):
        get(policies, "red-b", name)["policyTypes"] = ["Ingress"]
    get(policies, "red-b", "dns")["podSelector"] = {"matchLabels": {"app": "nothing"}}
    get(policies, "blue-a", "peer")["ingress"][0]["from"][0]["namespaceSelector"] = {
        "matchLabels": {TENANT: "red"}
    }


def some_pods(policies: list[Policy]) -> None:
    """The denial selects web alone, so db is isolated by nothing."""
    for namespace in ("red-b", "blue-a"):
        for name in ("deny", "same", "dns"):
            get(policies, namespace, name)["podSelector"] = {"matchLabels": {"app": "web"}}
    get(policies, "blue-a", "peer")["podSelector"] = {"matchLabels": {"app": "web"}}


def no_ports(policies: list[Policy]) -> None:
    """An empty list of ports is every port, and ICMP."""
    for namespace, direction in (("red-a", "egress"), ("blue-a", "ingress")):
        (rule,) = get(policies, namespace, "peer")[direction]
        rule["ports"] = []


EVERYTHING = "SCTP, TCP, UDP, other protocols"
SAME, PEER, DENY = (f"NetworkPolicy {name}, rule 0" for name in ("same", "peer", "deny"))
SAME_ADDED, NOTHING = "NetworkPolicy same, rule 1", "no isolation"
HOLES: list[tuple[Callable[[list[Policy]], None], str, str, str, str, str]] = [
    (everybody, "blue-a", "red-b", EVERYTHING, SAME, SAME),
    (no_denial, "red-a", "blue-a", "TCP 443", PEER, NOTHING),
    (empty_selector, "red-a", "blue-a", EVERYTHING, SAME, SAME),
    (all_but, "red-b", "blue-a", EVERYTHING, SAME_ADDED, SAME_ADDED),
    (any_tenant, "blue-a", "red-b", EVERYTHING, SAME, SAME),
    (pods_by_address, "red-b", "blue-a", EVERYTHING, DENY, DENY),
    (wide_range, "red-a", "blue-a", "TCP 443-4430", PEER, PEER),
    (one_direction, "red-b", "blue-a", "TCP 443", NOTHING, PEER),
    (some_pods, "red-b", "blue-a", EVERYTHING, NOTHING, NOTHING),
    (no_ports, "red-a", "blue-a", EVERYTHING, PEER, PEER),
]
"""The hole, the flow that it lets through, and what opens it at the source and at the target."""


def crossings(policies: list[Policy]) -> list[str]:
    """Return what crosses, pod by pod."""
    return sorted(
        str(flow._replace(source=source, target=target))
        for flow in World(SPACES, PODS, policies).crossings()
        for source in apart(flow.source)
        for target in apart(flow.target)
    )


def apart(end: End) -> list[End]:
    return [end._replace(pods=(each,)) for each in end.pods]


def test_good_walls_let_through_dns_and_what_is_agreed() -> None:
    expected = [
        f"{source}/{app} reaches kube-system/kube-dns on UDP 53"
        " (egress: NetworkPolicy dns, rule 0; ingress: no isolation)"
        for source, app in itertools.product(
            ("blue-a", "red-a", "red-b"), ("db", "kube-dns", "web")
        )
    ]
    found = crossings(good())
    assert [each for each in found if "kube-system" in each] == expected
    assert all(
        "red-a/" in each and "reaches blue-a/" in each and "on TCP 443 " in each
        for each in found
        if "kube-system" not in each
    )


@pytest.mark.parametrize(
    ("hole", "source", "target", "ports", "egress", "ingress"),
    HOLES,
    ids=[hole.__name__ for hole, *_ in HOLES],
)
def test_a_hole_is_found_with_the_rule_that_makes_it(
    hole: Callable[[list[Policy]], None],
    source: str,
    target: str,
    ports: str,
    egress: str,
    ingress: str,
) -> None:
    policies = copy.deepcopy(good())
    hole(policies)
    told = f"{source}/db reaches {target}/db on {ports} (egress: {egress}; ingress: {ingress})"
    found = crossings(policies)
    assert told in found, "\n".join(found)
    assert told not in crossings(good())


def test_a_rule_open_to_every_address_is_told_as_such() -> None:
    policies = good()
    get(policies, "red-a", "deny")["egress"] = [{"ports": [{"port": 443}]}]
    get(policies, "red-b", "deny")["egress"] = [
        {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.169.254/32"]}}]}
    ]
    found = {
        (each.direction, each.end.namespace, blocks.told(each.addresses), str(each.opener))
        for each in World(SPACES, PODS, policies).outside()
    }
    assert found == {
        ("Egress", "red-a", "0.0.0.0/0, ::/0", "NetworkPolicy deny, rule 0"),
        ("Egress", "red-b", "0.0.0.0/0 without 169.254.169.254/32", "NetworkPolicy deny, rule 0"),
    }
