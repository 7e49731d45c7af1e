"""From specs to namespaces: the operator against a bare client that makes the same writes."""

import asyncio
import time
from collections import deque
from typing import Any, NamedTuple

from bench.cluster import (
    APPLY,
    Operator,
    Raw,
    drift,
    gather,
    percentile,
    put_policies,
    raw,
    send_until,
    server_cpu,
    spread,
    table,
)
from conftest import control_plane
from factory import seen, tenant
from securetenant.api import kinds, names
from securetenant.api.tenancysettings import SettingsSpec
from securetenant.desired import namespaces, unit
from securetenant.reconcile.store import Store
from securetenant.reconcile.tenants import Tenants
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance

PER_TENANT = 10
WORKERS = 32
DRIFT_PER_SECOND = 50
DRIFT_SECONDS = 10


def bodies(prefix: str, count: int, each: int = PER_TENANT) -> list[dict[str, Any]]:
    """Return the SecureTenants of ``count`` namespaces, so many for each."""
    grants = [
        {"name": "devs", "role": "Developer", "subjects": [{"kind": "Group", "name": "devs"}]}
    ]
    return [
        tenant(
            f"{prefix}-{index}",
            namespaces=[{"name": f"{prefix}-{index}-{number}"} for number in range(each)],
            access=grants,
            quota={"pods": 1000, "requests.cpu": 40},
        )
        for index in range(count // each)
    ]


async def bare(client: Raw, prefix: str, count: int, settings: SettingsSpec) -> float:
    """Make the same writes without an operator; return seconds until all quotas are counted.

    By who breaks the glass: policies let nobody else write a tenant's walls.
    """
    work: deque[Any] = deque()
    for body in bodies(prefix, count):
        known = Tenants()
        known.see(body["metadata"]["name"], seen(body))
        known.read(body["metadata"]["name"], settings, Store())
        record = known.get(body["metadata"]["name"])
        assert record is not None
        work.append((body, [unit.scope for unit in record.units.values()]))
    counted: set[str] = set()

    async def watch() -> None:
        selector = f"labelSelector={names.MANAGED_SELECTOR}"
        async for event in client.watch(f"{kinds.RESOURCE_QUOTA.path()}?{selector}"):
            found = event["object"]
            place = found["metadata"]["namespace"]
            if place.startswith(f"{prefix}-") and (
                found["status"].get("hard") == found["spec"]["hard"]
            ):
                counted.add(place)
                if len(counted) == count:
                    return

    async def worker() -> None:
        while work:
            body, scopes = work.popleft()
            await one_tenant(client, body, scopes)

    watching = asyncio.create_task(watch())
    began = time.monotonic()
    await gather(WORKERS, worker)
    await watching
    return time.monotonic() - began


async def one_tenant(client: Raw, body: Any, scopes: list[Any]) -> None:
    """Write what the operator would, in its order, while no operator runs."""
    name = body["metadata"]["name"]
    path = kinds.SECURE_TENANT.path("", name)
    manager = f"?fieldManager={names.FIELD_MANAGER}&force=true"
    await client.send("POST", kinds.SECURE_TENANT.path(), body)
    head = {"apiVersion": names.API_VERSION, "kind": "SecureTenant"}
    marker = {**head, "metadata": {"name": name, "finalizers": ["bench.example/none"]}}
    await client.send("PATCH", path + manager, marker, APPLY)
    for each in scopes:
        await client.send("POST", kinds.NAMESPACE.path(), namespaces.build_initial(each).body)
        uid = ""
        for manifest in sorted(unit.build(each)[1:], key=_turn):
            made = await client.send("PATCH", manifest.ref.path + manager, manifest.body, APPLY)
            if manifest.ref.kind == kinds.TENANT_POLICY.name:
                uid, policy = made["metadata"]["uid"], manifest.ref
        ready = namespaces.build_ready(each, uid)
        await client.send("PATCH", ready.ref.path + manager, ready.body, APPLY)
        status = {
            "apiVersion": names.API_VERSION,
            "kind": "TenantPolicy",
            "metadata": {"name": policy.name},
            "status": {"observedGeneration": 1},
        }
        await client.send("PATCH", f"{policy.path}/status{manager}", status, APPLY)
    document = {**head, "metadata": {"name": name}, "status": {"observedGeneration": 1}}
    await client.send("PATCH", f"{path}/status{manager}", document, APPLY)


def _turn(manifest: Any) -> int:
    """Return when the operator makes a new object: a quota after what it counts, then access."""
    last = (kinds.RESOURCE_QUOTA.name, kinds.ROLE_BINDING.name)
    return last.index(manifest.ref.kind) + 1 if manifest.ref.kind in last else 0


async def clean(client: Raw, prefix: str, count: int) -> None:
    """Remove the SecureTenants of a bare run before an operator sees them."""
    for body in bodies(prefix, count):
        path = kinds.SECURE_TENANT.path("", body["metadata"]["name"])
        patch = {"metadata": {"finalizers": None}}
        await client.send("PATCH", path, patch, "application/merge-patch+json")
        await client.send("DELETE", path)


async def converge(client: Raw, every: list[dict[str, Any]]) -> float:
    """Create the SecureTenants; return the seconds until all are Ready."""
    return await send_until(
        client,
        [("POST", kinds.SECURE_TENANT.path(), body) for body in every],
        path=kinds.SECURE_TENANT.path(),
        waiting={body["metadata"]["name"] for body in every},
        is_done=lambda event: _is_ready(event["object"]),
    )


def _is_ready(body: Any) -> bool:
    return any(
        each["type"] == "Ready" and each["status"] == "True"
        for each in body.get("status", {}).get("conditions", ())
    )


async def one_by_one(client: Raw, times: int) -> list[float]:
    """Apply one tenant of three namespaces to a quiet cluster, again and again."""
    seconds = []
    for number in range(times):
        name = f"single-{number}"
        body = tenant(name, namespaces=[{"name": f"{name}-{each}"} for each in "abc"])

        async def watch(name: str = name) -> None:
            selector = f"fieldSelector=metadata.name={name}"
            async for event in client.watch(f"{kinds.SECURE_TENANT.path()}?{selector}"):
                if _is_ready(event["object"]):
                    return

        watching = asyncio.create_task(watch())
        began = time.monotonic()
        await client.send("POST", kinds.SECURE_TENANT.path(), body)
        await watching
        seconds.append(time.monotonic() - began)
    return seconds


class Turn(NamedTuple):
    """How long something took, and the CPU that its API server took for it, in seconds."""

    seconds: float
    server: float

    def __str__(self) -> str:
        """Return both, for people."""
        return f"{self.seconds:.1f} s ({self.server:.1f} s of the API server's CPU)"


async def bare_turn(instance: Instance, prefix: str, count: int) -> Turn:
    """Let the bare client make the namespaces; what an operator would see of it is removed."""
    groups = ("system:masters", "securetenant:break-glass")
    async with raw(kubeconfigs.for_user(instance, "breaker", groups)) as breaker:
        answer = await breaker.send("GET", kinds.TENANCY_SETTINGS.path("", "default"))
        settings = SettingsSpec.model_validate(answer["spec"])
        before = server_cpu(instance)
        seconds = await bare(breaker, prefix, count, settings)
        turn = Turn(seconds, server_cpu(instance) - before)
        await clean(breaker, prefix, count)
    return turn


async def operator_turn(
    instance: Instance, operator: Operator, count: int
) -> tuple[Turn, list[list[str]]]:
    """Let the operator make them, disturb it, leave it alone, start it again; rows of figures."""
    groups = ("system:masters", "securetenant:break-glass")
    async with (
        raw(instance.admin_kubeconfig) as admin,
        raw(kubeconfigs.for_user(instance, "breaker", groups)) as breaker,
    ):
        operator.start()
        cpu, writes, requests = operator.cpu(), operator.writes(), operator.requests()
        before = server_cpu(instance)
        seconds = await converge(admin, bodies(f"op{count}", count))
        turn = Turn(seconds, server_cpu(instance) - before)
        cpu, writes = operator.cpu() - cpu, operator.writes() - writes
        requests, memory = operator.requests() - requests, operator.memory()
        spaces = (body["spec"]["namespaces"] for body in bodies(f"op{count}", count))
        places = [each["name"] for some in spaces for each in some]
        away = await drift(
            admin, breaker, places, per_second=DRIFT_PER_SECOND, seconds=DRIFT_SECONDS
        )
        single = await one_by_one(admin, 20) if count <= 100 else []
        await asyncio.sleep(3)
        idle, quiet = operator.cpu(), operator.writes()
        await asyncio.sleep(20)
        idle, quiet = (operator.cpu() - idle) / 20, operator.writes() - quiet
        operator.stop()
        restart = operator.start()
        await asyncio.sleep(2)
        rewritten, warm = operator.writes(), operator.memory()
        operator.stop()
    rows = [
        ["writes per namespace", f"{writes / count:.2f}"],
        ["requests per namespace", f"{requests / count:.2f}"],
        ["operator's CPU per write", f"{cpu / writes * 1e6:.0f} µs"],
        ["operator's memory after", f"{memory:.0f} MB, {warm:.0f} MB after a restart"],
        [
            f"drift at {DRIFT_PER_SECOND}/s, away",
            f"{spread(away)} ({len(away)} of {DRIFT_PER_SECOND * DRIFT_SECONDS} repaired)",
        ],
        ["idle for 20 s", f"{quiet} writes, {idle * 100:.2f} % of a core"],
        ["restart", f"ready after {restart:.1f} s, {rewritten} writes"],
    ]
    if single:
        rows.append(
            [
                "one tenant of three namespaces, apply to Ready",
                f"{spread(single)}, worst {percentile(single, 1) * 1000:.0f} ms",
            ]
        )
    return turn, rows


async def measure(
    plain: Instance, instance: Instance, operator: Operator, count: int
) -> list[list[str]]:
    """Measure one size; return rows of figures.

    The reference comes before and after, so that a machine that slows down is seen to.
    """
    first = await bare_turn(plain, f"bare{count}a", count)
    turn, rows = await operator_turn(instance, operator, count)
    judged = await bare_turn(instance, f"bare{count}b", count)
    second = await bare_turn(plain, f"bare{count}c", count)
    seconds = (first.seconds + second.seconds) / 2
    server = (first.server + second.server) / 2
    rows = [
        ["bare client, no policies", f"{first} and {second}"],
        ["bare client, with the policies", f"{judged}"],
        ["operator", f"{turn}"],
        ["**operator / bare client, no policies**", f"**{turn.seconds / seconds:.2f}**"],
        ["the same, of the API server's CPU", f"{turn.server / server:.2f}"],
        ["operator / bare client, with the policies", f"{turn.seconds / judged.seconds:.2f}"],
        *rows,
    ]
    return [[f"{count:,}", *row] for row in rows]


def run(sizes: tuple[int, ...]) -> str:
    """Measure each size on two control planes, without and with the policies; a Markdown table."""
    rows = [["Namespaces", "What", "Figure"]]
    for count in sizes:
        with (
            control_plane(f"bench-{count}-plain") as plain,
            control_plane(f"bench-{count}") as instance,
            Operator(instance) as operator,
        ):
            put_policies(plain, on=False)
            rows += asyncio.run(measure(plain, instance, operator, count))
    return table(rows)
