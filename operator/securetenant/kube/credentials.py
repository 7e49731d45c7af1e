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
from kubernetes.aio.config import ConfigException, kube_config
from kubernetes.aio.config.incluster_config import (
    SERVICE_CERT_FILENAME,
    SERVICE_TOKEN_FILENAME,
    InClusterConfigLoader,
)

from securetenant.kube import kubeconfig as kubeconfigs
from securetenant.kube.kubeconfig import KubeconfigError

_REREAD_SECONDS = 60.0


class MissingLoginError(Exception):
    """There is no way to the API server; the message says what is missing and what to do."""


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


async def load(
    kubeconfig: Path | None = None, *, context: str | None = None, is_person: bool = False
) -> Credentials:
    """Read ``kubeconfig``; without one, the pod's ServiceAccount, else the default kubeconfig.

    ``context`` is one of the kubeconfig, where not its current one is meant. A person's own
    kubeconfig comes before the ServiceAccount of the pod where they work. Raises
    :class:`MissingLoginError` when there is none that can be read.
    """
    configuration = Configuration()
    is_own = is_person and (context is not None or bool(kubeconfigs.there()))
    if kubeconfig is None and in_cluster() and not is_own:
        try:
            InClusterConfigLoader(
                token_filename=SERVICE_TOKEN_FILENAME, cert_filename=SERVICE_CERT_FILENAME
            ).load_and_set(configuration)
        except ConfigException as error:
            raise MissingLoginError(
                f"This is a pod without the token of a ServiceAccount: {_line(error)}. Mount one,"
                " as manifests/operator/deployment.yaml does"
            ) from error
        return _credentials(configuration, _TokenFile(Path(SERVICE_TOKEN_FILENAME)))
    try:
        found = kubeconfigs.read(kubeconfig, context)
    except KubeconfigError as error:
        raise MissingLoginError(str(error)) from error
    try:
        await kube_config.load_kube_config(
            config_file=found.location, context=found.context, client_configuration=configuration
        )
    # What is no kubeconfig fails in any of these ways.
    except (ConfigException, OSError, ValueError, LookupError, TypeError, yaml.YAMLError) as error:
        raise MissingLoginError(str(kubeconfigs.unusable(found.files, _line(error)))) from error
    return _credentials(configuration, _TokenFile(found.token_file) if found.token_file else None)


def namespace(kubeconfig: Path | None = None, *, context: str | None = None) -> str:
    """Return the namespace of a kubeconfig's context, which kubectl takes where none is named."""
    try:
        return kubeconfigs.read(kubeconfig, context).namespace
    except KubeconfigError:
        # Whether it can be used at all is said by load().
        return "default"


def in_cluster() -> bool:
    """Tell whether this is a pod of a cluster."""
    return "KUBERNETES_SERVICE_HOST" in os.environ


def _line(error: Exception) -> str:
    """Return what an error says, in one line."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


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


def session(
    credentials: Credentials,
    *,
    user_agent: str,
    limit: int,
    closes_in_distrust: bool = False,
    request_class: type[aiohttp.ClientRequest] = aiohttp.ClientRequest,
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
        request_class=request_class,
        # aiohttp would look for a netrc file at every request.
        trust_env=False,
        # Like kubectl: it would look for cookies at every request, too.
        cookie_jar=aiohttp.DummyCookieJar(),
    )
    return made
