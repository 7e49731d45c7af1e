"""SecureTenants from what a cluster has: Tenants of Capsule, or namespaces as they are.

What cannot be carried over is listed, with what to do about it; nothing is left out in silence.

Source: Capsule documentation, Tenant ``capsule.clastix.io/v1beta2``.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pydantic

from securetenant.answers.answer import FINE, FOUND, Answer, Block, Section, Table
from securetenant.api import access, kinds, names, quantities, quotas
from securetenant.api.objects import Body
from securetenant.api.securetenant import TenantSpec

_ROLES = {"admin": "Admin", "edit": "Developer", "view": "Viewer"}
"""Kubernetes' own roles of people, and the product's in their place."""
_HANDLED = frozenset(
    {
        "additionalRoleBindings",
        "containerRegistries",
        "imagePullPolicies",
        "ingressOptions",
        "limitRanges",
        "namespaceOptions",
        "owners",
        "priorityClasses",
        "resourceQuotas",
        "runtimeClasses",
        "serviceOptions",
        "storageClasses",
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A SecureTenant, and what it lacks of what was there."""

    body: Body
    left: tuple[tuple[str, str], ...]
    """What is not carried over, and what to do."""


def answer(found: Sequence[Found]) -> Answer:
    """Answer with the specs; something that is not carried over is :data:`FOUND`."""
    left = [(each.body["metadata"]["name"], *some) for each in found for some in each.left]
    sections: list[Section] = [Block(text=text_of(each)) for each in found]
    sections.append(
        Table(title="Not carried over", columns=("Tenant", "What", "What to do"), rows=tuple(left))
    )
    return Answer(
        kind="Import",
        data={
            "tenants": [each.body for each in found],
            "left": [{"tenant": t, "what": w, "do": d} for t, w, d in left],
        },
        sections=tuple(sections),
        code=FOUND if left else FINE,
    )


def text_of(found: Found) -> str:
    """Return a SecureTenant as YAML; JSON values are YAML too."""
    metadata, spec = found.body["metadata"], found.body["spec"]
    lines = [f"# Not carried over: {what}. {do}." for what, do in found.left]
    lines += [f"apiVersion: {names.API_VERSION}", f"kind: {kinds.SECURE_TENANT.name}"]
    lines += ["metadata:", f"  name: {metadata['name']}", "spec:"]
    for key, value in spec.items():
        if isinstance(value, list):
            lines += [f"  {key}:", *(f"  - {_json(each)}" for each in value)]
        else:
            lines.append(f"  {key}: {_json(value)}")
    return "\n".join(lines) + "\n"


def text(made: Answer) -> str:
    """Return the specs of an answer, to be written into a file."""
    return "---\n".join(section.text for section in made.sections if isinstance(section, Block))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _checked(name: str, spec: dict[str, Any], left: Iterable[tuple[str, str]]) -> Found:
    """Return what was found; what the rules of a spec refuse is said, not repaired."""
    told = list(dict.fromkeys(left))
    body = {
        "apiVersion": names.API_VERSION,
        "kind": kinds.SECURE_TENANT.name,
        "metadata": {"name": name},
        "spec": {key: each for key, each in spec.items() if each},
    }
    try:
        TenantSpec.model_validate(body["spec"])
    except pydantic.ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        for each in found:
            if any(_is_within(other["loc"], each["loc"]) for other in found):
                # A list that lacks an item, since that was refused: the item says why.
                continue
            where = ".".join(map(str, each["loc"]))
            message = each["msg"].removeprefix("Value error, ")
            told.append((f"spec.{where} would be refused", message))
    return Found(body=body, left=tuple(told))


def _is_within(place: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    return len(place) > len(other) and place[: len(other)] == other


# --- Capsule --------------------------------------------------------------------------------


def capsule(body: Body, namespaces: Sequence[str]) -> Found:
    """Return a SecureTenant for a Tenant of Capsule; ``namespaces`` are those that it has."""
    spec = body.get("spec") or {}
    left: list[tuple[str, str]] = []
    own = list(namespaces) or list((body.get("status") or {}).get("namespaces") or ())
    if not own:
        own = [f"{body['metadata']['name']}-CHOOSE"]
        left.append(("namespaces", "Name them: a SecureTenant lists its namespaces"))
    quota, some = _capsule_quota(spec)
    left += some
    workloads, some = _capsule_workloads(spec)
    left += some
    grants, some = _capsule_access(spec)
    left += some
    left += [
        (key, _DO.get(key, "It has no counterpart: read docs/concepts.md"))
        for key in sorted(spec.keys() - _HANDLED)
        if spec[key]
    ]
    left.append(
        (
            "namespaces that exist",
            (
                "The operator creates namespaces and takes none that exists without consent: move"
                " the workloads, or read docs/controls/namespaces.md"
            ),
        )
    )
    found = {
        "namespaces": [{"name": each} for each in sorted(own)],
        "access": grants,
        "quota": quota,
        "workloads": workloads,
    }
    return _checked(str(body["metadata"]["name"]), found, left)


_DO = {
    "cordoned": "securetenant freeze TENANT",
    "deviceClasses": "Dynamic resources are not given to tenants yet",
    "networkPolicies": "Default-deny comes by itself: declare what flows in spec.network",
    "nodeSelector": "Write spec.nodes and nodes of TenancySettings (docs/controls/nodes.md)",
    "podOptions": "Labels and annotations of pods are the manifests' own",
    "preventDeletion": "deletionPolicy: Retain, the default, keeps namespaces",
    "gatewayOptions": "Write spec.workloads.gateways, as namespace/name",
}


def _capsule_access(spec: Body) -> tuple[list[Any], list[tuple[str, str]]]:
    left = []
    subjects = [_subject(each) for each in spec.get("owners") or ()]
    grants: list[Any] = []
    if subjects:
        grants.append({"name": "owners", "role": "Admin", "subjects": subjects})
        left.append(
            (
                "owners create namespaces by themselves",
                "Namespaces are listed in spec.namespaces; Admin is within them",
            )
        )
    for number, each in enumerate(spec.get("additionalRoleBindings") or ()):
        role = _ROLES.get(str(each.get("clusterRoleName")))
        if role is None:
            left.append(
                (
                    f"ClusterRole {each.get('clusterRoleName')}",
                    (
                        "Roles are Viewer, Developer and Admin; rights are added to them by labels"
                        " (docs/controls/access.md)"
                    ),
                )
            )
            continue
        grants.append(
            {
                "name": f"{role.lower()}-{number}",
                "role": role,
                "subjects": [_subject(one) for one in each.get("subjects") or ()],
            }
        )
    return grants, left


def _subject(each: Body) -> dict[str, str]:
    kind, name = str(each.get("kind", "User")), str(each.get("name", ""))
    if kind == "ServiceAccount" and name.startswith("system:serviceaccount:"):
        _, _, namespace, account = name.split(":", 3)
        return {"kind": kind, "name": account, "namespace": namespace}
    found = {"kind": kind, "name": name}
    if each.get("namespace"):
        found["namespace"] = str(each["namespace"])
    return found


def _capsule_quota(spec: Body) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    asked = spec.get("resourceQuotas") or {}
    left: list[tuple[str, str]] = []
    if asked.get("scope") == "Namespace":
        left.append(
            (
                "resourceQuotas of scope Namespace",
                "spec.quota is the total of the tenant: multiply, or write namespaces[].quota",
            )
        )
    found: dict[str, Any] = {}
    for item in asked.get("items") or ():
        for key, value in (item.get("hard") or {}).items():
            found[_quota_key(key)] = value
    if (spec.get("limitRanges") or {}).get("items"):
        left.append(("limitRanges", "Write spec.containerLimits: default, defaultRequest, max"))
    return found, left


def _quota_key(key: str) -> str:
    """Return the key that we count by: cpu means what is requested, as Kubernetes reads it."""
    return f"requests.{key}" if key in ("cpu", "memory", "ephemeral-storage") else key


def _capsule_workloads(spec: Body) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    left: list[tuple[str, str]] = []
    found: dict[str, Any] = {}

    def take(field: str, asked: Any, where: str) -> None:
        listed = list((asked or {}).get("allowed") or ())
        if listed:
            found[field] = listed
        left.extend(
            (f"{where}.{key}", f"List the names in spec.workloads.{field}")
            for key in ("allowedRegex", "matchLabels", "matchExpressions", "default")
            if (asked or {}).get(key)
        )

    ingress = spec.get("ingressOptions") or {}
    take("ingressClasses", ingress.get("allowedClasses"), "ingressOptions.allowedClasses")
    take("hostnames", ingress.get("allowedHostnames"), "ingressOptions.allowedHostnames")
    take("storageClasses", spec.get("storageClasses"), "storageClasses")
    take("priorityClasses", spec.get("priorityClasses"), "priorityClasses")
    take("runtimeClasses", spec.get("runtimeClasses"), "runtimeClasses")
    registries = spec.get("containerRegistries") or {}
    if registries.get("allowed"):
        found["registries"] = [f"{each.rstrip('/')}/" for each in registries["allowed"]]
    if registries.get("allowedRegex"):
        left.append(
            ("containerRegistries.allowedRegex", "List beginnings in spec.workloads.registries")
        )
    services = (spec.get("serviceOptions") or {}).get("allowedServices")
    if services is not None:
        types = ["ClusterIP"]
        types += ["LoadBalancer"] if services.get("loadBalancer", True) else []
        types += ["NodePort"] if services.get("nodePort", True) else []
        found["serviceTypes"] = types
    if "Always" in (spec.get("imagePullPolicies") or ()) and len(spec["imagePullPolicies"]) == 1:
        found["imagePullPolicy"] = "Always"
    return found, left


# --- namespaces -----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Space:
    """A namespace as it is, and what is in it."""

    body: Body
    bindings: Sequence[Body] = ()
    quotas: Sequence[Body] = ()
    network_policies: Sequence[Body] = ()


def namespaces(tenant: str, spaces: Sequence[Space]) -> Found:
    """Return a SecureTenant for namespaces that a tenant is to have."""
    left: list[tuple[str, str]] = []
    entries: list[Any] = []
    total: dict[str, int] = {}
    levels = set()
    for space in spaces:
        metadata = space.body["metadata"]
        labels = metadata.get("labels") or {}
        levels.add(labels.get(f"{names.POD_SECURITY_PREFIX}enforce", "privileged"))
        hard: dict[str, Any] = {}
        for quota in space.quotas:
            hard |= {_quota_key(k): v for k, v in (quota["spec"].get("hard") or {}).items()}
        known = {key: value for key, value in hard.items() if quotas.may_be_limited(key)}
        for key, value in known.items():
            total[key] = total.get(key, 0) + quantities.units(key, value)
        left += [
            (f"quota {key} of {metadata['name']}", "It is not counted here")
            for key in sorted(hard.keys() - known.keys())
        ]
        own = {
            key: value
            for key, value in labels.items()
            if "kubernetes.io/" not in key and not key.startswith(names.GROUP)
        }
        entries.append({"name": metadata["name"], **({"labels": own} if own else {})})
        left += [
            (
                f"NetworkPolicy {each['metadata']['name']} of {metadata['name']}",
                "Declare what it opens beyond the tenant in spec.network",
            )
            for each in space.network_policies
        ]
    grants, some = _granted(spaces)
    left += some
    spec: dict[str, Any] = {
        "namespaces": entries,
        "access": grants,
        "quota": {key: quantities.canonical(key, count) for key, count in sorted(total.items())},
    }
    if levels == {"baseline"}:
        spec["podSecurity"] = {"level": "baseline", "exceptionReason": "SAY WHY"}
    elif "privileged" in levels:
        left.append(
            (
                "pods of any kind (no level of Pod Security)",
                "Pods are held to restricted: securetenant why -f MANIFESTS says what to change",
            )
        )
    left.append(
        (
            "namespaces that exist",
            "The operator takes none that exists without consent (docs/controls/namespaces.md)",
        )
    )
    return _checked(tenant, spec, left)


def _granted(spaces: Sequence[Space]) -> tuple[list[Any], list[tuple[str, str]]]:
    left: list[tuple[str, str]] = []
    held: dict[str, dict[tuple[str, str, str], set[str]]] = {}
    for space in spaces:
        where = space.body["metadata"]["name"]
        for each in space.bindings:
            role = _ROLES.get(str(each["roleRef"]["name"]))
            if role is None or each["roleRef"]["kind"] != kinds.CLUSTER_ROLE.name:
                left.append(
                    (
                        (
                            f"RoleBinding {each['metadata']['name']} of {where}"
                            f" ({each['roleRef']['kind']} {each['roleRef']['name']})"
                        ),
                        "Roles are Viewer, Developer and Admin; own Roles are made within",
                    )
                )
                continue
            for one in each.get("subjects") or ():
                subject = _subject(one)
                key = (subject["kind"], subject["name"], subject.get("namespace", ""))
                held.setdefault(role, {}).setdefault(key, set()).add(where)
    return list(_grants(held, {each.body["metadata"]["name"] for each in spaces})), left


def _grants(
    held: dict[str, dict[tuple[str, str, str], set[str]]], every: set[str]
) -> Iterator[Any]:
    for role in access.ROLES:
        by_place: dict[tuple[str, ...], list[dict[str, str]]] = {}
        for (kind, name, namespace), where in sorted(held.get(role, {}).items()):
            subject = {
                "kind": kind,
                "name": name,
                **({"namespace": namespace} if namespace else {}),
            }
            by_place.setdefault(tuple(sorted(where)), []).append(subject)
        for number, (where_, subjects) in enumerate(sorted(by_place.items())):
            grant: dict[str, Any] = {
                "name": role.lower() if not number else f"{role.lower()}-{number}",
                "role": role,
                "subjects": subjects,
            }
            if set(where_) != every:
                grant["namespaces"] = list(where_)
            yield grant
