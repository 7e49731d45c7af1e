"""Ingresses, reduced to the host names that they serve.

Admission judges an Ingress when it is written. Its namespace can come to another tenant afterwards,
and its tenant can lose a host name.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from securetenant.api.objects import Body
from securetenant.api.workloads import serves

MOST = 401
"""How many names of one Ingress are remembered: as many as securetenant-ingress admits."""


class Served(NamedTuple):
    """What is remembered of one."""

    version: int
    uid: str
    hosts: frozenset[str]
    """An empty name means every host."""
    has_more: bool
    """Whether there are more names than are remembered."""


def observe(body: Body) -> Served:
    """Reduce an Ingress, as the API server returned it, to what is remembered."""
    hosts: set[str] = set()
    has_more = False
    for host in _hosts(body.get("spec") or {}):
        if len(hosts) == MOST and host not in hosts:
            has_more = True
            break
        hosts.add(host)
    metadata = body["metadata"]
    return Served(int(metadata["resourceVersion"]), metadata["uid"], frozenset(hosts), has_more)


def foreign(served: Served, hostnames: Iterable[str]) -> list[str]:
    """Return the hosts that the policy securetenant-ingress would refuse today, sorted."""
    allowed = tuple(hostnames)
    return sorted(host for host in served.hosts if not serves(allowed, host))


def _hosts(spec: Body) -> Iterator[str]:
    if spec.get("defaultBackend"):
        yield ""
    for rule in spec.get("rules") or ():
        yield rule.get("host", "")
    for each in spec.get("tls") or ():
        yield from each.get("hosts") or ("",)
