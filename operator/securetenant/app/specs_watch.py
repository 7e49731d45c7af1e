"""What people write comes by kopf, in a thread and an event loop of its own.

These are SecureTenants and TenancySettings; what the cluster holds comes by our informers
(docs/decisions/20261129-what-comes-by-kopf.md).

At its exit kopf cancels every task that was made after it in its loop, and it exits on
conditions that we must survive (410, long outages): so it gets a loop to itself and is
started again whenever it dies. Its exit waits without end for a watch that took the end of what
it waited for as its own (kopf 1.45, ``stream``), so after a while every task is cancelled again.
It writes nothing: one event handler, no finalizer, no
annotation, no Event. What it sees is handed to the main loop, the latest version of an
object replacing an older one that was not looked at yet.
"""

import asyncio
import contextlib
import itertools
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import kopf
import structlog

from securetenant.api import names
from securetenant.api.kinds import Kind
from securetenant.api.objects import Body
from securetenant.kube import credentials
from securetenant.kube.client import USER_AGENT
from securetenant.kube.credentials import Credentials

_RESTART_SECONDS = (0.5, 1.0, 2.0, 5.0, 15.0)
_STOP_SECONDS = 5.0
_EXIT_SECONDS = 10.0
"""Kopf waits for 5 seconds for its tasks before it cancels them."""

_log = structlog.get_logger(__name__)


class _Forever:
    """Endless pauses between attempts: kopf has no last one, so it outlives any outage."""

    def __iter__(self) -> Iterator[float]:
        yield from (0.5, 1, 2, 4, 8)
        yield from itertools.repeat(15)


class _NoDiffBase(kopf.DiffBaseStorage):
    """Keeps no last state: safe with nothing but event handlers, and half of kopf's time saved."""

    def build(self, *, body: Any, extra_fields: Any = None) -> Any:  # noqa: ARG002 - its signature.
        return {}

    def fetch(self, *, body: Any) -> Any:  # noqa: ARG002 - its signature.
        return None

    def store(self, *, body: Any, patch: Any, essence: Any) -> None:
        pass


class Source(NamedTuple):
    """Who takes what is seen of one kind; both get the name."""

    seen: Callable[[str, Body], None]
    gone: Callable[[str], None]


class SpecsWatch:
    """Reports to the main loop every object of these kinds that is there, changes or goes."""

    def __init__(
        self,
        login: Credentials,
        *,
        sources: Mapping[Kind, Source],
        restarted: Callable[[], None],
    ) -> None:
        """``restarted`` is called whenever kopf starts: deletions may have been missed."""
        self._login = login
        self._sources = sources
        self._restarted = restarted
        self._main = asyncio.get_running_loop()
        self._latest: dict[tuple[Kind, str], Body | None] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._flag: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="kopf", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def is_alive(self) -> bool:
        """Tell whether the thread runs."""
        return self._thread.is_alive()

    async def stop(self) -> None:
        """Stop kopf and wait for the thread, for a bounded time."""
        self._stopping.set()
        if self._loop is not None and self._flag is not None:
            # kopf may have died a moment ago, and its loop with it.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._flag.set)
        await asyncio.to_thread(self._thread.join, _STOP_SECONDS)

    # --- kopf's thread ----------------------------------------------------------------------

    def _run(self) -> None:
        pauses = itertools.chain(_RESTART_SECONDS, itertools.repeat(_RESTART_SECONDS[-1]))
        while not self._stopping.is_set():
            try:
                asyncio.run(self._operate())
            except Exception as error:  # noqa: BLE001 - whatever kills kopf, it is started again.
                _log.warning("The watch on SecureTenants and settings died", error=repr(error))
            if not self._stopping.is_set():
                self._stopping.wait(next(pauses))

    async def _operate(self) -> None:
        self._loop, self._flag = asyncio.get_running_loop(), asyncio.Event()
        if self._stopping.is_set():
            return
        self._loop.set_exception_handler(_report)
        self._main.call_soon_threadsafe(self._restarted)
        stopped = asyncio.create_task(self._flag.wait())
        before = asyncio.all_tasks()
        roots = await kopf.spawn_tasks(
            registry=self._registry(), settings=_settings(), clusterwide=True, standalone=True
        )
        operating = asyncio.create_task(kopf.run_tasks(roots, ignored=before))
        await asyncio.wait((*roots, stopped), return_when=asyncio.FIRST_COMPLETED)
        was_stopped = stopped.done()
        stopped.cancel()
        if was_stopped:
            # Not by kopf's own stop flag: one that comes while kopf starts takes it 5 s.
            operating.cancel()
        await _ended(operating)
        if not was_stopped:
            await operating

    def _registry(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()

        @kopf.on.login(registry=registry)
        async def login(**_: Any) -> kopf.AiohttpSession:
            # Defined here, since kopf would else pick any client library that it finds.
            return kopf.AiohttpSession(
                server=self._login.server,
                aiohttp_session=credentials.session(
                    self._login, user_agent=f"{USER_AGENT}/kopf", limit=0, closes_in_distrust=True
                ),
            )

        for kind in self._sources:
            self._register(registry, kind)
        return registry

    def _register(self, registry: kopf.OperatorRegistry, kind: Kind) -> None:
        @kopf.on.event(names.GROUP, names.VERSION, kind.plural, registry=registry)
        async def event(event: kopf.RawEvent, name: str, **_: Any) -> None:
            gone = event["type"] == "DELETED"
            self._hand_over(kind, name, None if gone else dict(event["object"]))

    def _hand_over(self, kind: Kind, name: str, body: Body | None) -> None:
        with self._lock:
            idle = not self._latest
            self._latest[kind, name] = body
        if idle:
            self._main.call_soon_threadsafe(self._deliver)

    # --- the main loop ----------------------------------------------------------------------

    def _deliver(self) -> None:
        with self._lock:
            latest, self._latest = self._latest, {}
        for (kind, name), body in latest.items():
            source = self._sources[kind]
            if body is None:
                source.gone(name)
            else:
                source.seen(name, body)


async def _ended(operating: asyncio.Task[None]) -> None:
    """Wait for the exit of kopf, and have it end."""
    seconds = _EXIT_SECONDS
    while True:
        await asyncio.wait((operating,), timeout=seconds)
        if operating.done():
            return
        left = asyncio.all_tasks() - {asyncio.current_task(), operating}
        _log.warning("Kopf does not end by itself", tasks=len(left))
        for each in left:
            each.cancel()
        seconds = 1.0


def _report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Report what nobody caught, except for a watch of kopf's that was cut off by the end.

    At its end the loop closes kopf's nested generators all at once, so that the outer one finds
    the inner one closed: nothing is lost by it.
    """
    if "asyncgen" not in context:
        loop.default_exception_handler(context)


def _settings() -> kopf.OperatorSettings:
    """Return settings for watching and writing nothing."""
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.networking.error_backoffs = _Forever()
    settings.networking.enforce_retry_after = True
    settings.networking.request_timeout = 60
    settings.networking.connect_timeout = 10
    # As for the other watches: bookmarks come every 60 to 75 seconds.
    settings.watching.inactivity_timeout = 100
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 330
    settings.watching.reconnect_backoff = 0.5
    # An expired continue token (410) would end kopf, so the list comes in one piece.
    settings.watching.chunk_size = None
    settings.queueing.worker_limit = None
    settings.queueing.idle_timeout = 0.5
    settings.execution.max_workers = 1
    settings.persistence.finalizer = f"{names.GROUP}/unused"
    settings.persistence.diffbase_storage = _NoDiffBase()
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=names.GROUP)
    settings.process.ultimate_exiting_timeout = None
    return settings
