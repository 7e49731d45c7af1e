"""An answer as Markdown, for comments on changes and for wikis."""

import re
from collections.abc import Iterable

from securetenant.answers.answer import Answer, Block, Section, Table
from securetenant.api import text

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~])")


def render(answer: Answer) -> str:
    """Return the answer; what others chose, such as names, formats nothing."""
    sections: list[Section] = [*answer.sections]
    if answer.unseen:
        sections.append(Table(title="Not seen", columns=("What",), rows=_rows(answer.unseen)))
    return "\n\n".join(filter(None, map(_section, sections))) + "\n"


def _rows(lines: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    return tuple((each,) for each in lines)


def _section(section: Section) -> str:
    if isinstance(section, str):
        return _plain(section)
    title = f"**{_plain(section.title)}**" if section.title else ""
    if isinstance(section, Block):
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", section.text)), default=0))
        body = f"{fence}{section.language}\n{section.text.rstrip()}\n{fence}"
        return "\n\n".join(filter(None, (title, body)))
    if not section.rows:
        return "\n\n".join((title, _plain(section.empty))) if section.empty else ""
    lines = [
        _line(section.columns),
        _line("---" for _ in section.columns),
        *(_line(map(_plain, row)) for row in section.rows),
    ]
    return "\n\n".join(filter(None, (title, "\n".join(lines))))


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(words: str) -> str:
    # A mention would call somebody, and a link lead somewhere.
    safe = _SPECIAL.sub(r"\\\1", text.escape(words))
    return safe.replace("@", "@\u200b").replace("://", ":\u200b//")
