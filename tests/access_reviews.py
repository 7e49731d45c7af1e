"""What a credential may do: asked of the API server, verb by verb, for everything that it serves.

Enumerated, not sampled: discovery says which resources and subresources there are, and the roles
of the cluster say which names are worth a question of their own (RBAC compares names literally).
Where the API server lists all the rules that somebody has, only what one of them is about is asked.
"""

import functools
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from harness import Api
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance

RBAC = "rbac.authorization.k8s.io"
VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
HTTP_VERBS = ("delete", "get", "patch", "post", "put")
IMPERSONATE = (
    "impersonate",
    # Constrained impersonation (KEP-5284).
    "impersonate:arbitrary-node",
    "impersonate:associated-node",
    "impersonate:serviceaccount",
    "impersonate:user-info",
)
_CONNECTIONS = 4

Asked = TypeVar("Asked")


class Target(NamedTuple):
    """A resource or subresource as an authorizer sees it."""

    group: str
    resource: str
    subresource: str = ""
    namespaced: bool = False
    name: str = ""

    def __str__(self) -> str:
        """Return it as kubectl spells it."""
        text = f"{self.resource}.{self.group}" if self.group else self.resource
        text += f"/{self.subresource}" if self.subresource else ""
        return f"{text} {self.name}" if self.name else text


class Question(NamedTuple):
    """One access review."""

    verb: str
    target: Target
    place: str = ""
    """A namespace; empty is cluster-wide."""
    selector: str = ""
    """A field that the request selects by, as ``spec.nodeName=node-0``."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Whose credential was lost."""

    title: str
    user: str
    groups: tuple[str, ...] = ()
    places: tuple[tuple[str, str], ...] = ()
    """Namespaces to ask about, and how the table calls them."""

    @classmethod
    def account(cls, title: str, namespace: str, name: str, **more: object) -> "Identity":
        """Return a ServiceAccount, with the groups that its token brings."""
        return cls(
            title=title,
            user=f"system:serviceaccount:{namespace}:{name}",
            groups=("system:serviceaccounts", f"system:serviceaccounts:{namespace}"),
            **more,  # type: ignore[arg-type]  # the places, as given.
        )


BESIDE_DISCOVERY: tuple[tuple[tuple[str, ...], tuple[Target, ...]], ...] = (
    # The kubelet asks for these before it answers on its own port.
    (
        VERBS,
        tuple(
            Target("", "nodes", each)
            for each in (
                "checkpoint",
                "configz",
                "healthz",
                "log",
                "metrics",
                "pods",
                "spec",
                "stats",
            )
        ),
    ),
    # Verbs that are no requests: the API server asks for them within others.
    (
        IMPERSONATE,
        (
            Target("", "groups"),
            Target("", "serviceaccounts", namespaced=True),
            Target("", "users"),
            Target("authentication.k8s.io", "groups"),
            Target("authentication.k8s.io", "nodes"),
            Target("authentication.k8s.io", "serviceaccounts", namespaced=True),
            Target("authentication.k8s.io", "uids"),
            Target("authentication.k8s.io", "userextras", "scopes"),
            Target("authentication.k8s.io", "users"),
        ),
    ),
    (
        ("bind", "escalate"),
        (Target(RBAC, "clusterroles"), Target(RBAC, "roles", namespaced=True)),
    ),
    (("approve", "attest", "sign"), (Target("certificates.k8s.io", "signers"),)),
    (("override",), (Target("securetenant.io", "securetenants"),)),
)
"""Targets that discovery does not list, and verbs beyond the usual eight."""


def served(admin: Api) -> list[Target]:
    """Return every resource and subresource of every version that the API server serves."""
    groups = admin.call("GET", "/apis").ok()["groups"]
    paths = ["/api/v1"]
    paths += [f"/apis/{each['groupVersion']}" for group in groups for each in group["versions"]]
    found = set()
    for path in paths:
        group = path.split("/")[2] if path.startswith("/apis/") else ""
        for each in admin.call("GET", path).ok()["resources"]:
            resource, _, subresource = each["name"].partition("/")
            found.add(Target(group, resource, subresource, each["namespaced"]))
    return sorted(found)


def named(admin: Api, targets: Iterable[Target]) -> Iterator[tuple[str, Target]]:
    """Yield (verb, target) for every name that a role of the cluster is limited to."""
    every = tuple(targets)
    for kind in ("clusterroles", "roles"):
        for role in admin.call("GET", f"/apis/{RBAC}/v1/{kind}").ok()["items"]:
            for rule in role.get("rules") or ():
                for name in rule.get("resourceNames") or ():
                    for target in filter(functools.partial(_covers, rule), every):
                        for verb in VERBS if "*" in rule["verbs"] else rule["verbs"]:
                            yield verb, target._replace(name=name)


def _covers(rule: Any, target: Target) -> bool:
    """Tell whether a rule of a role is about this target."""
    spelled = f"{target.resource}/{target.subresource}".rstrip("/")
    wanted = {spelled, "*", f"*/{target.subresource}"}
    groups, resources = rule.get("apiGroups") or (), rule.get("resources") or ()
    return bool({target.group, "*"} & {*groups} and wanted & {*resources})


def questions(admin: Api) -> list[tuple[str, Target]]:
    """Return every (verb, target) there is to ask about."""
    targets = served(admin)
    found = {(verb, target) for target in targets for verb in VERBS}
    for verbs, more in BESIDE_DISCOVERY:
        found |= {(verb, target) for target in more for verb in verbs}
        targets += more
    found |= set(named(admin, targets))
    return sorted(found)


def paths(admin: Api) -> list[tuple[str, str]]:
    """Return paths that are no resources, and how to call them: one deeper path for each root."""
    found: dict[str, str] = {}
    for path in sorted(admin.call("GET", "/").ok()["paths"]):
        _, root, *deeper = path.split("/")
        found.setdefault(f"/{root}/*" if deeper else path, path)
    found.update({"/": "/", "/debug/pprof/*": "/debug/pprof/heap", "/logs/*": "/logs/x"})
    return sorted(found.items())


class Court:
    """Asks access reviews over connections that are kept."""

    def __init__(self, sandbox: Instance) -> None:
        self._sandbox = sandbox
        self._clients = [Api(sandbox.admin_kubeconfig) for _ in range(_CONNECTIONS)]

    def worth_asking(
        self, who: Identity, place: str, every: Sequence[tuple[str, Target]]
    ) -> list[tuple[str, Target]]:
        """Leave out what no rule is about that somebody has in a namespace, whatever the names.

        Nothing is left out where the API server says that its list is not the whole: the Node
        authorizer has none. Nobody but a user may ask for a list.
        """
        if who.user == "system:anonymous":
            return list(every)
        client = Api(self._login(who))
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectRulesReview",
            "spec": {"namespace": place},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
        told = client.call("POST", path, review).ok()["status"]
        if told["incomplete"]:
            return list(every)
        return [
            (verb, target)
            for verb, target in every
            if any(
                {verb, "*"} & {*rule["verbs"]} and _covers(rule, target)
                for rule in told["resourceRules"]
            )
        ]

    def _login(self, who: Identity) -> Path:
        account = who.user.removeprefix("system:serviceaccount:")
        if account != who.user:
            return kubeconfigs.for_service_account(self._sandbox, *account.split(":"))
        return kubeconfigs.for_user(self._sandbox, who.user, who.groups)

    def is_bound(self, who: Identity, place: str) -> bool:
        """Tell whether a RoleBinding there names somebody that this identity is.

        RBAC answers in a namespace as it does cluster-wide, plus its RoleBindings: where none
        of them is about somebody, there is nothing more to ask. The Node authorizer is another.
        """
        if "system:nodes" in who.groups:
            return True
        path = f"/apis/{RBAC}/v1/namespaces/{place}/rolebindings"
        known = {who.user, *_groups(who)}
        return any(
            subject["name"] in known
            or f"system:serviceaccount:{subject.get('namespace')}:{subject['name']}" == who.user
            for each in self._clients[0].call("GET", path).ok()["items"]
            for subject in each.get("subjects") or ()
        )

    def allowed(self, who: Identity, asked: Sequence[Question]) -> list[Question]:
        """Return what is allowed, in order."""
        return self._ask(who, [(each, {"resourceAttributes": _attributes(each)}) for each in asked])

    def allowed_paths(self, who: Identity, asked: Sequence[tuple[str, str]]) -> list[str]:
        """Return ``verb path`` for each allowed request that is for no resource."""
        found = [
            (
                f"{verb} {title}",
                {"nonResourceAttributes": {"path": path, "verb": verb}},
            )
            for title, path in asked
            for verb in HTTP_VERBS
        ]
        return self._ask(who, found)

    def _ask(self, who: Identity, asked: Sequence[tuple[Asked, object]]) -> list[Asked]:
        def share(index: int) -> list[bool]:
            return [
                _yes(self._clients[index], who, attributes)
                for _, attributes in asked[index::_CONNECTIONS]
            ]

        answers: list[bool] = [False] * len(asked)
        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            for index, part in enumerate(pool.map(share, range(_CONNECTIONS))):
                answers[index::_CONNECTIONS] = part
        return [each for (each, _), yes in zip(asked, answers, strict=True) if yes]


def _attributes(asked: Question) -> dict[str, object]:
    target = asked.target
    found: dict[str, object] = {
        "verb": asked.verb,
        "group": target.group,
        "resource": target.resource,
        "subresource": target.subresource,
        "namespace": asked.place,
        "name": target.name,
    }
    if asked.selector:
        key, _, value = asked.selector.partition("=")
        requirement = {"key": key, "operator": "In", "values": [value]}
        found["fieldSelector"] = {"requirements": [requirement]}
    return found


def _groups(who: Identity) -> list[str]:
    every = "unauthenticated" if who.user == "system:anonymous" else "authenticated"
    return [*who.groups, f"system:{every}"]


def _yes(client: Api, who: Identity, attributes: object) -> bool:
    assert isinstance(attributes, dict)
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": who.user, "groups": _groups(who), **attributes},
    }
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    answer = client.call("POST", path, review).ok()
    return bool(answer["status"].get("allowed", False))


Right = tuple[str, str, str]
"""(where, target, verb), in the words of the table."""


def rights(
    court: Court, who: Identity, every: Sequence[tuple[str, Target]], beyond: frozenset[Right]
) -> frozenset[Right]:
    """Return all that an identity may do beyond what ``beyond`` already says."""
    # What holds cluster-wide is in the list of every namespace.
    worth = court.worth_asking(who, "default", every)
    wide = court.allowed(who, [Question(verb, target) for verb, target in worth])
    found = {
        ("every namespace" if target.namespaced else "the cluster", str(target), verb)
        for verb, target, _, _ in wide
    }
    known = {(verb, target) for verb, target, _, _ in wide}
    inside = [
        (verb, target)
        for verb, target in every
        # A request for one Namespace carries its name as the namespace too.
        if (target.namespaced or target.resource == "namespaces") and (verb, target) not in known
    ]
    for place, title in who.places:
        if not court.is_bound(who, place):
            continue
        found |= {
            (title, str(target), verb)
            for verb, target, _, _ in court.allowed(
                who,
                [
                    Question(verb, target, place)
                    for verb, target in court.worth_asking(who, place, inside)
                ],
            )
        }
    return _unnamed(frozenset(found) - beyond)


def _unnamed(found: frozenset[Right]) -> frozenset[Right]:
    """Leave out what is said of one name and holds for every name."""
    return frozenset(
        (where, target, verb)
        for where, target, verb in found
        if " " not in target or (where, target.partition(" ")[0], verb) not in found
    )


def table(found: Iterable[Right]) -> str:
    """Return a Markdown table: equal verbs in equal places in one row."""
    verbs: dict[tuple[str, str], list[str]] = {}
    for where, target, verb in sorted(found):
        verbs.setdefault((where, target), []).append(verb)
    rows: dict[tuple[str, str], list[str]] = {}
    for (where, target), each in verbs.items():
        rows.setdefault((where, ", ".join(each)), []).append(target)
    if not rows:
        return "Nothing.\n"
    lines = ["| Where | May | What |", "|---|---|---|"]
    lines += [
        f"| {where} | {said} | {', '.join(f'`{each}`' for each in targets)} |"
        for (where, said), targets in sorted(rows.items())
    ]
    return "\n".join(lines) + "\n"
