"""Quantities: what is written is read back as the same, in the one way Kubernetes writes it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securetenant.api import quantities

resources = st.sampled_from(
    ["requests.cpu", "limits.memory", "requests.storage", "pods", "secrets"]
)


@given(resources, st.integers(0, 10**16))
def test_a_number_of_units_survives_writing_and_reading(resource: str, count: int) -> None:
    assert quantities.units(resource, quantities.canonical(resource, count)) == count


@given(resources, st.integers(0, 10**16))
def test_writing_is_stable(resource: str, count: int) -> None:
    text = quantities.canonical(resource, count)
    assert quantities.normal(resource, text) == text


@pytest.mark.parametrize(
    ("resource", "value", "text"),
    [
        ("requests.cpu", "0.5", "500m"),
        ("requests.cpu", "1500m", "1500m"),
        ("requests.cpu", 4, "4"),
        ("requests.cpu", "2000", "2k"),
        ("requests.cpu", "0.0005", "0"),
        ("pods", "1e3", "1k"),
        ("pods", 1500, "1500"),
        ("limits.memory", "1024Mi", "1Gi"),
        ("limits.memory", "1536Mi", "1536Mi"),
        ("limits.memory", "1G", "1G"),
        ("limits.memory", "1000", "1k"),
        ("limits.memory", "0.5Gi", "512Mi"),
        ("limits.memory", 0, "0"),
    ],
)
def test_quantities_are_written_as_kubernetes_writes_them(
    resource: str, value: int | str, text: str
) -> None:
    assert quantities.normal(resource, value) == text


@pytest.mark.parametrize(
    "text", ["", "lots", "1_000", "NaN", "Infinity", "1 Gi", "1gi", "1K", "--1"]
)
def test_what_kubernetes_does_not_read_is_no_quantity(text: str) -> None:
    """Python reads some of these as numbers."""
    assert not quantities.is_quantity(text)
