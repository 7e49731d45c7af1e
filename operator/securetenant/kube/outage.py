"""One line in the log for one outage of the API server, whatever it cuts off.

There are seventeen watches, and each tries again every few seconds.
"""

import time
from collections.abc import Callable

import structlog

_TELL_SECONDS = 60.0
"""How long what fails after the first is part of the same outage."""

_log = structlog.get_logger(__name__)


class Outage:
    """Which watches fail now, and since when."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failing: set[object] = set()
        self._began = 0.0
        self._told = float("-inf")

    def begins(self, watch: object) -> bool:
        """Record that a watch has no answer; return whether that is worth a line of the log."""
        if watch in self._failing:
            return False
        now = self._clock()
        if not self._failing:
            self._began = now
        is_first = not self._failing or now - self._told > _TELL_SECONDS
        self._failing.add(watch)
        if is_first:
            self._told = now
        return is_first

    def ends(self, watch: object) -> None:
        """Record that a watch has an answer; log it once it is the last one."""
        if watch not in self._failing:
            return
        self._failing.discard(watch)
        if not self._failing:
            seconds = round(self._clock() - self._began, 1)
            _log.info("Every watch is heard again", seconds=seconds)
