"""Ingresses from before: which host names a tenant may not have now."""

from typing import Any

import pytest

from securetenant.plan import ingresses
from securetenant.plan.hostnames import Hostnames

BACKEND = {"service": {"name": "web", "port": {"number": 80}}}


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"rules": [{"host": "shop.acme.test"}]}, []),
        ({"rules": [{"host": "shop.beta.test"}]}, ["shop.beta.test"]),
        ({"rules": [{"host": "*.acme.test"}]}, ["*.acme.test"]),
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
    assert (len(found.hosts), found.has_more) == (200, True)


def test_a_name_is_held_by_the_tenant_that_has_an_end_of_it() -> None:
    found = Hostnames()
    found.observe("acme", (), [".acme.test"])
    assert found.holders("shop.acme.test") == {"acme"}
    assert found.holders("acme.test") == set()
    assert found.holders("shop.test") == set()
