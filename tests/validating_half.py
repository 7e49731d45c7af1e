"""A control plane as Kubernetes 1.34 is: no mutating policies, so the validating half is alone.

Its namespaces are made by hand, since rules need a TenantPolicy and no operator.
"""

from collections.abc import Iterator
from typing import Any

import documents
import factory
from harness import ROOT, Api, wait_for
from securetenant.api import kinds, names
from securetenant.api.tenantpolicy import PolicySpec
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance

TIGHT = {
    "registries": ["registry.example/", "registry.example:5000/team/"],
    "images": "Digest",
    "rootFilesystem": "ReadOnly",
    "priorityClasses": ["low"],
    "runtimeClasses": ["gvisor"],
    "tolerations": [
        {"key": "nvidia.com/gpu"},
        {"key": "corp.example/spot", "value": "yes"},
        {"key": "corp.example/arch", "value": "arm", "effect": "NoSchedule"},
    ],
    "storageClasses": ["fast"],
    "ingressClasses": ["nginx"],
    "gateways": [{"namespace": "gateways", "name": "shared"}],
    "csiDrivers": ["secrets-store.csi.k8s.io"],
    "hostnames": [".tight.example", "shop.example.org"],
    "serviceTypes": ["ClusterIP", "LoadBalancer"],
    "serviceAccountTokens": {"audiences": ["vault"], "maxSeconds": 7200},
}
LOOSE = {"imagePullPolicy": "Any", "serviceAccountTokens": {"automount": "Allow"}}
MEMBERS = "members"
"""The group that is admin in every namespace."""
SPECS: dict[str, dict[str, Any]] = {
    "plain-a": {"quota": {"pods": 10, "requests.example.com/counted": 4}},
    "tight-a": {"workloads": TIGHT, "network": {"sameTenant": "Deny"}},
    "roomy-a": {
        "workloads": {
            "hostnames": [".roomy.example"],
            "ingressClasses": ["nginx"],
            "storageClasses": ["fast"],
        }
    },
    "loose-a": {
        "workloads": LOOSE,
        "podSecurity": {"level": "baseline", "exceptionReason": "an old program"},
    },
}
"""What each namespace's tenant asks for."""
ENDING = "ending-a"
"""One that a test deletes."""
_ALL = {**SPECS, ENDING: SPECS["roomy-a"]}


_META = {"metadata": {"generateName": "x-"}}
_CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
_RESTRICTED = {"serviceAccountName": "quiet", **factory.pod()["spec"]}
CANARIES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("/api/v1/namespaces/plain-a/pods", {**_META, "spec": {**_RESTRICTED, "schedulerName": "x"}}),
    ("/api/v1/namespaces/tight-a/pods", {**_META, "spec": _RESTRICTED}),
    (
        "/api/v1/namespaces/plain-a/services",
        {**_META, "spec": {"type": "NodePort", "ports": [{"port": 80}]}},
    ),
    ("/api/v1/namespaces/plain-a/persistentvolumeclaims", {**_META, "spec": _CLAIM}),
    (
        "/apis/networking.k8s.io/v1/namespaces/plain-a/ingresses",
        {**_META, "spec": {"defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}}},
    ),
    (
        "/apis/networking.k8s.io/v1/namespaces/plain-a/networkpolicies",
        {**_META, "spec": {"podSelector": {}, "ingress": [{}]}},
    ),
    (
        "/apis/policy/v1/namespaces/plain-a/poddisruptionbudgets",
        {**_META, "spec": {"maxUnavailable": 0}},
    ),
)
"""One request a policy that is refused once it is in force."""


def policies() -> dict[str, PolicySpec]:
    """Return what holds in each of the namespaces."""
    return {namespace: PolicySpec.model_validate(_body(namespace)["spec"]) for namespace in SPECS}


def _body(namespace: str) -> Any:
    body = factory.tenant(namespace.removesuffix("-a"), **_ALL[namespace])
    return factory.policy_body(body, namespace)


UNCONDITIONAL = "unconditional-"
"""Prefix of copies without conditions, which warn and do not refuse."""


def copies_without_conditions() -> Iterator[dict[str, Any]]:
    """Yield policies without their matchConditions, and bindings that only warn.

    What a copy warns of and the policy lets pass was skipped by a condition of the policy. Whom the
    policy is about is no such condition.
    """
    for name in ("pods", "pods-hardening", "operator-bounds", "operator-fence-accounts"):
        text = (ROOT / "manifests" / "policies" / f"{name}.yaml").read_text(encoding="utf-8")
        for body in documents.read(text):
            wanted = f"securetenant-{name}"
            if body["metadata"]["name"] == wanted and body["kind"].endswith("Policy"):
                conditions = body["spec"]["matchConditions"]
                about = [each for each in conditions if each["name"] == "the-operator"]
                spec = {**body["spec"], "matchConditions": about}
            elif body["spec"].get("policyName") == wanted and "Deny" in str(body["spec"]):
                spec = {
                    **body["spec"],
                    "policyName": UNCONDITIONAL + wanted,
                    "validationActions": ["Warn"],
                }
            else:
                continue
            copy = f"{UNCONDITIONAL}{body['metadata']['name']}"
            yield {**body, "metadata": {"name": copy}, "spec": spec}


def furnish(instance: Instance) -> None:
    """Make the namespaces, each with its rules and its admins."""
    groups = ("system:masters", "securetenant:break-glass")
    breaker = Api(kubeconfigs.for_user(instance, "breaker", groups))
    for namespace, spec in _ALL.items():
        level = spec.get("podSecurity", {}).get("level", "restricted")
        labels = {
            names.TENANT_LABEL: namespace.removesuffix("-a"),
            "pod-security.kubernetes.io/enforce": level,
            "pod-security.kubernetes.io/enforce-version": "v1.34",
        }
        body = {"metadata": {"name": namespace, "labels": labels}}
        breaker.create(kinds.NAMESPACE, body).ok()
        made = breaker.create(kinds.TENANT_POLICY, _body(namespace), namespace).ok()
        ready = {"metadata": {"labels": {names.READY_FOR_LABEL: made["metadata"]["uid"]}}}
        breaker.patch(kinds.NAMESPACE, namespace, ready).ok()
        account = {"metadata": {"name": "quiet"}, "automountServiceAccountToken": False}
        _make(breaker, f"/api/v1/namespaces/{namespace}/serviceaccounts", account)
        group = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": MEMBERS}
        binding = factory.binding(group, role=names.cluster_role("Admin"))
        _make(breaker, kinds.ROLE_BINDING.path(namespace), binding)
    root = "/apis/admissionregistration.k8s.io/v1"
    plurals = {
        "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
        "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
    }
    for body in copies_without_conditions():
        breaker.call("POST", f"{root}/{plurals[str(body['kind'])]}", body).ok()


def _make(breaker: Api, path: str, body: dict[str, Any]) -> None:
    """Create an object, as soon as the policies see the TenantPolicy that was just made."""
    wait_for(lambda: breaker.call("POST", path, body).status in {201, 409}, what=f"POST {path}")
