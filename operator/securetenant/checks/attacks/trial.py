"""Objects that a namespace has to admit: without them no refusal of others proves anything."""

from typing import Any

from securetenant.api import kinds, names
from securetenant.api.kinds import Kind
from securetenant.api.objects import Body
from securetenant.api.tenantpolicy import PolicySpec

_ANY = "*"
_DIGEST = "@sha256:" + "0" * 64
PREFIX = "isolation-trial-"
"""Names of objects that are tried; none of them comes into being."""


def body(kind: Kind, spec: Body, *, metadata: Body | None = None, **fields: Any) -> dict[str, Any]:
    """Return an object of a kind; it has a name of its own unless ``metadata`` says otherwise."""
    return {
        "apiVersion": kind.api_version,
        "kind": kind.name,
        "metadata": {"generateName": PREFIX, **(metadata or {})},
        **({"spec": dict(spec)} if spec else {}),
        **fields,
    }


def context() -> dict[str, Any]:
    """Return a security context that every namespace admits."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "runAsUser": 10_001,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def image(policy: PolicySpec) -> str:
    """Return the name of an image that may be run; with an empty list there is none."""
    registries = policy.workloads.registries
    return f"{_host(registries)}trial{_DIGEST}"


def _host(registries: tuple[str, ...]) -> str:
    return f"{names.GROUP}/" if _ANY in registries or not registries else registries[0]


def container(policy: PolicySpec, **fields: Any) -> dict[str, Any]:
    """Return a container that every namespace with this TenantPolicy admits."""
    limits = policy.container_limits
    return {
        "name": "trial",
        "image": image(policy),
        "imagePullPolicy": "Always",
        "resources": {"limits": dict(limits.default), "requests": dict(limits.default_request)},
        "securityContext": context(),
        **fields,
    }


def pod_spec(policy: PolicySpec) -> dict[str, Any]:
    """Return the spec of a pod that is admitted where the namespace admits any."""
    spec: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "containers": [container(policy)],
    }
    if policy.nodes.selector:
        spec["nodeSelector"] = dict(policy.nodes.selector)
    if policy.workloads.user_namespaces == "Required":
        spec["hostUsers"] = False
    return spec


def pod(policy: PolicySpec) -> dict[str, Any]:
    """Return the trial pod."""
    return body(kinds.POD, pod_spec(policy))
