"""One refused request for each rule of the guards, for the page of messages.

A table of its own: another group of policies adds a module like this one and is named in
``test_messages.py``.
"""

from typing import Any

import factory
from attack_harness import Denial
from harness import JSON_PATCH
from securetenant.api import names
from stolen_operator import (
    BINDINGS,
    DENY,
    NETPOL,
    RBAC,
    STOLEN,
    TAKEN,
    bind,
    network_policy,
    tenant_peer,
)


def _stolen(title: str) -> Denial:
    """Return a row of what is tried with the operator's stolen token."""
    (row,) = (each for each in STOLEN if each[0] == title)
    return Denial(who="operator", method=row[1], path=row[2], body=row[3])


def _fence(part: str, *titles: str, first: int = 0) -> dict[tuple[str, int], Denial]:
    """Return one row for each rule of a part of the fence."""
    return {
        (f"securetenant-operator-fence{part}", index): _stolen(title)
        for index, title in enumerate(titles, first)
    }


_NORTH = "/api/v1/namespaces/north-1"
_NODE = "/api/v1/nodes/node-0"
_SETTINGS_DNS = {"mirrorPods": {"namespaces": ["kube-system"], "refusedLabels": []}}
_TOKEN = {
    "apiVersion": "authentication.k8s.io/v1",
    "kind": "TokenRequest",
    "spec": {"expirationSeconds": 99_999, "audiences": ["nobody"]},
}
_STRANGER = {"kind": "User", "name": "mallory", "apiGroup": RBAC}
_OWN = {"kind": "ServiceAccount", "name": "default", "namespace": "north-1"}
_VIEWER = "securetenant:viewer"


_CLUSTER_ROLES = f"/apis/{RBAC}/v1/clusterroles"
_READ = {"apiGroups": ["tools.example"], "resources": ["widgets"], "verbs": ["get"]}


def _added(*rules: dict[str, Any], **more: Any) -> Denial:
    """Return a row of a ClusterRole that adds rights to those of tenants' viewers."""
    labels = {"securetenant.io/aggregate-to-viewer": "true"}
    body = {"metadata": {"name": "added", "labels": labels}, "rules": list(rules), **more}
    return Denial(method="POST", path=_CLUSTER_ROLES, body=body)


def _mirror(**labels: str) -> dict[str, Any]:
    """Return a mirror pod whose owner's uid the test fills in."""
    return factory.mirror(uid="UID", labels=labels)


ROWS: dict[tuple[str, int], Denial] = {
    ("securetenant-access", 0): Denial(
        who="north",
        method="POST",
        path=BINDINGS.format("north-1"),
        body=factory.binding(_STRANGER, role=_VIEWER),
    ),
    ("securetenant-access", 1): Denial(
        who="north",
        method="POST",
        path=BINDINGS.format("north-1"),
        # Everybody holds what is in it, so RBAC lets everybody bind it.
        body=factory.binding(_OWN, role="system:discovery"),
    ),
    ("securetenant-access", 2): Denial(
        who="north",
        method="POST",
        path=BINDINGS.format("north-1"),
        body=factory.binding(*[_OWN] * 201, role=_VIEWER),
    ),
    ("securetenant-token-requests", 0): Denial(
        method="POST", path=f"{_NORTH}/serviceaccounts/default/token", body=_TOKEN, dry_run=False
    ),
    ("securetenant-canary", 0): Denial(
        who="canary", method="POST", path=f"{_NORTH}/pods", body=factory.pod(), dry_run=False
    ),
    ("securetenant-canary", 1): Denial(
        who="canary",
        method="POST",
        path="/api/v1/namespaces/unready/configmaps",
        body={"metadata": {"name": "x"}},
    ),
    ("securetenant-cluster-roles", 0): _added(
        aggregationRule={
            "clusterRoleSelectors": [
                {"matchLabels": {"rbac.authorization.k8s.io/aggregate-to-edit": "true"}}
            ]
        }
    ),
    ("securetenant-cluster-roles", 1): _added(*[_READ] * 257),
    ("securetenant-cluster-roles", 2): _added({**_READ, "apiGroups": ["*"]}),
    ("securetenant-cluster-roles", 3): _added({**_READ, "verbs": ["impersonate"]}),
    ("securetenant-cluster-roles", 4): _added({"nonResourceURLs": ["/metrics"], "verbs": ["get"]}),
    ("securetenant-cluster-roles", 5): _added(
        {"apiGroups": [""], "resources": ["pods", "pods/proxy"], "verbs": ["get"]}
    ),
    ("securetenant-cluster-roles", 6): _added(
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["patch"]}
    ),
    ("securetenant-cluster-roles", 7): _added(
        {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "delete"]}
    ),
    ("securetenant-crds", 0): Denial(
        method="DELETE",
        path="/apis/apiextensions.k8s.io/v1/customresourcedefinitions/securetenants.securetenant.io",
    ),
    ("securetenant-parameters", 0): Denial(
        who="operator",
        method="DELETE",
        path="/apis/securetenant.io/v1alpha1/namespaces/north-1/tenantpolicies/effective",
    ),
    ("securetenant-settings", 0): Denial(
        method="DELETE", path="/apis/securetenant.io/v1alpha1/tenancysettings/default"
    ),
    ("securetenant-gate", 0): Denial(
        method="POST", path="/api/v1/namespaces/unready/pods", body=factory.pod()
    ),
    ("securetenant-lockdown", 0): Denial(
        method="POST",
        path="/api/v1/namespaces/icy/configmaps",
        body={"metadata": {"name": "x"}},
    ),
    ("securetenant-quarantine", 0): Denial(
        method="POST",
        path="/api/v1/namespaces/ill/serviceaccounts/default/token",
        body={"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}},
    ),
    ("securetenant-managed", 0): Denial(
        method="DELETE", path=f"{NETPOL.format('north-1')}/{names.DEFAULT_DENY}"
    ),
    ("securetenant-mirror-pods", 0): Denial(
        who="node", method="POST", path="/api/v1/namespaces/bystander/pods", body=_mirror()
    ),
    ("securetenant-mirror-pods", 1): Denial(
        who="node",
        method="POST",
        path="/api/v1/namespaces/kube-system/pods",
        body=_mirror(**{"k8s-app": "x"}),
    ),
    ("securetenant-mirror-pods", 2): Denial(
        who="node",
        method="POST",
        path="/api/v1/namespaces/kube-system/pods",
        body=_mirror(**{"k8s-app": "kube-dns"}),
        settings=_SETTINGS_DNS,
    ),
    ("securetenant-namespaces", 0): Denial(method="DELETE", path=_NORTH),
    ("securetenant-namespaces", 1): Denial(
        path=_NORTH, body={"metadata": {"labels": {names.TENANT_LABEL: "south"}}}
    ),
    ("securetenant-namespaces", 2): Denial(
        path=_NORTH,
        body={
            "metadata": {
                "ownerReferences": [
                    {"apiVersion": "v1", "kind": "Node", "name": "none", "uid": "none"}
                ]
            }
        },
    ),
    ("securetenant-nodes", 0): Denial(
        path=_NODE,
        body={
            "metadata": {"labels": {"securetenant.node-restriction.kubernetes.io/tenant": "north"}}
        },
    ),
    ("securetenant-nodes", 1): Denial(
        path=_NODE,
        body=[
            {
                "op": "add",
                "path": "/spec/taints",
                "value": [
                    {"key": "securetenant.io/tenant", "value": "north", "effect": "NoSchedule"}
                ],
            }
        ],
        content_type=JSON_PATCH,
    ),
    ("securetenant-operator-fence", 0): Denial(
        who="operator",
        method="POST",
        path="/api/v1/namespaces/unready/configmaps",
        body={"metadata": {"name": "x"}},
    ),
    **_fence("", "raise a tenant's quota", "events in kube-system", first=1),
    **_fence(
        "-walls",
        "wall elsewhere",
        "under another name",
        "another tenant's policy",
        "open to everybody",
        "open to what is labelled like the platform",
        "a binding that nobody would miss",
        "give the canary's role by another name",
        "give to everybody",
    ),
    **_fence("-accounts", "give them to another tenant's account"),
    **_fence(
        "-namespaces",
        "take default",
        "delete a foreign one",
        "move to another tenant",
        "take a foreign one",
        "write consent",
        "privileged",
        "admin access to devices",
    ),
    ("securetenant-operator-bounds", 0): Denial(
        who="operator",
        method="POST",
        path="/api/v1/namespaces",
        body={
            "metadata": {
                "name": "kept-x",
                "labels": {
                    names.TENANT_LABEL: "north",
                    "pod-security.kubernetes.io/enforce": "restricted",
                },
            }
        },
        settings={"protectedNames": ["kept-*"]},
    ),
    ("securetenant-operator-bounds", 1): Denial(
        who="operator",
        path=f"{_NORTH}/resourcequotas/securetenant",
        body={"spec": {"hard": {"pods": "61"}}},
        settings={"bounds": {"quota": {"pods": 60}}},
    ),
    ("securetenant-operator-bounds", 2): Denial(
        who="operator",
        method="POST",
        path=BINDINGS.format("north-1"),
        body=bind(_VIEWER, {"kind": "Group", "name": "north-admins"}),
        settings={"bounds": {"roles": ["Developer", "Admin"]}},
    ),
    ("securetenant-operator-bounds", 3): Denial(
        who="operator",
        method="POST",
        path=BINDINGS.format("north-1"),
        body=bind(_VIEWER, {"kind": "Group", "name": "strangers"}),
        settings={"bounds": {"groups": ["north-*"]}},
    ),
    ("securetenant-operator-bounds", 4): Denial(
        who="operator",
        method="POST",
        path=BINDINGS.format("north-1"),
        body=bind(_VIEWER, {"kind": "User", "name": "mallory"}),
        settings={"bounds": {"users": []}},
    ),
    ("securetenant-operator-bounds", 5): Denial(
        who="operator",
        path=DENY,
        body=network_policy(egress=[{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]),
        settings={"bounds": {"cidrs": ["10.1.0.0/16"]}},
    ),
    ("securetenant-operator-bounds", 6): Denial(
        who="operator",
        path=DENY,
        body=network_policy(egress=[{"to": [{"ipBlock": {"cidr": "169.254.0.0/16"}}]}]),
    ),
    ("securetenant-operator-bounds", 7): Denial(
        who="operator",
        path=DENY,
        body=network_policy(egress=[{"to": [tenant_peer("south")]}]),
        settings={"bounds": {"peers": ["nor*"]}},
    ),
    ("securetenant-operator-bounds", 9): Denial(
        who="operator",
        path=f"{_NORTH}/resourcequotas/securetenant",
        body={"spec": {"hard": {"pods": None}}},
        settings={"bounds": {"quota": {"pods": 60}}},
    ),
    ("securetenant-operator-fence-nodes", 0): _stolen("cordon a node"),
    ("securetenant-operator-fence-nodes", 1): _stolen("evict everybody by a taint of others"),
    ("securetenant-operator-fence", 3): _stolen("a node reader's token for a day"),
    ("securetenant-operator-fence", 4): _stolen("seem to be at work for a day"),
    ("securetenant-operator-bounds", 8): Denial(who="operator", path=_NODE, body=TAKEN),
}
