"""What belongs to this version: the digests of its policies, and what its ClusterRoles allow.

``pack.sums`` and ``roles.tsv`` next to this module hold it; ``make crds`` writes them. They are
parts of the package, as its modules are, and are read when those are: once, as the program starts.
So nothing in this room does I/O while the operator works, and without them it does not start.
"""

from collections.abc import Callable
from importlib import resources
from typing import TypeVar

from securetenant.plan import pack, roles

T = TypeVar("T")


def _load(file: str, read: Callable[[str], T]) -> T:
    try:
        return read(resources.files(__package__).joinpath(file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        # Not an ImportError, which somebody may take for an optional module.
        raise RuntimeError(
            f"{file} of {__package__} is missing or damaged ({error}). Run: make crds"
        ) from error


DIGESTS = _load("pack.sums", pack.read)
"""Digests of the policies and their bindings."""
ROLES = _load("roles.tsv", roles.read)
"""What the ClusterRoles allow that are compared, by name."""
