"""With whose rights, and to which cluster, a command speaks."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Login:
    """Which kubeconfig, and which of its contexts; nothing: those that kubectl would take."""

    kubeconfig: Path | None = None
    context: str | None = None
