"""How a tenant is locked down, from not at all to cut off."""

from typing import Any, Literal, get_args

Lockdown = Literal["None", "Frozen", "Quarantined"]
NONE: Lockdown = "None"
FROZEN: Lockdown = "Frozen"
QUARANTINED: Lockdown = "Quarantined"
_IN_ORDER: tuple[Lockdown, ...] = get_args(Lockdown)


def read(asked: Any) -> Lockdown:
    """Return what a stored value means; one of a newer version locks at least as much as Frozen."""
    if asked is None:
        return NONE
    return next((each for each in _IN_ORDER if each == asked), FROZEN)


def strictest(one: Lockdown, other: Lockdown) -> Lockdown:
    """Return the one that locks more."""
    return max(one, other, key=_IN_ORDER.index)
