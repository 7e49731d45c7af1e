"""Looking through what is already there: what one look costs, and so a fleet of 100,000 objects."""

import asyncio
import copy
import datetime
import resource
import time
from typing import Any

import factory
from bench.cluster import Raw, raw, table
from conftest import control_plane
from securetenant.api import kinds
from securetenant.api.kinds import Kind
from securetenant.api.tenantpolicy import PolicySpec
from securetenant.checks import standing
from securetenant.concerns.standing import look
from securetenant.concerns.standing.look import Served
from securetenant.kube import credentials
from securetenant.kube.client import Client
from securetenant.sandbox.instances import Instance

FLEET = 10_000
"""Namespaces of ten objects: 100,000 objects."""
INTERVAL = 3600
"""Seconds in which each is looked at once, by default."""
ENVIRONMENT = 40
"""Variables of a container: a pod as it is read has 8 KB then."""
_POLICY = factory.policy_body(factory.tenant("bench"), "bench-a")


def run(sizes: tuple[int, ...]) -> str:
    """Measure each number of namespaces; return a Markdown table."""
    with control_plane("bench-standing") as instance:
        return asyncio.run(_run(instance, sizes))


async def _run(instance: Instance, sizes: tuple[int, ...]) -> str:
    rows = [
        [
            "Namespaces",
            "Objects",
            "Requests",
            "one look",
            "CPU of one look",
            "RSS grew by",
            f"CPU for {FLEET * 10:,} objects an hour",
            "Requests for these",
        ]
    ]
    made = 0
    async with raw(instance.admin_kubeconfig) as admin:
        for size in sizes:
            await asyncio.gather(*(_make(admin, number) for number in range(made, size)))
            made = size
            rows.append(await _measure(instance, size))
    return table(rows)


async def _measure(instance: Instance, size: int) -> list[str]:
    asked: list[int] = []
    login = await credentials.load(instance.admin_kubeconfig)
    async with Client(login, requested=lambda _method, status: asked.append(status)) as client:
        served = Served(time.monotonic, 600)
        await look.through(client, _rules(0), lambda _: False, served)
        asked.clear()
        memory, began, busy = _memory(), time.monotonic(), time.process_time()
        wrong = 0
        for number in range(size):
            found = await look.through(client, _rules(number), lambda _: False, served)
            wrong += found.total
        took, used = time.monotonic() - began, time.process_time() - busy
    if wrong != size:
        raise RuntimeError(f"{wrong} objects are wrong, of {size}")
    share = used / size * FLEET / INTERVAL
    return [
        f"{size:,}",
        f"{size * 10:,}",
        f"{len(asked) / size:.0f} a namespace",
        f"{took / size * 1000:.0f} ms",
        f"{used / size * 1000:.1f} ms",
        f"{_memory() - memory:.0f} MB",
        f"{used / size * FLEET:.0f} s, {share:.1%} of a core",
        f"{len(asked) / size * FLEET / INTERVAL:.0f} a second",
    ]


def _memory() -> float:
    """Return the largest resident memory so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _rules(number: int) -> standing.Rules:
    name, spec = _name(number), _POLICY["spec"]
    access = {**spec["access"], "serviceAccountNamespaces": [name]}
    policy = PolicySpec.model_validate({**spec, "access": access})
    return standing.today(name, policy, datetime.datetime.now(datetime.UTC))


def _name(number: int) -> str:
    return f"bench-{number}"


async def _make(admin: Raw, number: int) -> None:
    """Make a namespace of ten objects; one of them would be refused."""
    name = _name(number)
    await admin.send("POST", kinds.NAMESPACE.path(), {"metadata": {"name": name}})
    for kind, body in _objects():
        for _ in range(200):
            try:
                await admin.send("POST", kind.path(name), body)
            except RuntimeError as error:
                # The ServiceAccount of pods comes a moment later.
                if "serviceaccount" not in str(error):
                    raise
                await asyncio.sleep(0.1)
            else:
                break


def _objects() -> list[tuple[Kind, dict[str, Any]]]:
    pod = copy.deepcopy(factory.pod())
    container = pod["spec"]["containers"][0]
    container["imagePullPolicy"] = "Always"
    container["env"] = [{"name": f"V{n}", "value": "x" * 100} for n in range(ENVIRONMENT)]
    pod["spec"]["automountServiceAccountToken"] = False
    meta = {"metadata": {"generateName": "x-"}}
    ports = {"ports": [{"port": 80}]}
    own = [{"kind": "ServiceAccount", "name": "own"}]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "own"}
    claim = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "fast",
        "resources": {"requests": {"storage": "1Gi"}},
    }
    inside: dict[str, Any] = {"podSelector": {}, "ingress": [{"from": [{"podSelector": {}}]}]}
    return [
        *[(kinds.POD, pod)] * 3,
        (kinds.SERVICE, {**meta, "spec": {"selector": {"a": "b"}, **ports}}),
        (kinds.SERVICE, {**meta, "spec": {"type": "NodePort", "selector": {"a": "b"}, **ports}}),
        (kinds.CLAIM, {**meta, "spec": claim}),
        *[(kinds.NETWORK_POLICY, {**meta, "spec": inside})] * 2,
        *[(kinds.ROLE_BINDING, {**meta, "roleRef": role, "subjects": own})] * 2,
    ]
