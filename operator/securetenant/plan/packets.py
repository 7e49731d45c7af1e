"""Whether packets are filtered, by what the packet probe on each node came to (manifests/packets).

A sender is ready while what is allowed arrives and nothing else. It ends with an exit code of its
own when something arrived that NetworkPolicies refuse. Its kubelet says both, in the pod's status.
"""

import re
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from securetenant.api import probe
from securetenant.api.objects import Body

_NAME = "app.kubernetes.io/name"
"""The pods of each DaemonSet of the probe are named like their namespace by this label."""
_RECENT = timedelta(minutes=5)
"""For how long nothing is concluded from a sender that is not ready: it may just start."""
_ARRIVED = re.compile(r"^(TCP|UDP) ([0-9a-fA-F.:]+) ([0-9]{1,5})$", re.MULTILINE)


class Arrival(NamedTuple):
    """Something that arrived and has to be refused."""

    protocol: str
    address: str
    port: int


class ProbePod(NamedTuple):
    """What is looked at of a pod of the probe."""

    node: str
    addresses: tuple[str, ...]
    is_ready: bool
    """Whether a container of it ran, and is ready."""
    since: str
    """Since when it is, or is not."""
    arrivals: tuple[Arrival, ...] = ()
    """While it is not ready: what it ended with last."""
    ended: bool = False
    """While it is not ready: whether it ended since something arrived, whatever it said."""


class Packets(NamedTuple):
    """What the probes came to. Each tuple of nodes is sorted."""

    filtered: tuple[str, ...] = ()
    """Nodes where what is allowed arrives, and nothing else."""
    unfiltered: tuple[str, ...] = ()
    """Nodes that let through what they have to refuse."""
    silent: tuple[str, ...] = ()
    """Nodes whose sender says neither, for minutes."""


def observe(body: Body) -> ProbePod | None:
    """Reduce a pod to what is looked at; nothing for one that only is in a namespace of the probe.

    An administrator's shell there would be ready, and say that its node filters.
    """
    metadata = body["metadata"]
    if (metadata.get("labels") or {}).get(_NAME) != metadata["namespace"]:
        return None
    spec, status = body.get("spec") or {}, body.get("status") or {}
    conditions = {each["type"]: each for each in status.get("conditions") or ()}
    ready: Mapping[str, Any] = conditions.get("Ready") or {}
    is_ready = ready.get("status") == "True" and "deletionTimestamp" not in body["metadata"]
    # A fake node, as in the sandbox, says ready of what never ran.
    ran = [bool(each.get("containerID")) for each in status.get("containerStatuses") or ()]
    texts = [] if is_ready else [*_endings(status)]
    return ProbePod(
        node=spec.get("nodeName") or "",
        addresses=tuple(each["ip"] for each in status.get("podIPs") or () if "ip" in each),
        is_ready=is_ready and bool(ran) and all(ran),
        since=ready.get("lastTransitionTime") or body["metadata"]["creationTimestamp"],
        arrivals=tuple(
            Arrival(found[1], found[2], int(found[3]))
            for text in texts
            for found in _ARRIVED.finditer(text)
        ),
        ended=bool(texts),
    )


def _endings(status: Mapping[str, Any]) -> list[str]:
    """Return with which words its container ended because something arrived."""
    found = []
    for each in status.get("containerStatuses") or ():
        for state in (each.get("state") or {}, each.get("lastState") or {}):
            ended = state.get("terminated") or {}
            if ended.get("exitCode") == probe.NOT_FILTERED:
                found.append(str(ended.get("message") or ""))
    return found


def judge(senders: Collection[ProbePod], receivers: Collection[ProbePod], now: datetime) -> Packets:
    """Return which nodes filter packets.

    A receiver's port tells which side has to refuse what arrived there. Of what else arrived, and
    of a sender that ended without words, the node of the sender is to blame.
    """
    nodes = {address: each.node for each in receivers for address in each.addresses}
    filtered, unfiltered, silent = set(), set(), set()
    for each in senders:
        if not each.node:
            continue
        if each.is_ready:
            filtered.add(each.node)
        elif each.ended:
            blamed = {
                node
                for arrival in each.arrivals
                for node in _blamed(arrival, each.node, nodes.get(arrival.address, ""))
            }
            unfiltered |= blamed or {each.node}
        elif now - datetime.fromisoformat(each.since) > _RECENT:
            silent.add(each.node)
    # One that tried others in its last round says nothing of a node that is found by another one.
    filtered -= unfiltered
    return Packets(
        tuple(sorted(filtered)), tuple(sorted(unfiltered)), tuple(sorted(silent - unfiltered))
    )


def _blamed(arrival: Arrival, sender: str, receiver: str) -> tuple[str, ...]:
    if receiver and arrival.port == probe.INGRESS:
        return (receiver,)
    if receiver and arrival.port != probe.EGRESS:
        return sender, receiver
    return (sender,)
