"""Which part of an object is ours, and its digest.

Walls are owned WHOLE: all labels, all of spec, roleRef and subjects. Of a Namespace only our
keys are ours, so it is compared by its labels (:mod:`drift`) and has no digest.
"""

import hashlib
import json
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

from securetenant.api import kinds, names
from securetenant.api.objects import Body, Ref

_DIGEST_BYTES = 16
_NOT_OURS = frozenset({"apiVersion", "kind", "metadata", "status"})


class NamespaceFacts(NamedTuple):
    """What is remembered of a namespace."""

    labels: Mapping[str, str]
    terminating: bool


class Observed(NamedTuple):
    """What is remembered of an object: a tuple, since there may be a hundred thousand."""

    version: int
    """The resourceVersion; comparable since Kubernetes 1.35 (KEP-5504) and, for what etcd
    stores, always."""
    uid: str
    digest: bytes
    """Of what we own; empty for a namespace."""
    facts: NamespaceFacts | None

    def same_content(self, other: "Observed | None") -> bool:
        """Tell whether nothing that we look at differs."""
        return other is not None and self[1:] == other[1:]


def observe(body: Body) -> Observed:
    """Reduce an object, as the API server returned it, to what is remembered."""
    metadata = body["metadata"]
    facts = None
    content = b""
    if body["kind"] == kinds.NAMESPACE.name:
        labels = {
            sys.intern(key): sys.intern(value)
            for key, value in sorted(metadata.get("labels", {}).items())
        }
        facts = NamespaceFacts(labels, "deletionTimestamp" in metadata)
    else:
        content = digest(body)
    return Observed(int(metadata["resourceVersion"]), metadata["uid"], content, facts)


def ref_of(body: Body) -> Ref:
    """Return which object this is."""
    metadata = body["metadata"]
    return Ref(body["kind"], metadata.get("namespace", ""), metadata["name"])


def owned(body: Body) -> dict[str, Any]:
    """Return the part of a wall that we own, with absent and empty made equal.

    Only direct children of ``spec`` may be absent for empty: further down the difference
    matters (``from: [{podSelector: {}}]`` is one namespace, ``from: [{}]`` is invalid and
    ``ingress: [{}]`` is everybody).
    """
    result: dict[str, Any] = {"labels": body["metadata"].get("labels") or {}}
    for key, value in body.items():
        if key in _NOT_OURS:
            continue
        if key == "spec":
            result[key] = {name: each for name, each in value.items() if not _is_empty(each)}
        elif not _is_empty(value):
            result[key] = value
    return result


def digest(body: Body) -> bytes:
    """Return the digest of what we own; equal digests mean nothing to do."""
    text = json.dumps(owned(body), sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES).digest()


def is_our_key(key: str) -> bool:
    """Tell whether a label of a tenant's namespace is ours whoever wrote it."""
    prefix = key.rpartition("/")[0]
    return prefix in (names.GROUP, names.POD_SECURITY_PREFIX.rstrip("/"))


def _is_empty(value: Any) -> bool:
    return value is None or value in ([], {})
