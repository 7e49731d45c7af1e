"""Each tenant's ClusterReport, where the API server serves the kind."""

from collections.abc import Mapping, Sequence

from securetenant.api import kinds, names
from securetenant.api.objects import Body, Ref
from securetenant.plan import ownership
from securetenant.reconcile.concern import Concern, Presence, Watch, Work
from securetenant.reconcile.keys import Key
from securetenant.reconcile.machine import Machine
from securetenant.status import openreports

_KIND = kinds.CLUSTER_REPORT.name


class OpenReports(Concern):
    """Repeats what the status says: nothing depends on it, and nothing waits for it."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._store = machine.store
        self._are_served = False
        self._written: dict[str, bytes] = {}
        """Digests by tenant: what is another one was changed by somebody else."""

    def watches(self) -> Sequence[Watch]:
        """Follow those with our label while the kind is served: its CRD is somebody else's."""
        watch = Watch(
            kind=kinds.CLUSTER_REPORT,
            selector=names.MANAGED_SELECTOR,
            seen=self._seen,
            gone=self._gone,
            known=self._store.refs,
            presence=Presence.OPTIONAL,
            served=self._served,
            unserved=self._unserved,
        )
        return (watch,)

    def works(self) -> Mapping[str, Work]:
        """Write, or delete, one of them."""
        return {"Report": self._work}

    def _seen(self, ref: Ref, body: Body) -> None:
        if self._store.see(ref, body):
            self._wake(ref)

    def _gone(self, ref: Ref, version: int) -> None:
        if self._store.drop(ref, version):
            self._wake(ref)

    def _served(self) -> None:
        self._are_served = True
        for name in self._machine.tenants.names():
            self._wake(_ref_of(name))
        for ref in list(self._store.refs(_KIND)):
            self._wake(ref)

    def _unserved(self) -> None:
        self._are_served = False
        self._written.clear()
        for ref in list(self._store.refs(_KIND)):
            known = self._store.get(ref)
            if known is not None:
                self._store.drop(ref, known.version)

    def tenant_told(self, name: str) -> None:
        """Say the same in its report."""
        self._wake(_ref_of(name))

    def tenant_gone(self, name: str) -> None:
        """Delete its report."""
        self._written.pop(name, None)
        self._wake(_ref_of(name))

    def _wake(self, ref: Ref) -> None:
        if self._are_served:
            self._machine.queue.add(Key("Report", names.tenant_of_report(ref.name), ref.name))

    async def _work(self, key: Key) -> bool:
        """Make one what it should be; delete one with our label that is no tenant's."""
        ref = Ref(_KIND, "", key.name)
        known = self._store.get(ref)
        record = self._machine.tenants.get(key.line)
        if self._machine.settings is None or not self._are_served:
            return False
        if record is None:
            if known is not None:
                await self._machine.writer.delete(ref, known.uid)
            return False
        if not record.status.get("conditions"):
            return False
        manifest = openreports.build(key.line, record.uid, record.status)
        digest = ownership.digest(manifest.body)
        if known is None or known.digest != digest:
            before = self._written.get(key.line)
            is_drift = before is not None and (known is None or known.digest != before)
            await self._machine.writer.apply(manifest, key.line, record.uid, stood=is_drift)
        self._written[key.line] = digest
        return False


def _ref_of(tenant: str) -> Ref:
    return Ref(_KIND, "", names.report(tenant))
