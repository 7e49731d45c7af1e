"""The input of every builder: one namespace of one tenant, with all defaults resolved."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from securetenant.api import access, limits, lockdown, names, quantities, workloads
from securetenant.api.access import Role, Subject
from securetenant.api.agents import Agent
from securetenant.api.limits import Effective
from securetenant.api.lockdown import Lockdown
from securetenant.api.network import Switch, TenantNetwork
from securetenant.api.nodes import TenantNodes
from securetenant.api.quotas import QuotaMode
from securetenant.api.securetenant import NamespaceEntry, TenantSpec
from securetenant.api.tenancysettings import SettingsSpec
from securetenant.desired import openings
from securetenant.desired.openings import Opened
from securetenant.desired.peers import Agreement


@dataclass(frozen=True, kw_only=True, slots=True)
class Scope:
    """One namespace of one tenant."""

    tenant: str
    tenant_uid: str
    namespace: NamespaceEntry
    pod_security_level: str
    pod_security_version: str
    enforcement: str
    lockdown: Lockdown
    same_tenant: Switch
    api_server: Switch
    openings: tuple[Opened, ...]
    """The openings that are meant for this namespace, sorted by name."""
    agreements: tuple[Agreement, ...]
    """Flows that this namespace has with others' and that both tenants declare, sorted."""
    own_namespaces: tuple[str, ...]
    """The namespaces that are the tenant's own, sorted; not those that are only asked for."""
    limits: Effective
    workloads: workloads.Effective
    agents: tuple[Agent, ...]
    """Programs of the platform that may write more than the tenant."""
    nodes: TenantNodes
    share: Mapping[str, str]
    """The namespace's part of the tenant's quota, as quantities."""
    quota_mode: QuotaMode
    most: Mapping[str, str]
    """The most that its share may become; the share itself where it is fixed."""
    guaranteed: Mapping[str, str]
    """What is kept free for it; empty where nothing is."""
    grants: tuple[tuple[Role, tuple[Subject, ...]], ...]
    """Who holds each role here; roles that nobody holds are left out."""
    settings: SettingsSpec

    @property
    def labels(self) -> dict[str, str]:
        """Return the labels of every object that we make in the namespace."""
        return {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.TENANT_LABEL: self.tenant}


def scopes(
    tenant: str,
    uid: str,
    spec: TenantSpec,
    settings: SettingsSpec,
    shares: Mapping[str, Mapping[str, int]],
    agreements: Sequence[Agreement] = (),
    *,
    total: Mapping[str, int],
    own: Collection[str],
    taken: Collection[str] = (),
    platform: Collection[str] = (),
    tenants: Collection[str] = (),
) -> tuple[Scope, ...]:
    """Return one scope per namespace, sorted by name.

    ``shares`` is the quota of each namespace, and ``total`` that of the tenant, in units;
    ``agreements`` are the flows that the
    tenant and its peers both declare; ``own`` are the namespaces that are the tenant's, of those
    that the spec names; ``taken`` are ends of host names that another tenant has; ``platform`` are
    the namespaces of nobody whose ServiceAccounts may be granted access too; ``tenants`` are
    namespaces whose ServiceAccounts are no agents, since a tenant has them.
    """
    pod_security = spec.effective_pod_security
    effective = limits.effective(spec.container_limits, has_cpu_limit=settings.limits_cpu(spec))
    allowed = workloads.effective(spec.workloads, settings.workloads)
    allowed = allowed._replace(
        hostnames=tuple(each for each in allowed.hostnames if each not in taken)
    )
    agents = tuple(
        each
        for each in settings.agents or ()
        if each.service_account is None or each.service_account.namespace not in tenants
    )
    mine = tuple(sorted(own))
    network, nodes = spec.network or TenantNetwork(), spec.nodes or TenantNodes()
    opened = openings.build(network, settings)
    # One tuple for all, where all are alike: a thousand namespaces are compared at each look.
    alike = all(each.namespaces is None for each in opened)
    involving = _by_namespace(agreements, tenant, (entry.name for entry in spec.namespaces))
    # Not in own_namespaces: by those a tenant's admin binds, and only spec.access binds these.
    every = frozenset(mine).union(platform)
    everything = _texts(total)
    return tuple(
        Scope(
            tenant=tenant,
            tenant_uid=uid,
            namespace=entry,
            pod_security_level=str(
                entry.pod_security.level if entry.pod_security else pod_security.level
            ),
            pod_security_version=str(pod_security.version),
            enforcement=spec.enforcement or "Enforce",
            lockdown=spec.lockdown or lockdown.NONE,
            same_tenant=network.same_tenant or "Allow",
            api_server=network.api_server or "Deny",
            openings=opened
            if alike
            else tuple(each for each in opened if each.holds_in(entry.name)),
            agreements=tuple(involving[entry.name]),
            own_namespaces=mine,
            limits=effective,
            workloads=allowed,
            agents=agents,
            nodes=nodes,
            share=(share := _texts(shares[entry.name])),
            quota_mode="Pool" if spec.has_pool else "Split",
            most=_most(entry, everything) if spec.has_pool else share,
            guaranteed=_normal((entry.quota and entry.quota.guaranteed) or {}),
            grants=_grants(spec, entry.name, every),
            settings=settings,
        )
        for entry in sorted(spec.namespaces, key=lambda entry: entry.name)
    )


def _texts(units: Mapping[str, int]) -> Mapping[str, str]:
    return quantities.shared(
        {key: quantities.canonical(key, count) for key, count in sorted(units.items())}
    )


def _normal(given: Mapping[str, int | str]) -> dict[str, str]:
    return {key: quantities.normal(key, value) for key, value in sorted(given.items())}


def _most(entry: NamespaceEntry, total: Mapping[str, str]) -> Mapping[str, str]:
    """Return the most that a namespace may get of a pool; the same map where nothing is said."""
    quota = entry.quota
    bounded = {**((quota and quota.max) or {}), **((quota and quota.hard) or {})}
    known = {
        key: quantities.canonical(
            key, min(quantities.units(key, value), quantities.units(key, total[key]))
        )
        for key, value in bounded.items()
        if key in total
    }
    return {**total, **known} if known else total


def _by_namespace(
    agreements: Iterable[Agreement], tenant: str, own: Iterable[str]
) -> dict[str, list[Agreement]]:
    """Return, for each namespace of the tenant, the flows in which it takes part, sorted."""
    found: dict[str, list[Agreement]] = {namespace: [] for namespace in own}
    for each in sorted(set(agreements)):
        here = each.source_namespaces if each.source == tenant else ()
        there = each.target_namespaces if each.target == tenant else ()
        for namespace in (*here, *there):
            if namespace in found:
                found[namespace].append(each)
    return found


def _grants(
    spec: TenantSpec, namespace: str, homes: Collection[str]
) -> tuple[tuple[Role, tuple[Subject, ...]], ...]:
    """Return who holds which role in the namespace: each subject once, sorted.

    ServiceAccounts of namespaces that are neither the tenant's nor the platform's are left out:
    unknown means no.
    """
    holders: dict[Role, set[Subject]] = {role: set() for role in access.ROLES}
    for grant in spec.access or ():
        if grant.namespaces is None or namespace in grant.namespaces:
            holders[grant.role].update(
                subject
                for subject in grant.subjects
                if subject.namespace is None or subject.namespace in homes
            )
    return tuple(
        (
            role,
            tuple(sorted(found, key=access.order)),
        )
        for role, found in holders.items()
        if found
    )
