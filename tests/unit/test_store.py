"""What is known of the cluster: the newer of two states wins, whatever the order."""

from typing import Any, cast

from securetenant.api.objects import Ref
from securetenant.concerns.nodes.nodes import Nodes, Surroundings
from securetenant.concerns.pids.pids import Pids
from securetenant.plan.ownership import Observed
from securetenant.reconcile.node_book import NodeBook
from securetenant.reconcile.store import Graves, Store

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


def test_the_late_answer_to_a_write_does_not_bring_back_what_was_deleted_meanwhile() -> None:
    """S8: a required object stayed away for good, since it was taken to be there."""
    store = Store()
    store.put(REF, seen(5))
    assert store.drop(REF, 6)
    # The answer to the write that made it.
    assert not store.put(REF, seen(5))
    assert store.get(REF) is None
    assert store.put(REF, seen(7))


def test_a_deletion_may_be_seen_before_the_answer_to_the_write_at_all() -> None:
    """S8: the watch was faster than the answer."""
    store = Store()
    assert not store.drop(REF, 6)
    assert not store.put(REF, seen(5))
    assert store.put(REF, seen(8))


def test_the_late_answer_about_a_node_does_not_bring_back_a_deleted_one() -> None:
    """S8: the sibling: nodes are kept elsewhere."""
    nobody = Surroundings(
        owner_of=lambda _: "", is_retained=lambda _: False, is_held=lambda _: False
    )
    book = NodeBook()
    nodes = Nodes(cluster=cast(Any, None), meter=cast(Any, None), around=nobody, book=book)
    pids = Pids(
        kubelets=cast(Any, None),
        cluster=cast(Any, None),
        meter=cast(Any, None),
        book=book,
        changed=lambda _: None,
    )

    def node(version: int, uid: str = "u") -> dict[str, Any]:
        return {"metadata": {"name": "n", "uid": uid, "resourceVersion": str(version)}}

    book.put(node(5))
    book.drop("n", 6)
    book.put(node(5))
    assert nodes.names() == []
    assert not pids.limits([""])
    book.put(node(7, "another"))
    assert nodes.names() == ["n"]
    # Deleted and registered again between two looks.
    book.put(node(9, "a third"))
    assert list(pids.limits([""])) == ["n"]


def test_only_the_latest_deletions_are_remembered() -> None:
    graves = Graves()
    for number in range(20_000):
        graves.dig(number, 1)
    assert not graves.hold(0, 1)
    assert graves.hold(19_999, 1)


def test_a_namespace_lies_with_its_objects() -> None:
    store = Store()
    store.put(Ref("Namespace", "", "a"), seen(1))
    store.put(REF, seen(2))
    assert set(store.inside("a")) == {Ref("Namespace", "", "a"), REF}
    assert store.refs("NetworkPolicy") == [REF]
