"""A cluster of kind, by the fixture of pytest-kind, with the product on it as a pod.

The workflow ``kind`` makes the cluster and installs a network plugin; by hand the same commands do.
``make test`` collects these tests and skips them.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e import images, installed, world
from harness import ROOT
from kind import cluster
from securetenant.sandbox import instances
from securetenant.sandbox.instances import Instance


def _missing(config: pytest.Config) -> str:
    """Say what keeps these tests from running; an empty string when nothing does."""
    if not config.pluginmanager.hasplugin("pytest-kind"):
        return "pytest-kind is not loaded: pytest -p pytest-kind tests/kind"
    if shutil.which("docker") is None:
        return "there is no docker in PATH"
    asked = ["docker", "version", "--format", "{{.Server.Version}}"]
    if subprocess.run(asked, capture_output=True, check=False).returncode != 0:
        return "no Docker daemon answers"
    return ""


@pytest.fixture(scope="session", autouse=True)
def _machine(request: pytest.FixtureRequest) -> None:
    """Skip everything, with the reason, where there is no Docker."""
    if problem := _missing(request.config):
        pytest.skip(f"kind cannot run here: {problem}")


@pytest.fixture(scope="session")
def kind(
    _machine: None, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Instance]:
    """The cluster, with what the other helpers need to know of it."""
    made = request.getfixturevalue("kind_cluster")
    made.ensure_kubectl()
    instance = instances.named(f"kind-{os.getpid()}")
    instance.folder.mkdir(parents=True)
    try:
        instance.write_record({"binaries": {"kubectl": str(Path(made.kubectl_path).resolve())}})
        cluster.write_kubeconfig(instance, Path(made.kubeconfig_path))
        operator, probe = f"{images.OPERATOR}:{images.VERSION}", images.PROBE
        cluster.docker("build", f"--tag={operator}", str(ROOT))
        archive = tmp_path_factory.mktemp("images") / "probe.tar"
        images.build_probe(archive)
        cluster.docker("load", f"--input={archive}")
        for each in (operator, probe):
            made.load_docker_image(each)
        folder = tmp_path_factory.mktemp("checkout")
        installed.install(instance, folder, images.OPERATOR, cluster.settings(instance))
        yield instance
    finally:
        shutil.rmtree(instance.folder)


@pytest.fixture(scope="session")
def tenants(kind: Instance) -> Instance:
    """Two tenants, and probes in them and around them."""
    world.make(kind, cluster.CAST)
    return kind
