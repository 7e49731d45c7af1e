"""NetworkPolicies and RoleBindings of others, while their tenant is quarantined.

What the operator made itself is put aside too: that is its desired state meanwhile.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence

from securetenant.api import kinds, lockdown, names, status
from securetenant.api.kinds import Kind
from securetenant.api.objects import Body, Ref
from securetenant.plan import aside
from securetenant.plan.aside import Found
from securetenant.plan.ownership import PolicyFacts
from securetenant.reconcile import foreign
from securetenant.reconcile.concern import Concern, Watch, Work
from securetenant.reconcile.errors import ClusterError, ConflictError, MissingError
from securetenant.reconcile.foreign import Foreign
from securetenant.reconcile.keys import Key
from securetenant.reconcile.machine import Machine
from securetenant.reconcile.tenants import Record
from securetenant.status.outcome import Finding
from securetenant.status.statements import Remark, Statement

_WORK, _TELL = "PutAside", "TellAside"
_ASPECTS = {
    kinds.NETWORK_POLICY: status.NETWORK_ISOLATED,
    kinds.ROLE_BINDING: status.ACCESS_SCOPED,
}
_TOLD = 3
_AT_ONCE = 16
"""How many objects of one namespace are changed at a time."""
_TELL_SECONDS = 2.0
"""How long an event waits for more of the same: until then every request goes into the work."""


class Quarantine(Concern):
    """Puts aside what opens something, and brings it back when the quarantine ends."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._found: Mapping[Kind, Foreign[Found, str]] = {kind: Foreign() for kind in _ASPECTS}
        self._failed: dict[Ref, str] = {}
        self._untold: dict[tuple[str, bool], tuple[int, list[Ref]]] = {}
        """By tenant, and whether put aside or brought back: how many, and the first few."""

    def watches(self) -> Sequence[Watch]:
        """Follow those without our label."""
        return tuple(
            foreign.watch(self._machine, self, kind, names.FOREIGN_SELECTOR) for kind in _ASPECTS
        )

    def works(self) -> Mapping[str, Work]:
        """Look at one namespace; tell of what was done."""
        return {_WORK: self._look, _TELL: self._announce}

    def writes(self) -> frozenset[str]:
        """All of it."""
        return frozenset((_WORK,))

    # --- what is seen ---------------------------------------------------------------------------

    def seen(self, ref: Ref, body: Body) -> set[str]:
        """Take one as it now is; return the tenant of which more or less is aside."""
        before = self._of(ref).get(ref)
        if not self._of(ref).put(ref, found := aside.observe(body)):
            return set()
        tenant = self._machine.store.owner_of(ref.namespace)
        self._wake(tenant, ref.namespace)
        was_aside = before is not None and before.is_aside
        return {tenant} if found.is_aside != was_aside else set()

    def gone(self, ref: Ref, version: int) -> set[str]:
        """Forget one that was deleted at that version; return the tenant that had it aside."""
        known = self._of(ref).drop(ref, version)
        self._failed.pop(ref, None)
        if known is None or not known.is_aside:
            return set()
        return {self._machine.store.owner_of(ref.namespace)}

    def refs(self, kind: str) -> list[Ref]:
        """Return every one of a kind that is known."""
        return [
            ref for each, found in self._found.items() if each.name == kind for ref in found.refs()
        ]

    def tenant_read(self, name: str, record: Record) -> None:
        """Look at each namespace in which something is not as it should be."""
        for namespace in self._machine.store.owned_by(name):
            self._wake(name, namespace)

    def namespace_changed(self, namespace: str) -> None:
        """It may be another tenant's now."""
        self._wake(self._machine.store.owner_of(namespace), namespace)

    def _wake(self, tenant: str, namespace: str) -> None:
        record = self._machine.tenants.get(tenant)
        if record is not None and any(self._wrong(record, namespace)):
            self._machine.queue.add(Key(_WORK, tenant, namespace))

    # --- what is done ---------------------------------------------------------------------------

    async def _look(self, key: Key) -> bool:
        """Put aside, or bring back, what others made in one namespace."""
        record = self._machine.tenants.get(key.line)
        if record is None or self._machine.settings is None:
            return False
        is_cut = _is_quarantined(record)
        turns = asyncio.Semaphore(_AT_ONCE)

        async def change(ref: Ref) -> tuple[list[Ref], bool]:
            async with turns:
                try:
                    return await self._change(ref, is_cut=bool(is_cut)), False
                except ClusterError as error:
                    is_new = self._failed.get(ref) != str(error)
                    self._failed[ref] = str(error)
                    return [], is_new

        found = await asyncio.gather(*map(change, self._wrong(record, key.name)))
        done = [ref for changed, _ in found for ref in changed]
        if done:
            count, first = self._untold.get(why := (key.line, bool(is_cut)), (0, []))
            self._untold[why] = count + len(done), [*first, *done][:_TOLD]
            self._machine.queue.add_after(Key(_TELL, key.line), _TELL_SECONDS)
        if done or any(has_failed for _, has_failed in found):
            self._machine.tell((key.line,))
        return any(self._wrong(record, key.name))

    async def _change(self, ref: Ref, *, is_cut: bool) -> list[Ref]:
        writer, known = self._machine.writer, self._of(ref).get(ref)
        if known is None:
            return []
        try:
            if known.is_plain:
                # Most are: nothing has to be read first.
                changed = await writer.patch(ref, known.version, aside.of_plain(known))
                return self._took(ref, changed)
        except MissingError:
            return []
        except ConflictError:
            pass
        body = await self._machine.cluster.read(ref)
        patch = [] if body is None else (aside.close if is_cut else aside.reopen)(body)
        if body is None or not patch:
            return []
        return self._took(ref, await writer.change(ref, body, patch))

    def _took(self, ref: Ref, body: Body) -> list[Ref]:
        self.seen(ref, body)
        self._failed.pop(ref, None)
        return [ref]

    async def _announce(self, key: Key) -> bool:
        """Tell of all that was done of late in one event a tenant."""
        for is_cut in (True, False):
            count, first = self._untold.pop((key.line, is_cut), (0, []))
            if not count:
                continue
            told = ", ".join(map(str, first))
            more = f" and {count - len(first)} more" if count > len(first) else ""
            reason, what = ("PutAside", "put aside") if is_cut else ("BroughtBack", "brought back")
            is_are = "is" if count == 1 else "are"
            note = f"{told}{more} {is_are} {what}, as the lockdown of the tenant asks for"
            self._machine.announce(key.line, reason, reason, note, is_warning=is_cut)
        return False

    def tenant_gone(self, name: str) -> None:
        """Forget a tenant."""
        for is_cut in (True, False):
            self._untold.pop((name, is_cut), None)
        self._machine.queue.forget(Key(_TELL, name))

    def _wrong(self, record: Record, namespace: str) -> Iterator[Ref]:
        """Yield what is to be put aside or brought back in a namespace of this SecureTenant."""
        is_cut = _is_quarantined(record)
        if is_cut is None or record.is_deleted or not self._is_its_own(record, namespace):
            return
        for found in self._found.values():
            for ref, known in found.inside((namespace,)):
                if known.is_open if is_cut else known.is_aside:
                    yield ref

    def _is_its_own(self, record: Record, namespace: str) -> bool:
        """Tell whether a namespace is this SecureTenant's, not an earlier one's."""
        policy = Ref(kinds.TENANT_POLICY.name, namespace, names.POLICY_NAME)
        known = self._machine.store.get(policy)
        facts = None if known is None else known.facts
        return isinstance(facts, PolicyFacts) and facts.tenant_uid == record.uid

    # --- what is said ---------------------------------------------------------------------------

    def statements(self, name: str, record: Record) -> Iterable[Statement]:
        """Say what is aside, and what is not and should be."""
        own = self._machine.store.owned_by(name)
        wrong = {ref for namespace in own for ref in self._wrong(record, namespace)}
        is_cut = _is_quarantined(record)
        for kind, found in self._found.items():
            late = sorted(ref for ref in wrong if ref.kind == kind.name)
            told = "; ".join(map(self._told, late[:_TOLD]))
            count = sum(known.is_aside for _, known in found.inside(own))
            if late and is_cut:
                message = f"The quarantine does not hold yet, this is in force: {told}"
                yield Finding(type=_ASPECTS[kind], reason=status.PROGRESSING, message=message)
            elif late:
                message = f"the quarantine is over, and this is still put aside: {told}"
                yield Remark(type=_ASPECTS[kind], message=message)
            elif count and is_cut:
                message = f"the quarantine put aside what others made: {kind.name} ({count})"
                yield Remark(type=_ASPECTS[kind], message=message)

    def _told(self, ref: Ref) -> str:
        why = self._failed.get(ref)
        return f"{ref} ({why})" if why else str(ref)

    def _of(self, ref: Ref) -> Foreign[Found, str]:
        return next(found for kind, found in self._found.items() if kind.name == ref.kind)


def _is_quarantined(record: Record) -> bool | None:
    """Tell whether a tenant is; nothing where that is not known."""
    if record.spec is not None:
        return record.spec.lockdown == lockdown.QUARANTINED
    if record.reading is not None and record.reading.lockdown == lockdown.QUARANTINED:
        return True
    return None
