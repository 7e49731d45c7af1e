"""SecureTenant: what a platform team asks for."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from securetenant.api import metadata, names, quantities, quotas
from securetenant.api.access import Grant
from securetenant.api.limits import ContainerLimits, CpuLimit
from securetenant.api.lockdown import Lockdown
from securetenant.api.metadata import Annotations, Labels
from securetenant.api.network import TenantNetwork
from securetenant.api.nodes import TenantNodes
from securetenant.api.quotas import PartMap, QuotaMap, QuotaMode
from securetenant.api.rules import Model, Rule, listed
from securetenant.api.status import TenantStatus
from securetenant.api.workloads import Enforcement, Workloads

PodSecurityLevel = Literal["restricted", "baseline"]

OLDEST_POD_SECURITY = 34
"""The Pod Security Standards of older minors check less (1.34 added probe hosts), and no
supported cluster is older."""
CURRENT_POD_SECURITY = "v1.37"
"""What an absent version means. A cluster that is older applies the newest that it knows
(Kubernetes documentation, "Pod Security Admission")."""


class PodSecurity(Model):
    """Pod Security Admission: which pods the namespaces accept."""

    level: PodSecurityLevel | None = None
    """How strict: restricted (the default), or baseline, which needs exceptionReason.
    privileged does not exist here."""
    version: Annotated[str, Field(max_length=8)] | None = None
    """The version of the Pod Security Standards, pinned so that a cluster upgrade changes
    nothing by itself, for example v1.37."""
    exception_reason: Annotated[str, Field(max_length=256)] | None = None
    """Why baseline is needed. It is shown in the status."""

    rules = (
        Rule(
            cel="!has(self.version) || self.version.matches('^v1[.](3[4-9]|[4-9][0-9])$')",
            holds=lambda self: self.version is None or _is_supported(self.version),
            message="version is a minor version from v1.34 on, like v1.37; latest would change"
            " with a cluster upgrade",
            path=".version",
        ),
        Rule(
            cel="!has(self.level) || self.level != 'baseline'"
            " || (has(self.exceptionReason) && self.exceptionReason.trim() != '')",
            holds=lambda self: (
                self.level != "baseline" or bool((self.exception_reason or "").strip())
            ),
            message="level baseline allows root and writable capabilities: say why in"
            " exceptionReason, or use restricted",
            path=".exceptionReason",
        ),
    )


def _is_supported(version: str) -> bool:
    found = re.fullmatch(r"v1\.([0-9]{2})", version)
    return found is not None and int(found.group(1)) >= OLDEST_POD_SECURITY


class NamespacePodSecurity(Model):
    """Pod Security of one namespace: as strict as the tenant's or stricter."""

    level: PodSecurityLevel
    """restricted in a tenant of level baseline, for the namespaces that need no exception."""


class NamespaceQuota(Model):
    """A namespace's part of the tenant's quota."""

    weight: Annotated[int, Field(ge=1, le=1000, json_schema_extra={"format": "int32"})] | None = (
        None
    )
    """Its share in relation to the other namespaces' shares; 1 when absent. With quotaMode Pool:
    the share that it begins with, and who gets free room first."""
    hard: QuotaMap | None = None
    """A fixed part of the total; resources that it leaves out are shared by weight 1."""
    guaranteed: PartMap | None = None
    """What is kept free for it, whatever other namespaces use. Only with quotaMode Pool."""
    max: PartMap | None = None
    """What it never gets more of. Only with quotaMode Pool."""

    rules = (
        Rule(
            cel="has(self.hard) != (has(self.weight) || has(self.guaranteed) || has(self.max))",
            holds=lambda self: (
                (self.hard is not None) != (self.weight is not None or self.is_bounded)
            ),
            message="say hard (a fixed part), or any of weight, guaranteed and max",
        ),
        *quotas.rules("hard"),
    )

    @property
    def is_bounded(self) -> bool:
        """Tell whether it says what only a pool can keep."""
        return self.guaranteed is not None or self.max is not None


def _check_order(quota: NamespaceQuota) -> NamespaceQuota:
    for key, least in (quota.guaranteed or {}).items():
        most = (quota.max or {}).get(key)
        if most is not None and quantities.parse(least) > quantities.parse(most):
            raise ValueError(
                f"guaranteed is {least} and max is {most} of {key}: lower the first or raise the"
                " second"
            )
    return quota


def _is_protected(name: str) -> bool:
    return (
        name in names.PROTECTED_NAMES
        or name.startswith(names.PROTECTED_PREFIXES)
        or name in names.TOP_LEVEL_DOMAINS
        or len(name) <= names.COUNTRY_CODE_LENGTH
    )


_CPU_LIMITS = "limits.cpu"


def _cel_list(values: tuple[str, ...]) -> str:
    return "[" + ", ".join(f"'{value}'" for value in values) + "]"


class NamespaceEntry(Model):
    """One namespace of the tenant."""

    name: Annotated[str, Field(min_length=1, max_length=63)]
    """The namespace's name. The operator creates it; an existing namespace is not taken."""
    labels: Labels | None = None
    """Labels of your own for the namespace, for example env: prod."""
    annotations: Annotations | None = None
    """Annotations of your own for the namespace."""
    quota: Annotated[NamespaceQuota, AfterValidator(_check_order)] | None = None
    """Its part of the tenant's quota: by default an equal share."""
    pod_security: NamespacePodSecurity | None = None
    """Pod Security of this namespace: as strict as the tenant's or stricter."""

    rules = (
        Rule(
            cel="!format.dns1123Label().validate(self.name).hasValue()",
            holds=lambda self: metadata.is_dns_label(self.name),
            message="a namespace's name has lower-case letters, digits and '-', and begins and"
            " ends with a letter or digit, like acme-prod",
            path=".name",
        ),
        Rule(
            cel=f"!(self.name in {_cel_list(names.PROTECTED_NAMES)})"
            + "".join(
                f" && !self.name.startsWith('{prefix}')" for prefix in names.PROTECTED_PREFIXES
            )
            + f" && !(self.name in {_cel_list(names.TOP_LEVEL_DOMAINS)})"
            f" && self.name.size() > {names.COUNTRY_CODE_LENGTH}",
            holds=lambda self: not _is_protected(self.name),
            message="this name is protected: default, kube-*, openshift-* and"
            " securetenant-system belong to the cluster, and a namespace named like a"
            " top-level domain (two letters, com, org, ...) would answer for hosts on the"
            " internet; choose another, like acme-prod",
            path=".name",
        ),
        *metadata.rules("labels"),
        *metadata.rules("annotations", values=False),
    )


class TenantSpec(Model):
    """What the tenant gets."""

    enforcement: Enforcement | None = None
    """Enforce (the default), or Audit: rules by which the tenant protects itself (hardening,
    images, tokens) warn and are written to the audit log instead of refusing. Rules that protect
    others refuse in both modes."""
    lockdown: Lockdown | None = None
    """None (the default). Frozen: nothing in the namespaces is created, changed or deleted but by
    the cluster itself, and nobody gets a shell or a tunnel into a pod; what runs goes on running
    and is replaced. Quarantined: the same, and no pod starts, all traffic is cut, no token is
    issued, and access is reduced to Viewer; what runs keeps running."""
    reconciliation: Literal["Active", "Suspended"] | None = None
    """Active (the default), or Suspended: the operator changes nothing, and says so."""
    deletion_policy: Literal["Retain", "Delete"] | None = None
    """What happens to namespaces when the SecureTenant is deleted, or they leave its list:
    Retain (the default) keeps them and all their walls; Delete deletes them with all they hold."""
    namespaces: Annotated[
        tuple[NamespaceEntry, ...],
        Field(min_length=1, max_length=1000, json_schema_extra=listed("map", "name")),
    ]
    """The tenant's namespaces, created and kept by the operator; at least one."""
    access: (
        Annotated[tuple[Grant, ...], Field(max_length=500, json_schema_extra=listed("map", "name"))]
        | None
    ) = None
    """Who may work in the namespaces. Nobody else gets any right from the operator."""
    pod_security: PodSecurity | None = None
    """Which pods the namespaces accept: restricted, unless said otherwise with a reason."""
    network: TenantNetwork | None = None
    """What may flow. Everything else is denied, but for the cluster's DNS."""
    quota: QuotaMap | None = None
    """The tenant's total, for example requests.cpu: 40, shared by its namespaces. What it leaves
    out is the platform's default."""
    quota_mode: QuotaMode | None = None
    """Pool (the default): shares follow use, and their sum is never above the total. Split: each
    namespace has a fixed share by weight."""
    container_limits: ContainerLimits | None = None
    """Limits of each container, and what a container gets that names none."""
    nodes: TenantNodes | None = None
    """Where the tenant's pods run, and how many processes each may have. Absent: where all shared
    tenants run."""
    workloads: Workloads | None = None
    """What pods, Services, Ingresses and volumes may ask for. What it leaves out is the
    platform's default."""

    rules = (
        *quotas.rules("quota"),
        quotas.unit_rule("quota"),
        Rule(
            cel="!has(self.containerLimits) || !has(self.containerLimits.cpuLimit)"
            " || self.containerLimits.cpuLimit != 'None' || !has(self.quota)"
            f" || !('{_CPU_LIMITS}' in self.quota)",
            holds=lambda self: (
                not self.container_limits
                or self.container_limits.cpu_limit != "None"
                or _CPU_LIMITS not in (self.quota or {})
            ),
            message="limits.cpu is in spec.quota and containerLimits.cpuLimit is None, so nothing"
            " would be counted: leave one of them out",
            path=".quota",
        ),
        Rule(
            cel="self.namespaces.all(n, !has(n.podSecurity) || n.podSecurity.level != 'baseline'"
            " || (has(self.podSecurity) && has(self.podSecurity.level)"
            " && self.podSecurity.level == 'baseline'))",
            holds=lambda self: (
                self.effective_pod_security.level == "baseline"
                or all(
                    entry.pod_security is None or entry.pod_security.level != "baseline"
                    for entry in self.namespaces
                )
            ),
            message="a namespace is as strict as the tenant or stricter: allow baseline in"
            " spec.podSecurity first, with its exceptionReason",
            path=".namespaces",
        ),
        Rule(
            cel="!has(self.quotaMode) || self.quotaMode != 'Split' || self.namespaces.all(n,"
            " !has(n.quota) || !has(n.quota.guaranteed) && !has(n.quota.max))",
            holds=lambda self: (
                self.has_pool
                or not any(each.quota and each.quota.is_bounded for each in self.namespaces)
            ),
            message="quotaMode is Split, where shares are fixed: leave guaranteed and max out, or"
            " write hard (a fixed part), or quotaMode: Pool",
            path=".namespaces",
        ),
        Rule(
            cel="!has(self.quota) || self.namespaces.all(n, !has(n.quota) || !has(n.quota.hard)"
            " || n.quota.hard.all(k, !(k in self.quota)"
            " || [n.quota.hard[k], self.quota[k]].exists(q,"
            f" string(q).matches('{quantities.LONG}'))"
            " || !quantity(string(n.quota.hard[k]))"
            ".isGreaterThan(quantity(string(self.quota[k])))))",
            holds=lambda self: all(
                quantities.parse(value) <= quantities.parse(self.quota[key])
                for entry in self.namespaces
                if self.quota and entry.quota and entry.quota.hard
                for key, value in entry.quota.hard.items()
                if key in self.quota
            ),
            message="a namespace's fixed part is above the tenant's total in spec.quota",
            path=".namespaces",
        ),
    )

    def has_cpu_limit(self, platform: CpuLimit) -> bool:
        """Tell whether containers have a limit of CPU; what the tenant gives, it wants."""
        given = self.container_limits or ContainerLimits()
        if given.cpu_limit is None and (given.names_cpu_limit or _CPU_LIMITS in (self.quota or {})):
            return True
        return (given.cpu_limit or platform) == "Required"

    @property
    def has_pool(self) -> bool:
        """Tell whether the namespaces share the total as a pool."""
        return (self.quota_mode or quotas.DEFAULT_MODE) == "Pool"

    @property
    def effective_pod_security(self) -> PodSecurity:
        """Return the Pod Security settings with the platform's defaults filled in."""
        given = self.pod_security or PodSecurity()
        return given.model_copy(
            update={
                "level": given.level or "restricted",
                "version": given.version or CURRENT_POD_SECURITY,
            }
        )

    @property
    def is_suspended(self) -> bool:
        """Tell whether the operator is asked to change nothing."""
        return self.reconciliation == "Suspended"


class SecureTenant(Model):
    """A tenant: isolated namespaces with the walls that keep it apart from all others."""

    spec: TenantSpec
    """What the tenant gets."""
    status: TenantStatus | None = None
    """What the operator has seen; only the operator writes it."""


NAME_RULE = Rule(
    cel=f"self.metadata.name.size() <= {names.TENANT_NAME_LENGTH}"
    " && !format.dns1123Label().validate(self.metadata.name).hasValue()",
    holds=lambda name: len(name) <= names.TENANT_NAME_LENGTH and metadata.is_dns_label(name),
    message=f"a tenant's name has at most {names.TENANT_NAME_LENGTH} lower-case letters, digits"
    " and '-', like acme",
)
"""About the object's name, which is not part of the model: judged in addition to it."""


def _has_itself(tenant: tuple[str, TenantSpec]) -> bool:
    name, spec = tenant
    return any(peer.tenant == name for peer in (spec.network and spec.network.peers) or ())


SELF_RULE = Rule(
    cel="!has(self.spec.network) || !has(self.spec.network.peers)"
    " || self.spec.network.peers.all(p, p.tenant != self.metadata.name)",
    holds=lambda tenant: not _has_itself(tenant),
    message="a tenant is no peer of itself: traffic between its own namespaces is"
    " spec.network.sameTenant",
    path=".spec.network.peers",
)
"""About the object's name and its spec together: ``holds`` takes both."""
