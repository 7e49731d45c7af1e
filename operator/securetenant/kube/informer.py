"""Keeps the store true: list, then watch, for one kind.

A list sweeps: what it does not show is gone, whether or not a deletion was seen. Only
(version, uid, digest) of an object is kept; bodies are dropped at once, since tenants decide how
large some of them are.
"""

import asyncio
import random
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import structlog

from securetenant.api.kinds import Kind
from securetenant.api.objects import Body, Ref
from securetenant.kube.client import Client, ExpiredError, TooLargeError
from securetenant.plan import ownership
from securetenant.reconcile.errors import ClusterError, MissingError, UnavailableError

_WATCH_SECONDS = 300
_SILENCE_SECONDS = 100.0
"""Bookmarks come every 60 to 75 seconds, and none of a kind of which nothing changed since the API
server started. After longer silence another watch is opened: its answer tells a quiet kind from a
connection that died."""
_FIRST_DELAY_SECONDS = 0.2
_LONGEST_DELAY_SECONDS = 15.0

Seen = Callable[[Ref, Body], object]
Gone = Callable[[Ref, int], object]

_log = structlog.get_logger(__name__)


class Informer:
    """Reports every object of one kind to the engine, for as long as it runs."""

    def __init__(
        self,
        client: Client,
        kind: Kind,
        *,
        selector: str,
        seen: Seen,
        gone: Gone,
        known: Callable[[str], list[Ref]],
        fields: str = "",
        may_go: bool = False,
    ) -> None:
        """``selector`` is by labels, ``fields`` by fields.

        ``may_go``: the kind is another project's, and may cease to be served.
        """
        self._client = client
        self._kind = kind
        self._selector = selector
        self._fields = fields
        self._seen = seen
        self._gone = gone
        self._known = known
        self._may_go = may_go
        self._failures = 0
        self.synced = asyncio.Event()
        """Set once the first list is complete."""
        self.heard_at = float("-inf")
        """When the API server was last heard, by the monotonic clock."""
        self.failure = ""
        """Why the last attempt to list or watch failed, if nothing was heard since."""
        self.failed_at = float("inf")
        """When it first failed, by the monotonic clock."""

    async def run(self) -> None:
        """List and watch until cancelled, or until a kind that may go is not served any more.

        Every other failure is waited out.
        """
        version = ""
        while True:
            try:
                if not version:
                    version = await self._list()
                version = await self._watch(version)
                self._failures = 0
            except ExpiredError:
                version = ""
            except TooLargeError as error:
                # The same event would come again; a list shows what came of it.
                await self._wait("", error)
                version = ""
            except MissingError as error:
                if self._may_go:
                    return
                version = await self._wait(version, error)
            except ClusterError as error:
                version = await self._wait(version, error)

    async def _list(self) -> str:
        """Report every object, then the absence of the rest; return the list's version."""
        present: set[Ref] = set()
        version = "0"
        async for page in self._client.pages(
            self._kind, selector=self._selector, fields=self._fields, take=self._report
        ):
            version = page.version
            present.update(page.items)
            self._hear()
        for ref in self._known(self._kind.name):
            if ref not in present:
                self._gone(ref, int(version))
        self.synced.set()
        return str(version)

    async def _watch(self, version: str) -> str:
        """Report changes until the watch ends; return the version to go on from."""
        seconds = int(_WATCH_SECONDS * random.uniform(0.8, 1.2))  # noqa: S311 - jitter.
        async with self._client.watch(
            self._kind,
            selector=self._selector,
            fields=self._fields,
            version=version,
            seconds=seconds,
            silence=_SILENCE_SECONDS,
        ) as events:
            self._hear()
            async for event in events:
                self._hear()
                self._failures = 0
                version = self._take(event)
                # Not kept until the next one comes.
                del event
        return version

    def _hear(self) -> None:
        self._client.outage.ends(self)
        self.heard_at = time.monotonic()
        self.failure, self.failed_at = "", float("inf")

    def _take(self, event: dict[str, Any]) -> str:
        body = event["object"]
        match event["type"]:
            case "ADDED" | "MODIFIED":
                self._report(body)
            case "DELETED":
                self._gone(self._ref(body), int(body["metadata"]["resourceVersion"]))
            case "BOOKMARK":
                pass
            case "ERROR":
                if body.get("code") == HTTPStatus.GONE:
                    raise ExpiredError(str(body.get("message")))
                raise UnavailableError(f"watch: {body.get('message')} ({body.get('code')})")
        return str(body["metadata"]["resourceVersion"])

    def _report(self, body: dict[str, Any]) -> Ref:
        # Items of a list carry neither kind nor apiVersion.
        body["kind"] = self._kind.name
        body["apiVersion"] = self._kind.api_version
        ref = ownership.ref_of(body)
        self._seen(ref, body)
        return ref

    def _ref(self, body: dict[str, Any]) -> Ref:
        body["kind"] = self._kind.name
        return ownership.ref_of(body)

    async def _wait(self, version: str, error: ClusterError) -> str:
        """Wait with growing delay and jitter; a watch that keeps failing lists again."""
        self._failures += 1
        self.failed_at = min(self.failed_at, time.monotonic())
        self.failure = f"{self._kind.plural} cannot be watched: {error}"
        delay = min(_FIRST_DELAY_SECONDS * 2**self._failures, _LONGEST_DELAY_SECONDS)
        # A refusal is about this kind; without an answer it is the same for every watch.
        is_common = isinstance(error, UnavailableError)
        tell = _log.warning if not is_common or self._client.outage.begins(self) else _log.debug
        tell("Watch failed", kind=self._kind.name, error=str(error), retry_in=delay)
        await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 - jitter.
        return version
