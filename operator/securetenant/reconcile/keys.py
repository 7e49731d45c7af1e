"""Pieces of work, and the line in which each waits.

Each tenant has a line, and so has each kind of work that is nobody's: its name has a slash, which
no tenant's name has. So many nodes do not delay the settings.
"""

from typing import NamedTuple


class Key(NamedTuple):
    """One piece of work. Keys that are equal are the same work: it is done once."""

    work: str
    """What is to be done. One concern does it, and metrics count by it."""
    line: str
    """Whose turn it takes."""
    name: str = ""
    """What it is about, apart from the line."""

    def __str__(self) -> str:
        """Return it for a log."""
        return f"{self.work} {'/'.join(filter(None, (self.line.rstrip('/'), self.name)))}"


def shared(work: str, name: str = "") -> Key:
    """Return work that is no tenant's, in a line of all work of its kind."""
    return Key(work, f"{work}/", name)


def tenant(name: str) -> Key:
    """Read the tenant's spec, share its quota, give its namespaces work, write its status."""
    return Key("Tenant", name)


def unit(tenant: str, namespace: str) -> Key:
    """Make one namespace of one tenant what it should be."""
    return Key("Unit", tenant, namespace)


def leftover(tenant: str, namespace: str) -> Key:
    """Let go of a namespace that the tenant no longer names, or of a deleted tenant's."""
    return Key("Leftover", tenant, namespace)


SETTINGS = shared("Settings")
"""Go on with the roll-out of TenancySettings, and write their status."""
