"""Openings as NetworkPolicies: the same in every namespace that they are meant for, made once.

A thousand namespaces with a hundred openings share a hundred specs; they are compared by digest.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from securetenant.api import addresses, names
from securetenant.api.addresses import Network
from securetenant.api.network import Opening, Outsider, PlatformNetwork, TenantNetwork
from securetenant.api.tenancysettings import SettingsSpec
from securetenant.desired import peers
from securetenant.desired.peers import Ports

Rules = list[dict[str, Any]]
_DIGEST_BYTES = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """One opening that names somebody who is known."""

    name: str
    """Of the NetworkPolicy."""
    declared: str
    """The entry that it comes from, of the SecureTenant or of TenancySettings."""
    namespaces: frozenset[str] | None
    """Where it holds; nothing means all namespaces of the tenant."""
    cidrs: tuple[str, ...]
    """Networks that it names; what is cut out of them is not taken off."""
    digest: bytes
    """Of the spec."""
    is_platform: bool
    """Whether it holds for every tenant."""
    spec: Mapping[str, Any] = field(compare=False)
    """Of the NetworkPolicy; shared, so never changed."""

    def holds_in(self, namespace: str) -> bool:
        """Tell whether it is meant for the namespace."""
        return self.namespaces is None or namespace in self.namespaces


def build(network: TenantNetwork, settings: SettingsSpec) -> tuple[Opened, ...]:
    """Return the openings, sorted by name; those that name nobody who is known are left out."""
    found = (
        *_each(network, settings),
        *_each(settings.network or PlatformNetwork(), settings),
    )
    return tuple(sorted((each for each in found if each), key=lambda each: each.name))


def _each(
    network: TenantNetwork | PlatformNetwork, settings: SettingsSpec
) -> Iterator[Opened | None]:
    is_platform = isinstance(network, PlatformNetwork)
    for direction, entries in (("Ingress", network.ingress), ("Egress", network.egress)):
        for each in entries or ():
            yield _opened(each, direction, settings, is_platform=is_platform)


def _opened(
    opening: Opening, direction: str, settings: SettingsSpec, *, is_platform: bool
) -> Opened | None:
    others = [found for each in opening.outsiders for found in _outsider(settings, each)]
    if not others:
        # A rule without peers would allow everybody.
        return None
    side = "from" if direction == "Ingress" else "to"
    rules = [{side: others, "ports": [*ports(peers.spans(opening.ports)), *_named(opening)]}]
    pods = opening.pod_selector
    spec = {
        "podSelector": {"matchLabels": dict(sorted(pods.match_labels.items()))} if pods else {},
        "policyTypes": [direction],
        "ingress": rules if direction == "Ingress" else [],
        "egress": rules if direction == "Egress" else [],
    }
    text = json.dumps(spec, sort_keys=True, separators=(",", ":"))
    entry = f"spec.network.{direction.lower()} {opening.name}"
    return Opened(
        name=names.platform_opening(opening.name)
        if is_platform
        else names.opening(direction, opening.name),
        declared=f"TenancySettings {entry}" if is_platform else entry,
        is_platform=is_platform,
        namespaces=None if opening.namespaces is None else frozenset(opening.namespaces),
        cidrs=tuple(sorted({each.cidr for each in opening.outsiders if each.cidr is not None})),
        digest=hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES).digest(),
        spec=spec,
    )


def _outsider(settings: SettingsSpec, outsider: Outsider) -> Rules:
    """Return the peer of a rule, or nothing when TenancySettings do not know it."""
    if outsider.network is not None:
        return [{"ipBlock": _block(settings, outsider, outsider.network)}]
    if outsider.namespace_labels is not None:
        return [platform(outsider.namespace_labels, outsider.pod_labels)]
    return [
        platform(each.namespace_labels, each.pod_labels)
        for each in settings.ingress_controllers or ()
        if each.name == outsider.ingress_controller
    ]


def platform(namespace: Mapping[str, str], pods: Mapping[str, str] | None) -> dict[str, Any]:
    """Return the peer for pods of namespaces that are no tenant's, whatever these are labelled."""
    found: dict[str, Any] = {
        "namespaceSelector": {
            "matchLabels": dict(sorted(namespace.items())),
            "matchExpressions": [{"key": names.TENANT_LABEL, "operator": "DoesNotExist"}],
        }
    }
    if pods is not None:
        found["podSelector"] = {"matchLabels": dict(sorted(pods.items()))}
    return found


def _block(settings: SettingsSpec, outsider: Outsider, cidr: Network) -> dict[str, Any]:
    """Return the ipBlock: the cidr but for its exceptions, and for what is kept inside of it.

    What is kept and holds the whole cidr is named by it, so it stays open.
    """
    given = [found for each in outsider.except_ or () if (found := addresses.network(each))]
    kept = [
        each for each in settings.kept_networks if each != cidr and addresses.contains(cidr, each)
    ]
    without = addresses.outermost((*given, *kept))
    block: dict[str, Any] = {"cidr": str(cidr)}
    return {**block, "except": [str(each) for each in without]} if without else block


def _named(opening: Opening) -> Rules:
    found = {(each.protocol or "TCP", str(each.port)) for each in opening.ports if each.is_named}
    return [{"port": port, "protocol": protocol} for protocol, port in sorted(found)]


def ports(spans: Iterable[Ports]) -> Rules:
    """Return the ports of a rule."""
    return [
        {
            "port": each.first,
            "protocol": each.protocol,
            **({"endPort": each.last} if each.last > each.first else {}),
        }
        for each in spans
    ]
