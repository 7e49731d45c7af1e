"""Allowed flows, and what opens each half of one."""

from typing import NamedTuple

from securetenant.checks.blocks import Ranges
from securetenant.checks.policies import Direction, Opener
from securetenant.checks.population import Class
from securetenant.checks.ports import Spans


class End(NamedTuple):
    """One end of a flow: pods of one namespace."""

    tenant: str
    """Empty for a namespace that is no tenant's."""
    namespace: str
    pods: tuple[str, ...]
    """Their names, sorted; none for pods that could be made in a namespace that has none."""

    def __str__(self) -> str:
        if not self.pods:
            return f"{self.namespace}/*"
        more = f" and {len(self.pods) - 1} more" if len(self.pods) > 1 else ""
        return f"{self.namespace}/{self.pods[0]}{more}"


class Flow(NamedTuple):
    """An allowed flow, once for each pair of rules that opens it."""

    source: End
    target: End
    ports: Spans
    """At the target."""
    egress: Opener
    """At the source."""
    ingress: Opener
    """At the target."""

    def __str__(self) -> str:
        told = ", ".join(map(str, self.ports))
        return (
            f"{self.source} reaches {self.target} on {told}"
            f" (egress: {self.egress}; ingress: {self.ingress})"
        )


class Outside(NamedTuple):
    """An allowed flow between a tenant's pods and addresses."""

    direction: Direction
    end: End
    addresses: Ranges
    ports: Spans
    opener: Opener


class Link(NamedTuple):
    """An allowed flow between two classes of pods."""

    source: Class
    target: Class
    ports: Spans
    egress: Opener
    ingress: Opener
