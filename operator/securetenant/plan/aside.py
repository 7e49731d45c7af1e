"""Objects that are put aside while a tenant is quarantined, and brought back as they were.

A NetworkPolicy is kept as it is, and selects no pod: two requirements that contradict each other
are added to its selector. A RoleBinding is kept with its role, and names nobody: its subjects stand
in an annotation, a line each, in a form that the operator's fence computes too. So nothing is
lost, and the fence can tell that what comes back is what was put aside.
"""

from typing import Any, NamedTuple

from securetenant.api import access, kinds, names
from securetenant.api import aside as form
from securetenant.api.objects import Body
from securetenant.plan import ownership

Patch = list[dict[str, Any]]
_MARKS: list[Body] = list(form.MARKS)
_SELECTOR = "/spec/podSelector/matchExpressions"
_POINTER = "/metadata/annotations/" + names.ASIDE.replace("/", "~1")
_OUR_ROLES = frozenset(map(names.cluster_role, access.ROLES))


class Found(NamedTuple):
    """What is remembered of one."""

    version: int
    is_open: bool
    """Whether it opens something: it selects pods, or names somebody."""
    is_aside: bool
    """Whether something of it was put aside."""
    is_plain: bool = False
    """Whether it is a NetworkPolicy that asks for no more than labels: its patch is known."""


def observe(body: Body) -> Found:
    """Reduce a NetworkPolicy or a RoleBinding, as the API server returned it."""
    version = int(body["metadata"]["resourceVersion"])
    if body["kind"] == kinds.NETWORK_POLICY.name:
        selected = _selected(body)
        is_aside = _is_marked(selected)
        return Found(version, not is_aside, is_aside, not selected or selected == _MARKS)
    role = body["roleRef"]
    # Others than the platform team cannot bind another ClusterRole, and the operator cannot either.
    is_open = bool(body.get("subjects")) and (role["kind"] == "Role" or role["name"] in _OUR_ROLES)
    return Found(version, is_open, names.ASIDE in _annotations(body))


def of_plain(found: Found) -> Patch:
    """Return the JSON Patch that puts a plain NetworkPolicy aside, or brings it back."""
    return [_select(_MARKS if found.is_open else [])]


def of_own(wanted: Body, digest: bytes) -> Patch:
    """Return the JSON Patch that makes a NetworkPolicy of the operator what is wanted.

    ``digest`` is that of what is there. Empty if more differs than that it is put aside or not.
    """
    if wanted["kind"] != kinds.NETWORK_POLICY.name:
        return []
    is_closed = _is_marked(_selected(wanted))
    expressions = [] if is_closed else _MARKS
    selector = {**wanted["spec"]["podSelector"], "matchExpressions": expressions}
    selector = {key: value for key, value in selector.items() if value}
    other = {**wanted, "spec": {**wanted["spec"], "podSelector": selector}}
    return [_select(_MARKS if is_closed else [])] if ownership.digest(other) == digest else []


def is_own_aside(wanted: Body) -> bool:
    """Tell whether an object of the operator is to be put aside."""
    if wanted["kind"] == kinds.NETWORK_POLICY.name:
        return _is_marked(_selected(wanted))
    return wanted["kind"] == kinds.ROLE_BINDING.name and not wanted["subjects"]


def close(body: Body) -> Patch:
    """Return the JSON Patch that puts an object aside; empty if nothing of it is open."""
    if not observe(body).is_open:
        return []
    if body["kind"] == kinds.NETWORK_POLICY.name:
        return [_select([*_unmarked(_selected(body)), *_MARKS])]
    annotations = _annotations(body)
    lines = [*filter(None, [annotations.get(names.ASIDE)]), *map(form.line, body["subjects"])]
    change: Patch = [] if annotations else [_add("/metadata/annotations", {})]
    return [*change, _add(_POINTER, "\n".join(lines)), {"op": "remove", "path": "/subjects"}]


def reopen(body: Body) -> Patch:
    """Return the JSON Patch that brings an object back; empty if nothing of it was put aside."""
    if not observe(body).is_aside:
        return []
    if body["kind"] == kinds.NETWORK_POLICY.name:
        return [_select(_unmarked(_selected(body)))]
    subjects = [*map(form.subject, _annotations(body)[names.ASIDE].split("\n"))]
    subjects += body.get("subjects") or []
    return [_add("/subjects", subjects), {"op": "remove", "path": _POINTER}]


# --- NetworkPolicies ----------------------------------------------------------------------------


def _selected(body: Body) -> list[Body]:
    return (body["spec"].get("podSelector") or {}).get("matchExpressions") or []


def _unmarked(selected: list[Body]) -> list[Body]:
    return selected[: -len(_MARKS)] if _is_marked(selected) else selected


def _is_marked(selected: list[Body]) -> bool:
    return selected[-len(_MARKS) :] == _MARKS


def _select(expressions: list[Body]) -> dict[str, Any]:
    return _add(_SELECTOR, expressions) if expressions else {"op": "remove", "path": _SELECTOR}


# --- RoleBindings -------------------------------------------------------------------------------


def _annotations(body: Body) -> dict[str, str]:
    return body["metadata"].get("annotations") or {}


def _add(path: str, value: Any) -> dict[str, Any]:
    return {"op": "add", "path": path, "value": value}
