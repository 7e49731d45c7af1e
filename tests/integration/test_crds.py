"""CRDs that keep less than the operator reads, on a control plane of its own."""

import copy
import functools
import os
from collections.abc import Iterator
from typing import Any

import pytest

from conftest import control_plane, operating
from factory import tenant
from harness import Api, Operator, conditions, settle, wait_for, writes_by_operator
from kstatus import compute
from securetenant.api import kinds, names
from securetenant.plan import schemas
from securetenant.sandbox.instances import Instance

BOUNDS = {"users": ["alice"], "groups": []}


def granting(user: str) -> dict[str, Any]:
    """Return a tenant that grants access to somebody."""
    subjects = [{"kind": "User", "name": user}]
    access = [{"name": "a", "role": "Admin", "subjects": subjects}]
    return tenant("bound", namespaces=[{"name": "bound-a"}], access=access)


@pytest.fixture(scope="module")
def bound() -> Iterator[Instance]:
    """A control plane whose TenancySettings bound who may be granted access."""
    with control_plane(f"test-{os.getpid()}-crds", audit=True, nodes=1) as instance:
        api = Api(instance.admin_kubeconfig)
        api.patch(kinds.TENANCY_SETTINGS, "default", {"spec": {"bounds": BOUNDS}}).ok()
        yield instance


@pytest.fixture(scope="module")
def admin(bound: Instance) -> Api:
    """Its administrator."""
    return Api(bound.admin_kubeconfig)


@pytest.fixture(scope="module")
def operator(bound: Instance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """The operator of that control plane."""
    with operating(bound, tmp_path_factory.mktemp("operator") / "log") as process:
        yield process


def stands(admin: Api) -> str:
    return compute(admin.get(kinds.SECURE_TENANT, "bound"))


def install(admin: Api, body: Any) -> None:
    """Replace a CRD, as an apply of other manifests does."""
    path = kinds.CRD.path("", body["metadata"]["name"])
    found = admin.call("GET", path).ok()
    admin.call("PUT", path, {**found, "spec": body["spec"]}).ok()


def test_bounds_that_a_crd_leaves_out_are_not_switched_off(
    bound: Instance, admin: Api, operator: Operator
) -> None:
    """S12: with an older CRD the settings were read without bounds, and all was granted."""
    admin.apply(kinds.SECURE_TENANT, granting("alice"), manager="test").ok()
    wait_for(lambda: stands(admin) == "Current", what="the tenant", seconds=60)
    older = copy.deepcopy(schemas.expected()["tenancysettings.securetenant.io"])
    (version,) = older["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    del spec["properties"]["bounds"]
    # Some rules are about them.
    del spec["x-kubernetes-validations"]
    install(admin, older)

    def told(kind: kinds.Kind, name: str, type: str) -> Any:
        return conditions(admin.get(kind, name)).get(type, {})

    def is_stalled(kind: kinds.Kind, name: str) -> bool:
        return bool(told(kind, name, "Stalled").get("reason") == "CRDsChanged")

    try:
        for kind, name in ((kinds.SECURE_TENANT, "bound"), (kinds.TENANCY_SETTINGS, "default")):
            wait_for(
                functools.partial(is_stalled, kind, name), what=f"{kind.name} to say so", seconds=30
            )
            found = told(kind, name, "PoliciesInForce")
            assert (found["status"], found["reason"]) == ("False", "CRDsChanged")
            assert "does not keep spec.bounds" in found["message"]
        seen = settle(bound)
        # The API server shows the settings without bounds now, and they are written again.
        admin.patch(kinds.TENANCY_SETTINGS, "default", {"spec": {"teardownsPerHour": 4}}).ok()
        assert "bounds" not in admin.get(kinds.TENANCY_SETTINGS, "default")["spec"]
        admin.apply(kinds.SECURE_TENANT, granting("mallory"), manager="test").ok()
        wait_for(
            lambda: admin.get(kinds.SECURE_TENANT, "bound")["status"]["observedGeneration"] == 2,
            what="the tenant to be looked at",
            seconds=30,
        )
        settle(bound)
        written = {each["objectRef"]["resource"] for each in writes_by_operator(bound)[seen:]}
        assert written <= {"securetenants", "tenancysettings", "events"}, "statuses only"
    finally:
        install(admin, schemas.expected()["tenancysettings.securetenant.io"])
    binding = names.role_binding("Admin")

    def bounded() -> bool:
        patch = {"spec": {"bounds": BOUNDS}}
        answer = admin.patch(kinds.TENANCY_SETTINGS, "default", patch).ok()
        return bool(answer["spec"].get("bounds") == BOUNDS)

    # That write lost them for good, and the API server takes up the CRD a moment later.
    wait_for(bounded, what="the API server to keep bounds", seconds=30)
    wait_for(
        lambda: told(kinds.SECURE_TENANT, "bound", "Ready").get("reason") == "BoundPassed",
        what="the tenant to be judged by the bounds again",
        seconds=60,
    )
    # What the refused spec takes away is gone; what it asks for beyond the bounds is not given.
    given = admin.get(kinds.ROLE_BINDING, binding, "bound-a") or {}
    assert "mallory" not in {each["name"] for each in given.get("subjects") or ()}
    admin.apply(kinds.SECURE_TENANT, granting("alice"), manager="test").ok()
    wait_for(lambda: stands(admin) == "Current", what="the tenant", seconds=60)
    settings = conditions(admin.get(kinds.TENANCY_SETTINGS, "default"))
    assert settings["Ready"]["status"] == "True"
    assert "Stalled" not in settings


def test_a_newer_crd_is_right(admin: Api, operator: Operator) -> None:
    """S12: CRDs are installed first, so a running operator meets those of the next version."""
    newer = copy.deepcopy(schemas.expected()["securetenants.securetenant.io"])
    (version,) = newer["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    spec["newer"] = {"type": "string", "maxLength": 9, "description": "x"}
    install(admin, newer)
    admin.apply(kinds.SECURE_TENANT, tenant("after"), manager="test").ok()
    wait_for(
        lambda: compute(admin.get(kinds.SECURE_TENANT, "after")) == "Current",
        what="a tenant",
        seconds=60,
    )
    found = conditions(admin.get(kinds.TENANCY_SETTINGS, "default"))
    assert found["PoliciesInForce"]["status"] == "True"


def test_what_a_crd_drops_from_the_status_is_not_forgotten(
    bound: Instance, admin: Api, operator: Operator
) -> None:
    """The operator reads everything again once the CRD is right, and the status had lost them."""
    fields = {"formerNames": "dropped-b", "teardowns": "dropped"}

    def stored() -> dict[str, list[str]]:
        status = admin.get(kinds.TENANCY_SETTINGS, "default")["status"]
        return {
            "formerNames": [each["name"] for each in status.get("formerNames", ())],
            "teardowns": [each["tenant"] for each in status.get("teardowns", ())],
        }

    def is_stored() -> bool:
        return all(fields[field] in found for field, found in stored().items())

    body = tenant("dropped", deletionPolicy="Delete")
    admin.apply(kinds.SECURE_TENANT, body, manager="test").ok()
    wait_for(lambda: admin.get(kinds.TENANT_POLICY, "effective", "dropped-b"), what="the tenant")
    body["spec"]["namespaces"].pop()
    admin.apply(kinds.SECURE_TENANT, body, manager="test").ok()
    wait_for(
        lambda: admin.get(kinds.NAMESPACE, "dropped-b") is None and is_stored(),
        what="the namespace to go",
        seconds=60,
    )
    older = copy.deepcopy(schemas.expected()["tenancysettings.securetenant.io"])
    (version,) = older["spec"]["versions"]
    for field in fields:
        del version["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"][field]
    install(admin, older)
    try:
        wait_for(lambda: stored() == {"formerNames": [], "teardowns": []}, what="the loss")

        def is_told() -> bool:
            found = conditions(admin.get(kinds.TENANCY_SETTINGS, "default"))
            return bool(found.get("Stalled", {}).get("reason") == "CRDsChanged")

        wait_for(is_told, what="the settings to say so", seconds=30)
    finally:
        install(admin, schemas.expected()["tenancysettings.securetenant.io"])
    wait_for(is_stored, what="both to be stored again", seconds=60)
