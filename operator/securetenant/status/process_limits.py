"""The condition PidsLimited: how many processes the nodes of a tenant let a pod have."""

from collections.abc import Mapping, Sequence

from securetenant.api import names, status
from securetenant.plan.pids import UNLIMITED, Limit, Source
from securetenant.status import conditions
from securetenant.status.conditions import Condition

_SEE = "see docs/controls/pids.md"


def judge(bound: int | None, nodes: Mapping[str, Limit], *, required: bool) -> Condition:
    """Say what is known of the nodes that a tenant's pods may run on.

    ``bound`` is what the tenant asks for; without one, any limit will do. Where it is
    ``required``, new pods land only on nodes that were read to keep it.
    """
    if not nodes:
        return _verdict("Unknown", status.NO_NODES, "No node is there that its pods may run on")
    keeping = {name for name, each in nodes.items() if each.keeps(bound)}
    if required:
        return _judge_required(bound, nodes, keeping)
    unread = _of(nodes, Source.UNREAD)
    above = [name for name in nodes if name not in keeping and name not in unread]
    if above:
        told = conditions.listed(_above(name, nodes[name]) for name in above)
        return _verdict(
            "False",
            status.NOT_LIMITED,
            f"{told}; {_asked(bound)}: set podPidsLimit there ({_SEE})",
        )
    if unread:
        told = conditions.listed(f"{name} ({nodes[name].problem})" for name in unread)
        return _verdict("Unknown", status.KUBELET_UNREAD, f"Not read: {told}")
    return _limited(bound, nodes, sorted(nodes))


def _judge_required(bound: int | None, nodes: Mapping[str, Limit], keeping: set[str]) -> Condition:
    usable = sorted(name for name in keeping if nodes[name].source is Source.READ)
    left_out = conditions.listed(_why(name, nodes[name]) for name in nodes if name not in usable)
    if not usable:
        unread = all(each.source is Source.UNREAD for each in nodes.values())
        return _verdict(
            "Unknown" if unread else "False",
            status.KUBELET_UNREAD if unread else status.NOT_LIMITED,
            f"New pods land nowhere, since no node was read to keep the limit: {left_out};"
            f" {_asked(bound)} ({_SEE})",
        )
    verdict = _limited(bound, nodes, usable)
    if not left_out:
        return verdict
    return verdict._replace(
        message=f"{verdict.message}; new pods land only there, and not on {left_out}"
    )


def _limited(bound: int | None, nodes: Mapping[str, Limit], which: Sequence[str]) -> Condition:
    """Say that a limit is in force, and who says so."""
    most = max(nodes[name].limit for name in which)
    declared = [name for name in which if nodes[name].source is Source.DECLARED]
    message = f"{_count(len(which))} to at most {most if bound is None else bound} processes"
    if not declared:
        return _verdict("True", status.REPORTED_BY_KUBELET, f"{message}, as the kubelet says")
    who = conditions.listed(f"{name} ({nodes[name].problem})" for name in declared)
    return _verdict(
        "True",
        status.DECLARED,
        f"{message}; by the label {names.DECLARED_PIDS_LABEL} only, which nobody checked: {who}",
    )


def _verdict(state: str, reason: str, message: str) -> Condition:
    return Condition(status.PIDS_LIMITED, state, reason, message)


def _of(nodes: Mapping[str, Limit], source: Source) -> list[str]:
    return [name for name, each in nodes.items() if each.source is source]


def _above(name: str, found: Limit) -> str:
    limit = "has no limit" if found.limit == UNLIMITED else f"allows {found.limit}"
    return f"{name} {limit}" + (" by its label" if found.source is Source.DECLARED else "")


def _why(name: str, found: Limit) -> str:
    match found.source:
        case Source.UNREAD:
            return f"{name} (not read: {found.problem})"
        case Source.DECLARED:
            return f"{name} (declared, not read: {found.problem})"
        case Source.READ:
            limit = "no limit" if found.limit == UNLIMITED else str(found.limit)
            return f"{name} ({limit})"


def _asked(bound: int | None) -> str:
    return "the spec asks for any limit" if bound is None else f"the spec asks for {bound}"


def _count(number: int) -> str:
    return "1 node limits pods" if number == 1 else f"{number} nodes limit pods"
