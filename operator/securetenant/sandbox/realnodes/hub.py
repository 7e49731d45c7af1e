"""The network namespace of the control plane, the bridge in it, and the cables to the nodes."""

import os
import subprocess
import sys
from pathlib import Path

from securetenant.sandbox.errors import SandboxError
from securetenant.sandbox.realnodes import layout
from securetenant.sandbox.realnodes.layout import RealNode


def command() -> list[str]:
    """Return the command line of the process that holds the namespace."""
    return ["unshare", "--net", "--", "sleep", "infinity"]


def inside(pid: int) -> list[str]:
    """Return what to put before a command line to run it in the namespace of that process."""
    return ["nsenter", f"--net=/proc/{pid}/ns/net", "--"]


def is_apart(pid: int) -> bool:
    """Tell whether a process already has a network namespace other than this process'."""
    try:
        theirs = os.stat(f"/proc/{pid}/ns/net")
    except OSError:
        return False
    return theirs.st_ino != os.stat("/proc/self/ns/net").st_ino


def door(port: int, pid: int) -> list[str]:
    """Return the command line of the door to the API server."""
    module = "securetenant.sandbox.realnodes.door"
    return [sys.executable, "-m", module, str(port), f"/proc/{pid}/ns/net"]


def registry(images: Path) -> list[str]:
    """Return the command line of the registry."""
    module = "securetenant.sandbox.realnodes.registry"
    return [sys.executable, "-m", module, layout.HUB, str(layout.REGISTRY_PORT), str(images)]


def node(file: Path) -> list[str]:
    """Return the command line of a node; killing it kills everything in the node."""
    module = "securetenant.sandbox.realnodes.node"
    namespaces = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    return ["unshare", *namespaces, "--", sys.executable, "-m", module, str(file)]


def configure(pid: int, nodes: tuple[RealNode, ...]) -> None:
    """Make the bridge, and the ways to the pods."""
    _ip(
        pid,
        "link set lo up",
        f"link add {layout.BRIDGE} type bridge",
        f"address add {layout.HUB}/{layout.NETWORK_BITS} dev {layout.BRIDGE}",
        f"link set {layout.BRIDGE} up",
        *(f"route add {node.pods} via {node.address}" for node in nodes),
    )


def connect(pid: int, to: RealNode, node_pid: int) -> None:
    """Lay the cable to a node; it goes with the node's namespace."""
    _ip(
        pid,
        f"link add {to.veth} type veth peer name eth0 netns {node_pid}",
        f"link set {to.veth} master {layout.BRIDGE} up",
    )


def disconnect(pid: int, node: RealNode) -> None:
    """Take the cable away that led to a node which ended, if it is still there."""
    _call(pid, f"link delete {node.veth}")


def _ip(pid: int, *lines: str) -> None:
    done = _call(pid, *lines)
    if done.returncode != 0:
        raise SandboxError(
            f"The network of the nodes could not be made: {' '.join(done.stderr.split())}.",
            remedy="This kernel may lack bridges or veth devices; use --nodes instead.",
        )


def _call(pid: int, *lines: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*inside(pid), "ip", "-batch", "-"],
        input="\n".join(lines) + "\n",
        capture_output=True,
        text=True,
        check=False,
    )
