"""What a control is to the machine: the one interface, of which every method does nothing here.

The machine calls each concern in the order of their list. It knows none of them by name, and they
do not know each other.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from securetenant.api.kinds import Kind
from securetenant.api.objects import Body, Ref
from securetenant.plan.ownership import PolicyFacts, Proof
from securetenant.reconcile.keys import Key
from securetenant.reconcile.tenants import Record
from securetenant.status.outcome import Finding
from securetenant.status.settings import Report
from securetenant.status.statements import Statement


class Presence(Enum):
    """When objects of a kind are there to be watched."""

    REQUIRED = "required"
    """Nothing is written before all of them were seen."""
    LATE = "late"
    """A missing right may put it off: work begins without them after a few seconds."""
    OPTIONAL = "optional"
    """Its CRD is somebody else's: it may come and go at any time."""
    NEWER = "newer"
    """Older API servers do not know it; an upgrade may bring it."""


def _nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True, kw_only=True)
class Watch:
    """What a concern follows. Two watches of the same objects are one request."""

    kind: Kind
    selector: str = ""
    """By labels."""
    fields: str = ""
    """By fields."""
    seen: Callable[[Ref, Body], None]
    gone: Callable[[Ref, int], None]
    known: Callable[[str], list[Ref]]
    """Returns every object of the kind that is known: what a list does not show is gone."""
    presence: Presence = Presence.REQUIRED
    served: Callable[[], None] = _nothing
    """Called when all of them were seen; before they are, for what only newer servers know."""
    unserved: Callable[[], None] = _nothing
    """Called when the kind is not served any more."""


class Prepared(NamedTuple):
    """How a tenant stands before its namespaces are worked on."""

    finding: Finding | None = None
    """What is not in place yet; the statements say so too."""
    is_open: bool = False
    """Whether something has to be tried again."""


Work = Callable[[Key], Awaitable[bool]]
"""Does a piece of work; returns whether to try again. Raises a :class:`ClusterError`."""


class Concern:
    """A control with watches and work of its own."""

    def watches(self) -> Sequence[Watch]:
        """Return what it follows."""
        return ()

    def works(self) -> Mapping[str, Work]:
        """Return who does its work, by :attr:`Key.work`."""
        return {}

    def writes(self) -> frozenset[str]:
        """Return which of its work is left undone while the tenant in whose line it is suspended.

        What it is about is seen again when that ends: the tenant is read again.
        """
        return frozenset()

    # --- what happens: each may queue work, and never waits -----------------------------------

    def settings_changed(self) -> None:
        """Take that TenancySettings changed, or that there are none to go by any more."""

    def tenant_read(self, name: str, record: Record) -> None:
        """Take what a tenant asks for, as it was just read."""

    def tenant_told(self, name: str) -> None:
        """Take that the status of a tenant says how it is."""

    def tenant_gone(self, name: str) -> None:
        """Take that a SecureTenant is gone; its namespaces may be there still."""

    def tenant_moved(self, name: str) -> None:
        """Take that a tenant gained or lost a namespace."""

    def namespace_changed(self, namespace: str) -> None:
        """Take that a Namespace came, went, or has another tenant."""

    def namespace_gone(self, tenant: str) -> None:
        """Take that a namespace of a tenant is gone."""

    def hostnames_moved(self, tenants: Collection[str]) -> None:
        """Take that tenants came to have host names in force, or lost some."""

    # --- what is done for a tenant ------------------------------------------------------------

    async def prepare(self, name: str, record: Record) -> Prepared:
        """Do what comes before a tenant's namespaces are worked on, unless it is suspended.

        Raises a ClusterError.
        """
        return Prepared()

    async def preflight(
        self, namespace: str, tenant: str, record: Record
    ) -> tuple[str, str] | None:
        """Say what keeps a namespace that is there from being taken: a reason and a message.

        Raises a ClusterError.
        """
        return None

    async def admit(self, namespace: str, tenant: str, record: Record) -> None:
        """Close what is open in or into a namespace before it becomes a tenant's own."""

    def opening(self, namespace: str, tenant: str) -> tuple[str, str] | None:
        """Say what in namespaces of others is still open to one: a reason and a message."""
        return None

    async def release(self, namespace: str, tenant: str) -> None:
        """Close what is open into a namespace before it is deleted. Raises a ClusterError."""

    async def tenant_left(self, name: str) -> None:
        """Delete what a deleted tenant without namespaces has. Raises a ClusterError."""

    def is_in_place(self, record: Record) -> bool:
        """Tell whether everything is there that :meth:`prepare` makes."""
        return True

    # --- what is said -------------------------------------------------------------------------

    def is_learning(self, name: str) -> bool:
        """Tell whether something about a tenant is being found out, which is about to be said."""
        return False

    def proof(self, namespace: str, facts: PolicyFacts) -> Proof | None:
        """Say what was seen of the isolation of one namespace, for its TenantPolicy."""
        return None

    def doubts(self, tenant: str, namespace: str) -> Iterable[Finding]:
        """Say what else was found in one namespace: its isolation is not verified then."""
        return ()

    def statements(self, name: str, record: Record) -> Iterable[Statement]:
        """Say how a tenant stands: the one way into its conditions."""
        return ()

    def report(self, report: Report) -> Report:
        """Add how the platform stands, for the status of TenancySettings."""
        return report

    # --- its own loop, where it has one -------------------------------------------------------

    async def run(self) -> None:
        """Work until :meth:`stop`, apart from the queue that all share."""

    def stop(self) -> None:
        """Begin nothing more."""
