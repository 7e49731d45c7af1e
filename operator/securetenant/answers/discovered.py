"""TenancySettings for a cluster, with what was seen as comments, to be read before use."""

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from securetenant.answers.answer import Answer, Block
from securetenant.api import kinds, names
from securetenant.api.objects import Body

_DNS_NAMES = ("kube-dns", "coredns", "dns-default", "rke2-coredns-rke2-coredns")
_WIDEST_V4, _WIDEST_V6 = 8, 32
_CLOUDS = {
    "alicloud": ("Alibaba Cloud", ("100.100.100.200/32", "fd00:100::100:200/128")),
    "aws": ("AWS", ("169.254.169.254/32", "fd00:ec2::254/128")),
    "azure": ("Azure", ("168.63.129.16/32", "169.254.169.254/32")),
    "gce": ("Google Cloud", ("169.254.169.254/32", "fd20:ce::254/128")),
    "oci": ("Oracle Cloud", ("169.254.169.254/32", "fd00:c1::a9fe:a9fe/128")),
    "openstack": ("OpenStack", ("169.254.169.254/32", "fe80::a9fe:a9fe/128")),
    "scaleway": ("Scaleway", ("169.254.42.42/32", "fd00:42::42/128")),
}
"""By the beginning of a node's providerID; addresses as in :data:`names.METADATA_ADDRESSES`."""
_ANYWHERE = ("168.63.129.16/32", "169.254.169.254/32", "fd00:ec2::254/128")
_CONTROLLERS = (
    "contour",
    "haproxy-ingress",
    "ingress-nginx",
    "kong",
    "nginx-ingress",
    "traefik",
)
"""Values of app.kubernetes.io/name by which ingress controllers are known."""
_TYPED = frozenset({"false", "n", "no", "null", "off", "on", "true", "y", "yes"})
_NAME_LABEL = "app.kubernetes.io/name"
_DEFAULTS = """\
  # What a tenant gets that asks for nothing.
  defaultQuota:
    configmaps: 100
    count/controllerrevisions.apps: 500
    count/cronjobs.batch: 50
    count/daemonsets.apps: 20
    count/deployments.apps: 100
    count/horizontalpodautoscalers.autoscaling: 100
    count/ingresses.networking.k8s.io: 20
    count/jobs.batch: 200
    count/leases.coordination.k8s.io: 50
    count/poddisruptionbudgets.policy: 100
    count/podtemplates: 0
    count/replicasets.apps: 1000
    count/resourceclaims.resource.k8s.io: 0
    count/resourceclaimtemplates.resource.k8s.io: 0
    count/roles.rbac.authorization.k8s.io: 50
    count/serviceaccounts: 100
    count/statefulsets.apps: 50
    limits.cpu: 16
    limits.ephemeral-storage: 32Gi
    limits.memory: 16Gi
    persistentvolumeclaims: 20
    pods: 50
    replicationcontrollers: 0
    requests.cpu: 4
    requests.ephemeral-storage: 16Gi
    requests.memory: 8Gi
    requests.storage: 100Gi
    secrets: 100
    services: 50
    services.loadbalancers: 0
    services.nodeports: 0
  teardownsPerHour: 5
  mirrorPods:
    namespaces: [kube-system]
    refusedLabels: [k8s-app]
"""
"""What no cluster shows, as in ``manifests/settings/default.yaml``."""
_AGENTS = {
    ("argocd", "argocd-application-controller"): "argocd",
    ("cattle-system", "rancher"): "rancher",
    ("cert-manager", "cert-manager"): "cert-manager",
    ("metallb-system", "controller"): "metallb",
    ("velero", "velero"): "velero",
}
"""ServiceAccounts of programs, and the component of manifests/settings/agents for each."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What was read of a cluster; nothing: it may not be read."""

    services: Sequence[Body] | None = None
    endpoints: Sequence[Body] | None = None
    nodes: Sequence[Body] | None = None
    service_networks: Sequence[str] | None = None
    workloads: Sequence[Body] | None = None
    """Deployments and DaemonSets."""
    accounts: Sequence[Body] | None = None


def discover(seen: Seen) -> Answer:
    """Answer with settings that can be applied after they were read."""
    lines = [
        "# What holds for every tenant of this cluster. Read it before you apply it: each part",
        "# says by what it was found.",
        f"apiVersion: {names.API_VERSION}",
        f"kind: {kinds.TENANCY_SETTINGS.name}",
        "metadata:",
        f"  name: {names.SETTINGS_NAME}",
        "spec:",
        *_dns(seen),
        *_metadata(seen),
        *_api_server(seen),
        *_networks(seen),
        *_ingress(seen),
        *_agents(seen),
        "  protectedNames: []",
        *_DEFAULTS.splitlines(),
    ]
    text = "\n".join(lines) + "\n"
    return Answer(kind="Discovery", data={"manifest": text}, sections=(Block(text=text),))


def text(answer: Answer) -> str:
    """Return the manifest of an answer, to be written into a file."""
    return str(answer.data["manifest"])


def _dns(seen: Seen) -> Iterator[str]:
    yield "  dns:"
    found = [
        each
        for each in seen.services or ()
        if each["metadata"]["name"] in _DNS_NAMES
        or (each["metadata"].get("labels") or {}).get("k8s-app") == "kube-dns"
    ]
    selectors = [
        (each["metadata"], each["spec"]["selector"])
        for each in found
        if each["spec"].get("selector")
    ]
    ports = sorted(
        {
            port.get("targetPort", port["port"])
            for each in found
            for port in each["spec"].get("ports") or ()
            if port.get("port") == 53 and isinstance(port.get("targetPort", port["port"]), int)  # noqa: PLR2004 - DNS.
        }
        | {53}
    )
    if selectors:
        yield "    pods:"
        for metadata, selector in selectors:
            yield f"    # The pods of Service {metadata['namespace']}/{metadata['name']}."
            yield f"    - namespaceLabels: {_flow(_named(metadata['namespace']))}"
            yield f"      podLabels: {_flow(selector)}"
    else:
        yield "    pods:"
        yield "    # No Service of DNS was seen: this is how kubeadm installs CoreDNS. Look at it."
        yield f"    - namespaceLabels: {_flow(_named('kube-system'))}"
        yield "      podLabels: {k8s-app: kube-dns}"
    yield "    # NodeLocal DNS, which is no pod to a NetworkPolicy; harmless where there is none."
    yield "    addresses: [169.254.20.10/32]"
    yield f"    ports: [{', '.join(map(str, ports))}]"


def _metadata(seen: Seen) -> Iterator[str]:
    providers = {
        str((each.get("spec") or {}).get("providerID", "")).partition(":")[0]
        for each in seen.nodes or ()
    }
    known = sorted(providers & _CLOUDS.keys())
    if known:
        yield f"  # Nodes are of {', '.join(_CLOUDS[each][0] for each in known)} (spec.providerID)."
    else:
        yield "  # No cloud is named by the nodes: these are the most common ones."
    addresses = sorted({a for each in known for a in _CLOUDS[each][1]}) or _ANYWHERE
    yield "  metadataAddresses:"
    yield from (f"  - {each}" for each in addresses)


def _api_server(seen: Seen) -> Iterator[str]:
    service = next(
        (
            each
            for each in seen.services or ()
            if (each["metadata"]["namespace"], each["metadata"]["name"])
            == ("default", "kubernetes")
        ),
        None,
    )
    addresses = (
        [ip for ip in (service["spec"].get("clusterIPs") or ()) if service] if service else []
    )
    ports = {port["port"] for port in service["spec"].get("ports") or ()} if service else set()
    for each in seen.endpoints or ():
        if (each["metadata"].get("labels") or {}).get("kubernetes.io/service-name") == "kubernetes":
            addresses += [ip for end in each.get("endpoints") or () for ip in end["addresses"]]
            ports |= {port["port"] for port in each.get("ports") or () if port.get("port")}
    if not addresses:
        yield "  # apiServer: its addresses were not seen; without them no tenant's pods reach it."
        return
    hosts = [str(ipaddress.ip_network(each)) for each in dict.fromkeys(addresses)]
    yield "  # Service default/kubernetes, and its endpoints."
    yield "  apiServer:"
    yield f"    addresses: [{', '.join(_quoted(each) for each in hosts)}]"
    yield f"    ports: [{', '.join(map(str, sorted(ports or {443})))}]"


def _networks(seen: Seen) -> Iterator[str]:
    nodes = [
        each["address"]
        for node in seen.nodes or ()
        for each in (node.get("status") or {}).get("addresses") or ()
        if each.get("type") == "InternalIP"
    ]
    if around := _around(nodes):
        yield f"  # The smallest networks that hold the addresses of {len(seen.nodes or ())} nodes:"
        yield "  # write the networks that nodes may come to have."
        yield f"  nodeNetworks: [{', '.join(map(_quoted, around))}]"
    else:
        yield "  # nodeNetworks: the nodes show no addresses that have a network in common."
    pods = [
        each for node in seen.nodes or () for each in (node.get("spec") or {}).get("podCIDRs") or ()
    ]
    if around := _around(pods):
        yield "  # The smallest networks that hold the podCIDRs of the nodes."
        yield f"  podNetworks: [{', '.join(map(_quoted, around))}]"
    else:
        yield "  # podNetworks: the nodes show no podCIDRs; your network plugin knows them."
    if seen.service_networks:
        told = ", ".join(seen.service_networks)
        yield f"  # Services have addresses of {told} (ServiceCIDR): nothing to write."


def _ingress(seen: Seen) -> Iterator[str]:
    found = {}
    for each in seen.workloads or ():
        labels = ((each["spec"].get("template") or {}).get("metadata") or {}).get("labels") or {}
        name = labels.get(_NAME_LABEL, "")
        if name in _CONTROLLERS:
            found[name, each["metadata"]["namespace"]] = each["kind"]
    if not found:
        yield "  # ingressControllers: none was seen. Openings name them: add your cluster's."
        return
    yield "  ingressControllers:"
    used: set[str] = set()
    for (name, namespace), kind in sorted(found.items()):
        called = name if name not in used else f"{name}-{namespace}"
        used.add(name)
        yield f"  # A {kind} in {namespace}."
        yield f"  - name: {called}"
        yield f"    namespaceLabels: {_flow(_named(namespace))}"
        yield f"    podLabels: {{{_NAME_LABEL}: {name}}}"


def _agents(seen: Seen) -> Iterator[str]:
    there = {
        (each["metadata"]["namespace"], each["metadata"]["name"]) for each in seen.accounts or ()
    }
    found = sorted(component for account, component in _AGENTS.items() if account in there)
    yield "  # Programs that write into tenants' namespaces (docs/controls/agents.md)."
    if found:
        yield "  # Seen here, each with a component to add to your kustomization:"
        yield from (f"  #   manifests/settings/agents/{each}" for each in found)
    else:
        yield "  # None of those with a ready entry was seen."
    yield "  agents: []"


def _around(texts: Iterable[str]) -> list[str]:
    """Return the smallest network of each family that holds all; none that is nearly everything."""
    found = []
    networks = [ipaddress.ip_network(each, strict=False) for each in texts]
    for version, widest in ((4, _WIDEST_V4), (6, _WIDEST_V6)):
        own: list[Any] = [each for each in networks if each.version == version]
        if not own:
            continue
        whole = own[0]
        while not all(each.subnet_of(whole) for each in own):
            whole = whole.supernet()
        if whole.prefixlen >= widest:
            found.append(str(whole))
    return found


def _named(namespace: str) -> Body:
    return {names.NAMESPACE_NAME_LABEL: namespace}


def _flow(labels: Body) -> str:
    return (
        "{" + ", ".join(f"{_scalar(key)}: {_scalar(labels[key])}" for key in sorted(labels)) + "}"
    )


def _scalar(words: str) -> str:
    """Return a part of a label as YAML: what YAML takes for another type is quoted."""
    letters = words.replace("-", "").replace(".", "").replace("/", "").replace("_", "")
    is_plain = letters.isalpha() and words.lower() not in _TYPED
    return words if is_plain else f'"{words}"'


def _quoted(network: str) -> str:
    return f'"{network}"' if ":" in network else network
