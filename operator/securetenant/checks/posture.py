"""The posture of a cluster and of a tenant: a table of checks, each Pass, Fail or Unknown.

Never a guess: what was not read is Unknown, with what would show it. Each check names where it
comes from and what it protects from (STRIDE): sections of the CIS Kubernetes Benchmark 1.12, and
of the NSA/CISA Kubernetes Hardening Guide by the numbers of k8s-nsa-1.0, without one its text. CIS
calls the checks of section 5 manual, so a verdict here is the product's.

Readings are plain values that the caller has read. Nothing is read here.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from securetenant.api import status
from securetenant.checks.attacks.verdicts import Verdict

_TOLD = 3
_EVERYBODY = frozenset(
    {
        ("Group", "system:authenticated", ""),
        ("Group", "system:serviceaccounts", ""),
        ("Group", "system:unauthenticated", ""),
        ("User", "system:anonymous", ""),
    }
)
"""Who everybody is, or every program of every tenant."""
_ACCOUNTS = "system:serviceaccounts:"
_ACCOUNT = "system:serviceaccount:"
_ANY = "*"
_CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
_SKEW = 3
"""How many minor versions a kubelet may be older than the API server (Kubernetes, "Version Skew
Policy")."""


class Result(StrEnum):
    """What a check came to."""

    PASS = "Pass"  # noqa: S105 - no password.
    FAIL = "Fail"
    UNKNOWN = "Unknown"


class Threat(StrEnum):
    """A letter of STRIDE."""

    SPOOFING = "S"
    TAMPERING = "T"
    REPUDIATION = "R"
    DISCLOSURE = "I"
    DENIAL = "D"
    ELEVATION = "E"


class Node(NamedTuple):
    """A node, as its object says."""

    name: str
    kubelet: str
    """The version of its kubelet, like v1.37.1."""
    system: str
    """Its operating system."""
    is_control_plane: bool
    is_kept_free: bool
    """Whether a taint NoSchedule of the control plane keeps ordinary pods away."""


class Kubelet(NamedTuple):
    """The configuration of a kubelet, as it says itself; nothing: that was not in it."""

    anonymous: bool | None
    authorization: str | None
    read_only_port: int | None
    rotates: bool | None
    """Whether it renews its client certificate."""


class Binding(NamedTuple):
    """Who has which role."""

    role: str
    """The name of a ClusterRole."""
    subjects: tuple[tuple[str, str, str], ...]
    """Kind, name, and namespace of a ServiceAccount."""
    namespace: str = ""
    """Where; empty: in the whole cluster."""


Rules = tuple[Mapping[str, Any], ...]
"""The rules of a ClusterRole."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Readings:
    """What was read; nothing: it was not."""

    server: str | None = None
    """The version of the API server, like v1.37.1."""
    nodes: tuple[Node, ...] | None = None
    kubelets: Mapping[str, Kubelet | None] | None = None
    """By node; nothing: that one was not read."""
    bindings: tuple[Binding, ...] | None = None
    """Every ClusterRoleBinding, and RoleBindings to ClusterRoles in the tenant's namespaces."""
    roles: Mapping[str, Rules] | None = None
    """Every ClusterRole."""
    subjects: frozenset[tuple[str, str, str]] = frozenset()
    """Who has access by the tenant's spec."""
    namespaces: frozenset[str] = frozenset()
    """The tenant's."""
    kinds: frozenset[str] | None = None
    """What the API server serves, like clusterpolicies.kyverno.io."""
    conditions: Mapping[str, str] | None = None
    """The status of each condition of the tenant, by type."""
    attacks: Mapping[str, Collection[Verdict]] | None = None
    """What came of what was tried in the tenant's namespaces, by row of the catalogue."""
    violators: int | None = None
    """How many objects that are already there would be refused today."""
    secrets_in_environment: int | None = None
    """How many pods get Secrets as variables."""
    exposed: tuple[str, ...] | None = None
    """Services of the tenant that are reached from outside of the cluster."""
    vulnerabilities: tuple[int, int] | None = None
    """Critical and high, in reports about the tenant's namespaces."""


class Found(NamedTuple):
    """What a check came to, and by what evidence; for Unknown what would show it."""

    result: Result
    evidence: str


class Check(NamedTuple):
    """One line of the table."""

    name: str
    """Stable, for machines."""
    title: str
    """What is true when it passes."""
    sources: tuple[str, ...]
    threats: tuple[Threat, ...]
    judge: Callable[[Readings], Found]


class Line(NamedTuple):
    """A check and what it came to."""

    check: Check
    found: Found


def assess(readings: Readings) -> tuple[Line, ...]:
    """Return every check with what it came to, in the order of the table."""
    return tuple(Line(check, check.judge(readings)) for check in CHECKS)


def kubelet(config: Mapping[str, Any]) -> Kubelet:
    """Reduce what a kubelet answers at /configz.

    It leaves out a port and a switch that have the value of their type, 0 and false. (Kubernetes,
    KubeletConfiguration v1beta1.)
    """
    found = config.get("kubeletconfig")
    if not isinstance(found, dict):
        return Kubelet(None, None, None, None)
    authentication = found.get("authentication") or {}
    return Kubelet(
        (authentication.get("anonymous") or {}).get("enabled"),
        (found.get("authorization") or {}).get("mode"),
        found.get("readOnlyPort", 0),
        found.get("rotateCertificates", False),
    )


# --- how a check judges ---------------------------------------------------------------------


def _unknown(shows: str) -> Callable[[Readings], Found]:
    """Return the judge of what the operator never reads; ``shows`` says what would show it."""
    return lambda _: Found(Result.UNKNOWN, shows)


def _condition(type: str) -> Callable[[Readings], Found]:
    def judge(readings: Readings) -> Found:
        found = (readings.conditions or {}).get(type)
        if found in ("True", "False"):
            result = Result.PASS if found == "True" else Result.FAIL
            return Found(result, f"condition {type} is {found}")
        return Found(Result.UNKNOWN, f"condition {type} of the SecureTenant")

    return judge


def _tried(*rows: str) -> Callable[[Readings], Found]:
    """Return the judge of what was tried: every one of these rows has to be refused."""

    def judge(readings: Readings) -> Found:
        seen = {row: set((readings.attacks or {}).get(row, ())) for row in rows}
        is_open = [row for row, verdicts in seen.items() if Verdict.OPEN in verdicts]
        if is_open:
            return Found(Result.FAIL, f"admitted: {', '.join(is_open)} (docs/proof.md)")
        missing = [row for row, verdicts in seen.items() if verdicts != {Verdict.BLOCKED}]
        if missing:
            return Found(Result.UNKNOWN, f"an attempt that is answered: {', '.join(missing)}")
        return Found(Result.PASS, f"tried and refused: {', '.join(rows)}")

    return judge


def _served(*kinds: str, what: str) -> Callable[[Readings], Found]:
    """Return the judge of a program that is known by its kinds.

    That none is served proves nothing: it may have none.
    """

    def judge(readings: Readings) -> Found:
        found = sorted(set(kinds) & (readings.kinds or frozenset()))
        if found:
            return Found(Result.PASS, f"served: {', '.join(found)}; whether it works was not seen")
        return Found(Result.UNKNOWN, f"none of its kinds is served; {what} would show it")

    return judge


def _kubelets(holds: Callable[[Kubelet], bool | None], field: str) -> Callable[[Readings], Found]:
    """Return the judge of what every kubelet has to be configured to do."""

    def judge(readings: Readings) -> Found:
        found = readings.kubelets or {}
        answers = {name: None if each is None else holds(each) for name, each in found.items()}
        failing = [name for name, answer in answers.items() if answer is False]
        if failing:
            return Found(Result.FAIL, f"{field} of {_listed(failing)}")
        silent = [name for name, answer in answers.items() if answer is None]
        silent += [each.name for each in readings.nodes or () if each.name not in found]
        if silent or not answers:
            where = f" of {_listed(silent)}" if silent else ""
            return Found(Result.UNKNOWN, f"{field} in /configz of the kubelet{where}")
        return Found(Result.PASS, f"{field} of {len(answers)} kubelets, as they say themselves")

    return judge


def _versions(readings: Readings) -> Found:
    server = _minor(readings.server or "")
    minors = {each.name: _minor(each.kubelet) for each in readings.nodes or ()}
    if server is None or not minors or None in minors.values():
        return Found(Result.UNKNOWN, "the versions of the API server and of every kubelet")
    off = [
        name
        for name, minor in minors.items()
        if minor is not None and not server - _SKEW <= minor <= server
    ]
    if off:
        return Found(
            Result.FAIL, f"kubelets of {_listed(off)}; the API server is {readings.server}"
        )
    return Found(Result.PASS, f"{len(minors)} kubelets fit API server {readings.server}")


def _systems(readings: Readings) -> Found:
    found = sorted({each.system for each in readings.nodes or () if each.system})
    told = f"nodes run {_listed(found)}; " if found else ""
    return Found(Result.UNKNOWN, f"{told}a scanner of hosts would show whether they are hardened")


def _control_plane(readings: Readings) -> Found:
    found = [each for each in readings.nodes or () if each.is_control_plane]
    if not found:
        return Found(
            Result.UNKNOWN, "no node is shown as control plane; your provider says where it runs"
        )
    free = [each.name for each in found if not each.is_kept_free]
    if free:
        return Found(Result.FAIL, f"no taint NoSchedule on {_listed(free)}")
    return Found(Result.PASS, f"taint NoSchedule on {len(found)} nodes of the control plane")


def _no_violators(readings: Readings) -> Found:
    count = readings.violators
    if count is None:
        return Found(Result.UNKNOWN, "a look through the namespaces (docs/controls/standing.md)")
    told = f"{count} objects that are already there would be refused today"
    return Found(Result.FAIL if count else Result.PASS, told)


def _no_secrets_as_variables(readings: Readings) -> Found:
    count = readings.secrets_in_environment
    if count is None:
        return Found(Result.UNKNOWN, "env and envFrom of the tenant's pods")
    return Found(Result.FAIL if count else Result.PASS, f"{count} pods get Secrets as variables")


def _not_exposed(readings: Readings) -> Found:
    if readings.exposed is None:
        return Found(Result.UNKNOWN, "the types of the tenant's Services")
    if readings.exposed:
        return Found(Result.FAIL, f"reached from outside: {_listed(readings.exposed)}")
    return Found(Result.PASS, "no Service is of type NodePort or LoadBalancer")


def _no_vulnerabilities(readings: Readings) -> Found:
    if readings.vulnerabilities is None:
        return Found(Result.UNKNOWN, "reports of a scanner, for example VulnerabilityReports")
    critical, high = readings.vulnerabilities
    told = f"{critical} critical and {high} high in the reports"
    return Found(Result.FAIL if critical or high else Result.PASS, told)


# --- rights ---------------------------------------------------------------------------------

_RIGHTS = "every ClusterRoleBinding and ClusterRole"
_BY_RBAC = "(by RBAC; which groups a user is in, the cluster does not know)"


def _no_cluster_admin(readings: Readings) -> Found:
    if readings.bindings is None:
        return Found(Result.UNKNOWN, "every ClusterRoleBinding")
    found = [
        subject
        for binding in readings.bindings
        if binding.role == "cluster-admin"
        for subject in binding.subjects
        if _is_tenants(subject, readings)
    ]
    if found:
        return Found(Result.FAIL, f"cluster-admin: {_listed(map(_named, found))}")
    return Found(Result.PASS, f"none of {len(readings.bindings)} bindings {_BY_RBAC}")


def _nobody_may(
    verbs: str, group: str, resources: str, *, anybody: bool = False
) -> Callable[[Readings], Found]:
    """Return the judge of rights that nobody of a tenant has in the whole cluster: not one.

    Verbs and resources are separated by spaces. ``anybody`` asks about those who are no tenant's
    either, in the tenant's namespaces too.
    """
    what = f"{'/'.join(verbs.split())} {', '.join(resources.split())}"

    def judge(readings: Readings) -> Found:
        if readings.bindings is None or readings.roles is None:
            return Found(Result.UNKNOWN, _RIGHTS)
        found, lost = list[str](), list[str]()
        for binding in readings.bindings:
            whose = [
                each
                for each in binding.subjects
                if each in _EVERYBODY or (not anybody and _is_tenants(each, readings))
            ]
            if not whose or (binding.namespace and not anybody):
                continue
            rules = readings.roles.get(binding.role)
            if rules is None:
                lost.append(binding.role)
            elif any(_gives(rule, verbs, group, resources) for rule in rules):
                found.append(f"{_named(whose[0])} by {binding.role}")
        if found:
            return Found(Result.FAIL, f"{what}: {_listed(found)}")
        if lost:
            return Found(Result.UNKNOWN, f"the rules of ClusterRole {_listed(lost)}")
        return Found(Result.PASS, f"no ClusterRole that is bound gives {what} {_BY_RBAC}")

    return judge


def _no_wildcards(readings: Readings) -> Found:
    """Judge the ClusterRoles of the tenant; Roles of its namespaces are not read."""
    if readings.bindings is None or readings.roles is None:
        return Found(Result.UNKNOWN, _RIGHTS)
    found = [
        binding.role
        for binding in readings.bindings
        if any(_is_tenants(each, readings) for each in binding.subjects)
        and any(map(_has_wildcard, readings.roles.get(binding.role, ())))
    ]
    if found:
        return Found(Result.FAIL, f"wildcards in ClusterRole {_listed(sorted(set(found)))}")
    return Found(Result.UNKNOWN, "none in ClusterRoles; kubectl get roles -n NAMESPACE -o yaml")


def _has_wildcard(rule: Mapping[str, Any]) -> bool:
    return any(_ANY in (rule.get(field) or ()) for field in ("apiGroups", "resources", "verbs"))


def _gives(rule: Mapping[str, Any], verbs: str, group: str, resources: str) -> bool:
    """Tell whether a rule gives one of the rights; for named objects only counts too."""
    wanted = {_ANY, *resources.split()}
    wanted |= {f"*/{each.partition('/')[2]}" for each in resources.split() if "/" in each}
    return (
        bool({_ANY, *verbs.split()} & set(rule.get("verbs") or ()))
        and bool({_ANY, group} & set(rule.get("apiGroups") or ()))
        and bool(wanted & set(rule.get("resources") or ()))
    )


def _is_tenants(subject: tuple[str, str, str], readings: Readings) -> bool:
    """Tell whether a binding names somebody of the tenant, whatever way it does."""
    kind, name, namespace = subject
    if subject in _EVERYBODY or subject in readings.subjects:
        return True
    if kind == "ServiceAccount":
        return namespace in readings.namespaces
    if kind == "User" and name.startswith(_ACCOUNT):
        return name.removeprefix(_ACCOUNT).partition(":")[0] in readings.namespaces
    return (
        kind == "Group"
        and name.startswith(_ACCOUNTS)
        and name.removeprefix(_ACCOUNTS) in readings.namespaces
    )


def _named(subject: tuple[str, str, str]) -> str:
    kind, name, namespace = subject
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"


def _minor(version: str) -> int | None:
    parts = version.removeprefix("v").split(".")
    return int(parts[1]) if len(parts) > 1 and parts[1].isdecimal() else None


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    more = f" and {len(every) - _TOLD} more" if len(every) > _TOLD else ""
    return f"{', '.join(every[:_TOLD])}{more}"


# --- the table ------------------------------------------------------------------------------


def _checks() -> Iterator[Check]:
    yield from _namespaces()
    yield from _pods()
    yield from _rights()
    yield from _resources()
    yield from _nodes()
    yield from _platform()


def _check(
    name: str, title: str, sources: str, threats: str, judge: Callable[[Readings], Found]
) -> Check:
    """Return a check; sources are separated by commas, threats are letters."""
    listed = tuple(each.strip() for each in sources.split(",") if each.strip())
    return Check(name, title, listed, tuple(map(Threat, threats)), judge)


def _namespaces() -> Iterator[Check]:
    labels = _condition(status.POD_SECURITY_ENFORCED)
    yield _check(
        "namespaces-own",
        "The tenant has namespaces of its own",
        "CIS 5.6.1, CIS 5.6.4, NSA 1.12",
        "E",
        _condition(status.NAMESPACES_READY),
    )
    yield _check(
        "namespaces-others", "It makes no pods elsewhere", "CIS 5.6.4", "TE", _tried("A07")
    )
    yield _check(
        "pod-security-level", "A level of Pod Security is enforced", "CIS 5.2.1", "E", labels
    )
    yield _check(
        "pod-security-version",
        "Its version is pinned, and audit and warn are set",
        "CIS 5.2.1",
        "E",
        labels,
    )


def _pods() -> Iterator[Check]:
    for name, title, sources, threats, row in (
        ("privileged", "No privileged containers", "CIS 5.2.2, NSA 1.2", "E", "B01"),
        ("host-pid", "No processes of the node", "CIS 5.2.3, NSA 1.4", "IE", "B02"),
        ("host-ipc", "No shared memory of the node", "CIS 5.2.4, NSA 1.4", "IE", "B02"),
        ("host-network", "No network of the node", "CIS 5.2.5, NSA 1.5", "SI", "B02"),
        ("escalation", "No more privileges later", "CIS 5.2.6, NSA 1.7", "E", "B05"),
        ("root", "No user root", "CIS 5.2.7, NSA 1.0, NSA 1.6", "E", "B06"),
        ("net-raw", "No capability NET_RAW", "CIS 5.2.8", "S", "B04"),
        ("capabilities", "Capabilities are dropped", "CIS 5.2.9", "E", "B04"),
        ("host-path", "No path of the node", "CIS 5.2.11", "TIE", "B03"),
        ("host-port", "No port of the node", "CIS 5.2.12", "SD", "B02"),
        ("seccomp", "A seccomp profile", "CIS 5.6.2, NSA 1.10", "E", "B07"),
        (
            "security-context",
            "SELinux and AppArmor stay",
            "CIS 5.6.3, NSA 1.8, NSA 1.9",
            "E",
            "B08",
        ),
        ("root-filesystem", "Images are not written to", "NSA 1.1", "T", "B14"),
    ):
        yield _check(name, title, sources, threats, _tried(row))
    yield _check(
        "host-process",
        "No processes of a Windows node",
        "CIS 5.2.10",
        "E",
        _unknown("a pod with windowsOptions.hostProcess, which is not tried"),
    )
    yield _check(
        "violators", "What is already there keeps the rules", "CIS 5.2", "TE", _no_violators
    )


def _rights() -> Iterator[Check]:
    yield _check(
        "cluster-admin",
        "Nobody of the tenant is cluster-admin",
        "CIS 5.1.1",
        "E",
        _no_cluster_admin,
    )
    yield _check(
        "system-masters",
        "Nobody of the tenant is in system:masters",
        "CIS 5.1.7",
        "SE",
        _unknown("the certificates that were signed: the cluster keeps no list of them"),
    )
    yield _check(
        "secrets",
        "Nobody reads Secrets of the whole cluster",
        "CIS 5.1.2",
        "I",
        _nobody_may("get list watch", "", "secrets"),
    )
    yield _check(
        "secrets-others", "Secrets of other tenants are not read", "CIS 5.1.2", "I", _tried("A06")
    )
    yield _check("wildcards", "No wildcards in its roles", "CIS 5.1.3", "E", _no_wildcards)
    yield _check(
        "pods-by-anybody",
        "Not everybody makes pods",
        "CIS 5.1.4",
        "E",
        _nobody_may("create", "", "pods", anybody=True),
    )
    yield _check(
        "exec-by-anybody",
        "Not everybody runs commands in pods",
        "CIS 5.1.4",
        "IE",
        _nobody_may("create get", "", "pods/attach pods/exec", anybody=True),
    )
    yield _check(
        "default-account",
        "ServiceAccount default is not used",
        "CIS 5.1.5",
        "S",
        _unknown("kubectl get serviceaccount default -n NAMESPACE -o yaml"),
    )
    yield _check(
        "tokens",
        "Tokens are mounted where they are asked for",
        "CIS 5.1.6, NSA 1.11",
        "S",
        _tried("E05"),
    )
    yield _check(
        "escalate",
        "Nobody gives rights away that are not held",
        "CIS 5.1.8",
        "SE",
        _tried("A02", "A03"),
    )
    for name, title, source, verbs, group, resources in (
        ("volumes", "Nobody makes volumes", "5.1.9", "create", "", "persistentvolumes"),
        ("kubelet-api", "Nobody speaks with kubelets", "5.1.10", "create get", "", "nodes/proxy"),
        (
            "nodes-write",
            "Nobody changes nodes",
            "5.1.10",
            "create delete patch update",
            "",
            "nodes",
        ),
        (
            "certificates",
            "Nobody approves certificates",
            "5.1.11",
            "patch update",
            "certificates.k8s.io",
            "certificatesigningrequests/approval",
        ),
        (
            "webhooks",
            "Nobody changes webhooks",
            "5.1.12",
            "create delete patch update",
            "admissionregistration.k8s.io",
            "mutatingwebhookconfigurations validatingwebhookconfigurations",
        ),
        (
            "token-requests",
            "Nobody takes tokens of everybody",
            "5.1.13",
            "create",
            "",
            "serviceaccounts/token",
        ),
    ):
        yield _check(name, title, f"CIS {source}", "SE", _nobody_may(verbs, group, resources))


def _resources() -> Iterator[Check]:
    yield _check(
        "default-deny",
        "Nothing flows that is not declared",
        "CIS 5.3.2, NSA 2.0",
        "SI",
        _condition(status.NETWORK_ISOLATED),
    )
    yield _check(
        "network-plugin",
        "NetworkPolicies are enforced",
        "CIS 5.3.1, NSA 3.0",
        "SI",
        _unknown("packets that have to be dropped (docs/controls/network.md says how to try)"),
    )
    yield _check(
        "metadata",
        "The metadata service of the cloud is out of reach",
        "NSA",
        "SI",
        _unknown("a request from a pod of the tenant; NetworkPolicies leave its addresses out"),
    )
    yield _check("exposed", "No Service is reached from outside", "NSA", "ID", _not_exposed)
    yield _check("quota", "A quota", "NSA 4.0", "D", _condition(status.QUOTA_ENFORCED))
    yield _check("limits", "Limits of containers", "NSA 4.1", "D", _tried("D01"))
    yield _check("pids", "Limits of processes", "NSA", "D", _condition(status.PIDS_LIMITED))
    yield _check(
        "secrets-as-variables",
        "Secrets are files, not variables",
        "CIS 5.4.1",
        "I",
        _no_secrets_as_variables,
    )
    yield _check(
        "secret-store",
        "Secrets are kept outside of the cluster",
        "CIS 5.4.2",
        "I",
        _served(
            "externalsecrets.external-secrets.io",
            "secretproviderclasses.secrets-store.csi.x-k8s.io",
            what="your secret store",
        ),
    )


def _nodes() -> Iterator[Check]:
    yield _check(
        "kubelet-anonymous",
        "Kubelets refuse anonymous requests",
        "CIS 4.2",
        "SI",
        _kubelets(
            lambda each: None if each.anonymous is None else not each.anonymous,
            "authentication.anonymous.enabled",
        ),
    )
    yield _check(
        "kubelet-authorization",
        "Kubelets ask the API server who may",
        "CIS 4.2",
        "E",
        _kubelets(
            lambda each: None if each.authorization is None else each.authorization == "Webhook",
            "authorization.mode",
        ),
    )
    yield _check(
        "kubelet-read-only",
        "Kubelets have no port without authentication",
        "CIS 4.2",
        "I",
        _kubelets(
            lambda each: None if each.read_only_port is None else each.read_only_port == 0,
            "readOnlyPort",
        ),
    )
    yield _check(
        "kubelet-rotation",
        "Kubelets renew their certificates",
        "CIS 4.2",
        "S",
        _kubelets(lambda each: each.rotates, "rotateCertificates"),
    )
    yield _check("versions", "Kubelets fit the API server", "NSA", "E", _versions)
    yield _check("systems", "Nodes are hardened", "NSA", "E", _systems)
    yield _check(
        "control-plane",
        "Nodes of the control plane run nothing else",
        "NSA",
        "TE",
        _control_plane,
    )


def _platform() -> Iterator[Check]:
    for name, title, sources, threats, shows in (
        (
            "encryption",
            "Secrets are encrypted in etcd",
            "CIS 1.2, NSA",
            "I",
            "--encryption-provider-config of the API server, or your provider",
        ),
        (
            "etcd",
            "etcd is reached by the API server only",
            "CIS 2, NSA",
            "TI",
            "a connection to port 2379 of the control plane",
        ),
        (
            "authorization",
            "The API server authorizes by Node and RBAC",
            "CIS 1.2",
            "E",
            "--authorization-mode of the API server, or your provider",
        ),
        (
            "audit",
            "The audit log covers the namespaces",
            "CIS 3.2.1, CIS 3.2.2, NSA",
            "R",
            "--audit-policy-file and where the log goes, or your provider",
        ),
    ):
        yield _check(name, title, sources, threats, _unknown(shows))
    yield _check(
        "policies",
        "Admission policies are in force",
        "CIS 5.2.1",
        "E",
        _condition(status.POLICIES_IN_FORCE),
    )
    for name, title, sources, threats, kinds, what in (
        (
            "runtime-detection",
            "A program watches what runs",
            "NSA",
            "R",
            ("falcos.instance.falcosecurity.dev", "tracingpolicies.cilium.io"),
            "the pods of Falco, Tetragon or another",
        ),
        (
            "policy-engine",
            "A policy engine in addition to these policies",
            "CIS 5.2.1",
            "E",
            ("clusterpolicies.kyverno.io", "constrainttemplates.templates.gatekeeper.sh"),
            "its webhooks",
        ),
        (
            "mesh",
            "A mesh that can encrypt traffic",
            "NSA",
            "SI",
            ("peerauthentications.security.istio.io", "servers.policy.linkerd.io"),
            "traffic between two pods",
        ),
        (
            "signatures",
            "Signatures of images are verified",
            "CIS 5.5.1",
            "T",
            (
                "clusterimagepolicies.policy.sigstore.dev",
                "imagevalidatingpolicies.policies.kyverno.io",
            ),
            "an image without a signature",
        ),
        (
            "scanner",
            "Images are scanned",
            "CIS 5.5.1",
            "TE",
            ("reports.openreports.io", "vulnerabilityreports.aquasecurity.github.io"),
            "the reports of a scanner",
        ),
    ):
        yield _check(name, title, sources, threats, _served(*kinds, what=what))
    yield _check(
        "mesh-strict",
        "The mesh refuses traffic that is not encrypted",
        "NSA",
        "SI",
        _unknown("PeerAuthentications with mode STRICT, or the default policy of Linkerd"),
    )
    yield _check(
        "vulnerabilities",
        "No image has critical or high findings",
        "CIS 5.5.1",
        "TE",
        _no_vulnerabilities,
    )


CHECKS = tuple(_checks())
