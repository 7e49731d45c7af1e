"""What matters of a pod, and of a DaemonSet, to the nodes of tenants.

Little is kept of either: a tenant decides how large its pods are.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from securetenant.api import names
from securetenant.api.objects import Body

_MIRROR = "kubernetes.io/config.mirror"
_FINISHED = ("Succeeded", "Failed")
_SHOWN = 500
"""How much is kept of what a scheduler says."""


class PodFacts(NamedTuple):
    """What is looked at of a pod."""

    namespace: str
    name: str
    node: str
    """Where it runs; empty while it waits for a node."""
    daemon: bool
    """Whether a DaemonSet made it."""
    mirror: bool
    """Whether a node shows a static pod by it: nothing evicts that."""
    finished: bool
    stays: bool
    """Whether it stays on a node with the taint of the tenant in question."""
    unschedulable: str
    """Why the scheduler finds no node, in its own words, cut."""

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class DaemonFacts(NamedTuple):
    """What is looked at of a DaemonSet."""

    namespace: str
    name: str
    tolerations: tuple[Mapping[str, Any], ...]
    selector: Mapping[str, str]
    """The node selector of its pods."""

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"

    def is_kept_out(self, tenant: str, labels: Mapping[str, str]) -> bool:
        """Tell whether a node of that tenant, with these labels, would run it but for the taint."""
        wants = all(labels.get(key) == value for key, value in self.selector.items())
        return wants and not tolerates(self.tolerations, tenant, "NoSchedule")


def observe(body: Body, *, owner: str = "") -> PodFacts:
    """Reduce a Pod to what is looked at; ``owner`` is the tenant whose taint it may tolerate."""
    metadata, spec, status = body["metadata"], body["spec"], body.get("status") or {}
    mirror = _MIRROR in (metadata.get("annotations") or {})
    return PodFacts(
        metadata["namespace"],
        metadata["name"],
        spec.get("nodeName", ""),
        daemon=any(each["kind"] == "DaemonSet" for each in metadata.get("ownerReferences") or ()),
        mirror=mirror,
        finished=status.get("phase") in _FINISHED,
        stays=mirror or tolerates(spec.get("tolerations") or (), owner, "NoExecute"),
        unschedulable=next(
            (
                str(each.get("message", ""))[:_SHOWN]
                for each in status.get("conditions") or ()
                if each["type"] == "PodScheduled" and each.get("reason") == "Unschedulable"
            ),
            "",
        ),
    )


def observe_daemon(body: Body) -> DaemonFacts:
    """Reduce a DaemonSet to what is looked at."""
    template = body["spec"]["template"].get("spec") or {}
    return DaemonFacts(
        body["metadata"]["namespace"],
        body["metadata"]["name"],
        tuple(template.get("tolerations") or ()),
        dict(template.get("nodeSelector") or {}),
    )


def tolerates(tolerations: Iterable[Mapping[str, Any]], tenant: str, effect: str) -> bool:
    """Tell whether pods with these tolerations may be, and stay, on a node of that tenant.

    Tolerated for a while only is not tolerated. (Kubernetes, "Taints and Tolerations".)
    """
    return any(
        each.get("key", "") in ("", names.NODE_TAINT)
        and (each.get("key") or each.get("operator") == "Exists")
        and (each.get("operator") == "Exists" or each.get("value", "") == tenant)
        and each.get("effect", "") in ("", effect)
        and each.get("tolerationSeconds") is None
        for each in tolerations
    )
