"""docs/controls/guards.md lists every way past a rule, with a reason."""

import pytest

import early_exits
from harness import ROOT

PAGE = ROOT / "docs" / "controls" / "guards.md"
BEGIN = "<!-- ways past: written by `make test ARGS='-k early_exits --update-golden'` -->\n"
END = "<!-- end of ways past -->\n"


def test_every_way_past_a_rule_has_a_reason() -> None:
    """S1: policies skipped what a tenant could bring about by itself."""
    unexplained = [each for each in early_exits.found() if early_exits.reason(each) is None]
    assert unexplained == []


def test_no_reason_is_kept_of_a_condition_that_is_gone() -> None:
    names = {(each.policy, each.where.removeprefix("if ")) for each in early_exits.found()}
    assert early_exits.CONDITIONS.keys() <= names


def test_no_rule_asks_whether_an_object_is_being_deleted() -> None:
    """S1. The namespace is asked, in which nothing may change any more."""
    for each in early_exits.found():
        assert "deletionTimestamp" not in each.expression, each


def test_the_page_lists_them(request: pytest.FixtureRequest) -> None:
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    if request.config.getoption("--update-golden"):
        PAGE.write_text(f"{before}{BEGIN}{early_exits.table()}{END}{after}", encoding="utf-8")
    assert early_exits.table() in PAGE.read_text(encoding="utf-8")
