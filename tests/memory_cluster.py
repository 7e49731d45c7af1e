"""A cluster in memory that answers as the API server does, in what the product relies on.

``tests/contract/test_memory_cluster.py`` holds it to the real one. It knows no schemas, no defaults
and no admission. Maps are merged key by key; a list is one value, except the finalizers. Bodies are
replaced and never changed, so that what was returned stays as it was.
"""

import copy
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from securetenant.api import kinds, names
from securetenant.api.kinds import Kind
from securetenant.api.objects import Body, Manifest, Page, Ref
from securetenant.plan import ownership
from securetenant.reconcile.errors import ConflictError, MissingError, RefusedError

T = TypeVar("T")
Path = tuple[str, ...]
Fields = dict[Path, Any]

DELETED_AT = "2026-01-01T00:00:00Z"
_SYSTEM = frozenset(
    {
        ("apiVersion",),
        ("kind",),
        ("metadata", "name"),
        ("metadata", "namespace"),
        ("metadata", "uid"),
        ("metadata", "resourceVersion"),
        ("metadata", "generation"),
        ("metadata", "deletionTimestamp"),
    }
)
"""Fields that nobody owns: they say which object it is, or the API server writes them."""
_FINALIZERS = ("metadata", "finalizers")
_WITH_GENERATION = frozenset(
    kind.name
    for kind in (
        kinds.FLOW_SCHEMA,
        kinds.INGRESS,
        kinds.NETWORK_POLICY,
        kinds.SECURE_TENANT,
        kinds.TENANCY_SETTINGS,
        kinds.TENANT_POLICY,
    )
)


class Write(NamedTuple):
    """A write by the product that succeeded."""

    verb: str
    """create, apply, amend, delete or status."""
    ref: Ref
    before: Body | None
    after: Body
    """What is returned; of a deletion, the object as it was last."""


class MemoryCluster:
    """Fulfils :class:`securetenant.reconcile.ports.Cluster`; the product is one of its users."""

    def __init__(self, *namespaces: str) -> None:
        self.objects: dict[Ref, dict[str, Any]] = {}
        self.writes: list[Write] = []
        self.fault: Callable[[str, Ref, Any], object] = lambda _verb, _ref, _sent: None
        """Called before each request of the product, with what is sent; raises what is to go wrong.

        The verbs are those of :class:`Write`, read and list.
        """
        self.wrote: Callable[[Write], object] = lambda _: None
        """Called after each write of the product."""
        self._owners: dict[Ref, dict[str, set[Path]]] = {}
        self._version = 100
        for name in namespaces:
            self.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    # --- the port ---------------------------------------------------------------------------

    async def create(self, manifest: Manifest) -> Body:
        ref = manifest.ref
        self.fault("create", ref, manifest.body)
        if ref in self.objects:
            raise ConflictError(f"{ref} already exists")
        return self._note("create", ref, None, self._update(ref, manifest.body, "our updates"))

    async def apply(self, manifest: Manifest) -> Body:
        self.fault("apply", manifest.ref, manifest.body)
        before = self.objects.get(manifest.ref)
        after = self.apply_as(names.FIELD_MANAGER, manifest)
        return self._note("apply", manifest.ref, before, after)

    async def amend(self, ref: Ref, patch: list[dict[str, Any]]) -> Body:
        self.fault("amend", ref, patch)
        before = self._existing(ref)
        try:
            wanted = patched(before, patch)
        except (LookupError, ValueError) as error:
            raise ConflictError(f"{ref} was changed meanwhile") from error
        return self._note("amend", ref, before, self._update(ref, wanted, "our updates"))

    async def delete(self, ref: Ref, uid: str) -> Body | None:
        self.fault("delete", ref, uid)
        before = self.objects.get(ref)
        if before is None:
            return None
        if before["metadata"]["uid"] != uid:
            raise ConflictError(f"{ref} has another uid")
        self._note("delete", ref, before, self.remove(ref))
        after = self.objects.get(ref)
        return after if after is not None and "finalizers" in after["metadata"] else None

    async def read(self, ref: Ref) -> Body | None:
        self.fault("read", ref, None)
        return self.objects.get(ref)

    async def pages(
        self,
        kind: Kind,
        *,
        take: Callable[[dict[str, Any]], T],
        namespace: str = "",
        fields: str = "",
        size: int = 500,
    ) -> AsyncIterator[Page[T]]:
        self.fault("list", Ref(kind.name, namespace, ""), fields)
        path, _, value = fields.partition("=")
        found = [
            body
            for ref, body in sorted(self.objects.items())
            if ref.kind == kind.name
            and namespace in ("", ref.namespace)
            and (not path or _flat(body).get(tuple(path.split("."))) == value)
        ]
        version = str(self._version)
        for start in range(0, max(len(found), 1), size):
            yield Page(version, [take(copy.deepcopy(each)) for each in found[start : start + size]])

    async def apply_status(self, ref: Ref, status: Body) -> Body:
        self.fault("status", ref, status)
        before = self._existing(ref)
        after = self._apply(ref, names.STATUS_MANAGER, before, _flat({"status": status}))
        return self._note("status", ref, before, after)

    # --- what others do ---------------------------------------------------------------------

    def apply_as(self, manager: str, manifest: Manifest) -> dict[str, Any]:
        """Apply with force under a field manager."""
        ref, body = manifest
        there = self.objects.get(ref)
        uid = body["metadata"].get("uid")
        if there is None:
            self._look_for_home(ref)
            if uid:
                raise ConflictError(f"uid mismatch: there is no {ref}")
        elif uid not in (None, there["metadata"]["uid"]):
            raise RefusedError(f"{ref} is invalid: metadata.uid: field is immutable")
        wanted = _flat({key: each for key, each in body.items() if key != "status"})
        return self._apply(ref, manager, there or _identity(body), wanted)

    def put(self, body: Body) -> dict[str, Any]:
        """Create or replace an object; its status stays where the body has none."""
        return self._update(ownership.ref_of(body), body, "somebody else")

    def remove(self, ref: Ref) -> dict[str, Any]:
        """Delete an object; return it as it was last, or as it is while finalizers keep it."""
        fields = _flat(self._existing(ref))
        fields["metadata", "deletionTimestamp"] = DELETED_AT
        after = self._keep(ref, fields)
        for inner in self._inside(ref):
            self.remove(inner)
        self._sweep(ref)
        return after

    # --- how it is kept ---------------------------------------------------------------------

    def _existing(self, ref: Ref) -> dict[str, Any]:
        if ref not in self.objects:
            raise MissingError(f"{ref} not found")
        return self.objects[ref]

    def _inside(self, ref: Ref) -> list[Ref]:
        is_home = ref.kind == kinds.NAMESPACE.name
        return [each for each in self.objects if is_home and each.namespace == ref.name]

    def _look_for_home(self, ref: Ref) -> None:
        if not kinds.BY_NAME[ref.kind].namespaced:
            return
        home = self._existing(Ref(kinds.NAMESPACE.name, "", ref.namespace))
        if "deletionTimestamp" in home["metadata"]:
            raise RefusedError(f"namespace {ref.namespace} is being terminated")

    def _apply(self, ref: Ref, manager: str, there: Body, wanted: Fields) -> dict[str, Any]:
        """Set the fields, and take away what this manager alone set by an apply before."""
        fields, wanted = _flat(there), _without_system(wanted)
        owners = self._owners.get(ref, {})
        others = {who: paths for who, paths in owners.items() if who != manager}
        gone = owners.get(manager, set()) - wanted.keys() - set().union(*others.values())
        taken = {path for path, value in wanted.items() if fields.get(path) != value}
        kept = {path: value for path, value in fields.items() if path not in gone}
        rest = {who: paths - taken for who, paths in others.items()}
        self._owners[ref] = {**rest, manager: set(wanted)}
        return self._keep(ref, {**kept, **wanted})

    def _update(self, ref: Ref, body: Body, who: str) -> dict[str, Any]:
        """Replace an object; an update makes its author the only owner of the field."""
        there = self.objects.get(ref)
        if there is None:
            self._look_for_home(ref)
        before, given = _flat(there or {}), _without_system(_flat(body))
        identity = _flat(there or _identity(body))
        kept = {
            path: value
            for path, value in identity.items()
            if path in _SYSTEM or (path[0] == "status" and "status" not in body)
        }
        wanted = {**kept, **given}
        changed = {path for path, value in wanted.items() if before.get(path) != value}
        changed -= _SYSTEM
        lost = changed | (before.keys() - wanted.keys())
        owners = {each: paths - lost for each, paths in self._owners.get(ref, {}).items()}
        self._owners[ref] = {**owners, who: owners.get(who, set()) | changed}
        return self._keep(ref, wanted)

    def _keep(self, ref: Ref, fields: Fields) -> dict[str, Any]:
        """Store a new version, unless it is the old one."""
        before, after = self.objects.get(ref), _nested(fields)
        if ref.kind == kinds.RESOURCE_QUOTA.name:
            # Where the controller-manager takes a moment.
            after["status"] = {**after.get("status", {}), "hard": after["spec"]["hard"]}
        if after == before:
            return before
        self._version += 1
        metadata = after["metadata"]
        if before is None:
            metadata["uid"] = f"uid-{self._version}"
        if ref.kind in _WITH_GENERATION and (before is None or _asked(before) != _asked(after)):
            metadata["generation"] = metadata.get("generation", 0) + 1
        metadata["resourceVersion"] = str(self._version)
        self.objects[ref] = after
        self._sweep(ref)
        return after

    def _sweep(self, ref: Ref) -> None:
        """Let go of what is being deleted and waits for nothing."""
        metadata = self.objects.get(ref, {}).get("metadata", {})
        if "deletionTimestamp" not in metadata or "finalizers" in metadata or self._inside(ref):
            return
        del self.objects[ref]
        self._owners.pop(ref, None)
        if ref.namespace:
            self._sweep(Ref(kinds.NAMESPACE.name, "", ref.namespace))

    def _note(self, verb: str, ref: Ref, before: Body | None, after: Body) -> Body:
        write = Write(verb, ref, before, after)
        self.writes.append(write)
        self.wrote(write)
        return after


def _identity(body: Body) -> Body:
    """Return a body of nothing but which object it is."""
    metadata = body["metadata"]
    named = {key: metadata[key] for key in ("name", "namespace") if key in metadata}
    return {"apiVersion": body["apiVersion"], "kind": body["kind"], "metadata": named}


def _asked(body: Body) -> Any:
    """Return what the generation counts: all but metadata and status, and that it is to go."""
    spec = {key: each for key, each in body.items() if key not in ("metadata", "status")}
    return spec, "deletionTimestamp" in body["metadata"]


def _without_system(fields: Fields) -> Fields:
    return {path: value for path, value in fields.items() if path not in _SYSTEM}


def _flat(body: Body) -> Fields:
    """Return the fields of an object by their paths; a finalizer is a field of its own."""
    return dict(_leaves(body, ()))


def _leaves(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if path == _FINALIZERS:
        value = dict.fromkeys(value, _FINALIZERS)
    if isinstance(value, Mapping) and value:
        for key, each in value.items():
            yield from _leaves(each, (*path, key))
    elif path and (value or path[0] != "metadata"):
        yield path, value


def _nested(fields: Fields) -> dict[str, Any]:
    """Return the object of these fields."""
    body: dict[str, Any] = {}
    for path, value in fields.items():
        node = body
        for key in path[:-1]:
            node = node.setdefault(key, {})
        if not isinstance(value, Mapping) or path[-1] not in node:
            node[path[-1]] = copy.deepcopy(value)
    if "finalizers" in body.get("metadata", {}):
        body["metadata"]["finalizers"] = list(body["metadata"]["finalizers"])
    return body


def patched(body: Body, patch: list[dict[str, Any]]) -> dict[str, Any]:
    """Apply a JSON Patch (RFC 6902); items of lists can be tested and removed only."""
    result: dict[str, Any] = copy.deepcopy(dict(body))
    for step in patch:
        *way, last = (
            part.replace("~1", "/").replace("~0", "~") for part in step["path"][1:].split("/")
        )
        node: Any = result
        for part in way:
            node = node[int(part)] if isinstance(node, list) else node[part]
        key = int(last) if isinstance(node, list) else last
        if step["op"] == "test":
            if node[key] != step["value"]:
                raise ValueError(step)
        elif step["op"] == "remove":
            del node[key]
        else:
            node[last] = step["value"]
    return result
