"""One refused request for each rule about ClusterReports, for the page of messages.

Apart from the others, since their kind is served where its CRD is installed alone.
"""

from typing import Any

from attack_harness import Denial
from securetenant.api import kinds, names

CRD = "tests/clusterreports.yaml"
_KIND = kinds.CLUSTER_REPORT


def report(name: str, source: str = "SecureTenant") -> dict[str, Any]:
    """Return a ClusterReport about tenant north."""
    labels = {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.TENANT_LABEL: "north"}
    return {
        "apiVersion": _KIND.api_version,
        "kind": _KIND.name,
        "metadata": {"name": name, "labels": labels},
        "source": "SecureTenant",
        "scope": {"kind": "SecureTenant", "name": "north"},
        "results": [{"policy": "CVE", "result": "pass", "source": source}],
    }


ROWS: dict[tuple[str, int], Denial] = {
    ("securetenant-operator-fence-reports", 0): Denial(
        who="operator", method="POST", path=_KIND.path(), body=report("of-a-scanner")
    ),
    ("securetenant-operator-fence-reports", 1): Denial(
        who="operator",
        method="POST",
        path=_KIND.path(),
        body=report(names.report("north"), source="a-scanner"),
    ),
}
