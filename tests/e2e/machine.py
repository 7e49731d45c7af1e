"""What a sandbox changes on this machine: looked at while it runs, and after it ended."""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from securetenant.sandbox.instances import Instance
from securetenant.sandbox.realnodes import files

_FOLDERS = ("/etc/cni", "/etc/nri", "/opt", "/run", "/usr/libexec", "/var/lib", "/var/log")
"""Where a kubelet and containerd make folders, on a machine that is theirs."""
_NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")


@dataclass(frozen=True, kw_only=True)
class Traces:
    """All that belongs to one sandbox and not to its folder."""

    processes: frozenset[tuple[int, str]]
    """Process id, and the moment of its start: ids come again."""
    namespaces: frozenset[tuple[str, int]]
    """Kind and number, of those that only processes of the sandbox are in."""
    groups: frozenset[str]


def traces(instance: Instance) -> Traces:
    """Return what there is of a running sandbox."""
    pids = _descendants(instance.record()["pid"])
    ours = {(kind, _namespace(os.getpid(), kind)) for kind in _NAMESPACES}
    found = {(kind, _namespace(pid, kind)) for pid in pids for kind in _NAMESPACES}
    return Traces(
        processes=frozenset((pid, _started(pid)) for pid in pids),
        namespaces=frozenset((kind, number) for kind, number in found - ours if number),
        groups=frozenset(_groups(instance)),
    )


def left_of(before: Traces) -> dict[str, str]:
    """Return what is still there, by kind."""
    pids = [int(each) for each in os.listdir("/proc") if each.isdecimal() and _stat(int(each))]
    namespaces = {(kind, _namespace(pid, kind)) for pid in pids for kind in _NAMESPACES}
    found = {
        "processes": {each for each in before.processes if _started(each[0]) == each[1]},
        "namespaces": before.namespaces & namespaces,
        "control groups": {each for each in before.groups if Path(each).exists()},
    }
    return {kind: str(each) for kind, each in found.items() if each}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the machine has for itself, and a sandbox has to leave alone."""

    mounts: tuple[str, ...]
    interfaces: tuple[str, ...]
    sysctls: tuple[str, ...]
    folders: tuple[str, ...]


def settings(instance: Instance) -> Settings:
    """Return what the machine has now, but for other sandboxes' files in it."""
    return Settings(
        mounts=tuple(
            sorted(
                line.split()[4]
                for line in Path("/proc/self/mountinfo").read_text().splitlines()
                if instance.name in line or "/sandbox/" not in line
            )
        ),
        interfaces=tuple(sorted(os.listdir("/sys/class/net"))),
        sysctls=tuple(f"{each}={Path('/proc/sys', each).read_text()}" for each in files.SYSCTLS),
        folders=tuple(
            sorted(
                str(path)
                for folder in map(Path, _FOLDERS)
                if folder.is_dir()
                for path in folder.iterdir()
                if path.is_dir()
            )
        ),
    )


def _descendants(pid: int) -> set[int]:
    parents = {}
    for each in os.listdir("/proc"):
        if each.isdecimal() and (stat := _stat(int(each))):
            parents[int(each)] = int(stat[1])
    found = {pid}
    while more := {each for each, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def _stat(pid: int) -> list[str]:
    """Return the fields of a process after its name; nothing when it is gone, or a zombie."""
    with contextlib.suppress(OSError):
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        fields = text.rpartition(")")[2].split()
        return fields if fields[0] != "Z" else []
    return []


def _started(pid: int) -> str:
    return next(iter(_stat(pid)[19:20]), "")


def _namespace(pid: int, kind: str) -> int:
    with contextlib.suppress(OSError):
        return os.stat(f"/proc/{pid}/ns/{kind}").st_ino
    return 0


def _groups(instance: Instance) -> list[str]:
    return [
        folder
        for folder, _, _ in os.walk("/sys/fs/cgroup")
        if f"securetenant-sandbox-{instance.name}" in folder
    ]
