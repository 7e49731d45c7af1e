"""A sandbox with real nodes, on machines that can run one, and the product on it as a pod."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import debian_base
from e2e import images, installed, world
from securetenant.sandbox import control, instances
from securetenant.sandbox.instances import Instance, Options
from securetenant.sandbox.realnodes import hub, layout, requirements

_LABEL = "node-restriction.kubernetes.io/tenancy"


@pytest.fixture(scope="session", autouse=True)
def _machine() -> None:
    """Skip everything, with the reason, where no real node can run."""
    if problem := requirements.missing():
        pytest.skip(f"real nodes cannot run here: {problem}")


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
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
        _add_outside(instance, folder.parent / "outside")
        installed.install(instance, tmp_path_factory.mktemp("checkout"), images.OPERATOR)
        yield instance
    finally:
        with instances.starting(instance):
            instances.stop(instance)


@pytest.fixture(scope="session")
def tenants(sandbox: Instance) -> Instance:
    """Two tenants, and probes in them and around them."""
    world.make(sandbox)
    return sandbox


def _add_outside(instance: Instance, program: Path) -> None:
    """Give the hub the addresses of what lies outside, with something that answers there."""
    images.compile_probe(program)
    inside = hub.inside(instance.record()["programs"]["hub"])
    addresses = (installed.METADATA, installed.OUTSIDE)
    for each in addresses:
        add = ["ip", "address", "add", f"{each}/32", "dev", layout.BRIDGE]
        subprocess.run([*inside, *add], check=True)
    # One that listens on every address would answer from another one.
    listening = [
        f"{protocol}/{address}/{port}" for address in addresses for protocol, port in world.PORTS
    ]
    control.attach(instance, "outside", [*inside, str(program), "serve", *listening])


