"""Tries, round after round, what has to arrive and what must not."""

import asyncio
import contextlib
import random
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from securetenant.api import probe

_WAIT_SECONDS = 2.0
"""How long an answer is waited for. A filter that drops packets says nothing."""
_MOST = 32
"""How many receivers are tried in a round: others in the next ones, so that of a thousand nodes
each tries every other one in time."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """What came of one round."""

    answered: int
    """How many receivers answered on what is allowed, by TCP and by UDP."""
    tried: int
    """Of how many."""
    reached: tuple[str, ...]
    """What has to be refused and arrived: protocol, address, port."""

    @property
    def is_good(self) -> bool:
        """Tell whether what is allowed arrives, and nothing else: a network that is down is not."""
        return not self.reached and self.answered * 2 > self.tried


async def try_all(receivers: Sequence[str]) -> Round:
    """Try a sample of receivers, everything at the same time.

    No API server and no metadata service: either may run on the sender's own node, which no
    NetworkPolicy keeps from a pod (Kubernetes, "Network Policies", what they cannot do).
    """
    sample = random.sample(receivers, min(_MOST, len(receivers)))
    allowed = [_both(address, probe.ALLOWED) for address in sample]
    refused = [
        (protocol, address, port, attempt)
        for address in sample
        for port in probe.REFUSED
        for protocol, attempt in (("TCP", _greets_by_tcp), ("UDP", _greets_by_udp))
    ]
    answers, arrived = await asyncio.gather(
        asyncio.gather(*allowed),
        asyncio.gather(*(attempt(address, port) for _, address, port, attempt in refused)),
    )
    reached = tuple(
        f"{protocol} {address} {port}"
        for (protocol, address, port, _), is_there in zip(refused, arrived, strict=True)
        if is_there
    )
    return Round(answered=sum(answers), tried=len(sample), reached=reached)


async def _both(address: str, port: int) -> bool:
    by_tcp, by_udp = await asyncio.gather(
        _greets_by_tcp(address, port), _greets_by_udp(address, port)
    )
    return by_tcp and by_udp


async def _answer(attempt: Awaitable[bool]) -> bool:
    """Take what goes wrong on the way as no answer."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(_WAIT_SECONDS):
            return await attempt
    return False


async def _greets_by_tcp(address: str, port: int) -> bool:
    async def attempt() -> bool:
        reader, writer = await asyncio.open_connection(address, port)
        try:
            return await reader.read(len(probe.GREETING)) == probe.GREETING
        finally:
            writer.close()

    return await _answer(attempt())


async def _greets_by_udp(address: str, port: int) -> bool:
    async def attempt() -> bool:
        loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as tried:
            tried.setblocking(False)
            await loop.sock_connect(tried, (address, port))
            await loop.sock_sendall(tried, b"?")
            return await loop.sock_recv(tried, len(probe.GREETING)) == probe.GREETING

    return await _answer(attempt())


class Sender:
    """Tries until something arrives that must not."""

    def __init__(self, find: Callable[[], Awaitable[Sequence[str]]], seconds: float) -> None:
        """``find`` returns the addresses of receivers; a round begins every ``seconds``."""
        self._find = find
        self._seconds = seconds
        self._last: Round | None = None

    @property
    def is_good(self) -> bool:
        """Tell whether the last round was."""
        return self._last is not None and self._last.is_good

    async def run(self) -> tuple[str, ...]:
        """Return what arrived."""
        while True:
            self._last = await try_all(await self._find())
            if self._last.reached:
                return self._last.reached
            await asyncio.sleep(self._seconds * random.uniform(0.8, 1.2))  # noqa: S311 - jitter.

    async def serve_health(self, address: str, port: int = probe.HEALTH) -> asyncio.Server:
        """Tell a kubelet, by HTTP, whether the last round was good."""

        async def tell(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(_WAIT_SECONDS):
                    await reader.read(1024)
                line = "200 OK" if self.is_good else "503 Service Unavailable"
                head = f"HTTP/1.1 {line}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                writer.write(head.encode())
                await writer.drain()
            writer.close()

        return await asyncio.start_server(tell, address, port)


async def resolve(name: str) -> tuple[str, ...]:
    """Return the addresses behind a name; none where there is no answer."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(name, probe.ALLOWED, type=socket.SOCK_STREAM)
    except OSError:
        return ()
    return tuple(sorted({str(each[4][0]) for each in found}))
