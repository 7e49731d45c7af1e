"""How much of a tenant's quota is used, for its status: told when it changed enough."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from securetenant.api import quantities

_STEPS = 20
"""A change is reported when the use of a resource passes a twentieth of its total."""


class Held(NamedTuple):
    """What one namespace has of the quota."""

    used: Mapping[str, int]
    kept: Mapping[str, int]
    """What is guaranteed to it, or fixed."""


def summarize(
    total: Mapping[str, int], reserved: Mapping[str, int], namespaces: Iterable[Held]
) -> dict[str, Any]:
    """Return the part ``quota`` of a status: of what is used, or kept for somebody.

    ``reserved`` is what namespaces hold that are no longer in the spec. ``free`` is what is neither
    used nor kept for somebody.
    """
    found = list(namespaces)
    rows, most = [], ("", 0.0)
    for key, amount in sorted(total.items()):
        used = sum(each.used.get(key, 0) for each in found)
        kept = sum(each.kept.get(key, 0) for each in found)
        taken = reserved.get(key, 0) + sum(
            max(each.used.get(key, 0), each.kept.get(key, 0)) for each in found
        )
        row = {
            "resource": key,
            "total": quantities.canonical(key, amount),
            "used": quantities.canonical(key, used),
            "free": quantities.canonical(key, max(amount - taken, 0)),
        }
        if kept:
            row["guaranteed"] = quantities.canonical(key, kept)
        if kept or used:
            rows.append(row)
        if amount and used / amount > most[1]:
            most = (key, used / amount)
    return {"summary": _summary(*most), "resources": rows}


def _summary(key: str, part: float) -> str:
    """Return how much is used at least, in the steps in which it is reported."""
    steps = int(part * _STEPS)
    return f"{key} {steps * 100 // _STEPS}%" if steps else "under 5%"


def is_news(told: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Tell whether the status says too little of what is found."""
    return _outline(told) != _outline(found)


def _outline(value: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    return [
        (
            row["resource"],
            row["total"],
            row.get("guaranteed"),
            _step(row["resource"], row["used"], row["total"]),
        )
        for row in value.get("resources") or ()
    ]


def _step(key: str, used: str, total: str) -> int:
    whole = quantities.units(key, total)
    return quantities.units(key, used) * _STEPS // whole if whole else 0
