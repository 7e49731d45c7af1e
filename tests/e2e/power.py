"""Ends and starts the programs of a node, and whole nodes, as crashes do."""

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator

from harness import wait_for
from securetenant.sandbox.instances import Instance
from securetenant.sandbox.realnodes import files, layout
from securetenant.sandbox.realnodes.layout import RealNode


def node(instance: Instance, name: str) -> RealNode:
    """Return a node by its name."""
    every = layout.of_instance(instance, instance.record()["options"]["real_nodes"])
    return next(each for each in every if each.name == name)


def running(of: RealNode) -> dict[str, int]:
    """Return the process ids of a node's programs, as the node counts them."""
    found: dict[str, int] = json.loads(of.state.read_text(encoding="ascii"))
    return found


def hold(of: RealNode, program: str) -> None:
    """Kill a program, and keep it from being started again."""
    (of.hold / program).touch()
    wait_for(lambda: program not in running(of), what=f"{program} on {of.name} to end")


def release(of: RealNode, program: str) -> None:
    """Let a program be started again."""
    (of.hold / program).unlink(missing_ok=True)
    wait_for(lambda: program in running(of), what=f"{program} on {of.name} to start")


@contextlib.contextmanager
def held(of: RealNode, *programs: str) -> Iterator[None]:
    """Keep programs from running for a while."""
    for each in programs:
        hold(of, each)
    try:
        yield
    finally:
        for each in programs:
            release(of, each)


@contextlib.contextmanager
def unfiltered(of: RealNode) -> Iterator[None]:
    """End the engine and take its rules away: everything gets through, as with a bad plugin.

    Without it its rules hand each packet to nobody, and nothing gets through.
    """
    with held(of, "network-policies"):
        pid = str(of.instance.record()["programs"][of.name])
        table = ("inet", "kube-network-policies")
        subprocess.run(
            ["nsenter", f"--net=/proc/{pid}/ns/net", "nft", "delete", "table", *table], check=True
        )
        yield


def restart(of: RealNode, program: str) -> None:
    """Kill a program; the node starts it again."""
    with held(of, program):
        pass


def reboot(instance: Instance, of: RealNode) -> None:
    """Take a node its power; it starts again at once, and its pods after it."""
    before = instance.record()["programs"][of.name]
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: instance.record()["programs"][of.name] != before, what=f"{of.name} to start")


def switch_engine(instance: Instance, *, to: str) -> None:
    """Have another engine filter packets on every node."""
    (other,) = set(files.ENGINES) - {to}
    for each in layout.of_instance(instance, instance.record()["options"]["real_nodes"]):
        hold(each, other)
        release(each, to)
