"""A frozen tenant: nothing of it is changed, and what runs goes on running."""

from collections.abc import Iterator
from typing import Any

import pytest

import factory
from attack_harness import Policy, verdict
from conftest import settled
from harness import MERGE, Api, Operator, wait_for
from securetenant.api import kinds
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance

RBAC = "rbac.authorization.k8s.io"
LOCKDOWN = Policy("securetenant-lockdown")
DEPLOYMENTS = "/apis/apps/v1/namespaces/{}/deployments"


@pytest.fixture(scope="module")
def frozen(admin: Api, sandbox: Instance, operator: Operator) -> Iterator[Api]:
    """The admin of a frozen tenant with something running in it."""
    body = factory.tenant(
        "ice",
        namespaces=[{"name": "ice-1"}],
        access=[
            {
                "name": "admins",
                "role": "Admin",
                "subjects": [{"kind": "Group", "name": "ice-admins"}],
            }
        ],
    )
    admin.create(kinds.SECURE_TENANT, body).ok()
    settled(admin, "ice")
    member = Api(kubeconfigs.for_user(sandbox, "ice-admin", ("ice-admins",)))
    wait_for(
        lambda: admin.call("GET", "/api/v1/namespaces/ice-1/serviceaccounts/default").status == 200,
        what="the ServiceAccount",
    )
    web = factory.deployment("web")
    # A kubelet may ask for the tokens of its pods alone, and for those that they mount.
    token = {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}}
    web["spec"]["template"]["spec"]["volumes"] = [
        {"name": "token", "projected": {"sources": [token]}}
    ]
    member.call("POST", DEPLOYMENTS.format("ice-1"), web).ok()
    service = {
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
    }
    member.call("POST", "/api/v1/namespaces/ice-1/services", service).ok()
    wait_for(lambda: running(admin), what="the pod to run", seconds=30)
    admin.patch(kinds.SECURE_TENANT, "ice", {"spec": {"lockdown": "Frozen"}}).ok()
    wait_for(
        lambda: (
            member.call(
                "POST",
                "/api/v1/namespaces/ice-1/configmaps",
                {"metadata": {"name": "x"}},
                dryRun="All",
            ).status
            == 403
        ),
        what="the tenant to be frozen",
    )
    yield member
    admin.patch(kinds.SECURE_TENANT, "ice", {"spec": {"lockdown": "None"}}).ok()
    wait_for(
        lambda: (
            member.call(
                "POST",
                "/api/v1/namespaces/ice-1/configmaps",
                {"metadata": {"name": "x"}},
                dryRun="All",
            ).status
            < 300
        ),
        what="the tenant to thaw",
    )


def running(admin: Api) -> list[Any]:
    """Return the pods that run in the frozen namespace."""
    pods = admin.call("GET", "/api/v1/namespaces/ice-1/pods").ok()["items"]
    return [
        each
        for each in pods
        if each["status"].get("phase") == "Running" and "deletionTimestamp" not in each["metadata"]
    ]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        pytest.param("POST", "/api/v1/namespaces/ice-1/pods", factory.pod(), id="new pod"),
        pytest.param(
            "POST", DEPLOYMENTS.format("ice-1"), factory.deployment("new"), id="new workload"
        ),
        pytest.param(
            "PATCH",
            DEPLOYMENTS.format("ice-1") + "/web",
            {"spec": {"template": {"metadata": {"labels": {"v": "2"}}}}},
            id="change a workload",
        ),
        pytest.param(
            "PATCH",
            DEPLOYMENTS.format("ice-1") + "/web/scale",
            {"spec": {"replicas": 9}},
            id="H18 scale",
        ),
        pytest.param("DELETE", DEPLOYMENTS.format("ice-1") + "/web", None, id="delete a workload"),
        pytest.param("DELETE", DEPLOYMENTS.format("ice-1"), None, id="delete a collection"),
        pytest.param(
            "POST", "/api/v1/namespaces/ice-1/secrets", {"metadata": {"name": "s"}}, id="secret"
        ),
        pytest.param(
            "PATCH",
            "/api/v1/namespaces/ice-1/services/web",
            {"metadata": {"labels": {"a": "b"}}},
            id="service",
        ),
        pytest.param(
            "POST",
            f"/apis/{RBAC}/v1/namespaces/ice-1/roles",
            {
                "apiVersion": f"{RBAC}/v1",
                "kind": "Role",
                "metadata": {"name": "r"},
                "rules": [],
            },
            id="role",
        ),
    ],
)
def test_a_frozen_tenant_changes_nothing(method: str, path: str, body: Any, frozen: Api) -> None:
    answer = frozen.call(
        method,
        path,
        body,
        content_type=MERGE if method == "PATCH" else "application/json",
        dryRun="All",
    )
    assert verdict(answer, LOCKDOWN) == "Blocked"


def test_s14_nobody_gets_a_shell_or_a_tunnel_into_a_frozen_tenant(admin: Api, frozen: Api) -> None:
    (pod,) = running(admin)
    path = f"/api/v1/namespaces/ice-1/pods/{pod['metadata']['name']}"
    for who in (frozen, admin):
        for subresource, params in (
            ("exec", {"command": "id", "stdout": "true"}),
            ("attach", {"stdout": "true"}),
            ("portforward", {"ports": "80"}),
        ):
            answer = who.call("POST", f"{path}/{subresource}", **params)
            assert verdict(answer, LOCKDOWN) == "Blocked", subresource
    for proxied in (f"{path}/proxy", "/api/v1/namespaces/ice-1/services/web/proxy"):
        assert verdict(admin.call("GET", proxied), LOCKDOWN) == "Blocked"


def test_a_frozen_tenant_evicts_nothing_and_its_node_can_be_drained(
    admin: Api, frozen: Api
) -> None:
    """Eviction is a deletion that no rule on deletion sees."""
    (pod,) = running(admin)
    name = pod["metadata"]["name"]
    path = f"/api/v1/namespaces/ice-1/pods/{name}/eviction"
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name},
        "deleteOptions": {"dryRun": ["All"]},
    }
    answer = frozen.call("POST", path, eviction, dryRun="All")
    assert verdict(answer, LOCKDOWN) == "Blocked"
    admin.call("POST", path, eviction, dryRun="All").ok()


def test_a_cron_job_from_before_starts_nothing_in_a_frozen_tenant(
    frozen: Api, sandbox: Instance
) -> None:
    """It went on making Jobs and pods, which somebody may have planted."""
    spec = {**factory.pod()["spec"], "restartPolicy": "Never"}
    job = {"metadata": {"name": "planted"}, "spec": {"template": {"spec": spec}}}
    account = "system:serviceaccount:kube-system:cronjob-controller"
    for user, group in (
        (account, "system:serviceaccounts:kube-system"),
        ("system:kube-controller-manager", "system:masters"),
    ):
        speaker = Api(sandbox.admin_kubeconfig, speaking_as=user, group=group)
        answer = speaker.call("POST", "/apis/batch/v1/namespaces/ice-1/jobs", job, dryRun="All")
        assert verdict(answer, LOCKDOWN) == "Blocked", user


def test_a_frozen_tenants_tools_are_refused_too(admin: Api, frozen: Api) -> None:
    """GitOps and backup write for the tenant; they get a clear denial."""
    answer = admin.call(
        "POST", "/api/v1/namespaces/ice-1/configmaps", {"metadata": {"name": "x"}}, dryRun="All"
    )
    assert verdict(answer, LOCKDOWN) == "Blocked"


def test_what_runs_in_a_frozen_tenant_survives_two_hours(
    admin: Api, breaker: Api, node: Api, frozen: Api, sandbox: Instance
) -> None:
    """What kubelets and controllers do in two hours, done now: tokens, status, leases, slices."""
    (pod,) = running(admin)
    where = pod["spec"]["nodeName"]
    kubelet = Api(kubeconfigs.for_user(sandbox, f"system:node:{where}", ("system:nodes",)))
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {
            "expirationSeconds": 3607,
            "boundObjectRef": {
                "kind": "Pod",
                "apiVersion": "v1",
                "name": pod["metadata"]["name"],
                "uid": pod["metadata"]["uid"],
            },
        },
    }
    path = "/api/v1/namespaces/ice-1/serviceaccounts/default/token"
    for _ in range(3):  # A kubelet renews at 80 % of an hour.
        kubelet.call("POST", path, request).ok()
    status = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    kubelet.call(
        "PATCH",
        f"/api/v1/namespaces/ice-1/pods/{pod['metadata']['name']}/status",
        status,
        content_type="application/strategic-merge-patch+json",
    ).ok()
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "leader"},
        "spec": {"holderIdentity": "a"},
    }
    leases = "/apis/coordination.k8s.io/v1/namespaces/ice-1/leases"
    admin.call("POST", leases, lease).ok()
    admin.call(
        "PATCH", f"{leases}/leader", {"spec": {"holderIdentity": "b"}}, content_type=MERGE
    ).ok()
    # A pod that dies is replaced, scheduled, run, and found by its Service.
    breaker.call("DELETE", f"/api/v1/namespaces/ice-1/pods/{pod['metadata']['name']}").ok()

    def replaced() -> bool:
        pods = running(admin)
        slices = admin.call(
            "GET", "/apis/discovery.k8s.io/v1/namespaces/ice-1/endpointslices"
        ).ok()["items"]
        found = {
            endpoint["targetRef"]["name"]
            for each in slices
            for endpoint in each.get("endpoints") or ()
        }
        return (
            bool(pods)
            and pods[0]["metadata"]["uid"] != pod["metadata"]["uid"]
            and {each["metadata"]["name"] for each in pods} <= found
        )

    wait_for(replaced, what="another pod behind the Service", seconds=30)
