"""What no person and no program of a tenant may do: rows A of the catalogue, as access reviews."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from securetenant.api import names
from securetenant.api.access import ROLES, Grant, Subject
from securetenant.checks.attacks.objects import Other
from securetenant.checks.attacks.verdicts import Question

_EVERYBODY = "system:authenticated"
_PERSON = f"{names.GROUP.partition('.')[0]}:isolation-trial"
"""A user that no binding names: with a group, what that group may do."""


class Who(NamedTuple):
    """Whose rights are asked for."""

    told: str
    """For people."""
    user: str
    groups: tuple[str, ...]


def anybody() -> Who:
    """Return somebody who is logged in, and nothing else."""
    return Who("anybody who is logged in", _PERSON, (_EVERYBODY,))


def account(namespace: str, name: str) -> Who:
    """Return a ServiceAccount."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", _EVERYBODY)
    user = f"system:serviceaccount:{namespace}:{name}"
    return Who(f"ServiceAccount {namespace}/{name}", user, groups)


def _subject(subject: Subject) -> Who:
    """Return somebody who has access by the spec.

    In which groups a user is, the cluster does not know; of a group it is somebody unknown.
    """
    if subject.kind == "ServiceAccount":
        return account(str(subject.namespace), subject.name)
    if subject.kind == "Group":
        return Who(f"Group {subject.name}", _PERSON, (subject.name, _EVERYBODY))
    return Who(f"User {subject.name}", subject.name, (_EVERYBODY,))


def asked_about(grants: Iterable[Grant], namespace: str, turn: int) -> Iterator[Who]:
    """Yield whose rights are asked for: of each role one subject in turn, and who has none."""
    given = list(grants)
    for role in ROLES:
        subjects = [
            each
            for grant in given
            if grant.role == role and (grant.namespaces is None or namespace in grant.namespaces)
            for each in grant.subjects
        ]
        if subjects:
            yield _subject(subjects[turn % len(subjects)])
    yield account(namespace, "default")
    yield anybody()


class _Row(NamedTuple):
    row: str
    what: str
    verb: str
    group: str
    resource: str
    subresource: str = ""
    where: str = ""
    """own: the tenant's namespace; other: somebody else's; empty: the cluster."""
    name: str = ""


_ADMISSION = "admissionregistration.k8s.io"
_RBAC = "rbac.authorization.k8s.io"
_ALWAYS = (
    _Row("A02", "give any right away", "escalate", _RBAC, "clusterroles"),
    _Row("A03", "be somebody else", "impersonate", "", "users"),
    _Row("A06", "read another tenant's Secrets", "get", "", "secrets", "", "other"),
    _Row("A07", "make pods in another's namespace", "create", "", "pods", "", "other"),
    _Row("A14", "change the own quota", "patch", "", "resourcequotas", "", "own"),
    _Row("A21", "change tenants", "patch", names.GROUP, "securetenants"),
)
_IN_TURN = (
    _Row("A04", "take another tenant's token", "create", "", "serviceaccounts", "token", "other"),
    _Row("A08", "run a command in another's pod", "create", "", "pods", "exec", "other"),
    _Row("A09", "run a command by the kubelet", "get", "", "nodes", "proxy"),
    _Row("A10", "change nodes", "patch", "", "nodes"),
    _Row("A11", "change the own namespace", "patch", "", "namespaces", "", "own", "own"),
    _Row("A19", "change admission policies", "patch", _ADMISSION, "validatingadmissionpolicies"),
)
_TURNS = 3
"""In how many verifications each of the latter has its turn."""


def questions(who: Who, namespace: str, other: Other, turn: int) -> Iterator[Question]:
    """Yield what this one may not do, that is asked in this verification of the namespace."""
    places = {"own": namespace, "other": other.namespace, "": ""}
    for each in (*_ALWAYS, *_IN_TURN[turn % _TURNS :: _TURNS]):
        yield Question(
            row=each.row,
            what=f"{who.told}: {each.what}",
            user=who.user,
            groups=who.groups,
            verb=each.verb,
            group=each.group,
            resource=each.resource,
            subresource=each.subresource,
            namespace=places[each.where],
            name=namespace if each.name else "",
            critical=True,
        )
