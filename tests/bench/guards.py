"""What the guards add to a request: the same requests to two API servers, one without them.

The two are asked in turn, and change places half way: what one of them is slower by itself is in
both columns then.
"""

import asyncio
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import factory
from bench.cluster import Operator, Raw, percentile, raw, sandbox, table
from harness import Api, kubectl, wait_for, wait_for_account
from securetenant.api import kinds, names
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance

WARM_UP = 100
_TENANT, _OTHER = "bench-tenant", "bench-other"
_MEMBER = "bench-admins"
Row = tuple[str, str, str, Any]


def requests(mine: str) -> list[Row]:
    """Return (title, who, path, body) of what is measured; each is a dry-run create."""
    policy = {"metadata": {"name": "mine"}, "spec": {"podSelector": {}}}
    subject = {"kind": "ServiceAccount", "name": "default", "namespace": mine}
    binding = factory.binding(subject, role="securetenant:viewer")
    return [
        ("pod, in a tenant's namespace", "member", f"/api/v1/namespaces/{mine}/pods", _pod()),
        ("pod, elsewhere", "admin", f"/api/v1/namespaces/{_OTHER}/pods", _pod()),
        ("namespace", "admin", "/api/v1/namespaces", {"metadata": {"name": "new"}}),
        (
            "NetworkPolicy, in a tenant's namespace",
            "admin",
            kinds.NETWORK_POLICY.path(mine),
            policy,
        ),
        (
            "RoleBinding, in a tenant's namespace",
            "member",
            kinds.ROLE_BINDING.path(mine),
            binding,
        ),
        (
            "ConfigMap, in a tenant's namespace",
            "member",
            f"/api/v1/namespaces/{mine}/configmaps",
            {"metadata": {"name": "new"}},
        ),
    ]


def _pod() -> dict[str, Any]:
    return {**factory.pod(limits={"cpu": "10m", "memory": "16Mi"}), "metadata": {"name": "new"}}


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
        """Install the guards or take them away, and see that it is so."""
        kubectl(self.instance, "apply" if on else "delete", "-k", "manifests/policies")
        admin = Api(self.instance.admin_kubeconfig)
        path = kinds.TENANT_POLICY.path(_TENANT, names.POLICY_NAME)
        wait_for(
            lambda: (admin.call("DELETE", path, dryRun="All").status == 403) is on,
            what="the guards",
            seconds=30,
        )

    def login(self, who: str) -> Path:
        """Return the kubeconfig of a tenant's member or of the administrator."""
        if who == "admin":
            return self.instance.admin_kubeconfig
        return kubeconfigs.for_user(self.instance, "bench-member", (_MEMBER,))


async def measure(sides: tuple[Side, Side], rounds: int) -> dict[str, tuple[list[float], ...]]:
    """Return the seconds of each request, with the guards and without."""
    seconds: dict[str, tuple[list[float], ...]] = {}
    for guarded, plain in (sides, sides[::-1]):
        plain.guard(on=False)
        guarded.guard(on=True)
        for title, who, path, body in requests(_TENANT):
            async with raw(guarded.login(who)) as first, raw(plain.login(who)) as second:
                with_guards, without = seconds.setdefault(title, ([], []))
                for number in range(WARM_UP + rounds):
                    pair = [(first, with_guards), (second, without)]
                    for client, found in pair if number % 2 else pair[::-1]:
                        took = await _timed(client, path, body)
                        if number >= WARM_UP:
                            found.append(took)
    return seconds


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
    with sandbox("bench-guards-a") as one, sandbox("bench-guards-b") as two:
        seconds = asyncio.run(measure((Side(one), Side(two)), rounds))
    return table([head, *(_row(title, *found) for title, found in seconds.items())])
