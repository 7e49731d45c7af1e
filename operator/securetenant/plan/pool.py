"""The pool: how a tenant's total moves to the namespaces that use it.

Each namespace has a share. A share grows when something was refused for lack of room, or when
little room is left, and it grows from what nobody has, then from what others leave idle. Nothing
moves while use does not ask for it: what is given stays. One resource at a time, in whole units.
"""

import heapq
from collections.abc import Callable, Collection, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

Level = Callable[[str], int]
"""What is left to a namespace when others need room."""

_MUCH = 20
"""Into how many parts the total is cut, of which one is much."""
_PIECES = 64
"""Into how many pieces, at most, what one namespace asks for is rationed."""


class Member(NamedTuple):
    """A namespace that takes part in the pool, by one resource."""

    weight: int
    """Who gets free room first, and how much of it a new namespace begins with."""
    guaranteed: int
    """What is kept free for it."""
    most: int
    """What its share never passes."""
    held: int | None
    """The share that it was given last; None for a namespace that has none yet."""
    used: int
    """What the API server counts there."""
    wanted: int = 0
    """The use at which what was refused would have had room; 0 where nothing was refused."""
    piece: int = 0
    """What one refused object takes: less room than that is of no use to it."""


def allot(total: int, members: Mapping[str, Member], *, need: int, step: int) -> dict[str, int]:
    """Return the share of each namespace; their sum is never above the total.

    ``need`` is what one object of default size takes, ``step`` the smallest amount worth moving.
    What is guaranteed to all has to fit into the total.
    """
    return _Allotment(total, members, need, step).settle()


def split(total: int, members: Mapping[str, Member], step: int) -> dict[str, int]:
    """Split the total by weight in whole steps, each between what is guaranteed and the most."""
    found: dict[str, int] = {}
    open_, left = dict(members), total
    while open_:
        shares = _by_weight(left, {name: each.weight for name, each in open_.items()}, step)
        low = {name for name, each in open_.items() if shares[name] < each.guaranteed}
        high = {name for name, each in open_.items() if shares[name] > each.most}
        # What is guaranteed is settled first: it can only leave less to the others.
        bound = low or high
        if not bound:
            return found | shares
        for name in bound:
            each = open_.pop(name)
            found[name] = each.guaranteed if low else each.most
            left -= found[name]
    return found


def is_low(share: int, used: int, need: int) -> bool:
    """Tell whether so little of a share is left that it should grow before something is refused."""
    return share - used < _little(used, need)


def _little(used: int, need: int) -> int:
    """Return how much has to be left of a share for it not to be low."""
    return max(2 * need, used // 8)


def _by_weight(amount: int, weights: Mapping[str, int], step: int) -> dict[str, int]:
    """Split by weight in whole steps; what is left goes to the largest remainders."""
    whole = sum(weights.values())
    steps = max(amount, 0) // step
    shares = {name: steps * weight // whole for name, weight in weights.items()}
    order = sorted(weights, key=lambda name: (-(steps * weights[name] % whole), name))
    for name in order[: steps - sum(shares.values())]:
        shares[name] += 1
    return {name: share * step for name, share in shares.items()}


class _Allotment:
    """One decision about one resource."""

    def __init__(self, total: int, members: Mapping[str, Member], need: int, step: int) -> None:
        self._total = total
        self._members = members
        self._need = need
        self._step = step
        # Use may be above a share that was lowered: nobody else can have that.
        self._shares = {
            name: min(max(each.held or 0, each.used), each.most) for name, each in members.items()
        }

    def settle(self) -> dict[str, int]:
        """Take back what is too much, give what is asked for, then what is soon asked for."""
        idle = (self._content, self._asked)
        every = (*idle, self._kept, self._in_use, self._guaranteed)
        self._free(sum(self._shares.values()) - self._total, *every)
        new = [name for name, each in self._members.items() if each.held is None]
        old = [name for name in self._members if name not in set(new)]
        self._grant({name: self._guaranteed(name) for name in self._members}, *every)
        # One piece each comes before more for anybody, and who was refused before who may be.
        self._grant({name: self._kept(name) for name in old}, *idle, self._kept)
        self._grant({name: self._first(name) for name in new}, *idle, self._kept)
        self._grant({name: self._goal(name) for name in old}, *idle)
        self._grant(self._parts(new), self._content, in_parts=True)
        self._grant(self._wishes(self._comfort), self._content, in_parts=True)
        # Who has more than a little left gives to those who have less.
        users = {name for name, each in self._members.items() if each.used}
        asked = {name: goal for name, goal in self._wishes(self._modest).items() if name in users}
        self._grant(asked, self._modest, in_parts=True)
        self._spread()
        return self._shares

    @property
    def _unallotted(self) -> int:
        return self._total - sum(self._shares.values())

    # --- what each should have ----------------------------------------------------------------

    def _goal(self, name: str) -> int:
        """Return what it asks for; nothing where not even one piece can ever fit."""
        each = self._members[name]
        fits = each.used + each.piece <= each.most
        return max(each.guaranteed, min(each.wanted, each.most) if fits else 0)

    def _first(self, name: str) -> int:
        """Return what a new namespace needs for its first pod."""
        each = self._members[name]
        return max(each.guaranteed, min(self._need, each.most))

    def _parts(self, new: Sequence[str]) -> dict[str, int]:
        """Return what new namespaces begin with."""
        every = split(self._total, self._members, self._step) if new else {}
        return {name: every[name] for name in new}

    def _wishes(self, level: Level) -> dict[str, int]:
        """Return the shares with which those would have room again that have little left."""
        return {
            name: min(each.most, level(name))
            for name, each in self._members.items()
            if is_low(self._shares[name], each.used, self._need)
        }

    # --- what is left to each -----------------------------------------------------------------

    def _comfort(self, name: str) -> int:
        """Return the share with which it has room for a while."""
        used = self._members[name].used
        return max(self._kept(name), self._whole(used + max(4 * self._need, used // 4)))

    def _modest(self, name: str) -> int:
        """Return what it uses and asks for, and a little: with that it asks for nothing itself."""
        used = self._members[name].used
        return max(self._asked(name), used + _little(used, self._need))

    def _content(self, name: str) -> int:
        """Return what is not taken from it for the comfort of others: all that it asks for too."""
        return max(self._asked(name), self._comfort(name))

    def _asked(self, name: str) -> int:
        """Return what it uses and all that it asks for: of that others get their first piece."""
        return max(self._kept(name), self._goal(name))

    def _whole(self, amount: int) -> int:
        """Return an amount rounded up to whole steps."""
        return -(-amount // self._step) * self._step

    def _kept(self, name: str) -> int:
        """Return what it uses and one piece of what it asks for: that is taken for nobody.

        What it asks for beyond that is a guess, by how often it was refused.
        """
        each = self._members[name]
        if each.held is None:
            return self._first(name)
        return max(self._in_use(name), min(self._goal(name), each.used + each.piece))

    def _in_use(self, name: str) -> int:
        """Return what is left to it before others lose what is guaranteed."""
        each = self._members[name]
        return max(each.guaranteed, min(each.used, each.most))

    def _guaranteed(self, name: str) -> int:
        """Return what is left to it where a total was lowered below use."""
        return self._members[name].guaranteed

    # --- moving -------------------------------------------------------------------------------

    def _spare(self, level: Level) -> dict[str, int]:
        """Return how far each share is above a level."""
        return {name: max(share - level(name), 0) for name, share in self._shares.items()}

    def _free(self, amount: int, *levels: Level, but: Collection[str] = ()) -> None:
        """Take an amount of what is above the levels, one level after the other.

        From those who have the most to spare, so that few are written to.
        """
        for level in levels:
            spare = self._spare(level) if amount > 0 else {}
            for name in sorted(spare.keys() - but, key=lambda name: (-spare[name], name)):
                if amount <= 0 or not spare[name]:
                    break
                taken = min(spare[name], self._whole(amount))
                self._shares[name] -= taken
                amount -= taken

    def _grant(self, goals: Mapping[str, int], *levels: Level, in_parts: bool = False) -> None:
        """Raise shares to their goals, as far as what is free and what is above the levels goes."""
        missing = {
            name: goal - self._shares[name]
            for name, goal in goals.items()
            if goal > self._shares[name]
        }
        if not missing:
            return
        spare = self._spare(levels[-1])
        room = self._unallotted + sum(spare[name] for name in spare.keys() - missing.keys())
        if sum(missing.values()) > room:
            missing = self._ration(missing, max(room, 0), in_parts=in_parts)
        self._free(sum(missing.values()) - self._unallotted, *levels, but=missing.keys())
        for name, amount in missing.items():
            self._shares[name] += amount

    def _spread(self) -> None:
        """Share out by weight what nobody has, where that is much: the total was raised.

        A little is kept for who asks next: it would be a write in each namespace.
        """
        if self._unallotted * _MUCH <= self._total:
            return
        rest = {
            name: each._replace(guaranteed=0, most=each.most - self._shares[name])
            for name, each in self._members.items()
        }
        for name, amount in split(self._unallotted, rest, self._step).items():
            self._shares[name] += amount

    def _ration(self, missing: Mapping[str, int], room: int, *, in_parts: bool) -> dict[str, int]:
        """Give out what does not do for all: piece by piece, to who has the least by weight."""
        given = dict.fromkeys(missing, 0)
        queue = [(self._by_weight(name, 0), name) for name in missing]
        heapq.heapify(queue)
        while queue:
            _, name = heapq.heappop(queue)
            left = missing[name] - given[name]
            piece = min(left, max(self._members[name].piece or left, -(-missing[name] // _PIECES)))
            if piece > room:
                # Less than that is of no use, unless it is for comfort.
                piece = room // self._step * self._step if in_parts else 0
            given[name] += piece
            room -= piece
            if piece and given[name] < missing[name]:
                heapq.heappush(queue, (self._by_weight(name, given[name]), name))
        return given

    def _by_weight(self, name: str, given: int) -> Fraction:
        return Fraction(self._shares[name] + given, self._members[name].weight)
