"""From refused to made: how long a Deployment waits for its pod, beside one that has room."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import factory
from bench.cluster import ConflictError, Operator, Raw, raw, spread, table
from conftest import control_plane
from factory import tenant
from securetenant.api import kinds, quantities
from securetenant.sandbox.instances import Instance

ROUNDS = 40
KEY = "limits.cpu"
SMALL = {"memory": "64Mi", "ephemeral-storage": "64Mi"}
STORM = 20
"""How many namespaces another tenant has whose Deployments are refused all the time."""


def _deployment(name: str, cpu: str, replicas: int = 1) -> dict[str, Any]:
    labels = {"app": name}
    template = {
        "metadata": {"labels": labels},
        "spec": factory.pod(limits={**SMALL, "cpu": cpu})["spec"],
    }
    return {
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": template,
        },
    }


def _path(namespace: str, name: str = "") -> str:
    return "/".join(filter(None, (f"/apis/apps/v1/namespaces/{namespace}/deployments", name)))


class Seen:
    """Which namespaces have a pod of the Deployment that is waited for."""

    def __init__(self, client: Raw) -> None:
        self._client = client
        self._there: set[str] = set()
        self._changed = asyncio.Condition()

    async def follow(self) -> None:
        """Follow the watch."""
        async for event in self._client.watch("/api/v1/pods?labelSelector=app=asked"):
            async with self._changed:
                namespace = event["object"]["metadata"]["namespace"]
                change = self._there.discard if event["type"] == "DELETED" else self._there.add
                change(namespace)
                self._changed.notify_all()

    async def until(self, namespace: str, *, there: bool) -> None:
        """Wait until there is a pod, or none."""
        async with self._changed:
            await self._changed.wait_for(lambda: (namespace in self._there) == there)


class Sums:
    """The sum of all quotas of a tenant, in every version that the API server had."""

    def __init__(self, client: Raw, prefix: str, total: int) -> None:
        self._client = client
        self._prefix = prefix
        self._total = total
        self.violations = 0

    async def follow(self) -> None:
        """Follow the watch."""
        held: dict[str, tuple[int, ...]] = {}
        async for event in self._client.watch(kinds.RESOURCE_QUOTA.path()):
            body = event["object"]
            namespace = body["metadata"]["namespace"]
            if not namespace.startswith(self._prefix):
                continue
            status = body.get("status") or {}
            maps = (body["spec"]["hard"], status.get("hard") or {}, status.get("used") or {})
            held[namespace] = tuple(quantities.units(KEY, each.get(KEY, 0)) for each in maps)
            sums = [sum(each) for each in zip(*held.values(), strict=True)]
            self.violations += max(sums) > self._total


@contextlib.asynccontextmanager
async def _following(*followers: Seen | Sums) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(each.follow()) for each in followers]
    yield
    for each in tasks:
        each.cancel()


class Conflicts:
    """How often a create met changes of the quota, and was sent again, as a client does."""

    def __init__(self) -> None:
        self.met = 0

    async def create(self, admin: Raw, namespace: str, body: dict[str, Any]) -> None:
        """Create a Deployment."""
        while True:
            try:
                await admin.send("POST", _path(namespace), body)
                break
            except ConflictError:
                self.met += 1


async def _ready(admin: Raw, body: dict[str, Any]) -> None:
    """Make a tenant and wait until it is ready, with its ServiceAccounts."""
    await admin.send("POST", kinds.SECURE_TENANT.path(), body)
    name, count = body["metadata"]["name"], len(body["spec"]["namespaces"])
    while True:
        found = await admin.send("GET", kinds.SECURE_TENANT.path("", name))
        if (found.get("status") or {}).get("namespaces", {}).get("summary") == f"{count}/{count}":
            break
        await asyncio.sleep(0.2)
    await asyncio.sleep(2)


async def _wait(admin: Raw, seen: Seen, conflicts: Conflicts, namespace: str, cpu: str) -> float:
    """Return the seconds from a Deployment to its pod; leave nothing there."""
    began = time.monotonic()
    await conflicts.create(admin, namespace, _deployment("asked", cpu))
    await seen.until(namespace, there=True)
    took = time.monotonic() - began
    await admin.send("DELETE", _path(namespace, "asked"))
    await seen.until(namespace, there=False)
    return took


async def measure(instance: Instance, operator: Operator, size: int, *, storms: bool) -> list[str]:
    """Ask for one and a half times a share, in one namespace after the other."""
    async with raw(instance.admin_kubeconfig) as admin:
        operator.start()
        spaces = [{"name": f"pool-{number:03}"} for number in range(size)]
        memory = f"{size}Gi"
        room = {
            KEY: size,
            "requests.cpu": size,
            "limits.memory": memory,
            "requests.memory": memory,
            "pods": size * 10,
        }
        await _ready(admin, tenant("pool", namespaces=spaces, quota=room))
        splits = [{"name": f"split-{number:03}"} for number in range(size)]
        await _ready(admin, tenant("split", namespaces=splits, quota=room, quotaMode="Split"))
        if storms:
            others = [{"name": f"storm-{number:02}"} for number in range(STORM)]
            await _ready(admin, tenant("storm", namespaces=others, quota={KEY: 10}))
            for each in others:
                await Conflicts().create(admin, each["name"], _deployment("all", "300m", 100))
        await admin.send("POST", kinds.NAMESPACE.path(), {"metadata": {"name": "plain"}})
        quota = {"metadata": {"name": "plain"}, "spec": {"hard": {KEY: 9}}}
        await admin.send("POST", kinds.RESOURCE_QUOTA.path("plain"), quota)
        await asyncio.sleep(2)
        seen, sums = Seen(admin), Sums(admin, "pool-", size * 1000)
        conflicts = Conflicts()
        plain, split, roomy, refused = [], [], [], []
        async with _following(seen, sums):
            for number in range(ROUNDS):
                namespace = spaces[number % size]["name"]
                plain.append(await _wait(admin, seen, conflicts, "plain", "100m"))
                split.append(
                    await _wait(admin, seen, conflicts, splits[number % size]["name"], "100m")
                )
                roomy.append(await _wait(admin, seen, conflicts, namespace, "100m"))
            before = operator.writes()
            for number in range(ROUNDS):
                namespace = spaces[number % size]["name"]
                refused.append(await _wait(admin, seen, conflicts, namespace, "1500m"))
            wrote = operator.writes() - before
    return [
        f"{size:,}",
        "yes" if storms else "no",
        spread(plain),
        spread(split),
        spread(roomy),
        spread(refused),
        f"{wrote / ROUNDS:.1f}",
        str(conflicts.met),
        str(sums.violations),
    ]


def run(sizes: tuple[int, ...]) -> str:
    """Measure each number of namespaces, alone and with another tenant that is refused a lot."""
    head = [
        "Namespaces",
        "storm elsewhere",
        "plain quota with room",
        "Split with room",
        "pool with room",
        "pool, refused first",
        "writes for each pod",
        "creates sent again (409)",
        "sums above the total",
    ]
    rows = [head]
    for size in sizes:
        for storms in (False, True):
            name = f"bench-quota-{size}-{storms}".lower()
            with control_plane(name) as instance, Operator(instance) as operator:
                rows.append(asyncio.run(measure(instance, operator, size, storms=storms)))
    return table(rows)
