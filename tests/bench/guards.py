"""What the policies add to a request: the same requests to two API servers, one without them.

The two are asked in turn, and change places half way: what one of them is slower by itself is in
both columns then.
"""

import asyncio
import statistics
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import factory
from bench.cluster import Operator, Raw, gather, percentile, put_policies, raw, table
from conftest import control_plane
from harness import Api, kubectl, wait_for, wait_for_account
from securetenant.api import kinds, names
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance

WARM_UP = 100
_TENANT, _OTHER = "bench-tenant", "bench-other"
_MEMBER = "bench-admins"
TENANT_POLICIES = 5000
"""How many parameters there are in the second half: as for as many namespaces."""


class Row(NamedTuple):
    """A dry-run create."""

    title: str
    who: str
    path: str
    body: Any
    unguarded: Any = None
    """What is sent where nothing completes it, if that is something else."""


def requests(mine: str) -> list[Row]:
    """Return what is measured."""
    policy = {"metadata": {"name": "mine"}, "spec": {"podSelector": {}}}
    subject = {"kind": "ServiceAccount", "name": "default", "namespace": mine}
    binding = factory.binding(subject, role="securetenant:viewer")
    return [
        *pods(mine),
        Row("pod, elsewhere", "admin", f"/api/v1/namespaces/{_OTHER}/pods", _pod()),
        Row("namespace", "admin", "/api/v1/namespaces", {"metadata": {"name": "new"}}),
        Row(
            "NetworkPolicy, in a tenant's namespace",
            "admin",
            kinds.NETWORK_POLICY.path(mine),
            policy,
        ),
        Row(
            "RoleBinding, in a tenant's namespace",
            "member",
            kinds.ROLE_BINDING.path(mine),
            binding,
        ),
        Row(
            "ConfigMap, in a tenant's namespace",
            "member",
            f"/api/v1/namespaces/{mine}/configmaps",
            {"metadata": {"name": "new"}},
        ),
    ]


def pods(mine: str, suffix: str = "") -> list[Row]:
    """Return a pod that needs nothing, and one that is completed."""
    path = f"/api/v1/namespaces/{mine}/pods"
    plain = {"metadata": {"name": "new"}, "spec": {"containers": [{"name": "c", "image": "app:1"}]}}
    return [
        Row(f"pod that needs nothing, in a tenant's namespace{suffix}", "member", path, _pod()),
        Row(f"pod to complete, in a tenant's namespace{suffix}", "member", path, plain, _pod()),
    ]


def _pod() -> dict[str, Any]:
    body = factory.pod(limits={"cpu": "10m", "memory": "16Mi", "ephemeral-storage": "16Mi"})
    body["spec"]["containers"][0]["imagePullPolicy"] = "Always"
    return {**body, "metadata": {"name": "new"}}


class Side:
    """One API server, with a tenant that the operator made ready, and the guards on or off."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        admin = Api(instance.admin_kubeconfig)
        admin.create(kinds.NAMESPACE, {"metadata": {"name": _OTHER}}).ok()
        subjects = [{"kind": "Group", "name": _MEMBER}]
        body = factory.tenant(
            "bench",
            namespaces=[{"name": _TENANT}],
            access=[{"name": "admins", "role": "Admin", "subjects": subjects}],
        )
        admin.create(kinds.SECURE_TENANT, body).ok()
        operator = Operator(instance)
        operator.start()
        kubectl(instance, "wait", "--for=condition=Ready", "securetenant/bench", "--timeout=60s")
        operator.stop()
        for namespace in (_TENANT, _OTHER):
            wait_for_account(admin, namespace)

    def guard(self, *, on: bool) -> None:
        """Install the policies or take them away, and see that it is so."""
        put_policies(self.instance, on=on)
        admin = Api(self.instance.admin_kubeconfig)
        # Each policy comes into force within a second or two, by itself.
        plain = pods(_TENANT)[1].body
        path = f"/api/v1/namespaces/{_TENANT}/pods"
        wait_for(
            lambda: (admin.call("POST", path, plain, dryRun="All").status < 300) is on,
            what="the mending",
            seconds=30,
        )

    def login(self, who: str) -> Path:
        """Return the kubeconfig of a tenant's member or of the administrator."""
        if who == "admin":
            return self.instance.admin_kubeconfig
        return kubeconfigs.for_user(self.instance, "bench-member", (_MEMBER,))


Seconds = dict[str, tuple[list[float], ...]]


async def measure(sides: tuple[Side, Side], rounds: int) -> Seconds:
    """Return the seconds of each request, with the policies and without."""
    seconds: Seconds = {}
    for guarded, plain in (sides, sides[::-1]):
        plain.guard(on=False)
        guarded.guard(on=True)
        await _compare(guarded, plain, requests(_TENANT), rounds, seconds)
    # The policies are on the second side now: only there are the parameters read.
    for side in sides:
        await _fill(side)
    many = pods(_TENANT, f", {TENANT_POLICIES:,} TenantPolicies")
    await _compare(sides[1], sides[0], many, rounds, seconds)
    return seconds


async def _compare(
    guarded: Side, plain: Side, rows: list[Row], rounds: int, seconds: Seconds
) -> None:
    for row in rows:
        async with raw(guarded.login(row.who)) as first, raw(plain.login(row.who)) as second:
            with_guards, without = seconds.setdefault(row.title, ([], []))
            for number in range(WARM_UP + rounds):
                pair = [
                    (first, row.body, with_guards),
                    (second, row.unguarded or row.body, without),
                ]
                for client, body, found in pair if number % 2 else pair[::-1]:
                    took = await _timed(client, row.path, body)
                    if number >= WARM_UP:
                        found.append(took)


async def _fill(side: Side) -> None:
    """Make as many TenantPolicies as many tenants have, in namespaces of nobody."""
    groups = ("system:masters", "securetenant:break-glass")
    async with raw(kubeconfigs.for_user(side.instance, "bench-breaker", groups)) as client:
        own = await client.send("GET", kinds.TENANT_POLICY.path(_TENANT, names.POLICY_NAME))
        body = {
            "apiVersion": names.API_VERSION,
            "kind": kinds.TENANT_POLICY.name,
            "metadata": {"name": names.POLICY_NAME},
            "spec": own["spec"],
        }
        work = deque(range(TENANT_POLICIES))

        async def worker() -> None:
            while work:
                name = f"bench-many-{work.popleft()}"
                await client.send("POST", kinds.NAMESPACE.path(), {"metadata": {"name": name}})
                await client.send("POST", kinds.TENANT_POLICY.path(name), body)

        await gather(16, worker)


async def _timed(client: Raw, path: str, body: Any) -> float:
    began = time.perf_counter()
    await client.send("POST", f"{path}?dryRun=All", body)
    return time.perf_counter() - began


def _row(title: str, with_guards: Sequence[float], without: Sequence[float]) -> list[str]:
    middle, before = statistics.median(with_guards), statistics.median(without)
    high, high_before = percentile(with_guards, 0.99), percentile(without, 0.99)
    return [
        title,
        f"{before * 1000:.2f} ms",
        f"{middle * 1000:.2f} ms",
        f"{(middle - before) * 1000:+.2f} ms",
        f"**{middle / before:.2f}**",
        f"{high_before * 1000:.1f} ms",
        f"{high * 1000:.1f} ms",
    ]


def run(rounds: int) -> str:
    """Measure on two control planes side by side; return a Markdown table."""
    head = ["Create", "p50 without", "with", "added", "ratio", "p99 without", "with"]
    with control_plane("bench-guards-a") as one, control_plane("bench-guards-b") as two:
        seconds = asyncio.run(measure((Side(one), Side(two)), rounds))
    return table([head, *(_row(title, *found) for title, found in seconds.items())])
