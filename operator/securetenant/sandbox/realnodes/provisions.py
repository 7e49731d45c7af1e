"""The programs of real nodes: found, fetched or built as those of the control plane are."""

import shutil
from collections.abc import Callable
from pathlib import Path

from securetenant.sandbox import binaries, patches
from securetenant.sandbox.errors import SandboxError
from securetenant.sandbox.realnodes import files

_PROGRAMS = (
    "containerd",
    "containerd-shim-runc-v2",
    "kubelet",
    "kube-proxy",
    "ptp",
    "loopback",
    "host-local",
    "pause",
    "coredns",
)


def locate(report: Callable[[str], None]) -> dict[str, Path]:
    """Return a path for each program of a node."""
    found = binaries.locate(_PROGRAMS, report)
    suffix = "-xt" if patches.needed() else ""
    engines = binaries.locate(tuple(f"{each}{suffix}" for each in files.ENGINES), report)
    found |= {name: engines[f"{name}{suffix}"] for name in files.ENGINES}
    return {**found, "runc": _runc(report)}


def _runc(report: Callable[[str], None]) -> Path:
    """Return the pinned runc, or an older one that PATH has: it is the one built with C."""
    try:
        return binaries.locate(("runc",), report)["runc"]
    except SandboxError as error:
        older = shutil.which("runc")
        if older is None:
            raise
        report(f"{error.problem}\nTaking {older}: pods with users of their own may not start.")
        return Path(older)
