"""The YAML of this repository, read by libyaml: the loader in Python takes ten times as long."""

from pathlib import Path
from typing import Any

import yaml


def read(text: str) -> list[Any]:
    """Return the documents of a text."""
    return list(yaml.load_all(text, Loader=yaml.CSafeLoader))


def within(folder: Path) -> list[Any]:
    """Return the objects in all files of a folder, and of those in it."""
    return [
        body
        for file in sorted(folder.rglob("*.yaml"))
        for body in read(file.read_text(encoding="utf-8"))
        if body
    ]
