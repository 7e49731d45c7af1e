"""Reads the kubelets of the nodes that tenants with a limit of processes may run on.

Apart from the engine's queue and workers: a kubelet may be slow, dead or hostile, and must hold
nobody up but other kubelets, and those for seconds. Each is read when its node appears, when it
starts again, and every few minutes; every half minute while it keeps less than somebody asks for.

The labels are written by JSON Patch: an apply would leave a label that somebody else added, and
each of them is a promise.
"""

import asyncio
import logging
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from securetenant.api import kinds
from securetenant.api.objects import Ref
from securetenant.api.tenancysettings import SettingsSpec
from securetenant.plan import pids
from securetenant.plan.pids import UNLIMITED, Asked, Limit, NodeLook, Reading, Source
from securetenant.reconcile import keys
from securetenant.reconcile.errors import ClusterError, MissingError, UnavailableError
from securetenant.reconcile.keys import Key
from securetenant.reconcile.node_book import Change, NodeBook
from securetenant.reconcile.ports import Cluster, Kubelets, Meter
from securetenant.reconcile.queue import Queue
from securetenant.status import process_limits
from securetenant.status.conditions import Condition

INTERVAL_SECONDS = 300.0
"""How old a reading gets at most: a limit may change by a restart that nothing shows."""
UNKEPT_SECONDS = 30.0
"""How old a reading gets where a tenant asks for less than the kubelet allows: what helps is a
restart of the kubelet, and nothing shows one."""
_APART_SECONDS = 0.2
"""How many seconds there are between two such readings, over all nodes."""
GRACE_SECONDS = 900.0
"""How long a reading counts when the kubelet cannot be read any more. An upgrade of a node or a
network fault must not drive its tenants' pods away; silence for longer means no limit."""
_STARTS = 5
"""How often within an interval a kubelet that starts again is read at once."""
_WORKERS = 16
_NOT_ASKED = Limit(Source.UNREAD, problem="it was not asked yet")

_log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class _Record:
    """What is known of one node."""

    look: NodeLook
    last: int | None
    """What its kubelet said last."""
    read_at: float
    due_at: float = float("-inf")
    problem: str = _NOT_ASKED.problem
    """Why the last attempt to read it failed."""
    told: Limit = _NOT_ASKED
    starts: list[float] = field(default_factory=list)
    """When its kubelet started again of late."""


class Pids:
    """The limits of all nodes, and the labels that say them."""

    def __init__(
        self,
        *,
        kubelets: Kubelets,
        cluster: Cluster,
        meter: Meter,
        book: NodeBook,
        changed: Callable[[str], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``changed`` is called with the owner of nodes for which another limit counts than before.

        Whose they are is what their label says: a tenant, :data:`names.SHARED`, or nothing.
        """
        self._kubelets = kubelets
        self._cluster = cluster
        self._meter = meter
        self._book = book
        self._changed = changed
        self._clock = clock
        self._chance = random.Random()  # noqa: S311 - jitter.
        self._queue = Queue[Key](clock=clock, chance=self._chance)
        self._records: dict[str, _Record] = {}
        self._owned: defaultdict[str, set[str]] = defaultdict(set)
        """Nodes by whose they are."""
        self._unasked: set[str] = set()
        """Nodes of which no attempt to read them has come to its end."""
        self._unkept: set[str] = set()
        """Nodes that were last read to keep less than a tenant asks for."""
        self._asked: dict[str, Asked] = {}
        self._verdicts: dict[Asked, Condition] = {}
        """Conditions by what is asked for; many tenants share one. Empty after any news."""
        self._askers: Counter[str] = Counter()
        """How many tenants ask about the nodes of an owner."""
        self._settings: SettingsSpec | None = None
        book.follow(self._follow)

    # --- what is seen -----------------------------------------------------------------------

    def _follow(self, change: Change) -> None:
        """Take a node as it now is, or that it is gone."""
        name, before, after = change
        record = self._records.get(name)
        if record is not None and (
            after is None or before is None or after.look.uid != before.look.uid
        ):
            self._lose(name, record)
            record = None
        if after is None:
            return
        if record is None:
            self._arrive(name, after.look)
        elif after.look != record.look:
            self._take_look(name, record, after.look)

    def _take_look(self, name: str, record: _Record, look: NodeLook) -> None:
        before, record.look = record.look, look
        if look.kubelet != before.kubelet and self._may_hurry(record):
            record.due_at = float("-inf")
        if look.owner != before.owner:
            self._owned[before.owner].discard(name)
            self._owned[look.owner].add(name)
            self._news(before.owner)
        if (look.owner, look.takes_tenants) != (before.owner, before.takes_tenants):
            self._news(look.owner)
        self._queue.add(_key(name))

    def _may_hurry(self, record: _Record) -> bool:
        """Tell whether a kubelet that starts again is read at once.

        It says so itself, and might all the time; each time somebody would be told.
        """
        now = self._clock()
        record.starts = [each for each in record.starts if now - each < INTERVAL_SECONDS]
        if len(record.starts) >= _STARTS:
            return False
        record.starts.append(now)
        return True

    def _arrive(self, name: str, look: NodeLook) -> None:
        # What an earlier process read counts as read now: a restart takes nobody's place away.
        last = pids.labelled(look.labels)
        self._records[name] = _Record(
            look=look,
            last=last,
            read_at=self._clock(),
            told=pids.judge(look.labels, last, fresh=True, problem=_NOT_ASKED.problem),
        )
        self._owned[look.owner].add(name)
        self._unasked.add(name)
        self._news(look.owner)
        self._queue.add(_key(name))

    def _lose(self, name: str, record: _Record) -> None:
        del self._records[name]
        self._owned[record.look.owner].discard(name)
        self._unasked.discard(name)
        self._unkept.discard(name)
        self._queue.forget(_key(name))
        self._news(record.look.owner)

    def ask(self, tenant: str, asked: Asked | None) -> None:
        """Take what a tenant asks for, or that it asks for nothing."""
        before = self._asked.pop(tenant, None)
        if asked is not None:
            self._asked[tenant] = asked
        gone = before.owners if before else frozenset[str]()
        come = asked.owners if asked else frozenset[str]()
        for owner in come - gone:
            self._askers[owner] += 1
            for name in self._owned.get(owner, ()):
                self._queue.add(_key(name))
        for owner in gone - come:
            self._askers[owner] -= 1
        if asked is not None and asked != before:
            self._hurry(asked, UNKEPT_SECONDS, unkept=True)

    def look_again(self, tenant: str) -> None:
        """Read the kubelets of a tenant's nodes now: somebody asked for it."""
        asked = self._asked.get(tenant)
        if asked is not None:
            self._hurry(asked, 0.0, unkept=False)

    def _hurry(self, asked: Asked, seconds: float, *, unkept: bool) -> None:
        """Read nodes in so many seconds at the latest; only those that keep less than asked."""
        latest = self._clock() + seconds
        for owner in asked.owners:
            for name in self._owned.get(owner, ()):
                record = self._records[name]
                if record.due_at > latest and (not unkept or not record.told.keeps(asked.bound)):
                    record.due_at = latest
                    self._queue.add(_key(name))

    def take_settings(self, settings: SettingsSpec | None) -> None:
        """Take the TenancySettings: another authority may make a kubelet readable, or not."""
        before, self._settings = self._settings, settings
        if settings is None or settings == before:
            return
        for name, record in self._records.items():
            record.due_at = float("-inf")
            self._queue.add(_key(name))

    def asking(self, owner: str) -> list[str]:
        """Return the tenants who ask about nodes of this owner."""
        return [name for name, asked in self._asked.items() if owner in asked.owners]

    def judge(self, tenant: str) -> tuple[Condition, ...]:
        """Return the condition of a tenant, if it asks for one."""
        asked = self._asked.get(tenant)
        if asked is None:
            return ()
        if asked not in self._verdicts:
            self._verdicts[asked] = process_limits.judge(
                asked.bound, self.limits(asked.owners), required=asked.required
            )
        return (self._verdicts[asked],)

    def limits(self, owners: Collection[str]) -> dict[str, Limit]:
        """Return what counts now for each node that is theirs and takes tenants' pods, sorted."""
        names = sorted(name for owner in owners for name in self._owned.get(owner, ()))
        records = ((name, self._records[name]) for name in names)
        return {name: each.told for name, each in records if each.look.takes_tenants}

    def is_under_way(self, tenant: str) -> bool:
        """Tell whether a node that a tenant asks about was not asked for the first time yet."""
        asked = self._asked.get(tenant)
        waiting = (self._records[name] for name in self._unasked)
        return asked is not None and any(
            each.look.owner in asked.owners and self._is_wanted(each) for each in waiting
        )

    def _is_wanted(self, record: _Record) -> bool:
        """Tell whether a node is to be read: somebody asks, or its labels have to stay true.

        Namespaces that a deleted tenant left behind may still place pods by them.
        """
        asked = self._askers[record.look.owner] > 0
        return record.look.takes_tenants and (
            asked or pids.labelled(record.look.labels) is not None
        )

    def _news(self, owner: str) -> None:
        self._verdicts.clear()
        self._changed(owner)

    # --- work -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Read and label until cancelled, or until :meth:`stop`."""
        async with asyncio.TaskGroup() as group:
            for number in range(_WORKERS):
                group.create_task(self._work(), name=f"kubelet reader {number}")

    def stop(self) -> None:
        """Begin nothing more; :meth:`run` returns when what was begun is done."""
        self._queue.close()

    async def _work(self) -> None:
        while (key := await self._queue.take()) is not None:
            failed, retry_after = True, 0.0
            try:
                failed = await self._reconcile(key.name)
            except UnavailableError as error:
                retry_after = error.retry_after
            except ClusterError as error:
                _log.warning("Node %s is not labelled: %s", key.name, error)
            except Exception:  # noqa: BLE001 - see below.
                # One node's surprise must not stop the work on all others.
                _log.exception("Node %s failed unexpectedly and is tried again", key.name)
            finally:
                self._queue.done(key, failed=failed, retry_after=retry_after)

    async def _reconcile(self, name: str) -> bool:
        """Read a node's kubelet if it is time, and label the node; return whether to try again."""
        record = self._records.get(name)
        if record is None or self._settings is None:
            return False
        failed = False
        if not self._is_wanted(record):
            record.last, record.due_at, record.problem = None, float("-inf"), _NOT_ASKED.problem
            self._unasked.add(name)
            self._tell(record, _NOT_ASKED)
        else:
            if record.due_at <= self._clock():
                asked, settings = record.look, self._settings
                reading = await self._read(asked, settings)
                if self._records.get(name) is not record:
                    return False
                # Else the answer is about what was there before, and other work is queued.
                if record.look.kubelet == asked.kubelet and self._settings is settings:
                    failed = self._take(name, record, reading)
            self._tell(record, self._counting(record))
        await self._label(name, record)
        if self._is_wanted(record) and not failed:
            self._queue.add_after(_key(name), max(record.due_at - self._clock(), 0.0))
        return failed

    async def _read(self, look: NodeLook, settings: SettingsSpec) -> Reading:
        if not look.keeps_limits:
            return Reading(limit=UNLIMITED)
        return await self._kubelets.read(look.kubelet, settings)

    def _take(self, name: str, record: _Record, reading: Reading) -> bool:
        """Take what came of an attempt; return whether it has to be made again soon."""
        if name in self._unasked:
            self._unasked.discard(name)
            self._news(record.look.owner)
        record.problem = reading.problem
        if reading.limit is None:
            return True
        now = self._clock()
        record.last, record.read_at = reading.limit, now
        # Not all at once again after a start.
        record.due_at = now + self._interval(name, record) * self._chance.uniform(0.5, 1.0)
        return False

    def _interval(self, name: str, record: _Record) -> float:
        """Return how old what was read of a node may get."""
        found = Limit(Source.READ, record.last or UNLIMITED)
        if all(found.keeps(each.bound) for each in self._asking_about(record.look.owner)):
            self._unkept.discard(name)
            return INTERVAL_SECONDS
        self._unkept.add(name)
        return min(max(UNKEPT_SECONDS, _APART_SECONDS * len(self._unkept)), INTERVAL_SECONDS)

    def _asking_about(self, owner: str) -> set[Asked]:
        return {each for each in self._asked.values() if owner in each.owners}

    def _counting(self, record: _Record) -> Limit:
        """Return what counts for a node now; that there is no limit does until it is read again."""
        silent = self._clock() - record.read_at
        fresh = record.last == UNLIMITED or silent <= GRACE_SECONDS
        return pids.judge(record.look.labels, record.last, fresh=fresh, problem=record.problem)

    def _tell(self, record: _Record, limit: Limit) -> None:
        if limit != record.told:
            record.told = limit
            self._news(record.look.owner)

    async def _label(self, name: str, record: _Record) -> None:
        steps = pids.patch(record.look, pids.at_most_labels(record.told))
        if not steps:
            return
        try:
            body = await self._cluster.amend(Ref(kinds.NODE.name, "", name), steps)
        except MissingError:
            return  # The node is gone.
        self._meter.wrote("amend", kinds.NODE.name)
        self._book.put(body)


def _key(node: str) -> Key:
    """Return the work to read a kubelet, and to label its node by what it says."""
    return keys.shared("Kubelet", node)
