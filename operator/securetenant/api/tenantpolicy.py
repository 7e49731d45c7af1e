"""TenantPolicy: what holds in one namespace, computed by the operator, read by everybody."""

from typing import Annotated

from pydantic import Field

from securetenant.api.rules import Model
from securetenant.api.securetenant import PodSecurityLevel


class EffectivePodSecurity(Model):
    """Pod Security Admission as it is enforced here."""

    level: PodSecurityLevel
    """restricted or baseline."""
    version: Annotated[str, Field(max_length=8)]
    """The pinned version of the Pod Security Standards."""


class PolicySpec(Model):
    """What holds in this namespace."""

    tenant: Annotated[str, Field(max_length=63)]
    """The tenant that this namespace belongs to."""
    pod_security: EffectivePodSecurity
    """Which pods are accepted."""


class TenantPolicy(Model):
    """What holds in this namespace, written by the operator.

    To change it, change the SecureTenant: ask your platform team.
    """

    spec: PolicySpec
    """What holds in this namespace."""
