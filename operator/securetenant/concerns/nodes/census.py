"""Nodes by whose they are: how many there are, and which start no pod with user namespaces."""

from collections import defaultdict
from collections.abc import Callable

from securetenant.api import names
from securetenant.reconcile.node_book import Change, Node, NodeBook


class Census:
    """Counts nodes by what their label says: a tenant, :data:`names.SHARED`, or nothing."""

    def __init__(self, book: NodeBook, changed: Callable[[str], object]) -> None:
        """``changed`` is called with an owner when something else is to be said of its nodes."""
        self._changed = changed
        self._owned: defaultdict[str, set[str]] = defaultdict(set)
        self._lacking: defaultdict[str, set[str]] = defaultdict(set)
        book.follow(self._follow)

    def _follow(self, change: Change) -> None:
        owners = {each.facts.label for each in (change.before, change.after) if each is not None}
        before = {owner: self._told(owner) for owner in owners}
        for owner in owners:
            self._owned[owner].discard(change.name)
            self._lacking[owner].discard(change.name)
        if change.after is not None and _counts(change.after):
            facts = change.after.facts
            self._owned[facts.label].add(change.name)
            # One that says nothing of it may have them.
            if facts.user_namespaces is False:
                self._lacking[facts.label].add(change.name)
        for owner in owners:
            if self._told(owner) != before[owner]:
                self._changed(owner)

    def _told(self, owner: str) -> tuple[bool, bool, tuple[str, ...]]:
        return self.has_any(owner), self.lacks_everywhere(owner), self.lacking(owner)

    def has_any(self, owner: str) -> bool:
        """Tell whether an owner has a node."""
        return bool(self._owned.get(owner))

    def lacking(self, owner: str) -> tuple[str, ...]:
        """Return the nodes of an owner that say that they have no user namespaces, sorted."""
        return tuple(sorted(self._lacking.get(owner, ())))

    def lacks_everywhere(self, owner: str) -> bool:
        """Tell whether every node of an owner says so."""
        return self.has_any(owner) and self._lacking.get(owner) == self._owned.get(owner)


def _counts(node: Node) -> bool:
    """Tell whether pods of tenants may run there: a node of the control plane takes none."""
    return bool(node.facts.label) or node.look.takes_tenants


def owner_of_nodes(tenant: str, *, is_dedicated: bool, is_settled: bool) -> str:
    """Return whose nodes a tenant runs on, by their label.

    ``is_settled``: TenancySettings say which nodes tenants get; else it runs on all that are
    nobody's.
    """
    if is_dedicated:
        return tenant
    return names.SHARED if is_settled else ""
