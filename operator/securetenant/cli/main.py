"""``securetenant``: the group that holds every subcommand."""

import click

from securetenant.cli import crds, demo, pack, run, sandbox


@click.group(
    context_settings={
        "help_option_names": ["-h", "--help"],
        "auto_envvar_prefix": "SECURETENANT",
    }
)
@click.version_option(package_name="securetenant-operator", prog_name="securetenant")
def main() -> None:
    """Isolated tenants on Kubernetes."""


for command in (run.run, demo.demo, crds.crds, pack.pack, sandbox.sandbox):
    main.add_command(command)
