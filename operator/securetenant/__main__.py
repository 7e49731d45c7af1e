"""``python -m securetenant``: the same program as ``securetenant``."""

from securetenant.cli.main import main

main()
