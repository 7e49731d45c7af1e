"""Namespaces that a tenant has and nobody keeps: what its spec takes away reaches them too.

They were retained, or their tenant is being deleted, or its spec was refused before this operator
read a good one. Nothing is repaired or given there. A lockdown and a withdrawn grant are applied.
"""

from collections.abc import Callable, Iterable
from typing import Any

from securetenant.api import access, kinds, lockdown, names
from securetenant.api.access import Grant
from securetenant.api.lockdown import Lockdown
from securetenant.api.objects import Ref
from securetenant.api.tenancysettings import SettingsSpec
from securetenant.plan import aside, restrictions
from securetenant.plan.ownership import NamespaceFacts, PolicyFacts
from securetenant.reconcile.failures import Failures
from securetenant.reconcile.ports import Cluster, Meter
from securetenant.reconcile.store import Store
from securetenant.reconcile.tenants import Record
from securetenant.reconcile.unit import Writer

_OPENING = (kinds.NETWORK_POLICY.name, kinds.ROLE_BINDING.name)
_STAYING = (
    (kinds.NETWORK_POLICY.name, names.DEFAULT_DENY),
    (kinds.ROLE_BINDING.name, names.CANARY),
    (kinds.ROLE_BINDING.name, names.role_binding("Viewer")),
)
"""What a quarantine leaves in force."""


class Unkept:
    """Applies what takes away, and only that."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        meter: Meter,
        store: Store,
        writer: Writer,
        stray: Callable[[str, Iterable[str]], set[str]],
    ) -> None:
        """``stray`` returns which host names of a tenant another one was given."""
        self._stray = stray
        self._cluster = cluster
        self._meter = meter
        self._store = store
        self._writer = writer
        self._checked: dict[Ref, tuple[bytes, tuple[Grant, ...]]] = {}
        """RoleBindings that were read, and by which grants: they name nobody else."""

    def namespaces(self, name: str, record: Record) -> list[str]:
        """Return the namespaces of this SecureTenant in which nothing is repaired, sorted."""
        return sorted(
            namespace
            for namespace in self._store.owned_by(name)
            if self._is_unkept(record, namespace)
        )

    async def restrict(
        self, name: str, record: Record, namespace: str, settings: SettingsSpec
    ) -> None:
        """Apply what the spec takes away. Raises a :class:`ClusterError`."""
        if self._store.owner_of(namespace) != name or not self._is_unkept(record, namespace):
            return
        asked, grants = _asked(record)
        failures = Failures()
        if asked is not None:
            with failures.collect(Ref(kinds.NAMESPACE.name, "", namespace)):
                await self._lock(namespace, asked, failures)
        if grants is not None:
            await self._withdraw_grants(namespace, grants, settings, failures)
        with failures.collect(Ref(kinds.TENANT_POLICY.name, namespace, names.POLICY_NAME)):
            await self._take_hostnames(name, namespace)
        failures.throw()

    async def _lock(self, namespace: str, asked: Lockdown, failures: Failures) -> None:
        """Lock the namespace down; quarantine puts what the operator opened there aside, too."""
        facts = self._facts(namespace)
        was = None if facts is None else facts.labels.get(names.LOCKDOWN_LABEL)
        is_cut = asked == lockdown.QUARANTINED
        if was == lockdown.QUARANTINED and not is_cut:
            # The label goes last: it says that there is something to bring back.
            await self._put_aside(namespace, failures, is_cut=False)
        await self._writer.lock(namespace, asked)
        if is_cut:
            await self._put_aside(namespace, failures, is_cut=True)

    async def _put_aside(self, namespace: str, failures: Failures, *, is_cut: bool) -> None:
        """Put aside what opens something, or bring it back."""
        for ref in sorted(self._store.inside(namespace)):
            if (ref.kind, ref.name) in _STAYING or ref.kind not in _OPENING:
                continue
            with failures.collect(ref):
                body = await self._cluster.read(ref)
                patch = [] if body is None else (aside.close if is_cut else aside.reopen)(body)
                if body is not None and patch:
                    await self._writer.amend(ref, body, patch)

    async def _take_hostnames(self, tenant: str, namespace: str) -> None:
        """Take out host names that another tenant was given: somebody else wrote them here."""
        ref = Ref(kinds.TENANT_POLICY.name, namespace, names.POLICY_NAME)
        known = self._store.get(ref)
        if known is None or not isinstance(known.facts, PolicyFacts):
            return
        stray = self._stray(tenant, known.facts.hostnames)
        body = await self._cluster.read(ref) if stray else None
        if body is not None:
            left = [each for each in body["spec"]["workloads"]["hostnames"] if each not in stray]
            await self._writer.replace(ref, body, "/spec/workloads/hostnames", left)

    async def _withdraw_grants(
        self,
        namespace: str,
        grants: tuple[Grant, ...],
        settings: SettingsSpec,
        failures: Failures,
    ) -> None:
        """Take away what is not granted any more, role by role."""
        facts = self._facts(namespace)
        retained = facts is not None and facts.labels.get(names.STATE_LABEL) == names.RETAINED
        for role in access.ROLES:
            ref = Ref(kinds.ROLE_BINDING.name, namespace, names.role_binding(role))
            known = self._store.get(ref)
            if known is None or self._checked.get(ref) == (known.digest, grants):
                continue
            held = restrictions.holders(grants, role, None if retained else namespace)
            with failures.collect(ref):
                await self._withdraw(ref, role, held, settings)
                if (now := self._store.get(ref)) is not None:
                    self._checked[ref] = (now.digest, grants)

    async def _withdraw(
        self,
        ref: Ref,
        role: access.Role,
        held: frozenset[tuple[str, str, str]],
        settings: SettingsSpec,
    ) -> None:
        """Take those out of a RoleBinding who are not granted the role any more."""
        body = await self._cluster.read(ref)
        if body is None:
            return
        subjects = body.get("subjects") or []
        left = [each for each in subjects if _key(each) in held]
        if len(left) == len(subjects):
            return
        bounds = settings.bounds
        if bounds is not None:
            # A binding that names anybody beyond the bounds is refused to the operator as a whole.
            left = [each for each in left if bounds.admits_grant(role, each["kind"], each["name"])]
        if left:
            await self._writer.replace(ref, body, "/subjects", left)
        else:
            await self._writer.withdraw(ref, body["metadata"]["uid"])

    def _is_unkept(self, record: Record, namespace: str) -> bool:
        """Tell whether a namespace is this SecureTenant's, not an earlier one's, and not kept."""
        if not record.is_deleted and namespace in record.units and namespace in record.own:
            return False
        facts = self._facts(namespace)
        known = self._store.get(Ref(kinds.TENANT_POLICY.name, namespace, names.POLICY_NAME))
        return (
            facts is not None
            and not facts.terminating
            and known is not None
            and isinstance(known.facts, PolicyFacts)
            and known.facts.tenant_uid == record.uid
        )

    def _facts(self, namespace: str) -> NamespaceFacts | None:
        known = self._store.get(Ref(kinds.NAMESPACE.name, "", namespace))
        facts = None if known is None else known.facts
        return facts if isinstance(facts, NamespaceFacts) else None


def _asked(record: Record) -> tuple[Lockdown | None, tuple[Grant, ...] | None]:
    """Return the lockdown and the grants that hold; nothing where neither can be told."""
    if record.spec is not None:
        return record.spec.lockdown or lockdown.NONE, record.spec.access or ()
    if record.reading is None:
        return None, None
    # Nobody knows whether the last good spec was locked down, so a refused one lifts nothing.
    asked = record.reading.lockdown
    return None if asked == lockdown.NONE else asked, record.reading.access


def _key(subject: dict[str, Any]) -> tuple[str, str, str]:
    return (subject["kind"], subject["name"], subject.get("namespace") or "")
