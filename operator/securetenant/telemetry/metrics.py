"""Prometheus metrics, in a registry of our own."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from securetenant.reconcile.ports import Result

_PREFIX = "securetenant"


class Metrics:
    """Counts writes, drift and work; fulfils :class:`securetenant.reconcile.ports.Meter`."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._writes = Counter(
            "writes",
            "Writes to the API server, by verb and kind.",
            ["verb", "kind"],
            namespace=_PREFIX,
            registry=self._registry,
        )
        self._drifts = Counter(
            "drifts",
            "Objects in a ready namespace that somebody else changed or deleted, by kind.",
            ["kind"],
            namespace=_PREFIX,
            registry=self._registry,
        )
        self._tries = Counter(
            "isolation_attempts",
            "Attempts to break the isolation, in dry-run, by what came of them: Blocked,"
            " BlockedByOther, Open or Inconclusive.",
            ["verdict"],
            namespace=_PREFIX,
            registry=self._registry,
        )
        self._policies = Gauge(
            "policies_in_force",
            "1 when every admission policy of this version is installed and unchanged.",
            namespace=_PREFIX,
            registry=self._registry,
        )
        self._probed = Gauge(
            "packet_probe_nodes",
            "Nodes with the packet probe, by what it came to: filtered, unfiltered or silent.",
            ["result"],
            namespace=_PREFIX,
            registry=self._registry,
        )
        self._leader = Gauge(
            "leader",
            "1 while this replica leads: only then it works, and writes.",
            namespace=_PREFIX,
            registry=self._registry,
        )
        self._tenants = Gauge(
            "tenants",
            "SecureTenants that are known.",
            namespace=_PREFIX,
            registry=self._registry,
        )
        self._unready = Gauge(
            "tenants_not_ready",
            "SecureTenants whose condition Ready is not True.",
            namespace=_PREFIX,
            registry=self._registry,
        )
        self._waiting: set[str] = set()
        self._following = Gauge(
            "tenants_following_settings",
            "SecureTenants that follow the TenancySettings as they now are.",
            namespace=_PREFIX,
            registry=self._registry,
        )
        self._halted = Gauge(
            "settings_roll_out_halted",
            "1 when changed TenancySettings made tenants unhealthy and go no further.",
            namespace=_PREFIX,
            registry=self._registry,
        )
        self._requests = Counter(
            "requests",
            "Requests to the API server, watches aside, by method and status.",
            ["method", "status"],
            namespace=_PREFIX,
            registry=self._registry,
        )
        self._seconds = Histogram(
            "reconcile_seconds",
            "Time of one piece of work, by what it was about and how it ended: done, again (it"
            " waits for something), or failed.",
            ["key", "result"],
            namespace=_PREFIX,
            registry=self._registry,
            buckets=(0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60),
        )

    def leads(self, tell: Callable[[], bool]) -> None:
        """Ask, at each scrape, whether this replica leads."""
        self._leader.set_function(lambda: float(tell()))

    def rest(self) -> None:
        """Say nothing of tenants and policies any more: another replica does."""
        self._waiting.clear()
        for each in (self._policies, self._tenants, self._unready, self._following, self._halted):
            each.set(0)

    def wrote(self, verb: str, kind: str) -> None:
        """Count a write."""
        self._writes.labels(verb, kind).inc()

    def requested(self, method: str, status: int) -> None:
        """Count a request; status 0 means that there was no answer."""
        self._requests.labels(method, str(status)).inc()

    def policies_in_force(self, yes: bool) -> None:
        """Say whether the admission policies are installed and unchanged."""
        self._policies.set(int(yes))

    def probed(self, *, filtered: int, unfiltered: int, silent: int) -> None:
        """Say on how many nodes the packet probe came to what."""
        for result, count in (
            ("filtered", filtered),
            ("unfiltered", unfiltered),
            ("silent", silent),
        ):
            self._probed.labels(result).set(count)

    def rolled_out(self, followed: int, total: int, *, halted: bool) -> None:
        """Say how many tenants follow the TenancySettings as they now are."""
        self._following.set(followed)
        self._tenants.set(total)
        self._halted.set(int(halted))

    def drifted(self, kind: str) -> None:
        """Count an object that somebody else changed or deleted."""
        self._drifts.labels(kind).inc()

    def tried(self, verdict: str, count: int) -> None:
        """Count what was tried to break the isolation, by what came of it."""
        self._tries.labels(verdict).inc(count)

    def reconciled(self, kind: str, seconds: float, result: Result) -> None:
        """Count one piece of work."""
        self._seconds.labels(kind, result).observe(seconds)

    def stood(self, tenant: str, *, is_ready: bool) -> None:
        """Say whether a tenant is ready; several times the same is once."""
        if is_ready:
            self._waiting.discard(tenant)
        else:
            self._waiting.add(tenant)
        self._unready.set(len(self._waiting))

    def forgot(self, tenant: str) -> None:
        """Say that a tenant is gone."""
        self.stood(tenant, is_ready=True)

    def exposition(self) -> bytes:
        """Return all metrics in the Prometheus text format."""
        return generate_latest(self._registry)
