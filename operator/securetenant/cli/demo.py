"""``securetenant demo``: the whole product in a minute, on a real API server of its own."""

import subprocess
import sys
import time
from pathlib import Path

import click

import securetenant
from securetenant.sandbox import control, instances, kubeconfigs
from securetenant.sandbox.errors import SandboxError
from securetenant.sandbox.instances import Options

_NAME = "demo"
_ROOT = Path(securetenant.__file__).parents[2]
_ACCOUNT = ("securetenant-system", "securetenant-operator")
_REPAIR_SECONDS = 10.0


@click.command()
def demo() -> None:
    """Start a sandbox and the operator, make a tenant, attack it, repair it."""
    try:
        _Demo().run()
    except SandboxError as error:
        click.echo(f"Error: {error.problem}\n{error.remedy}", err=True)
        sys.exit(1)


class _Demo:
    def __init__(self) -> None:
        self._instance = instances.named(_NAME)
        self._kubectl: list[str] = []

    def run(self) -> None:
        for folder in ("manifests", "examples"):
            if not (_ROOT / folder).is_dir():
                raise SandboxError(
                    f"There is no folder {folder} in {_ROOT}.",
                    remedy="Run the demo from a checkout of the project: make demo.",
                )
        _title("A real control plane, and the operator with its own rights")
        control.up(self._instance, Options(), lambda line: click.echo(f"  {line}"))
        self._kubectl = [
            self._instance.record()["binaries"]["kubectl"],
            f"--kubeconfig={self._instance.admin_kubeconfig}",
        ]
        self._show("apply -k manifests", quiet=True)
        login = kubeconfigs.for_service_account(self._instance, *_ACCOUNT)
        command = [sys.executable, "-m", "securetenant", "run", f"--kubeconfig={login}"]
        log = control.attach(
            self._instance, "operator", [*command, "--address=127.0.0.1", "--port=0"]
        )

        _title("One tenant: the spec")
        click.echo((_ROOT / "examples/acme.yaml").read_text(encoding="utf-8").rstrip())

        _title("What it becomes")
        self._show("apply -f examples/acme.yaml")
        self._show("wait --for=condition=Ready securetenant/acme --timeout=60s")
        self._show(
            "get namespaces,tenantpolicies,networkpolicies -A -l securetenant.io/tenant=acme"
        )

        _title("An attack: a privileged pod")
        self._show("run evil --image=evil --privileged -n acme-prod", fails=True)

        _title("An accident: an administrator deletes a wall")
        self._show("delete networkpolicy securetenant-default-deny -n acme-prod")
        began = time.monotonic()
        while self._call("get networkpolicy securetenant-default-deny -n acme-prod").returncode:
            if time.monotonic() - began > _REPAIR_SECONDS:
                raise SandboxError(
                    f"The NetworkPolicy is not back after {_REPAIR_SECONDS:.0f} s.",
                    remedy=f"Read the operator's log: {log}",
                )
        self._show("get networkpolicy -n acme-prod")

        _title("What people see")
        self._show("get securetenants")
        self._show("describe securetenant acme", since="Status:")

        _title("Go on by yourself")
        click.echo(f"export KUBECONFIG={self._instance.admin_kubeconfig}")
        click.echo("kubectl edit securetenant acme")
        click.echo(f"The operator's log: {log}")
        click.echo(f"Stop everything:    .venv/bin/securetenant sandbox down --name {_NAME}")

    def _show(
        self, arguments: str, *, quiet: bool = False, fails: bool = False, since: str = ""
    ) -> None:
        """Run kubectl as a reader would; print the command and what it says, from ``since`` on."""
        click.echo(f"$ kubectl {arguments}" + (f" | sed -n '/^{since}/,$p'" if since else ""))
        done = self._call(arguments)
        if (done.returncode != 0) != fails:
            raise SandboxError(
                f"kubectl {arguments}: {done.stdout}{done.stderr}".strip(),
                remedy=f"Remove the demo and try again: securetenant sandbox down --name {_NAME}",
            )
        if not quiet:
            text = (done.stdout + done.stderr).rstrip()
            click.echo(text[text.index(since) :])

    def _call(self, arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._kubectl, *arguments.split()],
            cwd=_ROOT,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )


def _title(text: str) -> None:
    click.secho(f"\n=== {text}", bold=True)
