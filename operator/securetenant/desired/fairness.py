"""FlowSchemas: whose requests to the API server wait in one line.

There is no distinguisher. By user a tenant would get one more line for each ServiceAccount that it
makes; by namespace one for each that it names in a path, whether it may go there or not, since
requests are sorted before they are authorized. So tenants that share a flow wait for each other,
and a new one shares only when none is empty.
"""

from collections.abc import Iterable
from typing import Any

from securetenant.api import kinds, names, objects
from securetenant.api.objects import Manifest

_PRECEDENCE = 8000
"""Behind all that the system has for itself (900 at most), before the line of all ServiceAccounts
(9000) and everybody else's."""
_ALL = ["*"]


def build(number: int, namespaces: Iterable[str], people: Iterable[tuple[str, str]]) -> Manifest:
    """Return the FlowSchema of the ServiceAccounts of these namespaces, and of these people.

    ``people`` are pairs of User or Group and a name.
    """
    groups = [("Group", f"{names.ACCOUNTS_OF}{each}") for each in namespaces]
    rule = {
        "subjects": [_subject(kind, name) for kind, name in sorted({*groups, *people})],
        "resourceRules": [
            {
                "verbs": _ALL,
                "apiGroups": _ALL,
                "resources": _ALL,
                "clusterScope": True,
                "namespaces": _ALL,
            }
        ],
        # The API's own description is expensive too.
        "nonResourceRules": [{"verbs": _ALL, "nonResourceURLs": _ALL}],
    }
    return objects.manifest(
        kinds.FLOW_SCHEMA,
        name=names.flow(number),
        labels={names.MANAGED_BY_LABEL: names.MANAGED_BY},
        spec={
            "matchingPrecedence": _PRECEDENCE,
            "priorityLevelConfiguration": {"name": names.PRIORITY_LEVEL},
            "rules": [rule],
        },
    )


def _subject(kind: str, name: str) -> dict[str, Any]:
    return {"kind": kind, kind.lower(): {"name": name}}
