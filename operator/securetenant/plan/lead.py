"""Which of several operators leads, by what each of them saw of one Lease and when.

Only the one that leads may write. It stops by itself at its deadline, and the others wait for
longer than that: nobody has to be reached to be stopped. All times are of one process's own clock,
which only has to run: the times in a Lease are of other clocks, and for people.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Any, NamedTuple

MOST_SECONDS = 60
"""How long a Lease counts at most, whatever it says: the fence lets the operator write no more."""
_RELEASED_SECONDS = 1
"""How long a Lease that was let go of says that it counts."""
_FORMER_WRITES = 16
"""How many writes without an answer are remembered: a later one than that has long ended."""


class Timing(NamedTuple):
    """How long everything takes, in seconds; derived from how long a Lease counts."""

    lease: int

    @property
    def deadline(self) -> float:
        """Return for how long after the beginning of a renewal the leader may write.

        The others wait for the whole Lease since they saw that renewal: half as long again, by
        which one clock may be faster than another.
        """
        return self.lease * 2 / 3

    @property
    def retry(self) -> float:
        """Return after how long the Lease is renewed, or looked at, again."""
        return self.lease * 2 / 15


class Claim(NamedTuple):
    """What a Lease says; any of it may have been written by anybody."""

    holder: str = ""
    seconds: int = 0
    acquired: str = ""
    renewed: str = ""
    transitions: int = 0

    @property
    def is_released(self) -> bool:
        """Tell whether the last holder let go of it; one that is only emptied may have one."""
        return not self.holder and 0 < self.seconds <= _RELEASED_SECONDS

    def spec(self) -> dict[str, Any]:
        """Return it as the Lease's spec."""
        return {
            "holderIdentity": self.holder,
            "leaseDurationSeconds": self.seconds,
            "acquireTime": self.acquired,
            "renewTime": self.renewed,
            "leaseTransitions": self.transitions,
        }


def read(spec: Mapping[str, Any]) -> Claim:
    """Return what the spec of a Lease says."""
    return Claim(
        holder=str(spec.get("holderIdentity") or ""),
        seconds=int(spec.get("leaseDurationSeconds") or 0),
        acquired=str(spec.get("acquireTime") or ""),
        renewed=str(spec.get("renewTime") or ""),
        transitions=int(spec.get("leaseTransitions") or 0),
    )


class Action(Enum):
    """What to do about the Lease."""

    WAIT = auto()
    """Somebody else may lead."""
    TAKE = auto()
    """Nobody else leads: write it, if it is still as it was seen."""
    RENEW = auto()
    """It is ours: write it again, if it is still as it was seen."""


@dataclass(frozen=True, kw_only=True)
class View:
    """What one process knows of the Lease."""

    me: str
    """Who it is: no other process, and no earlier one, has this name."""
    claim: Claim | None = None
    """What the Lease said when it was seen last; nothing: there was none."""
    since: float | None = None
    """When it was first seen like this; nothing: it was never looked at."""
    was_there: bool = False
    """Whether a Lease was ever seen."""
    written: tuple[Claim, ...] = field(default=())
    """What this process wrote and may be in force: answers get lost."""
    has_led: bool = False
    deadline: float = float("-inf")
    """Until when this process may write."""
    is_displaced: bool = False
    """Whether somebody else may have led since this process did: what it remembers may be old."""

    @property
    def is_mine(self) -> bool:
        """Tell whether the Lease says what this process wrote: a name by itself proves nothing."""
        return self.claim is not None and self.claim in self.written

    def leads(self, now: float) -> bool:
        """Tell whether this process may write."""
        return now < self.deadline


def see(view: View, claim: Claim | None, now: float) -> View:
    """Take the Lease as it was just read; not to find there what one wrote ends the lead."""
    is_same = view.since is not None and view.claim == claim
    seen = replace(
        view,
        claim=claim,
        since=view.since if is_same else now,
        was_there=view.was_there or claim is not None,
    )
    if seen.is_mine or (claim is None and seen.leads(now)):
        # The others wait after a deletion too, so the leader has the time to put it back.
        return seen
    return replace(
        seen,
        deadline=float("-inf"),
        is_displaced=view.is_displaced or view.has_led,
    )


def step(view: View, now: float, timing: Timing) -> Action:
    """Decide what to do about the Lease as it was last seen."""
    claim = view.claim
    if view.since is None or view.is_displaced:
        return Action.WAIT
    if view.is_mine:
        return Action.RENEW
    # Where there never was a Lease, there never was a leader.
    is_free = (not view.was_there or view.leads(now)) if claim is None else claim.is_released
    return Action.TAKE if is_free or now >= runs_out(view, timing) else Action.WAIT


def runs_out(view: View, timing: Timing) -> float:
    """Return when the Lease as it was last seen stops counting, if nobody renews it."""
    if view.since is None:
        return float("inf")
    if view.claim is None:
        return view.since + timing.lease
    # Shorter than our own it may have been made by an edit that its holder does not know of.
    return view.since + min(max(view.claim.seconds, timing.lease), MOST_SECONDS)


def write(view: View, action: Action, stamp: str, timing: Timing) -> tuple[View, Claim]:
    """Return what to write, and the view of one who is about to write it."""
    known = view.claim
    if action is Action.RENEW and known is not None:
        claim = known._replace(seconds=timing.lease, renewed=stamp)
    else:
        transitions = 0 if known is None else known.transitions + 1
        claim = Claim(view.me, timing.lease, stamp, stamp, transitions)
    return replace(view, written=(*view.written, claim)[-_FORMER_WRITES:]), claim


def won(view: View, claim: Claim, *, began: float, now: float, timing: Timing) -> View:
    """Take that the write that began then went well: the deadline counts from its beginning."""
    return replace(
        view,
        claim=claim,
        since=now,
        was_there=True,
        written=(claim,),
        has_led=True,
        deadline=began + timing.deadline,
    )


def rejoin(view: View) -> View:
    """Take that the process remembers nothing any more of when it led."""
    return replace(view, written=(), has_led=False, is_displaced=False, deadline=float("-inf"))


def leave(view: View, stamp: str) -> tuple[View, Claim | None]:
    """Lead no more, at once; return what to write so that others need not wait, if it is ours."""
    left = replace(view, deadline=float("-inf"))
    if view.claim is None or not view.is_mine:
        return left, None
    return left, view.claim._replace(holder="", seconds=_RELEASED_SECONDS, renewed=stamp)
