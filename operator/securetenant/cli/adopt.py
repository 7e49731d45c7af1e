"""``securetenant adopt``: consent that a tenant takes a retained namespace back."""

from datetime import UTC, datetime

import click

from securetenant.answers import adopted, built
from securetenant.answers.answer import Answer
from securetenant.answers.built import State
from securetenant.api import kinds, names
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
    """Look what TENANT would mean for a retained NAMESPACE, and consent that it takes it.

    Pods that its rules would refuse, and access that it gives. Without --yes nothing is changed.

    Exit code 2: something in the namespace is against the rules.
    """

    async def ask(cluster: Cluster) -> Answer:
        body = await cluster.read(kinds.NAMESPACE, namespace)
        if body is None:
            asking.fail(f"There is no namespace {namespace}, or you may not read it")
        tenants = await cluster.tenants()
        if tenant not in tenants:
            asking.fail(f"There is no SecureTenant {tenant}, or you may not read it")
        labels = body["metadata"].get("labels") or {}
        if labels.get(names.STATE_LABEL) != names.RETAINED:
            asking.fail(
                f"{namespace} is no retained namespace, and no other is taken over: let the"
                " operator create namespaces, and move the workloads"
            )
        settings = await cluster.settings()
        there = [body, *await cluster.listed(kinds.TENANT_POLICY)]
        consenting = {
            **body,
            "metadata": {
                **body["metadata"],
                "annotations": {
                    **(body["metadata"].get("annotations") or {}),
                    names.ADOPT_ANNOTATION: tenant,
                },
            },
        }
        state = State(settings=settings, tenants=tenants)
        found = built.build(state, [consenting, *there[1:]], [tenant])[tenant]
        if yes:
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
            pods=await cluster.listed(kinds.POD, namespace),
            bindings=await cluster.listed(kinds.ROLE_BINDING, namespace),
            consented=yes,
            now=datetime.now(UTC),
        )

    asking.show(asking.answer(login, ask), form)
