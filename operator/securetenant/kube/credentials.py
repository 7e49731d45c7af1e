"""Who we are to the API server: from the pod's ServiceAccount or from a kubeconfig.

The ``kubernetes`` package reads the configuration. Tokens are read again from their file at
most once a minute, and at once after a 401: the kubelet replaces them while we run.
"""

import os
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import aiohttp
import yaml
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import kube_config
from kubernetes.aio.config.incluster_config import (
    SERVICE_CERT_FILENAME,
    SERVICE_TOKEN_FILENAME,
    InClusterConfigLoader,
)

_REREAD_SECONDS = 60.0

Authorize = Callable[[], Awaitable[str]]
"""Returns the value of the Authorization header, or an empty string."""


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """Where the API server is and how to speak to it."""

    server: str
    certificate_authority: Path | None
    client_certificate: Path | None
    client_key: Path | None
    authorize: Authorize
    reread: Callable[[], None]
    """Forget a cached token: the API server did not like it."""

    def tls(self) -> ssl.SSLContext:
        """Return a fresh TLS context; the files are read again, so a rotated CA counts.

        Chain and host name are verified. Only VERIFY_X509_STRICT, which Python 3.13 switched
        on, is cleared: it refuses cluster authorities without a key identifier, as several
        installers make them.
        """
        context = ssl.create_default_context(cafile=self.certificate_authority)
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if self.client_certificate is not None:
            context.load_cert_chain(self.client_certificate, self.client_key)
        return context


async def load(kubeconfig: Path | None = None) -> Credentials:
    """Read ``kubeconfig``; without one, the pod's ServiceAccount, else the default kubeconfig.

    Raises :class:`kubernetes.aio.config.ConfigException` when there is neither.
    """
    configuration = Configuration()
    if kubeconfig is None and "KUBERNETES_SERVICE_HOST" in os.environ:
        InClusterConfigLoader(
            token_filename=SERVICE_TOKEN_FILENAME, cert_filename=SERVICE_CERT_FILENAME
        ).load_and_set(configuration)
        return _credentials(configuration, _TokenFile(Path(SERVICE_TOKEN_FILENAME)))
    path = kubeconfig or Path(
        os.environ.get("KUBECONFIG", kube_config.KUBE_CONFIG_DEFAULT_LOCATION)
    )
    await kube_config.load_kube_config(config_file=str(path), client_configuration=configuration)
    token_file = _token_file_of(path.expanduser())
    return _credentials(configuration, _TokenFile(token_file) if token_file else None)


class _TokenFile:
    """A bearer token in a file that somebody else renews."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._header = ""
        self._read_at = float("-inf")

    async def authorize(self) -> str:
        if time.monotonic() - self._read_at > _REREAD_SECONDS:
            self._header = f"Bearer {self._path.read_text(encoding='ascii').strip()}"
            self._read_at = time.monotonic()
        return self._header

    def reread(self) -> None:
        self._read_at = float("-inf")


def _credentials(configuration: Configuration, token: _TokenFile | None) -> Credentials:
    async def authorize() -> str:
        # Runs the package's own refresh hooks: OIDC, exec plugins.
        return await configuration.get_api_key_with_prefix("BearerToken") or ""

    return Credentials(
        server=configuration.host.rstrip("/"),
        certificate_authority=_path(configuration.ssl_ca_cert),
        client_certificate=_path(configuration.cert_file),
        client_key=_path(configuration.key_file),
        authorize=token.authorize if token else authorize,
        reread=token.reread if token else lambda: None,
    )


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def _token_file_of(path: Path) -> Path | None:
    """Return the token file of the current context's user: the package reads it only once."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    context = next(
        each["context"]
        for each in document["contexts"]
        if each["name"] == document["current-context"]
    )
    user = next(each for each in document["users"] if each["name"] == context["user"])
    name = (user.get("user") or {}).get("tokenFile")
    return path.parent / name if name else None


def session(
    credentials: Credentials, *, user_agent: str, limit: int, closes_in_distrust: bool = False
) -> aiohttp.ClientSession:
    """Return an HTTP session that authenticates each request; the caller closes it.

    ``limit`` is how many connections it may hold; 0 means any number. ``closes_in_distrust``: it
    closes when the server's certificate is not trusted, since the authority may have been rotated
    and only a new session reads it again. kopf logs in again when its session is closed, and for no
    other reason that has to do with certificates.
    """

    async def authorize(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        header = await credentials.authorize()
        if header:
            request.headers["Authorization"] = header
        try:
            response = await handler(request)
        except (aiohttp.ClientSSLError, aiohttp.ClientConnectorCertificateError):
            if closes_in_distrust:
                await made.close()
            raise
        if response.status == HTTPStatus.UNAUTHORIZED:
            credentials.reread()
        return response

    made = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=limit, ssl=credentials.tls()),
        # Not compressed: a little of that may be very much, and is not known before.
        headers={"User-Agent": user_agent, "Accept-Encoding": "identity"},
        middlewares=(authorize,),
        # aiohttp would look for a netrc file at every request.
        trust_env=False,
    )
    return made
