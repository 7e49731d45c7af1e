"""Archives of the program with all that it needs, and the krew manifest that names them.

An archive runs where ``python3`` is of a version that is listed here: what is compiled in packages
is there once for each of them, and everything else once. Nothing is downloaded but the locked
wheels, each with its hash; none of it is run.
"""

import argparse
import filecmp
import gzip
import hashlib
import io
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
NAME = "securetenant"
BIN = f"kubectl-{NAME}"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PLATFORMS = {
    "linux-amd64": "x86_64-manylinux_2_28",
    "linux-arm64": "aarch64-manylinux_2_28",
    "darwin-amd64": "x86_64-apple-darwin",
    "darwin-arm64": "aarch64-apple-darwin",
}
"""As krew calls them, and as uv does."""
START = """\
#!/usr/bin/env python3
# Runs the program from this archive, wherever it was unpacked.
import os
import sys

if "%d.%d" % sys.version_info[:2] not in PYTHONS:
    sys.exit(
        "Error: python3 is %d.%d; this archive runs with Python %s: put one of these into PATH as"
        " python3" % (sys.version_info[0], sys.version_info[1], ", ".join(PYTHONS))
    )
sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "lib"))
from securetenant.cli.main import main

main()
"""


def main() -> None:
    """Write archives and manifest beside the wheel."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("dist", type=Path, help="the folder that holds the wheel")
    asked.add_argument("--repository", required=True, help="where releases are, without the tag")
    asked.add_argument("--uv", default="uv")
    asked.add_argument("--pythons", nargs="+", default=list(PYTHONS), choices=list(PYTHONS))
    asked.add_argument("--platforms", nargs="+", default=list(PLATFORMS), choices=list(PLATFORMS))
    given = asked.parse_args()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    version = str(project["version"])
    (wheel,) = given.dist.glob("*.whl")
    made = {}
    for platform in given.platforms:
        with tempfile.TemporaryDirectory() as folder:
            content = Path(folder) / "content"
            collect(content, wheel, platform, given.pythons, given.uv)
            archive = given.dist / f"{NAME}-{version}-{platform}.tar.gz"
            pack(content, archive)
        made[platform] = archive
        sys.stdout.write(f"{archive}\n")
    manifest = given.dist / f"{NAME}.yaml"
    text = yaml.safe_dump(
        plugin(version, str(project["description"]), given.pythons, given.repository, made),
        sort_keys=False,
    )
    manifest.write_text(text, encoding="utf-8")
    sys.stdout.write(f"{manifest}\n")


def collect(content: Path, wheel: Path, platform: str, pythons: Sequence[str], uv: str) -> None:
    """Put together what an archive holds."""
    lib = content / "lib"
    for python in pythons:
        with tempfile.TemporaryDirectory() as folder:
            install(Path(folder), wheel, platform, python, uv)
            merge(Path(folder), lib)
    start = content / BIN
    start.write_text(START.replace("PYTHONS", repr(tuple(pythons))), encoding="utf-8")
    start.chmod(0o755)
    shutil.copy(ROOT / "LICENSE", content)


def install(target: Path, wheel: Path, platform: str, python: str, uv: str) -> None:
    """Install the locked wheels of one platform and Python, and the program's own."""
    common = [uv, "pip", "install", "--quiet", "--no-config", "--no-deps", "--target", str(target)]
    common += ["--python", sys.executable, "--only-binary", ":all:", "--link-mode", "copy"]
    common += ["--python-platform", PLATFORMS[platform], "--python-version", python]
    lock = ROOT / "requirements-cli.lock"
    subprocess.run([*common, "--require-hashes", "--requirement", str(lock)], check=True)
    subprocess.run([*common, str(wheel)], check=True)
    # The other programs of packages, and uv's mark.
    shutil.rmtree(target / "bin", ignore_errors=True)
    (target / ".lock").unlink(missing_ok=True)


def merge(source: Path, target: Path) -> None:
    """Add files to those of other versions of Python; the same name has to be the same file."""
    for path in sorted(source.rglob("*")):
        if path.is_dir():
            continue
        there = target / path.relative_to(source)
        there.parent.mkdir(parents=True, exist_ok=True)
        if not there.exists():
            shutil.copy(path, there)
        elif not _is_about(path) and not filecmp.cmp(path, there, shallow=False):
            sys.exit(f"{path.relative_to(source)} is not the same for every version of Python")


def _is_about(path: Path) -> bool:
    """Tell whether a file says something about a wheel, such as for which Python it was made."""
    return any(each.name.endswith(".dist-info") for each in path.parents)


def pack(content: Path, archive: Path) -> None:
    """Write an archive whose bytes depend on nothing but what it holds."""
    text = io.BytesIO()
    with tarfile.open(fileobj=text, mode="w", format=tarfile.PAX_FORMAT) as opened:
        for path in sorted(content.rglob("*")):
            if path.is_dir():
                continue
            entry = tarfile.TarInfo(str(path.relative_to(content)))
            entry.size = path.stat().st_size
            entry.mode = 0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644
            with path.open("rb") as file:
                opened.addfile(entry, file)
    archive.write_bytes(gzip.compress(text.getvalue(), mtime=0))


def plugin(
    version: str,
    description: str,
    pythons: Sequence[str],
    repository: str,
    archives: dict[str, Path],
) -> dict[str, Any]:
    """Return the manifest of the plugin (krew, "Writing Krew plugin manifests")."""
    return {
        "apiVersion": "krew.googlecontainertools.github.com/v1alpha2",
        "kind": "Plugin",
        "metadata": {"name": NAME},
        "spec": {
            "version": f"v{version}",
            "homepage": repository,
            "shortDescription": "See, plan and prove the isolation of tenants",
            "description": f"{description}\n\nIt reads with the rights that you have, and says what"
            " it could not see.\n",
            "caveats": f"python3 in PATH has to be Python {', '.join(pythons)}.\n",
            "platforms": [_platform(version, repository, *each) for each in archives.items()],
        },
    }


def _platform(version: str, repository: str, platform: str, archive: Path) -> dict[str, Any]:
    system, _, machine = platform.partition("-")
    return {
        "selector": {"matchLabels": {"os": system, "arch": machine}},
        "uri": f"{repository}/releases/download/v{version}/{archive.name}",
        "sha256": hashlib.sha256(archive.read_bytes()).hexdigest(),
        "bin": BIN,
        "files": [{"from": each, "to": "."} for each in (BIN, "lib", "LICENSE")],
    }


if __name__ == "__main__":
    main()
