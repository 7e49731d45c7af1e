"""Which pods a namespace refuses, and why: the rules of the policies, said once more in Python.

Source of the rules: the comments in ``manifests/policies``; Kubernetes' own documentation of each
field. A pod is judged as it is after all mutation.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from securetenant.api.tenantpolicy import PolicySpec

Body = Mapping[str, Any]

LONGEST_GRACE_SECONDS = 3600
_NODE_CONDITIONS = frozenset(
    f"node.kubernetes.io/{each}"
    for each in (
        "disk-pressure",
        "memory-pressure",
        "network-unavailable",
        "not-ready",
        "pid-pressure",
        "unreachable",
    )
)
"""What Kubernetes itself tolerates for pods, and for those of DaemonSets."""
_COMPUTE = frozenset({"cpu", "memory", "ephemeral-storage"})
_PLAIN_VOLUMES = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)
_REFUSED_FIELDS = frozenset(
    {
        "evictionInterceptors",
        "evictionResponders",
        "resourceClaims",
        "schedulingGroup",
        "workloadRef",
    }
)
_AUTOMOUNTED = "kube-api-access-"
_AUTOMOUNTED_SECONDS = 3607
"""What the API server itself asks for (plugin/pkg/admission/serviceaccount)."""

_HOST = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?(:[0-9]+)?")
_COMPONENT = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*")
_TAG = re.compile(r"[A-Za-z0-9_][-A-Za-z0-9_.]*")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")


def misplaced(spec: Body, policy: PolicySpec) -> Iterator[str]:
    """Yield how a new pod chooses its place beyond what is allowed."""
    allowed = policy.workloads
    if spec.get("nodeName"):
        yield "nodeName"
    for each in spec.get("tolerations") or ():
        if each.get("key", "") not in _NODE_CONDITIONS and not _is_listed(
            each, allowed.tolerations
        ):
            yield "tolerations"
    if spec.get("schedulerName", "default-scheduler") != "default-scheduler":
        yield "schedulerName"
    if spec.get("priorityClassName") and (
        spec["priorityClassName"] not in allowed.priority_classes
    ):
        yield "priorityClassName"
    if spec.get("runtimeClassName") and spec["runtimeClassName"] not in allowed.runtime_classes:
        yield "runtimeClassName"
    if any(
        term.get("namespaces") or term.get("namespaceSelector") is not None
        for term in _terms(spec.get("affinity") or {})
    ):
        yield "affinity"
    if (spec.get("terminationGracePeriodSeconds") or 0) > LONGEST_GRACE_SECONDS:
        yield "terminationGracePeriodSeconds"
    yield from sorted(_REFUSED_FIELDS & spec.keys())
    for each in (spec, *spec["containers"], *(spec.get("initContainers") or ())):
        resources = each.get("resources") or {}
        for part in ("limits", "requests"):
            yield from (
                name
                for name in sorted((resources.get(part) or {}).keys() - _COMPUTE)
                if f"requests.{name}" not in policy.quota
            )


def soft(spec: Body, policy: PolicySpec) -> Iterator[str]:
    """Yield which hardening a new pod lacks, in addition to what Pod Security asks for."""
    pod = spec.get("securityContext") or {}
    containers = [*spec["containers"], *(spec.get("initContainers") or ())]
    contexts = [each.get("securityContext") or {} for each in containers]
    groups = [
        pod.get("runAsGroup"),
        pod.get("fsGroup"),
        *(pod.get("supplementalGroups") or ()),
        *(each.get("runAsGroup") for each in contexts),
    ]
    if 0 in [each for each in groups if each is not None]:
        yield "root group"
    for each in (pod, *contexts):
        for field in ("seccompProfile", "appArmorProfile"):
            if (each.get(field) or {}).get("type") == "Localhost":
                yield field
        if (each.get("seLinuxOptions") or {}).get("level"):
            yield "seLinuxOptions.level"
        if {"gmsaCredentialSpec", "gmsaCredentialSpecName"} & (
            each.get("windowsOptions") or {}
        ).keys():
            yield "gmsaCredentialSpec"
    for container in containers:
        for mount in container.get("volumeMounts") or ():
            if mount.get("mountPropagation", "None") != "None":
                yield "mountPropagation"
    if policy.workloads.root_filesystem == "ReadOnly" and not all(
        each.get("readOnlyRootFilesystem") is True for each in contexts
    ):
        yield "readOnlyRootFilesystem"
    own_users = spec.get("hostUsers") is False
    if policy.workloads.user_namespaces == "Required" and not own_users:
        yield "hostUsers"
    if policy.pod_security.level == "restricted" and own_users:
        for each in contexts:
            if {**pod, **each}.get("runAsUser") == 0 or not {**pod, **each}.get("runAsNonRoot"):
                yield "root behind hostUsers"


def is_reference(image: str) -> bool:
    """Tell whether an image is named in full: host, path, and at most a tag and a digest.

    Source: the grammar of distribution/reference; a short name is none, since what it stands for
    is the runtime's choice.
    """
    name, at, digest = image.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        return False
    host, _, path = name.partition("/")
    *components, last = path.split("/")
    last, colon, tag = last.partition(":")
    return (
        _HOST.fullmatch(host) is not None
        and all(_COMPONENT.fullmatch(each) for each in (*components, last))
        and (not colon or _TAG.fullmatch(tag) is not None)
    )


def foreign_images(spec: Body, policy: PolicySpec) -> Iterator[str]:
    """Yield the images of a new pod that may not be run."""
    allowed = policy.workloads
    for image, pull in _images(spec):
        if "*" not in allowed.registries and not (
            is_reference(image) and image.startswith(allowed.registries)
        ):
            yield f"{image} from elsewhere"
        if allowed.images == "Digest" and not _DIGEST.fullmatch(image.rpartition("@")[2]):
            yield f"{image} without digest"
        if allowed.image_pull_policy == "Always" and pull != "Always":
            yield f"{image} from the cache"


def token_wishes(spec: Body, policy: PolicySpec) -> Iterator[str]:
    """Yield the tokens and certificates that a new pod may not have."""
    tokens = policy.tokens
    volumes = spec.get("volumes") or ()
    if tokens.automount == "Deny" and (
        spec.get("automountServiceAccountToken")
        or any(each["name"].startswith(_AUTOMOUNTED) for each in volumes)
    ):
        yield "automount"
    for volume in volumes:
        for source in (volume.get("projected") or {}).get("sources") or ():
            if "podCertificate" in source:
                yield "podCertificate"
            token = source.get("serviceAccountToken")
            if token is None:
                continue
            if token.get("audience") and token["audience"] not in tokens.audiences:
                yield "audience"
            seconds = token.get("expirationSeconds", 0)
            ours = volume["name"].startswith(_AUTOMOUNTED) and seconds == _AUTOMOUNTED_SECONDS
            if seconds > tokens.max_seconds and not ours:
                yield "expirationSeconds"


def far_volumes(spec: Body, policy: PolicySpec) -> Iterator[str]:
    """Yield the volumes by which a new pod reaches beyond itself."""
    for volume in spec.get("volumes") or ():
        types = volume.keys() - {"name"}
        if not types & _PLAIN_VOLUMES:
            yield volume["name"]
        driver = (volume.get("csi") or {}).get("driver")
        if driver is not None and driver not in policy.workloads.csi_drivers:
            yield driver


def _is_listed(toleration: Body, taints: Collection[str]) -> bool:
    key, effect = toleration.get("key", ""), toleration.get("effect", "")
    spellings = [key]
    if toleration.get("operator", "Equal") == "Equal":
        spellings.append(f"{key}={toleration.get('value', '')}")
    return any(each in taints or f"{each}:{effect}" in taints for each in spellings)


def _terms(affinity: Body) -> Iterator[Body]:
    for field in ("podAffinity", "podAntiAffinity"):
        found = affinity.get(field) or {}
        yield from found.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
        for weighted in found.get("preferredDuringSchedulingIgnoredDuringExecution") or ():
            yield weighted["podAffinityTerm"]


def _images(spec: Body) -> Iterator[tuple[str, str]]:
    for each in (*spec["containers"], *(spec.get("initContainers") or ())):
        yield each["image"], each.get("imagePullPolicy", "Always")
    for volume in spec.get("volumes") or ():
        if "image" in volume:
            image = volume["image"]
            yield image.get("reference", ""), image.get("pullPolicy", "Always")
