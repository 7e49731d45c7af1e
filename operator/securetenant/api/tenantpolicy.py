"""TenantPolicy: what holds in one namespace, computed by the operator, read by everybody."""

from typing import Annotated

from pydantic import Field

from securetenant.api.lockdown import Lockdown
from securetenant.api.metadata import LabelValue
from securetenant.api.network import Switch
from securetenant.api.nodes import Dedication
from securetenant.api.quotas import QuotaMap, QuotaMode
from securetenant.api.rules import Model, listed
from securetenant.api.securetenant import PodSecurityLevel
from securetenant.api.status import PolicyStatus
from securetenant.api.workloads import (
    Automount,
    Enforcement,
    ImagePullPolicy,
    Images,
    RootFilesystem,
    ServiceType,
    UserNamespaces,
)


class EffectivePodSecurity(Model):
    """Pod Security Admission as it is enforced here."""

    level: PodSecurityLevel
    """restricted or baseline."""
    version: Annotated[str, Field(max_length=8)]
    """The pinned version of the Pod Security Standards."""


class EffectiveNetwork(Model):
    """What may flow, as it is enforced here."""

    same_tenant: Switch
    """Between the tenant's own namespaces."""
    platform: (
        Annotated[
            tuple[Annotated[str, Field(max_length=63)], ...],
            Field(max_length=64, json_schema_extra=listed("atomic")),
        ]
        | None
    ) = None
    """NetworkPolicies by which the platform opens every tenant's namespaces."""


class EffectiveLimits(Model):
    """Limits of each container here."""

    default: QuotaMap
    """The limits of a container that names none."""
    default_request: QuotaMap
    """The requests of a container that names none."""
    min: QuotaMap
    """The least that a container may ask for."""
    max: QuotaMap
    """The most that a container may ask for."""


class EffectiveAccess(Model):
    """What RoleBindings of the tenant's own may name."""

    service_account_namespaces: Annotated[
        tuple[Annotated[str, Field(max_length=63)], ...],
        Field(max_length=1000, json_schema_extra=listed("atomic")),
    ]
    """Namespaces whose ServiceAccounts may be subjects: the tenant's."""
    cluster_roles: Annotated[
        tuple[Annotated[str, Field(max_length=253)], ...],
        Field(max_length=32, json_schema_extra=listed("atomic")),
    ]
    """ClusterRoles that may be bound, in addition to the namespace's own Roles."""


class EffectiveTokens(Model):
    """Tokens of ServiceAccounts."""

    audiences: Annotated[
        tuple[Annotated[str, Field(max_length=255)], ...],
        Field(max_length=32, json_schema_extra=listed("atomic")),
    ]
    """Audiences, in addition to the API server itself, that a pod may ask a token for."""
    max_seconds: Annotated[int, Field(json_schema_extra={"format": "int32"})]
    """The longest that one may live."""
    automount: Automount
    """Deny: a pod gets a token only by a projected volume of its own."""


Allowed = Annotated[
    tuple[Annotated[str, Field(max_length=255)], ...],
    Field(max_length=64, json_schema_extra=listed("atomic")),
]
"""Names, sorted; a single ``*`` means any."""


class EffectiveWorkloads(Model):
    """What pods, Services, Ingresses and volumes may ask for."""

    registries: Allowed
    """Beginnings of image names; * means any."""
    images: Images
    """Tag, or Digest: only by digest."""
    image_pull_policy: ImagePullPolicy
    """Always, or Any: as the pod says."""
    root_filesystem: RootFilesystem
    """ReadOnly, or Any: as the pod says."""
    user_namespaces: UserNamespaces
    """Required: hostUsers is false; or Any."""
    run_as_user: Annotated[int, Field(json_schema_extra={"format": "int32"})] | None = None
    """The uid of pods that name none; absent: the image's own."""
    priority_classes: Allowed
    """PriorityClasses that pods may name."""
    runtime_classes: Allowed
    """RuntimeClasses that pods may name."""
    tolerations: Annotated[
        tuple[Annotated[str, Field(max_length=400)], ...],
        Field(max_length=32, json_schema_extra=listed("atomic")),
    ]
    """Taints that pods may tolerate, as kubectl writes them: key, key=value, key:effect or
    key=value:effect."""
    storage_classes: Allowed
    """StorageClasses that claims may name; * means any."""
    ingress_classes: Allowed
    """IngressClasses that Ingresses may name."""
    gateways: Annotated[
        tuple[Annotated[str, Field(max_length=317)], ...],
        Field(max_length=32, json_schema_extra=listed("atomic")),
    ]
    """Gateways that routes may name as parents, as namespace/name."""
    csi_drivers: Allowed
    """CSI drivers that pods may use without a claim."""
    annotations: Annotated[
        tuple[Annotated[str, Field(max_length=317)], ...],
        Field(max_length=64, json_schema_extra=listed("atomic")),
    ]
    """Annotations that Services and Ingresses may carry, in addition to harmless ones."""
    hostnames: Allowed
    """Host names that Ingresses and routes may serve; with a dot in front: each name below it."""
    service_types: Annotated[
        tuple[ServiceType, ...], Field(max_length=3, json_schema_extra=listed("atomic"))
    ]
    """Types of Services."""


class EffectiveNodes(Model):
    """Where the tenant's pods run."""

    dedication: Dedication
    """Dedicated: on nodes of its own; its pods tolerate their taint. Shared: where all shared
    tenants run."""
    selector: Annotated[dict[str, LabelValue], Field(max_length=2)]
    """What the node selector of every pod holds; empty: any node."""


class EffectiveAgent(Model):
    """A program of the platform, and what it may write here that the tenant may not."""

    user: Annotated[str, Field(max_length=400)]
    """Its user name."""
    annotations: (
        Annotated[
            tuple[Annotated[str, Field(max_length=317)], ...],
            Field(max_length=32, json_schema_extra=listed("atomic")),
        ]
        | None
    ) = None
    """Annotations."""
    registries: Allowed | None = None
    """Beginnings of the names of its pods' images."""
    service_types: (
        Annotated[tuple[ServiceType, ...], Field(max_length=3, json_schema_extra=listed("atomic"))]
        | None
    ) = None
    """Types of its Services."""


class PolicySpec(Model):
    """What holds in this namespace."""

    tenant: Annotated[str, Field(max_length=63)]
    """The tenant that this namespace belongs to."""
    tenant_uid: Annotated[str, Field(alias="tenantUID", max_length=64)]
    """The uid of the SecureTenant: another one of the same name does not get the namespace
    without consent."""
    enforcement: Enforcement
    """Enforce; or Audit: rules by which the tenant protects itself warn instead of refusing."""
    lockdown: Lockdown
    """Frozen: nothing here is created, changed or deleted but by the cluster itself. Quarantined:
    no pod starts either, all traffic is cut, and access is reduced to Viewer."""
    access: EffectiveAccess
    """What RoleBindings of the tenant's own may name."""
    tokens: EffectiveTokens
    """Tokens of ServiceAccounts."""
    workloads: EffectiveWorkloads
    """What pods, Services, Ingresses and volumes may ask for."""
    agents: (
        Annotated[
            tuple[EffectiveAgent, ...], Field(max_length=32, json_schema_extra=listed("atomic"))
        ]
        | None
    ) = None
    """Programs of the platform, and what each may write here that the tenant may not."""
    nodes: EffectiveNodes
    """Where pods run."""
    pod_security: EffectivePodSecurity
    """Which pods are accepted."""
    network: EffectiveNetwork
    """What may flow, in addition to the cluster's DNS."""
    quota: QuotaMap
    """With quotaMode Split, this namespace's share of the tenant's quota. With Pool, the most that
    it can get of the total; ResourceQuota securetenant says what it has now."""
    quota_mode: QuotaMode | None = None
    """Whether the share follows use (Pool) or is fixed (Split). Absent where an older operator
    wrote this: fixed."""
    guaranteed: QuotaMap | None = None
    """What is kept free for this namespace of the tenant's quota."""
    container_limits: EffectiveLimits
    """Limits of each container."""


WHOLE = {"x-kubernetes-map-type": "atomic"}
"""Written as a whole, by one manager: who owns each field need not be recorded.

The API server reads the parameter of a policy through JSON, all of it, for each policy and
request: each byte of it is paid for with each pod.
"""


class TenantPolicy(Model):
    """What holds in this namespace, written by the operator.

    To change it, change the SecureTenant: ask your platform team.
    """

    spec: Annotated[PolicySpec, Field(json_schema_extra=WHOLE)]
    """What holds in this namespace."""
    status: Annotated[PolicyStatus, Field(json_schema_extra=WHOLE)] | None = None
    """How this namespace stands."""
