"""The nodes as last seen, each parsed once, for everybody who works with them."""

from collections.abc import Callable
from typing import NamedTuple

from securetenant.api.objects import Body, Ref
from securetenant.plan import nodes, pids
from securetenant.plan.nodes import NodeFacts
from securetenant.plan.pids import NodeLook
from securetenant.reconcile.store import Graves


class Node(NamedTuple):
    """What is remembered of a node."""

    version: int
    facts: NodeFacts
    """Whose it is, and what may run there."""
    look: NodeLook
    """Where its kubelet is."""


class Change(NamedTuple):
    """A node as it was, and as it is; nothing where it was not there, or is gone."""

    name: str
    before: Node | None
    after: Node | None


Follower = Callable[[Change], None]


class NodeBook:
    """Nodes by name; the newer one wins, whether a watch brings it or the answer to a write."""

    def __init__(self) -> None:
        self._known: dict[str, Node] = {}
        self._graves = Graves()
        self._followers: list[Follower] = []

    def follow(self, follower: Follower) -> None:
        """Call ``follower`` with each change from now on."""
        self._followers.append(follower)

    def put(self, body: Body) -> None:
        """Take a node as it now is."""
        name, version = body["metadata"]["name"], int(body["metadata"]["resourceVersion"])
        known = self._known.get(name)
        is_older = self._graves.hold(name, version) if known is None else version <= known.version
        if is_older:
            return
        found = Node(version, nodes.observe(body), pids.look(body))
        self._known[name] = found
        if known is None or known[1:] != found[1:]:
            self._publish(Change(name, known, found))

    def drop(self, name: str, version: int) -> None:
        """Take that a node was deleted at that version."""
        known = self._known.get(name)
        if known is not None and known.version > version:
            return
        self._graves.dig(name, version)
        if known is not None:
            del self._known[name]
            self._publish(Change(name, known, None))

    def facts(self, name: str) -> NodeFacts | None:
        """Return what is remembered of a node, if it is known."""
        known = self._known.get(name)
        return None if known is None else known.facts

    def refs(self, kind: str) -> list[Ref]:
        """Return every known node: for the sweep after a list."""
        return [Ref(kind, "", name) for name in self._known]

    def _publish(self, change: Change) -> None:
        for follower in self._followers:
            follower(change)
