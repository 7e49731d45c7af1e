"""A name that a SecureTenant had is given to no other: an open watch outlives the right to it."""

import threading
from typing import Any

from conftest import Ready, settled
from factory import tenant
from harness import Api, Operator, conditions, wait_for
from securetenant.api import kinds, names
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance


def spaces(*found: str) -> list[dict[str, str]]:
    return [{"name": each} for each in found]


def remembered(admin: Api, namespace: str) -> Any:
    status = admin.get(kinds.TENANCY_SETTINGS, names.SETTINGS_NAME).get("status") or {}
    entries = {each["name"]: each for each in status.get("formerNames", ())}
    return entries.get(namespace)


def resting(admin: Api, namespace: str) -> Any:
    """Wait until a namespace is gone and its name rests; return what is remembered of it."""

    def probe() -> Any:
        found = remembered(admin, namespace)
        is_gone = admin.get(kinds.NAMESPACE, namespace) is None
        return found if is_gone and found and "since" in found else None

    return wait_for(probe, what=f"the name {namespace} to rest", seconds=60)


def retained(admin: Api, namespace: str) -> None:
    def probe() -> bool:
        labels = admin.get(kinds.NAMESPACE, namespace)["metadata"]["labels"]
        return bool(labels[names.STATE_LABEL] == names.RETAINED)

    wait_for(probe, what=f"namespace {namespace} to be retained", seconds=30)


def refused(admin: Api, name: str, namespace: str) -> str:
    """Wait until a tenant does not get a name; return the message."""

    def probe() -> str:
        found = conditions(settled(admin, name, expected="Failed", seconds=30))
        assert (found["Ready"]["reason"], found["Stalled"]["status"]) == ("NameResting", "True")
        message = str(found["Ready"]["message"])
        return message if message.startswith(f"Namespace {namespace} ") else ""

    return wait_for(probe, what=f"the message to be of {namespace}", seconds=30)


def allow(admin: Api, name: str, *reused: str) -> None:
    annotations = {names.REUSE_ANNOTATION: ",".join(reused)}
    admin.patch(kinds.SECURE_TENANT, name, {"metadata": {"annotations": annotations}}).ok()


def peep(member: Api, namespace: str) -> list[str]:
    """Watch Secrets for a year; return the names that are shown, as they come."""
    seen: list[str] = []
    path = f"/api/v1/namespaces/{namespace}/secrets?watch=1&timeoutSeconds=31536000"

    def follow() -> None:
        seen.extend(event["object"]["metadata"]["name"] for event in member.follow(path))

    threading.Thread(target=follow, daemon=True).start()
    return seen


def test_a_watch_of_a_former_tenant_never_shows_secrets_of_the_next_one(
    sandbox: Instance, admin: Api, breaker: Api, ready: Ready
) -> None:
    """F11: a watch is authorized once, so it went on into a namespace of the same name."""
    subjects = [{"kind": "User", "name": "beta-rest-member"}]
    access = [{"name": "all", "role": "Admin", "subjects": subjects}]
    both = spaces("beta-rest-one", "beta-rest-two")
    ready(tenant("beta-rest", namespaces=both, access=access))
    seen = peep(Api(kubeconfigs.for_user(sandbox, "beta-rest-member", ())), "beta-rest-two")
    first = {"metadata": {"name": "of-the-former-one"}}
    admin.call("POST", "/api/v1/namespaces/beta-rest-two/secrets", first).ok()
    wait_for(lambda: "of-the-former-one" in seen, what="the watch to be open")
    ready(tenant("beta-rest", namespaces=spaces("beta-rest-one")))
    retained(admin, "beta-rest-two")
    breaker.delete(kinds.NAMESPACE, "beta-rest-two").ok()
    entry = resting(admin, "beta-rest-two")
    body = tenant("acme-rest", namespaces=spaces("acme-rest-a", "beta-rest-two"))
    admin.create(kinds.SECURE_TENANT, body).ok()
    message = refused(admin, "acme-rest", "beta-rest-two")
    assert message.startswith(
        "Namespace beta-rest-two belonged to tenant beta-rest and was gone at"
        f" {entry['since']}. Its name rests, because anyone who had access to it can still have a"
        " watch open. Choose another name, wait until "
    )
    remedy = (
        "kubectl annotate securetenant acme-rest --overwrite"
        " securetenant.io/reuse-names=beta-rest-two"
    )
    assert message.endswith(remedy)
    assert admin.get(kinds.NAMESPACE, "beta-rest-two") is None
    assert admin.get(kinds.NAMESPACE, "acme-rest-a"), "its other namespaces are made"
    policy = admin.get(kinds.TENANT_POLICY, names.POLICY_NAME, "acme-rest-a")
    assert policy["spec"]["access"]["serviceAccountNamespaces"] == ["acme-rest-a"]
    # The platform team knows better: and what then happens shows that the watch was open.
    allow(admin, "acme-rest", "something-else", "beta-rest-two")
    settled(admin, "acme-rest", seconds=30)
    wait_for(lambda: remembered(admin, "beta-rest-two") is None, what="the entry to go")
    secret = {"metadata": {"name": "of-the-next-one"}}
    admin.call("POST", "/api/v1/namespaces/beta-rest-two/secrets", secret).ok()
    wait_for(lambda: "of-the-next-one" in seen, what="the watch to show the Secret")


def test_the_same_securetenant_gets_its_names_back_at_once(
    admin: Api, ready: Ready, operator: Operator
) -> None:
    """A preview environment comes and goes under one name."""
    both, one = spaces("preview-a", "preview-pr-12"), spaces("preview-a")
    for _ in range(2):
        ready(tenant("preview", namespaces=both, deletionPolicy="Delete"))
        ready(tenant("preview", namespaces=one, deletionPolicy="Delete"))
        entry = resting(admin, "preview-pr-12")
    uid = admin.get(kinds.SECURE_TENANT, "preview")["metadata"]["uid"]
    assert entry == {**entry, "name": "preview-pr-12", "tenant": "preview", "uid": uid}
    ready(tenant("preview", namespaces=both, deletionPolicy="Delete"))


def test_a_name_that_left_rests_though_the_operator_did_not_see_its_namespace_go(
    admin: Api, breaker: Api, ready: Ready, operator: Operator
) -> None:
    ready(tenant("unseen", namespaces=spaces("unseen-a", "unseen-b")))
    ready(tenant("unseen", namespaces=spaces("unseen-a")))
    retained(admin, "unseen-b")
    assert remembered(admin, "unseen-b").keys() == {"name", "tenant", "uid"}
    assert operator.stop() == 0
    breaker.delete(kinds.NAMESPACE, "unseen-b").ok()
    wait_for(lambda: admin.get(kinds.NAMESPACE, "unseen-b") is None, what="it to go", seconds=60)
    admin.create(kinds.SECURE_TENANT, tenant("unseen-next", namespaces=spaces("unseen-b"))).ok()
    operator.start()
    assert "belonged to tenant unseen and" in refused(admin, "unseen-next", "unseen-b")
    assert resting(admin, "unseen-b")
    assert operator.stop() == 0
    operator.start()
    settled(admin, "unseen")
    assert "belonged to tenant unseen and" in refused(admin, "unseen-next", "unseen-b")
    assert admin.get(kinds.NAMESPACE, "unseen-b") is None


def test_a_securetenant_made_again_under_one_name_is_another_one(admin: Api, ready: Ready) -> None:
    body = tenant("remade", namespaces=spaces("remade-a", "remade-b"), deletionPolicy="Delete")
    ready(body)
    admin.delete(kinds.SECURE_TENANT, "remade").ok()
    resting(admin, "remade-a")
    wait_for(lambda: admin.get(kinds.SECURE_TENANT, "remade") is None, what="it to go", seconds=60)
    admin.create(kinds.SECURE_TENANT, body).ok()
    assert "belonged to an earlier SecureTenant remade and" in refused(admin, "remade", "remade-a")
    allow(admin, "remade", "remade-a")
    wait_for(lambda: admin.get(kinds.NAMESPACE, "remade-a"), what="what is allowed", seconds=30)
    refused(admin, "remade", "remade-b")
    allow(admin, "remade", "remade-a", "remade-b")
    settled(admin, "remade", seconds=30)


def test_a_namespace_deleted_under_its_tenant_is_made_again_and_rests_for_others(
    admin: Api, breaker: Api, ready: Ready
) -> None:
    ready(tenant("robbed", namespaces=spaces("robbed-a", "robbed-b")))
    before = admin.get(kinds.NAMESPACE, "robbed-b")["metadata"]["uid"]
    breaker.delete(kinds.NAMESPACE, "robbed-b").ok()

    def is_back() -> bool:
        found = admin.get(kinds.NAMESPACE, "robbed-b")
        return bool(found and found["metadata"]["uid"] != before)

    wait_for(is_back, what="the namespace to be made again", seconds=60)
    settled(admin, "robbed", seconds=30)
    assert remembered(admin, "robbed-b")["tenant"] == "robbed"


def test_without_rest_a_name_is_given_at_once(admin: Api, breaker: Api, ready: Ready) -> None:
    ready(tenant("hasty", namespaces=spaces("hasty-a", "hasty-b"), deletionPolicy="Delete"))
    ready(tenant("hasty", namespaces=spaces("hasty-a"), deletionPolicy="Delete"))
    resting(admin, "hasty-b")
    admin.create(kinds.SECURE_TENANT, tenant("hasty-next", namespaces=spaces("hasty-b"))).ok()
    refused(admin, "hasty-next", "hasty-b")
    try:
        never = {"spec": {"namesRestDays": 0}}
        admin.patch(kinds.TENANCY_SETTINGS, names.SETTINGS_NAME, never).ok()
        settled(admin, "hasty-next", seconds=30)
    finally:
        usual = {"spec": {"namesRestDays": None}}
        admin.patch(kinds.TENANCY_SETTINGS, names.SETTINGS_NAME, usual).ok()
