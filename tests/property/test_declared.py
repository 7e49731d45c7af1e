"""For random pairs of tenants: what is built lets through what is declared, and nothing else.

Built by ``desired``, judged by ``checks``, and compared with the words of the specs. The three
share no code, nor does what ``checks`` itself reads out of the specs.
"""

import ipaddress
import itertools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from factory import seen, settings_spec, tenant
from securetenant.api.securetenant import TenantSpec
from securetenant.checks import blocks
from securetenant.checks.declared import Declared
from securetenant.checks.judgement import Judge
from securetenant.checks.reachability import Flow, Namespace, Pod, World
from securetenant.desired import admin_tier, unit
from securetenant.reconcile.store import Store
from securetenant.reconcile.tenants import Tenants

NAME, OWNER = "kubernetes.io/metadata.name", "securetenant.io/tenant"
SPACES = {
    "red-a": "red",
    "red-b": "red",
    "blue-a": "blue",
    "blue-b": "blue",
    "kube-system": "",
    "ingress-nginx": "",
    "monitoring": "",
}
APPS = ("web", "db")
ADDRESSES = {
    (space, app): f"10.2.{row}.{column}"
    for row, space in enumerate(SPACES)
    for column, app in enumerate((*APPS, "kube-dns"))
}
METADATA, API_SERVER, NODE = "169.254.169.254", "10.96.0.1", "10.1.0.7"
PROBES = (METADATA, API_SERVER, NODE, "10.20.9.1", "10.20.1.1", "8.8.8.8", "10.2.3.1")
SETTINGS = settings_spec(
    apiServer={"addresses": [f"{API_SERVER}/32"], "ports": [443]},
    nodeNetworks=["10.1.0.0/16"],
    podNetworks=["10.2.0.0/16"],
    ingressControllers=[
        {
            "name": "nginx",
            "namespaceLabels": {NAME: "ingress-nginx"},
            "podLabels": {"app": "web"},
        }
    ],
)

PORTS = (80, 443, 5432)
ports = st.lists(
    st.builds(
        lambda first, last: {"port": min(first, last), "endPort": max(first, last)},
        st.sampled_from(PORTS),
        st.sampled_from(PORTS),
    ),
    min_size=1,
    max_size=2,
)
cidrs = st.one_of(
    st.builds(lambda cidr: {"cidr": cidr}, st.sampled_from(["0.0.0.0/0", "10.0.0.0/8"])),
    st.just({"cidr": "10.20.0.0/16", "except": ["10.20.9.0/24"]}),
    st.just({"cidr": f"{NODE}/32"}),
)
platform = st.one_of(
    st.just({"ingressController": "nginx"}),
    st.just({"ingressController": "unknown"}),
    st.just({"namespaceLabels": {NAME: "monitoring"}, "podLabels": {"app": "db"}}),
    # What tenants' namespaces carry too.
    st.just({"namespaceLabels": {"team": "all"}}),
    st.just({"namespaceLabels": {OWNER: "blue"}}),
)


def openings(tenant: str, side: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(
        st.fixed_dictionaries(
            {
                "name": st.sampled_from(["one", "two"]),
                side: st.lists(st.one_of(cidrs, platform), min_size=1, max_size=2),
                "ports": ports,
                "reason": st.just("tried"),
            },
            optional={
                "namespaces": st.lists(st.sampled_from([f"{tenant}-a", "blue-b"]), max_size=1),
                "podSelector": st.just({"matchLabels": {"app": "web"}}),
            },
        ),
        max_size=2,
        unique_by=lambda each: str(each["name"]),
    )


def peers(other: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(
        st.fixed_dictionaries(
            {
                "tenant": st.just(other),
                "direction": st.sampled_from(["Ingress", "Egress", "Both"]),
                "namespaces": st.lists(
                    st.sampled_from([f"{other}-a", f"{other}-b", "kube-system"]), min_size=1
                ),
                "ports": ports,
            }
        ),
        max_size=2,
        unique_by=lambda each: each["direction"],
    )


def networks(tenant: str, other: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {},
        optional={
            "sameTenant": st.sampled_from(["Allow", "Deny"]),
            "apiServer": st.sampled_from(["Allow", "Deny"]),
            "ingress": openings(tenant, "from"),
            "egress": openings(tenant, "to"),
            "peers": peers(other),
        },
    )


# --- what the specs say -------------------------------------------------------------------------


def on(port: int, entries: list[dict[str, int]]) -> bool:
    return any(each["port"] <= port <= each["endPort"] for each in entries)


def agrees(specs: Any, source: str, target: str, port: int) -> bool:
    """Tell whether two tenants declare this flow, each from its side."""

    def declares(side: str, direction: str, namespace: str) -> bool:
        return any(
            each["direction"] in (direction, "Both")
            and namespace in each["namespaces"]
            and on(port, each["ports"])
            for each in specs[SPACES[side]].get("peers", ())
        )

    return declares(source, "Egress", target) and declares(target, "Ingress", source)


def opens(spec: Any, side: str, namespace: str, app: str, other: Any, port: int) -> bool:
    """Tell whether an opening names the other: (namespace, app) of the platform, or an address."""
    return any(
        namespace in each.get("namespaces", [namespace])
        and app in each.get("podSelector", {"matchLabels": {"app": app}})["matchLabels"].values()
        and on(port, each["ports"])
        and any(names(who, other) for who in each["from" if side == "ingress" else "to"])
        for each in spec.get(side, ())
    )


def names(who: dict[str, Any], other: Any) -> bool:
    if isinstance(other, str):
        return "cidr" in who and in_cidr(who, other)
    if "cidr" in who:
        return in_cidr(who, ADDRESSES[other])
    if who.get("ingressController"):
        return (who["ingressController"], other) == ("nginx", ("ingress-nginx", "web"))
    labels = who["namespaceLabels"]
    if NAME in labels:
        return bool(other == ("monitoring", "db"))
    return "team" in labels and other[0] == "monitoring"


def in_cidr(who: dict[str, Any], address: str) -> bool:
    """Tell whether the address is meant: by the cidr, but for exceptions and what is kept."""
    found = ipaddress.ip_address(address)
    if any(found in ipaddress.ip_network(each) for each in who.get("except", ())):
        return False
    kept = (f"{METADATA}/32", f"{API_SERVER}/32", "10.1.0.0/16", "10.2.0.0/16")
    is_kept = any(found in ipaddress.ip_network(each) for each in kept)
    return found in ipaddress.ip_network(who["cidr"]) and (
        not is_kept or who["cidr"] == f"{address}/32"
    )


# --- the claims ---------------------------------------------------------------------------------


def asked(name: str, network: dict[str, Any]) -> dict[str, Any]:
    namespaces = [
        {"name": space, "labels": {"team": "all"}}
        for space, owner in SPACES.items()
        if owner == name
    ]
    return tenant(name, namespaces=namespaces, network=network)


def build(specs: dict[str, Any], *, with_tier: bool = False) -> World:
    known = Tenants()
    found: list[Any] = []
    tiers: list[Any] = []
    for name, spec in specs.items():
        known.see(name, seen(asked(name, spec)))
    spaces = [
        Namespace(name=name, labels={NAME: name, **({"team": "all"} if "mon" in name else {})})
        for name, owner in SPACES.items()
        if not owner
    ]
    for name in specs:
        known.read(name, SETTINGS, Store())
        record = known.get(name)
        assert record is not None
        assert not record.is_refused, record.findings
        if with_tier:
            scopes = [each.scope for each in record.units.values()]
            agreed = {each for scope in scopes for each in scope.agreements}
            tiers.append(admin_tier.build(scopes, agreed).manifest.body)
        for each in record.units.values():
            manifests = unit.build(each.scope)
            labels = {**manifests[0].body["metadata"]["labels"], NAME: manifests[0].ref.name}
            spaces.append(Namespace(name=manifests[0].ref.name, labels=labels))
            found += [body for ref, body in manifests if ref.kind == "NetworkPolicy"]
    pods = [
        Pod(
            namespace=space,
            name=app,
            labels={"k8s-app": app} if app == "kube-dns" else {"app": app},
            addresses=(address,),
        )
        for (space, app), address in ADDRESSES.items()
        if app != "kube-dns" or space == "kube-system"
    ]
    return World(spaces, pods, found, tiers)


def has(flows: tuple[Flow, ...], source: str, target: str, protocol: str, port: int) -> bool:
    return any(
        source in flow.source.pods
        and target in flow.target.pods
        and any(
            each.protocol == protocol and each.first <= port <= each.last for each in flow.ports
        )
        for flow in flows
    )


@given(red=networks("red", "blue"), blue=networks("blue", "red"))
def test_nothing_but_what_is_declared_flows(red: Any, blue: Any) -> None:
    specs = {"red": red, "blue": blue}
    world = build(specs)
    for source, target in itertools.permutations(SPACES, 2):
        owner, other = SPACES[source], SPACES[target]
        if not (owner or other):
            continue
        flows = world.flows(source, target)
        if owner != other:
            assert not has(flows, "web", "web", "SCTP", 443), flows
            assert not has(flows, "web", "web", "other", 0), flows
        for app, end, port in itertools.product(APPS, APPS, (*PORTS, 22)):
            if owner == other:
                expected = specs[owner].get("sameTenant", "Allow") == "Allow"
                if expected:
                    assert has(flows, app, end, "TCP", port)
                continue
            if owner and other:
                expected = agrees(specs, source, target, port)
            elif owner:
                expected = opens(specs[owner], "egress", source, app, (target, end), port)
            else:
                expected = opens(specs[other], "ingress", target, end, (source, app), port)
            told = (source, app, target, end, port, [str(flow) for flow in flows])
            assert has(flows, app, end, "TCP", port) == expected, told
    for space, owner in SPACES.items():
        if owner:
            assert has(world.flows(space, "kube-system"), "web", "kube-dns", "UDP", 53)


@given(red=networks("red", "blue"))
def test_no_address_is_open_but_what_is_declared(red: Any) -> None:
    found = list(build({"red": red, "blue": {}}).outside())
    for side, space, app, address, port in itertools.product(
        ("ingress", "egress"), ("red-a", "red-b"), APPS, PROBES, (*PORTS, 22)
    ):
        is_open = any(
            each.direction.lower() == side
            and each.end.namespace == space
            and app in each.end.pods
            and any(
                span.protocol == "TCP" and span.first <= port <= span.last for span in each.ports
            )
            and blocks.holds(each.addresses, blocks.address(address))
            for each in found
        )
        expected = opens(red, side, space, app, address, port) or (
            side == "egress"
            and address == API_SERVER
            and port == 443
            and red.get("apiServer") == "Allow"
        )
        assert is_open == expected, (side, space, app, address, port, found)


@given(red=networks("red", "blue"), blue=networks("blue", "red"), with_tier=st.booleans())
def test_what_is_built_is_judged_closed(red: Any, blue: Any, with_tier: bool) -> None:
    specs = {"red": red, "blue": blue}
    declared = Declared(
        {
            name: TenantSpec.model_validate(asked(name, each)["spec"])
            for name, each in specs.items()
        },
        SETTINGS,
    )
    found = Judge(build(specs, with_tier=with_tier), declared)
    assert [str(each) for each in found.openings()] == []
    assert {each.state for each in found.verdicts().values()} == {"Closed"}
