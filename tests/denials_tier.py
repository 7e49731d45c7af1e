"""One refused request for each rule about ClusterNetworkPolicies, for the page of messages.

Apart from the others, since their kind is served where its CRD is installed alone.
"""

from typing import Any

from attack_harness import Denial
from securetenant.api import kinds, names

NAME = names.admin_tier("north")
_KIND = kinds.CLUSTER_NETWORK_POLICY
SOUTH = {"namespaces": {"matchLabels": {names.TENANT_LABEL: "south"}}}
_PATH = _KIND.path("", NAME)


def tier(name: str = NAME, **spec: Any) -> dict[str, Any]:
    """Return a ClusterNetworkPolicy of tenant north; ``spec`` replaces whole fields."""
    labels = {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.TENANT_LABEL: "north"}
    fields = {
        "tier": "Admin",
        "priority": 100,
        "subject": {"namespaces": {"matchLabels": {names.TENANT_LABEL: "north"}}},
        "ingress": [{"action": "Deny", "from": [SOUTH]}],
        **spec,
    }
    return {
        "apiVersion": _KIND.api_version,
        "kind": _KIND.name,
        "metadata": {"name": name, "labels": labels},
        "spec": fields,
    }


def accept(action: str) -> dict[str, Any]:
    """Return a change that lets the platform's namespaces in, or hands on who may come in."""
    selector = {"matchLabels": {names.NAMESPACE_NAME_LABEL: "kube-system"}}
    return {"spec": {"ingress": [{"action": action, "from": [{"namespaces": selector}]}]}}


ROWS: dict[tuple[str, int], Denial] = {
    ("securetenant-operator-fence-tiers", 0): Denial(
        who="operator", method="POST", path=_KIND.path(), body=tier("securetenant-south")
    ),
    ("securetenant-operator-fence-tiers", 1): Denial(
        who="operator",
        path=_PATH,
        body={"spec": {"subject": {"namespaces": {"matchLabels": None}}}},
    ),
    ("securetenant-operator-fence-tiers", 2): Denial(
        who="operator", path=_PATH, body=accept("Accept")
    ),
}
