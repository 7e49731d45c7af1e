"""The controls that have watches and work of their own, one package each, and their list.

Each is a :class:`~securetenant.reconcile.concern.Concern`. In the order of the list they hear what
happens, do their work, and are reported. May import: ``reconcile`` and what is below it. Never:
another concern. Their pure halves are in ``desired``, ``plan`` and ``status``.
"""

from securetenant.concerns.admin_tier.concern import AdminTier
from securetenant.concerns.bindings.concern import ForeignBindings
from securetenant.concerns.expiry.concern import Expiry
from securetenant.concerns.fairness.concern import Fairness
from securetenant.concerns.heartbeat.concern import Beating
from securetenant.concerns.heartbeat.heartbeat import Heartbeat
from securetenant.concerns.ingresses.concern import ForeignIngresses
from securetenant.concerns.nodes.concern import DedicatedNodes
from securetenant.concerns.openreports.concern import OpenReports
from securetenant.concerns.packets.concern import PacketProbe
from securetenant.concerns.pids.concern import ProcessLimits
from securetenant.concerns.policies.concern import Policies
from securetenant.concerns.pool.concern import Pool
from securetenant.concerns.quarantine.concern import Quarantine
from securetenant.concerns.reach.concern import Reachability
from securetenant.concerns.standing.concern import Standing
from securetenant.concerns.traffic.concern import ForeignPolicies
from securetenant.concerns.unkept.concern import Restrictions
from securetenant.concerns.verification.concern import Verification
from securetenant.reconcile.concern import Concern
from securetenant.reconcile.machine import Machine
from securetenant.reconcile.ports import Kubelets, Opener


def build(
    machine: Machine, *, kubelets: Kubelets, connect: Opener, heartbeat: Heartbeat
) -> tuple[Concern, ...]:
    """Return every concern, in order."""
    return (
        Expiry(machine),
        Pool(machine),
        Fairness(machine),
        ForeignBindings(machine),
        ForeignPolicies(machine),
        AdminTier(machine),
        Restrictions(machine),
        Quarantine(machine),
        DedicatedNodes(machine),
        ProcessLimits(machine, kubelets),
        ForeignIngresses(machine),
        Policies(machine),
        PacketProbe(machine),
        Reachability(machine),
        Standing(machine),
        Verification(machine, connect),
        OpenReports(machine),
        Beating(heartbeat),
    )
