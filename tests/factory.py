"""The factories of what tests need: valid by default, changed by the test that needs it."""

import datetime
import itertools
from ipaddress import ip_address
from typing import Any

from securetenant.api import names
from securetenant.api.tenancysettings import SettingsSpec
from securetenant.api.tenantpolicy import PolicySpec
from securetenant.desired import policy
from securetenant.reconcile.store import Store
from securetenant.reconcile.tenants import Tenants
from securetenant.status.settings import Progress, Report

_RBAC = "rbac.authorization.k8s.io"
_numbers = itertools.count(1)


def tenant(name: str | None = None, **spec: Any) -> dict[str, Any]:
    """Return a SecureTenant; ``spec`` replaces whole fields, and None removes one.

    Without a name each call gives another tenant with namespaces of its own, so that tests
    share no objects.
    """
    name = name or f"tenant-{next(_numbers)}"
    fields: dict[str, Any] = {"namespaces": [{"name": f"{name}-a"}, {"name": f"{name}-b"}]}
    fields.update(spec)
    return {
        "apiVersion": "securetenant.io/v1alpha1",
        "kind": "SecureTenant",
        "metadata": {"name": name},
        "spec": {key: value for key, value in fields.items() if value is not None},
    }


def enough(namespaces: int) -> dict[str, Any]:
    """Return a quota of which the share of each of so many namespaces holds a default pod."""
    each = f"{namespaces}Gi"
    return {
        "pods": namespaces,
        "requests.cpu": namespaces,
        "requests.memory": each,
        "requests.ephemeral-storage": each,
    }


def reusing(body: dict[str, Any]) -> dict[str, Any]:
    """Return a SecureTenant that gets its names although they were another tenant's.

    For tests of what such a tenant meets then: else their names rest for 30 days.
    """
    listed = ",".join(each["name"] for each in body["spec"]["namespaces"])
    annotations = {**body["metadata"].get("annotations", {}), names.REUSE_ANNOTATION: listed}
    return {**body, "metadata": {**body["metadata"], "annotations": annotations}}


def seen(body: dict[str, Any], version: int = 1) -> dict[str, Any]:
    """Return the SecureTenant as the API server would give it at that version."""
    metadata = {"uid": f"uid-of-{body['metadata']['name']}", "generation": version}
    return {**body, "metadata": {**body["metadata"], **metadata, "resourceVersion": str(version)}}


def namespace(name: str, owner: str = "", *, version: int = 1, **metadata: Any) -> dict[str, Any]:
    """Return a Namespace as the API server would give it: nobody's, or that of a tenant."""
    labels = {**({"securetenant.io/tenant": owner} if owner else {}), **metadata.pop("labels", {})}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": name,
            "uid": f"uid-of-{name}",
            "resourceVersion": str(version),
            "labels": labels,
            **metadata,
        },
    }


_CLOUDS = {
    "nearly all": "169.254.169.254",
    "Alibaba Cloud": "100.100.100.200",
    "Alibaba Cloud by IPv6": "fd00:100::100:200",
    "AWS by IPv6": "fd00:ec2::254",
    "Azure": "168.63.129.16",
    "Google Cloud by IPv6": "fd20:ce::254",
    "Linode by IPv6": "fd00:a9fe:a9fe::1",
    "OpenStack by IPv6": "fe80::a9fe:a9fe",
    "Oracle Cloud by IPv6": "fd00:c1::a9fe:a9fe",
    "Oracle Cloud Classic": "192.0.0.192",
    "Scaleway": "169.254.42.42",
    "Scaleway by IPv6": "fd00:42::42",
    "Tencent Cloud": "169.254.0.23",
}
_TRANSLATED = {
    f"{cloud} through a translator from IPv6": str(ip_address(f"64:ff9b::{address}"))
    for cloud, address in _CLOUDS.items()
    if ":" not in address
}
CLOUDS = _CLOUDS | _TRANSLATED
"""Where each hands out credentials to everybody who asks."""


RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def pod(**resources: Any) -> dict[str, Any]:
    """Return a pod that Pod Security admits; ``resources`` are those of its container."""
    container = {"name": "c", "image": "app:1", "securityContext": RESTRICTED}
    if resources:
        container["resources"] = resources
    return {"metadata": {"generateName": "p-"}, "spec": {"containers": [container]}}


def settings(**spec: Any) -> dict[str, Any]:
    """Return TenancySettings; ``spec`` replaces whole fields."""
    fields: dict[str, Any] = {
        "dns": {
            "pods": [
                {
                    "namespaceLabels": {"kubernetes.io/metadata.name": "kube-system"},
                    "podLabels": {"k8s-app": "kube-dns"},
                }
            ],
            "addresses": ["169.254.20.10/32"],
            "ports": [53],
        },
        "metadataAddresses": ["169.254.169.254/32"],
        "protectedNames": [],
        "mirrorPods": {"namespaces": ["kube-system"], "refusedLabels": ["k8s-app"]},
        "defaultQuota": {"pods": 50, "requests.cpu": 4},
        "teardownsPerHour": 5,
        "verifyEverySeconds": 0,
    }
    fields.update(spec)
    return {
        "apiVersion": "securetenant.io/v1alpha1",
        "kind": "TenancySettings",
        "metadata": {"name": "default"},
        "spec": fields,
    }


def settings_spec(**spec: Any) -> SettingsSpec:
    """Return the model of TenancySettings."""
    return SettingsSpec.model_validate(settings(**spec)["spec"])


def policy_body(tenant_body: dict[str, Any], namespace: str) -> Any:
    """Return the TenantPolicy that a namespace of a SecureTenant gets."""
    name = tenant_body["metadata"]["name"]
    known = Tenants()
    known.see(name, seen(tenant_body))
    known.read(name, settings_spec(), Store())
    record = known.get(name)
    assert record is not None
    assert not record.is_refused, record.findings
    return policy.build(record.units[namespace].scope).body


def policy_spec(**spec: Any) -> PolicySpec:
    """Return what holds in the first namespace of a tenant that asks for this."""
    body = policy_body(tenant("some", **spec), "some-a")
    return PolicySpec.model_validate(body["spec"])


def settings_facts(now: datetime.datetime) -> dict[str, Any]:
    """Return what the status of TenancySettings is made of where nothing is wrong."""
    return {
        "report": Report(),
        "generation": 1,
        "progress": Progress(),
        "previous": {},
        "now": now,
    }


def binding(*subjects: dict[str, str], role: str = "") -> dict[str, Any]:
    """Return a RoleBinding ``mine`` to a Role of that name, or to the ClusterRole ``role``."""
    ref = {"kind": "ClusterRole", "name": role} if role else {"kind": "Role", "name": "mine"}
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "mine"},
        "roleRef": {"apiGroup": _RBAC, **ref},
        "subjects": list(subjects),
    }


def deployment(name: str) -> dict[str, Any]:
    """Return a Deployment of one pod that Pod Security admits."""
    template = {"metadata": {"labels": {"app": name}}, "spec": pod()["spec"]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "template": template,
        },
    }


def mirror(*, uid: str, node: str = "node-0", **metadata: Any) -> dict[str, Any]:
    """Return the mirror of a static pod, as the kubelet of ``node`` creates it."""
    owner = {"apiVersion": "v1", "kind": "Node", "name": node, "uid": uid, "controller": True}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"static-{node}",
            "annotations": {"kubernetes.io/config.mirror": "x"},
            "ownerReferences": [owner],
            **metadata,
        },
        "spec": {**pod()["spec"], "nodeName": node},
    }
