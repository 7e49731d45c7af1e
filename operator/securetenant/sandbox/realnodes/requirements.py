"""Whether this machine can run real nodes; if not, what it lacks."""

import os
import shutil
import sys
from pathlib import Path

from securetenant.sandbox import folders
from securetenant.sandbox.errors import SandboxError
from securetenant.sandbox.realnodes import cgroups

_PROGRAMS = {"ip": "iproute2", "nsenter": "util-linux", "unshare": "util-linux"}
"""Program and the package of Debian that holds it."""
_PROXIES = ("nft", "iptables")
"""What kube-proxy can write its rules with, the better one first."""


def check() -> None:
    """Raise a :class:`SandboxError` when real nodes cannot run here."""
    if problem := missing():
        raise SandboxError(
            f"Real nodes cannot run here: {problem}.",
            remedy="Use --nodes, which runs no containers, or another machine.",
        )


def missing() -> str:
    """Say what this machine lacks; an empty string when it lacks nothing."""
    if os.geteuid() != 0:
        return "only root can make namespaces and control groups for containers"
    if problem := cgroups.missing():
        return problem
    absent = [f"{name} (package {_PROGRAMS[name]})" for name in _PROGRAMS if not shutil.which(name)]
    if not proxy_mode():
        absent.append("nft (package nftables) or iptables")
    if absent:
        return f"these programs are not in PATH: {', '.join(absent)}"
    kinds = Path("/proc/filesystems").read_text(encoding="ascii").split()
    if "overlay" not in kinds:
        return "the kernel has no overlay file system"
    # A node has its own folder there, under which these would be hidden.
    for path in (folders.state(), folders.cache(), Path(sys.executable)):
        if path.resolve().is_relative_to("/var/lib"):
            return f"{path} is below /var/lib"
    return ""


def proxy_mode() -> str:
    """Return the mode of kube-proxy that this machine can run, or an empty string."""
    found = next((each for each in _PROXIES if shutil.which(each)), "")
    return {"nft": "nftables"}.get(found, found)
