"""What is computed of who can reach what, while walls are being built."""

import pytest

from securetenant.checks.findings import Opening, Verdict
from securetenant.checks.flows import End
from securetenant.checks.policies import UNISOLATED
from securetenant.checks.ports import EVERY
from securetenant.concerns.reach import concern


def opening(source: str, target: str) -> Opening:
    ends = (End("red", source, ()), End("blue", target, ()))
    return Opening(*ends, (), EVERY, UNISOLATED, UNISOLATED)


@pytest.mark.parametrize(
    ("unfinished", "left"),
    [
        pytest.param(set(), 2, id="all walls stand"),
        pytest.param({"red-b"}, 1, id="those of one end of one flow do not"),
        pytest.param({"elsewhere"}, 2, id="those of somebody else do not"),
    ],
)
def test_an_opening_counts_where_the_walls_of_both_ends_stand(
    unfinished: set[str], left: int
) -> None:
    """A tenant that was just made was announced as open to the whole world."""
    found = Verdict("Open", (opening("red-a", "blue-a"), opening("red-b", "blue-a")), (), False)
    seen = concern._finished(found, unfinished)
    assert seen is not None
    assert (seen.state, len(seen.openings)) == ("Open", left)


def test_where_nothing_else_is_open_nothing_is_said_yet() -> None:
    found = Verdict("Open", (opening("red-a", "blue-a"),), (), False)
    assert concern._finished(found, {"blue-a"}) is None
    closed = Verdict("Closed", (), (), False)
    assert concern._finished(closed, {"blue-a"}) == closed
