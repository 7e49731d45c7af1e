"""A sandbox with real nodes, on machines that can run one, and the product on it as a pod."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import debian_base
from e2e import images, installed, outside, world
from securetenant.sandbox import control, instances
from securetenant.sandbox.instances import Instance, Options
from securetenant.sandbox.realnodes import layout, requirements

_LABEL = "node-restriction.kubernetes.io/tenancy"


@pytest.fixture(scope="session", autouse=True)
def _machine() -> None:
    """Skip everything, with the reason, where no real node can run."""
    if problem := requirements.missing():
        pytest.skip(f"real nodes cannot run here: {problem}")


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands that install are run."""
    return tmp_path_factory.mktemp("checkout")


@pytest.fixture(scope="session")
def sandbox(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """Three nodes, one for the platform; the operator runs there, installed as is documented."""
    if lacking := debian_base.missing():
        pytest.skip(lacking)
    instance = instances.named(f"e2e-{os.getpid()}")
    archive = images.build_operator(tmp_path_factory.mktemp("images"))
    labels = (f"1:{_LABEL}=shared", f"2:{_LABEL}=dedicated")
    options = Options(real_nodes=3, node_labels=labels)
    control.up(instance, options, lambda _: None)
    try:
        folder = layout.images(instance)
        shutil.copyfile(archive, folder / "operator.tar")
        images.build_probe(folder / "probe.tar")
        outside.add(instance, folder.parent / "outside")
        installed.install(instance, checkout, images.OPERATOR, node=world.PLATFORM)
        yield instance
    finally:
        with instances.starting(instance):
            instances.stop(instance)


@pytest.fixture(scope="session")
def tenants(sandbox: Instance) -> Instance:
    """Two tenants, and probes in them and around them."""
    world.make(sandbox)
    return sandbox


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test ten minutes: the first builds an image."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(600))
