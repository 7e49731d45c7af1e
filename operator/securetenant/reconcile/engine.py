"""The engine: takes what is seen, decides what to work on, works, and writes the status."""

import asyncio
import contextlib
import datetime
import logging
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from securetenant.api import kinds, names, status
from securetenant.api.nodes import TenantNodes
from securetenant.api.objects import Body, Ref
from securetenant.api.tenancysettings import SettingsSpec
from securetenant.plan import expected, ownership, pids
from securetenant.plan.brake import Brake
from securetenant.plan.resting import Book, Owner
from securetenant.plan.traffic import Reach
from securetenant.reconcile import keys, statuses, tiers
from securetenant.reconcile.bindings import Bindings, removed
from securetenant.reconcile.departures import Delay, Departures
from securetenant.reconcile.errors import (
    ClusterError,
    ConflictError,
    MissingError,
    RefusedError,
    UnavailableError,
)
from securetenant.reconcile.flows import Flows
from securetenant.reconcile.foreign import Watched
from securetenant.reconcile.heartbeat import Heartbeat
from securetenant.reconcile.ingresses import Ingresses
from securetenant.reconcile.keys import Key
from securetenant.reconcile.nodes import Nodes, Surroundings
from securetenant.reconcile.pids import Pids
from securetenant.reconcile.platform import Platform
from securetenant.reconcile.ports import Announcer, Cluster, Kubelets, Meter
from securetenant.reconcile.queue import Queue
from securetenant.reconcile.resting import Resting
from securetenant.reconcile.rollout import Rollout
from securetenant.reconcile.statuses import Statuses
from securetenant.reconcile.store import Store
from securetenant.reconcile.tenants import Record, Tenants, Unit
from securetenant.reconcile.tiers import Tiers
from securetenant.reconcile.traffic import Closed, Traffic
from securetenant.reconcile.unit import Task, Worker
from securetenant.reconcile.unkept import Unkept
from securetenant.status import conditions, placement, settings
from securetenant.status.conditions import Verdict
from securetenant.status.outcome import Finding, Outcome

_GATHER_SECONDS = 1.0
"""How long a flow waits for more tenants to change, since many may share it."""
_CONFLICT_SECONDS = 0.2
"""How soon a node is looked at again that somebody else wrote to at the same moment."""
_NEWS_SECONDS = 0.2
"""How long news of kubelets are gathered before tenants tell of them."""
_DAEMON_SETS_SECONDS = 600.0
"""How often DaemonSets are looked at while tenants have nodes of their own."""
_SLICE_SECONDS = 0.01
"""How long namespaces of a tenant are looked at before other work gets its turn."""
_KEPT = frozenset({"formerNames", "teardowns"})
"""What of the status of TenancySettings the operator remembers by it."""

_log = logging.getLogger(__name__)


class Engine:
    """Level-triggered: ``seen`` calls only say where to look."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        meter: Meter,
        announcer: Announcer,
        now: Callable[[], datetime.datetime],
        store: Store,
        kubelets: Kubelets,
        holder: str = "",
        workers: int = 32,
        book: Book | None = None,
        brake: Brake | None = None,
    ) -> None:
        """``book`` and ``brake`` are what an earlier engine of this process remembered."""
        self.store = store
        self.platform = Platform()
        self.resting = Resting(
            store=store,
            tenants=lambda: self.tenants,
            settings=lambda: self.platform.settings,
            now=now,
            book=book,
        )
        self.tenants = Tenants(self.resting.gives)
        self.queue = Queue[Key](
            clock=time.monotonic,
            chance=random.Random(),  # noqa: S311 - jitter.
            # A namespace with much to write takes a while: some workers are for other tenants.
            most=max(1, workers // 2),
        )
        self._cluster = cluster
        self._meter = meter
        self._now = now
        self._workers = workers
        self._worker = Worker(
            cluster=cluster,
            store=store,
            meter=meter,
            announcer=announcer,
            now=now,
            gives=self.resting.gives,
        )
        self.heartbeat = Heartbeat(cluster=cluster, holder=holder, now=now)
        self.rollout = Rollout()
        self.nodes = Nodes(
            cluster=cluster,
            meter=meter,
            around=Surroundings(
                owner_of=store.owner_of, is_retained=self._is_retained, is_held=self._is_held
            ),
        )
        self._postponed: set[str] = set()
        """Nodes that wait until every tenant was read."""
        self.flows = Flows(store, self.tenants)
        self.tiers = Tiers(store=store, worker=self._worker)
        self.bindings = Bindings(store=store, worker=self._worker)
        self.traffic = Traffic(store=store, worker=self._worker)
        self.ingresses = Ingresses(store=store, holders=self.tenants.holders)
        self._statuses = Statuses(cluster=cluster, meter=meter, announcer=announcer, now=now)
        self.departures = Departures(
            cluster=cluster,
            meter=meter,
            store=store,
            worker=self._worker,
            tiers=self.tiers,
            statuses=self._statuses,
            bindings=self.bindings,
            traffic=self.traffic,
            resting=self.resting,
            now=now,
            brake=brake,
        )
        self.unkept = Unkept(cluster=cluster, meter=meter, store=store, worker=self._worker)
        self.pids = Pids(
            kubelets=kubelets,
            cluster=cluster,
            meter=meter,
            # Many nodes at once are one piece of news.
            changed=lambda owner: self.queue.add_after(keys.Limits(owner), _NEWS_SECONDS),
        )

    # --- what is seen -----------------------------------------------------------------------

    def tenant_seen(self, name: str, body: Body) -> None:
        """Take a SecureTenant as it now is."""
        if self.tenants.is_of_another(name, body):
            # The watch hands over the latest state alone: a deletion before it was not seen.
            self.tenant_gone(name)
        is_new = self.tenants.get(name) is None
        news = self.tenants.see(name, body)
        if is_new:
            self.rollout.arrived(name, self.tenants.records[name])
        if news:
            self.queue.add(keys.Tenant(name))
        self._follow_hostnames()

    def tenant_gone(self, name: str) -> None:
        """Take note that a SecureTenant is gone: its walls stay, nobody keeps them any more."""
        concerned = self.tenants.concerned(name)
        if self.tenants.get(name) is not None and self.resting.leave(self.store.owned_by(name)):
            # It went without waiting for us.
            self.queue.add(keys.Settings())
        record = self.tenants.forget(name)
        if record is None:
            return
        if self.rollout.left(name):
            self.queue.add(keys.Settings())
        for other in concerned:
            self._wake_tenant(other)
        self._follow_hostnames()
        self.queue.forget(keys.Tenant(name))
        for namespace in record.units:
            self.queue.forget(keys.Unit(name, namespace))
            # Another tenant may have been waiting for the name.
            self._wake(Ref(kinds.NAMESPACE.name, "", namespace))
        self._wake_tier(tiers.ref_of(name))
        self._resume_nodes()
        self._wake_nodes(self.nodes.ask(name, None) | self.nodes.of(name))
        self._look_at_flow(name)
        self.pids.ask(name, None)

    def settings_seen(self, _: Ref, body: Body) -> None:
        """Take the TenancySettings as they now are.

        Every tenant is judged by them at once; what they shape is rolled out in waves.
        """
        if self.platform.take_settings(body):
            self.pids.take_settings(self.platform.settings)
            if self.platform.settings is not None:
                self.rollout.begin(self.platform.settings, body, self.tenants.records)
            self._look_again()
        if body["metadata"]["name"] == names.SETTINGS_NAME:
            self.rollout.take_request(body)
            self.departures.brake.load(body.get("status") or {}, self._now())
            self.resting.book.load(body.get("status") or {}, self._now())
        self.queue.add(keys.Settings())

    def settings_gone(self, ref: Ref, _: int) -> None:
        """Take note that the TenancySettings are gone."""
        if self.platform.lose_settings(ref):
            self.pids.take_settings(None)
            self._look_again()

    def platform_seen(self, ref: Ref, body: Body) -> None:
        """Take a policy, or what says who may get around one."""
        if self.platform.take(ref, body):
            self._platform_changed()

    def platform_gone(self, ref: Ref, _: int) -> None:
        """Take note that one of these is gone."""
        if self.platform.lose(ref):
            self._platform_changed()

    def mutating_served(self) -> None:
        """Take note that the API server knows mutating policies: from now on they are expected."""
        self.platform.mutates = True
        self._platform_changed()

    def tiers_served(self) -> None:
        """Take note that ClusterNetworkPolicies are served, and that all of them were seen."""
        self.tiers.served()
        self._look_at_tiers()

    def tiers_gone(self) -> None:
        """Take note that they are not served any more: NetworkPolicies are alone again."""
        self.tiers.unserved()
        for name in self.tenants.names():
            self.queue.add(keys.Tenant(name))

    def tier_seen(self, ref: Ref, body: Body) -> None:
        """Take a ClusterNetworkPolicy as it now is."""
        if self.store.put(ref, ownership.observe(body)):
            self._wake_tier(ref)

    def tier_gone(self, ref: Ref, version: int) -> None:
        """Take note that a ClusterNetworkPolicy was deleted, or lost our label."""
        if self.store.drop(ref, version):
            self._wake_tier(ref)

    def _wake_tier(self, ref: Ref) -> None:
        """Queue whose ClusterNetworkPolicy it is, unless it is as it should be there."""
        if not self.tiers.are_served:
            return
        name = names.tenant_of_tier(ref.name)
        record = self.tenants.get(name)
        if record is None:
            self.queue.add(keys.Stray(name or ref.name, ref.name))
        elif not self.tiers.is_right(record):
            if record.tier_stands and record.tier_finding is None:
                self._meter.drifted(ref.kind)
            self.queue.add(keys.Tenant(name))

    def _look_at_tiers(self) -> None:
        for name in self.tenants.names():
            self.queue.add(keys.Tenant(name))
        for ref in self.tiers.refs():
            self._wake_tier(ref)

    def flows_seen(self) -> None:
        """Take note that all FlowSchemas were seen: from now on they are kept."""
        self.flows.begin()
        self._look_at_flows()
        self.queue.add(keys.Settings())

    def flow_seen(self, ref: Ref, body: Body) -> None:
        """Take a FlowSchema as it now is."""
        if self.store.put(ref, ownership.observe(body)):
            self.queue.add(keys.Flow(ref.name))

    def flow_gone(self, ref: Ref, version: int) -> None:
        """Take note that a FlowSchema was deleted, or lost our label."""
        if self.store.drop(ref, version):
            self.queue.add(keys.Flow(ref.name))

    def _look_at_flow(self, tenant: str) -> None:
        """Queue the flow that a tenant is in, or was."""
        name = self.flows.look(tenant)
        if name:
            self.queue.add_after(keys.Flow(name), _GATHER_SECONDS)

    def _look_at_flows(self) -> None:
        known = [ref.name for ref in self.store.refs(kinds.FLOW_SCHEMA.name)]
        for name in {*known, *self.flows.names()}:
            self.queue.add(keys.Flow(name))

    def _platform_changed(self) -> None:
        self.queue.add(keys.Settings())
        platform = self.platform
        self._meter.policies_in_force(
            not (platform.crds_problem or platform.policies_problem or platform.roles_problem)
        )
        if platform.crds_problem:
            self.pids.take_settings(None)
        for name in self.tenants.names():
            self.queue.add(keys.Tenant(name))

    def object_seen(self, ref: Ref, body: Body) -> None:
        """Take an object as it now is."""
        whose = self._whose(ref)
        if self.store.put(ref, ownership.observe(body)):
            self._follow_names(ref, whose)
            self._wake(ref)
            self._follow_moves()
            self._follow_hostnames()

    def object_gone(self, ref: Ref, version: int) -> None:
        """Take note that an object was deleted."""
        whose = self._whose(ref)
        if self.store.drop(ref, version):
            self._follow_names(ref, whose)
            self._wake(ref)
            self._follow_moves()
            self._follow_hostnames()
            if whose is not None:
                self._wake_tenant(whose.tenant)
                self._wake_tier(tiers.ref_of(whose.tenant))
                self._wake_nodes(self.nodes.of(whose.tenant))

    def _whose(self, ref: Ref) -> Owner | None:
        return self.resting.whose(ref.name) if ref.kind == kinds.NAMESPACE.name else None

    def _follow_names(self, ref: Ref, before: Owner | None) -> None:
        """Let the name of a namespace that goes rest."""
        if ref.kind == kinds.NAMESPACE.name and self.resting.follow(ref.name, before):
            self.queue.add(keys.Settings())

    def foreign_seen(self, watched: Watched, ref: Ref, body: Body) -> None:
        """Record an object in a tenant's namespace that the operator did not make."""
        self._wake_known(watched.seen(ref, body))

    def foreign_gone(self, watched: Watched, ref: Ref, version: int) -> None:
        """Forget such an object, which was deleted."""
        self._wake_known(watched.gone(ref, version))

    def _wake_known(self, tenants: Iterable[str]) -> None:
        for name in self.tenants.records.keys() & set(tenants):
            self.queue.add(keys.Tenant(name))

    def _follow_moves(self) -> None:
        """Look at the flows of tenants that gained or lost a namespace."""
        if self.flows.has_begun:
            for tenant in self.store.moved():
                self._look_at_flow(tenant)

    def _follow_hostnames(self) -> None:
        """Read the tenants again who gained or lost host names by what others have or ask for."""
        self.tenants.follow(self.store)
        for rival in self.tenants.displaced():
            self._wake_tenant(rival)
        if self.tenants.names_moved():
            self._wake_known(self.ingresses.named())

    def _look_again(self) -> None:
        for name in self.tenants.names():
            self._wake_tenant(name)
        self._look_at_tiers()
        self._wake_nodes(self.nodes.names())
        self._look_at_flows()

    def _wake_tenant(self, name: str) -> None:
        record = self.tenants.get(name)
        if record is not None:
            record.stale = True
            self.queue.add(keys.Tenant(name))

    def _wake(self, ref: Ref) -> None:
        """Queue what this object concerns, unless it is as it should be there."""
        home = ref.name if ref.kind == kinds.NAMESPACE.name else ref.namespace
        inside = self.store.inside(home)
        owner = self.store.owner_of(home)
        for name in self.tenants.claimants(home) | {owner}:
            record = self.tenants.get(name)
            if record is None:
                continue
            unit = record.units.get(home)
            if unit is None or record.is_deleted:
                self._wake_tenant(name)
                continue
            if ref.kind == kinds.RESOURCE_QUOTA.name and record.is_waiting:
                self._wake_tenant(name)
            if self.tenants.has_moved(name, home, self.store):
                # Lists of the tenant's own namespaces change in all of them.
                self._wake_tenant(name)
            differs = expected.differs(unit.wanted, ref, inside)
            if differs and unit.outcome.ready:
                self._meter.drifted(ref.kind)
            if differs or not unit.outcome.ready or not expected.is_counted(unit.wanted, inside):
                self.queue.add(keys.Unit(name, home))
        if ref.kind == kinds.NAMESPACE.name:
            # Its ServiceAccounts and its pods may be somebody else's now.
            self._wake_known(self.bindings.tenants_naming(home) | self.traffic.tenants_naming(home))

    # --- nodes ------------------------------------------------------------------------------

    def node_seen(self, ref: Ref, body: Body) -> None:
        """Take a Node as it now is."""
        self.pids.node_seen(body)
        if self.nodes.seen(ref.name, body):
            self._wake_nodes((ref.name,))

    def node_gone(self, ref: Ref, version: int) -> None:
        """Take note that a Node was deleted."""
        self.pids.node_gone(ref.name, version)
        for name in self.nodes.gone(ref.name, version):
            self.queue.add(keys.Tenant(name))

    def _wake_nodes(self, nodes: Iterable[str]) -> None:
        for name in nodes:
            self.queue.add(keys.Node(name))

    def _is_retained(self, name: str) -> bool:
        """Tell whether a tenant who asks for no node keeps what it has.

        Its walls outlive it with its namespaces; and while its spec cannot be read, what was in
        place stays in place.
        """
        record = self.tenants.get(name)
        return bool(self.store.owned_by(name)) if record is None else record.spec is None

    def _is_held(self, name: str) -> bool:
        record = self.tenants.get(name)
        return record is not None and (record.is_suspended or record.awaits_turn)

    def _resume_nodes(self) -> None:
        """Queue the nodes that waited until every tenant was read."""
        if not self.tenants.unread:
            waiting, self._postponed = self._postponed, set()
            self._wake_nodes(waiting)

    async def _reconcile_node(self, key: keys.Node) -> bool:
        settings = self.platform.settings
        if settings is None:
            return False
        if self.tenants.unread:
            # Who has not been read may ask for it too.
            self._postponed.add(key.name)
            return False
        try:
            again, news, repair = await self.nodes.converge(key.name, settings.nodes)
        except ConflictError:
            # Somebody changed it at the same moment: nothing of theirs is lost, and it is seen.
            self.queue.add_after(key, _CONFLICT_SECONDS)
            return False
        if again:
            self.queue.add_after(key, again)
        for name in news:
            self.queue.add(keys.Tenant(name))
        if news:
            self.queue.add(keys.DaemonSets())
        if repair is not None and (record := self.tenants.get(repair.tenant)) is not None:
            self._statuses.announce(
                repair.tenant, record, "DriftRepaired", "Repair", repair.note, is_warning=True
            )
        return False

    async def _look_at_pods(self, key: keys.Pods) -> bool:
        record = self.tenants.get(key.tenant)
        if record is None or not self.nodes.has(key.tenant):
            return False
        asking = filter(None, map(self.tenants.get, self.nodes.asking()))
        total = sum(len(each.units) for each in asking)
        again, news = await self.nodes.look_at_pods(key.tenant, record.own, total)
        if news:
            self.queue.add(keys.Tenant(key.tenant))
        self.queue.add_after(key, again)
        return False

    async def _look_at_daemons(self, key: keys.DaemonSets) -> bool:
        asking = self.nodes.asking()
        if not asking:
            return False
        if await self.nodes.look_at_daemons():
            for name in asking:
                self.queue.add(keys.Tenant(name))
        self.queue.add_after(key, _DAEMON_SETS_SECONDS)
        return False

    def _judge_nodes(self, name: str, record: Record) -> tuple[Verdict, ...]:
        """Return the condition about the tenant's nodes, where anybody says something of nodes."""
        settings = self.platform.settings.nodes if self.platform.settings else None
        asked = record.spec.nodes if record.spec else None
        if settings is None and (asked is None or not asked.is_dedicated):
            return ()
        return (placement.judge(self.nodes.placement(name, asked or TenantNodes(), settings)),)

    # --- work -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Work until cancelled, or until :meth:`stop` and what was begun is done."""
        self.resting.begin()
        async with asyncio.TaskGroup() as group:
            for number in range(self._workers):
                group.create_task(self._work(), name=f"worker {number}")
            group.create_task(self.pids.run(), name="kubelets")

    def stop(self) -> None:
        """Take no more work; :meth:`run` returns when what was begun is done."""
        self.queue.close()
        self.pids.stop()

    async def _work(self) -> None:
        while (key := await self.queue.take()) is not None:
            began = time.monotonic()
            failed, retry_after = True, 0.0
            try:
                failed = await self._reconcile(key)
            except UnavailableError as error:
                retry_after = error.retry_after
            except ClusterError as error:
                _log.warning("%s failed and is tried again: %s", key, error)
            except Exception:  # noqa: BLE001 - see below.
                # One tenant's surprise must not stop the work on all others.
                _log.exception("%s failed unexpectedly and is tried again", key)
            finally:
                self.queue.done(key, failed=failed, retry_after=retry_after)
                # What was written is known at once, and its echo is no news.
                self._follow_moves()
                self._follow_hostnames()
                self._follow_removals()
                self._meter.reconciled(type(key).__name__, time.monotonic() - began, failed=failed)

    async def _reconcile(self, key: Key) -> bool:
        """Do one piece of work; return whether to try again."""
        match key:
            case keys.Unit():
                return await self._reconcile_unit(key)
            case keys.Leftover():
                return await self._let_go(key)
            case keys.Unkept():
                return await self._restrict(key)
            case keys.Stray():
                return await self._delete_stray(key)
            case keys.Node():
                return await self._reconcile_node(key)
            case keys.Pods():
                return await self._look_at_pods(key)
            case keys.DaemonSets():
                return await self._look_at_daemons(key)
            case keys.Flow():
                return await self._reconcile_flow(key)
            case keys.Limits():
                for name in self.pids.asking(key.owner):
                    self.queue.add(keys.Tenant(name))
                return False
            case keys.Tenant():
                failed = await self._reconcile_tenant(key)
                self._note(key.tenant)
                return failed
            case keys.Settings():
                return await self._tell_settings()
            case keys.Beat():
                await self.heartbeat.beat()
                return False

    async def _reconcile_unit(self, key: keys.Unit) -> bool:
        record = self.tenants.get(key.tenant)
        unit = record.units.get(key.namespace) if record else None
        if record is None or unit is None or self.platform.settings is None or record.is_deleted:
            return False
        if record.is_suspended or record.awaits_turn:
            outcome = self._worker.judge(unit.scope, unit.wanted)
            if outcome.pending and not outcome.message:
                # Nobody is at work on it, so it is named.
                listed = conditions.listed(map(str, outcome.pending))
                outcome = replace(outcome, message=f"Not as it should be: {listed}")
            self._take_outcome(key, unit, outcome)
            return False
        task = Task(
            scope=unit.scope,
            wanted=unit.wanted,
            settled=unit.settled,
            was_ready=unit.outcome.ready,
            lost=unit.lost,
        )
        record.writing.add(key.namespace)
        try:
            if self._worker.can_take(task):
                # Before it is this tenant's, its ServiceAccounts lose what they had elsewhere.
                for ref in await self.bindings.close(key.namespace, key.tenant):
                    self._tell_removed(ref)
                # No NetworkPolicy of anyone opens it to pods of others either.
                reach = self._reach(key.tenant, record)
                self._tell_closed(key.tenant, await self.traffic.expel(reach, (key.namespace,)))
                if self._worker.is_new(task) and (opening := self._opening(key)):
                    outcome = self._worker.judge(unit.scope, unit.wanted, *opening)
                    self._take_outcome(key, unit, outcome)
                    return True
            if not unit.has_revoked:
                # Once: who adds something again and again must not keep the rest from being right.
                unit.has_revoked = True
                if await self._worker.revoke(task):
                    # What is withdrawn closes in every namespace before anything else is written.
                    self.queue.add(key)
                    return False
            outcome = await self._worker.converge(task)
        finally:
            record.writing.discard(key.namespace)
            self.tenants.settle(key.tenant, self.store)
        if record.units.get(key.namespace) is not unit:
            # The spec changed meanwhile; the newer unit has its own work queued.
            return False
        self._take_outcome(key, unit, outcome)
        if self.tenants.has_moved(key.tenant, key.namespace, self.store):
            # Somebody made it a moment earlier, which is known by the answer to our own write.
            self._wake_tenant(key.tenant)
        if outcome.ready and unit.given != unit.share:
            # What was given before is no longer in force: others may grow.
            self._wake_tenant(key.tenant)
        if self._statuses.is_due(unit):
            await self._worker.tell(task, outcome)
        return not outcome.ready

    def _opening(self, key: keys.Unit) -> tuple[str, str] | None:
        """Say what in namespaces of others is open to one that nobody made yet, and still there.

        It is theirs to read which objects these are: their conditions name them.
        """
        if self.bindings.is_named(key.namespace, key.tenant):
            reason, kind, aspect = status.FOREIGN_BINDINGS, "RoleBinding", status.ACCESS_SCOPED
        elif self.traffic.is_named(key.namespace, key.tenant):
            reason, kind, aspect = status.FOREIGN_POLICIES, "NetworkPolicy", status.NETWORK_ISOLATED
        else:
            return None
        return reason, (
            f"Namespace {key.namespace} is not created yet. A {kind} of another tenant names it and"
            f" could not be deleted. The condition {aspect} of that tenant says why"
        )

    def _follow_removals(self) -> None:
        """Let tenants tell of objects in their namespaces that have to go and stay."""
        for namespace in self.bindings.troubled() | self.traffic.troubled():
            if owner := self.store.owner_of(namespace):
                self.queue.add(keys.Tenant(owner))

    def _tell_removed(self, ref: Ref) -> None:
        """Tell the tenant in whose namespace a RoleBinding was deleted."""
        owner = self.store.owner_of(ref.namespace)
        if (record := self.tenants.get(owner)) is not None:
            self._statuses.announce(
                owner, record, "RoleBindingRemoved", "Remove", removed(ref), is_warning=True
            )
            self.queue.add(keys.Tenant(owner))

    def _reach(self, name: str, record: Record) -> Reach:
        """Return what NetworkPolicies of a tenant's members may name."""
        unread = record.spec is None

        def is_own(namespace: str) -> bool:
            owner = self.store.owner_of(namespace)
            # Until a spec could be read, a name that is free may be one of it.
            return namespace in record.own or owner == name or (unread and not owner)

        network = record.spec.network if record.spec is not None else None
        apart = network is not None and network.same_tenant == "Deny"
        return Reach(name, is_own, apart)

    def _tell_closed(self, name: str, closed: list[Closed]) -> None:
        """Tell the tenant in whose namespace a NetworkPolicy was deleted, or else this one."""
        for ref, note in closed:
            owner = self.store.owner_of(ref.namespace)
            told = owner if owner in self.tenants.records else name
            if (record := self.tenants.get(told)) is not None:
                self._statuses.announce(
                    told, record, "NetworkPolicyRemoved", "Remove", note, is_warning=True
                )

    def _take_outcome(self, key: keys.Unit, unit: Unit, outcome: Outcome) -> None:
        """Remember how a namespace stands; let the tenant tell if that is news."""
        changed = outcome != unit.outcome or not unit.attempted
        unit.outcome, unit.attempted = outcome, True
        if changed:
            self.queue.add(keys.Tenant(key.tenant))

    async def _delete_stray(self, key: keys.Stray) -> bool:
        tenant = names.tenant_of_tier(key.name)
        if self.platform.settings is not None and self.tenants.get(tenant) is None:
            await self.tiers.delete_stray(key.name)
        return False

    async def _reconcile_flow(self, key: keys.Flow) -> bool:
        newest = self.platform.settings
        if newest is None:
            return False
        news, again = await self.flows.converge(key.name, newest, self._worker, self._meter)
        for member in news:
            self.queue.add(keys.Tenant(member))
        return again

    async def _reconcile_tenant(self, key: keys.Tenant) -> bool:
        record = self.tenants.get(key.tenant)
        if record is None:
            return False
        if self.platform.settings is None:
            await self._write_status(key.tenant, record, self._settings_findings())
            return False
        was_stale = record.stale
        changed = []
        if was_stale:
            changed = self._read(key.tenant, record, self.platform.settings)
            for peer in self.tenants.redeclare(key.tenant):
                self._wake_tenant(peer)
            self._look_at_flow(key.tenant)
            if not record.is_suspended:
                for namespace in self.unkept.namespaces(key.tenant, record):
                    self.queue.add(keys.Unkept(key.tenant, namespace))
        if record.is_deleted:
            return await self._tear_down(key.tenant, record, self.platform.settings)
        if record.spec is not None and not record.is_suspended:
            try:
                if (held := await self.departures.hold(key.tenant, record)) is not None:
                    self.tenants.see(key.tenant, held)
            except ClusterError:
                # What was read is not started yet: the next try has to.
                record.stale |= was_stale
                raise
        if not record.is_suspended:
            for ref in await self.bindings.expel(key.tenant):
                self._tell_removed(ref)
        reach, is_open = self._reach(key.tenant, record), False
        if not record.is_suspended:
            closed = await self.traffic.expel(reach, self.store.owned_by(key.tenant))
            self._tell_closed(key.tenant, closed)
            is_open = self.traffic.is_open(reach) or self.bindings.is_open(key.tenant)
        await self.tiers.keep(key.tenant, record)
        if was_stale:
            await self._start(key.tenant, record, set(changed))
        delay = self.departures.delay(key.tenant, record, self.platform.settings)
        self._queue_leftovers(key.tenant, record, delay)
        missing = () if record.tier_finding is None else (record.tier_finding,)
        wait = self._statuses.wait(record, learns=self.pids.is_under_way(key.tenant))
        if wait and not record.is_suspended:
            self.queue.add_after(key, wait)
            return bool(missing) or is_open
        stuck, again = self.departures.stuck(key.tenant, record)
        if again:
            self.queue.add_after(key, again)
        served = self.ingresses.findings(key.tenant)
        if self.ingresses.is_news(key.tenant, served):
            (first,) = served
            self._statuses.announce(
                key.tenant, record, first.reason, "Judge", first.message, is_warning=True
            )
        findings = (
            *record.findings,
            *missing,
            *(() if delay is None else (delay.finding,)),
            *stuck,
            *self.flows.findings(key.tenant),
            *self.bindings.findings(key.tenant, record.own, is_suspended=record.is_suspended),
            *self.traffic.findings(reach, is_suspended=record.is_suspended),
            *served,
            *self._policy_findings(),
            *_turn_findings(record),
        )
        if record.is_deleted:
            # Seen during the work above, which put the key into the queue again.
            return False
        await self._write_status(key.tenant, record, findings)
        return (bool(missing) or is_open) and not record.is_suspended

    # --- the roll-out of settings -----------------------------------------------------------

    def _read(self, name: str, record: Record, settings: SettingsSpec) -> list[str]:
        """Read a tenant by the settings that it follows now."""
        if record.asked and self.rollout.left(name):
            self.queue.add(keys.Settings())
        record.asked = False
        record.awaits_turn = record.follows is None and name in self.rollout.waiting
        followed = self.rollout.followed(name, record)
        changed = self.tenants.read(name, settings, self.store, followed=followed)
        self._resume_nodes()
        if record.spec is not None:
            self._wake_nodes(self.nodes.ask(name, record.spec.nodes))
            asked = record.spec.nodes or TenantNodes()
            self.pids.ask(name, pids.asked(name, asked, settings.nodes))
            if self.nodes.has(name):
                self.queue.add(keys.Pods(name))
        if record.awaits_turn:
            # It was read to be compared; its objects are not built by them yet.
            record.follows = None
        return changed

    def _compare(self, name: str, record: Record) -> None:
        """See whether a tenant that stood before a restart needs a turn at all."""
        stands = self.tiers.is_right(record)
        stands &= all(unit.outcome.ready for unit in record.units.values())
        differs = record.is_refused or not stands
        # A namespace of somebody else may be ready, for them.
        owns = record.units.keys() <= record.own
        was_ready = not record.is_refused and all(
            expected.is_ready_for(unit.wanted, self.store.inside(namespace))
            for namespace, unit in record.units.items()
        )
        self.rollout.compared(name, differs=differs, was_ready=was_ready, owns=owns)
        if not differs:
            record.awaits_turn, record.follows = False, self.platform.settings
        self.queue.add(keys.Settings())

    def _note(self, name: str) -> None:
        """Let the roll-out know how a tenant stands after a look at it."""
        record = self.tenants.get(name)
        if record is not None and self.rollout.note(name, record):
            self.queue.add(keys.Settings())
        self._measure_rollout()

    def _measure_rollout(self) -> None:
        total = len(self.tenants.records)
        followed = total - len(self.rollout.waiting)
        self._meter.rolled_out(followed, total, halted=self.rollout.is_halted)

    def _advance(self) -> None:
        """Wake the tenants whose turn it is."""
        if self.platform.settings is None or not self.rollout.is_under_way:
            return
        turns = self.rollout.advance(self.tenants.records)
        for name in turns:
            self._wake_tenant(name)
        if turns and not self.rollout.is_watching:
            # None of them can tell of harm, so there is nothing to wait for.
            self.queue.add(keys.Settings())

    def _settings_findings(self) -> tuple[Finding, ...]:
        """Say why there are no settings to go by."""
        problem, crds = self.platform.settings_problem, self.platform.crds_problem
        if crds:
            return tuple(
                Finding(type=type, reason=status.CRDS_CHANGED, message=crds)
                for type in (status.READY, status.POLICIES_IN_FORCE)
            )
        return (Finding(type=status.READY, reason=status.SETTINGS_MISSING, message=problem),)

    def _policy_findings(self) -> tuple[Finding, ...]:
        platform = self.platform
        found = (
            (status.POLICIES_IN_FORCE, status.POLICIES_CHANGED, platform.policies_problem),
            (status.POLICIES_IN_FORCE, status.ROLES_CHANGED, platform.roles_problem),
            (status.ACCESS_SCOPED, status.ROLES_CHANGED, platform.access_problem),
        )
        return tuple(
            Finding(type=type, reason=reason, message=problem)
            for type, reason, problem in found
            if problem
        )

    async def _tell_settings(self) -> bool:
        """Let the roll-out go on; write the status of the TenancySettings if that is news."""
        self._advance()
        self._measure_rollout()
        body = self.platform.settings_body
        if body is None:
            return False
        previous = body.get("status") or {}
        document = settings.summarize(
            generation=int(body["metadata"].get("generation", 0)),
            crds_problem=self.platform.crds_problem,
            policies_problem=self.platform.policies_problem,
            roles_problem=". ".join(
                filter(None, (self.platform.roles_problem, self.platform.own_roles_problem))
            ),
            remark=self.platform.remark,
            holders=self.platform.override_holders,
            fairness=self.flows.shortcoming(self.platform.level),
            progress=self.rollout.progress(
                len(self.tenants.records), self.platform.settings_problem
            ),
            teardowns=self.departures.brake.stored(),
            former_names=self.resting.stored(),
            previous=previous,
            now=self._now(),
        )
        if document != previous:
            ref = Ref(kinds.TENANCY_SETTINGS.name, "", names.SETTINGS_NAME)
            with contextlib.suppress(MissingError):
                try:
                    answer = await self._cluster.apply_status(ref, document)
                except (RefusedError, UnavailableError):
                    if not self.platform.crds_problem:
                        raise
                    # A CRD that does not know the lists has every write with them refused.
                    rest = {key: each for key, each in document.items() if key not in _KEPT}
                    answer = await self._cluster.apply_status(ref, rest)
                self._meter.wrote("status", ref.kind)
                self.platform.take_status(answer)
        # The body as it was when this began may be an older one by now.
        stored = (self.platform.settings_body or {}).get("status") or {}
        for tenant in {*self.departures.brake.saved(stored), *self.resting.book.saved(stored)}:
            self._wake_tenant(tenant)
        return False

    async def _start(self, name: str, record: Record, changed: set[str]) -> None:
        """Look at the namespaces whose expectation changed; queue all that are not ready.

        All at once, so that each comes to its first turn before any comes to its second.
        """
        unready = []
        began = time.monotonic()
        for namespace, unit in list(record.units.items()):
            if namespace in changed:
                unit.outcome = self._worker.judge(unit.scope, unit.wanted)
            if not unit.outcome.ready:
                unready.append(keys.Unit(name, namespace))
            if time.monotonic() - began > _SLICE_SECONDS:
                await asyncio.sleep(0)
                began = time.monotonic()
        if record.awaits_turn:
            self._compare(name, record)
            return
        for key in unready:
            self.queue.add(key)

    # --- letting go -------------------------------------------------------------------------

    def _queue_leftovers(self, name: str, record: Record, delay: Delay | None) -> None:
        """Queue the namespaces that the spec does not name any more, each when its turn is."""
        if record.spec is None or record.is_suspended:
            return
        left = self.store.owned_by(name) - record.units.keys()
        if self.resting.leave(left) or self.resting.take(record):
            self.queue.add(keys.Settings())
        for namespace in self.departures.leftovers(name, record):
            leftover = keys.Leftover(name, namespace)
            if delay is not None and namespace in delay.namespaces:
                self.queue.add_after(leftover, delay.wait)
            else:
                self.queue.add(leftover)

    async def _let_go(self, key: keys.Leftover) -> bool:
        record = self.tenants.get(key.tenant)
        settings = self.platform.settings
        if record is None or settings is None or record.is_suspended:
            return False
        if key.namespace in record.units and not record.is_deleted:
            return False
        if self.departures.is_let_go(key.namespace):
            await self.departures.withdraw(key.namespace)
        else:
            found = await self.departures.let_go(key.tenant, record, key.namespace, settings)
            if found.is_unsaved:
                self.queue.add(keys.Settings())
            elif found.wait:
                self.queue.add_after(key, found.wait)
                self.queue.add(keys.Tenant(key.tenant))
            else:
                self._wake_tenant(key.tenant)
        return False

    async def _restrict(self, key: keys.Unkept) -> bool:
        record = self.tenants.get(key.tenant)
        settings = self.platform.settings
        if record is None or settings is None or record.is_suspended:
            return False
        await self.unkept.restrict(key.tenant, record, key.namespace, settings)
        return False

    async def _tear_down(self, name: str, record: Record, bounds: SettingsSpec) -> bool:
        finalizers = record.body["metadata"].get("finalizers", ())
        if names.FINALIZER not in finalizers:
            if finalizers:
                message = f"Waiting for the finalizers of others: {', '.join(finalizers)}"
                await self._write_status(name, record, (_deletion(status.TERMINATING, message),))
            return False
        if record.is_suspended:
            message = (
                "The SecureTenant is being deleted, and the operator is suspended, so its"
                " namespaces are neither retained nor deleted. To go on: kubectl patch securetenant"
                f' {name} --type merge -p \'{{"spec":{{"reconciliation":"Active"}}}}\''
            )
            await self._write_status(name, record, (_deletion(status.SUSPENDED, message),))
            return False
        step = await self.departures.tear_down(name, record, bounds)
        for namespace in step.leftovers:
            self.queue.add(keys.Leftover(name, namespace))
        if step.is_unsaved:
            self.queue.add(keys.Settings())
        if step.wait:
            self.queue.add_after(keys.Tenant(name), step.wait)
        if step.finding is not None:
            await self._write_status(name, record, (step.finding,))
        return False

    # --- telling ----------------------------------------------------------------------------

    async def _write_status(self, name: str, record: Record, findings: tuple[Finding, ...]) -> None:
        """Write the status if it says something new, and announce when Ready changed."""
        tier = self.tiers.remark(record)
        extra = self._judge_nodes(name, record)
        reports = self.pids.judge(name)
        if record.spec and record.spec.nodes and record.spec.nodes.required_pids:
            # Its pods land nowhere while no node keeps the bound.
            extra, reports = (*extra, *reports), ()
        subject = statuses.subject(record, findings, self.platform.remark, tier, extra, reports)
        await self._statuses.write(name, record, subject)


def _deletion(reason: str, message: str) -> Finding:
    """Return what the deletion of a tenant waits for."""
    return Finding(type=status.READY, reason=reason, message=message)


def _turn_findings(record: Record) -> tuple[Finding, ...]:
    """Say that differences are seen and not touched yet."""
    if not record.awaits_turn:
        return ()
    message = (
        "What differs here from TenancySettings is not touched before its turn comes. See how far"
        f" they are: kubectl describe tenancysettings {names.SETTINGS_NAME}"
    )
    return (Finding(type=status.NAMESPACES_READY, reason=status.AWAITING_TURN, message=message),)
