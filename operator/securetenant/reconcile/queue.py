"""The work queue: each key once, tenants in turn, failures with growing delay."""

import asyncio
import heapq
import random
import sys
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

_FIRST_DELAY_SECONDS = 0.25
_LONGEST_DELAY_SECONDS = 120.0


class _InLine(Protocol):
    @property
    def line(self) -> str: ...

    def __hash__(self) -> int: ...

    def __lt__(self, other: Any, /) -> bool: ...


K = TypeVar("K", bound=_InLine)


class Queue(Generic[K]):
    """A fair, deduplicating queue.

    A key that is added while it is being worked on is worked on once more afterwards. Each
    tenant has a line of its own, lines are served in turn, and no more than ``most`` keys of a
    line are worked on at a time: a tenant with 1,000 namespaces does not delay another with one.
    """

    def __init__(
        self, *, clock: Callable[[], float], chance: random.Random, most: int = sys.maxsize
    ) -> None:
        self._clock = clock
        self._chance = chance
        self._most = most
        self._lines: dict[str, deque[K]] = {}
        self._turn: deque[str] = deque()
        """Lines that may be served; the others have as many keys at work as they may."""
        self._first: deque[str] = deque()
        """Those of them that are preferred."""
        self._preferred: set[str] = set()
        self._is_first_served = False
        """Whether the last one was of the preferred."""
        self._at_work: Counter[str] = Counter()
        self._waiting: set[K] = set()
        self._active: set[K] = set()
        self._again: set[K] = set()
        self._failures: dict[K, int] = {}
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, K]] = []
        self._wake = asyncio.Event()
        self._closed = False
        self._held = False

    def __len__(self) -> int:
        return len(self._waiting) + len(self._active)

    def add(self, key: K) -> None:
        """Ask for work on ``key``, now."""
        self._due.pop(key, None)
        if key in self._active:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            line = self._lines.get(key.line)
            if line is None:
                line = self._lines[key.line] = deque()
                self._line_up(key.line)
            line.append(key)

    def add_after(self, key: K, seconds: float) -> None:
        """Ask for work on ``key`` in a while; sooner if it is asked for sooner."""
        if key in self._waiting:
            return
        due = self._clock() + seconds
        if due < self._due.get(key, float("inf")):
            self._due[key] = due
            heapq.heappush(self._heap, (due, key))
            self._wake.set()

    def prefer(self, line: str) -> None:
        """Serve a line soon, until nothing of it waits or is at work.

        Every other turn is for the preferred.
        """
        if line not in self._preferred:
            self._preferred.add(line)
            if line in self._turn:
                self._turn.remove(line)
                self._first.append(line)

    def forget(self, key: K) -> None:
        """Drop delays and failures of a key that no longer exists."""
        self._due.pop(key, None)
        self._failures.pop(key, None)
        self._end_preference(key.line)

    def hold(self) -> None:
        """Hand out no keys until :meth:`go_on`; what is added meanwhile waits."""
        self._held = True

    def go_on(self) -> None:
        """Hand out keys again; what failed before is not waited for any longer."""
        self._held = False
        for key in list(self._failures):
            if key in self._due:
                self.add(key)
        self._failures.clear()
        self._wake.set()

    def close(self) -> None:
        """Hand out no more keys."""
        self._closed = True
        self._wake.set()

    async def take(self) -> K | None:
        """Wait for the next key; the caller must end it with :meth:`done`.

        Returns nothing once the queue is closed.
        """
        while not self._closed:
            self._ripen()
            if not self._held and (self._turn or self._first):
                return self._next()
            self._wake.clear()
            due = None if self._held or not self._heap else self._heap[0][0]
            timeout = None if due is None else max(0.0, due - self._clock())
            try:
                async with asyncio.timeout(timeout):
                    await self._wake.wait()
            except TimeoutError:
                continue
        return None

    def done(self, key: K, *, failed: bool, retry_after: float = 0) -> None:
        """End the work on ``key``; a failure is tried again with growing delay and jitter."""
        self._active.discard(key)
        self._at_work[key.line] -= 1
        if self._at_work[key.line] == self._most - 1 and key.line in self._lines:
            self._line_up(key.line)
        if not self._at_work[key.line]:
            del self._at_work[key.line]
        if not failed:
            self._failures.pop(key, None)
        if key in self._again:
            self._again.discard(key)
            self.add(key)
        elif failed:
            count = self._failures.get(key, 0)
            self._failures[key] = count + 1
            delay = min(_FIRST_DELAY_SECONDS * 2**count, _LONGEST_DELAY_SECONDS)
            self.add_after(key, max(retry_after, delay * self._chance.uniform(0.8, 1.2)))
        self._end_preference(key.line)

    def _end_preference(self, name: str) -> None:
        if name not in self._lines and name not in self._at_work:
            self._preferred.discard(name)

    def _next(self) -> K:
        self._is_first_served = bool(self._first) and not (self._turn and self._is_first_served)
        name = (self._first if self._is_first_served else self._turn).popleft()
        line = self._lines[name]
        key = line.popleft()
        self._at_work[name] += 1
        if line:
            self._line_up(name)
        else:
            del self._lines[name]
        self._waiting.discard(key)
        self._active.add(key)
        return key

    def _line_up(self, name: str) -> None:
        """Let a line be served, unless as many of its keys are at work as may be."""
        if self._at_work[name] < self._most:
            (self._first if name in self._preferred else self._turn).append(name)
            self._wake.set()

    def _ripen(self) -> None:
        """Move what has waited long enough into its line."""
        now = self._clock()
        while self._heap and self._heap[0][0] <= now:
            due, key = heapq.heappop(self._heap)
            if self._due.get(key) == due:
                self.add(key)
