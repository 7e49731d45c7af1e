"""``securetenant check``: is the cluster ready, the installation whole, the operator at work."""

from datetime import UTC, datetime

import click
from pydantic import ValidationError

from securetenant.answers import built, checkup, standing
from securetenant.answers.answer import Answer
from securetenant.answers.checkup import Seen
from securetenant.api import kinds, names, status
from securetenant.api.objects import Body
from securetenant.api.securetenant import TenantSpec
from securetenant.api.tenantpolicy import PolicySpec
from securetenant.checks import posture
from securetenant.checks.attacks.verdicts import Verdict
from securetenant.checks.posture import Kubelet, Readings
from securetenant.cli import asking
from securetenant.cli.cluster import Cluster
from securetenant.cli.login import Login
from securetenant.reconcile.errors import ClusterError

_MOST_KUBELETS = 50
"""How many are asked: each takes a request by way of the API server."""


@click.command(
    epilog=asking.examples(
        "securetenant check",
        "securetenant check --all -o markdown",
        "securetenant check acme              # the posture of one tenant",
    )
)
@asking.options()
@click.argument("tenant", required=False)
@click.option("--all", "everything", is_flag=True, help="Show what passes too.")
@click.option("--kubelets", is_flag=True, help="Ask kubelets for their configuration too.")
def check(login: Login, form: str, tenant: str | None, *, everything: bool, kubelets: bool) -> None:
    """Say whether this cluster is ready, the installation whole and the operator at work.

    And the posture of the cluster, or of one TENANT: each Pass, Fail or Unknown with its evidence
    (STRIDE, CIS section 5, NSA guide), never a guess.

    Exit code 2: something fails.
    """

    async def ask(cluster: Cluster) -> Answer:
        listed = await cluster.tried(kinds.SECURE_TENANT)
        tenants = {each["metadata"]["name"]: each for each in listed or ()}
        if tenant is not None and tenant not in tenants:
            asking.fail(
                f"There is no SecureTenant {tenant}, or you may not read it. See: securetenant"
                " status"
            )
        about = {tenant: tenants[tenant]} if tenant else tenants
        seen = await _seen(cluster, None if listed is None else tenants, about, kubelets=kubelets)
        return checkup.check(seen, everything=everything, about=tenant or "")

    asking.show(asking.answer(login, ask), form)


async def _seen(
    cluster: Cluster,
    tenants: dict[str, Body] | None,
    about: dict[str, Body],
    *,
    kubelets: bool,
) -> Seen:
    roles = await cluster.tried(kinds.CLUSTER_ROLE)
    bindings = await cluster.tried(kinds.CLUSTER_ROLE_BINDING)
    crds = await cluster.tried(kinds.CRD)
    platform = await cluster.sought(kinds.TENANCY_SETTINGS, names.SETTINGS_NAME)
    settings, problem = built.settings(platform or None)
    mutates = await cluster.serves(kinds.MUTATING_POLICY)
    policies: list[Body] | None = []
    for kind in (kinds.VALIDATING_POLICY, kinds.VALIDATING_BINDING) + (
        (kinds.MUTATING_POLICY, kinds.MUTATING_BINDING) if mutates else ()
    ):
        found = await cluster.tried(kind)
        policies = None if found is None or policies is None else [*policies, *_pack(found)]
    if all(each is None for each in (tenants, roles, bindings, crds, policies, platform)):
        asking.fail(
            "You may read nothing of what is checked: it takes the right to list ClusterRoles,"
            " CustomResourceDefinitions, admission policies and SecureTenants. For members of a"
            " tenant: securetenant status -n NAMESPACE"
        )
    version = str((await cluster.client.request("GET", "/version")).get("gitVersion", ""))
    return Seen(
        version=version,
        crds=crds,
        policies=policies,
        mutates=mutates,
        roles=None if roles is None or bindings is None else (*roles, *bindings),
        settings=settings,
        settings_problem=problem,
        platform=platform,
        deployment=await cluster.read(kinds.DEPLOYMENT, names.OPERATOR, names.OPERATOR_NAMESPACE),
        lease=await cluster.sought(kinds.LEASE, names.OPERATOR, names.OPERATOR_NAMESPACE),
        services=await cluster.tried(kinds.SERVICE, "kube-system"),
        endpoints=await cluster.tried(kinds.ENDPOINT_SLICE, "default"),
        daemon_sets=await cluster.tried(kinds.DAEMON_SET),
        tenants=tenants,
        readings=await _readings(cluster, about, version, roles, bindings, crds, kubelets=kubelets),
        now=datetime.now(UTC),
    )


def _pack(bodies: tuple[Body, ...]) -> list[Body]:
    key, _, value = names.PACK_SELECTOR.partition("=")
    return [each for each in bodies if (each["metadata"].get("labels") or {}).get(key) == value]


async def readings(cluster: Cluster, tenants: dict[str, Body]) -> Readings:
    """Return what the posture of the whole cluster is judged by."""
    return await _readings(
        cluster,
        tenants,
        str((await cluster.client.request("GET", "/version")).get("gitVersion", "")),
        await cluster.tried(kinds.CLUSTER_ROLE),
        await cluster.tried(kinds.CLUSTER_ROLE_BINDING),
        await cluster.tried(kinds.CRD),
        kubelets=False,
    )


async def _readings(
    cluster: Cluster,
    about: dict[str, Body],
    version: str,
    roles: tuple[Body, ...] | None,
    bindings: tuple[Body, ...] | None,
    crds: tuple[Body, ...] | None,
    *,
    kubelets: bool,
) -> Readings:
    """Return what the posture is judged by; of one tenant more than of all."""
    spaces = [
        str(entry["name"])
        for body in about.values()
        for entry in (body.get("spec") or {}).get("namespaces") or ()
    ]
    nodes = await cluster.tried(kinds.NODE)
    in_namespaces: list[Body] = []
    services: list[Body] = []
    secrets: int | None = None
    exposed: tuple[str, ...] | None = None
    conditions: dict[str, str] | None = None
    if len(about) == 1:
        (body,) = about.values()
        conditions = {type: each["status"] for type, each in standing.conditions(body).items()}
        in_namespaces += await cluster.inside(kinds.ROLE_BINDING, spaces)
        services += await cluster.inside(kinds.SERVICE, spaces)
        pods = await cluster.inside(kinds.POD, spaces)
        secrets = sum(map(checkup.has_secrets_as_variables, pods))
        exposed = checkup.exposed(services)
    elif about:
        conditions = _together(about)
    reduced = [checkup.reading_of_binding(each) for each in (*(bindings or ()), *in_namespaces)]
    return Readings(
        server=version or None,
        nodes=None if nodes is None else tuple(map(checkup.reading_of_node, nodes)),
        kubelets=await _kubelets(cluster, nodes or ()) if kubelets else None,
        bindings=None if bindings is None else tuple(filter(None, reduced)),
        roles=None
        if roles is None
        else {each["metadata"]["name"]: tuple(each.get("rules") or ()) for each in roles},
        subjects=checkup.subjects_of(about.values()),
        namespaces=frozenset(spaces),
        kinds=None if crds is None else frozenset(each["metadata"]["name"] for each in crds),
        conditions=conditions,
        attacks=await _attacks(cluster, about, spaces, conditions),
        secrets_in_environment=secrets,
        exposed=exposed,
    )


async def _attacks(
    cluster: Cluster,
    about: dict[str, Body],
    spaces: list[str],
    conditions: dict[str, str] | None,
) -> dict[str, set[Verdict]] | None:
    """Return what the operator tried, where its condition says that all of it was refused."""
    if (conditions or {}).get(status.ISOLATION_VERIFIED) != "True" or not spaces:
        return None
    policy = await cluster.read(kinds.TENANT_POLICY, names.POLICY_NAME, spaces[0])
    try:
        spec = PolicySpec.model_validate((policy or {}).get("spec"))
        owner = TenantSpec.model_validate(about[spec.tenant].get("spec"))
    except (ValidationError, LookupError):
        return None
    rows = checkup.rows_tried(spec, owner.access or (), spaces[0])
    return {each: {Verdict.BLOCKED} for each in rows}


def _together(about: dict[str, Body]) -> dict[str, str]:
    """Return the worst status of each condition among all tenants."""
    order = ("False", "Unknown", "True")
    found: dict[str, str] = {}
    for body in about.values():
        for each in standing.conditions(body).values():
            known = found.get(each["type"], "True")
            found[each["type"]] = min(known, each["status"], key=order.index)
    return {type: each for type, each in found.items() if type != status.STALLED}


async def _kubelets(cluster: Cluster, nodes: tuple[Body, ...]) -> dict[str, Kubelet | None]:
    found: dict[str, Kubelet | None] = {}
    for each in nodes[:_MOST_KUBELETS]:
        name = each["metadata"]["name"]
        try:
            config = await cluster.client.request("GET", f"/api/v1/nodes/{name}/proxy/configz")
            found[name] = posture.kubelet(config)
        except ClusterError as error:
            cluster.miss(f"the configuration of kubelet {name}: {error}")
            found[name] = None
    if len(nodes) > _MOST_KUBELETS:
        cluster.miss(f"the configuration of {len(nodes) - _MOST_KUBELETS} more kubelets")
    return found
