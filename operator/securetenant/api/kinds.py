"""The kinds that the operator reads or writes: where the API server keeps them."""

from dataclasses import dataclass
from urllib.parse import quote

from securetenant.api import names

_PLAIN = ":"
"""Stands for itself in a path; our own names have it."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind at the version that is used."""

    name: str
    group: str
    version: str
    plural: str
    namespaced: bool

    @property
    def api_version(self) -> str:
        """Return the ``apiVersion`` of its objects."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def counted(self) -> str:
        """Return the key by which a ResourceQuota counts its objects."""
        return f"count/{self.plural}.{self.group}" if self.group else f"count/{self.plural}"

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """Return the URL path of an object, or of the collection when ``name`` is empty.

        Escaped: a tenant can call a RoleBinding ``x?dryRun=All``, and only ``/`` and ``%`` are
        refused in such names.
        """
        parts = ["/apis", self.group, self.version] if self.group else ["/api", self.version]
        if namespace:
            parts += ["namespaces", quote(namespace, safe=_PLAIN)]
        parts.append(self.plural)
        parts += [quote(part, safe=_PLAIN) for part in (name, subresource) if part]
        return "/".join(parts)


NAMESPACE = Kind(name="Namespace", group="", version="v1", plural="namespaces", namespaced=False)
NETWORK_POLICY = Kind(
    name="NetworkPolicy",
    group="networking.k8s.io",
    version="v1",
    plural="networkpolicies",
    namespaced=True,
)
SECURE_TENANT = Kind(
    name="SecureTenant",
    group=names.GROUP,
    version=names.VERSION,
    plural="securetenants",
    namespaced=False,
)
TENANT_POLICY = Kind(
    name="TenantPolicy",
    group=names.GROUP,
    version=names.VERSION,
    plural="tenantpolicies",
    namespaced=True,
)

TENANCY_SETTINGS = Kind(
    name="TenancySettings",
    group=names.GROUP,
    version=names.VERSION,
    plural="tenancysettings",
    namespaced=False,
)
RESOURCE_QUOTA = Kind(
    name="ResourceQuota", group="", version="v1", plural="resourcequotas", namespaced=True
)
LIMIT_RANGE = Kind(name="LimitRange", group="", version="v1", plural="limitranges", namespaced=True)
ROLE_BINDING = Kind(
    name="RoleBinding",
    group="rbac.authorization.k8s.io",
    version="v1",
    plural="rolebindings",
    namespaced=True,
)
VALIDATING_POLICY = Kind(
    name="ValidatingAdmissionPolicy",
    group="admissionregistration.k8s.io",
    version="v1",
    plural="validatingadmissionpolicies",
    namespaced=False,
)
VALIDATING_BINDING = Kind(
    name="ValidatingAdmissionPolicyBinding",
    group="admissionregistration.k8s.io",
    version="v1",
    plural="validatingadmissionpolicybindings",
    namespaced=False,
)
MUTATING_POLICY = Kind(
    name="MutatingAdmissionPolicy",
    group="admissionregistration.k8s.io",
    version="v1",
    plural="mutatingadmissionpolicies",
    namespaced=False,
)
"""Since Kubernetes 1.36."""
MUTATING_BINDING = Kind(
    name="MutatingAdmissionPolicyBinding",
    group="admissionregistration.k8s.io",
    version="v1",
    plural="mutatingadmissionpolicybindings",
    namespaced=False,
)
CLUSTER_ROLE = Kind(
    name="ClusterRole",
    group="rbac.authorization.k8s.io",
    version="v1",
    plural="clusterroles",
    namespaced=False,
)
CLUSTER_ROLE_BINDING = Kind(
    name="ClusterRoleBinding",
    group="rbac.authorization.k8s.io",
    version="v1",
    plural="clusterrolebindings",
    namespaced=False,
)
CLUSTER_NETWORK_POLICY = Kind(
    name="ClusterNetworkPolicy",
    group="policy.networking.k8s.io",
    version="v1alpha2",
    plural="clusternetworkpolicies",
    namespaced=False,
)
"""Where its CRD is installed (network-policy-api v0.2.0)."""
CLUSTER_REPORT = Kind(
    name="ClusterReport",
    group="openreports.io",
    version="v1alpha1",
    plural="clusterreports",
    namespaced=False,
)
"""Where its CRD is installed (OpenReports)."""
INGRESS = Kind(
    name="Ingress",
    group="networking.k8s.io",
    version="v1",
    plural="ingresses",
    namespaced=True,
)
NODE = Kind(name="Node", group="", version="v1", plural="nodes", namespaced=False)
POD = Kind(name="Pod", group="", version="v1", plural="pods", namespaced=True)
SECRET = Kind(name="Secret", group="", version="v1", plural="secrets", namespaced=True)
SERVICE = Kind(name="Service", group="", version="v1", plural="services", namespaced=True)
CLAIM = Kind(
    name="PersistentVolumeClaim",
    group="",
    version="v1",
    plural="persistentvolumeclaims",
    namespaced=True,
)
DEPLOYMENT = Kind(
    name="Deployment", group="apps", version="v1", plural="deployments", namespaced=True
)
ENDPOINT_SLICE = Kind(
    name="EndpointSlice",
    group="discovery.k8s.io",
    version="v1",
    plural="endpointslices",
    namespaced=True,
)
DAEMON_SET = Kind(
    name="DaemonSet", group="apps", version="v1", plural="daemonsets", namespaced=True
)
HTTP_ROUTE = Kind(
    name="HTTPRoute",
    group="gateway.networking.k8s.io",
    version="v1",
    plural="httproutes",
    namespaced=True,
)
GRPC_ROUTE = Kind(
    name="GRPCRoute",
    group="gateway.networking.k8s.io",
    version="v1",
    plural="grpcroutes",
    namespaced=True,
)
TLS_ROUTE = Kind(
    name="TLSRoute",
    group="gateway.networking.k8s.io",
    version="v1",
    plural="tlsroutes",
    namespaced=True,
)
"""Since v1.5 of Gateway API; its channel experimental has :data:`TLS_ROUTES` before."""
TLS_ROUTES = tuple(
    Kind(
        name=TLS_ROUTE.name,
        group=TLS_ROUTE.group,
        version=version,
        plural=TLS_ROUTE.plural,
        namespaced=True,
    )
    for version in ("v1", "v1alpha3", "v1alpha2")
)
"""The versions at which TLSRoutes may be served, the newest first."""
FLOW_SCHEMA = Kind(
    name="FlowSchema",
    group="flowcontrol.apiserver.k8s.io",
    version="v1",
    plural="flowschemas",
    namespaced=False,
)
PRIORITY_LEVEL = Kind(
    name="PriorityLevelConfiguration",
    group="flowcontrol.apiserver.k8s.io",
    version="v1",
    plural="prioritylevelconfigurations",
    namespaced=False,
)
CRD = Kind(
    name="CustomResourceDefinition",
    group="apiextensions.k8s.io",
    version="v1",
    plural="customresourcedefinitions",
    namespaced=False,
)
LEASE = Kind(
    name="Lease", group="coordination.k8s.io", version="v1", plural="leases", namespaced=True
)
EVENT = Kind(name="Event", group="events.k8s.io", version="v1", plural="events", namespaced=True)

NOT_EVALUATED = tuple(
    Kind(name=name, group=group, version=version, plural=f"{name.lower()[:-1]}ies", namespaced=own)
    for name, group, version, own in (
        ("CiliumNetworkPolicy", "cilium.io", "v2", True),
        ("CiliumClusterwideNetworkPolicy", "cilium.io", "v2", False),
        ("NetworkPolicy", "crd.projectcalico.org", "v1", True),
        ("GlobalNetworkPolicy", "crd.projectcalico.org", "v1", False),
        ("AdminNetworkPolicy", "policy.networking.k8s.io", "v1alpha1", False),
        ("BaselineAdminNetworkPolicy", "policy.networking.k8s.io", "v1alpha1", False),
    )
)
"""Policies of other kinds: they change what can be reached, and what they select is unclear."""
BY_NAME = {
    kind.name: kind
    for kind in (
        CLAIM,
        CLUSTER_NETWORK_POLICY,
        CLUSTER_REPORT,
        CLUSTER_ROLE,
        CLUSTER_ROLE_BINDING,
        CRD,
        DAEMON_SET,
        EVENT,
        FLOW_SCHEMA,
        INGRESS,
        LEASE,
        LIMIT_RANGE,
        MUTATING_BINDING,
        MUTATING_POLICY,
        NAMESPACE,
        NETWORK_POLICY,
        NODE,
        POD,
        PRIORITY_LEVEL,
        RESOURCE_QUOTA,
        ROLE_BINDING,
        SECURE_TENANT,
        SERVICE,
        TENANCY_SETTINGS,
        TENANT_POLICY,
        VALIDATING_BINDING,
        VALIDATING_POLICY,
    )
}
