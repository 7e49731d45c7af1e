"""No spec, good or broken, surprises the operator."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bad_input import broken, good, judgement, named


@settings(max_examples=1000, suppress_health_check=list(HealthCheck))
@given(st.one_of(good, broken()))
def test_a_spec_is_read_or_refused_and_never_an_exception(spec: Any) -> None:
    """An API server with older CRDs may have let it through."""
    judgement(named(spec, "any"))
