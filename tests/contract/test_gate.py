"""Each write asks whether this process leads, and none outlives the lead."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from securetenant.api import kinds
from securetenant.api.objects import Body, Manifest, Ref
from securetenant.kube.client import Client
from securetenant.kube.credentials import Credentials
from securetenant.kube.events import Events
from securetenant.kube.tokens import Token
from securetenant.reconcile.errors import ClusterError, StandbyError, UnavailableError
from securetenant.reconcile.ports import Announcement

REF = Ref(kinds.NAMESPACE.name, "", "n")
BODY: Body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}
WRITES: dict[str, Callable[[Client], Awaitable[Any]]] = {
    "create": lambda client: client.create(Manifest(REF, BODY)),
    "apply": lambda client: client.apply(Manifest(REF, BODY)),
    "amend": lambda client: client.amend(REF, []),
    "delete": lambda client: client.delete(REF, "u"),
    "replace": lambda client: client.replace(REF, BODY),
    "apply_status": lambda client: client.apply_status(Ref(kinds.SECURE_TENANT.name, "", "n"), {}),
    "event": lambda client: Events(client)._post(
        Announcement("n", "u", "Normal", "Reason", "Action", "note")
    ),
    "token": lambda client: Token(client, "account").get(),
}
"""Every way to write that the operator has."""


class Server:
    """Answers everything, as slowly as a test wants."""

    def __init__(self, seconds: float = 0) -> None:
        self.seconds = seconds
        self.asked: list[tuple[str, str]] = []
        """Method and ``timeout`` of each request."""

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append((request.method, request.query.get("timeout", "")))
        await asyncio.sleep(self.seconds)
        return web.json_response({**BODY, "status": {"token": "t"}})


def use(server: Server, left: Callable[[], float], what: Callable[[Client], Awaitable[Any]]) -> Any:
    async def body() -> Any:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", server.answer)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()

        async def authorize() -> str:
            return ""

        login = Credentials(
            server=f"http://127.0.0.1:{runner.addresses[0][1]}",
            certificate_authority=None,
            client_certificate=None,
            client_key=None,
            authorize=authorize,
            reread=lambda: None,
        )
        try:
            async with asyncio.timeout(30), Client(login, lead_left=left) as client:
                return await what(client)
        finally:
            await runner.cleanup()

    return asyncio.run(body())


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_standby_sends_no_write(write: Callable[[Client], Awaitable[Any]]) -> None:
    """N4: two operators wrote against each other."""
    server = Server()
    with pytest.raises(StandbyError):
        use(server, lambda: 0.0, write)
    assert server.asked == []


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_no_write_outlives_the_lead(write: Callable[[Client], Awaitable[Any]]) -> None:
    server = Server()
    use(server, lambda: 7.5, write)
    ((_, timeout),) = server.asked
    assert timeout == "7500ms", "the API server gives it up by then"


def test_a_write_whose_lead_ends_on_its_way_to_the_wire_is_not_sent() -> None:
    """A process that was frozen in between sent it when it went on."""
    answers = iter([10.0])
    server = Server()
    with pytest.raises(StandbyError):
        use(server, lambda: next(answers, 0.0), WRITES["apply"])
    assert server.asked == []


def test_the_client_waits_for_a_write_no_longer_than_the_lead_lasts() -> None:
    began = time.monotonic()
    with pytest.raises(UnavailableError):
        use(Server(seconds=20), lambda: 0.2, WRITES["apply"])
    assert time.monotonic() - began < 10


def test_a_standby_reads() -> None:
    server = Server()
    assert use(server, lambda: -math.inf, lambda client: client.read(REF))
    assert server.asked == [("GET", "")]


def test_a_write_that_waited_for_a_slot_is_asked_when_it_has_one() -> None:
    """A flag that was read before the wait would be about another moment."""
    left = 10.0
    server = Server()

    async def crowd(client: Client) -> list[BaseException | Body]:
        nonlocal left

        async def write() -> Body:
            nonlocal left
            body = await client.apply(Manifest(REF, BODY))
            left = 0.0
            return body

        return await asyncio.gather(*(write() for _ in range(40)), return_exceptions=True)

    found = use(server, lambda: left, crowd)
    refused = [each for each in found if isinstance(each, ClusterError)]
    assert refused
    assert len(server.asked) == 40 - len(refused)
