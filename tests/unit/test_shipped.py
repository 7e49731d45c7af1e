"""What belongs to this version: two files of the package, which `make crds` writes."""

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import documents
from harness import ROOT
from securetenant.api.objects import Body
from securetenant.plan import pack, roles, shipped

PACKAGE = ROOT / "operator" / "securetenant"
READERS = {"pack.sums": pack.read, "roles.tsv": roles.read}


def text(file: str) -> str:
    return (PACKAGE / "plan" / file).read_text(encoding="utf-8")


def manifests() -> list[Body]:
    return documents.within(ROOT / "manifests")


def test_the_files_say_what_the_manifests_hold() -> None:
    assert text("pack.sums") == pack.write(manifests())
    assert text("roles.tsv") == roles.write(manifests())


def test_what_is_written_is_what_is_read() -> None:
    lines = [f"{digest}  {ref.kind} {ref.name}\n" for ref, digest in shipped.DIGESTS.items()]
    assert "".join(lines) == text("pack.sums")
    rows = [
        f"{name}\t{what}\t{' '.join(sorted(verbs))}\n"
        for name, allowed in shipped.ROLES.items()
        for what, verbs in allowed.items()
    ]
    assert "".join(rows) == text("roles.tsv")


DAMAGE: dict[str, Callable[[str], str]] = {
    "empty": lambda _: "",
    "cut in the middle of a line": lambda whole: whole[: len(whole) // 2 + 3],
    "cut before its last line end": lambda whole: whole[:-1],
    "cut after half of its lines": lambda whole: "".join(whole.splitlines(keepends=True)[:10]),
    "with an empty line": lambda whole: f"{whole}\n",
    "of one column": lambda _: "securetenant-operator\n",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("file", READERS)
def test_a_damaged_file_is_not_read(file: str, damage: Callable[[str], str]) -> None:
    """A line that is lost is a policy or a right that nobody would miss."""
    with pytest.raises(ValueError, match="line"):
        READERS[file](damage(text(file)))


@pytest.fixture
def copy(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a way to run programs of a copy of the package, which may be damaged."""
    ignored = shutil.ignore_patterns("__pycache__", "modules")
    shutil.copytree(PACKAGE, tmp_path / "securetenant", ignore=ignored)

    def run(*arguments: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", *map(str, arguments)],
            env={"PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.mark.parametrize("file", READERS)
def test_without_them_the_operator_does_not_start_and_one_command_mends_it(
    copy: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, file: str
) -> None:
    """`make crds` must not need what it writes."""
    target = tmp_path / "securetenant" / "plan" / file
    target.unlink()
    for command in (("securetenant.cli.run", "--help"), ("securetenant", "pack")):
        done = copy(*command)
        assert done.returncode != 0
        assert f"{file} of securetenant.plan is missing or damaged" in done.stderr
        assert done.stderr.endswith("Run: make crds\n")
    assert copy("securetenant", "pack", ROOT / "manifests", "--check").returncode == 1
    assert copy("securetenant", "pack", ROOT / "manifests", "--write").returncode == 0
    assert copy("securetenant", "pack", ROOT / "manifests", "--check").returncode == 0
    assert target.read_text(encoding="utf-8") == text(file)
    assert copy("securetenant", "pack").stdout == text("pack.sums")


def test_the_wheel_holds_every_file_that_the_package_reads(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        names = set(opened.namelist())
    read = ("plan/pack.sums", "plan/roles.tsv", "sandbox/pins.toml", "sandbox/stages.yaml")
    assert {f"securetenant/{each}" for each in read} <= names


def test_one_policy_that_was_changed_is_to_be_installed_again() -> None:
    seen = {**shipped.DIGESTS}
    seen[next(ref for ref in seen if ref.name == "securetenant-gate")] = "another"
    told = pack.problem(seen, shipped.DIGESTS, mutates=True)
    assert told.endswith("was changed. Install the policies: kubectl apply -k manifests/policies")


def test_many_that_were_changed_may_be_those_of_another_version() -> None:
    """The command of the message would take back an upgrade that somebody is at."""
    seen = dict.fromkeys(shipped.DIGESTS, "another")
    told = pack.problem(seen, shipped.DIGESTS, mutates=True)
    assert "If you install another version, start its operator. If not, install" in told
