"""Pieces of work, and which of them an event wakes."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from securetenant.api import kinds
from securetenant.api.objects import Ref


class Tenant(NamedTuple):
    """Read the tenant's spec, give its namespaces their work, write its status."""

    tenant: str


class Unit(NamedTuple):
    """Make one namespace of one tenant what it should be."""

    tenant: str
    namespace: str


Key = Tenant | Unit


def wakes(ref: Ref, claimants: Iterable[str]) -> Iterator[Key]:
    """Yield what an event about ``ref`` wakes.

    ``claimants`` are the tenants whose spec names the namespace that the object is (in).
    """
    if ref.kind == kinds.SECURE_TENANT.name:
        yield Tenant(ref.name)
        return
    namespace = ref.name if ref.kind == kinds.NAMESPACE.name else ref.namespace
    for tenant in claimants:
        yield Unit(tenant, namespace)
