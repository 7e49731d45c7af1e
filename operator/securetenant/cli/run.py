"""``securetenant run``: the operator itself.

A program of its own too (``python -m securetenant.cli.run``): the image holds no other command,
and none of the packages that the others need.
"""

import asyncio
from pathlib import Path

import click

from securetenant.app import operator
from securetenant.app.errors import StartError
from securetenant.app.operator import RunOptions
from securetenant.kube.credentials import MissingLoginError
from securetenant.plan import lead
from securetenant.telemetry import logs


@click.command(context_settings={"auto_envvar_prefix": "SECURETENANT_RUN"})
@click.option(
    "--kubeconfig",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="[default: the pod's ServiceAccount, else $KUBECONFIG, if that is the operator's own]",
)
@click.option(
    "--any-identity",
    is_flag=True,
    help="Without --kubeconfig and outside of a cluster: run with the rights of the user in"
    " $KUBECONFIG. No policy holds the operator then.",
)
@click.option(
    "--address",
    default="127.0.0.1",
    show_default=True,
    help="Where health is served; the Deployment names the pod's own address.",
)
@click.option("--port", default=8080, show_default=True, help="Where health is served.")
@click.option(
    "--lease-seconds",
    type=click.IntRange(2, lead.MOST_SECONDS),
    default=15,
    show_default=True,
    help="How long other replicas wait for a leader that is not heard of; the leader stops writing"
    " after two thirds of that.",
)
@click.option(
    "--log-style",
    type=click.Choice(["auto", "json", "text"]),
    default="auto",
    show_default=True,
    help="auto: text on a terminal, JSON in a pipe.",
)
@click.option(
    "--log-level",
    type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"]),
    default="INFO",
    show_default=True,
)
def run(
    kubeconfig: Path | None,
    *,
    any_identity: bool,
    address: str,
    port: int,
    lease_seconds: int,
    log_style: str,
    log_level: str,
) -> None:
    """Run the operator until it is asked to stop.

    Each option may be given by the environment: SECURETENANT_RUN_PORT for --port, and so on.
    """
    logs.configure(style=log_style, level=log_level)
    options = RunOptions(
        kubeconfig=kubeconfig,
        address=address,
        port=port,
        any_identity=any_identity,
        lease_seconds=lease_seconds,
    )
    try:
        asyncio.run(operator.run(options))
    except (MissingLoginError, StartError) as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    run()
