"""What must go on working around the guards."""

import pytest

import factory
from attack_harness import Policy, verdict
from conftest import settled
from harness import Api, Operator, wait_for
from securetenant.api import kinds, names

DEPLOYMENTS = "/apis/apps/v1/namespaces/{}/deployments"
MANAGED, NAMESPACES = Policy("securetenant-managed"), Policy("securetenant-namespaces")

pytestmark = pytest.mark.usefixtures("tenants")


def test_objects_that_belong_to_something_gone_are_collected(admin: Api) -> None:
    path = "/api/v1/namespaces/north-1/configmaps"
    owner = admin.call("POST", path, {"metadata": {"name": "owner"}}).ok()
    reference = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": "owner",
        "uid": owner["metadata"]["uid"],
    }
    admin.call("POST", path, {"metadata": {"name": "owned", "ownerReferences": [reference]}}).ok()
    admin.call("DELETE", f"{path}/owner").ok()
    wait_for(
        lambda: admin.call("GET", f"{path}/owned").status == 404,
        what="the garbage collector",
        seconds=30,
    )


def test_jobs_finish_and_pods_are_scheduled(north: Api, admin: Api) -> None:
    """The Job controller takes its finalizers off pods; the scheduler binds."""
    spec = {**factory.pod()["spec"], "restartPolicy": "Never"}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "once"},
        "spec": {"template": {"spec": spec}},
    }
    path = "/apis/batch/v1/namespaces/north-1/jobs"
    wait_for(
        lambda: (
            admin.call("GET", "/api/v1/namespaces/north-1/serviceaccounts/default").status == 200
        ),
        what="the ServiceAccount",
    )
    north.call("POST", path, job).ok()
    wait_for(
        lambda: admin.call("GET", f"{path}/once").ok()["status"].get("succeeded") == 1,
        what="the Job to succeed",
        seconds=60,
    )
    pods = admin.call("GET", "/api/v1/namespaces/north-1/pods").ok()["items"]
    done = [each for each in pods if each["metadata"].get("labels", {}).get("job-name") == "once"]
    wait_for(
        lambda: (
            not admin.call("GET", f"/api/v1/namespaces/north-1/pods/{done[0]['metadata']['name']}")
            .ok()["metadata"]
            .get("finalizers")
        ),
        what="the finalizer to go",
        seconds=30,
    )


def test_with_the_operator_stopped_everything_stays_as_it_was(
    admin: Api, breaker: Api, north: Api, operator: Operator
) -> None:
    """What is enforced stays enforced; what is allowed goes on working."""
    assert operator.stop() == 0
    try:
        north.create_pod("north-1", factory.pod(), dryRun="All").ok()
        north.call(
            "POST", DEPLOYMENTS.format("north-1"), factory.deployment("later"), dryRun="All"
        ).ok()
        path = kinds.NETWORK_POLICY.path("north-1", names.DEFAULT_DENY)
        assert verdict(admin.call("DELETE", path, dryRun="All"), MANAGED) == "Blocked"
        labels = {"metadata": {"labels": {names.TENANT_LABEL: "south"}}}
        answer = admin.patch(kinds.NAMESPACE, "north-1", labels, dryRun="All")
        assert verdict(answer, NAMESPACES) == "Blocked"
        admin.create(kinds.NAMESPACE, {"metadata": {"name": "elsewhere"}}, dryRun="All").ok()
        admin.create(
            kinds.SECURE_TENANT,
            factory.tenant("meanwhile", namespaces=[{"name": "meanwhile-1"}]),
        ).ok()
    finally:
        operator.start()
    settled(admin, "meanwhile")
