"""Manifests in files, as people hand them over."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from securetenant.api.objects import Body
from securetenant.cli import asking

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MOST_BYTES = 16 << 20


def read(paths: Iterable[str], only: frozenset[str] = frozenset()) -> Iterator[Body]:
    """Yield the objects in files, in folders, and on standard input (``-``).

    ``only`` are the kinds that are meant; others are passed over. What cannot be read ends the
    program with a line that names the file.
    """
    for path in paths:
        if path == "-":
            yield from _objects("standard input", sys.stdin.read(_MOST_BYTES), only)
            continue
        found = Path(path)
        files = sorted(found.rglob("*.y*ml")) if found.is_dir() else [found]
        if not files:
            asking.fail(f"{path} holds no YAML file. Name a file, or a folder with some")
        for file in files:
            yield from _objects(str(file), _text(file), only)


def _text(file: Path) -> str:
    try:
        with file.open(encoding="utf-8") as opened:
            return opened.read(_MOST_BYTES)
    except OSError as error:
        asking.fail(f"{file} cannot be read: {error.strerror}. Name another by -f FILE")
    except UnicodeDecodeError:
        asking.fail(f"{file} is not UTF-8: write it as such, or name another by -f FILE")


def _objects(name: str, text: str, only: frozenset[str]) -> Iterator[Body]:
    try:
        documents = list(yaml.load_all(text, Loader=_LOADER))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or error
        asking.fail(f"{name}{where} is not YAML: {problem}")
    for each in documents:
        yield from _flat(name, each, only)


def _flat(name: str, document: Any, only: frozenset[str]) -> Iterator[Body]:
    if document is None:
        return
    kind = str(document.get("kind", "")) if isinstance(document, dict) else ""
    if isinstance(document, dict) and kind.endswith("List"):
        for each in document.get("items") or ():
            yield from _flat(name, each, only)
        return
    if only and kind not in only:
        return
    metadata = document.get("metadata") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not {"apiVersion", "kind"} <= document.keys():
        asking.fail(f"{name} holds something without apiVersion and kind: is it a manifest?")
    if not isinstance(metadata, dict):
        asking.fail(f"{name} holds a {document['kind']} without metadata: give it a name")
    yield document
