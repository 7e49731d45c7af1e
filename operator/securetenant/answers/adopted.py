"""What a tenant means for a namespace that it is to take."""

from collections.abc import Sequence
from dataclasses import dataclass

from securetenant.answers.answer import FINE, FOUND, Answer, Table
from securetenant.api.objects import Body
from securetenant.api.tenantpolicy import PolicySpec
from securetenant.checks.standing import Violation
from securetenant.concerns.standing.preflight import Preflight
from securetenant.plan import bindings


@dataclass(frozen=True, kw_only=True, slots=True)
class Inside:
    """What is in the namespace, and what elsewhere concerns it, as far as it could be seen."""

    found: Preflight
    """What the operator would find."""
    violations: Sequence[Violation]
    """Each rule that each object breaks."""
    tokens: Sequence[str]
    """Names of Secrets with tokens that never end."""
    bindings: Sequence[Body]
    """RoleBindings of all namespaces, and ClusterRoleBindings."""


def impossible(namespace: str, tenant: str, why: str) -> Answer:
    """Answer that the tenant would not get the namespace whatever is in it."""
    return Answer(
        kind="Adoption",
        data={"namespace": namespace, "tenant": tenant, "possible": False, "why": why},
        sections=(f"{tenant} would not get {namespace}: {why}",),
        code=FOUND,
    )


def adopt(
    namespace: str,
    tenant: str,
    policy: PolicySpec,
    *,
    inside: Inside,
    consented: bool,
) -> Answer:
    """Answer what the tenant's rules say to what is there; a violation is :data:`FOUND`."""
    is_enforced = policy.enforcement == "Enforce"
    obstacles = inside.found.contradictions(is_enforced=is_enforced)
    notes = []
    if inside.tokens:
        notes.append(
            f"Secrets {', '.join(inside.tokens)} hold tokens that never end; who read one may do"
            " what RoleBindings here give"
        )
    notes += [
        f"{_called(each)} gives rights to ServiceAccounts of {namespace}"
        for each in inside.bindings
        if _home(each) != namespace and _names(each, namespace)
        # In Enforce mode those of the cluster are in the way.
        if _home(each) or not is_enforced
    ]
    if inside.found.elsewhere:
        notes.append(
            f"{inside.found.elsewhere} of {inside.found.pods} running pods are on nodes that new"
            " pods of the tenant do not get; they stay there until they end"
        )
    blocked = bool(obstacles) or (is_enforced and bool(inside.violations))
    return Answer(
        kind="Adoption",
        data={
            "namespace": namespace,
            "tenant": tenant,
            "possible": True,
            "blocked": blocked,
            "consented": consented,
            "violations": [each._asdict() for each in inside.violations],
            "obstacles": list(obstacles),
            "notes": notes,
        },
        sections=(
            _headline(namespace, tenant, blocked=blocked, consented=consented),
            Table(
                title="What is there and would be refused if it were made again (nothing is ended)",
                columns=("Object", "Of", "Rule", "Why"),
                rows=tuple(
                    (f"{each.kind} {each.name}", each.owner, each.rule, each.what)
                    for each in inside.violations
                ),
                empty="Nothing that is there is against the rules.",
            ),
            *(f"In the way: {each}." for each in obstacles),
            *(f"Also: {each}." for each in notes),
        ),
        code=FOUND if inside.violations or obstacles or notes else FINE,
    )


def _headline(namespace: str, tenant: str, *, blocked: bool, consented: bool) -> str:
    if blocked:
        told = (
            f"As {namespace} is now, the operator would not make it a namespace of {tenant} (reason"
            " AdoptionBlocked). Change or delete what is listed, or change the SecureTenant."
        )
        given = "The consent is given, and counts from then on." if consented else ""
        return f"{told} {given or 'Give the consent by --yes.'}"
    if consented:
        return (
            f"Consent is given: the operator looks through {namespace} and makes it a namespace of"
            f" {tenant}. See: securetenant status {tenant}"
        )
    return f"{tenant} would get {namespace}. Give the consent by --yes."


def _home(binding: Body) -> str:
    return str(binding["metadata"].get("namespace", ""))


def _called(binding: Body) -> str:
    where = f" in {_home(binding)}" if _home(binding) else ""
    return f"{binding['kind']} {binding['metadata']['name']}{where}"


def _names(binding: Body, namespace: str) -> bool:
    found = binding.get("subjects") or ()
    return any(bindings.home(each, _home(binding)) == namespace for each in found)
