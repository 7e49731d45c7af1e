"""One refused request for each rule about workloads, for the page of messages.

Sent in the namespace of tenant ``strict``, who may ask for little. What the mutating half mends
before a rule is asked, and kinds that this API server does not serve, are in
``test_other_kinds.py``.
"""

from typing import Any

import factory
from attack_harness import Denial, mutate
from securetenant.api import names

CONTAINER = "spec.containers.0"
STRICT: dict[str, Any] = {
    "registries": ["registry.example/"],
    "images": "Digest",
    "rootFilesystem": "ReadOnly",
    "userNamespaces": "Required",
    "storageClasses": ["fast"],
    "ingressClasses": ["nginx"],
    "hostnames": [".strict.example"],
}
"""What the tenant may ask for."""
_CORE = "/api/v1/namespaces/strict-1"
_NETWORKING = "/apis/networking.k8s.io/v1/namespaces/strict-1"
IMAGE = "registry.example/app@sha256:" + "a" * 64
_BACKEND = {"service": {"name": "s", "port": {"number": 80}}}
_HTTP = {"paths": [{"path": "/", "pathType": "Prefix", "backend": _BACKEND}]}
_TERM = {"topologyKey": "kubernetes.io/hostname", "namespaceSelector": {}}


def _pod(path: str = "", value: Any = None) -> Denial:
    """Return a pod that is refused for one thing alone."""
    body = mutate(factory.pod(), f"{CONTAINER}.image", IMAGE)
    return Denial(
        method="POST", path=f"{_CORE}/pods", body=mutate(body, path, value) if path else body
    )


def _projected(**source: Any) -> list[Any]:
    return [{"name": "v", "projected": {"sources": [source]}}]


def _core(plural: str, **body: Any) -> Denial:
    return Denial(
        method="POST", path=f"{_CORE}/{plural}", body={"metadata": {"name": "new"}, **body}
    )


def _service(**spec: Any) -> Denial:
    fields = {"selector": {"app": "a"}, "ports": [{"port": 80}], **spec}
    return _core("services", spec=fields)


def _claim(annotations: Any = None, **spec: Any) -> Denial:
    fields = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        "storageClassName": "fast",
        **spec,
    }
    metadata = {"name": "new", "annotations": annotations or {}}
    return _core("persistentvolumeclaims", metadata=metadata, spec=fields)


def _rule(**path: Any) -> dict[str, Any]:
    whole = {"path": "/", "pathType": "Prefix", "backend": _BACKEND, **path}
    return {"host": "www.strict.example", "http": {"paths": [whole]}}


def _paths(*paths: str) -> dict[str, Any]:
    whole = [{"path": each, "pathType": "Prefix", "backend": _BACKEND} for each in paths]
    return {"host": "www.strict.example", "http": {"paths": whole}}


def _ingress(host: str = "www.strict.example", annotations: Any = None, **spec: Any) -> Denial:
    fields = {"ingressClassName": "nginx", "rules": [{"host": host, "http": _HTTP}], **spec}
    body = {"metadata": {"name": "new", "annotations": annotations or {}}, "spec": fields}
    return Denial(method="POST", path=f"{_NETWORKING}/ingresses", body=body)


def _opening(*peers: Any) -> Denial:
    rule = {"from": list(peers)} if peers else {}
    body = {"metadata": {"name": "new"}, "spec": {"podSelector": {}, "ingress": [rule]}}
    return Denial(method="POST", path=f"{_NETWORKING}/networkpolicies", body=body)


def _annotated(key: str, value: str) -> Denial:
    body = {"metadata": {"name": "new", "annotations": {key: value}}}
    return Denial(who="strict", method="POST", path=f"{_CORE}/configmaps", body=body)


def _owner(version: str, kind: str, uid: str) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "name": "strict", "uid": uid}


def _owned(kind: str, version: str, uid: str, *, blocks: bool = False) -> Denial:
    owner = {**_owner(version, kind, uid), "blockOwnerDeletion": blocks}
    body = {"metadata": {"name": "new", "ownerReferences": [owner]}}
    return Denial(who="strict", method="POST", path=f"{_CORE}/configmaps", body=body)


def _rules(policy: str, *rows: Denial, first: int = 0) -> dict[tuple[str, int], Denial]:
    return {(f"securetenant-{policy}", index): row for index, row in enumerate(rows, first)}


_MANY = {f"a{number}": "x" for number in range(101)}
"""More annotations than are looked at one by one."""
_UNDER_PRESSURE = {"key": "node.kubernetes.io/memory-pressure", "operator": "Exists"}
_OWNERS = [_owner("v1", "Secret", f"u{number}") for number in range(65)]
"""More owners than are looked at one by one."""
_CONTEXT = f"{CONTAINER}.securityContext"
ROWS: dict[tuple[str, int], Denial] = {
    **_rules(
        "pods",
        _pod("spec.nodeName", "node-0"),
        _pod("spec.tolerations", [{"operator": "Exists"}]),
        _pod("spec.schedulerName", "mine"),
        _pod("spec.priorityClassName", "not-for-tenants"),
        _pod("spec.runtimeClassName", "not-for-tenants"),
        _pod("spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution", [_TERM]),
        _pod("spec.terminationGracePeriodSeconds", 7200),
        _pod("spec.resourceClaims", [{"name": "gpu", "resourceClaimName": "gpu"}]),
        _pod(f"{CONTAINER}.resources", {"limits": {"example.com/gpu": "1"}}),
        _pod("spec.volumes", [{"name": "v", "csi": {"driver": "evil.csi.example"}}]),
        # Restricted Pod Security refuses these first: its namespace is of a tenant by exception.
        Denial(
            method="POST",
            path="/api/v1/namespaces/lenient-1/pods",
            body=mutate(
                factory.pod(),
                "spec.volumes",
                [{"name": "v", "nfs": {"server": "10.0.0.1", "path": "/"}}],
            ),
        ),
        _pod(
            "metadata",
            {"name": "new", "annotations": {"v1.multus-cni.io/default-network": "kube-system/x"}},
        ),
        Denial(
            method="POST",
            path="/api/v1/namespaces/placed-1/pods",
            body=mutate(factory.pod(), "spec.nodeSelector", {names.pids_label(1024): "false"}),
        ),
        _pod("metadata", {"name": "new", "annotations": _MANY}),
        _pod("spec.tolerations", [_UNDER_PRESSURE] * 101),
        _pod("spec.imagePullSecrets", [{"name": f"s{number}"} for number in range(501)]),
    ),
    **_rules(
        "pods-deletion",
        Denial(
            method="DELETE",
            path=f"{_CORE}/pods/there",
            body={"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 86400},
        ),
    ),
    **_rules(
        "bindings-pods",
        _core("bindings", target={"kind": "Node", "name": "node-0"}),
    ),
    **_rules(
        "pods-hardening",
        _pod(f"{_CONTEXT}.runAsGroup", 0),
        _pod("spec.securityContext", {"fsGroup": 0}),
        _pod(f"{_CONTEXT}.seccompProfile", {"type": "Localhost", "localhostProfile": "p"}),
        _pod(f"{_CONTEXT}.seLinuxOptions", {"level": "s0:c1,c2"}),
        _pod(f"{_CONTEXT}.windowsOptions", {"gmsaCredentialSpecName": "another"}),
        _pod(
            "spec",
            {
                "volumes": [{"name": "v", "emptyDir": {}}],
                "containers": [
                    {
                        "name": "c",
                        "image": IMAGE,
                        "securityContext": factory.RESTRICTED,
                        "volumeMounts": [
                            {
                                "name": "v",
                                "mountPath": "/v",
                                "mountPropagation": "HostToContainer",
                            }
                        ],
                    }
                ],
            },
        ),
        _pod(f"{_CONTEXT}.readOnlyRootFilesystem", False),
        _pod("spec.hostUsers", True),
        _pod(f"{_CONTEXT}.runAsUser", 0),
    ),
    ("securetenant-pods-hardening", 9): _pod(f"{CONTAINER}.image", "nginx"),
    ("securetenant-pods-hardening", 10): _pod(f"{CONTAINER}.image", "registry.example/app:1"),
    **_rules(
        "pods-hardening",
        _pod("spec.automountServiceAccountToken", True),
        _pod("spec.volumes", _projected(serviceAccountToken={"path": "t", "audience": "vault"})),
        _pod(
            "spec.volumes",
            _projected(serviceAccountToken={"path": "t", "expirationSeconds": 999999}),
        ),
        _pod(
            "spec.volumes",
            _projected(
                podCertificate={
                    "signerName": "example.com/s",
                    "keyType": "ED25519",
                    "credentialBundlePath": "c",
                }
            ),
        ),
        first=12,
    ),
    **_rules(
        "tokens",
        _core(
            "secrets",
            metadata={
                "name": "new",
                "annotations": {"kubernetes.io/service-account.name": "default"},
            },
            type="kubernetes.io/service-account-token",
        ),
        _core("serviceaccounts", automountServiceAccountToken=True),
    ),
    **_rules(
        "services",
        _service(type="NodePort"),
        _service(externalIPs=["203.0.113.7"]),
        _service(loadBalancerIP="203.0.113.7"),
        _service(selector={}),
        _core(
            "services",
            metadata={
                "name": "new",
                "annotations": {"external-dns.alpha.kubernetes.io/hostname": "www.other.example"},
            },
            spec={"selector": {"app": "a"}, "ports": [{"port": 80}]},
        ),
        _core(
            "services",
            metadata={"name": "new", "annotations": _MANY},
            spec={"selector": {"app": "a"}, "ports": [{"port": 80}]},
        ),
        _service(ports=[{"name": f"p{port}", "port": port} for port in range(1, 252)]),
    ),
    **_rules(
        "endpoints",
        _core("endpoints", subsets=[{"addresses": [{"ip": "10.1.2.3"}]}]),
    ),
    **_rules(
        "ingress",
        _ingress("www.other.example"),
        _ingress(tls=[{"hosts": ["www.other.example"]}]),
        _ingress(defaultBackend=_BACKEND),
        _ingress(ingressClassName="internal"),
        _ingress(annotations={"nginx.ingress.kubernetes.io/server-snippet": "x"}),
        _ingress(annotations={"nginx.ingress.kubernetes.io/rewrite-target": "/; return 200"}),
        _ingress(rules=[_rule(path="/x {")]),
        _ingress(annotations={"nginx.ingress.kubernetes.io/proxy-buffers-number": "1"}),
        _ingress(rules=[_rule(path="/((x")]),
        _ingress(rules=[_rule(backend={"resource": {"kind": "Bucket", "name": "b"}})]),
        _ingress(annotations=_MANY),
        _ingress(rules=[_rule(path=f"/{'a' * 1024}")]),
        _ingress(rules=[_paths(*(f"/{number}" for number in range(101)))]),
        _ingress(rules=[_paths("/a", "/a/")]),
    ),
    **_rules(
        "volumes",
        _claim(volumeName="pv-of-another"),
        _claim(selector={"matchLabels": {"a": "b"}}),
        _claim(storageClassName="gold"),
        _claim({"volume.beta.kubernetes.io/storage-class": "gold"}),
        _claim(dataSourceRef={"kind": "Populator", "name": "p", "apiGroup": "x.example"}),
        _claim(volumeAttributesClassName="gold"),
        _claim({"volume.kubernetes.io/selected-node": "node-0"}),
    ),
    **_rules(
        "network",
        _opening(),
        _opening({"ipBlock": {"cidr": "0.0.0.0/0"}}),
        _opening({"namespaceSelector": {}}),
        _opening(*[{"podSelector": {}}] * 1000),
    ),
    **_rules(
        "annotations",
        _annotated("replicator.v1.mittwald.de/replicate-from", "other-1/password"),
        _annotated("k8s-sidecar-target-directory", "/etc"),
        Denial(
            who="strict",
            method="POST",
            path=f"{_CORE}/configmaps",
            body={"metadata": {"name": "new", "annotations": _MANY}},
        ),
    ),
    **_rules(
        "finalizers",
        Denial(
            who="strict",
            method="POST",
            path=f"{_CORE}/configmaps",
            body={"metadata": {"name": "new", "finalizers": ["example.com/never"]}},
        ),
        Denial(
            method="POST",
            path="/apis/policy/v1/namespaces/strict-1/poddisruptionbudgets",
            body={"metadata": {"name": "new"}, "spec": {"maxUnavailable": 0}},
        ),
        Denial(
            who="strict",
            method="POST",
            path="/apis/apps/v1/namespaces/strict-1/deployments",
            body=mutate(
                factory.deployment("new"),
                "spec.template.metadata.finalizers",
                ["example.com/never"],
            ),
        ),
    ),
    ("securetenant-finalizers", 4): _core(
        "configmaps",
        metadata={"name": "new", "finalizers": [f"example.com/{number}" for number in range(33)]},
    ),
    ("securetenant-owners", 0): _owned("SecureTenant", names.API_VERSION, "of-nobody"),
    ("securetenant-owners", 1): _owned("Foo", "foo.example/v1", "of-nobody", blocks=True),
    ("securetenant-owners", 4): Denial(
        who="strict",
        method="POST",
        path=f"{_CORE}/configmaps",
        body={"metadata": {"name": "new", "ownerReferences": _OWNERS}},
    ),
    ("securetenant-owners", 5): Denial(
        who="strict",
        method="POST",
        path=f"{_CORE}/configmaps",
        body={
            "metadata": {
                "name": "new",
                "ownerReferences": [
                    {**_owner("v1", "Pod", "u"), "blockOwnerDeletion": True},
                    _owner("foo.example/v1", "Foo", "v"),
                ],
            }
        },
    ),
    ("securetenant-replicas", 0): Denial(
        who="strict",
        method="POST",
        path="/apis/apps/v1/namespaces/strict-1/statefulsets",
        body={
            "metadata": {"name": "new"},
            "spec": {**factory.deployment("new")["spec"], "serviceName": "new", "replicas": 1001},
        },
    ),
    ("securetenant-names", 0): Denial(
        who="strict",
        method="POST",
        path="/apis/rbac.authorization.k8s.io/v1/namespaces/strict-1/roles",
        body={"metadata": {"name": "x" * 254}, "rules": []},
    ),
    ("securetenant-bytes", 0): _pod(f"{CONTAINER}.args", ["x" * 1_000_000]),
    ("securetenant-owners-uid", 0): _owned("Node", "v1", "TENANT"),
}

ELSEWHERE = {
    *(("securetenant-pods-shared", index) for index in range(7)),
    ("securetenant-finalizers", 3),
    ("securetenant-owners", 2),
    ("securetenant-owners", 3),
    ("securetenant-pods-hardening", 11),
    ("securetenant-pods-hardening", 16),
    ("securetenant-routes", 0),
    ("securetenant-routes", 1),
    *(("securetenant-routes", index) for index in range(2, 8)),
    ("securetenant-snapshots", 0),
    ("securetenant-terminating", 0),
    ("securetenant-token-hints", 0),
}
"""Rules that cannot refuse anything here: about fields that defaults fill first, kinds that are
not served, namespaces that are being deleted, objects that a controller made
(`test_never_goes.py`), Audit mode (`test_audit_mode.py`), or long lists that two policies refuse
(`test_long_lists.py`)."""
