"""Objects that are put aside while a tenant is quarantined, and brought back as they were.

A NetworkPolicy is kept as it is, and selects no pod: two requirements that contradict each other
are added to its selector. A RoleBinding is kept with its role, and names nobody: its subjects stand
in an annotation, a line each, in a form that the operator's fence computes too. So nothing is
lost, and the fence can tell that what comes back is what was put aside.
"""

from typing import Any, NamedTuple

from securetenant.api import access, kinds, names
from securetenant.api.objects import Body

Patch = list[dict[str, Any]]
_RBAC = "rbac.authorization.k8s.io"
_MARKS = [
    {"key": names.ASIDE, "operator": "Exists"},
    {"key": names.ASIDE, "operator": "DoesNotExist"},
]
_POINTER = "/metadata/annotations/" + names.ASIDE.replace("/", "~1")
_OUR_ROLES = frozenset(map(names.cluster_role, access.ROLES))


class Found(NamedTuple):
    """What is remembered of one."""

    version: int
    is_open: bool
    """Whether it opens something: it selects pods, or names somebody."""
    is_aside: bool
    """Whether something of it was put aside."""


def observe(body: Body) -> Found:
    """Reduce a NetworkPolicy or a RoleBinding, as the API server returned it."""
    version = int(body["metadata"]["resourceVersion"])
    if body["kind"] == kinds.NETWORK_POLICY.name:
        is_aside = _is_marked(_selected(body))
        return Found(version, not is_aside, is_aside)
    role = body["roleRef"]
    # Others than the platform team cannot bind another ClusterRole, and the operator cannot either.
    is_open = bool(body.get("subjects")) and (role["kind"] == "Role" or role["name"] in _OUR_ROLES)
    return Found(version, is_open, names.ASIDE in _annotations(body))


def close(body: Body) -> Patch:
    """Return the JSON Patch that puts an object aside; empty if nothing of it is open."""
    if not observe(body).is_open:
        return []
    if body["kind"] == kinds.NETWORK_POLICY.name:
        return [_select([*_unmarked(_selected(body)), *_MARKS])]
    annotations = _annotations(body)
    lines = [*filter(None, [annotations.get(names.ASIDE)]), *map(_line, body["subjects"])]
    change: Patch = [] if annotations else [_add("/metadata/annotations", {})]
    return [*change, _add(_POINTER, "\n".join(lines)), {"op": "remove", "path": "/subjects"}]


def reopen(body: Body) -> Patch:
    """Return the JSON Patch that brings an object back; empty if nothing of it was put aside."""
    if not observe(body).is_aside:
        return []
    if body["kind"] == kinds.NETWORK_POLICY.name:
        return [_select(_unmarked(_selected(body)))]
    subjects = [*map(_subject, _annotations(body)[names.ASIDE].split("\n"))]
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
    path = "/spec/podSelector/matchExpressions"
    return _add(path, expressions) if expressions else {"op": "remove", "path": path}


# --- RoleBindings -------------------------------------------------------------------------------


def _annotations(body: Body) -> dict[str, str]:
    return body["metadata"].get("annotations") or {}


def _line(subject: Body) -> str:
    # The API takes one of a User too, and gives it no meaning.
    is_account = subject["kind"] == "ServiceAccount"
    home = f"{subject['namespace']}/" if is_account and subject.get("namespace") else ""
    name = subject["name"].replace("%", "%25").replace("\n", "%0A")
    return f"{subject['kind']} {home}{name}"


def _subject(line: str) -> Body:
    kind, _, rest = line.partition(" ")
    if kind == "ServiceAccount":
        namespace, _, name = rest.rpartition("/")
        return {"kind": kind, "name": name, **({"namespace": namespace} if namespace else {})}
    name = rest.replace("%0A", "\n").replace("%25", "%")
    return {"apiGroup": _RBAC, "kind": kind, "name": name}


def _add(path: str, value: Any) -> dict[str, Any]:
    return {"op": "add", "path": path, "value": value}
