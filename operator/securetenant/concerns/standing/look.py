"""Looks through one namespace: every object of the kinds that are judged, and nothing kept of it.

Tenants decide how many objects there are and how large. So each is reduced as it is read, a page
at a time, one kind after the other; of what is wrong a few are remembered, the others counted.
"""

import functools
import heapq
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any, NamedTuple

from securetenant.api import kinds
from securetenant.api.kinds import Kind
from securetenant.api.objects import Body, Page, Ref
from securetenant.checks import standing
from securetenant.checks.standing import Rules, Violation
from securetenant.reconcile.errors import MissingError, RefusedError
from securetenant.reconcile.ports import Lists

KEPT = 3
"""How many objects of a namespace are remembered: as many as a message names."""
_PLACES = {kind.name: place for place, kind in enumerate(standing.KINDS)}
_ALTERNATIVES = {kinds.TLS_ROUTE.name: kinds.TLS_ROUTES}
_MADE_BY_US = (kinds.NETWORK_POLICY.name, kinds.ROLE_BINDING.name)
"""Of these kinds the operator makes objects, and deletes what only looks like them."""

_log = logging.getLogger(__name__)


class Wrong(NamedTuple):
    """An object that would be refused today."""

    first: Violation
    more: int
    """How many other rules it breaks."""


class Found(NamedTuple):
    """What one look came to."""

    total: int = 0
    """How many objects would be refused today."""
    worst: tuple[Wrong, ...] = ()
    """The first few of them, in order."""
    problem: str = ""
    """Why not everything could be read."""


class Served:
    """Which kinds the API server does not know; asked again now and then."""

    def __init__(self, clock: Callable[[], float], seconds: float) -> None:
        self._clock, self._seconds = clock, seconds
        self._absent: dict[Kind, float] = {}

    def __call__(self, kind: Kind) -> bool:
        """Tell whether it is worth asking for a kind."""
        return self._absent.get(kind, float("-inf")) <= self._clock()

    def missing(self, kind: Kind) -> None:
        """Take that the API server does not know a kind."""
        self._absent[kind] = self._clock() + self._seconds


Prepare = Callable[[Kind, Body], Body]
"""Changes an object before it is judged."""
Note = Callable[[tuple[Violation, ...]], object]
"""Takes every rule that one object breaks."""


async def through(
    cluster: Lists,
    rules: Rules,
    is_ours: Callable[[Ref], bool],
    served: Served,
    prepare: Prepare = lambda _, body: body,
    note: Note = lambda _: None,
) -> Found:
    """Judge everything in a namespace that may be read. Raises a :class:`ClusterError`.

    ``note`` is for those who want more than the first few.
    """
    total, worst, problem = 0, list[Wrong](), ""
    for kind in standing.KINDS:
        take = functools.partial(_take, kind, rules, is_ours, prepare, note)
        try:
            async for page in _pages(cluster, kind, rules.namespace, take, served):
                wrong = [each for each in page.items if isinstance(each, Wrong)]
                lost = (each for each in page.items if isinstance(each, str))
                problem = problem or next(lost, "")
                total += len(wrong)
                worst = heapq.nsmallest(KEPT, (*worst, *wrong), key=order)
        except RefusedError as error:
            # A right is missing. That hides nothing of the other kinds.
            problem = problem or str(error)
    return Found(total, tuple(worst), problem)


async def _pages(
    cluster: Lists,
    kind: Kind,
    namespace: str,
    take: Callable[[dict[str, Any]], Wrong | str | None],
    served: Served,
) -> AsyncIterator[Page[Wrong | str | None]]:
    for each in _versions(kind, served):
        try:
            async for page in cluster.pages(each, take=take, namespace=namespace):
                yield page
        except MissingError:
            served.missing(each)
            continue
        return


def _versions(kind: Kind, served: Served) -> Iterator[Kind]:
    yield from (each for each in _ALTERNATIVES.get(kind.name, (kind,)) if served(each))


def _take(
    kind: Kind,
    rules: Rules,
    is_ours: Callable[[Ref], bool],
    prepare: Prepare,
    note: Note,
    body: Body,
) -> Wrong | str | None:
    """Judge one object: what is wrong, or why that is not known, in words."""
    name = str(body["metadata"]["name"])
    if kind.name in _MADE_BY_US and is_ours(Ref(kind.name, rules.namespace, name)):
        return None
    try:
        found = standing.judge(kind, prepare(kind, body), rules)
    except Exception:  # noqa: BLE001 - an object that nobody expected must not hide all others.
        _log.exception("A %s could not be judged", kind.name)
        return f"{kind.name} {name} could not be judged; the log of the operator says why"
    if not found:
        return None
    note(found)
    return Wrong(found[0], len(found) - 1)


def order(wrong: Wrong) -> tuple[bool, int, str, str]:
    """Return the order in which objects are named: those that reach the node come first."""
    first = wrong.first
    is_other = not first.rule.startswith("Pod Security")
    return (is_other, _PLACES[first.kind], first.namespace, first.name)


def listing(known: Iterable[Found], what: str) -> str:
    """Name what is wrong and say so, like "would be refused today"; nothing: there is none."""
    known = list(known)
    count = sum(each.total for each in known)
    if not count:
        return ""
    worst = sorted((wrong for each in known for wrong in each.worst), key=order)
    named = worst[:KEPT]
    more = f"; and {count - len(named)} more" if count > len(named) else ""
    is_are = "object that is already there" if count == 1 else "objects that are already there"
    return f"{count} {is_are} {what}: {'; '.join(map(_named, named))}{more}"


def _named(wrong: Wrong) -> str:
    first = wrong.first
    by = f"by {first.owner}, " if first.owner else ""
    days = "1 day" if first.days == 1 else f"{first.days} days"
    rules = "rule" if wrong.more == 1 else "rules"
    more = f" and {wrong.more} more {rules}" if wrong.more else ""
    return (
        f"{first.kind} {first.namespace}/{first.name} ({by}{days} old) violates {first.rule}"
        f" ({first.what}){more}"
    )


def together(before: Found | None, now: Found) -> Found:
    """Return what is known after a look: while something is not read, nothing is taken back."""
    if before is None or not now.problem or now.total >= before.total:
        return now
    return before._replace(problem=now.problem)
