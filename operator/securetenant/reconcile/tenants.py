"""The tenants that are known: their specs as last seen, and how their namespaces stand."""

import difflib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import ValidationError

from securetenant.api import kinds, names, quantities, quotas, status, workloads
from securetenant.api.network import TenantNetwork
from securetenant.api.objects import Body, Ref
from securetenant.api.rules import Model
from securetenant.api.securetenant import NAME_RULE, SELF_RULE, TenantSpec
from securetenant.api.tenancysettings import SettingsSpec
from securetenant.desired import admin_tier, peers, scope, totals, unit
from securetenant.desired.admin_tier import Tier
from securetenant.desired.peers import Agreement, Declaration
from securetenant.desired.scope import Scope
from securetenant.plan import claim, expected, expiry, ledger, restrictions
from securetenant.plan.demand import Demand
from securetenant.plan.expected import Expected, Known
from securetenant.plan.expiry import Ending
from securetenant.plan.hostnames import Hostnames, NameRequest
from securetenant.plan.ledger import Pool, Use
from securetenant.plan.ownership import Observed, PolicyFacts, QuotaFacts
from securetenant.plan.resting import Gives, given
from securetenant.reconcile import shares
from securetenant.reconcile.store import Store
from securetenant.status import conditions
from securetenant.status.outcome import Finding, Outcome

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_TOLD = 3
"""How many of a kind a message names."""


@dataclass(kw_only=True, slots=True)
class Unit:
    """One namespace of a tenant: what it should be and how it stands."""

    scope: Scope
    digests: Known
    """Digests of what namespaces of the same reading share."""
    settled: bool
    """Whether the share is the one that it will stay."""
    given: Mapping[str, int]
    """The largest share that was given and may still be written: counts until it is seen gone."""
    share: Mapping[str, int]
    has_revoked: bool = False
    """Whether what is not wanted was deleted once, ahead of all other work."""
    attempted: bool = False
    """Whether the outcome is that of work, and not only of a look."""
    lost: set[Ref] = field(default_factory=set)
    """What differs since it was ready last, by somebody else's doing."""
    is_moving: bool = False
    """Whether its share moved and is not written yet: nobody else's doing."""
    unready_since: float = float("-inf")
    """When work on it began to fail, by the monotonic clock."""
    _wanted: Expected | None = None
    _outcome: Outcome | None = None

    @property
    def wanted(self) -> Expected:
        """Return what it should be; built when first asked for, since a tenant has up to 1,000."""
        if self._wanted is None:
            manifests = unit.build(self.scope)
            is_pooled = self.scope.quota_mode == "Pool"
            self._wanted = expected.expect(manifests, self.digests, is_pooled=is_pooled)
            self.digests = {}
        return self._wanted

    def move(self, found: Scope, share: Mapping[str, int]) -> None:
        """Take another share of a pool: all but the ResourceQuota stays as it is."""
        self.scope, self.share, self._wanted = found, share, None
        self.given = _largest(self.given, share)
        self.is_moving = True

    @property
    def outcome(self) -> Outcome:
        """Return how it stands; before the first look, nothing is as it should be."""
        if self._outcome is None:
            name, wanted = self.scope.namespace.name, self.wanted
            every = (wanted.namespace, *wanted.digests)
            self._outcome = Outcome(
                namespace=name,
                pending=every,
                unproved=expected.NONE_PROVED,
                reason=status.PROGRESSING,
            )
        return self._outcome

    @outcome.setter
    def outcome(self, outcome: Outcome) -> None:
        self._outcome = outcome


@dataclass(kw_only=True, slots=True)
class Record:
    """One tenant."""

    body: Body
    """The SecureTenant as last seen, without what nothing here reads: there may be ten thousand."""
    version: int = 0
    status: dict[str, Any] = field(default_factory=dict)
    """The status as last seen or written."""
    written: int = 0
    """The resourceVersion of our last status write: what is older says nothing about the status."""
    told_at: float = float("-inf")
    """When progress was last worth a status, by the monotonic clock."""
    stale: bool = True
    """Whether the body, the settings or the shares changed since it was read."""
    follows: SettingsSpec | None = None
    """The settings that its objects are built by, as the roll-out says."""
    awaits_turn: bool = False
    """Whether nobody knows what it followed, so that it is not written to before its turn, as the
    roll-out says."""
    spec: TenantSpec | None = None
    """What is in force: the last spec that was good, without what a newer one that is refused
    takes away."""
    good: TenantSpec | None = None
    """The last spec that was good."""
    reading: restrictions.Reading | None = None
    """What is read of the spec as it stands while it is refused."""
    findings: tuple[Finding, ...] = ()
    remark: str = ""
    """What is in force, and yet worth knowing."""
    endings: tuple[Ending, ...] = ()
    """Grants of the spec that end, or have ended, whether in force or not."""
    judged: tuple[Any, SettingsSpec, TenantSpec] | None = None
    """The last spec that was found good, for which generation and by which settings: its peers
    ask for it too, and a large one takes a while to read."""
    declaration: Declaration | None = None
    """What it said about other tenants when it was last read."""
    named: frozenset[str] = frozenset()
    """Tenants that it names as peers: when it was last read, or in its body as it now is."""
    writing: set[str] = field(default_factory=set)
    """Namespaces that are being written to: what they were given may still land."""
    departing: dict[str, Mapping[str, int]] = field(default_factory=dict)
    """What was given to namespaces that left the spec while they were being written to."""
    units: dict[str, Unit] = field(default_factory=dict)
    own: frozenset[str] = frozenset()
    """The namespaces of the spec that were the tenant's own when it was last read."""
    tier: Tier | None = None
    """Its ClusterNetworkPolicy as it should be, where the kind is served."""
    missing: tuple[Finding, ...] = ()
    """What concerns could not prepare at the last look."""
    is_waiting: bool = False
    """Whether a share waits for others to shrink."""
    unmet: tuple[tuple[str, str], ...] = ()
    """Namespaces, and resources of which they were refused, without room in the total."""
    needs: Mapping[str, int] = field(default_factory=dict)
    """What one object of default size takes of the quota."""
    total: Mapping[str, int] = field(default_factory=dict)
    """The tenant's quota."""
    reserved: Mapping[str, int] = field(default_factory=dict)
    """What of it namespaces hold that are no longer in the spec."""

    def take(self, body: Body, version: int) -> bool:
        """Take the SecureTenant as it now is; tell whether somebody else wrote its status."""
        found, foreign = body.get("status") or {}, False
        if version >= self.written:
            foreign = found != self.status
            self.status = found
        self.body, self.version = _kept(body), version
        return foreign

    def expect(self, document: dict[str, Any]) -> dict[str, Any]:
        """Take the status that is about to be written, so that its echo changes nothing.

        Returns what it was, for :meth:`withdraw` when the write fails.
        """
        previous, self.status = self.status, document
        return previous

    def withdraw(self, document: dict[str, Any], previous: dict[str, Any]) -> None:
        """Take back what :meth:`expect` took.

        Unless an event came meanwhile: a write without an answer may have landed.
        """
        if self.status is document:
            self.status = previous

    def confirm(self, document: dict[str, Any], answer: Body) -> None:
        """Take the answer to the write of a status."""
        version = int(answer["metadata"]["resourceVersion"])
        if self.version < version:
            # A change by people that came meanwhile had the status of before.
            self.status, self.written = document, version
        if what_people_change(answer) == what_people_change(self.body):
            # Else people changed it meanwhile, and that is still to be seen.
            self.version = max(self.version, version)

    @property
    def uid(self) -> str:
        """Return the uid of the SecureTenant."""
        return str(self.body["metadata"]["uid"])

    @property
    def reused(self) -> frozenset[str]:
        """Return the names that it gets although they rest, as the platform team says."""
        return reused(self.body)

    @property
    def is_deleted(self) -> bool:
        """Tell whether its deletion was asked for and waits for us."""
        return "deletionTimestamp" in self.body["metadata"]

    @property
    def is_refused(self) -> bool:
        """Tell whether the spec as it stands is refused."""
        return self.reading is not None

    @property
    def is_held(self) -> bool:
        """Tell whether nothing is written for the tenant now: the one answer to that question."""
        return self.is_suspended or self.awaits_turn

    @property
    def is_suspended(self) -> bool:
        """Tell whether the operator is asked to change nothing."""
        if self.spec is None:
            return self.reading is not None and self.reading.is_suspended
        return self.spec.is_suspended


class Tenants:
    """All tenants, and which of them claim a namespace."""

    def __init__(
        self, gives: Gives = given, now: Callable[[], datetime] = lambda: _LONG_AGO
    ) -> None:
        """``now`` says which grants have ended; by default none."""
        self._gives = gives
        self._now = now
        self._records: dict[str, Record] = {}
        self._claims: defaultdict[str, set[str]] = defaultdict(set)
        self._naming: defaultdict[str, set[str]] = defaultdict(set)
        """Tenants by the peers that they name, whether they were read already or not."""
        self.demand = Demand(lambda: self._now().timestamp())
        """What namespaces use, and what was refused them."""
        self._hostnames = Hostnames()
        self._displaced: set[str] = set()
        self._names_moved: set[str] = set()
        self.unread: set[str] = set()
        """Tenants that were seen and not read yet: nobody knows what they ask for."""

    def see(self, name: str, body: Body) -> bool:
        """Take the SecureTenant as it now is; tell whether that changes anything.

        Echoes of our own status writes are not: only what people may change counts.
        """
        version = int(body["metadata"]["resourceVersion"])
        record = self._records.get(name)
        if record is None or version > record.version:
            self._displaced |= self._hostnames.put(name, _claim(body))
        if record is None:
            record = Record(body=_kept(body), version=version, status=body.get("status") or {})
            self._records[name] = record
            self.unread.add(name)
            self._index(name, record)
            return True
        if version <= record.version:
            return False
        news = what_people_change(body) != what_people_change(record.body)
        foreign = record.take(body, version)
        self._index(name, record)
        record.stale |= news
        return news or foreign

    def outdate(self, name: str) -> bool:
        """Have a tenant read again: something that it depends on changed; tell if it is known."""
        record = self._records.get(name)
        if record is not None:
            record.stale = True
        return record is not None

    def is_of_another(self, name: str, body: Body) -> bool:
        """Tell whether this is a newer SecureTenant of that name, so that the known one is gone."""
        record, metadata = self._records.get(name), body["metadata"]
        return (
            record is not None
            and record.uid != metadata["uid"]
            and record.version < int(metadata["resourceVersion"])
        )

    def forget(self, name: str) -> Record | None:
        """Forget a SecureTenant that is gone; what it made stays as it is."""
        record = self._records.pop(name, None)
        self.unread.discard(name)
        self._displaced |= self._hostnames.forget(name)
        for namespace in record.units if record else ():
            self._unclaim(namespace, name)
        for peer in record.named if record else ():
            self._unname(peer, name)
        return record

    @property
    def records(self) -> Mapping[str, Record]:
        """Return every tenant by name."""
        return self._records

    def names(self) -> list[str]:
        """Return the names of all tenants."""
        return list(self._records)

    def get(self, name: str) -> Record | None:
        """Return the tenant, or nothing."""
        return self._records.get(name)

    def claimants(self, namespace: str) -> set[str]:
        """Return the tenants whose spec names the namespace."""
        return self._claims.get(namespace, set())

    def read(
        self,
        name: str,
        settings: SettingsSpec,
        store: Store,
        *,
        followed: SettingsSpec | None = None,
    ) -> list[str]:
        """Read a tenant whose inputs changed; return the namespaces whose expectation did.

        ``followed`` are older settings by which its objects are still built: it is judged, and
        refused, by the newest. Shares the tenant's quota: the one place that does.
        """
        record = self._records[name]
        record.stale = False
        self.unread.discard(name)
        refusal: tuple[Finding, ...] = ()
        earlier = ""
        try:
            spec = _judge(name, record, settings)
            earlier = _earlier(name, record.uid, spec, store)
            record.good = spec
            record.reading = None
        except RefusedSpecError as error:
            refusal = (Finding(type=status.READY, reason=error.reason, message=str(error)),)
            asked = record.body.get("spec")
            record.reading = restrictions.read(asked)
            if record.good is None:
                record.findings = refusal
                return []
            spec = restrictions.reduce(record.good, asked, settings.bounds)
            followed = record.follows or followed
        record.endings = expiry.endings(spec)
        now = self._now()
        spec = expiry.without_ended(spec, now)
        record.spec = spec
        record.own = owned(name, record.uid, spec, followed or settings, store, self._gives)
        agreements, lacking = self._agree(name, record, settings, store)
        settings = followed or settings
        book = _share(record, spec, settings, store, name, self.demand)
        record.is_waiting, record.unmet = bool(book.waiting), book.unmet
        record.needs = shares.needs(spec, settings)
        record.total, record.reserved = totals.total(spec, settings), book.reserved
        record.remark = _remark(spec, settings)
        self.follow(store)
        ends = workloads.effective(spec.workloads, settings.workloads).hostnames
        taken = self._hostnames.taken(name, ends)
        self._displaced |= self._hostnames.give(name, set(ends) - taken.keys()) - {name}
        platform = _platform(settings, store)
        record.findings = refusal or (
            *_earlier_findings(earlier),
            *_findings(spec, settings, book, platform),
            *_hostname_findings(taken),
            *_agent_findings(settings, store),
            *_expiry_findings(each for each in record.endings if each.at <= now),
            *lacking,
        )
        found = {
            each.namespace.name: each
            for each in scope.scopes(
                name,
                record.uid,
                spec,
                settings,
                book.shares,
                agreements,
                total=record.total,
                own=record.own,
                taken=taken.keys(),
                platform=platform,
                tenants=_of_tenants(settings, store),
            )
        }
        record.tier = admin_tier.build(tuple(found.values()), agreements)
        for namespace in record.units.keys() - found.keys():
            del record.units[namespace]
            self._unclaim(namespace, name)
        changed = []
        digests: Known = {}
        for namespace, each in found.items():
            settled = namespace not in book.waiting and not book.overcommitted
            share = quantities.shared(book.shares[namespace])
            if self._update(record, each, share, digests, settled=settled):
                self._claims[namespace].add(name)
                changed.append(namespace)
        self.settle(name, store)
        return changed

    def has_moved(self, name: str, namespace: str, store: Store) -> bool:
        """Tell whether a namespace became the tenant's own, or ceased to be, since it was read."""
        record = self._records.get(name)
        unit = record.units.get(namespace) if record else None
        if record is None or unit is None:
            return False
        now = _is_owned(name, record.uid, namespace, unit.scope.settings, store, self._gives)
        return now != (namespace in record.own)

    def stray(self, name: str, ends: Iterable[str]) -> set[str]:
        """Return host names that a tenant has where nothing is repaired, and another was given."""
        return self._hostnames.stray(name, ends)

    def holders(self, host: str) -> set[str]:
        """Return the tenants that have a host name in force."""
        return self._hostnames.holders(host)

    def names_moved(self) -> set[str]:
        """Return, once, who came to have a host name in force, or lost one."""
        found, self._names_moved = self._names_moved, set()
        return found

    def displaced(self) -> set[str]:
        """Return, once, the tenants who gained or lost host names by what others ask for."""
        found, self._displaced = self._displaced & self._records.keys(), set()
        return found

    def follow(self, store: Store) -> None:
        """Take what changed about host names in TenantPolicies."""
        for tenant, before, after in store.served():
            self._names_moved.add(tenant)
            self._displaced |= self._hostnames.observe(tenant, before, after)

    def settle(self, name: str, store: Store) -> None:
        """See whether host names that a tenant gave up can still be written for it.

        They can while a write is under way, and until each of its TenantPolicies was seen as it
        should be: a write without an answer may have reached the API server.
        """
        record = self._records.get(name)
        if record is None or record.writing or self._hostnames.is_settled(name):
            return
        for namespace in record.own & record.units.keys():
            wanted = record.units[namespace].wanted
            if expected.differs(wanted, wanted.policy, store.inside(namespace)):
                return
        self._names_moved.add(name)
        self._displaced |= self._hostnames.settle(name)

    # --- peers ------------------------------------------------------------------------------

    def redeclare(self, name: str) -> set[str]:
        """Take what a tenant now says about others; return the tenants that it concerns."""
        record = self._records.get(name)
        if record is None:
            return set()
        now = _declaration(name, record)
        if now == record.declaration:
            return set()
        concerned = self.concerned(name)
        record.declaration = now
        self._index(name, record)
        return concerned

    def concerned(self, name: str) -> set[str]:
        """Return the tenants that a tenant names as peers, and those that name it."""
        record = self._records.get(name)
        return {*(record.named if record is not None else ()), *self._naming.get(name, ())}

    def _index(self, name: str, record: Record) -> None:
        """Take the peers that a tenant names, by its body too.

        After a restart the first tenant that is read must know of those who name it.
        """
        said = record.declaration.peers if record.declaration is not None else ()
        now = _named(record.body) | {peer.tenant for peer in said}
        for peer in now - record.named:
            self._naming[peer].add(name)
        for peer in record.named - now:
            self._unname(peer, name)
        record.named = now

    def _unname(self, peer: str, name: str) -> None:
        self._naming[peer].discard(name)
        if not self._naming[peer]:
            del self._naming[peer]

    def _agree(
        self, name: str, record: Record, settings: SettingsSpec, store: Store
    ) -> tuple[list[Agreement], list[Finding]]:
        """Return the flows that the tenant and its peers both declare, and what one side lacks."""
        mine = _declaration(name, record)
        if mine is None:
            return [], []
        agreements: list[Agreement] = []
        told: list[str] = []
        for other in sorted({peer.tenant for peer in mine.peers} | self._naming.get(name, set())):
            theirs = self._declared_by(other, settings, store)
            if theirs is not None:
                agreements += peers.agreed(mine, theirs)
            told += peers.missing(mine, theirs, other)
        if not told:
            return agreements, []
        more = f" And {len(told) - _TOLD} more." if len(told) > _TOLD else ""
        message = f"Closed until both sides declare it: {'; '.join(told[:_TOLD])}.{more}"
        return agreements, [
            Finding(
                type=status.NETWORK_ISOLATED,
                reason=status.PEER_MISSING,
                message=message,
                informs=True,
            )
        ]

    def _declared_by(self, name: str, settings: SettingsSpec, store: Store) -> Declaration | None:
        """Return what another tenant says, as it now is, whether it was read again or not."""
        record = self._records.get(name)
        if record is None:
            return None
        if not record.stale or record.is_deleted:
            return _declaration(name, record)
        try:
            spec = _judge(name, record, settings)
            follows = record.follows or settings
            own = owned(name, record.uid, spec, follows, store, self._gives)
            return _declared(name, spec, own)
        except RefusedSpecError:
            return _declaration(name, record)

    def _update(
        self,
        record: Record,
        found: Scope,
        share: Mapping[str, int],
        digests: Known,
        *,
        settled: bool,
    ) -> bool:
        """Take a scope; tell whether its namespace has to be looked at."""
        namespace = found.namespace.name
        known = record.units.get(namespace)
        if known is not None and known.scope == found:
            was_settled, known.settled = known.settled, settled
            return was_settled != settled
        if (
            known is not None
            and known.outcome.ready
            and found.quota_mode == "Pool"
            and replace(found, share=known.scope.share) == known.scope
        ):
            known.settled = settled
            known.move(found, share)
            return True
        given: Mapping[str, int] = share
        if known is not None:
            given = {
                key: max(known.given.get(key, 0), share.get(key, 0))
                for key in known.given.keys() | share.keys()
            }
        record.units[namespace] = Unit(
            scope=found,
            digests=digests,
            settled=settled,
            given=given,
            share=share,
        )
        return True

    def _unclaim(self, namespace: str, name: str) -> None:
        self._claims[namespace].discard(name)
        if not self._claims[namespace]:
            del self._claims[namespace]


class RefusedSpecError(Exception):
    """A stored object that breaks a rule of this operator; the message is for people."""

    def __init__(self, text: str, reason: str = status.SPEC_REFUSED) -> None:
        self.reason = reason
        super().__init__(text)


_M = TypeVar("_M", bound=Model)


def validate(model: type[_M], spec: Any) -> _M:
    """Return the model of a stored spec; raises :class:`RefusedSpecError` with its field."""
    try:
        return model.model_validate(spec)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in ("spec", *first["loc"]))
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            message = _unknown(model, str(first["loc"][-1]))
        raise RefusedSpecError(f"{where}: {message}.") from error


def reused(body: Body) -> frozenset[str]:
    """Return the names that a SecureTenant gets although they rest."""
    annotations = body["metadata"].get("annotations") or {}
    listed = str(annotations.get(names.REUSE_ANNOTATION, "")).split(",")
    return frozenset(map(str.strip, listed))


def _unknown(model: type[Model], field: str) -> str:
    """Say of a field that there is none; the CRD refuses it, unless that is of another version."""
    schema = model.model_json_schema()
    known = {
        name
        for each in (schema, *schema.get("$defs", {}).values())
        for name in each.get("properties", ())
    }
    alike = difflib.get_close_matches(field, sorted(known), n=1)
    meant = f" Is {alike[0]} meant?" if alike else ""
    return (
        f"there is no such field here.{meant} If the CRD has it, install the operator that belongs"
        " to the CRD"
    )


def _judge(name: str, record: Record, settings: SettingsSpec) -> TenantSpec:
    """Return the spec of a SecureTenant; raises :class:`RefusedSpecError` with what is wrong."""
    generation = (record.uid, record.body["metadata"].get("generation"))
    if record.judged is not None and record.judged[0] == generation:
        _, judge, spec = record.judged
        if judge is settings:
            return spec
    kept = "What was in place stays in place, except for what the spec takes away"
    try:
        spec = _parse(name, record.body)
    except RefusedSpecError as error:
        raise RefusedSpecError(f"{error} {kept}; correct the spec.") from error
    passed = settings.bounds.problem(spec, totals.total(spec, settings)) if settings.bounds else ""
    if passed:
        raise RefusedSpecError(f"{passed} (TenancySettings). {kept}.", status.BOUND_PASSED)
    record.judged = (generation, settings, spec)
    return spec


def _parse(name: str, body: Body) -> TenantSpec:
    if not NAME_RULE.holds(name):
        raise RefusedSpecError(f"metadata.name: {NAME_RULE.message}.")
    spec = validate(TenantSpec, body.get("spec"))
    if not SELF_RULE.holds((name, spec)):
        raise RefusedSpecError(f"spec.network.peers: {SELF_RULE.message}.")
    return spec


def _declaration(name: str, record: Record) -> Declaration | None:
    """Return what the tenant says about others by its last good spec; deleted, nothing."""
    if record.spec is None or record.is_deleted:
        return None
    return _declared(name, record.spec, record.own)


def _declared(name: str, spec: TenantSpec, own: frozenset[str]) -> Declaration:
    return Declaration(
        tenant=name,
        namespaces=tuple(sorted(own)),
        peers=(spec.network and spec.network.peers) or (),
    )


def owned(
    tenant: str,
    uid: str,
    spec: TenantSpec,
    settings: SettingsSpec,
    store: Store,
    gives: Gives,
) -> frozenset[str]:
    """Return the namespaces that a spec names and that are the tenant's own.

    What is named and somebody else's is in no list that opens anything.
    """
    return frozenset(
        entry.name
        for entry in spec.namespaces
        if _is_owned(tenant, uid, entry.name, settings, store, gives)
    )


def _of_tenants(settings: SettingsSpec, store: Store) -> set[str]:
    """Return the namespaces of agents that a tenant has, whatever protectedNames say since."""
    accounts = (each.service_account for each in settings.agents or ())
    return {each.namespace for each in accounts if each and store.owner_of(each.namespace)}


def _is_owned(
    tenant: str, uid: str, namespace: str, settings: SettingsSpec, store: Store, gives: Gives
) -> bool:
    rest = gives(tenant, uid, namespace)
    verdict = claim.judge(tenant, uid, namespace, *_seen(namespace, store), rest)
    return claim.is_owned(verdict, is_protected=settings.protects(namespace))


def _seen(namespace: str, store: Store) -> tuple[Observed | None, PolicyFacts | None]:
    """Return a namespace and the TenantPolicy in it, as far as they are there."""
    policy = store.get(Ref(kinds.TENANT_POLICY.name, namespace, names.POLICY_NAME))
    facts = policy.facts if policy is not None else None
    observed = store.get(Ref(kinds.NAMESPACE.name, "", namespace))
    return observed, facts if isinstance(facts, PolicyFacts) else None


def _has_begun(tenant: str, uid: str, store: Store) -> bool:
    """Tell whether a namespace is this very SecureTenant's."""
    return any(
        policy is not None and policy.tenant_uid == uid
        for _, policy in (_seen(each, store) for each in store.owned_by(tenant))
    )


def _earlier(tenant: str, uid: str, spec: TenantSpec, store: Store) -> str:
    """Say which namespaces are of an earlier SecureTenant of this name, if nobody gave them over.

    They carry the tenant's label: its traffic, its members and its host names would mix with
    those of the earlier one. Raises :class:`RefusedSpecError` where nothing is this one's yet:
    then nothing is made.
    """
    told = []
    listed = {each.name for each in spec.namespaces}
    for namespace in sorted(store.owned_by(tenant)):
        observed, policy = _seen(namespace, store)
        if not claim.is_anothers(uid, observed, policy):
            continue
        if namespace not in listed:
            told.append(
                f"Namespace {namespace} belongs to an earlier SecureTenant {tenant}, so its members"
                " and its traffic would meet those of this one. Delete it, or add it to"
                f" spec.namespaces and: kubectl annotate namespace {namespace}"
                f" {names.ADOPT_ANNOTATION}={tenant}"
            )
        elif not (verdict := claim.judge(tenant, uid, namespace, observed, policy)).is_owned:
            told.append(verdict.message)
    more = f"; and {len(told) - _TOLD} more namespaces" if len(told) > _TOLD else ""
    text = "; ".join(told[:_TOLD]) + more
    if text and not _has_begun(tenant, uid, store):
        raise RefusedSpecError(text, status.CONSENT_NEEDED)
    return text


def _earlier_findings(text: str) -> tuple[Finding, ...]:
    if not text:
        return ()
    return (Finding(type=status.NETWORK_ISOLATED, reason=status.CONSENT_NEEDED, message=text),)


_ANNOTATIONS = (names.REQUESTED_ANNOTATION, names.REUSE_ANNOTATION)
"""Those that say something to the operator; ``kubectl apply`` keeps the whole spec in another."""


def _kept(body: Body) -> Body:
    """Return a SecureTenant without its status, which is kept by itself, and who wrote what."""
    metadata = {key: each for key, each in body["metadata"].items() if key != "managedFields"}
    if found := metadata.get("annotations"):
        metadata["annotations"] = {key: found[key] for key in _ANNOTATIONS if key in found}
    return {"metadata": metadata, "spec": body.get("spec")}


def what_people_change(body: Body) -> tuple[Any, ...]:
    """Return what of a SecureTenant is not an echo of our own writes."""
    metadata = body["metadata"]
    return (
        metadata.get("generation"),
        metadata.get("uid"),
        metadata.get("deletionTimestamp"),
        metadata.get("finalizers"),
        metadata.get("annotations", {}).get(names.REQUESTED_ANNOTATION),
        metadata.get("annotations", {}).get(names.REUSE_ANNOTATION),
    )


def _share(
    record: Record,
    spec: TenantSpec,
    settings: SettingsSpec,
    store: Store,
    tenant: str,
    demand: Demand,
) -> ledger.Ledger:
    """Balance the tenant's quota by what is seen and what was given."""
    total, parts = totals.total(spec, settings), shares.parts(spec)
    given = {name: unit.given for name, unit in record.units.items() if name not in parts}
    # The larger counts: a namespace may leave, come back and leave while one write is under way.
    record.departing = {
        namespace: _largest(record.departing.get(namespace, {}), given.get(namespace, {}))
        for namespace in (record.departing.keys() | given.keys()) & record.writing
    }
    exposure = {}
    labelled = store.owned_by(tenant)
    for namespace in parts:
        # What somebody else's namespace may use takes nothing from this tenant's total.
        is_theirs = namespace not in record.own and namespace not in labelled
        held = {} if is_theirs else _in_force(store, namespace, settings)
        seen = _largest(held, record.departing.get(namespace, {}))
        known = record.units.get(namespace)
        if known is not None:
            if seen == dict(known.share) and namespace not in record.writing:
                known.given = known.share
            seen = _largest(seen, known.given)
        exposure[namespace] = seen
    reserved: dict[str, int] = {}
    for namespace in (labelled | record.departing.keys()) - parts.keys():
        held = _largest(_in_force(store, namespace, settings), record.departing.get(namespace, {}))
        for key, count in held.items():
            reserved[key] = reserved.get(key, 0) + count
    shared = None
    if spec.has_pool:
        uses = {name: _use(record, name, store, settings, demand) for name in parts}
        is_still = spec.is_suspended or record.awaits_turn
        shared = Pool(uses, shares.needs(spec, settings), is_still)
    return ledger.balance(total, parts, reserved, exposure, shared)


def _use(
    record: Record, namespace: str, store: Store, settings: SettingsSpec, demand: Demand
) -> Use:
    """Return what the pool goes by of one namespace: without what its quota has on top."""
    bounded = (settings.bounds and settings.bounds.quota) or {}

    def own(counted: Mapping[str, int]) -> dict[str, int]:
        return quotas.without_surplus(counted, bounded)

    unit = record.units.get(namespace)
    held: Mapping[str, int] | None = None
    if unit is not None:
        held = unit.share
    elif namespace in record.own:
        # After a restart: what is written is what was given last.
        held = _written(store, namespace, settings)
    wish = None if held is None else demand.wish(namespace, held, own)
    return Use(
        held=held,
        used=own(demand.used(namespace)),
        wanted=own(wish.wanted) if wish else {},
        piece=wish.piece if wish else {},
    )


def _written(store: Store, namespace: str, settings: SettingsSpec) -> dict[str, int] | None:
    """Return the share that the quota of a namespace says."""
    seen = store.get(Ref(kinds.RESOURCE_QUOTA.name, namespace, names.QUOTA))
    if seen is None or not isinstance(seen.facts, QuotaFacts):
        return None
    return _shares_of(seen.facts.hard, settings)


def _in_force(store: Store, namespace: str, settings: SettingsSpec) -> dict[str, int]:
    """Return what the namespace may use of the total by its quota: the larger of spec and status.

    Without what it holds in addition to its share for the cluster's own objects and the operator's.
    """
    seen = store.get(Ref(kinds.RESOURCE_QUOTA.name, namespace, names.QUOTA))
    if seen is None or not isinstance(seen.facts, QuotaFacts):
        return {}
    hard, enforced = (_shares_of(each, settings) for each in (seen.facts.hard, seen.facts.enforced))
    return hard if hard == enforced else _largest(hard, enforced)


def _shares_of(hard: Mapping[str, str], settings: SettingsSpec) -> dict[str, int]:
    """Return the share of which a quota is made, without what it has on top."""
    bounded = (settings.bounds and settings.bounds.quota) or {}
    counted = {
        key: quantities.units(key, value)
        for key, value in hard.items()
        if key not in quotas.COUNTED_BESIDE
    }
    return quotas.without_surplus(counted, bounded)


def _largest(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {key: max(one.get(key, 0), other.get(key, 0)) for key in one.keys() | other.keys()}


def _platform(settings: SettingsSpec, store: Store) -> frozenset[str]:
    """Return the namespaces whose ServiceAccounts the platform team lets every tenant name.

    One that belongs to a tenant, from before it was listed, is that tenant's.
    """
    listed = settings.subject_namespaces or ()
    return frozenset(each for each in listed if not store.owner_of(each))


def _findings(
    spec: TenantSpec,
    settings: SettingsSpec,
    book: ledger.Ledger,
    platform: Collection[str],
) -> tuple[Finding, ...]:
    """Return what is wrong with a spec that CEL could not see."""
    findings = []
    if book.overcommitted:
        findings.append(
            Finding(
                type=status.QUOTA_ENFORCED,
                reason=status.QUOTA_OVERCOMMITTED,
                message=f"{book.overcommitted}. Shares stay as they are; raise spec.quota, lower"
                " the fixed and guaranteed parts, or delete retained namespaces.",
            )
        )
    else:
        findings += shares.findings(spec, settings, book)
    if spec.enforcement == "Audit":
        findings.append(
            Finding(
                type=status.POLICIES_IN_FORCE,
                reason=status.AUDIT_ONLY,
                message="spec.enforcement is Audit, so rules by which the tenant protects itself"
                " (hardening, images, tokens) warn and do not refuse.",
                informs=True,
            )
        )
    own = {entry.name for entry in spec.namespaces}
    unknown = sorted(
        {
            (grant.name, namespace)
            for grant in spec.access or ()
            for namespace in (
                *(grant.namespaces or ()),
                *(
                    each.namespace
                    for each in grant.subjects
                    if each.namespace is not None and each.namespace not in platform
                ),
            )
            if namespace not in own
        }
    )
    if unknown:
        told = ", ".join(f"{namespace} (access {grant})" for grant, namespace in unknown[:_TOLD])
        findings.append(
            Finding(
                type=status.ACCESS_SCOPED,
                reason=status.UNKNOWN_NAMESPACE,
                message=f"Not a namespace of this tenant: {told}. The other grants are in force;"
                " add the namespace to spec.namespaces or correct the name. ServiceAccounts of the"
                " platform's namespaces need the platform team (TenancySettings,"
                " subjectNamespaces).",
            )
        )
    findings += _network_findings(spec.network or TenantNetwork(), own, settings)
    return tuple(findings)


def _claim(body: Body) -> NameRequest:
    """Return the host names that a SecureTenant asks for, whether its spec is good or not."""
    ends = [each for each in _listed(body, "workloads", "hostnames") if isinstance(each, str)]
    return NameRequest(str(body["metadata"].get("creationTimestamp", "")), tuple(sorted(set(ends))))


def _named(body: Body) -> frozenset[str]:
    """Return the tenants that a SecureTenant names as peers, whether its spec is good or not."""
    peers = _listed(body, "network", "peers")
    found = (each.get("tenant") for each in peers if isinstance(each, dict))
    return frozenset(each for each in found if isinstance(each, str))


def _listed(body: Body, group: str, field: str) -> list[Any]:
    """Return a list of a spec that may be anything; empty where there is none."""
    spec = body.get("spec")
    fields = spec.get(group) if isinstance(spec, dict) else None
    found = fields.get(field) if isinstance(fields, dict) else None
    return found if isinstance(found, list) else []


def _agent_findings(settings: SettingsSpec, store: Store) -> tuple[Finding, ...]:
    """Return which entries of agents are not in force."""
    taken = _of_tenants(settings, store)
    found = sorted(
        f"{each.name} ({each.service_account.namespace} is tenant"
        f" {store.owner_of(each.service_account.namespace)}'s)"
        for each in settings.agents or ()
        if each.service_account is not None and each.service_account.namespace in taken
    )
    if not found:
        return ()
    message = (
        f"Not in force of the agents in TenancySettings: {conditions.listed(found)}. Move the"
        " program to a namespace that no tenant has, or the tenant's namespace to another name"
    )
    return (
        Finding(
            type=status.POLICIES_IN_FORCE,
            reason=status.AGENT_OF_TENANT,
            message=message,
            informs=True,
        ),
    )


def _expiry_findings(ended: Iterable[Ending]) -> tuple[Finding, ...]:
    """Return which grants have ended."""
    every = [f"{each.name} ({each.told})" for each in ended]
    if not every:
        return ()
    more = f" and {len(every) - _TOLD} more" if len(every) > _TOLD else ""
    message = (
        f"Access has ended: {', '.join(every[:_TOLD])}{more}. Nobody has access by it; remove the"
        " entry, or write a later expiresAt. The other grants are in force."
    )
    return (
        Finding(type=status.ACCESS_SCOPED, reason=status.EXPIRED, message=message, informs=True),
    )


def _hostname_findings(taken: Mapping[str, str]) -> tuple[Finding, ...]:
    if not taken:
        return ()
    told = ", ".join(f"{end} (tenant {owner})" for end, owner in sorted(taken.items())[:_TOLD])
    return (
        Finding(
            type=status.READY,
            reason=status.HOSTNAME_TAKEN,
            message=f"Host names that another tenant has: {told}. Everything else is in force."
            " Choose ends in spec.workloads.hostnames that do not overlap, or have the other tenant"
            " give them up; if it was deleted, delete its retained namespaces.",
        ),
    )


def _remark(spec: TenantSpec, settings: SettingsSpec) -> str:
    """Say what a default leaves open."""
    allowed = workloads.effective(spec.workloads, settings.workloads)
    if allowed.registries == workloads.ANY:
        return "images may come from anywhere (spec.workloads.registries is not set)"
    return ""


def _network_findings(
    network: TenantNetwork, own: set[str], settings: SettingsSpec
) -> list[Finding]:
    """Return what openings name and nobody knows."""
    findings = []
    unknown = sorted(
        (each.name, namespace)
        for each in network.openings
        for namespace in each.namespaces or ()
        if namespace not in own
    )
    if unknown:
        told = ", ".join(f"{namespace} (opening {name})" for name, namespace in unknown[:_TOLD])
        findings.append(
            Finding(
                type=status.NETWORK_ISOLATED,
                reason=status.UNKNOWN_NAMESPACE,
                message=f"Not a namespace of this tenant: {told}. Everything else is in force; add"
                " the namespace to spec.namespaces or correct the name.",
            )
        )
    known = sorted(each.name for each in settings.ingress_controllers or ())
    lacking = sorted(
        {
            f"ingress controller {outsider.ingress_controller} (opening {each.name})"
            for each in network.openings
            for outsider in each.outsiders
            if outsider.ingress_controller is not None and outsider.ingress_controller not in known
        }
    )
    if lacking:
        findings.append(
            Finding(
                type=status.NETWORK_ISOLATED,
                reason=status.NOT_IN_SETTINGS,
                message=f"TenancySettings do not know {', '.join(lacking[:_TOLD])}. They know"
                f" {', '.join(known) or 'none'}. Name one of these, or have the platform team add"
                " it to ingressControllers; until then it is closed.",
            )
        )
    if network.api_server == "Allow" and not (
        settings.api_server and settings.api_server.addresses
    ):
        findings.append(
            Finding(
                type=status.NETWORK_ISOLATED,
                reason=status.NOT_IN_SETTINGS,
                message="TenancySettings name no addresses in apiServer, so apiServer: Allow opens"
                " nothing. Have the platform team add them, or write Deny.",
            )
        )
    return findings
