"""Whose namespace it is: the one decision that keeps the operator off other people's things."""

from enum import Enum, auto
from typing import NamedTuple

from securetenant.api import names
from securetenant.plan import termination
from securetenant.plan.ownership import NamespaceFacts, Observed, PolicyFacts
from securetenant.plan.resting import Rest


class Claim(Enum):
    """What a namespace is to a tenant."""

    ABSENT = auto()
    """It does not exist: it may be created."""
    OWN = auto()
    """It is the tenant's."""
    FOREIGN = auto()
    """It is somebody else's: nothing of it is touched."""
    ADOPTABLE = auto()
    """It is nobody's, or was let go by another tenant, and the platform team consents that this one
    takes it."""
    RETAINED = auto()
    """It was the tenant's, was let go with its walls, and waits for consent."""
    TERMINATING = auto()
    """It is the tenant's and on its way out: it is made again afterwards."""
    RESTING = auto()
    """It does not exist, and was another SecureTenant's: it is not created yet."""


class Verdict(NamedTuple):
    """The decision, with a sentence for people where there is something to say."""

    claim: Claim
    message: str = ""
    is_owned: bool = False
    """Whether it exists and is the tenant's, be it on its way out."""


def judge(
    tenant: str,
    uid: str,
    namespace: str,
    observed: Observed | None,
    policy: PolicyFacts | None,
    rest: Rest | None = None,
) -> Verdict:
    """Decide by the namespace's labels and the TenantPolicy in it.

    Only the operator writes TenantPolicies, so a namespace that holds one of the tenant and
    has no label has lost its label. ``uid`` is that of the SecureTenant: another one of the
    same name takes namespaces over only with consent. ``rest`` says why the tenant does not get the
    name once the namespace is gone.
    """
    if observed is None or not isinstance(observed.facts, NamespaceFacts):
        if rest is not None:
            return Verdict(Claim.RESTING, _resting(tenant, namespace, rest))
        return Verdict(Claim.ABSENT)
    labels = observed.facts.labels
    owner = labels.get(names.TENANT_LABEL) or (policy.tenant if policy else "")
    consent = observed.facts.annotations.get(names.ADOPT_ANNOTATION) == tenant
    if not owner:
        if observed.facts.terminating:
            going = _going(tenant, namespace, "belongs to no tenant", rest)
            return Verdict(Claim.FOREIGN, going)
        if consent:
            return Verdict(Claim.ADOPTABLE)
        return Verdict(
            Claim.FOREIGN,
            f"Namespace {namespace} exists and belongs to no tenant. Choose another name, or have"
            f" it taken with all it holds: {_consent(tenant, namespace)}",
        )
    let_go = labels.get(names.STATE_LABEL) == names.RETAINED
    if owner != tenant:
        if observed.facts.terminating:
            going = _going(tenant, namespace, f"belongs to tenant {owner}", rest)
            return Verdict(Claim.FOREIGN, going)
        if not (let_go and consent):
            return Verdict(Claim.FOREIGN, _foreign(tenant, namespace, owner, let_go=let_go))
        if rest is not None:
            return Verdict(Claim.FOREIGN, _watched(tenant, namespace, owner))
        return Verdict(Claim.ADOPTABLE)
    is_anothers = policy is not None and policy.tenant_uid != uid
    needs_consent = (let_go or is_anothers) and not consent
    if observed.facts.terminating:
        told = termination.describe(namespace, observed.facts)
        return Verdict(
            Claim.TERMINATING,
            f"Namespace {told} is being deleted; it is made again afterwards.",
            is_owned=not needs_consent,
        )
    if needs_consent:
        reason = "was retained" if let_go else f"belongs to an earlier SecureTenant {tenant}"
        return Verdict(
            Claim.RETAINED,
            f"Namespace {namespace} {reason}. To take it back with all it holds: kubectl annotate"
            f" namespace {namespace} {names.ADOPT_ANNOTATION}={tenant}",
        )
    return Verdict(Claim.OWN, is_owned=True)


def kept_name(namespace: str) -> str:
    """Say that no tenant gets a namespace of this name."""
    return (
        f"The name {namespace} is kept by the platform team (TenancySettings, protectedNames or"
        " subjectNamespaces). Choose another name."
    )


def _consent(tenant: str, namespace: str) -> str:
    return f"kubectl annotate namespace {namespace} {names.ADOPT_ANNOTATION}={tenant}"


def _watched(tenant: str, namespace: str, owner: str) -> str:
    """Say why consent is not enough: Kubernetes authorizes a watch once."""
    return (
        f"Namespace {namespace} belonged to tenant {owner}, and anyone who had access to it there"
        f" can still have a watch open, by which they would see what {tenant} keeps in it. Once"
        f" every API server was restarted since tenant {owner} let go of it:"
        f" {_reuse(tenant, namespace)}"
    )


def _foreign(tenant: str, namespace: str, owner: str, *, let_go: bool) -> str:
    """Say what to do about another tenant's namespace: what was done already is not advised."""
    delete = (
        "delete it with all it holds, after which its name rests (TenancySettings, namesRestDays):"
        ' kubectl --as "$USER" --as-group securetenant:break-glass'
        f" delete namespace {namespace}"
    )
    if let_go:
        return (
            f"Namespace {namespace} belongs to tenant {owner}, which let go of it, and was"
            " retained. Choose another name; or have it taken with all it holds:"
            f" {_consent(tenant, namespace)}; or {delete}"
        )
    return (
        f"Namespace {namespace} belongs to tenant {owner}. Choose another name, or remove it from"
        f" SecureTenant {owner}; where spec.deletionPolicy of that is Retain, then {delete}"
    )


def _going(tenant: str, namespace: str, whose: str, rest: Rest | None) -> str:
    going = f"Namespace {namespace} {whose} and is being deleted."
    if rest is None:
        return f"{going} It is created once it is gone."
    rests = f"until {rest.until}" if rest.since else f"for {rest.days} days from then on"
    return (
        f"{going} Its name rests {rests}. Choose another name, or, once nobody can still have a"
        f" watch of it open: {_reuse(tenant, namespace)}"
    )


def _resting(tenant: str, namespace: str, rest: Rest) -> str:
    whose = (
        f"an earlier SecureTenant {tenant}" if rest.tenant == tenant else f"tenant {rest.tenant}"
    )
    return (
        f"Namespace {namespace} belonged to {whose} and was gone at {rest.gone}. Its name rests,"
        " because anyone who had access to it can still have a watch open. Choose another name,"
        f" wait until {rest.until}, or, once every API server was restarted after {rest.compacted}:"
        f" {_reuse(tenant, namespace)}"
    )


def _reuse(tenant: str, namespace: str) -> str:
    return (
        f"kubectl annotate securetenant {tenant} --overwrite {names.REUSE_ANNOTATION}={namespace}"
    )


def is_anothers(uid: str, observed: Observed | None, policy: PolicyFacts | None) -> bool:
    """Tell whether a namespace with a tenant's label is of an earlier SecureTenant of that name.

    ``uid`` is that of the SecureTenant there is now. A namespace that was retained and holds no
    TenantPolicy says nothing, so it counts.
    """
    if observed is None or not isinstance(observed.facts, NamespaceFacts):
        return False
    if policy is None:
        return observed.facts.labels.get(names.STATE_LABEL) == names.RETAINED
    return policy.tenant_uid != uid


def is_owned(verdict: Verdict, *, is_protected: bool) -> bool:
    """Tell whether a namespace that a spec names is one of the tenant's own.

    The one answer for every list of "the tenant's own namespaces". A name that is free counts,
    because the operator creates it as the tenant's: without that, each of N namespaces that comes
    into being would rewrite the TenantPolicies of all others. A free name that the platform team
    keeps does not count, because the operator never creates it.
    """
    if verdict.claim is Claim.ABSENT:
        return not is_protected
    return verdict.is_owned
