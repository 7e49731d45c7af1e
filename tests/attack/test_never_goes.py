"""Objects that never go: they hang in Terminating, and with them a node, a namespace or a tenant.

Two tenants, one of them in Audit mode: these rules protect others. Everything is tried as a
developer of the tenant, and by the controllers that copy what a tenant wrote into a template.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

import factory
import standing
from attack_harness import Policy, mutate, verdict
from harness import MERGE, Api, Operator, wait_for
from securetenant.api import kinds, names
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance

MODES = {"endless": "Enforce", "undying": "Audit"}
NEVER = "example.com/never"
FINALIZERS = Policy("securetenant-finalizers")
OWNERS_UID = Policy("securetenant-owners-uid")
OWNERS = Policy("securetenant-owners", also=(OWNERS_UID.name,))
CONTROLLERS = "system:serviceaccount:kube-system:"
LABELS = {"app": "a"}
CONTROLLER_MANAGER = "system:kube-controller-manager"


class Member(NamedTuple):
    """A developer of one tenant."""

    api: Api
    tenant: str
    namespace: str

    def post(self, path: str, body: Any, api: Api | None = None) -> Any:
        """Try to create something."""
        group, _, plural = path.rpartition("/")
        root = f"/apis/{group}" if group else "/api/v1"
        where = f"{root}/namespaces/{self.namespace}/{plural}"
        return (api or self.api).call("POST", where, body, dryRun="All")


@pytest.fixture(scope="module")
def two(admin: Api, operator: Operator) -> Iterator[None]:
    """Two tenants, one of them in Audit mode."""
    workloads = {"storageClasses": ["fast"]}
    with standing.tenants(admin, MODES, role="Developer", workloads=workloads):
        yield


@pytest.fixture(params=MODES, ids=lambda name: MODES[name])
def member(request: pytest.FixtureRequest, two: None, sandbox: Instance) -> Member:
    """A developer of each."""
    name = request.param
    return Member(standing.member(sandbox, name), name, f"{name}-1")


def _pod(finalizer: str = "") -> dict[str, Any]:
    metadata = {"labels": LABELS, **({"finalizers": [finalizer]} if finalizer else {})}
    spec = {**factory.pod()["spec"], "automountServiceAccountToken": False}
    return {"metadata": metadata, "spec": spec}


def _claim(finalizer: str = "") -> dict[str, Any]:
    return {
        "metadata": {"name": "data", **({"finalizers": [finalizer]} if finalizer else {})},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": "fast",
        },
    }


def _selecting(**spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "x"},
        "spec": {"selector": {"matchLabels": LABELS}, "template": _pod(), **spec},
    }


def _job(**template: Any) -> dict[str, Any]:
    pod = {**_pod(), **template}
    return {"template": {**pod, "spec": {**pod["spec"], "restartPolicy": "Never"}}}


def _planned(**template: Any) -> dict[str, Any]:
    spec = {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": _job(), **template}}
    return {"metadata": {"name": "x"}, "spec": spec}


_SET = {"serviceName": "x"}
TEMPLATES: dict[str, tuple[str, dict[str, Any]]] = {
    "Deployment": ("apps/v1/deployments", _selecting(template=_pod(NEVER))),
    "DaemonSet": ("apps/v1/daemonsets", _selecting(template=_pod(NEVER))),
    "ReplicaSet": ("apps/v1/replicasets", _selecting(template=_pod(NEVER))),
    "StatefulSet": ("apps/v1/statefulsets", _selecting(**_SET, template=_pod(NEVER))),
    "StatefulSet's claims": (
        "apps/v1/statefulsets",
        _selecting(**_SET, volumeClaimTemplates=[_claim(NEVER)]),
    ),
    "Job": ("batch/v1/jobs", {"metadata": {"name": "x"}, "spec": _job(**_pod(NEVER))}),
    "CronJob": ("batch/v1/cronjobs", _planned(spec=_job(**_pod(NEVER)))),
    "CronJob's Job": ("batch/v1/cronjobs", _planned(metadata={"finalizers": [NEVER]})),
    "tracking of Jobs in a Deployment": (
        "apps/v1/deployments",
        _selecting(template=_pod("batch.kubernetes.io/job-tracking")),
    ),
}


@pytest.mark.parametrize("row", [pytest.param(row, id=title) for title, row in TEMPLATES.items()])
def test_a_template_with_a_finalizer_is_refused_in_every_mode(
    row: tuple[str, dict[str, Any]], member: Member
) -> None:
    answer = member.post(*row)
    assert verdict(answer, FINALIZERS) == "Blocked"
    assert "securetenant: a template has finalizer " in answer.message


def test_a_template_gets_no_finalizer_later(member: Member) -> None:
    path = f"/apis/apps/v1/namespaces/{member.namespace}/deployments"
    body = _selecting(template=_pod(), replicas=0)
    member.api.call("POST", path, mutate(body, "metadata.name", "later")).ok()
    change = {"spec": {"template": {"metadata": {"finalizers": [NEVER]}}}}
    answer = member.api.call("PATCH", f"{path}/later", change, content_type=MERGE, dryRun="All")
    assert verdict(answer, FINALIZERS) == "Blocked"
    member.api.call("DELETE", f"{path}/later").ok()


def test_the_template_of_a_replication_controller_is_judged_too(member: Member, admin: Api) -> None:
    """Our roles let no tenant create one; a role of the platform could."""
    body = {
        "metadata": {"name": "x"},
        "spec": {"replicas": 0, "selector": LABELS, "template": _pod(NEVER)},
    }
    answer = member.post("replicationcontrollers", body, admin)
    assert verdict(answer, FINALIZERS) == "Blocked"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("apps/v1/deployments", _selecting()),
        (
            "apps/v1/statefulsets",
            _selecting(**_SET, volumeClaimTemplates=[_claim("kubernetes.io/pvc-protection")]),
        ),
        ("batch/v1/cronjobs", _planned()),
    ],
    ids=["Deployment", "StatefulSet that was exported", "CronJob"],
)
def test_an_ordinary_template_is_admitted(path: str, body: Any, member: Member) -> None:
    member.post(path, body).ok()


def _owner(kind: str, version: str = "apps/v1", uid: str = "u", **more: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "name": "x", "uid": uid, **more}


@pytest.mark.parametrize(
    ("controller", "path", "finalizer"),
    [
        *(
            (f"{CONTROLLERS}{name}", "pods", finalizer)
            for name in (
                "daemon-set-controller",
                "job-controller",
                "replicaset-controller",
                "replication-controller",
                "statefulset-controller",
            )
            for finalizer in (NEVER, "batch.kubernetes.io/job-tracking")
        ),
        (f"{CONTROLLERS}statefulset-controller", "persistentvolumeclaims", NEVER),
        (f"{CONTROLLERS}ephemeral-volume-controller", "persistentvolumeclaims", NEVER),
        (f"{CONTROLLERS}cronjob-controller", "batch/v1/jobs", NEVER),
        (f"{CONTROLLERS}deployment-controller", "apps/v1/replicasets", NEVER),
    ],
)
def test_a_controller_that_copies_templates_copies_no_finalizer(
    controller: str, path: str, finalizer: str, member: Member, sandbox: Instance
) -> None:
    """Templates from before the rule, and what it does not know as one."""
    speaker = Api(
        sandbox.admin_kubeconfig,
        speaking_as=controller,
        group="system:serviceaccounts:kube-system",
    )
    body = {
        "pods": _pod(),
        "persistentvolumeclaims": _claim(),
        "batch/v1/jobs": {"metadata": {}, "spec": _job()},
        "apps/v1/replicasets": _selecting(),
    }[path]
    owner = _owner("ReplicaSet", controller=True)
    metadata = {**body["metadata"], "name": "x", "finalizers": [finalizer]}
    answer = member.post(
        path, {**body, "metadata": {**metadata, "ownerReferences": [owner]}}, speaker
    )
    assert verdict(answer, FINALIZERS) == "Blocked"


def test_the_controllers_with_one_user_together_copy_no_finalizer(
    member: Member, sandbox: Instance
) -> None:
    speaker = Api(sandbox.admin_kubeconfig, speaking_as=CONTROLLER_MANAGER, group="system:masters")
    answer = member.post("pods", mutate(_pod(NEVER), "metadata.name", "x"), speaker)
    assert verdict(answer, FINALIZERS) == "Blocked"


@pytest.mark.parametrize("name", ["job-controller", "", "aws-load-balancer-controller"])
def test_the_clusters_controllers_set_their_own_finalizers(
    name: str, member: Member, sandbox: Instance
) -> None:
    user = f"{CONTROLLERS}{name}" if name else CONTROLLER_MANAGER
    group = "system:serviceaccounts:kube-system" if name == "job-controller" else "system:masters"
    speaker = Api(sandbox.admin_kubeconfig, speaking_as=user, group=group)
    body = mutate(_pod("batch.kubernetes.io/job-tracking"), "metadata.name", "x")
    job = _owner("Job", "batch/v1", controller=True)
    member.post("pods", mutate(body, "metadata.ownerReferences", [job]), speaker).ok()


def test_a_job_of_a_tenant_is_tracked_and_goes(member: Member) -> None:
    path = f"/apis/batch/v1/namespaces/{member.namespace}/jobs"
    body = {"metadata": {"name": "tracked"}, "spec": _job()}
    member.api.call("POST", path, body).ok()
    pods = f"/api/v1/namespaces/{member.namespace}/pods"

    def tracked() -> Any:
        found = member.api.call("GET", pods, labelSelector="job-name=tracked").ok()["items"]
        return found and found[0]["metadata"]["finalizers"]

    assert wait_for(tracked, what="the pod of the Job") == ["batch.kubernetes.io/job-tracking"]
    member.api.call("DELETE", f"{path}/tracked", propagationPolicy="Foreground").ok()
    wait_for(lambda: member.api.call("GET", f"{path}/tracked").status == 404, what="the Job to go")


@pytest.mark.parametrize("finalizer", ["foregroundDeletion", "orphan"])
def test_a_deletion_is_not_prepared_before_it_is_asked_for(finalizer: str, member: Member) -> None:
    """Each eviction of such a pod waited for what the pod owned, and a drain with it."""
    pods = "apps/v1/deployments", _selecting(template=_pod(finalizer))
    for path, body in (("pods", mutate(_pod(finalizer), "metadata.name", "x")), pods):
        assert verdict(member.post(path, body), FINALIZERS) == "Blocked"


@pytest.mark.parametrize("path", ["configmaps", "persistentvolumeclaims", "apps/v1/deployments"])
@pytest.mark.parametrize("blocks", [True, False])
def test_no_object_of_a_tenant_is_owned_by_a_securetenant(
    path: str, blocks: bool, member: Member, admin: Api
) -> None:
    """A foreground deletion of the SecureTenant waited for a claim that a pod used."""
    uid = admin.get(kinds.SECURE_TENANT, member.tenant)["metadata"]["uid"]
    body = {
        "configmaps": {"metadata": {"name": "x"}},
        "persistentvolumeclaims": _claim(),
        "apps/v1/deployments": _selecting(),
    }[path]
    true = _owner("SecureTenant", names.API_VERSION, uid, blockOwnerDeletion=blocks)
    disguised = _owner("Deployment", uid=uid, blockOwnerDeletion=blocks)
    by_uid = Policy(OWNERS_UID.name, also=(OWNERS.name,))
    for owner, expected in ((true, OWNERS), (disguised, by_uid)):
        for who in (member.api, admin):
            answer = member.post(path, mutate(body, "metadata.ownerReferences", [owner]), who)
            assert verdict(answer, expected) == "Blocked"


def test_the_claims_of_a_stateful_set_get_no_such_owner_from_its_template(
    member: Member, admin: Api, sandbox: Instance
) -> None:
    """The controller copies the references of volumeClaimTemplates."""
    uid = admin.get(kinds.SECURE_TENANT, member.tenant)["metadata"]["uid"]
    speaker = Api(
        sandbox.admin_kubeconfig,
        speaking_as=f"{CONTROLLERS}statefulset-controller",
        group="system:serviceaccounts:kube-system",
    )
    owner = _owner("SecureTenant", names.API_VERSION, uid, blockOwnerDeletion=True)
    body = mutate(_claim(), "metadata.ownerReferences", [owner])
    answer = member.post("persistentvolumeclaims", body, speaker)
    assert verdict(answer, OWNERS) == "Blocked"


def test_no_object_owns_itself(member: Member, admin: Api) -> None:
    """Its own foreground deletion waited for it."""
    path = f"/api/v1/namespaces/{member.namespace}/configmaps"
    made = member.api.call("POST", path, {"metadata": {"name": "self"}}).ok()
    owner = _owner("ConfigMap", "v1", made["metadata"]["uid"], blockOwnerDeletion=True)
    change = {"metadata": {"ownerReferences": [{**owner, "name": "self"}]}}
    for who in (member.api, admin):
        answer = who.call("PATCH", f"{path}/self", change, content_type=MERGE)
        assert verdict(answer, OWNERS) == "Blocked"
    member.api.call("DELETE", f"{path}/self").ok()


def test_an_owner_in_the_own_namespace_is_ordinary(member: Member) -> None:
    owner = _owner("Deployment", uid="8a0f", controller=True, blockOwnerDeletion=True)
    body = {"metadata": {"name": "x", "ownerReferences": [owner]}}
    member.post("configmaps", body).ok()


_NOT_THERE = [
    _owner("Foo", "foo.example/v1", blockOwnerDeletion=True),
    _owner("Deployment", "apps/v1beta1", blockOwnerDeletion=True),
    _owner("Pods", "v1", blockOwnerDeletion=True),
    _owner("Node", "v1", blockOwnerDeletion=True),
    _owner("Certificate", "cert-manager.io/v9", blockOwnerDeletion=True),
]


@pytest.mark.parametrize("owner", _NOT_THERE, ids=lambda owner: owner["kind"])
def test_no_object_blocks_an_owner_of_a_kind_that_may_not_be_there(
    owner: dict[str, Any], member: Member, sandbox: Instance
) -> None:
    """The garbage collector could not look it up, and the pod with that uid never went."""
    copier = Api(
        sandbox.admin_kubeconfig,
        speaking_as=f"{CONTROLLERS}statefulset-controller",
        group="system:serviceaccounts:kube-system",
    )
    for who in (member.api, copier):
        for path, body in (("persistentvolumeclaims", _claim()), ("pods", _pod())):
            named = mutate(body, "metadata", {"name": "x", "ownerReferences": [owner]})
            answer = member.post(path, named, who)
            assert verdict(answer, OWNERS) == "Blocked"
            assert f"blockOwnerDeletion is true for the owner {owner['kind']} x" in answer.message
    loose = {"metadata": {"name": "x", "ownerReferences": [{**owner, "blockOwnerDeletion": False}]}}
    member.post("configmaps", loose).ok()


def test_a_member_makes_no_object_block_later(member: Member, admin: Api) -> None:
    """Two that wait for each other never go; the last reference of a circle comes by an update."""
    path = f"/api/v1/namespaces/{member.namespace}/configmaps"
    first = member.api.call("POST", path, {"metadata": {"name": "first"}}).ok()["metadata"]["uid"]
    owner = {**_owner("ConfigMap", "v1", first, blockOwnerDeletion=True), "name": "first"}
    body = {"metadata": {"name": "second", "ownerReferences": [owner]}}
    second = member.api.call("POST", path, body).ok()["metadata"]["uid"]
    back = {**_owner("ConfigMap", "v1", second, blockOwnerDeletion=True), "name": "second"}
    change = {"metadata": {"ownerReferences": [back]}}
    answer = member.api.call("PATCH", f"{path}/first", change, content_type=MERGE)
    assert verdict(answer, OWNERS) == "Blocked"
    # Another name of the kind for the same uid is new too.
    renamed = {"metadata": {"ownerReferences": [{**owner, **_NOT_THERE[0], "uid": first}]}}
    answer = member.api.call("PATCH", f"{path}/second", renamed, content_type=MERGE)
    assert verdict(answer, OWNERS) == "Blocked"
    # What is there already is no change.
    note = {"metadata": {"labels": {"a": "b"}}}
    member.api.call("PATCH", f"{path}/second", note, content_type=MERGE).ok()
    free = {"metadata": {"ownerReferences": [{**owner, "blockOwnerDeletion": False}]}}
    member.api.call("PATCH", f"{path}/second", free, content_type=MERGE).ok()
    # The garbage collector takes what has no owner any more.
    for name in ("second", "first"):
        admin.call("DELETE", f"{path}/{name}").ok()


def test_nothing_that_blocks_has_an_owner_that_cannot_be_looked_up(
    member: Member, admin: Api
) -> None:
    """F1: the garbage collector asked for that one for ever, and the pod stayed with the object."""
    unknown = _owner("Foo", "foo.example/v1")
    pod = {**_owner("Pod", "v1", "8a0f", blockOwnerDeletion=True), "name": "drained"}
    body = {"metadata": {"name": "x", "ownerReferences": [pod, unknown]}}
    for path in ("configmaps", "secrets"):
        answer = member.post(path, body)
        assert verdict(answer, OWNERS) == "Blocked"
        assert "an owner in metadata.ownerReferences is of kind Foo of foo.example/v1, next to" in (
            answer.message
        )
    path = f"/api/v1/namespaces/{member.namespace}/configmaps"
    admin.call(
        "POST", f"{path.removesuffix('configmaps')}pods", mutate(_pod(), "metadata.name", "drained")
    ).ok()
    uid = admin.get(kinds.POD, "drained", member.namespace)["metadata"]["uid"]
    pod = {**pod, "uid": uid}
    member.api.call("POST", path, {"metadata": {"name": "blocks", "ownerReferences": [pod]}}).ok()
    for more in ([pod, unknown], [unknown, pod]):
        change = {"metadata": {"ownerReferences": more}}
        answer = member.api.call("PATCH", f"{path}/blocks", change, content_type=MERGE)
        assert verdict(answer, OWNERS) == "Blocked"
    admin.call("DELETE", f"{path}/blocks").ok()
    admin.delete(kinds.POD, "drained", member.namespace).ok()


def _many(number: int) -> list[dict[str, Any]]:
    return [_owner("ConfigMap", "v1", f"8a0f-{each}") for each in range(number)]


def test_an_object_has_a_bounded_number_of_owners(member: Member) -> None:
    """F2: each was compared with each, which costs more than the API server allows for a rule."""
    body = {"metadata": {"name": "x", "ownerReferences": _many(64)}}
    member.post("configmaps", body).ok()
    body["metadata"]["ownerReferences"] = _many(65)
    answer = member.post("configmaps", body)
    assert verdict(answer, OWNERS) == "Blocked"
    assert "the number of metadata.ownerReferences is 65; " in answer.message


def test_an_object_with_very_many_owners_can_be_changed_and_goes(
    half: Instance, half_member: Api
) -> None:
    """F6: nobody could take a finalizer off a pod of a Job, nor an owner.

    Where mutating policies are known, nobody makes one with so many.
    """
    breaker = Api(
        kubeconfigs.for_user(half, "breaker", ("system:masters", "securetenant:break-glass"))
    )
    path = "/api/v1/namespaces/roomy-a/configmaps"
    held = {"name": "owned", "ownerReferences": _many(2000), "finalizers": ["example.com/held"]}
    breaker.call("POST", path, {"metadata": held}).ok()
    collector = Api(
        half.admin_kubeconfig,
        speaking_as=f"{CONTROLLERS}generic-garbage-collector",
        group="system:serviceaccounts:kube-system",
    )
    fewer = {"metadata": {"ownerReferences": _many(1999)}}
    collector.call("PATCH", f"{path}/owned", fewer, content_type=MERGE).ok()
    answer = half_member.call(
        "PATCH",
        f"{path}/owned",
        {"metadata": {"ownerReferences": _many(1998)}},
        content_type=MERGE,
    )
    assert verdict(answer, OWNERS) == "Blocked"
    free = {"metadata": {"finalizers": None}}
    half_member.call("PATCH", f"{path}/owned", free, content_type=MERGE).ok()
    breaker.call("DELETE", f"{path}/owned")
    wait_for(lambda: breaker.call("GET", f"{path}/owned").status == 404, what="it to go")


def test_nothing_begins_to_block_while_it_is_deleted(member: Member, admin: Api) -> None:
    """Whatever rights somebody has: two were patched to wait for each other."""
    path = f"/api/v1/namespaces/{member.namespace}/configmaps"
    body = {"metadata": {"name": "going", "finalizers": ["example.com/held"]}}
    admin.call("POST", path, body).ok()
    member.api.call("DELETE", f"{path}/going").ok()
    owner = _owner("ConfigMap", "v1", blockOwnerDeletion=True)
    change = {"metadata": {"ownerReferences": [owner]}}
    answer = admin.call("PATCH", f"{path}/going", change, content_type=MERGE)
    assert verdict(answer, OWNERS) == "Blocked"
    assert "on no object that is being deleted" in answer.message
    free = {"metadata": {"finalizers": None}}
    member.api.call("PATCH", f"{path}/going", free, content_type=MERGE).ok()


def test_a_claim_blocks_no_owner_unless_its_controller_says_so(
    member: Member, sandbox: Instance
) -> None:
    """A claim goes when no pod uses it any more, and its owner waited for that."""
    pod = _owner("Pod", "v1", blockOwnerDeletion=True)
    body = mutate(_claim(), "metadata.ownerReferences", [pod])
    assert verdict(member.post("persistentvolumeclaims", body), OWNERS) == "Blocked"
    controller = Api(
        sandbox.admin_kubeconfig,
        speaking_as=f"{CONTROLLERS}ephemeral-volume-controller",
        group="system:serviceaccounts:kube-system",
    )
    member.post("persistentvolumeclaims", body, controller).ok()
    template = mutate(_claim(), "metadata.ownerReferences", [{**pod, "blockOwnerDeletion": False}])
    answer = member.post(
        "apps/v1/statefulsets", _selecting(**_SET, volumeClaimTemplates=[template])
    )
    assert verdict(answer, OWNERS) == "Blocked"
    assert "a template of claims has metadata.ownerReferences" in answer.message


@pytest.mark.parametrize("resource", ["sealedsecrets/finalizers", "sealedsecrets/status"])
def test_a_controller_of_custom_resources_blocks_their_deletion(
    resource: str, member: Member, admin: Api, sandbox: Instance
) -> None:
    """As cert-manager, CloudNativePG and Sealed Secrets do, with the rights that they have."""
    name = f"{member.tenant}-{resource.replace('/', '-')}"
    rules = [
        {"apiGroups": ["bitnami.com"], "resources": [resource], "verbs": ["update"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create", "patch", "get"]},
    ]
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    admin.call("POST", f"{rbac}/clusterroles", {"metadata": {"name": name}, "rules": rules}).ok()
    binding = {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}],
    }
    admin.call("POST", f"{rbac}/clusterrolebindings", binding).ok()
    controller = Api(kubeconfigs.for_user(sandbox, name, ()))
    owner = _owner("SealedSecret", "bitnami.com/v1alpha1", controller=True, blockOwnerDeletion=True)
    body = {"metadata": {"name": "x", "ownerReferences": [owner]}}
    wait_for(
        lambda: member.post("secrets", body, controller).status == 201,
        what="the controller's right",
    )
    assert verdict(member.post("secrets", body), OWNERS) == "Blocked"
    two = [owner, {**_NOT_THERE[0], "uid": "v"}]
    answer = member.post("secrets", mutate(body, "metadata.ownerReferences", two), controller)
    assert verdict(answer, OWNERS) == "Blocked"
    for plural in ("clusterrolebindings", "clusterroles"):
        admin.call("DELETE", f"{rbac}/{plural}/{name}").ok()


BUDGETS = "policy/v1/poddisruptionbudgets"


@pytest.mark.parametrize("number", [101, 110, 999, 1000, 2_147_483_647])
def test_a_budget_of_more_pods_than_anybody_runs_is_refused(number: int, member: Member) -> None:
    body = {"metadata": {"name": "b"}, "spec": {"minAvailable": number}}
    answer = member.post(BUDGETS, body)
    assert verdict(answer, FINALIZERS) == "Blocked"
    assert "at most 100 as the number of minAvailable" in answer.message


@pytest.mark.parametrize(
    "given", [{}, {"minAvailable": None}, {"selector": {"matchLabels": LABELS}}]
)
def test_a_budget_that_names_no_number_is_refused(given: dict[str, Any], member: Member) -> None:
    """The disruption controller takes it for one that allows none."""
    answer = member.post(BUDGETS, {"metadata": {"name": "b"}, "spec": given})
    assert verdict(answer, FINALIZERS) == "Blocked"
    assert "set minAvailable or maxUnavailable" in answer.message


def test_a_budget_does_not_lose_its_number(member: Member) -> None:
    path = f"/apis/policy/v1/namespaces/{member.namespace}/poddisruptionbudgets"
    for number in ("minAvailable", "maxUnavailable"):
        body = {"metadata": {"name": "losing"}, "spec": {number: 1}}
        member.api.call("POST", path, body).ok()
        change = {"spec": {number: None}}
        answer = member.api.call("PATCH", f"{path}/losing", change, content_type=MERGE)
        assert verdict(answer, FINALIZERS) == "Blocked"
        member.api.call("DELETE", f"{path}/losing").ok()


@pytest.mark.parametrize("value", [1, 2, 100, "50%", "80%"])
def test_a_budget_of_ordinary_charts_is_admitted(value: Any, member: Member) -> None:
    member.post(BUDGETS, {"metadata": {"name": "b"}, "spec": {"minAvailable": value}}).ok()


@pytest.mark.parametrize(
    "owner",
    [
        _owner("ReplicaSet", controller=True),
        _owner("Job", "batch/v1", "of-another", controller=True),
    ],
    ids=["of another kind", "another Job"],
)
def test_a_pod_that_a_job_tracks_gets_no_other_controller(
    owner: dict[str, Any], member: Member, admin: Api, sandbox: Instance
) -> None:
    """The job controller left its finalizer on the pod then, and the pod never went."""
    path = f"/apis/batch/v1/namespaces/{member.namespace}/jobs"
    member.api.call("POST", path, {"metadata": {"name": "moved"}, "spec": _job()}).ok()
    pods = f"/api/v1/namespaces/{member.namespace}/pods"

    def made() -> Any:
        return member.api.call("GET", pods, labelSelector="job-name=moved").ok()["items"]

    name = wait_for(made, what="the pod of the Job")[0]["metadata"]["name"]
    change = {"metadata": {"ownerReferences": [owner]}}
    for who in (member.api, admin):
        answer = who.call("PATCH", f"{pods}/{name}", change, content_type=MERGE)
        assert verdict(answer, FINALIZERS) == "Blocked"
        assert "the controller of a pod of a Job would be" in answer.message
    # The job controller itself adopts pods.
    controller = Api(
        sandbox.admin_kubeconfig,
        speaking_as=f"{CONTROLLERS}job-controller",
        group="system:serviceaccounts:kube-system",
    )
    job = {"metadata": {"ownerReferences": [_owner("Job", "batch/v1", "v", controller=True)]}}
    controller.call("PATCH", f"{pods}/{name}", job, content_type=MERGE, dryRun="All").ok()
    # Without any controller it is an orphan, which the job controller lets go.
    free = {"metadata": {"ownerReferences": None}}
    member.api.call("PATCH", f"{pods}/{name}", free, content_type=MERGE).ok()
    member.api.call("DELETE", f"{path}/moved", propagationPolicy="Background").ok()
    member.api.call("DELETE", f"{pods}/{name}", {"gracePeriodSeconds": 0})
    wait_for(lambda: member.api.call("GET", f"{pods}/{name}").status == 404, what="the pod to go")
    wait_for(lambda: not made(), what="the pods of the Job to go")


def test_a_stateful_set_of_more_replicas_than_its_controller_can_hold_is_refused(
    member: Member, admin: Api
) -> None:
    """It made a pod in memory for each, and ended with all other controllers of the cluster."""
    replicas = Policy("securetenant-replicas")
    body = _selecting(**_SET, replicas=2**31 - 1)
    assert verdict(member.post("apps/v1/statefulsets", body), replicas) == "Blocked"
    path = f"/apis/apps/v1/namespaces/{member.namespace}/statefulsets"
    small = mutate(_selecting(**_SET, replicas=0), "metadata.name", "grows")
    member.api.call("POST", path, small).ok()
    for who, part in ((member.api, ""), (member.api, "/scale"), (admin, "/scale")):
        for number, expected in ((1001, "Blocked"), (1000, "Open")):
            change = {"spec": {"replicas": number}}
            answer = who.call(
                "PATCH", f"{path}/grows{part}", change, content_type=MERGE, dryRun="All"
            )
            assert verdict(answer, replicas) == expected
    member.api.call("DELETE", f"{path}/grows").ok()


# --- so large that no time of deletion fits into it -------------------------------------------

BYTES = Policy("securetenant-bytes", also=("securetenant-pods-hardening", "securetenant-pods"))
_FULL = 262_000
"""As many characters of annotations as Kubernetes admits, nearly."""


SECRET, CLAIM = (
    kinds.Kind(name=name, group="", version="v1", plural=plural, namespaced=True)
    for name, plural in (("Secret", "secrets"), ("PersistentVolumeClaim", "persistentvolumeclaims"))
)


def _managed(number: int) -> list[dict[str, Any]]:
    """Return managedFields of so many bytes, which anybody may write."""
    fields: Any = {"f:metadata": {"f:annotations": {f"f:{'z' * number}": {}}}}
    fixed = {"operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1"}
    return [{"manager": "m", **fixed, "fieldsV1": fields}]


def test_s4_a_pod_that_no_eviction_fits_into_is_not_made(member: Member) -> None:
    """It stayed on its node through every drain, also when the node became another tenant's."""
    body = _pod()
    body["metadata"]["generateName"] = "fat-"
    env = [{"name": f"E{number}", "value": "x" * 1_900} for number in range(700)]
    assert verdict(member.post("pods", mutate(body, "spec.containers.0.env", env)), BYTES) == (
        "Blocked"
    )
    image = f"registry.example/{'a' * 300_000}:1"
    assert verdict(member.post("pods", mutate(body, "spec.containers.0.image", image)), BYTES) == (
        "Blocked"
    )
    env = [{"name": f"E{number}", "value": "x" * 1_000} for number in range(250)]
    member.post("pods", mutate(body, "spec.containers.0.env", env)).ok()


def test_s4_keys_of_a_config_map_are_counted(member: Member) -> None:
    """Kubernetes bounds the values: long keys beside a mebibyte of them left no room."""
    keys = {f"{number}-{'k' * 245}": "" for number in range(1_700)}
    body = {"metadata": {"name": "keys"}, "data": {**keys, "a": "x" * 1_000_000}}
    assert verdict(member.post("configmaps", body), BYTES) == "Blocked"
    few = dict(list(keys.items())[:600])
    member.post("configmaps", {**body, "data": {**few, "a": "x" * 1_000_000}}).ok()


@pytest.mark.parametrize(
    ("kind", "body", "most"),
    [
        pytest.param(SECRET, {"data": {"k": "eHh4" * 262_144}}, 130_000, id="a Secret"),
        pytest.param(CLAIM, _claim(), 600_000, id="a claim"),
    ],
)
def test_s4_no_managed_fields_fill_an_object_until_nobody_can_delete_it(
    kind: kinds.Kind, body: dict[str, Any], most: int, member: Member, admin: Api
) -> None:
    """A namespace with such a claim in it terminated for ever."""
    name = f"fat-{kind.plural}"
    body = {**body, "metadata": {"name": name, "annotations": {"a": "x" * _FULL}}}
    member.api.create(kind, body, member.namespace).ok()
    for number, expected in ((1_300_000, "Blocked"), (most * 2, "Blocked"), (most, "Open")):
        change = {"metadata": {"managedFields": _managed(number)}}
        answer = member.api.patch(kind, name, change, member.namespace)
        assert verdict(answer, BYTES) == expected, answer
    # As large as it may be, it is deleted as everything is.
    path = f"/api/v1/namespaces/{member.namespace}/{kind.plural}/{name}"
    admin.call("DELETE", path, {"propagationPolicy": "Foreground"}).ok()
