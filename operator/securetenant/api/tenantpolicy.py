"""TenantPolicy: what holds in one namespace, computed by the operator, read by everybody."""

from typing import Annotated

from pydantic import Field

from securetenant.api.quotas import QuotaMap
from securetenant.api.rules import Model, listed
from securetenant.api.securetenant import PodSecurityLevel, Switch
from securetenant.api.status import Condition


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


class PolicySpec(Model):
    """What holds in this namespace."""

    tenant: Annotated[str, Field(max_length=63)]
    """The tenant that this namespace belongs to."""
    tenant_uid: Annotated[str, Field(alias="tenantUID", max_length=64)]
    """The uid of the SecureTenant: another one of the same name does not get the namespace
    without consent."""
    pod_security: EffectivePodSecurity
    """Which pods are accepted."""
    network: EffectiveNetwork
    """What may flow, beside the cluster's DNS."""
    quota: QuotaMap
    """This namespace's share of the tenant's quota."""
    container_limits: EffectiveLimits
    """Limits of each container."""


class PolicyStatus(Model):
    """How this namespace stands."""

    observed_generation: Annotated[int, Field(json_schema_extra={"format": "int64"})] | None = None
    """The metadata.generation that this status is about."""
    conditions: (
        Annotated[
            tuple[Condition, ...],
            Field(max_length=32, json_schema_extra=listed("map", "type")),
        ]
        | None
    ) = None
    """Ready, and the aspects that make it up."""


class TenantPolicy(Model):
    """What holds in this namespace, written by the operator.

    To change it, change the SecureTenant: ask your platform team.
    """

    spec: PolicySpec
    """What holds in this namespace."""
    status: PolicyStatus | None = None
    """How this namespace stands."""
