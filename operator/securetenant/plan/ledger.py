"""The quota ledger: who may have how much of a tenant's total, now.

Admission counts by a quota's ``status.hard``, which follows its ``spec.hard`` a moment later.
So a share grows only when what the others may still use, by either, leaves room for it;
shrinking needs no room. Held only by the tenant's key: parallel namespaces would otherwise
take the same room twice.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from securetenant.api import quantities
from securetenant.plan import pool
from securetenant.plan.pool import Member

Units = Mapping[str, int]
"""Amounts by resource, in whole units (:mod:`securetenant.api.quantities`)."""


class Part(NamedTuple):
    """What a namespace is to get: a fixed part by resource, and its weight for the others."""

    weight: int
    fixed: Units
    guaranteed: Units = {}
    """What a pool keeps free for it."""
    most: Units = {}
    """What a pool never passes; the total where it says nothing."""


class Use(NamedTuple):
    """What a pool goes by, of one namespace."""

    held: Units | None = None
    """The share that it was given last; None for a namespace that has none yet."""
    used: Units = {}
    """What the API server counts there."""
    wanted: Units = {}
    """The use at which what was refused would have had room."""
    piece: Units = {}
    """What one refused object takes."""


class Pool(NamedTuple):
    """What a pool goes by."""

    uses: Mapping[str, Use]
    """By namespace; every namespace with a part is in it."""
    needs: Units
    """What one object of default size takes; one where it says nothing."""
    is_still: bool = False
    """Whether nothing is written now: then what is given stays."""


class Ledger(NamedTuple):
    """Shares that may be written now."""

    shares: Mapping[str, Units]
    """By namespace; every resource of the total is in each."""
    waiting: frozenset[str]
    """Namespaces whose share is not yet what it will be."""
    overcommitted: str
    """What needs more than there is, for people; then no share grows. Empty when all fits."""
    unmet: tuple[tuple[str, str], ...] = ()
    """Namespaces and resources of which they were refused, where the total has no room for it."""
    reserved: Units = {}
    """What namespaces hold that are no longer in the spec."""


def balance(
    total: Units,
    parts: Mapping[str, Part],
    reserved: Units,
    exposure: Mapping[str, Units],
    shared: Pool | None = None,
) -> Ledger:
    """Decide every share.

    ``reserved`` is what namespaces hold that are no longer in the spec; ``exposure`` what
    each namespace may use at this moment: the largest of its quota's spec, its status, and
    of shares that were given and are not yet seen to be in force. With ``shared`` the shares
    follow use; without, they are fixed.
    """
    targets, overcommitted = _targets(total, parts, reserved, shared)
    shares: dict[str, dict[str, int]] = {name: {} for name in parts}
    waiting = set()
    uses = shared.uses if shared is not None else {}
    for resource, amount in total.items():
        # What is used counts even where a share was taken back below it a moment too late.
        used = {name: use.used.get(resource, 0) for name, use in uses.items()}
        allotted = reserved.get(resource, 0) + sum(
            max(held.get(resource, 0), used.get(name, 0)) for name, held in exposure.items()
        )
        for name in sorted(parts):
            held = exposure.get(name, {}).get(resource, 0)
            target = held if overcommitted else targets[name][resource]
            growth = max(target - max(held, used.get(name, 0)), 0)
            if target > held and allotted + growth > amount:
                target, growth = held, 0
                waiting.add(name)
            allotted += growth
            shares[name][resource] = target
    unmet: tuple[tuple[str, str], ...] = ()
    if shared is not None and not shared.is_still and not overcommitted:
        unmet = tuple(_unmet(targets, shared))
    return Ledger(shares, frozenset(waiting), overcommitted, unmet, reserved)


def _unmet(targets: Mapping[str, Units], shared: Pool) -> Iterator[tuple[str, str]]:
    """Yield who was refused what, and gets no room for a single piece of it."""
    for name, use in sorted(shared.uses.items()):
        for resource, piece in sorted(use.piece.items()):
            if targets[name].get(resource, 0) < use.used.get(resource, 0) + piece:
                yield name, resource


def _targets(
    total: Units, parts: Mapping[str, Part], reserved: Units, shared: Pool | None
) -> tuple[dict[str, dict[str, int]], str]:
    """Return the shares as they are to be in the end, and what does not fit."""
    targets: dict[str, dict[str, int]] = {name: {} for name in parts}
    problems = [
        f"namespace {name} {verb} {resource}, of which the tenant has no total"
        for name, part in sorted(parts.items())
        for verb, given in (
            ("fixes", part.fixed),
            ("is guaranteed", part.guaranteed),
            ("has a max of", part.most),
        )
        for resource in sorted(given.keys() - total.keys())
    ]
    for resource, amount in sorted(total.items()):
        fixed = {
            name: part.fixed[resource] for name, part in parts.items() if resource in part.fixed
        }
        guaranteed = sum(
            part.guaranteed.get(resource, 0) for name, part in parts.items() if name not in fixed
        )
        free = amount - reserved.get(resource, 0) - sum(fixed.values())
        if free < guaranteed:
            problems.append(
                _shortage(resource, amount, reserved.get(resource, 0), fixed, guaranteed)
            )
            continue
        others = {name: part for name, part in parts.items() if name not in fixed}
        open_ = _members(resource, free, others, shared)
        step = quantities.step(resource, free)
        if shared is None:
            found = pool.split(free, open_, step)
        elif shared.is_still and all(each.held is not None for each in open_.values()):
            found = {name: each.held or 0 for name, each in open_.items()}
        else:
            need = shared.needs.get(resource, 1)
            found = pool.allot(free, open_, need=need, step=step)
        for name in parts:
            targets[name][resource] = fixed.get(name, found.get(name, 0))
    return targets, "; ".join(problems)


def _members(
    resource: str, free: int, parts: Mapping[str, Part], shared: Pool | None
) -> dict[str, Member]:
    """Return those who share what is not fixed of a resource."""
    found = {}
    for name, part in parts.items():
        use = shared.uses[name] if shared is not None else Use()
        guaranteed = part.guaranteed.get(resource, 0)
        found[name] = Member(
            weight=part.weight,
            guaranteed=guaranteed,
            most=max(guaranteed, min(part.most.get(resource, free), free)),
            held=None if use.held is None else use.held.get(resource),
            used=use.used.get(resource, 0),
            wanted=use.wanted.get(resource, 0),
            piece=use.piece.get(resource, 0),
        )
    return found


def _shortage(
    resource: str, amount: int, reserved: int, fixed: Mapping[str, int], guaranteed: int
) -> str:
    told = [
        f"{quantities.canonical(resource, count)} {what}"
        for count, what in ((sum(fixed.values()), "in fixed parts"), (guaranteed, "guaranteed"))
        if count or (fixed and what == "in fixed parts")
    ]
    text = f"{resource}: {' and '.join(told)}"
    if reserved:
        text += f" and {quantities.canonical(resource, reserved)} in retained namespaces"
    return f"{text}, {quantities.canonical(resource, amount)} in total"
