"""What is computed from the objects and what packets do are the same, pair by pair."""

from e2e import world
from securetenant.sandbox.instances import Instance


def test_every_flow_is_as_it_is_computed(tenants: Instance) -> None:
    """Pods of two tenants, of the platform and of a node, addresses outside, TCP and UDP."""
    found = world.agreed(tenants)
    # Both answers are there, and the openings are among those that are open.
    assert len(found) > 300
    assert found["acme-prod/web", "kube-system/dns", "udp 53"]
    assert found["acme-prod/web", "acme-staging/one", "tcp 8080"]
    assert found["acme-prod/web", "tools/api", "tcp 8081"]
    assert found["tools/api", "acme-prod/web", "tcp 8080"]
    assert found["acme-prod/db", "beta-web/web", "tcp 8081"]
    assert found["acme-staging/one", "203.0.113.10", "tcp 8080"]
    assert found["beta-web/web", "172.31.74.1", "tcp 6443"]
    assert not found["tools/api", "acme-prod/db", "tcp 8080"]
    assert not found["acme-prod/web", "tools/other", "tcp 8080"]
    assert not found["acme-prod/web", "beta-web/web", "tcp 8080"]
    assert not found["acme-prod/web", "169.254.169.254", "tcp 8080"]
    assert not found["acme-prod/web", "172.31.74.1", "tcp 6443"]
