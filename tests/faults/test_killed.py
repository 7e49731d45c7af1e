"""Programs that are killed, frozen and emptied under the operator, and the operator itself."""

import contextlib
import http.client
import json
import os
import random
import signal
import socket
import time

import pytest

from faults import world
from faults.conftest import Apply, settle
from harness import MERGE, Api, Operator, wait_for
from securetenant.api import kinds, names
from securetenant.sandbox import programs
from securetenant.sandbox.instances import Instance

PLANE = {"fsync": True, "restart": True}
"""Programs are started again, and the store keeps what it says is written."""
FROZEN_SECONDS = 60
KILLS = 8


def pid(target: Instance, program: str) -> int:
    return int(target.record()["programs"][program])


def kill(target: Instance, program: str) -> None:
    """Kill a program and wait until the supervisor has started it again."""
    before = pid(target, program)
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: pid(target, program) != before, what=f"another {program}", seconds=60)


def answers(admin: Api) -> bool:
    """Tell whether the API server is ready, and whether it serves our kinds, which comes later."""
    paths = ("/readyz", kinds.SECURE_TENANT.path(), kinds.TENANT_POLICY.path())
    try:
        return all(admin.call("GET", path).status == 200 for path in paths)
    except OSError:
        return False


def back(admin: Api) -> None:
    wait_for(lambda: answers(admin), what="the API server to be back", seconds=120)


@pytest.mark.parametrize("program", ["kube-apiserver", "etcd"])
def test_a_killed_program_comes_back_and_the_operator_goes_on(
    program: str, target: Instance, admin: Api, operator: Operator, apply: Apply
) -> None:
    """Killed while it works on a change: nothing is lost."""
    prefix = program.replace("-", "")
    apply(prefix)
    wait_for(lambda: admin.get(kinds.NAMESPACE, f"{prefix}-1-a"), what="work to begin")
    kill(target, program)
    back(admin)
    settle(admin, prefix)
    apply(prefix, pods=60, opened=True)
    kill(target, program)
    back(admin)
    settle(admin, prefix)


class Store(http.client.HTTPConnection):
    """Speaks with etcd, which listens on a file."""

    def __init__(self, target: Instance) -> None:
        super().__init__("localhost", timeout=10)
        self._file = target.folder / programs.STORE.removeprefix("unix://")

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        # The file itself may have a longer path than sockets can.
        with contextlib.chdir(self._file.parent):
            self.sock.connect(self._file.name)


def compact(target: Instance) -> None:
    """Drop etcd's history: every version but the newest is too old from now on."""

    def ask(path: str, body: dict[str, object]) -> dict[str, dict[str, str]]:
        with contextlib.closing(Store(target)) as connection:
            connection.request("POST", f"/v3/{path}", json.dumps(body))
            found: dict[str, dict[str, str]] = json.load(connection.getresponse())
        return found

    newest = ask("kv/range", {"key": "AA=="})["header"]["revision"]
    ask("kv/compaction", {"revision": newest, "physical": True})


def test_a_compacted_history_is_listed_again(
    target: Instance, admin: Api, breaker: Api, operator: Operator, apply: Apply
) -> None:
    """The operator slept; meanwhile its version became too old, on watches too (410)."""
    apply("sleeper")
    settle(admin, "sleeper")
    assert operator.process is not None
    operator.process.send_signal(signal.SIGSTOP)
    try:
        apply("sleeper", pods=64, opened=True)
        breaker.delete(kinds.NETWORK_POLICY, names.DEFAULT_DENY, "sleeper-2-a").ok()
        admin.delete(kinds.SECURE_TENANT, "sleeper-3").ok()
        compact(target)
        # Its cache of recent events goes with it.
        kill(target, "kube-apiserver")
        back(admin)
    finally:
        operator.process.send_signal(signal.SIGCONT)

    def state() -> str:
        found = admin.get(kinds.NAMESPACE, "sleeper-3-a")
        return str(found["metadata"]["labels"][names.STATE_LABEL])

    # Until the API server serves SecureTenants again, none is there either.
    wait_for(lambda: state() == names.RETAINED, what="the namespace to be let go", seconds=60)
    wait_for(
        lambda: admin.get(kinds.SECURE_TENANT, "sleeper-3") is None, what="the deletion", seconds=60
    )
    settle(admin, "sleeper")


def test_an_api_server_that_is_frozen_for_a_minute_is_waited_for(
    target: Instance, admin: Api, operator: Operator, apply: Apply
) -> None:
    apply("frozen")
    wait_for(lambda: admin.get(kinds.NAMESPACE, "frozen-0-a"), what="work to begin")
    os.kill(pid(target, "kube-apiserver"), signal.SIGSTOP)
    try:
        time.sleep(FROZEN_SECONDS)  # The frost itself.
    finally:
        os.kill(pid(target, "kube-apiserver"), signal.SIGCONT)
    back(admin)
    apply("frozen", pods=62, opened=True)
    settle(admin, "frozen")


def test_an_operator_that_is_killed_at_any_moment_ends_where_the_specs_say(
    target: Instance, admin: Api, operator: Operator, apply: Apply
) -> None:
    """And at no moment was a namespace ready without its walls."""
    history = world.History(admin)
    chance = random.Random(7)
    for number in range(KILLS):
        if number == KILLS // 2:
            # Without it nobody knows whose the namespace is, so it would be retained.
            wait_for(
                lambda: admin.get(kinds.TENANT_POLICY, names.POLICY_NAME, "killed-3-a"),
                what="the TenantPolicy of what is to be deleted",
                seconds=60,
            )
            patch = {"spec": {"deletionPolicy": "Delete"}}
            admin.patch(kinds.SECURE_TENANT, "killed-3", patch, content_type=MERGE).ok()
            admin.delete(kinds.SECURE_TENANT, "killed-3").ok()
        count = 3 if number >= KILLS // 2 else 4
        apply("killed", count=count, pods=40 + number, opened=number % 2 == 0)
        time.sleep(chance.uniform(0.0, 1.5))  # Any moment.
        assert operator.process is not None
        operator.stop(by=signal.SIGKILL)
        operator.start()
    # The SecureTenant goes after its namespace.
    wait_for(
        lambda: admin.get(kinds.SECURE_TENANT, "killed-3") is None, what="the deletion", seconds=60
    )
    settle(admin, "killed")
    assert history.unguarded("killed") == []
