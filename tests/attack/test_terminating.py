"""S16: a namespace that is being deleted empties, and nothing in it becomes anything else.

Its TenantPolicy goes with the rest, in whatever order the namespace controller deletes. With the
operator on 1.37, and with the validating half alone on 1.34.
"""

from collections.abc import Iterator
from typing import Any

import pytest

import factory
import validating_half
from attack_harness import Policy, verdict
from conftest import Ready
from harness import JSON_PATCH, MERGE, Api, wait_for, wait_for_account
from securetenant.api import kinds, names
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance

TERMINATING = Policy("securetenant-terminating")
HOLD = "platform.example/hold"
RBAC = "rbac.authorization.k8s.io"
CLAIM = {
    "spec": {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        "storageClassName": "fast",
    }
}
_BACKEND = {"service": {"name": "s", "port": {"number": 80}}}
_PATHS = {"paths": [{"path": "/", "pathType": "Prefix", "backend": _BACKEND}]}
_POD = {
    **factory.pod()["spec"],
    "serviceAccountName": "quiet",
    "schedulingGates": [{"name": "example.com/wait"}],
    "containers": [{**factory.pod()["spec"]["containers"][0], "imagePullPolicy": "Always"}],
}
_DAEMON_SET = {
    "selector": {"matchLabels": {"app": "d"}},
    "template": {
        "metadata": {"labels": {"app": "d"}},
        "spec": {**factory.pod()["spec"], "nodeSelector": {"there-is": "none"}},
    },
}
ROOM = {
    "pods": 10,
    "persistentvolumeclaims": 10,
    "requests.storage": "10Gi",
    "services": 10,
    "secrets": 10,
}
HELD: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("persistentvolumeclaims", CLAIM, {"spec": {"volumeName": "pv-of-another"}}),
    ("serviceaccounts", {}, {"automountServiceAccountToken": True}),
    (
        "services",
        {"spec": {"selector": {"app": "a"}, "ports": [{"port": 80}]}},
        {"spec": {"externalIPs": ["203.0.113.7"]}},
    ),
    ("apps/v1/daemonsets", {"spec": _DAEMON_SET}, {"spec": {"minReadySeconds": 7}}),
    (
        "networking.k8s.io/v1/ingresses",
        {
            "spec": {
                "ingressClassName": "nginx",
                "rules": [{"host": "a.roomy.example", "http": _PATHS}],
            }
        },
        {"spec": {"rules": [{"host": "www.another.example", "http": _PATHS}]}},
    ),
    (
        "networking.k8s.io/v1/networkpolicies",
        {"spec": {"podSelector": {}}},
        {"spec": {"ingress": [{}]}},
    ),
    (
        f"{RBAC}/v1/rolebindings",
        {"roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "securetenant:viewer"}},
        {"subjects": [{"apiGroup": RBAC, "kind": "Group", "name": "another-admins"}]},
    ),
    ("secrets", {}, {"metadata": {"annotations": {"replicator.example/to-all": ""}}}),
    ("policy/v1/poddisruptionbudgets", {"spec": {"maxUnavailable": 1}}, {}),
]
"""An object of each kind that a rule reads a TenantPolicy for, and some others; and a change."""


def _at(namespace: str, path: str) -> str:
    group, _, plural = path.rpartition("/")
    return f"{f'/apis/{group}' if group else '/api/v1'}/namespaces/{namespace}/{plural}"


@pytest.fixture(params=["1.37", "1.34"])
def ending(
    request: pytest.FixtureRequest,
) -> Iterator[tuple[Api, Api, str]]:
    """The platform, an administrator who breaks the glass, and a namespace that ends."""
    if request.param == "1.34":
        half: Instance = request.getfixturevalue("half")
        groups = ("system:masters", "securetenant:break-glass")
        breaker = Api(kubeconfigs.for_user(half, "breaker", groups))
        yield Api(half.admin_kubeconfig), breaker, validating_half.ENDING
        return
    ready: Ready = request.getfixturevalue("ready")
    workloads = {
        "hostnames": [".roomy.example"],
        "ingressClasses": ["nginx"],
        "storageClasses": ["fast"],
    }
    ready(
        factory.tenant(
            "ending",
            namespaces=[{"name": "ending-1"}],
            deletionPolicy="Delete",
            workloads=workloads,
            quota=ROOM,
        )
    )
    admin: Api = request.getfixturevalue("admin")
    wait_for_account(admin, "ending-1")
    account = {"metadata": {"name": "quiet"}, "automountServiceAccountToken": False}
    admin.call("POST", _at("ending-1", "serviceaccounts"), account).ok()
    yield admin, request.getfixturevalue("breaker"), "ending-1"


def test_what_is_left_in_a_terminating_namespace_can_go_and_cannot_change(
    ending: tuple[Api, Api, str],
) -> None:
    """S16, and the end of S1: without the parameter nothing is judged by the rules that read it."""
    platform, breaker, namespace = ending
    held = {"metadata": {"finalizers": [HOLD]}}
    pods = _at(namespace, "pods")
    platform.call(
        "POST", pods, {"metadata": {"name": "held", **held["metadata"]}, "spec": _POD}
    ).ok()
    for path, body, _ in HELD:
        made = {"metadata": {"name": "held", **held["metadata"]}, **body}
        platform.call("POST", _at(namespace, path), made).ok()
    if namespace == validating_half.ENDING:
        breaker.delete(kinds.NAMESPACE, namespace).ok()
    else:
        platform.delete(kinds.SECURE_TENANT, "ending").ok()

    def policy() -> Any:
        return platform.get(kinds.TENANT_POLICY, names.POLICY_NAME, namespace)

    wait_for(
        lambda: "deletionTimestamp" in platform.call("GET", f"{pods}/held").ok()["metadata"],
        what="the pod to be deleted",
        seconds=30,
    )
    # The parameter outlives what runs.
    assert policy()
    toleration = [{"op": "add", "path": "/spec/tolerations/-", "value": {"operator": "Exists"}}]
    answer = platform.call("PATCH", f"{pods}/held", toleration, content_type=JSON_PATCH)
    assert verdict(answer, Policy("securetenant-pods", also=("securetenant-terminating",))) == (
        "Blocked"
    )
    free = {"metadata": {"finalizers": None}}
    platform.call("PATCH", f"{pods}/held", free, content_type=MERGE).ok()
    wait_for(lambda: policy() is None, what="the TenantPolicy to go", seconds=60)
    for path, _, change in HELD:
        where = f"{_at(namespace, path)}/held"
        if change:
            answer = platform.call("PATCH", where, change, content_type=MERGE)
            assert verdict(answer, TERMINATING) == "Blocked", path
            assert "what is left in it can only lose its finalizers" in answer.message
    for path, _, _ in HELD:
        platform.call("PATCH", f"{_at(namespace, path)}/held", free, content_type=MERGE).ok()
    wait_for(
        lambda: platform.get(kinds.NAMESPACE, namespace) is None,
        what="the namespace to be gone",
        seconds=60,
    )


def test_claims_do_not_keep_a_deleted_tenant(ready: Ready, admin: Api) -> None:
    """S16: six claims in each of three namespaces; their finalizer is the cluster's own."""
    where = [f"holders-{number}" for number in range(3)]
    ready(
        factory.tenant(
            "holders",
            namespaces=[{"name": each} for each in where],
            deletionPolicy="Delete",
            workloads={"storageClasses": ["fast"]},
            quota={"persistentvolumeclaims": 18, "requests.storage": "18Gi"},
            quotaMode="Split",
        )
    )
    for namespace in where:
        for number in range(6):
            body = {"metadata": {"name": f"c{number}"}, **CLAIM}
            admin.call("POST", _at(namespace, "persistentvolumeclaims"), body).ok()
    admin.delete(kinds.SECURE_TENANT, "holders").ok()
    wait_for(
        lambda: not any(admin.get(kinds.NAMESPACE, each) for each in where),
        what="the namespaces to be gone",
        seconds=100,
    )


@pytest.mark.parametrize("who", ["admin", "breaker"])
def test_the_policy_of_a_namespace_that_stays_is_deleted_by_nobody(
    who: str, request: pytest.FixtureRequest, tenants: None
) -> None:
    """S16: updates pass without it, so it is there for as long as the namespace is a tenant's."""
    api: Api = request.getfixturevalue(who)
    answer = api.delete(kinds.TENANT_POLICY, names.POLICY_NAME, "north-1")
    expected = Policy("securetenant-parameters", also=("securetenant-managed",))
    assert verdict(answer, expected) == "Blocked"
