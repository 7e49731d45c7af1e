"""Make a binding, then use it: chains of two steps, enumerated for each stolen credential.

The first step is tried in dry-run for every role, subject and name. What is admitted is what a
second step could use, so the page lists it, and the test says which of it must not be there.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import factory
from harness import OPERATOR, Answer, Api
from securetenant.api import names
from stolen_operator import BINDINGS, LABELS, RBAC

ROLES = (
    "securetenant:admin",
    "securetenant:developer",
    "securetenant:viewer",
    names.CANARY_ROLE,
    "securetenant-operator",
    "cluster-admin",
    "edit",
)
BINDING_NAMES = ("securetenant-x", names.CANARY, "mine")


def _account(namespace: str, name: str) -> dict[str, str]:
    return {"kind": "ServiceAccount", "namespace": namespace, "name": name}


def _person(kind: str, name: str) -> dict[str, str]:
    return {"apiGroup": RBAC, "kind": kind, "name": name}


CREDENTIALS = (
    _account(*OPERATOR),
    _account(names.OPERATOR_NAMESPACE, "securetenant-verifier"),
    _account(names.OPERATOR_NAMESPACE, names.NODE_READER),
    _account("kube-system", "namespace-controller"),
    _account("south-1", "default"),
    _account("bystander", "default"),
    _person("User", names.CANARY_USER),
    _person("User", "system:kube-controller-manager"),
    _person("Group", "securetenant:break-glass"),
    _person("Group", "system:nodes"),
    _person("Group", "system:authenticated"),
    _person("Group", "system:serviceaccounts"),
)
"""What a thief may hold already, or everybody holds: they may be given nothing in tenant north."""
OWN = (_account("north-1", "idle"), _account("north-2", "default"))
PEOPLE = (_person("User", "mallory"), _person("Group", "strangers"))
SUBJECTS = (*CREDENTIALS, *OWN, *PEOPLE)


class Step(NamedTuple):
    """A binding in a namespace of tenant north that was admitted."""

    role: str
    subject: str
    name: str


def told(subject: dict[str, str]) -> str:
    """Return how a subject reads."""
    where = f"{subject['namespace']}/" if "namespace" in subject else ""
    return f"{subject['kind']} {where}{subject['name']}"


def admitted(send: Callable[[Any], Answer]) -> Iterator[Step]:
    """Yield every binding that is admitted; one that exists already was let through."""
    for role in ROLES:
        for subject in SUBJECTS:
            for name in BINDING_NAMES:
                body = factory.binding(subject, role=role)
                # Our labels are for names of ours: on others they are refused for that alone.
                labels = LABELS if name.startswith(names.MANAGED_PREFIX) else {}
                answer = send({**body, "metadata": {"name": name, "labels": labels}})
                if answer.status < 300 or answer.status == 409:
                    yield Step(role, told(subject), name)


def dry_run(api: Api) -> Callable[[Any], Answer]:
    """Return how a binding is tried in dry-run."""
    return lambda body: api.call("POST", BINDINGS.format("north-1"), body, dryRun="All")


def for_good(api: Api) -> Callable[[Any], Answer]:
    """Return how a binding is made."""
    return lambda body: api.call("POST", BINDINGS.format("north-1"), body)


def table(steps: Mapping[str, Iterable[Step]]) -> str:
    """Return what each credential can bind, for the page."""
    lines = [
        (
            f"Of {len(ROLES)} roles, {len(SUBJECTS)} subjects and {len(BINDING_NAMES)} names of a"
            " RoleBinding in a tenant's namespace, these are admitted. Anyone who is named in a row"
            " could use it in a second step."
        ),
        "",
        "| Credential | Role | To | By the name |",
        "|---|---|---|---|",
    ]
    for title, found in steps.items():
        rows = sorted(found)
        lines += [
            f"| {title} | `{each.role}` | {each.subject} | `{each.name}` |" for each in rows
        ] or [f"| {title} | none | | |"]
    return "\n".join(lines) + "\n"
