"""Every name that other people's eyes or tools may meet, once."""

GROUP = "securetenant.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY = "securetenant"
MANAGED_SELECTOR = f"{MANAGED_BY_LABEL}={MANAGED_BY}"
FOREIGN_SELECTOR = f"{MANAGED_BY_LABEL}!={MANAGED_BY}"
"""What the operator did not make."""

PACK_SELECTOR = "app.kubernetes.io/part-of=securetenant"
"""What the platform team installs with us."""

TENANT_LABEL = f"{GROUP}/tenant"
"""On every namespace of a tenant: the tenant's name."""

READY_FOR_LABEL = f"{GROUP}/ready-for"
"""On a namespace that may run workloads: the uid of its TenantPolicy. A restored or re-created
namespace is not ready by an old label, since its TenantPolicy is another object."""
LOCKDOWN_LABEL = f"{GROUP}/lockdown"
"""On the namespaces of a tenant that is locked down: how; absent otherwise."""
ASIDE = f"{GROUP}/set-aside"
"""On what others made in the namespaces of a tenant that is quarantined: in the selector of a
NetworkPolicy, which selects no pod by it; as an annotation of a RoleBinding, who it named."""
ENFORCEMENT_LABEL = f"{GROUP}/enforcement"
"""On the namespaces of a tenant: Enforce, or Audit. The bindings that refuse select what is not
Audit, so that an absent label is enforced."""
STATE_LABEL = f"{GROUP}/state"
"""For people: active or retained."""
ACTIVE = "active"
RETAINED = "retained"
ADOPT_ANNOTATION = f"{GROUP}/adopt"
"""Consent, by the platform team, that the named tenant takes a retained namespace back."""
REQUESTED_ANNOTATION = f"{GROUP}/requested-at"
"""On a SecureTenant: any new value asks for another look at everything. On TenancySettings: any new
value lets a roll-out go on that was halted."""
REUSE_ANNOTATION = f"{GROUP}/reuse-names"
"""On a SecureTenant: names of namespaces, separated by commas, that it gets although they rest."""
REST_DAYS = 30
"""For how long a name rests, where TenancySettings do not say."""
FINALIZER = f"{GROUP}/teardown"
"""Makes deletion visible: nothing is torn down that was not seen to be deleted."""

NODE_PREFIX = "securetenant.node-restriction.kubernetes.io/"
"""Of our labels on nodes: no kubelet may set them (admission plugin NodeRestriction)."""
NODE_LABEL = f"{NODE_PREFIX}tenant"
"""On a node: the only tenant whose pods run there, or :data:`SHARED`."""
SHARED = "Shared"
"""The value for nodes of all tenants without nodes of their own; no tenant's name has a capital."""
NODE_TAINT = f"{GROUP}/tenant"
"""On a node of one tenant: keeps everybody else's pods away."""

REGISTERING_TAINT = "karpenter.sh/unregistered"
"""On a node that Karpenter has not given its labels yet (Karpenter, "NodePools", registration)."""

POD_SECURITY_PREFIX = "pod-security.kubernetes.io/"

FIELD_MANAGER = "securetenant"
"""Owns every object that the operator writes; changing it would orphan their fields."""
STATUS_MANAGER = "securetenant-status"

MANAGED_PREFIX = "securetenant-"
POLICY_NAME = "effective"
"""The one TenantPolicy of a namespace."""
DEFAULT_DENY = f"{MANAGED_PREFIX}default-deny"
DNS = f"{MANAGED_PREFIX}dns"
SAME_TENANT = f"{MANAGED_PREFIX}same-tenant"
API_SERVER = f"{MANAGED_PREFIX}api-server"
DECLARED_ANNOTATION = f"{GROUP}/declared-in"
"""On a NetworkPolicy: the entry of the SecureTenant that it comes from."""
NAMESPACE_NAME_LABEL = "kubernetes.io/metadata.name"
"""On every namespace: its name. The API server sets it and lets nobody change it."""
METADATA_ADDRESSES = (
    "100.100.100.200/32",  # Alibaba Cloud (cloud-init, datasource AliYun).
    "168.63.129.16/32",  # Azure, WireServer (Microsoft Learn, "What is IP address 168.63.129.16?").
    "169.254.0.23/32",  # Tencent Cloud (Datadog Agent, pkg/util/cloudproviders/tencent).
    "169.254.169.254/32",  # Nearly all.
    "169.254.42.42/32",  # Scaleway (cloud-init, datasource Scaleway).
    "192.0.0.192/32",  # Oracle Cloud Infrastructure Classic.
    "fd00:100::100:200/128",  # Alibaba Cloud (cloud-init, datasource AliYun).
    "fd00:42::42/128",  # Scaleway (cloud-init, datasource Scaleway).
    "fd00:a9fe:a9fe::1/128",  # Akamai, Linode (Akamai TechDocs, "Metadata service API").
    "fd00:c1::a9fe:a9fe/128",  # Oracle Cloud (OCI Python SDK, instance principals).
    "fd00:ec2::254/128",  # AWS (EC2 User Guide, "Access instance metadata").
    "fd20:ce::254/128",  # Google Cloud, IPv6-only instances (Compute Engine, "About VM metadata").
    "fe80::a9fe:a9fe/128",  # OpenStack (Neutron, "IPv6 support in Metadata service"), Linode.
)
"""Where clouds hand out credentials to anyone who asks: left out of openings by cidr, whatever
TenancySettings say. Agents that ask for the pod's own token first are not among them, like that of
EKS Pod Identity at 169.254.170.23."""
CANARY = f"{MANAGED_PREFIX}canary"
CANARY_USER = "securetenant:canary"
CANARY_ROLE = "securetenant:canary"
QUOTA = "securetenant"
LIMITS = "securetenant"
SETTINGS_NAME = "default"
"""The one TenancySettings."""
PRIORITY_LEVEL = f"{MANAGED_PREFIX}tenants"
"""The PriorityLevelConfiguration of every tenant; the platform team installs it."""
FLOWS = 64
"""How many FlowSchemas there are at most, whatever the number of tenants."""
ACCOUNTS_OF = "system:serviceaccounts:"
"""And a namespace: the group of its ServiceAccounts."""
_FLOW_PREFIX = f"{MANAGED_PREFIX}flow-"


def opening(direction: str, name: str) -> str:
    """Return the name of the NetworkPolicy of an opening; direction is Ingress or Egress."""
    return f"{MANAGED_PREFIX}{direction.lower()}-{name}"


def platform_opening(name: str) -> str:
    """Return the name of the NetworkPolicy of an opening that holds for every tenant."""
    return f"{MANAGED_PREFIX}platform-{name}"


def peer(tenant: str) -> str:
    """Return the name of the NetworkPolicy for a peer."""
    return f"{MANAGED_PREFIX}peer-{tenant}"


def admin_tier(tenant: str) -> str:
    """Return the name of a tenant's ClusterNetworkPolicy."""
    return f"{MANAGED_PREFIX}{tenant}"


def tenant_of_tier(name: str) -> str:
    """Return the tenant whose ClusterNetworkPolicy has this name; none for any other name."""
    return name.removeprefix(MANAGED_PREFIX) if name.startswith(MANAGED_PREFIX) else ""


def report(tenant: str) -> str:
    """Return the name of a tenant's ClusterReport."""
    return f"{MANAGED_PREFIX}{tenant}"


def tenant_of_report(name: str) -> str:
    """Return the tenant whose ClusterReport has this name; any other name is returned as it is."""
    return name.removeprefix(MANAGED_PREFIX)


PIDS_PREFIX = f"{NODE_PREFIX}pids-at-most-"
"""Of the labels on nodes whose kubelet was read: which bounds of processes it keeps."""
DECLARED_PIDS_LABEL = "node-restriction.kubernetes.io/pod-pids-limit"
"""On a node, by the platform team: its podPidsLimit, where the kubelet cannot be read. A kubelet
cannot write it (NodeRestriction); everybody else who may patch nodes can."""


def pids_label(bound: int) -> str:
    """Return the label of nodes that let no pod have more processes than ``bound``."""
    return f"{PIDS_PREFIX}{bound}"


def flow(number: int) -> str:
    """Return the name of a FlowSchema of tenants."""
    return f"{_FLOW_PREFIX}{number:02}"


def number_of_flow(name: str) -> int | None:
    """Return the number of the flow whose FlowSchema has this name; none for any other name."""
    return _NUMBERS.get(name)


_NUMBERS = {flow(number): number for number in range(FLOWS)}


def membership(tenant: str) -> str:
    """Return the name of the ServiceAccount by which a namespace is known to be a tenant's."""
    return f"{MANAGED_PREFIX}{tenant}"


def role_binding(role: str) -> str:
    """Return the name of the RoleBinding that grants a role."""
    return f"{MANAGED_PREFIX}{role.lower()}"


def cluster_role(role: str) -> str:
    """Return the name of the ClusterRole that a role means."""
    return f"{MANAGED_BY}:{role.lower()}"


def base_role(role: str) -> str:
    """Return the name of the ClusterRole with the rules that this version gives to a role."""
    return f"{MANAGED_BY}:aggregate-to-{role.lower()}"


def aggregation_label(role: str) -> str:
    """Return the label of ClusterRoles whose rules a role has, with the value ``true``."""
    return f"{GROUP}/aggregate-to-{role.lower()}"


OPERATOR_NAMESPACE = "securetenant-system"
OPERATOR = "securetenant-operator"
"""The operator's ServiceAccount, Deployment and Lease."""
NODE_READER = f"{MANAGED_PREFIX}node-reader"
"""The ServiceAccount whose token kubelets are shown."""
VERIFIER = f"{MANAGED_PREFIX}verifier"
"""The ServiceAccount that tries attacks as the canary, and asks what others may do."""

TENANT_NAME_LENGTH = 40
"""Leaves room for the tenant's name within other names of at most 63 characters."""

SENDERS, RECEIVERS = f"{MANAGED_PREFIX}senders", f"{MANAGED_PREFIX}receivers"
"""The namespaces of the packet probe (manifests/packets)."""

PROTECTED_PREFIXES = ("kube-", "openshift-")
PROTECTED_NAMES = ("default", OPERATOR_NAMESPACE)
COUNTRY_CODE_LENGTH = 2
TOP_LEVEL_DOMAINS = (
    "arpa",
    "biz",
    "com",
    "edu",
    "gov",
    "info",
    "int",
    "mil",
    "net",
    "org",
)
"""Every pod's DNS search path ends in ``svc.<cluster domain>``: in a namespace called ``com``
a Service named ``example`` would answer for ``example.com``. Names of two letters are refused
for the same reason. (Kubernetes documentation, "Namespaces and DNS".)"""
