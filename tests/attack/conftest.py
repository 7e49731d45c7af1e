"""What attackers hold: the tenants, and the credentials that were lost."""

import contextlib
import functools
import os
from collections.abc import Iterator
from typing import Any

import pytest

import denials_workloads
import factory
import validating_half
from attack_harness import mutate
from conftest import OLDER, control_plane, settled
from harness import JSON_PATCH, OPERATOR, Api, Operator, wait_for, wait_for_account
from securetenant.api import kinds, names
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance
from stolen_operator import RBAC


@pytest.fixture(scope="session")
def tenants(admin: Api, operator: Operator) -> None:
    """Two tenants with an admin group each."""
    for name in ("north", "south"):
        subjects = [{"kind": "Group", "name": f"{name}-admins"}]
        body = factory.tenant(
            name,
            namespaces=[{"name": f"{name}-1"}, {"name": f"{name}-2"}],
            access=[{"name": "admins", "role": "Admin", "subjects": subjects}],
        )
        admin.create(kinds.SECURE_TENANT, body).ok()
    for name in ("north", "south"):
        settled(admin, name)
        for namespace in (f"{name}-1", f"{name}-2"):
            wait_for_account(admin, namespace)


@pytest.fixture(scope="session")
def bystander(admin: Api, tenants: None) -> None:
    """A namespace that is no tenant's, and a SecureTenant with somebody else's finalizer."""
    admin.create(kinds.NAMESPACE, {"metadata": {"name": "bystander"}}).ok()
    body = factory.tenant("finalized", namespaces=[{"name": "finalized-1"}])
    admin.create(kinds.SECURE_TENANT, body).ok()
    settled(admin, "finalized")
    path = kinds.SECURE_TENANT.path("", "finalized")
    patch = [{"op": "add", "path": "/metadata/finalizers/-", "value": "other.example/keep"}]
    admin.call("PATCH", path, patch, content_type=JSON_PATCH).ok()


@pytest.fixture(scope="session")
def members(sandbox: Instance) -> dict[str, Api]:
    """The admin of each tenant."""
    return {
        name: Api(kubeconfigs.for_user(sandbox, f"{name}-admin", (f"{name}-admins",)))
        for name in ("north", "south")
    }


@pytest.fixture(scope="session")
def north(members: dict[str, Api]) -> Api:
    """The admin of tenant north."""
    return members["north"]


@pytest.fixture(params=["north-1", "south-1"])
def victim(request: pytest.FixtureRequest) -> str:
    """A namespace of each tenant."""
    name: str = request.param
    return name


@pytest.fixture(params=["north", "south"])
def attacker(request: pytest.FixtureRequest) -> str:
    """Each tenant is one."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def as_operator(sandbox: Instance, operator: Operator) -> Api:
    """Whoever stole the operator's token."""
    return Api(
        kubeconfigs.for_service_account(sandbox, "securetenant-system", "securetenant-operator")
    )


@pytest.fixture(scope="session")
def node(sandbox: Instance) -> Api:
    """Whoever stole a node's credential."""
    return Api(kubeconfigs.for_user(sandbox, "system:node:node-0", ("system:nodes",)))


@pytest.fixture(scope="session")
def canary(sandbox: Instance) -> Api:
    """Whoever can speak as the verification identity."""
    return Api(kubeconfigs.for_user(sandbox, names.CANARY_USER, ()))


@pytest.fixture(scope="session")
def strict(admin: Api, operator: Operator, sandbox: Instance) -> Api:
    """The admin of a tenant that may ask for little, beside one by exception."""
    grant = {
        "name": "admins",
        "role": "Admin",
        "subjects": [{"kind": "Group", "name": "strict-admins"}],
    }
    spec = {"access": [grant], "workloads": denials_workloads.STRICT}
    exception = {"level": "baseline", "exceptionReason": "an old program"}
    for body in (
        factory.tenant("strict", namespaces=[{"name": "strict-1"}], **spec),
        factory.tenant("lenient", namespaces=[{"name": "lenient-1"}], podSecurity=exception),
    ):
        admin.create(kinds.SECURE_TENANT, body).ok()
    for name in ("strict", "lenient"):
        settled(admin, name)
        wait_for_account(admin, f"{name}-1")
    placed = {"podPidsLimit": 1024, "pids": "Require"}
    body = factory.tenant("placed", namespaces=[{"name": "placed-1"}], nodes=placed)
    admin.create(kinds.SECURE_TENANT, body).ok()
    wait_for_account(admin, "placed-1")
    # Whether a node keeps the limit or not: the namespace takes pods.
    wait_for(
        lambda: (
            names.READY_FOR_LABEL in admin.get(kinds.NAMESPACE, "placed-1")["metadata"]["labels"]
        ),
        what="placed-1 to be ready",
    )
    pod = mutate(factory.pod(), "spec.containers.0.image", denials_workloads.IMAGE)
    admin.create_pod("strict-1", mutate(pod, "metadata", {"name": "there"})).ok()
    path = "/api/v1/namespaces/strict-1/pods/there"
    wait_for(
        lambda: admin.call("GET", path).ok()["spec"].get("nodeName"), what="the pod to be scheduled"
    )
    return Api(kubeconfigs.for_user(sandbox, "strict-admin", ("strict-admins",)))


@pytest.fixture(scope="session")
def classes(admin: Api) -> None:
    """Classes that exist and that no tenant may name."""
    for group, plural, more in (
        ("scheduling.k8s.io/v1", "priorityclasses", {"value": 1000000}),
        ("node.k8s.io/v1", "runtimeclasses", {"handler": "host"}),
    ):
        body = {"metadata": {"name": "not-for-tenants"}, **more}
        admin.call("POST", f"/apis/{group}/{plural}", body).ok()


@pytest.fixture(scope="session")
def speakers(
    admin: Api, north: Api, strict: Api, node: Api, canary: Api, as_operator: Api
) -> dict[str, Api]:
    """Who sends the requests."""
    return {
        "admin": admin,
        "north": north,
        "strict": strict,
        "node": node,
        "canary": canary,
        "operator": as_operator,
    }


@pytest.fixture(scope="session")
def strange(admin: Api, breaker: Api, tenants: None) -> Iterator[None]:
    """A namespace that is not ready, and those of a frozen and of a quarantined tenant."""
    policy = admin.get(kinds.TENANT_POLICY, names.POLICY_NAME, "north-1")["spec"]
    for name, labels in (
        ("unready", {}),
        ("icy", {names.LOCKDOWN_LABEL: "Frozen"}),
        ("ill", {names.LOCKDOWN_LABEL: "Quarantined"}),
    ):
        marked = {names.TENANT_LABEL: "ghost", **labels}
        breaker.create(kinds.NAMESPACE, {"metadata": {"name": name, "labels": marked}}).ok()
        body = {
            "apiVersion": names.API_VERSION,
            "kind": kinds.TENANT_POLICY.name,
            "metadata": {"name": names.POLICY_NAME},
            "spec": {**policy, "tenant": "ghost"},
        }
        breaker.create(kinds.TENANT_POLICY, body, name).ok()
        wait_for_account(admin, name)
    # More than they hold anywhere: only the policies stand in the way of these two.
    wide = {"rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"]}]}
    path = f"/apis/{RBAC}/v1/namespaces/unready"
    breaker.call("POST", f"{path}/roles", {"metadata": {"name": "mine"}, **wide}).ok()
    binding = factory.binding(
        {"kind": "User", "name": names.CANARY_USER, "apiGroup": RBAC},
        {"kind": "ServiceAccount", "name": OPERATOR[1], "namespace": OPERATOR[0]},
    )
    breaker.call("POST", f"{path}/rolebindings", binding).ok()
    yield
    for name in ("unready", "icy", "ill"):
        breaker.delete(kinds.NAMESPACE, name).ok()


@pytest.fixture(scope="module")
def half(_half_ends: None) -> Instance:
    """A control plane as Kubernetes 1.34 is: no mutating policies, so the rules are alone."""
    return _half()


_HALF = contextlib.ExitStack()
"""Stops it."""


@functools.cache
def _half() -> Instance:
    name, manifests = f"half-{os.getpid()}", "manifests/kubernetes-1.34"
    plane = control_plane(name, manifests=manifests, emulated_version="1.34")
    instance = _HALF.enter_context(plane)
    validating_half.furnish(instance)
    api = Api(instance.admin_kubeconfig)
    # Policies come into force within a second or two, each by itself.
    for path, body in validating_half.CANARIES:
        wait_for(functools.partial(_is_refused, api, path, body), what=f"the policy about {path}")
    for path, body in validating_half.CANARIES[:2]:
        wait_for(functools.partial(_is_warned_of, api, path, body), what="the copy to be in force")
    return instance


def _end_half() -> None:
    _half.cache_clear()
    _HALF.close()


@pytest.fixture(scope="session")
def _half_ends() -> Iterator[None]:
    """Stop it however the run ends."""
    yield
    _end_half()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    """Stop it with the last of the files that need it: idle it takes 4 % of a core."""
    if nextitem is None or nextitem.path.name not in OLDER:
        _end_half()


def _is_warned_of(api: Api, path: str, body: Any) -> bool:
    return validating_half.UNCONDITIONAL in api.call("POST", path, body, dryRun="All").warnings


def _is_refused(api: Api, path: str, body: Any) -> bool:
    return "ValidatingAdmissionPolicy" in api.call("POST", path, body, dryRun="All").message


@pytest.fixture(scope="module")
def half_server(half: Instance) -> Api:
    """Its administrator: the rules are about objects and judge everybody."""
    return Api(half.admin_kubeconfig)


@pytest.fixture(scope="module")
def half_operator(half: Instance) -> Api:
    """The name of the operator, with every right: what holds it is the policies."""
    return Api(
        kubeconfigs.for_user(
            half, f"system:serviceaccount:{':'.join(OPERATOR)}", ("system:masters",)
        )
    )


@pytest.fixture(scope="module")
def half_member(half: Instance) -> Api:
    """An admin in every namespace of it: operators of the platform may set finalizers, and more."""
    return Api(kubeconfigs.for_user(half, "member", (validating_half.MEMBERS,)))
