"""``securetenant pack``: which admission policies and roles belong to this version."""

import sys
from pathlib import Path

import click
import yaml

from securetenant.plan import pack as policies
from securetenant.plan import roles

_PLAN = Path(policies.__file__).parent

# Where PyYAML was built with libyaml: it takes a tenth of the time.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@click.command()
@click.argument(
    "folder", type=click.Path(path_type=Path, file_okay=False, exists=True), required=False
)
@click.option("--write", is_flag=True, help="Write what FOLDER holds into the package.")
@click.option("--check", is_flag=True, help="Say whether the package has what FOLDER holds.")
def pack(folder: Path | None, *, write: bool, check: bool) -> None:
    """List the policies that this version expects, or take them, and roles, from FOLDER."""
    if folder is None:
        _list()
        return
    bodies = [
        body
        for file in sorted(folder.rglob("*.yaml"))
        # Charts are templates, made of the same; Argo CD's checks have test data next to them.
        if not {"argocd", "charts"} & set(file.parts)
        for body in yaml.load_all(file.read_text(encoding="utf-8"), Loader=_LOADER)
        if body
    ]
    for target, text in (
        (_PLAN / "pack.sums", policies.write(bodies)),
        (_PLAN / "roles.tsv", roles.write(bodies)),
    ):
        if write:
            target.write_text(text, encoding="utf-8")
        elif check and (not target.exists() or target.read_bytes() != text.encode()):
            click.echo(f"{target} is not what {folder} says.", err=True)
            sys.exit(1)


def _list() -> None:
    try:
        from securetenant.plan import shipped  # noqa: PLC0415 - this command writes what it reads.
    except RuntimeError as error:
        raise click.ClickException(str(error)) from error

    for ref, digest in shipped.DIGESTS.items():
        click.echo(f"{digest}  {ref.kind} {ref.name}")
