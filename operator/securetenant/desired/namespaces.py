"""The namespace itself: who it belongs to, and which pods it accepts."""

from securetenant.api import kinds, lockdown, names, objects
from securetenant.api.objects import Manifest
from securetenant.desired.scope import Scope

_POD_SECURITY = tuple(
    (f"{names.POD_SECURITY_PREFIX}{mode}", f"{names.POD_SECURITY_PREFIX}{mode}-version")
    for mode in ("enforce", "audit", "warn")
)
"""The keys of the six labels, made once: they are in every namespace."""


def build(scope: Scope) -> Manifest:
    """Return the Namespace with our labels and those of the spec, not yet ready."""
    labels = {**(scope.namespace.labels or {}), **_ours(scope)}
    return objects.manifest(
        kinds.NAMESPACE,
        name=scope.namespace.name,
        labels=labels,
        annotations=scope.namespace.annotations,
    )


def build_ready(scope: Scope, policy_uid: str) -> Manifest:
    """Return the Namespace as it is when everything in it is in place.

    ``policy_uid`` is the uid of its TenantPolicy: the gate admits workloads only where the
    two are the same.
    """
    manifest = build(scope)
    manifest.body["metadata"]["labels"][names.READY_FOR_LABEL] = policy_uid
    return manifest


def build_initial(scope: Scope) -> Manifest:
    """Return the Namespace as it is created: only the labels that stay for good.

    Creation is a plain create, which can never take a namespace that exists. The fields of a
    create are not dropped by a later apply, so labels that the spec may drop again come with
    the first apply.
    """
    labels = _ours(scope)
    labels.pop(names.LOCKDOWN_LABEL, None)
    labels.pop(names.ENFORCEMENT_LABEL)
    return objects.manifest(kinds.NAMESPACE, name=scope.namespace.name, labels=labels)


def _ours(scope: Scope) -> dict[str, str]:
    locked = {} if scope.lockdown == lockdown.NONE else {names.LOCKDOWN_LABEL: str(scope.lockdown)}
    return {
        **scope.labels,
        names.STATE_LABEL: names.ACTIVE,
        names.ENFORCEMENT_LABEL: scope.enforcement,
        **locked,
        **_pod_security(scope),
    }


def _pod_security(scope: Scope) -> dict[str, str]:
    """Return all six labels: audit and warn give people the reason before a pod fails.

    What restricted asks for beyond baseline is set in pods that leave it out, so to warn of it with
    every workload would be wrong, but in Audit mode, where nothing is set.

    Source: Kubernetes documentation, "Pod Security Admission".
    """
    level = scope.pod_security_level
    warned = level if scope.enforcement == "Audit" else "baseline"
    return {
        key: value
        for (mode, version), each in zip(_POD_SECURITY, (level, level, warned), strict=True)
        for key, value in ((mode, each), (version, scope.pod_security_version))
    }
