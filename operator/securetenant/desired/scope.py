"""The input of every builder: one namespace of one tenant, with all defaults resolved."""

from dataclasses import dataclass

from securetenant.api import names
from securetenant.api.securetenant import NamespaceEntry, TenantSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class Scope:
    """One namespace of one tenant."""

    tenant: str
    namespace: NamespaceEntry
    pod_security_level: str
    pod_security_version: str

    @property
    def labels(self) -> dict[str, str]:
        """Return the labels of every object that we make in the namespace."""
        return {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.TENANT_LABEL: self.tenant}


def scopes(tenant: str, spec: TenantSpec) -> tuple[Scope, ...]:
    """Return one scope per namespace, sorted by name."""
    pod_security = spec.effective_pod_security
    return tuple(
        Scope(
            tenant=tenant,
            namespace=entry,
            pod_security_level=str(pod_security.level),
            pod_security_version=str(pod_security.version),
        )
        for entry in sorted(spec.namespaces, key=lambda entry: entry.name)
    )
