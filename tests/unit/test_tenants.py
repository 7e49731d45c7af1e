"""Tenants: what is known of a namespace before anybody looked at it."""

import asyncio
import datetime
from typing import Any

import pytest

from factory import seen, settings_spec, tenant
from securetenant.api import names, status
from securetenant.api.objects import Ref
from securetenant.reconcile.errors import UnavailableError
from securetenant.reconcile.statuses import Statuses
from securetenant.reconcile.store import Store
from securetenant.reconcile.tenants import Record, Tenants
from securetenant.status.tenant import Subject
from silent import Silent


def test_before_the_first_look_nothing_in_a_namespace_is_as_it_should_be() -> None:
    tenants = Tenants()
    tenants.see("acme", seen(tenant("acme", namespaces=[{"name": "acme-a"}])))
    assert tenants.read("acme", settings_spec(), Store()) == ["acme-a"]
    (unit,) = tenants.records["acme"].units.values()
    assert not unit.outcome.ready
    assert unit.outcome.reason == status.PROGRESSING
    assert set(unit.outcome.pending) == {Ref("Namespace", "", "acme-a"), *unit.wanted.digests}


def test_of_a_securetenant_nobody_keeps_who_wrote_what_and_the_copy_that_kubectl_left() -> None:
    """With ten thousand tenants that would be most of what the operator has in memory."""
    copy = "kubectl.kubernetes.io/last-applied-configuration"
    body = seen(tenant("acme", namespaces=[{"name": "acme-a"}]))
    poked = {copy: "{}", names.REQUESTED_ANNOTATION: "today"}
    body["metadata"] |= {"managedFields": [{"manager": "kubectl"}], "annotations": poked}
    tenants = Tenants()
    tenants.see("acme", body)
    kept = tenants.records["acme"].body
    assert kept["spec"] == body["spec"]
    assert kept["metadata"]["uid"] == body["metadata"]["uid"]
    assert kept["metadata"]["annotations"] == {names.REQUESTED_ANNOTATION: "today"}
    assert "managedFields" not in kept["metadata"]
    assert "managedFields" in body["metadata"], "it is the caller's"


def test_namespaces_with_the_same_quota_share_one_record_of_it() -> None:
    tenants = Tenants()
    for name in ("acme", "beta"):
        spaces = [{"name": f"{name}-a"}, {"name": f"{name}-b"}]
        spec = {"quotaMode": "Split", "quota": {"pods": 10}, "namespaces": spaces}
        tenants.see(name, seen(tenant(name, **spec)))
        tenants.read(name, settings_spec(), Store())
    units = [unit for record in tenants.records.values() for unit in record.units.values()]
    assert len({id(unit.share) for unit in units}) == 1
    assert len({id(unit.scope.share) for unit in units}) == 1


def test_what_a_namespace_should_hold_does_not_depend_on_which_is_built_first() -> None:
    """Digests of what namespaces share are computed once, by the first that is built."""

    def built(*order: str) -> dict[str, object]:
        tenants = Tenants()
        spaces = [{"name": "acme-a"}, {"name": "acme-b"}]
        opening = {"name": "db", "to": [{"cidr": "10.20.0.0/16"}], "ports": [{"port": 443}]}
        body = tenant("acme", namespaces=spaces, network={"egress": [opening]})
        tenants.see("acme", seen(body))
        tenants.read("acme", settings_spec(), Store())
        units = tenants.records["acme"].units
        return {name: units[name].wanted for name in order}

    assert built("acme-a", "acme-b") == built("acme-b", "acme-a")


def read(tenants: Tenants, body: Any, cluster: Any) -> tuple[Record, Statuses]:
    """Read a tenant; return it, and what writes its status."""
    tenants.see("acme", body)
    tenants.read("acme", settings_spec(), Store())
    silent = Silent()
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    told = Statuses(cluster=cluster, meter=silent, announcer=silent, now=lambda: now)
    return tenants.records["acme"], told


def test_a_change_that_comes_while_the_status_is_written_is_not_lost() -> None:
    """Its version is older than that of our own write, whose answer already holds it."""

    class Cluster:
        async def apply_status(self, _: Ref, status: Any) -> Any:
            metadata = {**first["metadata"], "generation": 2, "resourceVersion": "9"}
            return {**first, "metadata": metadata, "status": status}

    first = seen(tenant("acme", namespaces=[{"name": "acme-a"}]))
    tenants = Tenants()
    record, told = read(tenants, first, Cluster())
    asyncio.run(told.write("acme", record, Subject(generation=1, outcomes=[])))
    # The event of the change has the status of before, which is no news and no transition.
    written = record.status
    metadata = {**first["metadata"], "generation": 2, "resourceVersion": "8"}
    assert tenants.see("acme", {**first, "metadata": metadata, "status": {}})
    assert record.stale
    assert record.status == written
    metadata = {**metadata, "resourceVersion": "9"}
    assert not tenants.see("acme", {**first, "metadata": metadata, "status": written})
    metadata = {**metadata, "resourceVersion": "10"}
    assert tenants.see("acme", {**first, "metadata": metadata, "status": {}}), "somebody took it"
    assert record.status == {}


@pytest.mark.parametrize("landed", [True, False])
def test_a_status_that_landed_without_an_answer_is_known_by_its_event(landed: bool) -> None:
    """Else the next one would say of every condition that it became so only now."""

    class Cluster:
        async def apply_status(self, _: Ref, status: Any) -> Any:
            if landed:
                metadata = {**first["metadata"], "resourceVersion": "9"}
                tenants.see("acme", {**first, "metadata": metadata, "status": {**status}})
            raise UnavailableError("no answer")

    first = seen(tenant("acme", namespaces=[{"name": "acme-a"}]))
    tenants = Tenants()
    record, told = read(tenants, first, Cluster())
    before = record.status
    with pytest.raises(UnavailableError):
        asyncio.run(told.write("acme", record, Subject(generation=1, outcomes=[])))
    assert (record.status != before) == landed
