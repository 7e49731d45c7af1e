"""Objects with lists of thousands: a policy that looks at each entry takes the API server a minute.

Each was answered by a timeout, or after seconds, while a dry run counts against no quota. They are
refused by their size now, which takes no longer than to read them.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

import factory
import standing
from attack_harness import Policy, mutate, verdict
from harness import JSON_PATCH, MERGE, Api, Operator
from securetenant.sandbox.instances import Instance

MODES = {"lengthy": "Enforce", "longish": "Audit"}
CONTAINER = factory.pod()["spec"]["containers"][0]
SMALL = {"limits": {"cpu": "1m", "memory": "4Mi", "ephemeral-storage": "1Mi"}}
_RBAC = "rbac.authorization.k8s.io/v1"
_NETWORKING = "networking.k8s.io/v1"


class Row(NamedTuple):
    """An object of a tenant, and how many entries its list may have."""

    policy: str
    path: str
    """Group, version and plural."""
    body: dict[str, Any]
    at: str
    """Where the list is."""
    entry: Any
    """``#`` in it is the number of the entry."""
    most: int
    """None, where each entry is refused by itself. Two tolerations are Kubernetes' own."""
    many: int = 20_000


def _numbered(value: Any, number: int) -> Any:
    if isinstance(value, str):
        return value.replace("#", str(number))
    if isinstance(value, dict):
        return {key: _numbered(each, number) for key, each in value.items()}
    if isinstance(value, list):
        return [_numbered(each, number) for each in value]
    return value


def _whole(row: Row, entries: int) -> dict[str, Any]:
    whole: dict[str, Any] = mutate(
        row.body, row.at, [_numbered(row.entry, each) for each in range(entries)]
    )
    return whole


_POD = {**factory.pod(), "metadata": {"name": "x"}}
_ENV = "spec.containers.0.env"
_BACKEND = {"service": {"name": "s", "port": {"number": 80}}}
_INGRESS = {
    "metadata": {"name": "x"},
    "spec": {"ingressClassName": "nginx", "rules": [{"host": "a.long.example"}]},
}
_PATH = {"path": "/#", "pathType": "Exact", "backend": _BACKEND}
_WALL = {"metadata": {"name": "x"}, "spec": {"podSelector": {}, "policyTypes": ["Ingress"]}}
_TERM = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"a": "b"}}}
_PREFERRED = "spec.affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution"
_SET = {
    "metadata": {"name": "x"},
    "spec": {**factory.deployment("x")["spec"], "serviceName": "x"},
}
_CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
_KEY = {"secretKeyRef": {"name": "s#", "key": "k", "optional": True}}
_SECRET = {"secret": {"name": "s#"}}
_WAITING = {"key": "node.kubernetes.io/memory-pressure", "operator": "Exists"}
_OWN = {"kind": "ServiceAccount", "name": "a#"}

ROWS = {
    "volumes": Row(
        "pods", "v1/pods", _POD, "spec.volumes", {"name": "v#", "emptyDir": {}}, 100, 15_000
    ),
    "CSI volumes": Row(
        "pods", "v1/pods", _POD, "spec.volumes", {"name": "v#", "csi": {"driver": "no"}}, 0, 15_000
    ),
    "sources of a volume": Row(
        "pods",
        "v1/pods",
        mutate(_POD, "spec.volumes", [{"name": "v", "projected": {}}]),
        "spec.volumes.0.projected.sources",
        _SECRET,
        100,
        15_000,
    ),
    "containers": Row(
        "pods",
        "v1/pods",
        _POD,
        "spec.containers",
        {**CONTAINER, "name": "c#", "resources": SMALL},
        100,
        1_000,
    ),
    "init containers": Row(
        "pods", "v1/pods", _POD, "spec.initContainers", {**CONTAINER, "name": "i#"}, 100, 1_000
    ),
    "tolerations": Row("pods", "v1/pods", _POD, "spec.tolerations", _WAITING, 98, 14_000),
    "foreign tolerations": Row(
        "pods", "v1/pods", _POD, "spec.tolerations", {"key": "k#", "operator": "Exists"}, 0, 14_000
    ),
    "affinity": Row(
        "pods", "v1/pods", _POD, _PREFERRED, {"weight": 1, "podAffinityTerm": _TERM}, 100, 9_000
    ),
    "mounts": Row(
        "pods-hardening",
        "v1/pods",
        mutate(_POD, "spec.volumes", [{"name": "v", "emptyDir": {}}]),
        "spec.containers.0.volumeMounts",
        {"name": "v", "mountPath": "/#"},
        500,
        10_000,
    ),
    "env": Row("pods", "v1/pods", _POD, _ENV, {"name": "e#", "value": "x"}, 1_000),
    "references of env": Row(
        "pods", "v1/pods", _POD, _ENV, {"name": "e#", "valueFrom": _KEY}, 500, 10_000
    ),
    "references of envFrom": Row(
        "pods",
        "v1/pods",
        _POD,
        "spec.containers.0.envFrom",
        {"secretRef": {"name": "s#", "optional": True}},
        500,
        15_000,
    ),
    "references to pull": Row(
        "pods", "v1/pods", _POD, "spec.imagePullSecrets", {"name": "s#"}, 500, 15_000
    ),
    "rules of an Ingress": Row(
        "ingress",
        f"{_NETWORKING}/ingresses",
        _INGRESS,
        "spec.rules",
        {"host": "h#.long.example"},
        200,
        30_000,
    ),
    "foreign hosts of an Ingress": Row(
        "ingress",
        f"{_NETWORKING}/ingresses",
        _INGRESS,
        "spec.rules",
        {"host": "h#.example"},
        0,
        30_000,
    ),
    "tls of an Ingress": Row(
        "ingress",
        f"{_NETWORKING}/ingresses",
        _INGRESS,
        "spec.tls",
        {"hosts": ["h#.long.example"], "secretName": "s"},
        200,
        30_000,
    ),
    "hosts of all tls": Row(
        "ingress",
        f"{_NETWORKING}/ingresses",
        mutate(_INGRESS, "spec.tls", [{"secretName": "s"}]),
        "spec.tls.0.hosts",
        "h#.long.example",
        200,
    ),
    "paths of a host": Row(
        "ingress",
        f"{_NETWORKING}/ingresses",
        _INGRESS,
        "spec.rules.0.http.paths",
        _PATH,
        100,
        6_000,
    ),
    "paths of all hosts": Row(
        "ingress",
        f"{_NETWORKING}/ingresses",
        _INGRESS,
        "spec.rules",
        {"host": "h#.long.example", "http": {"paths": [_PATH] * 50}},
        20,
        180,
    ),
    "characters of paths": Row(
        "ingress",
        f"{_NETWORKING}/ingresses",
        _INGRESS,
        "spec.rules.0.http.paths",
        {**_PATH, "path": f"/#{'a' * 997}"},
        30,
        100,
    ),
    "rules of a NetworkPolicy": Row(
        "network",
        f"{_NETWORKING}/networkpolicies",
        _WALL,
        "spec.ingress",
        {"from": [{"podSelector": {}}]},
        100,
        15_000,
    ),
    "peers of a NetworkPolicy": Row(
        "network",
        f"{_NETWORKING}/networkpolicies",
        mutate(_WALL, "spec.ingress", [{"ports": [{"port": 80}]}]),
        "spec.ingress.0.from",
        {"podSelector": {"matchLabels": {"a": "b#"}}},
        499,
        10_000,
    ),
    "peers that go out": Row(
        "network",
        f"{_NETWORKING}/networkpolicies",
        mutate(mutate(_WALL, "spec.policyTypes", ["Egress"]), "spec.egress", [{}]),
        "spec.egress.0.to",
        {"podSelector": {"matchLabels": {"a": "b#"}}},
        999,
        10_000,
    ),
    "subjects": Row(
        "access",
        f"{_RBAC}/rolebindings",
        factory.binding(role="securetenant:viewer"),
        "subjects",
        _OWN,
        200,
        15_000,
    ),
    "foreign subjects": Row(
        "access",
        f"{_RBAC}/rolebindings",
        factory.binding(role="securetenant:viewer"),
        "subjects",
        {**_OWN, "namespace": "kube-system"},
        0,
        15_000,
    ),
    "external addresses": Row(
        "services",
        "v1/services",
        {"metadata": {"name": "x"}, "spec": {"selector": {"a": "b"}, "ports": [{"port": 80}]}},
        "spec.externalIPs",
        "203.0.113.7",
        0,
    ),
    "finalizers": Row(
        "finalizers",
        "v1/configmaps",
        {"metadata": {"name": "x"}},
        "metadata.finalizers",
        "example.com/f#",
        0,
        15_000,
    ),
    "protections of a claim": Row(
        "finalizers",
        "v1/persistentvolumeclaims",
        {"metadata": {"name": "x"}, "spec": {**_CLAIM, "storageClassName": "fast"}},
        "metadata.finalizers",
        "kubernetes.io/pvc-protection",
        32,
        15_000,
    ),
    "finalizers of a template": Row(
        "finalizers",
        "apps/v1/statefulsets",
        _SET,
        "spec.template.metadata.finalizers",
        "example.com/f#",
        0,
        15_000,
    ),
    "templates of claims": Row(
        "finalizers",
        "apps/v1/statefulsets",
        _SET,
        "spec.volumeClaimTemplates",
        {"metadata": {"name": "c#"}, "spec": _CLAIM},
        100,
        5_000,
    ),
}


@pytest.fixture(scope="module")
def two(admin: Api, operator: Operator) -> Iterator[None]:
    """Two tenants, one of them in Audit mode."""
    workloads = {
        "storageClasses": ["fast"],
        "ingressClasses": ["nginx"],
        "hostnames": [".long.example"],
    }
    with standing.tenants(admin, MODES, role="Admin", workloads=workloads):
        yield


@pytest.fixture(params=MODES, ids=lambda name: MODES[name])
def tenant(request: pytest.FixtureRequest, two: None) -> str:
    """Return the name of each."""
    name: str = request.param
    return name


def _sent(row: Row, entries: int, api: Api, namespace: str) -> Any:
    group, _, plural = row.path.rpartition("/")
    root = f"/apis/{group}" if "/" in group else f"/api/{group}"
    path = f"{root}/namespaces/{namespace}/{plural}"
    return api.call("POST", path, _whole(row, entries), dryRun="All")


@pytest.mark.parametrize("row", [pytest.param(row, id=title) for title, row in ROWS.items()])
def test_s4_a_list_of_thousands_is_refused_by_its_size(
    row: Row, tenant: str, sandbox: Instance
) -> None:
    answer = _sent(row, row.many, standing.member(sandbox, tenant), f"{tenant}-1")
    if "policy 'securetenant-sizes" in answer.message:
        # The mutating half came first; one more than is allowed is the validating half's.
        assert "/securetenant: " in answer.message
        return
    others = tuple(f"securetenant-{each}" for each in ("pods-hardening", "pods-shared", "bytes"))
    assert verdict(answer, Policy(f"securetenant-{row.policy}", also=others)) == "Blocked", answer


@pytest.mark.parametrize(
    "row", [pytest.param(row, id=title) for title, row in ROWS.items() if row.most]
)
def test_a_list_of_usual_length_is_no_reason(row: Row, two: None, sandbox: Instance) -> None:
    """As long as is allowed; one more is refused."""
    tenant, *_ = MODES
    member = standing.member(sandbox, tenant)
    _sent(row, row.most, member, f"{tenant}-1").ok()
    answer = _sent(row, row.most + 1, member, f"{tenant}-1")
    assert "securetenant: the number of " in answer.message


def _debug(member: Api, pod: str, added: list[Any]) -> Any:
    """Try to add containers to a pod."""
    patch = [{"op": "add", "path": "/spec/ephemeralContainers", "value": added}]
    path = f"{pod}/ephemeralcontainers"
    return member.call("PATCH", path, patch, content_type=JSON_PATCH, dryRun="All")


@pytest.mark.parametrize("row", [pytest.param(row, id=title) for title, row in ROWS.items()])
def test_s4_the_validating_half_refuses_thousands_without_the_mutating_one(
    row: Row, half_member: Api
) -> None:
    """Kubernetes 1.34 and 1.35 have only this one."""
    answer = _sent(row, row.many, half_member, "roomy-a")
    others = ("securetenant-pods-hardening", "securetenant-bytes")
    assert verdict(answer, Policy(f"securetenant-{row.policy}", also=others)) == "Blocked", answer


def test_s4_containers_to_debug_are_as_many_as_others(
    tenant: str, admin: Api, sandbox: Instance
) -> None:
    """One is added to a pod as often as somebody asks: nothing else counts them."""
    member = standing.member(sandbox, tenant)
    path = f"/api/v1/namespaces/{tenant}-1/pods"
    admin.create_pod(f"{tenant}-1", {**factory.pod(), "metadata": {"name": "debugged"}}).ok()
    policy = {"lengthy": "securetenant-pods-hardening", "longish": "securetenant-pods-shared"}
    for entries, expected in ((100, "Open"), (101, "Blocked"), (900, "Blocked")):
        added = [{**CONTAINER, "name": f"d{number}"} for number in range(entries)]
        answer = _debug(member, f"{path}/debugged", added)
        judges = Policy(policy[tenant], also=("securetenant-bytes",))
        assert verdict(answer, judges) == expected, answer
    member.call("DELETE", f"{path}/debugged").ok()


_MADE = {**factory.deployment("x"), "metadata": {"name": "x"}}
_KEYS = {f"/{number}": "x" for number in range(2_100)}
_MATCHING = [{"key": f"/{number}", "operator": "Exists"} for number in range(600)]
_HEADERS = {"httpGet": {"port": 80, "httpHeaders": [{"name": "/", "value": "x"}] * 600}}
_BUDGET = {
    "metadata": {"name": "x"},
    "spec": {"maxUnavailable": 1, "selector": {"matchExpressions": _MATCHING}},
}
_METRIC = {
    "type": "Resource",
    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 1}},
}
_SCALER = {
    "metadata": {"name": "x"},
    "spec": {
        "scaleTargetRef": {"kind": "Deployment", "name": "x", "apiVersion": "apps/v1"},
        "maxReplicas": 2,
        "metrics": [_METRIC] * 51,
    },
}


class Early(NamedTuple):
    """An object over which the API server sits before it asks any validating policy."""

    policy: str
    path: str
    body: dict[str, Any]
    at: str = ""
    value: Any = None


_ITEMS = [{"key": "k", "path": "p"}] * 600
_VOLUME = [{"name": "v", "configMap": {"name": "c", "items": _ITEMS}}]
_EQUAL = [{"containerPort": 1, "name": f"p{number}"} for number in range(600)]
_SYSCTLS = [{"name": f"a{number}", "value": "1"} for number in range(600)]
_TEMPLATE = "spec.template.metadata.labels"
_ONE_CLAIM = {"metadata": {"name": "x"}, "spec": _CLAIM}
_AMOUNTS = dict.fromkeys(_KEYS, "1")
_VALUES = {
    "matchExpressions": [
        {"key": "a", "operator": "In", "values": [f"bad {number}!" for number in range(1100)]}
    ]
}
_MANY = dict.fromkeys(list(_KEYS)[:110], "1")
_WIDE = {"limits": {f"bad {number}!": "1" for number in range(40)}}
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_HUGE = "1e9999999"
"""What takes an API server two seconds to write out. Nine digits take it more than it has."""
_DIVISOR = [{"path": "p", "resourceFieldRef": {"resource": "limits.cpu", "divisor": _HUGE}}]
_FIELD = {"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "x", "divisor": _HUGE}}}
_TARGET = {"metric": {"name": "m"}, "target": {"type": "AverageValue", "averageValue": _HUGE}}
_STATEFUL = {"metadata": {"name": "x"}, "spec": {**_MADE["spec"], "serviceName": "x"}}
_STORED = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": _HUGE}}}
_LONG_NUMBER = "1234567890123456789012"
"""More digits than a number of the machine has: written out before any policy sees it."""
HUGE: list[tuple[str, Any, str, Any]] = [
    ("v1/pods", _POD, "spec.containers.0.resources.requests", {"cpu": f"{_LONG_NUMBER}e1999"}),
    ("v1/pods", _POD, "spec.containers.0.resources.requests", {"cpu": _HUGE}),
    ("v1/pods", _POD, "spec.containers.0.resources.limits", {"memory": f"{_HUGE[:-1]}"}),
    ("v1/pods", _POD, "spec.containers.0.resources.limits", {"cpu": "0" * 64 + "1"}),
    (
        "v1/pods",
        _POD,
        "spec.initContainers",
        [{"name": "i", "image": "a", "resources": {"limits": {"cpu": _HUGE}}}],
    ),
    ("v1/pods", _POD, "spec.resources.limits", {"cpu": _HUGE}),
    ("v1/pods", _POD, "spec.overhead", {"cpu": _HUGE}),
    ("v1/pods", _POD, "spec.containers.0.env", [_FIELD]),
    ("v1/pods", _POD, "spec.volumes", [{"name": "v", "emptyDir": {"sizeLimit": _HUGE}}]),
    ("v1/pods", _POD, "spec.volumes", [{"name": "v", "downwardAPI": {"items": _DIVISOR}}]),
    (
        "v1/pods",
        _POD,
        "spec.volumes",
        [{"name": "v", "projected": {"sources": [{"downwardAPI": {"items": _DIVISOR}}]}}],
    ),
    (
        "v1/pods",
        _POD,
        "spec.volumes",
        [{"name": "v", "ephemeral": {"volumeClaimTemplate": {"spec": _STORED}}}],
    ),
    ("v1/persistentvolumeclaims", _ONE_CLAIM, "spec", _STORED),
    *(
        (path, body, at, {f"example.com/r{number}": "1" for number in range(110)} | {"x": _HUGE})
        for path, body, at in (
            ("v1/persistentvolumeclaims", _ONE_CLAIM, "spec.resources.requests"),
            ("v1/pods", _POD, "spec.resources.requests"),
            ("v1/pods", _POD, "spec.overhead"),
        )
    ),
    (
        "apps/v1/deployments",
        _MADE,
        "spec.template.spec.containers.0.resources.limits",
        {"cpu": _HUGE},
    ),
    (
        "apps/v1/statefulsets",
        _STATEFUL,
        "spec.volumeClaimTemplates",
        [{"metadata": {"name": "v"}, "spec": _STORED}],
    ),
    (
        "batch/v1/cronjobs",
        {"metadata": {"name": "x"}},
        "spec",
        {
            "schedule": "* * * * *",
            "jobTemplate": {
                "spec": mutate(
                    {"template": _MADE["spec"]["template"]},
                    "template.spec.containers.0.resources.limits",
                    {"cpu": _HUGE},
                )
            },
        },
    ),
    (
        "autoscaling/v2/horizontalpodautoscalers",
        _SCALER,
        "spec.metrics",
        [{"type": "Pods", "pods": _TARGET}],
    ),
    (
        "autoscaling/v2/horizontalpodautoscalers",
        mutate(_SCALER, "spec.metrics", [_METRIC]),
        "spec.behavior",
        {"scaleUp": {"tolerance": _HUGE}},
    ),
]


EARLIER = {
    "ports of a container": Early("sizes", "v1/pods", _POD, "spec.containers.0.ports", _EQUAL),
    "ports in a template": Early(
        "sizes", "apps/v1/deployments", _MADE, "spec.template.spec.containers.0.ports", _EQUAL
    ),
    "items of a volume": Early("sizes", "v1/pods", _POD, "spec.volumes", _VOLUME),
    "sysctls": Early("sizes", "v1/pods", _POD, "spec.securityContext.sysctls", _SYSCTLS),
    "headers of a probe": Early(
        "sizes", "v1/pods", _POD, "spec.containers.0.livenessProbe", _HEADERS
    ),
    "search domains": Early("sizes", "v1/pods", _POD, "spec.dnsConfig", {"searches": ["/"] * 600}),
    "labels of nodes": Early("sizes", "v1/pods", _POD, "spec.nodeSelector", _KEYS),
    "labels of a template": Early("sizes", "apps/v1/deployments", _MADE, _TEMPLATE, _KEYS),
    "labels of a selector": Early(
        "sizes-objects", "apps/v1/deployments", _MADE, "spec.selector.matchExpressions", _MATCHING
    ),
    "ports of a Service": Early(
        "sizes-objects",
        "v1/services",
        {"metadata": {"name": "x"}, "spec": {"selector": {"a": "b"}}},
        "spec.ports",
        [{"name": "", "port": 0}] * 600,
    ),
    "selector of a Service": Early(
        "sizes-objects",
        "v1/services",
        {"metadata": {"name": "x"}, "spec": {"ports": [{"port": 80}]}},
        "spec.selector",
        _KEYS,
    ),
    "keys": Early("sizes-objects", "v1/configmaps", {"metadata": {"name": "x"}}, "data", _KEYS),
    "keys of a Secret": Early(
        "sizes-objects", "v1/secrets", {"metadata": {"name": "x"}}, "stringData", _KEYS
    ),
    "access modes": Early(
        "sizes-objects",
        "v1/persistentvolumeclaims",
        _ONE_CLAIM,
        "spec.accessModes",
        ["No"] * 600,
    ),
    "metrics": Early("sizes-objects", "autoscaling/v2/horizontalpodautoscalers", _SCALER),
    "a budget's labels": Early("sizes-objects", "policy/v1/poddisruptionbudgets", _BUDGET),
    "labels of a wall": Early(
        "sizes-objects",
        f"{_NETWORKING}/networkpolicies",
        _WALL,
        "spec.podSelector",
        {"matchExpressions": _MATCHING},
    ),
    "labels of a peer": Early(
        "sizes-objects",
        f"{_NETWORKING}/networkpolicies",
        _WALL,
        "spec.ingress",
        [{"from": [{"podSelector": {"matchExpressions": _MATCHING}}]}],
    ),
    "ports of a wall": Early(
        "sizes-objects",
        f"{_NETWORKING}/networkpolicies",
        _WALL,
        "spec.ingress",
        [{"ports": [{"port": 0}] * 5_001}],
    ),
    "paths": Early(
        "sizes-objects",
        f"{_NETWORKING}/ingresses",
        _INGRESS,
        "spec.rules",
        [{"host": "a.long.example", "http": {"paths": [{**_PATH, "path": "no"}] * 5_001}}],
    ),
    "invalid subjects": Early(
        "sizes-objects",
        f"{_RBAC}/rolebindings",
        factory.binding(role="securetenant:viewer"),
        "subjects",
        [{"kind": "No", "name": ""}] * 600,
    ),
    "limits of a container": Early(
        "sizes-amounts", "v1/pods", _POD, "spec.containers.0.resources.limits", _MANY
    ),
    "limits of all containers": Early(
        "sizes",
        "v1/pods",
        _POD,
        "spec.containers",
        [{**CONTAINER, "name": f"c{number}", "resources": _WIDE} for number in range(20)],
    ),
    "names of a host": Early(
        "sizes",
        "v1/pods",
        _POD,
        "spec.hostAliases",
        [{"ip": "192.0.2.1", "hostnames": ["/"] * 1_001}],
    ),
    "expressions about nodes": Early(
        "sizes",
        "v1/pods",
        _POD,
        f"spec.affinity.nodeAffinity.{_REQUIRED}",
        {"nodeSelectorTerms": [{"matchExpressions": _MATCHING * 2}]},
    ),
    "labels of a claim": Early(
        "sizes",
        "v1/pods",
        _POD,
        "spec.volumes",
        [{"name": "v", "ephemeral": {"volumeClaimTemplate": {"metadata": {"labels": _KEYS}}}}],
    ),
    "rules about restarts": Early(
        "sizes",
        "v1/pods",
        _POD,
        "spec.containers.0.restartPolicyRules",
        [{"action": "No"}] * 600,
    ),
    "rules about failures": Early(
        "sizes-objects",
        "batch/v1/jobs",
        {"metadata": {"name": "x"}, "spec": {"template": _MADE["spec"]["template"]}},
        "spec.podFailurePolicy",
        {"rules": [{"action": "No"}] * 600},
    ),
    **{
        f"amount {number}, {path} {at}": Early("sizes-amounts", path, body, at, value)
        for number, (path, body, at, value) in enumerate(HUGE)
    },
    **{
        f"{kind} of a term of an affinity": Early(
            "sizes",
            "v1/pods",
            _POD,
            f"spec.affinity.{affinity}.{_REQUIRED}",
            [{"topologyKey": "a", **term}],
        )
        for affinity in ("podAffinity", "podAntiAffinity")
        for kind, term in (
            ("values", {"labelSelector": _VALUES}),
            ("values of namespaces", {"namespaceSelector": _VALUES}),
            ("labels", {"labelSelector": {"matchLabels": dict.fromkeys(list(_KEYS)[:1100], "x")}}),
            ("namespaces", {"namespaces": [f"n {number}" for number in range(1100)]}),
            ("keys of labels", {"matchLabelKeys": list(_KEYS)[:1100]}),
        )
    },
    "values of a node affinity": Early(
        "sizes",
        "v1/pods",
        _POD,
        f"spec.affinity.nodeAffinity.{_REQUIRED}",
        {"nodeSelectorTerms": [_VALUES]},
    ),
    "values of a spread": Early(
        "sizes",
        "v1/pods",
        _POD,
        "spec.topologySpreadConstraints",
        [
            {
                "maxSkew": 1,
                "topologyKey": "a",
                "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": _VALUES,
            }
        ],
    ),
    **{
        f"{field} of all containers": Early(
            "sizes",
            "v1/pods",
            _POD,
            "spec.containers",
            [{"name": f"c{number}", "image": "a", field: [each] * 400} for number in range(3)],
        )
        for field, each in (
            ("volumeMounts", {"name": "v", "mountPath": "/a"}),
            ("volumeDevices", {"name": "v", "devicePath": "/a"}),
            ("envFrom", {"secretRef": {"name": "/"}}),
        )
    },
    "claims of a pod": Early(
        "sizes", "v1/pods", _POD, "spec.resources.claims", [{"name": "/"}] * 101
    ),
    "conditions of a rule about failures": Early(
        "sizes-objects",
        "batch/v1/jobs",
        {"metadata": {"name": "x"}, "spec": {"template": _MADE["spec"]["template"]}},
        "spec.podFailurePolicy",
        {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "/"}] * 600}]},
    ),
    "values of a metric": Early(
        "sizes-objects",
        "autoscaling/v2/horizontalpodautoscalers",
        _SCALER,
        "spec.metrics",
        [
            {
                "type": "Pods",
                "pods": {
                    "metric": {"name": "m", "selector": _VALUES},
                    "target": {"type": "AverageValue", "averageValue": "1"},
                },
            }
        ],
    ),
    "values of a template of claims": Early(
        "sizes-objects",
        "apps/v1/statefulsets",
        _STATEFUL,
        "spec.volumeClaimTemplates",
        [{"metadata": {"name": "v"}, "spec": {**_CLAIM, "selector": _VALUES}}],
    ),
    "invalid finalizers": Early(
        "sizes-metadata",
        "v1/configmaps",
        {"metadata": {"name": "x", "finalizers": [f"bad {number}!" for number in range(600)]}},
    ),
    "labels": Early(
        "sizes-metadata", "v1/configmaps", {"metadata": {"name": "x", "labels": _KEYS}}
    ),
    "annotations": Early(
        "sizes-metadata",
        "coordination.k8s.io/v1/leases",
        {"metadata": {"name": "x", "annotations": _KEYS}, "spec": {}},
    ),
}


@pytest.mark.parametrize("row", [pytest.param(row, id=title) for title, row in EARLIER.items()])
def test_s4_what_the_api_server_compares_before_admission_is_bounded_before_that(
    row: Early, tenant: str, sandbox: Instance, admin: Api
) -> None:
    """Two hundred equal ports are nothing; twenty thousand took hours after the timeout."""
    body = mutate(row.body, row.at, row.value) if row.at else row.body
    group, _, plural = row.path.rpartition("/")
    root = f"/apis/{group}" if "/" in group else f"/api/{group}"
    path = f"{root}/namespaces/{tenant}-1/{plural}"
    # A member may write no Lease.
    who = admin if plural == "leases" else standing.member(sandbox, tenant)
    answer = who.call("POST", path, body, dryRun="All")
    assert f"policy 'securetenant-{row.policy}' with binding" in answer.message
    assert "; " in answer.message.partition("/securetenant: ")[2]


def test_s4_containers_to_debug_name_no_more_secrets_than_others(
    tenant: str, admin: Api, sandbox: Instance
) -> None:
    """Each kubelet watches every Secret that is named."""
    member = standing.member(sandbox, tenant)
    pods = f"/api/v1/namespaces/{tenant}-1/pods"
    admin.create_pod(f"{tenant}-1", {**factory.pod(), "metadata": {"name": "referring"}}).ok()
    source = [{"secretRef": {"name": "s", "optional": True}}] * 200
    added = [{**CONTAINER, "name": f"d{number}", "envFrom": source} for number in range(6)]
    answer = _debug(member, f"{pods}/referring", added)
    assert "policy 'securetenant-sizes' with binding" in answer.message
    member.call("DELETE", f"{pods}/referring").ok()


def test_s4_a_small_change_of_an_object_with_many_annotations_looks_at_none(
    half_member: Api,
) -> None:
    """Ten seconds for each request of thirty bytes, where no mutating policy bounds them."""
    path = f"/apis/{_NETWORKING}/namespaces/roomy-a/networkpolicies"
    noted = {"name": "noted", "annotations": {str(number): "" for number in range(20_000)}}
    half_member.call("POST", path, {**_WALL, "metadata": noted}).ok()
    change = {"metadata": {"labels": {"a": "b"}}}
    half_member.call("PATCH", f"{path}/noted", change, content_type=MERGE, dryRun="All").ok()
    half_member.call("DELETE", f"{path}/noted").ok()


def test_s4_labels_and_metrics_of_usual_number_are_no_reason(two: None, sandbox: Instance) -> None:
    """As many as are allowed."""
    tenant, *_ = MODES
    member = standing.member(sandbox, tenant)
    labels = {f"l{number}": "x" for number in range(500)}
    settings = {"metadata": {"name": "x", "labels": labels}}
    path = f"/api/v1/namespaces/{tenant}-1/configmaps"
    member.call("POST", path, settings, dryRun="All").ok()
    path = f"/apis/autoscaling/v2/namespaces/{tenant}-1/horizontalpodautoscalers"
    scaler = mutate(_SCALER, "spec.metrics", [_METRIC] * 50)
    member.call("POST", path, scaler, dryRun="All").ok()


def test_s4_a_change_of_a_pods_size_names_no_more_resources_than_others(
    tenant: str, admin: Api, sandbox: Instance
) -> None:
    """The subresource was in no policy about sizes: half a minute for 40 KB."""
    admin.create_pod(f"{tenant}-1", {**factory.pod(), "metadata": {"name": "resized"}}).ok()
    path = f"/api/v1/namespaces/{tenant}-1/pods/resized"
    name = CONTAINER["name"]
    change = {"spec": {"containers": [{"name": name, "resources": {"limits": _MANY}}]}}
    answer = standing.member(sandbox, tenant).call(
        "PATCH",
        f"{path}/resize",
        change,
        content_type="application/strategic-merge-patch+json",
        dryRun="All",
    )
    assert "policy 'securetenant-sizes-amounts' with binding" in answer.message
    admin.call("DELETE", path).ok()


def test_what_is_left_out_is_no_list_of_any_length(two: None, sandbox: Instance) -> None:
    """Kubernetes writes null for some lists that are left out, and a size of null is an error."""
    tenant, *_ = MODES
    member = standing.member(sandbox, tenant)
    root = f"/namespaces/{tenant}-1"
    role = {"metadata": {"name": "nothing"}}
    member.call("POST", f"/apis/{_RBAC}{root}/roles", role, dryRun="All").ok()
    pod = mutate(_POD, "spec.volumes", [{"name": "v", "projected": {}}])
    answer = member.call("POST", f"/api/v1{root}/pods", pod, dryRun="All")
    assert "no such overload" not in answer.message, answer.message
