"""Parts of a node end, one after the other: what was filtered stays filtered."""

from typing import Any

from e2e import power, world
from harness import Api, conditions, wait_for
from securetenant.api import kinds
from securetenant.sandbox.instances import Instance


def test_without_kubelet_and_containerd_containers_go_on_and_packets_are_filtered(
    tenants: Instance,
) -> None:
    """From the other nodes, since nothing opens a shell on this one meanwhile."""
    node = power.node(tenants, world.SHARED)
    before = restarts(tenants)
    with power.held(node, "kubelet", "containerd"):
        world.agreed(tenants, without=node.name)
    # The engine hears of pods from containerd, and gives up on one that was away.
    power.restart(node, "network-policies")
    wait_for(lambda: is_ready(tenants, node.name), what="the node", seconds=60)
    world.agreed(tenants, seconds=20)
    assert restarts(tenants) == before


def test_without_its_engine_a_node_lets_nothing_new_through(tenants: Instance) -> None:
    """The engine of the sandbox is asked for that; others let everything through then."""
    node = power.node(tenants, world.SHARED)
    target = f"tcp/{world.address(tenants, 'acme-prod', 'web')}/8080"
    assert world.run(tenants, "tools", "api", "try", target) == {target: True}
    with power.held(node, "network-policies"):
        assert world.run(tenants, "tools", "api", "try", target) == {target: False}
    wait_for(
        lambda: world.run(tenants, "tools", "api", "try", target) == {target: True},
        what="connections to be let through again",
        seconds=20,
    )
    world.agreed(tenants, seconds=20)


def test_after_a_node_lost_its_power_its_pods_are_walled_as_before(tenants: Instance) -> None:
    node = power.node(tenants, world.SHARED)
    before = restarts(tenants)
    power.reboot(tenants, node)
    wait_for(
        lambda: all(restarts(tenants)[each] > before[each] for each in before) and ready(tenants),
        what="the pods to start again",
        seconds=90,
    )
    world.agreed(tenants, seconds=30)


def bodies(instance: Instance) -> list[Any]:
    admin = Api(instance.admin_kubeconfig)
    every = [admin.get(kinds.POD, each.name, each.namespace) for each in world.PROBES]
    return [each for each in every if each["spec"]["nodeName"] == world.SHARED]


def restarts(instance: Instance) -> dict[str, int]:
    """Return how often the probes on the shared node were started again."""
    return {
        f"{each['metadata']['namespace']}/{each['metadata']['name']}": each["status"][
            "containerStatuses"
        ][0]["restartCount"]
        for each in bodies(instance)
    }


def ready(instance: Instance) -> bool:
    return all(conditions(each)["Ready"]["status"] == "True" for each in bodies(instance))


def is_ready(instance: Instance, node: str) -> bool:
    found = Api(instance.admin_kubeconfig).get(kinds.NODE, node)
    return bool(conditions(found)["Ready"]["status"] == "True")
