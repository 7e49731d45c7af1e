"""What is already there, judged by the rules of today: what would be refused if it were new.

A stricter spec, an older version, Audit mode, a restore from a backup or an administrator who broke
the glass may have let it in. Objects are judged as they are now, so what only a request shows is
left out: who wrote it, and what the cluster itself filled in afterwards (the node of a pod, the
volume of a claim). What any agent of TenancySettings may write counts as allowed, since nobody
knows who did.
"""

import itertools
from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from securetenant.api import kinds, lockdown, names
from securetenant.api.kinds import Kind
from securetenant.api.objects import Body
from securetenant.api.tenantpolicy import PolicySpec
from securetenant.checks import annotations, bindings, objects, pod_security, pods, routes

KINDS = (
    kinds.POD,
    kinds.SERVICE,
    kinds.INGRESS,
    kinds.CLAIM,
    kinds.NETWORK_POLICY,
    kinds.ROLE_BINDING,
    kinds.HTTP_ROUTE,
    kinds.GRPC_ROUTE,
    kinds.TLS_ROUTE,
)
"""What is judged."""
MOST = 8
"""How many rules that one object breaks are returned, unless somebody wants more."""
_SHOWN = 120
"""How much is shown of what an object says: its author decides how long that is."""
_LONGEST = 100
"""How many entries a list may have: of an object with a longer one nothing else is looked at."""
_MOST_PATHS, _LONGEST_PATHS = 1000, 30_000
"""How many paths of Ingresses there may be, and how many characters of them together."""
_LONGER = {"rules": 200, "tls": 200, "subjects": 200, "ports": 250}
_LISTS = {
    kinds.POD.name: (
        "containers",
        "ephemeralContainers",
        "initContainers",
        "tolerations",
        "volumes",
    ),
    kinds.SERVICE.name: ("ports",),
    kinds.INGRESS.name: ("rules", "tls"),
    kinds.NETWORK_POLICY.name: ("ingress", "egress"),
}
_POLICIES = {
    kinds.POD.name: "securetenant-pods",
    kinds.SERVICE.name: "securetenant-services",
    kinds.INGRESS.name: "securetenant-ingress",
    kinds.CLAIM.name: "securetenant-volumes",
    kinds.NETWORK_POLICY.name: "securetenant-network",
    kinds.ROLE_BINDING.name: "securetenant-access",
    kinds.HTTP_ROUTE.name: "securetenant-routes",
    kinds.GRPC_ROUTE.name: "securetenant-routes",
    kinds.TLS_ROUTE.name: "securetenant-routes",
}
_HARDENING = "securetenant-pods-hardening"
_SHARED = "securetenant-pods-shared"
_PROTECTS_OTHERS = frozenset(
    {
        "appArmorProfile",
        "audience",
        "gmsaCredentialSpec",
        "podCertificate",
        "seLinuxOptions.level",
        "seccompProfile",
    }
)
"""What securetenant-pods-shared refuses in Audit mode too."""
_FINISHED = ("Succeeded", "Failed")
_UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
_BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
_BINDERS = ("pv.kubernetes.io/", "volume.kubernetes.io/", "volume.beta.kubernetes.io/")
_LEGACY_CLASS = "volume.beta.kubernetes.io/storage-class"


class Violation(NamedTuple):
    """One rule that an object breaks."""

    kind: str
    namespace: str
    name: str
    rule: str
    """The policy, or the level of Pod Security, that would refuse it."""
    what: str
    """What of it, in short."""
    owner: str
    """Its controller; without one, the program that made it."""
    days: int
    """Its age."""


class Rules(NamedTuple):
    """What holds in a namespace today."""

    namespace: str
    policy: PolicySpec
    """With what any agent may write."""
    agents: tuple[str, ...]
    """Annotations that agents may write."""
    platform: frozenset[str]
    """Namespaces of the platform whose ServiceAccounts may have access."""
    now: datetime


def today(
    namespace: str, policy: PolicySpec, now: datetime, platform: Collection[str] = ()
) -> Rules:
    """Return the rules of a namespace."""
    agents = policy.agents or ()
    types = {each for agent in agents for each in agent.service_types or ()}
    registries = {each for agent in agents for each in agent.registries or ()}
    workloads = policy.workloads.model_copy(
        update={
            "service_types": (*policy.workloads.service_types, *sorted(types)),
            "registries": (*policy.workloads.registries, *sorted(registries)),
        }
    )
    listed = {each for agent in agents for each in agent.annotations or ()}
    return Rules(
        namespace,
        policy.model_copy(update={"workloads": workloads}),
        tuple(sorted(listed)),
        frozenset(platform),
        now,
    )


def judge(kind: Kind, body: Body, rules: Rules, *, most: int = MOST) -> tuple[Violation, ...]:
    """Return what would be refused of an object if it were new, in the order of the rules."""
    metadata = body["metadata"]
    found = dict.fromkeys((rule, _cut(what)) for rule, what in _bounded(kind, body, rules, most))
    if not found:
        return ()
    return tuple(
        Violation(
            kind.name,
            rules.namespace,
            str(metadata["name"]),
            rule,
            what,
            _cut(owner(body)),
            age(body, rules.now),
        )
        for rule, what in found
    )


def _bounded(kind: Kind, body: Body, rules: Rules, most: int) -> Iterator[tuple[str, str]]:
    """Yield the first few of what is violated."""
    carried = body["metadata"].get("annotations") or {}
    spec = body.get("spec") or {}
    long = [
        f"more than {_LONGER.get(field, _LONGEST)} {field}"
        for field in _LISTS.get(kind.name, ())
        if len(spec.get(field) or ()) > _LONGER.get(field, _LONGEST)
    ]
    if kind == kinds.INGRESS and not long:
        paths = [
            each.get("path", "")
            for rule in spec.get("rules") or ()
            for each in (rule.get("http") or {}).get("paths") or ()
        ]
        if len(paths) > _MOST_PATHS or sum(map(len, paths)) > _LONGEST_PATHS:
            long.append(f"more than {_MOST_PATHS} paths, or {_LONGEST_PATHS} characters of them")
    if len(carried) > annotations.MOST:
        long.append(f"more than {annotations.MOST} annotations")
    if long:
        yield from ((_POLICIES[kind.name], each) for each in long)
        return
    # What agents write is the agents' own, its values too.
    kept = {k: v for k, v in carried.items() if not annotations.is_listed(k, rules.agents)}
    seen = {**body, "metadata": {**body["metadata"], "annotations": kept}}
    yield from itertools.islice(_JUDGES[kind.name](seen, rules), most)


def _pod(body: Body, rules: Rules) -> Iterator[tuple[str, str]]:
    if (body.get("status") or {}).get("phase") in _FINISHED:
        return
    policy, spec = rules.policy, body["spec"]
    level = policy.pod_security.level
    for what in pod_security.violated(body, level, policy.pod_security.version):
        yield f"Pod Security {level}", what
    added = [*(spec.get("initContainers") or ()), *(spec.get("ephemeralContainers") or ())]
    # The scheduler wrote the node, and the mutating half and controllers the tolerations.
    placed = {
        **{key: value for key, value in spec.items() if key != "nodeName"},
        "initContainers": added,
        "tolerations": [
            each for each in spec.get("tolerations") or () if not _is_given(each, body, policy)
        ],
    }
    own = _POLICIES[kinds.POD.name]
    for what in (*pods.misplaced(placed, policy), *_elsewhere(spec, policy)):
        yield own, what
    for what in pods.far_volumes(placed, policy):
        yield own, f"volume {what}"
    carried = body["metadata"]["annotations"]
    allowed = (*policy.workloads.annotations, *annotations.BY_NODES)
    for key in annotations.on_pods(carried, allowed):
        yield own, f"annotation {key}"
    for what in _hardened(placed, policy):
        if policy.enforcement == "Enforce":
            yield _HARDENING, what
        elif what in _PROTECTS_OTHERS or what.endswith(" from the cache"):
            yield _SHARED, what


def _hardened(spec: Body, policy: PolicySpec) -> Iterator[str]:
    yield from pods.soft(spec, policy)
    yield from pods.token_wishes(spec, policy)
    yield from (f"image {each}" for each in pods.foreign_images(spec, policy))


def _elsewhere(spec: Body, policy: PolicySpec) -> Iterator[str]:
    selector = spec.get("nodeSelector") or {}
    for key, value in policy.nodes.selector.items():
        if selector.get(key) != value:
            yield f"nodeSelector without {key}={value}"


def _is_given(toleration: Body, pod: Body, policy: PolicySpec) -> bool:
    """Tell whether it is that of the tenant's own nodes, or one that every DaemonSet has."""
    if toleration.get("key") == names.NODE_TAINT:
        return (
            policy.nodes.dedication == "Dedicated"
            and toleration.get("operator", "Equal") == "Equal"
            and toleration.get("value", "") == policy.tenant
        )
    controller = _controller(pod)
    return toleration.get("key") == _UNSCHEDULABLE and controller.get("kind") == "DaemonSet"


def _service(body: Body, rules: Rules) -> Iterator[tuple[str, str]]:
    yield from (
        (_POLICIES[kinds.SERVICE.name], each) for each in objects.exposed(body, rules.policy)
    )


def _ingress(body: Body, rules: Rules) -> Iterator[tuple[str, str]]:
    yield from (
        (_POLICIES[kinds.INGRESS.name], each) for each in objects.claims_hosts(body, rules.policy)
    )


def _claim(body: Body, rules: Rules) -> Iterator[tuple[str, str]]:
    """Judge a claim without what the cluster's own controllers wrote when they bound it."""
    carried = body["metadata"]["annotations"]
    asked = {
        key: value
        for key, value in carried.items()
        if key == _LEGACY_CLASS or not key.startswith(_BINDERS)
    }
    spec = dict(body["spec"])
    if _BOUND_BY_CONTROLLER in carried:
        spec.pop("volumeName", None)
    claim = {**body, "metadata": {**body["metadata"], "annotations": asked}, "spec": spec}
    for what in objects.chooses_volume(claim, rules.policy):
        yield _POLICIES[kinds.CLAIM.name], what
    yield from _others(asked, rules)


def _network_policy(body: Body, rules: Rules) -> Iterator[tuple[str, str]]:
    yield from (
        (_POLICIES[kinds.NETWORK_POLICY.name], each)
        for each in objects.opens(body, rules.namespace, rules.policy)
    )


def _role_binding(body: Body, rules: Rules) -> Iterator[tuple[str, str]]:
    for what in bindings.grants_beyond(body, rules.namespace, rules.policy, rules.platform):
        yield _POLICIES[kinds.ROLE_BINDING.name], what
    carried = body["metadata"]["annotations"]
    if rules.policy.lockdown == lockdown.QUARANTINED:
        # The operator's own, until the quarantine ends.
        carried = {key: value for key, value in carried.items() if key != names.ASIDE}
    yield from _others(carried, rules)


def _others(carried: Body, rules: Rules) -> Iterator[tuple[str, str]]:
    for key in annotations.on_others(carried, rules.policy.workloads.annotations):
        yield "securetenant-annotations", f"annotation {key}"


def _route(body: Body, rules: Rules) -> Iterator[tuple[str, str]]:
    yield from (
        (_POLICIES[kinds.HTTP_ROUTE.name], each)
        for each in routes.serves_beyond(body, rules.namespace, rules.policy)
    )


_JUDGES = {
    kinds.POD.name: _pod,
    kinds.SERVICE.name: _service,
    kinds.INGRESS.name: _ingress,
    kinds.CLAIM.name: _claim,
    kinds.NETWORK_POLICY.name: _network_policy,
    kinds.ROLE_BINDING.name: _role_binding,
    kinds.HTTP_ROUTE.name: _route,
    kinds.GRPC_ROUTE.name: _route,
    kinds.TLS_ROUTE.name: _route,
}


def owner(body: Body) -> str:
    """Return who to ask about an object: its controller, else the program that made it."""
    controller = _controller(body)
    if controller:
        return f"{controller['kind']} {controller['name']}"
    entries = [
        each for each in body["metadata"].get("managedFields") or () if not each.get("subresource")
    ]
    first: Any = min(entries, key=lambda each: str(each.get("time", "")), default={})
    return str(first.get("manager", ""))


def age(body: Body, now: datetime) -> int:
    """Return for how many whole days an object has been there."""
    made = body["metadata"].get("creationTimestamp")
    return max(0, (now - datetime.fromisoformat(made)).days) if made else 0


def _controller(body: Body) -> Body:
    found: Body = next(
        (each for each in body["metadata"].get("ownerReferences") or () if each.get("controller")),
        {},
    )
    return found


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
