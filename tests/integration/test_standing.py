"""What was let in before is named once the rules are stricter, and until it goes."""

import functools
import os
from collections.abc import Iterator
from typing import Any

import pytest

import documents
import factory
from conftest import control_plane, operating, settled, verify
from harness import (
    ROOT,
    Api,
    Operator,
    conditions,
    wait_for,
    wait_for_account,
    wait_for_kinds,
)
from securetenant.api import kinds, names
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance

BASELINE = {"level": "baseline", "exceptionReason": "an old program"}
ROUTES = kinds.HTTP_ROUTE


@pytest.fixture(scope="module")
def plane() -> Iterator[Instance]:
    """One of its own: its tenants are verified."""
    with control_plane(f"test-{os.getpid()}-standing", nodes=1) as instance:
        text = (ROOT / "tests/gateway_api.yaml").read_text(encoding="utf-8")
        admin = Api(instance.admin_kubeconfig)
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        for body in documents.read(text):
            admin.call("POST", path, body).ok()
        wait_for_kinds(instance, "crd", "--all")
        yield instance


@pytest.fixture(scope="module")
def admin(plane: Instance, operator: Operator) -> Api:
    api = Api(plane.admin_kubeconfig)
    verify(api, 3600)
    return api


@pytest.fixture(scope="module")
def breaker(plane: Instance) -> Api:
    groups = ("system:masters", "securetenant:break-glass")
    return Api(kubeconfigs.for_user(plane, "breaker", groups))


@pytest.fixture(scope="module")
def operator(plane: Instance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    with operating(plane, tmp_path_factory.mktemp("operator") / "log") as process:
        yield process


def made(admin: Api, name: str, **spec: Any) -> str:
    """Make a tenant with one namespace; return that."""
    body = factory.tenant(name, namespaces=[{"name": f"{name}-a"}], **spec)
    admin.create(kinds.SECURE_TENANT, body).ok()
    settled(admin, name)
    wait_for_account(admin, f"{name}-a")
    return f"{name}-a"


def change(admin: Api, name: str, **spec: Any) -> None:
    admin.patch(kinds.SECURE_TENANT, name, {"spec": spec}).ok()


def told(admin: Api, name: str) -> dict[str, Any]:
    found = conditions(admin.get(kinds.SECURE_TENANT, name))
    return dict(found.get("IsolationVerified", {"status": "absent", "reason": "", "message": ""}))


def wait_until(admin: Api, name: str, *words: str) -> str:
    """Wait until the condition is False for what is there, and says all of this."""

    def found() -> str:
        seen = told(admin, name)
        is_false = (seen["status"], seen["reason"]) == ("False", "StandingViolations")
        return (
            seen["message"] if is_false and all(each in seen["message"] for each in words) else ""
        )

    return str(wait_for(found, what=f"{words} of {name}", seconds=40))


def look_again(admin: Api, name: str, value: str) -> None:
    patch = {"metadata": {"annotations": {names.REQUESTED_ANNOTATION: value}}}
    admin.patch(kinds.SECURE_TENANT, name, patch).ok()


def wait_for_good(admin: Api, name: str) -> None:
    wait_for(
        lambda: told(admin, name)["status"] == "True",
        what=f"nothing to be left in {name}: {told(admin, name)}",
        seconds=40,
    )


def test_what_a_looser_spec_let_in_is_named_until_it_goes(admin: Api) -> None:
    types = {"serviceTypes": ["ClusterIP", "NodePort"]}
    quota = {"services.nodeports": 1}
    space = made(admin, "loosened", podSecurity=BASELINE, workloads=types, quota=quota)
    wait_for_good(admin, "loosened")
    pod = factory.pod()
    pod["metadata"] = {"name": "root"}
    # The mutating half sets what it may, so this one says that it wants to be root.
    pod["spec"]["containers"][0]["securityContext"] = {"runAsNonRoot": False, "runAsUser": 0}
    admin.create_pod(space, pod).ok()
    service = {
        "metadata": {"name": "open"},
        "spec": {"type": "NodePort", "selector": {"a": "b"}, "ports": [{"port": 80}]},
    }
    admin.create(kinds.SERVICE, service, space).ok()
    change(admin, "loosened", podSecurity=None, workloads=None)
    message = wait_until(
        admin,
        "loosened",
        f"Pod {space}/root (by ",
        f"Service {space}/open (by ",
        "securetenant-services (type)",
    )
    assert message.startswith("2 objects that are already there would be refused today: Pod ")
    assert "violates Pod Security restricted" in message
    for kind, name in ((kinds.POD, "root"), (kinds.SERVICE, "open")):
        admin.delete(kind, name, space).ok()
    wait_for(lambda: admin.get(kinds.POD, "root", space) is None, what="the pod to go")
    look_again(admin, "loosened", "1")
    wait_for_good(admin, "loosened")


def test_what_audit_mode_let_in_is_named_once_it_is_enforced(admin: Api) -> None:
    space = made(admin, "audited", enforcement="Audit")
    pod = factory.pod()
    pod["metadata"] = {"name": "grouped"}
    pod["spec"]["securityContext"] = {"fsGroup": 0}
    admin.create_pod(space, pod).ok()
    # Where it only warns, it is no violation.
    look_again(admin, "audited", "1")
    wait_for_good(admin, "audited")
    change(admin, "audited", enforcement="Enforce")
    wait_until(admin, "audited", f"Pod {space}/grouped", "securetenant-pods-hardening (root group)")


def test_what_came_by_break_glass_is_named(admin: Api, breaker: Api) -> None:
    space = made(admin, "glassy")
    claim = {
        "metadata": {"name": "static"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": "fast",
            "volumeName": "of-another",
        },
    }
    breaker.create(kinds.CLAIM, claim, space).ok()
    user = {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "friend"}
    binding = factory.binding(user, role="view")
    binding["metadata"]["name"] = "friendly"
    admin.create(kinds.ROLE_BINDING, binding, space).ok()
    look_again(admin, "glassy", "1")
    wait_until(
        admin,
        "glassy",
        f"PersistentVolumeClaim {space}/static",
        "securetenant-volumes (volumeName)",
        f"RoleBinding {space}/friendly",
        "securetenant-access (User friend)",
    )


def test_a_route_is_named_whose_host_was_taken_away(admin: Api) -> None:
    gateways = [{"namespace": "gateways", "name": "public"}]
    workloads = {"hostnames": [".routed.example"], "gateways": gateways}
    space = made(admin, "routed", workloads=workloads)
    route = {
        "apiVersion": ROUTES.api_version,
        "kind": ROUTES.name,
        "metadata": {"name": "shop"},
        "spec": {
            "hostnames": ["shop.routed.example"],
            "parentRefs": gateways,
            "rules": [{"backendRefs": [{"name": "web", "port": 80}]}],
        },
    }
    path = ROUTES.path(space)
    create = functools.partial(admin.call, "POST", path, route)
    wait_for(lambda: create().status == 201, what="the route to be admitted")
    change(admin, "routed", workloads={"hostnames": [".else.example"]})
    wait_until(
        admin,
        "routed",
        f"HTTPRoute {space}/shop",
        "securetenant-routes (hostname shop.routed.example)",
    )
