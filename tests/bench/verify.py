"""The verification: what one namespace costs, and whether tenants feel it."""

import asyncio
import time
from pathlib import Path
from typing import Any

from bench.cluster import Operator, Raw, raw, spread, table
from conftest import control_plane
from factory import tenant
from securetenant.api import kinds
from securetenant.api.tenantpolicy import PolicySpec
from securetenant.checks.attacks import trial
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance

SPACES = 2
MANY = 10_000
"""For how many namespaces the cost is reckoned."""
HOUR = 3600


def _body(number: int) -> dict[str, Any]:
    name = f"proved-{number}"
    subjects = [{"kind": "Group", "name": f"{name}-devs"}]
    return tenant(
        name,
        namespaces=[{"name": f"{name}-{each}"} for each in range(SPACES)],
        access=[{"name": "devs", "role": "Developer", "subjects": subjects}],
    )


def _server_cpu(instance: Instance) -> float:
    """Return the CPU seconds of the API server."""
    folder = str(instance.admin_kubeconfig.parent)
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            command = (process / "cmdline").read_text(encoding="utf-8")
            fields = (process / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        if "kube-apiserver" in command.partition("\0")[0] and folder in command:
            return (int(fields[11]) + int(fields[12])) / 100
    raise RuntimeError("there is no API server")


async def _felt(member: Raw, namespace: str, body: Any, done: asyncio.Event) -> list[float]:
    """Return how long a member's own requests took, one after the other."""
    took = []
    path = f"{kinds.POD.path(namespace)}?dryRun=All"
    while not done.is_set():
        began = time.monotonic()
        await member.send("POST", path, body)
        took.append(time.monotonic() - began)
        await asyncio.sleep(0.02)
    return took


async def _measure(instance: Instance, operator: Operator, tenants: int) -> list[str]:
    member_login = kubeconfigs.for_user(instance, "dev", ("proved-0-devs",))
    async with raw(instance.admin_kubeconfig) as admin, raw(member_login) as member:
        operator.start()
        for number in range(tenants):
            await admin.send("POST", kinds.SECURE_TENANT.path(), _body(number))
        await _until(lambda: _say(admin, "Ready", tenants))
        path = kinds.TENANT_POLICY.path("proved-0-0", "effective")
        policy = PolicySpec.model_validate((await admin.send("GET", path))["spec"])
        pod = trial.pod(policy)

        async def felt(during: Any) -> tuple[list[float], float]:
            done = asyncio.Event()
            asking = asyncio.create_task(_felt(member, "proved-0-0", pod, done))
            began = time.monotonic()
            await during()
            seconds = time.monotonic() - began
            done.set()
            return await asking, seconds

        server = _server_cpu(instance)
        quiet, calm = await felt(lambda: asyncio.sleep(10))
        # What the member's own requests cost is not the verification's.
        otherwise = (_server_cpu(instance) - server) / calm
        cpu, server = operator.cpu(), _server_cpu(instance)
        settings = kinds.TENANCY_SETTINGS.path("", "default")
        change = {"spec": {"verifyEverySeconds": HOUR}}
        await admin.send("PATCH", settings, change, "application/merge-patch+json")
        busy, seconds = await felt(
            lambda: _until(lambda: _say(admin, "IsolationVerified", tenants))
        )
        cpu, server = operator.cpu() - cpu, _server_cpu(instance) - server - otherwise * seconds
        tried = await _tried(admin)
        spaces = tenants * SPACES
        return [
            f"{spaces}",
            f"{tried / spaces:.0f}",
            f"{seconds / spaces:.2f} s",
            f"{cpu / spaces * 1000:.0f} ms",
            f"{server / spaces * 1000:.0f} ms",
            f"{MANY * (cpu + server) / spaces / HOUR:.2f} cores",
            spread(quiet),
            spread(busy),
        ]


async def _say(admin: Raw, type_: str, tenants: int) -> bool:
    found = await admin.send("GET", kinds.SECURE_TENANT.path())
    holding = [
        each
        for body in found["items"]
        for each in (body.get("status") or {}).get("conditions") or ()
        if each["type"] == type_ and each["status"] == "True"
    ]
    return len(holding) == tenants


async def _tried(admin: Raw) -> int:
    found = await admin.send("GET", kinds.SECURE_TENANT.path())
    return sum(body["status"]["isolation"]["tried"] for body in found["items"])


async def _until(done: Any) -> None:
    while not await done():  # noqa: ASYNC110 - a figure, not a wait.
        await asyncio.sleep(0.2)


def run(tenants: int) -> str:
    """Return the figures."""
    with control_plane("bench-verify") as instance, Operator(instance) as operator:
        row = asyncio.run(_measure(instance, operator, tenants))
    return table(
        [
            [
                "Namespaces",
                "requests each",
                "time each",
                "operator's CPU each",
                "API server's CPU each",
                f"{MANY:,} of them once an hour",
                "a member's pod, dry-run, before",
                "meanwhile",
            ],
            row,
        ]
    )
