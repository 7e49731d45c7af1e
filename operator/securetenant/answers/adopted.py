"""What a tenant means for a namespace that it is to take back."""

from collections.abc import Sequence
from datetime import datetime

from securetenant.answers.answer import FINE, FOUND, Answer, Table
from securetenant.answers.built import Built
from securetenant.api import kinds, names
from securetenant.api.objects import Body
from securetenant.checks import standing


def adopt(
    namespace: str,
    tenant: str,
    found: Built,
    *,
    pods: Sequence[Body],
    bindings: Sequence[Body],
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
    violations = [
        each
        for kind, bodies in ((kinds.POD, pods), (kinds.ROLE_BINDING, _of_others(bindings)))
        for body in bodies
        for each in standing.judge(kind, _with_annotations(body), rules)
    ]
    done = (
        f"Consent is given: the operator makes {namespace} a namespace of {tenant}."
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
        },
        sections=(
            done,
            Table(
                title="What is there and would be refused if it were new; nothing of it is ended",
                columns=("Object", "Of", "Rule", "Why"),
                rows=tuple(
                    (f"{each.kind} {each.name}", each.owner, each.rule, each.what)
                    for each in violations
                ),
                empty="Nothing that is there is against the rules.",
            ),
        ),
        code=FOUND if violations else FINE,
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
