"""S1: an object that is being deleted is judged as any other.

A tenant keeps one for as long as it likes: a foreground deletion waits for dependents, and one of
them can be a claim that a pod uses. Here the platform's finalizer holds the object, so that no test
depends on how fast the garbage collector is. Two tenants attack each other, one of them in Audit
mode, which weakens only rules by which a tenant protects itself; and once more on Kubernetes 1.34.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

import factory
import standing
from attack_harness import Expected, Policy, verdict
from harness import JSON_PATCH, MERGE, Api, Operator, wait_for
from securetenant.sandbox.instances import Instance

HOLD = "platform.example/hold"
RBAC = "rbac.authorization.k8s.io"
_BACKEND = {"service": {"name": "s", "port": {"number": 80}}}
MODES = {"fading": "Enforce", "lingering": "Audit"}
"""How each tenant's rules hold."""


class Row(NamedTuple):
    """An object, and what its tenant tries to make of it while it is being deleted."""

    path: str
    body: dict[str, Any]
    change: Any
    expected: Expected


def _ingress(host: str) -> dict[str, Any]:
    paths = [{"path": "/", "pathType": "Prefix", "backend": _BACKEND}]
    return {"ingressClassName": "nginx", "rules": [{"host": host, "http": {"paths": paths}}]}


_SERVICE = {"spec": {"selector": {"app": "a"}, "ports": [{"port": 80}]}}
_CLAIM = {
    "spec": {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        "storageClassName": "fast",
    }
}
_NETWORKING = "networking.k8s.io/v1"
ROWS = {
    "NetworkPolicy, everybody in": Row(
        f"{_NETWORKING}/networkpolicies",
        {"spec": {"podSelector": {}}},
        {"spec": {"ingress": [{}]}},
        Policy("securetenant-network"),
    ),
    "NetworkPolicy, out to everybody": Row(
        f"{_NETWORKING}/networkpolicies",
        {"spec": {"podSelector": {}}},
        {"spec": {"egress": [{}], "policyTypes": ["Egress"]}},
        Policy("securetenant-network"),
    ),
    "Service, external address": Row(
        "services",
        _SERVICE,
        {"spec": {"externalIPs": ["203.0.113.7"]}},
        Policy("securetenant-services"),
    ),
    "Service, annotation": Row(
        "services",
        _SERVICE,
        {"metadata": {"annotations": {"external-dns.alpha.kubernetes.io/hostname": "OTHER"}}},
        Policy("securetenant-services"),
    ),
    "Ingress, another's host": Row(
        f"{_NETWORKING}/ingresses",
        {"spec": _ingress("www.OWN.example")},
        {"spec": _ingress("www.OTHER.example")},
        Policy("securetenant-ingress"),
    ),
    "Ingress, annotation": Row(
        f"{_NETWORKING}/ingresses",
        {"spec": _ingress("www.OWN.example")},
        {"metadata": {"annotations": {"nginx.ingress.kubernetes.io/server-snippet": "x"}}},
        Policy("securetenant-ingress"),
    ),
    "claim, another's volume": Row(
        "persistentvolumeclaims",
        _CLAIM,
        {"spec": {"volumeName": "pv-of-OTHER"}},
        Policy("securetenant-volumes"),
    ),
    "claim, annotation of the binder": Row(
        "persistentvolumeclaims",
        _CLAIM,
        {"metadata": {"annotations": {"pv.kubernetes.io/bind-completed": "yes"}}},
        Policy("securetenant-volumes"),
    ),
    "RoleBinding, a stranger": Row(
        f"{RBAC}/v1/rolebindings",
        {
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "securetenant:viewer"},
            "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "OWN-1"}],
        },
        {"subjects": [{"apiGroup": RBAC, "kind": "Group", "name": "OTHER-members"}]},
        Policy("securetenant-access"),
    ),
    "budget that stops a drain": Row(
        "policy/v1/poddisruptionbudgets",
        {"spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"a": "b"}}}},
        {"spec": {"maxUnavailable": 0}},
        Policy("securetenant-finalizers"),
    ),
    "pod, every taint": Row(
        "pods",
        {
            "spec": {
                **factory.pod()["spec"],
                "automountServiceAccountToken": False,
                # It stays off the nodes, and its image is pulled each time.
                "schedulingGates": [{"name": "example.com/wait"}],
                "containers": [
                    {**factory.pod()["spec"]["containers"][0], "imagePullPolicy": "Always"}
                ],
            }
        },
        [{"op": "add", "path": "/spec/tolerations/-", "value": {"operator": "Exists"}}],
        Policy("securetenant-pods"),
    ),
}


class Attacker(NamedTuple):
    """A member of one tenant, and whom it is after."""

    member: Api
    platform: Api
    namespace: str
    own: str
    other: str

    def try_while_deleted(self, row: Row) -> None:
        """Make the object, delete it, and change it; in the end the platform lets it go."""
        group, _, plural = row.path.rpartition("/")
        root = f"/apis/{group}" if group else "/api/v1"
        where = f"{root}/namespaces/{self.namespace}/{plural}"
        body = self._filled({"metadata": {"name": "fading"}, **row.body})
        self.member.call("POST", where, body).ok()
        held = {"metadata": {"finalizers": [HOLD]}}
        path = f"{where}/fading"
        self.platform.call("PATCH", path, held, content_type=MERGE).ok()
        try:
            self.member.call("DELETE", path, propagationPolicy="Foreground").ok()
            gone = self.member.call("GET", path).ok()
            assert "deletionTimestamp" in gone["metadata"]
            type = JSON_PATCH if isinstance(row.change, list) else MERGE
            answer = self.member.call("PATCH", path, self._filled(row.change), content_type=type)
            assert verdict(answer, row.expected) == "Blocked"
        finally:
            # Whoever put a finalizer there can take it off: that changes nothing that is judged.
            free = {"metadata": {"finalizers": None}}
            self.platform.call("PATCH", path, free, content_type=MERGE).ok()
        wait_for(lambda: self.member.call("GET", path).status == 404, what=f"{path} to be gone")

    def _filled(self, value: Any) -> Any:
        if isinstance(value, str):
            return value.replace("OWN", self.own).replace("OTHER", self.other)
        if isinstance(value, dict):
            return {key: self._filled(each) for key, each in value.items()}
        return [self._filled(each) for each in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def two(admin: Api, operator: Operator) -> Iterator[None]:
    """Two tenants, one of them in Audit mode."""
    workloads = {
        "hostnames": [".NAME.example"],
        "ingressClasses": ["nginx"],
        "storageClasses": ["fast"],
    }
    with standing.tenants(admin, MODES, role="Admin", workloads=workloads):
        yield


@pytest.fixture(params=[("fading", "lingering"), ("lingering", "fading")], ids=str)
def attacker(request: pytest.FixtureRequest, two: None, admin: Api, sandbox: Instance) -> Attacker:
    """Each tenant is one."""
    own, other = request.param
    return Attacker(standing.member(sandbox, own), admin, f"{own}-1", own, other)


@pytest.mark.parametrize("row", [pytest.param(row, id=title) for title, row in ROWS.items()])
def test_an_object_that_is_being_deleted_opens_nothing(row: Row, attacker: Attacker) -> None:
    """S1."""
    attacker.try_while_deleted(row)


@pytest.mark.parametrize("row", [pytest.param(row, id=title) for title, row in ROWS.items()])
def test_an_object_that_is_being_deleted_opens_nothing_on_134(
    row: Row, half_member: Api, half_server: Api
) -> None:
    """S1: the validating half alone."""
    if row.path == "pods":
        row = row._replace(body={"spec": {**row.body["spec"], "serviceAccountName": "quiet"}})
    Attacker(half_member, half_server, "roomy-a", "roomy", "tight").try_while_deleted(
        row._replace(
            body={**row.body, "subjects": [{**row.body["subjects"][0], "namespace": "roomy-a"}]}
        )
        if "subjects" in row.body
        else row
    )


def test_a_finalizer_is_refused_in_every_mode(attacker: Attacker) -> None:
    """S1: in Audit mode any finalizer was enough to keep an object that is being deleted."""
    where = f"/api/v1/namespaces/{attacker.namespace}/configmaps"
    body = {"metadata": {"name": "kept", "finalizers": ["example.com/never"]}}
    expected = Policy("securetenant-finalizers")
    assert verdict(attacker.member.call("POST", where, body), expected) == "Blocked"


def test_a_budget_that_stops_a_drain_is_refused_in_every_mode(attacker: Attacker) -> None:
    """S1: it protects the platform's nodes, and not its tenant."""
    where = f"/apis/policy/v1/namespaces/{attacker.namespace}/poddisruptionbudgets"
    selector = {"matchLabels": {"a": "b"}}
    body = {"metadata": {"name": "b"}, "spec": {"maxUnavailable": 0, "selector": selector}}
    expected = Policy("securetenant-finalizers")
    assert verdict(attacker.member.call("POST", where, body), expected) == "Blocked"
