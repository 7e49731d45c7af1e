"""What whoever stole the operator's token would try, though RBAC lets it: the fence refuses it.

In a module of its own, since the attack and the page of credentials both read it.
"""

from typing import Any

import factory
from attack_harness import Policy
from harness import OPERATOR
from securetenant.api import kinds, names
from securetenant.desired import fairness

RBAC = "rbac.authorization.k8s.io"
FENCE = Policy(
    "securetenant-operator-fence",
    also=tuple(
        f"securetenant-operator-fence-{part}"
        for part in ("accounts", "flows", "namespaces", "nodes", "tiers", "walls")
    ),
)
NETPOL = "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies"
DENY = NETPOL.format("north-1") + f"/{names.DEFAULT_DENY}"
BINDINGS = f"/apis/{RBAC}/v1/namespaces/{{}}/rolebindings"


LABELS = {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.TENANT_LABEL: "north"}
"""What every object of tenant north carries."""


def network_policy(**spec: Any) -> dict[str, Any]:
    """Return what the default-deny would be made."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": names.DEFAULT_DENY, "labels": LABELS},
        "spec": {"podSelector": {}, **spec},
    }


def tenant_peer(name: str) -> dict[str, Any]:
    """Return a peer of a NetworkPolicy: a whole tenant."""
    return {"namespaceSelector": {"matchLabels": {names.TENANT_LABEL: name}}}


def bind(role: str, subject: dict[str, str], name: str = "securetenant-viewer") -> dict[str, Any]:
    """Return a RoleBinding as the operator writes it, but for what is given."""
    group = {} if subject["kind"] == "ServiceAccount" else {"apiGroup": RBAC}
    return {
        **factory.binding({**group, **subject}, role=role),
        "metadata": {"name": name, "labels": LABELS},
    }


def flow(*people: tuple[str, str], name: str = names.flow(0), **spec: Any) -> dict[str, Any]:
    """Return a FlowSchema of tenant north as the operator writes it, but for what is given."""
    body = fairness.build(0, ["north-1"], people).body
    return {
        **body,
        "metadata": {**body["metadata"], "name": name},
        "spec": {**body["spec"], **spec},
    }


def _namespace(name: str, **labels: str) -> dict[str, Any]:
    spelled = {
        names.TENANT_LABEL: "north",
        "pod-security.kubernetes.io/enforce": "restricted",
        **{key.replace("__", "/").replace("_", "."): value for key, value in labels.items()},
    }
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": spelled}}


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
    ("wall elsewhere", "POST", NETPOL.format("bystander"), network_policy(), FENCE),
    (
        "open to everybody",
        "PATCH",
        NETPOL.format("north-1") + f"/{names.DEFAULT_DENY}",
        network_policy(ingress=[{}]),
        FENCE,
    ),
    (
        "open by an empty selector",
        "PATCH",
        NETPOL.format("north-1") + f"/{names.DEFAULT_DENY}",
        network_policy(egress=[{"to": [{"namespaceSelector": {}}]}]),
        FENCE,
    ),
    (
        "open to what is labelled like the platform",
        "PATCH",
        DENY,
        network_policy(
            egress=[{"to": [{"namespaceSelector": {"matchLabels": {names.STATE_LABEL: "active"}}}]}]
        ),
        FENCE,
    ),
    (
        "under another name",
        "POST",
        NETPOL.format("north-1"),
        {**network_policy(), "metadata": {"name": "mine", "labels": LABELS}},
        FENCE,
    ),
    (
        "give to everybody",
        "POST",
        BINDINGS.format("north-1"),
        bind("securetenant:viewer", {"kind": "Group", "name": "system:authenticated"}),
        FENCE,
    ),
    *(
        (title, "POST", BINDINGS.format("north-1"), bind(role, subject, name), FENCE)
        for title, role, subject, name in (
            (
                "give itself the Secrets",
                "securetenant:admin",
                {"kind": "ServiceAccount", "name": OPERATOR[1], "namespace": OPERATOR[0]},
                "securetenant-admin",
            ),
            (
                "give them to another account of the platform",
                "securetenant:admin",
                {"kind": "ServiceAccount", "name": "bootstrap-signer", "namespace": "kube-system"},
                "securetenant-admin",
            ),
            (
                "give them to another tenant's account",
                "securetenant:admin",
                {"kind": "ServiceAccount", "name": "default", "namespace": "south-1"},
                "securetenant-admin",
            ),
            (
                "give them to an account of no tenant",
                "securetenant:viewer",
                {"kind": "ServiceAccount", "name": "default", "namespace": "bystander"},
                "securetenant-viewer",
            ),
            (
                "give them to the canary",
                "securetenant:admin",
                {"kind": "User", "name": names.CANARY_USER},
                "securetenant-admin",
            ),
            (
                "give them to anyone who breaks the glass",
                "securetenant:admin",
                {"kind": "Group", "name": "securetenant:break-glass"},
                "securetenant-admin",
            ),
            (
                "give the canary's role to somebody",
                names.CANARY_ROLE,
                {"kind": "User", "name": "mallory"},
                names.CANARY,
            ),
            (
                "give the canary's role by another name",
                names.CANARY_ROLE,
                {"kind": "User", "name": names.CANARY_USER},
                "securetenant-viewer",
            ),
            (
                "say that the namespace is another tenant's",
                names.CANARY_ROLE,
                {
                    "kind": "ServiceAccount",
                    "name": names.membership("south"),
                    "namespace": "north-1",
                },
                names.CANARY,
            ),
        )
    ),
    *(
        (title, "POST", path, body, FENCE)
        for title, path, body in (
            (
                "a binding that nobody would miss",
                BINDINGS.format("north-1"),
                {
                    **bind("securetenant:viewer", {"kind": "Group", "name": "north-admins"}),
                    "metadata": {"name": "securetenant-extra"},
                },
            ),
            (
                "an opening that nobody would miss",
                NETPOL.format("north-1"),
                {
                    **network_policy(egress=[{"to": [tenant_peer("south")]}]),
                    "metadata": {"name": "securetenant-extra", "labels": {}},
                },
            ),
            (
                "a wall with the label of another tenant",
                NETPOL.format("north-1"),
                {
                    **network_policy(),
                    "metadata": {
                        "name": "securetenant-extra",
                        "labels": {**LABELS, names.TENANT_LABEL: "south"},
                    },
                },
            ),
        )
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
    (
        "cordon a node",
        "PATCH",
        "/api/v1/nodes/node-0",
        {"spec": {"unschedulable": True}},
        FENCE,
    ),
    (
        "label a node for another pool",
        "PATCH",
        "/api/v1/nodes/node-0",
        {"metadata": {"labels": {"node-restriction.kubernetes.io/pool": "north"}}},
        FENCE,
    ),
    (
        "evict everybody by a taint of others",
        "PATCH",
        "/api/v1/nodes/node-0",
        {"spec": {"taints": [{"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"}]}},
        FENCE,
    ),
    *(
        (title, "POST", kinds.FLOW_SCHEMA.path(), body, FENCE)
        for title, body in (
            ("queue under another name", flow(name="first-of-all")),
            (
                "queue past everybody",
                flow(priorityLevelConfiguration={"name": "exempt"}),
            ),
            ("queue before the system", flow(matchingPrecedence=2)),
            ("queue by user", flow(distinguisherMethod={"type": "ByUser"})),
            (
                "let only reads queue",
                flow(rules=[{**flow()["spec"]["rules"][0], "nonResourceRules": []}]),
            ),
            (
                "let kube-system wait",
                dict(fairness.build(0, ["north-1", "kube-system"], ()).body),
            ),
            (
                "let the operator wait",
                dict(fairness.build(0, ["securetenant-system"], ()).body),
            ),
            ("let everybody wait, by groups", flow(("Group", "*"))),
            ("let everybody wait, by users", flow(("User", "*"))),
            ("let nodes wait", flow(("Group", "system:nodes"))),
            ("let the scheduler wait", flow(("User", "system:kube-scheduler"))),
        )
    ),
    (
        "delete the system's line",
        "DELETE",
        kinds.FLOW_SCHEMA.path("", "kube-system-service-accounts"),
        None,
        FENCE,
    ),
    (
        "declare a limit of processes",
        "PATCH",
        "/api/v1/nodes/node-0",
        {"metadata": {"labels": {names.DECLARED_PIDS_LABEL: "128"}}},
        FENCE,
    ),
    (
        "a node reader's token for a day",
        "POST",
        f"/api/v1/namespaces/{names.OPERATOR_NAMESPACE}/serviceaccounts/{names.NODE_READER}/token",
        {"spec": {"expirationSeconds": 86400}},
        FENCE,
    ),
    (
        "seem to be at work for a day",
        "PUT",
        kinds.LEASE.path(names.OPERATOR_NAMESPACE, names.OPERATOR),
        {
            "metadata": {"name": names.OPERATOR, "namespace": names.OPERATOR_NAMESPACE},
            "spec": {"holderIdentity": "nobody", "leaseDurationSeconds": 86400},
        },
        FENCE,
    ),
]
TAKEN: dict[str, Any] = {
    "spec": {"taints": [{"key": names.NODE_TAINT, "value": "north", "effect": "NoSchedule"}]}
}
"""What a node gets that is given to a tenant."""
