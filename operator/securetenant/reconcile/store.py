"""What is known of the cluster: the last seen state of every object, reduced.

Filled by informers and by the answers to our own writes; the newer one wins, so a late echo
of our own write changes nothing, and a late answer to it does not bring back what was deleted.
"""

from collections import defaultdict
from collections.abc import Hashable, Mapping
from typing import NamedTuple

from securetenant.api import kinds, names
from securetenant.api.objects import Body, Ref
from securetenant.plan import ownership
from securetenant.plan.ownership import NamespaceFacts, Observed, PolicyFacts


class Served(NamedTuple):
    """A change of the host names that a TenantPolicy holds."""

    tenant: str
    before: tuple[str, ...]
    after: tuple[str, ...]


_GRAVES = 10_000
"""How many deletions are remembered: many more than there are requests in flight."""


class Graves:
    """At which version something was deleted last: what is older is not there any more."""

    def __init__(self) -> None:
        self._versions: dict[Hashable, int] = {}

    def dig(self, what: Hashable, version: int) -> None:
        """Record a deletion."""
        self._versions[what] = max(version, self._versions.pop(what, 0))
        if len(self._versions) > _GRAVES:
            del self._versions[next(iter(self._versions))]

    def hold(self, what: Hashable, version: int) -> bool:
        """Tell whether it was deleted after that version."""
        return version <= self._versions.get(what, 0)


class Store:
    """Objects by namespace; the Namespace object itself lies in its own namespace."""

    def __init__(self) -> None:
        self._objects: defaultdict[str, dict[Ref, Observed]] = defaultdict(dict)
        self._owned: defaultdict[str, set[str]] = defaultdict(set)
        """Namespaces by the tenant that their label names."""
        self._moved: set[str] = set()
        """Tenants that gained or lost a namespace."""
        self._served: list[Served] = []
        """What changed in TenantPolicies about host names."""
        self._graves = Graves()

    def see(self, ref: Ref, body: Body) -> bool:
        """Remember an object as a list or watch shows it; tell whether what we look at changed.

        What our own write has told already is not reduced once more.
        """
        known = self.get(ref)
        if known is not None and int(body["metadata"]["resourceVersion"]) <= known.version:
            return False
        return self.put(ref, ownership.observe(body))

    def put(self, ref: Ref, observed: Observed) -> bool:
        """Remember an object; tell whether what we look at changed."""
        objects = self._objects[_home(ref)]
        known = objects.get(ref)
        if known is not None and observed.version <= known.version:
            return False
        if known is None and self._graves.hold(ref, observed.version):
            return False
        self._index(ref, known, observed)
        objects[ref] = observed
        return not observed.same_content(known)

    def drop(self, ref: Ref, version: int) -> bool:
        """Forget an object that was deleted at that version; tell whether it was known.

        A deletion that is older than what we have is about an earlier object of that name.
        """
        objects = self._objects.get(_home(ref))
        known = objects.get(ref) if objects else None
        if known is not None and known.version > version:
            return False
        # The answer to the write that made it may still be under way.
        self._graves.dig(ref, version)
        if objects is None or known is None:
            return False
        self._index(ref, known, None)
        del objects[ref]
        if not objects:
            del self._objects[_home(ref)]
        return True

    def get(self, ref: Ref) -> Observed | None:
        """Return what is known of an object."""
        return self._objects.get(_home(ref), {}).get(ref)

    def inside(self, namespace: str) -> Mapping[Ref, Observed]:
        """Return the namespace and our objects in it."""
        return self._objects.get(namespace, {})

    def owned_by(self, tenant: str) -> set[str]:
        """Return the namespaces whose label names the tenant."""
        return self._owned.get(tenant, set())

    def owners(self) -> set[str]:
        """Return every tenant that a namespace's label names."""
        return set(self._owned)

    def moved(self) -> set[str]:
        """Return, once, the tenants that gained or lost a namespace, no matter who did it."""
        found, self._moved = self._moved, set()
        return found

    def served(self) -> list[Served]:
        """Return, once, what changed about host names in TenantPolicies, in order."""
        found, self._served = self._served, []
        return found

    def owner_of(self, namespace: str) -> str:
        """Return the tenant that the namespace's label names, or an empty string."""
        return _owner(self.get(Ref(kinds.NAMESPACE.name, "", namespace)))

    def refs(self, kind: str) -> list[Ref]:
        """Return every known object of a kind: for the sweep after a list."""
        return [ref for objects in self._objects.values() for ref in objects if ref.kind == kind]

    def _index(self, ref: Ref, before: Observed | None, after: Observed | None) -> None:
        if ref.kind == kinds.TENANT_POLICY.name:
            self._index_names(before, after)
        if ref.kind != kinds.NAMESPACE.name:
            return
        if _owner(before) != _owner(after):
            self._moved |= {_owner(before), _owner(after)} - {""}
        if old := _owner(before):
            self._owned[old].discard(ref.name)
            if not self._owned[old]:
                del self._owned[old]
        if new := _owner(after):
            self._owned[new].add(ref.name)

    def _index_names(self, before: Observed | None, after: Observed | None) -> None:
        (old, had), (new, has) = _served_by(before), _served_by(after)
        if old == new and had != has:
            self._served.append(Served(new, had, has))
        elif old != new:
            self._served += [
                each
                for each in (Served(old, had, ()), Served(new, (), has))
                if each.before or each.after
            ]


def _served_by(observed: Observed | None) -> tuple[str, tuple[str, ...]]:
    facts = None if observed is None else observed.facts
    return (facts.tenant, facts.hostnames) if isinstance(facts, PolicyFacts) else ("", ())


def _owner(observed: Observed | None) -> str:
    if observed is None or not isinstance(observed.facts, NamespaceFacts):
        return ""
    return observed.facts.labels.get(names.TENANT_LABEL, "")


def _home(ref: Ref) -> str:
    return ref.name if ref.kind == kinds.NAMESPACE.name else ref.namespace
