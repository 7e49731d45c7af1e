"""E13: each kind that can be made in a namespace is counted by default, or listed here."""

import documents
from harness import ROOT, Api
from securetenant.api import quotas

NOT_COUNTED = {
    "bindings": "not stored",
    "csistoragecapacities.storage.k8s.io": "of drivers; no role of a tenant has it",
    "endpoints": "made of Services",
    "endpointslices.discovery.k8s.io": "made of Services",
    "events": "they expire",
    "events.events.k8s.io": "the same as events",
    "limitranges": "of the platform; no role of a tenant has it",
    "localsubjectaccessreviews.authorization.k8s.io": "not stored",
    "podcertificaterequests.certificates.k8s.io": "of kubelets",
    "resourcequotas": "of the platform; no role of a tenant has it",
    "tenantpolicies.securetenant.io": "of the operator",
}
NATIVE = {
    "configmaps",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "secrets",
    "services",
}
"""Counted by a key of its own name, of which a quota knew before it counted any kind."""


def test_every_kind_is_counted_or_there_is_a_reason(admin: Api) -> None:
    (settings,) = documents.read((ROOT / "manifests/settings/default.yaml").read_text("utf-8"))
    keys = {*settings["spec"]["defaultQuota"], *quotas.COUNTED_BESIDE}
    missing = {
        kind
        for kind in kinds(admin)
        if not {f"count/{kind}", kind if kind in NATIVE else ""} & keys and kind not in NOT_COUNTED
    }
    assert missing == set()


def kinds(admin: Api) -> set[str]:
    """Return each kind that can be made in a namespace, as quotas name it."""
    groups = admin.call("GET", "/apis").ok()["groups"]
    roots = {"/api/v1": ""}
    for group in groups:
        roots[f"/apis/{group['preferredVersion']['groupVersion']}"] = group["name"]
    return {
        f"{each['name']}.{group}" if group else each["name"]
        for root, group in roots.items()
        for each in admin.call("GET", root).ok()["resources"]
        if each["namespaced"] and "create" in each["verbs"] and "/" not in each["name"]
    }
