"""Workloads: what a tenant's pods, Services, Ingresses and volumes may ask for.

The same fields are in SecureTenant and, as what a tenant gets that leaves them out, in
TenancySettings. Where both leave one out, the default below holds: the safe one, as long as
ordinary applications run with it.
"""

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, Field

from securetenant.api import names
from securetenant.api.rules import Model, Rule, listed, snake

Enforcement = Literal["Enforce", "Audit"]
Images = Literal["Tag", "Digest"]
ImagePullPolicy = Literal["Always", "Any"]
RootFilesystem = Literal["ReadOnly", "Any"]
UserNamespaces = Literal["Required", "Any"]
ServiceType = Literal["ClusterIP", "NodePort", "LoadBalancer"]
Automount = Literal["Allow", "Deny"]

ANY = ("*",)
"""In TenantPolicy: everything is allowed. No spec can say it; an absent field can mean it."""
DEFAULT_TOKEN_SECONDS = 86_400

_HOST = r"(localhost|[a-z0-9][-a-z0-9]*(\.[-a-z0-9]+)+|[a-z0-9][-.a-z0-9]*:[0-9]+)"
"""With a dot or a port, as image references tell a host from a path (distribution/reference)."""
REGISTRY = _HOST + r"/([a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*/)*"
_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
REGISTRY_MESSAGE = (
    "a registry is the beginning of image names with its host and a slash at the end, in lower"
    " case, like registry.acme.example/ or docker.io/library/"
)
_HOSTNAME = rf"({_LABEL})?(\.{_LABEL})+"
_NAME = r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?"
_SYSTEM = "system-"
_TAINT = r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?"
_TAINT_VALUE = r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?"
_CLUSTER_TAINTS = (
    "node-role.kubernetes.io/",
    "node.cloudprovider.kubernetes.io/",
    "node.kubernetes.io/",
    f"{names.GROUP}/",
)

ANNOTATION = r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[-A-Za-z0-9_.]*\*?"


def _check_annotation(text: str) -> str:
    if text.startswith(f"{names.GROUP}/"):
        raise ValueError(f"annotations under {names.GROUP} are the operator's own: leave it out")
    return text


AnnotationKey = Annotated[
    str, AfterValidator(_check_annotation), Field(min_length=3, max_length=317)
]
"""A key with its prefix, or a beginning and an asterisk."""

HARMLESS_ANNOTATIONS = (
    "app.kubernetes.io/*",
    "argocd.argoproj.io/*",
    "backstage.io/*",
    "cert-manager.io/cluster-issuer",
    "cert-manager.io/issuer",
    "checksum/*",
    "cnpg.io/*",
    "config.k8s.io/*",
    "config.kubernetes.io/*",
    "helm.sh/*",
    "helm.toolkit.fluxcd.io/*",
    "internal.config.kubernetes.io/*",
    "kapp.k14s.io/*",
    "kubectl.kubernetes.io/*",
    "kubernetes.io/change-cause",
    "kubernetes.io/description",
    "kubernetes.io/tls-acme",
    "kustomize.config.k8s.io/*",
    "kustomize.toolkit.fluxcd.io/*",
    "meta.helm.sh/*",
    "nginx.ingress.kubernetes.io/affinity",
    "nginx.ingress.kubernetes.io/affinity-mode",
    "nginx.ingress.kubernetes.io/backend-protocol",
    "nginx.ingress.kubernetes.io/client-body-buffer-size",
    "nginx.ingress.kubernetes.io/cors-*",
    "nginx.ingress.kubernetes.io/enable-cors",
    "nginx.ingress.kubernetes.io/force-ssl-redirect",
    "nginx.ingress.kubernetes.io/limit-connections",
    "nginx.ingress.kubernetes.io/limit-rps",
    "nginx.ingress.kubernetes.io/proxy-body-size",
    "nginx.ingress.kubernetes.io/proxy-buffer-size",
    "nginx.ingress.kubernetes.io/proxy-buffering",
    "nginx.ingress.kubernetes.io/proxy-buffers-number",
    "nginx.ingress.kubernetes.io/proxy-connect-timeout",
    "nginx.ingress.kubernetes.io/proxy-http-version",
    "nginx.ingress.kubernetes.io/proxy-read-timeout",
    "nginx.ingress.kubernetes.io/proxy-send-timeout",
    "nginx.ingress.kubernetes.io/rewrite-target",
    "nginx.ingress.kubernetes.io/session-cookie-*",
    "nginx.ingress.kubernetes.io/ssl-redirect",
    "nginx.ingress.kubernetes.io/use-regex",
    "nginx.ingress.kubernetes.io/whitelist-source-range",
    "objectset.rio.cattle.io/*",
    "prometheus.io/*",
    "pulumi.com/*",
    "reloader.stakater.com/*",
    "service.kubernetes.io/topology-mode",
    "strimzi.io/*",
)
"""What Services and Ingresses may carry everywhere: tools that describe, and settings of the most
used controller that stay within the tenant's own hosts. Keys without a prefix are nobody's.
The policies hold the same list: in each TenantPolicy it would be read with each pod."""

Name = Annotated[str, Field(min_length=1, max_length=253)]
Names = Annotated[tuple[Name, ...], Field(max_length=64, json_schema_extra=listed("set"))]
Prefixes = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=255)], ...],
    Field(max_length=64, json_schema_extra=listed("set")),
]


def each(field: str, pattern: str, message: str) -> Rule:
    """Return the rule that each entry of an optional list of that name matches a pattern."""

    def holds(self: Any) -> bool:
        values = getattr(self, snake(field)) or ()
        return all(re.fullmatch(pattern, each) is not None for each in values)

    return Rule(
        cel=f"!has(self.{field}) || self.{field}.all(e, e.matches('^{pattern}$'))".replace(
            "\\", "\\\\"
        ),
        holds=holds,
        message=message,
        path=f".{field}",
    )


def namespaced_name(message: str) -> Rule:
    """Return the rule that ``namespace`` and ``name`` are names of Kubernetes."""
    return Rule(
        cel=f"self.__namespace__.matches('^{_LABEL}$') && self.name.matches('^{_NAME}$')",
        holds=lambda self: (
            re.fullmatch(_LABEL, self.namespace) is not None
            and re.fullmatch(_NAME, self.name) is not None
        ),
        message=message,
    )


class Gateway(Model):
    """A Gateway of the platform (gateway.networking.k8s.io)."""

    namespace: Annotated[str, Field(min_length=1, max_length=63)]
    """Where it is, for example gateways."""
    name: Annotated[str, Field(min_length=1, max_length=253)]
    """Its name, for example public."""

    rules = (
        namespaced_name(
            "a Gateway is named by its namespace and its name, in lower case, like gateways and"
            " public"
        ),
    )

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Toleration(Model):
    """A taint of nodes that pods may tolerate."""

    key: Annotated[str, Field(min_length=1, max_length=317)]
    """The key of the taint, for example nvidia.com/gpu."""
    value: Annotated[str, Field(max_length=63)] | None = None
    """Its value; absent: any."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Its effect; absent: any."""

    rules = (
        Rule(
            cel=f"self.key.matches('^{_TAINT}$')"
            f" && (!has(self.value) || self.value.matches('^{_TAINT_VALUE}$'))",
            holds=lambda self: (
                re.fullmatch(_TAINT, self.key) is not None
                and (self.value is None or re.fullmatch(_TAINT_VALUE, self.value) is not None)
            ),
            message="a taint is its key, like nvidia.com/gpu, and may have a value of letters,"
            " digits, '-', '_' and '.'",
        ),
        Rule(
            cel=f"!{list(_CLUSTER_TAINTS)}.exists(p, self.key.startsWith(p))",
            holds=lambda self: not self.key.startswith(_CLUSTER_TAINTS),
            message="taints under securetenant.io/ keep tenants apart, and those under"
            " node-role.kubernetes.io/, node.kubernetes.io/ and node.cloudprovider.kubernetes.io/"
            " are the cluster's own; what pods need of them is admitted anyway",
            path=".key",
        ),
    )

    def __str__(self) -> str:
        """Return it as kubectl writes a taint."""
        value = "" if self.value is None else f"={self.value}"
        return f"{self.key}{value}{f':{self.effect}' if self.effect else ''}"


class ServiceAccountTokens(Model):
    """Tokens of the tenant's ServiceAccounts."""

    audiences: (
        Annotated[
            tuple[Annotated[str, Field(min_length=1, max_length=255)], ...],
            Field(max_length=32, json_schema_extra=listed("set")),
        ]
        | None
    ) = None
    """Audiences, in addition to the API server itself, that a pod may ask a token for; none by
    default."""
    max_seconds: (
        Annotated[int, Field(ge=600, le=31_536_000, json_schema_extra={"format": "int32"})] | None
    ) = None
    """The longest that a token may live: 86400, a day, by default."""
    automount: Automount | None = None
    """Deny (the default): ServiceAccounts are set not to mount a token into pods that do not ask,
    and a pod gets one only by a projected volume of its own. Allow: as Kubernetes does."""


class Workloads(Model):
    """What pods, Services, Ingresses and volumes may ask for."""

    registries: Prefixes | None = None
    """Where images come from: beginnings that end with a slash, like registry.acme.example/ or
    docker.io/library/. Absent in TenancySettings too: from anywhere. [] means no image at all."""
    images: Images | None = None
    """Tag (the default): an image may be named by a tag. Digest: only by its digest."""
    image_pull_policy: ImagePullPolicy | None = None
    """Always (the default): what a node has cached of other tenants' images is not given away.
    Any: as the pod says."""
    root_filesystem: RootFilesystem | None = None
    """Any (the default): as the pod says. ReadOnly: set where a container says nothing, and
    refused where it says otherwise."""
    user_namespaces: UserNamespaces | None = None
    """Any (the default): as the pod says. Required: hostUsers is false; nodes must support it."""
    run_as_user: (
        Annotated[int, Field(ge=1, le=2**31 - 1, json_schema_extra={"format": "int32"})] | None
    ) = None
    """The uid, and gid, of pods that name none, so that images made for root start at all. Absent
    in TenancySettings too: the image's own."""
    priority_classes: Names | None = None
    """PriorityClasses that pods may name; none by default. If the cluster has a default
    PriorityClass, list it: the API server writes it into every pod."""
    runtime_classes: Names | None = None
    """RuntimeClasses that pods may name; none by default."""
    tolerations: (
        Annotated[tuple[Toleration, ...], Field(max_length=32, json_schema_extra=listed("atomic"))]
        | None
    ) = None
    """Taints of nodes that pods may tolerate besides a node's own conditions, for example those of
    nodes with GPUs; none by default. Such pods land on these nodes only where they ask for them."""
    storage_classes: Names | None = None
    """StorageClasses that claims may name. Absent in TenancySettings too: any."""
    ingress_classes: Names | None = None
    """IngressClasses that Ingresses may name; none by default."""
    gateways: (
        Annotated[tuple[Gateway, ...], Field(max_length=32, json_schema_extra=listed("atomic"))]
        | None
    ) = None
    """Gateways that routes of the Gateway API may name as parents; none by default. A Gateway also
    has to take them (allowedRoutes)."""
    csi_drivers: Names | None = None
    """CSI drivers that pods may use without a claim (inline volumes); none by default."""
    annotations: (
        Annotated[tuple[AnnotationKey, ...], Field(max_length=64, json_schema_extra=listed("set"))]
        | None
    ) = None
    """Annotations that pods, Services, Ingresses, routes, Secrets, ConfigMaps, claims and
    ServiceAccounts may carry in addition to harmless ones: keys with their prefix, or a
    beginning and an asterisk, like nginx.ingress.kubernetes.io/auth-*. By others a controller
    may take configuration, more names, or objects of other namespaces."""
    hostnames: (
        Annotated[
            tuple[Annotated[str, Field(min_length=2, max_length=253)], ...],
            Field(max_length=64, json_schema_extra=listed("set")),
        ]
        | None
    ) = None
    """Host names that Ingresses and routes may serve: one name, like shop.corp.example, or a dot
    and the end of names, like .acme.example, which means each name below it, wildcards too; none
    by default."""
    service_types: (
        Annotated[tuple[ServiceType, ...], Field(max_length=3, json_schema_extra=listed("set"))]
        | None
    ) = None
    """Types of Services: only ClusterIP by default."""
    service_account_tokens: ServiceAccountTokens | None = None
    """Tokens of the tenant's ServiceAccounts."""

    rules = (
        each(
            "registries",
            REGISTRY,
            REGISTRY_MESSAGE,
        ),
        each(
            "hostnames",
            _HOSTNAME,
            "a host name is in lower case and has a dot: shop.corp.example is that name only,"
            " .acme.example each name below it, *.acme.example too",
        ),
        each(
            "annotations",
            ANNOTATION,
            "an annotation is a key with its prefix, or a beginning and an asterisk, like"
            " nginx.ingress.kubernetes.io/auth-*",
        ),
        *(
            each(
                field,
                _NAME,
                f"an entry of {field} is the name of an object, in lower case, like fast-ssd",
            )
            for field in (
                "priorityClasses",
                "runtimeClasses",
                "storageClasses",
                "ingressClasses",
                "csiDrivers",
            )
        ),
        Rule(
            cel="!has(self.priorityClasses)"
            f" || self.priorityClasses.all(e, !e.startsWith('{_SYSTEM}'))",
            holds=lambda self: (
                not any(each.startswith(_SYSTEM) for each in self.priority_classes or ())
            ),
            message="PriorityClasses that begin with system- are for the cluster itself: their pods"
            " evict everybody else's; name one of your own",
            path=".priorityClasses",
        ),
    )


def serves(hostnames: Iterable[str], host: str) -> bool:
    """Tell whether a host, or a wildcard like ``*.acme.example``, is among host names of a spec."""
    return any(host.endswith(each) if each.startswith(".") else host == each for each in hostnames)


class Effective(NamedTuple):
    """Every field with its default filled in."""

    registries: tuple[str, ...]
    images: Images
    image_pull_policy: ImagePullPolicy
    root_filesystem: RootFilesystem
    user_namespaces: UserNamespaces
    run_as_user: int | None
    priority_classes: tuple[str, ...]
    runtime_classes: tuple[str, ...]
    tolerations: tuple[str, ...]
    storage_classes: tuple[str, ...]
    ingress_classes: tuple[str, ...]
    gateways: tuple[str, ...]
    csi_drivers: tuple[str, ...]
    annotations: tuple[str, ...]
    hostnames: tuple[str, ...]
    service_types: tuple[str, ...]
    audiences: tuple[str, ...]
    max_seconds: int
    automount: Automount


_DEFAULTS = Effective(
    registries=ANY,
    images="Tag",
    image_pull_policy="Always",
    root_filesystem="Any",
    user_namespaces="Any",
    run_as_user=None,
    priority_classes=(),
    runtime_classes=(),
    tolerations=(),
    storage_classes=ANY,
    ingress_classes=(),
    gateways=(),
    csi_drivers=(),
    annotations=(),
    hostnames=(),
    service_types=("ClusterIP",),
    audiences=(),
    max_seconds=DEFAULT_TOKEN_SECONDS,
    automount="Deny",
)


_OF_TOKENS = frozenset({"audiences", "max_seconds", "automount"})


def effective(given: Workloads | None, platform: Workloads | None) -> Effective:
    """Return what holds: each field from the tenant, else from the platform, else the default."""
    found = _DEFAULTS._asdict()
    for source in (platform, given):
        if source is None:
            continue
        for field in found:
            holder = source.service_account_tokens if field in _OF_TOKENS else source
            value = getattr(holder, field, None)
            if value is not None:
                found[field] = tuple(sorted(map(str, value))) if isinstance(value, tuple) else value
    return Effective(**found)
