"""``securetenant adopt``: consent that a tenant takes a namespace that is there."""

from collections.abc import Mapping
from datetime import UTC, datetime

import click

from securetenant.answers import adopted, built
from securetenant.answers.adopted import Inside
from securetenant.answers.answer import Answer
from securetenant.answers.built import State
from securetenant.api import kinds, names
from securetenant.api.objects import Body
from securetenant.cli import asking
from securetenant.cli.cluster import Cluster
from securetenant.cli.login import Login

_MERGE = "application/merge-patch+json"


@click.command(
    epilog=asking.examples(
        "securetenant adopt acme-prod --tenant acme",
        "securetenant adopt acme-prod --tenant acme --yes",
    )
)
@asking.options()
@click.argument("namespace")
@click.option("--tenant", required=True, help="The tenant that is to have it.")
@click.option("--yes", is_flag=True, help="Give the consent; without it, only look.")
def adopt(login: Login, form: str, namespace: str, tenant: str, *, yes: bool) -> None:
    """Look what TENANT would mean for a NAMESPACE that is there, and consent that it takes it.

    The namespace is nobody's, or its tenant let go of it. Pods that the rules would refuse or the
    quota would not hold, traffic and access that it gives. Without --yes nothing is changed.

    Exit code 2: something in the namespace is against the rules.
    """

    async def ask(cluster: Cluster) -> Answer:
        body = await cluster.read(kinds.NAMESPACE, namespace)
        if body is None:
            asking.fail(f"There is no namespace {namespace}, or you may not read it")
        tenants = await cluster.tenants()
        if tenant not in tenants:
            asking.fail(f"There is no SecureTenant {tenant}, or you may not read it")
        if problem := _problem(namespace, tenant, body["metadata"].get("labels") or {}):
            asking.fail(problem)
        policies = await cluster.listed(kinds.TENANT_POLICY)
        there = [
            _taken(body, tenant),
            *(each for each in policies if each["metadata"]["namespace"] != namespace),
        ]
        state = State(settings=await cluster.settings(), tenants=tenants)
        found = built.build(state, there, [tenant])[tenant]
        is_named = found.policy(namespace) is not None
        if yes and is_named:
            await cluster.client.request(
                "PATCH",
                kinds.NAMESPACE.path("", namespace),
                params={"fieldManager": "securetenant-cli"},
                body={"metadata": {"annotations": {names.ADOPT_ANNOTATION: tenant}}},
                content_type=_MERGE,
            )
        return adopted.adopt(
            namespace,
            tenant,
            found,
            inside=Inside(
                pods=await cluster.listed(kinds.POD, namespace),
                bindings=await cluster.listed(kinds.ROLE_BINDING),
                policies=await cluster.listed(kinds.NETWORK_POLICY, namespace),
                tokens=await cluster.tokens(namespace),
                mutates=await cluster.serves(kinds.MUTATING_POLICY),
            ),
            consented=yes and is_named,
            now=datetime.now(UTC),
        )

    asking.show(asking.answer(login, ask), form)


def _problem(namespace: str, tenant: str, labels: Mapping[str, str]) -> str:
    """Say why a namespace is none to be taken by the tenant; nothing: it may be."""
    owner = labels.get(names.TENANT_LABEL, "")
    if not owner or labels.get(names.STATE_LABEL) == names.RETAINED:
        return ""
    if owner == tenant:
        return f"{namespace} is a namespace of {tenant} already. See: securetenant status {tenant}"
    return (
        f"{namespace} is a namespace of tenant {owner}: remove it from SecureTenant {owner} first,"
        " with deletionPolicy: Retain"
    )


def _taken(body: Body, tenant: str) -> Body:
    """Return the Namespace as it would be once the tenant has it."""
    metadata = body["metadata"]
    labels = {
        **(metadata.get("labels") or {}),
        names.TENANT_LABEL: tenant,
        names.STATE_LABEL: names.ACTIVE,
    }
    return {**body, "metadata": {**metadata, "labels": labels}}
