"""``securetenant reach``: who can reach what, and by which policy."""

from collections.abc import Callable, Iterable

import click

from securetenant.answers import places
from securetenant.answers import reach as flows
from securetenant.answers.answer import Answer
from securetenant.answers.places import UnknownPlaceError
from securetenant.answers.reach import PortError
from securetenant.answers.snapshot import Snapshot
from securetenant.checks.ports import Span
from securetenant.cli import asking
from securetenant.cli.cluster import Cluster
from securetenant.cli.login import Login


@click.command(
    epilog=asking.examples(
        "securetenant reach acme-prod beta-db --port 5432",
        "securetenant reach acme-prod/web-0 internet",
        "securetenant reach --to acme",
        "securetenant reach --to acme -o mermaid",
    )
)
@asking.options("mermaid", "dot")
@click.argument("source", required=False)
@click.argument("target", required=False)
@click.option("--port", "port", help="A port such as 443, 8000-8999 or udp:53. [default: any]")
@click.option("--to", "to", help="List everybody who reaches this tenant, namespace or pod.")
@click.option("--from", "from_", help="List everything that this one reaches.")
@click.option(
    "--expect",
    type=click.Choice(["yes", "no"]),
    help="End with exit code 2 if the answer is another: for tests of your own.",
)
def reach(
    login: Login,
    form: str,
    source: str | None,
    target: str | None,
    port: str | None,
    to: str | None,
    from_: str | None,
    expect: str | None,
) -> None:
    """Say whether SOURCE reaches TARGET, by which policies, and if not, who has to declare what.

    SOURCE and TARGET are a namespace, namespace/pod, tenant:NAME, an address, a network or
    internet.

    Exit code 2: another answer than --expect says.
    """
    is_pair = source is not None and target is not None and not to and not from_
    is_list = source is None and bool(to) != bool(from_)
    if not is_pair and not is_list:
        asking.fail("Name two ends, or one by --to or --from. Try: securetenant reach --help")
    wanted = _port(port)

    async def ask(cluster: Cluster) -> Answer:
        named = [each for each in (source, target, to, from_) if each]
        spaces = [each.partition("/")[0] for each in named if places.may_be_a_namespace(each)]
        # Between two ends the policies of no other namespace say anything.
        snapshot = await cluster.network(_spaces(named) if is_pair else None, named=spaces)
        asked = {each.partition("/")[0] for each in named} & snapshot.owners.keys()
        if is_pair or any("/" in each for each in named):
            snapshot = await cluster.with_pods(snapshot, sorted(asked))
        try:
            ends = [places.place(each, snapshot) for each in named]
        except UnknownPlaceError as error:
            asking.fail(str(error))
        if is_pair:
            expected = None if expect is None else expect == "yes"
            return flows.between(snapshot, ends[0], ends[1], wanted, expect=expected)
        return flows.about(snapshot, ends[0], "Ingress" if to else "Egress")

    asking.show(asking.answer(login, ask), form, mermaid=flows.mermaid, dot=flows.dot)


def _spaces(named: Iterable[str]) -> Callable[[Snapshot], list[str]]:
    """Return what finds the namespaces of some ends."""

    def find(snapshot: Snapshot) -> list[str]:
        found: list[str] = []
        for each in named:
            head = each.partition("/")[0]
            tenant = each.removeprefix("tenant:")
            found += [head] if head in snapshot.owners else snapshot.of_tenant(tenant)
        return found

    return find


def _port(text: str | None) -> Span | None:
    try:
        return None if text is None else flows.port(text)
    except PortError as error:
        asking.fail(str(error))
