"""Ingresses from before: which host names a tenant may not have now."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

import factory
from securetenant.api import kinds, names
from securetenant.api.objects import Ref
from securetenant.concerns.ingresses.concern import ForeignIngresses
from securetenant.concerns.ingresses.ingresses import Ingresses
from securetenant.plan import ingresses, ownership
from securetenant.plan.hostnames import Hostnames
from securetenant.plan.ownership import Observed, PolicyFacts
from securetenant.reconcile.store import Store
from securetenant.reconcile.tenants import Tenants

BACKEND = {"service": {"name": "web", "port": {"number": 80}}}


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"rules": [{"host": "shop.acme.test"}]}, []),
        ({"rules": [{"host": "shop.beta.test"}]}, ["shop.beta.test"]),
        ({"rules": [{"host": "*.acme.test"}]}, []),
        ({"rules": [{"host": "*.test"}]}, ["*.test"]),
        ({"rules": [{"host": "acme.test"}]}, ["acme.test"]),
        ({"rules": [{"http": {}}]}, [""]),
        ({"defaultBackend": BACKEND}, [""]),
        ({"tls": [{"hosts": ["a.acme.test", "b.test"]}]}, ["b.test"]),
        ({"tls": [{"secretName": "s"}]}, [""]),
        ({}, []),
    ],
)
def test_hosts_are_judged_as_admission_judges_them(spec: dict[str, Any], told: list[str]) -> None:
    found = ingresses.observe({"metadata": {"uid": "u", "resourceVersion": "1"}, "spec": spec})
    assert ingresses.foreign(found, [".acme.test"]) == told
    if told != [""]:
        assert ingresses.foreign(found, []) == sorted(found.hosts)


def test_an_ingress_with_very_many_names_is_remembered_in_part() -> None:
    rules = [{"host": f"h{number}.acme.test"} for number in range(1000)]
    body = {"metadata": {"uid": "u", "resourceVersion": "1"}, "spec": {"rules": rules}}
    found = ingresses.observe(body)
    assert (len(found.hosts), found.has_more) == (ingresses.MOST, True)


def test_a_name_is_held_by_the_tenant_that_has_an_end_of_it() -> None:
    found = Hostnames()
    found.observe("acme", (), [".acme.test"])
    assert found.holders("shop.acme.test") == {"acme"}
    assert found.holders("acme.test") == set()
    assert found.holders("shop.test") == set()


def test_an_ingress_with_more_names_than_are_looked_at_is_not_called_covered() -> None:
    """One name of another tenant behind hundreds of own ones was not seen."""
    store = Store()
    metadata = {
        "name": names.POLICY_NAME,
        "namespace": "acme-prod",
        "uid": "p",
        "resourceVersion": "1",
        "generation": 1,
    }
    policy = {
        "apiVersion": names.API_VERSION,
        "kind": kinds.TENANT_POLICY.name,
        "metadata": metadata,
        "spec": {"tenant": "acme", "workloads": {"hostnames": [".acme.test"]}},
    }
    for each in (factory.namespace("acme-prod", "acme"), policy):
        store.put(ownership.ref_of(each), ownership.observe(each))
    seen = Ingresses(store=store, holders=lambda _: set())
    rules = [{"host": f"h{number}.acme.test"} for number in range(ingresses.MOST)]
    body = {
        "metadata": {"uid": "u", "resourceVersion": "1"},
        "spec": {"rules": [*rules, {"host": "z.beta.test"}]},
    }
    seen.seen(Ref(kinds.INGRESS.name, "acme-prod", "web"), body)
    (finding,) = seen.findings("acme")
    assert not finding.informs
    assert f"Ingress web in acme-prod (more than {ingresses.MOST} names)" in finding.message


def test_who_gains_or_loses_names_is_looked_at_again() -> None:
    """A TenantPolicy that somebody widened was repaired at once; the Ingress of then was not named.

    The namespace was as it should be before and after, so nobody looked at the tenant again.
    """
    told: list[set[str]] = []
    tenants = SimpleNamespace(holders=lambda _: set())
    machine = SimpleNamespace(store=Store(), tenants=tenants, tell=told.append)
    ForeignIngresses(cast("Any", machine)).hostnames_moved({"acme"})
    assert told == [{"acme"}]
    known, store = Tenants(), Store()
    store.put(
        Ref(kinds.TENANT_POLICY.name, "acme-a", names.POLICY_NAME),
        Observed(1, "u", b"", PolicyFacts("acme", "u", 1, b"", (), hostnames=(".acme.test",))),
    )
    known.follow(store)
    assert known.names_moved() == {"acme"}
    assert known.names_moved() == set()
