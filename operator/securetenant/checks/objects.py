"""Which Services, Ingresses, NetworkPolicies, claims and budgets a namespace refuses, and why.

The rules of the policies, said once more in Python; see :mod:`securetenant.checks.pods`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from securetenant.api.tenantpolicy import PolicySpec
from securetenant.api.workloads import HARMLESS_ANNOTATIONS, serves

Body = Mapping[str, Any]

_TENANT = "securetenant.io/tenant"
_NAME = "kubernetes.io/metadata.name"
_LEGACY_CLASS = "volume.beta.kubernetes.io/storage-class"
_MOST_AVAILABLE = 100
_PVC_PROTECTION = "kubernetes.io/pvc-protection"
_BINDING = re.compile(r"(pv|volume|volume\.beta)\.kubernetes\.io/")
_OWN_SOURCES = (("PersistentVolumeClaim", ""), ("VolumeSnapshot", "snapshot.storage.k8s.io"))
_NOT_IN_VALUES = re.compile(r"[\x00-\x1f{};`#\x7f]")
_NOT_IN_PLAIN_VALUES = re.compile(r"[\"'\\]|(^|[^, ]) |[$]([^1-9]|\Z)")
_NOT_IN_PATHS = re.compile(r"[\x00-\x20\"'{};`#\\\x7f]")
_QUANTIFIER = "(?:[*+?][?]?)?+"
_OPTIONAL = "(?:[?][?]?)?+"
_CLASS = r"\[\^?-?(?:[0-9]-9|0-[0-8]|[a-z]-z|a-[a-y]|[A-Z]-Z|A-[A-Y]|[^\]\[^:=-])++-?\]"
# Nothing is tried twice (possessive, and no text has two ways to match): tenants write the texts.
_ITEM = rf"[|^$]|(?:[^\]\[()*+?|^$]++|{_CLASS}){_QUANTIFIER}"
_GROUP = f"[(](?:[?][:=!])?+(?:{_ITEM})*+[)]{_OPTIONAL}|{_ITEM}"
_GROUPS = f"[(](?:[?][:=!])?+(?:{_GROUP})*+[)]{_OPTIONAL}|{_ITEM}"
_PATTERN = re.compile(f"(?:[(][?]i[)]|[(](?:[?][:=!])?+(?:{_GROUPS})*+[)]{_OPTIONAL}|{_ITEM})*+")
_COLLATING = re.compile(r"\[\^?[.][^\]]*[.]\]")
_LONGEST_PATTERN = 1024
_MOST_REPEATS = 4
_REPEATS = re.compile("[*+]")
_REWRITE = "nginx.ingress.kubernetes.io/rewrite-target"


def exposed(service: Body, policy: PolicySpec) -> Iterator[str]:
    """Yield how a new Service answers for others."""
    spec = service["spec"]
    type = spec.get("type", "ClusterIP")
    if type not in policy.workloads.service_types:
        yield "type"
    if spec.get("externalIPs"):
        yield "externalIPs"
    if spec.get("loadBalancerIP"):
        yield "loadBalancerIP"
    if type != "ExternalName" and not spec.get("selector"):
        yield "selector"
    yield from _unlisted(service, policy)


def claims_hosts(ingress: Body, policy: PolicySpec) -> Iterator[str]:
    """Yield how a new Ingress serves what is not the tenant's."""
    spec = ingress["spec"]
    hosts = [rule.get("host", "") for rule in spec.get("rules") or ()]
    hosts += [host for each in spec.get("tls") or () for host in each.get("hosts") or ("",)]
    if not all(serves(policy.workloads.hostnames, each) for each in hosts):
        yield "host"
    if "defaultBackend" in spec:
        yield "defaultBackend"
    if spec.get("ingressClassName", "") not in policy.workloads.ingress_classes:
        yield "ingressClassName"
    yield from _unlisted(ingress, policy)
    for key, value in (ingress["metadata"].get("annotations") or {}).items():
        if "ingress.kubernetes.io/" in key and not _is_plain(key, value):
            yield f"value of {key}"
    for rule in spec.get("rules") or ():
        for each in (rule.get("http") or {}).get("paths") or ():
            path = each.get("path", "/")
            if not is_pattern(path):
                yield f"pattern {path}"
            if _NOT_IN_PATHS.search(path) or "/../" in f"{path}/":
                yield f"path {path}"
            if "resource" in each["backend"]:
                yield "resource"


def is_pattern(text: str) -> bool:
    """Tell whether a text is a regular expression that matches in proportion to its length."""
    return (
        len(text) <= _LONGEST_PATTERN
        and len(_REPEATS.findall(text)) <= _MOST_REPEATS
        and _PATTERN.fullmatch(text) is not None
        and _COLLATING.search(text) is None
    )


def _is_plain(key: str, value: str) -> bool:
    """Tell whether a controller can write the value into its configuration."""
    if _NOT_IN_VALUES.search(value):
        return False
    return not _is_listed(key, HARMLESS_ANNOTATIONS) or not (
        _NOT_IN_PLAIN_VALUES.search(value) or ("$" in value and key != _REWRITE)
    )


def _unlisted(body: Body, policy: PolicySpec) -> Iterator[str]:
    """Yield the annotations that are neither listed nor nobody's."""
    for key in body["metadata"].get("annotations") or {}:
        if "/" in key and not _is_listed(
            key, (*HARMLESS_ANNOTATIONS, *policy.workloads.annotations)
        ):
            yield f"annotation {key}"


def _is_listed(key: str, listed: Iterable[str]) -> bool:
    return any(key.startswith(each[:-1]) if each.endswith("*") else key == each for each in listed)


def opens(network_policy: Body, namespace: str, policy: PolicySpec) -> Iterator[str]:
    """Yield how a NetworkPolicy of the tenant's own opens anything beyond the tenant."""
    spec = network_policy["spec"]
    rules = [each.get("from") or () for each in spec.get("ingress") or ()]
    rules += [each.get("to") or () for each in spec.get("egress") or ()]
    together = policy.network.same_tenant == "Allow"
    tenants = {policy.tenant} if together else set()
    own = set(policy.access.service_account_namespaces) if together else {namespace}
    for peers in rules:
        if not peers:
            yield "everybody"
        for peer in peers:
            if "ipBlock" in peer:
                yield "ipBlock"
            selector = peer.get("namespaceSelector")
            if selector is not None and not _stays_within(selector, {_TENANT: tenants, _NAME: own}):
                yield "namespaceSelector"


def _stays_within(selector: Body, allowed: Mapping[str, set[str]]) -> bool:
    """Tell whether a selector demands one of the allowed values of one of the keys.

    Everything else that it demands can only select fewer.
    """
    labels = selector.get("matchLabels") or {}
    return any(labels.get(key) in values for key, values in allowed.items()) or any(
        each["operator"] == "In"
        and set(each.get("values") or ()) <= allowed.get(each["key"], set())
        for each in selector.get("matchExpressions") or ()
        if each["key"] in allowed
    )


def chooses_volume(claim: Body, policy: PolicySpec) -> Iterator[str]:
    """Yield how a new claim chooses a volume that may be another tenant's."""
    spec = claim["spec"]
    storage_class = spec.get("storageClassName", "")
    classes = policy.workloads.storage_classes
    if spec.get("volumeName"):
        yield "volumeName"
    if "selector" in spec:
        yield "selector"
    if not storage_class or ("*" not in classes and storage_class not in classes):
        yield "storageClassName"
    annotations = claim["metadata"].get("annotations") or {}
    if annotations.get(_LEGACY_CLASS, storage_class) != storage_class:
        yield "annotation"
    yield from (key for key in annotations if _BINDING.match(key) and key != _LEGACY_CLASS)
    for field in ("dataSource", "dataSourceRef"):
        source = spec.get(field)
        if source is not None and (
            "namespace" in source
            or (source["kind"], source.get("apiGroup") or "") not in _OWN_SOURCES
        ):
            yield field
    if spec.get("volumeAttributesClassName"):
        yield "volumeAttributesClassName"


def stalls(body: Body) -> Iterator[str]:
    """Yield how a new object stalls a deletion or a drain."""
    yield from (
        each
        for each in body["metadata"].get("finalizers") or ()
        if not (each == _PVC_PROTECTION and body.get("kind") == "PersistentVolumeClaim")
    )
    if body.get("kind") == "PodDisruptionBudget":
        spec = body["spec"]
        if spec.get("maxUnavailable") is None and spec.get("minAvailable") is None:
            yield "neither"
        if re.fullmatch(r"0+%?", str(spec.get("maxUnavailable", 1))):
            yield "maxUnavailable"
        fewest = str(spec.get("minAvailable", 0))
        if re.fullmatch(r"0*([1-9][0-9]{2,}|9[0-9])%", fewest) or (
            fewest.isdecimal() and int(fewest) > _MOST_AVAILABLE
        ):
            yield "minAvailable"
