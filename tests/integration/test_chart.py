"""The Helm charts install what kustomize installs, and are upgraded and removed, by Helm itself."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import factory
from conftest import operating, settled
from harness import ROOT, Api, conditions, environment, wait_for, wait_for_kinds
from securetenant.api import kinds, names
from securetenant.plan import shipped
from securetenant.sandbox import binaries, control, instances
from securetenant.sandbox.instances import Instance, Options

CHARTS = ROOT / "manifests/charts"
NAMESPACE = "securetenant-system"
KEEP = "helm.sh/resource-policy"
Helm = Callable[..., str]


@pytest.fixture(scope="module")
def program() -> Path:
    """Helm, built from its Go module, once."""
    return binaries.locate(("helm",), lambda _: None)["helm"]


@pytest.fixture(scope="module")
def plane() -> Iterator[Instance]:
    """A control plane on which nothing is installed."""
    instance = instances.named(f"test-{os.getpid()}-chart")
    control.up(instance, Options(type_checks=False, nodes=1), lambda _: None)
    try:
        yield instance
    finally:
        with instances.starting(instance):
            instances.stop(instance)


def run(program: Path, *arguments: str, folder: Path, code: int = 0) -> str:
    done = subprocess.run(
        [str(program), *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=CHARTS,
        env={
            **environment(),
            **{f"HELM_{each}_HOME": str(folder) for each in ("CACHE", "CONFIG", "DATA")},
        },
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def helm(program: Path, tmp_path: Path) -> Helm:
    return lambda *arguments, code=0: run(program, *arguments, folder=tmp_path, code=code)


@pytest.fixture
def on_plane(helm: Helm, plane: Instance) -> Helm:
    login = (f"--kubeconfig={plane.admin_kubeconfig}", f"--namespace={NAMESPACE}")
    return lambda *arguments, code=0: helm(*arguments, *login, code=code)


def rendered(helm: Helm, chart: str, *values: str, version: str = "1.37") -> list[Any]:
    mutating = "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"
    knows = [f"--api-versions={mutating}"] if version >= "1.36" else []
    text = helm(
        "template",
        "any",
        chart,
        f"--namespace={NAMESPACE}",
        f"--kube-version={version}.0",
        *knows,
        *values,
    )
    return [each for each in yaml.load_all(text, Loader=yaml.CSafeLoader) if each]


def by_name(bodies: list[Any]) -> dict[tuple[str, str, str], Any]:
    """Return objects by what they are called, without what keeps them from being removed."""
    found = {}
    for body in bodies:
        metadata = dict(body["metadata"])
        annotations = {
            k: v for k, v in (metadata.pop("annotations", None) or {}).items() if k != KEEP
        }
        if annotations:
            metadata["annotations"] = annotations
        key = (body["kind"], metadata.get("namespace", ""), metadata["name"])
        found[key] = {**body, "metadata": metadata}
    return found


def kustomized(program: str, folder: str) -> dict[tuple[str, str, str], Any]:
    done = subprocess.run(
        [program, "kustomize", folder], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return by_name([each for each in yaml.load_all(done.stdout, Loader=yaml.CSafeLoader) if each])


@pytest.fixture(scope="module")
def kubectl_program() -> str:
    return str(binaries.locate(("kubectl",), lambda _: None)["kubectl"])


@pytest.mark.parametrize(
    ("version", "folder"), [("1.37", "manifests"), ("1.34", "manifests/kubernetes-1.34")]
)
def test_the_chart_holds_the_same_objects_as_kustomize(
    version: str, folder: str, helm: Helm, kubectl_program: str
) -> None:
    wanted = kustomized(kubectl_program, folder)
    found = by_name(rendered(helm, "securetenant", version=version))
    deployment = found["Deployment", NAMESPACE, "securetenant-operator"]
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    # What an API server would fill in anyway.
    assert container.pop("imagePullPolicy") == "IfNotPresent"
    assert found.keys() == wanted.keys()
    for key, body in found.items():
        assert body == wanted[key], key


def test_the_packet_probe_is_the_same_by_chart_and_by_kustomize(
    helm: Helm, kubectl_program: str
) -> None:
    values = ("--set=packets.enabled=true", "--set=imagePullSecrets[0].name=reg")
    found = changed(helm, *values)
    wanted = kustomized(kubectl_program, "manifests/packets")
    for key, body in wanted.items():
        made = found[key]
        if body["kind"] == "DaemonSet":
            spec = made["spec"]["template"]["spec"]
            assert spec.pop("imagePullSecrets") == [{"name": "reg"}]
            assert spec["containers"][0].pop("imagePullPolicy") == "IfNotPresent"
        assert made == body, key
    assert found.keys() - wanted.keys() == {("Deployment", NAMESPACE, "securetenant-operator")}


@pytest.mark.parametrize(
    "platform", sorted(each.name for each in (ROOT / "manifests/settings/platforms").iterdir())
)
def test_the_values_of_a_platform_make_what_its_component_makes(
    platform: str, helm: Helm, kubectl_program: str, tmp_path: Path
) -> None:
    settings = os.path.relpath(ROOT / "manifests/settings", tmp_path)
    overlay = {"resources": [settings], "components": [f"{settings}/platforms/{platform}"]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(overlay), encoding="utf-8")
    key = ("TenancySettings", "", "default")
    wanted = kustomized(kubectl_program, str(tmp_path))[key]
    values = f"--values={CHARTS}/securetenant/platforms/{platform}.yaml"
    assert by_name(rendered(helm, "securetenant", values))[key]["spec"] == wanted["spec"]


def test_the_chart_of_the_kinds_holds_them(helm: Helm, kubectl_program: str) -> None:
    found = rendered(helm, "securetenant-crds")
    assert by_name(found) == kustomized(kubectl_program, "crds")
    assert all(each["metadata"]["annotations"] == {KEEP: "keep"} for each in found)
    assert all(
        KEEP not in str(each) for each in rendered(helm, "securetenant-crds", "--set=keep=false")
    )


def changed(helm: Helm, *values: str) -> dict[tuple[str, str, str], Any]:
    """Return what differs by values; an object that is gone is None."""
    before = by_name(rendered(helm, "securetenant"))
    after = by_name(rendered(helm, "securetenant", *values))
    return {
        key: after.get(key)
        for key in before.keys() | after.keys()
        if before.get(key) != after.get(key)
    }


@pytest.mark.parametrize(
    ("value", "kind", "told"),
    [
        ("image.repository=r.example/st", "Deployment", "r.example/st:0.1.0"),
        ("image.tag=v9", "Deployment", "securetenant-operator:v9"),
        ("image.digest=sha256:ab", "Deployment", "securetenant-operator@sha256:ab"),
        ("image.pullPolicy=Always", "Deployment", "'imagePullPolicy': 'Always'"),
        ("imagePullSecrets[0].name=reg", "Deployment", "'imagePullSecrets': [{'name': 'reg'}]"),
        ("operator.enabled=false", "PodDisruptionBudget", "None"),
        ("operator.replicas=3", "Deployment", "'replicas': 3"),
        ("operator.resources.limits.memory=1Gi", "Deployment", "1Gi"),
        ("operator.nodeSelector.pool=ops", "Deployment", "'pool': 'ops'"),
        ("operator.tolerations[0].key=ops", "Deployment", "'key': 'ops'"),
        ("operator.podLabels.team=a", "Deployment", "'team': 'a'"),
        ("operator.podAnnotations.note=a", "Deployment", "'note': 'a'"),
        ("operator.egress[0].ports[0].port=8443", "NetworkPolicy", "8443"),
        ("namespace.create=false", "Namespace", "None"),
        ("settings.create=false", "TenancySettings", "None"),
        ("settings.spec.teardownsPerHour=9", "TenancySettings", "'teardownsPerHour': 9"),
        ("policies.mutating=Never", "MutatingAdmissionPolicy", "None"),
        ("monitoring.podMonitor=true", "PodMonitor", "podMetricsEndpoints"),
        ("monitoring.rules=true", "PrometheusRule", "SecureTenantIsolationOpen"),
        ("monitoring.dashboard=true", "ConfigMap", "grafana_dashboard"),
        ("roles.addons.metrics=true", "ClusterRole", "metrics.k8s.io"),
        ("roles.addons.cert-manager=true", "ClusterRole", "cert-manager.io"),
        ("roles.addons.events=true", "ClusterRole", "events"),
        ("roles.addons.gateway-api=true", "ClusterRole", "gateway.networking.k8s.io"),
        ("roles.addons.prometheus-operator=true", "ClusterRole", "monitoring.coreos.com"),
        ("roles.addons.snapshots=true", "ClusterRole", "snapshot.storage.k8s.io"),
    ],
)
def test_each_value_does_what_it_says(value: str, kind: str, told: str, helm: Helm) -> None:
    found = changed(helm, f"--set={value}")
    beside = {"PodMonitor": {"NetworkPolicy"}, "PodDisruptionBudget": {"Deployment"}}
    allowed = {kind, f"{kind}Binding"} | beside.get(kind, set())
    assert {each for each, _, _ in found} <= allowed
    assert any(told in str(body) for body in found.values())


def test_prometheus_is_let_in_from_the_namespace_that_is_named(helm: Helm) -> None:
    values = ("--set=monitoring.podMonitor=true,monitoring.namespace=metrics",)
    found = changed(helm, *values)["NetworkPolicy", NAMESPACE, "metrics"]
    (rule,) = found["spec"]["ingress"]
    (peer,) = rule["from"]
    assert peer["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "metrics"}


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("operator.replicas=0", "replicas"),
        ("operator.workers=2", "workers"),
        ("settings.spec.teardownsPerHoure=2", "teardownsPerHoure"),
        ("policies.mutating=maybe", "mutating"),
    ],
)
def test_a_value_that_is_not_known_is_refused(value: str, told: str, helm: Helm) -> None:
    assert told in helm("template", "any", "securetenant", f"--set={value}", code=1)


def test_another_namespace_is_refused(helm: Helm) -> None:
    told = helm("template", "any", "securetenant", "--namespace=elsewhere", code=1)
    assert "write --namespace with it" in told


@pytest.mark.parametrize("chart", ["securetenant", "securetenant-crds"])
def test_the_charts_are_linted(chart: str, helm: Helm) -> None:
    helm("lint", chart, "--strict", f"--namespace={NAMESPACE}")


def test_every_value_is_documented() -> None:
    values = yaml.safe_load((CHARTS / "securetenant/values.yaml").read_text(encoding="utf-8"))
    page = (CHARTS / "securetenant/README.md").read_text(encoding="utf-8")

    def leaves(path: str, value: Any) -> Iterator[str]:
        if f"`{path}`" in page or not isinstance(value, dict):
            yield path
            return
        for key, each in value.items():
            yield from leaves(f"{path}.{key}" if path else key, each)

    assert [each for each in leaves("", values) if f"`{each}`" not in page] == []


def test_both_charts_have_the_version_of_the_product() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for chart in ("securetenant", "securetenant-crds"):
        body = yaml.safe_load((CHARTS / chart / "Chart.yaml").read_text(encoding="utf-8"))
        assert f'version = "{body["version"]}"' in text
        assert body["appVersion"] == body["version"]


def test_a_catalogue_of_charts_is_shown_the_kinds_and_an_example_that_is_ours() -> None:
    body = yaml.safe_load((CHARTS / "securetenant/Chart.yaml").read_text(encoding="utf-8"))
    listed = yaml.safe_load(body["annotations"]["artifacthub.io/crds"])
    shipped = [
        yaml.safe_load(each.read_text("utf-8")) for each in (ROOT / "crds").glob("*s.*.yaml")
    ]
    assert {(each["name"], each["kind"], each["version"]) for each in listed} == {
        (each["metadata"]["name"], each["spec"]["names"]["kind"], version["name"])
        for each in shipped
        for version in each["spec"]["versions"]
    }
    example = yaml.safe_load((ROOT / "examples/beta.yaml").read_text(encoding="utf-8"))
    assert yaml.safe_load(body["annotations"]["artifacthub.io/crdsExamples"]) == [example]


def test_it_is_installed_upgraded_and_removed(
    on_plane: Helm, plane: Instance, tmp_path: Path
) -> None:
    """As the README of the chart says; a tenant becomes ready, and stays through all of it."""
    admin = Api(plane.admin_kubeconfig)
    on_plane("install", "securetenant-crds", "securetenant-crds", "--create-namespace")
    wait_for_kinds(plane, "crd", "--all")
    on_plane("install", "securetenant", "securetenant", "--take-ownership")
    labels = admin.get(kinds.NAMESPACE, NAMESPACE)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    with operating(plane, tmp_path / "log"):
        admin.create(kinds.SECURE_TENANT, factory.tenant("charted")).ok()
        settled(admin, "charted", seconds=20)
        told = conditions(admin.get(kinds.TENANCY_SETTINGS, "default"))["PoliciesInForce"]
        assert told["status"] == "True", told
        assert len(shipped.DIGESTS) > 0
        on_plane(
            "upgrade", "securetenant", "securetenant", "--set=settings.spec.teardownsPerHour=7"
        )
        on_plane("upgrade", "securetenant-crds", "securetenant-crds")
        spec = admin.get(kinds.TENANCY_SETTINGS, "default")["spec"]
        assert spec["teardownsPerHour"] == 7
        settled(admin, "charted", seconds=20)
        revisions = json.loads(on_plane("history", "securetenant", "--output=json"))
        assert [each["revision"] for each in revisions] == [1, 2]
    on_plane("uninstall", "securetenant")
    wait_for(
        lambda: admin.list(kinds.VALIDATING_POLICY) == [], what="the policies to go", seconds=20
    )
    assert admin.get(kinds.TENANCY_SETTINGS, "default") is not None
    assert admin.get(kinds.NAMESPACE, NAMESPACE) is not None
    on_plane("uninstall", "securetenant-crds")
    assert admin.get(kinds.SECURE_TENANT, "charted") is not None
    assert admin.get(kinds.NETWORK_POLICY, names.DEFAULT_DENY, "charted-a") is not None
