"""Namespaces that are there already are taken with consent, on a real API server."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

import factory
from conftest import Ready, settled
from factory import enough, reusing, tenant
from harness import Api, conditions, settle, wait_for, wait_for_account, writes_by_operator
from securetenant.api import kinds, names
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance

RBAC = "rbac.authorization.k8s.io"
CONSENT = names.ADOPT_ANNOTATION
_numbers = itertools.count(1)
DEPLOYMENTS = "/apis/apps/v1/namespaces/{}/deployments"


def consent(admin: Api, namespace: str, name: str | None) -> None:
    patch = {"metadata": {"annotations": {CONSENT: name}}}
    admin.patch(kinds.NAMESPACE, namespace, patch).ok()


def ready(admin: Api, name: str) -> Any:
    return conditions(admin.get(kinds.SECURE_TENANT, name)).get("Ready", {"reason": ""})


def wait_for_reason(admin: Api, name: str, reason: str) -> str:
    wait_for(lambda: ready(admin, name)["reason"] == reason, what=reason, seconds=60)
    return str(ready(admin, name)["message"])


def owner(admin: Api, namespace: str) -> str:
    labels = admin.get(kinds.NAMESPACE, namespace)["metadata"]["labels"]
    return str(labels.get(names.TENANT_LABEL, ""))


def running(admin: Api, namespace: str) -> dict[str, Any]:
    """Return the uid and the number of restarts of each pod that runs."""
    return {
        each["metadata"]["name"]: (
            each["metadata"]["uid"],
            sum(one["restartCount"] for one in each["status"].get("containerStatuses", ())),
        )
        for each in admin.list(kinds.POD, namespace)
        if each["status"].get("phase") == "Running" and "deletionTimestamp" not in each["metadata"]
    }


@pytest.fixture
def old(admin: Api) -> Iterator[str]:
    """A namespace of nobody."""
    name = f"lived-in-{next(_numbers)}"
    admin.create(kinds.NAMESPACE, {"metadata": {"name": name, "labels": {"team": "a"}}}).ok()
    wait_for_account(admin, name)
    yield name
    admin.delete(kinds.NAMESPACE, name)


def test_a_hundred_running_workloads_are_taken_without_a_restart(
    admin: Api, ready: Ready, old: str
) -> None:
    """None is cut off from what is declared, and their Deployments go on replacing pods."""
    web = factory.deployment("web")
    web["spec"]["replicas"] = 100
    web["spec"]["template"]["spec"]["automountServiceAccountToken"] = False
    admin.call("POST", DEPLOYMENTS.format(old), web).ok()
    wait_for(lambda: len(running(admin, old)) == 100, what="a hundred pods", seconds=60)
    before = running(admin, old)
    body = tenant("lived", namespaces=[{"name": old}], quota={**enough(100), "pods": 110})
    consent(admin, old, "lived")
    ready(body)
    assert running(admin, old) == before
    labels = admin.get(kinds.NAMESPACE, old)["metadata"]["labels"]
    assert labels["team"] == "a", "what others wrote stays"
    assert names.DEFAULT_DENY in {
        each["metadata"]["name"] for each in admin.list(kinds.NETWORK_POLICY, old)
    }
    web["spec"]["replicas"] = 101
    patch = {"spec": {"replicas": 101}}
    admin.call(
        "PATCH",
        f"{DEPLOYMENTS.format(old)}/web",
        patch,
        content_type="application/merge-patch+json",
    ).ok()
    wait_for(lambda: len(running(admin, old)) == 101, what="another pod", seconds=60)


def test_what_contradicts_the_spec_is_named_and_nothing_is_touched(
    admin: Api, ready: Ready, old: str, sandbox: Instance
) -> None:
    """A pod beyond the level, traffic and access: each in turn is put right by somebody."""
    bad = factory.pod()
    bad["spec"]["containers"][0]["securityContext"] = {"privileged": True}
    made = admin.create_pod(old, {**bad, "metadata": {"name": "root"}}).ok()
    wide = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "wide"},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}]},
    }
    admin.create(kinds.NETWORK_POLICY, wide, old).ok()
    jane = {"kind": "User", "apiGroup": RBAC, "name": "jane"}
    admin.create(kinds.ROLE_BINDING, factory.binding(jane, role="edit"), old).ok()
    consent(admin, old, "picky")
    seen = settle(sandbox)
    body = tenant("picky", namespaces=[{"name": old}])
    admin.create(kinds.SECURE_TENANT, body).ok()
    told = wait_for_reason(admin, "picky", "AdoptionBlocked")
    for each in (f"Pod {old}/root", f"NetworkPolicy {old}/wide", f"RoleBinding {old}/mine"):
        assert each in told
    assert owner(admin, old) == ""
    assert not [
        each["requestURI"]
        for each in writes_by_operator(sandbox)[seen:]
        if f"/namespaces/{old}" in each["requestURI"]
    ]
    uid = made["metadata"]["uid"]
    assert admin.get(kinds.POD, "root", old)["metadata"]["uid"] == uid
    for kind, name in (
        (kinds.POD, "root"),
        (kinds.NETWORK_POLICY, "wide"),
        (kinds.ROLE_BINDING, "mine"),
    ):
        admin.delete(kind, name, old).ok()
    admin.patch(
        kinds.SECURE_TENANT,
        "picky",
        {"metadata": {"annotations": {names.REQUESTED_ANNOTATION: "now"}}},
    ).ok()
    settled(admin, "picky")
    assert owner(admin, old) == "picky"


def test_in_audit_mode_a_namespace_is_taken_with_what_it_holds(
    admin: Api, ready: Ready, old: str
) -> None:
    """The way to look first: nothing that runs ends, and what protects others stands."""
    bad = factory.pod()
    bad["spec"]["containers"][0]["securityContext"] = {"runAsUser": 0}
    uid = admin.create_pod(old, {**bad, "metadata": {"name": "root"}}).ok()["metadata"]["uid"]
    consent(admin, old, "watched")
    ready(tenant("watched", namespaces=[{"name": old}], enforcement="Audit"))
    assert owner(admin, old) == "watched"
    assert admin.get(kinds.POD, "root", old)["metadata"]["uid"] == uid


def test_consent_names_one_of_two_tenants(admin: Api, ready: Ready, old: str) -> None:
    """Both ask for the namespace; it is taken by the one that the platform team names."""
    for name in ("suitor", "chosen"):
        admin.create(kinds.SECURE_TENANT, tenant(name, namespaces=[{"name": old}])).ok()
    for name in ("suitor", "chosen"):
        assert f"{CONSENT}={name}" in wait_for_reason(admin, name, "Conflict")
    consent(admin, old, "chosen")
    settled(admin, "chosen")
    assert owner(admin, old) == "chosen"
    assert "belongs to tenant chosen" in wait_for_reason(admin, "suitor", "Conflict")


def test_consent_that_is_taken_back_before_anything_was_done_takes_nothing(
    admin: Api, ready: Ready, old: str
) -> None:
    jane = {"kind": "User", "apiGroup": RBAC, "name": "jane"}
    admin.create(kinds.ROLE_BINDING, factory.binding(jane, role="edit"), old).ok()
    consent(admin, old, "fickle")
    admin.create(kinds.SECURE_TENANT, tenant("fickle", namespaces=[{"name": old}])).ok()
    wait_for_reason(admin, "fickle", "AdoptionBlocked")
    consent(admin, old, None)
    wait_for_reason(admin, "fickle", "Conflict")
    admin.delete(kinds.ROLE_BINDING, "mine", old).ok()
    assert owner(admin, old) == ""


def test_a_namespace_moves_with_its_tenant_to_a_new_name(
    admin: Api, ready: Ready, sandbox: Instance
) -> None:
    """To rename a tenant is to move its namespaces: nothing in them ends, former access does."""
    subjects = [{"kind": "Group", "name": "former"}]
    access = [{"name": "a", "role": "Admin", "subjects": subjects}]
    ready(tenant("maiden", namespaces=[{"name": "home"}], access=access))
    wait_for_account(admin, "home")
    admin.call("POST", DEPLOYMENTS.format("home"), factory.deployment("web")).ok()
    wait_for(lambda: running(admin, "home"), what="the pod to run", seconds=60)
    before = running(admin, "home")
    former = Api(kubeconfigs.for_user(sandbox, "former", ("former",)))
    former.call("GET", "/api/v1/namespaces/home/secrets").ok()
    admin.delete(kinds.SECURE_TENANT, "maiden").ok()
    wait_for(lambda: admin.get(kinds.SECURE_TENANT, "maiden") is None, what="the end", seconds=30)
    consent(admin, "home", "married")
    body = tenant("married", namespaces=[{"name": "home"}])
    admin.create(kinds.SECURE_TENANT, body).ok()
    told = wait_for_reason(admin, "married", "Conflict")
    assert "can still have a watch open" in told
    assert f"{names.REUSE_ANNOTATION}=home" in told
    body = reusing(body)
    admin.apply(kinds.SECURE_TENANT, body, manager="test").ok()
    settled(admin, "married")
    assert running(admin, "home") == before
    assert former.call("GET", "/api/v1/namespaces/home/secrets").status == 403
    policy = admin.get(kinds.TENANT_POLICY, names.POLICY_NAME, "home")
    assert policy["spec"]["tenant"] == "married"
    admin.create_pod("home", factory.pod(), dryRun="All").ok()


@pytest.mark.parametrize(
    ("value", "reason"),
    [("", "Conflict"), ("Strict", "Conflict"), ("strict-2", "Conflict")],
)
def test_a_consent_that_names_nobody_of_that_name_is_none(
    value: str, reason: str, admin: Api, ready: Ready, old: str
) -> None:
    """Bad input: nothing, another spelling, another tenant; the message says what to write."""
    consent(admin, old, value)
    admin.create(kinds.SECURE_TENANT, tenant("exact", namespaces=[{"name": old}])).ok()
    try:
        assert f"{CONSENT}=exact" in wait_for_reason(admin, "exact", reason)
        assert owner(admin, old) == ""
    finally:
        admin.delete(kinds.SECURE_TENANT, "exact").ok()
        wait_for(lambda: admin.get(kinds.SECURE_TENANT, "exact") is None, what="the end")
