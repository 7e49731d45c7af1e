"""From ``lockdown: Quarantined`` to the last NetworkPolicy, and what a bare client takes."""

import asyncio
import statistics
import time
from collections import deque
from typing import Any

from bench.cluster import Operator, Raw, gather, raw, spread, table
from conftest import control_plane
from factory import enough, tenant
from securetenant.api import kinds, names
from securetenant.sandbox.instances import Instance

POLICY = kinds.NETWORK_POLICY
MERGE = "application/merge-patch+json"
WORKERS = 32
OWN = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "own"},
    "spec": {
        "podSelector": {},
        "policyTypes": ["Egress"],
        "egress": [{"to": [{"podSelector": {}}]}],
    },
}
MARKED = [
    {"key": names.ASIDE, "operator": "Exists"},
    {"key": names.ASIDE, "operator": "DoesNotExist"},
]


class Open:
    """What is open, by what a watch shows: the NetworkPolicies that select pods and allow some."""

    def __init__(self, client: Raw, prefix: str) -> None:
        self._client = client
        self._prefix = prefix
        self._open: set[tuple[str, str]] = set()
        self._changed = asyncio.Condition()

    async def follow(self) -> None:
        """Follow the watch."""
        async for event in self._client.watch(POLICY.path()):
            body = event["object"]
            metadata = body["metadata"]
            if not metadata["namespace"].startswith(self._prefix):
                continue
            key = (metadata["namespace"], metadata["name"])
            spec = body["spec"]
            marked = spec["podSelector"].get("matchExpressions")
            is_open = event["type"] != "DELETED" and not marked
            async with self._changed:
                if is_open and (spec.get("ingress") or spec.get("egress")):
                    self._open.add(key)
                else:
                    self._open.discard(key)
                self._changed.notify_all()

    async def until(self, count: int) -> float:
        """Wait for so many to be open; return the moment."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._open) == count)
        return time.monotonic()


class Bare:
    """A bare client on namespaces that are no tenant's: none of our policies looks at them."""

    def __init__(self, client: Raw, size: int) -> None:
        self._client = client
        self._places = [f"bare-{number}" for number in range(size)]
        self._opened = [_named("dns"), _named("same-tenant"), OWN]
        self._watched = Open(client, "bare-")
        self.watching = asyncio.create_task(self._watched.follow())

    async def prepare(self) -> None:
        """Make the namespaces."""
        for place in self._places:
            body = {"metadata": {"name": place}}
            await self._client.send("POST", kinds.NAMESPACE.path(), body)

    async def close(self) -> float:
        """Close all of them; return how long it took."""
        client = self._client
        for place in self._places:
            for each in self._opened:
                await client.send("POST", POLICY.path(place), each)
        await self._watched.until(len(self._places) * len(self._opened))
        work = deque(self._places)

        async def worker() -> None:
            while work:
                place = work.popleft()
                label = {"metadata": {"labels": {"example.com/closed": "yes"}}}
                for name in ("dns", "same-tenant"):
                    await client.send("DELETE", POLICY.path(place, name))
                await client.send("PATCH", kinds.NAMESPACE.path("", place), label, MERGE)
                patch = {"spec": {"podSelector": {"matchExpressions": MARKED}}}
                await client.send("PATCH", POLICY.path(place, "own"), patch, MERGE)

        began = time.monotonic()
        await gather(WORKERS, worker)
        seconds = await self._watched.until(0) - began
        for place in self._places:
            await client.send("DELETE", POLICY.path(place, "own"))
        return seconds


def _named(name: str) -> dict[str, Any]:
    return {**OWN, "metadata": {"name": name}}


async def measure(instance: Instance, operator: Operator, size: int, rounds: int) -> list[str]:
    """Quarantine a tenant and release it, again and again; a bare client in turn with it."""
    async with raw(instance.admin_kubeconfig) as admin:
        bare = Bare(admin, size)
        await bare.prepare()
        places = [f"ill-{number}" for number in range(size)]
        body = tenant("ill", namespaces=[{"name": each} for each in places], quota=enough(size))
        operator.start()
        watched = Open(admin, "ill-")
        watching = asyncio.create_task(watched.follow())
        await admin.send("POST", kinds.SECURE_TENANT.path(), body)
        await watched.until(2 * size)
        for place in places:
            await admin.send("POST", POLICY.path(place), OWN)
        await watched.until(3 * size)
        cut: list[float] = []
        back: list[float] = []
        reference: list[float] = []
        for _ in range(rounds):
            reference.append(await bare.close())
            for how, left, seconds in (("Quarantined", 0, cut), ("None", 3 * size, back)):
                await asyncio.sleep(2)
                began = time.monotonic()
                patch = {"spec": {"lockdown": how}}
                await admin.send("PATCH", kinds.SECURE_TENANT.path("", "ill"), patch, MERGE)
                seconds.append(await watched.until(left) - began)
        watching.cancel()
        bare.watching.cancel()
    ratio = statistics.median(cut) / statistics.median(reference)
    return [
        f"{size:,}",
        spread(cut, "s", 1),
        spread(reference, "s", 1),
        f"{ratio:.2f}",
        spread(back, "s", 1),
    ]


def run(sizes: tuple[int, ...], rounds: int) -> str:
    """Measure each number of namespaces on a control plane of its own."""
    head = ["Namespaces", "all traffic cut", "a bare client", "ratio", "all brought back"]
    rows = [head]
    for size in sizes:
        with control_plane(f"bench-quarantine-{size}") as instance, Operator(instance) as operator:
            rows.append(asyncio.run(measure(instance, operator, size, rounds)))
    return f"{rounds} rounds.\n\n{table(rows)}"
