"""Grants that end: which of them are in force at a moment, and when that changes next."""

import datetime
from collections.abc import Iterable
from typing import NamedTuple

from securetenant.api.access import Grant
from securetenant.api.securetenant import TenantSpec

_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


class Ending(NamedTuple):
    """A grant that ends, or has ended."""

    name: str
    at: datetime.datetime

    @property
    def told(self) -> str:
        """Return when, for people and for the status."""
        return self.at.astimezone(datetime.UTC).strftime(_FORMAT)


def endings(spec: TenantSpec | None) -> tuple[Ending, ...]:
    """Return every grant of a spec that ends at some time, the first one first."""
    grants: Iterable[Grant] = (spec.access if spec is not None else None) or ()
    found = (Ending(each.name, each.expiry) for each in grants if each.expiry is not None)
    return tuple(sorted(found, key=lambda each: (each.at, each.name)))


def without_ended(spec: TenantSpec, now: datetime.datetime) -> TenantSpec:
    """Return the spec without the grants that have ended: nobody has access by them."""
    grants = spec.access or ()
    left = tuple(each for each in grants if each.expiry is None or each.expiry > now)
    return spec if len(left) == len(grants) else spec.model_copy(update={"access": left})
