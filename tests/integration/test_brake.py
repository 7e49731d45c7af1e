"""One brake for every deletion of namespaces, on a control plane of its own, over restarts."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from conftest import control_plane, operating, settled
from factory import tenant
from harness import Api, Operator, conditions, settle, wait_for, writes_by_operator
from securetenant.api import kinds, names
from securetenant.sandbox.instances import Instance


@pytest.fixture(scope="module")
def cluster() -> Iterator[Instance]:
    with control_plane(f"test-{os.getpid()}-brake", audit=True) as instance:
        yield instance


@pytest.fixture(scope="module")
def boss(cluster: Instance) -> Api:
    return Api(cluster.admin_kubeconfig)


@pytest.fixture(scope="module")
def braked(cluster: Instance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    with operating(cluster, tmp_path_factory.mktemp("operator") / "log") as process:
        yield process


def allow(boss: Api, most: int) -> None:
    spec = {"spec": {"teardownsPerHour": most}}
    generation = boss.patch(kinds.TENANCY_SETTINGS, "default", spec).ok()["metadata"]["generation"]
    wait_for(
        lambda: (
            boss.get(kinds.TENANCY_SETTINGS, "default")["status"]["observedGeneration"]
            == generation
        ),
        what="the operator to see the settings",
    )


def losing(boss: Api) -> list[str]:
    """Name the tenants that lost namespaces within the last hour: in tests, all that did."""
    status = boss.get(kinds.TENANCY_SETTINGS, "default").get("status", {})
    return sorted(entry["tenant"] for entry in status.get("teardowns", []))


def make(boss: Api, name: str, *spaces: str) -> None:
    entries = [{"name": f"{name}-{each}"} for each in spaces]
    body = tenant(name, namespaces=entries, deletionPolicy="Delete")
    boss.apply(kinds.SECURE_TENANT, body, manager="test").ok()


def told(boss: Api, name: str) -> Any:
    return conditions(boss.get(kinds.SECURE_TENANT, name)).get("Ready", {})


def is_there(boss: Api, namespace: str) -> bool:
    found = boss.get(kinds.NAMESPACE, namespace)
    return found is not None and "deletionTimestamp" not in found["metadata"]


def wait_to_go(boss: Api, namespace: str) -> None:
    wait_for(
        lambda: boss.get(kinds.NAMESPACE, namespace) is None,
        what=f"namespace {namespace} to go",
        seconds=60,
    )


def wait_for_delay(boss: Api, name: str) -> str:
    wait_for(lambda: told(boss, name).get("reason") == "TeardownDelayed", what="the condition")
    return str(told(boss, name)["message"])


def test_a_shorter_list_deletes_nothing_while_deletions_are_stopped(
    cluster: Instance, boss: Api, braked: Operator
) -> None:
    """S11: ``teardownsPerHour: 0`` does not stop deletions by a shortened list."""
    make(boss, "short", "a", "b", "c")
    settled(boss, "short")
    allow(boss, 0)
    make(boss, "short", "a")
    assert wait_for_delay(boss, "short") == (
        "Namespaces that left spec.namespaces wait to be deleted: short-b, short-c. TenancySettings"
        " default stop all deletions of namespaces (spec.teardownsPerHour: 0). To keep them, add"
        " them to spec.namespaces again or set spec.deletionPolicy: Retain."
    )
    before = settle(cluster)
    assert is_there(boss, "short-b")
    assert is_there(boss, "short-c")
    make(boss, "short", "a", "b")
    wait_for(
        lambda: told(boss, "short")["message"].count("short-b") == 0, what="b to be kept again"
    )
    settle(cluster)
    written = {event["verb"] for event in writes_by_operator(cluster)[before:]}
    assert "delete" not in written
    allow(boss, len(losing(boss)) + 1)
    wait_to_go(boss, "short-c")
    assert is_there(boss, "short-b")
    settled(boss, "short")


def test_a_restart_does_not_forget_who_lost_namespaces(boss: Api, braked: Operator) -> None:
    """S11: the hourly count is forgotten by a restart.

    Deleted tenants and shorter lists count together; one that has lost a namespace may lose more.
    """
    earlier = losing(boss)
    most = len(earlier) + 1
    for name in ("first", "second", "third"):
        make(boss, name, "a", "b", "c")
    for name in ("first", "second", "third"):
        settled(boss, name)
    allow(boss, most)
    make(boss, "first", "a", "b")
    wait_to_go(boss, "first-c")
    wait_for(lambda: losing(boss) == sorted([*earlier, "first"]), what="the first to be counted")
    assert braked.stop() == 0
    boss.delete(kinds.SECURE_TENANT, "second").ok()
    make(boss, "third", "a", "b")
    braked.start()
    tenants = "1 tenant" if most == 1 else f"{most} tenants"
    assert wait_for_delay(boss, "second") == (
        f"The namespaces of this tenant wait to be deleted. TenancySettings default let {tenants}"
        f" lose namespaces within an hour (spec.teardownsPerHour: {most}), and as many did."
    )
    assert "third-c" in wait_for_delay(boss, "third")
    assert is_there(boss, "second-a")
    assert is_there(boss, "third-c")
    make(boss, "first", "a")
    wait_to_go(boss, "first-b")
    allow(boss, most + 1)
    wait_for(
        lambda: is_there(boss, "second-a") != is_there(boss, "third-c"), what="one of them to go"
    )
    allow(boss, most + 2)
    wait_to_go(boss, "second-a")
    wait_to_go(boss, "third-c")
    wait_for(lambda: boss.get(kinds.SECURE_TENANT, "second") is None, what="the end", seconds=60)
    assert losing(boss) == sorted([*earlier, "first", "second", "third"])


def test_a_tenant_whose_namespaces_are_retained_goes_while_deletions_are_stopped(
    boss: Api, braked: Operator
) -> None:
    """The brake is for deletions of namespaces, and there is none."""
    make(boss, "kept", "a")
    settled(boss, "kept")
    spec = {"spec": {"deletionPolicy": "Retain"}}
    boss.patch(kinds.SECURE_TENANT, "kept", spec).ok()
    allow(boss, 0)
    boss.delete(kinds.SECURE_TENANT, "kept").ok()
    wait_for(lambda: boss.get(kinds.SECURE_TENANT, "kept") is None, what="the end", seconds=30)
    labels = boss.get(kinds.NAMESPACE, "kept-a")["metadata"]["labels"]
    assert labels[names.STATE_LABEL] == names.RETAINED
