"""Ten thousand namespaces: what an operator takes for them, in few tenants and in many."""

import asyncio
import sys
import time
from typing import NamedTuple

from bench.cluster import (
    Operator,
    Raw,
    drift,
    put_policies,
    raw,
    send_until,
    server_cpu,
    spread,
    table,
)
from bench.converge import Turn, bare_turn, bodies, converge
from conftest import control_plane
from harness import conditions
from securetenant.api import kinds
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance

NAMESPACES = 10_000
DELETED = 5000
"""Namespaces of the tenants that are deleted at once."""
DRIFT_PER_SECOND = 50
DRIFT_SECONDS = 10
REST_SECONDS = 60
MERGE = "application/merge-patch+json"


class Shape(NamedTuple):
    """How the namespaces are spread."""

    tenants: int
    policy: str
    """What becomes of the namespaces of a deleted tenant: Delete or Retain."""
    idle_seconds: int
    """How long nothing happens."""

    @property
    def each(self) -> int:
        """Return the namespaces of one tenant."""
        return NAMESPACES // self.tenants


SHAPES = (Shape(1000, "Delete", 600), Shape(10_000, "Retain", 600))
"""By a tenant's default its namespaces are kept. Of many tenants, only so many lose theirs within
an hour (teardownsPerHour): that is a brake, and nothing to measure."""


async def change_fleet(client: Raw) -> float:
    """Change one value of the settings; return the seconds until every tenant follows it."""
    path = kinds.TENANCY_SETTINGS.path("", "default")
    began = time.monotonic()
    changed = {"spec": {"dns": {"addresses": ["169.254.20.11/32"]}}}
    wanted = (await client.send("PATCH", path, changed, MERGE))["metadata"]["generation"]
    while True:
        told = conditions(await client.send("GET", path))["RolledOut"]
        if told.get("observedGeneration") == wanted and told["status"] == "True":
            return time.monotonic() - began
        await asyncio.sleep(0.2)


async def delete(client: Raw, shape: Shape) -> float:
    """Delete tenants at once; return the seconds until they, and what goes with them, are gone."""
    every = bodies("big", NAMESPACES, shape.each)[: DELETED // shape.each]
    gone = {body["metadata"]["name"] for body in every}
    kind, waiting = kinds.SECURE_TENANT, set(gone)
    if shape.policy == "Delete":
        kind = kinds.NAMESPACE
        waiting = {each["name"] for body in every for each in body["spec"]["namespaces"]}
    return await send_until(
        client,
        [("DELETE", kinds.SECURE_TENANT.path("", name), None) for name in gone],
        path=kind.path(),
        waiting=waiting,
        is_done=lambda event: event["type"] == "DELETED",
    )


async def measure(instance: Instance, operator: Operator, shape: Shape) -> list[list[str]]:
    """Take one shape through its life; return rows of figures."""
    groups = ("system:masters", "securetenant:break-glass")
    rows = []

    def tell(what: str, figure: str) -> None:
        """Keep a figure, and show it: the next one may be long in coming."""
        rows.append([f"{shape.tenants:,}", what, figure])
        sys.stdout.write(f"{' | '.join(rows[-1])}\n")
        sys.stdout.flush()

    async with (
        raw(instance.admin_kubeconfig) as admin,
        raw(kubeconfigs.for_user(instance, "breaker", groups)) as breaker,
    ):
        brake = {"spec": {"teardownsPerHour": 1000}}
        await admin.send("PATCH", kinds.TENANCY_SETTINGS.path("", "default"), brake, MERGE)
        operator.start()
        every = bodies("big", NAMESPACES, shape.each)
        for body in every:
            body["spec"]["deletionPolicy"] = shape.policy
        counted = _Counted(instance, operator)
        tell("converge", counted.since(await converge(admin, every)))
        tell("memory then", f"{operator.memory():.0f} MB")
        tell("lead given up meanwhile", f"{operator.lapses()} times")
        # What is told late, as how many pods there are, is no write of the restart.
        await asyncio.sleep(REST_SECONDS)
        operator.stop()
        ready = await asyncio.to_thread(operator.start)
        silence = await asyncio.to_thread(operator.probe, REST_SECONDS)
        tell(
            "restart",
            f"ready after {ready:.1f} s, {operator.writes()} writes,"
            f" longest wait for an answer to a probe {silence:.2f} s",
        )
        counted = _Counted(instance, operator)
        await asyncio.sleep(shape.idle_seconds)
        tell(f"idle for {shape.idle_seconds} s", counted.idle(shape.idle_seconds))
        tell("memory then", f"{operator.memory():.0f} MB")
        places = [each["name"] for body in every for each in body["spec"]["namespaces"]]
        away = await drift(
            admin, breaker, places, per_second=DRIFT_PER_SECOND, seconds=DRIFT_SECONDS
        )
        tell(
            f"drift at {DRIFT_PER_SECOND}/s, away",
            f"{spread(away)} ({len(away)} of {DRIFT_PER_SECOND * DRIFT_SECONDS} repaired)",
        )
        counted = _Counted(instance, operator)
        tell("one value of the settings", counted.since(await change_fleet(admin)))
        counted = _Counted(instance, operator)
        what = "with all that is in them" if shape.policy == "Delete" else "namespaces kept"
        tell(
            f"{DELETED // shape.each:,} tenants deleted, {what}",
            counted.since(await delete(admin, shape)),
        )
        tell("memory then", f"{operator.memory():.0f} MB")
        operator.stop()
    return rows


class _Counted:
    """Writes and CPU from now on."""

    def __init__(self, instance: Instance, operator: Operator) -> None:
        self._instance, self._operator = instance, operator
        self._writes, self._cpu = operator.writes(), operator.cpu()
        self._requests = operator.requests()
        self._server = server_cpu(instance)

    def since(self, seconds: float) -> str:
        """Return what it took, for people."""
        writes = self._operator.writes() - self._writes
        cpu = self._operator.cpu() - self._cpu
        turn = Turn(seconds, server_cpu(self._instance) - self._server)
        per_write = f", {cpu / writes * 1000:.2f} ms of its CPU for each" if writes else ""
        return f"{turn}, {writes:,} writes{per_write}"

    def idle(self, seconds: float) -> str:
        """Return what was used of one core."""
        share = (self._operator.cpu() - self._cpu) / seconds * 100
        writes = self._operator.writes() - self._writes
        requests = self._operator.requests() - self._requests
        return f"{writes} writes, {requests} requests, {share:.2f} % of a core"


def run() -> str:
    """Measure both shapes, and the bare client without policies as the reference."""
    rows = [["Tenants", "What", "Figure"]]
    for shape in SHAPES:
        with (
            control_plane(f"bench-scale-{shape.tenants}") as instance,
            Operator(instance) as operator,
        ):
            rows += asyncio.run(measure(instance, operator, shape))
    with control_plane("bench-scale-plain") as plain:
        put_policies(plain, on=False)
        turn = asyncio.run(bare_turn(plain, "bare", NAMESPACES))
    rows.append(["1,000", "bare client, no policies", str(turn)])
    return table(rows)
