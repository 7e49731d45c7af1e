"""Names that rest: whatever leaves and comes back whenever, with restarts in between."""

import datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from securetenant.plan.resting import Book, Owner

START = datetime.datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=datetime.UTC)
DAYS = 30
REST = datetime.timedelta(days=DAYS)

steps = st.lists(
    st.tuples(
        st.sampled_from(["x", "y"]),
        st.sampled_from(["a", "b"]),
        st.integers(0, 20),
        st.sampled_from(["make", "let go", "lose"]),
        st.sampled_from(["save", "lose", "restart"]),
    ),
    max_size=40,
)


@given(steps)
def test_no_name_goes_from_one_tenant_to_another_before_it_rested(history: Any) -> None:
    """F11: a watch that was opened before shows what the next tenant has.

    A namespace is let go only when its name is stored, so a restart at any moment forgets nothing.
    """
    book, now, stored = Book(), START, dict[str, Any]()
    book.load(stored, now)
    there: dict[str, str] = {}
    went: dict[str, tuple[str, datetime.datetime]] = {}
    for name, tenant, days, what, then in history:
        now += datetime.timedelta(days=days)
        owner = there.get(name)
        if what == "make" and owner is None:
            rests = book.rest(name, f"uid-{tenant}", DAYS, now)
            former, since = went.get(name, (tenant, now))
            if former == tenant:
                assert rests is None, "its own name"
            elif now - since < REST:
                assert rests is not None
            elif now - since > REST + datetime.timedelta(seconds=1):
                assert rests is None, "in the end somebody gets it"
            if rests is None:
                there[name] = tenant
                book.take(name, f"uid-{tenant}")
        elif owner is not None and what != "make":
            book.leave(name, Owner(owner, f"uid-{owner}"), must=True)
            if what == "let go" and not book.is_unsaved(name):
                del there[name]
                went[name] = (owner, now)
                book.gone(name, None, now)
        before = stored
        document = {"formerNames": book.stored(DAYS, now)}
        if then != "lose":
            stored = document
            book.saved(stored)
        assert len(stored.get("formerNames", ())) <= len(["x", "y"])
        if then == "restart":
            # Just before the write that was about to be made, or after it.
            stored = before if days % 2 else stored
            book = Book()
            book.load(stored, now)
            for each in book.there():
                if each not in there:
                    # Nobody saw it go: its days begin now.
                    went[each] = (went[each][0], now)
                    book.gone(each, None, now)
