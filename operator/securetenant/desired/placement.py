"""Where the pods of a namespace run: the node selector that each of them has to carry."""

from securetenant.api import names
from securetenant.desired.scope import Scope


def selector(scope: Scope) -> dict[str, str]:
    """Return the labels of the nodes; empty where nobody says which nodes tenants get.

    A tenant with nodes of its own is held to its name whether it has got one or not: its pods
    wait, and run nowhere else.
    """
    found = {}
    if scope.nodes.is_dedicated:
        found[names.NODE_LABEL] = scope.tenant
    elif scope.settings.nodes is not None:
        found[names.NODE_LABEL] = names.SHARED
    if scope.nodes.required_pids is not None:
        found[names.pids_label(scope.nodes.required_pids)] = "true"
    return found
