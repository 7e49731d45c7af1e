"""What is to be written in one namespace, in which order.

Pure, so that the same answer serves who writes, who only shows a plan, and who stands by. What is
withdrawn closes before anything else is done; nobody has access, and no pod is admitted, before the
walls are there and the quota is counted.
"""

from enum import Enum
from typing import NamedTuple

from securetenant.api import kinds, names
from securetenant.api.objects import Ref
from securetenant.plan import expected
from securetenant.plan.expected import Expected, Inside
from securetenant.plan.ownership import QuotaFacts


class Verb(Enum):
    """What a step does."""

    CREATE = "create"
    """Make the namespace, which must not exist."""
    WITHDRAW = "withdraw"
    """Delete what nobody wants."""
    MARK = "mark"
    """Put our own labels on the namespace: it admits no pod by them."""
    APPLY = "apply"
    """Write a wall, or a grant."""
    OPEN = "open"
    """Put the label ready-for on the namespace: pods are admitted."""


class Step(NamedTuple):
    """One write."""

    verb: Verb
    ref: Ref


def steps(wanted: Expected, inside: Inside, *, is_lifted: bool = False) -> tuple[Step, ...]:
    """Return every write that the namespace still needs, in order.

    ``is_lifted`` says that the limit of the quota makes room for what is missing. The quota has to
    be counted, and the share to be settled, before the steps after the walls.
    """
    is_new = wanted.namespace not in inside
    first = walls(wanted, inside, is_lifted=is_lifted)
    found = [Step(Verb.CREATE, wanted.namespace)] if is_new else []
    found += [Step(Verb.WITHDRAW, ref) for ref in withdrawals(wanted, inside)]
    if not is_new and not expected.is_claimed(wanted, inside):
        found.append(Step(Verb.MARK, wanted.namespace))
    found += [Step(Verb.APPLY, ref) for ref in first]
    found += [Step(Verb.APPLY, ref) for ref in grants(wanted, inside) if ref not in first]
    if is_new or expected.differs(wanted, wanted.namespace, inside):
        found.append(Step(Verb.OPEN, wanted.namespace))
    return tuple(found)


def withdrawals(wanted: Expected, inside: Inside) -> tuple[Ref, ...]:
    """Return what is there and nobody wants."""
    return tuple(
        ref
        for ref in expected.pending(wanted, inside)
        if ref != wanted.namespace and ref not in wanted.digests
    )


def walls(wanted: Expected, inside: Inside, *, is_lifted: bool) -> tuple[Ref, ...]:
    """Return the TenantPolicy and the walls that differ, and grants that exist and differ.

    New grants come only after all walls, unless the quota is lifted, and counted so: then what it
    was lifted for comes, and the quota is limited again when that is there.
    """
    found = _pending(wanted, inside)
    if not (is_lifted and _is_enforced(wanted, inside)):
        found = [ref for ref in found if not is_new_grant(ref, inside)]
    if not expected.is_ready_for(wanted, inside):
        # What runs in a namespace that is taken was open until now: it is cut off from nothing
        # that the spec declares.
        found.sort(key=lambda ref: ref.name == names.DEFAULT_DENY and ref not in inside)
    if is_lifted:
        found.sort(key=lambda ref: ref == wanted.quota)
    elif not expected.is_ready_for(wanted, inside):
        # No pod comes yet, so a new quota may come last and count all objects at once: the API
        # server writes the status of one that is there for each object that is made.
        found.sort(key=lambda ref: ref == wanted.quota and ref not in inside)
    return tuple(found)


def grants(wanted: Expected, inside: Inside) -> tuple[Ref, ...]:
    """Return the grants that are missing or differ."""
    return tuple(ref for ref in _pending(wanted, inside) if ref.kind == kinds.ROLE_BINDING.name)


def is_new_grant(ref: Ref, inside: Inside) -> bool:
    """Tell whether an object gives access that nobody has yet."""
    return ref.kind == kinds.ROLE_BINDING.name and ref not in inside


def _pending(wanted: Expected, inside: Inside) -> list[Ref]:
    return [ref for ref in expected.pending(wanted, inside) if ref in wanted.digests]


def _is_enforced(wanted: Expected, inside: Inside) -> bool:
    quota = inside.get(wanted.quota)
    facts = None if quota is None else quota.facts
    return isinstance(facts, QuotaFacts) and facts.enforced == facts.hard
