"""How many requests at once: as many as the API server takes well, found by trying.

Additive increase, multiplicative decrease, as in TCP: each answer raises the limit a little,
each 429 halves it and pauses everybody for as long as the API server asked.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator

_FIRST = 8.0
_MOST = 64.0
_LEAST = 1.0
_HALVE_EVERY_SECONDS = 1.0
"""One overload answers many requests at once; it is one reason to slow down, not many."""


class Throttle:
    """A semaphore whose size follows what the API server says."""

    def __init__(self) -> None:
        self.limit = _FIRST
        self._active = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._halved_at = float("-inf")
        self._paused_until = float("-inf")

    @contextlib.asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for a free slot and hold it."""
        while self._active >= int(self.limit):
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn in self._waiting:
                    self._waiting.remove(turn)
                else:
                    self._admit()  # It had its turn and does not take it.
                raise
        self._active += 1
        try:
            if (pause := self._paused_until - time.monotonic()) > 0:
                await asyncio.sleep(pause)
            yield
        finally:
            self._active -= 1
            self._admit()

    def went_well(self) -> None:
        """Record an answer: a little more may be in flight."""
        self.limit = min(_MOST, self.limit + 1 / self.limit)
        self._admit()

    def was_refused(self, retry_after: float) -> None:
        """Record a 429: half as much, and nothing before ``retry_after`` seconds."""
        now = time.monotonic()
        self._paused_until = max(self._paused_until, now + retry_after)
        if now - self._halved_at > _HALVE_EVERY_SECONDS:
            self._halved_at = now
            self.limit = max(_LEAST, self.limit / 2)

    def _admit(self) -> None:
        free = int(self.limit) - self._active
        while free > 0 and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                free -= 1
