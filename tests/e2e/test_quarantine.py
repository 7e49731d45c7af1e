"""A tenant that is cut off, while a connection of it is open."""

import time
from collections.abc import Iterator

import pytest

from e2e import world
from factory import tenant
from harness import PATIENCE, Api, kubectl, wait_for
from securetenant.api import kinds
from securetenant.sandbox.instances import Instance

SERVER = world.Probe(namespace="delta-a", name="server")
CUT_SECONDS = 45
"""The engine looks at connections that are open every 30 seconds; without one it takes none."""


@pytest.fixture(scope="module")
def delta(tenants: Instance) -> Iterator[Api]:
    admin = Api(tenants.admin_kubeconfig)
    body = tenant("delta", namespaces=[{"name": "delta-a"}])
    admin.apply(kinds.SECURE_TENANT, body, manager="e2e").ok()
    kubectl(tenants, "wait", "--for=condition=Ready", "securetenant/delta", "--timeout=60s")
    world.start(tenants, SERVER)
    yield admin
    lock(admin, "None")
    kubectl(tenants, "delete", "securetenant", "delta")


def lock(admin: Api, lockdown: str) -> None:
    admin.patch(kinds.SECURE_TENANT, "delta", {"spec": {"lockdown": lockdown}}).ok()


def test_a_quarantine_cuts_an_open_connection_and_ends_without_a_trace(
    delta: Api, tenants: Instance
) -> None:
    to = f"tcp/{world.address(tenants, 'delta-a', 'server')}/8080"
    holder = world.Probe(
        namespace="delta-a",
        name="holder",
        arguments=("hold", to),
        spec={"restartPolicy": "Never"},
    )
    world.start(tenants, holder)
    wait_for(lambda: world.said(tenants, holder), what="the connection")
    began = time.time()
    lock(delta, "Quarantined")
    said = wait_for(
        lambda: (found := world.said(tenants, holder))[-1]["state"] == "cut" and found,
        what="the connection to be cut",
        seconds=CUT_SECONDS,
    )
    assert said[-1]["at"] - began < CUT_SECONDS * PATIENCE
    lock(delta, "None")
    kubectl(tenants, "wait", "--for=condition=Ready", "securetenant/delta", "--timeout=60s")
    again = world.Probe(namespace="delta-a", name="again")
    world.start(tenants, again)
    wait_for(
        lambda: world.run(tenants, "delta-a", "again", "try", to)[to],
        what="a connection after the quarantine",
    )
