"""Requests to the API server on one session, with errors named by who must act."""

import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from http import HTTPStatus
from typing import Any, Self

import aiohttp
from pydantic_core import from_json

from securetenant.api import kinds, names
from securetenant.api.kinds import Kind
from securetenant.api.objects import Body, Manifest, Ref
from securetenant.kube import credentials
from securetenant.kube.credentials import Credentials
from securetenant.kube.throttle import Throttle
from securetenant.reconcile.errors import (
    ClusterError,
    ConflictError,
    MissingError,
    RefusedError,
    UnavailableError,
)

USER_AGENT = "securetenant-operator"
_REQUEST_SECONDS = 30.0
_CONNECTIONS = 64
_MESSAGE_LENGTH = 1000

_APPLY = "application/apply-patch+yaml"
_JSON_PATCH = "application/json-patch+json"
_JSON = "application/json"

_TEST_FAILED = "the server rejected our request due to an error in our request"
"""All that an API server says of a JSON Patch whose test failed."""
_MOMENTARY = ("no params found", "not yet synced", "is not known to belong to tenant")
"""What an API server says for moments, while parameters of its policies or a binding that was just
made arrive: to be tried again."""


class Client:
    """The cluster, as :class:`securetenant.reconcile.ports.Cluster` wants it, and lists."""

    def __init__(
        self, login: Credentials, *, requested: Callable[[str, int], object] | None = None
    ) -> None:
        """``requested`` is told of each request: method and status, 0 without an answer."""
        self._login = login
        self._requested = requested or (lambda _method, _status: None)
        self._session: aiohttp.ClientSession | None = None
        self._throttle = Throttle()

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

    async def delete(self, ref: Ref, uid: str) -> None:
        """Delete this very object; one that is gone already is no error."""
        with contextlib.suppress(MissingError):
            await self.request(
                "DELETE",
                ref.path,
                body={"preconditions": {"uid": uid}, "propagationPolicy": "Background"},
                content_type=_JSON,
            )

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
        namespace: str = "",
        selector: str = "",
        fields: str = "",
        size: int = 500,
    ) -> AsyncIterator[Body]:
        """Yield a consistent list, page by page, each a List object.

        ``selector`` is by labels, ``fields`` by fields.
        """
        token = ""
        while True:
            params = {"limit": str(size)}
            if selector:
                params["labelSelector"] = selector
            if fields:
                params["fieldSelector"] = fields
            if token:
                params["continue"] = token
            page = await self.request("GET", kind.path(namespace), params=params)
            yield page
            token = page["metadata"].get("continue", "")
            if not token:
                return

    @contextlib.asynccontextmanager
    async def watch(
        self, kind: Kind, *, selector: str, version: str, seconds: int, silence: float
    ) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """Open a watch from ``version``; yield its events as they come.

        The API server ends it after ``seconds``; ``silence`` seconds without a byte (it sends
        a bookmark each minute) end it from our side.
        """
        params = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(seconds),
        }
        if selector:
            params["labelSelector"] = selector
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
        data = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        async with self._throttle.slot():
            try:
                async with self._open(
                    method,
                    path,
                    params=params,
                    data=data,
                    content_type=content_type,
                    limits=aiohttp.ClientTimeout(total=_REQUEST_SECONDS, connect=10),
                ) as response:
                    answer = await _read(response)
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
                self._login, user_agent=USER_AGENT, limit=_CONNECTIONS
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


def _kind(ref: Ref) -> Kind:
    return kinds.BY_NAME[ref.kind]


async def _read(response: aiohttp.ClientResponse) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = from_json(await response.read())
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise UnavailableError(_text(error)) from error
    return answer


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    """Yield the JSON objects of a watch; the stream's own line reader has a length limit."""
    rest = b""
    try:
        async for chunk in response.content.iter_any():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if line:
                    yield from_json(line)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise UnavailableError(_text(error)) from error


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


class ExpiredError(ClusterError):
    """The version to go on from is too old (410): list again."""


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
