"""Label selectors: compiled once, and answered for a whole population by an index.

A set of members is an integer with one bit each: ten thousand namespaces are 1.25 KB, and
"all but these" costs no more than "these".
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

Labels = Mapping[str, str]
Operator = Literal["In", "NotIn", "Exists", "DoesNotExist"]


class Requirement(NamedTuple):
    """One requirement about one key (metav1.LabelSelectorRequirement)."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()
    """Sorted; empty for Exists and DoesNotExist."""


Selector = tuple[Requirement, ...]
"""All requirements must hold; sorted, so that equal selectors are equal values."""


def compiled(body: Mapping[str, Any]) -> Selector:
    """Return a metav1.LabelSelector in one form; ``{}`` selects everything.

    Raises ValueError for an operator that Kubernetes does not have.
    """
    found = {
        Requirement(key, "In", (value,)) for key, value in (body.get("matchLabels") or {}).items()
    }
    for each in body.get("matchExpressions") or ():
        operator = each["operator"]
        if operator not in ("In", "NotIn", "Exists", "DoesNotExist"):
            raise ValueError(f"A label selector has no operator {operator}")
        found.add(Requirement(each["key"], operator, tuple(sorted(set(each.get("values") or ())))))
    return tuple(sorted(found))


def matches(selector: Selector, labels: Labels) -> bool:
    """Tell whether the labels fulfil every requirement.

    ``NotIn`` holds where the key is absent (Kubernetes documentation, "Labels and Selectors").
    """
    for key, operator, values in selector:
        match operator:
            case "In":
                holds = labels.get(key) in values
            case "NotIn":
                holds = labels.get(key) not in values
            case "Exists":
                holds = key in labels
            case "DoesNotExist":
                holds = key not in labels
        if not holds:
            return False
    return True


def members(bits: int) -> Iterable[int]:
    """Yield the positions of the bits that are set."""
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest


class Index:
    """Which members of a fixed population a selector selects; each selector is asked once."""

    def __init__(self, population: Sequence[Labels]) -> None:
        self.everybody = (1 << len(population)) - 1
        pairs: dict[tuple[str, str], list[int]] = {}
        keys: dict[str, list[int]] = {}
        for position, labels in enumerate(population):
            for key, value in labels.items():
                pairs.setdefault((key, value), []).append(position)
                keys.setdefault(key, []).append(position)
        size = len(population)
        self._pairs = {pair: gathered(found, size) for pair, found in pairs.items()}
        self._keys = {key: gathered(found, size) for key, found in keys.items()}
        self._known: dict[Selector, int] = {}

    def select(self, selector: Selector) -> int:
        """Return the set of members that the selector selects."""
        known = self._known.get(selector)
        if known is None:
            known = self.everybody
            for requirement in selector:
                known &= self._fulfil(requirement)
            self._known[selector] = known
        return known

    def _fulfil(self, requirement: Requirement) -> int:
        key, operator, values = requirement
        if operator in ("Exists", "DoesNotExist"):
            found = self._keys.get(key, 0)
        else:
            found = 0
            for value in values:
                found |= self._pairs.get((key, value), 0)
        return found if operator in ("In", "Exists") else self.everybody & ~found


def gathered(positions: Iterable[int], size: int) -> int:
    """Return the set with these members, out of so many."""
    octets = bytearray(size // 8 + 1)
    for position in positions:
        octets[position >> 3] |= 1 << (position & 7)
    return int.from_bytes(octets, "little")
