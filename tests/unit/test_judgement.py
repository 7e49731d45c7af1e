"""None but the declared: what is found, how it is named, and what is Inconclusive."""

import copy
from collections.abc import Iterable
from typing import Any

import pytest

from factory import settings_spec
from securetenant.api import names
from securetenant.api.securetenant import TenantSpec
from securetenant.checks.declared import Declared
from securetenant.checks.judgement import Judge, judge
from securetenant.checks.reachability import Namespace, Pod, World

NAME, OWNER = "kubernetes.io/metadata.name", "securetenant.io/tenant"
SPACES = {"red-a": "red", "red-b": "red", "blue-a": "blue", "kube-system": "", "metrics": ""}
SETTINGS = settings_spec(
    apiServer={"addresses": ["10.96.0.1/32"], "ports": [443]}, podNetworks=["10.2.0.0/16"]
)
HTTPS = [{"port": 443, "protocol": "TCP"}]


def namespaces() -> list[Namespace]:
    return [
        Namespace(name=name, labels={NAME: name, **({OWNER: owner} if owner else {})})
        for name, owner in SPACES.items()
    ]


def pods(*, without: Iterable[str] = ()) -> list[Pod]:
    return [
        Pod(
            namespace=name,
            name="kube-dns" if name == "kube-system" else "web",
            labels={"k8s-app": "kube-dns"} if name == "kube-system" else {"app": "web"},
            addresses=(f"10.2.{row}.1",),
        )
        for row, name in enumerate(SPACES)
        if name not in without
    ]


def policy(namespace: str, name: str, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], **spec},
    }


def walls() -> list[dict[str, Any]]:
    found = []
    for name, owner in SPACES.items():
        if owner:
            own = [{"namespaceSelector": {"matchLabels": {OWNER: owner}}}]
            dns = {
                "namespaceSelector": {"matchLabels": {NAME: "kube-system"}},
                "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
            }
            both = [{"port": 53, "protocol": each} for each in ("UDP", "TCP")]
            found += [
                policy(name, "deny"),
                policy(name, "dns", egress=[{"to": [dns], "ports": both}]),
                policy(name, "same", ingress=[{"from": own}], egress=[{"to": own}]),
            ]
    return found


def specs(**networks: dict[str, Any]) -> dict[str, TenantSpec]:
    return {
        tenant: TenantSpec.model_validate(
            {
                "namespaces": [{"name": name} for name, owner in SPACES.items() if owner == tenant],
                "network": networks.get(tenant, {}),
            }
        )
        for tenant in ("red", "blue")
    }


def peer(tenant: str, direction: str, *spaces: str) -> dict[str, Any]:
    ports = [{"port": 443}]
    asked = {"tenant": tenant, "direction": direction, "namespaces": [*spaces], "ports": ports}
    return {"peers": [asked]}


def found(policies: list[dict[str, Any]], **networks: dict[str, Any]) -> list[str]:
    world = World(namespaces(), pods(), policies)
    return [str(each) for each in judge(world, Declared(specs(**networks), SETTINGS))]


PEERS = [
    policy(
        "red-a",
        "peer",
        egress=[{"to": [{"namespaceSelector": {"matchLabels": {OWNER: "blue"}}}], "ports": HTTPS}],
    ),
    policy(
        "blue-a",
        "peer",
        ingress=[{"from": [{"namespaceSelector": {"matchLabels": {NAME: "red-a"}}}]}],
    ),
]


def test_walls_without_a_hole_are_closed() -> None:
    world = World(namespaces(), pods(), walls())
    verdicts = Judge(world, Declared(specs(), SETTINGS)).verdicts()
    assert {name: (each.state, each.openings) for name, each in verdicts.items()} == {
        "red": ("Closed", ()),
        "blue": ("Closed", ()),
    }


def test_a_flow_between_tenants_is_named_with_the_rule_at_each_end() -> None:
    (told,) = found([*walls(), *PEERS])
    assert told == (
        "red-a/web reaches blue-a/web on TCP 443 (egress: NetworkPolicy red-a/peer, rule 0;"
        " ingress: NetworkPolicy blue-a/peer, rule 0)"
    )


def test_what_both_tenants_declare_is_no_opening() -> None:
    both = {"red": peer("blue", "Egress", "blue-a"), "blue": peer("red", "Ingress", "red-a")}
    assert found([*walls(), *PEERS], **both) == []


@pytest.mark.parametrize(
    "networks",
    [
        {"red": peer("blue", "Egress", "blue-a")},
        {"blue": peer("red", "Ingress", "red-a")},
        {"red": peer("blue", "Ingress", "blue-a"), "blue": peer("red", "Egress", "red-a")},
        {"red": peer("blue", "Egress", "blue-a"), "blue": peer("red", "Ingress", "red-b")},
    ],
    ids=["only the source", "only the target", "the other way round", "another namespace"],
)
def test_what_one_tenant_declares_is_an_opening(networks: dict[str, Any]) -> None:
    assert len(found([*walls(), *PEERS], **networks)) == 1


def test_without_any_policy_it_is_said_that_nothing_isolates() -> None:
    policies = [each for each in walls() if each["metadata"]["namespace"] != "blue-a"]
    told = found(policies)
    every = "SCTP, TCP, UDP, other protocols"
    # DNS is declared, at its pods and at one address.
    rest = "SCTP, TCP 1-52, TCP 54-65535, UDP 1-52, UDP 54-65535, other protocols"
    nothing = "(egress: no isolation; ingress: no isolation)"
    addresses = "0.0.0.0/0 without 169.254.20.10/32, ::/0"
    assert sorted(told) == [
        f"0.0.0.0/0, ::/0 reaches blue-a/web on {every} (ingress: no isolation)",
        f"blue-a/web reaches {addresses} on {every} (egress: no isolation)",
        f"blue-a/web reaches 169.254.20.10/32 on {rest} (egress: no isolation)",
        f"blue-a/web reaches kube-system/kube-dns on {rest} {nothing}",
        f"blue-a/web reaches metrics/web on {every} {nothing}",
        f"kube-system/kube-dns reaches blue-a/web on {every} {nothing}",
        f"metrics/web reaches blue-a/web on {every} {nothing}",
    ]


def test_a_namespace_without_pods_is_judged_by_pods_that_could_be_made() -> None:
    world = World(namespaces(), pods(without=("red-a", "blue-a")), [*walls(), *PEERS])
    declared = Declared(specs(), SETTINGS)
    (opening,) = judge(world, declared)
    assert str(opening).startswith("red-a/* reaches blue-a/* on TCP 443 (")
    selected = copy.deepcopy(PEERS)
    selected[0]["spec"]["podSelector"] = {"matchLabels": {"app": "client"}}
    rule = selected[1]["spec"]["ingress"][0]["from"][0]
    rule["podSelector"] = {"matchExpressions": [{"key": "tier", "operator": "In", "values": ["a"]}]}
    world = World(namespaces(), pods(without=("red-a", "blue-a")), [*walls(), *selected])
    assert len(judge(world, declared)) == 1, "some pod could have both labels"
    selected[0]["spec"]["podSelector"] = {"matchLabels": {"tier": "b"}}
    world = World(namespaces(), pods(without=("red-a", "blue-a")), [*walls(), *selected])
    assert judge(world, declared) == (), "no pod has two values of one label"


WIDE = {"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": HTTPS}


def test_addresses_beyond_the_declared_ones_are_named() -> None:
    opened = {
        "egress": [
            {"name": "all", "to": [{"cidr": "0.0.0.0/0"}], "ports": [{"port": 443}], "reason": "x"}
        ]
    }
    wide = policy("red-a", "wide", egress=[WIDE])
    by_wide = "on TCP 443 (egress: NetworkPolicy red-a/wide, rule 0"
    assert found([*walls(), wide], red=opened) == [
        "red-a/web reaches 10.2.0.0/16, 10.96.0.1/32, 100.100.100.200/32, 168.63.129.16/32,"
        " 169.254.0.23/32, 169.254.42.42/32, 169.254.169.254/32, 192.0.0.192/32 " + by_wide + ")",
        f"red-a/web reaches kube-system/kube-dns {by_wide}; ingress: no isolation)",
        f"red-a/web reaches metrics/web {by_wide}; ingress: no isolation)",
    ], "what TenancySettings keep is not meant by a wide cidr"
    kept = ["10.2.0.0/16", "10.96.0.1/32", *names.METADATA_ADDRESSES]
    narrow = copy.deepcopy(wide)
    narrow["spec"]["egress"][0]["to"][0]["ipBlock"]["except"] = [
        each for each in kept if ":" not in each
    ]
    assert found([*walls(), narrow], red=opened) == []


def test_the_api_server_is_open_where_it_is_declared() -> None:
    rule = {"to": [{"ipBlock": {"cidr": "10.96.0.1/32"}}], "ports": HTTPS}
    policies = [*walls(), policy("red-a", "api", egress=[rule])]
    assert found(policies, red={"apiServer": "Allow"}) == []
    assert found(policies) == [
        "red-a/web reaches 10.96.0.1/32 on TCP 443 (egress: NetworkPolicy red-a/api, rule 0)"
    ]


def test_a_tenant_that_closes_its_own_namespaces_is_held_to_it() -> None:
    told = found(walls(), red={"sameTenant": "Deny"})
    assert [each.partition(" on ")[0] for each in told] == [
        "red-a/web reaches red-b/web",
        "red-b/web reaches red-a/web",
    ]
    assert found(walls()) == []


def test_the_admin_tier_closes_what_policies_of_a_namespace_open() -> None:
    strangers = {
        "matchExpressions": [
            {"key": OWNER, "operator": "Exists"},
            {"key": OWNER, "operator": "NotIn", "values": ["blue"]},
        ]
    }
    tier = {
        "metadata": {"name": "blue"},
        "spec": {
            "tier": "Admin",
            "priority": 100,
            "subject": {"namespaces": {"matchLabels": {OWNER: "blue"}}},
            "ingress": [{"action": "Deny", "from": [{"namespaces": strangers}]}],
        },
    }
    world = World(namespaces(), pods(), [*walls(), *PEERS], [tier])
    assert judge(world, Declared(specs(), SETTINGS)) == ()
    accept = copy.deepcopy(tier)
    accept["metadata"] = {"name": "first"}
    spec = accept["spec"]
    assert isinstance(spec, dict)
    spec.update(priority=1, egress=[])
    spec["ingress"] = [{"name": "in", "action": "Accept", "from": [{"namespaces": {}}]}]
    world = World(namespaces(), pods(), [*walls(), *PEERS], [tier, accept])
    told = [str(each) for each in judge(world, Declared(specs(), SETTINGS)) if each.source]
    assert (
        "red-a/web reaches blue-a/web on TCP 443 (egress: NetworkPolicy red-a/peer, rule 0;"
        " ingress: ClusterNetworkPolicy first, rule 0 (in))" in told
    )


def test_a_policy_of_another_kind_makes_its_tenant_inconclusive_and_is_named() -> None:
    world = World(namespaces(), pods(), walls())
    unclear = {"red-b": ("CiliumNetworkPolicy red-b/open (cilium.io)",)}
    verdicts = Judge(world, Declared(specs(), SETTINGS), unclear).verdicts()
    assert verdicts["red"].state == "Inconclusive"
    assert verdicts["red"].reasons == ("red-b: CiliumNetworkPolicy red-b/open (cilium.io)",)
    assert verdicts["blue"].state == "Closed"


def test_what_only_another_kind_of_policy_holds_back_is_inconclusive() -> None:
    """Red is open to blue by its own half, and blue's half is a policy that nobody evaluates."""
    world = World(namespaces(), pods(), [*walls(), PEERS[0]])
    unclear = {"blue-a": ("CiliumNetworkPolicy blue-a/open (cilium.io)",)}
    verdicts = Judge(world, Declared(specs(), SETTINGS), unclear).verdicts()
    assert verdicts["red"].state == "Inconclusive"
    assert verdicts["red"].reasons == (
        (
            "red-a: red-a reaches blue-a on TCP 443 (NetworkPolicy red-a/peer, rule 0)"
            " if CiliumNetworkPolicy blue-a/open (cilium.io) lets it"
        ),
    )
    assert Judge(world, Declared(specs(), SETTINGS)).verdicts()["red"].state == "Closed"


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (
            {"action": "Accept", "to": [{"nodes": {}}]},
            "egress rule 0, Accept: peers by nodes",
        ),
        (
            {"action": "Accept", "to": [{"domainNames": ["example.com"]}]},
            "egress rule 0, Accept: peers by domainNames",
        ),
        ({"action": "Pass", "to": [{"future": {}}]}, "egress rule 0, Pass: peers by future"),
        ({"action": "Accept", "to": [{}]}, "egress rule 0, Accept: peers by nothing"),
        (
            {"action": "Accept", "to": [{"namespaces": {}}], "protocols": [{"quic": {}}]},
            "egress rule 0, Accept: its protocols",
        ),
        ({"action": "Log", "to": [{"namespaces": {}}]}, "egress rule 0, Log: action Log"),
    ],
)
def test_a_rule_that_cannot_be_evaluated_is_named(rule: dict[str, Any], reason: str) -> None:
    tier = {
        "metadata": {"name": "odd"},
        "spec": {
            "tier": "Admin",
            "priority": 1,
            "subject": {"namespaces": {"matchLabels": {OWNER: "red"}}},
            "egress": [rule],
        },
    }
    verdicts = Judge(
        World(namespaces(), pods(), walls(), [tier]), Declared(specs(), SETTINGS)
    ).verdicts()
    assert verdicts["red"].state == "Inconclusive"
    assert verdicts["red"].reasons[0] == f"red-a: ClusterNetworkPolicy odd, {reason}"
    assert verdicts["blue"].state == "Closed"


def test_a_denial_that_cannot_be_evaluated_closes_nothing() -> None:
    odd = {"action": "Deny", "to": [{"nodes": {}}]}
    known = {"action": "Deny", "to": [{"namespaces": {"matchLabels": {OWNER: "blue"}}}]}
    for rule, count in ((odd, 1), (known, 0)):
        tier = {
            "metadata": {"name": "t"},
            "spec": {
                "tier": "Admin",
                "priority": 1,
                "subject": {"namespaces": {}},
                "egress": [rule],
            },
        }
        world = World(namespaces(), pods(), [*walls(), *PEERS], [tier])
        judged = Judge(world, Declared(specs(), SETTINGS))
        assert len(judged.openings()) == count
        assert judged.verdicts()["red"].reasons == ()


def test_pods_on_the_host_network_are_met_only_by_address() -> None:
    """No label names them, no policy selects them, and their address is a node's."""
    agent = Pod(namespace="metrics", name="agent", addresses=("10.1.0.5",), host_network=True)
    by_label = policy(
        "red-a", "label", egress=[{"to": [{"namespaceSelector": {}}], "ports": HTTPS}]
    )
    block = {"ipBlock": {"cidr": "10.1.0.0/16"}}
    by_address = policy("red-a", "block", egress=[{"to": [block], "ports": HTTPS}])
    declared = Declared(specs(), SETTINGS)
    people = [each for each in pods() if each.namespace != "metrics"]
    for opening, count in ((by_label, 0), (by_address, 1)):
        world = World(namespaces(), [*people, agent], [*walls(), opening])
        told = [
            each
            for each in judge(world, declared)
            if each.target and each.target.namespace == "metrics"
        ]
        assert len(told) == count
