"""TenantPolicy ``effective``: what holds in the namespace, for people and for the rules."""

from securetenant.api import kinds, names, objects
from securetenant.api.objects import Manifest
from securetenant.api.tenantpolicy import EffectivePodSecurity, PolicySpec
from securetenant.desired.scope import Scope


def build(scope: Scope) -> Manifest:
    """Return the TenantPolicy of the namespace."""
    spec = PolicySpec.model_validate(
        {
            "tenant": scope.tenant,
            "podSecurity": EffectivePodSecurity.model_validate(
                {"level": scope.pod_security_level, "version": scope.pod_security_version}
            ),
        }
    )
    return objects.manifest(
        kinds.TENANT_POLICY,
        name=names.POLICY_NAME,
        namespace=scope.namespace.name,
        labels=scope.labels,
        spec=spec.model_dump(by_alias=True, mode="json"),
    )
