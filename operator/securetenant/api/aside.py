"""The form of what is put aside while its tenant is quarantined.

A NetworkPolicy gets two requirements in its selector that contradict each other. A RoleBinding
keeps its role and names nobody; who it named is in an annotation, a line each.
"""

from typing import Any

from securetenant.api import names

Body = dict[str, Any]
MARKS = (
    {"key": names.ASIDE, "operator": "Exists"},
    {"key": names.ASIDE, "operator": "DoesNotExist"},
)
"""No pod fulfils both."""
_RBAC = "rbac.authorization.k8s.io"


def line(subject: Body) -> str:
    """Return a subject as a line, in a form that the operator's fence computes too."""
    # The API takes a namespace of a User too, and gives it no meaning.
    is_account = subject["kind"] == "ServiceAccount"
    home = f"{subject['namespace']}/" if is_account and subject.get("namespace") else ""
    name = subject["name"].replace("%", "%25").replace("\n", "%0A")
    return f"{subject['kind']} {home}{name}"


def subject(line: str) -> Body:
    """Return the subject of a line."""
    kind, _, rest = line.partition(" ")
    if kind == "ServiceAccount":
        namespace, _, name = rest.rpartition("/")
        return {"kind": kind, "name": name, **({"namespace": namespace} if namespace else {})}
    name = rest.replace("%0A", "\n").replace("%25", "%")
    return {"apiGroup": _RBAC, "kind": kind, "name": name}
