"""Pods that stand for all that could be made: a proof about them holds for pods of tomorrow.

A tenant labels its pods as it likes. A flow needs a rule that selects the one pod and names the
other, at both ends, so what counts of a pod is one selector of the policies about its namespace
and one by which a rule elsewhere names it. A pod that fulfils both stands for all that do. What a
selector leaves out counts as well, so each of its requirements is also turned into its opposite.

Complete where a policy isolates every pod of the namespace in both directions (an empty
selector, as default-deny has it) and rules that deny name whole namespaces. Elsewhere what takes
three selectors at once is not tried, such as to miss one rule of a ClusterNetworkPolicy and meet
the next. The pods have every port that some rule names, with a number that stands for any.
Addresses are not imagined: :meth:`securetenant.checks.reachability.World.outside` says what blocks
open.
"""

import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from securetenant.checks import selectors
from securetenant.checks.population import Namespace, Pod
from securetenant.checks.ports import Names
from securetenant.checks.selectors import Index, Labels, Operator, Selector, members

_ANYTHING = "anything"
_FIRST_NUMBER, _NUMBERS = 49152, 16384
"""Ports that nobody has by agreement (RFC 6335, section 6)."""
_OPPOSITES: dict[Operator, Operator] = {
    "In": "NotIn",
    "NotIn": "In",
    "Exists": "DoesNotExist",
    "DoesNotExist": "Exists",
}


def labellings(subjects: Iterable[Selector], named: Iterable[Selector]) -> list[Labels]:
    """Return the labels that pods of one namespace could have, sorted.

    ``subjects`` are the selectors of policies about them, ``named`` those by which rules
    elsewhere name them.
    """
    both = [_sides(subjects), _sides(named)]
    found = {
        tuple(sorted(labels.items()))
        for subject in both[0]
        for other in both[1]
        if (labels := witness((*subject, *other))) is not None
    }
    return [dict(pairs) for pairs in sorted(found)]


def ports(names: Iterable[str]) -> Names:
    """Return the named ports that a pod could have: each name, with a number made of it."""
    return {
        (protocol, name): _FIRST_NUMBER + zlib.crc32(name.encode()) % _NUMBERS
        for name in names
        for protocol in ("SCTP", "TCP", "UDP")
    }


def _sides(given: Iterable[Selector]) -> set[Selector]:
    """Return the selectors, none at all, and the opposite of each requirement."""
    given = set(given)
    opposites = {
        (each._replace(operator=_OPPOSITES[each.operator]),)
        for selector in given
        for each in selector
    }
    return {(), *given, *opposites}


def pods(namespaces: Iterable[Namespace], policies: Iterable[Mapping[str, Any]]) -> Iterator[Pod]:
    """Yield the pods of every namespace by all NetworkPolicies, sorted; names are numbers."""
    spaces = sorted(namespaces, key=lambda each: each.name)
    subjects: dict[str, set[Selector]] = {each.name: set() for each in spaces}
    named: set[tuple[Selector, Selector]] = set()
    for body in policies:
        spec = body["spec"]
        home = subjects.get(body["metadata"]["namespace"])
        if home is None:
            continue
        home.add(selectors.compiled(spec.get("podSelector") or {}))
        named.update(_named(spec))
    index = Index()
    for at, each in enumerate(spaces):
        index.put(at, each.labels)
    wanted: list[set[Selector]] = [set() for _ in spaces]
    for where, who in named:
        for at in members(index.select(where)):
            wanted[at].add(who)
    for space, asked in zip(spaces, wanted, strict=True):
        for number, labels in enumerate(labellings(subjects[space.name], asked)):
            yield Pod(namespace=space.name, name=str(number), labels=labels)


def _named(spec: Mapping[str, Any]) -> Iterator[tuple[Selector, Selector]]:
    """Yield by which namespaces and labels the rules name pods elsewhere."""
    for direction, side in (("ingress", "from"), ("egress", "to")):
        for rule in spec.get(direction) or ():
            for peer in rule.get(side) or ():
                where = peer.get("namespaceSelector")
                if where is not None:
                    yield (
                        selectors.compiled(where),
                        selectors.compiled(peer.get("podSelector") or {}),
                    )


def witness(requirements: Selector) -> Labels | None:
    """Return the fewest labels that fulfil every requirement, or nothing when none can."""
    labels = {}
    for key in sorted({each.key for each in requirements}):
        about = [each for each in requirements if each.key == key]
        excluded = {value for each in about if each.operator == "NotIn" for value in each.values}
        sets = [set(each.values) for each in about if each.operator == "In"]
        must = bool(sets) or any(each.operator == "Exists" for each in about)
        if must and any(each.operator == "DoesNotExist" for each in about):
            return None
        if sets:
            allowed = set.intersection(*sets) - excluded
            if not allowed:
                return None
            labels[key] = min(allowed)
        elif must:
            value = _ANYTHING
            while value in excluded:
                value += "-else"
            labels[key] = value
    return labels
