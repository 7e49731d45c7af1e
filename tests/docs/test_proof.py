"""The page about the proof lists what is tried, as the code has it."""

import pytest

import factory
from harness import ROOT
from securetenant.checks.attacks import access, objects, pods
from securetenant.checks.attacks.objects import Other

PAGE = ROOT / "docs" / "proof.md"
OTHER = Other("another", "another-a")
BEGIN, END = "<!-- begin: rows -->\n", "<!-- end: rows -->"


def table() -> str:
    """Return every row for a tenant that asks for nothing special."""
    policy = factory.policy_spec()
    tried = (
        *pods.attempts(policy, OTHER.tenant),
        *objects.attempts(policy, "acme-prod", OTHER),
    )
    rows = [(each.row, each.what, each.control.name, each.critical) for each in tried]
    who = access.anybody()
    asked = {
        (each.row, each.what.partition(": ")[2], "RBAC", each.critical)
        for turn in range(3)
        for each in access.questions(who, "acme-prod", OTHER, turn)
    }
    lines = [
        f"| {row} | {what} | {control} |{' yes' if critical else ''} |"
        for row, what, control, critical in (*rows, *sorted(asked))
    ]
    head = (
        "| Row | What is tried, or asked | Who has to refuse it | Opens others |\n|---|---|---|---|"
    )
    return "\n".join((head, *lines)) + "\n"


def test_the_page_lists_what_is_tried(request: pytest.FixtureRequest) -> None:
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    wanted = f"{before}{BEGIN}{table()}{END}{after}"
    if request.config.getoption("--update-golden"):
        PAGE.write_text(wanted, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == wanted
