"""Tenants that stand for a module of tests: made, ready, and deleted in the end."""

import contextlib
import functools
from collections.abc import Iterator, Mapping
from typing import Any

import factory
from harness import Api, wait_for, wait_for_account
from securetenant.api import kinds, names
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance


@contextlib.contextmanager
def tenants(admin: Api, modes: Mapping[str, str], *, role: str, **spec: Any) -> Iterator[None]:
    """Make a tenant for each name, in the mode given, with the namespace ``<name>-1``.

    The group ``<name>-members`` has the role there. In a string of ``spec`` ``NAME`` is the name.
    """
    quota = {
        "pods": 10,
        "persistentvolumeclaims": 10,
        "requests.storage": "10Gi",
        "services": 10,
        **spec.pop("quota", {}),
    }
    for name, mode in modes.items():
        subjects = [{"kind": "Group", "name": f"{name}-members"}]
        body = factory.tenant(
            name,
            namespaces=[{"name": f"{name}-1"}],
            access=[{"name": "members", "role": role, "subjects": subjects}],
            enforcement=mode,
            quota=quota,
            **_named(spec, name),
        )
        admin.create(kinds.SECURE_TENANT, body).ok()
    for name in modes:
        wait_for_account(admin, f"{name}-1")
        wait_for(functools.partial(is_ready, admin, f"{name}-1"), what=f"{name} to be ready")
    yield
    for name in modes:
        patch = {"spec": {"deletionPolicy": "Delete"}}
        admin.patch(kinds.SECURE_TENANT, name, patch).ok()
        admin.delete(kinds.SECURE_TENANT, name).ok()


def is_ready(admin: Api, namespace: str) -> bool:
    """Tell whether a namespace takes workloads."""
    return names.READY_FOR_LABEL in admin.get(kinds.NAMESPACE, namespace)["metadata"]["labels"]


def member(sandbox: Instance, name: str) -> Api:
    """Return a member of such a tenant."""
    return Api(kubeconfigs.for_user(sandbox, f"{name}-member", (f"{name}-members",)))


def leaving(name: str, left: str, **spec: Any) -> dict[str, Any]:
    """Return a tenant of two namespaces, ``<name>-prod`` and one that will leave.

    The group ``<name>-members`` has the role Admin.
    """
    subjects = [{"kind": "Group", "name": f"{name}-members"}]
    return factory.tenant(
        name,
        namespaces=[{"name": f"{name}-prod"}, {"name": left}],
        access=[{"name": "members", "role": "Admin", "subjects": subjects}],
        **spec,
    )


def move(admin: Api, breaker: Api, namespace: str, to: str, **spec: Any) -> None:
    """Give a namespace to a new tenant with all it holds, as an administrator can."""
    body = factory.tenant(to, namespaces=[{"name": namespace}], **spec)
    admin.create(kinds.SECURE_TENANT, body).ok()
    labels = {names.TENANT_LABEL: to, names.STATE_LABEL: "active"}
    annotations = {names.ADOPT_ANNOTATION: to}
    patch = {"metadata": {"annotations": annotations, "labels": labels}}
    breaker.patch(kinds.NAMESPACE, namespace, patch).ok()


def _named(value: Any, name: str) -> Any:
    if isinstance(value, str):
        return value.replace("NAME", name)
    if isinstance(value, dict):
        return {key: _named(each, name) for key, each in value.items()}
    return [_named(each, name) for each in value] if isinstance(value, list) else value
