"""The ClusterRoles that come with this version: whether they allow what they allowed.

What they allow is in ``roles.tsv``. The RoleBindings of tenants, and the bindings of our own
identities, give them by name: a role that somebody widened acts at once, in every namespace.
Bindings are not compared: anyone who may write them can give anything to anybody under any other
name.

The roles of members are aggregated: kube-controller-manager fills them with the rules of every
ClusterRole that carries their label, those of this version and those that the platform adds. So
what comes with this version is compared, and of each role of members that it selects by our labels
only and holds nothing beyond what carries them.
"""

import itertools
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from securetenant.api import names
from securetenant.api.objects import Body

Allowed = Mapping[str, frozenset[str]]
"""Verbs by what they are about: a resource, a named object of one, or a path."""

_LEVELS = {"Admin": ("Admin", "Developer", "Viewer"), "Developer": ("Developer", "Viewer")}
"""An admin has what a developer has, who has what a viewer has."""
SOURCES = {
    names.cluster_role(each): tuple(map(names.aggregation_label, _LEVELS.get(each, (each,))))
    for each in ("Admin", "Developer", "Viewer")
}
"""The roles that members hold, and the labels by which they gather what they allow."""
BASE = tuple(names.base_role(each) for each in ("Admin", "Developer", "Viewer"))
"""What this version gives to them."""
ACCESS = (*SOURCES, *BASE)
"""Those that say what members may do."""
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
"""The others are for people, the platform team binds and fits them."""

_COLUMNS = 3
_SHOWN = 3
_AGGREGATION = "aggregationRule"


class Source(NamedTuple):
    """A ClusterRole whose rules go to the roles of members."""

    labels: frozenset[str]
    """Which of our labels it carries."""
    allowed: Allowed


def source(role: Body) -> Source | None:
    """Return what a ClusterRole gives to the roles of members; nothing if it carries no label."""
    labels = role["metadata"].get("labels") or {}
    wanted = SOURCES[names.cluster_role("Admin")]
    found = frozenset(each for each in wanted if labels.get(each) == "true")
    return Source(found, allowed(role)) if found else None


def allowed(role: Body) -> dict[str, frozenset[str]]:
    """Return what a ClusterRole allows, however its rules are divided, and what it gathers by."""
    found: dict[str, set[str]] = {}
    for rule in role.get("rules") or ():
        for what in _subjects(rule):
            found.setdefault(what, set()).update(rule.get("verbs") or ())
    for selector in (role.get(_AGGREGATION) or {}).get("clusterRoleSelectors") or ():
        found[f"{_AGGREGATION} {_told(selector)}"] = {"anything"}
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
    seen: Mapping[str, Allowed],
    expected: Mapping[str, Allowed],
    compared: Iterable[str],
    sources: Mapping[str, Source],
) -> str:
    """Say which of these roles allow something else than they should, with the remedy.

    ``sources`` are the ClusterRoles whose rules go to the roles of members, as they are seen.
    """
    wrong, folders = [], set()
    for name in compared:
        told = (
            _gathered(name, seen.get(name), expected, sources)
            if name in SOURCES
            else _difference(seen.get(name), expected[name])
        )
        if told:
            wrong.append(f"ClusterRole {name} {told}")
            folders.add("manifests/roles" if name in TENANTS else "your overlay of manifests")
    if not wrong:
        return ""
    more = f" and {len(wrong) - _SHOWN} more roles differ" if len(wrong) > _SHOWN else ""
    remedy = " and ".join(f"kubectl apply -k {each}" for each in sorted(folders))
    return f"{'; '.join(wrong[:_SHOWN])}{more}. Restore what differs: {remedy}"


def additions(seen: Mapping[str, Allowed], sources: Mapping[str, Source]) -> str:
    """Name the ClusterRoles of others whose rights members hold, and who holds them."""
    found = []
    for name, each in sorted(sources.items()):
        holders = [
            role
            for role, labels in SOURCES.items()
            if each.labels & {*labels} and not _beyond(each.allowed, seen.get(role, {}))
        ]
        if name not in BASE and holders:
            found.append(f"{name} ({', '.join(holders)})")
    return f"more rights come from ClusterRoles {_listed(found)}" if found else ""


def _gathered(
    name: str, found: Allowed | None, expected: Mapping[str, Allowed], sources: Mapping[str, Source]
) -> str:
    """Say how a role of members differs from what it should gather.

    What it lacks is said only of this version's rules: what others add, or what somebody changed
    in the product's, is there a moment later, and until then nobody holds too much.
    """
    if found is None:
        return "is missing"
    labels = {*SOURCES[name]}
    gathered = {role: each for role, each in sources.items() if each.labels & labels}
    of_ours = [_both(gathered[role].allowed, expected[role]) for role in BASE if role in gathered]
    may = _union([expected[name], *(each.allowed for each in gathered.values())])
    must = _union([expected[name], *of_ours])
    told = []
    if more := _beyond(found, may):
        told.append(f"also allows {_listed(more)}")
    if less := _beyond(must, found):
        told.append(
            f"does not allow {_listed(less)}, which kube-controller-manager fills in (controller"
            " clusterrole-aggregation)"
        )
    return " and ".join(told)


def _union(each: Iterable[Allowed]) -> Allowed:
    found: dict[str, frozenset[str]] = {}
    for one in each:
        for what, verbs in one.items():
            found[what] = found.get(what, frozenset()) | verbs
    return found


def _both(one: Allowed, other: Allowed) -> Allowed:
    return {what: verbs & other[what] for what, verbs in one.items() if what in other}


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


def _told(selector: Body) -> str:
    """Return how a selector of ClusterRoles reads, in one line."""
    labels, rest = selector.get("matchLabels") or {}, selector.get("matchExpressions")
    told = [f"{key}={value}" for key, value in sorted(labels.items())]
    told += [f"{each.get('key')} {each.get('operator')}" for each in rest or ()]
    return ",".join(told) or "everything"
