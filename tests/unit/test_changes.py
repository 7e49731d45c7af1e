"""A world that was asked before forgets nothing of it, and nothing of it is old after a change."""

from typing import Any

from securetenant.checks.reachability import Namespace, Pod, World


def space(name: str, **labels: str) -> Namespace:
    return Namespace(name=name, labels={"name": name, "t": name, **labels})


def wall(namespace: str, *to: dict[str, Any]) -> dict[str, Any]:
    rules = [{"to": [each]} for each in to]
    return {
        "metadata": {"namespace": namespace, "name": "wall"},
        "spec": {"podSelector": {}, "policyTypes": ["Egress"], "egress": rules},
    }


def pod(namespace: str, name: str, address: str = "", **labels: str) -> Pod:
    return Pod(
        namespace=namespace, name=name, labels=labels, addresses=(address,) if address else ()
    )


def asked(world: World) -> list[str]:
    return [
        f"{source}/{target}"
        for flow in world.crossings()
        if flow.source.namespace == "one"
        for source in flow.source.pods
        for target in flow.target.pods
    ]


def test_labels_that_a_namespace_gets_are_seen_by_rules_elsewhere() -> None:
    peer = {"namespaceSelector": {"matchLabels": {"team": "x"}}}
    world = World(
        [space("one"), space("two")],
        [pod("one", "a"), pod("two", "b")],
        [wall("one", peer)],
        tenant_label="t",
    )
    assert asked(world) == []
    world.put(space("two", team="x"), [pod("two", "b")], [])
    assert asked(world) == ["a/b"]
    world.put(space("two"), [pod("two", "b")], [])
    assert asked(world) == []
    world.put(space("three", team="x"), [pod("three", "c")], [])
    assert asked(world) == ["a/c"]
    world.remove("three")
    assert asked(world) == []


def test_addresses_that_pods_get_are_seen_by_rules_elsewhere() -> None:
    world = World(
        [space("one"), space("two")],
        [pod("one", "a"), pod("two", "b", "10.0.0.1")],
        [wall("one", {"ipBlock": {"cidr": "10.9.0.0/16"}})],
        tenant_label="t",
    )
    assert asked(world) == []
    world.put(space("two"), [pod("two", "b", "10.9.0.1")], [])
    assert asked(world) == ["a/b"]
    world.put(space("two"), [], [])
    assert asked(world) == []


def test_what_a_new_policy_tells_apart_is_looked_at_apart() -> None:
    everybody: dict[str, Any] = {"namespaceSelector": {}}
    pods = [pod("two", "b", "10.0.0.1", app="b"), pod("two", "c", "10.0.0.2", app="c")]
    world = World(
        [space("one"), space("two")],
        [pod("one", "a"), *pods],
        [wall("one", everybody)],
        tenant_label="t",
    )
    assert asked(world) == ["a/b", "a/c"]
    by_label = {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "c"}}}
    world.put(space("one"), [pod("one", "a")], [wall("one", by_label)])
    assert asked(world) == ["a/c"]
    by_address = {"ipBlock": {"cidr": "10.0.0.1/32"}}
    world.put(space("one"), [pod("one", "a")], [wall("one", by_address)])
    assert asked(world) == ["a/b"]


def test_a_cluster_policy_comes_and_goes_by_itself() -> None:
    deny = {
        "metadata": {"name": "deny"},
        "spec": {
            "tier": "Admin",
            "priority": 1,
            "subject": {"namespaces": {"matchLabels": {"name": "one"}}},
            "egress": [{"action": "Deny", "to": [{"namespaces": {}}]}],
        },
    }
    world = World(
        [space("one"), space("two")], [pod("one", "a"), pod("two", "b")], [], tenant_label="t"
    )
    assert asked(world) == ["a/b"]
    assert world.change_cluster({"deny": deny}) == {"one"}
    assert asked(world) == []
    assert world.change_cluster({"deny": None}) == {"one"}
    assert asked(world) == ["a/b"]
