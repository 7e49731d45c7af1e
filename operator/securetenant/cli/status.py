"""``securetenant status``: how tenants stand."""

import click

from securetenant.answers import standing
from securetenant.answers.answer import Answer
from securetenant.api import kinds, names
from securetenant.cli import asking
from securetenant.cli.cluster import Cluster
from securetenant.cli.login import Login


@click.command(
    epilog=asking.examples(
        "securetenant status",
        "securetenant status acme",
        "securetenant status -n acme-prod      # for members, who may not read SecureTenants",
    )
)
@asking.options()
@click.argument("tenant", required=False)
@click.option("-n", "--namespace", help="How one namespace stands: for its members.")
def status(login: Login, form: str, tenant: str | None, namespace: str | None) -> None:
    """Say how all tenants stand, or one TENANT with its conditions, namespaces and quotas.

    Exit code 2: something is not as it should be.
    """

    async def ask(cluster: Cluster) -> Answer:
        if namespace and tenant:
            asking.fail("Name a TENANT, or a namespace of one by -n, not both")
        if namespace:
            return await _namespace(cluster, namespace)
        if tenant is None:
            listed = await cluster.tenants()
            if not listed and cluster.unseen:
                asking.fail(
                    "You may not list SecureTenants. For members of a tenant: securetenant status"
                    f" -n {cluster.namespace or 'NAMESPACE'}"
                )
            return standing.tenants(listed)
        return await _tenant(cluster, tenant)

    asking.show(asking.answer(login, ask), form)


async def _tenant(cluster: Cluster, name: str) -> Answer:
    body = await cluster.read(kinds.SECURE_TENANT, name)
    if body is None:
        known = ", ".join(sorted(await cluster.tenants())[:5])
        seen = f" You see: {known}" if known else " You see none; members use -n NAMESPACE"
        asking.fail(f"There is no SecureTenant {name}, or you may not read it.{seen}")
    spec = body.get("spec") or {}
    spaces = [str(each["name"]) for each in spec.get("namespaces") or ()]
    policies = [
        each
        for each in await cluster.inside(kinds.TENANT_POLICY, spaces)
        if each["metadata"]["name"] == names.POLICY_NAME
    ]
    quotas = await cluster.inside(kinds.RESOURCE_QUOTA, spaces)
    going = [
        each["metadata"]["name"]
        for each in await cluster.listed(kinds.NAMESPACE, selector=f"{names.TENANT_LABEL}={name}")
        if "deletionTimestamp" in each["metadata"]
    ]
    held = {each: await cluster.held(each) for each in going}
    return standing.tenant(name, body, policies, quotas, held)


async def _namespace(cluster: Cluster, name: str) -> Answer:
    policy = await cluster.read(kinds.TENANT_POLICY, names.POLICY_NAME, name)
    if policy is None:
        asking.fail(
            f"There is no TenantPolicy in {name}, or you may not read it: is it a namespace of a"
            " tenant? Its name is often the context's: kubectl config view --minify"
        )
    quota = await cluster.read(kinds.RESOURCE_QUOTA, names.QUOTA, name)
    return standing.namespace(policy, [quota] if quota else [])
