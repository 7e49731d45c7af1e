"""Annotations of Secrets, ConfigMaps, claims, roles and others: tools do what they say.

Two tenants, one of them in Audit mode: these rules protect others.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

import factory
import standing
from attack_harness import Policy, mutate, verdict
from harness import MERGE, Api, Operator, wait_for
from securetenant.sandbox.instances import Instance

MODES = {"noted": "Enforce", "remarked": "Audit"}
ANNOTATIONS = Policy("securetenant-annotations")
CONTROLLERS = "system:serviceaccount:kube-system:"
DASHBOARDS = "/tmp/dashboards"  # noqa: S108
"""Where the sidecar of Grafana's chart writes."""
LISTED = "corp.example/note"
ROOTS = {
    "horizontalpodautoscalers": "/apis/autoscaling/v2",
    "ingresses": "/apis/networking.k8s.io/v1",
    "rolebindings": "/apis/rbac.authorization.k8s.io/v1",
    "roles": "/apis/rbac.authorization.k8s.io/v1",
}
"""Where kinds are that are not in the core group."""
BODIES: dict[str, dict[str, Any]] = {
    "horizontalpodautoscalers": {
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "maxReplicas": 2,
        }
    },
    "rolebindings": {
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "securetenant:viewer",
        },
        "subjects": [{"kind": "ServiceAccount", "name": "default"}],
    },
    "roles": {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]},
    "configmaps": {},
    "secrets": {},
    "serviceaccounts": {},
    "persistentvolumeclaims": {
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": "fast",
        }
    },
}


class Member(NamedTuple):
    """An administrator of one tenant."""

    api: Api
    namespace: str
    other: str

    def body(self, plural: str) -> dict[str, Any]:
        """Return an object of a kind without its metadata."""
        found = dict(BODIES.get(plural, {}))
        if plural == "rolebindings":
            (account,) = found["subjects"]
            found["subjects"] = [{**account, "namespace": self.namespace}]
        return found

    def make(self, plural: str, key: str, value: str, api: Api | None = None) -> Any:
        """Try to create an object with an annotation."""
        noted = {key: value.replace("OTHER", self.other)}
        body = {"metadata": {"name": "new", "annotations": noted}, **self.body(plural)}
        path = f"{ROOTS.get(plural, '/api/v1')}/namespaces/{self.namespace}/{plural}"
        return (api or self.api).call("POST", path, body, dryRun="All")


@pytest.fixture(scope="module")
def two(admin: Api, operator: Operator) -> Iterator[None]:
    """Two tenants, one of them in Audit mode."""
    workloads = {
        "storageClasses": ["fast"],
        "annotations": [LISTED],
        "hostnames": [".NAME.example"],
        "ingressClasses": ["nginx"],
    }
    with standing.tenants(admin, MODES, role="Admin", workloads=workloads):
        yield


@pytest.fixture(
    params=[("noted", "remarked"), ("remarked", "noted")], ids=lambda pair: MODES[pair[0]]
)
def member(request: pytest.FixtureRequest, two: None, sandbox: Instance) -> Member:
    """An administrator of each, and whom it is after."""
    own, other = request.param
    return Member(standing.member(sandbox, own), f"{own}-1", other)


JUDGED = {
    "configmaps": ("replicator.v1.mittwald.de/replicate-to-matching", "annotations"),
    "secrets": ("replicator.v1.mittwald.de/replicate-to-matching", "annotations"),
    "serviceaccounts": ("eks.amazonaws.com/role-arn", "annotations"),
    "persistentvolumeclaims": ("trident.netapp.io/cloneFromPVC", "annotations"),
    "horizontalpodautoscalers": (
        "metric-config.external.a.json-path/endpoint",
        "annotations",
    ),
    "rolebindings": ("replicator.v1.mittwald.de/replicate-to-matching", "annotations"),
    "roles": ("replicator.v1.mittwald.de/replicate-to-matching", "annotations"),
    "persistentvolumeclaims by how they are bound": ("pv.kubernetes.io/migrated-to", "volumes"),
    "pods": ("k8s.v1.cni.cncf.io/networks", "pods"),
    "services": ("external-dns.alpha.kubernetes.io/hostname", "services"),
    "ingresses": ("nginx.ingress.kubernetes.io/server-alias", "ingress"),
}
"""An annotation that is refused on each kind, and by which policy."""


@pytest.mark.parametrize("title", JUDGED)
def test_an_annotation_that_comes_later_and_is_empty_is_refused(title: str, member: Member) -> None:
    """It looked like one that was not there: some tools ask only whether the key is set."""
    key, policy = JUDGED[title]
    plural, name = title.split(maxsplit=1)[0], f"later-{policy}"
    path = f"{ROOTS.get(plural, '/api/v1')}/namespaces/{member.namespace}/{plural}"
    body: dict[str, Any] = {"metadata": {"name": name}, **member.body(plural)}
    if plural == "pods":
        body["spec"] = factory.pod()["spec"]
    if plural == "services":
        body["spec"] = {"selector": {"app": "a"}, "ports": [{"port": 80}]}
    if plural == "ingresses":
        host = f"a.{member.namespace.removesuffix('-1')}.example"
        backend = {"service": {"name": "a", "port": {"number": 80}}}
        paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
        rules = [{"host": host, "http": {"paths": paths}}]
        body["spec"] = {"ingressClassName": "nginx", "rules": rules}
    created = mutate(body, "metadata.annotations", {key: ""})
    answer = member.api.call("POST", path, created, dryRun="All")
    assert verdict(answer, Policy(f"securetenant-{policy}")) == "Blocked"
    member.api.call("POST", path, body).ok()
    change = {"metadata": {"annotations": {key: ""}}}
    answer = member.api.call("PATCH", f"{path}/{name}", change, content_type=MERGE, dryRun="All")
    assert verdict(answer, Policy(f"securetenant-{policy}")) == "Blocked"
    note = {"metadata": {"annotations": {"note": ""}}}
    member.api.call("PATCH", f"{path}/{name}", note, content_type=MERGE, dryRun="All").ok()
    member.api.call("DELETE", f"{path}/{name}").ok()


REACHING = [
    ("secrets", "replicator.v1.mittwald.de/replicate-from", "OTHER-1/password"),
    ("secrets", "replicator.v1.mittwald.de/replicate-to", "OTHER-1"),
    ("configmaps", "replicator.v1.mittwald.de/replicate-from", "OTHER-1/settings"),
    ("secrets", "reflector.v1.k8s.emberstack.com/reflects", "OTHER-1/password"),
    ("configmaps", "reflector.v1.k8s.emberstack.com/reflection-auto-namespaces", "OTHER-1"),
    ("secrets", "kubed.appscode.com/sync", ""),
    ("secrets", "field.cattle.io/projectId", "c:p"),
    ("configmaps", "k8s-sidecar-target-directory", "/etc/grafana/provisioning/datasources"),
    ("configmaps", "k8s-sidecar-target-directory", f"{DASHBOARDS}/../../etc"),
    ("configmaps", "grafana_folder", "../../etc"),
    ("configmaps", "io.containerd.x", "of-nobody"),
    ("persistentvolumeclaims", "k8s.io/CloneRequest", "OTHER-1/data"),
    ("persistentvolumeclaims", "nfs.io/storage-path", "../OTHER-1-data"),
    ("persistentvolumeclaims", "cdi.kubevirt.io/storage.import.endpoint", "http://10.0.0.1"),
    ("persistentvolumeclaims", "trident.netapp.io/cloneFromPVC", "data"),
    ("persistentvolumeclaims", "velero.io/csi-volumesnapshot-class", "of-OTHER"),
    ("serviceaccounts", "eks.amazonaws.com/role-arn", "arn:aws:iam::1:role/OTHER"),
    ("serviceaccounts", "replicator.v1.mittwald.de/replicate-to", "OTHER-1"),
    ("roles", "replicator.v1.mittwald.de/replicate-to", "OTHER-1"),
    ("roles", "replicator.v1.mittwald.de/replicate-from", "OTHER-1/app"),
    ("rolebindings", "replicator.v1.mittwald.de/replicate-to", "OTHER-1"),
    (
        "horizontalpodautoscalers",
        "metric-config.external.a.json-path/endpoint",
        "http://a.OTHER-1:9090",
    ),
    (
        "horizontalpodautoscalers",
        "metric-config.object.a.prometheus/query",
        'sum(orders{namespace="OTHER-1"})',
    ),
    ("serviceaccounts", "iam.gke.io/gcp-service-account", "OTHER@p.iam.gserviceaccount.com"),
    ("serviceaccounts", "azure.workload.identity/client-id", "of-OTHER"),
]
ORDINARY = [
    ("secrets", "meta.helm.sh/release-name", "a"),
    ("secrets", "kubectl.kubernetes.io/last-applied-configuration", "{}"),
    ("secrets", "argocd.argoproj.io/tracking-id", "a"),
    ("secrets", "kustomize.toolkit.fluxcd.io/checksum", "a"),
    ("secrets", "reloader.stakater.com/match", "true"),
    ("secrets", "cert-manager.io/certificate-name", "a"),
    ("secrets", "reconcile.external-secrets.io/data-hash", "a"),
    ("secrets", "sealedsecrets.bitnami.com/managed", "true"),
    ("secrets", "note", "a"),
    ("secrets", LISTED, "a"),
    ("configmaps", "k8s-sidecar-target-directory", "team"),
    ("configmaps", "grafana_folder", "Team A"),
    ("configmaps", "k8s-sidecar-target-directory", f"{DASHBOARDS}/team"),
    ("configmaps", "config.kubernetes.io/origin", "a"),
    ("persistentvolumeclaims", "helm.sh/resource-policy", "keep"),
    ("persistentvolumeclaims", "velero.io/backup-name", "nightly"),
    ("serviceaccounts", "kubernetes.io/enforce-mountable-secrets", "true"),
    ("roles", "meta.helm.sh/release-name", "a"),
    ("roles", "rbac.authorization.kubernetes.io/autoupdate", "true"),
    ("rolebindings", "argocd.argoproj.io/sync-wave", "1"),
    ("horizontalpodautoscalers", "meta.helm.sh/release-name", "a"),
    ("horizontalpodautoscalers", "autoscaling.alpha.kubernetes.io/conditions", "[]"),
    ("horizontalpodautoscalers", "autoscaling.keda.sh/paused", "true"),
    ("horizontalpodautoscalers", "scaledobject.keda.sh/transfer-hpa-ownership", "true"),
    ("horizontalpodautoscalers", "validations.keda.sh/hpa-ownership", "true"),
    ("horizontalpodautoscalers", LISTED, "a"),
]


@pytest.mark.parametrize(("plural", "key", "value"), REACHING)
def test_an_annotation_by_which_a_tool_reaches_others_is_refused(
    plural: str, key: str, value: str, member: Member
) -> None:
    answer = member.make(plural, key, value)
    assert verdict(answer, ANNOTATIONS) == "Blocked"
    assert f"securetenant: annotation {key} is " in answer.message


def test_a_refusal_of_a_value_with_a_line_break_says_words(member: Member) -> None:
    """And not the expression: a message cannot hold the value."""
    answer = member.make("configmaps", "grafana_folder", "../../etc\nand more")
    assert verdict(answer, ANNOTATIONS) == "Blocked"
    assert answer.message.endswith(
        "denied request: securetenant: refused; a line break in a value hides why. Write the value"
        " in one line and try again"
    )


@pytest.mark.parametrize(("plural", "key", "value"), ORDINARY)
def test_what_ordinary_tools_write_down_is_admitted(
    plural: str, key: str, value: str, member: Member
) -> None:
    member.make(plural, key, value).ok()


@pytest.mark.parametrize(
    "controller", ["ephemeral-volume-controller", "statefulset-controller", ""]
)
def test_a_claim_that_comes_of_a_template_is_judged(
    controller: str, member: Member, sandbox: Instance
) -> None:
    """The controllers copy the annotations of volumeClaimTemplates."""
    user = f"{CONTROLLERS}{controller}" if controller else "system:kube-controller-manager"
    group = "system:serviceaccounts:kube-system" if controller else "system:masters"
    copier = Api(sandbox.admin_kubeconfig, speaking_as=user, group=group)
    answer = member.make("persistentvolumeclaims", "k8s.io/CloneRequest", "OTHER-1/data", copier)
    assert verdict(answer, ANNOTATIONS) == "Blocked"
    member.make("persistentvolumeclaims", "helm.sh/chart", "a", copier).ok()


def test_the_platform_sets_what_it_likes_and_it_stays(member: Member, admin: Api) -> None:
    """The platform gives a cloud's identity; the tenant changes the rest of the object."""
    path = f"/api/v1/namespaces/{member.namespace}/serviceaccounts"
    key = "eks.amazonaws.com/role-arn"
    body = {"metadata": {"name": "given", "annotations": {key: "arn:aws:iam::1:role/own"}}}
    admin.call("POST", path, body).ok()
    for change in (
        {"labels": {"a": "b"}},
        {"annotations": {"note": "a"}},
        {"annotations": {key: None}},
    ):
        patch = {"metadata": change}
        member.api.call("PATCH", f"{path}/given", patch, content_type=MERGE, dryRun="All").ok()
    patch = {"metadata": {"annotations": {key: "arn:aws:iam::1:role/other"}}}
    answer = member.api.call("PATCH", f"{path}/given", patch, content_type=MERGE, dryRun="All")
    assert verdict(answer, ANNOTATIONS) == "Blocked"
    admin.call("DELETE", f"{path}/given").ok()


def test_the_clusters_controllers_write_down_how_a_claim_is_bound(
    member: Member, sandbox: Instance
) -> None:
    binder = Api(
        sandbox.admin_kubeconfig,
        speaking_as=f"{CONTROLLERS}persistent-volume-binder",
        group="system:serviceaccounts:kube-system",
    )
    path = f"/api/v1/namespaces/{member.namespace}/persistentvolumeclaims"
    body = {"metadata": {"name": "bound"}, **BODIES["persistentvolumeclaims"]}
    made = member.api.call("POST", path, body).ok()
    keys = ("pv.kubernetes.io/bind-completed", "volume.kubernetes.io/storage-provisioner")
    bound = mutate(made, "metadata.annotations", dict.fromkeys(keys, "yes"))
    wait_for(
        lambda: binder.call("PUT", f"{path}/bound", bound, dryRun="All").status in (200, 409),
        what="the controller to write",
    )
    member.api.call("DELETE", f"{path}/bound").ok()


@pytest.mark.parametrize(
    "key",
    [
        "backstage.io/kubernetes-id",
        "checksum/config",
        "cnpg.io/hash",
        "kapp.k14s.io/change-rule",
        "kompose.cmd",
        "objectset.rio.cattle.io/id",
        "pulumi.com/skipAwait",
        "reloader.stakater.com/auto",
        "strimzi.io/discovery",
    ],
)
def test_what_is_harmless_on_a_pod_is_harmless_on_a_service(key: str, member: Member) -> None:
    body = {
        "metadata": {"name": "new", "annotations": {key: "true"}},
        "spec": {"selector": {"app": "a"}, "ports": [{"port": 80}]},
    }
    path = f"/api/v1/namespaces/{member.namespace}/services"
    member.api.call("POST", path, body, dryRun="All").ok()
