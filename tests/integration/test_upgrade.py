"""Two versions at once: an older operator with newer policies, and the reverse."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import factory
import history
from conftest import settled
from harness import ROOT, Api, Operator, conditions, kubectl, wait_for, wait_for_kinds
from securetenant.api import kinds, names
from securetenant.sandbox import control, instances, kubeconfigs
from securetenant.sandbox.instances import Instance, Options

OLDER = "6dfc3b5c4ea46b4b98de8d5afe3ec01106f6046b"
"""Before quarantine and adoption: the CRDs lack fields, and policies differ."""


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the files of an older version."""
    return history.tree(OLDER, tmp_path_factory.mktemp("older")).parent


@pytest.fixture(scope="module")
def plane() -> Iterator[Instance]:
    """A control plane on which nothing is installed."""
    instance = instances.named(f"test-{os.getpid()}-upgrade")
    control.up(instance, Options(type_checks=False, nodes=1), lambda _: None)
    try:
        yield instance
    finally:
        with instances.starting(instance):
            instances.stop(instance)


def apply(plane: Instance, tree: Path) -> None:
    """Install a version as docs/operations.md says: the CRDs first."""
    kubectl(plane, "apply", "-k", str(tree / "crds"))
    wait_for_kinds(plane, "crd", "--all")
    kubectl(plane, "apply", "-k", str(tree / "manifests"))


def in_force(admin: Api, status: str) -> dict[str, Any]:
    """Wait for a status of PoliciesInForce of the TenancySettings; return the condition."""

    def found() -> dict[str, Any] | None:
        body = admin.get(kinds.TENANCY_SETTINGS, "default")
        condition: dict[str, Any] = conditions(body).get("PoliciesInForce", {})
        return condition if condition.get("status") == status else None

    condition = wait_for(found, what=f"PoliciesInForce to be {status}", seconds=30)
    assert condition is not None
    return condition


def is_repaired(plane: Instance, namespace: str) -> None:
    """Delete a NetworkPolicy by breaking the glass, and wait for another one of its name."""
    groups = ("system:masters", "securetenant:break-glass")
    breaker = Api(kubeconfigs.for_user(plane, "breaker", groups))
    before = breaker.get(kinds.NETWORK_POLICY, names.DEFAULT_DENY, namespace)["metadata"]["uid"]
    breaker.delete(kinds.NETWORK_POLICY, names.DEFAULT_DENY, namespace).ok()

    def is_back() -> bool:
        found = breaker.get(kinds.NETWORK_POLICY, names.DEFAULT_DENY, namespace)
        return bool(found) and found["metadata"]["uid"] != before

    wait_for(is_back, what="the NetworkPolicy to come back", seconds=20)


def is_isolated(admin: Api, namespace: str) -> None:
    """See that ordinary pods are admitted and privileged ones are not, in each version."""

    def is_ready() -> bool:
        labels = admin.get(kinds.NAMESPACE, namespace)["metadata"]["labels"]
        return names.READY_FOR_LABEL in labels

    # A wall that was missing closes the namespace to new pods until it stands again.
    wait_for(is_ready, what=f"{namespace} to be ready for pods", seconds=10)
    admin.create_pod(namespace, factory.pod(), dryRun="All").ok()
    body = factory.pod()
    body["spec"]["hostNetwork"] = True
    assert admin.create_pod(namespace, body, dryRun="All").status == 403


def test_an_upgrade_in_the_documented_order_and_the_way_back(
    plane: Instance, older: Path, tmp_path: Path
) -> None:
    admin = Api(plane.admin_kubeconfig)
    apply(plane, older)
    before = Operator(plane, tmp_path / "older", source=older / "operator")
    before.start()
    try:
        body = factory.tenant("upgraded", namespaces=[{"name": "upgraded-a"}])
        admin.create(kinds.SECURE_TENANT, body).ok()
        settled(admin, "upgraded", seconds=30)
        in_force(admin, "True")
        # An older operator with newer policies and CRDs.
        apply(plane, ROOT)
        told = in_force(admin, "False")
        assert "securetenant-annotations was changed" in told["message"]
        settled(admin, "upgraded", expected="InProgress", seconds=30)
        is_repaired(plane, "upgraded-a")
        is_isolated(admin, "upgraded-a")
    finally:
        before.stop()
    is_isolated(admin, "upgraded-a")
    after = Operator(plane, tmp_path / "newer")
    after.start()
    try:
        in_force(admin, "True")
        settled(admin, "upgraded", seconds=30)
        is_isolated(admin, "upgraded-a")
        # The way back: a newer operator with older policies and CRDs.
        apply(plane, older)
        # Without the rights to its Lease it would not lead, and write nothing.
        kubectl(plane, "apply", "-f", str(ROOT / "manifests/operator/rbac.yaml"))
        in_force(admin, "False")
        # The older CRD has no spec.quotaMode, so what the spec said of it is not known.
        told = conditions(settled(admin, "upgraded", expected="Failed", seconds=30))["Ready"]
        assert told["reason"] == "CRDsChanged"
        assert "does not keep" in told["message"]
        is_isolated(admin, "upgraded-a")
    finally:
        after.stop()
    apply(plane, older)
    before.start()
    try:
        in_force(admin, "True")
        settled(admin, "upgraded", seconds=30)
        is_repaired(plane, "upgraded-a")
        is_isolated(admin, "upgraded-a")
    finally:
        before.stop()
