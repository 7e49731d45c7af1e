"""A backup tool brings objects back: in its order, with old labels, on a real API server.

The order is Velero's (documentation, "Restore reference": namespaces first, then what is mounted,
then pods, then the rest by name).
"""

from typing import Any

import factory
from conftest import Ready, settled
from factory import reusing, tenant
from harness import (
    Api,
    Operator,
    conditions,
    settle,
    wait_for,
    wait_for_account,
    writes_by_operator,
)
from securetenant.api import kinds, names
from securetenant.sandbox.instances import Instance

RBAC = "rbac.authorization.k8s.io"
CORE = "/api/v1/namespaces/{}/{}"
ORDER = ("secrets", "configmaps", "serviceaccounts", "pods")
REST = (f"/apis/{RBAC}/v1/namespaces/{{}}/rolebindings", f"/apis/{RBAC}/v1/namespaces/{{}}/roles")


def velero(sandbox: Instance) -> Api:
    """The tool, with the rights that it is installed with: every right."""
    return Api(
        sandbox.admin_kubeconfig,
        speaking_as="system:serviceaccount:velero:velero",
        group="system:masters",
    )


def furnish(admin: Api, namespace: str) -> None:
    """Make what a team has: data, a pod, and rights of a ServiceAccount."""
    wait_for_account(admin, namespace)
    admin.call("POST", CORE.format(namespace, "secrets"), _named("password")).ok()
    admin.call("POST", CORE.format(namespace, "configmaps"), _named("settings")).ok()
    admin.create_pod(namespace, {**factory.pod(), "metadata": {"name": "web"}}).ok()
    admin.call("POST", REST[1].format(namespace), {**_named("mine"), "rules": []}).ok()
    account = {"kind": "ServiceAccount", "name": "default", "namespace": namespace}
    admin.create(kinds.ROLE_BINDING, factory.binding(account), namespace).ok()


def _named(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name}}


def paths(namespace: str) -> list[str]:
    return [
        *(CORE.format(namespace, each) for each in ORDER),
        *(each.format(namespace) for each in REST),
    ]


def backup(admin: Api, namespace: str) -> list[tuple[str, Any]]:
    """Return every object of a namespace with where it is made again, in order."""
    return [
        (path, _as_restored(body))
        for path in paths(namespace)
        for body in admin.call("GET", path).ok()["items"]
    ]


def _as_restored(body: Any) -> Any:
    """Return an object as Velero sends it: without what the API server gave it, with its marks."""
    kept = ("name", "namespace", "labels", "annotations")
    metadata = {key: body["metadata"][key] for key in kept if key in body["metadata"]}
    metadata["labels"] = {**(metadata.get("labels") or {}), "velero.io/restore-name": "nightly"}
    found = {key: value for key, value in body.items() if key not in ("metadata", "status")}
    if "spec" in found:
        found["spec"] = {key: value for key, value in found["spec"].items() if key != "nodeName"}
    return {**found, "metadata": metadata}


def is_managed(body: Any) -> bool:
    return bool(body["metadata"]["labels"].get(names.MANAGED_BY_LABEL) == names.MANAGED_BY)


def lose(admin: Api, name: str) -> None:
    """Delete a tenant with all that it holds."""
    admin.patch(kinds.SECURE_TENANT, name, {"spec": {"deletionPolicy": "Delete"}}).ok()
    admin.delete(kinds.SECURE_TENANT, name).ok()
    wait_for(lambda: admin.get(kinds.SECURE_TENANT, name) is None, what="the end", seconds=60)


def test_a_tenant_is_restored_into_namespaces_that_its_spec_makes(
    admin: Api, ready: Ready, sandbox: Instance
) -> None:
    """The page's steps: the SecureTenant first, then everything that is not the operator's."""
    body = tenant("saved", namespaces=[{"name": "saved-a"}])
    ready(body)
    furnish(admin, "saved-a")
    stored = backup(admin, "saved-a")
    lose(admin, "saved")
    ready(reusing(body))
    wait_for_account(admin, "saved-a")
    seen = settle(sandbox)
    tool = velero(sandbox)
    answers = {
        f"{path}/{each['metadata']['name']}": tool.call("POST", path, each)
        for path, each in stored
        if not is_managed(each)
    }
    # What the cluster makes in every namespace is there already; Velero leaves it as it is.
    refused = {name: answer.message for name, answer in answers.items() if answer.status >= 300}
    assert all("already exists" in each for each in refused.values()), refused
    for path in paths("saved-a"):
        kept = {each["metadata"]["name"] for each in admin.call("GET", path).ok()["items"]}
        wanted = {each["metadata"]["name"] for where, each in stored if where == path}
        assert wanted <= kept
    settled(admin, "saved")
    settle(sandbox)
    written = [each["requestURI"] for each in writes_by_operator(sandbox)[seen:]]
    assert [each for each in written if "/saved-a/" in each] == [], "nothing was to be repaired"


def test_a_backup_tool_does_not_restore_a_namespace_with_its_labels(
    admin: Api, ready: Ready, sandbox: Instance
) -> None:
    """They say whose it is, and are the operator's to write."""
    ready(tenant("labelled", namespaces=[{"name": "labelled-a"}]))
    stored = _as_restored(admin.get(kinds.NAMESPACE, "labelled-a"))
    lose(admin, "labelled")
    answer = velero(sandbox).call("POST", kinds.NAMESPACE.path(), stored)
    assert "securetenant-namespaces" in answer.message
    assert admin.get(kinds.NAMESPACE, "labelled-a") is None


def test_no_pod_starts_by_a_restored_label_and_identity_decides_whose_it_is(
    admin: Api, breaker: Api, ready: Ready, sandbox: Instance, operator: Operator
) -> None:
    """Even where break-glass restores the namespace as it was, ready-for included."""
    body = tenant("ghostly", namespaces=[{"name": "ghostly-a"}])
    ready(body)
    stored = _as_restored(admin.get(kinds.NAMESPACE, "ghostly-a"))
    assert names.READY_FOR_LABEL in stored["metadata"]["labels"]
    lose(admin, "ghostly")
    breaker.create(kinds.NAMESPACE, stored).ok()
    answer = velero(sandbox).call(
        "POST", CORE.format("ghostly-a", "pods"), {**factory.pod(), "metadata": {"name": "web"}}
    )
    assert answer.status == 403, "nothing starts without a TenantPolicy"
    admin.create(kinds.SECURE_TENANT, reusing(body)).ok()
    settled(admin, "ghostly")
    labels = admin.get(kinds.NAMESPACE, "ghostly-a")["metadata"]["labels"]
    policy = admin.get(kinds.TENANT_POLICY, names.POLICY_NAME, "ghostly-a")
    assert labels[names.READY_FOR_LABEL] == policy["metadata"]["uid"]
    assert labels[names.READY_FOR_LABEL] != stored["metadata"]["labels"][names.READY_FOR_LABEL]


def test_a_restored_retained_namespace_is_taken_back_with_consent_alone(
    admin: Api, breaker: Api, ready: Ready, operator: Operator
) -> None:
    body = tenant("returning", namespaces=[{"name": "returning-a"}])
    ready(body)
    stored = _as_restored(admin.get(kinds.NAMESPACE, "returning-a"))
    lose(admin, "returning")
    stored["metadata"]["labels"][names.STATE_LABEL] = names.RETAINED
    breaker.create(kinds.NAMESPACE, stored).ok()
    admin.create(kinds.SECURE_TENANT, reusing(body)).ok()
    told = conditions(settled(admin, "returning", expected="Failed"))["Ready"]
    assert told["reason"] == "ConsentNeeded"
    consent = {"metadata": {"annotations": {names.ADOPT_ANNOTATION: "returning"}}}
    admin.patch(kinds.NAMESPACE, "returning-a", consent).ok()
    settled(admin, "returning")
