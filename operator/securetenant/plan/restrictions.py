"""What a refused spec takes away: that part of it is in force at once.

A spec that is refused as a whole is still read for what it withdraws: nobody should keep access
because another field has a mistake. The list is closed (see the decision "Restrictions bite at
once"); what is in force is never more than the last good spec allowed. What cannot be read takes
nothing away.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from securetenant.api import lockdown
from securetenant.api.access import Grant, Role, Subject
from securetenant.api.lockdown import Lockdown
from securetenant.api.network import Peer, TenantNetwork
from securetenant.api.securetenant import TenantSpec
from securetenant.api.tenancysettings import Bounds
from securetenant.api.workloads import Workloads

_GRANT_FIELDS = ("name", "role", "subjects", "namespaces")
_SUBJECT_FIELDS = ("kind", "name", "namespace")
_DIRECTIONS = {"Both": {"Ingress", "Egress"}, "Ingress": {"Ingress"}, "Egress": {"Egress"}}

_Where = frozenset[str] | None
"""Namespaces of a grant; nothing means all."""
_Holders = dict[tuple[Role, Subject], _Where]


class Reading(NamedTuple):
    """What is read of a spec that is refused as a whole."""

    is_suspended: bool
    lockdown: Lockdown
    access: tuple[Grant, ...] | None
    """Nothing where it cannot be read."""


def read(asked: Any) -> Reading:
    """Read a stored spec, whatever it is."""
    if not isinstance(asked, Mapping):
        return Reading(is_suspended=False, lockdown=lockdown.NONE, access=None)
    return Reading(
        is_suspended=asked.get("reconciliation") == "Suspended",
        lockdown=lockdown.read(asked.get("lockdown")),
        access=_read_access(asked.get("access")),
    )


def reduce(good: TenantSpec, asked: Any, bounds: Bounds | None) -> TenantSpec:
    """Return the last good spec without what a refused one takes away.

    ``bounds`` are those of today: the API server refuses the operator every object that passes
    them, so what is rewritten to be less is also written within them.
    """
    if not isinstance(asked, Mapping):
        return good
    found = read(asked)
    change: dict[str, Any] = {}
    if asked.get("reconciliation") in (None, "Active", "Suspended"):
        change["reconciliation"] = asked.get("reconciliation")
    change["lockdown"] = lockdown.strictest(good.lockdown or lockdown.NONE, found.lockdown)
    if found.access is not None:
        change["access"] = _reduce_access(good.access or (), found.access, bounds)
    change["network"] = _reduce_network(good.network, asked.get("network"), bounds)
    change["workloads"] = _reduce_workloads(good.workloads, asked.get("workloads"))
    return good.model_copy(update=change)


def holders(
    grants: Iterable[Grant], role: Role, namespace: str | None
) -> frozenset[tuple[str, str, str]]:
    """Return who is granted a role, as kind, name and namespace of the account.

    In one namespace; with nothing, in any: a namespace that left the spec is in no grant's list,
    and its members keep their access until no grant names them.
    """
    return frozenset(
        (subject.kind, subject.name, subject.namespace or "")
        for grant in grants
        if grant.role == role
        and (namespace is None or grant.namespaces is None or namespace in grant.namespaces)
        for subject in grant.subjects
    )


# --- access -------------------------------------------------------------------------------------


def _read_access(access: Any) -> tuple[Grant, ...] | None:
    """Return the grants, read without fields that are not known; nothing where one is no grant."""
    if access is None:
        return ()
    if not isinstance(access, list):
        return None
    try:
        return tuple(Grant.model_validate(_known(each)) for each in access)
    except (ValidationError, TypeError):
        return None


def _known(grant: Any) -> dict[str, Any]:
    if not isinstance(grant, Mapping) or not isinstance(grant.get("subjects"), list):
        raise TypeError("no grant")
    subjects = [
        {field: each[field] for field in _SUBJECT_FIELDS if field in each}
        if isinstance(each, Mapping)
        else each
        for each in grant["subjects"]
    ]
    known = {field: grant[field] for field in _GRANT_FIELDS if field in grant}
    return {**known, "subjects": subjects}


def _reduce_access(
    good: tuple[Grant, ...], asked: tuple[Grant, ...], bounds: Bounds | None
) -> tuple[Grant, ...]:
    before, after = _held(good), _held(asked)
    left = {
        key: _meet(where, after[key])
        for key, where in before.items()
        if key in after and _meet(where, after[key]) != frozenset()
    }
    if left == before:
        return good
    alike: defaultdict[tuple[Role, _Where], list[Subject]] = defaultdict(list)
    for (role, subject), where in left.items():
        if bounds is None or bounds.admits_grant(role, subject.kind, subject.name):
            alike[role, where].append(subject)
    return tuple(
        Grant.model_construct(
            name=f"{role.lower()}-{number}",
            role=role,
            subjects=tuple(subjects),
            namespaces=None if where is None else tuple(sorted(where)),
        )
        for number, ((role, where), subjects) in enumerate(alike.items())
    )


def _held(grants: Iterable[Grant]) -> _Holders:
    found: _Holders = {}
    for grant in grants:
        where: _Where = None if grant.namespaces is None else frozenset(grant.namespaces)
        if where == frozenset():
            continue
        for subject in grant.subjects:
            key = (grant.role, subject)
            known = found.get(key, frozenset())
            found[key] = None if where is None or known is None else known | where
    return found


def _meet(one: _Where, other: _Where) -> _Where:
    if one is None or other is None:
        return other if one is None else one
    return one & other


# --- network ------------------------------------------------------------------------------------


def _reduce_network(
    good: TenantNetwork | None, asked: Any, bounds: Bounds | None
) -> TenantNetwork | None:
    asked = {} if asked is None else asked
    if not isinstance(asked, Mapping):
        return good
    before = good or TenantNetwork()
    change: dict[str, Any] = {}
    if asked.get("sameTenant") == "Deny":
        change["same_tenant"] = "Deny"
    if before.api_server == "Allow" and asked.get("apiServer") != "Allow":
        change["api_server"] = "Deny"
    for field in ("ingress", "egress"):
        named = _values(asked.get(field), "name")
        if named is not None:
            opened = getattr(before, field) or ()
            change[field] = tuple(each for each in opened if (each.name,) in named)
    peers = _values(asked.get("peers"), "tenant", "direction")
    if peers is not None:
        change["peers"] = _reduce_peers(before.peers or (), peers, bounds)
    return before.model_copy(update=change)


def _reduce_peers(
    good: tuple[Peer, ...], asked: set[tuple[str, ...]], bounds: Bounds | None
) -> tuple[Peer, ...]:
    left = []
    for each in good:
        said = {
            one
            for tenant, direction in asked
            if tenant == each.tenant
            for one in _DIRECTIONS.get(direction, ())
        }
        both = _DIRECTIONS[each.direction] & said
        if both == _DIRECTIONS[each.direction]:
            left.append(each)
        elif both:
            left.append(each.model_copy(update={"direction": both.pop()}))
    if left == list(good):
        return good
    return tuple(each for each in left if bounds is None or bounds.admits_peer(each.tenant))


def _values(entries: Any, *fields: str) -> set[tuple[str, ...]] | None:
    """Return the keys of a list's entries; nothing where the list cannot be read."""
    if entries is None:
        return set()
    if not isinstance(entries, list) or not all(isinstance(each, Mapping) for each in entries):
        return None
    found = [tuple(each.get(field) for field in fields) for each in entries]
    if not all(isinstance(value, str) for key in found for value in key):
        return None
    return set(found)


# --- workloads ----------------------------------------------------------------------------------


def _reduce_workloads(good: Workloads | None, asked: Any) -> Workloads | None:
    """Shorten the lists that both have: what is absent means the platform's default.

    Host names have no default, so an absent list gives all of them up.
    """
    if good is None or not (asked is None or isinstance(asked, Mapping)):
        return good
    asked = {"hostnames": []} if asked is None else {"hostnames": [], **asked}
    tokens = good.service_account_tokens
    said = asked.get("serviceAccountTokens")
    change: dict[str, Any] = _shorter(good, asked)
    if tokens is not None and isinstance(said, Mapping):
        change["service_account_tokens"] = tokens.model_copy(update=_shorter(tokens, said))
    return good.model_copy(update=change)


def _shorter(good: Any, asked: Mapping[str, Any]) -> dict[str, Any]:
    change = {}
    for field, info in type(good).model_fields.items():
        before, after = getattr(good, field), asked.get(info.alias or field)
        if isinstance(before, tuple) and isinstance(after, list):
            change[field] = tuple(each for each in before if each in after)
    return change
