"""The quota ledger: who may have how much of a tenant's total, now.

Admission counts by a quota's ``status.hard``, which follows its ``spec.hard`` a moment later.
So a share grows only when what the others may still use, by either, leaves room for it;
shrinking needs no room. Held only by the tenant's key: parallel namespaces would otherwise
take the same room twice.
"""

from collections.abc import Mapping
from typing import NamedTuple

from securetenant.api import quantities

Units = Mapping[str, int]
"""Amounts by resource, in whole units (:mod:`securetenant.api.quantities`)."""


class Part(NamedTuple):
    """What a namespace is to get: a fixed part by resource, and its weight for the others."""

    weight: int
    fixed: Units


class Ledger(NamedTuple):
    """Shares that may be written now."""

    shares: Mapping[str, Units]
    """By namespace; every resource of the total is in each."""
    waiting: frozenset[str]
    """Namespaces whose share is not yet what it will be."""
    overcommitted: str
    """What needs more than there is, for people; then no share grows. Empty when all fits."""


def balance(
    total: Units, parts: Mapping[str, Part], reserved: Units, exposure: Mapping[str, Units]
) -> Ledger:
    """Decide every share.

    ``reserved`` is what namespaces hold that are no longer in the spec; ``exposure`` what
    each namespace may use at this moment: the largest of its quota's spec, its status, and
    of shares that were given and are not yet seen to be in force.
    """
    targets, overcommitted = _targets(total, parts, reserved)
    shares: dict[str, dict[str, int]] = {name: {} for name in parts}
    waiting = set()
    for resource, amount in total.items():
        used = reserved.get(resource, 0) + sum(held.get(resource, 0) for held in exposure.values())
        for name in sorted(parts):
            held = exposure.get(name, {}).get(resource, 0)
            target = held if overcommitted else targets[name][resource]
            growth = target - held
            if growth > 0 and used + growth > amount:
                target = held
                waiting.add(name)
            used += max(growth, 0) if target > held else 0
            shares[name][resource] = target
    return Ledger(shares, frozenset(waiting), overcommitted)


def _targets(
    total: Units, parts: Mapping[str, Part], reserved: Units
) -> tuple[dict[str, dict[str, int]], str]:
    """Return the shares as they are to be in the end, and what does not fit."""
    targets: dict[str, dict[str, int]] = {name: {} for name in parts}
    problems = [
        f"namespace {name} fixes {resource}, of which the tenant has no total"
        for name, part in sorted(parts.items())
        for resource in sorted(part.fixed.keys() - total.keys())
    ]
    for resource, amount in sorted(total.items()):
        fixed = {
            name: part.fixed[resource] for name, part in parts.items() if resource in part.fixed
        }
        free = amount - reserved.get(resource, 0) - sum(fixed.values())
        if free < 0:
            problems.append(_shortage(resource, amount, reserved.get(resource, 0), fixed))
        shared = _split(
            max(free, 0),
            {name: part.weight for name, part in parts.items() if name not in fixed},
            quantities.step(resource, max(free, 0)),
        )
        for name in parts:
            targets[name][resource] = fixed.get(name, shared.get(name, 0))
    return targets, "; ".join(problems)


def _shortage(resource: str, amount: int, reserved: int, fixed: Units) -> str:
    text = f"{resource}: {quantities.canonical(resource, sum(fixed.values()))} in fixed parts"
    if reserved:
        text += f" and {quantities.canonical(resource, reserved)} in retained namespaces"
    return f"{text}, {quantities.canonical(resource, amount)} in total"


def _split(amount: int, weights: Mapping[str, int], step: int) -> dict[str, int]:
    """Split by weight in whole steps; what is left goes to the largest remainders."""
    whole = sum(weights.values())
    if not whole:
        return {}
    steps = amount // step
    shares = {name: steps * weight // whole for name, weight in weights.items()}
    order = sorted(weights, key=lambda name: (-(steps * weights[name] % whole), name))
    for name in order[: steps - sum(shares.values())]:
        shares[name] += 1
    return {name: share * step for name, share in shares.items()}
