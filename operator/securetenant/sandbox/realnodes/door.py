"""The API server's port on the machine's loopback, into the namespace where the server listens.

Run as ``python -m securetenant.sandbox.realnodes.door PORT NAMESPACE``. A socket belongs to the
namespace in which it was made: this one listens outside, and connects inside.
"""

import asyncio
import contextlib
import ctypes
import os
import socket
import sys

from securetenant.sandbox.realnodes import layout

_CLONE_NEWNET = 0x40000000
_CHUNK = 1 << 16


def enter(path: str) -> None:
    """Move this process, which has one thread, into a network namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if libc.setns(descriptor, _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {path}")
    finally:
        os.close(descriptor)


async def _serve(listening: socket.socket) -> None:
    server = await asyncio.start_server(_connected, sock=listening)
    async with server:
        await server.serve_forever()


async def _connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        there = await asyncio.open_connection("127.0.0.1", layout.SERVER_PORT)
    except OSError:
        writer.close()
        return
    await asyncio.gather(_copy(reader, there[1]), _copy(there[0], writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    writer.close()


def main() -> None:
    """Listen outside, then go inside."""
    listening = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=1024)
    enter(sys.argv[2])
    asyncio.run(_serve(listening))


if __name__ == "__main__":
    main()
