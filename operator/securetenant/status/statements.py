"""What is said of a tenant: the one way into its conditions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from securetenant.status.conditions import Condition
from securetenant.status.outcome import Finding


@dataclass(frozen=True, kw_only=True, slots=True)
class Remark:
    """What is worth knowing of something that is in force."""

    type: str
    """The condition: while it is True, its message ends with this."""
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Aspect:
    """A condition that not every tenant has."""

    verdict: Condition
    holds_ready: bool = True
    """Whether Ready waits for it to be True."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """A part of the status apart from its conditions."""

    field: str
    value: Mapping[str, Any]


Statement = Finding | Remark | Aspect | Record
