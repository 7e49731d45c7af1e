"""References and manifests: how rooms speak about objects of the cluster."""

from collections.abc import Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from securetenant.api import kinds

Body = Mapping[str, Any]
"""An object as JSON; the one deliberately untyped value, since Kubernetes defines it."""


class Ref(NamedTuple):
    """Which object; a tuple, because a large cluster has a hundred thousand of them."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        where = f" in {self.namespace}" if self.namespace else ""
        return f"{self.kind} {self.name}{where}"

    @property
    def path(self) -> str:
        """Return the URL path of the object."""
        return kinds.BY_NAME[self.kind].path(self.namespace, self.name)


T = TypeVar("T")


class Page(NamedTuple, Generic[T]):
    """A part of a list, its items reduced to what is needed of them."""

    version: str
    """The resourceVersion of the whole list."""
    items: list[T]


class Manifest(NamedTuple):
    """One object as it should be: every field that we own, written out."""

    ref: Ref
    body: Body


def marker(ref: Ref, **metadata: Any) -> Body:
    """Return the body of an apply that touches nothing but the given fields of metadata."""
    kind = kinds.BY_NAME[ref.kind]
    return {
        "apiVersion": kind.api_version,
        "kind": kind.name,
        "metadata": {"name": ref.name, **metadata},
    }


def manifest(
    kind: kinds.Kind,
    *,
    name: str,
    namespace: str = "",
    labels: Mapping[str, str],
    annotations: Mapping[str, str] | None = None,
    **fields: Any,
) -> Manifest:
    """Build a manifest; ``fields`` are the top-level fields except metadata, such as ``spec``."""
    metadata: dict[str, Any] = {"name": name, "labels": dict(sorted(labels.items()))}
    if namespace:
        metadata["namespace"] = namespace
    if annotations:
        metadata["annotations"] = dict(sorted(annotations.items()))
    body = {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata, **fields}
    return Manifest(Ref(kind.name, namespace, name), body)
