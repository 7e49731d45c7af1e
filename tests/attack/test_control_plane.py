"""Catalogue rows A, B, D and G that the control plane decides, tenant against tenant.

Two tenants, each attacks the other; the attacker is the admin of its own tenant.
"""

import functools
from typing import Any

import pytest

import factory
from attack_harness import MANAGED, Control, Expected, may, mutate, verdict
from conftest import settled
from harness import MERGE, Api, Operator, wait_for
from securetenant.api import kinds, names
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance

PAIRS = (("red", "blue"), ("blue", "red"))
RBAC = "rbac.authorization.k8s.io"

P0 = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p0"},
    "spec": {
        "automountServiceAccountToken": False,
        "containers": [
            {
                "name": "c",
                "image": "registry.example/app:1",
                "securityContext": factory.RESTRICTED,
                "resources": {
                    "requests": {"cpu": "10m", "memory": "16Mi", "ephemeral-storage": "16Mi"},
                    "limits": {"cpu": "10m", "memory": "16Mi", "ephemeral-storage": "16Mi"},
                },
            }
        ],
    },
}
CONTAINER = "spec.containers.0"


@pytest.fixture(scope="module", autouse=True)
def tenants(admin: Api, operator: Operator) -> None:
    """Two tenants with an admin group each."""
    for name in ("red", "blue"):
        subjects = [{"kind": "Group", "name": f"{name}-admins"}]
        body = factory.tenant(
            name,
            namespaces=[{"name": f"{name}-1"}],
            access=[{"name": "admins", "role": "Admin", "subjects": subjects}],
        )
        admin.create(kinds.SECURE_TENANT, body).ok()
    for name in ("red", "blue"):
        settled(admin, name)
        path = f"/api/v1/namespaces/{name}-1/serviceaccounts/default"
        wait_for(functools.partial(_exists, admin, path), what=path)


def _exists(admin: Api, path: str) -> bool:
    return admin.call("GET", path).status == 200


@pytest.fixture(scope="module")
def attackers(sandbox: Instance) -> dict[str, Api]:
    """The admins of the two tenants."""
    return {
        name: Api(kubeconfigs.for_user(sandbox, f"{name}-admin", (f"{name}-admins",)))
        for name in ("red", "blue")
    }


@pytest.fixture(params=PAIRS, ids=lambda pair: f"{pair[0]} against {pair[1]}")
def pair(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Who attacks whom."""
    found: tuple[str, str] = request.param
    return found


def test_the_control_pod_is_admitted(pair: tuple[str, str], attackers: dict[str, Api]) -> None:
    """Else every refusal below would prove nothing."""
    attacker, _ = pair
    attackers[attacker].create_pod(f"{attacker}-1", P0, dryRun="All").ok()


PODS: list[Any] = [
    ("B01", f"{CONTAINER}.securityContext", {"privileged": True}, Control.PSA_BASELINE),
    ("B02 hostPID", "spec.hostPID", True, Control.PSA_BASELINE),
    ("B02 hostIPC", "spec.hostIPC", True, Control.PSA_BASELINE),
    ("B02 hostNetwork", "spec.hostNetwork", True, Control.PSA_BASELINE),
    (
        "B02 hostPort",
        f"{CONTAINER}.ports",
        [{"containerPort": 80, "hostPort": 80}],
        Control.PSA_BASELINE,
    ),
    *(
        (
            f"B03 {path}",
            "spec.volumes",
            [{"name": "v", "hostPath": {"path": path}}],
            Control.PSA_BASELINE,
        )
        for path in ("/", "/var/lib/kubelet", "/run/containerd/containerd.sock")
    ),
    *(
        (
            f"B04 {name}",
            f"{CONTAINER}.securityContext.capabilities",
            {"drop": ["ALL"], "add": [name]},
            Control.PSA_RESTRICTED,
        )
        for name in ("SYS_ADMIN", "NET_RAW", "SETPCAP")
    ),
    ("B05", f"{CONTAINER}.securityContext.allowPrivilegeEscalation", True, Control.PSA_RESTRICTED),
    ("B06 root", f"{CONTAINER}.securityContext.runAsNonRoot", False, Control.PSA_RESTRICTED),
    ("B06 uid 0", f"{CONTAINER}.securityContext.runAsUser", 0, Control.PSA_RESTRICTED),
    (
        "B07",
        f"{CONTAINER}.securityContext.seccompProfile",
        {"type": "Unconfined"},
        Control.PSA_BASELINE,
    ),
    (
        "B08 apparmor",
        f"{CONTAINER}.securityContext.appArmorProfile",
        {"type": "Unconfined"},
        Control.PSA_BASELINE,
    ),
    (
        "B08 selinux",
        f"{CONTAINER}.securityContext.seLinuxOptions",
        {"user": "x"},
        Control.PSA_BASELINE,
    ),
    (
        "B08 sysctl",
        "spec.securityContext.sysctls",
        [{"name": "kernel.msgmax", "value": "1"}],
        Control.PSA_BASELINE,
    ),
    (
        "B09 nfs",
        "spec.volumes",
        [{"name": "v", "nfs": {"server": "x", "path": "/"}}],
        Control.PSA_RESTRICTED,
    ),
    (
        "B12 init container",
        "spec.initContainers",
        [{"name": "i", "image": "x", "securityContext": {"privileged": True}}],
        Control.PSA_BASELINE,
    ),
    (
        "B12 sidecar",
        "spec.initContainers",
        [
            {
                "name": "i",
                "image": "x",
                "restartPolicy": "Always",
                "securityContext": {"privileged": True},
            }
        ],
        Control.PSA_BASELINE,
    ),
    (
        "D02",
        f"{CONTAINER}.resources",
        {"limits": {"cpu": "10k"}, "requests": {"cpu": "10k"}},
        Control.QUOTA,
    ),
]


@pytest.mark.parametrize(
    ("path", "value", "expected"), [pytest.param(*row[1:], id=row[0]) for row in PODS]
)
def test_a_mutant_of_the_control_pod_is_refused_by_its_control(
    path: str, value: Any, expected: Expected, pair: tuple[str, str], attackers: dict[str, Api]
) -> None:
    attacker, _ = pair
    answer = attackers[attacker].create_pod(f"{attacker}-1", mutate(P0, path, value), dryRun="All")
    assert verdict(answer, expected) == "Blocked"


def _binding(role: str) -> dict[str, Any]:
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "mine"},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "User", "name": "me"}],
    }


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        pytest.param(
            "POST",
            f"/apis/{RBAC}/v1/clusterrolebindings",
            {**_binding("cluster-admin"), "kind": "ClusterRoleBinding"},
            id="A01 cluster",
        ),
        pytest.param("POST", "/api/v1/namespaces/{victim}/pods", P0, id="A07 pod"),
        pytest.param("DELETE", "/api/v1/namespaces/{victim}/pods", None, id="A07 delete all pods"),
        pytest.param(
            "PATCH",
            "/api/v1/namespaces/{own}",
            {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}},
            id="A11 Pod Security",
        ),
        pytest.param(
            "PATCH",
            "/api/v1/namespaces/{own}/status",
            {"metadata": {"labels": {names.TENANT_LABEL: "blue"}}},
            id="A11 by status",
        ),
        pytest.param("DELETE", "/api/v1/namespaces/{own}", None, id="A13 delete"),
        pytest.param(
            "POST",
            "/api/v1/namespaces",
            {"metadata": {"name": "com"}},
            id="A13 create",
        ),
        pytest.param(
            "PATCH",
            "/api/v1/namespaces/{own}/resourcequotas/securetenant",
            {"spec": {"hard": {"pods": "999"}}},
            id="A14",
        ),
        pytest.param(
            "PATCH",
            "/apis/securetenant.io/v1alpha1/namespaces/{own}/tenantpolicies/effective",
            {"spec": {"tenant": "blue"}},
            id="H06",
        ),
        pytest.param(
            "POST",
            "/apis/securetenant.io/v1alpha1/securetenants",
            factory.tenant("grab", namespaces=[{"name": "grab"}]),
            id="A21 create",
        ),
        pytest.param(
            "PATCH",
            "/apis/securetenant.io/v1alpha1/securetenants/red",
            {"metadata": {"finalizers": []}},
            id="A21 finalizers",
        ),
    ],
)
def test_a_tenants_admin_has_no_right_to_it(
    method: str,
    path: str,
    body: Any,
    pair: tuple[str, str],
    attackers: dict[str, Api],
) -> None:
    attacker, victim = pair
    answer = attackers[attacker].call(
        method,
        path.format(own=f"{attacker}-1", victim=f"{victim}-1"),
        body,
        content_type="application/merge-patch+json" if method == "PATCH" else "application/json",
        dryRun="All",
    )
    assert verdict(answer, Control.RBAC) == "Blocked"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        pytest.param("rolebindings", _binding("cluster-admin"), id="A01 bind"),
        pytest.param(
            "roles",
            {
                "apiVersion": f"{RBAC}/v1",
                "kind": "Role",
                "metadata": {"name": "all"},
                "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}],
            },
            id="A01 role",
        ),
        pytest.param(
            "roles",
            {
                "apiVersion": f"{RBAC}/v1",
                "kind": "Role",
                "metadata": {"name": "tokens"},
                "rules": [
                    {"apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"]}
                ],
            },
            id="A04 role",
        ),
    ],
)
def test_a_tenants_admin_gives_no_more_than_it_has(
    path: str, body: Any, pair: tuple[str, str], attackers: dict[str, Api]
) -> None:
    attacker, _ = pair
    answer = attackers[attacker].call(
        "POST", f"/apis/{RBAC}/v1/namespaces/{attacker}-1/{path}", body, dryRun="All"
    )
    assert verdict(answer, Control.ESCALATION) == "Blocked"


REVIEWS: list[Any] = [
    ("A02", ("escalate", "bind"), (f"{RBAC}:roles", f"{RBAC}:clusterroles"), "own"),
    ("A03", ("impersonate",), ("users", "groups", "uids", "serviceaccounts"), ""),
    ("A03 own", ("impersonate",), ("serviceaccounts",), "own"),
    ("A04", ("create",), ("serviceaccounts/token",), "victim"),
    ("A04 own", ("create",), ("serviceaccounts/token",), "own"),
    (
        "A06",
        ("get", "list", "watch"),
        ("secrets", "configmaps", "pods", "pods/log", "events", "persistentvolumeclaims"),
        "victim",
    ),
    ("A06 everywhere", ("get", "list", "watch"), ("secrets", "configmaps", "pods"), ""),
    (
        "A08",
        ("create", "get"),
        ("pods/exec", "pods/attach", "pods/portforward", "pods/proxy", "services/proxy"),
        "victim",
    ),
    (
        "A08 anywhere",
        ("create", "patch", "update"),
        (
            "pods/binding",
            "bindings",
            "pods/status",
            "services/status",
            "pods/proxy",
            "services/proxy",
        ),
        "own",
    ),
    (
        "A09",
        ("get", "create", "list"),
        (
            "nodes/proxy",
            "nodes/log",
            "nodes/stats",
            "nodes/metrics",
            "nodes/configz",
            "nodes/checkpoint",
        ),
        "",
    ),
    (
        "A10",
        ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"),
        (
            "namespaces",
            "nodes",
            "nodes/status",
            "persistentvolumes",
            "apiextensions.k8s.io:customresourcedefinitions",
            "storage.k8s.io:storageclasses",
        ),
        "",
    ),
    (
        "A14",
        ("create", "update", "patch", "delete", "deletecollection"),
        ("resourcequotas", "limitranges"),
        "own",
    ),
    (
        "A18",
        ("create", "update", "approve", "sign"),
        (
            "certificates.k8s.io:certificatesigningrequests",
            "certificates.k8s.io:certificatesigningrequests/approval",
            "certificates.k8s.io:signers",
        ),
        "",
    ),
    (
        "A19",
        ("create", "patch", "update", "delete"),
        (
            "admissionregistration.k8s.io:mutatingwebhookconfigurations",
            "admissionregistration.k8s.io:validatingwebhookconfigurations",
            "admissionregistration.k8s.io:validatingadmissionpolicies",
            "admissionregistration.k8s.io:validatingadmissionpolicybindings",
            "admissionregistration.k8s.io:mutatingadmissionpolicies",
            "apiregistration.k8s.io:apiservices",
            "apiextensions.k8s.io:customresourcedefinitions",
            "flowcontrol.apiserver.k8s.io:flowschemas",
            "scheduling.k8s.io:priorityclasses",
            "node.k8s.io:runtimeclasses",
            f"{RBAC}:clusterroles",
        ),
        "",
    ),
    (
        "A21",
        ("get", "list", "create", "update", "patch", "delete", "override"),
        ("securetenant.io:securetenants", "securetenant.io:securetenants/status"),
        "",
    ),
    ("D05, G01", ("create", "patch", "delete"), ("events", "events.k8s.io:events"), "own"),
]


@pytest.mark.parametrize(
    ("verbs", "resources", "where"), [pytest.param(*row[1:], id=row[0]) for row in REVIEWS]
)
def test_a_tenants_admin_may_not(
    verbs: tuple[str, ...],
    resources: tuple[str, ...],
    where: str,
    pair: tuple[str, str],
    admin: Api,
) -> None:
    attacker, victim = pair
    namespace = {"own": f"{attacker}-1", "victim": f"{victim}-1", "": ""}[where]
    allowed = [
        (verb, resource)
        for verb in verbs
        for resource in resources
        if may(
            admin,
            user=f"{attacker}-admin",
            groups=(f"{attacker}-admins",),
            verb=verb,
            resource=resource,
            namespace=namespace,
        )
    ]
    assert allowed == []


def test_d03_d04_everything_that_can_be_flooded_is_counted(admin: Api) -> None:
    hard = admin.get(kinds.RESOURCE_QUOTA, names.QUOTA, "red-1")["spec"]["hard"]
    assert {
        "pods",
        "count/pods",
        "count/jobs.batch",
        "count/cronjobs.batch",
        "count/ingresses.networking.k8s.io",
        "secrets",
        "configmaps",
        "services",
        "services.loadbalancers",
        "services.nodeports",
        "persistentvolumeclaims",
        "requests.storage",
    } <= hard.keys()


def test_a15_a_tenants_admin_opens_no_wall(
    pair: tuple[str, str], attackers: dict[str, Api]
) -> None:
    """It may write NetworkPolicies, and not ours."""
    attacker, _ = pair
    path = kinds.NETWORK_POLICY.path(f"{attacker}-1", names.DEFAULT_DENY)
    opened: dict[str, Any] = {"spec": {"ingress": [{"from": [{"podSelector": {}}]}]}}
    for answer in (
        attackers[attacker].call("DELETE", path, dryRun="All"),
        attackers[attacker].call("PATCH", path, opened, content_type=MERGE, dryRun="All"),
        attackers[attacker].call(
            "DELETE", kinds.NETWORK_POLICY.path(f"{attacker}-1"), dryRun="All"
        ),
    ):
        assert verdict(answer, MANAGED) == "Blocked"


@pytest.mark.parametrize(
    ("row", "kind", "name"),
    [
        ("A15", kinds.NETWORK_POLICY, names.DEFAULT_DENY),
        ("A15", kinds.ROLE_BINDING, names.role_binding("Admin")),
        ("A15", kinds.RESOURCE_QUOTA, names.QUOTA),
        ("H05", kinds.LIMIT_RANGE, names.LIMITS),
        ("H06", kinds.TENANT_POLICY, names.POLICY_NAME),
    ],
)
def test_an_administrator_is_refused_by_the_guard_of_managed_objects(
    row: str, kind: kinds.Kind, name: str, admin: Api, pair: tuple[str, str]
) -> None:
    """H05: a cluster-admin tool has every right, and still changes no wall in silence."""
    _, victim = pair
    stolen = admin.get(kind, name, f"{victim}-1")
    stolen["metadata"] = {"name": name, "labels": {"x": "y"}}
    stolen.update(apiVersion=kind.api_version, kind=kind.name)
    stolen.pop("status", None)
    for answer in (
        admin.call("DELETE", kind.path(f"{victim}-1", name), dryRun="All"),
        admin.patch(kind, name, {"metadata": {"labels": {"x": "y"}}}, f"{victim}-1", dryRun="All"),
        admin.patch(
            kind,
            name,
            stolen,
            f"{victim}-1",
            content_type="application/apply-patch+yaml",
            fieldManager=names.FIELD_MANAGER,
            force="true",
            dryRun="All",
        ),
    ):
        assert verdict(answer, MANAGED) == "Blocked"
