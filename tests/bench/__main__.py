"""``make bench``: every benchmark, side by side with what it is measured against, in one run."""

import platform
import sys
from collections.abc import Callable
from pathlib import Path

from bench import (
    chaos,
    converge,
    expiry,
    failover,
    fairness,
    guards,
    openings,
    plot,
    program,
    quarantine,
    quota,
    reach,
    report,
    scale,
    standing,
    verify,
)
from securetenant.sandbox import components

ROOT = Path(__file__).parents[2]
BENCHMARKS: dict[str, Callable[[], str]] = {
    "chaos": lambda: chaos.run(chaos.SEEDS, chaos.SECONDS),
    "converge": lambda: converge.run((100, 1000)),
    "expiry": lambda: expiry.run((1, 1000)),
    "failover": lambda: failover.run((1, 300)),
    "fairness": lambda: fairness.run(ROUNDS),
    "guards": lambda: guards.run(ROUNDS),
    "openings": lambda: openings.run((100, 1000)),
    "program": lambda: program.run((10, 1000, 10_000)),
    "quarantine": lambda: quarantine.run((1, 100), 10),
    "quota": lambda: quota.run((2, 20, 200)),
    "reach": lambda: reach.run((1000, 10_000)),
    "report": lambda: report.run((10, 1000, 5000)),
    "scale": scale.run,
    "verify": lambda: verify.run(50),
    "standing": lambda: standing.run((100, 500)),
}
ROUNDS = 600
"""Of each request, with and without the guards, on either API server."""
MARK = "<!-- figures: written by `make bench` -->\n"


def main(wanted: list[str]) -> None:
    """Run the named benchmarks, or all; write their figures into docs/benchmarks/."""
    for name, run in BENCHMARKS.items():
        if wanted and name not in wanted:
            continue
        version = components.pins().component("kube-apiserver").version
        where = f"{_cores()} cores, Python {platform.python_version()}, Kubernetes {version}"
        text = f"{MARK}\n{run()}\n\n{where}; sandbox without fsync.\n"
        page = ROOT / "docs" / "benchmarks" / f"{name}.md"
        before = page.read_text(encoding="utf-8").partition(MARK)[0] if page.exists() else ""
        page.write_text(before + text, encoding="utf-8")
        if name == "converge":
            plot.PICTURE.write_text(plot.draw(text), encoding="utf-8")
        sys.stdout.write(f"\n{name}\n{text}")


def _cores() -> int:
    return sum(
        line.startswith("processor")
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    )


main(sys.argv[1:])
