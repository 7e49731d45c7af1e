"""Who can reach a tenant, from all policies as they are: how it joins the work of the machine."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from securetenant.api import kinds, names, status
from securetenant.api.kinds import Kind
from securetenant.api.objects import Body, Ref
from securetenant.api.securetenant import TenantSpec
from securetenant.api.tenancysettings import SettingsSpec
from securetenant.checks import foreign
from securetenant.checks.declared import Declared
from securetenant.checks.findings import Verdict
from securetenant.checks.judgement import Judge
from securetenant.checks.population import Namespace
from securetenant.checks.reachability import World
from securetenant.plan.ownership import NamespaceFacts
from securetenant.reconcile import keys
from securetenant.reconcile.concern import Concern, Presence, Watch
from securetenant.reconcile.errors import ClusterError, MissingError
from securetenant.reconcile.machine import Machine
from securetenant.reconcile.tenants import Record
from securetenant.status.outcome import Finding
from securetenant.status.statements import Remark, Statement

_SETTLE_SECONDS = 3.0
"""How long a change is not acted on: more of it may follow."""
_SHARE = 20
"""Of so many parts of the time one is spent on this at most."""
_TOLD = 3
"""How many flows, or reasons, a message names."""
_MOST = 2000
"""How many peers and ports of a policy are looked at; one with more counts as open."""
_CLOSED = "the network policies allow only declared traffic"
_log = logging.getLogger(__name__)


class _Look(NamedTuple):
    """Everything that one look is about."""

    spaces: list[Namespace]
    policies: list[Body]
    tiers: list[Body]
    others: list[Body]
    unread: list[str]
    """Kinds that could not be listed."""
    specs: dict[str, TenantSpec]
    settings: SettingsSpec


class Reachability(Concern):
    """Computes now and then, in a thread: a large cluster takes seconds."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._verdicts: dict[str, Verdict] = {}
        self._wake = asyncio.Event()
        self._end = asyncio.Event()
        self._versions: dict[Ref, int] = {}
        self._unfinished: set[str] = set()
        """Namespaces whose walls were being built at the last look."""

    # --- what happens -----------------------------------------------------------------------

    def watches(self) -> Sequence[Watch]:
        """Follow the policies that are not the operator's."""
        return (
            self._watch(kinds.NETWORK_POLICY, Presence.REQUIRED),
            self._watch(kinds.CLUSTER_NETWORK_POLICY, Presence.OPTIONAL),
        )

    def _watch(self, kind: Kind, presence: Presence) -> Watch:
        return Watch(
            kind=kind,
            selector=names.FOREIGN_SELECTOR,
            seen=self._seen,
            gone=self._gone,
            known=lambda name: [ref for ref in self._versions if ref.kind == name],
            presence=presence,
            served=self._wake.set,
            unserved=self._unserved,
        )

    def _unserved(self) -> None:
        kind = kinds.CLUSTER_NETWORK_POLICY.name
        for ref in [each for each in self._versions if each.kind == kind]:
            del self._versions[ref]
        self._wake.set()

    def _seen(self, ref: Ref, body: Body) -> None:
        version = int(body["metadata"]["resourceVersion"])
        if version > self._versions.get(ref, -1):
            self._versions[ref] = version
            self._wake.set()

    def _gone(self, ref: Ref, _: int) -> None:
        if self._versions.pop(ref, None) is not None:
            self._wake.set()

    def settings_changed(self) -> None:
        """Look again: other flows are declared."""
        self._wake.set()

    def tenant_read(self, name: str, record: Record) -> None:
        """Look again: other flows are declared."""
        self._wake.set()

    def tenant_gone(self, name: str) -> None:
        """Look again: its walls are nobody's."""
        self._verdicts.pop(name, None)
        self._wake.set()

    def namespace_changed(self, namespace: str) -> None:
        """Look again: rules select it by its labels."""
        self._wake.set()

    # --- what is said -----------------------------------------------------------------------

    def statements(self, name: str, record: Record) -> Iterable[Statement]:
        """Say what flows that nobody declared, or that nothing does."""
        if not self._machine.verify_seconds:
            return
        if any(
            unit.outcome.ready and namespace in self._unfinished
            for namespace, unit in (record.units.items() if self._unfinished else ())
        ):
            # Its walls stand now.
            self._wake.set()
        verdict = self._verdicts.get(name)
        if verdict is None:
            if _CLOSED in _said(record):
                # An earlier process saw it: a restart takes nothing back.
                yield Remark(type=status.ISOLATION_VERIFIED, message=_CLOSED)
            return
        match verdict.state:
            case "Closed":
                yield Remark(type=status.ISOLATION_VERIFIED, message=_CLOSED)
            case "Open":
                yield _finding(status.FLOWS_OPEN, map(str, verdict.openings), _DECLARE)
            case "Inconclusive":
                yield _finding(status.FLOWS_UNCLEAR, verdict.reasons, _EVALUATE)

    def doubts(self, tenant: str, namespace: str) -> Iterable[Finding]:
        """Say what flows into or out of one namespace, or what is unclear there."""
        verdict = self._verdicts.get(tenant)
        if verdict is None or not self._machine.verify_seconds:
            return
        here = [
            str(each)
            for each in verdict.openings
            if namespace in {end.namespace for end in (each.source, each.target) if end}
        ]
        unclear = [each for each in verdict.reasons if each.startswith(f"{namespace}: ")]
        if here:
            yield _finding(status.FLOWS_OPEN, here, _DECLARE)
        elif unclear:
            yield _finding(status.FLOWS_UNCLEAR, unclear, _EVALUATE)

    # --- work -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Look after changes, and now and then, until :meth:`stop`."""
        while not self._end.is_set():
            wait = self._machine.verify_seconds or None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            await self._pause(_SETTLE_SECONDS)
            self._wake.clear()
            if self._end.is_set() or not self._machine.verify_seconds:
                continue
            began = time.monotonic()
            try:
                await self._look()
            except ClusterError as error:
                _log.warning("Flows are not computed: %s", error)
                self._wake.set()
            except Exception:  # noqa: BLE001 - see below.
                # What somebody wrote must not end the work on everything else.
                _log.exception("Flows are not computed")
            await self._pause((time.monotonic() - began) * _SHARE)

    def stop(self) -> None:
        """Begin nothing more."""
        self._end.set()
        self._wake.set()

    async def _pause(self, seconds: float) -> None:
        """Wait, but no longer than until the end."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._end.wait()

    async def _look(self) -> None:
        settings = self._machine.settings
        if settings is None:
            return
        self._unfinished = unfinished = self._being_built()
        look = await self._gather(settings)
        computed = await asyncio.to_thread(_compute, look)
        found = {
            name: left
            for name, each in computed.items()
            if (left := _finished(each, unfinished)) is not None
        }
        changed = [
            name
            for name in found.keys() | self._verdicts.keys()
            if found.get(name) != self._verdicts.get(name)
        ]
        self._verdicts = found
        for name in changed:
            record = self._machine.tenants.get(name)
            for namespace in record.units if record else ():
                self._machine.queue.add(keys.unit(name, namespace))
        self._machine.tell(changed)

    def _being_built(self) -> set[str]:
        """Return the namespaces of tenants that are not as they should be."""
        return {
            namespace
            for record in self._machine.tenants.records.values()
            for namespace, unit in record.units.items()
            if not unit.outcome.ready
        }

    async def _gather(self, settings: SettingsSpec) -> _Look:
        unread: list[str] = []
        policies = await self._listed(kinds.NETWORK_POLICY, unread)
        tiers = await self._listed(kinds.CLUSTER_NETWORK_POLICY, unread)
        others = [body for kind in kinds.NOT_EVALUATED for body in await self._listed(kind, unread)]
        records = self._machine.tenants.records.items()
        return _Look(
            self._spaces(),
            policies,
            tiers,
            others,
            unread,
            {name: record.spec for name, record in records if record.spec is not None},
            settings,
        )

    def _spaces(self) -> list[Namespace]:
        store, found = self._machine.store, []
        for ref in store.refs(kinds.NAMESPACE.name):
            known = store.get(ref)
            if known is not None and isinstance(known.facts, NamespaceFacts):
                found.append(Namespace(name=ref.name, labels=dict(known.facts.labels)))
        return found

    async def _listed(self, kind: Kind, unread: list[str]) -> list[Body]:
        """Return the policies of a kind, reduced; none where it is not served."""
        found: list[Body] = []
        try:
            async for page in self._machine.cluster.pages(
                kind, take=lambda body: _reduced(body, kind)
            ):
                found += page.items
        except MissingError:
            return []
        except ClusterError as error:
            if kind not in kinds.NOT_EVALUATED:
                raise
            unread.append(f"{kind.plural}.{kind.group} cannot be listed: {error}")
        return found


_DECLARE = (
    "Declare it in the spec of who needs it (network.ingress, egress or peers), or delete the rule"
)
_EVALUATE = (
    "What such a policy allows is not evaluated: look at it yourself, or keep it from selecting"
    " namespaces of tenants"
)


def _finished(verdict: Verdict, unfinished: Collection[str]) -> Verdict | None:
    """Return a verdict without namespaces whose walls are being built; nothing if that is all.

    What is missing there is said by other conditions; once it stands, it is looked at again.
    """
    openings = tuple(
        each
        for each in verdict.openings
        if not any(end and end.namespace in unfinished for end in (each.source, each.target))
    )
    if verdict.state == "Open" and not openings:
        return None
    return verdict._replace(openings=openings)


def _finding(reason: str, told: Iterable[str], advice: str) -> Finding:
    every = list(told)
    more = f"; and {len(every) - _TOLD} more" if len(every) > _TOLD else ""
    return Finding(
        type=status.ISOLATION_VERIFIED,
        reason=reason,
        message=f"{'; '.join(every[:_TOLD])}{more}. {advice}",
        informs=True,
    )


def _said(record: Record) -> str:
    for each in record.status.get("conditions") or ():
        if each["type"] == status.ISOLATION_VERIFIED:
            return str(each["message"])
    return ""


def _reduced(body: dict[str, Any], kind: Kind) -> Body:
    """Return what is looked at; of a policy that is very long, that it cannot be read."""
    metadata = {key: body["metadata"].get(key, "") for key in ("name", "namespace")}
    spec = body.get("spec") or {}
    if _length(spec) > _MOST:
        spec = {"podSelector": {"matchLabels": "more than is read"}}
    return {
        "apiVersion": kind.api_version,
        "kind": kind.name,
        "metadata": metadata,
        "spec": spec,
        **({"specs": body["specs"]} if "specs" in body and _length(body["specs"]) <= _MOST else {}),
    }


def _length(value: Any) -> int:
    """Return how many values there are in a document."""
    if isinstance(value, dict):
        return sum(map(_length, value.values())) + len(value)
    if isinstance(value, list):
        return sum(map(_length, value)) + len(value)
    return 1


def _compute(look: _Look) -> dict[str, Verdict]:
    world = World(look.spaces, (), look.policies, look.tiers, imagine=True)
    unclear = {
        name: list(reasons) for name, reasons in foreign.selecting(look.others, look.spaces).items()
    }
    for space in look.spaces if look.unread else ():
        unclear.setdefault(space.name, []).extend(look.unread)
    judge = Judge(world, Declared(look.specs, look.settings), unclear)
    return judge.verdicts()
