"""Nodes: where a tenant's pods run, whose those are, and how many processes a pod may have."""

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from securetenant.api import metadata, names
from securetenant.api.metadata import LabelValue
from securetenant.api.rules import Model, Rule, listed

Dedication = Literal["Dedicated", "Shared"]
Effect = Literal["NoSchedule", "NoExecute"]
Eviction = Literal["Wait", "Evict"]
Pids = Literal["Report", "Require"]

EFFECTS: tuple[Effect, ...] = ("NoSchedule", "NoExecute")
"""In the order in which they come; a release takes them off together, last of all."""

PID_BOUNDS = (128, 256, 512, 1024, 2048, 4096, 8192, 16384)
"""What a pod's processes may be bounded by. A node selector compares for equality, so that a bound
is one of a few; the range is that of KEP-6063."""

_DOMAIN = r"([a-z0-9]([-a-z0-9]*[a-z0-9])?[.])*node-restriction[.]kubernetes[.]io"
_NAME = r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?"


def _is_safe_key(key: str) -> bool:
    """Tell whether a kubelet cannot set the label on its own node, and we do not either."""
    return (
        re.fullmatch(f"{_DOMAIN}/{_NAME}", key) is not None
        and metadata.is_label_key(key)
        and not key.startswith(names.NODE_PREFIX)
    )


class NodeSelector(Model):
    """Some of the cluster's nodes."""

    match_labels: Annotated[dict[str, LabelValue], Field(max_length=4)]
    """Labels that all of them carry, for example node-restriction.kubernetes.io/pool: acme. Keys
    are under node-restriction.kubernetes.io, since a kubelet could give itself any other
    (admission plugin NodeRestriction)."""

    rules = (
        Rule(
            cel="self.matchLabels.size() > 0",
            holds=lambda self: bool(self.match_labels),
            message="name at least one label: an empty selector would be every node",
            path=".matchLabels",
        ),
        Rule(
            cel=f"self.matchLabels.all(k, k.matches('^{_DOMAIN}/{_NAME}$')"
            " && !format.qualifiedName().validate(k).hasValue()"
            f" && !k.startsWith('{names.NODE_PREFIX}'))",
            holds=lambda self: all(map(_is_safe_key, self.match_labels)),
            message="keys are under node-restriction.kubernetes.io, like"
            " node-restriction.kubernetes.io/pool: a stolen node could set any other on itself and"
            " so choose whose pods it gets (and those under"
            " securetenant.node-restriction.kubernetes.io are the operator's)",
            path=".matchLabels",
        ),
        Rule(
            cel="self.matchLabels.all(k, self.matchLabels[k].matches("
            "'^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$'))",
            holds=lambda self: all(map(metadata.is_label_value, self.match_labels.values())),
            message="a value has up to 63 letters, digits, '-', '_' and '.', and begins and ends"
            " with a letter or digit",
            path=".matchLabels",
        ),
    )

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Tell whether a node with these labels is one of them."""
        return all(labels.get(key) == value for key, value in self.match_labels.items())


NodeName = Annotated[str, Field(min_length=1, max_length=253)]


def _is_node_name(text: str) -> bool:
    return all(metadata.is_dns_label(part) for part in text.split("."))


class TenantNodes(Model):
    """Where the tenant's pods run, and how many processes each of them may have."""

    dedication: Dedication | None = None
    """Dedicated: only the tenant uses the nodes of selector or names, and it runs nowhere else.
    Shared (the default): it runs where all shared tenants do."""
    selector: NodeSelector | None = None
    """With Dedicated: the nodes, by labels. TenancySettings say which may be dedicated at all."""
    names: (
        Annotated[
            tuple[NodeName, ...],
            Field(min_length=1, max_length=500, json_schema_extra=listed("set")),
        ]
        | None
    ) = None
    """With Dedicated, instead of a selector: the nodes, by name."""
    effects: (
        Annotated[
            tuple[Effect, ...],
            Field(min_length=1, max_length=2, json_schema_extra=listed("set")),
        ]
        | None
    ) = None
    """With Dedicated: what the nodes' taint does to others' pods; NoSchedule and NoExecute by
    default. Without NoExecute pods that were there stay, and a pod that names the node runs."""
    eviction: Eviction | None = None
    """With NoExecute: Wait (the default) until no pod that it would evict is left on a node, the
    tenant's own from before among them, those of DaemonSets aside; Evict: evicted at once."""
    pod_pids_limit: (
        Annotated[
            Literal[128, 256, 512, 1024, 2048, 4096, 8192, 16384],
            Field(json_schema_extra={"format": "int32"}),
        ]
        | None
    ) = None
    """The most processes that a pod may have. The kubelet enforces it (podPidsLimit); the operator
    reads it there, and the condition PidsLimited says what it found."""
    pids: Pids | None = None
    """Report (the default): the condition says which nodes keep the limit. Require: pods run only
    on nodes that were seen to keep it."""

    rules = (
        Rule(
            cel="(has(self.dedication) && self.dedication == 'Dedicated')"
            " == (has(self.selector) || has(self.names))",
            holds=lambda self: (
                self.is_dedicated == (self.selector is not None or self.names is not None)
            ),
            message="dedication: Dedicated and the nodes go together: name them by selector"
            " (matchLabels) or by names, or leave both out and share",
            path=".dedication",
        ),
        Rule(
            cel="!has(self.selector) || !has(self.names)",
            holds=lambda self: self.selector is None or self.names is None,
            message="name the nodes by selector or by names, not by both",
            path=".names",
        ),
        Rule(
            cel="(has(self.dedication) && self.dedication == 'Dedicated')"
            " || (!has(self.effects) && !has(self.eviction))",
            holds=lambda self: (
                self.is_dedicated or (self.effects is None and self.eviction is None)
            ),
            message="effects and eviction are about dedicated nodes: write dedication: Dedicated,"
            " or leave them out",
            path=".effects",
        ),
        Rule(
            cel="!has(self.eviction) || !has(self.effects)"
            " || self.effects.exists(e, e == 'NoExecute')",
            holds=lambda self: (
                self.eviction is None or self.effects is None or "NoExecute" in self.effects
            ),
            message="eviction is about NoExecute, which effects leave out: write effects:"
            " [NoSchedule, NoExecute], or leave eviction out",
            path=".eviction",
        ),
        Rule(
            cel="!has(self.effects) || self.effects.exists(e, e == 'NoSchedule')",
            holds=lambda self: self.effects is None or "NoSchedule" in self.effects,
            message="effects hold NoSchedule, since without it the scheduler goes on placing"
            " others' pods there: [NoSchedule] or [NoSchedule, NoExecute]",
            path=".effects",
        ),
        Rule(
            cel="!has(self.names) || self.names.all(n,"
            " !format.dns1123Subdomain().validate(n).hasValue())",
            holds=lambda self: all(map(_is_node_name, self.names or ())),
            message="a node's name has lower-case letters, digits, '-' and '.', like node-1",
            path=".names",
        ),
        Rule(
            cel="!has(self.pids) || self.pids != 'Require' || has(self.podPidsLimit)",
            holds=lambda self: self.pids != "Require" or self.pod_pids_limit is not None,
            message="pids: Require needs the limit that is required: write podPidsLimit, for"
            " example 1024",
            path=".pids",
        ),
    )

    @property
    def is_dedicated(self) -> bool:
        """Tell whether the tenant has nodes of its own."""
        return self.dedication == "Dedicated"

    @property
    def effective_effects(self) -> tuple[Effect, ...]:
        """Return the effects of the taint, in the order in which they come."""
        return tuple(each for each in EFFECTS if self.effects is None or each in self.effects)

    @property
    def required_pids(self) -> int | None:
        """Return the bound that a node must be seen to keep; nothing where none is required."""
        return self.pod_pids_limit if self.pids == "Require" else None


class SettingsNodes(Model):
    """Which nodes tenants get. A node that carries neither mark takes no pod of any tenant."""

    shared: NodeSelector
    """Nodes for all tenants without nodes of their own; the operator labels them."""
    dedicable: NodeSelector
    """Nodes that may be dedicated to one tenant; the operator taints no other."""
