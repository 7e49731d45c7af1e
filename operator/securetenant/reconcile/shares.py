"""What a spec says of its quota, and what of it does not fit."""

from collections.abc import Iterable, Mapping

from securetenant.api import limits, quantities, status
from securetenant.api.securetenant import TenantSpec
from securetenant.api.tenancysettings import SettingsSpec
from securetenant.desired import totals
from securetenant.plan import shares
from securetenant.plan.ledger import Ledger, Part, Units
from securetenant.plan.shares import TooSmall
from securetenant.status import conditions
from securetenant.status.outcome import Finding

_CLAIM = 1 << 30
"""Bytes of a volume claim of which nobody knows the size, to keep a little room."""
_TOLD = 3
"""How many of a kind a message names."""


def needs(spec: TenantSpec, settings: SettingsSpec) -> dict[str, int]:
    """Return what a pod of default size takes, and a claim, by resource."""
    return {**_pod(spec, settings), "requests.storage": _CLAIM}


def parts(spec: TenantSpec) -> dict[str, Part]:
    """Return what each namespace is to get of the total."""
    return {
        entry.name: Part(
            weight=(entry.quota and entry.quota.weight) or 1,
            fixed=_in_units((entry.quota and entry.quota.hard) or {}),
            guaranteed=_in_units((entry.quota and entry.quota.guaranteed) or {}),
            most=_in_units((entry.quota and entry.quota.max) or {}),
        )
        for entry in spec.namespaces
    }


def findings(spec: TenantSpec, settings: SettingsSpec, book: Ledger) -> list[Finding]:
    """Return what is too small for a pod that says nothing of its size, and what is zero or gone.

    The first keeps the tenant from being ready. The rest only informs: whether a namespace needs a
    volume claim or a CronJob is not known here.
    """
    found = _pool(spec, settings, book) if spec.has_pool else _split(spec, settings, book)
    return found if settings.limits_cpu(spec) or book.waiting else [*found, _NO_CPU_LIMITS]


def _split(spec: TenantSpec, settings: SettingsSpec, book: Ledger) -> list[Finding]:
    if book.waiting:
        return []  # They are about to grow; it is read again then.
    total, every, pod = totals.total(spec, settings), parts(spec), _pod(spec, settings)
    found = []
    if small := shares.too_small(pod, total, every, book.shares):
        found.append(_no_pod_fits(small))
    one = dict.fromkeys(total.keys() - pod.keys(), 1)
    if nothing := shares.too_small(one, total, every, book.shares):
        told = ", ".join(
            f"{each.resource} ({conditions.listed(each.namespaces)})" for each in nothing[:_TOLD]
        )
        more = f", and {len(nothing) - _TOLD} other keys" if len(nothing) > _TOLD else ""
        found.append(
            _small(
                f"A share is zero where the total is less than one for each namespace: {told}{more}"
                ". Raise it in spec.quota, or give a namespace that needs some a weight or a fixed"
                " part.",
                informs=True,
            )
        )
    return found


def _pool(spec: TenantSpec, settings: SettingsSpec, book: Ledger) -> list[Finding]:
    """Return what does not fit into the total, and what was refused because it is used up.

    By the spec and by refusals, not by shares: these move, and the status would with them.
    """
    total, pod = totals.total(spec, settings), _pod(spec, settings)
    if short := {key: need for key, need in pod.items() if 0 < total.get(key, 0) < need}:
        return [_no_pod_fits_at_all(short, total)]
    if book.unmet:
        return [_exhausted(book, total)]
    every = {key: need * len(spec.namespaces) for key, need in pod.items()}
    scarce = {key: amount for key, amount in every.items() if 0 < total.get(key, 0) < amount}
    if not scarce:
        return []
    message = (
        f"Not all {conditions.count(len(spec.namespaces))} can hold a pod of default size at the"
        f" same time; a total of {_texts(scarce)} would do. A workload that asks gets the room that"
        " others leave; a pod that is made by hand may be refused."
    )
    return [_small(message, informs=True)]


def _exhausted(book: Ledger, total: Units) -> Finding:
    told = ", ".join(f"{name} ({resource})" for name, resource in book.unmet[:_TOLD])
    more = f" and {len(book.unmet) - _TOLD} more" if len(book.unmet) > _TOLD else ""
    keys = sorted({resource for _, resource in book.unmet})
    message = (
        f"Refused since the tenant's total is used up: {told}{more}. The total is"
        f" {_texts({key: total.get(key, 0) for key in keys[:_TOLD]})}. Raise it in spec.quota,"
        " delete what is not needed, or raise the namespace's max where it has one."
    )
    return Finding(
        type=status.QUOTA_ENFORCED, reason=status.POOL_EXHAUSTED, message=message, informs=True
    )


def _no_pod_fits_at_all(short: Units, total: Units) -> Finding:
    told = "; ".join(
        f"{key} is {quantities.canonical(key, total[key])} and it takes"
        f" {quantities.canonical(key, need)}"
        for key, need in sorted(short.items())
    )
    return _small(
        f"No pod of default size fits into the total ({told}). Write at least {_texts(short)} into"
        " spec.quota, or lower spec.containerLimits"
    )


def _no_pod_fits(found: Iterable[TooSmall]) -> Finding:
    where = sorted({name for each in found for name in each.namespaces})
    told = "; ".join(
        f"{each.resource} is {quantities.canonical(each.resource, each.smallest)} and it takes"
        f" {quantities.canonical(each.resource, each.need)}"
        for each in found
    )
    enough = _texts({each.resource: each.enough for each in found})
    return _small(
        f"No pod of default size fits into the share of {conditions.listed(where)} ({told})."
        f" Write at least {enough} into spec.quota, name fewer namespaces, give these a larger"
        " weight, or lower spec.containerLimits"
    )


def _small(message: str, *, informs: bool = False) -> Finding:
    return Finding(
        type=status.QUOTA_ENFORCED,
        reason=status.SHARE_TOO_SMALL,
        message=message,
        informs=informs,
    )


_NO_CPU_LIMITS = Finding(
    type=status.QUOTA_ENFORCED,
    reason=status.NO_CPU_LIMITS,
    message="Containers have no limit of CPU (containerLimits.cpuLimit is None): each may use what"
    " others on its node leave. What they request is counted.",
    informs=True,
)


def _pod(spec: TenantSpec, settings: SettingsSpec) -> dict[str, int]:
    """Return what a pod takes that names neither requests nor limits."""
    has_cpu_limit = settings.limits_cpu(spec)
    return shares.needs(limits.effective(spec.container_limits, has_cpu_limit=has_cpu_limit))


def _in_units(given: Mapping[str, int | str]) -> dict[str, int]:
    return {key: quantities.units(key, value) for key, value in given.items()}


def _texts(amounts: Units) -> str:
    return ", ".join(
        f"{key}: {quantities.canonical(key, amount)}" for key, amount in sorted(amounts.items())
    )
