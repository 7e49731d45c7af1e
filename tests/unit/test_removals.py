"""Objects of others that have to go: each is tried, whatever became of the one before."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from memory_cluster import MemoryCluster
from securetenant.api import kinds, names
from securetenant.api.objects import Body, Ref
from securetenant.concerns.bindings.bindings import Bindings
from securetenant.concerns.traffic.traffic import Traffic
from securetenant.plan import bindings, ownership
from securetenant.plan.traffic import Reach
from securetenant.reconcile.errors import (
    ClusterError,
    ConflictError,
    RefusedError,
    UnavailableError,
)
from securetenant.reconcile.failures import Failures
from securetenant.reconcile.store import Store
from securetenant.reconcile.unit import Writer


def binding(name: str) -> Body:
    account = {"kind": "ServiceAccount", "name": "ci", "namespace": "left"}
    return {
        "apiVersion": kinds.ROLE_BINDING.api_version,
        "kind": kinds.ROLE_BINDING.name,
        "metadata": {"name": name, "namespace": "acme-a"},
        "roleRef": {"kind": "ClusterRole", "name": "securetenant:admin"},
        "subjects": [account],
    }


def policy(name: str) -> Body:
    left = {"namespaceSelector": {"matchLabels": {names.NAMESPACE_NAME_LABEL: "left"}}}
    return {
        "apiVersion": kinds.NETWORK_POLICY.api_version,
        "kind": kinds.NETWORK_POLICY.name,
        "metadata": {"name": name, "namespace": "acme-a"},
        "spec": {"podSelector": {}, "ingress": [{"from": [left]}]},
    }


def world() -> tuple[MemoryCluster, Store, Writer]:
    cluster, store = MemoryCluster("acme-a"), Store()
    home = cluster.put(
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": "acme-a", "labels": {names.TENANT_LABEL: "acme"}},
        }
    )
    store.put(ownership.ref_of(home), ownership.observe(home))
    writer = Writer(
        cluster=cluster,
        store=store,
        meter=cast("Any", SimpleNamespace(wrote=lambda *_: None)),
        announcer=cast("Any", None),
        now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
    )
    return cluster, store, writer


def keeping_the_first(error: type[ClusterError]) -> Callable[[str, Ref, Any], None]:
    """Return a fault: the object ``first`` cannot be deleted."""

    def fault(verb: str, ref: Ref, _: Any) -> None:
        if verb == "delete" and ref.name == "first":
            raise error("no")

    return fault


@pytest.mark.parametrize("error", [RefusedError, UnavailableError, ConflictError])
def test_a_role_binding_that_cannot_be_deleted_does_not_keep_the_next_one(
    error: type[ClusterError],
) -> None:
    cluster, store, writer = world()
    found = Bindings(store=store, writer=writer)
    first, second = (cluster.put(binding(name)) for name in ("first", "second"))
    for each in (first, second):
        found.seen(ownership.ref_of(each), each)

    cluster.fault = keeping_the_first(error)
    assert asyncio.run(found.close("left", "")) == [ownership.ref_of(second)]
    assert found.is_open("acme")
    assert found.is_named("left", "heir")
    assert found.troubled() == {"acme-a"}
    (finding,) = found.findings("acme", ["acme-a"], is_suspended=False)
    assert not finding.informs
    assert "first in acme-a (ServiceAccounts of left; the API server " in finding.message
    assert "second" not in finding.message
    # Tried again, it goes.
    cluster.fault = lambda *_: None
    assert asyncio.run(found.expel("acme")) == [ownership.ref_of(first)]
    assert not found.is_open("acme")
    assert not found.is_named("left", "heir")
    assert found.findings("acme", ["acme-a"], is_suspended=False) == ()


@pytest.mark.parametrize("error", [RefusedError, UnavailableError, ConflictError])
def test_a_network_policy_that_cannot_be_deleted_does_not_keep_the_next_one(
    error: type[ClusterError],
) -> None:
    cluster, store, writer = world()
    found = Traffic(store=store, writer=writer)
    first, second = (cluster.put(policy(name)) for name in ("first", "second"))
    for each in (first, second):
        found.seen(ownership.ref_of(each), each)

    cluster.fault = keeping_the_first(error)
    closed = asyncio.run(found.close("left", ""))
    assert [each.ref for each in closed] == [ownership.ref_of(second)]
    reach = Reach("acme", {"acme-a"}.__contains__, apart=False)
    assert found.is_open(reach)
    assert found.is_named("left", "heir")
    (finding,) = found.findings(reach, is_suspended=False)
    assert "first in acme-a (namespace left; the API server " in finding.message
    cluster.fault = lambda *_: None
    assert len(asyncio.run(found.expel(reach, ["acme-a"]))) == 1
    assert not found.is_named("left", "heir")


def test_what_a_finalizer_keeps_is_not_gone_and_asked_for_once() -> None:
    cluster, store, writer = world()
    found = Bindings(store=store, writer=writer)
    body = binding("held")
    body = cluster.put({**body, "metadata": {**body["metadata"], "finalizers": ["x.example/y"]}})
    found.seen(ownership.ref_of(body), body)
    for _ in range(2):
        assert asyncio.run(found.close("left", "")) == []
    assert [write.verb for write in cluster.writes] == ["delete"]
    assert found.is_named("left", "heir")
    (finding,) = found.findings("acme", ["acme-a"], is_suspended=False)
    assert "it is being deleted and has the finalizers x.example/y" in finding.message
    assert not finding.informs


def test_failures_name_every_object_and_keep_the_longest_wait() -> None:
    failures = Failures()
    failures.throw()
    for number, error in enumerate((UnavailableError("late", retry_after=2), ClusterError("x"))):
        with failures.collect(Ref("Node", "", f"n{number}")):
            raise error
    with pytest.raises(UnavailableError, match=r"n0: late; Node n1: x") as caught:
        failures.throw()
    assert caught.value.retry_after == 2
    with failures.collect(Ref("Node", "", "n2")):
        raise RefusedError("no")
    with pytest.raises(RefusedError):
        failures.throw()


@pytest.mark.parametrize(
    ("kind", "name", "home"),
    [
        ("ServiceAccount", "ci", "left"),
        ("User", "system:serviceaccount:left:ci", "left"),
        ("Group", "system:serviceaccounts:left", "left"),
        ("Group", "system:serviceaccounts", ""),
        ("User", "jane", ""),
        ("User", "system:serviceaccounts:left", ""),
    ],
)
def test_a_service_account_is_one_however_a_role_binding_names_it(
    kind: str, name: str, home: str
) -> None:
    """As a user or a group it went on in a namespace of another tenant, and was named a person."""
    body = {**binding("old"), "subjects": [{"kind": kind, "name": name}]}
    body["metadata"] = {**body["metadata"], "uid": "u", "resourceVersion": "1"}
    if kind == "ServiceAccount":
        body["subjects"][0]["namespace"] = home
    found = bindings.observe(body)
    assert found.accounts == ({home} if home else set())
    assert found.beyond == (() if home else (f"{kind} {name}",))
