"""What a unit's objects should look like, in a form that compares without building again."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from securetenant.api import kinds, names, status
from securetenant.api.objects import Body, Manifest, Ref
from securetenant.plan import drift, ownership
from securetenant.plan.drift import NamespaceMarks
from securetenant.plan.ownership import NamespaceFacts, Observed, PolicyFacts, QuotaFacts

Inside = Mapping[Ref, Observed]
"""A namespace and our objects in it, as observed."""


class Expected(NamedTuple):
    """The expectation for one namespace of one tenant."""

    namespace: Ref
    marks: NamespaceMarks
    """Of the namespace, apart from ready-for."""
    digests: Mapping[Ref, bytes]
    """By object, in the order in which they are made."""
    is_pooled: bool = False
    """Whether the share follows use: then a quota is in force while it changes too."""

    @property
    def policy(self) -> Ref:
        """Return the namespace's TenantPolicy."""
        return Ref(kinds.TENANT_POLICY.name, self.namespace.name, names.POLICY_NAME)

    @property
    def quota(self) -> Ref:
        """Return the namespace's ResourceQuota."""
        return Ref(kinds.RESOURCE_QUOTA.name, self.namespace.name, names.QUOTA)


Known = dict[int, tuple[object, bytes]]
"""Digests by the identity of a spec that several manifests share, and the spec, which keeps it."""


def expect(
    manifests: Iterable[Manifest], known: Known | None = None, *, is_pooled: bool = False
) -> Expected:
    """Reduce manifests, the namespace first, to what they are compared by.

    ``known`` spares digests of the same spec in many namespaces of one tenant, whose labels are
    the same too.
    """
    first, *rest = manifests
    metadata = first.body["metadata"]
    known = {} if known is None else known
    return Expected(
        first.ref,
        NamespaceMarks(metadata["labels"], metadata.get("annotations", {})),
        {ref: _digest(body, known) for ref, body in rest},
        is_pooled,
    )


def _digest(body: Body, known: Known) -> bytes:
    """Return the digest of a wall; only the spec and the tenant's labels count."""
    spec = body.get("spec")
    found = known.get(id(spec)) if spec is not None else None
    if found is None:
        found = (spec, ownership.digest(body))
        if spec is not None:
            known[id(spec)] = found
    return found[1]


def differs(expected: Expected, ref: Ref, inside: Inside) -> bool:
    """Tell whether this object is not as it should be; an object nobody wants differs."""
    observed = inside.get(ref)
    if ref == expected.namespace:
        return _namespace_differs(expected, inside, ready=True)
    return expected.digests.get(ref) != (observed.digest if observed else None)


def pending(expected: Expected, inside: Inside) -> tuple[Ref, ...]:
    """Return every object that is not as it should be: unwanted ones first."""
    unwanted = sorted(
        ref for ref in inside if ref != expected.namespace and ref not in expected.digests
    )
    wanted = (expected.namespace, *expected.digests)
    return tuple(ref for ref in (*unwanted, *wanted) if differs(expected, ref, inside))


def unproved(expected: Expected, inside: Inside, pending: Iterable[Ref]) -> frozenset[str]:
    """Return the conditions of which a fact is missing in a namespace where that is pending.

    Each is judged by its own facts: labels of Pod Security are there or not, whatever else the
    namespace waits for; and a quota that is written and not counted is no quota.
    """
    found = {aspect for ref in pending if (aspect := _ASPECTS.get(ref.kind)) is not None}
    if not is_counted(expected, inside):
        found.add(status.QUOTA_ENFORCED)
    if not _has_pod_security(expected, inside):
        found.add(status.POD_SECURITY_ENFORCED)
    return frozenset(found)


_ASPECTS = {
    kinds.NETWORK_POLICY.name: status.NETWORK_ISOLATED,
    kinds.RESOURCE_QUOTA.name: status.QUOTA_ENFORCED,
    kinds.LIMIT_RANGE.name: status.QUOTA_ENFORCED,
    kinds.ROLE_BINDING.name: status.ACCESS_SCOPED,
}
"""The condition that an object is a fact of."""

NONE_PROVED = frozenset({*_ASPECTS.values(), status.POD_SECURITY_ENFORCED})
"""What is unproved of a namespace that nobody looked at, or that is not the tenant's."""


def _has_pod_security(expected: Expected, inside: Inside) -> bool:
    """Tell whether the labels of Pod Security are the expected ones, and no others."""
    observed = inside.get(expected.namespace)
    if observed is None or not isinstance(observed.facts, NamespaceFacts):
        return False
    wanted, found = (
        {key: labels[key] for key in labels if key.startswith(names.POD_SECURITY_PREFIX)}
        for labels in (expected.marks.labels, observed.facts.labels)
    )
    return wanted == found


def is_claimed(expected: Expected, inside: Inside) -> bool:
    """Tell whether the namespace carries our own marks and no wrong ones, ready or not.

    Labels of the spec do not count: they come with the last apply, together with ready.
    """
    return not _namespace_differs(expected, inside, ready=False)


def is_counted(expected: Expected, inside: Inside) -> bool:
    """Tell whether the quota is in force.

    Until the controller-manager has filled ``status.hard`` a quota enforces nothing (tried on
    1.37.1), so neither access nor workloads come before. In a pool the numbers of before are as
    good: the ledger holds the sum of both below the total.
    """
    quota = inside.get(expected.quota)
    if (
        quota is None
        or quota.digest != expected.digests.get(expected.quota)
        or not isinstance(quota.facts, QuotaFacts)
    ):
        return False
    if expected.is_pooled:
        return quota.facts.enforced.keys() == quota.facts.hard.keys()
    return quota.facts.enforced == quota.facts.hard


def is_guarded(expected: Expected, inside: Inside) -> bool:
    """Tell whether nothing is missing that pods must not run without.

    The default-deny as it should be; a quota, of which the API server counts something; a
    LimitRange; the labels of Pod Security. Without its TenantPolicy a namespace admits no pod.
    """
    namespace = expected.namespace.name
    deny = Ref(kinds.NETWORK_POLICY.name, namespace, names.DEFAULT_DENY)
    found, quota = inside.get(deny), inside.get(expected.quota)
    return (
        found is not None
        and found.digest == expected.digests.get(deny)
        and quota is not None
        and isinstance(quota.facts, QuotaFacts)
        and bool(quota.facts.enforced)
        and Ref(kinds.LIMIT_RANGE.name, namespace, names.LIMITS) in inside
        and _has_pod_security(expected, inside)
    )


def policy_uid(expected: Expected, inside: Inside) -> str:
    """Return the uid of the namespace's TenantPolicy, or an empty string."""
    policy = inside.get(expected.policy)
    return policy.uid if policy else ""


def is_ready_for(expected: Expected, inside: Inside) -> bool:
    """Tell whether the namespace's ready-for names its TenantPolicy."""
    observed = inside.get(expected.namespace)
    uid = policy_uid(expected, inside)
    return (
        observed is not None
        and isinstance(observed.facts, NamespaceFacts)
        and bool(uid)
        and observed.facts.labels.get(names.READY_FOR_LABEL) == uid
    )


def _namespace_differs(expected: Expected, inside: Inside, *, ready: bool) -> bool:
    observed = inside.get(expected.namespace)
    if observed is None or not isinstance(observed.facts, NamespaceFacts):
        return True
    if observed.facts.terminating:
        return True
    labels, annotations = dict(expected.marks.labels), expected.marks.annotations
    if not ready:
        labels = {key: labels[key] for key in labels if ownership.is_our_key(key)}
        annotations = {}
    if ready or names.READY_FOR_LABEL in observed.facts.labels:
        labels[names.READY_FOR_LABEL] = policy_uid(expected, inside)
    return drift.namespace_differs(NamespaceMarks(labels, annotations), observed.facts)


def policy_facts(expected: Expected, inside: Inside) -> PolicyFacts | None:
    """Return what is remembered of the namespace's TenantPolicy."""
    policy = inside.get(expected.policy)
    return policy.facts if policy and isinstance(policy.facts, PolicyFacts) else None
