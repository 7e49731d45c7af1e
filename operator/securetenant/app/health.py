"""Liveness, readiness and metrics, on one small HTTP server."""

from collections.abc import Callable

from aiohttp import web

from securetenant.telemetry.metrics import Metrics

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
    return runner


def _answer(problem: str) -> web.Response:
    return web.Response(text=f"{problem or 'ok'}\n", status=503 if problem else 200)
