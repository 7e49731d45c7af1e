"""RoleBindings: who may work in the namespace, by our own ClusterRoles.

Never the built-in admin and edit: they carry impersonation, token creation, event and
NetworkPolicy writes, and whatever any operator aggregates into them.
"""

from securetenant.api import access, aside, kinds, names, objects
from securetenant.api.access import Role, Subject
from securetenant.api.objects import Manifest
from securetenant.desired.scope import Scope

_RBAC = "rbac.authorization.k8s.io"
_LONGEST = 200_000
"""Characters of an annotation: the API server takes 256 KiB of all of them together."""


def build(scope: Scope) -> tuple[Manifest, ...]:
    """Return the canary's RoleBinding, and one per role that somebody holds, in no quarantine."""
    return (_canary(scope), *(_grant(scope, role, held) for role, held in scope.grants))


def build_reduced(scope: Scope) -> tuple[Manifest, ...]:
    """Return them in quarantine: everybody who holds a role may look, and nothing else.

    The other roles are kept, and name nobody. Who held them is in an annotation, by which they come
    back in a namespace that left the spec meanwhile: nobody makes anything there any more.
    """
    bounds = scope.settings.bounds
    held = {
        subject
        for _, subjects in scope.grants
        for subject in subjects
        if bounds is None or bounds.admits_grant("Viewer", subject.kind, subject.name)
    }
    left = tuple(sorted(held, key=access.order))
    roles = [(role, held) for role, held in scope.grants if role != "Viewer"]
    return (
        _canary(scope),
        *(_put_aside(_grant(scope, role, held)) for role, held in roles),
        *((_grant(scope, "Viewer", left),) if left else ()),
    )


def count(scope: Scope) -> int:
    """Return how many RoleBindings there are at most: one for Viewers, at least in quarantine."""
    return 1 + len({role for role, _ in scope.grants} | ({"Viewer"} if scope.grants else set()))


def _put_aside(manifest: Manifest) -> Manifest:
    """Return a RoleBinding that names nobody, with its subjects in an annotation."""
    lines = "\n".join(map(aside.line, manifest.body["subjects"]))
    told = {"annotations": {names.ASIDE: lines}} if len(lines) <= _LONGEST else {}
    metadata = {**manifest.body["metadata"], **told}
    return Manifest(manifest.ref, {**manifest.body, "metadata": metadata, "subjects": []})


def _grant(scope: Scope, role: Role, subjects: tuple[Subject, ...]) -> Manifest:
    return _binding(scope, names.role_binding(role), names.cluster_role(role), subjects)


def _canary(scope: Scope) -> Manifest:
    """Let the verification identity try to create here; a policy holds it to dry-run.

    The ServiceAccount says whose the namespace is, to the policy that holds the operator to
    ServiceAccounts of the same tenant. Nobody can make one of that name.
    """
    canary = Subject.model_construct(kind="User", name=names.CANARY_USER)
    mark = Subject.model_construct(
        kind="ServiceAccount",
        name=names.membership(scope.tenant),
        namespace=scope.namespace.name,
    )
    return _binding(scope, names.CANARY, names.CANARY_ROLE, (canary, mark))


def _binding(scope: Scope, name: str, role: str, subjects: tuple[Subject, ...]) -> Manifest:
    return objects.manifest(
        kinds.ROLE_BINDING,
        name=name,
        namespace=scope.namespace.name,
        labels=scope.labels,
        roleRef={"apiGroup": _RBAC, "kind": "ClusterRole", "name": role},
        subjects=[_subject(each) for each in subjects],
    )


def _subject(subject: Subject) -> dict[str, str]:
    if subject.kind == "ServiceAccount":
        return {
            "kind": subject.kind,
            "name": subject.name,
            "namespace": str(subject.namespace),
        }
    return {"apiGroup": _RBAC, "kind": subject.kind, "name": subject.name}
