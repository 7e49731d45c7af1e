"""What every part of the machine, and every concern, works with."""

import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from securetenant.api.tenancysettings import SettingsSpec
from securetenant.plan.resting import Book
from securetenant.reconcile import keys
from securetenant.reconcile.keys import Key
from securetenant.reconcile.node_book import NodeBook
from securetenant.reconcile.platform import Platform
from securetenant.reconcile.ports import Announcer, Cluster, Meter
from securetenant.reconcile.queue import Queue
from securetenant.reconcile.resting import Resting
from securetenant.reconcile.rollout import Rollout
from securetenant.reconcile.statuses import Statuses
from securetenant.reconcile.store import Store
from securetenant.reconcile.tenants import Tenants
from securetenant.reconcile.unit import Writer

_VERIFY_SECONDS = 3600
"""After how many seconds everything is verified again, where TenancySettings say nothing."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The parts, each made once."""

    cluster: Cluster
    meter: Meter
    now: Callable[[], datetime]
    store: Store
    nodes: NodeBook
    platform: Platform
    tenants: Tenants
    queue: Queue[Key]
    writer: Writer
    statuses: Statuses
    rollout: Rollout
    resting: Resting

    @property
    def settings(self) -> SettingsSpec | None:
        """Return the TenancySettings; without them nothing is changed."""
        return self.platform.settings

    @property
    def verify_seconds(self) -> int:
        """Return after how many seconds everything is verified again; 0: never."""
        if self.settings is None:
            return 0
        asked = self.settings.verify_every_seconds
        return _VERIFY_SECONDS if asked is None else asked

    def tell(self, tenants: Iterable[str]) -> None:
        """Have the status of tenants looked at again; those that are not known have none."""
        for name in self.tenants.records.keys() & set(tenants):
            self.queue.add(keys.tenant(name))

    def tell_settings(self) -> None:
        """Have the roll-out, and the status of TenancySettings, looked at again."""
        self.queue.add(keys.SETTINGS)

    def tell_all(self) -> None:
        """Have the status of TenancySettings, and of every tenant, looked at again."""
        self.tell_settings()
        self.tell(self.tenants.names())

    def read_again(self, name: str) -> None:
        """Have a tenant read again: something that it depends on changed."""
        if self.tenants.outdate(name):
            self.queue.add(keys.tenant(name))

    def announce(
        self, tenant: str, reason: str, action: str, note: str, *, is_warning: bool = False
    ) -> None:
        """Say what happened in an event of a SecureTenant, if it is there."""
        record = self.tenants.get(tenant)
        if record is not None:
            self.statuses.announce(tenant, record, reason, action, note, is_warning=is_warning)


def assemble(
    *,
    cluster: Cluster,
    meter: Meter,
    announcer: Announcer,
    now: Callable[[], datetime],
    store: Store,
    most: int,
    book: Book,
) -> Machine:
    """Make the parts; ``most`` is how many workers a line may have."""
    platform = Platform()
    resting = Resting(
        store=store,
        tenants=lambda: tenants,
        settings=lambda: platform.settings,
        now=now,
        book=book,
    )
    tenants = Tenants(resting.gives, now)
    writer = Writer(
        cluster=cluster,
        store=store,
        meter=meter,
        announcer=announcer,
        now=now,
        gives=resting.gives,
    )
    chance = random.Random()  # noqa: S311 - jitter.
    return Machine(
        cluster=cluster,
        meter=meter,
        now=now,
        store=store,
        nodes=NodeBook(),
        platform=platform,
        tenants=tenants,
        queue=Queue[Key](clock=time.monotonic, chance=chance, most=most),
        writer=writer,
        statuses=Statuses(cluster=cluster, meter=meter, announcer=announcer, now=now),
        rollout=Rollout(),
        resting=resting,
    )
