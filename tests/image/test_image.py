"""The image, built for real: what is in it, and that it runs as the Deployment says.

Its bases here are stand-ins made of the same Debian release: a registry is not asked. So this says
what the Dockerfile adds to a base, not what is in the bases that it names.
"""

import json
import os
import re
import signal
import stat
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

import debian_base
from conftest import settled
from containers import Images, specification
from factory import tenant
from harness import OPERATOR, ROOT, Api, Operator, kubectl, wait_for
from securetenant.api import kinds
from securetenant.sandbox.instances import Instance

# Packages of Debian and of Python are downloaded, when the cache is cold.
pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True, kw_only=True)
class Built:
    """The image and the one under it, as files, and what the image says of itself."""

    images: Images
    name: str
    files: Path
    base: Path
    configuration: dict[str, Any]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    # Here and not in a mark: it asks apt, which is of no use to those who only collect tests.
    if lacking := debian_base.missing():
        pytest.skip(lacking)
    folder = tmp_path_factory.mktemp("images")
    images = Images(folder)
    debian_base.make_runtime(folder / "runtime")
    debian_base.make_build(folder / "build")
    image = images.build(
        ROOT,
        "operator",
        BUILD_BASE=images.pack(folder / "build", "build"),
        RUNTIME_BASE=images.pack(folder / "runtime", "runtime"),
    )
    with images.mounted(image) as files:
        yield Built(
            images=images,
            name=image,
            files=files,
            base=folder / "runtime",
            configuration=images.configuration(image),
        )


def listed(root: Path) -> set[str]:
    """Return every path under a folder, relative to it."""
    return {
        str(Path(folder, name).relative_to(root))
        for folder, folders, files in os.walk(root)
        for name in (*folders, *files)
    }


def test_it_adds_one_folder_to_its_base(built: Built) -> None:
    """So it has a shell or a package manager exactly if its base has one. The stand-in has none."""
    added = listed(built.files) - listed(built.base)
    assert {path.partition("/")[0] for path in added} == {"app"}
    assert not listed(built.base) - listed(built.files)
    programs = {path.name for path in (built.files / "usr/bin").iterdir()}
    assert not programs & {"sh", "bash", "dash", "busybox", "apt-get", "dpkg", "pip", "pip3"}


def test_it_holds_the_locked_packages_and_nothing_else_that_is_installed(built: Built) -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    locked = set(re.findall(r"^([a-z0-9-]+==[^ ]+)", lock, re.MULTILINE))
    found = set()
    for metadata in (built.files / "app").glob("*.dist-info"):
        name, _, version = metadata.name.removesuffix(".dist-info").partition("-")
        found.add(f"{name.replace('_', '-').lower()}=={version}")
    assert found == locked
    assert not {path.name for path in (built.files / "app").iterdir()} & {
        "bin",
        "cryptography",
        "pip",
        "pytest",
        "rich",
        "tests",
        "uv",
    }


def test_of_ours_it_holds_the_operator_alone(built: Built) -> None:
    ours = built.files / "app/securetenant"
    assert (built.files / "app/LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert not (ours / "sandbox").exists()
    assert not (ours / "answers").exists()
    commands = {path.name for path in (ours / "cli").glob("*.py")}
    assert commands == {"__init__.py", "probe.py", "run.py"}
    files = [path for path in ours.rglob("*") if path.is_file()]
    data = {str(path.relative_to(ours)) for path in files if path.suffix not in {".py", ".pyc"}}
    assert data == {"plan/pack.sums", "plan/roles.tsv"}


def test_nothing_in_it_can_be_changed_by_its_user_or_gives_rights(built: Built) -> None:
    assert built.configuration["User"] == "65532:65532"
    for path in built.files.rglob("*"):
        found = path.lstat()
        if stat.S_ISLNK(found.st_mode):
            continue
        assert found.st_uid == 0, path
        assert not found.st_mode & (stat.S_ISUID | stat.S_ISGID | stat.S_IWOTH), path


def test_it_is_of_a_size_that_a_node_pulls_in_seconds(built: Built) -> None:
    """Unpacked, beside its base: twice as much would be something that crept in."""
    sizes = (path.lstat().st_size for path in (built.files / "app").rglob("*") if path.is_file())
    assert sum(sizes) < 200 * 2**20


@pytest.fixture
def root(built: Built) -> Iterator[Path]:
    """Files of the image of one's own: a runtime makes places for its mounts in them."""
    with built.images.mounted(built.name) as files:
        yield files


def deployed() -> dict[str, Any]:
    """Return the pod of the Deployment, as it is written."""
    text = (ROOT / "manifests/operator/deployment.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)["spec"]["template"]["spec"]
    return found


def test_it_makes_a_tenant_ready_as_the_deployment_runs_it(
    built: Built, root: Path, sandbox: Instance, admin: Api, operator: Operator, tmp_path: Path
) -> None:
    """Not root, no capability, nothing to write to, the token where a kubelet puts it."""
    pod, account, bundle = deployed(), tmp_path / "account", tmp_path / "bundle"
    user = pod["securityContext"]["runAsUser"]
    account.mkdir()
    bundle.mkdir()
    namespace, name = OPERATOR
    token = kubectl(sandbox, "create", "token", name, f"-n{namespace}", "--duration=600s")
    (account / "token").write_text(token)
    (account / "token").chmod(0o600)
    os.chown(account / "token", user, user)
    (account / "ca.crt").write_bytes((sandbox.pki / "ca.crt").read_bytes())
    env = {
        "status.podIP": "127.0.0.1",
        "KUBERNETES_SERVICE_HOST": "127.0.0.1",
        "KUBERNETES_SERVICE_PORT": str(sandbox.record()["port"]),
        # The machine's network is used, where port 8080 may be somebody's.
        "SECURETENANT_RUN_PORT": "0",
    }
    asked = specification(pod, built.configuration, root=root, account=account, env=env)
    (bundle / "config.json").write_text(json.dumps(asked))
    log = tmp_path / "log"
    # Nothing else runs the operator meanwhile.
    assert operator.stop() == 0
    with log.open("wb") as out:
        process = subprocess.Popen(
            ["runc", f"--root={tmp_path}/runc", "run", f"--bundle={bundle}", f"op-{os.getpid()}"],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    try:
        wait_for(lambda: '"Running"' in log.read_text(), what="the operator to run", seconds=60)
        admin.apply(kinds.SECURE_TENANT, tenant("imaged"), manager="test").ok()
        settled(admin, "imaged")
        port = re.findall(r'"port": (\d+)', log.read_text())[-1]
        (container,) = pod["containers"]
        for probe in ("livenessProbe", "readinessProbe"):
            path = container[probe]["httpGet"]["path"]
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                assert answer.read() == b"ok\n"
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(30)
        operator.start()
    assert code == 0, log.read_text()
    assert "Traceback" not in log.read_text()
