"""A tenant's conditions as a ClusterReport of openreports.io.

Source: openreports.io v1alpha1 (``ClusterReport``), which programs for reports show next to those
of scanners and policy engines. It is made only of the status, and holds nothing that is not there.
"""

import datetime
from collections import Counter
from collections.abc import Mapping
from typing import Any

from securetenant.api import kinds, names, objects, status
from securetenant.api.objects import Manifest

SOURCE = "SecureTenant"
_CATEGORY = "Tenant isolation"
_LEFT_OUT = frozenset({status.READY, status.RECONCILING, status.STALLED})
"""They say how far the work is, which is no finding."""
_RESULTS = {"True": "pass", "False": "fail"}
_UNKNOWN = "error"
"""What could not be evaluated, in the words of OpenReports."""


def build(tenant: str, uid: str, document: Mapping[str, Any]) -> Manifest:
    """Return the report about a tenant; ``document`` is its status as it was written.

    It goes with the SecureTenant, which owns it.
    """
    found = [
        _result(each) for each in document.get("conditions") or () if each["type"] not in _LEFT_OUT
    ]
    counts = Counter(each["result"] for each in found)
    about = {
        "apiVersion": kinds.SECURE_TENANT.api_version,
        "kind": kinds.SECURE_TENANT.name,
        "name": tenant,
        "uid": uid,
    }
    manifest = objects.manifest(
        kinds.CLUSTER_REPORT,
        name=names.report(tenant),
        labels={names.MANAGED_BY_LABEL: names.MANAGED_BY, names.TENANT_LABEL: tenant},
        source=SOURCE,
        scope=about,
        summary={each: counts[each] for each in ("pass", "fail", "warn", "error", "skip")},
        results=found,
    )
    manifest.body["metadata"]["ownerReferences"] = [about]
    return manifest


def _result(condition: Mapping[str, Any]) -> dict[str, Any]:
    since = datetime.datetime.fromisoformat(condition["lastTransitionTime"])
    return {
        "source": SOURCE,
        "category": _CATEGORY,
        "policy": condition["type"],
        "rule": condition["reason"],
        "result": _RESULTS.get(condition["status"], _UNKNOWN),
        "severity": "critical" if condition["type"] == status.ISOLATION_VERIFIED else "high",
        "scored": True,
        "message": condition["message"],
        "timestamp": {"seconds": int(since.timestamp()), "nanos": 0},
    }
