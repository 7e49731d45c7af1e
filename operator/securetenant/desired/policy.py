"""TenantPolicy ``effective``: what holds in the namespace, for people and for the rules."""

from securetenant.api import access, kinds, names, objects
from securetenant.api.objects import Manifest
from securetenant.api.tenantpolicy import PolicySpec
from securetenant.desired.scope import Scope

_MAX_TOKEN_SECONDS = 86_400


def build(scope: Scope) -> Manifest:
    """Return the TenantPolicy of the namespace."""
    limits = scope.limits
    spec = PolicySpec.model_validate(
        {
            "tenant": scope.tenant,
            "tenantUID": scope.tenant_uid,
            "lockdown": scope.lockdown,
            "access": {
                "serviceAccountNamespaces": scope.own_namespaces,
                "clusterRoles": [names.cluster_role(role) for role in access.ROLES],
            },
            "tokens": {"maxSeconds": _MAX_TOKEN_SECONDS},
            "podSecurity": {
                "level": scope.pod_security_level,
                "version": scope.pod_security_version,
            },
            "network": {"sameTenant": scope.same_tenant},
            "quota": scope.share,
            "containerLimits": {
                "default": limits.default,
                "defaultRequest": limits.default_request,
                "min": limits.min,
                "max": limits.max,
            },
        }
    )
    return objects.manifest(
        kinds.TENANT_POLICY,
        name=names.POLICY_NAME,
        namespace=scope.namespace.name,
        labels=scope.labels,
        spec=spec.model_dump(by_alias=True, mode="json"),
    )
