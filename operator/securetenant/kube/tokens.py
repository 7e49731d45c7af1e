"""Tokens of the identities that are apart from the operator's own, each with one thing to do."""

import asyncio
import time

from securetenant.api import names
from securetenant.kube.client import Client
from securetenant.reconcile.errors import UnavailableError

_SECONDS = 600
"""The shortest that the API server makes; a token that somebody keeps is soon worth nothing."""
_REST_SECONDS = 60.0
"""How long a token is used at least, though somebody does not know it: theirs may be the fault."""


class Token:
    """A token of a ServiceAccount of the operator's namespace, renewed in time."""

    def __init__(self, client: Client, account: str) -> None:
        self._client = client
        self.account = account
        self._text = ""
        self._renew_at = float("-inf")
        self._taken_at = float("-inf")
        self._lock = asyncio.Lock()

    async def get(self) -> str:
        """Return the token; raises a :class:`ClusterError` when the API server gives none."""
        async with self._lock:
            if time.monotonic() >= self._renew_at:
                await self._renew()
            return self._text

    def forget(self) -> None:
        """Take another soon: somebody did not know this one, for whatever reason."""
        self._renew_at = min(self._renew_at, self._taken_at + _REST_SECONDS)

    async def _renew(self) -> None:
        # Without audiences it is for the API server, which a kubelet asks what it is worth.
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": _SECONDS},
        }
        path = f"/api/v1/namespaces/{names.OPERATOR_NAMESPACE}/serviceaccounts/{self.account}/token"
        answer = await self._client.request(
            "POST", path, body=body, content_type="application/json"
        )
        try:
            self._text = str(answer["status"]["token"])
        except (KeyError, TypeError) as error:
            raise UnavailableError(f"the answer to {path} holds no token") from error
        self._taken_at = time.monotonic()
        self._renew_at = self._taken_at + _SECONDS / 2
