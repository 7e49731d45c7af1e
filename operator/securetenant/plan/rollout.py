"""Which tenants follow changed TenancySettings next: a few first, none after harm was seen.

Pure: who waits, who moved and how they stand go in, the next ones to move come out.
"""

import enum
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from securetenant.api.tenancysettings import SettingsSpec

_FIRST = 7
"""Until so many have moved nobody may become unhealthy; then one may, whatever ails it."""
_TOLERATED = 50
"""In a large fleet one tenant in so many may become unhealthy without a halt."""
_SHARE = 10
"""No wave is more than one in so many of the fleet, unless the fleet is small."""
_SMALL = 8
"""A wave of this size is never too large."""


class Health(enum.Enum):
    """How a tenant stands."""

    READY = enum.auto()
    WORKING = enum.auto()
    """Not ready, for reasons that go away by themselves."""
    UNHEALTHY = enum.auto()
    """Not ready until somebody acts."""


@dataclass(frozen=True, kw_only=True)
class Situation:
    """A roll-out as it stands."""

    fleet: int
    """How many tenants there are."""
    waiting: Sequence[str]
    """Tenants whose turn has not come, in the order of their turns."""
    moved: int
    """How many had their turn already, those aside that an earlier roll-out harmed."""
    working: Collection[str]
    """Those that were healthy before their turn and are not done with it."""
    harmed: Collection[str]
    """Those that were healthy before their turn and are unhealthy now."""
    halted: bool = False
    """Whether it was halted before, and nobody asked to go on."""


class Decision(NamedTuple):
    """What follows from a situation."""

    turns: tuple[str, ...]
    """Tenants whose turn comes now."""
    halted: bool


def decide(situation: Situation) -> Decision:
    """Let the next wave go, wait for the last one, or halt.

    Waves double (1, 2, 4, 8) and end at a tenth of the fleet. A halt stays, since tenants that
    recover for a moment are no reason to go on.
    """
    if not situation.waiting:
        return Decision((), halted=False)
    if situation.halted or len(situation.harmed) > tolerated(situation.moved):
        return Decision((), halted=True)
    if situation.working:
        return Decision((), halted=False)
    return Decision(
        tuple(situation.waiting[: wave(situation.moved, situation.fleet)]), halted=False
    )


def tolerated(moved: int) -> int:
    """Return how many of those that moved may have become unhealthy."""
    return max(1, moved // _TOLERATED) if moved >= _FIRST else 0


def wave(moved: int, fleet: int) -> int:
    """Return how many tenants may move at once, after so many."""
    return min(moved + 1, max(_SMALL, fleet // _SHARE))


def held(followed: SettingsSpec, newest: SettingsSpec) -> SettingsSpec:
    """Return the settings by which a tenant is kept until its turn comes.

    What shapes objects stays as it was. What only refuses is never old: bounds, protected names,
    teardowns; of the objects in place only quotas that lack a key of the bounds change by it.
    """
    return followed.model_copy(
        update={
            "bounds": newest.bounds,
            "protected_names": newest.protected_names,
            "mirror_pods": newest.mirror_pods,
            "teardowns_per_hour": newest.teardowns_per_hour,
        }
    )
