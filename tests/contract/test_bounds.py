"""No answer is read without a bound, from a server that answers with whatever a test wants."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
from aiohttp import web

from securetenant.api import kinds
from securetenant.api.objects import Body, Ref
from securetenant.kube.client import OBJECT_BYTES, PAGE_BYTES, Client, TooLargeError
from securetenant.kube.credentials import Credentials
from securetenant.kube.informer import Informer


def large(name: str, length: int) -> dict[str, Any]:
    """Return an object with so much in it."""
    metadata = {"name": name, "namespace": "n", "resourceVersion": "1", "uid": name}
    return {"metadata": metadata, "subjects": "x" * length}


class Server:
    """Lists and watches RoleBindings."""

    def __init__(self, *objects: dict[str, Any], events: tuple[bytes, ...] = ()) -> None:
        self.objects = list(objects)
        self.events = events
        self.limits: list[int] = []
        """How many were asked for, each time."""
        self.encodings: set[str] = set()
        self.watches = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.encodings.add(request.headers.get("Accept-Encoding", ""))
        if "watch" in request.query:
            return await self._watch(request)
        if "limit" not in request.query:
            return web.Response(text=json.dumps(self.objects[0]))
        limit = int(request.query["limit"])
        begin = int(request.query.get("continue") or 0)
        self.limits.append(limit)
        metadata = {"resourceVersion": "7"}
        if begin + limit < len(self.objects):
            metadata["continue"] = str(begin + limit)
        items = self.objects[begin : begin + limit]
        return web.Response(text=json.dumps({"metadata": metadata, "items": items}))

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        self.watches += 1
        stream = web.StreamResponse()
        await stream.prepare(request)
        # The client hangs up when it has read enough.
        with contextlib.suppress(ConnectionError):
            for each in self.events:
                await stream.write(each)
        return stream


@contextlib.asynccontextmanager
async def served(server: Server) -> AsyncIterator[Client]:
    application = web.Application()
    application.router.add_get("/{path:.*}", server.answer)
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
        async with Client(login) as client:
            yield client
    finally:
        await runner.cleanup()


def use(server: Server, what: Callable[[Client], Coroutine[Any, Any, Any]]) -> Any:
    async def body() -> Any:
        async with asyncio.timeout(30), served(server) as client:
            return await what(client)

    return asyncio.run(body())


async def names(client: Client) -> list[str]:
    pages = client.pages(kinds.ROLE_BINDING, take=lambda item: str(item["metadata"]["name"]))
    return [name async for page in pages for name in page.items]


def test_a_page_that_is_too_large_is_asked_for_again_in_smaller_ones() -> None:
    """S4: a tenant decides how large a page of what it makes is."""
    server = Server(*(large(f"o{number}", PAGE_BYTES // 3) for number in range(9)))
    assert use(server, names) == [f"o{number}" for number in range(9)]
    assert min(server.limits) >= 1
    assert max(server.limits[5:]) <= 2, "it does not try in vain again and again"


def test_after_what_is_large_pages_grow_again() -> None:
    """S4: one large object must not make a request of each of many small ones."""
    small = [large(f"s{number}", 10) for number in range(2000)]
    server = Server(large("l0", PAGE_BYTES // 2), large("l1", PAGE_BYTES), *small)
    assert len(use(server, names)) == 2002
    assert server.limits[-1] == 500
    assert len(server.limits) < 25


def test_one_object_is_read_alone_even_if_it_is_larger_than_a_page() -> None:
    """S4: else a tenant could hide everything that comes after its own object."""
    server = Server(large("o", 2 * PAGE_BYTES), large("p", 1))
    assert use(server, names) == ["o", "p"]


@pytest.mark.parametrize("ask", [names, lambda client: client.read(Ref("Node", "", "o"))])
def test_an_object_beyond_every_bound_is_not_read_to_its_end(
    ask: Callable[[Client], Coroutine[Any, Any, Any]],
) -> None:
    """S4: the API server takes no such object, unless etcd is told to."""
    server = Server(large("o", OBJECT_BYTES + 1))
    with pytest.raises(TooLargeError, match="larger than 16 MiB"):
        use(server, ask)


def test_nothing_is_asked_for_compressed() -> None:
    """S4: a few bytes of what is compressed may be megabytes."""
    server = Server(large("o", 1))
    use(server, names)
    assert server.encodings == {"identity"}


def event(body: Body) -> bytes:
    return json.dumps({"type": "MODIFIED", "object": body}).encode() + b"\n"


def test_an_event_that_is_too_large_is_not_waited_for_and_a_list_follows() -> None:
    """S4: a watch that began again from the same version would meet the same event."""
    server = Server(
        large("o", 1), events=(event(large("p", 1)), event(large("o", OBJECT_BYTES + 1)))
    )
    seen: list[str] = []

    async def body(client: Client) -> None:
        informer = Informer(
            client,
            kinds.ROLE_BINDING,
            selector="",
            seen=lambda ref, _: seen.append(ref.name),
            gone=lambda _ref, _version: None,
            known=lambda _: [],
        )
        task = asyncio.create_task(informer.run())
        while len(server.limits) < 2:  # noqa: ASYNC110 - the server has no event.
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    use(server, body)
    assert seen[:2] == ["o", "p"]
