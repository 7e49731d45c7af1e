"""Calico's selectors, as far as the labels are known: they hold, do not hold, or may hold.

Source: Calico, "Network policy", section "Selectors": ``==``, ``!=``, ``in``, ``not in``,
``contains``, ``starts with``, ``ends with``, ``has()``, ``all()``, ``global()``, ``!``, ``&&``,
``||`` and parentheses.
"""

import re
from typing import NoReturn

from securetenant.checks.selectors import Labels

_TOKEN = re.compile(
    r"\s*(?:(?P<text>\"[^\"]*\"|'[^']*')|(?P<sign>==|!=|&&|\|\||[!(){},])"
    r"|(?P<word>[A-Za-z0-9_./-]+))"
)
_DEEPEST = 50
"""Parentheses and negations within each other."""


def holds(text: str, labels: Labels, *, is_whole: bool) -> bool | None:
    """Tell whether a selector holds; nothing where that is not known.

    Without ``is_whole``, there may be labels other than these. Of a text that is not understood,
    nothing is known.
    """
    try:
        return _Reader(text, labels, is_whole=is_whole).whole()
    except ValueError:
        return None


class _Reader:
    """Reads a selector and evaluates it as it goes."""

    def __init__(self, text: str, labels: Labels, *, is_whole: bool) -> None:
        self._tokens = list(_tokens(text))
        self._labels = labels
        self._is_whole = is_whole
        self._at = 0
        self._depth = 0

    def whole(self) -> bool | None:
        found = self._either()
        if self._at != len(self._tokens):
            _refuse("something is left over")
        return found

    def _either(self) -> bool | None:
        found = self._both()
        while self._take("||"):
            found = _either(found, self._both())
        return found

    def _both(self) -> bool | None:
        found = self._one()
        while self._take("&&"):
            found = _opposite(_either(_opposite(found), _opposite(self._one())))
        return found

    def _one(self) -> bool | None:
        self._depth += 1
        if self._depth > _DEEPEST:
            _refuse("it is too deep")
        try:
            if self._take("!"):
                return _opposite(self._one())
            if self._take("("):
                found = self._either()
                self._need(")")
                return found
            return self._test()
        finally:
            self._depth -= 1

    def _test(self) -> bool | None:
        key = self._word()
        if key in ("all", "global", "has") and self._take("("):
            return self._function(key)
        value = self._labels.get(key)
        is_known = value is not None or self._is_whole
        # Calico: != and "not in" also hold where the label is absent.
        if self._take("=="):
            found = value == self._text()
        elif self._take("!="):
            found = value != self._text()
        elif self._take("in"):
            found = value in self._texts()
        elif self._take("not"):
            self._need("in")
            found = value not in self._texts()
        elif self._take("contains"):
            found = self._text() in (value or "") and value is not None
        elif self._take("starts"):
            self._need("with")
            found = (value or "").startswith(self._text()) and value is not None
        elif self._take("ends"):
            self._need("with")
            found = (value or "").endswith(self._text()) and value is not None
        else:
            _refuse("there is no such test")
        return found if is_known else None

    def _function(self, name: str) -> bool | None:
        if name == "has":
            key = self._word()
            self._need(")")
            return True if key in self._labels else (False if self._is_whole else None)
        self._need(")")
        # global() is what has no namespace.
        return name == "all"

    # --- tokens -----------------------------------------------------------------------------

    def _next(self) -> str:
        if self._at == len(self._tokens):
            _refuse("it ends too early")
        self._at += 1
        return self._tokens[self._at - 1]

    def _take(self, token: str) -> bool:
        is_there = self._at < len(self._tokens) and self._tokens[self._at] == token
        self._at += is_there
        return is_there

    def _need(self, token: str) -> None:
        if not self._take(token):
            _refuse(f"there is no {token}")

    def _word(self) -> str:
        found = self._next()
        if not re.fullmatch(r"[A-Za-z0-9_./-]+", found):
            _refuse("there is no key")
        return found

    def _text(self) -> str:
        found = self._next()
        if found[0] not in "\"'":
            _refuse("there is no text")
        return found[1:-1]

    def _texts(self) -> set[str]:
        self._need("{")
        found = set()
        while not self._take("}"):
            found.add(self._text())
            if not self._take(","):
                self._need("}")
                break
        return found


def _tokens(text: str) -> list[str]:
    found, at = [], 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            _refuse("a sign is not known")
        found.append(match.group(match.lastgroup or 0))
        at = match.end()
    return found


def _either(one: bool | None, other: bool | None) -> bool | None:
    if one or other:
        return True
    return None if one is None or other is None else False


def _opposite(one: bool | None) -> bool | None:
    return None if one is None else not one


def _refuse(why: str) -> NoReturn:
    raise ValueError(f"This is no selector of Calico that is understood: {why}")
