"""Tenants: what is known of a namespace before anybody looked at it."""

from factory import seen, settings_spec, tenant
from securetenant.api import status
from securetenant.api.objects import Ref
from securetenant.reconcile.store import Store
from securetenant.reconcile.tenants import Tenants


def test_before_the_first_look_nothing_in_a_namespace_is_as_it_should_be() -> None:
    tenants = Tenants()
    tenants.see("acme", seen(tenant("acme", namespaces=[{"name": "acme-a"}])))
    assert tenants.read("acme", settings_spec(), Store()) == ["acme-a"]
    (unit,) = tenants.records["acme"].units.values()
    assert not unit.outcome.ready
    assert unit.outcome.reason == status.PROGRESSING
    assert set(unit.outcome.pending) == {Ref("Namespace", "", "acme-a"), *unit.wanted.digests}


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
