"""The control groups of the nodes: made before a node starts, removed when all its processes ended.

Both layouts are handled: one tree (version 2), and one tree per controller (version 1), in which
a new group has no processors and no memory until they are copied from its parent.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_GONE_SECONDS = 15.0
_CONTROLLERS = frozenset({"cpu", "memory", "pids"})
"""Without these a kubelet does not start."""


def missing() -> str:
    """Say what the machine's control groups lack; an empty string when they lack nothing."""
    if not _is_unified():
        absent = sorted(each for each in _CONTROLLERS if not (_ROOT / each).is_dir())
        return f"there is no control group for {', '.join(absent)}" if absent else ""
    there = (_ROOT / "cgroup.controllers").read_text(encoding="ascii").split()
    absent = sorted(_CONTROLLERS - set(there))
    return f"the control groups do not limit {', '.join(absent)}" if absent else ""


def of_instance(name: str) -> str:
    """Return the group that holds all nodes of an instance."""
    return f"/securetenant-sandbox-{name}"


def make(group: str) -> None:
    """Make a group, and below it one for the node's own programs."""
    path = Path(group.lstrip("/"))
    for tree in _trees():
        parent = tree
        for part in (*path.parts, "system"):
            if _is_unified():
                _delegate(parent)
            child = parent / part
            child.mkdir(exist_ok=True)
            for setting in ("cpuset.cpus", "cpuset.mems"):
                if not _is_unified() and (child / setting).exists():
                    (child / setting).write_text((parent / setting).read_text())
            parent = child


def join(group: str) -> None:
    """Put this process into the group of the node's own programs."""
    for tree in _trees():
        (tree / group.lstrip("/") / "system" / "cgroup.procs").write_text("0")


def clear(group: str) -> bool:
    """Remove a group and all below it, as a loss of power does; say whether nothing is left.

    What still has a process stays. A kubelet that finds groups of pods that are gone takes seconds
    over each.
    """
    folders = [tree / group.lstrip("/") for tree in _trees()]
    for each in folders:
        _remove_tree(each)
    return not any(each.is_dir() for each in folders)


def remove(name: str) -> bool:
    """Remove the groups of an instance once their processes ended; say whether none is left."""
    deadline = time.monotonic() + _GONE_SECONDS
    while left := _left(name):
        for tree in left:
            _remove_tree(tree)
        if time.monotonic() > deadline:
            return False
        if _left(name):
            time.sleep(0.05)
    return True


def _remove_tree(top: Path) -> None:
    for folder, _, _ in os.walk(top, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(folder)


def _left(name: str) -> list[Path]:
    group = of_instance(name).lstrip("/")
    return [tree / group for tree in _trees() if (tree / group).is_dir()]


def _trees() -> Iterator[Path]:
    """Yield the root of each hierarchy."""
    if _is_unified():
        yield _ROOT
        return
    if not _ROOT.is_dir():
        return
    for each in sorted(_ROOT.iterdir()):
        # Some are links to others, as cpu is to cpu,cpuacct.
        if each.is_dir() and not each.is_symlink():
            yield each


def _is_unified() -> bool:
    return (_ROOT / "cgroup.controllers").exists()


def _delegate(group: Path) -> None:
    """Give the controllers of a group to the groups below it."""
    there = (group / "cgroup.controllers").read_text(encoding="ascii").split()
    for each in there:
        with contextlib.suppress(OSError):
            (group / "cgroup.subtree_control").write_text(f"+{each}")
