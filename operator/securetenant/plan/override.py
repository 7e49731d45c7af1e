"""Who holds the verb ``override``: everyone that the policies' exemption could let through."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from securetenant.api import names
from securetenant.api.objects import Body

_VERB = "override"
_RESOURCE = "securetenants"

EXPECTED = frozenset(
    {
        f"ServiceAccount {names.OPERATOR_NAMESPACE}/securetenant-operator",
        "ServiceAccount kube-system/namespace-controller",
        "ServiceAccount kube-system/generic-garbage-collector",
        "User system:kube-controller-manager",
        "Group securetenant:break-glass",
        "Group system:masters",
    }
)
"""Those that are meant to: the operator, deletion, administrators who break the glass. Members of
system:masters may do everything in any cluster."""


class Binding(NamedTuple):
    """A ClusterRoleBinding, reduced."""

    role: str
    subjects: tuple[str, ...]


def grants(role: Body) -> bool:
    """Tell whether a ClusterRole allows to override, by name or by wildcard."""
    return any(
        _has(rule.get("apiGroups"), names.GROUP)
        and _has(rule.get("resources"), _RESOURCE)
        and _has(rule.get("verbs"), _VERB)
        and not rule.get("resourceNames")
        for rule in role.get("rules") or ()
    )


def binding(body: Body) -> Binding:
    """Reduce a ClusterRoleBinding."""
    return Binding(
        body["roleRef"]["name"],
        tuple(sorted(_told(each) for each in body.get("subjects") or ())),
    )


def holders(granting: Iterable[str], bindings: Mapping[str, Binding]) -> tuple[str, ...]:
    """Return everybody who holds the verb, sorted."""
    roles = set(granting)
    return tuple(
        sorted(
            {each for found in bindings.values() if found.role in roles for each in found.subjects}
        )
    )


def _has(values: Iterable[str] | None, wanted: str) -> bool:
    return any(each in (wanted, "*") for each in values or ())


def _told(subject: Body) -> str:
    where = f"{subject['namespace']}/" if subject.get("namespace") else ""
    return f"{subject['kind']} {where}{subject['name']}"
