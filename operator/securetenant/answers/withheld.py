"""Namespaces that a changed spec names and its tenant does not get: somebody else has them."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from securetenant.answers.built import State
from securetenant.api import kinds, names
from securetenant.api.objects import Body, Ref
from securetenant.plan import claim
from securetenant.plan.claim import Claim
from securetenant.plan.ownership import PolicyFacts
from securetenant.reconcile.store import Store

_WITHHELD = frozenset({Claim.FOREIGN, Claim.RETAINED, Claim.RESTING})


class Withheld(NamedTuple):
    """A namespace that a tenant does not get."""

    tenant: str
    namespace: str
    message: str


def find(before: State, after: State, store: Store) -> Iterator[Withheld]:
    """Yield what tenants newly name and do not get; ``store`` has what is in the cluster."""
    asked_before, asked = _asked(before), _asked(after)
    holders = defaultdict[str, set[str]](set)
    for tenant, namespace in asked:
        holders[namespace].add(tenant)
    for tenant, namespace in sorted(asked.keys() - asked_before.keys()):
        message = _problem(tenant, namespace, after, asked[tenant, namespace], store)
        others = sorted(holders[namespace] - {tenant})
        if not message and others:
            message = (
                f"Namespace {namespace} is named by {', '.join(others)} too, and has one tenant."
                " Take it out of all specs but one."
            )
        if message:
            yield Withheld(tenant, namespace, message)


def _problem(tenant: str, namespace: str, state: State, body: Body, store: Store) -> str:
    """Return what the operator would say of a namespace; nothing where the tenant gets it."""
    observed = store.get(Ref(kinds.NAMESPACE.name, "", namespace))
    policy = store.get(Ref(kinds.TENANT_POLICY.name, namespace, names.POLICY_NAME))
    facts = policy.facts if policy is not None else None
    uid = str(body["metadata"].get("uid", ""))
    verdict = claim.judge(
        tenant, uid, namespace, observed, facts if isinstance(facts, PolicyFacts) else None
    )
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
