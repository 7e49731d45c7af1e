"""What is said where nodes have no user namespaces and a tenant requires them."""

from collections.abc import Sequence

from securetenant.api import status
from securetenant.status import conditions
from securetenant.status.outcome import Finding

_REMEDY = (
    "Install a container runtime that has them there (containerd 2.0 with runc 1.2, or newer), or"
    " write spec.workloads.userNamespaces: Any"
)


def judge(lacking: Sequence[str], *, everywhere: bool) -> Finding:
    """Name the nodes that start no pod of the tenant, and whether those are all it has."""
    nodes = conditions.listed(lacking)
    if everywhere:
        what = f"No node on which the tenant's pods may run has user namespaces: {nodes}"
    else:
        what = f"Pods do not start on nodes that have no user namespaces: {nodes}"
    return Finding(
        type=status.POD_SECURITY_ENFORCED,
        reason=status.USER_NAMESPACES_UNSUPPORTED,
        message=f"{what}. {_REMEDY}",
        informs=not everywhere,
    )
