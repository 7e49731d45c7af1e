"""All objects of one namespace, in the order in which they are made."""

from securetenant.api import lockdown
from securetenant.api.objects import Manifest
from securetenant.desired import access, namespaces, network, policy, quota
from securetenant.desired.scope import Scope


def build(scope: Scope) -> tuple[Manifest, ...]:
    """Return the manifests: the namespace, what holds there, the walls, and access last.

    The quota counts NetworkPolicies, so it comes before those that need more room; one that is
    not there yet is made after them.
    """
    walls, bindings = network.build(scope), access.build(scope)
    # The same in quarantine: a quota with another limit would have to be counted again, twice.
    counted = quota.build(scope, network_policies=len(walls), role_bindings=access.count(scope))
    if scope.lockdown == lockdown.QUARANTINED:
        walls, bindings = network.build_cut(scope), access.build_reduced(scope)
    return (namespaces.build(scope), policy.build(scope), *counted, *walls, *bindings)
