"""Quotas: which resources may be limited, and a tenant's total."""

import re
from collections.abc import Collection, Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from securetenant.api import names, quantities
from securetenant.api.quantities import Quantity
from securetenant.api.rules import Rule, snake

QuotaMap = Annotated[dict[str, Quantity], Field(max_length=48)]
"""Quantities by resource, as in the ``hard`` of a ResourceQuota."""

QuotaMode = Literal["Pool", "Split"]
"""Whether shares follow use, or stay as they are."""
DEFAULT_MODE: QuotaMode = "Pool"

COUNTED_BESIDE = (
    "count/networkpolicies.networking.k8s.io",
    "count/rolebindings.rbac.authorization.k8s.io",
)
"""Kinds that the operator writes too. They are counted in each namespace, its own and room for the
tenant's, so that no share can leave a wall without room."""

_BESIDE = {
    "configmaps": 1,  # kube-root-ca.crt
    "count/configmaps": 1,
    "count/serviceaccounts": 1,  # default
    "count/resourcequotas": 1,  # securetenant
    "count/limitranges": 1,  # securetenant
    f"count/tenantpolicies.{names.GROUP}": 1,  # effective
}
"""Objects that the cluster and the operator put into every namespace, by the keys that count them.
They never compete for the tenant's share: without kube-root-ca.crt and the ServiceAccount default
no pod starts."""


def surplus(key: str, bounds: Collection[str]) -> int:
    """Return how many pieces a namespace's quota has in addition to the tenant's share of that key.

    None for a key that TenancySettings bound: the policy securetenant-operator-bounds holds the
    operator itself to the bound.
    """
    return 0 if key in bounds else _BESIDE.get(key, 0)


def without_surplus(counted: Mapping[str, int], bounds: Collection[str]) -> dict[str, int]:
    """Return what is the tenant's own of what a namespace's quota counts, or allows."""
    return {key: max(count - surplus(key, bounds), 0) for key, count in counted.items()}


_COMPUTE = ("cpu", "memory", "ephemeral-storage")
_NAMED = (
    *(f"{kind}.{each}" for kind in ("requests", "limits") for each in _COMPUTE),
    "requests.storage",
    "persistentvolumeclaims",
    "pods",
    "services",
    "services.loadbalancers",
    "services.nodeports",
    "secrets",
    "configmaps",
    "replicationcontrollers",
)
_PATTERN = (
    "^(" + "|".join(name.replace(".", "[.]") for name in _NAMED) + "|count/[a-z][-a-z0-9.]*"
    "|requests[.][-a-z0-9.]+/[-A-Za-z0-9_.]+"
    "|requests[.]hugepages-[1-9][0-9]*[KMGT]i"
    "|[-a-z0-9.]+[.]storageclass[.]storage[.]k8s[.]io/(requests[.]storage|persistentvolumeclaims)"
    "|[-a-z0-9.]+[.]deviceclass[.]resource[.]k8s[.]io/devices)$"
)
_MATCH = re.compile(_PATTERN.removeprefix("^").removesuffix("$"))
_DIVISIBLE = ("cpu", "memory", "storage")
"""Ends of the keys whose amounts may be fractions; everything else is counted in pieces."""
_IS_DIVISIBLE = " || ".join(f"k.endsWith('{each}')" for each in _DIVISIBLE)


def may_be_limited(key: str) -> bool:
    """Tell whether a quota of a spec may have the key."""
    return _MATCH.fullmatch(key) is not None and key not in COUNTED_BESIDE


def is_device(key: str) -> bool:
    """Tell whether pods get none of it where no quota counts it (manifests/policies/pods.yaml)."""
    return key.startswith("requests.") and ("/" in key or "hugepages-" in key)


def _check_keys(given: dict[str, int | str]) -> dict[str, int | str]:
    for key, value in given.items():
        if not may_be_limited(key):
            raise ValueError(f"{key} is nothing that spec.quota may limit: write it as there")
        if not key.endswith(_DIVISIBLE) and ("." in str(value) or str(value).endswith("m")):
            raise ValueError(f"{key} is {value}; it is counted by whole numbers, like 2")
    return given


PartMap = Annotated[dict[str, Quantity], Field(max_length=16), AfterValidator(_check_keys)]
"""Some of the keys of a tenant's quota. Judged by the operator: the API server bounds what all
rules of a CRD may cost."""


def unit_rule(field: str) -> Rule:
    """Return the rule that sizes in an optional quota of that name have a unit.

    Not for the parts of a thousand namespaces: the API server bounds what all rules may cost.
    """
    return Rule(
        cel=f"!has(self.{field}) || self.{field}.all(k, !(k.endsWith('memory') ||"
        f" k.endsWith('storage')) || string(self.{field}[k]).size() > 6"
        f" || !string(self.{field}[k]).matches('^[1-9][0-9]*$'))",
        holds=lambda self: all(
            not key.endswith(("memory", "storage"))
            or re.search(r"^[1-9][0-9]{0,5}\Z", str(value)) is None
            for key, value in (getattr(self, snake(field)) or {}).items()
        ),
        message="memory and storage are counted in bytes: write a unit, like 512Mi or 10Gi",
        path=f".{field}",
    )


def rules(field: str) -> tuple[Rule, ...]:
    """Return the rules about an optional quota of that name."""
    return (
        Rule(
            cel=f"!has(self.{field}) || self.{field}.all(k, k.matches('{_PATTERN}'))",
            holds=lambda self: all(map(_MATCH.fullmatch, getattr(self, snake(field)) or {})),
            message="a quota limits requests.cpu, requests.memory, requests.ephemeral-storage,"
            " the same with limits., requests.storage, persistentvolumeclaims, pods, services,"
            " services.loadbalancers, services.nodeports, secrets, configmaps,"
            " count/<resource>.<group>, requests.<vendor>/<device>, requests.hugepages-<size>, or"
            " what a storage or device class gives; cpu and memory by themselves are ambiguous",
            path=f".{field}",
        ),
        Rule(
            cel=f"!has(self.{field}) || self.{field}.all(k, !(k in {list(COUNTED_BESIDE)}))",
            holds=lambda self: not (getattr(self, snake(field)) or {}).keys() & set(COUNTED_BESIDE),
            message="NetworkPolicies and RoleBindings are walls too and are counted in each"
            " namespace: leave them out",
            path=f".{field}",
        ),
        Rule(
            cel=f"!has(self.{field}) || self.{field}.all(k,"
            f" {quantities.CEL.format(f'self.{field}[k]')})",
            holds=lambda _: True,  # The type has judged already.
            message=quantities.MESSAGE,
            path=f".{field}",
        ),
        Rule(
            cel=f"!has(self.{field}) || self.{field}.all(k, {_IS_DIVISIBLE} ||"
            f" !string(self.{field}[k]).contains('.') && !string(self.{field}[k]).endsWith('m'))",
            holds=lambda self: all(
                key.endswith(_DIVISIBLE) or not ("." in str(value) or str(value).endswith("m"))
                for key, value in (getattr(self, snake(field)) or {}).items()
            ),
            message="all but cpu, memory and storage is counted by whole numbers, like pods: 20",
            path=f".{field}",
        ),
    )
