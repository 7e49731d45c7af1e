"""Requests to the API server on one session, with errors named by who must act.

No answer is read without a bound: tenants decide how large many objects are. Lists are asked for
in smaller pages where they are large, and reduced page by page, a few at a time.
"""

import asyncio
import contextlib
import json
import math
import re
from collections.abc import AsyncIterator, Callable, Mapping
from http import HTTPStatus
from typing import Any, Self, TypeVar

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.connector import Connection
from pydantic_core import from_json

from securetenant.api import kinds, names
from securetenant.api.kinds import Kind
from securetenant.api.objects import Body, Manifest, Page, Ref
from securetenant.kube import credentials
from securetenant.kube.credentials import Credentials
from securetenant.kube.outage import Outage
from securetenant.kube.throttle import Throttle
from securetenant.reconcile.errors import (
    ClusterError,
    ConflictError,
    MissingError,
    RefusedError,
    StandbyError,
    UnavailableError,
)

USER_AGENT = "securetenant-operator"
_REQUEST_SECONDS = 30.0
_CONNECTIONS = 64
_MESSAGE_LENGTH = 1000

_IN_ONE_PIECE = 25
"""After how many items of a list others have their turn: probes, the Lease, watches."""
PAGE_BYTES = 4 << 20
"""How large a page of a list may be: as Python objects it may be twenty times as large."""
OBJECT_BYTES = 16 << 20
"""How large one object may be, by itself in its page or in an event: etcd takes 1.5 MiB, which JSON
may write with six bytes for one."""
_CHUNK_BYTES = 1 << 16
_LISTS = 4
"""How many pages are read at a time. They are parsed and reduced one after the other: as objects
of Python each is many times as large."""

_APPLY = "application/apply-patch+yaml"
_JSON_PATCH = "application/json-patch+json"
_JSON = "application/json"

_TEST_FAILED = "the server rejected our request due to an error in our request"
"""All that an API server says of a JSON Patch whose test failed."""
_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_MOMENTARY = ("no params found", "not yet synced", "is not known to belong to tenant")
"""What an API server says for moments, while parameters of its policies or a binding that was just
made arrive: to be tried again."""

T = TypeVar("T")


class Client:
    """The cluster, as :class:`securetenant.reconcile.ports.Cluster` wants it, and lists."""

    def __init__(
        self,
        login: Credentials,
        *,
        requested: Callable[[str, int], object] | None = None,
        user_agent: str = USER_AGENT,
        lead_left: Callable[[], float] = lambda: math.inf,
    ) -> None:
        """``requested`` is called with each request: method and status, 0 without an answer.

        ``lead_left`` returns for how many seconds this process may write: asked before each write.
        """
        self._login = login
        self._lead_left = lead_left
        self._user_agent = user_agent
        self._requested = requested or (lambda _method, _status: None)
        self._session: aiohttp.ClientSession | None = None
        self._throttle = Throttle()
        self.outage = Outage()
        """What the watches of this client have in common while nothing is heard."""
        self._lists = asyncio.Semaphore(_LISTS)
        self._reducing = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    # --- writes -----------------------------------------------------------------------------

    async def create(self, manifest: Manifest) -> Body:
        """Create an object that must not exist yet; :class:`ConflictError` if it does."""
        kind = _kind(manifest.ref)
        return await self.request(
            "POST",
            kind.path(manifest.ref.namespace),
            params={"fieldManager": names.FIELD_MANAGER},
            body=manifest.body,
            content_type=_JSON,
        )

    async def apply(self, manifest: Manifest) -> Body:
        """Apply with force under our field manager."""
        return await self.request(
            "PATCH",
            manifest.ref.path,
            params={"fieldManager": names.FIELD_MANAGER, "force": "true"},
            body=manifest.body,
            content_type=_APPLY,
        )

    async def replace(self, ref: Ref, body: Body) -> Body:
        """Write an object as a whole; :class:`ConflictError` if it is not the one that was read."""
        return await self.request(
            "PUT",
            ref.path,
            params={"fieldManager": names.FIELD_MANAGER},
            body=body,
            content_type=_JSON,
        )

    async def amend(self, ref: Ref, patch: list[dict[str, Any]]) -> Body:
        """Apply a JSON Patch; :class:`ConflictError` when one of its tests fails."""
        try:
            return await self.request(
                "PATCH",
                ref.path,
                params={"fieldManager": names.FIELD_MANAGER},
                body=patch,
                content_type=_JSON_PATCH,
            )
        except RefusedError as error:
            if _TEST_FAILED in str(error):
                raise ConflictError(f"{ref} was changed meanwhile") from error
            raise

    async def apply_status(self, ref: Ref, status: Body) -> Body:
        """Apply the status under the status field manager."""
        kind = _kind(ref)
        body = {
            "apiVersion": kind.api_version,
            "kind": kind.name,
            "metadata": {"name": ref.name},
            "status": status,
        }
        return await self.request(
            "PATCH",
            kind.path(ref.namespace, ref.name, "status"),
            params={"fieldManager": names.STATUS_MANAGER, "force": "true"},
            body=body,
            content_type=_APPLY,
        )

    async def delete(self, ref: Ref, uid: str) -> Body | None:
        """Delete this very object; one that is gone already is no error.

        Return the object as it is while it stays: it is being deleted, and something keeps it.
        """
        try:
            answer = await self.request(
                "DELETE",
                ref.path,
                body={"preconditions": {"uid": uid}, "propagationPolicy": "Background"},
                content_type=_JSON,
            )
        except MissingError:
            return None
        # Of one that is gone it says so (kind Status); some kinds answer with what is gone.
        return answer if answer.get("metadata", {}).get("finalizers") else None

    # --- reads ------------------------------------------------------------------------------

    async def read(self, ref: Ref) -> Body | None:
        """Return the object, or nothing."""
        try:
            return await self.request("GET", ref.path)
        except MissingError:
            return None

    async def pages(
        self,
        kind: Kind,
        *,
        take: Callable[[dict[str, Any]], T],
        namespace: str = "",
        selector: str = "",
        fields: str = "",
        size: int = 500,
    ) -> AsyncIterator[Page[T]]:
        """Yield a consistent list, page by page, each item reduced by ``take``.

        ``selector`` is by labels, ``fields`` by fields. A page holds ``size`` items at most, and
        fewer where they are large.
        """
        params = {"limit": str(size)}
        if selector:
            params["labelSelector"] = selector
        if fields:
            params["fieldSelector"] = fields
        limit = size
        while True:
            params["limit"] = str(limit)
            most = PAGE_BYTES if limit > 1 else OBJECT_BYTES
            try:
                async with self._lists:
                    text = await self._exchange(
                        "GET", kind.path(namespace), params=params, most=most
                    )
                    length = len(text)
                    async with self._reducing:
                        answer = _parse(text)
                        # Both may be large, and the caller may keep us waiting.
                        del text
                        page, token = await _reduce(answer, take)
                        del answer
            except TooLargeError:
                if limit == 1:
                    raise
                limit = max(1, limit // 4)
                continue
            yield page
            if not token:
                return
            params["continue"] = token
            if length * 2 <= PAGE_BYTES:
                limit = min(limit * 2, size)

    @contextlib.asynccontextmanager
    async def watch(
        self,
        kind: Kind,
        *,
        selector: str,
        version: str,
        seconds: int,
        silence: float,
        fields: str = "",
    ) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """Open a watch from ``version``; yield its events as they come.

        The API server ends it after ``seconds``; ``silence`` seconds without a byte end it from our
        side, which is no error: of some kinds there is nothing to tell.
        """
        params = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(seconds),
        }
        if selector:
            params["labelSelector"] = selector
        if fields:
            params["fieldSelector"] = fields
        limits = aiohttp.ClientTimeout(total=None, connect=10, sock_read=silence)
        async with self._open("GET", kind.path(), params=params, limits=limits) as response:
            yield _lines(response)

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str | None = None,
    ) -> dict[str, Any]:
        """Send one request and return the answer; raises a :class:`ClusterError`."""
        text = await self._exchange(
            method, path, params=params, body=body, content_type=content_type, most=OBJECT_BYTES
        )
        return _parse(text)

    async def _exchange(
        self,
        method: str,
        path: str,
        *,
        most: int,
        params: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str | None = None,
    ) -> bytearray:
        data = None if body is None else _encode(body)
        async with self._throttle.slot():
            limit = _REQUEST_SECONDS
            # Asked last, since the wait for a slot may have been long.
            left = math.inf if method == "GET" else self._lead_left()
            if left <= 0:
                raise StandbyError
            if left < math.inf:
                limit = min(limit, left)
                # The API server too gives it up by then: what we no longer wait for may be on its
                # way, and would come after the writes of the next leader.
                params = {**(params or {}), "timeout": f"{math.ceil(limit * 1000)}ms"}
            try:
                async with self._open(
                    method,
                    path,
                    params=params,
                    data=data,
                    content_type=content_type,
                    # Not rounded up to a whole second, as it is by default.
                    limits=aiohttp.ClientTimeout(
                        total=limit, connect=10, ceil_threshold=_REQUEST_SECONDS + 1
                    ),
                ) as response:
                    answer = await read_bounded(response, most)
            except TooManyError as error:
                self._throttle.was_refused(error.retry_after)
                raise
            self._throttle.went_well()
            return answer

    @contextlib.asynccontextmanager
    async def _open(
        self,
        method: str,
        path: str,
        *,
        limits: aiohttp.ClientTimeout,
        params: Mapping[str, str] | None = None,
        data: bytes | None = None,
        content_type: str | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        if self._session is None:
            self._session = credentials.session(
                self._login,
                user_agent=self._user_agent,
                limit=_CONNECTIONS,
                request_class=_asking(self._lead_left),
            )
        current = self._session
        try:
            response = await current.request(
                method,
                self._login.server + path,
                params=params,
                data=data,
                headers={"Content-Type": content_type} if content_type else None,
                timeout=limits,
            )
        except (aiohttp.ClientSSLError, aiohttp.ClientConnectorCertificateError) as error:
            # The authority may have been rotated: the next request reads it again.
            await self._renew(current)
            raise UnavailableError(_text(error)) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._requested(method, 0)
            raise UnavailableError(_text(error)) from error
        self._requested(method, response.status)
        async with response:
            if response.status >= HTTPStatus.BAD_REQUEST:
                raise await _error(response)
            yield response

    async def _renew(self, session: aiohttp.ClientSession) -> None:
        """Replace the session, unless somebody else did already."""
        if self._session is session:
            self._session = None
            await session.close()


def _asking(lead_left: Callable[[], float]) -> type[aiohttp.ClientRequest]:
    """Return a request that asks for the lead once more, just before its bytes go.

    Between the first time and that are turns of the loop: for a connection, and for the task that
    writes. A process that is frozen meanwhile and goes on much later would send it first thing.
    """

    class Request(aiohttp.ClientRequest):
        async def write_bytes(
            self,
            writer: AbstractStreamWriter,
            conn: Connection,
            content_length: int | None = None,
        ) -> None:
            # The headers are not sent yet: they go in one piece with the body.
            if self.method != "GET" and lead_left() <= 0 and conn.protocol is not None:
                conn.protocol.set_exception(StandbyError())
                return
            await super().write_bytes(writer, conn, content_length)

    return Request


def _kind(ref: Ref) -> Kind:
    return kinds.BY_NAME[ref.kind]


async def _reduce(
    answer: dict[str, Any], take: Callable[[dict[str, Any]], T]
) -> tuple[Page[T], str]:
    """Return a page and the token of the next; each item is dropped once it was taken."""
    metadata = answer["metadata"]
    items = answer["items"] or []
    items.reverse()
    found = []
    while items:
        found.append(take(items.pop()))
        if len(found) % _IN_ONE_PIECE == 0:
            await asyncio.sleep(0)
    return Page(str(metadata["resourceVersion"]), found), metadata.get("continue", "")


def _encode(body: Any) -> bytes:
    """Return JSON that is YAML too, which the API server takes an apply for.

    YAML knows no pairs of escapes for a character beyond the first 65,536, as ``json`` writes them
    by default, and no control characters or line ends but escaped.
    """
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    return _NOT_IN_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()


def _parse(text: bytearray) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = from_json(text)
    except ValueError as error:
        raise UnavailableError(_text(error)) from error
    return answer


async def read_bounded(response: aiohttp.ClientResponse, most: int) -> bytearray:
    """Return the body of an answer; one of more than ``most`` bytes is not read to its end.

    Raises an :class:`UnavailableError`.
    """
    text = bytearray()
    try:
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            text += chunk
            if len(text) > most:
                response.close()
                raise TooLargeError(_too_large(response.url.path, most))
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise UnavailableError(_text(error)) from error
    return text


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    """Yield the JSON objects of a watch; the stream's own line reader has a length limit."""
    rest = bytearray()
    try:
        async for chunk in response.content.iter_any():
            for number, part in enumerate(chunk.split(b"\n")):
                if number:
                    # Nothing here keeps a whole line: the next one may be long in coming.
                    text, rest = rest, bytearray()
                    if text:
                        yield _parse(text)
                    del text
                rest += part
                if len(rest) > OBJECT_BYTES:
                    raise TooLargeError(_too_large(response.url.path, OBJECT_BYTES))
    except aiohttp.SocketTimeoutError:
        return
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise UnavailableError(_text(error)) from error


def _too_large(path: str, most: int) -> str:
    return f"the answer to {path} is larger than {most >> 20} MiB and is not read to its end"


async def _error(response: aiohttp.ClientResponse) -> ClusterError:
    """Turn an answer that is not a success into an error with the API server's own words."""
    try:
        text = (await response.content.read(1 << 20)).decode("utf-8", "replace")
    except (aiohttp.ClientError, TimeoutError, OSError):
        text = ""
    try:
        message = str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        message = text.strip() or response.reason or "no answer"
    message = f"{message[:_MESSAGE_LENGTH]} ({response.status})"
    if response.status == HTTPStatus.NOT_FOUND:
        return MissingError(message)
    if response.status == HTTPStatus.CONFLICT:
        return ConflictError(message)
    if response.status == HTTPStatus.GONE:
        return ExpiredError(message)
    if response.status in (400, 403, 413, 422) and not any(each in message for each in _MOMENTARY):
        return RefusedError(message)
    header = response.headers.get("Retry-After", "")
    retry_after = float(header) if header.isdecimal() else 0.0
    if response.status == HTTPStatus.TOO_MANY_REQUESTS:
        return TooManyError(message, retry_after=retry_after)
    return UnavailableError(message, retry_after=retry_after)


class TooManyError(UnavailableError):
    """The API server is overloaded (429)."""


class TooLargeError(UnavailableError):
    """The answer, or an event, is larger than what is read of one."""


class ExpiredError(ClusterError):
    """The version to go on from is too old (410): list again."""


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
