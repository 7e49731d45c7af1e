"""What attackers hold: the tenants, and the credentials that were lost."""

import pytest

import factory
from conftest import settled
from harness import Api, Operator, wait_for
from securetenant.api import kinds, names
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance


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


def wait_for_account(admin: Api, namespace: str) -> None:
    """Wait for the ServiceAccount without which no pod is admitted."""
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/default"
    wait_for(lambda: admin.call("GET", path).status == 200, what=path)


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
