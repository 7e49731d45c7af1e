"""No spec, good or broken, surprises the operator."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bad_input import SETTINGS, broken, good, judgement, named
from factory import seen
from securetenant.api.network import Opening
from securetenant.api.securetenant import TenantSpec
from securetenant.reconcile.store import Store
from securetenant.reconcile.tenants import Tenants


@settings(suppress_health_check=list(HealthCheck))
@given(st.one_of(good, broken()))
def test_a_spec_is_read_or_refused_and_never_an_exception(spec: Any) -> None:
    """An API server with older CRDs may have let it through."""
    judgement(named(spec, "any"))


@settings(suppress_health_check=list(HealthCheck))
@given(good, st.one_of(good, broken()))
def test_what_a_broken_spec_takes_away_is_read_without_an_exception(first: Any, then: Any) -> None:
    """S6: a refused spec is read for what it withdraws, whatever else it holds.

    What is in force is never more than the last good spec allowed.
    """
    known, store = Tenants(), Store()
    for version, spec in enumerate((first, then), 1):
        known.see("any", seen(named(spec, "any"), version))
        known.read("any", SETTINGS, store)
    record = known.records["any"]
    if record.is_refused and record.good is not None and record.spec is not None:
        now, before = record.spec, record.good
        assert held(now) <= held(before)
        assert {each.name for each in openings(now)} <= {each.name for each in openings(before)}


def held(spec: TenantSpec) -> set[tuple[Any, ...]]:
    return {
        (grant.role, subject, entry.name)
        for grant in spec.access or ()
        for subject in grant.subjects
        for entry in spec.namespaces
        if grant.namespaces is None or entry.name in grant.namespaces
    }


def openings(spec: TenantSpec) -> tuple[Opening, ...]:
    return spec.network.openings if spec.network else ()


@pytest.mark.parametrize("spec", [None, "x", [], {"network": "x"}, {"network": {"peers": -1}}])
def test_a_spec_of_another_shape_is_refused(spec: Any) -> None:
    assert judgement({**named({}, "any"), "spec": spec})
