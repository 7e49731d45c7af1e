"""What a unit's objects should look like, in a form that compares without building again."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from securetenant.api.objects import Manifest, Ref
from securetenant.plan import drift, ownership
from securetenant.plan.ownership import Observed


class Expected(NamedTuple):
    """The expectation for one namespace of one tenant."""

    namespace: Ref
    labels: Mapping[str, str]
    digests: Mapping[Ref, bytes]
    """By object, in the order in which they are made."""


def expect(manifests: Iterable[Manifest]) -> Expected:
    """Reduce manifests, the namespace first, to what they are compared by."""
    first, *rest = manifests
    return Expected(
        first.ref,
        first.body["metadata"]["labels"],
        {ref: ownership.digest(body) for ref, body in rest},
    )


def differs(expected: Expected, ref: Ref, observed: Observed | None) -> bool:
    """Tell whether this object is not as it should be; an object nobody wants differs."""
    if ref == expected.namespace:
        return (
            observed is None
            or observed.facts is None
            or observed.facts.terminating
            or drift.namespace_differs(expected.labels, observed.facts.labels)
        )
    wanted = expected.digests.get(ref)
    return wanted != (observed.digest if observed else None)


def pending(expected: Expected, observed: Mapping[Ref, Observed]) -> tuple[Ref, ...]:
    """Return every object to write or delete, in the order of doing so: deletions last."""
    wanted = (expected.namespace, *expected.digests)
    unwanted = sorted(
        ref for ref in observed if ref != expected.namespace and ref not in expected.digests
    )
    return tuple(ref for ref in (*wanted, *unwanted) if differs(expected, ref, observed.get(ref)))
