"""Reachability against a brute-force model: every pod, every pair, every rule, nothing indexed.

The model follows the words of the NetworkPolicy and ClusterNetworkPolicy APIs and shares no code
with the evaluator. Where policies of one priority match, what one of them allows counts as
allowed, since an implementation may apply any of them.
"""

import dataclasses
import ipaddress
from typing import Any

from hypothesis import given

from securetenant.checks import reachability
from securetenant.checks.reachability import Pod, World
from worlds import PORTS, PROTOCOLS, TENANT, Generated, owner, worlds

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

    def __init__(self, space_labels: Any, policies: Any, cluster: Any) -> None:
        self.spaces = space_labels
        self.policies = policies
        self.cluster = cluster

    def allows(self, source: Pod, target: Pod, protocol: str, port: int) -> bool:
        return self._side("Egress", source, target, target, protocol, port) and self._side(
            "Ingress", target, source, target, protocol, port
        )

    def _side(
        self, direction: str, subject: Pod, other: Pod, target: Pod, protocol: str, port: int
    ) -> bool:
        """Tell whether a connection with any of the other's addresses may be allowed."""
        return any(
            self._may(direction, subject, other, address, target, protocol, port)
            for address in other.addresses or (None,)
        )

    def _may(
        self,
        direction: str,
        subject: Pod,
        other: Pod,
        address: str | None,
        target: Pod,
        protocol: str,
        port: int,
    ) -> bool:
        asked = (direction, subject, other, address, target, protocol, port)
        admin = self._actions("Admin", *asked)
        if "Accept" in admin:
            return True
        if admin == {"Deny"}:
            return False
        one = dataclasses.replace(other, addresses=(address,) if address else ())
        found = self._namespaced(direction, subject, one, target, protocol, port)
        if found is not None:
            return found
        return self._actions("Baseline", *asked) != {"Deny"}

    def _actions(
        self,
        tier: str,
        direction: str,
        subject: Pod,
        other: Pod,
        address: str | None,
        target: Pod,
        protocol: str,
        port: int,
    ) -> set[str]:
        """Return what the tier may do: one action of each policy with the best priority."""
        found: dict[int, set[str]] = {}
        for policy in self.cluster:
            spec = policy["spec"]
            if spec["tier"] != tier or not self._among(spec["subject"], subject, None):
                continue
            for rule in spec.get(direction.lower(), ()):
                if any(
                    self._among(each, other, address)
                    for each in rule["from" if direction == "Ingress" else "to"]
                ) and any(
                    self._protocol(each, target, protocol, port)
                    for each in rule.get("protocols") or [None]
                ):
                    found.setdefault(spec["priority"], set()).add(rule["action"])
                    break
        return found[min(found)] if found else {"Pass"}

    def _among(self, who: Any, pod: Pod, address: str | None) -> bool:
        if "networks" in who:
            return address is not None and any(
                self._inside(each, address) for each in who["networks"]
            )
        if pod.host_network:
            return False
        if "namespaces" in who:
            return selects(who["namespaces"], self.spaces[pod.namespace])
        return selects(
            who["pods"].get("namespaceSelector", {}), self.spaces[pod.namespace]
        ) and selects(who["pods"]["podSelector"], dict(pod.labels))

    @staticmethod
    def _protocol(entry: Any, target: Pod, protocol: str, port: int) -> bool:
        if entry is None:
            return True
        if "destinationNamedPort" in entry:
            return target.ports.get((protocol, entry["destinationNamedPort"])) == port
        if protocol.lower() not in entry:
            return False
        wanted = entry[protocol.lower()]["destinationPort"]
        if "number" in wanted:
            return bool(wanted["number"] == port)
        return bool(wanted["range"]["start"] <= port <= wanted["range"]["end"])

    def _namespaced(
        self, direction: str, subject: Pod, other: Pod, target: Pod, protocol: str, port: int
    ) -> bool | None:
        """Return what NetworkPolicies say; nothing where none isolates the pod."""
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
        return False if isolated else None

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


@given(given_world=worlds)
def test_the_evaluator_says_of_every_pair_what_the_model_says(given_world: Generated) -> None:
    every = given_world.pods
    model = Model(given_world.labels, given_world.policies, given_world.cluster)
    world = World(
        given_world.namespaces,
        every,
        given_world.policies,
        given_world.cluster,
        tenant_label=TENANT,
        imagine=False,
    )
    crossing = set()
    for source in every:
        for target in every:
            flows = tuple(
                flow
                for flow in world.flows(source.namespace, target.namespace)
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
    found = {(flow.source.namespace, flow.target.namespace) for flow in world.crossings()}
    assert found == crossing, "no crossing is missed by the index, and none invented"
