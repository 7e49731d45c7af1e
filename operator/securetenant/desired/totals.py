"""A tenant's total quota: what the spec says, and the platform's defaults for the rest."""

from securetenant.api import quantities, quotas
from securetenant.api.securetenant import TenantSpec
from securetenant.api.tenancysettings import SettingsSpec

_FINISHED_PODS = 4
"""``pods`` counts only running pods; ``count/pods`` finished ones too, which pile up."""


def total(spec: TenantSpec, settings: SettingsSpec) -> dict[str, int]:
    """Return the total by resource, in units.

    Two absent values follow what is given instead of contradicting it: limits are never below
    requests, and count/pods is a multiple of pods. What only the bounds name is as much as they
    say: nothing would limit it otherwise.
    """
    given = {key: quantities.units(key, value) for key, value in (spec.quota or {}).items()}
    result = {key: quantities.units(key, value) for key, value in settings.default_quota.items()}
    for key, value in ((settings.bounds and settings.bounds.quota) or {}).items():
        if not quotas.is_device(key):
            result.setdefault(key, quantities.units(key, value))
    result.update(given)
    for name in ("cpu", "memory", "ephemeral-storage"):
        requests, limits = f"requests.{name}", f"limits.{name}"
        if requests in result and limits not in given:
            result[limits] = max(result.get(limits, 0), result[requests])
    if not settings.limits_cpu(spec):
        result.pop("limits.cpu", None)
    if "pods" in result and "count/pods" not in given:
        result["count/pods"] = result["pods"] * _FINISHED_PODS
    return dict(sorted(result.items()))
