"""From the death of the operator that leads to the next repair, against when its Lease runs out."""

import signal
import time
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.cluster import spread, table
from conftest import control_plane, settled
from factory import tenant
from harness import OPERATOR, Api, Operator, wait_for
from securetenant.api import kinds, names
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance

ROUNDS = 8
_LEASE_SECONDS = 15


def _expires(admin: Api) -> float:
    """Return when the Lease runs out that the leader renewed last, by the clock of the machine."""
    spec = admin.get(kinds.LEASE, OPERATOR[1], OPERATOR[0])["spec"]
    renewed = datetime.fromisoformat(spec["renewTime"]).timestamp()
    return renewed + int(spec["leaseDurationSeconds"])


def _round(instance: Instance, admin: Api, leader: Operator, how: signal.Signals) -> float:
    """End the leader and delete a NetworkPolicy; return when it was back."""
    assert leader.process is not None
    Operator.at_work.discard(leader)
    leader.process.send_signal(how)
    leader.process.wait(30)
    breaker = Api(
        kubeconfigs.for_user(instance, "breaker", ("system:masters", "securetenant:break-glass"))
    )
    breaker.delete(kinds.NETWORK_POLICY, names.DEFAULT_DENY, "failing-0-a").ok()
    wait_for(
        lambda: admin.get(kinds.NETWORK_POLICY, names.DEFAULT_DENY, "failing-0-a"),
        what="the NetworkPolicy to come back",
        seconds=60,
    )
    return time.time()


def measure(instance: Instance, size: int, folder: Path) -> list[list[str]]:
    """Measure with so many tenants: killed, and stopped in order."""
    admin = Api(instance.admin_kubeconfig)
    first = Operator(instance, folder / "0", lease_seconds=_LEASE_SECONDS)
    first.start()
    for number in range(size):
        spaces = [{"name": f"failing-{number}-a"}]
        admin.create(kinds.SECURE_TENANT, tenant(f"failing-{number}", namespaces=spaces)).ok()
    for number in range(size):
        settled(admin, f"failing-{number}", seconds=120)
    replicas = [first, Operator(instance, folder / "1", lease_seconds=_LEASE_SECONDS)]
    replicas[1].start(until="Standing by")
    rows = []
    for how, told in ((signal.SIGKILL, "killed"), (signal.SIGTERM, "stopped in order")):
        since_end, since_expiry = [], []
        for _ in range(ROUNDS):
            leader, other = replicas
            expires, ended = _expires(admin), time.time()
            back = _round(instance, admin, leader, how)
            since_end.append(back - ended)
            since_expiry.append(back - expires)
            leader.start(until="Standing by")
            replicas = [other, leader]
        late = spread(since_expiry, "s", 1) if how is signal.SIGKILL else "-"
        rows.append([f"{size:,}", told, spread(since_end, "s", 1), late])
    for each in replicas:
        each.stop()
    return rows


def run(sizes: tuple[int, ...]) -> str:
    """Measure with so many tenants of one namespace each."""
    rows = [["Tenants", "the leader is", "repaired after", "after its Lease ran out"]]
    for size in sizes:
        with (
            control_plane(f"bench-failover-{size}", nodes=1) as instance,
            TemporaryDirectory() as folder,
        ):
            rows += measure(instance, size, Path(folder))
    return f"{ROUNDS} rounds; a Lease of {_LEASE_SECONDS} s.\n\n{table(rows)}"
