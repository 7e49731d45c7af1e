"""``securetenant verify``: try to break the isolation of a tenant, now."""

from datetime import UTC, datetime

import click
from pydantic import ValidationError

from securetenant.answers import verified
from securetenant.answers.answer import Answer
from securetenant.api import kinds, names
from securetenant.api.objects import Body
from securetenant.api.securetenant import TenantSpec
from securetenant.api.tenantpolicy import PolicySpec
from securetenant.checks.attacks.objects import Other
from securetenant.cli import asking
from securetenant.cli.cluster import Cluster
from securetenant.cli.login import Login
from securetenant.concerns.verification import trials
from securetenant.concerns.verification.trials import Case
from securetenant.kube import credentials
from securetenant.kube.tokens import Token
from securetenant.kube.verifier import Verifier
from securetenant.reconcile.errors import RefusedError
from securetenant.status.isolation import Trial


@click.command(
    epilog=asking.examples("securetenant verify acme", "securetenant verify acme -n acme-prod")
)
@asking.options()
@click.argument("tenant")
@click.option("-n", "--namespace", help="One of its namespaces. [default: all]")
def verify(login: Login, form: str, tenant: str, namespace: str | None) -> None:
    """Try everything that must be refused in the namespaces of TENANT, in dry-run.

    About a hundred requests in each namespace, as an identity of which nothing is admitted for
    good. The operator does the same every hour (condition IsolationVerified); this is for you to
    see it. It takes a token of ServiceAccount securetenant-verifier.

    Exit code 2: something is open, or could not be tried: in a lockdown, for example.
    """

    async def ask(cluster: Cluster) -> Answer:
        tenants = await cluster.tenants()
        if tenant not in tenants:
            asking.fail(f"There is no SecureTenant {tenant}, or you may not read it")
        spec = _spec(tenant, tenants[tenant])
        spaces = [each.name for each in spec.namespaces if namespace in (None, each.name)]
        if not spaces:
            known = ", ".join(each.name for each in spec.namespaces)
            asking.fail(f"{namespace} is no namespace of {tenant}. Its namespaces are: {known}")
        other = _other(tenant, spec, tenants)
        found = [await _tried(cluster, login, spec, each, other) for each in spaces]
        return verified.verify(tenant, found)

    asking.show(asking.answer(login, ask), form)


def _spec(name: str, body: Body) -> TenantSpec:
    try:
        return TenantSpec.model_validate(body.get("spec"))
    except ValidationError:
        asking.fail(f"The spec of {name} is refused. See: securetenant status {name}")


def _other(tenant: str, spec: TenantSpec, tenants: dict[str, Body]) -> Other:
    """Return another tenant without people of this one."""
    own = {each for grant in spec.access or () for each in grant.subjects}
    for name, body in sorted(tenants.items()):
        try:
            other = TenantSpec.model_validate(body.get("spec"))
        except ValidationError:
            continue
        theirs = {each for grant in other.access or () for each in grant.subjects}
        if name != tenant and own.isdisjoint(theirs):
            return Other(name, other.namespaces[0].name)
    return Other("another-tenant", "another-namespace")


async def _tried(
    cluster: Cluster, login: Login, spec: TenantSpec, namespace: str, other: Other
) -> Trial:
    policy = await cluster.read(kinds.TENANT_POLICY, names.POLICY_NAME, namespace)
    if policy is None:
        return Trial(namespace, _now(), 0, unanswered="it has no TenantPolicy yet")
    found = await credentials.load(login.kubeconfig, context=login.context, is_person=True)
    token = Token(cluster.client, names.VERIFIER)
    try:
        await token.get()
    except RefusedError:
        asking.fail(
            f"You may not take a token of ServiceAccount {names.VERIFIER}. What the operator saw is"
            f" in: securetenant status {policy['spec']['tenant']}"
        )
    prober = Verifier(token, found)
    case = Case(
        namespace=namespace,
        policy=PolicySpec.model_validate(policy["spec"]),
        grants=spec.access or (),
        other=other,
        turn=0,
    )
    try:
        return await trials.run(case, prober, _now())
    finally:
        await prober.close()


def _now() -> datetime:
    return datetime.now(UTC)
