"""Nodes: gives each to whom it belongs, takes it back, and knows how the tenants' nodes stand."""

import contextlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from securetenant.api import kinds, names, objects
from securetenant.api.nodes import SettingsNodes, TenantNodes
from securetenant.api.objects import Body, Manifest, Ref
from securetenant.plan import nodes, pods
from securetenant.plan.nodes import Claims, Marks, NodeFacts, Standing, Verdict
from securetenant.plan.pods import DaemonFacts, PodFacts
from securetenant.reconcile.errors import ConflictError
from securetenant.reconcile.ports import Cluster, Meter
from securetenant.status.placement import Placement, Place

_SECONDS = 10.0
"""How often a node that waits, or a tenant's pods, are looked at; more seldom when there are many,
since pods are not watched: of all that happens to them little concerns their nodes."""
_REQUEST_SECONDS = 0.2
"""How many seconds there are between two such looks, over all of them."""
_HURRY_SECONDS = 2.0
"""How soon a node that waits for pods to go is looked at again."""


@dataclass(kw_only=True, slots=True)
class Known:
    """A node: what is known of it and what came of the last look."""

    facts: NodeFacts
    version: int
    verdict: Verdict = field(default_factory=lambda: Verdict(Standing.NOBODYS))
    evicted: tuple[str, ...] = ()
    """Pods that its taint would evict, and that are waited for."""
    guests: tuple[str, ...] = ()
    """Pods of others that stay, since they tolerate the taint."""
    left: tuple[str, ...] = ()
    """Pods of a former tenant, which are waited for."""
    problem: str = ""
    """Why the last write did not work."""
    stands: bool = False
    """Whether it was seen with all its marks: then what differs is somebody else's doing."""
