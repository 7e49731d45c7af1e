"""Looks through a namespace that is to be taken: what would be against the spec, were it taken.

Nothing is changed and nothing is kept of it. What is not known keeps it from being taken.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import NamedTuple

from securetenant.api import kinds, names
from securetenant.api.kinds import Kind
from securetenant.api.objects import Body, Ref
from securetenant.checks import filled, needs
from securetenant.checks.standing import Rules
from securetenant.concerns.standing import look
from securetenant.concerns.standing.look import Found, Note, Served
from securetenant.reconcile.errors import MissingError
from securetenant.reconcile.ports import Lists

_FINISHED = ("Succeeded", "Failed")
_TOLD = 3


class Preflight(NamedTuple):
    """What was found."""

    found: Found
    """What the rules would refuse, were it made again."""
    beyond: tuple[str, ...]
    """What running pods take beyond the namespace's share, for people to read."""
    bindings: tuple[str, ...]
    """RoleBindings that give rights to ServiceAccounts whose tokens a former tenant may hold."""
    aside: tuple[str, ...]
    """RoleBindings that a quarantine put aside which was not this tenant's, or that claim it."""
    pods: int
    """How many run."""
    elsewhere: int
    """How many of them run on nodes that the tenant's pods do not get; they stay there."""

    def contradictions(self) -> tuple[str, ...]:
        """Say what, in any mode, keeps the namespace from being taken."""
        told = [*self.beyond]
        if self.bindings:
            told.append(
                f"RoleBindings {_listed(self.bindings)} give rights to ServiceAccounts of which the"
                " former tenant's members may hold tokens"
            )
        if self.aside:
            told.append(
                f"RoleBindings {_listed(self.aside)} hold the names of others in the annotation"
                f" {names.ASIDE}, who would be brought back: end the quarantine of the former"
                " tenant while the namespace is its own, or remove the annotation as break-glass"
            )
        return tuple(told)

    def obstacles(self, namespace: str, *, is_enforced: bool) -> str:
        """Say what keeps the namespace from being taken; nothing: it is taken."""
        told = []
        if self.found.problem:
            told.append(f"not everything in it could be read ({self.found.problem})")
        if is_enforced and self.found.total:
            told.append(look.listing([self.found], "would be refused"))
        told += self.contradictions()
        if not told:
            return ""
        audit = (
            "; with spec.enforcement: Audit it is taken although they would be refused"
            if is_enforced and self.found.total
            else ""
        )
        return (
            f"Namespace {namespace} is not taken, and nothing in it was touched: {'; '.join(told)}."
            f" Change or delete what is named, or change the SecureTenant{audit}"
        )

    def summary(self) -> str:
        """Say what is taken along, for an event."""
        told = [f"{self.pods} running pods"]
        if self.elsewhere:
            told.append(
                f"{self.elsewhere} of them on nodes that new pods of the tenant do not get; they"
                " stay until they end"
            )
        if self.found.total:
            told.append(look.listing([self.found], "would be refused"))
        return "; ".join(told)


async def through(
    cluster: Lists,
    rules: Rules,
    served: Served,
    *,
    share: Mapping[str, str],
    former: str,
    tenant: str,
    is_ours: Callable[[Ref], bool],
    is_elsewhere: Callable[[str], bool],
    note: Note = lambda _: None,
) -> Preflight:
    """Look through the namespace. Raises a :class:`ClusterError`.

    ``share`` is what ``tenant`` would give it of its quota, ``former`` the tenant that let go of it
    or an empty string, ``is_elsewhere`` tells whether a node is none for the tenant's pods.
    """
    mutates = await _mutates(cluster)

    def prepare(kind: Kind, body: Body) -> Body:
        """Judge a pod as it would be made again: what it leaves out is filled in."""
        if kind is not kinds.POD:
            return body
        return filled.fill(body, rules.policy, mutates=mutates)

    found = await look.through(cluster, rules, is_ours, served, prepare, note)
    taken: defaultdict[str, int] = defaultdict(int)
    count = elsewhere = 0

    def take_pod(body: Body) -> tuple[dict[str, int], str] | None:
        if body.get("status", {}).get("phase") in _FINISHED:
            return None
        return needs.of_pod(body["spec"], rules.policy), body["spec"].get("nodeName", "")

    async for page in cluster.pages(kinds.POD, take=take_pod, namespace=rules.namespace):
        for each in filter(None, page.items):
            amounts, node = each
            count += 1
            elsewhere += bool(node) and is_elsewhere(node)
            for key, amount in amounts.items():
                taken[key] += amount
    bindings: list[_Binding] = []
    async for held in cluster.pages(
        kinds.ROLE_BINDING, take=_take_binding, namespace=rules.namespace
    ):
        bindings += filter(None, held.items)
    return Preflight(
        found=found,
        beyond=needs.beyond(taken, share),
        bindings=tuple(sorted(each.name for each in bindings if former and each.has_accounts)),
        aside=tuple(sorted(each.name for each in bindings if former != tenant and each.is_aside)),
        pods=count,
        elsewhere=elsewhere,
    )


async def _mutates(cluster: Lists) -> bool:
    """Tell whether the API server knows policies that fill in what pods leave out."""
    try:
        async for _ in cluster.pages(kinds.MUTATING_POLICY, take=lambda _: None):
            pass
    except MissingError:
        return False
    return True


class _Binding(NamedTuple):
    name: str
    has_accounts: bool
    is_aside: bool


def _take_binding(body: Body) -> _Binding | None:
    """Return what counts of a RoleBinding of others; nothing of the operator's own."""
    metadata = body["metadata"]
    if (metadata.get("labels") or {}).get(names.MANAGED_BY_LABEL) == names.MANAGED_BY:
        return None
    return _Binding(
        name=metadata["name"],
        has_accounts=any(each["kind"] == "ServiceAccount" for each in body.get("subjects") or ()),
        is_aside=names.ASIDE in (metadata.get("annotations") or {}),
    )


def _listed(found: tuple[str, ...]) -> str:
    more = len(found) - _TOLD
    return ", ".join(found[:_TOLD]) + (f" and {more} more" if more > 0 else "")
