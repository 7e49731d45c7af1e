"""RoleBindings: who may work in the namespace, by our own ClusterRoles.

Never the built-in admin and edit: they carry impersonation, token creation, event and
NetworkPolicy writes, and whatever any operator aggregates into them.
"""

from securetenant.api import kinds, names, objects
from securetenant.api.access import Subject
from securetenant.api.objects import Manifest
from securetenant.desired.scope import Scope

_RBAC = "rbac.authorization.k8s.io"


def build(scope: Scope) -> tuple[Manifest, ...]:
    """Return one RoleBinding per role that somebody holds."""
    return tuple(
        objects.manifest(
            kinds.ROLE_BINDING,
            name=names.role_binding(role),
            namespace=scope.namespace.name,
            labels=scope.labels,
            roleRef={"apiGroup": _RBAC, "kind": "ClusterRole", "name": names.cluster_role(role)},
            subjects=[_subject(each) for each in subjects],
        )
        for role, subjects in scope.grants
    )


def _subject(subject: Subject) -> dict[str, str]:
    if subject.kind == "ServiceAccount":
        return {
            "kind": subject.kind,
            "name": subject.name,
            "namespace": str(subject.namespace),
        }
    return {"apiGroup": _RBAC, "kind": subject.kind, "name": subject.name}
