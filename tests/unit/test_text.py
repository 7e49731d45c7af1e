"""What tenants chose is shown to people as text that does nothing."""

import datetime
import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest
import structlog

from securetenant.api import status, text
from securetenant.kube import events
from securetenant.reconcile.ports import Announcement
from securetenant.status import conditions
from securetenant.status.conditions import Condition
from securetenant.telemetry import logs

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
HOSTILE = "x.example/\x1b[2J\u202ey\nReady=True\x7f\u200b"
HARMLESS = r"x.example/\x1b[2J\u202ey\nReady=True\x7f\u200b"


def test_only_what_does_not_print_is_escaped() -> None:
    assert text.escape(HOSTILE) == HARMLESS
    assert text.escape("Zürich 東京 (a\\b)") == "Zürich 東京 (a\\b)"
    assert text.escape("\udcff") == r"\udcff"


def test_a_condition_shows_control_characters_as_text() -> None:
    """A finalizer with an escape sequence cleared the terminal of who read the condition."""
    verdict = Condition(status.READY, "False", status.TERMINATING, f"Waiting for {HOSTILE}")
    (condition,) = conditions.timed([verdict], 1, {}, NOW)
    assert condition["message"] == f"Waiting for {HARMLESS}"


def test_a_name_of_any_length_does_not_keep_a_status_from_being_written() -> None:
    """F4: with a name of 32 KiB in it no status was accepted any more, and the old one stayed."""
    verdict = Condition(status.READY, "False", status.TERMINATING, "x" * 100_000)
    (condition,) = conditions.timed([verdict], 1, {}, NOW)
    assert condition["message"] == "x" * 4093 + "…"


def test_an_event_shows_control_characters_as_text_and_keeps_its_length() -> None:
    told = Announcement("acme", "uid", "Warning", "Terminating", "Delete", f"by {HOSTILE}")
    assert events._event(told, "acme.1", "now")["note"] == f"by {HARMLESS}"
    note = events._event(told._replace(note="\x1b" * 1024), "acme.1", "now")["note"]
    assert 1020 < len(str(note).encode()) <= 1024


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """Put the logging of this process back as it was."""
    found = logging.getLogger()
    handlers, level = found.handlers[:], found.level
    yield found
    found.handlers[:] = handlers
    found.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize("style", ["text", "json"])
def test_a_log_shows_control_characters_as_text(
    style: str, root: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    logs.configure(style=style)
    assert root.handlers
    structlog.get_logger("hostile").warning("%s failed", HOSTILE, error=HOSTILE)
    logging.getLogger("other").warning("again %s", HOSTILE)
    first, second = stream.getvalue().splitlines()
    if style == "json":
        assert json.loads(first)["event"] == f"{HARMLESS} failed"
        assert json.loads(first)["error"] == HARMLESS
        assert json.loads(second)["event"] == f"again {HARMLESS}"
    else:
        assert f"{HARMLESS} failed" in first
        assert f"again {HARMLESS}" in second
        for each in "\x1b[2J", "\u202e", "\x7f", "\u200b":
            assert each not in stream.getvalue()


def test_what_is_shortened_fits_in_bytes() -> None:
    """An Event with an ellipsis at its end was refused: the API server counts bytes."""
    assert text.shorten("Zürich", 7) == "Zürich"
    assert text.shorten("Zürich", 6) == "Zü…"
    assert text.shorten("Zürich", 5) == "Z…"
