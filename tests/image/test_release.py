"""What a release publishes, made here; the workflow adds the image, signs and publishes."""

import hashlib
import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import ROOT, environment
from released import HERE, REPOSITORY
from securetenant.sandbox import binaries

WORKFLOWS = ROOT / ".github" / "workflows"
EXAMPLES = ROOT / "examples" / "ci"


@pytest.fixture(scope="module")
def version() -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])


def test_a_dry_run_makes_package_charts_and_bill_of_materials_of_one_version(
    dist: Path, version: str
) -> None:
    lines = (dist / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    sums = {name: digest for digest, name in map(str.split, lines)}
    assert sums.keys() == {
        f"securetenant_operator-{version}-py3-none-any.whl",
        f"securetenant_operator-{version}.tar.gz",
        f"securetenant-{version}.tgz",
        f"securetenant-crds-{version}.tgz",
        "sbom.cdx.json",
        f"securetenant-{version}-{HERE}.tar.gz",
        "securetenant.yaml",
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


@pytest.fixture(scope="module")
def plugin(dist: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((dist / "securetenant.yaml").read_text(encoding="utf-8"))
    return found


def test_the_plugin_is_what_krew_asks_for(plugin: dict[str, Any], dist: Path, version: str) -> None:
    """As its documentation says ("Writing Krew plugin manifests", "Naming Guide")."""
    assert plugin["apiVersion"] == "krew.googlecontainertools.github.com/v1alpha2"
    assert plugin["kind"] == "Plugin"
    assert re.fullmatch(r"[a-z][a-z0-9-]*", plugin["metadata"]["name"])
    spec = plugin["spec"]
    assert spec["version"] == f"v{version}"
    assert re.fullmatch(r"v\d+\.\d+\.\d+", spec["version"])
    assert len(spec["shortDescription"]) <= 50
    assert spec["shortDescription"][-1] != "."
    for each in spec["platforms"]:
        name = each["uri"].removeprefix(f"{REPOSITORY}/releases/download/v{version}/")
        archive = dist / name
        assert hashlib.sha256(archive.read_bytes()).hexdigest() == each["sha256"]
        labels = each["selector"]["matchLabels"]
        assert name == f"securetenant-{version}-{labels['os']}-{labels['arch']}.tar.gz"
        with tarfile.open(archive) as opened:
            entries = {entry.name: entry for entry in opened}
        assert entries[each["bin"]].mode & 0o111
        tops = {entry.partition("/")[0] for entry in entries}
        assert tops == {part["from"] for part in each["files"]}
        assert not any("AppleDouble" in entry or entry.startswith("/") for entry in entries)


def test_krew_installs_the_plugin_and_it_runs_by_itself(
    plugin: dict[str, Any], dist: Path, version: str, tmp_path: Path
) -> None:
    """With a Python that has no package but its own, and no other program."""
    krew = binaries.locate(("krew",), lambda _: None)["krew"]
    archive = dist / f"securetenant-{version}-{HERE}.tar.gz"
    subprocess.run(
        [str(krew), "install", f"--manifest={dist}/securetenant.yaml", f"--archive={archive}"],
        env=environment(KREW_ROOT=str(tmp_path)),
        stdin=subprocess.DEVNULL,
        check=True,
    )
    programs = tmp_path / "python"
    programs.mkdir()
    (programs / "python3").symlink_to(Path(sys.base_prefix) / "bin" / "python3")
    path = f"{programs}{os.pathsep}/usr/bin{os.pathsep}/bin"

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [str(tmp_path / "bin" / plugin["spec"]["platforms"][0]["bin"]), *arguments],
            cwd=ROOT,
            env={"PATH": path, "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert version in run("--version")
    files = ("examples/peers", "manifests/settings/default.yaml")
    same = [part for each in files for part in ("-f", each, "--base", each)]
    assert run("plan", "--offline", *same) == "Nothing changes.\n"


def test_each_program_is_locked_in_one_version() -> None:
    """The archive holds what the tests run with."""

    def versions(name: str) -> set[str]:
        text = (ROOT / name).read_text(encoding="utf-8")
        return set(re.findall(r"^([a-z0-9._-]+==\S+)", text, re.MULTILINE))

    assert versions("requirements.lock") < versions("requirements-cli.lock")
    assert versions("requirements-cli.lock") < versions("requirements-dev.lock")


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
        "archives": "image",
        "package": "image",
    }
