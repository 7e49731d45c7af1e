"""Looks through a namespace that is to be taken: what would be against the spec, were it taken.

Nothing is changed and nothing is kept of it. What is not known keeps it from being taken.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from securetenant.api import kinds, names
from securetenant.api.kinds import Kind
from securetenant.api.objects import Body, Ref
from securetenant.checks import filled, needs
from securetenant.checks.standing import Rules
from securetenant.concerns.standing import look
from securetenant.concerns.standing.look import Found, Note, Served
from securetenant.plan import bindings as foreign
from securetenant.reconcile.errors import MissingError
from securetenant.reconcile.ports import Lists

_FINISHED = ("Succeeded", "Failed")
_TOLD = 3
_NOTHING: Mapping[Kind, int] = MappingProxyType({})


class Preflight(NamedTuple):
    """What was found."""

    found: Found
    """What the rules would refuse, were it made again."""
    beyond: tuple[str, ...]
    """What is there takes beyond the namespace's share, for people to read."""
    unopened: tuple[str, ...]
    """What the spec opens and TenancySettings do not know, so that it would be cut off."""
    crowded: tuple[str, ...]
    """Quotas of others that would refuse what the operator makes."""
    held: tuple[str, ...]
    """RoleBindings of the operator that finalizers would keep from going."""
    bindings: tuple[str, ...]
    """RoleBindings that give rights to ServiceAccounts whose tokens a former tenant may hold."""
    aside: tuple[str, ...]
    """RoleBindings that a quarantine put aside which was not this tenant's, or that claim it."""
    cluster: tuple[str, ...]
    """ClusterRoleBindings that give rights to its ServiceAccounts."""
    pods: int
    """How many run."""
    elsewhere: int
    """How many of them run on nodes that the tenant's pods do not get; they stay there."""

    def contradictions(self, *, is_enforced: bool) -> tuple[str, ...]:
        """Say what keeps the namespace from being taken, apart from what the rules refuse."""
        told = [*self.unopened, *self.beyond, *self.crowded]
        if self.held:
            told.append(
                f"RoleBindings {_listed(self.held)} could not be deleted: remove these finalizers"
                " first"
            )
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
        if is_enforced and self.cluster:
            told.append(
                f"ClusterRoleBindings {_listed(self.cluster)} give rights to its ServiceAccounts,"
                " and anyone who may run pods there may use them"
            )
        return tuple(told)

    def obstacles(self, namespace: str, *, is_enforced: bool) -> str:
        """Say what keeps the namespace from being taken; nothing: it is taken."""
        told = []
        if self.found.problem:
            told.append(f"not everything in it could be read ({self.found.problem})")
        if is_enforced and self.found.total:
            told.append(look.listing([self.found], "would be refused"))
        told += self.contradictions(is_enforced=is_enforced)
        if not told:
            return ""
        is_lenient = is_enforced and (self.found.total or self.cluster)
        audit = "; with spec.enforcement: Audit it is taken nevertheless" if is_lenient else ""
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
        if self.cluster:
            told.append(
                f"ClusterRoleBindings {_listed(self.cluster)} give rights to its ServiceAccounts"
            )
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
    made: Mapping[Kind, int] = _NOTHING,
    unopened: Iterable[str] = (),
    note: Note = lambda _: None,
) -> Preflight:
    """Look through the namespace. Raises a :class:`ClusterError`.

    ``share`` is what ``tenant`` would give it of its quota, ``former`` the tenant that let go of it
    or an empty string, ``is_elsewhere`` tells whether a node is none for the tenant's pods.
    ``made`` says how many objects of each kind the operator makes there, ``unopened`` which
    openings it does not make.
    """
    mutates = await _mutates(cluster)
    counted: defaultdict[str, int] = defaultdict(int)

    def prepare(kind: Kind, body: Body) -> Body:
        """Judge a pod as it would be made again: what it leaves out is filled in."""
        if kind is not kinds.POD:
            for key, amount in needs.of_object(kind, body).items():
                counted[key] += amount
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
        bindings += held.items
    crowded: list[str] = []
    async for quotas in cluster.pages(
        kinds.RESOURCE_QUOTA,
        take=lambda body: needs.crowded(body, made),
        namespace=rules.namespace,
    ):
        crowded += [told for each in quotas.items for told in each]
    given: list[str] = []
    async for found_bindings in cluster.pages(
        kinds.CLUSTER_ROLE_BINDING, take=lambda body: _take_given(body, rules.namespace)
    ):
        given += filter(None, found_bindings.items)
    return Preflight(
        found=found,
        beyond=(
            *needs.beyond(taken, share),
            *needs.beyond(counted, share, "it holds"),
        ),
        unopened=tuple(unopened),
        crowded=tuple(crowded),
        held=tuple(sorted(f"{each.name} ({each.held})" for each in bindings if each.held)),
        cluster=tuple(sorted(given)),
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
    held: str
    """The finalizers of one of the operator's, which is deleted when the namespace is taken."""


def _take_given(body: Body, namespace: str) -> str | None:
    """Return the name of a ClusterRoleBinding that names ServiceAccounts of the namespace."""
    subjects = body.get("subjects") or ()
    is_given = any(foreign.home(each, "") == namespace for each in subjects)
    return str(body["metadata"]["name"]) if is_given else None


def _take_binding(body: Body) -> _Binding:
    """Return what counts of a RoleBinding; of the operator's own only what keeps it there."""
    metadata = body["metadata"]
    if (metadata.get("labels") or {}).get(names.MANAGED_BY_LABEL) == names.MANAGED_BY:
        held = ", ".join(metadata.get("finalizers") or ())
        return _Binding(metadata["name"], has_accounts=False, is_aside=False, held=held)
    return _Binding(
        name=metadata["name"],
        has_accounts=any(each["kind"] == "ServiceAccount" for each in body.get("subjects") or ()),
        is_aside=names.ASIDE in (metadata.get("annotations") or {}),
        held="",
    )


def _listed(found: tuple[str, ...]) -> str:
    more = len(found) - _TOLD
    return ", ".join(found[:_TOLD]) + (f" and {more} more" if more > 0 else "")
