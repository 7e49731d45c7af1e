"""Two tenants, a namespace of the platform and a cluster DNS, with probes in all of them."""

import ipaddress
import itertools
import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from e2e import images, outside
from harness import Api, kubectl, wait_for, wait_for_account
from securetenant.api import kinds
from securetenant.checks import blocks, live
from securetenant.checks.reachability import World
from securetenant.sandbox.instances import Instance
from securetenant.sandbox.realnodes import layout

PORTS = (("tcp", 53), ("tcp", 8080), ("tcp", 8081), ("udp", 53), ("udp", 8080))
"""What every probe listens on, so that whatever is not reached was filtered."""
PLATFORM, SHARED, DEDICATED = "node-0", "node-1", "node-2"

ACME = {
    "apiVersion": "securetenant.io/v1alpha1",
    "kind": "SecureTenant",
    "metadata": {"name": "acme"},
    "spec": {
        "namespaces": [{"name": "acme-prod"}, {"name": "acme-staging"}],
        "network": {
            "ingress": [
                {
                    "name": "web",
                    "from": [
                        {
                            "namespaceLabels": {"kubernetes.io/metadata.name": "tools"},
                            "podLabels": {"app": "api"},
                        }
                    ],
                    "ports": [{"port": "web"}],
                    "podSelector": {"matchLabels": {"app": "web"}},
                }
            ],
            "egress": [
                {
                    "name": "api",
                    "to": [
                        {
                            "namespaceLabels": {"kubernetes.io/metadata.name": "tools"},
                            "podLabels": {"app": "api"},
                        }
                    ],
                    "ports": [{"port": 8080, "endPort": 8081}],
                    "namespaces": ["acme-prod"],
                },
                {
                    "name": "outside",
                    "to": [{"cidr": "203.0.113.0/24"}],
                    "ports": [{"port": 8080}],
                    "namespaces": ["acme-staging"],
                },
            ],
            "peers": [
                {
                    "tenant": "beta",
                    "direction": "Egress",
                    "namespaces": ["beta-web"],
                    "ports": [{"port": 8081}],
                }
            ],
        },
    },
}
BETA = {
    "spec": {
        "network": {
            "apiServer": "Allow",
            "peers": [
                {
                    "tenant": "acme",
                    "direction": "Ingress",
                    "namespaces": ["acme-prod"],
                    "ports": [{"port": 8081}],
                }
            ],
        }
    }
}


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A pod that listens and tries."""

    namespace: str
    name: str
    labels: dict[str, str] = field(default_factory=dict)
    node: str = ""
    """Where it has to run; empty: wherever the scheduler puts it."""
    host_network: bool = False
    arguments: tuple[str, ...] = ()
    spec: dict[str, Any] = field(default_factory=dict)
    """Further fields of the pod."""

    def body(self) -> dict[str, Any]:
        """Return the pod."""
        listening = [f"{protocol}//{port}" for protocol, port in PORTS]
        spec: dict[str, Any] = {
            "terminationGracePeriodSeconds": 0,
            "containers": [
                {
                    "name": "probe",
                    "image": images.PROBE,
                    "args": list(self.arguments) or ["serve", *listening],
                    "ports": [{"name": "web", "containerPort": 8080}],
                    "resources": {
                        "requests": {"cpu": "10m", "memory": "32Mi"},
                        "limits": {"cpu": "500m", "memory": "256Mi"},
                    },
                }
            ],
            **self.spec,
        }
        if self.node:
            spec["nodeSelector"] = {"kubernetes.io/hostname": self.node}
        if self.host_network:
            spec["hostNetwork"] = True
        metadata = {"namespace": self.namespace, "name": self.name, "labels": self.labels}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


PROBES = (
    Probe(namespace="acme-prod", name="web", labels={"app": "web"}),
    Probe(namespace="acme-prod", name="db", labels={"app": "db"}),
    Probe(namespace="acme-staging", name="one"),
    Probe(namespace="beta-web", name="web", labels={"app": "web"}),
    Probe(namespace="beta-web", name="other"),
    Probe(namespace="tools", name="api", labels={"app": "api"}, node=PLATFORM),
    Probe(namespace="tools", name="other", node=SHARED),
    Probe(
        namespace="tools",
        name="host",
        node=PLATFORM,
        host_network=True,
        # The others are for root alone on a node.
        arguments=("serve", "tcp//8080", "tcp//8081", "udp//8080"),
    ),
    Probe(namespace="kube-system", name="dns", labels={"k8s-app": "kube-dns"}, node=PLATFORM),
)
OUTSIDE = (
    f"tcp/{outside.METADATA}/8080",
    f"udp/{outside.METADATA}/8080",
    f"tcp/{outside.ADDRESS}/8080",
    f"udp/{outside.ADDRESS}/8080",
    f"tcp/{outside.ADDRESS}/8081",
    f"tcp/{layout.HUB}/{layout.SERVER_PORT}",
    "tcp/172.31.74.11/10250",
    "tcp/172.31.74.12/10250",
)
"""Addresses that are no pod's: metadata, the internet, the API server, and two kubelets."""


@dataclass(frozen=True, kw_only=True)
class Cast:
    """Who tries to reach whom."""

    probes: tuple[Probe, ...]
    outside: tuple[str, ...]
    """Addresses that are no pod's."""


REAL_NODES = Cast(probes=PROBES, outside=OUTSIDE)


def make(instance: Instance, cast: Cast = REAL_NODES) -> None:
    """Make the tenants, and start the probes."""
    admin = Api(instance.admin_kubeconfig)
    admin.apply(kinds.SECURE_TENANT, ACME, manager="e2e").ok()
    admin.patch(kinds.SECURE_TENANT, "beta", BETA).ok()
    admin.create(kinds.NAMESPACE, {"metadata": {"name": "tools"}}).ok()
    kubectl(instance, "wait", "--for=condition=Ready", "securetenant", "--all", "--timeout=60s")
    start(instance, *cast.probes)


def start(instance: Instance, *probes: Probe) -> None:
    """Start probes, and wait until they run."""
    admin = Api(instance.admin_kubeconfig)
    for each in probes:
        wait_for_account(admin, each.namespace)
        admin.create_pod(each.namespace, each.body()).ok()
    for each in probes:
        kubectl(
            instance,
            "wait",
            "--for=condition=Ready",
            f"pod/{each.name}",
            f"-n{each.namespace}",
            "--timeout=120s",
        )


def remove(instance: Instance, *probes: Probe) -> None:
    """End probes, and wait until they are gone."""
    for each in probes:
        kubectl(
            instance,
            "delete",
            "pod",
            each.name,
            f"-n{each.namespace}",
            "--ignore-not-found",
            "--now",
        )


def said(instance: Instance, probe: Probe) -> list[Any]:
    """Return all that a probe has said, line by line."""
    text = kubectl(instance, "logs", f"-n{probe.namespace}", probe.name)
    return [json.loads(line) for line in text.splitlines()]


def address(instance: Instance, namespace: str, pod: str) -> str:
    """Return the address of a pod."""
    body = Api(instance.admin_kubeconfig).get(kinds.POD, pod, namespace)
    return str(body["status"]["podIP"])


def run(instance: Instance, namespace: str, pod: str, *arguments: str) -> Any:
    """Run the probe's program in its pod; return the last thing that it said."""
    text = kubectl(instance, "exec", f"-n{namespace}", pod, "--", "/probe", *arguments)
    return json.loads(text.splitlines()[-1])


Key = tuple[str, str, str]
"""Source, target and port of a flow, in words."""


def measured(instance: Instance, cast: Cast = REAL_NODES, *, without: str = "") -> dict[Key, bool]:
    """Try every flow by packets, but for those from one node."""
    bodies = _bodies(instance, cast)
    targets = {
        f"{protocol}/{_address(body)}/{port}": (name, f"{protocol} {port}")
        for name, body in bodies.items()
        for protocol, port in PORTS
        # A node has one port 8080, whichever pod asks for it; and that of the API server's side.
        if not body["spec"].get("hostNetwork") or port != 53
    }
    for each in cast.outside:
        protocol, address, port = each.split("/")
        targets[each] = (address, f"{protocol} {port}")

    def tried(source: str) -> Iterator[tuple[Key, bool]]:
        namespace, _, pod = source.partition("/")
        answers = run(instance, namespace, pod, "try", *targets)
        for target, (name, port) in targets.items():
            yield (source, name, port), answers[target]

    sources = [name for name, body in bodies.items() if body["spec"]["nodeName"] != without]
    with ThreadPoolExecutor(len(sources)) as pool:
        found = dict(itertools.chain.from_iterable(pool.map(lambda each: [*tried(each)], sources)))
    judged = expected(instance, cast)
    return {key: found[key] for key in sorted(found) if key in judged}


def expected(instance: Instance, cast: Cast = REAL_NODES) -> dict[Key, bool]:
    """Compute the same flows from the objects; what nothing decides about is left out."""
    admin = Api(instance.admin_kubeconfig)
    bodies = _bodies(instance, cast)
    world = World(
        [live.namespace(each) for each in admin.list(kinds.NAMESPACE)],
        [*live.pods(bodies.values())],
        admin.list(kinds.NETWORK_POLICY),
        admin.list(kinds.CLUSTER_NETWORK_POLICY) if has_cluster_policies(admin) else (),
    )
    found: dict[Key, bool] = {}
    for (source, one), (target, other) in itertools.product(bodies.items(), repeat=2):
        if _is_outside_by_definition(one, other):
            continue
        flows = world.flows(one["metadata"]["namespace"], other["metadata"]["namespace"])
        mine = [
            each
            for each in flows
            if one["metadata"]["name"] in each.source.pods
            and other["metadata"]["name"] in each.target.pods
        ]
        for protocol, port in PORTS:
            if other["spec"].get("hostNetwork") and port == 53:
                continue
            found[source, target, f"{protocol} {port}"] = any(
                span.protocol == protocol.upper() and span.first <= port <= span.last
                for flow in mine
                for span in flow.ports
            )
    for source, body in bodies.items():
        if world.tenant(body["metadata"]["namespace"]):
            found |= _outward(world, source, body, cast.outside)
    return found


def _outward(
    world: World, source: str, body: dict[str, Any], outside: Iterable[str]
) -> Iterator[tuple[Key, bool]]:
    openings = [
        each
        for each in world.outside(body["metadata"]["namespace"])
        if each.direction == "Egress" and body["metadata"]["name"] in each.end.pods
    ]
    for target in outside:
        protocol, address, port = target.split("/")
        wanted = blocks.address(address)
        yield (
            (source, address, f"{protocol} {port}"),
            any(
                blocks.holds(each.addresses, wanted)
                and span.protocol == protocol.upper()
                and span.first <= int(port) <= span.last
                for each in openings
                for span in each.ports
            ),
        )


def _is_outside_by_definition(source: dict[str, Any], target: dict[str, Any]) -> bool:
    """Tell whether no policy decides: a pod and itself, and a node and the pods on it."""
    if source["metadata"]["uid"] == target["metadata"]["uid"]:
        return True
    if not (source["spec"].get("hostNetwork") or target["spec"].get("hostNetwork")):
        return False
    return bool(source["spec"]["nodeName"] == target["spec"]["nodeName"])


def _bodies(instance: Instance, cast: Cast) -> dict[str, dict[str, Any]]:
    admin = Api(instance.admin_kubeconfig)
    return {
        f"{each.namespace}/{each.name}": admin.get(kinds.POD, each.name, each.namespace)
        for each in cast.probes
    }


def _address(body: dict[str, Any]) -> str:
    return str(ipaddress.ip_address(body["status"]["podIP"]))


def has_cluster_policies(admin: Api) -> bool:
    """Tell whether the cluster serves ClusterNetworkPolicies."""
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    name = "clusternetworkpolicies.policy.networking.k8s.io"
    return admin.call("GET", f"{path}/{name}").status == 200


def agreed(
    instance: Instance, cast: Cast = REAL_NODES, *, seconds: float = 5, without: str = ""
) -> dict[Key, bool]:
    """Wait until packets and computation agree about every flow; return them.

    With ``without``, the flows that begin on that node are left out.
    """
    found: dict[Key, bool] = {}
    wrong: list[str] = []

    def agree() -> bool:
        found.clear()
        try:
            found.update(measured(instance, cast, without=without))
        except AssertionError as error:
            # A kubelet that has just started may not know its pods yet.
            wrong[:] = [str(error)]
            return False
        computed = expected(instance, cast)
        wrong[:] = [
            f"{' -> '.join(key)}: computed {computed[key]}, seen {found[key]}"
            for key in found
            if computed[key] != found[key]
        ]
        return not wrong

    try:
        wait_for(agree, what="packets and computation to agree", seconds=seconds)
    except AssertionError as error:
        raise AssertionError("\n".join(wrong)) from error
    return found
