"""A control plane that is shot at, and its operator."""

import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from conftest import control_plane
from faults import world
from faults.proxy import Proxy
from harness import Api, Operator, wait_for
from kstatus import compute
from securetenant.api import kinds
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance


@pytest.fixture(scope="module")
def target(request: pytest.FixtureRequest) -> Iterator[Instance]:
    """A control plane, as the module asks for it."""
    name = request.module.__name__.rpartition("_")[2]
    with control_plane(f"test-{os.getpid()}-{name}", **request.module.PLANE) as instance:
        yield instance


@pytest.fixture(scope="module")
def admin(target: Instance) -> Iterator[Api]:
    """Its administrator."""
    api = Api(target.admin_kubeconfig)
    yield api
    api.hang_up()


@pytest.fixture(scope="module")
def breaker(target: Instance) -> Api:
    """An administrator who breaks the glass."""
    groups = ("system:masters", "securetenant:break-glass")
    return Api(kubeconfigs.for_user(target, "breaker", groups))


@pytest.fixture(scope="module")
def proxy(target: Instance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """What stands between."""
    each = Proxy(target, tmp_path_factory.mktemp("proxy"))
    yield each
    each.close()


@pytest.fixture(scope="module")
def process(
    target: Instance, proxy: Proxy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Operator]:
    """The operator behind the proxy: one, for all faults."""
    each = Operator(target, tmp_path_factory.mktemp("operator") / "log", login=proxy.kubeconfig)
    yield each
    assert not is_at_work(each) or each.stop() == 0


@pytest.fixture
def operator(process: Operator) -> Iterator[Operator]:
    """The operator at work; it must live through everything, and without a traceback."""
    if not is_at_work(process):
        process.start()
    yield process
    assert is_at_work(process), process.log.read_text()
    for line in process.log.read_text(encoding="utf-8").splitlines():
        # kopf tells at length what it dies of; it is started again.
        entry = json.loads(line)
        ours = entry["logger"].startswith("securetenant")
        assert not (ours and "exception" in entry), entry


def is_at_work(operator: Operator) -> bool:
    """Tell whether it was started and has not ended."""
    return operator.process is not None and operator.process.poll() is None


TAKEN_SECONDS = 20
"""How long an API server that was shot at may take to accept a spec."""
Apply = Callable[..., list[Any]]


@pytest.fixture
def apply(admin: Api) -> Apply:
    """Apply the tenants of a fleet; returns them."""

    def each(prefix: str, **changes: Any) -> list[Any]:
        bodies = world.fleet(prefix, **changes)
        for body in bodies:

            def is_taken(body: Any = body) -> bool:
                return admin.apply(kinds.SECURE_TENANT, body, manager="test").status < 300

            wait_for(
                is_taken, what=f"{body['metadata']['name']} to be taken", seconds=TAKEN_SECONDS
            )
        return bodies

    return each


def settle(admin: Api, prefix: str, *, seconds: float = 120) -> None:
    """Wait until every tenant is ready, and hold that everything is as the specs say."""

    def listed() -> Any:
        # An API server that starts, or lost its store, asks to come back later for a while.
        answer = admin.call("GET", kinds.SECURE_TENANT.path())
        return answer.body["items"] if answer.status == 200 else None

    every = wait_for(listed, what="SecureTenants to be listed", seconds=seconds)
    # One that is being deleted may be gone by the next look.
    names = [
        each["metadata"]["name"] for each in every if "deletionTimestamp" not in each["metadata"]
    ]
    fleet = [name for name in names if name.startswith(f"{prefix}-")]
    assert fleet

    def ready() -> bool:
        found = [admin.call("GET", kinds.SECURE_TENANT.path("", name)) for name in fleet]
        return all(each.status == 200 and compute(each.body) == "Current" for each in found)

    wait_for(ready, what=f"the tenants {prefix}-* to be ready", seconds=seconds)
    assert world.differences(admin, prefix) == []
