"""One rule, two judges: CEL for the API server, Python for the operator, one message.

The API server refuses a broken spec at ``kubectl apply``. The operator judges again, since a
stored object may be older than the rule or newer than the operator. A property test holds
the two to the same answer.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic.alias_generators import to_camel


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule about one object.

    ``cel`` sees the object as ``self``; ``holds`` sees the model. ``path`` is the field that
    the API server names in addition to the message, for example ``.version``.
    """

    cel: str
    holds: Callable[[Any], bool]
    message: str
    path: str = ""

    def schema(self) -> dict[str, str]:
        """Return the rule as an entry of ``x-kubernetes-validations``."""
        entry = {"rule": self.cel, "message": self.message}
        return {**entry, "fieldPath": self.path} if self.path else entry


class Model(BaseModel):
    """The base of every model: frozen, camelCase outside, no unknown field, rules applied."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )

    rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _apply_rules(self) -> Self:
        for rule in self.rules:
            if not rule.holds(self):
                raise ValueError(rule.message)
        return self


@functools.cache
def snake(field: str) -> str:
    """Return the attribute of a field: ``default_quota`` for ``defaultQuota``."""
    return "".join(f"_{each.lower()}" if each.isupper() else each for each in field)


def listed(kind: str, *keys: str) -> dict[str, Any]:
    """Return the schema markers of a list: ``map`` with its keys, ``set`` or ``atomic``."""
    markers: dict[str, Any] = {"x-kubernetes-list-type": kind}
    if keys:
        markers["x-kubernetes-list-map-keys"] = list(keys)
    return markers
