"""A pod's first packets, before anything has had the time to learn of it."""

from concurrent.futures import ThreadPoolExecutor

from e2e import outside, world
from harness import wait_for
from securetenant.sandbox.instances import Instance

PODS = 8


def test_no_first_packet_of_a_new_pod_passes_where_a_later_one_would_not(tenants: Instance) -> None:
    """The engine hears of a pod from containerd, before the pod's first process starts."""
    acme = world.address(tenants, "acme-prod", "web")
    refused = (f"tcp/{acme}/8080", f"udp/{acme}/8080", f"tcp/{outside.METADATA}/8080")
    allowed = f"tcp/{world.address(tenants, 'beta-web', 'other')}/8080"
    new = [
        world.Probe(
            namespace="beta-web", name=f"new-{number}", arguments=("first", *refused, allowed)
        )
        for number in range(PODS)
    ]
    try:
        world.start(tenants, *new)
        with ThreadPoolExecutor(PODS) as pool:
            found = pool.map(
                lambda each: wait_for(lambda: world.said(tenants, each), what=each.name), new
            )
        assert [*found] == [[{allowed: True}]] * PODS
    finally:
        world.remove(tenants, *new)
