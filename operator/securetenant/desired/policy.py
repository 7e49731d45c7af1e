"""TenantPolicy ``effective``: what holds in the namespace, for people and for the rules."""

from collections.abc import Iterable
from typing import Any

from securetenant.api import access, kinds, names, objects
from securetenant.api.agents import Agent
from securetenant.api.objects import Manifest
from securetenant.api.tenantpolicy import PolicySpec
from securetenant.desired import placement
from securetenant.desired.scope import Scope


def build(scope: Scope) -> Manifest:
    """Return the TenantPolicy of the namespace."""
    limits = scope.limits
    allowed = scope.workloads
    spec = PolicySpec.model_validate(
        {
            "tenant": scope.tenant,
            "tenantUID": scope.tenant_uid,
            "enforcement": scope.enforcement,
            "lockdown": scope.lockdown,
            "access": {
                "serviceAccountNamespaces": scope.own_namespaces,
                "clusterRoles": [names.cluster_role(role) for role in access.ROLES],
            },
            "tokens": {
                "audiences": allowed.audiences,
                "maxSeconds": allowed.max_seconds,
                "automount": allowed.automount,
            },
            "workloads": {
                "registries": allowed.registries,
                "images": allowed.images,
                "imagePullPolicy": allowed.image_pull_policy,
                "rootFilesystem": allowed.root_filesystem,
                "userNamespaces": allowed.user_namespaces,
                "runAsUser": allowed.run_as_user,
                "priorityClasses": allowed.priority_classes,
                "runtimeClasses": allowed.runtime_classes,
                "tolerations": allowed.tolerations,
                "storageClasses": allowed.storage_classes,
                "ingressClasses": allowed.ingress_classes,
                "gateways": allowed.gateways,
                "csiDrivers": allowed.csi_drivers,
                "annotations": allowed.annotations,
                "hostnames": allowed.hostnames,
                "serviceTypes": allowed.service_types,
            },
            "agents": tuple(map(_agent, scope.agents)) or None,
            "nodes": {
                "dedication": "Dedicated" if scope.nodes.is_dedicated else "Shared",
                "selector": placement.selector(scope),
            },
            "podSecurity": {
                "level": scope.pod_security_level,
                "version": scope.pod_security_version,
            },
            "network": {
                "sameTenant": scope.same_tenant,
                "platform": tuple(each.name for each in scope.openings if each.is_platform) or None,
            },
            "quota": scope.most,
            "quotaMode": scope.quota_mode,
            "guaranteed": scope.guaranteed or None,
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
        spec=spec.model_dump(by_alias=True, mode="json", exclude_none=True),
    )


def _agent(agent: Agent) -> dict[str, Any]:
    """Return what an agent may write; nothing else, since policies read all of it."""
    allows = agent.allows
    return {
        "user": agent.username,
        "annotations": _listed(allows.annotations),
        "registries": _listed(allows.registries),
        "serviceTypes": _listed(allows.service_types),
    }


def _listed(values: Iterable[str] | None) -> tuple[str, ...] | None:
    return tuple(sorted(values or ())) or None
