"""The README shows what the demo prints, and the demo works."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness import ROOT, environment
from securetenant.sandbox import instances

README = ROOT / "README.md"
BLOCK = re.compile(r"(?<=-->\n)```\n.*?```\n(?=<!-- end -->)|(?<=-->\n)(?=<!-- end -->)", re.DOTALL)
MOST_LINES = 150


def steady(text: str) -> str:
    """Replace what differs from run to run: times, ages, versions, folders."""
    for pattern, calm in (
        (r"\b\d+\.\d s\b", "0.5 s"),
        (r"(?<= )\d+m?s(?=\s*$)", "0s"),
        # A column of kubectl is as wide as its widest entry: 0s and 12s take the same room.
        (r"(?<=  )\d+s +(?=[a-z])", "0s    "),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "2026-11-22T12:00:00Z"),
        (r"/\S*/(sandbox/demo/)", r"~/.local/state/securetenant/\1"),
    ):
        text = re.sub(pattern, calm, text, flags=re.MULTILINE)
    return text


def test_the_readme_shows_what_the_demo_prints(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    demo = instances.named("demo")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "securetenant", "demo"],
            capture_output=True,
            text=True,
            check=False,
            env=environment(),
        )
    finally:
        with instances.starting(demo):
            instances.stop(demo)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) < MOST_LINES
    text = README.read_text(encoding="utf-8")
    block = f"```\n{steady(done.stdout).strip()}\n```\n"
    if request.config.getoption("--update-golden"):
        text = BLOCK.sub(lambda _: block, text, count=1)
        README.write_text(text, encoding="utf-8")
    shown = BLOCK.search(text)
    assert shown is not None
    assert block.splitlines() == shown[0].splitlines()
