"""What is already there: how it joins the work of the machine."""

import dataclasses
import logging
import random
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from securetenant.api import kinds, names, status
from securetenant.api.kinds import Kind
from securetenant.api.objects import Ref
from securetenant.api.tenantpolicy import PolicySpec
from securetenant.checks import standing
from securetenant.checks.standing import Rules
from securetenant.concerns.standing import look, preflight
from securetenant.concerns.standing.look import Found, Served
from securetenant.desired import placement, policy
from securetenant.reconcile import keys
from securetenant.reconcile.concern import Concern
from securetenant.reconcile.errors import ClusterError, UnavailableError
from securetenant.reconcile.keys import Key
from securetenant.reconcile.machine import Machine
from securetenant.reconcile.queue import Queue
from securetenant.reconcile.tenants import Record, Unit
from securetenant.status.outcome import Finding
from securetenant.status.statements import Remark, Statement

_SETTLE_SECONDS = 1.0
"""How long a change waits for more of it."""
_AGAIN_SECONDS = 300.0
"""How long at most until another look at a namespace in which something is wrong, or was not read:
somebody may have put it right."""
_ABSENT_SECONDS = 600.0
"""How long a kind that is not served is not asked for."""

_log = logging.getLogger(__name__)


@dataclass(kw_only=True, slots=True)
class _Space:
    """A namespace of a tenant."""

    asked: int | None = None
    """What was asked for when it was queued last."""
    found: Found | None = None
    """What the last look came to."""


class Standing(Concern):
    """Judges what is already there, one namespace at a time, in a queue of its own."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._queue = Queue[Key](clock=time.monotonic, chance=random.Random())  # noqa: S311 - jitter.
        self._served = Served(time.monotonic, _ABSENT_SECONDS)
        self._spaces: dict[str, dict[str, _Space]] = {}
        """By tenant and name."""

    # --- what happens -----------------------------------------------------------------------

    def namespace_changed(self, namespace: str) -> None:
        """Look at a namespace again that somebody changed."""
        tenant = self._machine.store.owner_of(namespace)
        if namespace in self._spaces.get(tenant, ()):
            self._queue.add_after(_key(tenant, namespace), _SETTLE_SECONDS)

    def tenant_read(self, name: str, record: Record) -> None:
        """Forget the namespaces that the tenant does not name any more."""
        spaces = self._spaces.get(name, {})
        for namespace in spaces.keys() - record.units.keys():
            self._queue.forget(_key(name, namespace))
            del spaces[namespace]

    def tenant_gone(self, name: str) -> None:
        """Forget a tenant."""
        for namespace in self._spaces.pop(name, ()):
            self._queue.forget(_key(name, namespace))

    # --- a namespace that is to be taken ------------------------------------------------------

    async def preflight(
        self, namespace: str, tenant: str, record: Record
    ) -> tuple[str, str] | None:
        """Look through it first: what contradicts the spec is named, and nothing is touched."""
        unit = record.units[namespace]
        wanted = placement.selector(unit.scope)
        found = await preflight.through(
            self._machine.cluster,
            self._rules(unit),
            self._served,
            share=unit.scope.share,
            made=self._made(unit),
            unopened=(
                f"what an opening of the SecureTenant is for would be cut off: {each.message}"
                for each in record.findings
                if each.reason == status.NOT_IN_SETTINGS
            ),
            former=self._machine.store.owner_of(namespace),
            tenant=tenant,
            is_ours=self._is_ours,
            is_elsewhere=lambda node: self._is_elsewhere(node, wanted),
        )
        told = found.obstacles(namespace, is_enforced=unit.scope.enforcement == "Enforce")
        if told:
            if unit.outcome.message != told:
                self._announce(tenant, status.ADOPTION_BLOCKED, told)
            return status.ADOPTION_BLOCKED, told
        self._announce(tenant, "Adopted", f"Namespace {namespace} is taken: {found.summary()}")
        return None

    def _made(self, unit: Unit) -> Mapping[Kind, int]:
        """Return how many objects of each kind there will be more, once the namespace is taken."""
        inside = self._machine.store.inside(unit.scope.namespace.name)
        before = Counter(ref.kind for ref in inside)
        after = Counter(ref.kind for ref in unit.wanted.digests)
        return {kinds.BY_NAME[name]: count for name, count in (after - before).items()}

    def _announce(self, tenant: str, reason: str, note: str) -> None:
        is_warning = reason == status.ADOPTION_BLOCKED
        self._machine.announce(tenant, reason, "Adopt", note, is_warning=is_warning)

    def _is_elsewhere(self, node: str, wanted: Mapping[str, str]) -> bool:
        facts = self._machine.nodes.facts(node)
        return facts is not None and any(
            facts.labels.get(key) != value for key, value in wanted.items()
        )

    # --- what is said -----------------------------------------------------------------------

    def statements(self, name: str, record: Record) -> Iterable[Statement]:
        """Say what was found; queue what is ready and was not looked at as it is now."""
        if not self._machine.verify_seconds or record.is_deleted:
            self.tenant_gone(name)
            return
        spaces = self._spaces.setdefault(name, {})
        for namespace, unit in record.units.items():
            space = spaces.setdefault(namespace, _Space())
            asked = _asked(record, unit)
            if unit.outcome.ready and space.asked != asked:
                wait = self._rest(record) if space.asked is None else 0.0
                space.asked = asked
                self._queue.add_after(_key(name, namespace), max(wait, _SETTLE_SECONDS))
        known = [each.found for each in spaces.values() if each.found is not None]
        is_open = any(each.asked is not None and each.found is None for each in spaces.values())
        before = _before(record) if is_open else ()
        if before:
            # A restart takes nothing back; what an earlier process found is looked for first.
            yield _finding(before[0])
        elif message := _told(known):
            yield _finding(message)
        if problem := next((each.problem for each in known if each.problem), ""):
            text = f"not everything that is already there could be read: {problem}"
            yield Remark(type=status.ISOLATION_VERIFIED, message=text)

    def doubts(self, tenant: str, namespace: str) -> Iterable[Finding]:
        """Say what was found in one namespace."""
        space = self._spaces.get(tenant, {}).get(namespace)
        if space is not None and space.found is not None and (message := _told([space.found])):
            yield _finding(message)

    def _rest(self, record: Record) -> float:
        """Return how long what an earlier process saw of the same spec counts, spread evenly."""
        generation = record.body["metadata"].get("generation")
        for each in record.status.get("conditions") or ():
            if (each["type"], each["status"]) == (status.ISOLATION_VERIFIED, "True"):
                same = each["observedGeneration"] == generation
                return random.uniform(0, self._machine.verify_seconds) if same else 0.0  # noqa: S311 - jitter.
        return 0.0

    # --- work -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Look through what is due until cancelled, or until :meth:`stop`."""
        while (key := await self._queue.take()) is not None:
            failed, retry_after = True, 0.0
            try:
                await self._look(key.line, key.name)
                failed = False
            except UnavailableError as error:
                retry_after = error.retry_after
            except ClusterError as error:
                _log.warning("%s is tried again: %s", key, error)
            except Exception:  # noqa: BLE001 - see below.
                # One namespace's surprise must not stop the work on all others.
                _log.exception("%s failed unexpectedly and is tried again", key)
            finally:
                self._queue.done(key, failed=failed, retry_after=retry_after)

    def stop(self) -> None:
        """Begin nothing more."""
        self._queue.close()

    async def _look(self, tenant: str, namespace: str) -> None:
        """Look through one namespace. Raises a :class:`ClusterError`."""
        record = self._machine.tenants.get(tenant)
        space = self._spaces.get(tenant, {}).get(namespace)
        unit = record.units.get(namespace) if record else None
        if record is None or unit is None or space is None:
            return
        if record.is_deleted or not unit.outcome.ready or not self._machine.verify_seconds:
            # It is queued again once it is ready, and once anything is verified at all.
            space.asked = None
            return
        try:
            found = await look.through(
                self._machine.cluster, self._rules(unit), self._is_ours, self._served
            )
        except ClusterError as error:
            if space.found is None:
                self._take(tenant, namespace, space, Found(problem=str(error)))
            # Else what the last look came to stands: it is tried again in a moment.
            raise
        self._take(tenant, namespace, space, found)
        is_good = not found.total and not found.problem
        longest = (
            self._machine.verify_seconds
            if is_good
            else min(self._machine.verify_seconds, _AGAIN_SECONDS)
        )
        wait = longest * random.uniform(0.8, 1.0)  # noqa: S311 - jitter.
        self._queue.add_after(_key(tenant, namespace), wait)

    def _take(self, tenant: str, namespace: str, space: _Space, now: Found) -> None:
        found = look.together(space.found, now)
        if self._spaces.get(tenant, {}).get(namespace) is space and space.found != found:
            space.found = found
            self._machine.queue.add(keys.unit(tenant, namespace))
            self._machine.tell((tenant,))

    def _rules(self, unit: Unit) -> Rules:
        """Return what holds in the namespace, or will once it is taken and is one of the tenant."""
        name = unit.scope.namespace.name
        own = tuple(sorted({*unit.scope.own_namespaces, name}))
        scope = dataclasses.replace(unit.scope, own_namespaces=own)
        settings = self._machine.settings
        listed = settings.subject_namespaces if settings else None
        return standing.today(
            name,
            PolicySpec.model_validate(policy.build(scope).body["spec"]),
            self._machine.now(),
            listed or (),
        )

    def _is_ours(self, ref: Ref) -> bool:
        """Tell whether the operator keeps an object, or deletes it as drift in a moment."""
        return self._machine.store.get(ref) is not None


def _asked(record: Record, unit: Unit) -> int:
    annotations = record.body["metadata"].get("annotations") or {}
    requested = annotations.get(names.REQUESTED_ANNOTATION)
    return hash((requested, frozenset(unit.wanted.digests.items())))


def _before(record: Record) -> tuple[str, ...]:
    """Return what an earlier process, or this one, said last."""
    return tuple(
        each["message"]
        for each in record.status.get("conditions") or ()
        if (each["type"], each["reason"]) == (status.ISOLATION_VERIFIED, status.STANDING_VIOLATIONS)
    )


def _finding(message: str) -> Finding:
    return Finding(
        type=status.ISOLATION_VERIFIED,
        reason=status.STANDING_VIOLATIONS,
        message=message,
        informs=True,
    )


def _told(known: Iterable[Found]) -> str:
    """Say what would be refused today, and what to do about it; nothing: there is none."""
    listed = look.listing(known, "would be refused today")
    return (
        f"{listed}. The operator deletes nothing. Delete them, or change them or the SecureTenant;"
        " what a program of the platform wrote, allow to it in spec.agents of TenancySettings"
        if listed
        else ""
    )


def _key(tenant: str, namespace: str) -> Key:
    return Key("Standing", tenant, namespace)
