"""What other objects of a tenant could open: rows A, E and F of the catalogue."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from securetenant.api import kinds, names
from securetenant.api.kinds import Kind
from securetenant.api.objects import Body
from securetenant.api.tenantpolicy import PolicySpec
from securetenant.checks.attacks import trial
from securetenant.checks.attacks.verdicts import ESCALATION, Attempt, Control, Held, policy

_RBAC = "rbac.authorization.k8s.io"
_PORTS = [{"port": 80}]
_RESERVED = f"{names.MANAGED_PREFIX}trial-"
_LABELS = {names.MANAGED_BY_LABEL: names.MANAGED_BY}
_SNIPPET = "nginx.ingress.kubernetes.io/configuration-snippet"
_ADDRESS = "192.0.2.1"


class Other(NamedTuple):
    """Somebody else, out of reach."""

    tenant: str
    namespace: str


def attempts(spec: PolicySpec, namespace: str, other: Other) -> Iterator[Attempt]:
    """Yield every attempt that is not a pod, in a namespace with this TenantPolicy."""
    yield from _services(spec)
    yield from _ingresses(spec, other)
    yield from _network(other)
    yield from _claims(spec, other)
    yield from _bindings(namespace, other)
    yield from _managed()
    yield from _stuck()


def _attempt(
    row: str,
    what: str,
    kind: Kind,
    control: Control,
    spec: Body,
    *,
    critical: bool = True,
    metadata: Body | None = None,
    held: Held | None = None,
    **fields: Any,
) -> Attempt:
    return Attempt(
        row=row,
        what=what,
        kind=kind,
        body=trial.body(kind, spec, metadata=metadata, **fields),
        control=control,
        critical=critical,
        held=held,
    )


# --- Services and Ingresses -----------------------------------------------------------------


def _services(spec: PolicySpec) -> Iterator[Attempt]:
    control = policy("services")
    plain = {"selector": {"app": "trial"}, "ports": _PORTS}

    def service(row: str, what: str, metadata: Body | None = None, **fields: Any) -> Attempt:
        return _attempt(row, what, kinds.SERVICE, control, {**plain, **fields}, metadata=metadata)

    yield service("E09", "an address of others, by externalIPs", externalIPs=[_ADDRESS])
    for type in ("NodePort", "LoadBalancer"):
        if type not in spec.workloads.service_types:
            yield service("E10", f"a Service of type {type}", type=type)
    elsewhere = {"type": "ExternalName", "externalName": "trial.example"}
    yield _attempt("E10", "a Service with another's name", kinds.SERVICE, control, elsewhere)
    yield _attempt("E10", "a Service for any address", kinds.SERVICE, control, {"ports": _PORTS})
    given = {"annotations": {"trial.example/load-balancer": "open"}}
    yield service("E10", "an order to the cloud, by annotation", metadata=given)


def _ingresses(spec: PolicySpec, other: Other) -> Iterator[Attempt]:
    control = policy("ingress")
    classes = spec.workloads.ingress_classes
    name = classes[0] if classes else "trial"
    own = _own_host(spec)

    def ingress(
        row: str, what: str, host: str, metadata: Body | None = None, **fields: Any
    ) -> Attempt:
        backend = {"service": {"name": "trial", "port": {"number": 80}}}
        path = {"path": "/", "pathType": "Prefix", "backend": backend}
        rule = {"http": {"paths": [path]}, **({"host": host} if host else {})}
        body = {"ingressClassName": name, "rules": [rule], **fields}
        return _attempt(row, what, kinds.INGRESS, control, body, metadata=metadata)

    yield ingress("E11", "a host of another tenant", f"www.{other.tenant}.trial.example")
    yield ingress("E11", "every host", "")
    yield ingress("E11", "every host, by wildcard", "*.trial.example")
    backend = {"service": {"name": "trial", "port": {"number": 80}}}
    yield ingress("E11", "what nobody else serves", own, defaultBackend=backend)
    yield ingress("E11", "a controller that is not listed", own, ingressClassName="trial-other")
    yield ingress(
        "E11",
        "configuration of the controller",
        own,
        metadata={"annotations": {_SNIPPET: "return 200;"}},
    )


def _own_host(spec: PolicySpec) -> str:
    """Return a host that the tenant may serve; without one, the host is refused first."""
    first = next(iter(spec.workloads.hostnames), ".trial.example")
    return f"trial{first}" if first.startswith(".") else first


# --- network and volumes --------------------------------------------------------------------


def _network(other: Other) -> Iterator[Attempt]:
    control = policy("network")
    theirs = {"matchLabels": {names.TENANT_LABEL: other.tenant}}
    for what, direction, rule in (
        ("traffic from everybody", "Ingress", {}),
        ("traffic to everybody", "Egress", {}),
        ("traffic from every namespace", "Ingress", {"from": [{"namespaceSelector": {}}]}),
        ("traffic from another tenant", "Ingress", {"from": [{"namespaceSelector": theirs}]}),
        ("traffic to another tenant", "Egress", {"to": [{"namespaceSelector": theirs}]}),
        ("traffic to any address", "Egress", {"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}),
    ):
        spec: dict[str, Any] = {
            "podSelector": {},
            "policyTypes": [direction],
            direction.lower(): [rule],
        }
        yield _attempt("E02", what, kinds.NETWORK_POLICY, control, spec)


def _claims(spec: PolicySpec, other: Other) -> Iterator[Attempt]:
    control = policy("volumes")
    classes = [each for each in spec.workloads.storage_classes if each != "*"]
    plain = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Mi"}},
        "storageClassName": classes[0] if classes else "trial",
    }

    def claim(what: str, held: Held | None = None, **fields: Any) -> Attempt:
        return _attempt("F02", what, kinds.CLAIM, control, {**plain, **fields}, held=held)

    yield claim("another's volume, by its name", volumeName="trial")
    yield claim("another's volume, by its labels", selector={"matchLabels": {"trial": "trial"}})
    source = {
        "apiGroup": "snapshot.storage.k8s.io",
        "kind": "VolumeSnapshot",
        "name": "trial",
        "namespace": other.namespace,
    }
    # Most API servers do not know the field, and leave it out.
    yield claim("a copy of another's volume", held=_is_own, dataSourceRef=source)


def _is_own(claim: Body) -> bool:
    return "namespace" not in (claim["spec"].get("dataSourceRef") or {})


# --- access and what is the operator's ------------------------------------------------------


def _bindings(namespace: str, other: Other) -> Iterator[Attempt]:
    """Bind roles: one with more rights than the canary has, and the one that it has itself."""
    control = policy("access")
    everybody = {"kind": "Group", "apiGroup": _RBAC, "name": "system:authenticated"}
    theirs = {"kind": "ServiceAccount", "name": "trial", "namespace": other.namespace}
    own = {"kind": "ServiceAccount", "name": "trial", "namespace": namespace}
    for row, what, role, subject, expected in (
        ("A01", "every right", "cluster-admin", own, ESCALATION),
        ("A17", "access for everybody", names.CANARY_ROLE, everybody, control),
        ("H11", "access for programs of others", names.CANARY_ROLE, theirs, control),
        ("H11", "a role that is not a tenant's", names.CANARY_ROLE, own, control),
    ):
        yield _attempt(
            row,
            what,
            kinds.ROLE_BINDING,
            expected,
            {},
            roleRef={"apiGroup": _RBAC, "kind": "ClusterRole", "name": role},
            subjects=[subject],
        )


def _managed() -> Iterator[Attempt]:
    control = policy("managed")
    closed = {"podSelector": {}, "policyTypes": ["Ingress"]}
    for what, metadata in (
        ("an object that looks like the operator's", {"labels": _LABELS}),
        ("a name that begins as the operator's", {"generateName": _RESERVED}),
        ("a name that is the operator's", {"name": f"{_RESERVED}1"}),
    ):
        yield _attempt("A16", what, kinds.NETWORK_POLICY, control, closed, metadata=metadata)


def _stuck() -> Iterator[Attempt]:
    """Objects that nobody could delete, so that their namespace never goes."""
    metadata = {"finalizers": ["trial.example/stays"]}
    service = {"selector": {"app": "trial"}, "ports": _PORTS}
    closed = {"podSelector": {}, "policyTypes": ["Ingress"]}
    for kind, spec in ((kinds.SERVICE, service), (kinds.NETWORK_POLICY, closed)):
        yield _attempt(
            "D12",
            f"a {kind.name} that cannot be deleted",
            kind,
            policy("finalizers"),
            spec,
            critical=False,
            metadata=metadata,
        )
