"""``securetenant report``: the isolation of all tenants on one page."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from securetenant.answers import report as reports
from securetenant.answers.answer import Answer
from securetenant.answers.checkup import posture_of
from securetenant.answers.report import Seen
from securetenant.cli import asking
from securetenant.cli.check import readings
from securetenant.cli.cluster import Cluster
from securetenant.cli.login import Login

_MOST_BYTES = 256 << 20


@click.command(
    epilog=asking.examples(
        "securetenant report -o html > report.html",
        "securetenant report -o json > today.json",
        "securetenant report --since yesterday.json -o markdown",
    )
)
@asking.options("html")
@click.option(
    "--since",
    type=click.Path(path_type=Path, dir_okay=False),
    help="An earlier report (-o json), to be compared with.",
)
def report(login: Login, form: str, since: Path | None) -> None:
    """Report the isolation of all tenants: for reviewers and auditors.

    Tenants and controls, who can reach what, STRIDE, CIS section 5 and the NSA guide, what is not
    known here and what would show it, changes since an earlier report. With -o html it is one page
    that opens offline.

    Exit code 2: a tenant has a fault.
    """
    before = _earlier(since) if since else None

    async def ask(cluster: Cluster) -> Answer:
        snapshot = await cluster.network()
        if not snapshot.tenants and cluster.unseen:
            asking.fail(
                "You see no SecureTenant, so nothing can be reported. Not seen:"
                f" {'; '.join(cluster.unseen)}"
            )
        found = await readings(cluster, dict(snapshot.tenants))
        return reports.report(
            Seen(
                title=cluster.server,
                now=datetime.now(UTC),
                snapshot=snapshot,
                posture=tuple(posture_of(found)),
                before=before,
            )
        )

    asking.show(asking.answer(login, ask), form, html=reports.page)


def _earlier(path: Path) -> dict[str, Any]:
    try:
        with path.open(encoding="utf-8") as opened:
            found = json.loads(opened.read(_MOST_BYTES))
    except (OSError, ValueError) as error:
        asking.fail(f"{path} cannot be read: {error}. Name a report by --since, made by -o json")
    if not isinstance(found, dict) or found.get("kind") != "Report":
        asking.fail(f"{path} is no report. Name one by --since, made by -o json")
    return found
