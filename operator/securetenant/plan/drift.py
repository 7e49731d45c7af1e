"""How an object differs from what it should be, and the patch that removes what was added."""

from collections.abc import Mapping
from typing import Any

from securetenant.api.objects import Body
from securetenant.plan import ownership

Patch = list[dict[str, Any]]
"""A JSON Patch (RFC 6902)."""


def namespace_differs(desired: Mapping[str, str], observed: Mapping[str, str]) -> bool:
    """Tell whether a label of ours is missing, changed, or there without being wanted."""
    if any(observed.get(key) != value for key, value in desired.items()):
        return True
    return any(ownership.is_our_key(key) and key not in desired for key in observed)


def surplus(desired: Body, observed: Body) -> Patch:
    """Return the patch that removes what is there and is not wanted.

    A forced apply sets our fields and leaves fields that another manager added to a map, such
    as a label or a key of a quota; they have to be removed by name. The patch tests the
    resourceVersion, so it never hits a newer object. Empty when nothing is to be removed.
    """
    if desired["kind"] == "Namespace":
        wanted = desired["metadata"]["labels"]
        extra = [
            ["metadata", "labels", key]
            for key in observed["metadata"].get("labels", {})
            if ownership.is_our_key(key) and key not in wanted
        ]
    else:
        extra = [
            ["metadata", *path] if path[0] == "labels" else path
            for path in _extra(ownership.owned(desired), ownership.owned(observed))
        ]
    if not extra:
        return []
    version = observed["metadata"]["resourceVersion"]
    return [
        {"op": "test", "path": "/metadata/resourceVersion", "value": version},
        *({"op": "remove", "path": _pointer(path)} for path in sorted(extra)),
    ]


def differences(desired: Body, observed: Body) -> tuple[str, ...]:
    """Return the paths of what differs, sorted, such as ``spec.ingress``: for people."""
    ours, theirs = ownership.owned(desired), ownership.owned(observed)
    return tuple(sorted(".".join(path) for path in _changed(ours, theirs)))


def _extra(desired: Mapping[str, Any], observed: Mapping[str, Any]) -> list[list[str]]:
    """Return the paths of mapping keys that only ``observed`` has."""
    found = []
    for key, value in observed.items():
        if key not in desired:
            found.append([key])
        elif isinstance(value, Mapping) and isinstance(desired[key], Mapping):
            found += [[key, *rest] for rest in _extra(desired[key], value)]
    return found


def _changed(desired: Mapping[str, Any], observed: Mapping[str, Any]) -> list[list[str]]:
    found = []
    for key in desired.keys() | observed.keys():
        ours, theirs = desired.get(key), observed.get(key)
        if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
            found += [[key, *rest] for rest in _changed(ours, theirs)]
        elif ours != theirs:
            found.append([key])
    return found


def _pointer(path: list[str]) -> str:
    return "/" + "/".join(part.replace("~", "~0").replace("/", "~1") for part in path)
