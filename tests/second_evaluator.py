"""A second evaluator of network policies, from the words of their API documentation.

It computes with sets of packets. Every packet of a small world is listed once; each policy is the
sets of packets that it is about, and a verdict is what is left of all packets after the policies
have taken theirs. Sources: Kubernetes API reference, NetworkPolicy networking/v1;
network-policy-api, ClusterNetworkPolicy policy.networking.k8s.io/v1alpha2.

Written without a look at ``securetenant.checks`` and sharing nothing with it, nor with the
model of ``property/test_reachability.py``: where the three agree, none of them has a slip of its
own. Where the documentation leaves a choice (policies of one priority; a pod's second address),
a packet that any choice lets through counts as let through.
"""

import ipaddress
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple


class Host(NamedTuple):
    """Something with addresses: a pod, or what lies outside of the cluster."""

    name: str
    namespace: str | None
    """Nothing: outside of the cluster."""
    labels: Mapping[str, str]
    addresses: tuple[str, ...]
    named_ports: Mapping[tuple[str, str], int]
    on_host_network: bool


class Packet(NamedTuple):
    """The first packet of a connection."""

    sender: int
    sender_address: str | None
    receiver: int
    receiver_address: str | None
    protocol: str
    port: int


Packets = frozenset[int]
Choose = Callable[[Packet], bool]


class SecondEvaluator:
    """A world whose packets are all known."""

    def __init__(
        self,
        namespaces: Mapping[str, Mapping[str, str]],
        hosts: Sequence[Host],
        ports: Iterable[tuple[str, int]],
        network_policies: Iterable[Mapping[str, Any]],
        cluster_policies: Iterable[Mapping[str, Any]],
    ) -> None:
        """List the packets between all hosts on these ports, and judge them."""
        self._namespaces = namespaces
        self._hosts = hosts
        self._packets = [
            Packet(sender, one, receiver, other, protocol, port)
            for sender, receiver in itertools.product(range(len(hosts)), repeat=2)
            # What passes by the cluster is nobody's to judge.
            if hosts[sender].namespace is not None or hosts[receiver].namespace is not None
            for one in hosts[sender].addresses or (None,)
            for other in hosts[receiver].addresses or (None,)
            for protocol, port in ports
        ]
        self._all: Packets = frozenset(range(len(self._packets)))
        network, cluster = list(network_policies), list(cluster_policies)
        passing = self._direction("Egress", network, cluster) & self._direction(
            "Ingress", network, cluster
        )
        self._allowed = {
            (packet.sender, packet.receiver, packet.protocol, packet.port)
            for packet in map(self._packets.__getitem__, passing)
        }

    def allows(self, sender: int, receiver: int, protocol: str, port: int) -> bool:
        """Tell whether a connection may come about, with any of the addresses."""
        return (sender, receiver, protocol, port) in self._allowed

    def _where(self, within: Packets, choose: Choose) -> Packets:
        return frozenset(each for each in within if choose(self._packets[each]))

    # --- the order of the tiers -----------------------------------------------------------------

    def _direction(
        self,
        direction: str,
        network: Iterable[Mapping[str, Any]],
        cluster: Iterable[Mapping[str, Any]],
    ) -> Packets:
        """Return the packets that one direction lets through."""
        cluster = list(cluster)
        accepted, undecided = self._tier("Admin", direction, cluster, self._all)
        isolated, granted = self._network_policies(direction, network)
        # "NetworkPolicy always makes a final decision for selected pods."
        final = undecided & isolated & granted
        more, default = self._tier("Baseline", direction, cluster, undecided - isolated)
        return accepted | final | more | default

    def _tier(
        self,
        tier: str,
        direction: str,
        policies: Iterable[Mapping[str, Any]],
        packets: Packets,
    ) -> tuple[Packets, Packets]:
        """Return what a tier accepts of some packets, and what it leaves to the next one."""
        here = [each["spec"] for each in policies if each["spec"]["tier"] == tier]
        accepted: Packets = frozenset()
        onward: Packets = frozenset()
        for priority in sorted({spec["priority"] for spec in here}):
            taken: Packets = frozenset()
            for spec in here:
                if spec["priority"] != priority:
                    continue
                rest = self._where(packets, self._about(direction, spec["subject"]))
                # "A rule that appears at the top would take the highest precedence."
                for rule in spec.get("ingress" if direction == "Ingress" else "egress") or []:
                    hit = self._where(rest, self._cluster_rule(direction, rule))
                    rest -= hit
                    taken |= hit
                    if rule["action"] == "Accept":
                        accepted |= hit
                    if rule["action"] == "Pass":
                        onward |= hit
            packets -= taken
        return accepted, packets | onward

    def _network_policies(
        self, direction: str, policies: Iterable[Mapping[str, Any]]
    ) -> tuple[Packets, Packets]:
        """Return the packets of isolated pods, and those that some policy grants."""
        isolated: Packets = frozenset()
        granted: Packets = frozenset()
        for policy in policies:
            spec, namespace = policy["spec"], policy["metadata"]["namespace"]
            # "If this field is not specified, it will default based on the existence of ingress
            # or egress rules; policies that contain an egress section are assumed to affect
            # egress, and all policies (whether or not they contain an ingress section) are
            # assumed to affect ingress."
            types = list(spec.get("policyTypes") or ())
            if not types:
                types = ["Ingress"] + (["Egress"] if spec.get("egress") else [])
            if direction not in types:
                continue
            mine = self._where(
                self._all, self._owned(direction, namespace, spec.get("podSelector") or {})
            )
            isolated |= mine
            for rule in spec.get("ingress" if direction == "Ingress" else "egress") or []:
                granted |= self._where(mine, self._network_rule(direction, namespace, rule))
        return isolated, granted

    # --- which packets --------------------------------------------------------------------------

    def _ends(self, direction: str, packet: Packet) -> tuple[Host, Host, str | None]:
        """Return the host that a policy is about, the other one, and the other's address."""
        sender, receiver = self._hosts[packet.sender], self._hosts[packet.receiver]
        if direction == "Egress":
            return sender, receiver, packet.receiver_address
        return receiver, sender, packet.sender_address

    def _about(self, direction: str, subject: Mapping[str, Any]) -> Choose:
        return lambda packet: self._is_any(subject, self._ends(direction, packet)[0], None)

    def _owned(self, direction: str, namespace: str, selector: Mapping[str, Any]) -> Choose:
        def choose(packet: Packet) -> bool:
            host = self._ends(direction, packet)[0]
            return (
                host.namespace == namespace
                and not host.on_host_network
                and satisfies(host.labels, selector)
            )

        return choose

    def _cluster_rule(self, direction: str, rule: Mapping[str, Any]) -> Choose:
        peers = rule["from"] if direction == "Ingress" else rule["to"]
        protocols = rule.get("protocols")

        def choose(packet: Packet) -> bool:
            _, other, address = self._ends(direction, packet)
            return any(self._is_any(peer, other, address) for peer in peers) and (
                protocols is None or any(self._speaks(packet, each) for each in protocols)
            )

        return choose

    def _is_any(self, peer: Mapping[str, Any], host: Host, address: str | None) -> bool:
        (field, value), *others = peer.items()
        if others:
            raise ValueError("A peer has one field")
        if field == "networks":
            return address is not None and any(_within(address, each) for each in value)
        if host.namespace is None or host.on_host_network:
            return False
        space = self._namespaces[host.namespace]
        if field == "namespaces":
            return satisfies(space, value)
        if field == "pods":
            return satisfies(space, value.get("namespaceSelector") or {}) and satisfies(
                host.labels, value["podSelector"]
            )
        raise ValueError(f"No peer has {field}")

    def _speaks(self, packet: Packet, protocol: Mapping[str, Any]) -> bool:
        name = protocol.get("destinationNamedPort")
        if name:
            named = self._hosts[packet.receiver].named_ports
            return named.get((packet.protocol, name)) == packet.port
        wanted = protocol.get(packet.protocol.lower())
        if wanted is None:
            return False
        port = wanted.get("destinationPort")
        if port is None:
            return True
        first = port.get("number") or port["range"]["start"]
        last = port.get("number") or port["range"]["end"]
        return packet.port in range(first, last + 1)

    def _network_rule(self, direction: str, namespace: str, rule: Mapping[str, Any]) -> Choose:
        peers = rule.get("from" if direction == "Ingress" else "to") or []
        ports = rule.get("ports") or []

        def choose(packet: Packet) -> bool:
            _, other, address = self._ends(direction, packet)
            # "If this field is empty or missing, this rule matches all."
            return (
                not peers or any(self._is_peer(each, namespace, other, address) for each in peers)
            ) and (not ports or any(self._is_port(packet, each) for each in ports))

        return choose

    def _is_peer(
        self, peer: Mapping[str, Any], namespace: str, host: Host, address: str | None
    ) -> bool:
        block = peer.get("ipBlock")
        if block is not None:
            return (
                address is not None
                and _within(address, block["cidr"])
                and not any(_within(address, each) for each in block.get("except") or [])
            )
        if host.namespace is None or host.on_host_network:
            return False
        if "namespaceSelector" in peer:
            there = satisfies(self._namespaces[host.namespace], peer["namespaceSelector"])
        else:
            there = host.namespace == namespace
        return there and satisfies(host.labels, peer.get("podSelector") or {})

    def _is_port(self, packet: Packet, port: Mapping[str, Any]) -> bool:
        if packet.protocol != (port.get("protocol") or "TCP"):
            return False
        wanted = port.get("port")
        if wanted is None:
            return True
        if isinstance(wanted, str):
            named = self._hosts[packet.receiver].named_ports
            return named.get((packet.protocol, wanted)) == packet.port
        return bool(wanted <= packet.port <= port.get("endPort", wanted))


def satisfies(labels: Mapping[str, str], selector: Mapping[str, Any]) -> bool:
    """Tell whether labels satisfy a LabelSelector: both parts of it are ANDed."""
    tests: dict[str, Callable[[str, Sequence[str]], bool]] = {
        "In": lambda key, values: labels.get(key) in values,
        "NotIn": lambda key, values: labels.get(key) not in values,
        "Exists": lambda key, _: key in labels,
        "DoesNotExist": lambda key, _: key not in labels,
    }
    return set((selector.get("matchLabels") or {}).items()) <= set(labels.items()) and all(
        tests[each["operator"]](each["key"], each.get("values") or [])
        for each in selector.get("matchExpressions") or []
    )


def _within(address: str, cidr: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(cidr)
