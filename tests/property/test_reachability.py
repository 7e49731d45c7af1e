"""Reachability against a brute-force model: every pod, every pair, every rule, nothing indexed.

The model follows the words of the NetworkPolicy API and shares no code with the evaluator.
"""

import ipaddress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from securetenant.checks import reachability
from securetenant.checks.reachability import Namespace, Pod, World

TENANT = "t"
SPACES = ("a1", "a2", "b1", "p1")
KEYS, VALUES = ("k", "m"), ("x", "y")
PORTS = (1, 80, 81, 82, 443, 65535)
PROTOCOLS = ("TCP", "UDP", "SCTP")
CIDRS = ("0.0.0.0/0", "10.0.0.0/30", "10.0.0.4/30", "10.0.0.2/32", "::/0", "fd00::/126")
ADDRESSES = (*(f"10.0.0.{number}" for number in range(8)), "fd00::1", "fd00::5")
NAMES = ("web", "dns")

labels = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES), max_size=2)
expressions = st.one_of(
    st.builds(
        lambda key, operator, values: {"key": key, "operator": operator, "values": values},
        st.sampled_from((*KEYS, TENANT)),
        st.sampled_from(("In", "NotIn")),
        st.lists(st.sampled_from((*VALUES, "a", "b")), min_size=1, max_size=2),
    ),
    st.builds(
        lambda key, operator: {"key": key, "operator": operator},
        st.sampled_from((*KEYS, TENANT)),
        st.sampled_from(("Exists", "DoesNotExist")),
    ),
)
selectors = st.fixed_dictionaries(
    {},
    optional={"matchLabels": labels, "matchExpressions": st.lists(expressions, max_size=2)},
)
peers = st.one_of(
    st.fixed_dictionaries({"podSelector": selectors}),
    st.fixed_dictionaries({"namespaceSelector": selectors}, optional={"podSelector": selectors}),
    st.fixed_dictionaries(
        {
            "ipBlock": st.fixed_dictionaries(
                {"cidr": st.sampled_from(CIDRS)},
                optional={"except": st.lists(st.sampled_from(CIDRS[1:]), max_size=2)},
            )
        }
    ),
)


def _numbered(first: int, last: int) -> dict[str, Any]:
    entry: dict[str, Any] = {"port": min(first, last)}
    return entry if first == last else {**entry, "endPort": max(first, last)}


ports = st.builds(
    lambda port, protocol: {**port, **protocol},
    st.one_of(
        st.just({}),
        st.builds(_numbered, st.sampled_from(PORTS), st.sampled_from(PORTS)),
        st.builds(lambda name: {"port": name}, st.sampled_from(NAMES)),
    ),
    st.fixed_dictionaries({}, optional={"protocol": st.sampled_from(PROTOCOLS)}),
)


def _rules(side: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(
        st.fixed_dictionaries(
            {}, optional={side: st.lists(peers, max_size=2), "ports": st.lists(ports, max_size=2)}
        ),
        max_size=2,
    )


policies = st.lists(
    st.builds(
        lambda namespace, spec: {"namespace": namespace, "spec": spec},
        st.sampled_from(SPACES),
        st.fixed_dictionaries(
            {"podSelector": st.one_of(st.just({}), selectors)},
            optional={
                "policyTypes": st.lists(
                    st.sampled_from(("Ingress", "Egress")), unique=True, max_size=2
                ),
                "ingress": _rules("from"),
                "egress": _rules("to"),
            },
        ),
    ),
    max_size=6,
)
pods = st.lists(
    st.builds(
        lambda namespace, found, addresses, named, host: (namespace, found, addresses, named, host),
        st.sampled_from(SPACES),
        labels,
        st.lists(st.sampled_from(ADDRESSES), max_size=2, unique=True),
        st.dictionaries(
            st.tuples(st.sampled_from(PROTOCOLS), st.sampled_from(NAMES)),
            st.sampled_from(PORTS),
            max_size=2,
        ),
        st.sampled_from((False, False, False, True)),
    ),
    min_size=1,
    max_size=6,
)
spaces = st.fixed_dictionaries(dict.fromkeys(SPACES, labels))


def owner(name: str) -> str:
    return {"a": "a", "b": "b"}.get(name[0], "")


# --- the model ----------------------------------------------------------------------------------


def selects(selector: dict[str, Any], found: dict[str, str]) -> bool:
    for key, value in selector.get("matchLabels", {}).items():
        if found.get(key) != value:
            return False
    for each in selector.get("matchExpressions", ()):
        there, operator = each["key"] in found, each["operator"]
        if operator == "Exists" and not there:
            return False
        if operator == "DoesNotExist" and there:
            return False
        if operator == "In" and not (there and found[each["key"]] in each["values"]):
            return False
        if operator == "NotIn" and there and found[each["key"]] in each["values"]:
            return False
    return True


class Model:
    """A world asked pod by pod."""

    def __init__(self, space_labels: Any, policies: Any) -> None:
        self.spaces = space_labels
        self.policies = policies

    def allows(self, source: Pod, target: Pod, protocol: str, port: int) -> bool:
        return self._side("Egress", source, target, target, protocol, port) and self._side(
            "Ingress", target, source, target, protocol, port
        )

    def _side(
        self, direction: str, subject: Pod, other: Pod, target: Pod, protocol: str, port: int
    ) -> bool:
        isolated = False
        for policy in self.policies:
            spec = policy["spec"]
            types = spec.get("policyTypes") or (
                ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]
            )
            if policy["metadata"]["namespace"] != subject.namespace or direction not in types:
                continue
            if subject.host_network or not selects(spec["podSelector"], dict(subject.labels)):
                continue
            isolated = True
            for rule in spec.get(direction.lower(), ()):
                entries = rule.get("from" if direction == "Ingress" else "to") or [None]
                if any(self._peer(each, policy, other) for each in entries) and any(
                    self._port(each, target, protocol, port) for each in rule.get("ports") or [None]
                ):
                    return True
        return not isolated

    def _peer(self, peer: Any, policy: Any, other: Pod) -> bool:
        if peer is None:
            return True
        if "ipBlock" in peer:
            return any(
                self._inside(peer["ipBlock"]["cidr"], address)
                and not any(
                    self._inside(each, address) for each in peer["ipBlock"].get("except", ())
                )
                for address in other.addresses
            )
        if other.host_network:
            return False
        if "namespaceSelector" in peer:
            if not selects(peer["namespaceSelector"], self.spaces[other.namespace]):
                return False
        elif other.namespace != policy["metadata"]["namespace"]:
            return False
        return selects(peer.get("podSelector", {}), dict(other.labels))

    @staticmethod
    def _inside(cidr: str, address: str) -> bool:
        return ipaddress.ip_address(address) in ipaddress.ip_network(cidr)

    @staticmethod
    def _port(entry: Any, target: Pod, protocol: str, port: int) -> bool:
        if entry is None:
            return True
        wanted = entry.get("protocol", "TCP")
        if wanted != protocol:
            return False
        first = entry.get("port", 0)
        if isinstance(first, str):
            return target.ports.get((protocol, first)) == port
        return bool(first == 0 or first <= port <= entry.get("endPort", first))


# --- the claims ---------------------------------------------------------------------------------


def covers(flows: tuple[reachability.Flow, ...], protocol: str, port: int) -> bool:
    return any(
        span.protocol == protocol and span.first <= port <= span.last
        for flow in flows
        for span in flow.ports
    )


@given(space_labels=spaces, raw_pods=pods, raw_policies=policies)
def test_the_evaluator_says_of_every_pair_what_the_model_says(
    space_labels: Any, raw_pods: Any, raw_policies: Any
) -> None:
    space_labels = {
        name: {**found, **({TENANT: owner(name)} if owner(name) else {})}
        for name, found in space_labels.items()
    }
    bodies = [
        {"metadata": {"namespace": each["namespace"], "name": f"p{number}"}, "spec": each["spec"]}
        for number, each in enumerate(raw_policies)
    ]
    every = [
        Pod(
            namespace=namespace,
            name=f"pod{number}",
            labels=found,
            addresses=tuple(addresses),
            ports=named,
            host_network=host,
        )
        for number, (namespace, found, addresses, named, host) in enumerate(raw_pods)
    ]
    model = Model(space_labels, bodies)
    spaces = [Namespace(name=name, labels=found) for name, found in space_labels.items()]
    crossing = set()
    for source in every:
        for target in every:
            pair = World(
                spaces,
                {source.name: source, target.name: target}.values(),
                bodies,
                tenant_label=TENANT,
            )
            flows = tuple(
                flow
                for flow in pair.flows(source.namespace, target.namespace)
                if source.name in flow.source.pods and target.name in flow.target.pods
            )
            allowed = False
            for protocol in (*PROTOCOLS, "other"):
                for port in (*PORTS, 2, 444) if protocol != "other" else (0,):
                    expected = model.allows(source, target, protocol, port)
                    allowed |= expected
                    assert covers(flows, protocol, port) == expected, (protocol, port, flows)
            if allowed and owner(source.namespace) != owner(target.namespace):
                crossing.add((source.namespace, target.namespace))
    world = World(spaces, every, bodies, tenant_label=TENANT, imagine=False)
    found = {(flow.source.namespace, flow.target.namespace) for flow in world.crossings()}
    assert found == crossing, "no crossing is missed by the index, and none invented"
