"""One run of the demo, whose cluster stays for the pages that show what is printed there."""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness import environment
from securetenant.sandbox import instances
from securetenant.sandbox.instances import Instance


@dataclass(frozen=True, kw_only=True)
class Demo:
    """What the demo printed, and where its cluster is."""

    code: int
    output: str
    errors: str
    instance: Instance

    @property
    def kubeconfig(self) -> Path:
        """Return the administrator's."""
        return self.instance.admin_kubeconfig


def running() -> Iterator[Demo]:
    """Run the demo, and take its cluster down in the end."""
    instance = instances.named("demo")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "securetenant", "demo", "--full"],
            capture_output=True,
            text=True,
            check=False,
            # A busy machine must not keep the operator from leading.
            env=environment(SECURETENANT_RUN_LEASE_SECONDS="60"),
        )
        yield Demo(code=done.returncode, output=done.stdout, errors=done.stderr, instance=instance)
    finally:
        with instances.starting(instance):
            instances.stop(instance)


# 4s, 3m, 2m6s: kubectl leaves the seconds out where they are 0.
AGE = r"(?:(?:\d+m)?\d+m?s|\d{1,2}m)"


def steady(text: str) -> str:
    """Replace what differs from run to run: times, ages, versions, folders."""
    for pattern, calm in (
        (r"\b\d+\.\d s\b", "0.5 s"),
        (rf"(?<= ){AGE}(?=\s*$)", "0s"),
        # A column of kubectl is as wide as its widest entry: 0s and 2m6s take the same room.
        (rf"(?<=  ){AGE} +(?=[a-z])", "0s    "),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "2026-11-22T12:00:00Z"),
        (r"/\S*/(sandbox/demo/)", r"~/.local/state/securetenant/\1"),
    ):
        text = re.sub(pattern, calm, text, flags=re.MULTILINE)
    return text
