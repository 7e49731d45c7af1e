"""Start a sandbox and wait for it; the rest of its life belongs to the supervisor."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from securetenant.sandbox import binaries, instances, nodes, pki
from securetenant.sandbox.errors import SandboxError
from securetenant.sandbox.instances import Instance, Options
from securetenant.sandbox.realnodes import layout, provisions, requirements

_CONTROL_PLANE = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubectl",
)


PROGRAMS = (*_CONTROL_PLANE, "kwok")
"""All that a sandbox may need; kwok only when it has nodes."""


@dataclass(frozen=True, kw_only=True)
class Started:
    """What ``up`` did: seconds by step, and whether the instance already ran."""

    timings: dict[str, float]
    already: bool


def up(instance: Instance, options: Options, report: Callable[[str], None]) -> Started:
    """Make the sandbox run; on any failure or Ctrl-C nothing of it is left.

    Raises :class:`SandboxError`.
    """
    _check(options)
    began = time.monotonic()
    found = binaries.locate(PROGRAMS if options.nodes else _CONTROL_PLANE, report)
    if options.real_nodes:
        found |= provisions.locate(report)
    located = round(time.monotonic() - began, 2)
    with instances.starting(instance):
        phase = instance.phase()
        if phase in ("running", "starting"):
            return Started(timings={}, already=True)
        instances.remove(instance)
        instance.folder.mkdir(mode=0o700, parents=True)
        try:
            timings = _supervise(instance, options, found, report)
        except BaseException:
            # Also KeyboardInterrupt: a sandbox that is not ready is of no use to anybody.
            with contextlib.suppress(SandboxError):
                instances.stop(instance)
            raise
    return Started(timings={"binaries": located, **timings}, already=False)


def _check(options: Options) -> None:
    """Raise when the options do not fit each other or this machine."""
    nodes.check_labels(options.nodes or options.real_nodes, options.node_labels)
    if options.nodes and options.real_nodes:
        raise SandboxError(
            "A sandbox has fake nodes or real ones, not both.",
            remedy="Give --nodes or --real-nodes.",
        )
    if not 0 <= options.real_nodes <= layout.MOST_NODES:
        raise SandboxError(
            f"{options.real_nodes} real nodes were asked for.",
            remedy=f"Ask for up to {layout.MOST_NODES}.",
        )
    if options.real_nodes:
        requirements.check()


def attach(instance: Instance, name: str, command: list[str]) -> Path:
    """Run a program for as long as the sandbox; one of that name is replaced.

    Returns the file of its output.
    """
    instance.attached.mkdir(exist_ok=True)
    pki.write_private(instance.attached / f"{name}.json", json.dumps(command).encode())
    os.kill(instance.record()["pid"], signal.SIGHUP)
    return instance.logs / f"{name}.log"


def _supervise(
    instance: Instance,
    options: Options,
    found: dict[str, Path],
    report: Callable[[str], None],
) -> dict[str, float]:
    argument = json.dumps(
        {
            "options": instances.options_record(options),
            "binaries": {name: str(path) for name, path in found.items()},
        }
    )
    with (instance.folder / "supervisor.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "securetenant.sandbox.supervisor", instance.name, argument],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    if process.stdout is None:  # pragma: no cover - PIPE was asked for.
        raise RuntimeError("The supervisor has no output")
    process.wait()  # It has made a process of its own by now, which holds the pipe.
    with process.stdout as lines:
        for line in lines:
            message = json.loads(line)
            if "error" in message:
                raise SandboxError(
                    message["error"],
                    remedy="Nothing was left running; correct this and run `up` again.",
                )
            if message.get("ready"):
                return dict(message["timings"])
            report(f"{message['step']}: {message['seconds']:.1f} s")
    text = (instance.folder / "supervisor.log").read_text(encoding="utf-8", errors="replace")
    raise SandboxError(
        f"The supervisor ended before the sandbox was ready. {' '.join(text.split())[-400:]}",
        remedy="Nothing was left running; correct this and run `up` again.",
    )
