"""A recording of a terminal, asciicast v2: one line of JSON for each line that was printed."""

import json

_WIDTH, _HEIGHT = 120, 32
_READING, _TYPING, _PRINTING = 1.5, 0.6, 0.03


def record(text: str, *, title: str) -> str:
    """Return a recording of what a program printed, with pauses for people who read it.

    The pauses are the same in every recording, so that it changes only where the output does.
    """
    header = {"version": 2, "width": _WIDTH, "height": _HEIGHT, "title": title}
    lines = [json.dumps(header)]
    now = 0.0
    for line in text.splitlines():
        if line.startswith("=== "):
            now += _READING
        elif line.startswith("$ "):
            now += _TYPING
        else:
            now += _PRINTING
        lines.append(json.dumps([round(now, 2), "o", f"{line}\r\n"]))
    return "\n".join(lines) + "\n"
