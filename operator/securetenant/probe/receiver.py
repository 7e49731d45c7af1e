"""Answers on every port of the probe, by TCP and UDP."""

import asyncio
import contextlib
import socket
from typing import cast

from securetenant.api import probe


class _Echo(asyncio.DatagramProtocol):
    """Answers each datagram."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember through what to answer."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(
        self,
        data: bytes,  # noqa: ARG002 - asyncio's signature.
        addr: tuple[str, int],
    ) -> None:
        """Answer."""
        self._transport.sendto(probe.GREETING, addr)


async def _greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(probe.GREETING)
    writer.close()


async def serve(address: str, every: tuple[int, ...] = (probe.ALLOWED, *probe.REFUSED)) -> None:
    """Answer at an address, until cancelled. Raises OSError where that is not this machine's."""
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    async with contextlib.AsyncExitStack() as opened:
        for port in every:
            await opened.enter_async_context(await asyncio.start_server(_greet, address, port))
            datagrams, _ = await loop.create_datagram_endpoint(
                _Echo, local_addr=(address, port), family=family
            )
            opened.callback(datagrams.close)
        await asyncio.Event().wait()
