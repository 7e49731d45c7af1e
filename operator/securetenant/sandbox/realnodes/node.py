"""The first process of a node: makes the node's files and network, then keeps its programs running.

Run as ``python -m securetenant.sandbox.realnodes.node FILE`` in new network, mount and process
namespaces. When it ends the kernel ends every process of the node, containers included. A program
that ends is started again, unless a file of its name lies in the folder ``hold``: such a file also
ends the program at once, as a crash would. A folder is read and no signal is awaited, so that a
test needs no way into the node.
"""

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from securetenant.sandbox.realnodes import cgroups

_TICK_SECONDS = 0.1
_AGAIN_SECONDS = 1.0
"""How long after its start a program that ended is started again."""
_NETWORK_SECONDS = 20.0
_FILES = 65536
_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
_FILTERS = ("all", "default")


class Node:
    """The programs of one node."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self._pids: dict[str, int] = {}
        self._started: dict[str, float] = {}
        self._written: dict[str, int] | None = None

    def run(self) -> None:
        """Run until killed."""
        settings = self._settings
        cgroups.join(settings["group"])
        _mount(settings["binds"])
        _connect(settings["network"])
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(_FILES, most), most))
        os.environ["PATH"] = f"{settings['path']}:{os.environ['PATH']}"
        while True:
            self._reap()
            for name, command in settings["programs"].items():
                self._care_for(name, command)
            if self._pids != self._written:
                self._write()
            time.sleep(_TICK_SECONDS)

    def _care_for(self, name: str, command: list[str]) -> None:
        """Start, keep or end a program."""
        is_held = Path(self._settings["hold"], name).exists()
        pid = self._pids.get(name)
        if pid is not None:
            if is_held:
                os.kill(pid, signal.SIGKILL)
            return
        recently = time.monotonic() - self._started.get(name, -_AGAIN_SECONDS) < _AGAIN_SECONDS
        if is_held or recently or not (name == "containerd" or self._serves_containers()):
            return
        self._started[name] = time.monotonic()
        log = Path(self._settings["logs"], f"{name}.log")
        # No Popen, which would wait for its child on its own: _reap has to see each end.
        self._pids[name] = os.posix_spawn(
            command[0],
            command,
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
            setsigdef=[signal.SIGPIPE],
        )

    def _serves_containers(self) -> bool:
        """Tell whether containerd answers, or was started before: only the first start waits."""
        if len(self._started) > 1:
            return True
        with socket.socket(socket.AF_UNIX) as tried:
            try:
                tried.connect(self._settings["socket"])
            except OSError:
                return False
        return True

    def _reap(self) -> None:
        """Take notice of everything that ended: a first process inherits all orphans."""
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._pids = {name: each for name, each in self._pids.items() if each != pid}

    def _write(self) -> None:
        self._written = dict(self._pids)
        state = Path(self._settings["state"])
        making = state.with_suffix(".new")
        making.write_text(json.dumps(self._written), encoding="ascii")
        making.replace(state)


def _mount(binds: list[list[str]]) -> None:
    """Give the node folders of its own where its programs have theirs."""
    _call("mount", "--make-rshared", "/")
    for source, target in binds:
        _call("mount", "--bind", source, target)
    _call("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    for folder in ("containerd", "lock", "netns", "proc"):
        Path("/run", folder).mkdir()
    # A container with users of its own gets a /proc only where one is seen that nothing covers.
    _call("mount", "-t", "proc", "proc", "/run/proc")
    _call("mount", "--make-rshared", "/run")


def _connect(lines: list[str]) -> None:
    """Wait for the cable, then take the address and learn the ways."""
    deadline = time.monotonic() + _NETWORK_SECONDS
    while "eth0" not in {name for _, name in socket.if_nameindex()}:
        if time.monotonic() > deadline:
            raise TimeoutError("no cable came")
        time.sleep(0.02)
    _call("ip", "-batch", "-", stdin="\n".join(lines) + "\n")
    _FORWARD.write_text("1", encoding="ascii")
    for each in _FILTERS:
        Path(f"/proc/sys/net/ipv4/conf/{each}/rp_filter").write_text("0", encoding="ascii")


def _call(*command: str, stdin: str = "") -> None:
    subprocess.run(command, input=stdin, text=True, check=True)


def main() -> None:
    """Run the node that the file describes."""
    Node(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))).run()


if __name__ == "__main__":
    main()
