"""Whose namespace it is: the one decision that keeps the operator off other people's things."""

from enum import Enum, auto
from typing import NamedTuple

from securetenant.api import names
from securetenant.plan.ownership import Observed


class Claim(Enum):
    """What a namespace is to a tenant."""

    ABSENT = auto()
    """It does not exist: it may be created."""
    OWN = auto()
    """It is the tenant's."""
    FOREIGN = auto()
    """It is somebody else's: nothing of it is touched."""
    TERMINATING = auto()
    """It is the tenant's and on its way out: it is made again afterwards."""


class Verdict(NamedTuple):
    """The decision, with a sentence for people where there is something to say."""

    claim: Claim
    message: str = ""


def judge(tenant: str, namespace: str, observed: Observed | None, *, was_ours: bool) -> Verdict:
    """Decide by the namespace's label.

    ``was_ours`` says that the tenant's TenantPolicy lies in the namespace. The operator alone
    writes it, so a namespace that holds it and has no label has lost its label.
    """
    if observed is None or observed.facts is None:
        return Verdict(Claim.ABSENT)
    owner = observed.facts.labels.get(names.TENANT_LABEL)
    if owner is None and was_ours:
        owner = tenant
    if owner is None:
        return Verdict(
            Claim.FOREIGN,
            f"Namespace {namespace} exists and belongs to no tenant. Choose another name, or"
            " delete the namespace.",
        )
    if owner != tenant:
        return Verdict(
            Claim.FOREIGN,
            f"Namespace {namespace} belongs to tenant {owner}. Choose another name, or remove it"
            f" from SecureTenant {owner} first.",
        )
    if observed.facts.terminating:
        return Verdict(
            Claim.TERMINATING,
            f"Namespace {namespace} is being deleted; it is made again afterwards.",
        )
    return Verdict(Claim.OWN)
