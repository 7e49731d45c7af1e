"""Asks kubelets, directly, how many processes a pod may have there.

Never through the API server: that asks for ``nodes/proxy``, which is code execution on every node.
A kubelet is not trusted. It proves by its certificate whose it is before it is shown a token, the
token is that of an identity which may do nothing but this, and what it answers is bounded in time
and size. Nothing that it says reaches people but one number.
"""

import asyncio
import contextlib
import ipaddress
import re
import ssl
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol

from pydantic_core import from_json

from securetenant.api import names
from securetenant.api.tenancysettings import SettingsSpec
from securetenant.kube.client import USER_AGENT, Client
from securetenant.kube.tokens import Token
from securetenant.plan import kubelets
from securetenant.plan.pids import UNLIMITED, Kubelet, Reading
from securetenant.reconcile.errors import ClusterError

SECONDS = 5.0
"""For everything: connection, handshake, answer."""
_ANSWER_BYTES = 1 << 20
_HEAD_BYTES = 1 << 14
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})[ \r]")
_NODE_USER = "system:node:"
_SHOWN = 120

_REMEDIES = {
    HTTPStatus.UNAUTHORIZED: "it does not accept tokens: set authentication.webhook.enabled in its"
    " configuration",
    HTTPStatus.FORBIDDEN: "it does not allow nodes/configz: set authorization.mode: Webhook in its"
    f" configuration, and bind ClusterRole {names.NODE_READER}",
    HTTPStatus.NOT_FOUND: "it has no /configz: set enableDebuggingHandlers in its configuration",
}


class Refusal(Protocol):
    """Says why no kubelet is asked at an address, or nothing."""

    def __call__(self, address: str, port: int, *, settings: SettingsSpec, server: str) -> str:
        """See :func:`securetenant.plan.kubelets.refusal`."""


class _UnreadError(Exception):
    """Why a kubelet was not read, for people."""


class Kubelets:
    """Fulfils :class:`securetenant.reconcile.ports.Kubelets`."""

    def __init__(
        self,
        client: Client,
        *,
        server: str,
        authority: Path | None,
        refusal: Refusal = kubelets.refusal,
    ) -> None:
        """``server`` and ``authority`` are those of the operator's own login.

        A cluster's authority signs the kubelets of most clusters too; where it does not, that
        is found out, and TenancySettings name another.
        """
        self._server = server
        self._authority = authority
        self._refusal = refusal
        self._token = Token(client, names.NODE_READER)

    async def read(self, kubelet: Kubelet, settings: SettingsSpec) -> Reading:
        """Ask a kubelet; every failure is a reading without a limit."""
        problem = self._refusal(
            kubelet.address, kubelet.port, settings=settings, server=self._server
        )
        if problem:
            return Reading(problem=problem)
        try:
            context = self._tls(settings)
            token = await self._shown()
            with _named(_where(kubelet)):
                async with asyncio.timeout(SECONDS):
                    answer = await _ask(kubelet, context, token)
            return Reading(limit=_limit(answer))
        except _UnauthorizedError as error:
            self._token.forget()
            return Reading(problem=str(error))
        except _UnreadError as error:
            return Reading(problem=str(error))

    async def _shown(self) -> str:
        try:
            return await self._token.get()
        except ClusterError as error:
            raise _UnreadError(
                f"ServiceAccount {names.NODE_READER} gets no token: {error}"
            ) from error

    def _tls(self, settings: SettingsSpec) -> ssl.SSLContext:
        """Return a context that verifies the chain; :func:`_check` looks at the names.

        Made again each time, so that a rotated authority counts. For VERIFY_X509_STRICT see
        :mod:`credentials`.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        # What the platform team names is trusted as it is, an intermediate authority too.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        bundle = settings.kubelets.ca_bundle if settings.kubelets else None
        try:
            if bundle is not None:
                context.load_verify_locations(cadata=bundle)
            elif self._authority is not None:
                context.load_verify_locations(cafile=self._authority)
            else:
                raise _UnreadError(
                    "no authority is known that signs kubelets: give it in TenancySettings"
                    " spec.kubelets.caBundle"
                )
        except (ssl.SSLError, OSError) as error:
            raise _UnreadError(
                "TenancySettings spec.kubelets.caBundle holds no certificate that can be read"
                if bundle is not None
                else f"the cluster's authority cannot be read: {error}"
            ) from error
        return context


class _UnauthorizedError(_UnreadError):
    """The kubelet does not know the token."""


@contextlib.contextmanager
def _named(where: str) -> Iterator[None]:
    """Turn whatever happens on the way into a sentence."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise _UnreadError(
            f"the certificate of {where} is not verified ({error.verify_message}): have the cluster"
            " sign it (serverTLSBootstrap), or give its authority in TenancySettings"
            " spec.kubelets.caBundle"
        ) from error
    except ssl.SSLError as error:
        raise _UnreadError(f"{where} does not speak TLS") from error
    except TimeoutError as error:
        raise _UnreadError(f"{where} did not answer within {SECONDS:g} s") from error
    except ConnectionRefusedError as error:
        raise _UnreadError(f"{where} refuses connections") from error
    except OSError as error:
        raise _UnreadError(f"{where} is not reached ({error.strerror or 'broken off'})") from error
    except (EOFError, asyncio.LimitOverrunError) as error:
        raise _UnreadError(f"{where} does not speak HTTP") from error


async def _ask(kubelet: Kubelet, context: ssl.SSLContext, token: str) -> bytes:
    """Return the body of the answer.

    Plain HTTP/1.0 on a connection of its own: the certificate is looked at before the token
    goes out, and there is no proxy, cookie or redirect to mind. The answer ends where the
    connection does.
    """
    where = _where(kubelet)
    reader, writer = await asyncio.open_connection(
        kubelet.address, kubelet.port, ssl=context, limit=_HEAD_BYTES
    )
    try:
        _check(kubelet, writer.get_extra_info("peercert") or {})
        request = (
            "GET /configz HTTP/1.0",
            f"Host: {where}",
            f"Authorization: Bearer {token}",
            f"User-Agent: {USER_AGENT}",
            "Accept: application/json",
        )
        writer.write("\r\n".join((*request, "", "")).encode("ascii"))
        head = await reader.readuntil(b"\r\n\r\n")
        found = _STATUS_LINE.match(head)
        if found is None:
            raise _UnreadError(f"{where} does not speak HTTP")
        _check_status(where, int(found[1]))
        body = bytearray()
        while chunk := await reader.read(_HEAD_BYTES):
            body += chunk
            if len(body) > _ANSWER_BYTES:
                raise _UnreadError(f"{where} answers with more than {_ANSWER_BYTES >> 20} MiB")
        return bytes(body)
    finally:
        # Without a farewell, for which it could let us wait.
        writer.transport.abort()


def _check(kubelet: Kubelet, certificate: Mapping[str, Any]) -> None:
    """Raise unless a verified certificate is that of the node.

    Clusters that sign kubelets name the node in it as a user. Where two nodes share an address,
    or one claims another's, that tells them apart.
    """
    found = [value for key, value in certificate.get("subjectAltName", ())]
    user = next(
        (value for part in certificate["subject"] for key, value in part if key == "commonName"),
        "",
    )
    is_named = any(
        value.lower() == kubelet.node.lower()
        if key == "DNS"
        else key == "IP Address" and _is_same(value, kubelet.address)
        for key, value in certificate.get("subjectAltName", ())
    )
    if user.startswith(_NODE_USER) and user != _NODE_USER + kubelet.node:
        raise _UnreadError(
            f"the certificate of {_where(kubelet)} is that of node"
            f" {user.removeprefix(_NODE_USER)[:_SHOWN]}"
        )
    if not is_named:
        raise _UnreadError(
            f"the certificate of {_where(kubelet)} is for"
            f" {', '.join(found)[:_SHOWN] or 'no name'}, not for {kubelet.node} or"
            f" {kubelet.address}"
        )


def _is_same(one: str, other: str) -> bool:
    return ipaddress.ip_address(one.strip()) == ipaddress.ip_address(other)


def _check_status(where: str, status: int) -> None:
    if status == HTTPStatus.OK:
        return
    kind = _UnauthorizedError if status == HTTPStatus.UNAUTHORIZED else _UnreadError
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        raise kind(f"{where} sends us elsewhere ({status}), which is not followed")
    remedy = next((text for code, text in _REMEDIES.items() if code == status), "")
    raise kind(f"{where} answers {status}" + (f": {remedy}" if remedy else ""))


def _limit(answer: bytes) -> int:
    """Return the limit that an answer states."""
    try:
        document = from_json(answer)
    except ValueError as error:
        raise _UnreadError("the kubelet's answer is not JSON") from error
    settings = document.get("kubeletconfig") if isinstance(document, dict) else None
    if not isinstance(settings, dict):
        raise _UnreadError("the kubelet's answer holds no kubeletconfig")
    limit = settings.get("podPidsLimit", UNLIMITED)
    # A bool is an int in Python, and none in Kubernetes.
    if type(limit) is not int:
        raise _UnreadError("the kubelet's podPidsLimit is no whole number")
    return max(limit, UNLIMITED)


def _where(kubelet: Kubelet) -> str:
    host = f"[{kubelet.address}]" if ":" in kubelet.address else kubelet.address
    return f"{host}:{kubelet.port}"
