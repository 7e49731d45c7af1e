"""How many processes a pod may have on a node: what is known of it, and the labels that say so.

A kubelet that was read is believed about its own node. What the platform team declares counts
where no kubelet could be read, and not against one that said otherwise.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Any, NamedTuple

from securetenant.api import names
from securetenant.api.nodes import PID_BOUNDS, SettingsNodes, TenantNodes
from securetenant.api.objects import Body
from securetenant.plan import nodes

UNLIMITED = 0
"""A kubelet keeps no limit: podPidsLimit is -1, 0 or absent."""

_KUBELET_PORT = 10250
"""Where a kubelet listens that does not say."""
_ROLES = "node-role.kubernetes.io/"
_EFFECTS = ("NoSchedule", "NoExecute")


class Kubelet(NamedTuple):
    """Where the kubelet of a node is, and which life of it this is."""

    node: str
    address: str
    """The first InternalIP of the Node, or nothing."""
    port: int
    life: tuple[str, ...]
    """Differs once the kubelet, the machine or the Node is another than before."""


class NodeLook(NamedTuple):
    """What of a Node matters here."""

    uid: str
    owner: str
    """Whose it is by its label: a tenant, :data:`names.SHARED`, or nothing."""
    takes_tenants: bool
    """Not so for a node of the control plane, whose taint no tenant may tolerate."""
    kubelet: Kubelet
    labels: Mapping[str, str]
    """Those about processes."""
    keeps_limits: bool
    """Whether its kubelet knows limits of processes at all: on Windows it does not."""


class Reading(NamedTuple):
    """What came of an attempt to read a kubelet."""

    limit: int | None = None
    """The most processes of a pod, :data:`UNLIMITED`, or nothing when it was not read."""
    problem: str = ""
    """Why it was not read and what to do, for people."""


class Source(Enum):
    """Who says how many processes a pod may have."""

    READ = "Read"
    """The kubelet."""
    DECLARED = "Declared"
    """The platform team, by a label: nobody looked."""
    UNREAD = "Unread"
    """Nobody."""


class Limit(NamedTuple):
    """What counts for a node."""

    source: Source
    limit: int = UNLIMITED
    problem: str = ""
    """Why the kubelet was not read."""

    def keeps(self, bound: int | None) -> bool:
        """Tell whether no pod there exceeds the bound; without a bound, any limit will do."""
        return self.limit != UNLIMITED and (bound is None or self.limit <= bound)


class Asked(NamedTuple):
    """What a tenant asks of the nodes that its pods may run on."""

    owners: frozenset[str]
    """Whose nodes those are, by their label: a tenant's, :data:`names.SHARED`, or nobody's."""
    bound: int | None
    """The most processes that a pod may have; without one, any limit will do."""
    required: bool
    """Whether pods land only on nodes that were read to keep the bound."""


def look(body: Body) -> NodeLook:
    """Reduce a Node to what matters here."""
    metadata, status, facts = body["metadata"], body.get("status") or {}, nodes.observe(body)
    info = status.get("nodeInfo") or {}
    ready: Body = next(
        (each for each in status.get("conditions") or () if each.get("type") == "Ready"), {}
    )
    address = next(
        (
            str(each["address"])
            for each in status.get("addresses") or ()
            if each["type"] == "InternalIP"
        ),
        "",
    )
    endpoint = (status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}
    port = int(endpoint.get("Port") or _KUBELET_PORT)
    life = (
        facts.uid,
        str(info.get("bootID", "")),
        str(ready.get("status") == "True"),
        str(info.get("kubeletVersion", "")),
        str(ready.get("lastTransitionTime", "")),
    )
    return NodeLook(
        uid=facts.uid,
        owner=facts.label,
        takes_tenants=not any(
            each.key.startswith(_ROLES) and each.effect in _EFFECTS for each in facts.taints
        ),
        kubelet=Kubelet(metadata["name"], address, port, life),
        labels={
            key: value
            for key, value in facts.labels.items()
            if _is_at_most(key) or key == names.DECLARED_PIDS_LABEL
        },
        keeps_limits=info.get("operatingSystem") != "windows",
    )


def asked(tenant: str, nodes: TenantNodes, settings: SettingsNodes | None) -> Asked | None:
    """Return what a tenant asks for, or nothing for one that says nothing of processes."""
    if nodes.pod_pids_limit is None and nodes.pids is None:
        return None
    if nodes.is_dedicated:
        owners = {tenant}
    else:
        # Where nobody says which nodes tenants get, they run on all that are no other's.
        owners = {names.SHARED} if settings is not None else {names.SHARED, ""}
    return Asked(frozenset(owners), nodes.pod_pids_limit, nodes.pids == "Require")


def judge(labels: Mapping[str, str], last: int | None, *, fresh: bool, problem: str) -> Limit:
    """Return what counts for a node.

    ``last`` is what its kubelet said last, ``fresh`` whether that still counts. A declaration
    that the kubelet disproved counts no more, even when the kubelet falls silent.
    """
    if last is not None and fresh:
        return Limit(Source.READ, last)
    declared = _declared(labels)
    disproved = last is not None and not Limit(Source.READ, last).keeps(declared)
    if declared is None or disproved:
        return Limit(Source.UNREAD, problem=problem)
    return Limit(Source.DECLARED, declared, problem)


def at_most_labels(limit: Limit) -> dict[str, str]:
    """Return the labels of a node: one for each bound that its kubelet was read to keep."""
    if limit.source is not Source.READ:
        return {}
    return {names.pids_label(bound): "true" for bound in PID_BOUNDS if limit.keeps(bound)}


def labelled(labels: Mapping[str, str]) -> int | None:
    """Return the lowest bound that a node's labels say it keeps: what was read of it before."""
    return min((bound for bound in PID_BOUNDS if labels.get(names.pids_label(bound))), default=None)


def patch(seen: NodeLook, wanted: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the JSON Patch that makes the labels what they should be; empty when they are.

    It holds for this very Node and for the labels as they were seen, else it does nothing.
    """
    standing = {key: value for key, value in seen.labels.items() if _is_at_most(key)}
    if standing == dict(wanted):
        return []
    steps: list[dict[str, Any]] = [{"op": "test", "path": "/metadata/uid", "value": seen.uid}]
    for key in sorted(standing.keys() | wanted.keys()):
        path = f"/metadata/labels/{key.replace('~', '~0').replace('/', '~1')}"
        if key in standing:
            steps.append({"op": "test", "path": path, "value": standing[key]})
        if key not in wanted:
            steps.append({"op": "remove", "path": path})
        elif standing.get(key) != wanted[key]:
            steps.append({"op": "add", "path": path, "value": wanted[key]})
    return steps


def _is_at_most(key: str) -> bool:
    return key.startswith(names.PIDS_PREFIX)


def _declared(labels: Mapping[str, str]) -> int | None:
    """Return what the platform team declares; what is no positive number declares nothing."""
    text = labels.get(names.DECLARED_PIDS_LABEL, "")
    return int(text) or None if text.isascii() and text.isdecimal() else None
