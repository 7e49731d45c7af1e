"""The ClusterRoles that come with this version: whether they allow what they allowed.

What they allow is in ``roles.tsv``. The RoleBindings of tenants, and the bindings of our own
identities, give them by name: a role that somebody widened acts at once, in every namespace.
Bindings are not compared: anyone who may write them can give anything to anybody under any other
name.
"""

import itertools
from collections.abc import Iterable, Mapping

from securetenant.api import names
from securetenant.api.objects import Body

Allowed = Mapping[str, frozenset[str]]
"""Verbs by what they are about: a resource, a named object of one, or a path."""

ACCESS = tuple(names.cluster_role(each) for each in ("Admin", "Developer", "Viewer"))
"""Those that tenants' members hold."""
TENANTS = (*ACCESS, names.CANARY_ROLE)
"""Those that say what can be done in a namespace of a tenant."""
OWN = (
    "securetenant-node-reader",
    "securetenant-operator",
    "securetenant-verifier",
    "securetenant:override",
)
"""Those of our own identities."""
COMPARED = frozenset({*TENANTS, *OWN})
"""The others are for people, to whom the platform team binds and fits them."""

_COLUMNS = 3
_SHOWN = 3
_AGGREGATION = "aggregationRule"


def allowed(role: Body) -> dict[str, frozenset[str]]:
    """Return what a ClusterRole allows, however its rules are divided."""
    found: dict[str, set[str]] = {}
    for rule in role.get("rules") or ():
        for what in _subjects(rule):
            found.setdefault(what, set()).update(rule.get("verbs") or ())
    if role.get(_AGGREGATION):
        # Its rules are whatever other roles hold, now or later.
        found[_AGGREGATION] = {"anything"}
    return {what: frozenset(verbs) for what, verbs in sorted(found.items())}


def write(bodies: Iterable[Body]) -> str:
    """Return what the ClusterRoles among these objects allow that are compared.

    One line for each subject, in three columns: the role, the subject, the verbs.
    """
    rows = sorted(
        (body["metadata"]["name"], what, " ".join(sorted(verbs)))
        for body in bodies
        if body["kind"] == "ClusterRole" and body["metadata"]["name"] in COMPARED
        for what, verbs in allowed(body).items()
    )
    return "".join("\t".join(row) + "\n" for row in rows)


def read(text: str) -> dict[str, Allowed]:
    """Return what :func:`write` wrote. Raises ValueError if the text is anything else."""
    found: dict[str, dict[str, frozenset[str]]] = {}
    for number, line in enumerate(text.splitlines(keepends=True), start=1):
        columns = line.split("\t")
        if len(columns) != _COLUMNS or not all(columns) or not line.endswith("\n"):
            raise ValueError(f"line {number} is not a role, a subject and verbs")
        name, what, verbs = columns
        found.setdefault(name, {})[what] = frozenset(verbs.split())
    if missing := COMPARED - found.keys():
        raise ValueError(f"no line has the role {', '.join(sorted(missing))}")
    return dict(found)


def problem(
    seen: Mapping[str, Allowed], expected: Mapping[str, Allowed], compared: Iterable[str]
) -> str:
    """Say which of these roles allow something else than they should, with the remedy."""
    wrong, folders = [], set()
    for name in compared:
        told = _difference(seen.get(name), expected[name])
        if told:
            wrong.append(f"ClusterRole {name} {told}")
            folders.add("manifests/roles" if name in TENANTS else "your overlay of manifests")
    if not wrong:
        return ""
    more = f" and {len(wrong) - _SHOWN} more roles differ" if len(wrong) > _SHOWN else ""
    remedy = " and ".join(f"kubectl apply -k {each}" for each in sorted(folders))
    return f"{'; '.join(wrong[:_SHOWN])}{more}. Restore what differs: {remedy}"


def _difference(found: Allowed | None, expected: Allowed) -> str:
    if found is None:
        return "is missing"
    more, less = _beyond(found, expected), _beyond(expected, found)
    told = []
    if more:
        told.append(f"also allows {_listed(more)}")
    if less:
        told.append(f"does not allow {_listed(less)}")
    return " and ".join(told)


def _beyond(one: Allowed, other: Allowed) -> list[str]:
    """Return what the one allows and the other does not, as text."""
    nothing: frozenset[str] = frozenset()
    return [
        f"{', '.join(sorted(extra))} on {what}"
        for what, verbs in sorted(one.items())
        if (extra := verbs - other.get(what, nothing))
    ]


def _listed(texts: list[str]) -> str:
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return f"{', '.join(texts[:_SHOWN])}{more}"


def _subjects(rule: Body) -> Iterable[str]:
    yield from rule.get("nonResourceURLs") or ()
    pairs = itertools.product(rule.get("resources") or (), rule.get("apiGroups") or ())
    for resource, group in pairs:
        what = f"{resource}.{group}" if group else resource
        for name in rule.get("resourceNames") or ("",):
            yield f"{what} {name}" if name else what
