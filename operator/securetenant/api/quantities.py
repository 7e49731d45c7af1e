"""Quantities: the one place where they are read, computed with and written.

Shares are computed in whole units (thousandths of a CPU, bytes, pieces), so nothing is lost
to rounding, and written as the API server would write them back: else every comparison
would see a difference. (Source: apimachinery, resource.Quantity, canonical form.)
"""

import functools
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from kubernetes.utils.quantity import parse_quantity
from pydantic import AfterValidator, Field, StrictInt, StrictStr

T = TypeVar("T", int, str)

_FORMAT = re.compile(
    r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)(([KMGTPE]i)|[numkMGTPE]|([eE][+-]?[0-9]{1,2}))?"
)
_LONGEST = 32
_LARGEST = 2**63 - 1
"""Kubernetes lowers what is larger to this (apimachinery, resource.Quantity)."""
LONG = "[eE][-+]?[0-9]{3}"
"""Exponents that no rule may compare: to write 1e999999999 out takes the API server minutes."""
_MILLI = 1000
_DECIMAL = "kMGTPE"
_BINARY = ("Ki", "Mi", "Gi", "Ti", "Pi", "Ei")


def is_quantity(value: int | str) -> bool:
    """Tell whether Kubernetes reads this as a quantity."""
    text = str(value)
    return len(text) <= _LONGEST and _FORMAT.fullmatch(text) is not None


# Totals and shares are made of few values, and each look at a tenant reads all of them.
@functools.lru_cache(maxsize=4096)
def parse(value: int | str) -> Decimal:
    """Return the exact value; raises ValueError for what is no quantity."""
    if not is_quantity(value):
        raise ValueError(f"{value!r} is not a quantity")
    return Decimal(parse_quantity(value))


def _check(value: int | str) -> int | str:
    if not is_quantity(value) or not 0 <= parse(value) < _LARGEST:
        raise ValueError(MESSAGE)
    return value


MESSAGE = "a quantity is a number of zero or more, less than 8Ei, like 4, 500m or 8Gi"
CEL = (
    f"!string({{0}}).matches('{LONG.replace('{', '{{').replace('}', '}}')}')"
    " && isQuantity(string({0})) && !quantity(string({0})).isLessThan(quantity('0'))"
    f" && quantity(string({{0}})).isLessThan(quantity('{_LARGEST}'))"
)

Quantity = Annotated[
    StrictInt | StrictStr,
    AfterValidator(_check),
    Field(json_schema_extra={"x-kubernetes-int-or-string": True, "maxLength": _LONGEST}),
]
"""An integer or a string, as in every Kubernetes quantity: ``pods: 500`` must work."""


def units(resource: str, value: int | str) -> int:
    """Return ``value`` in whole units of the resource, rounded down: never more than asked."""
    exact = parse(value)
    return int(exact * _MILLI if _is_cpu(resource) else exact)


def canonical(resource: str, count: int) -> str:
    """Return a number of units as the API server writes it."""
    if _is_cpu(resource):
        whole, rest = divmod(count, _MILLI)
        return f"{count}m" if rest else _decimal(whole)
    if _is_size(resource) and count and count % 1024 == 0:
        return _binary(count)
    return _decimal(count)


def plus(resource: str, value: str, pieces: int) -> str:
    """Return a quantity with a number of pieces more."""
    return canonical(resource, units(resource, value) + pieces) if pieces else value


def step(resource: str, total: int) -> int:
    """Return the smallest share worth giving: whole Mi of a size in whole Mi, else one unit."""
    mebi = 1024 * 1024
    return mebi if _is_size(resource) and total % mebi == 0 else 1


def normal(resource: str, value: Any) -> str:
    """Return a quantity of a spec as the API server writes it."""
    return canonical(resource, units(resource, value))


def shared(amounts: Mapping[str, T]) -> Mapping[str, T]:
    """Return one mapping for all that are equal, which nobody may change.

    The same quota is in most of ten thousand namespaces.
    """
    return _shared(tuple(amounts.items()))


@functools.lru_cache(maxsize=1024)
def _shared(items: tuple[tuple[str, T], ...]) -> Mapping[str, T]:
    return dict(items)


def _is_cpu(resource: str) -> bool:
    return resource in ("cpu", "requests.cpu", "limits.cpu")


def _is_size(resource: str) -> bool:
    """Tell whether the resource is counted in bytes."""
    return resource.endswith(("memory", "storage")) or "hugepages-" in resource


def _decimal(count: int) -> str:
    suffix = ""
    for each in _DECIMAL:
        if count == 0 or count % 1000:
            break
        count, suffix = count // 1000, each
    return f"{count}{suffix}"


def _binary(count: int) -> str:
    suffix = ""
    for each in _BINARY:
        if count % 1024:
            break
        count, suffix = count // 1024, each
    return f"{count}{suffix}"
