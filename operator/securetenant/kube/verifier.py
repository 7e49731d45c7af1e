"""Speaks as the canary: tries attacks in dry-run, and asks what others may do.

With a token of the verifier, which may be the user ``securetenant:canary``, create access reviews,
and nothing else; the operator's own identity may do neither. A policy holds the canary to dry-run.
Each namespace has connections of its own, and its requests are spread over them: where several API
servers run, each is a few seconds behind in its own way, and equal answers over several connections
say more than one.
"""

import dataclasses
import functools
import json
from collections.abc import Callable
from http import HTTPStatus

import aiohttp

from securetenant.api import names, text
from securetenant.api.objects import Body
from securetenant.checks.attacks.verdicts import Answer, Attempt, Question
from securetenant.kube import credentials
from securetenant.kube.client import Client, read_bounded
from securetenant.kube.credentials import Credentials
from securetenant.kube.tokens import Token
from securetenant.reconcile.errors import ClusterError

_USER_AGENT = "securetenant-verifier"
_CONNECTIONS = 3
"""As many as equal answers count."""
_SECONDS = 10.0
_ANSWER_BYTES = 1 << 20
_MESSAGE_LENGTH = 500
_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
_AS_CANARY = {"Impersonate-User": names.CANARY_USER}


def opener(client: Client, login: Credentials) -> Callable[[], "Verifier"]:
    """Return what opens connections; all of them use one token."""
    return functools.partial(Verifier, Token(client, names.VERIFIER), login)


class Verifier:
    """Fulfils :class:`securetenant.reconcile.ports.Prober`."""

    def __init__(self, token: Token, login: Credentials) -> None:
        """``login`` is the operator's: only where the API server is, and who signs it, is used."""
        self._token = token
        self._login = dataclasses.replace(
            login,
            client_certificate=None,
            client_key=None,
            authorize=self._authorize,
            reread=self._token.forget,
        )
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def attempt(self, attempt: Attempt, namespace: str) -> Answer:
        """Try to create an object in a namespace, in dry-run."""
        path = attempt.kind.path(namespace)
        return await self._post(f"{path}?dryRun=All", attempt.body, _AS_CANARY)

    async def ask(self, question: Question) -> bool | None:
        """Ask whether somebody may do something; nothing: there was no answer."""
        attributes = {
            "verb": question.verb,
            "group": question.group,
            "resource": question.resource,
            "subresource": question.subresource,
            "namespace": question.namespace,
            "name": question.name,
        }
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": question.user,
                "groups": list(question.groups),
                "resourceAttributes": {key: each for key, each in attributes.items() if each},
            },
        }
        answer = await self._post(_REVIEWS, review, {})
        allowed = ((answer.body or {}).get("status") or {}).get("allowed")
        return allowed if isinstance(allowed, bool) else None

    async def _authorize(self) -> str:
        return f"Bearer {await self._token.get()}"

    async def _post(self, path: str, body: Body, headers: dict[str, str]) -> Answer:
        if self._session is None:
            self._session = credentials.session(
                self._login, user_agent=_USER_AGENT, limit=_CONNECTIONS
            )
        session = self._session
        try:
            async with session.post(
                self._login.server + path,
                data=json.dumps(body),
                headers={"Content-Type": "application/json", **headers},
                timeout=aiohttp.ClientTimeout(total=_SECONDS),
            ) as response:
                return _answer(response.status, await read_bounded(response, _ANSWER_BYTES))
        except (aiohttp.ClientSSLError, aiohttp.ClientConnectorCertificateError) as error:
            # The authority may have been rotated: the next request reads it again.
            if self._session is session:
                await self.close()
            return Answer(0, _short(str(error)))
        except (ClusterError, aiohttp.ClientError, TimeoutError, OSError) as error:
            return Answer(0, _short(f"{type(error).__name__}: {error}"))


def _answer(status: int, content: bytearray) -> Answer:
    try:
        body = json.loads(content)
    except ValueError:
        return Answer(0, "the answer is not JSON")
    if not isinstance(body, dict):
        return Answer(0, "the answer is no object")
    if status >= HTTPStatus.BAD_REQUEST:
        return Answer(status, _short(str(body.get("message", ""))))
    return Answer(status, "", body)


def _short(message: str) -> str:
    return text.shorten(text.escape(message), _MESSAGE_LENGTH)
