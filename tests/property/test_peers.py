"""Peers: what two tenants agree on, against the claims alone, one flow at a time."""

import itertools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from securetenant.api.network import Peer
from securetenant.desired import peers
from securetenant.desired.peers import Agreement, Declaration

PORTS = (79, 80, 81, 82, 90, 443)
OWN = {"red": ("red-a", "red-b"), "blue": ("blue-a", "blue-b")}

ports = st.lists(
    st.builds(
        lambda first, last, protocol: {
            "port": min(first, last),
            "endPort": max(first, last),
            **protocol,
        },
        st.sampled_from(PORTS),
        st.sampled_from(PORTS),
        st.fixed_dictionaries({}, optional={"protocol": st.sampled_from(["TCP", "UDP"])}),
    ),
    min_size=1,
    max_size=3,
)


def declarations(tenant: str, other: str) -> st.SearchStrategy[Declaration]:
    entry = st.fixed_dictionaries(
        {
            "tenant": st.sampled_from([other, other, "green"]),
            "direction": st.sampled_from(["Ingress", "Egress", "Both"]),
            "namespaces": st.lists(
                st.sampled_from([*OWN[other], "foreign", *OWN[tenant]]), min_size=1, unique=True
            ),
            "ports": ports,
        }
    )
    return st.builds(
        lambda entries: Declaration(
            tenant=tenant,
            namespaces=OWN[tenant],
            peers=tuple(Peer.model_validate(each) for each in entries),
        ),
        st.lists(entry, max_size=3, unique_by=lambda each: (each["tenant"], each["direction"])),
    )


def allows(
    found: tuple[Agreement, ...], source: str, target: str, protocol: str, port: int
) -> bool:
    return any(
        source in each.source_namespaces
        and target in each.target_namespaces
        and span.protocol == protocol
        and span.first <= port <= span.last
        for each in found
        for span in each.ports
    )


def declares(
    side: Declaration, direction: str, other: str, namespace: str, protocol: str, port: int
) -> bool:
    return any(
        peer.tenant == other
        and peer.direction in (direction, "Both")
        and namespace in peer.namespaces
        and (each.protocol or "TCP") == protocol
        and each.port <= port <= (each.end_port or each.port)
        for peer in side.peers
        for each in peer.ports
    )


@given(declarations("red", "blue"), declarations("blue", "red"))
def test_a_flow_is_open_exactly_when_both_ends_declare_it(
    red: Declaration, blue: Declaration
) -> None:
    """Never more than either side declares, since both have to."""
    found = peers.agreed(red, blue)
    for source, target in ((red, blue), (blue, red)):
        for begin, end, protocol, port in itertools.product(
            (*source.namespaces, "foreign"), (*target.namespaces, "foreign"), ("TCP", "UDP"), PORTS
        ):
            expected = (
                begin in source.namespaces
                and end in target.namespaces
                and declares(source, "Egress", target.tenant, end, protocol, port)
                and declares(target, "Ingress", source.tenant, begin, protocol, port)
            )
            assert allows(found, begin, end, protocol, port) == expected


@given(declarations("red", "blue"), declarations("blue", "red"))
def test_both_sides_see_the_same(red: Declaration, blue: Declaration) -> None:
    assert peers.agreed(red, blue) == peers.agreed(blue, red)


@given(declarations("red", "blue"), declarations("blue", "red"))
def test_each_side_is_told_exactly_while_something_that_one_declares_is_closed(
    red: Declaration, blue: Declaration
) -> None:
    found = peers.agreed(red, blue)
    lacking = any(
        (source.about(target.tenant, "Egress") or target.about(source.tenant, "Ingress"))
        and not any(each.source == source.tenant for each in found)
        for source, target in ((red, blue), (blue, red))
    )
    assert bool(peers.missing(red, blue, "blue")) == lacking
    assert bool(peers.missing(blue, red, "red")) == lacking


def _declaration(tenant: str, *entries: dict[str, Any]) -> Declaration:
    return Declaration(
        tenant=tenant,
        namespaces=OWN[tenant],
        peers=tuple(Peer.model_validate(each) for each in entries),
    )


def test_the_message_is_the_entry_to_write() -> None:
    entry = {
        "tenant": "blue",
        "direction": "Egress",
        "namespaces": ["blue-a"],
        "ports": [{"port": 443}],
    }
    red, blue = _declaration("red", entry), _declaration("blue")
    told = (
        "red declares traffic from red to blue, blue has to declare it too: spec.network.peers"
        " {tenant: red, direction: Ingress, namespaces: [red-a, red-b], ports: [{port: 443}]}"
    )
    assert peers.missing(red, blue, "blue") == (told,)
    assert peers.missing(blue, red, "red") == (told,)


def test_a_tenant_that_does_not_exist_is_told() -> None:
    entry = {
        "tenant": "blue",
        "direction": "Both",
        "namespaces": ["blue-a"],
        "ports": [{"port": 443}],
    }
    assert peers.missing(_declaration("red", entry), None, "blue") == (
        "there is no tenant blue: create it, or correct the name in peers",
    )
