"""Limits of containers: what a LimitRange says, whole and free of contradictions."""

import re
from typing import Literal, NamedTuple

from pydantic import Field

from securetenant.api import quantities
from securetenant.api.quantities import Quantity
from securetenant.api.rules import Model, Rule

CpuLimit = Literal["Required", "None"]
RESOURCES = ("cpu", "memory", "ephemeral-storage")
_BOUNDS = ("min", "defaultRequest", "default", "max")
"""In rising order."""

_DEFAULTS = {
    "min": {"cpu": "1m", "memory": "4Mi", "ephemeral-storage": "1Mi"},
    "defaultRequest": {"cpu": "50m", "memory": "128Mi", "ephemeral-storage": "64Mi"},
    "default": {"cpu": "500m", "memory": "512Mi", "ephemeral-storage": "1Gi"},
}
"""min is never zero: explicit zero limits run unlimited and are charged nothing (D01)."""


_QUANTITIES = tuple(
    Rule(
        cel=f"!has(self.{cel}) || ({quantities.CEL.format(f'self.{cel}')})",
        holds=lambda _: True,  # The type has judged already.
        message=quantities.MESSAGE,
    )
    for cel in ("cpu", "memory", "ephemeral__dash__storage")
)


class Resources(Model):
    """Quantities of what a container uses."""

    cpu: Quantity | None = None
    """For example 500m."""
    memory: Quantity | None = None
    """For example 512Mi."""
    ephemeral_storage: Quantity | None = Field(default=None, alias="ephemeral-storage")
    """For example 1Gi."""

    rules = (
        Rule(
            cel=" && ".join(
                f"(!has(self.{each}) || string(self.{each}).size() > 6"
                f" || !string(self.{each}).matches('^[1-9][0-9]*$'))"
                for each in ("memory", "ephemeral__dash__storage")
            ),
            holds=lambda self: (
                not any(
                    re.search(r"^[1-9][0-9]{0,5}\Z", str(each))
                    for each in (self.memory, self.ephemeral_storage)
                )
            ),
            message="memory and storage are in bytes: write a unit, like 512Mi or 1Gi",
        ),
        *_QUANTITIES,
    )

    def given(self) -> dict[str, int]:
        """Return what is given, in units."""
        values = (self.cpu, self.memory, self.ephemeral_storage)
        return {
            # Less than one unit counts as one, as in Kubernetes.
            name: quantities.units(name, value) or int(quantities.parse(value) > 0)
            for name, value in zip(RESOURCES, values, strict=True)
            if value is not None
        }


def _at_most(lower: str, upper: str) -> Rule:
    """Return the rule that one bound is not above another, for what both of them name."""
    fields = ("cpu", "memory", "ephemeral__dash__storage")
    parts = [
        f"!has(self.{lower}.{each}) || !has(self.{upper}.{each})"
        f" || [self.{lower}.{each}, self.{upper}.{each}].exists(q,"
        f" string(q).matches('{quantities.LONG}'))"
        f" || quantity(string(self.{lower}.{each}))"
        f".compareTo(quantity(string(self.{upper}.{each}))) <= 0"
        for each in fields
    ]

    def holds(self: "ContainerLimits") -> bool:
        low, high = self.bound(lower), self.bound(upper)
        return all(low[name] <= high[name] for name in low.keys() & high.keys())

    joined = " && ".join(f"({part})" for part in parts)
    return Rule(
        cel=f"!has(self.{lower}) || !has(self.{upper}) || ({joined})",
        holds=holds,
        message=f"{lower} is above {upper}: lower the first or raise the second",
        path=f".{lower}",
    )


def _above_zero(bound: str) -> Rule:
    """Return the rule that a bound holds no zero.

    Not ``min`` only: our own minimum stays below what is given, so a zero in any bound would
    become the minimum, and a container with limits of zero runs unlimited and is charged nothing.
    """
    fields = ("cpu", "memory", "ephemeral__dash__storage")
    values = ", ".join(
        f"has(self.{bound}.{each}) ? string(self.{bound}.{each}) : '1'" for each in fields
    )
    return Rule(
        cel=f"!has(self.{bound}) || [{values}].all(q, q.matches('^[^eE]*[1-9]'))",
        holds=lambda self: all(self.bound(bound).values()),
        message=f"{bound} is zero for a resource: a container with a limit of zero runs without a"
        " limit and is charged nothing. Write a quantity above zero, or leave the resource out",
        path=f".{bound}",
    )


class PlatformLimits(Model):
    """Limits of containers, for tenants that leave them out."""

    cpu_limit: CpuLimit | None = None
    """Required (the default), or None: as in spec.containerLimits.cpuLimit of a SecureTenant."""


class ContainerLimits(Model):
    """Limits of each container, and what a container gets that names none."""

    default: Resources | None = None
    """The limits of a container that names none."""
    default_request: Resources | None = None
    """The requests of a container that names none."""
    min: Resources | None = None
    """The least that a container may ask for; never zero."""
    max: Resources | None = None
    """The most that a container may ask for."""
    cpu_limit: CpuLimit | None = None
    """Required: each container has a limit of CPU. None: nobody gives it one, and limits.cpu is not
    counted; what it requests is. Absent: as TenancySettings say, else Required."""

    rules = (
        Rule(
            cel="!has(self.cpuLimit) || self.cpuLimit != 'None'"
            " || [has(self.default) && has(self.default.cpu), has(self.max) && has(self.max.cpu)]"
            ".all(each, !each)",
            holds=lambda self: self.cpu_limit != "None" or not self.names_cpu_limit,
            message="cpuLimit is None and a limit of CPU is given: leave default.cpu and max.cpu"
            " out, or write cpuLimit: Required",
            path=".cpuLimit",
        ),
        *map(_above_zero, _BOUNDS),
        *(
            _at_most(lower, upper)
            for index, lower in enumerate(_BOUNDS)
            for upper in _BOUNDS[index + 1 :]
        ),
    )

    @property
    def names_cpu_limit(self) -> bool:
        """Tell whether a limit of CPU is given."""
        return any(each is not None and each.cpu is not None for each in (self.default, self.max))

    def bound(self, name: str) -> dict[str, int]:
        """Return one of the four, in units; empty when it is not given."""
        given: Resources | None = {
            "min": self.min,
            "defaultRequest": self.default_request,
            "default": self.default,
            "max": self.max,
        }[name]
        return given.given() if given else {}


class Effective(NamedTuple):
    """The four maps of a LimitRange, as the API server would complete and write them."""

    min: dict[str, str]
    default_request: dict[str, str]
    default: dict[str, str]
    max: dict[str, str]


def effective(limits: ContainerLimits | None, *, has_cpu_limit: bool = True) -> Effective:
    """Fill in our defaults, held within what is given: they never contradict the spec.

    Without a limit of CPU there is no maximum either: a LimitRange gives the maximum to those that
    name none (Kubernetes, "Limit Ranges").
    """
    limits = limits or ContainerLimits()
    given = {name: limits.bound(name) for name in _BOUNDS}
    filled: dict[str, dict[str, int]] = {name: {} for name in _BOUNDS}
    for resource in RESOURCES:
        for index, name in enumerate(_BOUNDS[:-1]):
            if resource in given[name]:
                filled[name][resource] = given[name][resource]
                continue
            value = quantities.units(resource, _DEFAULTS[name][resource])
            lower = [given[each][resource] for each in _BOUNDS[:index] if resource in given[each]]
            upper = [
                given[each][resource] for each in _BOUNDS[index + 1 :] if resource in given[each]
            ]
            filled[name][resource] = min([max([value, *lower]), *upper])
        if resource in given["max"]:
            filled["max"][resource] = given["max"][resource]
    if not has_cpu_limit:
        for name in ("default", "max"):
            filled[name].pop("cpu", None)
    return Effective(
        *(
            {key: quantities.canonical(key, value) for key, value in filled[name].items()}
            for name in _BOUNDS
        )
    )
