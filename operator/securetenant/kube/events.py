"""Events about our kinds: repeats counted in one event, floods cut, never in the way.

Source: Kubernetes API conventions ("Events"), events.k8s.io/v1; the rates are those of
client-go: 25 at once per object, then one in five seconds.
"""

import asyncio
import datetime
import socket
import time
from dataclasses import dataclass, field

import structlog

from securetenant.api import kinds, names, text
from securetenant.kube.client import Client
from securetenant.reconcile.errors import ClusterError
from securetenant.reconcile.ports import Announcement

_BURST = 25.0
_PER_SECOND = 0.2
_SERIES_SECONDS = 360.0
"""How long the same announcement is counted in the same event."""
_LANES = 8
"""How many are posted at a time: a change of the platform has something to tell of every tenant."""
_WAITING = 1000
"""How many wait in a lane at most."""
_NAMESPACE = "default"
"""Events of cluster-scoped objects live there."""
_NOTE_LENGTH = 1024

_log = structlog.get_logger(__name__)


@dataclass(kw_only=True)
class _Series:
    name: str
    count: int
    seen_at: float


@dataclass(kw_only=True)
class _Bucket:
    tokens: float = _BURST
    at: float = field(default_factory=time.monotonic)

    def take(self) -> bool:
        now = time.monotonic()
        self.tokens = min(_BURST, self.tokens + (now - self.at) * _PER_SECOND)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class Events:
    """Posts announcements in the background; what cannot be posted is dropped."""

    def __init__(self, client: Client) -> None:
        self._client = client
        # What is about one tenant stays in order: it is in one lane.
        self._lanes = [asyncio.Queue[Announcement](_WAITING) for _ in range(_LANES)]
        self._series: dict[Announcement, _Series] = {}
        self._buckets: dict[str, _Bucket] = {}

    def announce(self, announcement: Announcement) -> None:
        """Take an announcement; a full lane or an empty bucket drops it."""
        bucket = self._buckets.setdefault(announcement.uid, _Bucket())
        lane = self._lanes[hash(announcement.uid) % _LANES]
        if not bucket.take():
            return
        # What was done and why is in the log too: events last for an hour.
        tell = _log.info if announcement.type == "Normal" else _log.warning
        tell(announcement.note, tenant=announcement.tenant, reason=announcement.reason)
        if not lane.full():
            lane.put_nowait(announcement)

    async def run(self) -> None:
        """Post until cancelled."""
        async with asyncio.TaskGroup() as group:
            for lane in self._lanes:
                group.create_task(self._post_all(lane))

    async def _post_all(self, lane: asyncio.Queue[Announcement]) -> None:
        while True:
            announcement = await lane.get()
            try:
                await self._post(announcement)
            except ClusterError as error:
                _log.warning("Event was not posted", tenant=announcement.tenant, error=str(error))
            self._forget()

    async def _post(self, announcement: Announcement) -> None:
        stamp = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        series = self._series.get(announcement)
        if series is None:
            name = f"{announcement.tenant}.{time.time_ns():x}"
            await self._client.request(
                "POST",
                kinds.EVENT.path(_NAMESPACE),
                body=_event(announcement, name, stamp),
                content_type="application/json",
            )
            self._series[announcement] = _Series(name=name, count=1, seen_at=time.monotonic())
            return
        series.count += 1
        series.seen_at = time.monotonic()
        await self._client.request(
            "PATCH",
            kinds.EVENT.path(_NAMESPACE, series.name),
            body={"series": {"count": series.count, "lastObservedTime": stamp}},
            content_type="application/merge-patch+json",
        )

    def _forget(self) -> None:
        """Drop series and buckets that nothing was added to for a while."""
        now = time.monotonic()
        for key, series in list(self._series.items()):
            if now - series.seen_at > _SERIES_SECONDS:
                del self._series[key]
        for uid, bucket in list(self._buckets.items()):
            if now - bucket.at > _SERIES_SECONDS:
                del self._buckets[uid]


def _event(announcement: Announcement, name: str, stamp: str) -> dict[str, object]:
    return {
        "apiVersion": kinds.EVENT.api_version,
        "kind": kinds.EVENT.name,
        "metadata": {"name": name, "namespace": _NAMESPACE},
        "eventTime": stamp,
        "type": announcement.type,
        "reason": announcement.reason,
        "action": announcement.action,
        "note": text.shorten(text.escape(announcement.note), _NOTE_LENGTH),
        "regarding": {
            "apiVersion": names.API_VERSION,
            "kind": announcement.kind,
            "name": announcement.tenant,
            "uid": announcement.uid,
        },
        "reportingController": f"{names.GROUP}/operator",
        "reportingInstance": socket.gethostname()[:128],
    }
