"""Installing and removing, as the documentation says."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import factory
from conftest import control_plane, settled
from factory import tenant
from harness import JSON_PATCH, ROOT, Api, Operator, conditions, kubectl, ran, wait_for
from securetenant.api import kinds, names
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance

SYSTEM = "securetenant-system"
PLATFORMS = ROOT / "manifests/settings/platforms"
DEPLOYMENT = f"/apis/apps/v1/namespaces/{SYSTEM}/deployments/securetenant-operator"


@pytest.fixture(scope="module")
def installed() -> Iterator[Instance]:
    """A control plane with one fake node, on which everything was installed once."""
    with control_plane(f"test-{os.getpid()}-install", nodes=1, type_checks=True) as instance:
        yield instance


@pytest.fixture
def removed_from() -> Iterator[Instance]:
    """Another control plane, from which everything is removed."""
    with control_plane(f"test-{os.getpid()}-remove") as instance:
        yield instance


def pods(admin: Api) -> list[Any]:
    """Return the operator's pods as they are scheduled; none of them runs a container here."""
    found: list[Any] = admin.list(kinds.POD, SYSTEM)
    return found


BUDGET = "poddisruptionbudget.policy/securetenant-operator configured"
"""What kubectl says of it at each apply: its selector is replaced as a whole, so the patch is never
empty; the API server stores nothing (patchStrategy of PodDisruptionBudgetSpec.selector)."""


def is_changed(line: str) -> bool:
    """Tell whether a line of kubectl is about an object that it wrote something new to."""
    return not line.endswith(" unchanged") and line != BUDGET


def test_a_second_apply_changes_nothing(installed: Instance) -> None:
    admin = Api(installed.admin_kubeconfig)
    path = f"/apis/policy/v1/namespaces/{SYSTEM}/poddisruptionbudgets/securetenant-operator"
    before = admin.call("GET", path).ok()["metadata"]["generation"]
    for folder in ("crds", "manifests"):
        lines = kubectl(installed, "apply", "-k", folder).splitlines()
        assert lines
        assert [line for line in lines if is_changed(line)] == []
    assert admin.call("GET", path).ok()["metadata"]["generation"] == before


def test_an_apply_warns_of_nothing(installed: Instance) -> None:
    """O6: it said at every apply that the order is set twice."""
    for folder in (
        "crds",
        "manifests",
        "manifests/kubernetes-1.34",
        "manifests/roles/addons/events",
    ):
        done = ran(installed, "apply", "--dry-run=server", "-k", folder)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""


def test_kubernetes_finds_no_fault_in_the_types_of_a_policy(installed: Instance) -> None:
    path = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
    admin = Api(installed.admin_kubeconfig)

    def checked() -> dict[str, Any] | None:
        found = admin.call("GET", path, labelSelector=names.PACK_SELECTOR).ok()["items"]
        told = {each["metadata"]["name"]: each["status"].get("typeChecking") for each in found}
        return told if told and None not in told.values() else None

    told = wait_for(checked, what="every policy to be checked", seconds=60)
    assert told is not None
    assert {name: each for name, each in told.items() if each} == {}


def test_an_overlay_names_the_registry(installed: Instance, tmp_path: Path) -> None:
    """As docs/operations.md writes it; the tag stays that of this version."""
    overlay = {
        "resources": [os.path.relpath(ROOT / "manifests", tmp_path)],
        "images": [{"name": "securetenant-operator", "newName": "registry.example/tenants"}],
        "patches": [{"path": "settings.yaml"}],
    }
    settings = {
        "apiVersion": "securetenant.io/v1alpha1",
        "kind": "TenancySettings",
        "metadata": {"name": "default"},
        "spec": {"protectedNames": ["platform"]},
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    (tmp_path / "settings.yaml").write_text(yaml.safe_dump(settings))
    made = list(yaml.safe_load_all(kubectl(installed, "kustomize", str(tmp_path))))
    (deployment,) = (each for each in made if each["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"].startswith("registry.example/tenants:")
    changed = kubectl(installed, "apply", "-k", str(tmp_path)).splitlines()
    # What differed goes back; the rest did not change, as is held next.
    for folder in ("operator", "settings"):
        kubectl(installed, "apply", "-k", f"manifests/{folder}")
    assert sorted(line for line in changed if is_changed(line)) == [
        "deployment.apps/securetenant-operator configured",
        "tenancysettings.securetenant.io/default configured",
    ]


@pytest.fixture
def platform(installed: Instance, tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """Return a way to apply the settings of a platform; those of the manifests come back."""

    def apply(name: str) -> None:
        relative = os.path.relpath(ROOT / "manifests/settings", tmp_path)
        overlay = {"resources": [relative], "components": [f"{relative}/platforms/{name}"]}
        (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
        kubectl(installed, "apply", "-k", str(tmp_path))

    yield apply
    kubectl(installed, "apply", "-k", "manifests/settings")


@pytest.mark.parametrize("name", sorted(each.name for each in PLATFORMS.iterdir()))
def test_the_api_server_takes_the_settings_of_each_platform(
    name: str, platform: Callable[[str], None]
) -> None:
    platform(name)


@pytest.mark.parametrize(
    ("name", "namespace", "labels"),
    [
        ("talos", "kube-system", {"tier": "control-plane", "k8s-app": "kube-apiserver"}),
        ("openshift", "openshift-etcd", {"app": "etcd", "k8s-app": "etcd", "etcd": "true"}),
    ],
)
def test_static_pods_of_a_platform_are_shown_and_none_becomes_its_dns(
    name: str,
    namespace: str,
    labels: dict[str, str],
    platform: Callable[[str], None],
    installed: Instance,
) -> None:
    """The defaults refuse them: their labels, or their namespaces."""
    admin = Api(installed.admin_kubeconfig)
    user = ("system:node:node-0", ("system:nodes",))
    node = Api(kubeconfigs.for_user(installed, *user))
    uid = admin.call("GET", "/api/v1/nodes/node-0").ok()["metadata"]["uid"]
    body = factory.mirror(uid=uid, labels=labels)
    if namespace != "kube-system":
        admin.call("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}}).ok()
    # What an earlier test had written is forgotten in a moment.
    wait_for(
        lambda: "mirror pod" in node.create_pod(namespace, body, dryRun="All").message,
        what="the mirror pod to be refused",
        seconds=10,
    )
    platform(name)
    wait_for(
        lambda: node.create_pod(namespace, body, dryRun="All").status < 300,
        what="the mirror pod to be admitted",
        seconds=10,
    )
    (dns,) = admin.get(kinds.TENANCY_SETTINGS, "default")["spec"]["dns"]["pods"]
    body = factory.mirror(uid=uid, labels=dns["podLabels"])
    answer = node.create_pod(namespace, body, dryRun="All")
    assert "are those of the DNS of the cluster" in answer.message


def test_the_operators_pod_is_admitted_in_its_own_namespace_and_keeps_off_tenants_nodes(
    installed: Instance,
) -> None:
    """Pod Security holds pods, not Deployments: only the pod tells that the manifest is right."""
    admin = Api(installed.admin_kubeconfig)
    groups = ("system:masters", "securetenant:break-glass")
    breaker = Api(kubeconfigs.for_user(installed, "breaker", groups))
    wait_for(
        lambda: [each["spec"].get("nodeName") for each in pods(admin)] == ["node-0", "node-0"],
        what=f"two pods on the only node: {admin.call('GET', DEPLOYMENT).body['status']}",
        seconds=30,
    )
    first, second = pods(admin)
    assert first["spec"]["priority"] == 2_000_000_000
    known = {each["metadata"]["uid"] for each in (first, second)}
    label = f"/metadata/labels/{names.NODE_LABEL.replace('/', '~1')}"
    mark = [{"op": "add", "path": label, "value": names.SHARED}]
    breaker.patch(kinds.NODE, "node-0", mark, content_type=JSON_PATCH).ok()
    admin.delete(kinds.POD, first["metadata"]["name"], SYSTEM).ok()

    def waits() -> bool:
        found = [each for each in pods(admin) if each["metadata"]["uid"] not in known]
        return [conditions(each).get("PodScheduled", {}).get("reason") for each in found] == [
            "Unschedulable"
        ]

    try:
        wait_for(waits, what="a pod that no node takes", seconds=30)
    finally:
        mark = [{"op": "remove", "path": label}]
        breaker.patch(kinds.NODE, "node-0", mark, content_type=JSON_PATCH).ok()


def test_it_is_removed_in_the_order_that_the_documentation_says(
    removed_from: Instance, tmp_path: Path
) -> None:
    """Namespaces and walls stay, and are ordinary objects then."""
    admin = Api(removed_from.admin_kubeconfig)
    operator = Operator(removed_from, tmp_path / "log")
    operator.start()
    try:
        body = tenant("goes", namespaces=[{"name": "goes-1"}])
        admin.apply(kinds.SECURE_TENANT, body, manager="test").ok()
        settled(admin, "goes")
        kubectl(removed_from, "delete", "securetenants", "--all", "--timeout=30s")
    finally:
        operator.stop()
    kubectl(removed_from, "delete", "-k", "manifests/policies", "--timeout=60s")
    kubectl(removed_from, "delete", "flowschemas", "-l", f"{names.MANAGED_BY_LABEL}=securetenant")
    kubectl(removed_from, "delete", "-k", "manifests", "--ignore-not-found", "--timeout=60s")
    kubectl(removed_from, "delete", "-k", "crds", "--timeout=60s")
    kubectl(removed_from, "delete", "networkpolicy", "securetenant-default-deny", "-n", "goes-1")
    left = kubectl(
        removed_from,
        "get",
        "clusterroles,clusterrolebindings,crds,namespaces,validatingadmissionpolicies,"
        "validatingadmissionpolicybindings,mutatingadmissionpolicies,mutatingadmissionpolicybindings",
        "-l",
        "app.kubernetes.io/part-of=securetenant",
        "-o",
        "name",
    )
    assert left == ""
    assert admin.get(kinds.NAMESPACE, "goes-1")["metadata"]["labels"][names.TENANT_LABEL] == "goes"
