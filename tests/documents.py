"""The YAML of this repository, read by libyaml: the loader in Python takes ten times as long."""

from pathlib import Path
from typing import Any

import yaml


def read(text: str) -> list[Any]:
    """Return the documents of a text."""
    return list(yaml.load_all(text, Loader=yaml.CSafeLoader))


def within(folder: Path) -> list[Any]:
    """Return the objects in all files of a folder, and of those in it.

    Not of charts, which are templates, not the test data for Argo CD, and no configuration of
    another program.
    """
    return [
        body
        for file in sorted(folder.rglob("*.yaml"))
        if not {"argocd", "charts"} & set(file.parts)
        for body in read(file.read_text(encoding="utf-8"))
        if body and "apiVersion" in body
    ]
