"""Which RoleBindings a namespace refuses, and why.

The rules of the policy securetenant-access, said once more in Python.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from securetenant.api.tenantpolicy import PolicySpec

Body = Mapping[str, Any]

_MOST = 200
_TOLD = 3


def grants_beyond(
    binding: Body, namespace: str, policy: PolicySpec, platform: Collection[str] = ()
) -> Iterator[str]:
    """Yield how a RoleBinding gives access beyond what a tenant may give.

    ``platform`` are namespaces of the platform whose ServiceAccounts may have access: what only
    these are given is the platform's. A new RoleBinding may not name them.
    """
    subjects = binding.get("subjects") or ()
    if len(subjects) > _MOST:
        yield f"more than {_MOST} subjects"
        return
    own = set(policy.access.service_account_namespaces)
    homes = [_home(each, namespace) for each in subjects]
    strangers = [
        f"{each['kind']} {each['name']}"
        for each, home in zip(subjects, homes, strict=True)
        if home is None or home not in own | set(platform)
    ]
    yield from strangers[:_TOLD]
    role = binding["roleRef"]
    is_only_platforms = bool(subjects) and not strangers and not own & set(homes)
    is_listed = role["kind"] == "Role" or role["name"] in policy.access.cluster_roles
    if not is_listed and not is_only_platforms:
        yield f"ClusterRole {role['name']}"


def _home(subject: Body, namespace: str) -> str | None:
    """Return the namespace of a ServiceAccount; nothing for people."""
    if subject["kind"] != "ServiceAccount":
        return None
    return str(subject.get("namespace") or namespace)
