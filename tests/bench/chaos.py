"""Ten minutes of everything at once, by chance from a seed: what must hold, holds at the end.

Two operators with a short Lease, each behind a bad network of its own, are killed and frozen; all
specs change, tenants are deleted with their namespaces and made again, objects are edited and
deleted by break-glass, Deployments ask a pool for more than there is.

Afterwards the network is good. Then every tenant is ready, and every object is what the pure
builders make of the last specs. Of all versions that the API server had, as watches tell them, in
none a namespace was ready without walls but those that break-glass had deleted, and in none a sum
of the pool's quotas (asked for, enforced, used) was above the total.
"""

import contextlib
import json
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import factory
from bench.cluster import table
from conftest import control_plane
from factory import tenant
from faults import world
from faults.conftest import TAKEN_SECONDS, settle
from faults.proxy import Answer, Delay, Fault, HalfLine, Lost, Proxy, Twice, nothing, some
from harness import MERGE, Api, Operator, wait_for
from securetenant.api import kinds, names, quantities
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance

SECONDS = 600
SEEDS = (1, 2, 3)
FLEET = 8
SPACES = 4
TOTAL: dict[str, Any] = {"limits.cpu": 4, "limits.memory": "8Gi", "pods": 40}
"""Of the tenant with a pool."""
_PREFIX, _POOL = "chaos", "pool"
_LEASE_SECONDS = 3
_FAULTS: tuple[Fault, ...] = (
    Answer(status=429, headers={"Retry-After": "1"}),
    Answer(status=500),
    Answer(status=503),
    Delay(seconds=0.5),
    Delay(seconds=5),
    Lost(),
    HalfLine(),
    Twice(),
)
_EDITS: tuple[tuple[kinds.Kind, str, Any], ...] = (
    (kinds.NETWORK_POLICY, names.DEFAULT_DENY, {"spec": {"egress": [{}]}}),
    (kinds.RESOURCE_QUOTA, names.QUOTA, {"spec": {"hard": {"pods": "999"}}}),
    (kinds.LIMIT_RANGE, names.LIMITS, {"metadata": {"labels": {"edited": "yes"}}}),
    (kinds.TENANT_POLICY, names.POLICY_NAME, {"metadata": {"labels": {"edited": "yes"}}}),
)
"""What an administrator changes who breaks the glass."""


class Sums:
    """The sum of a tenant's quotas, in every version that the API server had."""

    def __init__(self, admin: Api) -> None:
        self.violations = 0
        self.versions = 0
        self._thread = threading.Thread(target=self._follow, args=(admin,), daemon=True)
        self._thread.start()

    @property
    def is_whole(self) -> bool:
        """Tell whether nothing was missed."""
        return self._thread.is_alive()

    def _follow(self, admin: Api) -> None:
        held: dict[str, dict[str, tuple[int, ...]]] = {}
        most = {key: quantities.units(key, value) for key, value in TOTAL.items()}
        with contextlib.suppress(OSError):
            for event in admin.watch(kinds.RESOURCE_QUOTA):
                body = event["object"]
                namespace = body["metadata"]["namespace"]
                if not namespace.startswith(f"{_POOL}-"):
                    continue
                status = body.get("status") or {}
                maps = (body["spec"]["hard"], status.get("hard") or {}, status.get("used") or {})
                self.versions += 1
                for key, total in most.items():
                    asked = tuple(quantities.units(key, each.get(key, 0)) for each in maps)
                    held.setdefault(key, {})[namespace] = asked
                    sums = (sum(each) for each in zip(*held[key].values(), strict=True))
                    self.violations += max(sums) > total


class Run:
    """One run: what happens, and what it happens to."""

    def __init__(self, instance: Instance, folder: Path, seed: int) -> None:
        self.chance = random.Random(seed)
        self.done = Counter[str]()
        self.deleted: set[tuple[str, str, str]] = set()
        """Walls that were deleted by break-glass: namespace, kind and name."""
        self.admin = Api(instance.admin_kubeconfig)
        groups = ("system:masters", "securetenant:break-glass")
        self._breaker = Api(kubeconfigs.for_user(instance, "breaker", groups))
        self._proxies = [Proxy(instance, _made(folder / f"proxy-{name}")) for name in "ab"]
        self.operators = [
            Operator(
                instance,
                folder / f"log-{name}",
                login=proxy.kubeconfig,
                lease_seconds=_LEASE_SECONDS,
            )
            for name, proxy in zip("ab", self._proxies, strict=True)
        ]
        self._actions: tuple[tuple[int, Callable[[], None]], ...] = (
            (6, self.change),
            (6, self.delete_object),
            (4, self.edit_object),
            (6, self.ask),
            (2, self.come_and_go),
            (2, self.trouble),
            (1, self.kill),
            (1, self.freeze),
        )

    def begin(self) -> None:
        """Start both operators, and make every tenant."""
        for each in self.operators:
            each.start(until="Standing by")
        often = {"spec": {"teardownsPerHour": 1000}}
        path = kinds.TENANCY_SETTINGS.path("", names.SETTINGS_NAME)
        self.admin.call("PATCH", path, often, content_type=MERGE).ok()
        self.change()
        spaces = [{"name": f"{_POOL}-{number}"} for number in range(SPACES)]
        self._applied(tenant(_POOL, namespaces=spaces, quota=TOTAL))
        settle(self.admin, _PREFIX)

    def go(self, seconds: float) -> None:
        """Have things happen, by chance, for so long."""
        weights = [weight for weight, _ in self._actions]
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            ((_, action),) = self.chance.choices(self._actions, weights)
            action()
            self.done[action.__name__.replace("_", " ")] += 1
            time.sleep(self.chance.uniform(0.0, 1.5))

    def end(self) -> None:
        """Let everything come to rest: the network is good, and both operators run."""
        for proxy in self._proxies:
            proxy.choose = nothing
        for each in self.operators:
            self._revive(each)
        wait_for(lambda: not self._leaving(), what="the deletions", seconds=300)
        self.change()
        self._consent()
        settle(self.admin, _PREFIX, seconds=300)

    def stop(self) -> None:
        """End the operators and what stands between."""
        for each in self.operators:
            if each.process is not None and each.process.poll() is None:
                each.stop()
        for proxy in self._proxies:
            proxy.close()

    # --- what happens -------------------------------------------------------------------------

    def change(self) -> None:
        """Change every spec."""
        pods, opened = self.chance.randrange(20, 60), self.chance.random() < 0.5
        for body in world.fleet(_PREFIX, FLEET, pods=pods, opened=opened):
            # One that is made again gets its names back.
            spaces = ",".join(each["name"] for each in body["spec"]["namespaces"])
            body["metadata"]["annotations"] = {names.REUSE_ANNOTATION: spaces}
            self._applied(body)

    def delete_object(self) -> None:
        """Delete one of the operator's objects."""
        kind, name, _ = self.chance.choice(_EDITS)
        namespace = self._somewhere()
        self.deleted.add((namespace, kind.name, name))
        self._breaker.delete(kind, name, namespace)

    def edit_object(self) -> None:
        """Change one of the operator's objects."""
        kind, name, patch = self.chance.choice(_EDITS)
        self._breaker.patch(kind, name, patch, self._somewhere(), content_type=MERGE)

    def ask(self) -> None:
        """Ask the pool for room, or give it back."""
        namespace = f"{_POOL}-{self.chance.randrange(SPACES)}"
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
        if self.admin.call("GET", f"{path}/asks").status == 200:
            self.admin.call("DELETE", f"{path}/asks")
            return
        limits = {"cpu": "500m", "memory": "64Mi", "ephemeral-storage": "64Mi"}
        labels = {"app": "asks"}
        template = {"metadata": {"labels": labels}, "spec": factory.pod(limits=limits)["spec"]}
        spec = {
            "replicas": self.chance.randrange(1, 10),
            "selector": {"matchLabels": labels},
            "template": template,
        }
        self.admin.call("POST", path, {"metadata": {"name": "asks"}, "spec": spec})

    def come_and_go(self) -> None:
        """Delete a tenant with its namespaces; the next change makes it again."""
        name = f"{_PREFIX}-{self.chance.randrange(2, FLEET)}"
        gone = {"spec": {"deletionPolicy": "Delete"}}
        self.admin.patch(kinds.SECURE_TENANT, name, gone, content_type=MERGE)
        self.admin.delete(kinds.SECURE_TENANT, name)

    def trouble(self) -> None:
        """Have the network be bad, cut, or good again."""
        proxy = self.chance.choice(self._proxies)
        match self.chance.randrange(3):
            case 0:
                proxy.choose = nothing
            case 1:
                seed = self.chance.randrange(1 << 16)
                proxy.choose = some(*_FAULTS, part=self.chance.uniform(0.05, 0.4), seed=seed)
            case _:
                proxy.hang_up()

    def kill(self) -> None:
        """Kill an operator, and start it again."""
        each = self.chance.choice(self.operators)
        Operator.at_work.discard(each)
        assert each.process is not None
        each.process.kill()
        each.process.wait(20)
        self._revive(each)

    def freeze(self) -> None:
        """Stop an operator for longer than its Lease counts."""
        each = self.chance.choice(self.operators)
        assert each.process is not None
        each.process.send_signal(signal.SIGSTOP)
        time.sleep(2 * _LEASE_SECONDS)
        each.process.send_signal(signal.SIGCONT)

    # --- how ----------------------------------------------------------------------------------

    def _consent(self) -> None:
        """Give back what was retained: whose it was could not be seen when it was to be deleted."""
        for each in self.admin.list(kinds.NAMESPACE, labelSelector=names.TENANT_LABEL):
            name, labels = each["metadata"]["name"], each["metadata"]["labels"]
            if labels.get(names.STATE_LABEL) == names.RETAINED:
                given = {names.ADOPT_ANNOTATION: labels[names.TENANT_LABEL]}
                consent = {"metadata": {"annotations": given}}
                self.admin.patch(kinds.NAMESPACE, name, consent, content_type=MERGE).ok()
                self.done["consent"] += 1

    def _leaving(self) -> list[Any]:
        every = self.admin.list(kinds.SECURE_TENANT)
        return [each for each in every if "deletionTimestamp" in each["metadata"]]

    def _somewhere(self) -> str:
        return f"{_PREFIX}-{self.chance.randrange(FLEET)}-a"

    def _applied(self, body: Any) -> None:
        def is_taken() -> bool:
            return self.admin.apply(kinds.SECURE_TENANT, body, manager="chaos").status < 300

        wait_for(is_taken, what=f"{body['metadata']['name']} to be taken", seconds=TAKEN_SECONDS)

    @staticmethod
    def _revive(each: Operator) -> None:
        """Start an operator unless it runs; kubelets do so with one that ended."""
        if each.process is None or each.process.poll() is not None:
            each.start(until="Standing by")


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _tracebacks(operators: list[Operator]) -> int:
    """Return how often the product, and not kopf about the network, failed without a reason."""
    return sum(
        entry["logger"].startswith("securetenant") and "exception" in entry
        for each in operators
        for entry in map(json.loads, each.log.read_text(encoding="utf-8").splitlines())
    )


def measure(seed: int, seconds: float) -> list[str]:
    """Run once; return what happened, and what must be zero."""
    with (
        control_plane(f"bench-chaos-{seed}", nodes=3) as instance,
        TemporaryDirectory() as folder,
    ):
        run = Run(instance, Path(folder), seed)
        history, sums = world.History(run.admin), Sums(Api(instance.admin_kubeconfig))
        try:
            run.begin()
            run.go(seconds)
            run.end()
            unguarded = history.unguarded(_PREFIX, run.deleted) + history.unguarded(_POOL)
            assert sums.is_whole, "a watch ended: nothing is known"
            for each in unguarded:
                sys.stdout.write(f"{each}\n")
            return [
                str(seed),
                ", ".join(
                    f"{name.replace('_', ' ')} {count}" for name, count in sorted(run.done.items())
                ),
                str(len(world.differences(run.admin, _PREFIX))),
                str(len(unguarded)),
                f"{sums.violations} of {sums.versions:,}",
                str(_tracebacks(run.operators)),
            ]
        finally:
            run.stop()


def run(seeds: tuple[int, ...], seconds: float) -> str:
    """Run each seed for so long."""
    head = [
        "Seed",
        "What happened",
        "differences at the end",
        "ready without walls",
        "use above the total, of versions",
        "tracebacks",
    ]
    rows = [head, *(measure(each, seconds) for each in seeds)]
    return f"{seconds / 60:.0f} minutes each.\n\n{table(rows)}"
