"""The operator stops while kopf still starts."""

import asyncio
import gc
import logging

import pytest

from securetenant.api import kinds
from securetenant.app.specs_watch import Source, SpecsWatch
from securetenant.kube import credentials
from securetenant.sandbox.instances import Instance


@pytest.mark.filterwarnings(
    # A TLS connection that kopf was just opening is left to the collector.
    "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_the_watch_ends_at_every_moment_of_its_start(
    sandbox: Instance, caplog: pytest.LogCaptureFixture
) -> None:
    """By its own stop flag kopf would have been at work for 5 s more, which is all we wait."""

    async def start_and_stop() -> list[float]:
        login = await credentials.load(sandbox.admin_kubeconfig)
        left = []
        for hundredths in range(12):
            source = Source(lambda *_: None, lambda _: None)
            watch = SpecsWatch(login, sources={kinds.SECURE_TENANT: source}, restarted=lambda: None)
            watch.start()
            await asyncio.sleep(hundredths / 100)  # The moment is what is varied.
            await watch.stop()
            if watch.is_alive():
                left.append(hundredths / 100)
        return left

    with caplog.at_level(logging.ERROR):
        assert asyncio.run(start_and_stop()) == []
    gc.collect()
    closed = "closing of asynchronous generator"
    assert [each for each in caplog.records if closed in each.getMessage()] == []
