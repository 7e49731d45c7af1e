"""Which file makes which tenant on the control plane that files share.

Files run in any order on any worker, so the same name in two files fails only sometimes. Compared
at the end of a run, it fails always.
"""

import os
import re
import sys
from collections import defaultdict
from pathlib import Path

TESTS = Path(__file__).parent
_COUNTED = re.compile(r"tenant-\d+")
"""Names of the factory; no two in one process are the same."""
_made: defaultdict[str, set[str]] = defaultdict(set)


def record(kubeconfig: Path, name: str) -> None:
    """Record that a tenant is made; by the test, or by the fixture that makes it for several."""
    shared = f"/sandbox/test-{os.getpid()}/" in str(kubeconfig)
    if shared and not _COUNTED.fullmatch(name):
        _made[name].add(_author())


def made() -> dict[str, list[str]]:
    """Return the files by name."""
    return {name: sorted(files) for name, files in _made.items()}


def collect(others: dict[str, list[str]]) -> None:
    """Take what another process recorded."""
    for name, files in others.items():
        _made[name].update(files)


def problems() -> list[str]:
    """Say which names are used by more than one file."""
    return [
        f"SecureTenant {name} is made by {', '.join(sorted(files))}: give each a name of its own"
        for name, files in sorted(_made.items())
        if len(files) > 1
    ]


def _author() -> str:
    """Return the outermost file of tests on the stack: a test, or a conftest with a fixture."""
    found = ""
    frame = sys._getframe()
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(TESTS):
            found = str(path.relative_to(TESTS))
        if frame.f_back is None:
            break
        frame = frame.f_back
    return found
