"""``kubectl_complete-securetenant``: completes ``kubectl securetenant ...`` in every shell.

kubectl runs it with the words so far, of which the last is being written. It reads a candidate from
each line, and from the last one what the shell does further (kubectl 1.26, "kubectl plugins").
"""

import sys

import click
from click.shell_completion import ShellComplete

from securetenant.cli.main import main

_FILES, _NO_FILES = 0, 4
"""Whether the shell completes the names of files where nothing else fits."""


def complete() -> None:
    """Print what the last word can become."""
    *words, last = sys.argv[1:] or [""]
    asked = ShellComplete(main, {}, "securetenant", "")
    found = [each for each in asked.get_completions(words, last) if each.type == "plain"]
    for each in found:
        told = " ".join((each.help or "").split())
        click.echo(f"{each.value}\t{told}" if told else each.value)
    click.echo(f":{_NO_FILES if found else _FILES}")
