"""What this room needs from the outside, as protocols that ``kube`` and ``telemetry`` fulfil."""

from collections.abc import AsyncIterator, Callable
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

from securetenant.api import kinds
from securetenant.api.kinds import Kind
from securetenant.api.objects import Body, Manifest, Page, Ref
from securetenant.api.tenancysettings import SettingsSpec
from securetenant.checks.attacks.verdicts import Answer, Attempt, Question
from securetenant.plan.pids import Kubelet, Reading

T = TypeVar("T")


class Lists(Protocol):
    """Lists of the cluster; each raises a :class:`ClusterError`."""

    def pages(
        self,
        kind: Kind,
        *,
        take: Callable[[dict[str, Any]], T],
        namespace: str = "",
        fields: str = "",
        size: int = 500,
    ) -> AsyncIterator[Page[T]]:
        """Yield a list, page by page; of one namespace, or of what a field selector names.

        ``take`` reduces each item to what is needed, and must not keep it: tenants decide how
        large some objects are.
        """


class Cluster(Lists, Protocol):
    """Requests to the cluster; each raises a :class:`ClusterError`.

    Writes return the object as the API server now has it.
    """

    async def create(self, manifest: Manifest) -> Body:
        """Create an object that must not exist yet."""

    async def apply(self, manifest: Manifest) -> Body:
        """Apply with force under our field manager; the object need not exist."""

    async def amend(self, ref: Ref, patch: list[dict[str, Any]]) -> Body:
        """Apply a JSON Patch."""

    async def delete(self, ref: Ref, uid: str) -> Body | None:
        """Delete this very object; one that is gone already is no error.

        Return the object as it is while it stays: it is being deleted, and something keeps it.
        """

    async def read(self, ref: Ref) -> Body | None:
        """Return the object, or nothing."""

    async def apply_status(self, ref: Ref, status: Body) -> Body:
        """Apply the status under the status field manager."""


class Kubelets(Protocol):
    """Reads kubelets, which are not trusted: it takes a few seconds at most, and never fails."""

    async def read(self, kubelet: Kubelet, settings: SettingsSpec) -> Reading:
        """Ask a kubelet how many processes a pod may have there."""


class Prober(Protocol):
    """Tries what must be refused, as an identity that nothing is admitted of for good.

    Its connections are its own, and no request fails: without an answer nothing is known.
    """

    async def attempt(self, attempt: Attempt, namespace: str) -> Answer:
        """Try to create an object in a namespace, in dry-run."""

    async def ask(self, question: Question) -> bool | None:
        """Ask whether somebody may do something; nothing: there was no answer."""

    async def close(self) -> None:
        """Close every connection."""


Opener = Callable[[], Prober]
"""Opens connections that nobody had before."""


Result = Literal["done", "again", "failed"]
"""How a piece of work ended: it is done, it waits for something, or something went wrong."""


class Meter(Protocol):
    """Counts what happens."""

    def wrote(self, verb: str, kind: str) -> None:
        """Count a write."""

    def policies_in_force(self, yes: bool) -> None:
        """Say whether the admission policies are installed and unchanged."""

    def probed(self, *, filtered: int, unfiltered: int, silent: int) -> None:
        """Say on how many nodes the packet probe came to what."""

    def rolled_out(self, followed: int, total: int, *, halted: bool) -> None:
        """Say how many tenants follow the TenancySettings as they now are."""

    def drifted(self, kind: str) -> None:
        """Count an object that somebody else changed or deleted."""

    def tried(self, verdict: str, count: int) -> None:
        """Count what was tried to break the isolation, by what came of it."""

    def reconciled(self, kind: str, seconds: float, result: Result) -> None:
        """Count one piece of work."""

    def stood(self, tenant: str, *, is_ready: bool) -> None:
        """Say whether a tenant is ready; several times the same is once."""

    def forgot(self, tenant: str) -> None:
        """Say that a tenant is gone."""


class Announcement(NamedTuple):
    """Something for people to read in the events of a SecureTenant, or of TenancySettings."""

    tenant: str
    """The object's name."""
    uid: str
    type: Literal["Normal", "Warning"]
    reason: str
    """One word, in CamelCase."""
    action: str
    """What the operator did or does, in CamelCase."""
    note: str
    kind: str = kinds.SECURE_TENANT.name


class Announcer(Protocol):
    """Tells people; it never waits and never fails."""

    def announce(self, announcement: Announcement) -> None:
        """Take an announcement; repeats are counted together, floods are cut."""
