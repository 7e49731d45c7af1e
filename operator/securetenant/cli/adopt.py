"""``securetenant adopt``: consent that a tenant takes a namespace that is there."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import click

from securetenant.answers import adopted, built
from securetenant.answers.adopted import Inside
from securetenant.answers.answer import Answer
from securetenant.answers.built import Built, State
from securetenant.api import kinds, names
from securetenant.api.kinds import Kind
from securetenant.api.objects import Body, Ref
from securetenant.api.tenantpolicy import PolicySpec
from securetenant.checks import standing
from securetenant.checks.standing import Rules, Violation
from securetenant.cli import asking
from securetenant.cli.cluster import Cluster
from securetenant.cli.login import Login
from securetenant.concerns.standing import preflight
from securetenant.concerns.standing.look import Served
from securetenant.plan import ownership

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

    The namespace belongs to no tenant, or its tenant let go of it. It is looked through as the
    operator does before it takes it: pods, Services, Ingresses, routes, claims, NetworkPolicies and
    RoleBindings that the rules would refuse, and what the quota would not hold. Without --yes
    nothing is changed.

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
        policies = await cluster.policies()
        there = [
            _taken(body, tenant),
            *(each for each in policies if each["metadata"]["namespace"] != namespace),
        ]
        state = State(settings=await cluster.settings(), tenants=tenants)
        found = built.build(state, built.There(there), [tenant])[tenant]
        policy = found.policy(namespace)
        if policy is None:
            return adopted.impossible(namespace, tenant, _why(namespace, found))
        platform = state.settings.subject_namespaces if state.settings else None
        rules = standing.today(namespace, policy, datetime.now(UTC), platform or ())
        inside = await _inside(cluster, body, tenant, rules, found)
        if yes:
            await cluster.client.request(
                "PATCH",
                kinds.NAMESPACE.path("", namespace),
                params={"fieldManager": "securetenant-cli"},
                body={"metadata": {"annotations": {names.ADOPT_ANNOTATION: tenant}}},
                content_type=_MERGE,
            )
        return adopted.adopt(namespace, tenant, policy, inside=inside, consented=yes)

    asking.show(asking.answer(login, ask), form)


def _why(namespace: str, found: Built) -> str:
    return found.refusal or f"its spec does not name {namespace}"


async def _inside(
    cluster: Cluster, body: Body, tenant: str, rules: Rules, becomes: Built
) -> Inside:
    """Look through a namespace as the operator does before it takes one."""
    metadata, policy = body["metadata"], rules.policy
    nodes = {each["metadata"]["name"]: each for each in await cluster.listed(kinds.NODE)}
    bindings = await cluster.listed(kinds.ROLE_BINDING)
    policies = await cluster.listed(kinds.NETWORK_POLICY, metadata["name"])
    there = [*bindings, *policies]
    for kind in (kinds.LIMIT_RANGE, kinds.RESOURCE_QUOTA, kinds.TENANT_POLICY):
        there += await cluster.listed(kind, metadata["name"])
    kept = {ownership.ref_of(each) for each in there if _is_kept(each)}
    violations: list[Violation] = []
    found = await preflight.through(
        cluster,
        rules,
        Served(time.monotonic, 0),
        share={key: str(value) for key, value in policy.quota.items()},
        made=_made(becomes.manifests[metadata["name"]], kept),
        unopened=(
            f"what an opening of the SecureTenant is for would be cut off: {each}"
            for each in becomes.unopened
        ),
        former=(metadata.get("labels") or {}).get(names.TENANT_LABEL, ""),
        tenant=tenant,
        is_ours=kept.__contains__,
        is_elsewhere=lambda name: name in nodes and _is_elsewhere(nodes[name], policy),
        note=violations.extend,
    )
    if found.found.problem:
        cluster.miss(found.found.problem)
    return Inside(
        found=found,
        violations=violations,
        tokens=await cluster.tokens(metadata["name"]),
        bindings=(*bindings, *await cluster.listed(kinds.CLUSTER_ROLE_BINDING)),
    )


def _made(wanted: Iterable[Ref], there: Iterable[Ref]) -> Mapping[Kind, int]:
    """Return how many objects of each kind the operator makes in addition."""
    inside = Counter(each.kind for each in wanted if each.namespace)
    more = inside - Counter(each.kind for each in there)
    return {kinds.BY_NAME[name]: count for name, count in more.items()}


def _is_kept(body: Body) -> bool:
    """Tell whether the operator keeps an object, or deletes it once it has the namespace."""
    labels = body["metadata"].get("labels") or {}
    return bool(labels.get(names.MANAGED_BY_LABEL) == names.MANAGED_BY)


def _is_elsewhere(node: Body, policy: PolicySpec) -> bool:
    labels = node["metadata"].get("labels") or {}
    return any(labels.get(key) != value for key, value in policy.nodes.selector.items())


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
