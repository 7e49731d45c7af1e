"""``securetenant sandbox``: a real control plane on this machine, in seconds."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

from securetenant.sandbox import binaries, components, control, instances, kubeconfigs
from securetenant.sandbox.errors import SandboxError
from securetenant.sandbox.instances import Options
from securetenant.sandbox.realnodes import provisions, requirements

_name = click.option("--name", default="default", show_default=True, help="Which sandbox.")


@click.group()
def sandbox() -> None:
    """A real control plane on this machine, in seconds, without containers."""


@sandbox.command()
@_name
@click.option("--nodes", default=0, show_default=True, help="How many fake nodes (kwok).")
@click.option(
    "--real-nodes",
    default=0,
    show_default=True,
    help="How many nodes that run containers; needs root.",
)
@click.option(
    "--node-label",
    "node_labels",
    multiple=True,
    metavar="[N:]KEY=VALUE",
    help="A label for every node, or for the N-th, counted from 0.",
)
@click.option("--audit", is_flag=True, help="Write a Metadata audit log.")
@click.option("--fsync", is_flag=True, help="Let etcd write to the disk: for kill tests.")
@click.option("--restart", is_flag=True, help="Start a program again when it ends.")
@click.option("--emulated-version", default="", metavar="1.N", help="Behave as Kubernetes 1.N.")
@click.option("--port", default=0, help="The API server's port. [default: a free one]")
def up(
    name: str,
    nodes: int,
    real_nodes: int,
    node_labels: tuple[str, ...],
    audit: bool,
    fsync: bool,
    restart: bool,
    emulated_version: str,
    port: int,
) -> None:
    """Start a sandbox, or do nothing when it runs already."""
    options = Options(
        nodes=nodes,
        real_nodes=real_nodes,
        node_labels=node_labels,
        audit=audit,
        fsync=fsync,
        restart=restart,
        emulated_version=emulated_version,
        port=port,
    )
    began = time.monotonic()
    with _sentences():
        instance = instances.named(name)
        started = control.up(instance, options, _progress)
    if started.already:
        _progress(f"Sandbox {name} runs already.")
    else:
        _progress(f"Sandbox {name} is ready after {time.monotonic() - began:.1f} s.")
    click.echo(f"export KUBECONFIG={instance.admin_kubeconfig}")


@sandbox.command()
@_name
def down(name: str) -> None:
    """End a sandbox and remove its files; the cache of binaries stays."""
    with _sentences():
        instance = instances.named(name)
        with instances.starting(instance):
            ended = instances.stop(instance)
    _progress(f"Sandbox {name} is gone." if ended else f"There is no sandbox {name}.")


@sandbox.command()
def status() -> None:
    """List the sandboxes of this user."""
    found = instances.all_instances()
    if not found:
        _progress("There is no sandbox. `securetenant sandbox up` starts one.")
    for instance in found:
        record = instance.record()
        phase = instance.phase()
        where = f"https://127.0.0.1:{record['port']}" if phase == "running" else ""
        click.echo(f"{instance.name:16} {phase:9} {where}".rstrip())
        if phase == "crashed":
            reason = record.get("crash", "its supervisor was killed, and its programs with it")
            click.echo(f"  {reason}")
            click.echo("  `securetenant sandbox down` removes what is left.")


@sandbox.command()
@_name
@click.option("--user", default="", help="A user name, for example alice.")
@click.option("--group", "groups", multiple=True, help="A group of that user; may be repeated.")
@click.option("--service-account", default="", metavar="NAMESPACE/NAME")
def kubeconfig(name: str, user: str, groups: tuple[str, ...], service_account: str) -> None:
    """Print the path of a kubeconfig: the administrator's, or one made for somebody."""
    if user and service_account:
        raise click.UsageError("Give --user or --service-account, not both.")
    if groups and not user:
        raise click.UsageError("--group needs --user.")
    with _sentences():
        instance = instances.named(name)
        if user:
            path = kubeconfigs.for_user(instance, user, groups)
        elif service_account:
            namespace, _, account = service_account.partition("/")
            if not namespace or not account:
                raise click.UsageError("--service-account is NAMESPACE/NAME.")
            path = kubeconfigs.for_service_account(instance, namespace, account)
        else:
            path = kubeconfigs.for_admin(instance)
    click.echo(path)


@sandbox.command("binaries")
@click.option("--tools", is_flag=True, help="Also what only this project's tests need.")
@click.option("--real-nodes", is_flag=True, help="Also what real nodes need, where they can run.")
def list_binaries(*, tools: bool, real_nodes: bool) -> None:
    """Find, fetch or build every binary now, and list them."""
    more = tuple(each.name for each in components.pins().tools) if tools else ()
    with _sentences():
        found = binaries.locate((*control.PROGRAMS, *more), _progress)
        if real_nodes and (problem := requirements.missing()):
            # What cannot run is not built for minutes.
            _progress(f"Without what real nodes need, since they cannot run here: {problem}.")
        elif real_nodes:
            found |= provisions.locate(_progress)
    for program, path in found.items():
        click.echo(f"{program:24} {path}")


def _progress(line: str) -> None:
    """Tell the person who waits; standard output is for what a script reads."""
    click.echo(line, err=True)


@contextmanager
def _sentences() -> Iterator[None]:
    """Print a :class:`SandboxError` as its two sentences instead of a traceback."""
    try:
        yield
    except SandboxError as error:
        click.echo(f"Error: {error.problem}\n{error.remedy}", err=True)
        sys.exit(1)
