"""The operator as a pod: where it runs, as what, and what a crash of it costs."""

import os
import signal
from pathlib import Path
from typing import Any

from e2e import installed, world
from harness import Api, conditions, kubectl, ran, wait_for
from securetenant.api import kinds, names
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance

_HOLE_SECONDS = 10
"""From a crash of the operator until the NetworkPolicies are back that were deleted then."""


def leader(instance: Instance) -> Any:
    """Return the pod that leads, by the Lease."""
    admin = Api(instance.admin_kubeconfig)
    lease = admin.get(kinds.LEASE, names.OPERATOR, installed.NAMESPACE)
    holder = str(lease["spec"]["holderIdentity"])
    pods = admin.list(kinds.POD, installed.NAMESPACE)
    return next(each for each in pods if holder.startswith(each["metadata"]["name"]))


def process(instance: Instance) -> int:
    """Return the id of the process that leads, as the machine counts."""
    uid = leader(instance)["metadata"]["uid"]

    def found() -> list[int]:
        groups = [each for each in Path("/sys/fs/cgroup").rglob(f"pod{uid}") if each.is_dir()]
        pids = {
            int(pid)
            for group in groups
            for file in group.rglob("cgroup.procs")
            for pid in file.read_text().split()
        }
        return [pid for pid in pids if b"securetenant.cli.run" in _command(pid)]

    return wait_for(found, what="the process of the operator")[0]


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_it_runs_on_the_platforms_node_with_no_right_on_it(tenants: Instance) -> None:
    """Neither root nor a capability, and nothing but the calls that its runtime allows."""
    for pod in Api(tenants.admin_kubeconfig).list(kinds.POD, installed.NAMESPACE):
        assert pod["spec"]["nodeName"] == world.PLATFORM
        assert conditions(pod)["Ready"]["status"] == "True"
    lines = Path(f"/proc/{process(tenants)}/status").read_text().splitlines()
    status = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
    assert set(status["Uid"]) == {"65532"}
    assert status["CapEff"] == status["CapBnd"] == ["0000000000000000"]
    assert status["NoNewPrivs"] == ["1"]
    assert status["Seccomp"] == ["2"]


def test_a_second_apply_would_change_nothing(tenants: Instance, checkout: Path) -> None:
    done = ran(tenants, "diff", "-k", "overlay", folder=checkout)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_deleted_while_it_is_dead_is_back_when_it_is(tenants: Instance) -> None:
    """The other replica leads meanwhile, and the kubelet starts the killed one in the same pod."""
    admin = Api(tenants.admin_kubeconfig)
    groups = ("system:masters", "securetenant:break-glass")
    breaker = Api(kubeconfigs.for_user(tenants, "breaker", groups))
    there = {each["metadata"]["name"] for each in admin.list(kinds.NETWORK_POLICY, "beta-web")}
    killed = leader(tenants)["metadata"]["name"]
    before = _restarts(tenants, killed)
    os.kill(process(tenants), signal.SIGKILL)
    for each in there:
        breaker.delete(kinds.NETWORK_POLICY, each, "beta-web")
    wait_for(
        lambda: (
            {each["metadata"]["name"] for each in admin.list(kinds.NETWORK_POLICY, "beta-web")}
            == there
        ),
        what="the NetworkPolicies to be back",
        seconds=_HOLE_SECONDS,
    )
    kubectl(
        tenants,
        "wait",
        "--for=condition=Ready",
        "pod",
        "--all",
        f"-n{installed.NAMESPACE}",
        "--timeout=60s",
    )
    assert _restarts(tenants, killed) == before + 1
    world.agreed(tenants)


def _restarts(instance: Instance, name: str) -> int:
    pod = Api(instance.admin_kubeconfig).get(kinds.POD, name, installed.NAMESPACE)
    return int(pod["status"]["containerStatuses"][0]["restartCount"])
