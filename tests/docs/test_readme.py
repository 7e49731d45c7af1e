"""README, docs/demo.md and docs/program.md show what the demo and the program print."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import terminal_cast
from demo_run import Demo, running, steady
from harness import ROOT
from securetenant.cli.main import main
from securetenant.sandbox import kubeconfigs

README = ROOT / "README.md"
CAST = ROOT / "docs" / "images" / "demo.cast"
REST = ROOT / "docs" / "demo.md"
PAGE = ROOT / "docs" / "program.md"
BLOCK = re.compile(r"(?<=-->\n)```\n.*?```\n(?=<!-- end -->)|(?<=-->\n)(?=<!-- end -->)", re.DOTALL)
OUTPUT = re.compile(r"<!-- output: (?P<command>.*?) -->\n(?:\n```\n.*?```\n)?", re.DOTALL)
MEMBER = " --as-member"
MOST_LINES = 70


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    yield from running()


@pytest.fixture(scope="module")
def member(demo: Demo) -> Path:
    """A developer of acme."""
    return kubeconfigs.for_user(demo.instance, "dana", ("acme-devs",))


def test_the_pages_show_what_the_demo_prints(demo: Demo, request: pytest.FixtureRequest) -> None:
    """README and a recording show how it begins and ends, which is all without --full."""
    assert demo.code == 0, demo.errors
    sections = steady(demo.output).strip().split("\n\n=== ")
    rest = next(
        place for place, each in enumerate(sections) if each.startswith("An ordinary program")
    )
    short = "\n\n=== ".join((*sections[:rest], sections[-1]))
    assert len(short.splitlines()) < MOST_LINES
    shown_by(README, short, request)
    cast = terminal_cast.record(f"$ make demo\n{short}", title="SecureTenant: make demo")
    if request.config.getoption("--update-golden"):
        CAST.write_text(cast, encoding="utf-8")
    assert CAST.read_text(encoding="utf-8") == cast
    shown_by(REST, "\n\n=== ".join(("", *sections[rest:-1])).strip(), request)


def shown_by(page: Path, wanted: str, request: pytest.FixtureRequest) -> None:
    """See that the block of a page is what was printed, or write it."""
    text = page.read_text(encoding="utf-8")
    block = f"```\n{wanted}\n```\n"
    if request.config.getoption("--update-golden"):
        text = BLOCK.sub(lambda _: block, text, count=1)
        page.write_text(text, encoding="utf-8")
    shown = BLOCK.search(text)
    assert shown is not None
    assert block.splitlines() == shown[0].splitlines()


@pytest.mark.parametrize("age", ["0s", "47s", "3m", "2m6s", "10m"])
def test_an_age_reads_the_same_on_a_slow_machine(age: str) -> None:
    """In the middle of a line, with the width of its column, and at its end."""
    assert steady(f"  Warning  Seen    {age:<20}who\nacme   True   {age}") == (
        "  Warning  Seen    0s    who\nacme   True   0s"
    )


def test_without_being_asked_the_demo_ends_early() -> None:
    """What README shows is all of it: the sections of the rest are shown by --full only."""
    text = (ROOT / "operator/securetenant/cli/demo.py").read_text(encoding="utf-8")
    run = text[text.index("    def run(") : text.index("    def _show_all(")]
    assert run.count("self._show_all(") == 1
    assert "        if full:\n            self._show_all(log)\n" in run


def printed(demo: Demo, member: Path, command: str) -> str:
    """Return what a command prints, and its exit code where that is not 0."""
    asked, _, cut = command.partition(" | head -n ")
    arguments = asked.replace(MEMBER, "")
    login = member if MEMBER in asked else demo.kubeconfig
    with contextlib.chdir(ROOT):
        done = CliRunner().invoke(main, arguments.split(), env={"KUBECONFIG": str(login)})
    assert done.exit_code in (0, 2), done.stderr
    lines = done.stdout.rstrip().splitlines()
    if cut:
        lines = [*lines[: int(cut)], "..."]
    code = [f"$ echo $?\n{done.exit_code}"] if done.exit_code else []
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
