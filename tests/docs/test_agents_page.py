"""docs/controls/agents.md lists every agent that is played, with its entry."""

import pytest

import platform_agents
from harness import ROOT

PAGE = ROOT / "docs" / "controls" / "agents.md"
BEGIN = "<!-- agents: written by `make test ARGS='-k agents_page --update-golden'` -->\n"
END = "<!-- end of agents -->\n"


def test_the_page_lists_every_agent(request: pytest.FixtureRequest) -> None:
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    if request.config.getoption("--update-golden"):
        written = f"{before}{BEGIN}{platform_agents.table()}{END}{after}"
        PAGE.write_text(written, encoding="utf-8")
    assert platform_agents.table() in PAGE.read_text(encoding="utf-8")
