"""What to change where a rule refuses something: in the manifest, or by somebody else.

Keyed by what :mod:`securetenant.checks.standing` says of an object, whose words these are.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from securetenant.api import kinds
from securetenant.api.tenantpolicy import PolicySpec

NOBODY = "nobody: it protects others"
Allowed = Callable[[PolicySpec], str]


class Advice(NamedTuple):
    """What to do about one violation."""

    field: str
    """Where in the manifest it is."""
    allowed: str
    """What this namespace allows."""
    change: str
    """What to write instead."""
    word: str
    """Whose word changes the rule, and where it is written."""


class _Entry(NamedTuple):
    kinds: tuple[str, ...]
    begins: str
    field: str
    allowed: Allowed | str
    change: str
    word: str = NOBODY


def _listed(values: Iterable[str]) -> str:
    return ", ".join(values) or "none"


_POD = (kinds.POD.name,)
_SERVICE = (kinds.SERVICE.name,)
_INGRESS = (kinds.INGRESS.name,)
_CLAIM = (kinds.CLAIM.name,)
_NETWORK = (kinds.NETWORK_POLICY.name,)
_BINDING = (kinds.ROLE_BINDING.name,)
_ROUTE = (kinds.HTTP_ROUTE.name, kinds.GRPC_ROUTE.name, kinds.TLS_ROUTE.name)
_ANY = (*_POD, *_SERVICE, *_INGRESS, *_CLAIM, *_NETWORK, *_BINDING, *_ROUTE)
_WORKLOADS = "platform team, spec.workloads.{} of the SecureTenant"
_EXCEPTION = (
    "platform team, spec.podSecurity (level: baseline, with its exceptionReason) of the"
    " SecureTenant"
)
_CONTEXT = "securityContext of each container"


def _workloads(field: str) -> str:
    return _WORKLOADS.format(field)


_ENTRIES = (
    # --- pods -------------------------------------------------------------------------------
    _Entry(_POD, "nodeName", "spec.nodeName", "none", "Remove it: the scheduler chooses the node"),
    _Entry(
        _POD,
        "nodeSelector",
        "spec.nodeSelector",
        lambda policy: _listed(f"{k}={v}" for k, v in policy.nodes.selector.items()),
        "Write what is allowed, or leave it out",
        "platform team, spec.nodes of the SecureTenant",
    ),
    _Entry(
        _POD,
        "tolerations",
        "spec.tolerations",
        lambda policy: _listed(("conditions of nodes", *policy.workloads.tolerations)),
        "Remove those of other taints",
        _workloads("tolerations"),
    ),
    _Entry(_POD, "schedulerName", "spec.schedulerName", "default-scheduler", "Remove it"),
    _Entry(
        _POD,
        "priorityClassName",
        "spec.priorityClassName",
        lambda policy: _listed(policy.workloads.priority_classes),
        "Remove it, or name one that is allowed",
        _workloads("priorityClasses"),
    ),
    _Entry(
        _POD,
        "runtimeClassName",
        "spec.runtimeClassName",
        lambda policy: _listed(policy.workloads.runtime_classes),
        "Remove it, or name one that is allowed",
        _workloads("runtimeClasses"),
    ),
    _Entry(
        _POD,
        "affinity",
        "spec.affinity",
        "terms within the own namespace",
        "Remove namespaces and namespaceSelector from the terms",
    ),
    _Entry(
        _POD,
        "terminationGracePeriodSeconds",
        "spec.terminationGracePeriodSeconds",
        "3600",
        "Write 3600 or less",
    ),
    _Entry(
        _POD,
        "volume ",
        "spec.volumes",
        lambda policy: (
            "configMap, csi, downwardAPI, emptyDir, ephemeral, image, persistentVolumeClaim,"
            f" projected, secret; CSI drivers: {_listed(policy.workloads.csi_drivers)}"
        ),
        "Use a PersistentVolumeClaim",
        _workloads("csiDrivers"),
    ),
    _Entry(
        _POD,
        "root group",
        "securityContext",
        "groups other than 0",
        "Write another runAsGroup, fsGroup and supplementalGroups than 0",
    ),
    _Entry(_POD, "seLinuxOptions.level", "securityContext.seLinuxOptions", "none", "Remove level"),
    _Entry(_POD, "seLinuxOptions", "securityContext.seLinuxOptions", "none", "Remove it"),
    _Entry(
        _POD,
        "gmsaCredentialSpec",
        "securityContext.windowsOptions",
        "none",
        "Remove gmsaCredentialSpec",
    ),
    _Entry(
        _POD,
        "mountPropagation",
        "volumeMounts of a container",
        "None",
        "Remove mountPropagation",
    ),
    _Entry(
        _POD,
        "readOnlyRootFilesystem",
        _CONTEXT,
        "readOnlyRootFilesystem: true",
        "Write readOnlyRootFilesystem: true, and mount an emptyDir where the program writes",
        _workloads("rootFilesystem"),
    ),
    _Entry(
        _POD,
        "hostUsers",
        "spec.hostUsers",
        "false",
        "Write hostUsers: false",
        _workloads("userNamespaces"),
    ),
    _Entry(
        _POD,
        "root behind hostUsers",
        "securityContext",
        "users other than 0, with hostUsers: false too",
        "Write runAsNonRoot: true and a runAsUser",
        _EXCEPTION,
    ),
    _Entry(
        _POD,
        "automount",
        "spec.automountServiceAccountToken",
        "false",
        "Remove it. A program that asks the API server mounts a projected volume of its own",
        _workloads("serviceAccountTokens"),
    ),
    _Entry(_POD, "podCertificate", "spec.volumes (projected)", "none", "Remove podCertificate"),
    _Entry(
        _POD,
        "audience",
        "spec.volumes (projected serviceAccountToken)",
        lambda policy: _listed(("the API server", *policy.tokens.audiences)),
        "Remove audience, or name one that is allowed",
        _workloads("serviceAccountTokens"),
    ),
    _Entry(
        _POD,
        "expirationSeconds",
        "spec.volumes (projected serviceAccountToken)",
        lambda policy: f"{policy.tokens.max_seconds} at most",
        "Write fewer expirationSeconds",
        _workloads("serviceAccountTokens"),
    ),
    _Entry(
        _POD,
        "hostNetwork",
        "spec.hostNetwork",
        "false",
        "Remove it; a Service or an Ingress reaches the pod",
    ),
    _Entry(_POD, "hostPID", "spec.hostPID", "false", "Remove it"),
    _Entry(_POD, "hostIPC", "spec.hostIPC", "false", "Remove it"),
    _Entry(
        _POD,
        "type of volume",
        "spec.volumes",
        "types of volumes that reach nothing of the node",
        "Use a PersistentVolumeClaim",
    ),
    _Entry(_POD, "hostPath", "spec.volumes", "no hostPath", "Use a PersistentVolumeClaim"),
    _Entry(_POD, "hostPort", "ports of a container", "no hostPort", "Use a Service"),
    _Entry(
        _POD,
        "host of a probe",
        "probes and lifecycle hooks",
        "no host",
        "Remove host: the pod itself is asked",
    ),
    _Entry(_POD, "hostProcess", "securityContext.windowsOptions", "false", "Remove hostProcess"),
    _Entry(_POD, "privileged", _CONTEXT, "privileged: false", "Remove privileged"),
    _Entry(
        _POD,
        "capability",
        _CONTEXT,
        lambda policy: (
            "add: NET_BIND_SERVICE"
            if policy.pod_security.level == "restricted"
            else "add: those of the level baseline"
        ),
        "Remove it from capabilities.add",
        _EXCEPTION,
    ),
    _Entry(
        _POD,
        "capabilities.drop",
        _CONTEXT,
        "drop: [ALL]",
        "Write capabilities: {drop: [ALL]}",
        _EXCEPTION,
    ),
    _Entry(
        _POD,
        "runAsNonRoot",
        "securityContext",
        "runAsNonRoot: true",
        "Write runAsNonRoot: true; an image that runs as root also needs a runAsUser",
        _EXCEPTION,
    ),
    _Entry(
        _POD,
        "runAsUser",
        "securityContext",
        "users other than 0",
        "Write another runAsUser than 0",
        _EXCEPTION,
    ),
    _Entry(
        _POD,
        "allowPrivilegeEscalation",
        _CONTEXT,
        "allowPrivilegeEscalation: false",
        "Write allowPrivilegeEscalation: false",
        _EXCEPTION,
    ),
    _Entry(
        _POD,
        "seccompProfile",
        "securityContext.seccompProfile",
        "type: RuntimeDefault",
        "Write seccompProfile: {type: RuntimeDefault}",
    ),
    _Entry(
        _POD,
        "appArmorProfile",
        "securityContext.appArmorProfile",
        "type: RuntimeDefault",
        "Remove it",
    ),
    _Entry(_POD, "AppArmor profile", "metadata.annotations", "none", "Remove the annotation"),
    _Entry(_POD, "procMount", _CONTEXT, "procMount: Default", "Remove procMount"),
    _Entry(_POD, "sysctl", "securityContext.sysctls", "those of the level", "Remove it"),
    # --- Services ---------------------------------------------------------------------------
    _Entry(
        _SERVICE,
        "type",
        "spec.type",
        lambda policy: _listed(policy.workloads.service_types),
        "Write one that is allowed; an Ingress serves people outside",
        _workloads("serviceTypes"),
    ),
    _Entry(_SERVICE, "externalIPs", "spec.externalIPs", "none", "Remove it"),
    _Entry(_SERVICE, "loadBalancerIP", "spec.loadBalancerIP", "none", "Remove it"),
    _Entry(
        _SERVICE,
        "selector",
        "spec.selector",
        "a selector of pods",
        "Write spec.selector; traffic to addresses is opened by spec.network.egress",
    ),
    # --- Ingresses --------------------------------------------------------------------------
    _Entry(
        _INGRESS,
        "host",
        "spec.rules[].host and spec.tls[].hosts",
        lambda policy: _listed(policy.workloads.hostnames),
        "Write a host that is allowed in each",
        _workloads("hostnames"),
    ),
    _Entry(
        _INGRESS,
        "defaultBackend",
        "spec.defaultBackend",
        "none: it would serve every host",
        "Write a rule with a host instead",
    ),
    _Entry(
        _INGRESS,
        "ingressClassName",
        "spec.ingressClassName",
        lambda policy: _listed(policy.workloads.ingress_classes),
        "Write one that is allowed",
        _workloads("ingressClasses"),
    ),
    _Entry(
        _INGRESS,
        "value of",
        "metadata.annotations",
        "plain values",
        "Write no quotes, braces, semicolons, backslashes or line ends in the value",
    ),
    _Entry(
        _INGRESS,
        "pattern",
        "spec.rules[].http.paths[].path",
        "plain regular expressions",
        "Close every ( and [, and write at most four * and +",
    ),
    _Entry(
        _INGRESS,
        "path",
        "spec.rules[].http.paths[].path",
        "paths without spaces, quotes, braces, semicolons, backslashes and two dots",
        "Write such a path",
    ),
    _Entry(_INGRESS, "resource", "spec.rules[].http.paths[].backend", "Services", "Name a Service"),
    # --- claims -----------------------------------------------------------------------------
    _Entry(
        _CLAIM,
        "storageClassName",
        "spec.storageClassName",
        lambda policy: _listed(policy.workloads.storage_classes),
        "Write one that is allowed",
        _workloads("storageClasses"),
    ),
    _Entry(_CLAIM, "volumeName", "spec.volumeName", "none", "Remove it, or ask for a claimRef"),
    _Entry(_CLAIM, "selector", "spec.selector", "none", "Remove it"),
    _Entry(
        _CLAIM,
        "dataSource",
        "spec.dataSource and dataSourceRef",
        "claims and snapshots of the own namespace",
        "Name one of the own namespace",
    ),
    # --- network ----------------------------------------------------------------------------
    _Entry(
        _NETWORK,
        "everybody",
        "spec.ingress[].from and spec.egress[].to",
        "rules with peers within the tenant",
        "Name peers within the tenant",
        "platform team, spec.network.ingress and egress of the SecureTenant",
    ),
    _Entry(
        _NETWORK,
        "ipBlock",
        "spec.ingress[].from and spec.egress[].to",
        "peers within the tenant",
        "Remove the ipBlock",
        "platform team, spec.network.ingress and egress of the SecureTenant",
    ),
    _Entry(
        _NETWORK,
        "namespaceSelector",
        "spec.ingress[].from and spec.egress[].to",
        lambda policy: f"securetenant.io/tenant: {policy.tenant}, or a name of the own namespaces",
        "Select the tenant's own namespaces",
        "platform team, spec.network.peers, ingress and egress of the SecureTenant",
    ),
    # --- access -----------------------------------------------------------------------------
    _Entry(
        _BINDING,
        "ClusterRole",
        "roleRef",
        lambda policy: f"own Roles, and {_listed(policy.access.cluster_roles)}",
        "Name one that is allowed",
        "platform team: they may add rights to these roles (docs/controls/access.md)",
    ),
    _Entry(
        _BINDING,
        "",
        "subjects",
        lambda policy: f"ServiceAccounts of {_listed(policy.access.service_account_namespaces)}",
        "Name ServiceAccounts only",
        "platform team, spec.access of the SecureTenant: people are granted access there",
    ),
    # --- routes -----------------------------------------------------------------------------
    _Entry(
        _ROUTE,
        "hostname",
        "spec.hostnames",
        lambda policy: _listed(policy.workloads.hostnames),
        "Write hostnames that are allowed",
        _workloads("hostnames"),
    ),
    _Entry(
        _ROUTE,
        "parent",
        "spec.parentRefs",
        lambda policy: _listed(policy.workloads.gateways),
        "Name a Gateway that is allowed",
        _workloads("gateways"),
    ),
    _Entry(
        _ROUTE,
        "backend",
        "backendRefs",
        "Services of the own namespace",
        "Name a Service of the own namespace",
    ),
    _Entry(_ROUTE, "filter", "filters", "filters of the Gateway API", "Remove extensionRef"),
    _Entry(_ROUTE, "pattern", "matches", "plain regular expressions", "Write a simpler pattern"),
    # --- all --------------------------------------------------------------------------------
    _Entry(
        _ANY,
        "annotation",
        "metadata.annotations",
        lambda policy: _listed(("harmless ones", *policy.workloads.annotations)),
        "Remove the annotation",
        _workloads("annotations"),
    ),
)


def about(kind: str, what: str, policy: PolicySpec) -> Advice:
    """Return what to do about what an object violates."""
    if kind == kinds.POD.name and what.startswith("image "):
        return _image(what, policy)
    # The longest beginning says the most.
    found = max(
        (each for each in _ENTRIES if kind in each.kinds and what.startswith(each.begins)),
        key=lambda each: len(each.begins),
        default=None,
    )
    if found is None:
        return Advice(
            "resources of a container" if kind == kinds.POD.name else "the manifest",
            "what the quota of this namespace counts" if kind == kinds.POD.name else "less",
            "Remove it",
            "platform team, spec.quota of the SecureTenant"
            if kind == kinds.POD.name
            else "platform team",
        )
    allowed = found.allowed if isinstance(found.allowed, str) else found.allowed(policy)
    return Advice(found.field, allowed, found.change, found.word)


def _image(what: str, policy: PolicySpec) -> Advice:
    allowed = policy.workloads
    if what.endswith(" without digest"):
        return Advice(
            "image of a container",
            "images by digest",
            "Write the image as name@sha256:...",
            _workloads("images"),
        )
    if what.endswith(" from the cache"):
        return Advice(
            "imagePullPolicy of a container",
            "Always",
            "Write imagePullPolicy: Always",
            _workloads("imagePullPolicy"),
        )
    return Advice(
        "image of a container",
        f"names in full that begin with {_listed(allowed.registries)}",
        "Push the image to such a registry, and name it in full",
        _workloads("registries"),
    )
