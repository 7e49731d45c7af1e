"""Ordinary applications, not written for restricted Pod Security, run in a tenant unchanged.

In a namespace with restricted Pod Security alone none of their pods is made: the difference.
"""

import functools
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

import factory
from conftest import settled
from harness import ROOT, Api, Operator, kubectl, wait_for
from securetenant.api import kinds
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance

APPLICATIONS = {
    # How many pods each has on a cluster of three nodes.
    "web": {"web": 2},
    "database": {"database": 2},
    "jobs": {"migrate": 1},
    "agent": {"agent": 3},
}
FOLDER = ROOT / "tests/applications"
CLASS = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "fast"},
    "provisioner": "example.com/none",
    "volumeBindingMode": "Immediate",
}


@pytest.fixture(scope="module")
def storage(admin: Api) -> Iterator[None]:
    """Make a class of storage, and volumes for both databases: nobody provisions in a sandbox."""
    admin.call("POST", "/apis/storage.k8s.io/v1/storageclasses", CLASS).ok()
    for index in range(4):
        volume = {
            "metadata": {"name": f"disk-{index}"},
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "fast",
                "hostPath": {"path": f"/disk-{index}"},
            },
        }
        admin.call("POST", "/api/v1/persistentvolumes", volume).ok()
    yield
    # Left there, they would be bound to other tests' claims, which may not change then.
    for index in range(4):
        admin.call("DELETE", f"/api/v1/persistentvolumes/disk-{index}").ok()


@pytest.fixture(scope="module")
def tenant(admin: Api, operator: Operator, storage: None) -> str:
    """A tenant that may have an Ingress; returns its namespace."""
    body = factory.tenant(
        "apps",
        namespaces=[{"name": "apps-prod"}],
        access=[
            {
                "name": "admins",
                "role": "Admin",
                "subjects": [{"kind": "Group", "name": "apps-admins"}],
            }
        ],
        workloads={"hostnames": [".apps.example"], "ingressClasses": ["nginx"]},
    )
    admin.create(kinds.SECURE_TENANT, body).ok()
    for path in (
        "/api/v1/namespaces/apps-prod/serviceaccounts/default",
        kinds.ROLE_BINDING.path("apps-prod", "securetenant-admin"),
    ):
        wait_for(functools.partial(_exists, admin, path), what=path)
    settled(admin, "apps")
    return "apps-prod"


def _exists(admin: Api, path: str) -> bool:
    return admin.call("GET", path).status == 200


def running(admin: Api, namespace: str) -> Counter[str]:
    """Return how many pods of each application run, or have run to their end."""
    pods = admin.call("GET", f"/api/v1/namespaces/{namespace}/pods").ok()["items"]
    return Counter(
        each["metadata"].get("labels", {}).get("app", "")
        for each in pods
        if each["status"].get("phase") in ("Running", "Succeeded")
    )


@pytest.mark.parametrize("name", APPLICATIONS)
def test_an_ordinary_application_runs_unchanged(
    name: str, tenant: str, admin: Api, sandbox: Instance
) -> None:
    """Applied by the tenant's admin; the controllers make the pods, the scheduler places them."""
    member = kubeconfigs.for_user(sandbox, "apps-admin", ("apps-admins",))
    file = str(FOLDER / f"{name}.yaml")
    kubectl(sandbox, f"--kubeconfig={member}", "apply", "-n", tenant, "-f", file)
    expected = Counter(APPLICATIONS[name])
    wait_for(
        lambda: running(admin, tenant) & expected == expected,
        what=f"the pods of {name}",
        seconds=60,
    )


def test_by_hand_with_pod_security_alone_none_of_their_pods_is_made(
    admin: Api, sandbox: Instance, storage: None
) -> None:
    labels = {
        "pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/enforce-version": "v1.37",
    }
    body = {"metadata": {"name": "by-hand", "labels": labels}}
    admin.create(kinds.NAMESPACE, body).ok()
    for name in APPLICATIONS:
        kubectl(sandbox, "apply", "-n", "by-hand", "-f", str(FOLDER / f"{name}.yaml"))

    def refused() -> set[str]:
        path = "/api/v1/namespaces/by-hand/events"
        events = admin.call("GET", path, fieldSelector="reason=FailedCreate").ok()["items"]
        return {
            owner
            for each in events
            for owner in ("web", "database", "migrate", "agent")
            if each["involvedObject"]["name"].startswith(owner)
            and "violates PodSecurity" in each["message"]
        }

    wait_for(
        lambda: refused() == {"web", "database", "migrate", "agent"},
        what="every controller to be refused",
        seconds=60,
    )
    assert running(admin, "by-hand") == Counter()
    admin.delete(kinds.NAMESPACE, "by-hand").ok()


def test_a_night_job_runs_too(tenant: str, admin: Api, sandbox: Instance) -> None:
    """A CronJob makes its Job on the minute; here the Job is made from it by hand."""
    documents = yaml.safe_load_all((FOLDER / "jobs.yaml").read_text(encoding="utf-8"))
    template = next(each for each in documents if each["kind"] == "CronJob")
    job: dict[str, Any] = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "tonight"},
        "spec": template["spec"]["jobTemplate"]["spec"],
    }
    member = kubeconfigs.for_user(sandbox, "apps-admin", ("apps-admins",))
    kubectl(
        sandbox, f"--kubeconfig={member}", "create", "-n", tenant, "-f", "-", stdin=json.dumps(job)
    )
    wait_for(lambda: running(admin, tenant)["nightly"] >= 1, what="the Job's pod", seconds=60)
