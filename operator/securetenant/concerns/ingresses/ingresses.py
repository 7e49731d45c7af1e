"""Ingresses from before, whose host names the tenant of their namespace may not have now.

They stay, since they are the tenant's, and are named until somebody deletes them.
"""

from collections.abc import Callable

from securetenant.api import kinds, names, status
from securetenant.api.objects import Body, Ref
from securetenant.plan import ingresses
from securetenant.plan.ingresses import Served
from securetenant.plan.ownership import PolicyFacts
from securetenant.reconcile.foreign import Foreign
from securetenant.reconcile.store import Store
from securetenant.status.outcome import Finding

_TOLD = 3


class Ingresses:
    """Which host names are served where, by what is seen."""

    def __init__(self, *, store: Store, holders: Callable[[str], set[str]]) -> None:
        """``holders`` returns the tenants that have a host name in force."""
        self._store = store
        self._holders = holders
        self._found = Foreign[Served, str]()
        self._told: dict[str, str] = {}
        """What was said last of a tenant, so that each change is one event."""

    def seen(self, ref: Ref, body: Body) -> set[str]:
        """Take one as it now is; return the tenant whose conditions it may change."""
        changed = self._found.put(ref, ingresses.observe(body))
        return {self._store.owner_of(ref.namespace)} if changed else set()

    def gone(self, ref: Ref, version: int) -> set[str]:
        """Forget one that was deleted at that version; return the tenant that had it."""
        known = self._found.drop(ref, version)
        return {self._store.owner_of(ref.namespace)} if known is not None else set()

    def refs(self, _: str) -> list[Ref]:
        """Return every one that is known."""
        return self._found.refs()

    def findings(self, tenant: str) -> tuple[Finding, ...]:
        """Return which Ingresses in a tenant's namespaces serve names that it may not have."""
        told, is_anothers = [], False
        for ref, served in self._found.inside(self._store.owned_by(tenant)):
            ends = self._ends(tenant, ref.namespace)
            if ends is None:
                continue  # Nothing is decided there yet, and its tenant is not ready.
            if hosts := self._describe(tenant, served, ends):
                # Who knows what the others are.
                is_anothers |= served.has_more or any("(tenant " in each for each in hosts)
                more = f" and {len(hosts) - _TOLD} more" if len(hosts) > _TOLD else ""
                told.append(f"{ref} ({', '.join(hosts[:_TOLD])}{more})")
        if not told:
            return ()
        more = f" and {len(told) - _TOLD} more" if len(told) > _TOLD else ""
        message = (
            "Ingresses from before serve host names that spec.workloads.hostnames do not cover, or"
            f" more than are looked at: {'; '.join(told[:_TOLD])}{more}. The operator does not"
            " delete them. Delete them, or change their hosts."
        )
        return (
            Finding(
                type=status.POLICIES_IN_FORCE,
                reason=status.FOREIGN_HOSTNAMES,
                message=message,
                informs=not is_anothers,
            ),
        )

    def named(self) -> set[str]:
        """Return the tenants that something was said about."""
        return {tenant for tenant, message in self._told.items() if message}

    def is_news(self, tenant: str, findings: tuple[Finding, ...]) -> bool:
        """Tell, once, whether something else is found than was said last."""
        message = findings[0].message if findings else ""
        if self._told.get(tenant, "") == message:
            return False
        self._told[tenant] = message
        return bool(message)

    def _describe(self, tenant: str, served: Served, ends: tuple[str, ...]) -> list[str]:
        found = []
        for host in ingresses.foreign(served, ends):
            others = sorted(self._holders(host) - {tenant})
            whose = f" (tenant {others[0]})" if others else ""
            found.append(f"{host or 'every host'}{whose}")
        if served.has_more:
            found.append(f"more than {ingresses.MOST} names")
        # What is another tenant's comes first.
        return sorted(found, key=lambda each: "(tenant " not in each)

    def _ends(self, tenant: str, namespace: str) -> tuple[str, ...] | None:
        """Return the ends of host names that are in force in a namespace."""
        known = self._store.get(Ref(kinds.TENANT_POLICY.name, namespace, names.POLICY_NAME))
        facts = None if known is None else known.facts
        if not isinstance(facts, PolicyFacts) or facts.tenant != tenant:
            return None
        return facts.hostnames
