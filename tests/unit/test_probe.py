"""The packet probe, on addresses of this machine that nothing filters."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from harness import environment, wait_for
from securetenant.api import probe
from securetenant.probe import receiver, sender
from securetenant.probe.sender import Sender


@asynccontextmanager
async def answering(address: str, *ports: int) -> AsyncIterator[None]:
    """Answer at an address; what is left out is as refused as anything can be here."""
    task = asyncio.create_task(receiver.serve(address, ports))
    for _ in range(500):
        if await sender._both(address, ports[-1]):
            break
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def once(*receivers: str) -> sender.Round:
    return await sender.try_all(receivers)


def test_a_round_is_good_where_what_is_allowed_arrives_and_nothing_else() -> None:
    async def run() -> None:
        async with answering("127.7.1.1", probe.ALLOWED):
            found = await once("127.7.1.1")
        assert (found.answered, found.tried, found.reached) == (1, 1, ())
        assert found.is_good

    asyncio.run(run())


def test_what_arrives_and_is_refused_is_named_by_protocol_address_and_port() -> None:
    async def run() -> None:
        async with answering("127.7.1.2", probe.ALLOWED, probe.EGRESS):
            found = await once("127.7.1.2")
        assert set(found.reached) == {"TCP 127.7.1.2 8082", "UDP 127.7.1.2 8082"}
        assert not found.is_good

    asyncio.run(run())


def test_a_network_that_is_down_is_not_taken_for_one_that_filters() -> None:
    """Without receivers, and where most of them do not answer."""

    async def run() -> None:
        assert not (await once()).is_good
        async with answering("127.7.1.3", probe.ALLOWED):
            assert not (await once("127.7.1.3", "127.7.1.4")).is_good
            assert not (await once("127.7.1.4", "127.7.1.5", "127.7.1.3")).is_good

    asyncio.run(run())


def test_who_else_takes_a_connection_is_no_receiver() -> None:
    async def run() -> None:
        async def say(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n")
            writer.close()

        async with (
            await asyncio.start_server(say, "127.7.1.6", probe.NEITHER),
            answering("127.7.1.6", probe.ALLOWED),
        ):
            assert (await once("127.7.1.6")).is_good

    asyncio.run(run())


def test_its_kubelet_is_told_whether_the_last_round_was_good() -> None:
    async def run() -> None:
        one = Sender(lambda: sender.resolve("127.7.1.7"), 0.05)
        async with await one.serve_health("127.7.1.8"):
            assert await asked("127.7.1.8") == b"HTTP/1.1 503 Service Unavailable\r\n"
            async with answering("127.7.1.7", probe.ALLOWED):
                work = asyncio.create_task(one.run())
                await until(one, good=True)
                assert await asked("127.7.1.8") == b"HTTP/1.1 200 OK\r\n"
            await until(one, good=False)
            assert await asked("127.7.1.8") == b"HTTP/1.1 503 Service Unavailable\r\n"
            work.cancel()

    async def until(one: Sender, *, good: bool) -> None:
        for _ in range(1000):
            if one.is_good is good:
                break
            await asyncio.sleep(0.02)

    async def asked(address: str) -> bytes:
        reader, writer = await asyncio.open_connection(address, probe.HEALTH)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        line = await reader.readline()
        writer.close()
        return line

    asyncio.run(run())


def test_it_ends_with_what_arrived_and_an_exit_code_of_its_own() -> None:
    command = [sys.executable, "-m", "securetenant.cli.probe"]
    variables = environment()
    with subprocess.Popen([*command, "answer", "--address=127.7.1.9"], env=variables) as one:
        try:
            wait_for(lambda: accepts("127.7.1.9"), what="the receiver to answer")
            done = subprocess.run(
                [*command, "try", "--address=127.7.1.10", "--receivers=127.7.1.9", "--seconds=0.1"],
                env=variables,
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )
        finally:
            one.terminate()
    assert done.returncode == probe.NOT_FILTERED
    assert "TCP 127.7.1.9 8083" in done.stdout.splitlines()


def accepts(address: str) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex((address, probe.NEITHER)) == 0
