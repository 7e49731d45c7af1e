"""Access that ends: how long somebody keeps it after the moment, as the RoleBindings show."""

import asyncio
import datetime
import time
from collections import deque
from typing import Any

from bench.cluster import Operator, Raw, gather, raw, spread, table
from conftest import control_plane
from factory import enough, tenant
from securetenant.api import kinds, names
from securetenant.sandbox.instances import Instance

BINDING = kinds.ROLE_BINDING
PER_TENANT = 10
WAIT_SECONDS = 20
"""Between the last grant and the moment: all of them stand by then."""
WORKERS = 32


def _at(seconds: float) -> datetime.datetime:
    now = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
    return now.replace(microsecond=0)


def _access(ends: datetime.datetime | None) -> list[dict[str, Any]]:
    subjects = [{"kind": "User", "name": "jane"}]
    until = {"expiresAt": ends.strftime("%Y-%m-%dT%H:%M:%SZ")} if ends else {}
    return [{"name": "jane", "role": "Developer", "subjects": subjects, **until}]


class Held:
    """Where somebody has the role, by what a watch shows, and when each lost it."""

    def __init__(self, client: Raw) -> None:
        self._client = client
        self.held: set[str] = set()
        self.lost: dict[str, datetime.datetime] = {}
        self._changed = asyncio.Condition()

    async def follow(self) -> None:
        """Follow the watch."""
        name = names.role_binding("Developer")
        path = f"{BINDING.path()}?fieldSelector=metadata.name={name}"
        async for event in self._client.watch(path):
            body = event["object"]
            namespace = body["metadata"]["namespace"]
            async with self._changed:
                if event["type"] != "DELETED" and body.get("subjects"):
                    self.held.add(namespace)
                elif namespace in self.held:
                    self.held.discard(namespace)
                    self.lost[namespace] = datetime.datetime.now(datetime.UTC)
                self._changed.notify_all()

    async def until(self, count: int) -> None:
        """Wait for so many to be held."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.held) == count)


async def bare(client: Raw, count: int) -> float:
    """Delete as many RoleBindings in namespaces that are no tenant's; return how long it took."""
    places = [f"bare-{number}" for number in range(max(1, count // PER_TENANT))]
    paths = deque[str]()
    for place in places:
        await client.send("POST", kinds.NAMESPACE.path(), {"metadata": {"name": place}})
    for number in range(count):
        role = {"kind": "ClusterRole", "name": "view", "apiGroup": BINDING.group}
        jane = {"kind": "User", "name": "jane", "apiGroup": BINDING.group}
        body = {"metadata": {"name": f"b{number}"}, "roleRef": role, "subjects": [jane]}
        place = places[number % len(places)]
        await client.send("POST", BINDING.path(place), body)
        paths.append(BINDING.path(place, f"b{number}"))

    async def worker() -> None:
        while paths:
            await client.send("DELETE", paths.popleft())

    began = time.monotonic()
    await gather(WORKERS, worker)
    return time.monotonic() - began


async def measure(
    instance: Instance, operator: Operator, grants: int, *, restarts: bool
) -> list[str]:
    """Let so many grants end at one moment; each is in one tenant of ten namespaces."""
    tenants = max(1, grants // PER_TENANT)
    per_tenant = grants // tenants
    async with raw(instance.admin_kubeconfig) as admin:
        operator.start()
        held = Held(admin)
        watching = asyncio.create_task(held.follow())
        for number in range(tenants):
            places = [{"name": f"t{number}-{each}"} for each in range(per_tenant)]
            quota = enough(per_tenant)
            body = tenant(f"t{number}", namespaces=places, access=_access(None), quota=quota)
            await admin.send("POST", kinds.SECURE_TENANT.path(), body)
        await held.until(grants)
        reference = await bare(admin, grants)
        ends = _at(WAIT_SECONDS + tenants / 20)
        for number in range(tenants):
            await admin.send(
                "PATCH",
                kinds.SECURE_TENANT.path("", f"t{number}"),
                {"spec": {"access": _access(ends)}},
                "application/merge-patch+json",
            )
        if restarts:
            operator.stop()
            left = (ends - datetime.datetime.now(datetime.UTC)).total_seconds()
            await asyncio.sleep(max(0.0, left - 5))
            operator.start()
        await held.until(0)
        watching.cancel()
    kept = [(each - ends).total_seconds() for each in held.lost.values()]
    early = sum(each < 0 for each in kept)
    return [
        f"{grants:,}",
        "5 s before" if restarts else "no",
        spread(kept, "s", 1),
        f"{max(kept):.2f} s",
        f"{reference:.2f} s",
        f"{max(kept) / reference:.1f}",
        str(early),
    ]


def run(sizes: tuple[int, ...]) -> str:
    """Measure each number of namespaces in which a grant ends at one moment."""
    head = [
        "Namespaces in which it ends",
        "operator restarted",
        "kept after it",
        "longest",
        "a bare client",
        "ratio",
        "early",
    ]
    rows = [head]
    for size in sizes:
        for restarts in (False, True):
            name = f"bench-expiry-{size}-{restarts}".lower()
            with control_plane(name) as instance, Operator(instance) as operator:
                rows.append(asyncio.run(measure(instance, operator, size, restarts=restarts)))
    return table(rows)
