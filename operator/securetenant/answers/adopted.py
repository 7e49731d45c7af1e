"""What a tenant means for a namespace that it is to take."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from securetenant.answers.answer import FINE, FOUND, Answer, Table
from securetenant.answers.built import Built
from securetenant.api import kinds, names
from securetenant.api.objects import Body
from securetenant.checks import filled, needs, standing

_FINISHED = ("Succeeded", "Failed")


@dataclass(frozen=True, kw_only=True, slots=True)
class Inside:
    """What is in the namespace, and what elsewhere concerns it, as far as it could be seen."""

    pods: Sequence[Body]
    bindings: Sequence[Body]
    """RoleBindings of all namespaces."""
    policies: Sequence[Body]
    """NetworkPolicies."""
    tokens: Sequence[str]
    """Names of Secrets with tokens that never end."""
    mutates: bool
    """Whether policies fill in what pods leave out."""


def adopt(
    namespace: str,
    tenant: str,
    found: Built,
    *,
    inside: Inside,
    consented: bool,
    now: datetime,
) -> Answer:
    """Answer what the tenant's rules say to what is there; a violation is :data:`FOUND`."""
    policy = found.policy(namespace)
    if policy is None:
        why = found.refusal or f"its spec does not name {namespace}"
        return Answer(
            kind="Adoption",
            data={"namespace": namespace, "tenant": tenant, "possible": False, "why": why},
            sections=(f"{tenant} would not get {namespace}: {why}",),
            code=FOUND,
        )
    rules = standing.today(namespace, policy, now)
    own = [each for each in inside.bindings if each["metadata"]["namespace"] == namespace]
    violations = [
        each
        for kind, bodies in (
            (kinds.POD, [filled.fill(pod, policy, mutates=inside.mutates) for pod in inside.pods]),
            (kinds.NETWORK_POLICY, _of_others(inside.policies)),
            (kinds.ROLE_BINDING, _of_others(own)),
        )
        for body in bodies
        for each in standing.judge(kind, _with_annotations(body), rules)
    ]
    taken: Counter[str] = Counter()
    for pod in inside.pods:
        if pod.get("status", {}).get("phase") not in _FINISHED:
            taken.update(needs.of_pod(pod["spec"], policy))
    notes = [*needs.beyond(taken, {key: str(value) for key, value in policy.quota.items()})]
    if inside.tokens:
        notes.append(
            f"Secrets {', '.join(inside.tokens)} hold tokens that never end; who read one may do"
            " what RoleBindings here give"
        )
    notes += [
        f"RoleBinding {each['metadata']['name']} in {each['metadata']['namespace']} gives rights to"
        f" ServiceAccounts of {namespace}"
        for each in inside.bindings
        if each["metadata"]["namespace"] != namespace and _names(each, namespace)
    ]
    done = (
        f"Consent is given: the operator looks through {namespace} and makes it a namespace of"
        f" {tenant}. See: securetenant status {tenant}"
        if consented
        else f"{tenant} would get {namespace}. Give the consent by --yes."
    )
    return Answer(
        kind="Adoption",
        data={
            "namespace": namespace,
            "tenant": tenant,
            "possible": True,
            "consented": consented,
            "violations": [each._asdict() for each in violations],
            "notes": notes,
        },
        sections=(
            done,
            Table(
                title="What is there and would be refused if it were made again (nothing is ended)",
                columns=("Object", "Of", "Rule", "Why"),
                rows=tuple(
                    (f"{each.kind} {each.name}", each.owner, each.rule, each.what)
                    for each in violations
                ),
                empty="Nothing that is there is against the rules.",
            ),
            *(f"Beside: {each}." for each in notes),
        ),
        code=FOUND if violations or notes else FINE,
    )


def _names(binding: Body, namespace: str) -> bool:
    return any(
        (each["kind"], each.get("namespace")) == ("ServiceAccount", namespace)
        for each in binding.get("subjects") or ()
    )


def _of_others(bindings: Sequence[Body]) -> list[Body]:
    return [
        each
        for each in bindings
        if (each["metadata"].get("labels") or {}).get(names.MANAGED_BY_LABEL) != names.MANAGED_BY
    ]


def _with_annotations(body: Body) -> Body:
    metadata = body["metadata"]
    return {**body, "metadata": {**metadata, "annotations": metadata.get("annotations") or {}}}
