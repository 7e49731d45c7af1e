"""RoleBindings that the operator did not make, reduced to what they give beyond their tenant."""

import sys
from typing import NamedTuple

from securetenant.api import access, names
from securetenant.api.objects import Body

_NAMED = 3
"""How many subjects are remembered for people to read."""
_NAMESPACES = 1000
"""How many namespaces of ServiceAccounts are remembered: as many as a tenant can have."""
_ACCOUNT, _ACCOUNTS = "system:serviceaccount:", "system:serviceaccounts:"
"""How the user name of a ServiceAccount begins, and the group of all those of a namespace."""
_ROLES = frozenset(map(names.cluster_role, access.ROLES))


class ForeignBinding(NamedTuple):
    """What is remembered of one."""

    version: int
    uid: str
    accounts: frozenset[str]
    """Other namespaces whose ServiceAccounts it names."""
    beyond: tuple[str, ...]
    """What no tenant can write itself: people, and ClusterRoles that are not for tenants."""
    has_accounts: bool
    """Whether it names ServiceAccounts at all."""
    held: tuple[str, ...]
    """The finalizers of one that is being deleted; it gives rights until they are gone."""


def observe(body: Body) -> ForeignBinding:
    """Reduce a RoleBinding, as the API server returned it, to what is remembered."""
    metadata, role = body["metadata"], body["roleRef"]
    accounts: set[str] = set()
    people: list[str] = []
    for subject in body.get("subjects") or ():
        where = home(subject, metadata["namespace"])
        if where and len(accounts) < _NAMESPACES:
            accounts.add(sys.intern(where))
        elif not where and len(people) < _NAMED:
            people.append(f"{subject['kind']} {subject['name']}")
    beyond = [f"ClusterRole {role['name']}"] if _is_foreign(role) else []
    return ForeignBinding(
        int(metadata["resourceVersion"]),
        metadata["uid"],
        frozenset(accounts - {metadata["namespace"]}),
        (*beyond, *people),
        bool(accounts),
        tuple(metadata.get("finalizers", ())) if "deletionTimestamp" in metadata else (),
    )


def home(subject: Body, namespace: str) -> str:
    """Return the namespace of the ServiceAccounts that a subject names, however it names them."""
    kind, name = subject["kind"], str(subject["name"])
    if kind == "ServiceAccount":
        return str(subject.get("namespace", namespace))
    if kind == "User" and name.startswith(_ACCOUNT):
        return name.removeprefix(_ACCOUNT).partition(":")[0]
    if kind == "Group" and name.startswith(_ACCOUNTS):
        return name.removeprefix(_ACCOUNTS)
    return ""


def _is_foreign(role: Body) -> bool:
    return bool(role["kind"] == "ClusterRole" and role["name"] not in _ROLES)
