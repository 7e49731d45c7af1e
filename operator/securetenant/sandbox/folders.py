"""Where the sandbox keeps files: one cache folder, one state folder (XDG base directories)."""

import os
from pathlib import Path


def _base(variable: str, fallback: str) -> Path:
    """Return the XDG folder; a relative value is invalid by that specification and ignored."""
    value = os.environ.get(variable, "")
    if value and os.path.isabs(value):
        return Path(value)
    return Path.home() / fallback


def cache() -> Path:
    """Return the folder of binaries that were fetched or built; it may be deleted at any time."""
    return _base("XDG_CACHE_HOME", ".cache") / "securetenant"


def state() -> Path:
    """Return the folder that holds one sub-folder per running sandbox."""
    return _base("XDG_STATE_HOME", ".local/state") / "securetenant" / "sandbox"
