"""How an object differs from what it should be, and the patch that removes what was added."""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from securetenant.api import kinds, names
from securetenant.api.objects import Body
from securetenant.plan import ownership
from securetenant.plan.ownership import NamespaceFacts

Patch = list[dict[str, Any]]
"""A JSON Patch (RFC 6902)."""
_PLAIN = re.compile(r"[\w.:/@+-]*")
"""A name that nobody takes for anything but one."""


class NamespaceMarks(NamedTuple):
    """Labels and annotations that a namespace should have."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]


def namespace_differs(wanted: NamespaceMarks, observed: NamespaceFacts) -> bool:
    """Tell whether one of our marks is missing, changed, or there without being wanted."""
    if any(observed.labels.get(key) != value for key, value in wanted.labels.items()):
        return True
    if any(observed.annotations.get(key) != value for key, value in wanted.annotations.items()):
        return True
    return any(
        ownership.is_our_key(key) and key not in wanted.labels for key in observed.labels
    ) or any(_is_our_annotation(key) for key in observed.annotations)


def surplus(desired: Body, observed: Body) -> Patch:
    """Return the patch that removes what is there and is not wanted.

    A forced apply sets our fields and leaves fields that another manager added to a map, such
    as a label or a key of a quota; they have to be removed by name. The patch tests the
    resourceVersion, so it never hits a newer object. Empty when nothing is to be removed.
    """
    metadata = observed["metadata"]
    if desired["kind"] == kinds.NAMESPACE.name:
        wanted = desired["metadata"]["labels"]
        extra = [
            ["metadata", "labels", key]
            for key in metadata.get("labels", {})
            if ownership.is_our_key(key) and key not in wanted
        ]
        # Consent was used up; left there, it would be consent to the next taker.
        extra += [
            ["metadata", "annotations", key]
            for key in metadata.get("annotations", {})
            if _is_our_annotation(key)
        ]
    else:
        extra = [
            _place(path) for path in _extra(ownership.owned(desired), ownership.owned(observed))
        ]
    if not extra:
        return []
    return [
        {"op": "test", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
        *({"op": "remove", "path": pointer(path)} for path in sorted(extra)),
    ]


def _place(path: list[str]) -> list[str]:
    """Return where in an object that is which :func:`ownership.owned` returns under a path."""
    if path == [ownership.ASIDE]:
        return ["metadata", "annotations", names.ASIDE]
    return ["metadata", *path] if path[0] == "labels" else path


def is_fixed(desired: Body, observed: Body) -> bool:
    """Tell whether a field differs that Kubernetes lets nobody change: make the object again."""
    match desired["kind"]:
        case kinds.ROLE_BINDING.name:
            return bool(desired["roleRef"] != observed.get("roleRef"))
        case kinds.RESOURCE_QUOTA.name:
            return bool(observed["spec"].get("scopes") or observed["spec"].get("scopeSelector"))
        case _:
            return False


def _is_our_annotation(key: str) -> bool:
    return key.rpartition("/")[0] == names.GROUP


def differences(desired: Body, observed: Body) -> tuple[str, ...]:
    """Return the paths of what differs, sorted, such as ``spec.ingress``: for people."""
    if desired["kind"] == kinds.NAMESPACE.name:
        ours = _our_labels(desired, desired)
        theirs = _our_labels(desired, observed)
    else:
        ours, theirs = ownership.owned(desired), ownership.owned(observed)
    return tuple(sorted(".".join(path) for path in _changed(ours, theirs)))


def last_author(observed: Body) -> str:
    """Return the field manager that changed the object last, if it is not the operator's.

    Anybody chooses the own name: one that could be taken for our words is in quotes.
    """
    others = [
        (entry.get("time", ""), entry["manager"])
        for entry in observed["metadata"].get("managedFields", ())
        if entry.get("manager") not in (names.FIELD_MANAGER, names.STATUS_MANAGER)
        and not entry.get("subresource")
    ]
    author = max(others, default=("", ""))[1]
    return author if _PLAIN.fullmatch(author) else json.dumps(author)


def _our_labels(desired: Body, body: Body) -> dict[str, Any]:
    wanted = desired["metadata"]["labels"]
    labels = body["metadata"].get("labels", {})
    return {
        "labels": {
            key: value
            for key, value in labels.items()
            if key in wanted or ownership.is_our_key(key)
        }
    }


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


def pointer(path: list[str]) -> str:
    """Return the JSON Pointer (RFC 6901) of a path."""
    return "/" + "/".join(part.replace("~", "~0").replace("/", "~1") for part in path)
