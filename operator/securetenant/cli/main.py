"""``securetenant``: the group that holds every subcommand."""

import importlib

import click

_MODULES = {
    "adopt": "adopt",
    "chart": "chart",
    "check": "check",
    "crds": "crds",
    "demo": "demo",
    "discover": "discover",
    "freeze": "switches",
    "import": "import_",
    "pack": "pack",
    "plan": "plan",
    "quarantine": "switches",
    "reach": "reach",
    "report": "report",
    "resume": "switches",
    "run": "run",
    "sandbox": "sandbox",
    "status": "status",
    "suspend": "switches",
    "thaw": "switches",
    "verify": "verify",
    "why": "why",
}
"""Of each command, the module of this package that holds it by its name."""


# Of a wrong command line. Click's is 2, which says here that something was found.
click.UsageError.exit_code = 1


class _Commands(click.Group):
    """Imports the module of the command that is asked for.

    The operator by itself takes a second to import, and most commands need little of the product.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature.
        return sorted(_MODULES)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature.
        cmd_name: str,
    ) -> click.Command | None:
        if cmd_name not in _MODULES:
            return None
        try:
            module = importlib.import_module(f"securetenant.cli.{_MODULES[cmd_name]}")
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            if package in ("", "securetenant"):
                raise
            return _lacking(cmd_name, package)
        # One is a word of Python, too.
        command: click.Command = getattr(module, "import_" if cmd_name == "import" else cmd_name)
        return command


def _lacking(name: str, package: str) -> click.Command:
    """Return a command that says which packages it needs: those of the sandbox are an extra."""
    remedy = f"Needs {package}: pip install 'securetenant-operator[sandbox]'"

    def fail() -> None:
        raise click.ClickException(remedy)

    return click.Command(
        name,
        callback=fail,
        help=remedy,
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )


@click.group(
    cls=_Commands,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "auto_envvar_prefix": "SECURETENANT",
    },
)
@click.version_option(package_name="securetenant-operator", prog_name="securetenant")
def main() -> None:
    """Isolated tenants on Kubernetes."""
