"""What is known of the cluster: the newer of two states wins, whatever the order."""

from securetenant.api.objects import Ref
from securetenant.plan.ownership import Observed
from securetenant.reconcile.store import Store

REF = Ref("NetworkPolicy", "a", "n")


def seen(version: int, digest: bytes = b"x") -> Observed:
    return Observed(version, "uid", digest, None)


def test_a_late_echo_of_an_older_state_changes_nothing() -> None:
    store = Store()
    assert store.put(REF, seen(5, b"new"))
    assert not store.put(REF, seen(4, b"old"))
    assert store.get(REF) == seen(5, b"new")


def test_a_new_version_of_the_same_content_is_no_news() -> None:
    store = Store()
    store.put(REF, seen(5))
    assert not store.put(REF, seen(6))
    assert store.get(REF) == seen(6)


def test_the_deletion_of_an_earlier_object_of_that_name_is_ignored() -> None:
    store = Store()
    store.put(REF, seen(9))
    assert not store.drop(REF, 7)
    assert store.drop(REF, 10)
    assert store.get(REF) is None


def test_a_namespace_lies_with_its_objects() -> None:
    store = Store()
    store.put(Ref("Namespace", "", "a"), seen(1))
    store.put(REF, seen(2))
    assert set(store.inside("a")) == {Ref("Namespace", "", "a"), REF}
    assert store.refs("NetworkPolicy") == [REF]
