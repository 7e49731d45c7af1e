"""An answer: what programs read of it, and what people do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

API_VERSION = "cli.securetenant.io/v1alpha1"
"""Of every answer as JSON or YAML: fields are added, and keep their meaning."""
FINE, FOUND = 0, 2
"""Exit codes: nothing to object to; something that the command is there to find. 1 is an error."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Rows under a title."""

    title: str = ""
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    empty: str = ""
    """What is said when there are no rows; nothing: the table is left out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """Text to copy, such as YAML."""

    title: str = ""
    text: str
    language: str = "yaml"


Section = str | Table | Block


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a command answers."""

    kind: str
    """What it is, such as Reach; of the answer as JSON too."""
    data: Mapping[str, Any]
    """For programs."""
    sections: tuple[Section, ...]
    """For people."""
    code: int = FINE
    unseen: tuple[str, ...] = field(default=())
    """What could not be seen, so that the answer may lack it."""

    def document(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "apiVersion": API_VERSION,
            "kind": self.kind,
            **self.data,
            "notSeen": list(self.unseen),
        }
