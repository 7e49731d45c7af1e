"""Policies of other kinds: which namespaces they may select, so that nothing is claimed there.

Cilium's and Calico's own kinds, the AdminNetworkPolicies that came before ClusterNetworkPolicy,
and whatever else is given. None of them is evaluated. A policy of a namespace counts there,
whatever pods it selects, since pods come and go. One of the whole cluster counts wherever its
selector may hold for some pod; a selector that is not understood holds everywhere.

    selecting(bodies, namespaces)["acme-a"]
    # ("CiliumClusterwideNetworkPolicy open-all (cilium.io)",)

Sources: Cilium, "Network Policy", CiliumClusterwideNetworkPolicy; Calico, "Global network policy"
and "Network policy", selectors; network-policy-api, v1alpha1.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from securetenant.checks import calico, selectors
from securetenant.checks.population import Namespace
from securetenant.checks.selectors import Labels

_NOT_ENFORCED = frozenset(
    {"StagedGlobalNetworkPolicy", "StagedKubernetesNetworkPolicy", "StagedNetworkPolicy"}
)
"""Calico, "Staged network policy": it only shows what would happen."""
_CONTAINERS = frozenset({"Tier"})
"""Calico, "Tier": it orders policies, and decides only about what one of them selects."""
_CALICO_GROUPS = frozenset({"crd.projectcalico.org", "projectcalico.org"})
_CILIUM_SOURCES = ("k8s:", "any:")
_CILIUM_NAMESPACE = "io.kubernetes.pod.namespace"
_CILIUM_NAMESPACE_LABELS = "io.cilium.k8s.namespace.labels."


def selecting(
    policies: Iterable[Mapping[str, Any]], namespaces: Iterable[Namespace]
) -> dict[str, tuple[str, ...]]:
    """Return by namespace which policies may select pods there, sorted; others are left out."""
    spaces = list(namespaces)
    found: dict[str, set[str]] = {}
    for body in policies:
        for name in _where(body, spaces):
            found.setdefault(name, set()).add(_told(body))
    return {name: tuple(sorted(each)) for name, each in sorted(found.items())}


def _told(body: Mapping[str, Any]) -> str:
    metadata = body["metadata"]
    where = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
    return f"{body.get('kind') or 'policy'} {where}{metadata['name']} ({_group(body)})"


def _group(body: Mapping[str, Any]) -> str:
    return str(body.get("apiVersion") or "").partition("/")[0] or "unknown"


def _where(body: Mapping[str, Any], spaces: Iterable[Namespace]) -> Iterator[str]:
    """Yield the namespaces where it may select pods."""
    kind = body.get("kind")
    if kind in _NOT_ENFORCED or kind in _CONTAINERS:
        return
    home = body["metadata"].get("namespace")
    for space in spaces:
        if home == space.name if home else _may_select(body, space):
            yield space.name


def _may_select(body: Mapping[str, Any], space: Namespace) -> bool:
    """Tell whether a policy of the whole cluster may select pods of a namespace."""
    kind, group = body.get("kind"), _group(body)
    spec = body.get("spec")
    try:
        if kind == "CiliumClusterwideNetworkPolicy" and group == "cilium.io":
            specs = [*([spec] if spec else []), *(body.get("specs") or ())]
            return not specs or any(_cilium(each, space) for each in specs)
        if kind == "GlobalNetworkPolicy" and group in _CALICO_GROUPS and spec is not None:
            return _calico(spec, space)
        if group == "policy.networking.k8s.io" and spec is not None:
            return _subject(spec["subject"], space)
    except (AttributeError, KeyError, TypeError, ValueError):
        # What has another form than the documentation says is not understood.
        return True
    return True


def _subject(subject: Mapping[str, Any], space: Namespace) -> bool:
    """Tell it of an AdminNetworkPolicy, or of another version of ClusterNetworkPolicy."""
    if set(subject) == {"namespaces"}:
        return selectors.matches(selectors.compiled(subject["namespaces"]), space.labels)
    if set(subject) == {"pods"}:
        where = subject["pods"].get("namespaceSelector") or {}
        return selectors.matches(selectors.compiled(where), space.labels)
    return True


def _cilium(spec: Mapping[str, Any], space: Namespace) -> bool:
    """Tell it of one rule: it is about nodes, or about endpoints by labels of their namespaces."""
    selector = spec.get("endpointSelector")
    if selector is None:
        return "nodeSelector" not in spec
    found = []
    for each in selectors.compiled(selector):
        key = _cilium_key(each.key)
        if key is not None:
            found.append(each._replace(key=key))
    labels: Labels = {
        _CILIUM_NAMESPACE: space.name,
        **{_CILIUM_NAMESPACE_LABELS + key: value for key, value in space.labels.items()},
    }
    return selectors.matches(tuple(found), labels)


def _cilium_key(key: str) -> str | None:
    """Return the key of a label that pods have by their namespace; nothing for other labels.

    A label of a pod may be anything, so what is asked of it may hold.
    """
    for source in _CILIUM_SOURCES:
        key = key.removeprefix(source)
    if key == _CILIUM_NAMESPACE or key.startswith(_CILIUM_NAMESPACE_LABELS):
        return key
    return None


def _calico(spec: Mapping[str, Any], space: Namespace) -> bool:
    where = spec.get("namespaceSelector") or "all()"
    labels = {**space.labels, "projectcalico.org/name": space.name}
    if calico.holds(where, labels, is_whole=True) is False:
        return False
    # Pods have these by their namespace; any other label of a pod may be anything.
    known = {
        "projectcalico.org/namespace": space.name,
        **{f"pcns.{key}": value for key, value in space.labels.items()},
    }
    return calico.holds(spec.get("selector") or "all()", known, is_whole=False) is not False
