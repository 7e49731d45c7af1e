"""Catalogue row H10: what whoever stole the operator's token is refused."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

import factory
from attack_harness import Policy, verdict
from conftest import settled
from harness import JSON_PATCH, MERGE, Api, conditions, wait_for
from securetenant.api import kinds, names

RBAC = "rbac.authorization.k8s.io"
FENCE, BOUNDS = Policy("securetenant-operator-fence"), Policy("securetenant-operator-bounds")

pytestmark = pytest.mark.usefixtures("tenants")


def _policy(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": names.DEFAULT_DENY},
        "spec": {"podSelector": {}, **spec},
    }


def _tenant_peer(name: str) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": {names.TENANT_LABEL: name}}}


def _bind(role: str, subject: dict[str, str]) -> dict[str, Any]:
    return {
        **factory.binding({"apiGroup": RBAC, **subject}, role=role),
        "metadata": {"name": "securetenant-viewer"},
    }


def _namespace(name: str, **labels: str) -> dict[str, Any]:
    spelled = {
        names.TENANT_LABEL: "north",
        "pod-security.kubernetes.io/enforce": "restricted",
        **{key.replace("__", "/").replace("_", "."): value for key, value in labels.items()},
    }
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": spelled}}


NETPOL = "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies"
DENY = NETPOL.format("north-1") + f"/{names.DEFAULT_DENY}"
BINDINGS = f"/apis/{RBAC}/v1/namespaces/{{}}/rolebindings"
STOLEN: list[Any] = [
    ("protected namespace", "POST", "/api/v1/namespaces", _namespace("kube-evil"), FENCE),
    ("take default", "PATCH", "/api/v1/namespaces/default", _namespace("default"), FENCE),
    ("take a foreign one", "PATCH", "/api/v1/namespaces/bystander", _namespace("bystander"), FENCE),
    (
        "take it with own consent",
        "PATCH",
        "/api/v1/namespaces/bystander",
        {
            **_namespace("bystander"),
            "metadata": {
                "labels": {names.TENANT_LABEL: "north"},
                "annotations": {names.ADOPT_ANNOTATION: "north"},
            },
        },
        FENCE,
    ),
    (
        "write consent",
        "PATCH",
        "/api/v1/namespaces/north-1",
        {"metadata": {"annotations": {names.ADOPT_ANNOTATION: "north"}}},
        FENCE,
    ),
    (
        "move to another tenant",
        "PATCH",
        "/api/v1/namespaces/north-1",
        {"metadata": {"labels": {names.TENANT_LABEL: "south"}}},
        FENCE,
    ),
    (
        "privileged",
        "PATCH",
        "/api/v1/namespaces/north-1",
        {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}},
        FENCE,
    ),
    (
        "no Pod Security",
        "PATCH",
        "/api/v1/namespaces/north-1",
        {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": None}}},
        FENCE,
    ),
    (
        "admin access to devices",
        "PATCH",
        "/api/v1/namespaces/north-1",
        {"metadata": {"labels": {"resource.kubernetes.io/admin-access": "true"}}},
        FENCE,
    ),
    ("delete a foreign one", "DELETE", "/api/v1/namespaces/bystander", None, FENCE),
    ("wall elsewhere", "POST", NETPOL.format("bystander"), _policy(), FENCE),
    (
        "open to everybody",
        "PATCH",
        NETPOL.format("north-1") + f"/{names.DEFAULT_DENY}",
        _policy(ingress=[{}]),
        FENCE,
    ),
    (
        "open by an empty selector",
        "PATCH",
        NETPOL.format("north-1") + f"/{names.DEFAULT_DENY}",
        _policy(egress=[{"to": [{"namespaceSelector": {}}]}]),
        FENCE,
    ),
    (
        "open to what is labelled like the platform",
        "PATCH",
        NETPOL.format("north-1") + f"/{names.DEFAULT_DENY}",
        _policy(
            egress=[{"to": [{"namespaceSelector": {"matchLabels": {names.STATE_LABEL: "active"}}}]}]
        ),
        FENCE,
    ),
    (
        "under another name",
        "POST",
        NETPOL.format("north-1"),
        {**_policy(), "metadata": {"name": "mine"}},
        FENCE,
    ),
    (
        "give to everybody",
        "POST",
        BINDINGS.format("north-1"),
        _bind("securetenant:viewer", {"kind": "Group", "name": "system:authenticated"}),
        FENCE,
    ),
    (
        "another tenant's policy",
        "PATCH",
        "/apis/securetenant.io/v1alpha1/namespaces/north-1/tenantpolicies/effective",
        {"spec": {"tenant": "south"}},
        FENCE,
    ),
    (
        "raise a tenant's quota",
        "PATCH",
        "/apis/securetenant.io/v1alpha1/securetenants/north",
        {"spec": {"quota": {"pods": 9999}}},
        FENCE,
    ),
    (
        "strip others' finalizers",
        "PATCH",
        "/apis/securetenant.io/v1alpha1/securetenants/finalized",
        {"metadata": {"finalizers": []}},
        FENCE,
    ),
    (
        "events in kube-system",
        "POST",
        "/apis/events.k8s.io/v1/namespaces/kube-system/events",
        {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": "x"},
            "eventTime": "2026-01-01T00:00:00.000000Z",
            "reason": "X",
            "action": "X",
            "type": "Normal",
            "reportingController": "x/y",
            "reportingInstance": "x",
            "regarding": {"kind": "Pod", "namespace": "kube-system", "name": "x"},
        },
        FENCE,
    ),
]


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"), [pytest.param(*row[1:], id=row[0]) for row in STOLEN]
)
def test_a_stolen_operator_token_stays_within_its_job(
    method: str, path: str, body: Any, expected: Policy, as_operator: Api, bystander: None
) -> None:
    """H10. RBAC allows each of these; the fence refuses it."""
    answer = as_operator.call(
        method,
        path,
        body,
        content_type=MERGE if method == "PATCH" else "application/json",
        dryRun="All",
    )
    assert verdict(answer, expected) == "Blocked"


@pytest.fixture(scope="module")
def bystander(admin: Api, tenants: None) -> None:
    """A namespace that is no tenant's, and a SecureTenant with somebody else's finalizer."""
    admin.create(kinds.NAMESPACE, {"metadata": {"name": "bystander"}}).ok()
    body = factory.tenant("finalized", namespaces=[{"name": "finalized-1"}])
    admin.create(kinds.SECURE_TENANT, body).ok()
    settled(admin, "finalized")
    path = kinds.SECURE_TENANT.path("", "finalized")
    patch = [{"op": "add", "path": "/metadata/finalizers/-", "value": "other.example/keep"}]
    admin.call("PATCH", path, patch, content_type=JSON_PATCH).ok()


@contextlib.contextmanager
def bounds(admin: Api, **bounds: Any) -> Iterator[None]:
    """Set bounds for a while."""
    admin.patch(kinds.TENANCY_SETTINGS, "default", {"spec": {"bounds": bounds}}).ok()
    try:
        yield
    finally:
        admin.patch(kinds.TENANCY_SETTINGS, "default", {"spec": {"bounds": None}}).ok()


@pytest.mark.parametrize(
    ("limits", "path", "body"),
    [
        pytest.param(
            {"groups": ["north-*"]},
            BINDINGS.format("north-1"),
            _bind("securetenant:viewer", {"kind": "Group", "name": "strangers"}),
            id="a group beyond the bounds",
        ),
        pytest.param(
            {"users": []},
            BINDINGS.format("north-1"),
            _bind("securetenant:viewer", {"kind": "User", "name": "mallory"}),
            id="any user, where none is allowed",
        ),
        pytest.param(
            {"roles": ["Developer", "Admin"]},
            BINDINGS.format("north-1"),
            _bind("securetenant:viewer", {"kind": "Group", "name": "north-admins"}),
            id="a role beyond the bounds",
        ),
        pytest.param(
            {"quota": {"pods": 60}},
            "/api/v1/namespaces/north-1/resourcequotas/securetenant",
            {"spec": {"hard": {"pods": "61"}}},
            id="a quota beyond the bounds",
        ),
        pytest.param(
            {"cidrs": ["10.1.0.0/16"]},
            DENY,
            _policy(egress=[{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]),
            id="a network beyond the bounds",
        ),
        pytest.param(
            {"cidrs": []},
            DENY,
            _policy(ingress=[{"from": [{"ipBlock": {"cidr": "10.1.0.0/16"}}]}]),
            id="any network, where none is allowed",
        ),
        pytest.param(
            {},
            DENY,
            _policy(egress=[{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]),
            id="the cloud's credentials within a network",
        ),
        pytest.param(
            {},
            DENY,
            _policy(egress=[{"to": [{"ipBlock": {"cidr": "fd00::/8", "except": ["fd01::/16"]}}]}]),
            id="the cloud's credentials by IPv6",
        ),
        pytest.param(
            {"peers": ["nor*"]},
            DENY,
            _policy(egress=[{"to": [_tenant_peer("south")]}]),
            id="a peer beyond the bounds",
        ),
    ],
)
def test_a_stolen_operator_token_stays_within_the_bounds(
    limits: dict[str, Any], path: str, body: Any, as_operator: Api, admin: Api
) -> None:
    """What it may at most do is written by somebody else."""
    with bounds(admin, **limits):

        def blocked() -> bool:
            answer = as_operator.call(
                "POST" if path == BINDINGS.format("north-1") else "PATCH",
                path,
                body,
                content_type="application/json" if path.endswith("bindings") else MERGE,
                dryRun="All",
            )
            return verdict(answer, BOUNDS) == "Blocked"

        wait_for(blocked, what="the bounds to be in force")


def test_within_the_bounds_the_operator_opens_what_is_declared(
    as_operator: Api, admin: Api
) -> None:
    """Else the refusals above would prove nothing. The platform's own services are no bound."""
    within = [
        {"ipBlock": {"cidr": "10.1.2.0/24"}},
        {"ipBlock": {"cidr": "169.254.0.0/16", "except": ["169.254.169.0/24"]}},
        {"ipBlock": {"cidr": "169.254.20.10/32"}},
        _tenant_peer("north"),
        _tenant_peer("south"),
    ]
    with bounds(admin, cidrs=["10.1.0.0/16", "169.254.0.0/16"], peers=["sou*"]):
        as_operator.call(
            "PATCH", DENY, _policy(egress=[{"to": within}]), content_type=MERGE, dryRun="All"
        ).ok()


def test_bounds_that_exclude_a_tenant_take_nothing_away(admin: Api) -> None:
    before = admin.get(kinds.ROLE_BINDING, "securetenant-admin", "north-1")
    with bounds(admin, groups=["others-*"], quota={"pods": 100}):
        wait_for(
            lambda: "Stalled" in conditions(admin.get(kinds.SECURE_TENANT, "north")),
            what="the condition",
        )
        found = conditions(admin.get(kinds.SECURE_TENANT, "north"))["Stalled"]
        assert found["reason"] == "BoundPassed"
        assert found["message"] == (
            "access admins names Group north-admins, the bound is others-* (TenancySettings). What"
            " was in place stays in place."
        )
        after = admin.get(kinds.ROLE_BINDING, "securetenant-admin", "north-1")
        assert after["metadata"]["uid"] == before["metadata"]["uid"]
    settled(admin, "north")
