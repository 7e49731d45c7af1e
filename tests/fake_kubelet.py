"""Kubelets that answer, and kubelets that do their worst: a TLS server of our own hands."""

import asyncio
import contextlib
import json
import selectors
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from securetenant.sandbox.pki import Authority, KeyPair

Respond = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]
"""Gets the head of the request, and the way back."""


_HANDSHAKE_SECONDS = 5.0


def configz(limit: Any = None, **settings: Any) -> bytes:
    """Return what a kubelet says of its configuration."""
    content = {"kind": "KubeletConfiguration", "maxPods": 110, **settings}
    if limit is not None:
        content["podPidsLimit"] = limit
    return json.dumps({"kubeletconfig": content}).encode()


def answering(body: bytes, status: str = "200 OK", *headers: str) -> Respond:
    """Return a kubelet that gives this answer."""

    async def respond(_: bytes, writer: asyncio.StreamWriter) -> None:
        lines = (f"HTTP/1.0 {status}", "Content-Type: application/json", *headers, "", "")
        writer.write("\r\n".join(lines).encode() + body)
        await writer.drain()

    return respond


def serving(folder: Path, name: str, *names: str, authority: str = "kubelets") -> KeyPair:
    """Issue the serving certificate of a node, as clusters sign it: ``names`` are in it."""
    return Authority(folder, authority).issue(
        name, name=f"system:node:{name}", groups=("system:nodes",), server_names=names
    )


def context(pair: KeyPair) -> ssl.SSLContext:
    """Return the server's side of TLS."""
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.load_cert_chain(pair.certificate, pair.key)
    return found


class Kubelet:
    """A running one: where it is, and every request that it got."""

    def __init__(self, respond: Respond) -> None:
        self.respond = respond
        self.heads: list[bytes] = []
        self.port = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one connection."""
        try:
            with contextlib.suppress(OSError, EOFError, asyncio.LimitOverrunError):
                head = await reader.readuntil(b"\r\n\r\n")
                self.heads.append(head)
                await self.respond(head, writer)
            with contextlib.suppress(OSError):
                writer.close()
                await writer.wait_closed()
        finally:
            # On a busy machine the farewell of TLS may come after the loop has ended.
            writer.transport.abort()


@contextlib.asynccontextmanager
async def running(
    respond: Respond, tls: ssl.SSLContext | None, address: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[Kubelet]:
    """Run a kubelet for a while, on a port of its own."""
    kubelet = Kubelet(respond)
    # Who knocks at the last moment and says nothing more is not waited for.
    patience = None if tls is None else _HANDSHAKE_SECONDS
    server = await asyncio.start_server(
        kubelet.handle, address, port, ssl=tls, ssl_handshake_timeout=patience
    )
    kubelet.port = server.sockets[0].getsockname()[1]
    try:
        yield kubelet
    finally:
        server.close()


@contextlib.contextmanager
def in_the_background(
    respond: Respond, tls: ssl.SSLContext | None, address: str, port: int = 0
) -> Iterator[Kubelet]:
    """Run a kubelet in a thread, for a test that does not run in a loop itself."""
    selector = selectors.DefaultSelector()
    loop = asyncio.SelectorEventLoop(selector)
    began: list[Kubelet] = []
    ready, over = threading.Event(), asyncio.Event()

    async def body() -> None:
        async with running(respond, tls, address, port) as kubelet:
            began.append(kubelet)
            ready.set()
            await over.wait()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        # Connections close a moment after their server: nothing is left but the loop's own end.
        while len(selector.get_map()) > 1:  # noqa: ASYNC110 - nothing tells of it.
            await asyncio.sleep(0.01)

    thread = threading.Thread(target=loop.run_until_complete, args=(body(),))
    thread.start()
    assert ready.wait(10)
    try:
        yield began[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()
