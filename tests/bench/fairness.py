"""A tenant that floods the API server beside one that is quiet; and what FlowSchemas cost all.

The server has few seats, so that requests queue on a small machine as they do on a large one. The
flood runs all the time, in a process of its own; FlowSchemas are taken away and put back meanwhile.
"""

import asyncio
import contextlib
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import factory
from bench.cluster import Operator, percentile, raw, spread, table
from conftest import control_plane
from harness import Api, kubectl, wait_for, wait_for_account
from securetenant.api import kinds, names
from securetenant.kube import credentials
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance

SEATS = 15
"""In flight at a time, by both limits of the API server together: it has 600 by default."""
ACCOUNTS, EACH = 50, 4
"""ServiceAccounts of the loud tenant, and requests that each has under way."""
OBJECTS, OBJECT_BYTES = 100, 400
"""ConfigMaps in a list of the loud tenant."""
PHASE_SECONDS, PAUSE_SECONDS = 15.0, 0.01
SETTLE_SECONDS = 12.0
"""The server moves seats between levels every ten seconds."""
TURNS = 2
"""How often each state is measured, in turn with the others."""
_LOUD, _QUIET = "bench-loud", "bench-quiet"


class Phase(NamedTuple):
    """One state, measured for a while."""

    seconds: list[float]
    refused: int
    """Answers 429, each of which was waited out as the server asks for."""


def make(instance: Instance) -> tuple[Path, list[Path]]:
    """Make both tenants; return the logins of the quiet one and of the loud one's accounts."""
    admin = Api(instance.admin_kubeconfig)
    for name in (_LOUD, _QUIET):
        body = factory.tenant(name, namespaces=[{"name": name}], quota={"configmaps": 200})
        admin.create(kinds.SECURE_TENANT, body).ok()
    kubectl(instance, "wait", "--for=condition=Ready", "securetenant", "--all", "--timeout=60s")
    for name in (_LOUD, _QUIET):
        binding = factory.binding(
            {"kind": "Group", "name": f"system:serviceaccounts:{name}"}, role="view"
        )
        admin.create(kinds.ROLE_BINDING, binding, name).ok()
        wait_for_account(admin, name)
    path = f"/api/v1/namespaces/{_LOUD}/configmaps"
    for number in range(OBJECTS):
        body = {"metadata": {"name": f"c-{number}"}, "data": {"x": "x" * OBJECT_BYTES}}
        admin.call("POST", path, body).ok()
    for number in range(ACCOUNTS):
        body = {"metadata": {"name": f"a-{number}"}}
        admin.call("POST", f"/api/v1/namespaces/{_LOUD}/serviceaccounts", body).ok()
    loud = [
        kubeconfigs.for_service_account(instance, _LOUD, f"a-{number}")
        for number in range(ACCOUNTS)
    ]
    return kubeconfigs.for_service_account(instance, _QUIET, "default"), loud


@contextlib.contextmanager
def flooding(logins: list[Path]) -> Iterator[None]:
    """Let the loud tenant list, from all its accounts, until the end of the block."""
    process = subprocess.Popen(
        [sys.executable, "-c", "from bench import fairness; fairness.flood()"],
        stdin=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write("\n".join(map(str, logins)) + "\n\n")
    process.stdin.flush()
    try:
        time.sleep(SETTLE_SECONDS)
        assert process.poll() is None, "The flood ended by itself"
        yield
    finally:
        process.kill()
        process.wait()


def flood() -> None:
    """Be the loud tenant: list until killed, or until whoever started this is gone.

    It waits when it is told to, as client libraries do: a runaway controller and no attacker.
    """
    logins = [Path(line.strip()) for line in iter(sys.stdin.readline, "\n")]

    async def listing(login: credentials.Credentials) -> None:
        path = f"{login.server}/api/v1/namespaces/{_LOUD}/configmaps"
        async with credentials.session(login, user_agent="loud", limit=EACH) as session:

            async def one() -> None:
                while True:
                    async with session.get(path) as answer:
                        await answer.read()
                    if answer.status == 429:
                        await asyncio.sleep(float(answer.headers.get("Retry-After", "1")))

            await asyncio.gather(*(one() for _ in range(EACH)))

    async def everybody() -> None:
        work = asyncio.gather(*[listing(await credentials.load(login)) for login in logins])
        ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        await asyncio.wait((work, ended), return_when=asyncio.FIRST_COMPLETED)
        work.cancel()

    asyncio.run(everybody())


async def quiet(login: Path) -> Phase:
    """Ask for one small thing after the other for a while, as the quiet tenant."""
    seconds, refused = [], 0
    asker = await credentials.load(login)
    path = f"{asker.server}/api/v1/namespaces/{_QUIET}/configmaps/kube-root-ca.crt"
    async with credentials.session(asker, user_agent="quiet", limit=1) as session:
        end = time.monotonic() + PHASE_SECONDS
        while time.monotonic() < end:
            began = time.perf_counter()
            while True:
                async with session.get(path) as answer:
                    await answer.read()
                    if answer.status == 200:
                        break
                    if answer.status != 429:
                        raise RuntimeError(f"{answer.status}: {await answer.text()}")
                    refused += 1
                await asyncio.sleep(float(answer.headers.get("Retry-After", "1")))
            seconds.append(time.perf_counter() - began)
            await asyncio.sleep(PAUSE_SECONDS)
    return Phase(seconds, refused)


def flows(instance: Instance, operator: Operator, login: Path, *, on: bool) -> None:
    """Let the operator write its FlowSchemas or take them away, and see that the server knows."""
    groups = ("system:masters", "securetenant:break-glass")
    breaker = Api(kubeconfigs.for_user(instance, "bench-breaker", groups))
    if on:
        operator.start()
    else:
        operator.stop()
    path = kinds.FLOW_SCHEMA.path()
    asked = Api(login)

    def seen() -> bool:
        if not on:
            breaker.call("DELETE", path, labelSelector=names.MANAGED_SELECTOR).ok()
        ours = {
            each["metadata"]["uid"]
            for each in breaker.list(kinds.FLOW_SCHEMA, labelSelector=names.MANAGED_SELECTOR)
        }
        flow = asked.call("GET", f"/api/v1/namespaces/{_QUIET}/configmaps").flow
        return bool(flow) and (flow in ours) is on

    wait_for(seen, what="the FlowSchemas", seconds=120)


def compare() -> str:
    """Return the quiet tenant's waiting, alone and beside the flood, as a table."""
    alone, without, beside = Phase([], 0), Phase([], 0), Phase([], 0)
    with control_plane("bench-fairness", in_flight=SEATS) as instance:
        operator = Operator(instance)
        try:
            operator.start()
            login, logins = make(instance)
            for _ in range(TURNS):
                alone = _sum(alone, asyncio.run(quiet(login)))
                flows(instance, operator, login, on=False)
                with flooding(logins):
                    without = _sum(without, asyncio.run(quiet(login)))
                    flows(instance, operator, login, on=True)
                    time.sleep(SETTLE_SECONDS)
                    beside = _sum(beside, asyncio.run(quiet(login)))
        finally:
            operator.stop()
    rows = (
        ("alone", alone),
        ("beside the flood, without FlowSchemas", without),
        ("beside the flood, with them", beside),
    )
    high = percentile(alone.seconds, 0.99)
    head = ["The quiet tenant", "requests", "p50, p99", "p99 to alone", "answered 429"]
    return table(
        [
            head,
            *(
                [
                    title,
                    f"{len(phase.seconds):,}",
                    spread(phase.seconds),
                    f"**x{percentile(phase.seconds, 0.99) / high:.1f}**",
                    str(phase.refused),
                ]
                for title, phase in rows
            ),
        ]
    )


def _sum(one: Phase, other: Phase) -> Phase:
    return Phase(one.seconds + other.seconds, one.refused + other.refused)


STEPS = ((64, 1), (64, 16), (1000, 1))
"""FlowSchemas that do not match, and the groups that each of them names."""


def _schema(name: str, precedence: int, groups: list[str]) -> dict[str, Any]:
    subjects = [{"kind": "Group", "group": {"name": each}} for each in groups]
    everything = {
        "verbs": ["*"],
        "apiGroups": ["*"],
        "resources": ["*"],
        "clusterScope": True,
        "namespaces": ["*"],
    }
    return {
        "metadata": {"name": name},
        "spec": {
            "matchingPrecedence": precedence,
            "priorityLevelConfiguration": {"name": names.PRIORITY_LEVEL},
            "rules": [{"subjects": subjects, "resourceRules": [everything]}],
        },
    }


async def costs(instance: Instance, rounds: int) -> str:
    """Return what comparing a request with FlowSchemas adds to it.

    The server compares in the order of precedence and stops at the first that matches. So of
    people who match at different places, asked in turn, each waits for what stands before him.
    """
    admin = Api(instance.admin_kubeconfig)
    people = [f"bench-{place}" for place in range(len(STEPS) + 1)]
    subjects = [{"kind": "Group", "name": each} for each in people]
    binding = {**factory.binding(*subjects, role="view"), "metadata": {"name": "bench"}}
    admin.create(kinds.CLUSTER_ROLE_BINDING, {**binding, "kind": "ClusterRoleBinding"}).ok()
    apis = []
    for place, person in enumerate(people):
        schema = _schema(person, 1001 + 2 * place, [person])
        uid = admin.create(kinds.FLOW_SCHEMA, schema).ok()["metadata"]["uid"]
        apis.append((Api(kubeconfigs.for_user(instance, person, (person,))), uid))
    for place, (count, groups) in enumerate(STEPS):
        for number in range(count):
            name = f"bench-{place}-{number}"
            others = [f"system:serviceaccounts:{name}-{each}" for each in range(groups)]
            admin.create(kinds.FLOW_SCHEMA, _schema(name, 1002 + 2 * place, others)).ok()
    path = "/api/v1/namespaces/default"
    for api, uid in apis:
        wait_for(
            lambda api=api, uid=uid: api.call("GET", path).flow == uid,  # type: ignore[misc]
            what="the FlowSchemas to be in use",
            seconds=60,
        )
    seconds: list[list[float]] = [[] for _ in people]
    async with contextlib.AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(raw(kubeconfigs.for_user(instance, person, (person,))))
            for person in people
        ]
        for turn in range(rounds):
            for place in range(len(people)):
                chosen = (place + turn) % len(people)
                began = time.perf_counter()
                await clients[chosen].send("GET", path)
                seconds[chosen].append(time.perf_counter() - began)
    head = ["FlowSchemas passed over", "groups in each", "p50 before them", "behind them", "added"]
    rows = [[*head, "ratio"]]
    for place, (count, groups) in enumerate(STEPS):
        before, after = (statistics.median(each) * 1e6 for each in seconds[place : place + 2])
        rows.append(
            [
                f"{count:,}",
                str(groups),
                f"{before:.0f} µs",
                f"{after:.0f} µs",
                f"{after - before:+.0f} µs",
                f"**{after / before:.2f}**",
            ]
        )
    return table(rows)


def run(rounds: int) -> str:
    """Measure both; return the tables."""
    with control_plane("bench-fairness-cost") as instance:
        cost = asyncio.run(costs(instance, rounds * 2))
    return f"{compare()}\n\n{cost}"
