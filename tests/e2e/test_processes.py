"""A fork bomb stops at the limit that the operator read from the kubelet."""

from pathlib import Path

import yaml

from e2e import power, world
from harness import Api, conditions, wait_for
from securetenant.api import kinds
from securetenant.sandbox.instances import Instance

BOMB = world.Probe(
    namespace="acme-staging", name="bomb", arguments=("fork",), spec={"restartPolicy": "Never"}
)


def test_a_fork_bomb_takes_its_pod_and_no_other(tenants: Instance) -> None:
    admin = Api(tenants.admin_kubeconfig)
    limited = {"spec": {"nodes": {"podPidsLimit": 256}}}
    admin.patch(kinds.SECURE_TENANT, "acme", limited).ok()
    wait_for(
        lambda: (
            conditions(admin.get(kinds.SECURE_TENANT, "acme")).get("PidsLimited", {}).get("status")
            == "True"
        ),
        what="the operator to read the limit",
        seconds=30,
    )
    world.start(tenants, BOMB)
    try:
        (last,) = wait_for(lambda: world.said(tenants, BOMB)[-1:], what="the bomb", seconds=30)
        assert "resource temporarily unavailable" in last["error"]
        assert 0 < last["children"] < 256
        uid = admin.get(kinds.POD, BOMB.name, BOMB.namespace)["metadata"]["uid"]
        (limit,) = Path("/sys/fs/cgroup").rglob(f"pod{uid}/pids.max")
        assert limit.read_text().strip() == "256"
        neighbour = f"tcp/{world.address(tenants, 'acme-prod', 'web')}/8080"
        assert world.run(tenants, "acme-staging", "one", "try", neighbour) == {neighbour: True}
        node = admin.get(kinds.NODE, world.SHARED)
        assert conditions(node)["Ready"]["status"] == "True"
    finally:
        world.remove(tenants, BOMB)


def test_a_limit_that_a_restart_of_the_kubelet_brings_is_seen(tenants: Instance) -> None:
    """Nothing in its Node shows a plain restart."""
    admin = Api(tenants.admin_kubeconfig)
    node = power.node(tenants, world.SHARED)
    settings = node.folder / "kubelet.yaml"
    before = settings.read_text(encoding="utf-8")

    def told() -> str:
        found = conditions(admin.get(kinds.SECURE_TENANT, "acme"))
        return str(found.get("PidsLimited", {}).get("status"))

    def ask(limit: int | None) -> None:
        body = {"spec": {"nodes": {"podPidsLimit": limit}}}
        admin.patch(kinds.SECURE_TENANT, "acme", body).ok()

    try:
        ask(128)
        wait_for(lambda: told() == "False", what="the limit to be too high", seconds=30)
        limits = {**yaml.safe_load(before), "podPidsLimit": 128}
        settings.write_text(yaml.safe_dump(limits), encoding="utf-8")
        power.restart(node, "kubelet")
        wait_for(lambda: told() == "True", what="the new limit to be read", seconds=35)
    finally:
        settings.write_text(before, encoding="utf-8")
        power.restart(node, "kubelet")
        ask(None)
