"""Services: a packet to one is judged as a packet to the pod behind it."""

import functools
from collections.abc import Iterator
from typing import Any

import pytest

from e2e import world
from harness import Api, kubectl, wait_for
from securetenant.api import kinds
from securetenant.sandbox.instances import Instance

_PORT = 80


def service(selector: dict[str, str]) -> dict[str, Any]:
    """Return a Service that leads to the named port of pods."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"selector": selector, "ports": [{"port": _PORT, "targetPort": "web"}]},
    }


@pytest.fixture(scope="module")
def services(tenants: Instance) -> Iterator[dict[str, str]]:
    """One in each of three namespaces; yields their addresses."""
    admin = Api(tenants.admin_kubeconfig)
    wanted = {"acme-prod": "web", "beta-web": "web", "tools": "api"}
    found = {}
    for namespace, app in wanted.items():
        body = admin.create(kinds.SERVICE, service({"app": app}), namespace).ok()
        found[namespace] = f"tcp/{body['spec']['clusterIP']}/{_PORT}"
    yield found
    for namespace in wanted:
        kubectl(tenants, "delete", "service", "web", f"-n{namespace}")


_REACHED = (
    ("tools/api", "acme-prod"),  # An opening by a named port.
    ("acme-prod/db", "acme-prod"),  # Within the tenant.
    ("acme-prod/db", "tools"),  # An opening outwards.
    ("beta-web/other", "beta-web"),
    ("tools/host", "tools"),
)
_NOT_REACHED = (
    ("tools/other", "acme-prod"),  # Not named by the opening.
    ("acme-staging/one", "tools"),  # A namespace that the opening does not name.
    ("acme-prod/web", "beta-web"),  # Another port than the peer's.
    ("beta-web/other", "acme-prod"),
    ("beta-web/other", "tools"),
)


def test_a_tenants_pod_finds_a_service_by_its_name(
    services: dict[str, str], tenants: Instance
) -> None:
    """By the cluster's DNS, which its NetworkPolicies open."""
    assert services

    def reaches(target: str) -> bool:
        return bool(world.run(tenants, "acme-prod", "db", "try", target)[target])

    for target in (f"tcp/web/{_PORT}", f"tcp/web.tools.svc.cluster.local/{_PORT}"):
        wait_for(functools.partial(reaches, target), what=f"a connection to {target}")


def test_a_service_opens_nothing_and_closes_nothing(
    services: dict[str, str], tenants: Instance
) -> None:
    def reaches(source: str, target: str) -> bool:
        namespace, _, pod = source.partition("/")
        address = services[target]
        return bool(world.run(tenants, namespace, pod, "try", address)[address])

    # From each node somebody reaches one: from then on a refusal is the policies'.
    for source, target in _REACHED:
        wait_for(functools.partial(reaches, source, target), what=f"{source} to reach {target}")
    assert [each for each in _NOT_REACHED if reaches(*each)] == []
