"""What the operator would make of specs and settings, tenant by tenant."""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from securetenant.api import kinds, names, status
from securetenant.api.objects import Body, Ref
from securetenant.api.securetenant import TenantSpec
from securetenant.api.tenancysettings import SettingsSpec
from securetenant.api.tenantpolicy import PolicySpec
from securetenant.desired import unit
from securetenant.plan import ownership
from securetenant.plan.ownership import Observed, QuotaFacts
from securetenant.reconcile.store import Store
from securetenant.reconcile.tenants import RefusedSpecError, Tenants, validate

_PLANNED_UID = "planned"
_ROUNDS = 5
"""What shrinks does so at once, what grows when that is counted; one more to see it rest."""
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """Specs and settings, as they are or as they would be."""

    settings: SettingsSpec | None
    tenants: Mapping[str, Body]
    settings_problem: str = ""
    """Why the settings cannot be followed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Built:
    """What becomes of one tenant."""

    spec: TenantSpec | None = None
    refusal: str = ""
    """Why the spec is refused; then nothing of it is in force."""
    remarks: tuple[str, ...] = ()
    """What would be said of it although it is accepted."""
    unopened: tuple[str, ...] = ()
    """Of these, openings that TenancySettings do not know: nothing is opened for them."""
    manifests: Mapping[str, Mapping[Ref, Body]] = field(default_factory=dict)
    """By namespace: the Namespace, and everything in it."""
    tier: Body | None = None
    """The ClusterNetworkPolicy, where that kind is served."""

    def policy(self, namespace: str) -> PolicySpec | None:
        """Return what holds in a namespace."""
        for ref, body in self.manifests.get(namespace, {}).items():
            if ref.kind == kinds.TENANT_POLICY.name:
                return PolicySpec.model_validate(body["spec"])
        return None


def settings(body: Body | None) -> tuple[SettingsSpec | None, str]:
    """Return TenancySettings of a manifest, or why they are refused."""
    if body is None:
        return None, ""
    try:
        return validate(SettingsSpec, body.get("spec")), ""
    except RefusedSpecError as error:
        return None, str(error)


class There:
    """What a cluster has already, as the operator remembers it."""

    def __init__(self, bodies: Iterable[Body] = (), quotas: Iterable[Body] = ()) -> None:
        """``bodies`` are Namespaces and TenantPolicies, ``quotas`` our ResourceQuotas."""
        self.store = Store()
        for body in bodies:
            self.store.see(ownership.ref_of(body), body)
        self.quotas = {
            str(each["metadata"]["namespace"]): each
            for each in quotas
            if each["metadata"]["name"] == names.QUOTA and (each.get("spec") or {}).get("hard")
        }
        self._versions = itertools.count(1)

    def count(self, namespace: str, hard: Mapping[str, str]) -> None:
        """Have a quota say so much, and be counted by."""
        facts = QuotaFacts(hard, hard)
        self.store.put(_quota(namespace), Observed(next(self._versions), _PLANNED_UID, b"", facts))

    def uncount(self, namespace: str) -> None:
        """Forget a quota again."""
        self.store.drop(_quota(namespace), next(self._versions))


def build(
    state: State, there: There, tenants: Iterable[str], now: datetime = _LONG_AGO
) -> dict[str, Built]:
    """Return what becomes of some tenants, once shares are where they stay.

    Without settings nothing becomes of anybody. Grants that have ended by ``now`` give nothing.
    """
    if state.settings is None:
        why = state.settings_problem or "there are no TenancySettings"
        return {name: Built(refusal=why) for name in tenants if name in state.tenants}
    known = Tenants(now=lambda: now)
    for name, body in state.tenants.items():
        known.see(name, _whole(name, body))
    return {
        name: _built(known, name, state.settings, there)
        for name in tenants
        if name in state.tenants
    }


def _built(known: Tenants, name: str, found: SettingsSpec, there: There) -> Built:
    _settle(known, name, found, there)
    record = known.records[name]
    if record.is_refused:
        told = ". ".join(each.message for each in record.findings)
        return Built(refusal=told)
    refused = [
        each.message
        for each in record.findings
        if each.type == status.READY and each.reason in (status.CONSENT_NEEDED, status.BOUND_PASSED)
    ]
    return Built(
        spec=record.spec,
        refusal=". ".join(refused),
        remarks=tuple(each.message for each in record.findings if each.message not in refused),
        unopened=tuple(
            each.message for each in record.findings if each.reason == status.NOT_IN_SETTINGS
        ),
        manifests={
            namespace: dict(unit.build(each.scope))
            for namespace, each in sorted(record.units.items())
            if namespace in record.own
        },
        tier=record.tier.manifest.body if record.tier else None,
    )


def _settle(known: Tenants, name: str, found: SettingsSpec, there: There) -> None:
    """Read a tenant until its shares move no more: each is written, and then counted.

    A namespace that leaves the list keeps its share, unless it is deleted.
    """
    store = there.store
    known.read(name, found, store)
    record = known.records[name]
    leaves = record.spec is not None and record.spec.deletion_policy == "Delete"
    counted = {
        namespace: there.quotas[namespace]
        for namespace in store.owned_by(name) & there.quotas.keys()
        if namespace in record.units or not leaves
    }
    if not counted:
        return
    for namespace, body in counted.items():
        status = body.get("status") or {}
        used, enforced = status.get("used") or {}, status.get("hard") or {}
        known.demand.observe(namespace, used, enforced)
    written = {namespace: body["spec"]["hard"] for namespace, body in counted.items()}
    for _ in range(_ROUNDS):
        for namespace, hard in written.items():
            there.count(namespace, hard)
        known.read(name, found, store)
        wanted = {
            namespace: body["spec"]["hard"]
            for namespace, each in record.units.items()
            if namespace in counted
            for ref, body in unit.build(each.scope)
            if ref == _quota(namespace)
        }
        if all(written[namespace] == hard for namespace, hard in wanted.items()):
            break
        written |= wanted
    for namespace in written:
        there.uncount(namespace)


def _quota(namespace: str) -> Ref:
    return Ref(kinds.RESOURCE_QUOTA.name, namespace, names.QUOTA)


def _whole(name: str, body: Body) -> Body:
    """Return a SecureTenant with what a manifest in a file does not have."""
    metadata = body["metadata"]
    return {
        **body,
        "metadata": {
            "resourceVersion": "1",
            "uid": f"{_PLANNED_UID}-{name}",
            "generation": 1,
            **{key: each for key, each in metadata.items() if key != "deletionTimestamp"},
        },
    }
