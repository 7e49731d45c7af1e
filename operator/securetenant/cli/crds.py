"""``securetenant crds``: the CustomResourceDefinitions, from the models."""

from pathlib import Path

import click
import yaml

from securetenant.api import crds as definitions

_HEADER = "# Generated from the models by `make crds`; change the models, not this file.\n"


@click.command()
@click.option(
    "--write",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write one file per kind into this folder instead.",
)
def crds(write: Path | None) -> None:
    """Print the CustomResourceDefinitions."""
    for definition in definitions.build():
        text = _HEADER + yaml.safe_dump(definition, sort_keys=False, width=100)
        if write is None:
            click.echo(f"---\n{text}", nl=False)
        else:
            file = write / f"{definition['metadata']['name']}.yaml"
            file.write_text(text, encoding="utf-8")
