"""The rules of kstatus by which GitOps controllers judge a custom resource, ported.

Source: sigs.k8s.io/cli-utils, pkg/kstatus/status, the generic rules.
"""

from typing import Any


def compute(body: Any) -> str:
    """Return Current, InProgress, Failed or Terminating."""
    if body["metadata"].get("deletionTimestamp"):
        return "Terminating"
    status = body.get("status", {})
    observed = status.get("observedGeneration")
    if observed is not None and observed != body["metadata"]["generation"]:
        return "InProgress"
    found = {each["type"]: each["status"] for each in status.get("conditions", ())}
    if found.get("Reconciling") == "True":
        return "InProgress"
    if found.get("Stalled") == "True":
        return "Failed"
    if found.get("Ready", "True") != "True":
        return "InProgress"
    return "Current"
