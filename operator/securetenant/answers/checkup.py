"""Is a cluster ready for tenants, is the installation whole, is the operator at work.

And the posture of the cluster, or of one tenant (:mod:`securetenant.checks.posture`). Each line is
Pass, Fail or Unknown with its evidence, never a guess.
"""

import ipaddress
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from securetenant.answers import standing
from securetenant.answers.answer import FINE, FOUND, Answer, Table
from securetenant.api import kinds, names, status
from securetenant.api.access import Grant
from securetenant.api.objects import Body
from securetenant.api.tenancysettings import SettingsSpec
from securetenant.api.tenantpolicy import PolicySpec
from securetenant.checks import posture
from securetenant.checks.attacks import access, objects, pods
from securetenant.checks.attacks.objects import Other
from securetenant.checks.posture import Readings, Result
from securetenant.concerns.policies.installed import Installed
from securetenant.plan import ownership, pack, schemas

_OLDEST, _BEST = 34, 36
"""Minor versions of Kubernetes: what is needed, and from where on policies fill in defaults."""
_ENFORCING = {
    "antrea-agent": "Antrea",
    "anetd": "GKE Dataplane V2",
    "aws-node": "",
    "calico-node": "Calico",
    "canal": "Canal",
    "cilium": "Cilium",
    "kube-router": "kube-router",
    "ovnkube-node": "OVN-Kubernetes",
    "weave-net": "Weave Net",
}
"""DaemonSets of network plugins, and their names; without one, it depends on how it is set up."""
_NOT_ENFORCING = {"kube-flannel-ds": "Flannel"}


class Line(NamedTuple):
    """One check."""

    area: str
    name: str
    result: Result
    evidence: str
    remedy: str = ""
    threats: str = ""
    sources: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What was read; nothing: it may not be read."""

    version: str = ""
    crds: Sequence[Body] | None = None
    policies: Sequence[Body] | None = None
    """Of the pack, with their bindings."""
    mutates: bool = False
    roles: Sequence[Body] | None = None
    """Every ClusterRole and ClusterRoleBinding."""
    settings: SettingsSpec | None = None
    settings_problem: str = ""
    platform: Body | None = None
    """TenancySettings with their status; empty: there are none."""
    deployment: Body | None = None
    lease: Body | None = None
    """The Lease of the operator; empty: there is none."""
    services: Sequence[Body] | None = None
    """Of kube-system."""
    endpoints: Sequence[Body] | None = None
    """EndpointSlices of the API server."""
    daemon_sets: Sequence[Body] | None = None
    tenants: Mapping[str, Body] | None = None
    readings: Readings
    now: datetime


def check(seen: Seen, *, everything: bool, about: str = "") -> Answer:
    """Answer with every check; a failed one is FOUND. ``about`` is a tenant, or nothing."""
    lines = [*(() if about else _installation(seen)), *posture_of(seen.readings)]
    counts = Counter(each.result for each in lines)
    shown = [each for each in lines if everything or _is_news(each, bool(about))]
    shown.sort(key=lambda each: _ORDER.index(each.result))
    told = ", ".join(f"{counts[each]} {each}" for each in _ORDER)
    tables = tuple(
        Table(
            title=area,
            columns=("Check", "Result", "Evidence, or what would show it", "Remedy"),
            rows=tuple(
                (each.name, str(each.result), each.evidence, each.remedy)
                for each in shown
                if each.area == area
            ),
        )
        for area in dict.fromkeys(each.area for each in lines)
    )
    more = "" if everything else " Everything is shown by --all."
    return Answer(
        kind="Check",
        data={"checks": [{**each._asdict(), "result": str(each.result)} for each in lines]},
        sections=(f"{told}.{more}", *tables),
        code=FOUND if counts[Result.FAIL] else FINE,
    )


def _is_news(line: Line, is_tenant: bool) -> bool:
    """Tell whether a line is shown unasked: what no cluster can show by itself is not."""
    if line.result is Result.UNKNOWN:
        return line.area != _POSTURE or is_tenant
    return line.result is Result.FAIL


_ORDER = (Result.FAIL, Result.UNKNOWN, Result.PASS)
_CLUSTER, _INSTALLED, _POSTURE = "Cluster", "Installation", "Posture"


# --- the installation -----------------------------------------------------------------------


def _installation(seen: Seen) -> Iterator[Line]:
    yield _version(seen)
    yield _plugin(seen)
    yield _dns(seen)
    yield _api_server(seen)
    yield _crds(seen)
    yield from _installed(seen)
    yield _settings(seen)
    yield _operator(seen)
    yield _heartbeat(seen)
    yield _tenants(seen)


def _version(seen: Seen) -> Line:
    line = Line(_CLUSTER, "Version of Kubernetes", Result.UNKNOWN, "the version of the API server")
    parts = seen.version.removeprefix("v").split(".")
    if len(parts) < 2 or not parts[1].rstrip("+").isdecimal():  # noqa: PLR2004 - major and minor.
        return line
    minor = int(parts[1].rstrip("+"))
    if minor < _OLDEST:
        return line._replace(
            result=Result.FAIL,
            evidence=f"{seen.version}; 1.{_OLDEST} is needed",
            remedy="Upgrade the cluster",
        )
    if minor < _BEST:
        return line._replace(
            result=Result.PASS, evidence=f"{seen.version}; {pack.WITHOUT_MUTATION}"
        )
    return line._replace(result=Result.PASS, evidence=seen.version)


def _plugin(seen: Seen) -> Line:
    line = Line(
        _CLUSTER,
        "A network plugin that enforces NetworkPolicies",
        Result.UNKNOWN,
        "its DaemonSet, or the packet probe (docs/controls/network.md)",
    )
    said = _conditions(seen.platform).get(status.PACKETS_FILTERED, {})
    if said.get("status") == "True":
        return line._replace(result=Result.PASS, evidence=said["message"])
    if said.get("status") == "False":
        return line._replace(
            result=Result.FAIL,
            evidence=said["message"],
            remedy="docs/runbooks.md, SecureTenantPacketsNotFiltered",
        )
    there = {each["metadata"]["name"] for each in seen.daemon_sets or ()}
    known = sorted(_ENFORCING[each] for each in there & _ENFORCING.keys() if _ENFORCING[each])
    if known:
        return line._replace(
            result=Result.PASS, evidence=f"{', '.join(known)} runs here; no packet was tried"
        )
    if lacking := sorted(_NOT_ENFORCING[each] for each in there & _NOT_ENFORCING.keys()):
        return line._replace(
            result=Result.FAIL,
            evidence=f"{', '.join(lacking)} enforces no NetworkPolicy by itself",
            remedy="Install one that does, such as Calico or Cilium",
        )
    return line


def _dns(seen: Seen) -> Line:
    line = Line(
        _CLUSTER, "The DNS of the settings", Result.UNKNOWN, "the Service of DNS, and the settings"
    )
    if seen.services is None or seen.settings is None:
        return line
    servers = [
        each
        for each in seen.services
        if (each["metadata"].get("labels") or {}).get("k8s-app") == "kube-dns"
    ]
    if not servers:
        return line._replace(evidence="no Service of kube-system is labelled k8s-app: kube-dns")
    dns = seen.settings.dns
    for each in servers:
        selector = each["spec"].get("selector") or {}
        addresses = [ip for ip in each["spec"].get("clusterIPs") or () if ip != "None"]
        by_labels = any(each_pods.pod_labels.items() <= selector.items() for each_pods in dns.pods)
        if by_labels or (addresses and all(_holds(dns.addresses, ip) for ip in addresses)):
            how = "the labels of its pods" if by_labels else "its address"
            return line._replace(
                result=Result.PASS,
                evidence=f"dns names {how}: Service {each['metadata']['name']}",
            )
    name, selector = servers[0]["metadata"]["name"], servers[0]["spec"].get("selector") or {}
    told = ", ".join(f"{key}={value}" for key, value in sorted(selector.items()))
    return line._replace(
        result=Result.FAIL,
        evidence=f"Service {name} selects pods with {told}, which dns does not name",
        remedy="Write these labels into spec.dns.pods of TenancySettings",
    )


def _api_server(seen: Seen) -> Line:
    line = Line(
        _CLUSTER,
        "The API server of the settings",
        Result.UNKNOWN,
        "the EndpointSlices of Service kubernetes, and the settings",
    )
    if seen.endpoints is None or seen.settings is None:
        return line
    found = sorted(
        address
        for each in seen.endpoints
        if (each["metadata"].get("labels") or {}).get("kubernetes.io/service-name") == "kubernetes"
        for endpoint in each.get("endpoints") or ()
        for address in endpoint.get("addresses") or ()
    )
    listed = (seen.settings.api_server.addresses if seen.settings.api_server else None) or ()
    if not found:
        return line
    if missing := [each for each in found if not _holds(listed, each)]:
        return line._replace(
            result=Result.FAIL,
            evidence=f"it answers at {', '.join(missing)}, which apiServer.addresses do not hold",
            remedy=(
                "Add them to spec.apiServer.addresses of TenancySettings, so that openings by cidr"
                " leave them out"
            ),
        )
    return line._replace(
        result=Result.PASS, evidence=f"apiServer.addresses hold {', '.join(found)}"
    )


def _holds(networks: Iterable[str], address: str) -> bool:
    found = ipaddress.ip_address(address)
    return any(
        found in ipaddress.ip_network(each, strict=False)
        for each in networks
        if ipaddress.ip_network(each, strict=False).version == found.version
    )


def _crds(seen: Seen) -> Line:
    line = Line(_INSTALLED, "CustomResourceDefinitions", Result.UNKNOWN, "every CRD")
    if seen.crds is None:
        return line
    there = {each["metadata"]["name"]: each for each in seen.crds}
    for name in schemas.expected():
        if problem := schemas.problem(name, there.get(name)):
            return line._replace(
                result=Result.FAIL, evidence=problem, remedy="kubectl apply -k crds"
            )
    return line._replace(result=Result.PASS, evidence="those of this version")


def _installed(seen: Seen) -> Iterator[Line]:
    known = Installed()
    known.mutates = seen.mutates
    for body in (*(seen.policies or ()), *(seen.roles or ())):
        known.take(ownership.ref_of(body), body)
    checked = (
        ("Admission policies", seen.policies, known.policies_problem, "every policy of the pack"),
        ("Roles of members", seen.roles, known.access_problem, "every ClusterRole"),
        ("Roles of the operator", seen.roles, known.own_roles_problem, "every ClusterRole"),
    )
    for name, read, problem, shows in checked:
        line = Line(_INSTALLED, name, Result.UNKNOWN, shows)
        if read is not None and problem:
            yield line._replace(
                result=Result.FAIL, evidence=problem, remedy="kubectl apply -k manifests"
            )
        elif read is not None:
            yield line._replace(result=Result.PASS, evidence="those of this version, unchanged")
        else:
            yield line
    line = Line(_INSTALLED, "Who may get around the policies", Result.UNKNOWN, "every ClusterRole")
    if seen.roles is not None:
        told = ", ".join(known.override_holders)
        line = line._replace(result=Result.PASS, evidence=f"known holders of override: {told}")
    yield line


def _settings(seen: Seen) -> Line:
    line = Line(_INSTALLED, "TenancySettings", Result.PASS, "there, and understood")
    if seen.settings is None:
        return line._replace(
            result=Result.UNKNOWN if seen.platform is None else Result.FAIL,
            evidence=seen.settings_problem or _absent(seen.platform, "TenancySettings default"),
            remedy="kubectl apply -k manifests/settings, then make them fit: securetenant discover",
        )
    return line


def _absent(body: Body | None, what: str, otherwise: str = "") -> str:
    """Say that something is not there, where that is known."""
    if body is None:
        return what
    return otherwise if body else f"there is no {what}"


def _operator(seen: Seen) -> Line:
    line = Line(_INSTALLED, "The Deployment of the operator", Result.UNKNOWN, "the Deployment")
    if seen.deployment is None:
        return line
    available = _conditions(seen.deployment).get("Available", {})
    if available.get("status") == "True":
        return line._replace(result=Result.PASS, evidence="Available")
    return line._replace(
        result=Result.FAIL,
        evidence=str(available.get("message") or "not Available"),
        remedy=f"kubectl describe deployment {names.OPERATOR} -n {names.OPERATOR_NAMESPACE}",
    )


def _heartbeat(seen: Seen) -> Line:
    line = Line(
        _INSTALLED,
        "The operator is at work",
        Result.UNKNOWN,
        f"Lease {names.OPERATOR} in {names.OPERATOR_NAMESPACE}",
    )
    if seen.lease is None:
        return line
    spec = seen.lease.get("spec") or {}
    if not spec.get("renewTime"):
        return line._replace(
            result=Result.FAIL,
            evidence=_absent(seen.lease, line.evidence, "nobody holds it"),
            remedy="Start the operator: kubectl apply -k manifests",
        )
    age = (seen.now - datetime.fromisoformat(spec["renewTime"])).total_seconds()
    told = f"its Lease was renewed {age:.0f} s ago by {spec.get('holderIdentity', '')}"
    if age <= float(spec.get("leaseDurationSeconds", 0)):
        return line._replace(result=Result.PASS, evidence=told)
    return line._replace(
        result=Result.FAIL,
        evidence=told,
        remedy=f"kubectl logs deployment/{names.OPERATOR} -n {names.OPERATOR_NAMESPACE}",
    )


def _conditions(body: Body | None) -> dict[str, dict[str, Any]]:
    """Return what an object says of itself, by type; of one that is not there, nothing."""
    return standing.conditions(body) if body else {}


def _tenants(seen: Seen) -> Line:
    if seen.tenants is None:
        return Line(_INSTALLED, "Tenants", Result.UNKNOWN, "every SecureTenant")
    broken = []
    for name, body in sorted(seen.tenants.items()):
        found = standing.conditions(body)
        stands = (
            found.get(type_, {}).get("status")
            for type_ in (status.READY, status.ISOLATION_VERIFIED)
        )
        if standing.is_unseen(body) or "False" in stands:
            broken.append(name)
    line = Line(
        _INSTALLED, "Tenants", Result.PASS, f"{len(seen.tenants)} tenants, none with a fault"
    )
    if broken:
        return line._replace(
            result=Result.FAIL,
            evidence=f"{len(broken)} of {len(seen.tenants)} not ready, not verified or not seen:"
            f" {', '.join(broken[:5])}",
            remedy="securetenant status TENANT",
        )
    return line


# --- the posture ----------------------------------------------------------------------------


def posture_of(readings: Readings) -> Iterator[Line]:
    """Yield the checks of the posture."""
    for check_, found in posture.assess(readings):
        yield Line(
            _POSTURE,
            check_.title,
            found.result,
            found.evidence,
            threats="".join(check_.threats),
            sources=", ".join(check_.sources),
        )


def rows_tried(policy: PolicySpec, grants: Iterable[Grant], namespace: str) -> frozenset[str]:
    """Return the rows of the catalogue that the operator tries in a namespace."""
    other = Other("another-tenant", "another-namespace")
    attempts = (
        *pods.attempts(policy, other.tenant),
        *objects.attempts(policy, namespace, other),
    )
    questions = (
        question
        for who in access.asked_about(grants, namespace, 0)
        for question in access.questions(who, namespace, other, 0)
    )
    return frozenset({*(each.row for each in attempts), *(each.row for each in questions)})


def reading_of_node(body: Body) -> posture.Node:
    """Reduce a Node."""
    info = (body.get("status") or {}).get("nodeInfo") or {}
    labels = body["metadata"].get("labels") or {}
    role = "node-role.kubernetes.io/control-plane"
    taints = (body.get("spec") or {}).get("taints") or ()
    return posture.Node(
        body["metadata"]["name"],
        str(info.get("kubeletVersion", "")),
        str(info.get("osImage", "")),
        role in labels,
        any(each.get("key") == role and each.get("effect") == "NoSchedule" for each in taints),
    )


def reading_of_binding(body: Body) -> posture.Binding | None:
    """Reduce a ClusterRoleBinding, or a RoleBinding to a ClusterRole."""
    role = body.get("roleRef") or {}
    if role.get("kind") != kinds.CLUSTER_ROLE.name:
        return None
    subjects = tuple(
        (str(each.get("kind")), str(each.get("name")), str(each.get("namespace") or ""))
        for each in body.get("subjects") or ()
    )
    return posture.Binding(str(role["name"]), subjects, body["metadata"].get("namespace", ""))


def has_secrets_as_variables(pod: Body) -> bool:
    """Tell whether a pod gets Secrets as variables."""
    spec = pod.get("spec") or {}
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        if any("secretRef" in each for each in container.get("envFrom") or ()):
            return True
        if any(
            "secretKeyRef" in (each.get("valueFrom") or {}) for each in container.get("env") or ()
        ):
            return True
    return False


def exposed(services: Iterable[Body]) -> tuple[str, ...]:
    """Return the Services that are reached from outside of the cluster."""
    return tuple(
        f"{each['metadata']['namespace']}/{each['metadata']['name']}"
        for each in services
        if each["spec"].get("type") in ("LoadBalancer", "NodePort")
    )


def subjects_of(bodies: Iterable[Body]) -> frozenset[tuple[str, str, str]]:
    """Return who has access by these SecureTenants."""
    found: set[tuple[str, str, str]] = set()
    for body in bodies:
        for grant in _listed((body.get("spec") or {}).get("access")):
            for each in _listed(grant.get("subjects")):
                found.add(
                    (str(each.get("kind")), str(each.get("name")), str(each.get("namespace") or ""))
                )
    return frozenset(found)


def _listed(value: Any) -> list[Any]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
