"""What attackers hold: the tenants, and the credentials that were lost."""

from collections.abc import Iterator

import pytest

import factory
from conftest import settled
from harness import JSON_PATCH, OPERATOR, Api, Operator, wait_for_account
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
def speakers(admin: Api, north: Api, node: Api, canary: Api, as_operator: Api) -> dict[str, Api]:
    """Who sends the requests."""
    return {
        "admin": admin,
        "north": north,
        "node": node,
        "canary": canary,
        "operator": as_operator,
    }


@pytest.fixture(scope="session")
def strange(admin: Api, breaker: Api, tenants: None) -> Iterator[None]:
    """A namespace that is not ready, and one of a frozen tenant."""
    policy = admin.get(kinds.TENANT_POLICY, names.POLICY_NAME, "north-1")["spec"]
    for name, labels in (("unready", {}), ("icy", {names.LOCKDOWN_LABEL: "Frozen"})):
        marked = {names.TENANT_LABEL: "ghost", **labels}
        breaker.create(kinds.NAMESPACE, {"metadata": {"name": name, "labels": marked}}).ok()
        wait_for_account(admin, name)
        body = {
            "apiVersion": names.API_VERSION,
            "kind": kinds.TENANT_POLICY.name,
            "metadata": {"name": names.POLICY_NAME},
            "spec": {**policy, "tenant": "ghost"},
        }
        breaker.create(kinds.TENANT_POLICY, body, name).ok()
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
    for name in ("unready", "icy"):
        breaker.delete(kinds.NAMESPACE, name).ok()
