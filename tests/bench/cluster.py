"""What the benchmarks stand on: a sandbox, requests with as little between as possible, figures."""

import asyncio
import contextlib
import json
import statistics
import subprocess
import sys
import time
import urllib.request
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Self

import aiohttp

from harness import OPERATOR, Api, kubectl, wait_for
from securetenant.api import kinds, names
from securetenant.kube import credentials
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance

JSON = "application/json"
APPLY = "application/apply-patch+yaml"
PORT = 18555


class ConflictError(Exception):
    """Somebody changed what a request was about at the same moment."""


class Raw:
    """A bare client: one session, requests, no decisions."""

    def __init__(self, session: aiohttp.ClientSession, server: str) -> None:
        self._session = session
        self._server = server
        self.requests = 0

    async def send(self, method: str, path: str, body: Any = None, type: str = JSON) -> Any:
        """Send one request; fail on anything but success."""
        self.requests += 1
        data = None if body is None else json.dumps(body)
        headers = {"Content-Type": type}
        async with self._session.request(
            method, self._server + path, data=data, headers=headers
        ) as response:
            answer = await response.read()
            if response.status == 409 and b"apply your changes to the latest" in answer:
                raise ConflictError(path)
            if response.status >= 300:
                raise RuntimeError(f"{method} {path}: {response.status} {answer!r}")
            return json.loads(answer)

    async def watch(self, path: str) -> AsyncIterator[Any]:
        """Yield watch events, from what is there on; fail if some were missed.

        An API server ends the watch of a client that is busy: it goes on where it ended.
        """
        joint = "&" if "?" in path else "?"
        timeout = aiohttp.ClientTimeout(total=None)
        seen = 0
        while True:
            since = f"&resourceVersion={seen}" if seen else ""
            async with self._session.get(
                f"{self._server}{path}{joint}watch=true{since}", timeout=timeout
            ) as response:
                async for event in _events(response):
                    if event["type"] == "ERROR":
                        raise RuntimeError(f"watch {path}: {event['object']}")
                    seen = max(seen, int(event["object"]["metadata"]["resourceVersion"]))
                    yield event


async def _events(response: aiohttp.ClientResponse) -> AsyncIterator[Any]:
    if response.status != 200:
        raise RuntimeError(f"watch: {response.status} {await response.read()!r}")
    rest = b""
    async for chunk in response.content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield json.loads(line)


@contextlib.asynccontextmanager
async def raw(kubeconfig: Path) -> AsyncIterator[Raw]:
    """Open a bare client for a kubeconfig."""
    login = await credentials.load(kubeconfig)
    async with credentials.session(login, user_agent="bench", limit=64) as session:
        yield Raw(session, login.server)


def put_policies(instance: Instance, *, on: bool) -> None:
    """Install the admission policies or take them away, and see that it is so."""
    for folder in ("manifests/policies", "manifests/policies/mutating"):
        verb = ("apply",) if on else ("delete", "--ignore-not-found")
        kubectl(instance, *verb, "-k", folder)
    admin = Api(instance.admin_kubeconfig)
    taken = {"metadata": {"name": "somebody-says-so", "labels": {names.TENANT_LABEL: "nobody"}}}
    wait_for(
        lambda: (
            (admin.call("POST", kinds.NAMESPACE.path(), taken, dryRun="All").status > 201) is on
        ),
        what="the policies",
        seconds=30,
    )


def _cpu(pid: int) -> float:
    """Return the CPU seconds of a process so far."""
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def server_cpu(instance: Instance) -> float:
    """Return the CPU seconds of its API server so far."""
    return _cpu(int(instance.record()["programs"]["kube-apiserver"]))


class Operator:
    """The operator as a process, and what it costs."""

    def __init__(self, instance: Instance) -> None:
        self._login = kubeconfigs.for_service_account(instance, *OPERATOR)
        self._log = instance.logs / "bench-operator.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.slowest = 0.0
        """The longest wait for an answer since it was started, in seconds."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> float:
        """Start it; return the seconds until it leads and is ready."""
        began, self.slowest = time.monotonic(), 0.0
        command = [sys.executable, "-m", "securetenant", "run", f"--kubeconfig={self._login}"]
        with self._log.open("ab") as out:
            self._process = subprocess.Popen(
                [*command, "--address=127.0.0.1", f"--port={PORT}"], stdout=out, stderr=out
            )
        while True:
            with contextlib.suppress(OSError):
                # One that stands by is ready too.
                if b"\nsecuretenant_leader 1" in self._get("/metrics") and self._get("/readyz"):
                    return time.monotonic() - began
            if self._process.poll() is not None:
                raise RuntimeError(self._log.read_text(encoding="utf-8"))
            time.sleep(0.02)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)

    def cpu(self) -> float:
        """Return the CPU seconds used so far."""
        assert self._process is not None
        return _cpu(self._process.pid)

    def memory(self) -> float:
        """Return the resident memory in MB."""
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="utf-8")
        line = next(each for each in status.splitlines() if "VmRSS" in each)
        return int(line.split()[1]) / 1024

    def writes(self) -> int:
        """Return the number of writes so far."""
        return sum(
            int(float(line.rpartition(" ")[2]))
            for line in self._get("/metrics").decode().splitlines()
            if line.startswith("securetenant_writes_total")
        )

    def requests(self) -> int:
        """Return the number of requests so far, watches aside."""
        return sum(
            int(float(line.rpartition(" ")[2]))
            for line in self._get("/metrics").decode().splitlines()
            if line.startswith("securetenant_requests_total")
        )

    def lapses(self) -> int:
        """Return how often it gave up its lead."""
        return self._log.read_text(encoding="utf-8").count("Not leading any more")

    def probe(self, seconds: float) -> float:
        """Ask whether it lives for so long; return the longest wait for an answer since its start.

        In seconds.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._get("/livez")
            time.sleep(0.02)
        return self.slowest

    def _get(self, path: str) -> bytes:
        began = time.monotonic()
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}{path}", timeout=60) as answer:
            text = bytes(answer.read())
        self.slowest = max(self.slowest, time.monotonic() - began)
        return text


def percentile(values: Sequence[float], share: float) -> float:
    """Return a percentile by nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def spread(values: Sequence[float], unit: str = "ms", scale: float = 1000) -> str:
    """Return p50 and p99, for people."""
    middle, high = statistics.median(values) * scale, percentile(values, 0.99) * scale
    return f"p50 {middle:.1f} {unit}, p99 {high:.1f} {unit}"


def table(rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; the first row is its head."""
    head, *rest = rows
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rest)])


async def gather(count: int, work: Any) -> None:
    """Run ``work(queue)`` in so many tasks until the first fails or all are done."""
    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(work())


async def send_until(
    client: Raw,
    requests: Iterable[tuple[str, str, Any]],
    *,
    path: str,
    waiting: set[str],
    is_done: Callable[[Any], bool],
) -> float:
    """Send requests, eight at a time; return the seconds until a watch showed each name as done."""

    async def watch() -> None:
        async for event in client.watch(path):
            if is_done(event):
                waiting.discard(event["object"]["metadata"]["name"])
                if not waiting:
                    return

    work = deque(requests)

    async def worker() -> None:
        while work:
            await client.send(*work.popleft())

    watching = asyncio.create_task(watch())
    await asyncio.sleep(1)
    began = time.monotonic()
    await gather(8, worker)
    await watching
    return time.monotonic() - began


async def drift(
    admin: Raw, breaker: Raw, places: Sequence[str], *, per_second: float, seconds: float
) -> list[float]:
    """Delete walls at a steady rate; return how long each was away, as a watcher sees it."""
    path = f"{kinds.NETWORK_POLICY.path()}?labelSelector={names.MANAGED_SELECTOR}"
    since: dict[str, float] = {}
    away: list[float] = []

    async def watch() -> None:
        async for event in admin.watch(f"{path}&fieldSelector=metadata.name={names.DNS}"):
            namespace = event["object"]["metadata"]["namespace"]
            if event["type"] == "DELETED":
                since[namespace] = time.monotonic()
            elif namespace in since and event["type"] == "ADDED":
                away.append(time.monotonic() - since.pop(namespace))

    watching = asyncio.create_task(watch())
    await asyncio.sleep(1)
    began, times = time.monotonic(), int(per_second * seconds)
    for number in range(times):
        await asyncio.sleep(max(0.0, began + number / per_second - time.monotonic()))
        place = places[number % len(places)]
        await breaker.send("DELETE", kinds.NETWORK_POLICY.path(place, names.DNS))
    deadline = time.monotonic() + 30
    while len(away) < times and time.monotonic() < deadline:  # noqa: ASYNC110 - a figure, not a wait.
        await asyncio.sleep(0.1)
    watching.cancel()
    return away
