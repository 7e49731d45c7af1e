"""One sandbox instance: its folder, its options, and whether it runs.

A lock file that the supervisor holds for its whole life says "running": unlike a recorded
pid it cannot be wrong after a crash or a reboot.
"""

import contextlib
import dataclasses
import fcntl
import json
import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from securetenant.sandbox import folders, pki
from securetenant.sandbox.errors import SandboxError
from securetenant.sandbox.realnodes import cgroups

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
_STOP_SECONDS = 30.0

Phase = Literal["starting", "running", "crashed", "absent"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What ``up`` was asked for."""

    nodes: int = 0
    node_labels: tuple[str, ...] = ()
    real_nodes: int = 0
    """How many nodes run containers, see :mod:`securetenant.sandbox.realnodes`."""
    pods_pids: int = 256
    """How many processes a pod on a real node can have."""
    audit: bool = False
    fsync: bool = False
    emulated_version: str = ""
    port: int = 0
    """The API server's port; 0 picks a free one."""
    restart: bool = False
    """Start a program again when it ends, as a kubelet would: for fault tests."""
    in_flight: int = 0
    """How many requests the API server works on at a time; 0 leaves it at its own limits."""
    default_rates: bool = False
    """Leave the controller-manager at its own client limits: for measurements."""
    store: str = ""
    """A folder of etcd, of a control plane of the same version; this one begins with a copy."""
    type_checks: bool = True
    """Have the controller-manager check the types of admission policies, which takes it seconds."""


@dataclass(frozen=True, kw_only=True)
class Instance:
    """The files of one named instance; making this value touches nothing."""

    name: str

    @property
    def folder(self) -> Path:
        """Return the folder of everything that belongs to the instance."""
        return folders.state() / self.name

    @property
    def pki(self) -> Path:
        """Return the folder of keys and certificates."""
        return self.folder / "pki"

    @property
    def etcd(self) -> Path:
        """Return the folder of the store."""
        return self.folder / "etcd"

    @property
    def logs(self) -> Path:
        """Return the folder with one log per program."""
        return self.folder / "log"

    @property
    def audit_log(self) -> Path:
        """Return the audit log, one JSON event a line (only with ``audit``)."""
        return self.folder / "audit.log"

    @property
    def admin_kubeconfig(self) -> Path:
        """Return the administrator's kubeconfig."""
        return self.folder / "admin.kubeconfig"

    @property
    def tokens(self) -> Path:
        """Return the folder of ServiceAccount tokens that the supervisor renews."""
        return self.folder / "tokens"

    @property
    def attached(self) -> Path:
        """Return the folder of programs that run for as long as the sandbox."""
        return self.folder / "attached"

    @property
    def record_path(self) -> Path:
        """Return the file in which the supervisor says what it runs."""
        return self.folder / "instance.json"

    @property
    def lock_path(self) -> Path:
        """Return the lock that the supervisor holds; next to the folder, so it outlives it."""
        return folders.state() / f"{self.name}.lock"

    def record(self) -> dict[str, Any]:
        """Return what the supervisor wrote, or an empty mapping."""
        try:
            value = json.loads(self.record_path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return value if isinstance(value, dict) else {}

    def write_record(self, record: dict[str, Any]) -> None:
        """Replace the record as a whole."""
        pki.write_private(self.record_path, json.dumps(record, indent=1).encode())

    def phase(self) -> Phase:
        """Return whether the instance runs, judged by the lock and then by the record."""
        if is_held(self.lock_path):
            return "running" if self.record().get("ready") else "starting"
        return "crashed" if self.folder.exists() else "absent"

    def server(self) -> str:
        """Return the API server's URL."""
        return f"https://127.0.0.1:{self.record()['port']}"


def named(name: str) -> Instance:
    """Return the instance of that name, or raise if no folder may be called so."""
    if not _NAME.fullmatch(name):
        raise SandboxError(
            f"{name!r} cannot be the name of a sandbox.",
            remedy="Use up to 32 lower-case letters, digits and dashes.",
        )
    return Instance(name=name)


def all_instances() -> tuple[Instance, ...]:
    """Return every instance that has a folder, by name."""
    root = folders.state()
    if not root.is_dir():
        return ()
    return tuple(Instance(name=each.name) for each in sorted(root.iterdir()) if each.is_dir())


def is_held(path: Path) -> bool:
    """Tell whether some process holds the lock of that file."""
    try:
        handle = path.open("r", encoding="utf-8")
    except FileNotFoundError:
        return False
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextlib.contextmanager
def starting(instance: Instance) -> Iterator[None]:
    """Hold the right to start or stop the instance, so that two ``up`` do not race."""
    folder = folders.state()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = (folder / f"{instance.name}.starting").open("w", encoding="utf-8")
    except OSError as error:
        raise SandboxError(
            f"Cannot write to {folder}: {os.strerror(error.errno or 0)}.",
            remedy="Free some space there, or set XDG_STATE_HOME to a folder that you may"
            " write to.",
        ) from error
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def stop(instance: Instance) -> bool:
    """End the instance and remove its folder; return whether there was anything to end."""
    phase = instance.phase()
    if phase == "absent":
        return False
    pid = instance.record().get("pid")
    if is_held(instance.lock_path) and isinstance(pid, int):
        # The lock is held, so this pid is the supervisor's and nobody else's.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        while is_held(instance.lock_path):
            if time.monotonic() > deadline:
                raise SandboxError(
                    f"The supervisor of sandbox {instance.name} (pid {pid}) did not end within"
                    f" {_STOP_SECONDS:.0f} s.",
                    remedy=f"End it with `kill -9 {pid}`: its programs die with it.",
                )
            time.sleep(0.02)
    remove(instance)
    return True


def remove(instance: Instance) -> None:
    """Remove the folder of an instance that does not run, and the control groups of its nodes."""
    if not cgroups.remove(instance.name):
        raise SandboxError(
            f"Processes of sandbox {instance.name} do not end:"
            f" control group {cgroups.of_instance(instance.name)} is not empty.",
            remedy="Run `securetenant sandbox down` again.",
        )
    shutil.rmtree(instance.folder, ignore_errors=True)
    instance.lock_path.unlink(missing_ok=True)


def options_record(options: Options) -> dict[str, Any]:
    """Return the options as plain data."""
    return dataclasses.asdict(options)
