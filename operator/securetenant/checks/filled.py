"""A pod as it is judged: with what the policies fill in where a manifest says nothing.

The mutating policies pod-defaults and pod-placement, said once more; ``tests`` hold them to the API
server. On Kubernetes 1.34 and 1.35 nothing is filled in.
"""

import copy
from typing import Any

from securetenant.api import names
from securetenant.api.objects import Body
from securetenant.api.tenantpolicy import PolicySpec


def fill(pod: Body, policy: PolicySpec, *, mutates: bool) -> dict[str, Any]:
    """Return a copy of a new pod with what it would get by itself."""
    found: dict[str, Any] = copy.deepcopy(dict(pod))
    metadata = found.setdefault("metadata", {})
    metadata["annotations"] = metadata.get("annotations") or {}
    metadata.setdefault("name", metadata.get("generateName") or "new")
    spec = found.setdefault("spec", {})
    spec["containers"] = spec.get("containers") or []
    for container in _containers(spec):
        container.setdefault("image", "")
        if container.get("imagePullPolicy") is None:
            container["imagePullPolicy"] = _pull_policy(container["image"])
    if mutates:
        _place(spec, policy)
        if policy.enforcement == "Enforce":
            _harden(spec, policy)
    return found


def _containers(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return [*spec["containers"], *(spec.get("initContainers") or ())]


def _pull_policy(image: str) -> str:
    """Return what the API server writes (Kubernetes documentation, "Images")."""
    name, at, _ = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    return "IfNotPresent" if at or tag not in ("", "latest") else "Always"


def _place(spec: dict[str, Any], policy: PolicySpec) -> None:
    selector = policy.nodes.selector
    if selector:
        spec["nodeSelector"] = {**selector, **(spec.get("nodeSelector") or {})}
    tolerations = list(spec.get("tolerations") or ())
    if policy.nodes.dedication == "Dedicated" and not any(
        each.get("key") == names.NODE_TAINT for each in tolerations
    ):
        own = {"key": names.NODE_TAINT, "operator": "Equal", "value": policy.tenant}
        spec["tolerations"] = [*tolerations, own]


def _harden(spec: dict[str, Any], policy: PolicySpec) -> None:
    if (spec.get("os") or {}).get("name") == "windows":
        return
    allowed = policy.workloads
    is_restricted = policy.pod_security.level == "restricted"
    context = spec["securityContext"] = dict(spec.get("securityContext") or {})
    context.setdefault("seccompProfile", {"type": "RuntimeDefault"})
    if is_restricted:
        context.setdefault("runAsNonRoot", True)
    if allowed.run_as_user is not None and context.get("runAsUser") is None:
        context["runAsUser"] = allowed.run_as_user
        context.setdefault("runAsGroup", allowed.run_as_user)
    if allowed.user_namespaces == "Required":
        spec.setdefault("hostUsers", False)
    for container in _containers(spec):
        own = container["securityContext"] = dict(container.get("securityContext") or {})
        if allowed.image_pull_policy == "Always":
            container["imagePullPolicy"] = "Always"
        if allowed.root_filesystem == "ReadOnly":
            own.setdefault("readOnlyRootFilesystem", True)
        if not is_restricted:
            continue
        if not own.get("privileged"):
            own.setdefault("allowPrivilegeEscalation", False)
        capabilities = own["capabilities"] = dict(own.get("capabilities") or {})
        dropped = list(capabilities.get("drop") or ())
        capabilities["drop"] = dropped if "ALL" in dropped else [*dropped, "ALL"]
