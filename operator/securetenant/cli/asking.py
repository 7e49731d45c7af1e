"""How a command of the program asks a cluster: its options, its errors, its progress."""

import asyncio
import contextlib
import functools
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from securetenant.answers.answer import Answer
from securetenant.api import names
from securetenant.cli import output
from securetenant.cli.cluster import Cluster
from securetenant.cli.login import Login
from securetenant.kube import credentials
from securetenant.kube.client import Client
from securetenant.kube.credentials import MissingLoginError
from securetenant.reconcile.errors import ClusterError, MissingError, UnavailableError

F = TypeVar("F", bound=Callable[..., Any])
_USER_AGENT = "securetenant-cli"
_PROGRESS_SECONDS = 1.0


def options(*formats: str) -> Callable[[F], F]:
    """Give a command the options of every question; ``formats`` are further ones of its answer."""

    def decorate(command: F) -> F:
        @click.option(
            "--kubeconfig",
            type=click.Path(path_type=Path, dir_okay=False),
            help="[default: $KUBECONFIG, else ~/.kube/config]",
        )
        @click.option("--context", help="A context of the kubeconfig. [default: its current one]")
        @click.option(
            "-o",
            "--output",
            "form",
            type=click.Choice(["table", *output.FORMATS, *formats]),
            default="table",
            show_default=True,
        )
        @functools.wraps(command)
        def asked(*args: Any, kubeconfig: Path | None, context: str | None, **kwargs: Any) -> Any:
            return command(*args, login=Login(kubeconfig=kubeconfig, context=context), **kwargs)

        return asked  # type: ignore[return-value]  # click calls it by keyword.

    return decorate


def examples(*lines: str) -> str:
    """Return the end of a command's help."""
    # The first character keeps click from filling lines.
    return "\b\nExamples:\n" + "\n".join(f"  {each}" for each in lines)


def answer(login: Login, question: Callable[[Cluster], Awaitable[Answer]]) -> Answer:
    """Ask a cluster; what goes wrong ends the program with one line that says what to do."""
    with _progress():
        try:
            return asyncio.run(_ask(login, question))
        except MissingLoginError as error:
            fail(str(error))
        except ClusterError as error:
            fail(_remedied(error))


def show(found: Answer, form: str, **more: Callable[[Answer], str]) -> NoReturn:
    """Print an answer and end with its exit code; ``more`` are further formats."""
    if form in more:
        click.echo(more[form](found), nl=False)
        output.show_unseen(found)
    else:
        output.show(found, form)
    sys.exit(found.code)


def fail(message: str) -> NoReturn:
    """End with a message, in one line."""
    raise click.ClickException(" ".join(message.split()))


async def _ask(login: Login, question: Callable[[Cluster], Awaitable[Answer]]) -> Answer:
    found = await credentials.load(login.kubeconfig, context=login.context, is_person=True)
    namespace = credentials.namespace(login.kubeconfig, context=login.context)
    async with Client(found, user_agent=_USER_AGENT) as client:
        cluster = Cluster(client, namespace, found.server)
        result = await question(cluster)
        unseen = tuple(dict.fromkeys((*result.unseen, *cluster.unseen)))
        return Answer(
            kind=result.kind,
            data=result.data,
            sections=result.sections,
            code=result.code,
            unseen=unseen,
        )


def _remedied(error: ClusterError) -> str:
    if "(401)" in str(error):
        return (
            "The API server does not know you: your login may have expired. Log in again, or name"
            " another user by --context"
        )
    if isinstance(error, UnavailableError):
        return (
            f"The API server does not answer: {error}. See whether kubectl reaches it, or name"
            " another cluster by --context"
        )
    if isinstance(error, MissingError):
        return (
            f"This cluster does not serve what is asked about ({error}). If SecureTenant is not"
            " installed here: kubectl apply -k crds, then kubectl apply -k manifests; else name"
            f" another cluster by --context. It serves {names.GROUP} where it is installed"
        )
    return f"{error}"


@contextlib.contextmanager
def _progress() -> Iterator[None]:
    """Say on a terminal that something takes a while."""
    if not sys.stderr.isatty():
        yield
        return
    timer = threading.Timer(
        _PROGRESS_SECONDS, lambda: click.echo("Asking the cluster...", err=True)
    )
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
