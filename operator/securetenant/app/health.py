"""Liveness, readiness and metrics, on one small HTTP server."""

from collections.abc import Callable

import structlog
from aiohttp import web

from securetenant.telemetry.metrics import Metrics

_log = structlog.get_logger(__name__)

Problem = Callable[[], str]
"""Returns what is wrong, or an empty string."""


async def serve(
    address: str, port: int, *, metrics: Metrics, alive: Problem, ready: Problem
) -> web.AppRunner:
    """Serve ``/livez``, ``/readyz`` and ``/metrics``; the caller cleans the runner up."""

    async def livez(_: web.Request) -> web.Response:
        return _answer(alive())

    async def readyz(_: web.Request) -> web.Response:
        return _answer(ready())

    async def expose(_: web.Request) -> web.Response:
        return web.Response(body=metrics.exposition(), content_type="text/plain")

    application = web.Application()
    application.add_routes(
        [web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", expose)]
    )
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, address, port).start()
    # Port 0 lets the system choose one.
    _log.info("Serving metrics and health", address=address, port=runner.addresses[0][1])
    return runner


def _answer(problem: str) -> web.Response:
    return web.Response(text=f"{problem or 'ok'}\n", status=503 if problem else 200)
