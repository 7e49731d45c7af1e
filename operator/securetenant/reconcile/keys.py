"""Pieces of work, by what they are about.

``tenant`` of each is the line in which it waits. What is nobody's waits in a line by its kind,
whose name no tenant can have: many nodes must not delay the settings.
"""

from typing import NamedTuple


class Tenant(NamedTuple):
    """Read the tenant's spec, share its quota, give its namespaces work, tell how it stands."""

    tenant: str


class Unit(NamedTuple):
    """Make one namespace of one tenant what it should be."""

    tenant: str
    namespace: str


class Leftover(NamedTuple):
    """Let go of a namespace that the tenant no longer names, or of a deleted tenant's."""

    tenant: str
    namespace: str
    # A Unit and a Leftover of the same names would be equal as tuples.
    leftover: bool = True


class Unkept(NamedTuple):
    """Apply what the spec takes away in a namespace in which nothing is repaired."""

    tenant: str
    namespace: str
    # As above.
    unkept: str = "Unkept"


class Stray(NamedTuple):
    """Delete a ClusterNetworkPolicy with our label, if it is no tenant's."""

    tenant: str
    name: str
    # As above: not equal to a Unit of the same names.
    stray: str = "ClusterNetworkPolicy"


class Node(NamedTuple):
    """Give one node its marks, or take them off."""

    name: str
    # As above.
    node: str = "Node"

    @property
    def tenant(self) -> str:
        """Return the line of nodes: one may concern several tenants."""
        return "Node/"


class Pods(NamedTuple):
    """See where the pods are of a tenant with nodes of its own."""

    tenant: str
    # Not equal to a Tenant, and no namespace has such a name.
    pods: str = "Pods"


class DaemonSets(NamedTuple):
    """See which DaemonSets do not tolerate the taints of tenants."""

    daemon_sets: str = "DaemonSets"

    @property
    def tenant(self) -> str:
        """Return a line of its own."""
        return "DaemonSets/"


class Flow(NamedTuple):
    """Make a FlowSchema what it should be for the tenants in it; delete one that is nobody's."""

    name: str
    # As above: not equal to a Tenant of the same name.
    flow: bool = True

    @property
    def tenant(self) -> str:
        """Return the line in which it waits: one of its own, since tenants share it."""
        return self.name


class Limits(NamedTuple):
    """Let those tell anew who ask for limits of processes on the nodes of this owner."""

    owner: str
    # As above.
    limits: str = "Limits"

    @property
    def tenant(self) -> str:
        """Return the line of limits: many tenants may ask for one."""
        return "Limits/"


class Settings(NamedTuple):
    """Tell how the platform stands."""

    settings: str = "Settings"

    @property
    def tenant(self) -> str:
        """Return a line of its own."""
        return "Settings/"


class Beat(NamedTuple):
    """Renew the Lease that says that the operator is at work."""

    beat: str = "Beat"

    @property
    def tenant(self) -> str:
        """Return a line of its own."""
        return "Beat/"


class Kubelet(NamedTuple):
    """Read the kubelet of a node, and label the node by what it says: in a queue of its own."""

    node: str
    tenant: str = ""


Key = (
    Tenant
    | Unit
    | Leftover
    | Unkept
    | Stray
    | Flow
    | Node
    | Pods
    | DaemonSets
    | Limits
    | Settings
    | Beat
)
