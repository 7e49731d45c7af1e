"""A sandbox with real nodes, on machines that can run one."""

import os
from collections.abc import Iterator

import pytest

from conftest import control_plane
from securetenant.sandbox.instances import Instance
from securetenant.sandbox.realnodes import requirements


@pytest.fixture(scope="session", autouse=True)
def _machine() -> None:
    """Skip everything, with the reason, where no real node can run."""
    if problem := requirements.missing():
        pytest.skip(f"real nodes cannot run here: {problem}")


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Instance]:
    """A control plane and two nodes, for all tests that need none of their own."""
    with control_plane(f"e2e-{os.getpid()}", audit=True, real_nodes=2) as instance:
        yield instance
