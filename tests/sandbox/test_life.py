"""The life of a sandbox: started, broken, ended; whatever happens, nothing is left running."""

import contextlib
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from harness import Api, environment, is_alive, wait_for, wait_for_account
from securetenant.api import kinds
from securetenant.sandbox import instances
from securetenant.sandbox.instances import Instance

CLI = [sys.executable, "-m", "securetenant", "sandbox"]


def run(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*CLI, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=environment(**changes),
    )


def programs(instance: Instance) -> list[int]:
    return [int(pid) for pid in instance.record()["programs"].values()]


@pytest.fixture
def instance(request: pytest.FixtureRequest) -> Iterator[Instance]:
    """A name of the test's own; whatever it starts is ended."""
    name = f"t{os.getpid()}-{re.sub('[^a-z0-9]', '', request.node.name.lower())[-16:]}"
    each = instances.named(name)
    yield each
    with instances.starting(each):
        instances.stop(each)


def up(instance: Instance, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = run("up", "--name", instance.name, *arguments)
    assert done.returncode == 0, done.stderr
    return done


class Started(NamedTuple):
    """A sandbox, and what its start printed."""

    instance: Instance
    done: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def started() -> Iterator[Started]:
    """One for all tests that do not end it."""
    each = instances.named(f"t{os.getpid()}-started")
    labels = ("--node-label", "team=x", "--node-label", "1:pool=acme")
    try:
        yield Started(each, up(each, "--restart", "--nodes", "2", *labels))
    finally:
        with instances.starting(each):
            instances.stop(each)


def test_up_says_where_the_time_went_and_prints_the_kubeconfig(started: Started) -> None:
    instance, done = started
    assert re.search(r"etcd and API server: \d+\.\d s", done.stderr)
    assert re.search(r"is ready after \d+\.\d s", done.stderr)
    assert done.stdout == f"export KUBECONFIG={instance.admin_kubeconfig}\n"
    assert instance.admin_kubeconfig.stat().st_mode & 0o077 == 0, "a credential is private"


def test_two_sandboxes_run_side_by_side_and_one_is_an_older_kubernetes(
    started: Started, instance: Instance
) -> None:
    """1.34 serves no MutatingAdmissionPolicy by default."""
    other = started.instance
    up(instance, "--emulated-version", "1.34")
    assert instance.server() != other.server()
    admin, admin_there = Api(instance.admin_kubeconfig), Api(other.admin_kubeconfig)
    admin.create(kinds.NAMESPACE, {"metadata": {"name": "only-here"}}).ok()
    assert admin_there.get(kinds.NAMESPACE, "only-here") is None
    assert "ValidatingAdmissionPolicy" in served(admin)
    assert "MutatingAdmissionPolicy" not in served(admin)
    assert "MutatingAdmissionPolicy" in served(admin_there)
    listed = run("status").stdout
    assert instance.name in listed
    assert other.name in listed


def served(admin: Api) -> set[str]:
    """Return the kinds of admission policies that an API server knows."""
    found = admin.call("GET", "/apis/admissionregistration.k8s.io/v1").ok()["resources"]
    return {each["kind"] for each in found}


def test_two_ups_at_once_start_one_sandbox_and_down_ends_every_program_of_it(
    instance: Instance,
) -> None:
    """A second down says that there is nothing to end."""
    both = [
        subprocess.Popen(
            [*CLI, "up", "--name", instance.name], stderr=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(2)
    ]
    texts = [each.communicate(timeout=120)[1].decode() for each in both]
    assert [each.returncode for each in both] == [0, 0], texts
    assert sum("is ready after" in text for text in texts) == 1
    assert sum("runs already" in text for text in texts) == 1
    pids = programs(instance)
    assert all(map(is_alive, pids))
    assert "is gone" in run("down", "--name", instance.name).stderr
    assert not any(map(is_alive, pids))
    assert not instance.folder.exists()
    done = run("down", "--name", instance.name)
    assert (done.returncode, done.stderr) == (0, f"There is no sandbox {instance.name}.\n")


def test_a_killed_supervisor_takes_its_programs_with_it_and_a_killed_program_ends_the_sandbox(
    instance: Instance,
) -> None:
    """The status says what happened, and `up` starts it again after the first."""
    up(instance)
    pids = programs(instance)
    os.kill(instance.record()["pid"], signal.SIGKILL)
    wait_for(lambda: not any(map(is_alive, pids)), what="the programs to die")
    text = run("status").stdout
    assert "crashed" in text
    assert "its supervisor was killed, and its programs with it" in text
    up(instance)
    assert instance.phase() == "running"
    pids = programs(instance)
    os.kill(instance.record()["programs"]["etcd"], signal.SIGKILL)
    wait_for(lambda: not any(map(is_alive, pids)), what="the programs to end", seconds=30)
    wait_for(lambda: "etcd ended with code -9" in run("status").stdout, what="the status to say it")


def test_with_restart_a_program_that_dies_is_started_again(started: Started) -> None:
    instance = started.instance
    before = instance.record()["programs"]["kube-scheduler"]
    os.kill(before, signal.SIGKILL)
    wait_for(
        lambda: instance.record()["programs"]["kube-scheduler"] != before, what="another scheduler"
    )
    assert instance.phase() == "running"


def test_ctrl_c_during_up_leaves_nothing(instance: Instance) -> None:
    # A shell that runs the tests in the background ignores Ctrl-C, and a child inherits that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [*CLI, "up", "--name", instance.name], stderr=subprocess.PIPE, start_new_session=True
    )
    signal.signal(signal.SIGINT, before)
    assert process.stderr is not None
    assert process.stderr.readline().startswith(b"certificates")
    supervisor = instance.record()["pid"]
    os.killpg(process.pid, signal.SIGINT)
    process.stderr.read()
    process.stderr.close()
    assert process.wait(60) != 0
    wait_for(lambda: not is_alive(supervisor), what="the supervisor to end")
    assert instance.phase() == "absent"


def test_an_up_that_is_killed_leaves_nothing(instance: Instance) -> None:
    """The supervisor notices that nobody waits for it."""
    process = subprocess.Popen([*CLI, "up", "--name", instance.name], stderr=subprocess.PIPE)
    assert process.stderr is not None
    process.stderr.readline()
    supervisor = instance.record()["pid"]
    process.kill()
    process.wait()
    process.stderr.close()
    wait_for(lambda: not is_alive(supervisor), what="the supervisor to end", seconds=60)


def test_a_port_that_is_taken_is_named(instance: Instance) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("up", "--name", instance.name, "--port", str(port))
    assert done.returncode == 1
    assert f"Port {port} is taken or forbidden" in done.stderr
    assert "Choose another --port" in done.stderr
    assert "Traceback" not in done.stderr
    assert instance.phase() == "absent"


def test_fake_nodes_are_ready_and_labelled(started: Started) -> None:
    admin = Api(started.instance.admin_kubeconfig)
    nodes = admin.call("GET", "/api/v1/nodes").ok()["items"]
    labels = [node["metadata"]["labels"] for node in nodes]
    assert [(each["team"], each.get("pool")) for each in labels] == [("x", None), ("x", "acme")]
    pod = {
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "image": "none"}]},
    }
    wait_for_account(admin, "default")
    admin.call("POST", "/api/v1/namespaces/default/pods", pod).ok()
    path = "/api/v1/namespaces/default/pods/p"
    wait_for(lambda: admin.call("GET", path).body["status"]["phase"] == "Running", what="the pod")


@pytest.mark.parametrize(
    ("label", "message"),
    [("nokey", "'nokey' is not a node label."), ("7:a=b", "there are 2 nodes, counted from 0")],
)
def test_a_wrong_node_label_is_refused_before_anything_starts(
    label: str, message: str, instance: Instance
) -> None:
    done = run("up", "--name", instance.name, "--nodes", "2", "--node-label", label)
    assert done.returncode == 1
    assert message in done.stderr


def test_a_name_that_is_a_path_is_refused() -> None:
    done = run("up", "--name", "../evil")
    assert done.returncode == 1
    assert "'../evil' cannot be the name of a sandbox." in done.stderr


def test_kubeconfigs_for_others(sandbox: Instance) -> None:
    """Any user name, any group, any ServiceAccount; each with just its own rights."""
    path = run(
        "kubeconfig", "--name", sandbox.name, "--user", "alice", "--group", "devs"
    ).stdout.strip()
    review = Api(Path(path)).call(
        "POST",
        "/apis/authentication.k8s.io/v1/selfsubjectreviews",
        {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"},
    )
    user = review.ok()["status"]["userInfo"]
    assert (user["username"], "devs" in user["groups"]) == ("alice", True)
    account = run(
        "kubeconfig", "--name", sandbox.name, "--service-account", "default/default"
    ).stdout.strip()
    assert Api(Path(account)).call("GET", "/api/v1/namespaces").status == 403


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--user", "a", "--service-account", "b/c"), "not both"),
        (("--group", "g"), "--group needs --user"),
        (("--service-account", "noslash"), "NAMESPACE/NAME"),
        (("--service-account", "default/nobody"), "No token for ServiceAccount default/nobody"),
    ],
)
def test_a_wrong_wish_for_a_kubeconfig_is_explained(
    arguments: tuple[str, ...], message: str, sandbox: Instance
) -> None:
    done = run("kubeconfig", "--name", sandbox.name, *arguments)
    assert done.returncode != 0
    assert message in done.stderr


def test_a_kubeconfig_of_a_sandbox_that_does_not_run_is_refused() -> None:
    done = run("kubeconfig", "--name", "nothing-here")
    assert done.returncode == 1
    assert "Sandbox nothing-here is absent." in done.stderr
    assert "securetenant sandbox up" in done.stderr


def test_the_supervisor_renews_tokens(started: Started) -> None:
    """Half an hour is not waited for: the file is made to look old."""
    instance = started.instance
    run("kubeconfig", "--name", instance.name, "--service-account", "default/default")
    token = instance.tokens / "default.default"
    before = token.read_text(encoding="ascii")
    old = time.time() - 3000
    os.utime(token, (old, old))
    os.kill(instance.record()["pid"], signal.SIGHUP)
    wait_for(lambda: token.read_text(encoding="ascii") != before, what="another token")


def ports(instance: Instance, program: str) -> set[str]:
    """Return the sockets on which a program listens for connections by IP."""
    process = Path(f"/proc/{instance.record()['programs'][program]}")
    own = set()
    for each in (process / "fd").iterdir():
        # It may be closed by now.
        with contextlib.suppress(FileNotFoundError):
            own.add(os.readlink(each).removeprefix("socket:[").removesuffix("]"))
    lines = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in (process / "net" / table).read_text(encoding="ascii").splitlines()[1:]
    ]
    # The fourth field is the state, 0A is LISTEN; the tenth is the inode (proc_net_tcp.txt).
    return {row[9] for row in lines if row[3] == "0A"} & own


def test_the_store_is_on_no_port_and_nobody_else_may_write_to_its_file(sandbox: Instance) -> None:
    """Else any kubeconfig, or any user of the machine, would hold every Secret."""
    assert ports(sandbox, "kube-apiserver")
    assert ports(sandbox, "etcd") == set()
    assert stat.S_IMODE(sandbox.folder.stat().st_mode) == 0o700
    files = sorted(sandbox.folder.glob("etcd*.socket:0"))
    assert [each.name for each in files] == ["etcd-peers.socket:0", "etcd.socket:0"]
    for each in files:
        assert not each.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH)
