"""A pod's first packets, with an engine that learns of pods from the API server."""

from collections.abc import Iterator

import pytest

from e2e import newcomers, world
from securetenant.sandbox.instances import Instance

_KNOWN_MILLISECONDS = 1000
"""When the engine has learned of a pod at the latest."""

Found = tuple[dict[str, int], ...]


@pytest.fixture(scope="module")
def new(tenants: Instance) -> Iterator[Found]:
    with newcomers.started(tenants) as found:
        yield found


def test_no_first_packet_of_a_new_pod_reaches_another_tenant(new: Found, tenants: Instance) -> None:
    """The other's own pod is known, and its NetworkPolicies are in force."""
    reached = {target for found in new for target in found}
    assert not reached & {*newcomers.forbidden(tenants)}
    assert all(newcomers.allowed(tenants) in found for found in new), "they tried"


def test_what_only_the_pods_own_egress_rules_forbid_is_closed_once_the_engine_knows_it(
    new: Found, tenants: Instance
) -> None:
    """A limit that docs/controls/network.md names."""
    assert all(found.get(newcomers.METADATA, 0) < _KNOWN_MILLISECONDS for found in new)
    pod = newcomers.name(0)
    answer = world.run(tenants, newcomers.NAMESPACE, pod, "try", newcomers.METADATA)
    assert answer == {newcomers.METADATA: False}
