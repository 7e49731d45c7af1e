"""The whole operator in a cluster that lives in memory, for tests of the engine and of concerns.

Tests say what they change by the methods here. What it deletes itself it knows by the answer.
"""

import asyncio
import datetime
from collections.abc import Callable
from typing import Any

from factory import settings, tenant
from memory_cluster import MemoryCluster
from securetenant import concerns
from securetenant.api import kinds, names
from securetenant.api.objects import Body, Manifest, Ref
from securetenant.api.tenancysettings import SettingsSpec
from securetenant.checks.attacks.verdicts import Answer, Attempt, Question
from securetenant.concerns.heartbeat.heartbeat import Heartbeat
from securetenant.plan import ownership
from securetenant.plan.pids import Kubelet, Reading
from securetenant.reconcile.concern import Concern
from securetenant.reconcile.engine import Engine
from securetenant.reconcile.errors import ClusterError, RefusedError
from securetenant.reconcile.machine import Machine
from securetenant.reconcile.rollout import reasons
from securetenant.reconcile.store import Store
from silent import Silent

SETTINGS = Ref(kinds.TENANCY_SETTINGS.name, "", "default")


class NoKubelets:
    """There are no nodes, so nobody asks."""

    async def read(self, kubelet: Kubelet, settings: SettingsSpec) -> Reading:
        raise AssertionError((kubelet, settings))


class NoProber:
    """Nothing is verified."""

    async def attempt(self, attempt: Attempt, namespace: str) -> Answer:
        raise AssertionError((attempt, namespace))

    async def ask(self, question: Question) -> bool | None:
        raise AssertionError(question)

    async def close(self) -> None:
        raise AssertionError


class Fleet:
    """An operator at work in a cluster that outlives it."""

    def __init__(self) -> None:
        self.cluster = MemoryCluster()
        self.told = Silent()
        self.engine = self._engine()

    def _engine(self) -> Engine:
        self.running: asyncio.Task[None] | None = None
        return Engine(
            cluster=self.cluster,
            meter=self.told,
            announcer=self.told,
            now=lambda: datetime.datetime(2026, 11, 25, tzinfo=datetime.UTC),
            store=Store(),
            concerns=self._concerns,
            workers=2,
        )

    def _concerns(self, machine: Machine) -> tuple[Concern, ...]:
        heartbeat = Heartbeat(cluster=self.cluster)
        return concerns.build(machine, kubelets=NoKubelets(), connect=NoProber, heartbeat=heartbeat)

    async def set(self, **spec: Any) -> None:
        """Change the TenancySettings and let the operator come to rest."""
        self.show(**spec)
        await self.rest()

    def show(self, **spec: Any) -> None:
        """Change the TenancySettings."""
        self.engine.settings_seen(self.cluster.put(settings(**spec)))

    async def poke(self) -> None:
        body = self.cluster.objects[SETTINGS]
        metadata = body["metadata"]
        annotations = {names.REQUESTED_ANNOTATION: metadata["resourceVersion"]}
        annotated = {**body, "metadata": {**metadata, "annotations": annotations}}
        self.engine.settings_seen(self.cluster.put(annotated))
        await self.rest()

    async def add(self, name: str, *, held: bool = True, **spec: Any) -> None:
        """Create or change a SecureTenant."""
        body = tenant(name, **{"namespaces": [{"name": f"{name}-a"}], **spec})
        if held:
            body["metadata"]["finalizers"] = [names.FINALIZER]
        self.engine.tenant_seen(name, self.cluster.put(body))
        await self.rest()

    def lose(self, ref: Ref) -> Body:
        """Let somebody delete an object; return it as it was."""
        gone = self.cluster.remove(ref)
        self.engine.object_gone(ref, int(gone["metadata"]["resourceVersion"]))
        return gone

    def refuse(self, refuses: Callable[[Manifest], bool]) -> None:
        """Refuse some of what is applied, from now on."""
        self.fail(RefusedError("no"), refuses)

    def fail(self, error: ClusterError, fails: Callable[[Manifest], bool]) -> None:
        def fault(verb: str, ref: Ref, sent: Any) -> None:
            if verb in ("create", "apply") and fails(Manifest(ref, sent)):
                raise error

        self.cluster.fault = fault

    def heal(self) -> None:
        """Take everything from now on."""
        self.refuse(lambda _: False)

    async def rest(self) -> None:
        """Wait until nothing is left to do now; what is to be done later is not waited for."""
        if self.running is None:
            self.running = asyncio.create_task(self.engine.run())
        async with asyncio.timeout(60):
            while len(self.engine.machine.queue):  # noqa: ASYNC110 - a turn, not a wait.
                await asyncio.sleep(0)

    async def stop(self) -> None:
        self.engine.stop()
        if self.running is not None:
            await self.running

    async def restart(self, *, meanwhile: dict[str, Any] | None = None) -> None:
        """Start another operator, which sees everything and knows nothing."""
        await self.stop()
        self.engine = self._engine()
        if meanwhile is not None:
            self.cluster.put(settings(**meanwhile))
        for ref, body in list(self.cluster.objects.items()):
            if ref.kind not in (kinds.SECURE_TENANT.name, kinds.TENANCY_SETTINGS.name):
                self.engine.machine.store.put(ref, ownership.observe(body))
        self.engine.settings_seen(self.cluster.objects[SETTINGS])
        for ref, body in list(self.cluster.objects.items()):
            if ref.kind == kinds.SECURE_TENANT.name:
                self.engine.tenant_seen(ref.name, body)
        self.cluster.writes.clear()
        await self.rest()

    def following(self, text: str) -> list[str]:
        """Return the tenants whose DNS policy or TenantPolicy has the text in it."""
        return sorted(
            ref.namespace.removesuffix("-a")
            for ref, body in self.cluster.objects.items()
            if ref.kind == kinds.NETWORK_POLICY.name and ref.name == names.DNS and text in str(body)
        )

    @property
    def made(self) -> list[Ref]:
        """Return what was created or applied, in order."""
        return [each.ref for each in self.cluster.writes if each.verb in ("create", "apply")]

    @property
    def condition(self) -> dict[str, Any]:
        told = self.cluster.objects[SETTINGS]["status"]["conditions"]
        (found,) = (each for each in told if each["type"] == "RolledOut")
        return dict(found)

    def reasons(self, name: str) -> list[str]:
        """Return why a tenant is not ready, the missing policies of this cluster aside."""
        record = self.engine.machine.tenants.get(name)
        assert record is not None
        return reasons(record)
