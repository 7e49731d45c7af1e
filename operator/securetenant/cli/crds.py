"""``securetenant crds``: the CustomResourceDefinitions, from the models."""

import sys
from pathlib import Path

import click
import yaml

from securetenant.api import crds as definitions

_HEADER = "# Generated from the models by `make crds`; change the models, not this file.\n"
_Folder = click.Path(path_type=Path, file_okay=False, exists=True)


@click.command()
@click.option("--write", type=_Folder, help="Write one file per kind into this folder.")
@click.option("--check", type=_Folder, help="Say whether the files of this folder are up to date.")
def crds(write: Path | None, check: Path | None) -> None:
    """Print the CustomResourceDefinitions."""
    files = {
        f"{each['metadata']['name']}.yaml": _HEADER
        + yaml.safe_dump(each, sort_keys=False, width=100)
        for each in definitions.build()
    }
    for name, text in files.items():
        if write is not None:
            (write / name).write_text(text, encoding="utf-8")
        elif check is not None:
            file = check / name
            if not file.is_file() or file.read_text(encoding="utf-8") != text:
                click.echo(f"{file} is not what the models say.", err=True)
                sys.exit(1)
        else:
            click.echo(f"---\n{text}", nl=False)
