"""The operator under the memory limit of its Deployment, while tenants fill what it reads."""

import contextlib
import functools
import os
import re
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import control_plane
from factory import binding, pod, tenant
from harness import ROOT, Api, Operator, kubectl, wait_for, wait_for_account
from kstatus import compute
from securetenant.api import kinds, names
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance

TENANCY = "node-restriction.kubernetes.io/tenancy"
NODES = {
    "shared": {"matchLabels": {TENANCY: "shared"}},
    "dedicable": {"matchLabels": {TENANCY: "dedicated"}},
}
HOSTILE, CALM = "hostile-1", "calm-1"
PODS = 11
"""As many as must be, so that all at once are more than the limit: each takes seconds to make."""
REPAIR_SECONDS = 10
"""Ten times the second that docs/operations.md promises."""
ROUNDS_SECONDS = 20
"""In which pods are looked at some times."""
BETWEEN_SECONDS = 0.5
"""From one repair to the next: a drift now and then, not a flood."""
GROUPS = (
    (Path("/sys/fs/cgroup"), "memory.max"),
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
)


def deployed_limit() -> int:
    """Return the bytes that the Deployment allows."""
    text = (ROOT / "manifests/operator/deployment.yaml").read_text(encoding="utf-8")
    (container,) = yaml.safe_load(text)["spec"]["template"]["spec"]["containers"]
    memory = container["resources"]["limits"]["memory"]
    assert memory.endswith("Mi")
    return int(memory.removesuffix("Mi")) << 20


@contextlib.contextmanager
def confined(pid: int, limit: int) -> Iterator[str]:
    """Hold a process to so many bytes; say by what: a memory cgroup if one can be made."""
    for parent, file in GROUPS:
        group = parent / f"securetenant-test-{pid}"
        try:
            group.mkdir()
            if not (group / file).exists():
                # Not the file system of cgroups, or not one that has memory.
                group.rmdir()
                continue
            (group / file).write_text(str(limit))
            (group / "cgroup.procs").write_text(str(pid))
        except OSError:
            continue
        yield f"memory cgroup, {file}"
        # It is empty once its process ended.
        wait_for(functools.partial(_removed, group), what=f"{group} to be empty")
        return
    resource.prlimit(pid, resource.RLIMIT_DATA, (limit, limit))
    yield "RLIMIT_DATA"


def _removed(group: Path) -> bool:
    with contextlib.suppress(OSError):
        group.rmdir()
    return not group.exists()


def peak(pid: int) -> int:
    """Return the most bytes that a process ever held."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text("ascii"))
    assert found is not None
    return int(found[1]) << 10


@pytest.fixture(scope="module")
def crowded() -> Iterator[Instance]:
    """A control plane with a node that a tenant may have."""
    with control_plane(f"test-{os.getpid()}-memory", nodes=1) as instance:
        api = Api(instance.admin_kubeconfig)
        kubectl(instance, "label", "node", "node-0", f"{TENANCY}=shared")
        labels = {"kubernetes.io/hostname": "own", TENANCY: "dedicated"}
        metadata = {"name": "own", "labels": labels}
        metadata["annotations"] = {"kwok.x-k8s.io/node": "fake"}
        api.create(kinds.NODE, {"metadata": metadata}).ok()
        api.patch(kinds.TENANCY_SETTINGS, "default", {"spec": {"nodes": NODES}}).ok()
        yield instance


@pytest.fixture(scope="module")
def operator(
    crowded: Instance, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Operator, str]]:
    """The operator under its limit, and what holds it to that."""
    # What is forked shares memory with others.
    process = Operator(crowded, tmp_path_factory.mktemp("operator") / "log", is_forked=False)
    process.start()
    assert process.process is not None
    with confined(process.process.pid, deployed_limit()) as how:
        yield process, how
        if process.process.poll() is None:
            process.stop()


def stand(admin: Api, name: str, **spec: Any) -> None:
    """Make a tenant with one namespace, and wait until it is ready."""
    body = tenant(name, namespaces=[{"name": f"{name}-1"}], **spec)
    admin.apply(kinds.SECURE_TENANT, body, manager="test").ok()
    wait_for(
        lambda: compute(admin.get(kinds.SECURE_TENANT, name)) == "Current",
        what=f"SecureTenant {name}",
        seconds=120,
    )
    wait_for_account(admin, f"{name}-1")


def fill(tenant: Api) -> None:
    """Make the largest objects that are accepted, of each kind that the operator reads."""
    large = pod(requests={"cpu": "10m"})["spec"]
    # What Kubernetes keeps in seven bytes is two hundred in Python.
    container = large["containers"][0]
    container["env"] = [{"name": "a"}] * 1_000
    large["initContainers"] = [{**container, "name": f"i{number}"} for number in range(9)]
    for _ in range(PODS):
        tenant.create_pod(HOSTILE, {"metadata": {"generateName": "p-"}, "spec": large}).ok()
    labels = {"app": "d"}
    # It is read itself: that its pods are made as well would be more of the same.
    nowhere = {**large, "nodeSelector": {"no-node": "has-this"}}
    daemon = {
        "metadata": {"generateName": "d-"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": nowhere},
        },
    }
    tenant.create(kinds.DAEMON_SET, daemon, HOSTILE).ok()
    account = {"kind": "ServiceAccount", "name": "a", "namespace": HOSTILE}
    bound = binding(*[account] * 200, role="securetenant:viewer")
    rules: list[Any] = [{"from": [{"podSelector": {}}] * 50}] * 100
    policy = {"spec": {"podSelector": {"matchLabels": labels}, "ingress": rules}}
    for number in range(2):
        bound["metadata"] = policy["metadata"] = {"name": f"large-{number}"}
        tenant.create(kinds.ROLE_BINDING, bound, HOSTILE).ok()
        tenant.create(kinds.NETWORK_POLICY, policy, HOSTILE).ok()
        noted = {"name": f"large-{number}", "annotations": {"a": "<" * 260_000}}
        backend = {"service": {"name": "s", "port": {"number": 80}}}
        paths = [
            {"path": f"/{each}{'a' * 25}", "pathType": "Exact", "backend": backend}
            for each in range(5)
        ]
        hosts = [
            {"host": f"{each}.{number}.memory.test", "http": {"paths": paths}}
            for each in range(200)
        ]
        ingress = {
            "metadata": {"name": f"large-{number}"},
            "spec": {"ingressClassName": "public", "rules": hosts},
        }
        tenant.create(kinds.INGRESS, ingress, HOSTILE).ok()
        path = f"/api/v1/namespaces/{HOSTILE}/serviceaccounts"
        tenant.call("POST", path, {"metadata": noted}).ok()


def repaired(breaker: Api) -> float:
    """Delete the default deny of the other tenant; return after how many seconds it is back."""
    breaker.delete(kinds.NETWORK_POLICY, names.DEFAULT_DENY, CALM).ok()
    began = time.monotonic()
    wait_for(
        lambda: breaker.get(kinds.NETWORK_POLICY, names.DEFAULT_DENY, CALM),
        what="the default deny of another tenant",
        seconds=REPAIR_SECONDS,
    )
    return time.monotonic() - began


@pytest.mark.timeout(1200)
def test_the_largest_objects_of_a_tenant_neither_end_nor_stop_the_operator(
    crowded: Instance,
    operator: tuple[Operator, str],
    record_property: Callable[[str, object], None],
) -> None:
    """S4: all its pods in one answer were more than the operator's memory."""
    process, how = operator
    admin = Api(crowded.admin_kubeconfig)
    breaker = Api(
        kubeconfigs.for_user(crowded, "breaker", ("system:masters", "securetenant:break-glass"))
    )
    access = [{"name": "m", "role": "Admin", "subjects": [{"kind": "User", "name": "mallory"}]}]
    stand(admin, "calm")
    own = {"dedication": "Dedicated", "names": ["own"]}
    workloads = {"hostnames": [".memory.test"], "ingressClasses": ["public"]}
    stand(admin, "hostile", nodes=own, access=access, workloads=workloads)
    fill(Api(crowded.admin_kubeconfig, speaking_as="mallory"))

    times: list[float] = []
    deadline = time.monotonic() + ROUNDS_SECONDS
    while not times or time.monotonic() < deadline:
        times.append(repaired(breaker))
        time.sleep(BETWEEN_SECONDS)
    assert process.process is not None
    alive = process.process.poll() is None
    assert alive, f"the operator was ended: {process.process.returncode}"
    record_property("limit", f"{deployed_limit() >> 20} MiB by {how}")
    record_property("peak_mib", peak(process.process.pid) >> 20)
    record_property("repair_median_seconds", round(statistics.median(times), 3))
    record_property("repair_worst_seconds", round(max(times), 3))
    assert peak(process.process.pid) < deployed_limit()
