"""The operator: credentials, informers, engine, kopf, lead, health, and their orderly end."""

import asyncio
import contextlib
import datetime
import functools
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import structlog

from securetenant import concerns
from securetenant.api import kinds, names
from securetenant.api.kinds import Kind
from securetenant.api.objects import Body, Ref
from securetenant.app import following, health, identity
from securetenant.app.errors import StartError
from securetenant.app.following import Following
from securetenant.app.specs_watch import Source, SpecsWatch
from securetenant.concerns.heartbeat import concern as heart
from securetenant.concerns.heartbeat import heartbeat
from securetenant.concerns.heartbeat.heartbeat import Heartbeat
from securetenant.kube import credentials, verifier
from securetenant.kube.client import Client
from securetenant.kube.elector import Elector
from securetenant.kube.events import Events
from securetenant.kube.informer import Informer
from securetenant.kube.kubelet import Kubelets
from securetenant.plan import schemas
from securetenant.plan.brake import Brake
from securetenant.plan.resting import Book
from securetenant.reconcile.engine import Engine
from securetenant.reconcile.errors import ClusterError, MissingError
from securetenant.reconcile.ports import Opener
from securetenant.reconcile.store import Store
from securetenant.telemetry.metrics import Metrics

_SWEEP_SECONDS = 600.0
"""How often SecureTenants and settings are listed to find those that vanished unseen."""
_CRD_POLL_SECONDS = 2.0
_CRD_SETTLE_SECONDS = 5.0
"""How long API servers may take until they read and write by a CRD that was just changed."""
_SYNC_SECONDS = 300.0
"""How long one that leads may take to see everything, until it leaves the lead to another."""
_DRAIN_SECONDS = 5.0
"""How long requests that were begun may take to end."""
_STALE_SECONDS = 180.0
"""An informer that heard nothing for this long is stuck: after 100 seconds without a word it opens
another watch, and the answer to that is heard."""
_FAILING_SECONDS = 40.0
"""How long an informer may fail, while the API server is restarted for example."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How to run; from the command line."""

    kubeconfig: Path | None = None
    """None: the pod's ServiceAccount, else the default kubeconfig."""
    address: str = "127.0.0.1"
    port: int = 8080
    any_identity: bool = False
    """Whether it may run as somebody else than its ServiceAccount, by the default kubeconfig."""
    lease_seconds: int = 15
    """How long the others wait for a leader that is not heard of."""


class Operator:
    """Everything that runs, and what it knows of its own health."""

    def __init__(
        self,
        client: Client,
        elector: Elector,
        metrics: Metrics,
        events: Events,
        kubelets: Kubelets,
        connect: Opener,
        book: Book,
        brake: Brake,
    ) -> None:
        """``book`` and ``brake`` outlive it: a CRD that is not right drops them from the status."""
        self._client = client
        self._elector = elector
        self._stands_by = False
        self._led_at: float | None = None
        """When it began to lead; nothing: it never did."""
        self._is_synced = False
        self._heartbeat = Heartbeat(cluster=client)
        self.engine = Engine(
            cluster=client,
            meter=metrics,
            announcer=events,
            now=_now,
            store=Store(),
            concerns=lambda machine: concerns.build(
                machine, kubelets=kubelets, connect=connect, heartbeat=self._heartbeat
            ),
            book=book,
            brake=brake,
        )
        crds = [
            Informer(
                client,
                kinds.CRD,
                selector="",
                fields=f"metadata.name={name}",
                seen=self._crd_seen,
                gone=lambda ref, _: self.engine.crd_seen(ref.name, None),
                # What the list does not show is gone, known before or not.
                known=functools.partial(_only, name),
            )
            for name in schemas.expected()
        ]
        self._following = Following(client, self.engine.watches(), others=crds)
        # Settings first: without them no tenant can be read.
        self._sources = {
            kinds.TENANCY_SETTINGS: Source(self._settings_seen, self._settings_gone),
            kinds.SECURE_TENANT: Source(self.engine.tenant_seen, self.engine.tenant_gone),
        }
        self._watch: SpecsWatch | None = None
        self._work: asyncio.Task[None] | None = None
        self._begin_again = asyncio.Event()
        self.has_ended_well = False
        """Whether nothing that was begun is unfinished: none of our writes is on its way."""

    def _settings_seen(self, _: str, body: Body) -> None:
        self.engine.settings_seen(body)

    def _settings_gone(self, name: str) -> None:
        self.engine.settings_gone(Ref(kinds.TENANCY_SETTINGS.name, "", name))

    def _crd_seen(self, ref: Ref, body: Body) -> None:
        """Take one of our CRDs; once all are right again, everything has to be seen again."""
        self.engine.crd_seen(ref.name, body)
        if self.engine.machine.platform.must_begin_again:
            self._begin_again.set()

    async def run(self, login: credentials.Credentials, stopping: asyncio.Event) -> None:
        """Run until ``stopping`` is set, or until everything has to be seen again.

        It ends in order. Raises what ended it otherwise.
        """
        serving = asyncio.create_task(self._serve(login))
        reasons = (stopping, self._begin_again, self._elector.displaced)
        asked = [asyncio.create_task(each.wait()) for each in reasons]
        try:
            await asyncio.wait((serving, *asked), return_when=asyncio.FIRST_COMPLETED)
            if serving.done():
                await serving
            await self._drain()
        finally:
            for task in (*asked, serving):
                task.cancel()
            await asyncio.gather(*asked, serving, return_exceptions=True)

    async def _serve(self, login: credentials.Credentials) -> None:
        """Stand by until this process leads; then see everything, and work.

        A standby follows nothing: whatever it remembered would be older than what the leader did,
        and what is read after the lead began is what the former leader left.
        """
        await self._wait_for_kinds()
        await self._heartbeat.look()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._beat())
            self._stands_by = True
            _log.info("Standing by")
            self._elector.hurry()
            await self._elector.lead()
            self._led_at = time.monotonic()
            await self._following.begin(group)
            await self._look_at_specs()
            sweep = asyncio.Event()
            self._watch = SpecsWatch(login, sources=self._sources, restarted=sweep.set)
            self._watch.start()
            group.create_task(self._sweep(sweep))
            self._is_synced = True
            self._work = group.create_task(self.engine.run())
            await self._rest_while_not_leading()

    async def _rest_while_not_leading(self) -> None:
        """Hand out work whenever this process leads."""
        while True:
            await self._elector.lead()
            self.engine.machine.queue.go_on()
            _log.info("Running")
            await self._elector.end_of_lead()
            self.engine.machine.queue.hold()
            self._heartbeat.beat()
            _log.warning("Not leading any more; nothing is written until it does again")

    async def _drain(self) -> None:
        """End in order: not ready any more, no new work, what was begun is finished."""
        self._stands_by = self._is_synced = False
        _log.info("Stopping")
        self.engine.stop()
        self.has_ended_well = True
        if self._work is not None:
            _, unfinished = await asyncio.wait((self._work,), timeout=_DRAIN_SECONDS)
            if unfinished:
                self.has_ended_well = False
                _log.warning("Work was left unfinished; it is taken up at the next start")
        if self._watch is not None:
            await self._watch.stop()

    def liveness_problem(self) -> str:
        """Say why the process should be restarted, or nothing."""
        if self._watch is not None and not self._watch.is_alive():
            return "the watch on SecureTenants and settings ended"
        return ""

    def readiness_problem(self) -> str:
        """Say why the operator does not do its work, or could not take over, or nothing."""
        return self._problem(0.0) or self._elector.problem()

    def lead_problem(self) -> str:
        """Say why this process must neither take nor renew the Lease, or nothing."""
        return self._problem(_SYNC_SECONDS) or self._heartbeat.problem()

    def _problem(self, patience: float) -> str:
        """Say why it does not know the cluster as it is, or nothing.

        ``patience`` is for how many seconds it may take to see everything.
        """
        if not self._stands_by:
            return "not begun yet"
        if self._led_at is None:
            return ""
        if not self._is_synced:
            waits = time.monotonic() - self._led_at <= patience
            return "" if waits else "not synced yet"
        now = time.monotonic()
        for informer in self._following.informers:
            if now - informer.failed_at > _FAILING_SECONDS:
                return informer.failure
            if now - informer.heard_at > _STALE_SECONDS:
                return "the API server was not heard for minutes"
        return self.liveness_problem()

    async def _beat(self) -> None:
        """See now and then whether the work can be done, and by the leader's workers whether it is.

        A worker that comes to this comes to other work too.
        """
        while True:
            is_well = await self._heartbeat.look()
            if self._is_synced and self._elector.left() > 0:
                heart.ask(self._heartbeat, self.engine.machine.queue)
            await asyncio.sleep(heartbeat.SECONDS if is_well else heartbeat.RETRY_SECONDS)

    async def _wait_for_kinds(self) -> None:
        """Wait until our kinds are served: kopf would not notice them later."""
        told = False
        while True:
            try:
                for kind in (kinds.SECURE_TENANT, kinds.TENANT_POLICY, kinds.TENANCY_SETTINGS):
                    await following.probe(self._client, kind)
            except MissingError:
                if not told:
                    _log.warning("The CRDs are not installed: kubectl apply -k crds")
                    told = True
            except ClusterError as error:
                _log.warning("The API server cannot be used", error=str(error))
            else:
                return
            await asyncio.sleep(_CRD_POLL_SECONDS)

    async def _look_at_specs(self) -> None:
        """See all that people wrote once: a peer not known yet looks like one that is gone."""
        for kind, source in self._sources.items():

            def take(body: Body, source: Source = source) -> None:
                source.seen(body["metadata"]["name"], body)

            while True:
                try:
                    async for _ in self._client.pages(kind, take=take):
                        pass
                except ClusterError as error:
                    _log.warning("Cannot list", kind=kind.name, error=str(error))
                    await asyncio.sleep(_CRD_POLL_SECONDS)
                else:
                    break

    async def _sweep(self, asked: asyncio.Event) -> None:
        """List now and then, and whenever asked, what people wrote; forget what is gone."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_SWEEP_SECONDS):
                    await asked.wait()
            asked.clear()
            for kind, source in self._sources.items():
                present: set[str] = set()
                before = self._known(kind)
                try:
                    async for page in self._client.pages(
                        kind, take=lambda body: str(body["metadata"]["name"])
                    ):
                        present.update(page.items)
                except ClusterError as error:
                    _log.warning("Cannot list", kind=kind.name, error=str(error))
                    continue
                for name in before - present:
                    source.gone(name)

    def _known(self, kind: Kind) -> set[str]:
        if kind is kinds.SECURE_TENANT:
            return set(self.engine.machine.tenants.names())
        return {names.SETTINGS_NAME} if self.engine.machine.platform.settings_body else set()


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _only(name: str, kind: str) -> list[Ref]:
    return [Ref(kind, "", name)]


async def run(options: RunOptions) -> None:
    """Run the operator until SIGTERM or SIGINT."""
    login = await credentials.load(options.kubeconfig)
    metrics = Metrics()
    async with contextlib.AsyncExitStack() as open_ones:
        # Its requests wait for no others, and ask no leave: it is what the others ask.
        plain = await open_ones.enter_async_context(Client(login, requested=metrics.requested))
        if options.kubeconfig is None and not credentials.in_cluster() and not options.any_identity:
            await identity.check(plain)

        def unfit() -> str:
            return operator.lead_problem()

        elector = Elector(plain, seconds=options.lease_seconds, unfit=unfit)
        metrics.leads(lambda: elector.left() > 0)
        client = await open_ones.enter_async_context(
            Client(login, requested=metrics.requested, lead_left=elector.left)
        )
        events = Events(client)
        kubelets = Kubelets(client, server=login.server, authority=login.certificate_authority)
        connect = verifier.opener(client, login)
        book, brake = Book(), Brake()

        def begin() -> Operator:
            return Operator(client, elector, metrics, events, kubelets, connect, book, brake)

        operator = begin()

        def liveness_problem() -> str:
            return operator.liveness_problem()

        def readiness_problem() -> str:
            return operator.readiness_problem()

        try:
            runner = await health.serve(
                options.address,
                options.port,
                metrics=metrics,
                alive=liveness_problem,
                ready=readiness_problem,
            )
        except OSError as error:
            raise StartError(
                f"Health cannot be served at {options.address}, port {options.port}:"
                f" {error.strerror or error}. Name another by --port or --address, or end what"
                " listens there"
            ) from error
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, stopping.set)
        background = [asyncio.create_task(each) for each in (events.run(), elector.run())]
        try:
            await operator.run(login, stopping)
            while not stopping.is_set():
                if elector.displaced.is_set():
                    _log.warning("Another replica may have led meanwhile; everything is read again")
                    # It stored what it knew; what we remember is older.
                    book, brake = Book(), Brake()
                    metrics.rest()
                    elector.rejoin()
                else:
                    _log.info("The CRDs are as they should be again; everything is read again")
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(_CRD_SETTLE_SECONDS):
                            await stopping.wait()
                operator = begin()
                await operator.run(login, stopping)
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            if operator.has_ended_well:
                await elector.release()
            await runner.cleanup()
