"""A control plane that is shot at, and its operator."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
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
    """A control plane whose programs are started again, and that keeps what it says is written."""
    name = request.module.__name__.rpartition("_")[2]
    with control_plane(
        f"test-{os.getpid()}-{name}", audit=True, fsync=True, restart=True
    ) as instance:
        yield instance


@pytest.fixture(scope="module")
def admin(target: Instance) -> Api:
    """Its administrator."""
    return Api(target.admin_kubeconfig)


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


@pytest.fixture
def operator(target: Instance, proxy: Proxy, tmp_path: Path) -> Iterator[Operator]:
    """The operator behind the proxy; it must live through everything, and without a traceback."""
    process = Operator(target, tmp_path / "log", login=proxy.kubeconfig)
    try:
        process.start()
        yield process
        assert process.process is not None
        assert process.process.poll() is None, process.log.read_text()
        assert process.stop() == 0
    finally:
        if process.process is not None:
            process.process.kill()
            process.process.wait()
    for line in process.log.read_text(encoding="utf-8").splitlines():
        # kopf tells at length what it dies of; it is started again.
        entry = json.loads(line)
        ours = entry["logger"].startswith("securetenant")
        assert not (ours and "exception" in entry), entry


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

    def ready() -> bool:
        bodies = [
            each
            for each in admin.list(kinds.SECURE_TENANT)
            if each["metadata"]["name"].startswith(f"{prefix}-")
        ]
        return bool(bodies) and all(compute(each) == "Current" for each in bodies)

    wait_for(ready, what=f"the tenants {prefix}-* to be ready", seconds=seconds)
    assert world.differences(admin, prefix) == []
