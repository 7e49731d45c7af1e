"""Deletion, and everything that stops the operator: nothing is opened, nothing is lost."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner

import factory
from conftest import Ready, settled
from factory import tenant
from harness import (
    JSON_PATCH,
    MERGE,
    Api,
    Operator,
    conditions,
    kubectl,
    wait_for,
    writes_by_operator,
)
from securetenant.api import kinds, names
from securetenant.cli.main import main
from securetenant.sandbox.instances import Instance

WALL = (kinds.NETWORK_POLICY, names.DEFAULT_DENY)


def state(admin: Api, namespace: str) -> str:
    body = admin.get(kinds.NAMESPACE, namespace)
    return str(body["metadata"]["labels"][names.STATE_LABEL]) if body else "gone"


def gone(admin: Api, name: str) -> None:
    wait_for(
        lambda: admin.get(kinds.SECURE_TENANT, name) is None,
        what=f"SecureTenant {name} to go",
        seconds=30,
    )


def test_the_finalizer_comes_before_anything_else(
    sandbox: Instance, admin: Api, ready: Ready
) -> None:
    before = len(writes_by_operator(sandbox))
    made = ready(tenant("held", namespaces=[{"name": "held-a"}]))
    assert names.FINALIZER in made["metadata"]["finalizers"]
    ours = [
        event["objectRef"]
        for event in writes_by_operator(sandbox)[before:]
        if event["objectRef"].get("name") in ("held", "held-a")
        or event["objectRef"].get("namespace") == "held-a"
    ]
    assert ours[0]["resource"] == "securetenants"
    assert ours[0].get("subresource") is None


def test_retain_keeps_namespaces_walls_and_access(admin: Api, ready: Ready) -> None:
    subjects = [{"kind": "Group", "name": "stayers"}]
    grants = [{"name": "all", "role": "Viewer", "subjects": subjects}]
    ready(tenant("retain", namespaces=[{"name": "retain-a"}], access=grants))
    before = {
        str(kind): [each["metadata"]["uid"] for each in admin.list(kind, "retain-a")]
        for kind in (kinds.NETWORK_POLICY, kinds.RESOURCE_QUOTA, kinds.ROLE_BINDING)
    }
    admin.delete(kinds.SECURE_TENANT, "retain").ok()
    gone(admin, "retain")
    assert state(admin, "retain-a") == "retained"
    for kind in (kinds.NETWORK_POLICY, kinds.RESOURCE_QUOTA, kinds.ROLE_BINDING):
        assert [each["metadata"]["uid"] for each in admin.list(kind, "retain-a")] == before[
            str(kind)
        ]
    answer = admin.delete(*WALL, "retain-a")
    assert answer.status == 403, "still a managed object"


def test_a_retained_namespace_is_taken_back_with_consent_alone(admin: Api, ready: Ready) -> None:
    """Another SecureTenant of the same name is somebody else until the platform team says so."""
    body = tenant("again", namespaces=[{"name": "again-a"}])
    ready(body)
    uid = admin.get(kinds.NAMESPACE, "again-a")["metadata"]["uid"]
    admin.delete(kinds.SECURE_TENANT, "again").ok()
    gone(admin, "again")
    admin.create(kinds.SECURE_TENANT, body).ok()
    message = conditions(settled(admin, "again", expected="Failed"))["Ready"]["message"]
    remedy = "kubectl annotate namespace again-a securetenant.io/adopt=again"
    assert message == (
        f"Namespace again-a was retained. To take it back with all it holds: {remedy}"
    )
    assert state(admin, "again-a") == "retained"
    consent = {"metadata": {"annotations": {names.ADOPT_ANNOTATION: "again"}}}
    admin.patch(kinds.NAMESPACE, "again-a", consent).ok()
    settled(admin, "again")
    taken = admin.get(kinds.NAMESPACE, "again-a")["metadata"]
    assert (taken["uid"], state(admin, "again-a")) == (uid, "active")
    assert names.ADOPT_ANNOTATION not in taken.get("annotations", {}), "consent is used up"


@pytest.mark.parametrize("enforcement", ["Enforce", "Audit"])
def test_a_new_tenant_of_an_old_name_does_not_meet_what_the_earlier_one_left(
    enforcement: str, admin: Api, ready: Ready
) -> None:
    """Both had the label of one tenant, so traffic, quota and host names were one tenant's."""
    name = f"successor-{enforcement.lower()}"
    old, new = f"{name}-old", f"{name}-new"
    ready(tenant(name, namespaces=[{"name": old}], enforcement=enforcement))
    admin.delete(kinds.SECURE_TENANT, name).ok()
    gone(admin, name)
    body = tenant(name, namespaces=[{"name": new}], enforcement=enforcement)
    admin.create(kinds.SECURE_TENANT, body).ok()
    found = conditions(settled(admin, name, expected="Failed"))["Ready"]
    assert found["reason"] == "ConsentNeeded"
    assert found["message"] == (
        f"Namespace {old} belongs to an earlier SecureTenant {name}, so its members and its traffic"
        " would meet those of this one. Delete it, or add it to spec.namespaces and: kubectl"
        f" annotate namespace {old} securetenant.io/adopt={name}"
    )
    assert admin.get(kinds.NAMESPACE, new) is None
    consent = {"metadata": {"annotations": {names.ADOPT_ANNOTATION: name}}}
    admin.patch(kinds.NAMESPACE, old, consent).ok()
    body["spec"]["namespaces"].append({"name": old})
    ready(body)
    assert state(admin, old) == "active"
    assert state(admin, new) == "active"


def test_a_new_tenant_of_an_old_name_begins_when_what_was_left_is_deleted(
    admin: Api, breaker: Api, ready: Ready
) -> None:
    ready(tenant("inheritor", namespaces=[{"name": "inheritor-old"}]))
    admin.delete(kinds.SECURE_TENANT, "inheritor").ok()
    gone(admin, "inheritor")
    admin.create(
        kinds.SECURE_TENANT, tenant("inheritor", namespaces=[{"name": "inheritor-new"}])
    ).ok()
    settled(admin, "inheritor", expected="Failed")
    breaker.delete(kinds.NAMESPACE, "inheritor-old").ok()
    settled(admin, "inheritor", seconds=60)
    assert state(admin, "inheritor-new") == "active"


def test_a_secure_tenant_without_our_finalizer_is_no_wish_to_delete(
    admin: Api, ready: Ready, operator: Operator
) -> None:
    """Deleted while nobody looked: the walls stay, and another of that name needs consent."""
    ready(tenant("forced", namespaces=[{"name": "forced-a"}], deletionPolicy="Delete"))
    assert operator.stop() == 0
    admin.delete(kinds.SECURE_TENANT, "forced").ok()
    admin.patch(kinds.SECURE_TENANT, "forced", {"metadata": {"finalizers": []}}).ok()
    gone(admin, "forced")
    operator.start()
    admin.create(kinds.SECURE_TENANT, tenant("forced", namespaces=[{"name": "forced-a"}])).ok()
    found = conditions(settled(admin, "forced", expected="Failed"))["Ready"]
    assert found["reason"] == "ConsentNeeded"
    assert "belongs to an earlier SecureTenant forced" in found["message"]
    assert admin.get(*WALL, "forced-a")


def test_delete_removes_pods_before_walls(admin: Api, ready: Ready) -> None:
    """A pod is held by a finalizer: for as long as it is there, so are the walls."""
    ready(tenant("delete", namespaces=[{"name": "delete-a"}], deletionPolicy="Delete"))
    path = "/api/v1/namespaces/delete-a"
    wait_for(
        lambda: admin.call("GET", f"{path}/serviceaccounts/default").status == 200,
        what="the default ServiceAccount",
    )
    body = factory.pod()
    body["metadata"] = {"name": "held", "finalizers": ["test.example/hold"]}
    admin.create_pod("delete-a", body).ok()
    admin.delete(kinds.SECURE_TENANT, "delete").ok()
    wait_for(
        lambda: "deletionTimestamp" in admin.call("GET", f"{path}/pods/held").body["metadata"],
        what="the pod to be deleted",
        seconds=30,
    )
    for kind in (kinds.NETWORK_POLICY, kinds.RESOURCE_QUOTA, kinds.TENANT_POLICY):
        assert admin.list(kind, "delete-a"), f"{kind.name} went before the pod"
    assert admin.list(kinds.ROLE_BINDING, "delete-a") == [], "access went first"
    assert admin.create_pod("delete-a", factory.pod(), dryRun="All").status == 403
    reason = conditions(admin.get(kinds.SECURE_TENANT, "delete"))["Ready"]["reason"]
    assert reason == "Terminating"
    admin.call(
        "PATCH",
        f"{path}/pods/held",
        {"metadata": {"finalizers": []}},
        content_type="application/merge-patch+json",
    ).ok()
    gone(admin, "delete")
    assert admin.get(kinds.NAMESPACE, "delete-a") is None


@pytest.mark.parametrize(("policy", "end"), [("Retain", "retained"), ("Delete", "gone")])
def test_a_namespace_that_leaves_the_list_is_let_go_likewise(
    policy: str, end: str, admin: Api, ready: Ready
) -> None:
    name = f"list-{policy.lower()}"
    ready(tenant(name, deletionPolicy=policy))
    ready(tenant(name, deletionPolicy=policy, namespaces=[{"name": f"{name}-a"}]))
    wait_for(
        lambda: state(admin, f"{name}-b") == end, what=f"the namespace to be {end}", seconds=30
    )
    assert state(admin, f"{name}-a") == "active"


def test_what_was_retained_is_not_deleted_by_a_later_change_of_mind(
    admin: Api, ready: Ready
) -> None:
    ready(tenant("mind"))
    ready(tenant("mind", namespaces=[{"name": "mind-a"}]))
    wait_for(lambda: state(admin, "mind-b") == "retained", what="the namespace to be retained")
    ready(tenant("mind", namespaces=[{"name": "mind-a"}], deletionPolicy="Delete"))
    admin.delete(kinds.SECURE_TENANT, "mind").ok()
    gone(admin, "mind")
    assert (state(admin, "mind-a"), state(admin, "mind-b")) == ("gone", "retained")


def test_a_retained_namespace_keeps_its_share(admin: Api, breaker: Api, ready: Ready) -> None:
    ready(tenant("keep", quota={"pods": 10}))
    ready(tenant("keep", quota={"pods": 10}, namespaces=[{"name": "keep-a"}]))
    wait_for(lambda: state(admin, "keep-b") == "retained", what="the namespace to be retained")
    quota = admin.get(kinds.RESOURCE_QUOTA, names.QUOTA, "keep-a")
    assert quota["spec"]["hard"]["pods"] == "5"
    breaker.delete(kinds.NAMESPACE, "keep-b").ok()
    wait_for(
        lambda: (
            admin.get(kinds.RESOURCE_QUOTA, names.QUOTA, "keep-a")["spec"]["hard"]["pods"] == "10"
        ),
        what="the released share to be taken",
        seconds=60,
    )


def test_a_suspended_tenant_is_not_touched(
    sandbox: Instance, admin: Api, breaker: Api, ready: Ready
) -> None:
    body = tenant("still", namespaces=[{"name": "still-a"}])
    ready(body)
    body["spec"]["reconciliation"] = "Suspended"
    ready(body)
    before = len(writes_by_operator(sandbox))
    breaker.delete(*WALL, "still-a").ok()
    reason = wait_for(
        lambda: (
            found["reason"]
            if (found := conditions(admin.get(kinds.SECURE_TENANT, "still"))["Ready"])["status"]
            == "False"
            else ""
        ),
        what="the status to say what is missing",
    )
    assert reason == "Suspended"
    touched = {
        event["objectRef"]["resource"]
        for event in writes_by_operator(sandbox)[before:]
        if event["objectRef"].get("namespace") == "still-a"
    }
    assert touched == set()
    body["spec"]["reconciliation"] = "Active"
    ready(body)
    assert admin.get(*WALL, "still-a")


def test_a_frozen_a_suspended_and_an_audited_tenant_are_seen_in_a_list(
    sandbox: Instance, ready: Ready
) -> None:
    """T6, T8: they looked like any other tenant; what the spec asks for fails nobody."""
    rows = {}
    for name, spec, reason in (
        ("sight-frozen", {"lockdown": "Frozen"}, "Frozen"),
        ("sight-suspended", {}, "Suspended"),
        ("sight-audit", {"enforcement": "Audit"}, "AuditOnly"),
    ):
        body = tenant(name, namespaces=[{"name": f"{name}-a"}], **spec)
        ready(body)
        if reason == "Suspended":
            body["spec"]["reconciliation"] = "Suspended"
            ready(body)
        rows[name] = ["True", reason, "1/1"]
    listed = kubectl(sandbox, "get", "securetenants", *rows, "--no-headers").splitlines()
    assert {row.split()[0]: row.split()[1:4] for row in listed} == rows
    ready(tenant("sight-suspended", namespaces=[{"name": "sight-suspended-a"}]))


def test_a_suspended_tenant_that_is_deleted_says_that_it_waits(admin: Api, ready: Ready) -> None:
    """T6: it kept its old conditions, and hung without a word."""
    body = tenant("hangs", namespaces=[{"name": "hangs-a"}])
    ready(body)
    body["spec"]["reconciliation"] = "Suspended"
    ready(body)
    admin.delete(kinds.SECURE_TENANT, "hangs").ok()

    def told() -> Any:
        found = conditions(admin.get(kinds.SECURE_TENANT, "hangs"))
        return found if "Stalled" in found else None

    found = wait_for(told, what="the condition")
    assert found.keys() == {"Ready", "Stalled"}
    assert (found["Ready"]["status"], found["Ready"]["reason"]) == ("False", "Suspended")
    command = """kubectl patch securetenant hangs --type merge -p '{"spec":{"reconciliation":"""
    assert command in found["Ready"]["message"]
    active = {"spec": {"reconciliation": "Active"}}
    admin.patch(kinds.SECURE_TENANT, "hangs", active).ok()
    gone(admin, "hangs")
    assert state(admin, "hangs-a") == "retained"


def test_a_deletion_says_which_namespace_it_waits_for_and_what_holds_it(
    admin: Api, ready: Ready, sandbox: Instance
) -> None:
    """T7: it said "Left: stays-a", and nothing of the finalizer."""
    ready(tenant("stays", namespaces=[{"name": "stays-a"}], deletionPolicy="Delete"))
    path = "/api/v1/namespaces/stays-a/configmaps"
    held = {"metadata": {"name": "cm", "finalizers": ["example.com/x"]}}
    admin.call("POST", path, held).ok()
    admin.delete(kinds.SECURE_TENANT, "stays").ok()

    def message() -> str:
        found = conditions(admin.get(kinds.SECURE_TENANT, "stays"))
        assert found.keys() <= {"Ready", "Reconciling"} or found["Ready"]["status"] == "True"
        text: str = found["Ready"]["message"]
        return text if "example.com/x" in text else ""

    told = wait_for(message, what="the condition to name the finalizer", seconds=30)
    assert told.startswith("Waiting for these namespaces to terminate: stays-a (")
    assert "configmaps. has 1 resource instances" in told
    login = {"KUBECONFIG": str(sandbox.admin_kubeconfig)}
    shown = CliRunner().invoke(main, ["status", "stays", "-o", "json"], env=login)
    assert json.loads(shown.stdout)["held"] == [
        {
            "namespace": "stays-a",
            "kind": "ConfigMap",
            "name": "cm",
            "finalizers": ["example.com/x"],
        }
    ]
    free = [{"op": "remove", "path": "/metadata/finalizers"}]
    admin.call("PATCH", f"{path}/cm", free, content_type=JSON_PATCH).ok()
    gone(admin, "stays")


@pytest.fixture
def settings(admin: Api) -> Iterator[dict[str, Any]]:
    """The installed settings, put back afterwards."""
    body = admin.get(kinds.TENANCY_SETTINGS, "default")
    yield body
    # As a whole: an entry of a list that somebody else added would survive an apply.
    back = [{"op": "replace", "path": "/spec", "value": body["spec"]}]
    path = kinds.TENANCY_SETTINGS.path("", "default")
    admin.call("PATCH", path, back, content_type=JSON_PATCH).ok()


def test_without_settings_nothing_is_changed(
    admin: Api, breaker: Api, ready: Ready, settings: dict[str, Any]
) -> None:
    ready(tenant("unsettled", namespaces=[{"name": "unsettled-a"}]))
    breaker.delete(kinds.TENANCY_SETTINGS, "default").ok()
    condition: Any = wait_for(
        lambda: conditions(admin.get(kinds.SECURE_TENANT, "unsettled")).get("Stalled"),
        what="the condition",
    )
    assert condition["reason"] == "SettingsMissing"
    assert "kubectl apply -k manifests/settings" in condition["message"]
    admin.create(kinds.SECURE_TENANT, tenant("later", namespaces=[{"name": "later-a"}])).ok()
    wait_for(
        lambda: conditions(admin.get(kinds.SECURE_TENANT, "later")).get("Stalled"),
        what="the other's condition",
    )
    assert admin.get(kinds.NAMESPACE, "later-a") is None
    fresh = {key: settings[key] for key in ("apiVersion", "kind", "spec")}
    admin.create(kinds.TENANCY_SETTINGS, {**fresh, "metadata": {"name": "default"}}).ok()
    settled(admin, "later")
    settled(admin, "unsettled")


def test_settings_reach_every_tenant(admin: Api, ready: Ready, settings: dict[str, Any]) -> None:
    ready(tenant("reach", namespaces=[{"name": "reach-a"}]))
    dns = {**settings["spec"]["dns"], "addresses": ["10.96.0.10/32"]}
    quota = {**settings["spec"]["defaultQuota"], "pods": 70}
    admin.patch(
        kinds.TENANCY_SETTINGS, "default", {"spec": {"dns": dns, "defaultQuota": quota}}
    ).ok()

    def reached() -> bool:
        policy = admin.get(kinds.NETWORK_POLICY, names.DNS, "reach-a")
        hard = admin.get(kinds.RESOURCE_QUOTA, names.QUOTA, "reach-a")["spec"]["hard"]
        return "10.96.0.10/32" in str(policy["spec"]) and hard["pods"] == "70"

    wait_for(reached, what="the settings to reach the namespace")


def test_a_name_that_the_platform_keeps_is_not_given(
    admin: Api, ready: Ready, settings: dict[str, Any]
) -> None:
    ready(tenant("keeper", namespaces=[{"name": "kept-before"}]))
    admin.patch(
        kinds.TENANCY_SETTINGS, "default", {"spec": {"protectedNames": ["monitoring", "kept-*"]}}
    ).ok()
    entries = [{"name": "kept-later"}, {"name": "monitoring"}, {"name": "monitoring-x"}]
    admin.create(kinds.SECURE_TENANT, tenant("grabber", namespaces=entries)).ok()
    wait_for(lambda: admin.get(kinds.NAMESPACE, "monitoring-x"), what="the name that is free")
    found = conditions(settled(admin, "grabber", expected="Failed"))["Ready"]
    assert found["reason"] == "ProtectedName"
    assert admin.get(kinds.NAMESPACE, "kept-later") is None
    assert admin.get(kinds.NAMESPACE, "monitoring") is None
    assert state(admin, "kept-before") == "active", "what is a tenant's already stays so"


def test_no_more_tenants_are_torn_down_than_the_settings_allow(
    admin: Api, ready: Ready, settings: dict[str, Any]
) -> None:
    """A mistake in Git must not end every tenant within a minute."""
    for name in ("torn-1", "torn-2"):
        ready(tenant(name, namespaces=[{"name": f"{name}-a"}], deletionPolicy="Delete"))
    patched = admin.patch(kinds.TENANCY_SETTINGS, "default", {"spec": {"teardownsPerHour": 0}})
    generation = patched.ok()["metadata"]["generation"]
    wait_for(
        lambda: (
            admin.get(kinds.TENANCY_SETTINGS, "default")["status"]["observedGeneration"]
            == generation
        ),
        what="the operator to see the settings",
    )
    admin.delete(kinds.SECURE_TENANT, "torn-1").ok()
    wait_for(
        lambda: (
            conditions(admin.get(kinds.SECURE_TENANT, "torn-1"))["Ready"]["reason"]
            == "TeardownDelayed"
        ),
        what="the condition",
    )
    assert state(admin, "torn-1-a") == "active"
    admin.patch(kinds.TENANCY_SETTINGS, "default", {"spec": {"teardownsPerHour": 1000}}).ok()
    gone(admin, "torn-1")


def test_events_tell_of_transitions_alone(admin: Api, ready: Ready) -> None:
    body = tenant("told", namespaces=[{"name": "told-a"}])
    uid = ready(body)["metadata"]["uid"]
    body["spec"]["namespaces"][0]["labels"] = {"env": "prod"}
    ready(body)

    def told() -> list[str]:
        return sorted(
            event["reason"]
            for event in admin.list(kinds.EVENT, "default")
            if event["regarding"].get("uid") == uid
        )

    wait_for(told, what="an event")
    assert told() == ["AsSpecified"], "the second time nothing changed for people"


def test_a_namespace_that_left_the_list_is_named_while_it_is_being_deleted(
    admin: Api, breaker: Api, ready: Ready
) -> None:
    """NamespacesReady was True, as specified, although pods of it still ran."""
    entries = [{"name": "going-slowly-a"}, {"name": "going-slowly-b"}]
    body = tenant("going-slowly", namespaces=entries, deletionPolicy="Delete")
    ready(body)
    maps = "/api/v1/namespaces/going-slowly-b/configmaps"
    held = {"metadata": {"name": "held", "finalizers": ["example.com/hold"]}}
    breaker.call("POST", maps, held).ok()
    body["spec"]["namespaces"].pop()
    admin.apply(kinds.SECURE_TENANT, body, manager="test").ok()

    def named() -> Any:
        found = conditions(admin.get(kinds.SECURE_TENANT, "going-slowly")).get(
            "NamespacesReady", {}
        )
        return found if "example.com/hold" in found.get("message", "") else None

    found = wait_for(named, what="the condition to name it", seconds=30)
    assert (found["status"], found["reason"]) == ("False", "Terminating")
    told = "Namespaces that left spec.namespaces are being deleted: going-slowly-b (since 20"
    assert found["message"].startswith(told)
    settled(admin, "going-slowly", expected="InProgress")
    change = {"metadata": {"finalizers": None}}
    breaker.call("PATCH", f"{maps}/held", change, content_type=MERGE).ok()
    settled(admin, "going-slowly", seconds=60)
