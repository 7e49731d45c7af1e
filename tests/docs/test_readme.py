"""README and docs/program.md show what the demo prints, and the program on the demo's cluster."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo_run import Demo, running, steady
from harness import ROOT, environment
from securetenant.sandbox import kubeconfigs

README = ROOT / "README.md"
PAGE = ROOT / "docs" / "program.md"
BLOCK = re.compile(r"(?<=-->\n)```\n.*?```\n(?=<!-- end -->)|(?<=-->\n)(?=<!-- end -->)", re.DOTALL)
OUTPUT = re.compile(r"<!-- output: (?P<command>.*?) -->\n(?:\n```\n.*?```\n)?", re.DOTALL)
MEMBER = " --as-member"
MOST_LINES = 225


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    yield from running()


@pytest.fixture(scope="module")
def member(demo: Demo) -> Path:
    """A developer of acme."""
    return kubeconfigs.for_user(demo.instance, "dana", ("acme-devs",))


def test_the_readme_shows_what_the_demo_prints(demo: Demo, request: pytest.FixtureRequest) -> None:
    assert demo.code == 0, demo.errors
    assert len(demo.output.splitlines()) < MOST_LINES
    text = README.read_text(encoding="utf-8")
    block = f"```\n{steady(demo.output).strip()}\n```\n"
    if request.config.getoption("--update-golden"):
        text = BLOCK.sub(lambda _: block, text, count=1)
        README.write_text(text, encoding="utf-8")
    shown = BLOCK.search(text)
    assert shown is not None
    assert block.splitlines() == shown[0].splitlines()


def printed(demo: Demo, member: Path, command: str) -> str:
    """Return what a command prints, and its exit code where that is not 0."""
    asked, _, cut = command.partition(" | head -n ")
    arguments = asked.replace(MEMBER, "")
    login = member if MEMBER in asked else demo.kubeconfig
    done = subprocess.run(
        [sys.executable, "-m", "securetenant", *arguments.split()],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**environment(), "KUBECONFIG": str(login)},
    )
    assert done.returncode in (0, 2), done.stderr
    lines = done.stdout.rstrip().splitlines()
    if cut:
        lines = [*lines[: int(cut)], "..."]
    code = [f"$ echo $?\n{done.returncode}"] if done.returncode else []
    return steady("\n".join([f"$ securetenant {arguments}", *lines, *code]))


def test_the_program_page_shows_what_is_printed(
    demo: Demo, member: Path, request: pytest.FixtureRequest
) -> None:
    assert demo.code == 0, demo.errors
    before = PAGE.read_text(encoding="utf-8")

    def block(found: re.Match[str]) -> str:
        command = found["command"]
        return f"<!-- output: {command} -->\n\n```\n{printed(demo, member, command)}\n```\n"

    text = OUTPUT.sub(block, before)
    if request.config.getoption("--update-golden"):
        PAGE.write_text(text, encoding="utf-8")
        before = text
    assert text.splitlines() == before.splitlines()
