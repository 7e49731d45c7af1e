"""Label selectors: compiled once, and answered for a whole population by an index.

A set of members is an integer with one bit each: ten thousand namespaces are 1.25 KB, and
"all but these" costs no more than "these".
"""

from collections.abc import Iterable, Mapping
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
    """Which members of a population a selector selects; each selector is asked once.

    A member has a position and labels. It may get other labels, leave, and come back.
    """

    def __init__(self) -> None:
        self.everybody = 0
        self._labels: dict[int, Labels] = {}
        self._pairs: dict[tuple[str, str], int] = {}
        self._keys: dict[str, int] = {}
        self._known: dict[Selector, int] = {}

    def put(self, position: int, labels: Labels | None) -> None:
        """Give the member at a position its labels; nothing means that it leaves."""
        if labels is not None and self._labels.get(position) == labels:
            return
        bit = 1 << position
        for key, value in (self._labels.pop(position, None) or {}).items():
            self._pairs[key, value] &= ~bit
            self._keys[key] &= ~bit
        self.everybody &= ~bit
        if labels is not None:
            self._labels[position] = labels
            self.everybody |= bit
            for key, value in labels.items():
                self._pairs[key, value] = self._pairs.get((key, value), 0) | bit
                self._keys[key] = self._keys.get(key, 0) | bit
        for selector, known in self._known.items():
            selected = labels is not None and matches(selector, labels)
            if bool(known & bit) != selected:
                self._known[selector] = known ^ bit

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


def gathered(positions: Iterable[int]) -> int:
    """Return the set with these members."""
    positions = list(positions)
    octets = bytearray(max(positions, default=0) // 8 + 1)
    for position in positions:
        octets[position >> 3] |= 1 << (position & 7)
    return int.from_bytes(octets, "little")
