"""How tenants stand: conditions, namespaces, and how much of each quota is used."""

from collections.abc import Mapping, Sequence
from typing import Any

from securetenant.answers.answer import FINE, FOUND, Answer, Section, Table
from securetenant.api import names, quantities, status
from securetenant.api.objects import Body

_SHOWN = ("requests.cpu", "requests.memory", "pods")
_NEVER = "-"
CHANGE_NOT_SEEN = "ChangeNotSeen"
_UNSEEN = {
    "type": status.READY,
    "status": "Unknown",
    "reason": CHANGE_NOT_SEEN,
    "message": "the operator has not seen the last change of the spec: is it running?",
}


def tenants(bodies: Mapping[str, Body]) -> Answer:
    """Answer how all tenants stand; one that is not ready, or not verified, is :data:`FOUND`."""
    rows, data = [], []
    for name, body in sorted(bodies.items()):
        found = conditions(body)
        ready = found.get(status.READY, {})
        verified = found.get(status.ISOLATION_VERIFIED, {})
        summary = (_status(body).get("namespaces") or {}).get("summary", _NEVER)
        rows.append(
            (
                name,
                str(ready.get("status", "Unknown")),
                str(ready.get("reason", "NotReadYet")),
                str(summary),
                str(verified.get("status", _NEVER)),
                _short(str(ready.get("message", "no status yet: is the operator running?"))),
            )
        )
        data.append({"name": name, "conditions": list(found.values()), "namespaces": summary})
    return Answer(
        kind="TenantList",
        data={"tenants": data},
        sections=(
            Table(
                columns=("Name", "Ready", "Reason", "Namespaces", "Verified", "Message"),
                rows=tuple(rows),
                empty="There is no SecureTenant. Make one: kubectl apply -f examples/beta.yaml",
            ),
        ),
        code=FOUND
        if any("False" in (row[1], row[4]) or row[2] == _UNSEEN["reason"] for row in rows)
        else FINE,
    )


def tenant(
    name: str,
    body: Body,
    policies: Sequence[Body],
    quotas: Sequence[Body],
    held: Mapping[str, Sequence[tuple[str, str, tuple[str, ...]]]] | None = None,
) -> Answer:
    """Answer how one tenant stands; ``policies`` and ``quotas`` are those of its namespaces.

    ``held`` names, by each namespace that is being deleted, what has finalizers: its kind, its name
    and these.
    """
    held = held or {}
    found = conditions(body)
    ready = found.get(status.READY, {})
    stands = ready.get("status", "Unknown")
    sections: list[Section] = [
        f"SecureTenant {name}: {_UNSEEN['message']} What follows is from before it"
        if is_unseen(body)
        else f"SecureTenant {name}: Ready is {stands}",
        _said(found),
        _spaces(policies, quotas),
        *(_holding(namespace, found) for namespace, found in sorted(held.items())),
    ]
    return Answer(
        kind="Tenant",
        data={
            "name": name,
            "conditions": list(found.values()),
            "isolation": _status(body).get("isolation"),
            "namespaces": [_space(each, quotas) for each in policies],
            "held": [
                {"namespace": namespace, "kind": kind, "name": one, "finalizers": list(finalizers)}
                for namespace, found in sorted(held.items())
                for kind, one, finalizers in found
            ],
        },
        sections=tuple(sections),
        code=FOUND if is_unseen(body) or "False" in (stands, _verified(found)) else FINE,
    )


def is_unseen(body: Body) -> bool:
    """Tell whether the status is about an older spec, so that its conditions say nothing of it."""
    seen = _status(body).get("observedGeneration", -1)
    return bool(body["metadata"].get("generation", 0) > seen >= 0)


def _holding(namespace: str, held: Sequence[tuple[str, str, tuple[str, ...]]]) -> Table:
    return Table(
        title=f"{namespace} is being deleted, and waits until these finalizers are taken off",
        columns=("Object", "Finalizers"),
        rows=tuple((f"{kind} {name}", ", ".join(finalizers)) for kind, name, finalizers in held),
        empty="Nothing that you may list has finalizers: pods may take long to end.",
    )


def namespace(policy: Body, quotas: Sequence[Body]) -> Answer:
    """Answer how one namespace stands, for its members: from its TenantPolicy."""
    spec, found = policy["spec"], conditions(policy)
    where = policy["metadata"]["namespace"]
    return Answer(
        kind="Namespace",
        data={
            "name": where,
            "tenant": spec["tenant"],
            "conditions": list(found.values()),
            **_space(policy, quotas),
        },
        sections=(
            f"Namespace {where} of tenant {spec['tenant']}",
            _said(found),
            _quota(policy, quotas),
        ),
        code=FOUND if any(each["status"] == "False" for each in found.values()) else FINE,
    )


def _said(found: Mapping[str, Mapping[str, Any]]) -> Table:
    return Table(
        title="Conditions",
        columns=("Condition", "Status", "Reason", "Message"),
        rows=tuple(
            (type, each["status"], each["reason"], each["message"]) for type, each in found.items()
        ),
        empty="The operator has not said anything yet: is it running?",
    )


def _spaces(policies: Sequence[Body], quotas: Sequence[Body]) -> Table:
    rows = []
    for policy in policies:
        found = conditions(policy)
        used = _used(policy["metadata"]["namespace"], quotas)
        rows.append(
            (
                policy["metadata"]["namespace"],
                str(found.get(status.READY, {}).get("status", "Unknown")),
                str(found.get(status.ISOLATION_VERIFIED, {}).get("status", _NEVER)),
                *(_share(used, key) for key in _SHOWN),
            )
        )
    return Table(
        title="Namespaces (used of the quota)",
        columns=("Namespace", "Ready", "Verified", *_SHOWN),
        rows=tuple(sorted(rows)),
    )


def _quota(policy: Body, quotas: Sequence[Body]) -> Table:
    used = _used(policy["metadata"]["namespace"], quotas)
    return Table(
        title="Quota",
        columns=("Resource", "Used", "Of", "Part"),
        rows=tuple(
            (key, str(found), str(hard), _percent(key, found, hard))
            for key, (found, hard) in sorted(used.items())
        ),
    )


def _space(policy: Body, quotas: Sequence[Body]) -> dict[str, Any]:
    where = policy["metadata"]["namespace"]
    used = _used(where, quotas)
    return {
        "name": where,
        "conditions": list(conditions(policy).values()),
        "quota": {key: {"used": found, "hard": hard} for key, (found, hard) in used.items()},
    }


def _used(namespace: str, quotas: Sequence[Body]) -> dict[str, tuple[str, str]]:
    """Return what the quota counts, as the API server says it: what is used, and the limit."""
    for each in quotas:
        metadata = each["metadata"]
        if (metadata["namespace"], metadata["name"]) == (namespace, names.QUOTA):
            found = each.get("status") or {}
            hard, used = found.get("hard") or {}, found.get("used") or {}
            return {key: (str(used.get(key, "0")), str(hard[key])) for key in hard}
    return {}


def _share(used: Mapping[str, tuple[str, str]], key: str) -> str:
    found = used.get(key)
    return f"{found[0]}/{found[1]}" if found else _NEVER


def _percent(key: str, used: str, hard: str) -> str:
    limit = quantities.units(key, hard)
    return f"{100 * quantities.units(key, used) // limit} %" if limit else _NEVER


def _verified(found: Mapping[str, Mapping[str, Any]]) -> str:
    return str(found.get(status.ISOLATION_VERIFIED, {}).get("status", ""))


def conditions(body: Body) -> dict[str, dict[str, Any]]:
    """Return by type what an object says of itself.

    Where that is about an older spec, Ready is Unknown and says so.
    """
    found = {each["type"]: dict(each) for each in _status(body).get("conditions") or ()}
    return found | ({status.READY: dict(_UNSEEN)} if is_unseen(body) else {})


def _status(body: Body) -> Mapping[str, Any]:
    found: Mapping[str, Any] = body.get("status") or {}
    return found


def _short(message: str, most: int = 100) -> str:
    return message if len(message) <= most else f"{message[: most - 1]}…"
