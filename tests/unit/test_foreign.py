"""Objects that the operator did not make: the newest state of each."""

from typing import NamedTuple

from securetenant.api.objects import Ref
from securetenant.reconcile.foreign import Foreign

REF = Ref("RoleBinding", "acme-a", "old")


class Found(NamedTuple):
    version: int
    names: str


def test_what_is_seen_late_changes_nothing() -> None:
    """A list may bring an older state than the watch before it."""
    known = Foreign[Found, str](lambda each: (each.names,))
    assert known.put(REF, Found(5, "new"))
    assert not known.put(REF, Found(4, "old"))
    assert known.naming("new") == [REF]
    assert known.naming("old") == []
    assert not known.put(REF, Found(6, "new")), "nothing but its version changed"
    assert known.drop(REF, 5) is None, "it was made again since then"
    assert known.drop(REF, 6) == Found(6, "new")
