"""What must hold after any fault: all as the specs say, and no gate open without its walls."""

import contextlib
import http.client
import threading
from collections.abc import Collection
from typing import Any

from factory import tenant
from harness import Api
from securetenant.api import kinds, names
from securetenant.api.kinds import Kind
from securetenant.api.tenancysettings import SettingsSpec
from securetenant.desired import unit
from securetenant.plan import ownership
from securetenant.reconcile.store import Store
from securetenant.reconcile.tenants import Tenants

INSIDE = (
    kinds.TENANT_POLICY,
    kinds.NETWORK_POLICY,
    kinds.RESOURCE_QUOTA,
    kinds.LIMIT_RANGE,
    kinds.ROLE_BINDING,
)
_POLICY = (kinds.TENANT_POLICY.name, names.POLICY_NAME)
_QUOTA = (kinds.RESOURCE_QUOTA.name, names.QUOTA)
WALLS = frozenset(
    {
        _POLICY,
        (kinds.NETWORK_POLICY.name, names.DEFAULT_DENY),
        (kinds.NETWORK_POLICY.name, names.DNS),
        _QUOTA,
        (kinds.LIMIT_RANGE.name, names.LIMITS),
    }
)
"""What stands in every namespace that may run pods."""


def fleet(prefix: str, count: int = 4, *, pods: int = 40, opened: bool = False) -> list[Any]:
    """Return tenants whose specs change with the arguments, two of them peers.

    The first divides its quota between two namespaces, the others have one.
    """
    bodies = []
    for number in range(count):
        name = f"{prefix}-{number}"
        namespaces = [{"name": f"{name}-{letter}"} for letter in ("a" if number else "ab")]
        network: dict[str, Any] = {}
        if opened:
            to = [{"cidr": f"10.{number}.0.0/16"}]
            network["egress"] = [{"name": "db", "to": to, "ports": [{"port": 5432}]}]
        if number < 2:
            other = f"{prefix}-{1 - number}"
            network["peers"] = [
                {
                    "tenant": other,
                    "namespaces": [f"{other}-a"],
                    "ports": [{"port": 443}],
                    "direction": "Both",
                }
            ]
        grants = [
            {"name": "devs", "role": "Developer", "subjects": [{"kind": "Group", "name": name}]}
        ]
        quota = {"pods": pods, "requests.cpu": 4}
        # None where it is empty: an apply that empties an object makes null of it, which the API
        # server itself then refuses (1.37.1).
        # Shares of a pool depend on what happened; those that are fixed follow from the spec.
        spec = {"network": network or None, "access": grants, "quota": quota, "quotaMode": "Split"}
        bodies.append(tenant(name, namespaces=namespaces, **spec))
    return bodies


def differences(admin: Api, prefix: str) -> list[str]:
    """Return how the cluster differs from what ``desired`` makes of the specs as they now are."""
    settings = SettingsSpec.model_validate(admin.get(kinds.TENANCY_SETTINGS, "default")["spec"])
    known = Tenants()
    bodies = [
        each
        for each in admin.list(kinds.SECURE_TENANT)
        if each["metadata"]["name"].startswith(f"{prefix}-")
    ]
    for body in bodies:
        known.see(body["metadata"]["name"], body)
    found = []
    for body in bodies:
        name = body["metadata"]["name"]
        known.read(name, settings, Store())
        record = known.get(name)
        assert record is not None
        assert not record.is_refused, record.findings
        for namespace, each in record.units.items():
            found += _unit_differences(admin, namespace, unit.build(each.scope))
    return found


def _unit_differences(admin: Api, namespace: str, manifests: Any) -> list[str]:
    first, *rest = manifests
    body = admin.get(kinds.NAMESPACE, namespace)
    if body is None:
        return [f"no namespace {namespace}"]
    labels = body["metadata"]["labels"]
    found = [
        f"{namespace}: label {key}"
        for key, value in first.body["metadata"]["labels"].items()
        if labels.get(key) != value
    ]
    objects = {}
    for kind in INSIDE:
        for each in admin.list(kind, namespace, labelSelector=names.MANAGED_SELECTOR):
            each["kind"] = kind.name
            objects[ownership.ref_of(each)] = each
    for ref, wanted in rest:
        there = objects.pop(ref, None)
        if there is None:
            found.append(f"no {ref}")
        elif ownership.digest(there) != ownership.digest(wanted):
            found.append(f"{ref} differs")
        elif ref.kind == kinds.TENANT_POLICY.name and (
            labels.get(names.READY_FOR_LABEL) != there["metadata"]["uid"]
        ):
            found.append(f"{namespace} is not ready")
    return found + [f"{ref} is there" for ref in objects]


class History:
    """Every version of namespaces and of what is in them, from now on, as watches tell it."""

    def __init__(self, admin: Api) -> None:
        self._events: list[tuple[int, Kind, Any]] = []
        self._threads = [
            threading.Thread(target=self._watch, args=(admin, kind), daemon=True)
            for kind in (kinds.NAMESPACE, *INSIDE)
        ]
        for each in self._threads:
            each.start()

    def _watch(self, admin: Api, kind: Kind) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            for event in admin.watch(kind):
                version = int(event["object"]["metadata"]["resourceVersion"])
                self._events.append((version, kind, event))

    def unguarded(self, prefix: str, deleted: Collection[tuple[str, str, str]] = ()) -> list[str]:
        """Return every moment at which a namespace was ready without its walls.

        ``deleted`` are walls that somebody else deleted, by namespace, kind and name: these are
        missing until the operator sees it, where they were there before.
        """
        had: dict[str, set[tuple[str, str]]] = {}
        assert all(each.is_alive() for each in self._threads), "a watch ended: nothing is known"
        ready: dict[str, str] = {}
        there: dict[str, dict[tuple[str, str], Any]] = {}
        found = []
        for number, kind, event in sorted(self._events, key=lambda each: each[0]):
            body, gone = event["object"], event["type"] == "DELETED"
            namespace = _take(kind, body, gone, ready, there)
            walls = there.get(namespace, {})
            if kind == kinds.NAMESPACE and gone:
                had.pop(namespace, None)
            had.setdefault(namespace, set()).update(walls)
            if not namespace.startswith(f"{prefix}-") or namespace not in ready:
                continue
            expected = {
                each
                for each in WALLS
                if each not in had[namespace] or (namespace, *each) not in deleted
            }
            if missing := expected - walls.keys():
                found.append(f"{number}: {namespace} is ready without {sorted(missing)}")
                continue
            if _POLICY in expected and ready[namespace] != walls[_POLICY]["metadata"]["uid"]:
                found.append(f"{number}: {namespace} is ready for another policy")
            if _QUOTA in expected and not walls[_QUOTA].get("status", {}).get("hard"):
                found.append(f"{number}: the quota of {namespace} is not counted")
        return found


def _take(
    kind: Kind,
    body: Any,
    gone: bool,
    ready: dict[str, str],
    there: dict[str, dict[tuple[str, str], Any]],
) -> str:
    metadata = body["metadata"]
    if kind == kinds.NAMESPACE:
        namespace: str = metadata["name"]
        label = metadata.get("labels", {}).get(names.READY_FOR_LABEL)
        # In one that is being deleted nothing can be made, and its pods go before its walls
        # (KEP-5080).
        if gone or label is None or "deletionTimestamp" in metadata:
            ready.pop(namespace, None)
        else:
            ready[namespace] = label
        return namespace
    namespace = metadata["namespace"]
    walls = there.setdefault(namespace, {})
    if gone:
        walls.pop((kind.name, metadata["name"]), None)
    else:
        walls[kind.name, metadata["name"]] = body
    return namespace
