"""A bad network, and a bad API server: stands between the operator and the real one."""

import asyncio
import contextlib
import json
import random
import ssl
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from aiohttp import web

from harness import OPERATOR
from securetenant.sandbox import kubeconfigs, pki
from securetenant.sandbox.instances import Instance

_PASSED_ON = ("Authorization", "Content-Type", "User-Agent", "Accept")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """It answers by itself, and the request never arrives."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Delay:
    """The request arrives late."""

    seconds: float


@dataclass(frozen=True)
class Lost:
    """The request arrives and is done; the answer breaks off in its middle."""


@dataclass(frozen=True)
class HalfLine:
    """A watch breaks off in the middle of an event; other answers are whole."""


@dataclass(frozen=True)
class Twice:
    """Each event of a watch comes twice; other answers are whole."""


Fault = Answer | Delay | Lost | HalfLine | Twice
Choose = Callable[[web.Request], Fault | None]


def nothing(_: web.Request) -> None:
    """Let everything through."""


def some(*faults: Fault, part: float, seed: int = 1) -> Choose:
    """Let one of the faults happen to a part of the requests."""
    chance = random.Random(seed)
    return lambda _: chance.choice(faults) if chance.random() < part else None


class Proxy:
    """Serves with certificates of its own, in a thread of its own."""

    def __init__(self, instance: Instance, folder: Path) -> None:
        self.choose: Choose = nothing
        self._instance = instance
        self._folder = folder
        self._generation = 0
        self._authority = folder / "ca.crt"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._runner: web.AppRunner | None = None
        self._client: aiohttp.ClientSession | None = None
        self.port = 0
        self.rotate()
        self._call(self._start())
        self.token = folder / "token"
        self.renew_token()
        self.kubeconfig = kubeconfigs.write(
            folder / "proxied.kubeconfig",
            server=f"https://127.0.0.1:{self.port}",
            authority=self._authority,
            user={"tokenFile": str(self.token)},
        )

    def rotate(self) -> None:
        """Change to another authority: what the operator trusts, and what is served."""
        self._generation += 1
        folder = self._folder / f"pki-{self._generation}"
        folder.mkdir()
        authority = pki.Authority(folder, "ca")
        pair = authority.issue("proxy", name="proxy", server_names=("127.0.0.1", "localhost"))
        pki.write_private(self._authority, authority.files.certificate.read_bytes())
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._tls.load_cert_chain(pair.certificate, pair.key)
        if self.port:
            self._call(self._serve())

    def hang_up(self) -> None:
        """Cut every connection."""
        self._call(self._serve())

    def renew_token(self) -> None:
        """Put the newest token of the operator into its file, as a kubelet would."""
        kubeconfigs.for_service_account(self._instance, *OPERATOR)
        pki.write_private(self.token, _token_of(self._instance).read_bytes())

    def close(self) -> None:
        """End everything."""
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    # --- the proxy's thread -------------------------------------------------------------------

    def _call(self, work: Coroutine[None, None, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _start(self) -> None:
        trust = ssl.create_default_context(cafile=self._instance.pki / "ca.crt")
        timeout = aiohttp.ClientTimeout(total=None)
        self._client = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=trust, limit=0),
            timeout=timeout,
            headers={"Accept-Encoding": "identity"},
        )
        await self._serve()

    async def _serve(self) -> None:
        """Listen anew with the certificates of now; what was open is cut."""
        if self._runner is not None:
            await self._runner.cleanup()
        application = web.Application(client_max_size=1 << 26)
        application.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self._tls)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        if self._client is not None:
            await self._client.close()
        # Watches that were cut wait for the real API server.
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for each in left:
            each.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        fault = self.choose(request)
        if isinstance(fault, Answer):
            text = json.dumps({"kind": "Status", "message": f"a fault: {fault.status}"})
            return web.Response(status=fault.status, headers=fault.headers, text=text)
        if isinstance(fault, Delay):
            await asyncio.sleep(fault.seconds)
        assert self._client is not None
        headers = {key: request.headers[key] for key in _PASSED_ON if key in request.headers}
        with contextlib.suppress(aiohttp.ClientError, ConnectionError):
            async with self._client.request(
                request.method,
                self._instance.server() + request.raw_path,
                data=await request.read() or None,
                headers=headers,
            ) as upstream:
                return await self._answer(request, upstream, fault)
        _cut(request)
        return web.Response(status=502)

    async def _answer(
        self, request: web.Request, upstream: aiohttp.ClientResponse, fault: Fault | None
    ) -> web.StreamResponse:
        kept = ("Content-Type", "Retry-After")
        headers = {key: upstream.headers[key] for key in kept if key in upstream.headers}
        response = web.StreamResponse(status=upstream.status, headers=headers)
        if request.query.get("watch") == "true":
            await response.prepare(request)
            await _stream(request, response, upstream, fault)
            return response
        body = await upstream.read()
        response.content_length = len(body)
        await response.prepare(request)
        if isinstance(fault, Lost):
            await response.write(body[: len(body) // 2])
            _cut(request)
        else:
            await response.write(body)
        return response


async def _stream(
    request: web.Request,
    response: web.StreamResponse,
    upstream: aiohttp.ClientResponse,
    fault: Fault | None,
) -> None:
    rest = b""
    async for chunk in upstream.content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if isinstance(fault, HalfLine | Lost):
                await response.write(line[: len(line) // 2])
                _cut(request)
                return
            for _ in range(2 if isinstance(fault, Twice) else 1):
                await response.write(line + b"\n")


def _cut(request: web.Request) -> None:
    """Break the connection off, without a word."""
    if request.transport is not None:
        request.transport.abort()


def _token_of(instance: Instance) -> Path:
    return instance.tokens / ".".join(OPERATOR)
