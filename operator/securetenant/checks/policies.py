"""NetworkPolicies and ClusterNetworkPolicies as values: equal parts are the same value.

Sources: Kubernetes API, networking/v1 NetworkPolicy; network-policy-api, v1alpha2,
ClusterNetworkPolicy.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple, TypeVar

from securetenant.checks import blocks, ports, selectors
from securetenant.checks.blocks import Block
from securetenant.checks.ports import Ports
from securetenant.checks.selectors import Selector

Direction = Literal["Ingress", "Egress"]
Action = Literal["Accept", "Deny", "Pass"]
SIDES: dict[Direction, str] = {"Ingress": "from", "Egress": "to"}
_T = TypeVar("_T")
_NOT_UNDERSTOOD = (AttributeError, KeyError, TypeError, ValueError)
_ACTIONS = ("Accept", "Deny", "Pass")


class Opener(NamedTuple):
    """What allows one direction: a rule, or that nothing isolates the pod."""

    policy: str
    """The policy's name; empty when none isolates the pod."""
    rule: int
    """The position in its ingress or egress, from 0; -1 when no rule is meant."""
    namespace: str = ""
    """The policy's namespace; empty for a policy of the whole cluster."""
    kind: str = "NetworkPolicy"
    name: str = ""
    """The rule's own name, which only a ClusterNetworkPolicy has."""

    def __str__(self) -> str:
        if not self.policy:
            return "no isolation"
        rule = "" if self.rule < 0 else f", rule {self.rule}"
        return f"{self.kind} {self.policy}{rule}" + (f" ({self.name})" if self.name else "")


UNISOLATED = Opener("", -1)


class Peer(NamedTuple):
    """Whom a rule names."""

    namespaces: Selector | None
    """Absent: the policy's own namespace."""
    pods: Selector
    block: Block | None


class Rule(NamedTuple):
    """One rule of a NetworkPolicy."""

    peers: tuple[Peer, ...] | None
    """Nothing: everybody."""
    ports: Ports
    opener: Opener


class Policy(NamedTuple):
    """A NetworkPolicy."""

    name: str
    subject: Selector
    rules: dict[Direction, tuple[Rule, ...]]
    """By each direction that it isolates."""


class TierRule(NamedTuple):
    """One rule of a ClusterNetworkPolicy."""

    action: Action
    peers: tuple[Peer, ...]
    """Those that can be evaluated."""
    ports: Ports
    opener: Opener
    is_whole: bool
    """Whether all of its peers, and its ports, can be evaluated."""


class ClusterPolicy(NamedTuple):
    """A ClusterNetworkPolicy."""

    name: str
    is_admin: bool
    priority: int
    namespaces: Selector
    pods: Selector
    rules: dict[Direction, tuple[TierRule, ...]]
    unknown: tuple[str, ...]
    """What in it cannot be evaluated, said for people."""


class Compiler:
    """Turns policies into values, and notes what they look at."""

    def __init__(self) -> None:
        self.values: dict[str, set[str]] = {}
        """Labels of pods that some selector looks at, and the values that it names."""
        self.port_names: set[str] = set()
        self.parts = 0
        """Grows with all that tells pods apart."""
        self._read: dict[str, tuple[tuple[Peer, ...] | None, Ports]] = {}
        self._same: dict[Any, Any] = {}
        self._blocks: list[Block] = []

    def heed(self, key: str, values: Iterable[str]) -> None:
        """Tell pods apart by whether they have a label, and one of these values."""
        known = self.values.get(key)
        if known is None:
            self.values[key] = known = set()
            self.parts += 1
        before = len(known)
        known.update(values)
        self.parts += len(known) - before

    def heed_ports(self, found: Ports) -> None:
        """Tell pods apart by the ports that have these names."""
        before = len(self.port_names)
        self.port_names.update(name for _, name in found.names)
        self.parts += len(self.port_names) - before

    def new_blocks(self) -> list[Block]:
        """Return the blocks that were not returned before."""
        found, self._blocks = self._blocks, []
        return found

    def network_policy(self, body: Mapping[str, Any]) -> Policy:
        """Return a NetworkPolicy; one that is not understood opens everything."""
        try:
            return self._network_policy(body)
        except _NOT_UNDERSTOOD:
            metadata = body["metadata"]
            opener = Opener(str(metadata["name"]), -1, str(metadata["namespace"]))
            rules = (Rule(None, Ports(ports.EVERY), opener),)
            return Policy(opener.policy, (), dict.fromkeys(SIDES, rules))

    def _network_policy(self, body: Mapping[str, Any]) -> Policy:
        """Return it; absent policyTypes mean what the API server makes of them."""
        spec, metadata = body["spec"], body["metadata"]
        types = spec.get("policyTypes") or (
            ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]
        )
        name, namespace = str(metadata["name"]), str(metadata["namespace"])
        return Policy(
            name,
            self._pods(spec.get("podSelector") or {}),
            {
                direction: tuple(
                    self._rule(rule, direction, Opener(name, at, namespace))
                    for at, rule in enumerate(spec.get(direction.lower()) or ())
                )
                for direction in SIDES
                if direction in types
            },
        )

    def _rule(self, body: Mapping[str, Any], direction: Direction, opener: Opener) -> Rule:
        # Most namespaces have the same rules, and reading one takes longer than writing it down.
        text = repr((body.get(SIDES[direction]), body.get("ports")))
        known = self._read.get(text)
        if known is None:
            peers = body.get(SIDES[direction])
            found = self._once(ports.compiled(body.get("ports")))
            self.heed_ports(found)
            named = self._once(tuple(map(self._peer, peers))) if peers else None
            self._read[text] = known = (named, found)
        return Rule(*known, opener)

    def _peer(self, body: Mapping[str, Any]) -> Peer:
        raw = body.get("ipBlock")
        if raw is not None:
            return Peer(None, (), self._block(blocks.compiled(raw)))
        spaces = body.get("namespaceSelector")
        return Peer(
            None if spaces is None else self._once(selectors.compiled(spaces)),
            self._pods(body.get("podSelector") or {}),
            None,
        )

    def cluster_policy(self, body: Mapping[str, Any]) -> ClusterPolicy:
        """Return a ClusterNetworkPolicy, and what in it cannot be evaluated.

        What is not understood about its subject selects every pod. One that is not understood at
        all does nothing, and says so of every pod.
        """
        try:
            return self._cluster_policy(body)
        except _NOT_UNDERSTOOD:
            told = ("whose form is not that of v1alpha2",)
            none: dict[Direction, tuple[TierRule, ...]] = {"Ingress": (), "Egress": ()}
            return ClusterPolicy(str(body["metadata"]["name"]), True, 0, (), (), none, told)

    def _cluster_policy(self, body: Mapping[str, Any]) -> ClusterPolicy:
        spec, name = body["spec"], str(body["metadata"]["name"])
        unknown: list[str] = []
        namespaces, pods = self._subject(spec.get("subject") or {}, unknown)
        rules: dict[Direction, tuple[TierRule, ...]] = {
            direction: tuple(
                self._tier_rule(rule, direction, Opener(name, at), unknown)
                for at, rule in enumerate(spec.get(direction.lower()) or ())
            )
            for direction in SIDES
        }
        if spec.get("tier") not in ("Admin", "Baseline"):
            unknown.append(f"tier {spec.get('tier')}")
        return ClusterPolicy(
            name,
            spec.get("tier") != "Baseline",
            int(spec.get("priority") or 0),
            namespaces,
            pods,
            rules,
            tuple(unknown),
        )

    def _subject(self, body: Mapping[str, Any], unknown: list[str]) -> tuple[Selector, Selector]:
        if set(body) == {"namespaces"}:
            return self._once(selectors.compiled(body["namespaces"])), ()
        if set(body) == {"pods"}:
            spaces = selectors.compiled(body["pods"].get("namespaceSelector") or {})
            return self._once(spaces), self._pods(body["pods"].get("podSelector") or {})
        unknown.append(f"subject by {_listed(body)}")
        return (), ()

    def _tier_rule(
        self, body: Mapping[str, Any], direction: Direction, opener: Opener, unknown: list[str]
    ) -> TierRule:
        opener = opener._replace(kind="ClusterNetworkPolicy", name=str(body.get("name") or ""))
        action = body.get("action")
        peers: list[Peer] = []
        odd = []
        for each in body.get(SIDES[direction]) or ():
            found = self._tier_peers(each)
            if found is None:
                odd.append(f"peers by {_listed(each)}")
            else:
                peers += found
        entries = ports.protocols(body.get("protocols"))
        if entries is None:
            odd.append("its protocols")
        else:
            self.heed_ports(entries)
        if action not in _ACTIONS:
            odd.append(f"action {action}")
        # A Deny that is not understood is left out: then more is open, which is the safe answer.
        if odd and action != "Deny":
            told = " and ".join(sorted(set(odd)))
            unknown.append(f"{direction.lower()} rule {opener.rule}, {action}: {told}")
        return TierRule(
            action if action in _ACTIONS else "Pass",
            self._once(tuple(peers)),
            self._once(entries or Ports(())),
            opener,
            not odd,
        )

    def _tier_peers(self, body: Mapping[str, Any]) -> list[Peer] | None:
        if set(body) == {"namespaces"}:
            return [Peer(self._once(selectors.compiled(body["namespaces"])), (), None)]
        if set(body) == {"pods"}:
            spaces = selectors.compiled(body["pods"].get("namespaceSelector") or {})
            pods = self._pods(body["pods"].get("podSelector") or {})
            return [Peer(self._once(spaces), pods, None)]
        if set(body) == {"networks"}:
            return [
                Peer(None, (), self._block(Block(blocks.cidr(each)))) for each in body["networks"]
            ]
        return None

    def _pods(self, body: Mapping[str, Any]) -> Selector:
        selector = self._once(selectors.compiled(body))
        for each in selector:
            self.heed(each.key, each.values)
        return selector

    def _block(self, block: Block) -> Block:
        if block not in self._same:
            self._blocks.append(block)
        return self._once(block)

    def _once(self, value: _T) -> _T:
        known: _T = self._same.setdefault(value, value)
        return known


def _listed(fields: Iterable[str]) -> str:
    return ", ".join(sorted(fields)) or "nothing"
