"""Older versions of this repository, from its history."""

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from harness import ROOT


def tree(commit: str, folder: Path) -> Path:
    """Return the folder ``operator`` of a version; skip the test where the history is too short.

    Next to it are ``crds`` and ``manifests``.
    """
    done = subprocess.run(
        ["git", "archive", commit, "operator", "crds", "manifests"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"the history of this clone does not reach back to {commit}")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder / "operator"
