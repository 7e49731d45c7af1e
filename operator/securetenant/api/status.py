"""Conditions and the status of the kinds: types, reasons and what each means."""

from typing import Annotated, Literal

from pydantic import Field

from securetenant.api.rules import Model, listed

ConditionStatus = Literal["True", "False", "Unknown"]


class Condition(Model):
    """A condition as Kubernetes defines it (metav1.Condition)."""

    type: Annotated[str, Field(max_length=316)]
    """Which aspect, for example Ready."""
    status: ConditionStatus
    """True, False or Unknown."""
    reason: Annotated[str, Field(min_length=1, max_length=1024)]
    """One word for programs; each is documented in docs/reference.md."""
    message: Annotated[str, Field(max_length=32768)]
    """A sentence for people: which object, and what to do."""
    observed_generation: Annotated[int, Field(json_schema_extra={"format": "int64"})]
    """The metadata.generation that was looked at."""
    last_transition_time: Annotated[
        str, Field(max_length=32, json_schema_extra={"format": "date-time"})
    ]
    """When the status last changed."""


class ObservedStatus(Model):
    """How something stands."""

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


class NamespaceCount(Model):
    """How many namespaces there are, and should be."""

    desired: Annotated[int, Field(json_schema_extra={"format": "int32"})]
    """How many the spec names."""
    ready: Annotated[int, Field(json_schema_extra={"format": "int32"})]
    """How many have every object as it should be."""
    summary: Annotated[str, Field(max_length=16)]
    """Both in one, like 3/3."""


class Isolation(Model):
    """What came of the last attempts to break it."""

    verified_at: Annotated[str, Field(max_length=32, json_schema_extra={"format": "date-time"})]
    """When the namespace whose turn is longest ago was verified."""
    tried: Annotated[int, Field(json_schema_extra={"format": "int32"})]
    """How much was tried: requests that have to be refused, and questions about rights."""
    refused: Annotated[int, Field(json_schema_extra={"format": "int32"})]
    """How much of it was refused by the control that is there for it."""
    admitted: Annotated[int, Field(json_schema_extra={"format": "int32"})]
    """How much of it was admitted."""


class PolicyStatus(ObservedStatus):
    """How a namespace stands."""

    isolation: Isolation | None = None
    """What came of the last attempts to break it; IsolationVerified says what that means."""


class AccessStatus(Model):
    """How access stands."""

    next_expiry: Annotated[str, Field(max_length=32, json_schema_extra={"format": "date-time"})]
    """When a grant of spec.access ends next."""


class QuotaUse(Model):
    """How much of one resource is used."""

    resource: Annotated[str, Field(max_length=316)]
    """As in spec.quota."""
    total: Annotated[str, Field(max_length=32)]
    """What the tenant has."""
    used: Annotated[str, Field(max_length=32)]
    """What its namespaces use."""
    guaranteed: Annotated[str, Field(max_length=32)] | None = None
    """What is kept for single namespaces."""
    free: Annotated[str, Field(max_length=32)]
    """What is neither used nor kept for a namespace."""


class QuotaStatus(Model):
    """How much of the quota is used; told when that changed by a twentieth, twice a minute."""

    summary: Annotated[str, Field(max_length=384)]
    """The resource of which the least is left, like limits.cpu 75%; or under 5%."""
    # Atomic, since a server-side apply that takes the last entry out of a map leaves null.
    resources: Annotated[
        tuple[QuotaUse, ...], Field(max_length=64, json_schema_extra=listed("atomic"))
    ]
    """One for each resource."""


class TenantStatus(ObservedStatus):
    """What the operator has seen."""

    access: AccessStatus | None = None
    """How access stands; absent where nothing of it ends."""

    isolation: Isolation | None = None
    """What came of the last attempts to break it; IsolationVerified says what that means."""

    namespaces: NamespaceCount | None = None
    """How many namespaces there are, and should be."""

    quota: QuotaStatus | None = None
    """How much of the quota is used."""


UNSEEN = {"observedGeneration": -1}
"""The CRD's default status: a new object is in progress until the operator has seen it, and
never ready by the absence of conditions (kstatus)."""

# Condition types.
READY = "Ready"
"""Everything that the spec asks for is in place."""
NAMESPACES_READY = "NamespacesReady"
"""Every namespace of the spec exists, belongs to the tenant and has its objects."""
NETWORK_ISOLATED = "NetworkIsolated"
"""Every namespace has its NetworkPolicies, whole and unchanged, and the tenant its
ClusterNetworkPolicy, where that kind is served."""
QUOTA_ENFORCED = "QuotaEnforced"
"""Every namespace has its share of the quota, and the API server counts by it."""
ACCESS_SCOPED = "AccessScoped"
"""Every namespace has exactly the RoleBindings that the spec grants."""
POD_SECURITY_ENFORCED = "PodSecurityEnforced"
"""Every namespace carries its Pod Security Admission labels. Pods that were admitted before these
labels are not judged."""
PIDS_LIMITED = "PidsLimited"
"""Every node that the tenant's pods may run on limits the processes of a pod, as the spec asks for.
Absent where it asks for nothing; Ready waits for it only where the limit is required."""
POLICIES_IN_FORCE = "PoliciesInForce"
"""Every admission policy, CRD and ClusterRole of this version is installed and unchanged."""
ISOLATION_VERIFIED = "IsolationVerified"
"""In every namespace everything that must be refused was tried, and was refused by the control that
is there for it. Ready does not wait for it. Absent where verifyEverySeconds of TenancySettings
is 0."""
NODES_DEDICATED = "NodesDedicated"
"""The tenant's pods run on its own nodes, and nobody else's there; or, for a shared tenant, on the
nodes for shared tenants. Present where the spec or TenancySettings say something of nodes."""
OVERRIDE_HELD = "OverrideHeldAsExpected"
"""On TenancySettings: nobody unexpected holds the verb override; the message lists who does."""
FAIRNESS_IN_FORCE = "FairnessInForce"
"""On TenancySettings: the priority level of tenants is installed, so a tenant that floods the API
server queues behind itself."""
PACKETS_FILTERED = "PacketsFiltered"
"""On TenancySettings: by the packet probe of every node, what NetworkPolicies allow arrives and
nothing else. Absent where the probe is not installed."""
ROLLED_OUT = "RolledOut"
"""On TenancySettings: every tenant follows them as they now are."""
RECONCILING = "Reconciling"
"""Present, and True, while the operator works (kstatus)."""
STALLED = "Stalled"
"""Present, and True, when the operator cannot go on until somebody acts (kstatus)."""

# Reasons.
AS_SPECIFIED = "AsSpecified"
"""What is there is what the spec asks for."""
PROGRESSING = "Progressing"
"""The operator is at it."""
WAITING_FOR_QUOTA = "WaitingForQuota"
"""The quota is written and not counted yet: until then it would enforce nothing."""
WAITING_FOR_SHARE = "WaitingForShare"
"""A share of the quota grows only after another has shrunk."""
SPEC_REFUSED = "SpecRefused"
"""The stored spec breaks a rule or has a field that this operator does not know."""
SETTINGS_MISSING = "SettingsMissing"
"""There is no TenancySettings named default, or it is refused: the operator changes nothing."""
SUSPENDED = "Suspended"
"""The spec asks the operator to change nothing. Ready is False if something is missing, or if the
SecureTenant is being deleted: neither goes on by itself."""
BOUND_PASSED = "BoundPassed"
"""The spec asks for more than TenancySettings allow; what was in place stays in place, except for
what the spec takes away."""
QUOTA_OVERCOMMITTED = "QuotaOvercommitted"
"""Fixed parts and retained namespaces need more than the total; shares stay as they are."""
SHARE_TOO_SMALL = "ShareTooSmall"
"""On QuotaEnforced: no pod that leaves its size to the defaults fits into a namespace's share, or,
in a pool, into the total; the message says which total would be enough. The condition stays True
where other shares are zero, and where a pool holds such a pod in some namespaces at a time."""
POOL_EXHAUSTED = "PoolExhausted"
"""On QuotaEnforced, which stays True: something was refused in a namespace, and the tenant's total
has no room for it; the message says where, of what, and what to change."""
NO_CPU_LIMITS = "NoCpuLimits"
"""On QuotaEnforced, which stays True: pods have no CPU limit, as the settings or the spec ask for;
what they request is counted."""
AGENT_OF_TENANT = "AgentOfTenant"
"""On PoliciesInForce, which stays True: an entry of an agent is not in force, since a tenant has
its namespace."""
FOREIGN_BINDINGS = "ForeignBindings"
"""On AccessScoped: RoleBindings of somebody else give access beyond spec.access, or name
ServiceAccounts of namespaces that are not in the spec; the message names them. AccessScoped is
False while one names ServiceAccounts of a namespace of another tenant, or of one that left, and
could not be deleted yet. A namespace that one names is not created before."""
FOREIGN_POLICIES = "ForeignNetworkPolicies"
"""On NetworkIsolated: NetworkPolicies of somebody else reach beyond the tenant and could not be
deleted yet; the message names them, what they reach, and why they are still there. A namespace that
one names is not created before."""
UNKNOWN_NAMESPACE = "UnknownNamespace"
"""A grant names a namespace that is not the tenant's; the rest of it is in force."""
EXPIRED = "Expired"
"""A grant has ended: nobody has access by it, and its entry may be removed; the others are in
force."""
ACCESS_GRANTED = "AccessGranted"
"""An event: access is given until a moment."""
ACCESS_EXPIRING = "AccessExpiring"
"""An event: access ends in a quarter of an hour."""
ACCESS_EXPIRED = "AccessExpired"
"""An event: access has ended."""
NOT_IN_SETTINGS = "NotInSettings"
"""The spec needs what TenancySettings do not name: an ingress controller, the addresses of the API
server, nodes that may be dedicated; everything else is in force."""
NODE_CONFLICT = "NodeConflict"
"""A node is asked for by several tenants, or belongs to another."""
LAST_NODE = "LastNode"
"""A node is not taken, since no other would take pods of the platform: DNS, and the operator."""
UNKNOWN_NODE = "UnknownNode"
"""A name in spec.nodes.names is no node's."""
EVICTION_WAITING = "EvictionWaiting"
"""The taint NoExecute waits for pods that it would evict to leave a node (spec.nodes.eviction:
Wait)."""
NODE_IN_USE = "NodeInUse"
"""A node changes hands once the pods of its former tenant are gone; or pods of others are still on
a tenant's node."""
PODS_ELSEWHERE = "PodsElsewhere"
"""Pods of the tenant, from before, run on nodes that are not its own; of a shared tenant, on nodes
of other tenants."""
PODS_PENDING = "PodsPending"
"""On NodesDedicated, which stays True: pods of the tenant wait, since no node takes them."""
NO_NODES = "NoNodes"
"""On NodesDedicated, which stays True: no node is the tenant's yet, or none is there for shared
tenants; its pods wait. On PidsLimited: there is none to read."""
USER_NAMESPACES_UNSUPPORTED = "UserNamespacesUnsupported"
"""On PodSecurityEnforced: the spec requires user namespaces, and nodes on which the tenant's pods
may run say that their container runtime has none. The condition stays True where others have."""
FOREIGN_PODS = "ForeignPods"
"""On NodesDedicated, which stays True: pods of others tolerate the tenant's taint."""
DAEMONS_KEPT_OUT = "DaemonSetsKeptOut"
"""On NodesDedicated, which stays True: DaemonSets do not tolerate the taint, so they do not run
there."""
PEER_MISSING = "PeerMissing"
"""On NetworkIsolated, which stays True: traffic between two tenants is declared by one side only,
or nothing is common; the message says which tenant has to declare what. Closed until then."""
PROTECTED_NAME = "ProtectedName"
"""The platform team keeps this name of a namespace for itself (TenancySettings)."""
PACKETS_NOT_FILTERED = "PacketsNotFiltered"
"""The packet probe received what NetworkPolicies refuse; the message names the nodes. On every
tenant's IsolationVerified, and on TenancySettings."""
PROBE_SILENT = "ProbeSilent"
"""On PacketsFiltered: of some nodes the packet probe says nothing, for minutes."""
ADOPTION_BLOCKED = "AdoptionBlocked"
"""The platform team consents that the tenant takes a namespace, and what is in it is against the
spec: nothing of it is touched until that is changed. The message names what it is."""
CONSENT_NEEDED = "ConsentNeeded"
"""A retained namespace is taken back only with the platform team's consent; without it nothing is
made for a new SecureTenant of the name. On NetworkIsolated: namespaces of an earlier one are there,
and this one had begun."""
NAME_RESTING = "NameResting"
"""The name was another SecureTenant's namespace, and nobody gets it for a while: anyone who had
access then may still watch a namespace of that name. The message says for how long, and how to
allow it earlier."""
POLICIES_CHANGED = "PoliciesChanged"
"""An admission policy is missing or not the one of this version: the platform team installs it."""
CRDS_CHANGED = "CRDsChanged"
"""A CustomResourceDefinition of SecureTenant does not keep every field that this operator reads:
nothing is changed until the platform team installs it."""
ROLES_CHANGED = "RolesChanged"
"""A ClusterRole of SecureTenant is missing or allows something else than in this version: the
platform team restores it."""
HOSTNAME_TAKEN = "HostnameTaken"
"""A host name's end is also another tenant's, who has it in force, or asks for it and is older."""
FOREIGN_HOSTNAMES = "ForeignHostnames"
"""On PoliciesInForce: Ingresses from before serve host names that the tenant may not have now; the
message names them. The condition stays True unless a name is another tenant's."""
AUDIT_ONLY = "AuditOnly"
"""On Ready and PoliciesInForce, which stay True: rules by which the tenant protects itself warn
instead of refusing, as the spec asks for."""
FROZEN = "Frozen"
"""On Ready, which stays True: nothing in the namespaces is created, changed or deleted, as the spec
asks for."""
QUARANTINED = "Quarantined"
"""On Ready, which stays True: as Frozen, and no pod starts, all traffic is cut, no token is issued,
and access is reduced to Viewer, as the spec asks for."""
PRIORITY_LEVEL_MISSING = "PriorityLevelMissing"
"""There is no PriorityLevelConfiguration securetenant-tenants, so the API server passes over the
FlowSchemas of tenants: the platform team installs it."""
PRIORITY_LEVEL_CHANGED = "PriorityLevelChanged"
"""The PriorityLevelConfiguration securetenant-tenants limits nothing or queues nothing, so tenants
do not queue apart."""
UNEXPECTED_HOLDER = "UnexpectedHolder"
"""Somebody holds the verb override who need not."""
ROLLING_OUT = "RollingOut"
"""Tenants follow changed TenancySettings in waves, and some have not had their turn."""
ROLL_OUT_HALTED = "RollOutHalted"
"""Tenants became unhealthy by changed TenancySettings: nobody follows them until they are corrected
or somebody asks to go on."""
TENANTS_HARMED = "TenantsHarmed"
"""Every tenant had its turn with changed TenancySettings, and some became unhealthy by it; the
message names them."""
AWAITING_TURN = "AwaitingTurn"
"""The operator was restarted during a roll-out of TenancySettings: what differs from them in this
tenant is not touched before its turn comes."""
CONFLICT = "Conflict"
"""Something exists already and belongs to somebody else."""
REFUSED = "Refused"
"""The API server refused a write of the operator: rights, a policy, or a wrong value."""
UNAVAILABLE = "Unavailable"
"""The API server did not answer or is overloaded; tried again by itself."""
EXCEPTION_GRANTED = "ExceptionGranted"
"""The Pod Security labels are those of level baseline, for the reason that the spec gives."""
ATTACKS_REFUSED = "AttacksRefused"
"""On IsolationVerified: everything that was tried was refused by the control that is there for
it."""
ISOLATION_OPEN = "IsolationOpen"
"""On IsolationVerified: something was admitted that must be refused; the message says what, which
control has to refuse it, and what to do."""
REFUSED_BY_OTHERS = "RefusedByOthers"
"""On IsolationVerified: something was refused by another control than the one that is there for it,
so nothing is known of that one."""
TRIAL_REFUSED = "TrialRefused"
"""On IsolationVerified: the pod that must be admitted was refused, so that other refusals prove
nothing; the message says who."""
FLOWS_OPEN = "FlowsNotDeclared"
"""On IsolationVerified: network policies let something through that nobody declared; the message
names both ends and the rule that opens each."""
FLOWS_UNCLEAR = "FlowsUnclear"
"""On IsolationVerified: network policies of a kind that is not evaluated select the tenant's pods,
or could not be read; the message names them."""
STANDING_VIOLATIONS = "StandingViolations"
"""On IsolationVerified: objects that are there already would be refused if they were new; the
message names them, the rule, who made them, and for how long they have been there."""
NOT_VERIFIED = "NotVerifiedYet"
"""On IsolationVerified: not all namespaces were tried yet, or the API server did not answer."""
REPORTED_BY_KUBELET = "ReportedByKubelet"
"""On PidsLimited: the kubelet of every node says so itself, read within the last minutes."""
DECLARED = "Declared"
"""On PidsLimited: of some nodes only a label says so, which the platform team put there; weaker."""
NOT_LIMITED = "NotLimited"
"""On PidsLimited: a node has no limit, or a higher one than the spec asks for."""
KUBELET_UNREAD = "KubeletUnread"
"""On PidsLimited: of some nodes nothing is known; the message says why."""
TERMINATING = "Terminating"
"""The SecureTenant is being deleted, and its namespaces as its deletionPolicy says. On
NamespacesReady: namespaces that left the spec are being deleted; the message names them."""
NAMESPACE_STUCK = "NamespaceStuck"
"""A namespace has been terminating for more than ten minutes; the message names what keeps it."""
TEARDOWN_DELAYED = "TeardownDelayed"
"""As many tenants lost namespaces within an hour as TenancySettings allow; what this tenant is to
lose waits."""
