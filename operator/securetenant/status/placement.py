"""The condition NodesDedicated: which nodes a tenant has, who else is there, what it waits for."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from securetenant.api import names, status
from securetenant.status import conditions
from securetenant.status.conditions import Condition

_SHOWN = 3


class Place(NamedTuple):
    """A node, and pods or tenants because of which it is reported."""

    node: str
    who: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Placement:
    """What is known of the nodes of one tenant; every list sorted."""

    dedicated: bool
    """Whether it has nodes of its own; else it runs where all shared tenants do."""
    unsettled: bool = False
    """Whether TenancySettings say nothing of nodes."""
    effects: tuple[str, ...] = ()
    """Of the taint, as the spec asks for."""
    nodes: tuple[str, ...] = ()
    """Those with all their marks."""
    contested: tuple[Place, ...] = ()
    """Nodes that other tenants ask for too, or have."""
    kept: tuple[str, ...] = ()
    """Nodes that TenancySettings do not let be dedicated."""
    last: tuple[str, ...] = ()
    """Nodes without which no pod of the platform could run."""
    without: bool = False
    """Whether it shares nodes, and none is there for those who share."""
    unknown: tuple[str, ...] = ()
    """Names of no node."""
    failed: tuple[Place, ...] = ()
    """Nodes that could not be written to, and why."""
    operators: tuple[Place, ...] = ()
    """Nodes on which NoExecute waits for pods of the operator, whatever the spec says."""
    waiting: tuple[Place, ...] = ()
    """Nodes on which NoExecute waits for pods that it would evict."""
    left: tuple[Place, ...] = ()
    """Nodes on which pods of a former tenant run."""
    remaining: tuple[Place, ...] = ()
    """Nodes on which pods of others run that do not tolerate the taint."""
    leaving: tuple[Place, ...] = ()
    """Nodes that were the tenant's, and on which its pods still run."""
    elsewhere: tuple[str, ...] = ()
    """Pods of the tenant on nodes that are not its own; of a shared tenant, on those of others."""
    pending: tuple[str, ...] = ()
    """Pods of the tenant that no node takes, with the scheduler's reason."""
    guests: tuple[Place, ...] = ()
    """Pods of others that tolerate the taint."""
    daemons: tuple[str, ...] = ()
    """DaemonSets that do not, and so do not run there."""


class _Point(NamedTuple):
    reason: str
    message: str


def judge(placement: Placement) -> Condition:
    """Return the condition."""
    told = _told(placement)
    problems, remarks = list(_problems(placement)), list(_remarks(placement))
    if problems:
        message = "; ".join((*(each.message for each in problems), told))
        return Condition(status.NODES_DEDICATED, "False", problems[0].reason, message)
    reason = remarks[0].reason if remarks else status.AS_SPECIFIED
    message = "; ".join((told, *(each.message for each in remarks)))
    return Condition(status.NODES_DEDICATED, "True", reason, message)


def _told(placement: Placement) -> str:
    if not placement.dedicated:
        pods = "New pods" if placement.elsewhere else "Pods"
        return f"{pods} run only on the nodes for shared tenants (TenancySettings, nodes.shared)"
    if not placement.nodes:
        return "No node is the tenant's yet: its pods wait, and run nowhere else"
    waits = placement.waiting or placement.operators
    effects = [each for each in placement.effects if each != "NoExecute" or not waits]
    count = len(placement.nodes)
    return (
        f"{count} node{'' if count == 1 else 's'} ({conditions.listed(placement.nodes)}) with label"
        f" and taint ({', '.join(effects)})"
    )


def _problems(placement: Placement) -> Iterator[_Point]:
    """Yield what keeps the condition from being True, the worst first."""
    if placement.unsettled:
        yield _Point(
            status.NOT_IN_SETTINGS,
            "TenancySettings say nothing of nodes, so none is dedicated; have the platform team"
            " write nodes.shared and nodes.dedicable",
        )
    if placement.contested:
        yield _Point(
            status.NODE_CONFLICT,
            f"Asked for by other tenants too: {_places(placement.contested)}. A node goes to the"
            " tenant who has it already, else to none; narrow the selector of one of them",
        )
    if placement.kept and not placement.unsettled:
        yield _Point(
            status.NOT_IN_SETTINGS,
            f"Not to be dedicated: {conditions.listed(placement.kept)}. Label what may be with"
            " nodes.dedicable of TenancySettings, or ask for other nodes",
        )
    if placement.last:
        yield _Point(
            status.LAST_NODE,
            f"Not taken: {conditions.listed(placement.last)}. It is the last node for pods of the"
            " platform, such as DNS and the operator; add a node that is no tenant's",
        )
    if placement.unknown:
        yield _Point(
            status.UNKNOWN_NODE,
            f"No such node: {conditions.listed(placement.unknown)}. Correct spec.nodes.names; what"
            " registers by that name is taken then",
        )
    if placement.failed:
        yield _Point(status.REFUSED, f"Not written: {_places(placement.failed)}")
    if placement.left:
        yield _Point(
            status.NODE_IN_USE, f"Pods of the former tenant run on: {_places(placement.left)}"
        )
    if placement.remaining:
        yield _Point(
            status.NODE_IN_USE,
            f"Pods of others still run on: {_places(placement.remaining)}. What NoExecute does not"
            " evict has to be deleted: kubectl delete pod, with --force if it stays",
        )
    if placement.operators:
        yield _Point(
            status.EVICTION_WAITING,
            f"NoExecute waits for the operator, which never evicts itself:"
            f" {_places(placement.operators)}. Move it: kubectl rollout restart"
            f" deployment/{names.OPERATOR} -n {names.OPERATOR_NAMESPACE}",
        )
    if placement.waiting:
        yield _Point(
            status.EVICTION_WAITING,
            f"NoExecute waits for pods that it would evict: {_places(placement.waiting)}. Move"
            " them, or write spec.nodes.eviction: Evict",
        )
    if placement.elsewhere:
        where = "other nodes" if placement.dedicated else "nodes of others"
        yield _Point(
            status.PODS_ELSEWHERE,
            f"Pods of the tenant on {where}, from before:"
            f" {conditions.listed(placement.elsewhere)}. Delete them, and they come back where they"
            " belong",
        )


def _remarks(placement: Placement) -> Iterator[_Point]:
    """Yield what is worth knowing."""
    if placement.pending:
        yield _Point(status.PODS_PENDING, f"No node takes: {conditions.listed(placement.pending)}")
    if placement.without:
        yield _Point(
            status.NO_NODES,
            "no node is labelled for shared tenants, so their new pods wait: label one as"
            " nodes.shared of TenancySettings asks",
        )
    if placement.dedicated and not placement.nodes:
        yield _Point(status.NO_NODES, "no node matches what spec.nodes asks for")
    if placement.leaving:
        yield _Point(
            status.NODE_IN_USE,
            f"Given back once the tenant's pods are gone: {_places(placement.leaving)}",
        )
    if placement.guests:
        yield _Point(
            status.FOREIGN_PODS,
            f"Pods of others tolerate the taint and stay: {_places(placement.guests)}",
        )
    if placement.daemons:
        yield _Point(
            status.DAEMONS_KEPT_OUT,
            f"DaemonSets that do not tolerate it and do not run there:"
            f" {conditions.listed(placement.daemons)}",
        )


def _places(places: Iterable[Place]) -> str:
    every = list(places)
    shown = "; ".join(f"{each.node} ({conditions.listed(each.who)})" for each in every[:_SHOWN])
    return f"{shown} and {len(every) - _SHOWN} more" if len(every) > _SHOWN else shown
