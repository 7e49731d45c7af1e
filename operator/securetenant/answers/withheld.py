"""Namespaces that a changed spec names and its tenant does not get: somebody else has them."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from securetenant.answers.built import State
from securetenant.api import kinds, names
from securetenant.api.objects import Body, Ref
from securetenant.plan import claim
from securetenant.plan.claim import Claim
from securetenant.plan.ownership import PolicyFacts
from securetenant.plan.resting import Book, Gives, Owner, Rest
from securetenant.reconcile.store import Store
from securetenant.reconcile.tenants import reused

_WITHHELD = frozenset({Claim.FOREIGN, Claim.RETAINED, Claim.RESTING})


class Withheld(NamedTuple):
    """A namespace that a tenant does not get."""

    tenant: str
    namespace: str
    message: str


def resting(status: Mapping[str, Any], state: State, now: datetime) -> Gives:
    """Return why names are not given that rest by the status of TenancySettings."""
    book = Book()
    book.load(status, now)
    days = names.REST_DAYS if state.settings is None else state.settings.rest_days

    def gives(tenant: str, uid: str, namespace: str) -> Rest | None:
        if namespace in reused(state.tenants[tenant]):
            return None
        return book.rest(namespace, uid, days, now)

    return gives


def find(before: State, after: State, store: Store, gives: Gives) -> Iterator[Withheld]:
    """Yield what tenants newly name and do not get.

    ``store`` has what is in the cluster, ``gives`` says which names rest.
    """
    asked_before, asked = _asked(before), _asked(after)
    holders = defaultdict[str, set[str]](set)
    for tenant, namespace in asked:
        holders[namespace].add(tenant)
    for tenant, namespace in sorted(asked.keys() - asked_before.keys()):
        uid = str(asked[tenant, namespace]["metadata"].get("uid", ""))
        rest = gives(tenant, uid, namespace)
        message = _problem(Owner(tenant, uid), namespace, after, store, rest)
        others = sorted(holders[namespace] - {tenant})
        if not message and others:
            message = (
                f"Namespace {namespace} is named by {', '.join(others)} too, and has one tenant."
                " Take it out of all specs but one."
            )
        if message:
            yield Withheld(tenant, namespace, message)


def _problem(owner: Owner, namespace: str, state: State, store: Store, rest: Rest | None) -> str:
    """Return what the operator would say of a namespace; nothing where the tenant gets it."""
    observed = store.get(Ref(kinds.NAMESPACE.name, "", namespace))
    policy = store.get(Ref(kinds.TENANT_POLICY.name, namespace, names.POLICY_NAME))
    facts = policy.facts if policy is not None else None
    known = facts if isinstance(facts, PolicyFacts) else None
    verdict = claim.judge(*owner, namespace, observed, known, rest)
    if verdict.claim is Claim.OWN:
        return ""
    if state.settings is not None and state.settings.protects(namespace):
        return claim.kept_name(namespace)
    return verdict.message if verdict.claim in _WITHHELD else ""


def _asked(state: State) -> Mapping[tuple[str, str], Body]:
    """Return each namespace with the tenant that names it; a spec may be anything."""
    found = {}
    for tenant, body in state.tenants.items():
        spec = body.get("spec")
        spaces = spec.get("namespaces") if isinstance(spec, dict) else None
        for each in spaces if isinstance(spaces, list) else ():
            if isinstance(each, dict) and isinstance(each.get("name"), str):
                found[tenant, each["name"]] = body
    return found
