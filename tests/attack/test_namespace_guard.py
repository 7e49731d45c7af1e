"""What a namespace is, nobody changes but the operator: catalogue rows A11 and H08."""

import pytest

from attack_harness import Policy, verdict
from harness import APPLY, JSON_PATCH, MERGE, Api
from securetenant.api import kinds, names

NAMESPACES = Policy("securetenant-namespaces")

pytestmark = pytest.mark.usefixtures("tenants")


@pytest.mark.parametrize(
    "labels",
    [
        {names.TENANT_LABEL: "north"},
        {names.READY_FOR_LABEL: "x"},
        {"securetenant.io/enforcement": "Audit"},
        {"securetenant.io/enforcement": "enforce"},
        {"securetenant.io/anything": ""},
    ],
    ids=lambda labels: "H08 " + "".join(labels),
)
def test_nobody_makes_a_namespace_that_looks_like_a_tenants(
    labels: dict[str, str], admin: Api
) -> None:
    for metadata in ({"name": "forged"}, {"generateName": "forged-"}):
        body = {"metadata": {**metadata, "labels": labels}}
        assert verdict(admin.create(kinds.NAMESPACE, body, dryRun="All"), NAMESPACES) == "Blocked"
    assert (
        verdict(
            admin.patch(kinds.NAMESPACE, "default", {"metadata": {"labels": labels}}, dryRun="All"),
            NAMESPACES,
        )
        == "Blocked"
    )


@pytest.mark.parametrize(
    "labels",
    [
        {names.TENANT_LABEL: None},
        {names.TENANT_LABEL: "west"},
        {names.READY_FOR_LABEL: None},
        {"pod-security.kubernetes.io/enforce": "privileged"},
        {"pod-security.kubernetes.io/enforce": None},
        {"pod-security.kubernetes.io/warn-version": "latest"},
        {"resource.kubernetes.io/admin-access": "true"},
        {names.MANAGED_BY_LABEL: "Helm"},
        # Label and rule in one request: the selector of other policies sees the new labels.
        {names.TENANT_LABEL: None, "pod-security.kubernetes.io/enforce": "privileged"},
    ],
    ids=lambda labels: "A11 " + "+".join(f"{key}={value}" for key, value in labels.items()),
)
@pytest.mark.parametrize("how", ["merge", "json", "apply", "status", "finalize"])
def test_nobody_changes_what_a_namespace_is(
    labels: dict[str, str | None], how: str, victim: str, admin: Api
) -> None:
    path = kinds.NAMESPACE.path("", victim)
    body = {"metadata": {"labels": labels}}
    current = admin.get(kinds.NAMESPACE, victim)
    kept = {
        key: value
        for key, value in {**current["metadata"]["labels"], **labels}.items()
        if value is not None
    }
    whole = {**current, "metadata": {**current["metadata"], "labels": kept}}
    match how:
        case "merge":
            answer = admin.call("PATCH", path, body, content_type=MERGE, dryRun="All")
        case "json":
            patch = [{"op": "replace", "path": "/metadata/labels", "value": kept}]
            answer = admin.call("PATCH", path, patch, content_type=JSON_PATCH, dryRun="All")
        case "apply":
            added = {key: value for key, value in labels.items() if value is not None}
            if not added:
                return  # An apply removes nothing that it does not own.
            applied = {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": victim, "labels": added},
            }
            answer = admin.call(
                "PATCH",
                path,
                applied,
                content_type=APPLY,
                fieldManager=names.FIELD_MANAGER,
                force="true",
                dryRun="All",
            )
        case _:
            answer = admin.call("PUT", f"{path}/{how}", whole, dryRun="All")
            if answer.status < 300:
                # Some subresources ignore labels; then nothing has changed.
                assert answer.body["metadata"]["labels"] == current["metadata"]["labels"]
                return
    assert verdict(answer, NAMESPACES) == "Blocked"


def test_nobody_deletes_a_tenants_namespace_by_hand(victim: str, admin: Api) -> None:
    answer = admin.call("DELETE", kinds.NAMESPACE.path("", victim), dryRun="All")
    assert verdict(answer, NAMESPACES) == "Blocked"
    assert f"--as-group securetenant:break-glass delete namespace {victim}" in answer.message


def test_nobody_gives_a_tenants_namespace_another_owner(victim: str, admin: Api) -> None:
    """The garbage collector deletes what belongs to something that does not exist."""
    owner = {"apiVersion": "v1", "kind": "Node", "name": "none", "uid": "none"}
    answer = admin.patch(
        kinds.NAMESPACE, victim, {"metadata": {"ownerReferences": [owner]}}, dryRun="All"
    )
    assert verdict(answer, NAMESPACES) == "Blocked"


def test_everything_else_about_namespaces_goes_on_working(victim: str, admin: Api) -> None:
    admin.create(kinds.NAMESPACE, {"metadata": {"name": "ordinary"}}, dryRun="All").ok()
    labels = {"metadata": {"labels": {"cost": "7"}, "annotations": {"a": "b"}}}
    admin.patch(kinds.NAMESPACE, victim, labels, dryRun="All").ok()
    privileged = {"pod-security.kubernetes.io/enforce": "privileged"}
    admin.patch(kinds.NAMESPACE, "default", {"metadata": {"labels": privileged}}, dryRun="All").ok()
