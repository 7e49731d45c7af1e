"""The proof of reachability over a large cluster: how long, and whether one hole is found in it."""

import time
from collections.abc import Iterator
from typing import Any

from bench.cluster import table
from securetenant.api import names
from securetenant.checks.reachability import Flow, Namespace, Pod, World

PER_TENANT = 10
PODS = ("web", "api", "db")
_NAME = "kubernetes.io/metadata.name"


def run(sizes: tuple[int, ...]) -> str:
    """Measure each number of namespaces; return a Markdown table."""
    rows = [["Namespaces", "Pods", "NetworkPolicies", "made ready", "all flows", "Flows"]]
    for size in sizes:
        spaces, pods = list(_namespaces(size)), list(_pods(size))
        policies = [each for number in range(size) for each in _policies(number)]
        policies.extend(_hole(size))
        began = time.monotonic()
        world = World(spaces, pods, policies)
        ready = time.monotonic()
        flows = list(world.crossings())
        done = time.monotonic()
        between = [each for each in flows if each.source.tenant and each.target.tenant]
        found = [each for each in between if each.ingress.policy == "hole"]
        if not found or not all(map(_is_meant, between)):
            raise RuntimeError("The hole is not found, or something is found that is not there")
        counts = (size, len(pods), len(policies))
        rows.append(
            [
                *(f"{count:,}" for count in counts),
                f"{ready - began:.1f} s",
                f"{done - ready:.1f} s",
                f"{len(flows):,}, {len(found)} of them through the one hole",
            ]
        )
    return table(rows)


def _is_meant(flow: Flow) -> bool:
    """Tell whether a flow is a peer that both sides declare, or the hole."""
    return flow.ingress.policy == "hole" or (flow.egress.policy, flow.ingress.policy) == (
        "peer",
        "peer",
    )


def _tenant(number: int) -> str:
    return f"tenant-{number // PER_TENANT}"


def _namespaces(size: int) -> Iterator[Namespace]:
    yield Namespace(name="kube-system", labels={_NAME: "kube-system"})
    for number in range(size):
        name = f"n-{number}"
        yield Namespace(name=name, labels={_NAME: name, names.TENANT_LABEL: _tenant(number)})


def _pods(size: int) -> Iterator[Pod]:
    yield Pod(namespace="kube-system", name="dns", labels={"k8s-app": "kube-dns"})
    for number in range(size):
        for column, app in enumerate(PODS):
            address = f"10.{number >> 8}.{number & 255}.{column + 1}"
            yield Pod(namespace=f"n-{number}", name=app, labels={"app": app}, addresses=(address,))


def _policy(number: int, name: str, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": f"n-{number}", "name": name},
        "spec": {
            "podSelector": {},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [],
            "egress": [],
            **spec,
        },
    }


def _policies(number: int) -> Iterator[dict[str, Any]]:
    """Yield the walls of a namespace, an opening of its own, and every tenth a peer."""
    own = [{"namespaceSelector": {"matchLabels": {names.TENANT_LABEL: _tenant(number)}}}]
    dns = {
        "namespaceSelector": {"matchLabels": {_NAME: "kube-system"}},
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
    }
    yield _policy(number, "deny")
    yield _policy(number, "dns", egress=[{"to": [dns], "ports": [{"port": 53, "protocol": "UDP"}]}])
    yield _policy(number, "same", ingress=[{"from": own}], egress=[{"to": own}])
    block = {"cidr": f"172.{16 + (number >> 12)}.{number >> 4 & 255}.0/24"}
    yield _policy(number, "opening", egress=[{"to": [{"ipBlock": block}]}])
    if number % PER_TENANT == 0:
        partner = number + PER_TENANT if number // PER_TENANT % 2 == 0 else number - PER_TENANT
        peer = [{"namespaceSelector": {"matchLabels": {_NAME: f"n-{partner}"}}}]
        ports = [{"port": 443, "protocol": "TCP"}]
        yield _policy(
            number,
            "peer",
            ingress=[{"from": peer, "ports": ports}],
            egress=[{"to": peer, "ports": ports}],
        )


def _hole(size: int) -> tuple[dict[str, Any], ...]:
    """Return an opening to everybody, and one to all addresses of pods elsewhere."""
    block = {"cidr": "10.0.0.0/8"}
    return (
        _policy(size // 2 + 1, "hole", ingress=[{}]),
        _policy(1, "hole", egress=[{"to": [{"ipBlock": block}]}]),
    )
