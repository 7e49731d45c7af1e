"""Follows which namespaces leave their tenants, so that their names rest."""

from collections.abc import Callable, Iterable
from datetime import datetime

from securetenant.api import kinds, names
from securetenant.api.objects import Ref
from securetenant.api.tenancysettings import SettingsSpec
from securetenant.plan.ownership import NamespaceFacts, PolicyFacts
from securetenant.plan.resting import Book, Owner, Rest
from securetenant.reconcile.store import Store
from securetenant.reconcile.tenants import Record, Tenants


class Resting:
    """What is known of former owners, by what is seen of namespaces."""

    def __init__(
        self,
        *,
        store: Store,
        tenants: Callable[[], Tenants],
        settings: Callable[[], SettingsSpec | None],
        now: Callable[[], datetime],
        book: Book | None = None,
    ) -> None:
        """``book`` is what an earlier engine of this process remembered."""
        self._store = store
        self._tenants = tenants
        self._settings = settings
        self._now = now
        self._has_begun = False
        self.book = book or Book()

    def begin(self) -> None:
        """Follow from now on: every namespace and every tenant was seen once.

        What an earlier operator saw leave may be gone since then.
        """
        self._has_begun = True
        for name in self.book.there():
            if self._facts(name) is None:
                self.book.gone(name, None, self._now())
        for ref in self._store.refs(kinds.NAMESPACE.name):
            self.follow(ref.name, None)

    def gives(self, tenant: str, uid: str, namespace: str) -> Rest | None:
        """Tell why a tenant does not get a name: it rests, and nobody allowed it to this one."""
        settings = self._settings()
        days = names.REST_DAYS if settings is None else settings.rest_days
        rest = self.book.rest(namespace, uid, days, self._now())
        record = None if rest is None else self._tenants().get(tenant)
        if record is not None and record.uid == uid and namespace in record.reused:
            return None
        return rest

    def whose(self, namespace: str) -> Owner | None:
        """Return which SecureTenant has a namespace, if any."""
        tenant = self._store.owner_of(namespace)
        policy = self._store.get(Ref(kinds.TENANT_POLICY.name, namespace, names.POLICY_NAME))
        if policy is not None and isinstance(policy.facts, PolicyFacts):
            # Without a label, it has lost its label.
            return Owner(tenant or policy.facts.tenant, policy.facts.tenant_uid)
        if not tenant:
            return None
        record, facts = self._tenants().get(tenant), self._facts(namespace)
        if record is None or facts is None or _is_retained(facts):
            # It may be an earlier SecureTenant's.
            return Owner(tenant, "")
        return Owner(tenant, record.uid)

    def follow(self, namespace: str, before: Owner | None) -> bool:
        """Take a namespace as it now is, and whose it was; tell whether its name leaves them."""
        if not self._has_begun:
            return False
        facts = self._facts(namespace)
        if facts is None:
            return self.book.gone(namespace, before, self._now())
        now = self.whose(namespace)
        has_moved = before is not None and (now is None or now.tenant != before.tenant)
        owner = before if has_moved else now
        if owner is None or not (has_moved or facts.terminating):
            return False
        return self.book.leave(namespace, owner, must=True)

    def leave(self, namespaces: Iterable[str], *, must: bool = False) -> bool:
        """Enter namespaces that are there and leave their tenants; tell whether any is unsaved."""
        unsaved = False
        for namespace in sorted(namespaces):
            owner = self.whose(namespace)
            if owner is not None:
                self.book.leave(namespace, owner, must=must)
                unsaved |= self.book.is_unsaved(namespace)
        return unsaved

    def take(self, record: Record) -> bool:
        """Forget the names that are a tenant's own again; tell whether that is new."""
        found = False
        for namespace in self.book.names() & record.own:
            facts = self._facts(namespace)
            if facts is not None and not facts.terminating and not _is_retained(facts):
                found |= self.book.take(namespace, record.uid)
        return found

    def stored(self) -> list[dict[str, str]]:
        """Return what the status of TenancySettings should hold."""
        settings = self._settings()
        # Without settings nobody knows how long: nothing is forgotten.
        days = names.REST_DAYS if settings is None else settings.rest_days
        return self.book.stored(days, self._now())

    def _facts(self, namespace: str) -> NamespaceFacts | None:
        known = self._store.get(Ref(kinds.NAMESPACE.name, "", namespace))
        facts = None if known is None else known.facts
        return facts if isinstance(facts, NamespaceFacts) else None


def _is_retained(facts: NamespaceFacts) -> bool:
    return facts.labels.get(names.STATE_LABEL) == names.RETAINED
