"""Our CRDs in the cluster: whether they keep every field that this version reads.

The API server drops what a schema does not name, when an object is written and when it is read. A
CRD that is older or edited so takes a bound out of TenancySettings without a word. A newer one,
which knows more, is right. Constraints are not compared: every value is held to the models again
when it is read.
"""

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from securetenant.api import crds
from securetenant.api.objects import Body

_SHOWN = 3
_COMPARED = (
    "type",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
)
"""What of a node decides how its value is kept, in addition to which fields it has."""


@functools.cache
def expected() -> Mapping[str, Body]:
    """Return the CRDs of this version by name."""
    return {each["metadata"]["name"]: each for each in crds.build()}


def problem(name: str, found: Body | None) -> str:
    """Say in what one of our CRDs falls short of this version's, with the remedy, or nothing."""
    if found is None:
        told = "is missing"
    else:
        lost = list(_lost(expected()[name]["spec"], found["spec"]))
        if not lost:
            return ""
        more = f" and {len(lost) - _SHOWN} more" if len(lost) > _SHOWN else ""
        told = f"does not keep {', '.join(lost[:_SHOWN])}{more}"
    return (
        f"CustomResourceDefinition {name} {told}, so what it leaves out is not known and nothing is"
        " changed. Install the CRDs of this version: kubectl apply -k crds"
    )


def _lost(wanted: Body, found: Body) -> Iterator[str]:
    """Yield what the spec of a CRD lacks."""
    (version,) = wanted["versions"]
    served = next(
        (
            each
            for each in found.get("versions") or ()
            if each["name"] == version["name"] and each.get("served")
        ),
        None,
    )
    if served is None or found.get("scope") != wanted["scope"]:
        yield f"version {version['name']}, scope {wanted['scope']}"
        return
    if "status" in version.get("subresources", {}) and "status" not in (
        served.get("subresources") or {}
    ):
        yield "the subresource status"
    yield from _fields(_schema(version), _schema(served), "")


def _schema(version: Body) -> Mapping[str, Any]:
    return (version.get("schema") or {}).get("openAPIV3Schema") or {}


def _fields(wanted: Mapping[str, Any], found: Mapping[str, Any], path: str) -> Iterator[str]:
    """Yield the path of each field that is lost, or kept as something else."""
    if found.get("x-kubernetes-preserve-unknown-fields"):
        # It keeps more than we know; what of it is wrong is refused when it is read.
        return
    for key in _COMPARED:
        if wanted.get(key) != found.get(key):
            yield f"{path or 'the object'} ({key} is {found.get(key)}, not {wanted.get(key)})"
    properties = found.get("properties") or {}
    for name, node in (wanted.get("properties") or {}).items():
        inner = f"{path}.{name}" if path else name
        if name not in properties:
            yield inner
        else:
            yield from _fields(node, properties[name], inner)
    for key, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if key in wanted:
            if isinstance(found.get(key), Mapping):
                yield from _fields(wanted[key], found[key], path + mark)
            elif not found.get(key):
                yield path + mark
