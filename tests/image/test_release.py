"""What a release publishes, made here; the workflow adds the image, signs and publishes."""

import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest
import yaml

from harness import ROOT
from securetenant.sandbox import binaries

WORKFLOWS = ROOT / ".github" / "workflows"
EXAMPLES = ROOT / "examples" / "ci"


@pytest.fixture(scope="module")
def version() -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])


def test_a_dry_run_makes_package_charts_and_bill_of_materials_of_one_version(
    tmp_path: Path, version: str
) -> None:
    """The environment stands already, so make is told not to build one."""
    dist = tmp_path / "dist"
    subprocess.run(
        [
            "make",
            "release-dry-run",
            "--old-file=.venv/ready",
            f"BIN={Path(sys.executable).parent}",
            f"DIST={dist}",
        ],
        cwd=ROOT,
        check=True,
    )
    lines = (dist / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    sums = {name: digest for digest, name in map(str.split, lines)}
    assert sums.keys() == {
        f"securetenant_operator-{version}-py3-none-any.whl",
        f"securetenant_operator-{version}.tar.gz",
        f"securetenant-{version}.tgz",
        f"securetenant-crds-{version}.tgz",
        "sbom.cdx.json",
    }
    for name, digest in sums.items():
        assert hashlib.sha256((dist / name).read_bytes()).hexdigest() == digest
    for chart in ("securetenant", "securetenant-crds"):
        with tarfile.open(dist / f"{chart}-{version}.tgz") as opened:
            about = opened.extractfile(f"{chart}/Chart.yaml")
            assert about is not None
            assert yaml.safe_load(about)["appVersion"] == version
    materials = json.loads((dist / "sbom.cdx.json").read_text(encoding="utf-8"))
    assert materials["metadata"]["component"]["version"] == version
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    locked = set(re.findall(r"^([\w.-]+)==([\w.]+)", lock, re.MULTILINE))
    assert {(each["name"], each["version"]) for each in materials["components"]} == locked
    assert all("hashes" in each["externalReferences"][0] for each in materials["components"])


@pytest.mark.parametrize(
    "path",
    [*sorted(WORKFLOWS.glob("*.yml")), EXAMPLES / "github.yaml", EXAMPLES / "tenants.yaml"],
    ids=lambda path: path.stem,
)
def test_a_workflow_is_one_that_github_takes(path: Path) -> None:
    """As far as actionlint knows: fields, expressions, inputs of actions, what comes after what."""
    actionlint = binaries.locate(("actionlint",), lambda _: None)["actionlint"]
    # The same whether or not shellcheck and pyflakes are installed here.
    done = subprocess.run(
        [str(actionlint), "-shellcheck=", "-pyflakes=", "-no-color", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", sorted(WORKFLOWS.glob("*.yml")), ids=lambda path: path.stem)
def test_a_workflow_may_do_nothing_unless_it_says_so(path: Path) -> None:
    """A job gets the rights that it names; a repository's default may be to write."""
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] in ({}, {"contents": "read"})
    assert "secrets." not in path.read_text(encoding="utf-8")


def test_a_release_passes_every_check_before_anything_is_published() -> None:
    jobs = yaml.safe_load((WORKFLOWS / "release.yml").read_text(encoding="utf-8"))["jobs"]
    assert jobs["test"]["uses"] == "./.github/workflows/ci.yml"
    assert {name: job.get("needs") for name, job in jobs.items()} == {
        "test": None,
        "image": "test",
        "package": "image",
    }
