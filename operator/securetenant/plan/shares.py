"""Shares of a quota into which no pod of default size fits.

The largest-remainder split of a small total leaves some namespaces with nothing, and a share of the
CPUs may be less than one container gets that says nothing. Such a namespace looks like any other,
until its first pod is refused.
"""

from collections.abc import Mapping
from typing import NamedTuple

from securetenant.api import quantities
from securetenant.api.limits import Effective
from securetenant.plan.ledger import Part, Units


class TooSmall(NamedTuple):
    """A resource of which some shares are too small."""

    resource: str
    namespaces: tuple[str, ...]
    """Whose share is too small, sorted."""
    smallest: int
    """The smallest share."""
    need: int
    """What a pod of default size takes."""
    enough: int
    """The total with which every share would do."""


def needs(limits: Effective) -> dict[str, int]:
    """Return what a pod takes whose one container names no requests and no limits."""
    amounts = {"pods": 1, "count/pods": 1}
    for kind, bound in (("requests", limits.default_request), ("limits", limits.default)):
        for resource, value in bound.items():
            amounts[f"{kind}.{resource}"] = quantities.units(resource, value)
    return amounts


def too_small(
    needs: Units, total: Units, parts: Mapping[str, Part], shares: Mapping[str, Units]
) -> tuple[TooSmall, ...]:
    """Return, by resource, the shares that are below the need.

    A part that the spec fixes is a wish, and so is a total of zero: neither is too small.
    """
    found = []
    for resource in sorted(needs.keys() & total.keys()):
        need, amount = needs[resource], total[resource]
        weights = {name: each.weight for name, each in parts.items() if resource not in each.fixed}
        small = sorted(name for name in weights if shares[name].get(resource, 0) < need)
        if not small or not amount:
            continue
        shared = sum(shares[name].get(resource, 0) for name in weights)
        found.append(
            TooSmall(
                resource,
                tuple(small),
                min(shares[name].get(resource, 0) for name in small),
                need,
                amount - shared + _split_of(resource, amount, need, weights),
            )
        )
    return tuple(found)


def _split_of(resource: str, amount: int, need: int, weights: Mapping[str, int]) -> int:
    """Return what has to be split for the smallest weight to get the need, in whole steps."""
    step = quantities.step(resource, amount)
    steps = -(-need // step)
    return -(-steps * sum(weights.values()) // min(weights.values())) * step
