"""Follows what concerns watch, each kind for as long as the API server serves it."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

import structlog

from securetenant.api.kinds import Kind
from securetenant.api.objects import Body, Ref
from securetenant.kube.client import Client
from securetenant.kube.informer import Informer
from securetenant.reconcile.concern import Presence, Watch
from securetenant.reconcile.errors import ClusterError, MissingError

_OPTIONAL_SECONDS = 20.0
"""How often the API server is asked for a kind of somebody else's that it does not serve. Its CRD
is not watched: the operator has no right on CRDs of others."""
_NEWER_SECONDS = 600.0
"""How often it is asked for a kind that an upgrade may bring."""
_LATE_SECONDS = 10.0
"""How long to wait for what a missing right may put off: it must not keep walls away."""

_log = structlog.get_logger(__name__)


class Following:
    """One informer for all watches of the same objects."""

    def __init__(
        self, client: Client, watches: Iterable[Watch], *, others: Sequence[Informer] = ()
    ) -> None:
        """``others`` are informers that everything waits for too."""
        self._client = client
        self._watches: defaultdict[Presence, list[Watch]] = defaultdict(list)
        for watch in _merged(watches):
            self._watches[watch.presence].append(watch)
        self._awaited = [*map(self._informer, self._watches[Presence.REQUIRED]), *others]
        self.informers = list(self._awaited)
        """Those that have to be heard of."""

    async def begin(self, group: asyncio.TaskGroup) -> None:
        """Follow everything; return when all was seen once that work must not begin without."""
        for watch in self._watches[Presence.NEWER]:
            if await is_served(self._client, watch.kind):
                self._awaited.append(self._begin_newer(watch))
            else:
                group.create_task(self._await_newer(watch, group))
        for informer in self._awaited:
            group.create_task(informer.run())
        looked = [
            group.create_task(self._look_for(watch, group))
            for watch in self._watches[Presence.OPTIONAL]
        ]
        # No write before the whole cluster was seen once: what is unknown looks missing.
        for informer in self._awaited:
            await informer.synced.wait()
        for each in looked:
            await each
        late = group.create_task(self._begin_late(group))
        await asyncio.wait((late,), timeout=_LATE_SECONDS)

    def _informer(self, watch: Watch) -> Informer:
        return Informer(
            self._client,
            watch.kind,
            selector=watch.selector,
            fields=watch.fields,
            seen=watch.seen,
            gone=watch.gone,
            known=watch.known,
            may_go=watch.presence is Presence.OPTIONAL,
        )

    def _begin_newer(self, watch: Watch) -> Informer:
        watch.served()
        informer = self._informer(watch)
        informer.heard_at = time.monotonic()
        self.informers.append(informer)
        return informer

    async def _await_newer(self, watch: Watch, group: asyncio.TaskGroup) -> None:
        """Look now and then whether the API server was upgraded to one that knows the kind."""
        while True:
            await asyncio.sleep(_NEWER_SECONDS)
            if await is_served(self._client, watch.kind):
                break
        group.create_task(self._begin_newer(watch).run())

    async def _begin_late(self, group: asyncio.TaskGroup) -> None:
        watches = self._watches[Presence.LATE]
        informers = [self._informer(each) for each in watches]
        for informer in informers:
            group.create_task(informer.run())
        for informer in informers:
            await informer.synced.wait()
        self.informers += informers
        for watch in watches:
            watch.served()

    async def _look_for(self, watch: Watch, group: asyncio.TaskGroup) -> None:
        """Follow a kind whenever it is served; return once that is known."""
        looked = asyncio.Event()
        group.create_task(self._follow(watch, looked))
        await looked.wait()

    async def _follow(self, watch: Watch, looked: asyncio.Event) -> None:
        while True:
            if await is_served(self._client, watch.kind):
                await self._follow_once(watch, looked.set)
            looked.set()
            await asyncio.sleep(_OPTIONAL_SECONDS)

    async def _follow_once(self, watch: Watch, looked: Callable[[], None]) -> None:
        informer = self._informer(watch)
        informer.heard_at = time.monotonic()
        self.informers.append(informer)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(informer.run())
            synced = group.create_task(informer.synced.wait())
            await asyncio.wait((running, synced), return_when=asyncio.FIRST_COMPLETED)
            if informer.synced.is_set():
                _log.info("Served from now on", kind=watch.kind.name)
                watch.served()
                looked()
            await running
            synced.cancel()
        _log.info("Not served any more", kind=watch.kind.name)
        self.informers.remove(informer)
        watch.unserved()


async def is_served(client: Client, kind: Kind) -> bool:
    """Tell whether the API server knows a kind; an answer that is no answer means yes."""
    try:
        await probe(client, kind)
    except MissingError:
        return False
    except ClusterError:
        return True
    return True


async def probe(client: Client, kind: Kind) -> None:
    """Ask for one object of a kind; a :class:`MissingError` says that it is not served."""
    async for _ in client.pages(kind, size=1, take=lambda _: None):
        break


def _merged(watches: Iterable[Watch]) -> list[Watch]:
    """Return watches of which no two are of the same objects."""
    found: defaultdict[tuple[Kind, str, str], list[Watch]] = defaultdict(list)
    for watch in watches:
        found[watch.kind, watch.selector, watch.fields].append(watch)
    return [each[0] if len(each) == 1 else _merge(each) for each in found.values()]


def _merge(watches: list[Watch]) -> Watch:
    (presence,) = {each.presence for each in watches}

    def seen(ref: Ref, body: Body) -> None:
        for each in watches:
            each.seen(ref, body)

    def gone(ref: Ref, version: int) -> None:
        for each in watches:
            each.gone(ref, version)

    def known(kind: str) -> list[Ref]:
        return list({ref: None for each in watches for ref in each.known(kind)})

    def served() -> None:
        for each in watches:
            each.served()

    def unserved() -> None:
        for each in watches:
            each.unserved()

    return Watch(
        kind=watches[0].kind,
        selector=watches[0].selector,
        fields=watches[0].fields,
        seen=seen,
        gone=gone,
        known=known,
        presence=presence,
        served=served,
        unserved=unserved,
    )
