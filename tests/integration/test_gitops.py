"""What GitOps controllers and people do with kubectl, on a real API server."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import argocd
import kstatus
from conftest import Ready, control_plane, operating, settled
from factory import tenant
from harness import (
    ROOT,
    Api,
    Operator,
    conditions,
    kubectl,
    ran,
    settle,
    wait_for,
    writes_by_operator,
)
from securetenant.api import kinds, names
from securetenant.sandbox.instances import Instance

GITOPS = ROOT / "examples/gitops"
Apply = Callable[[Instance, Api, Any], object]


def _kubectl(*flags: str) -> Apply:
    return lambda instance, _, body: kubectl(
        instance, "apply", *flags, "-f", "-", stdin=json.dumps(body)
    )


def _manager(name: str) -> Apply:
    return lambda _, admin, body: admin.apply(kinds.SECURE_TENANT, body, manager=name).ok()


APPLIERS: dict[str, Apply] = {
    "kubectl": _kubectl(),
    "kubectl, server side": _kubectl("--server-side"),
    "Argo CD": _manager("argocd-controller"),
    "Flux": _manager("kustomize-controller"),
}


@pytest.mark.parametrize("who", APPLIERS)
def test_applying_again_changes_nothing_and_writes_nothing(
    who: str, admin: Api, operator: Operator, sandbox: Instance
) -> None:
    name = f"again-{list(APPLIERS).index(who)}"
    spec: dict[str, Any] = {
        "network": {
            "egress": [{"name": "db", "to": [{"cidr": "10.20.0.0/16"}], "ports": [{"port": 5432}]}]
        },
        "quota": {"pods": "20", "requests.cpu": 4, "requests.memory": "8Gi"},
        "workloads": {"registries": ["r.example/"]},
    }
    body = tenant(name, namespaces=[{"name": f"{name}-a"}], **spec)
    APPLIERS[who](sandbox, admin, body)
    settled(admin, name)
    seen = settle(sandbox)
    before = admin.get(kinds.SECURE_TENANT, name)["metadata"]
    for _ in range(2):
        APPLIERS[who](sandbox, admin, body)
    settle(sandbox)
    after = admin.get(kinds.SECURE_TENANT, name)["metadata"]
    assert after["resourceVersion"] == before["resourceVersion"], "nothing differs"
    assert [
        event["requestURI"]
        for event in writes_by_operator(sandbox)[seen:]
        if event["objectRef"].get("namespace", "").startswith(name)
        or event["objectRef"].get("name") == name
    ] == []


def test_no_difference_is_seen_by_a_controller_that_asks_the_api_server(
    admin: Api, ready: Ready
) -> None:
    """Argo CD's server-side diff and Flux compare a dry run with what is there."""
    body = tenant("same", namespaces=[{"name": "same-a"}])
    admin.apply(kinds.SECURE_TENANT, body, manager="argocd-controller").ok()
    settled(admin, "same")
    path = kinds.SECURE_TENANT.path("", "same")
    predicted = admin.call(
        "PATCH",
        path,
        body,
        content_type="application/apply-patch+yaml",
        fieldManager="argocd-controller",
        force="true",
        dryRun="All",
    ).ok()
    live = admin.get(kinds.SECURE_TENANT, "same")
    for each in (predicted, live):
        each["metadata"].pop("managedFields", None)
    assert predicted == live


def test_pruning_a_tenant_keeps_its_namespaces_and_what_runs(
    admin: Api, operator: Operator, sandbox: Instance, tmp_path: Path
) -> None:
    """A file that is lost in a repository costs nobody a workload."""
    kept, lost = (
        {**body, "metadata": {**body["metadata"], "labels": {"pruned-by": "test"}}}
        for body in (
            tenant("pruned-kept", namespaces=[{"name": "pruned-kept-a"}]),
            tenant("pruned-lost", namespaces=[{"name": "pruned-lost-a"}]),
        )
    )

    def apply(*bodies: Any) -> str:
        file = tmp_path / "tenants.yaml"
        file.write_text(yaml.safe_dump_all(bodies), encoding="utf-8")
        return kubectl(
            sandbox,
            "apply",
            "--prune",
            "--selector=pruned-by=test",
            "--prune-allowlist=securetenant.io/v1alpha1/SecureTenant",
            "-f",
            str(file),
        )

    apply(kept, lost)
    settled(admin, "pruned-lost")
    assert "securetenant.securetenant.io/pruned-lost pruned" in apply(kept)
    wait_for(
        lambda: admin.get(kinds.SECURE_TENANT, "pruned-lost") is None, what="the end", seconds=20
    )
    labels = admin.get(kinds.NAMESPACE, "pruned-lost-a")["metadata"]["labels"]
    assert labels[names.STATE_LABEL] == names.RETAINED
    settled(admin, "pruned-kept")


def test_every_kind_follows_kstatus_and_argo_cd_sees_it_so(admin: Api, ready: Ready) -> None:
    """Flux waits by kstatus; Argo CD by the health checks of manifests/argocd."""
    ready(tenant("displayed", namespaces=[{"name": "displayed-a"}]))
    bodies = {
        "SecureTenant": admin.get(kinds.SECURE_TENANT, "displayed"),
        "TenantPolicy": admin.get(kinds.TENANT_POLICY, names.POLICY_NAME, "displayed-a"),
        "TenancySettings": admin.get(kinds.TENANCY_SETTINGS, "default"),
    }
    for kind, body in bodies.items():
        status = body["status"]
        assert status["observedGeneration"] == body["metadata"]["generation"], kind
        ready_condition = conditions(body)["Ready"]
        assert ready_condition["observedGeneration"] == body["metadata"]["generation"], kind
    for kind in ("SecureTenant", "TenantPolicy"):
        assert kstatus.compute(bodies[kind]) == "Current"
        assert argocd.health(kind, bodies[kind])["status"] == "Healthy"


def test_argo_cd_sees_a_refused_and_a_suspended_tenant_as_they_are(
    admin: Api, operator: Operator
) -> None:
    body = tenant("paused", namespaces=[{"name": "paused-a"}], reconciliation="Suspended")
    admin.create(kinds.SECURE_TENANT, body).ok()

    def health() -> dict[str, str]:
        return argocd.health("SecureTenant", admin.get(kinds.SECURE_TENANT, "paused"))

    wait_for(lambda: health()["status"] == "Suspended", what="it to be suspended")
    spec = {"reconciliation": "Active", "namespaces": [{"name": "displayed-elsewhere"}]}
    admin.create(kinds.NAMESPACE, {"metadata": {"name": "displayed-elsewhere"}}).ok()
    admin.patch(kinds.SECURE_TENANT, "paused", {"spec": spec}).ok()
    wait_for(lambda: health()["status"] == "Degraded", what="it to be degraded")
    assert "belongs to no tenant" in health()["message"]


# --- the layout of a repository -------------------------------------------------------------


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Instance, Api]]:
    """A control plane of its own, whose operator everything is installed for by the layout."""
    with control_plane(f"test-{os.getpid()}-gitops", nodes=1) as instance:
        kubectl(instance, "apply", "-k", "crds")
        kubectl(instance, "apply", "-k", "examples/gitops/platform")
        log = tmp_path_factory.mktemp("operator") / "log"
        with operating(instance, log):
            yield instance, Api(instance.admin_kubeconfig)


def test_the_layout_of_a_repository_is_applied_in_its_order(fresh: tuple[Instance, Api]) -> None:
    """Tenants, then what is in them: by its wait, no workload meets a closed gate."""
    instance, admin = fresh
    kubectl(instance, "apply", "-k", "examples/gitops/tenants")
    kubectl(instance, "wait", "--for=condition=Ready", "securetenant", "--all", "--timeout=60s")
    kubectl(instance, "apply", "-k", "examples/gitops/workloads/acme-prod")
    kubectl(instance, "rollout", "status", "deployment/web", "-n", "acme-prod", "--timeout=60s")
    spec = admin.get(kinds.SECURE_TENANT, "beta")["spec"]
    assert spec["quota"]["pods"] == 50, "its size is a patch"


def test_a_hundred_tenants_are_tried_by_a_dry_run(
    fresh: tuple[Instance, Api], tmp_path: Path
) -> None:
    """As CI does it before a merge: admitted or refused with a message, and nothing is made."""
    instance, admin = fresh
    text = (GITOPS / "tenants/beta.yaml").read_text(encoding="utf-8")
    numbers = [f"team-{number}" for number in range(100)]
    for name in numbers:
        (tmp_path / f"{name}.yaml").write_text(text.replace("beta", name), encoding="utf-8")
    (tmp_path / "sizes").mkdir()
    for each in (GITOPS / "tenants/sizes").glob("*.yaml"):
        (tmp_path / "sizes" / each.name).write_bytes(each.read_bytes())
    layout = yaml.safe_load((GITOPS / "tenants/kustomization.yaml").read_text(encoding="utf-8"))
    layout["resources"] = [f"{name}.yaml" for name in numbers]
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(layout), encoding="utf-8")
    told = kubectl(instance, "apply", "--dry-run=server", "-k", str(tmp_path))
    assert told.count("created (server dry run)") == 100
    assert admin.get(kinds.SECURE_TENANT, "team-0") is None
    wrong = (tmp_path / "team-7.yaml").read_text(encoding="utf-8").replace("team-7-web", "kube-web")
    (tmp_path / "team-7.yaml").write_text(wrong, encoding="utf-8")
    with pytest.raises(AssertionError, match="this name is protected"):
        kubectl(instance, "apply", "--dry-run=server", "-k", str(tmp_path))


# --- kubectl habits -------------------------------------------------------------------------


def printed(instance: Instance, *arguments: str) -> tuple[int, str]:
    """Run kubectl; return its exit code and all that it prints."""
    done = ran(instance, *arguments)
    return done.returncode, done.stdout + done.stderr


def test_kubectl_waits_for_a_tenant_and_shows_how_far_it_is(
    admin: Api, operator: Operator, sandbox: Instance
) -> None:
    """wait, get and get -o wide: a tenant is rolled out as a Deployment is."""
    body = tenant("habit", namespaces=[{"name": "habit-a"}, {"name": "habit-b"}])
    kubectl(sandbox, "apply", "-f", "-", stdin=json.dumps(body))
    kubectl(sandbox, "wait", "--for=condition=Ready", "securetenant/habit", "--timeout=60s")
    head, line = kubectl(sandbox, "get", "securetenant", "habit").splitlines()
    assert head.split() == ["NAME", "READY", "REASON", "NAMESPACES", "VERIFIED", "QUOTA", "AGE"]
    assert line.split()[:4] == ["habit", "True", "AsSpecified", "2/2"]
    wide = kubectl(sandbox, "get", "securetenant", "habit", "-o", "wide").splitlines()
    assert wide[0].split()[-2:] == ["LOCKDOWN", "MESSAGE"]
    assert wide[1].endswith("2 namespaces, everything as specified")
    assert "habit" in kubectl(sandbox, "get", "sten")
    progress = "jsonpath={.status.namespaces.summary}=2/2"
    kubectl(sandbox, "wait", f"--for={progress}", "securetenant/habit", "--timeout=60s")


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("securetenant.spec.lockdown", "Quarantined"),
        ("securetenant.spec.access.expiresAt", "ends"),
        ("tenantpolicy.spec.quota", "share"),
        ("tenancysettings.spec.bounds", "most"),
    ],
)
def test_kubectl_explains_each_kind(field: str, told: str, sandbox: Instance) -> None:
    found = kubectl(sandbox, "explain", field)
    assert "DESCRIPTION:" in found
    assert told in found


def test_kubectl_shows_a_difference_and_refuses_what_is_wrong_without_a_write(
    admin: Api, ready: Ready, sandbox: Instance, tmp_path: Path
) -> None:
    """diff, and apply --dry-run=server."""
    body = tenant("differing", namespaces=[{"name": "differing-a"}])
    file = tmp_path / "tenant.yaml"
    file.write_text(yaml.safe_dump(body), encoding="utf-8")
    kubectl(sandbox, "apply", "-f", str(file))
    settled(admin, "differing")
    assert printed(sandbox, "diff", "-f", str(file)) == (0, "")
    body["spec"]["lockdown"] = "Frozen"
    file.write_text(yaml.safe_dump(body), encoding="utf-8")
    code, told = printed(sandbox, "diff", "-f", str(file))
    assert code == 1
    assert "+  lockdown: Frozen" in told
    body["spec"]["lockdown"] = "Sealed"
    file.write_text(yaml.safe_dump(body), encoding="utf-8")
    code, told = printed(sandbox, "apply", "--dry-run=server", "-f", str(file))
    assert code == 1
    assert 'supported values: "None", "Frozen", "Quarantined"' in told
    assert admin.get(kinds.SECURE_TENANT, "differing")["spec"].get("lockdown") is None
