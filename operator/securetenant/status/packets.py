"""What is said of packets: whether they are filtered as NetworkPolicies say."""

from collections.abc import Iterable, Mapping
from typing import Any

from securetenant.api import names, status
from securetenant.plan.packets import Packets
from securetenant.status import conditions
from securetenant.status.conditions import Condition
from securetenant.status.outcome import Finding
from securetenant.status.statements import Remark

NOT_TRIED = "whether packets are filtered depends on the network plugin"
_TRIED = "packets of the probe arrive where they are allowed, and nowhere else"
_PARTLY = f"{_TRIED}, as far as its pods say: condition PacketsFiltered of TenancySettings"
_TEXTS = (_PARTLY, _TRIED, NOT_TRIED)
_LOOK = (
    "Look whether the network plugin runs there and enforces NetworkPolicies, and whether those of"
    " the probe are as manifests/packets has them. What arrived: kubectl"
    f" logs --previous -n {names.SENDERS} -l app.kubernetes.io/name={names.SENDERS} --prefix"
)


def statement(found: Packets | None, previous: Iterable[Mapping[str, Any]]) -> Finding | Remark:
    """Return what is said of one tenant; before the first look what an earlier process said.

    Of nodes no number is said that every new node would change, in the status of every tenant.
    """
    if found is None:
        said = "".join(
            str(each["message"]) for each in previous if each["type"] == status.ISOLATION_VERIFIED
        )
        text = next((each for each in _TEXTS if each in said), NOT_TRIED)
        return Remark(type=status.ISOLATION_VERIFIED, message=text)
    if (open_ := finding(found)) is not None:
        return open_
    text = NOT_TRIED if not found.filtered else _PARTLY if found.silent else _TRIED
    return Remark(type=status.ISOLATION_VERIFIED, message=text)


def finding(found: Packets | None) -> Finding | None:
    """Return why no tenant's isolation is verified, if something arrived that is refused."""
    if found is None or not found.unfiltered:
        return None
    return Finding(
        type=status.ISOLATION_VERIFIED,
        reason=status.PACKETS_NOT_FILTERED,
        message=_unfiltered(found.unfiltered),
        informs=True,
    )


def condition(found: Packets | None, previous: Iterable[Mapping[str, Any]]) -> Condition | None:
    """Return the condition of TenancySettings; nothing where there is no probe.

    Before the first look it is what an earlier process said: a restart takes nothing back.
    """
    if found is None:
        for each in previous:
            if each["type"] == status.PACKETS_FILTERED:
                return Condition(each["type"], each["status"], each["reason"], each["message"])
        return None
    if found.unfiltered:
        answer, reason, message = (
            "False",
            status.PACKETS_NOT_FILTERED,
            _unfiltered(found.unfiltered),
        )
    elif found.silent:
        answer, reason, message = "Unknown", status.PROBE_SILENT, _silent(found)
    elif found.filtered:
        answer, reason = "True", status.AS_SPECIFIED
        message = f"On {_count(found.filtered)} {_TRIED}"
    else:
        return None
    return Condition(status.PACKETS_FILTERED, answer, reason, message)


def _unfiltered(nodes: tuple[str, ...]) -> str:
    return (
        f"Packets that NetworkPolicies refuse arrive: not filtered on {conditions.listed(nodes)}."
        f" Nothing keeps tenants apart on the network there. {_LOOK}"
    )


def _silent(found: Packets) -> str:
    return (
        f"Not known of {conditions.listed(found.silent)}: what is allowed does not arrive, or the"
        f" probe does not run there; on {_count(found.filtered)} {_TRIED}. Look: kubectl get pods"
        f" -n {names.SENDERS} -o wide"
    )


def _count(nodes: tuple[str, ...]) -> str:
    return "1 node" if len(nodes) == 1 else f"{len(nodes)} nodes"
