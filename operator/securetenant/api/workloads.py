"""Workloads: what a tenant's pods, Services, Ingresses and volumes may ask for.

The same fields stand in SecureTenant and, as what a tenant gets that leaves them out, in
TenancySettings. Where both leave one out, the default below holds: the safe one, as long as
ordinary applications run with it.
"""

import re
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

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
_REGISTRY = _HOST + r"/([a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*/)*"
_HOSTNAME = r"(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+"
_NAME = r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?"
_SYSTEM = "system-"

_ANNOTATION = r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[-A-Za-z0-9_.]*\*?"

HARMLESS_ANNOTATIONS = (
    "app.kubernetes.io/*",
    "argocd.argoproj.io/*",
    "cert-manager.io/cluster-issuer",
    "cert-manager.io/issuer",
    "checksum/*",
    "helm.sh/*",
    "kubectl.kubernetes.io/*",
    "kubernetes.io/tls-acme",
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
    "prometheus.io/*",
    "reloader.stakater.com/*",
    "service.kubernetes.io/topology-mode",
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


def _each(field: str, pattern: str, message: str) -> Rule:
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


class ServiceAccountTokens(Model):
    """Tokens of the tenant's ServiceAccounts."""

    audiences: (
        Annotated[
            tuple[Annotated[str, Field(min_length=1, max_length=255)], ...],
            Field(max_length=32, json_schema_extra=listed("set")),
        ]
        | None
    ) = None
    """Audiences, beside the API server itself, that a pod may ask a token for; none by default."""
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
    """Tag (the default): an image may be named by a tag. Digest: by its digest alone."""
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
    storage_classes: Names | None = None
    """StorageClasses that claims may name. Absent in TenancySettings too: any."""
    ingress_classes: Names | None = None
    """IngressClasses that Ingresses may name; none by default."""
    csi_drivers: Names | None = None
    """CSI drivers that pods may use without a claim (inline volumes); none by default."""
    annotations: (
        Annotated[
            tuple[Annotated[str, Field(min_length=3, max_length=317)], ...],
            Field(max_length=64, json_schema_extra=listed("set")),
        ]
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
    """Ends of the host names that Ingresses and routes may serve, each with a dot at its
    beginning, like .acme.example; none by default."""
    service_types: (
        Annotated[tuple[ServiceType, ...], Field(max_length=3, json_schema_extra=listed("set"))]
        | None
    ) = None
    """Types of Services: ClusterIP alone by default."""
    service_account_tokens: ServiceAccountTokens | None = None
    """Tokens of the tenant's ServiceAccounts."""

    rules = (
        _each(
            "registries",
            _REGISTRY,
            "a registry is the beginning of image names with its host and a slash at the end, in"
            " lower case, like registry.acme.example/ or docker.io/library/",
        ),
        _each(
            "hostnames",
            _HOSTNAME,
            "a host name's end begins with a dot, in lower case, like .acme.example: without it"
            " evil-acme.example would be yours too",
        ),
        _each(
            "annotations",
            _ANNOTATION,
            "an annotation is a key with its prefix, or a beginning and an asterisk, like"
            " nginx.ingress.kubernetes.io/auth-*",
        ),
        *(
            _each(
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
    storage_classes: tuple[str, ...]
    ingress_classes: tuple[str, ...]
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
    storage_classes=ANY,
    ingress_classes=(),
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
                found[field] = tuple(sorted(value)) if isinstance(value, tuple) else value
    return Effective(**found)
