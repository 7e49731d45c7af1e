"""Pods that send from their first instruction on, before anything has had time to learn of them."""

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from e2e import outside, world
from harness import wait_for
from securetenant.sandbox.instances import Instance

PODS = 8
METADATA = f"tcp/{outside.METADATA}/8080"
NAMESPACE = "beta-web"


def allowed(instance: Instance) -> str:
    """Return what they may reach."""
    return f"tcp/{world.address(instance, NAMESPACE, 'other')}/8080"


def forbidden(instance: Instance) -> tuple[str, ...]:
    """Return addresses of another tenant."""
    acme = world.address(instance, "acme-prod", "web")
    return (f"tcp/{acme}/8080", f"udp/{acme}/8080")


@contextlib.contextmanager
def started(instance: Instance) -> Iterator[tuple[dict[str, int], ...]]:
    """Start them at the same moment; yield what each reached, and after how many milliseconds."""
    targets = (*forbidden(instance), METADATA, allowed(instance))
    pods = [
        world.Probe(namespace=NAMESPACE, name=name(number), arguments=("first", *targets))
        for number in range(PODS)
    ]
    try:
        world.start(instance, *pods)
        with ThreadPoolExecutor(PODS) as pool:
            said = pool.map(
                lambda each: wait_for(lambda: world.said(instance, each), what=each.name), pods
            )
        yield tuple(found for (found,) in said)
    finally:
        world.remove(instance, *pods)


def name(number: int) -> str:
    """Return the name of one of them."""
    return f"new-{number}"
