"""``securetenant discover``: TenancySettings for this cluster."""

import click

from securetenant.answers import discovered
from securetenant.answers.answer import Answer
from securetenant.answers.discovered import Seen
from securetenant.api import kinds
from securetenant.api.kinds import Kind
from securetenant.cli import asking
from securetenant.cli.cluster import Cluster
from securetenant.cli.login import Login

_ACCOUNT = Kind(
    name="ServiceAccount", group="", version="v1", plural="serviceaccounts", namespaced=True
)
_SERVICE_NETWORK = Kind(
    name="ServiceCIDR",
    group="networking.k8s.io",
    version="v1",
    plural="servicecidrs",
    namespaced=False,
)


@click.command(
    epilog=asking.examples("securetenant discover > settings.yaml", "securetenant discover -o json")
)
@asking.options()
def discover(login: Login, form: str) -> None:
    """Print TenancySettings for this cluster, with what was seen as comments.

    DNS, API server, networks of nodes and pods, metadata services of the cloud, ingress
    controllers, programs of the platform. Nothing is changed: read it, then apply it.
    """

    async def ask(cluster: Cluster) -> Answer:
        deployments = await cluster.tried(kinds.DEPLOYMENT)
        daemons = await cluster.tried(kinds.DAEMON_SET)
        networks = await cluster.tried(_SERVICE_NETWORK)
        return discovered.discover(
            Seen(
                services=await cluster.tried(kinds.SERVICE),
                endpoints=await cluster.tried(kinds.ENDPOINT_SLICE, "default"),
                nodes=await cluster.tried(kinds.NODE),
                service_networks=[
                    each for body in networks or () for each in body["spec"].get("cidrs") or ()
                ],
                workloads=(*(deployments or ()), *(daemons or ())),
                accounts=await cluster.tried(_ACCOUNT),
            )
        )

    asking.show(asking.answer(login, ask), form, table=discovered.text)
