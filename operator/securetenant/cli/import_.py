"""``securetenant import``: SecureTenants from Tenants of Capsule, or from namespaces."""

import click

from securetenant.answers import imported
from securetenant.answers.answer import Answer
from securetenant.answers.imported import Found, Space
from securetenant.api import kinds
from securetenant.api.kinds import Kind
from securetenant.api.objects import Body
from securetenant.cli import asking, files
from securetenant.cli.cluster import Cluster
from securetenant.cli.login import Login

_CAPSULE = Kind(
    name="Tenant",
    group="capsule.clastix.io",
    version="v1beta2",
    plural="tenants",
    namespaced=False,
)
_CAPSULE_LABEL = "capsule.clastix.io/tenant"
_OLDEST = "v1beta2"


@click.command(
    "import",
    epilog=asking.examples(
        "securetenant import --capsule",
        "securetenant import -f capsule-tenants.yaml",
        "securetenant import --tenant acme --namespaces acme-prod,acme-staging",
    ),
)
@asking.options()
@click.option("-f", "--filename", "paths", multiple=True, help="Tenants of Capsule, in files.")
@click.option("--capsule", "from_capsule", is_flag=True, help="The Tenants of this cluster.")
@click.option("--tenant", help="With --namespaces: how the tenant is to be called.")
@click.option("--namespaces", help="Namespaces of this cluster, separated by commas.")
def import_(
    login: Login,
    form: str,
    paths: tuple[str, ...],
    *,
    from_capsule: bool,
    tenant: str | None,
    namespaces: str | None,
) -> None:
    """Print SecureTenants for what there is, and what cannot be carried over.

    Nothing is changed. Read it, then look at what it would do: securetenant plan.

    Exit code 2: something is not carried over.
    """
    if paths:
        found = [_capsule(each, ()) for each in files.read(paths, frozenset({_CAPSULE.name}))]
        if not found:
            asking.fail("There is no Tenant of capsule.clastix.io in the files")
        asking.show(imported.answer(found), form, table=imported.text)
    if not from_capsule and not (tenant and namespaces):
        asking.fail("Say what to import: -f FILE, --capsule, or --tenant and --namespaces")

    async def ask(cluster: Cluster) -> Answer:
        if from_capsule:
            return imported.answer(await _from_capsule(cluster))
        spaces = [await _space(cluster, each) for each in str(namespaces).split(",")]
        return imported.answer([imported.namespaces(str(tenant), spaces)])

    asking.show(asking.answer(login, ask), form, table=imported.text)


def _capsule(body: Body, namespaces: tuple[str, ...]) -> Found:
    group, _, version = str(body["apiVersion"]).partition("/")
    if group != _CAPSULE.group or version != _OLDEST:
        asking.fail(
            f"Tenant {body['metadata'].get('name')} is of {body['apiVersion']}: only"
            f" {_CAPSULE.api_version} is read. Have the cluster convert it: kubectl get tenants -o"
            " yaml"
        )
    return imported.capsule(body, namespaces)


async def _from_capsule(cluster: Cluster) -> list[Found]:
    if not await cluster.serves(_CAPSULE):
        asking.fail(f"This cluster does not serve {_CAPSULE.api_version}. Name files by -f")
    spaces: dict[str, list[str]] = {}
    for each in await cluster.listed(kinds.NAMESPACE):
        owner = (each["metadata"].get("labels") or {}).get(_CAPSULE_LABEL)
        if owner:
            spaces.setdefault(owner, []).append(each["metadata"]["name"])
    return [
        _capsule(each, tuple(spaces.get(each["metadata"]["name"], ())))
        for each in await cluster.listed(_CAPSULE)
    ]


async def _space(cluster: Cluster, name: str) -> Space:
    body = await cluster.read(kinds.NAMESPACE, name.strip())
    if body is None:
        asking.fail(f"There is no namespace {name.strip()}, or you may not read it")
    where = name.strip()
    return Space(
        body=body,
        bindings=await cluster.listed(kinds.ROLE_BINDING, where),
        quotas=await cluster.listed(kinds.RESOURCE_QUOTA, where),
        network_policies=await cluster.listed(kinds.NETWORK_POLICY, where),
    )
