"""What the log says while the API server is away."""

import asyncio
from typing import Any

import pytest
import structlog

from securetenant.api import kinds
from securetenant.app import operator, specs_watch
from securetenant.kube import informer
from securetenant.kube.client import Client
from securetenant.kube.informer import Informer
from securetenant.kube.outage import Outage
from securetenant.reconcile.errors import RefusedError, UnavailableError


def test_a_watch_is_not_given_up_before_its_bookmark_is_due() -> None:
    """Quiet kinds had 75 s, as long as the longest pause: a warning a minute, and a new watch."""
    bookmark, room = 75, 15
    assert bookmark + room <= informer._SILENCE_SECONDS
    timeout = specs_watch._settings().watching.inactivity_timeout
    assert timeout is not None
    assert bookmark + room <= timeout
    # One watch may die quietly, and the next one be opened at the second attempt.
    longest = informer._SILENCE_SECONDS + informer._LONGEST_DELAY_SECONDS
    assert longest + room <= operator._STALE_SECONDS


def test_one_outage_is_one_line_and_its_end_another() -> None:
    now = 0.0
    outage = Outage(lambda: now)
    with structlog.testing.capture_logs() as lines:
        assert outage.begins("pods")
        assert not outage.begins("pods"), "the same one again"
        assert not outage.begins("nodes")
        now = 70.0
        assert outage.begins("roles"), "it failed so much later that it may be something else"
        outage.ends("namespaces")
        outage.ends("pods")
        outage.ends("nodes")
        assert lines == []
        outage.ends("roles")
        outage.ends("roles")
    assert [(each["event"], each["seconds"]) for each in lines] == [
        ("Every watch is heard again", 70.0)
    ]
    assert outage.begins("pods"), "the next one"


class Away(Client):
    """The API server, of which nothing is heard."""

    def __init__(self, error: type[Exception], tries: int) -> None:
        self.outage = Outage()
        self.tries = tries
        self.done = asyncio.Event()
        self._error = error

    async def pages(self, *_: Any, **__: Any) -> Any:
        self.tries -= 1
        if self.tries <= 0:
            self.done.set()
        raise self._error("nobody answers")
        yield


@pytest.mark.parametrize(("error", "is_once"), [(UnavailableError, True), (RefusedError, False)])
def test_watches_without_an_answer_warn_once_and_every_refusal_is_told(
    error: type[Exception], is_once: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """N9: seventeen watches told of one failure seventeen times, and again every few seconds."""
    monkeypatch.setattr(informer, "_FIRST_DELAY_SECONDS", 0.001)
    monkeypatch.setattr(informer, "_LONGEST_DELAY_SECONDS", 0.002)

    async def watch() -> None:
        client = Away(error, tries=12)
        tasks = [
            asyncio.create_task(
                Informer(
                    client,
                    kind,
                    selector="",
                    seen=lambda *_: None,
                    gone=lambda *_: None,
                    known=lambda _: [],
                ).run()
            )
            for kind in (kinds.NODE, kinds.NAMESPACE, kinds.INGRESS)
        ]
        await client.done.wait()
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    with structlog.testing.capture_logs() as lines:
        asyncio.run(watch())
    warnings = [each for each in lines if each["log_level"] == "warning"]
    assert (len(warnings) == 1) is is_once
    assert len(lines) >= 10
    assert all(each["error"] == "nobody answers" for each in lines)
