"""What a release publishes, made once for the tests of its parts."""

import platform
import subprocess
import sys
from pathlib import Path

from harness import ROOT

REPOSITORY = "https://forge.example/o/r"
HERE = f"{sys.platform}-{'arm64' if platform.machine() in ('arm64', 'aarch64') else 'amd64'}"


def make(dist: Path) -> Path:
    """Make what a dry run makes; of the archives, only that of this machine and Python.

    The environment stands already, so make does not build one.
    """
    subprocess.run(
        [
            "make",
            "release-dry-run",
            "--old-file=.venv/ready",
            f"BIN={Path(sys.executable).parent}",
            f"DIST={dist}",
            f"REPOSITORY={REPOSITORY}",
            f"PLATFORMS={HERE}",
            f"PYTHONS={sys.version_info.major}.{sys.version_info.minor}",
        ],
        cwd=ROOT,
        check=True,
    )
    return dist
