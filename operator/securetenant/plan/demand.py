"""What namespaces use of their quota, and what was refused them for lack of room.

Both come from the cluster: the status of each ResourceQuota, and the events of controllers that
could not make a pod or a claim. What is remembered of a refusal is forgotten after a while: a
controller that still wants the object is refused again, and says so.
"""

import re
import sys
from collections.abc import Callable, Mapping
from typing import NamedTuple

from securetenant.api import names, quantities
from securetenant.plan.ledger import Units

_REFUSED = re.compile(
    rf"exceeded quota: {names.QUOTA}, requested: (\S+), used: (\S+), limited: (\S+)"
)
MET_SECONDS = 30.0
"""How long room is kept for what was refused: controllers try again within that."""
_UNMET_SECONDS = 1200.0
"""How long a refusal counts for which there was no room: controllers try again after 1,000 seconds
at the latest (kube-controller-manager, the longest delay of its queues)."""
_FIRST = 8
"""How many pieces room is made for at once: a controller waits longer after each refusal."""
_GROWTH = 4
"""How many times as many after each time that they did not do."""
_MOST_STEPS = 5
_KEYS = 48
"""How many resources a refusal may be about: as many as a quota has."""


class Refusal(NamedTuple):
    """What the API server said when it refused an object for the quota."""

    asked: Units
    limited: Units


class Wish(NamedTuple):
    """What one namespace asks for."""

    wanted: Units
    """The use at which what was refused would have had room."""
    asked: Units
    """How much more that was than what was used then."""
    piece: Units
    """What one object takes."""
    limited: Units
    """The share by which it was refused."""
    steps: int
    at: float
    """When it was refused last, in seconds."""


def read(message: str) -> Refusal | None:
    """Return what a message says of our quota; nothing where it says nothing, or nonsense."""
    found = _REFUSED.search(message)
    if found is None:
        return None
    try:
        return Refusal(_units(found[1]), _units(found[3].rstrip(".")))
    except ValueError:
        return None


def _units(listed: str) -> Units:
    pairs = [each.split("=", 1) for each in listed.split(",")][:_KEYS]
    if any(len(each) != len(("key", "value")) for each in pairs):
        raise ValueError("no list of quantities")
    return {key: quantities.units(key, value) for key, value in pairs}


class Demand:
    """Use and wishes, by namespace."""

    def __init__(self, now: Callable[[], float]) -> None:
        """``now`` gives seconds."""
        self._now = now
        self._used: dict[str, dict[str, int]] = {}
        self._wishes: dict[str, Wish] = {}

    def observe(self, namespace: str, used: Mapping[str, str], enforced: Mapping[str, str]) -> bool:
        """Take the status of a quota; tell whether use is another than before.

        ``enforced`` is its ``hard``.
        """
        # There may be ten thousand namespaces, and most use little.
        found = {
            sys.intern(key): count
            for key, value in used.items()
            if (count := quantities.units(key, value))
        }
        before = self._used.get(namespace, {})
        if found == before:
            return False
        self._used[namespace] = found
        wish = self._wishes.get(namespace)
        if wish is not None and any(found.get(key, 0) < before.get(key, 0) for key in wish.piece):
            # Something was deleted: how much more is asked for has to be found out again. Where
            # there is room for it now, nothing is.
            self._wishes[namespace] = wish._replace(asked=wish.piece, steps=0)
            if all(
                found.get(key, 0) + count <= quantities.units(key, enforced.get(key, 0))
                for key, count in wish.piece.items()
            ):
                del self._wishes[namespace]
        return True

    def forget(self, namespace: str) -> None:
        """Forget a namespace whose quota is gone."""
        self._used.pop(namespace, None)
        self._wishes.pop(namespace, None)

    def refuse(self, namespace: str, refusal: Refusal, age: float = 0.0) -> bool:
        """Take a refusal; tell whether it counts: one of long ago does not.

        Who is refused again after the share grew asks for four times as much: a controller that
        makes a hundred pods is refused a few times, and not a hundred times.
        """
        at = self._now() - age
        if age >= MET_SECONDS:
            return False
        before = self._wishes.get(namespace)
        steps = 0
        piece = dict(refusal.asked)
        if before is not None and not self._is_over(before):
            grew = any(
                count > before.limited.get(key, count) for key, count in refusal.limited.items()
            )
            steps = min(before.steps + grew, _MOST_STEPS)
            # Several objects may be refused: the smallest is of use before there is room for all.
            piece = {**before.piece, **piece} | {
                key: min(piece[key], before.piece[key])
                for key in piece.keys() & before.piece.keys()
            }
        used = self._used.get(namespace, {})
        asked = {
            key: max(count, refusal.asked.get(key, 0)) * _FIRST * _GROWTH**steps
            for key, count in piece.items()
        }
        wanted = {key: used.get(key, 0) + count for key, count in asked.items()}
        self._wishes[namespace] = Wish(wanted, asked, piece, refusal.limited, steps, at)
        return True

    def _is_over(self, wish: Wish) -> bool:
        return self._now() - wish.at >= _UNMET_SECONDS

    def used(self, namespace: str) -> Mapping[str, int]:
        """Return what the API server counts in a namespace."""
        return self._used.get(namespace, {})

    def wish(
        self, namespace: str, share: Units, own: Callable[[Units], Units] = dict
    ) -> Wish | None:
        """Return what is asked for, while it counts; ``share`` is what the namespace has now.

        ``own`` takes off what a quota has in addition to the share.
        """
        wish = self._wishes.get(namespace)
        if wish is None:
            return None
        used = self._used.get(namespace, {})
        if all(used.get(key, 0) >= count for key, count in wish.wanted.items()):
            del self._wishes[namespace]
            return None
        # What was deleted since is not asked for.
        wanted = {
            key: min(count, used.get(key, 0) + wish.asked[key])
            for key, count in wish.wanted.items()
        }
        wish = wish._replace(wanted=wanted)
        is_met = all(share.get(key, 0) >= count for key, count in own(wish.wanted).items())
        if self._now() - wish.at < (MET_SECONDS if is_met else _UNMET_SECONDS):
            return wish
        del self._wishes[namespace]
        return None
