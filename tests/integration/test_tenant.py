"""A SecureTenant becomes namespaces with walls, and its status says so."""

from typing import Any

import pytest
import yaml

from conftest import Ready, settled
from factory import tenant
from harness import Api, Operator, conditions, kubectl, wait_for
from securetenant.api import kinds, names
from securetenant.api.tenancysettings import SettingsSpec
from securetenant.desired import unit
from securetenant.plan import ownership
from securetenant.reconcile.store import Store
from securetenant.reconcile.tenants import Tenants
from securetenant.sandbox.instances import Instance


def test_a_tenant_becomes_namespaces_with_walls(admin: Api, ready: Ready) -> None:
    made = ready(tenant("walls", namespaces=[{"name": "walls-a", "labels": {"env": "prod"}}]))
    labels = admin.get(kinds.NAMESPACE, "walls-a")["metadata"]["labels"]
    assert labels["env"] == "prod"
    assert labels[names.TENANT_LABEL] == "walls"
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    wall = admin.get(kinds.NETWORK_POLICY, names.DEFAULT_DENY, "walls-a")
    assert wall["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    policy = admin.get(kinds.TENANT_POLICY, names.POLICY_NAME, "walls-a")
    assert policy["spec"]["tenant"] == "walls"
    assert made["status"]["namespaces"] == {"desired": 1, "ready": 1, "summary": "1/1"}
    assert {each["status"] for each in conditions(made).values()} == {"True"}


def test_what_is_applied_comes_back_as_it_was_sent(admin: Api, ready: Ready) -> None:
    """Nothing is left for the API server to default, so a restart compares without a request."""
    body = tenant(
        "sent",
        namespaces=[{"name": "sent-a", "quota": {"weight": 3}}, {"name": "sent-b"}],
        podSecurity={"level": "baseline", "exceptionReason": "an old agent"},
        quota={"requests.cpu": "2.5", "pods": 2000, "requests.memory": "1001M"},
        containerLimits={"max": {"cpu": 2, "memory": "3Gi"}, "min": {"cpu": "0.01"}},
        access=[
            {
                "name": "all",
                "role": "Developer",
                "subjects": [
                    {"kind": "User", "name": "alice"},
                    {"kind": "Group", "name": "devs"},
                    {"kind": "ServiceAccount", "name": "ci", "namespace": "sent-a"},
                ],
            }
        ],
    )
    ready(body)
    known = Tenants()
    known.see("sent", admin.get(kinds.SECURE_TENANT, "sent"))
    settings = admin.get(kinds.TENANCY_SETTINGS, "default")["spec"]
    known.read("sent", SettingsSpec.model_validate(settings), Store())
    record = known.get("sent")
    assert record is not None
    for each in record.units.values():
        for ref, wanted in unit.build(each.scope)[1:]:
            found = admin.call("GET", ref.path).ok()
            assert ownership.owned(found) == ownership.owned(wanted)


def test_a_baseline_exception_is_enforced_and_shown(admin: Api, ready: Ready) -> None:
    made = ready(
        tenant("exception", podSecurity={"level": "baseline", "exceptionReason": "an old agent"})
    )
    shown = conditions(made)["PodSecurityEnforced"]
    assert (shown["status"], shown["reason"]) == ("True", "ExceptionGranted")
    assert "an old agent" in shown["message"]
    labels = admin.get(kinds.NAMESPACE, "exception-a")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "baseline"


def test_a_label_that_leaves_the_spec_leaves_the_namespace(admin: Api, ready: Ready) -> None:
    entry: dict[str, Any] = {"name": "relabel-a", "labels": {"env": "prod", "tier": "1"}}
    ready(tenant("relabel", namespaces=[entry]))
    entry["labels"] = {"env": "test"}
    ready(tenant("relabel", namespaces=[entry]))
    labels = admin.get(kinds.NAMESPACE, "relabel-a")["metadata"]["labels"]
    assert labels["env"] == "test"
    assert "tier" not in labels


def test_a_namespace_that_exists_is_not_taken(admin: Api, operator: Operator) -> None:
    """Whoever names somebody's namespace in a spec gets a condition, and nothing of it."""
    kind = kinds.NAMESPACE
    before = admin.create(kind, {"metadata": {"name": "somebodys"}}).ok()
    body = tenant("taker", namespaces=[{"name": "somebodys"}, {"name": "taker-a"}])
    admin.create(kinds.SECURE_TENANT, body).ok()
    wait_for(
        lambda: (
            admin.get(kinds.SECURE_TENANT, "taker")["status"].get("namespaces", {}).get("ready")
        ),
        what="the other namespace to be ready",
    )
    made = settled(admin, "taker", expected="Failed")
    message = conditions(made)["Ready"]["message"]
    assert message == (
        "Namespace somebodys exists and belongs to no tenant. Choose another name, or have it taken"
        " with all it holds: kubectl annotate namespace somebodys securetenant.io/adopt=taker"
    )
    after = admin.get(kind, "somebodys")
    assert after["metadata"]["labels"] == before["metadata"]["labels"]
    assert admin.list(kinds.NETWORK_POLICY, "somebodys") == []
    assert made["status"]["namespaces"]["summary"] == "1/2", "the other one is made"


def test_a_namespace_of_another_tenant_is_not_taken(admin: Api, ready: Ready) -> None:
    ready(tenant("first", namespaces=[{"name": "contested"}]))
    admin.create(kinds.SECURE_TENANT, tenant("second", namespaces=[{"name": "contested"}])).ok()
    made = settled(admin, "second", expected="Failed")
    assert "belongs to tenant first" in conditions(made)["Ready"]["message"]
    labels = admin.get(kinds.NAMESPACE, "contested")["metadata"]["labels"]
    assert labels[names.TENANT_LABEL] == "first"


def test_a_privileged_pod_is_refused(admin: Api, ready: Ready) -> None:
    """Also to the administrator: Pod Security asks for no name."""
    ready(tenant("pods", namespaces=[{"name": "pods-a"}]))
    pod = {
        "metadata": {"name": "evil"},
        "spec": {
            "containers": [{"name": "c", "image": "evil", "securityContext": {"privileged": True}}]
        },
    }
    answer = admin.call("POST", "/api/v1/namespaces/pods-a/pods", pod, dryRun="All")
    assert answer.status == 403
    assert 'violates PodSecurity "restricted:v1.37"' in answer.message


def test_kubectl_shows_what_people_need(sandbox: Instance, ready: Ready) -> None:
    ready(tenant("shown", namespaces=[{"name": "shown-a"}]))
    header, row = kubectl(sandbox, "get", "sten", "shown").splitlines()
    assert header.split() == ["NAME", "READY", "REASON", "NAMESPACES", "VERIFIED", "QUOTA", "AGE"]
    assert row.split()[:4] == ["shown", "True", "AsSpecified", "1/1"]
    explained = kubectl(sandbox, "explain", "securetenant.spec", "--recursive")
    assert "exceptionReason" in explained


@pytest.mark.parametrize("name", ["acme"])
def test_an_example_becomes_ready(name: str, sandbox: Instance, ready: Ready, admin: Api) -> None:
    text = kubectl(sandbox, "apply", "-f", f"examples/{name}.yaml", "-o", "yaml")
    settled(admin, yaml.safe_load(text)["metadata"]["name"])


def test_a_host_name_stays_with_the_tenant_that_has_it(admin: Api, ready: Ready) -> None:
    """The younger one is told whose it is, keeps the rest, and gets it once it is given up."""
    older = tenant("host-a", workloads={"hostnames": [".shared.example"]})
    ready(older)
    younger = tenant("host-b", workloads={"hostnames": [".own.example", ".a.shared.example"]})
    name = younger["metadata"]["name"]
    admin.create(kinds.SECURE_TENANT, younger).ok()

    def told() -> Any:
        return conditions(admin.get(kinds.SECURE_TENANT, name)).get("Stalled")

    found = wait_for(told, what="the conflict to be told")
    assert found["reason"] == "HostnameTaken"
    assert f".a.shared.example (tenant {older['metadata']['name']})" in found["message"]

    def allowed() -> Any:
        policy = admin.get(kinds.TENANT_POLICY, names.POLICY_NAME, f"{name}-a")
        return policy["spec"]["workloads"]["hostnames"]

    assert allowed() == [".own.example"]
    ready({**older, "spec": {**older["spec"], "workloads": {"hostnames": [".other.example"]}}})
    settled(admin, name)
    assert allowed() == [".a.shared.example", ".own.example"]
