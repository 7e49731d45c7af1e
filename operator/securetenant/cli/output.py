"""An answer as it is printed: for people on a terminal, for programs in a pipe."""

import importlib.util
import json
import sys
from collections.abc import Callable
from typing import Any

import click
import yaml

from securetenant.answers import markdown
from securetenant.answers.answer import Answer, Block, Section, Table
from securetenant.api import text

_GOOD = frozenset({"True", "Pass", "Ready", "Blocked", "yes", "create"})
_BAD = frozenset({"False", "Fail", "Open", "no", "delete", "lost"})
_DOUBTFUL = frozenset({"Unknown", "Inconclusive", "BlockedByOther", "change"})

FORMATS: dict[str, Callable[[Answer], str]] = {
    "json": lambda answer: json.dumps(answer.document(), indent=2, ensure_ascii=False) + "\n",
    "yaml": lambda answer: _yaml(answer.document()),
    "markdown": markdown.render,
}


def show(answer: Answer, form: str) -> None:
    """Print an answer; ``form`` is table or one of :data:`FORMATS`."""
    if form in FORMATS:
        click.echo(FORMATS[form](answer), nl=False)
        return
    for number, section in enumerate(filter(_is_shown, answer.sections)):
        if number:
            click.echo()
        _print(section)
    show_unseen(answer)


def show_unseen(answer: Answer) -> None:
    """Say on standard error what the caller could not see."""
    for each in answer.unseen:
        click.echo(f"Not seen: {text.escape(each)}", err=True)


def _yaml(document: Any) -> str:
    return yaml.safe_dump(
        # Plain dictionaries and lists: tuples have no form of their own in YAML.
        json.loads(json.dumps(document)),
        sort_keys=False,
        allow_unicode=True,
        width=100,
    )


def _is_shown(section: Section) -> bool:
    return not isinstance(section, Table) or bool(section.rows or section.empty)


def _print(section: Section) -> None:
    if isinstance(section, str):
        click.echo(text.escape(section))
        return
    if section.title:
        click.secho(text.escape(section.title), bold=True)
    if isinstance(section, Block):
        click.echo("\n".join(f"  {text.escape(line)}" for line in section.text.splitlines()))
    elif not section.rows:
        click.echo(text.escape(section.empty))
    else:
        _table(section)


def _table(table: Table) -> None:
    # In a pipe nothing is wrapped, so that a line is a row.
    if not sys.stdout.isatty() or importlib.util.find_spec("rich") is None:
        _columns(table)
        return
    from rich import box  # noqa: PLC0415 - a part of the time that a command takes.
    from rich.console import Console  # noqa: PLC0415 - see above.
    from rich.table import Table as Rich  # noqa: PLC0415 - see above.
    from rich.text import Text  # noqa: PLC0415 - see above.

    found = Rich(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for number, column in enumerate(table.columns):
        is_last = number == len(table.columns) - 1
        found.add_column(column.upper(), overflow="fold", ratio=1 if is_last else None)
    for row in table.rows:
        found.add_row(*(Text(text.escape(cell), style=_style(cell)) for cell in row))
    Console(highlight=False).print(found)


def _columns(table: Table) -> None:
    rows = [tuple(each.upper() for each in table.columns), *table.rows]
    cells = [[text.escape(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        padded = "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo(padded.rstrip())


def _style(cell: str) -> str:
    if cell in _GOOD:
        return "green"
    if cell in _BAD:
        return "red"
    return "yellow" if cell in _DOUBTFUL else ""
