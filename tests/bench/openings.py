"""A tenant with everything that a network may hold: openings and peers, in many namespaces."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from bench.cluster import Operator, Raw, drift, raw, spread, table
from conftest import control_plane
from factory import enough, tenant
from securetenant.api import kinds
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance

OPENINGS, ENTRIES, PEERS = 100, 4, 32
HTTPS = [{"port": 443}]
DEADLINE_SECONDS = 3600


def bodies(namespaces: int) -> list[dict[str, Any]]:
    """Return the tenant, and the peers that agree with it."""
    spaces = [{"name": f"wide-{number}"} for number in range(namespaces)]
    to = [{"cidr": f"{20 + number}.0.0.0/8"} for number in range(ENTRIES)]
    openings = [{"name": f"o{number}", "to": to, "ports": HTTPS} for number in range(OPENINGS)]
    peers = [
        {"tenant": f"side-{number}", "namespaces": [f"side-{number}"], **_both()}
        for number in range(PEERS)
    ]
    back = [each["name"] for each in spaces[:256]]
    return [
        tenant(
            "wide",
            namespaces=spaces,
            network={"egress": openings, "peers": peers},
            quota=enough(namespaces),
        ),
        *(
            tenant(
                f"side-{number}",
                namespaces=[{"name": f"side-{number}"}],
                network={"peers": [{"tenant": "wide", "namespaces": back, **_both()}]},
            )
            for number in range(PEERS)
        ),
    ]


def _both() -> dict[str, Any]:
    return {"direction": "Both", "ports": HTTPS}


async def measure(instance: Instance, operator: Operator, namespaces: int) -> list[str]:
    """Apply everything, wait until all of it stands, take one opening back."""
    groups = ("system:masters", "securetenant:break-glass")
    async with (
        raw(instance.admin_kubeconfig) as admin,
        raw(kubeconfigs.for_user(instance, "breaker", groups)) as breaker,
    ):
        operator.start()
        calm = [f"calm-{number}" for number in range(10)]
        body = tenant("calm", namespaces=[{"name": each} for each in calm])
        await admin.send("POST", kinds.SECURE_TENANT.path(), body)
        await _until(lambda: _are_ready(admin))
        others, before = await _count(admin), operator.writes()
        cpu = operator.cpu()
        began = time.monotonic()
        every = bodies(namespaces)
        for body in every:
            await admin.send("POST", kinds.SECURE_TENANT.path(), body)
        away = await drift(admin, breaker, calm, per_second=2, seconds=30)
        walls = 3 + OPENINGS
        agreed = min(namespaces, 256)
        expected = others + namespaces * walls + PEERS * (agreed + 3 + 1)
        await _until(lambda: _are(admin, expected))
        await _until(lambda: _are_ready(admin))
        seconds, writes = time.monotonic() - began, operator.writes() - before
        memory, cpu = operator.memory(), operator.cpu() - cpu
        patch = {"spec": {"network": {"egress": every[0]["spec"]["network"]["egress"][1:]}}}
        began = time.monotonic()
        await admin.send(
            "PATCH",
            kinds.SECURE_TENANT.path("", "wide"),
            patch,
            "application/merge-patch+json",
        )
        await _until(lambda: _are(admin, expected - namespaces))
        withdrawn = time.monotonic() - began
    return [
        f"{namespaces:,}",
        f"{expected - others:,}",
        f"{seconds:.0f} s, {writes / seconds:.0f} writes/s",
        f"{cpu / writes * 1e6:.0f} µs",
        f"{memory:.0f} MB",
        spread(away),
        f"{withdrawn:.1f} s",
    ]


async def _until(asked: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not await asked():  # noqa: ASYNC110 - a figure, not a wait.
            await asyncio.sleep(0.2)


async def _are(admin: Raw, number: int) -> bool:
    return await _count(admin) == number


async def _are_ready(admin: Raw) -> bool:
    """Tell whether every tenant is ready."""
    answer = await admin.send("GET", kinds.SECURE_TENANT.path())
    return all(
        each.get("status", {}).get("conditions", [{}])[0].get("status") == "True"
        for each in answer["items"]
    )


async def _count(admin: Raw) -> int:
    """Return the number of NetworkPolicies, by what a list of one says is left."""
    path = f"{kinds.NETWORK_POLICY.path()}?limit=1"
    answer = await admin.send("GET", path)
    return len(answer["items"]) + int(answer["metadata"].get("remainingItemCount", 0))


def run(sizes: tuple[int, ...]) -> str:
    """Measure each number of namespaces on a control plane of its own."""
    rows = [
        [
            "Namespaces",
            "NetworkPolicies",
            "all ready",
            "CPU per write",
            "memory",
            "drift of another tenant meanwhile, away",
            "one opening taken back",
        ]
    ]
    for size in sizes:
        with (
            control_plane(f"bench-openings-{size}") as instance,
            Operator(instance) as operator,
        ):
            rows.append(asyncio.run(measure(instance, operator, size)))
    return f"{OPENINGS} openings, {PEERS} peers.\n\n{table(rows)}"
