"""The operator's rights are those that it uses: no verb more, no verb less.

Everything that a right is there for is made to happen once, on a control plane of its own; then the
audit log is compared with the roles in manifests/operator.
"""

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import yaml

from conftest import control_plane, operating, settled, verify
from factory import binding, pod, tenant
from harness import (
    MERGE,
    OPERATOR,
    ROOT,
    Api,
    audit_events,
    conditions,
    kubectl,
    settle,
    wait_for,
    wait_for_account,
    wait_for_kinds,
    writes_by_operator,
)
from securetenant.api import kinds, names
from securetenant.plan import ownership
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance
from stolen_operator import flow

USER = f"system:serviceaccount:{':'.join(OPERATOR)}"
CRDS = ("tests/clusternetworkpolicies.yaml", "tests/clusterreports.yaml")
TIER = kinds.CLUSTER_NETWORK_POLICY
FLOW = kinds.FLOW_SCHEMA
REPORT = kinds.CLUSTER_REPORT
TENANCY = "node-restriction.kubernetes.io/tenancy"
LABELS = {names.MANAGED_BY_LABEL: names.MANAGED_BY}
SELECTOR = f"{names.MANAGED_BY_LABEL}={names.MANAGED_BY}"
ACCESS = [
    {"name": role.lower(), "role": role, "subjects": [{"kind": "Group", "name": f"used-{role}"}]}
    for role in ("Admin", "Developer", "Viewer")
]
USED = tenant(
    "used",
    namespaces=[{"name": "used-1"}, {"name": "used-2"}],
    access=ACCESS,
    deletionPolicy="Delete",
)


class Right(NamedTuple):
    """One verb on one resource, of one name where the rule names some."""

    group: str
    resource: str
    verb: str
    name: str = ""


@pytest.fixture(scope="module")
def audited() -> Iterator[Instance]:
    """A control plane after a life in which every right was needed."""
    with control_plane(f"test-{os.getpid()}-rights", audit=True, nodes=2) as instance:
        for file in CRDS:
            kubectl(instance, "apply", "-f", file)
            wait_for_kinds(instance, "-f", file)
        yield instance


@pytest.fixture(scope="module")
def used(audited: Instance, tmp_path_factory: pytest.TempPathFactory) -> set[Right]:
    """Every right that the operator used."""
    admin = Api(audited.admin_kubeconfig)
    groups = ("system:masters", "securetenant:break-glass")
    breaker = Api(kubeconfigs.for_user(audited, "breaker", groups))
    bound: set[str] = set()
    with operating(audited, tmp_path_factory.mktemp("operator") / "log"):
        admin.apply(kinds.SECURE_TENANT, USED, manager="test").ok()
        settled(admin, "used")
        verify(admin, 3600)
        wait_for(lambda: is_verified(admin), what="the verification", seconds=30)
        verify(admin, 0)
        bound |= {each["roleRef"]["name"] for each in admin.list(kinds.ROLE_BINDING, "used-1")}
        drift(admin, breaker)
        quarantine(admin)
        impostors(admin, breaker)
        nodes(audited, admin)
        settled(admin, "used")
        admin.delete(kinds.SECURE_TENANT, "used").ok()
        wait_for(lambda: admin.get(kinds.SECURE_TENANT, "used") is None, what="the end", seconds=60)
        settle(audited)
    return {*requested(audited), *implied(audited, bound)}


def is_verified(admin: Api) -> bool:
    """Tell whether the isolation was tried, with a token of the verifier, and flows computed."""
    tenant = admin.get(kinds.SECURE_TENANT, "used")
    told = conditions(tenant).get("IsolationVerified", {"message": ""})["message"]
    return "isolation" in tenant["status"] and "only declared traffic" in told


def drift(admin: Api, breaker: Api) -> None:
    """Change and delete one object of each kind; a deletion is done twice, to be told twice."""
    changes: list[tuple[kinds.Kind, str, Any]] = [
        (kinds.NETWORK_POLICY, names.DEFAULT_DENY, {"spec": {"ingress": [{}]}}),
        (kinds.RESOURCE_QUOTA, names.QUOTA, {"spec": {"hard": {"pods": "1"}}}),
        (kinds.LIMIT_RANGE, names.LIMITS, {"spec": {"limits": []}}),
        (
            kinds.TENANT_POLICY,
            names.POLICY_NAME,
            {"metadata": {"labels": {names.TENANT_LABEL: "x"}}},
        ),
        (kinds.ROLE_BINDING, names.role_binding("Viewer"), {"subjects": []}),
    ]
    for kind, name, change in changes:
        before = ownership.owned(admin.get(kind, name, "used-1"))
        breaker.patch(kind, name, change, "used-1").ok()
        wait_to_return(admin, kind, name, before)
        # Nobody deletes the TenantPolicy of a namespace that stays.
        for _ in range(0 if kind is kinds.TENANT_POLICY else 2):
            breaker.delete(kind, name, "used-1").ok()
            wait_to_return(admin, kind, name, before)
    tier = names.admin_tier("used")
    wanted = ownership.owned(admin.get(TIER, tier))
    breaker.patch(TIER, tier, {"spec": {"egress": []}}).ok()
    wait_to_return(admin, TIER, tier, wanted, "")
    report = names.report("used")
    before = ownership.owned(admin.get(REPORT, report))
    admin.patch(REPORT, report, {"summary": {"fail": 7}}).ok()
    wait_to_return(admin, REPORT, report, before, "")
    label = "pod-security.kubernetes.io/warn"
    before = ownership.owned(admin.get(kinds.NAMESPACE, "used-1"))
    breaker.patch(kinds.NAMESPACE, "used-1", {"metadata": {"labels": {label: None}}}).ok()
    wait_to_return(admin, kinds.NAMESPACE, "used-1", before, "")
    found = wait_for(lambda: admin.list(FLOW, labelSelector=SELECTOR), what="a FlowSchema")[0]
    breaker.patch(FLOW, found["metadata"]["name"], {"spec": {"matchingPrecedence": 2}}).ok()
    wait_to_return(admin, FLOW, found["metadata"]["name"], ownership.owned(found), "")


def quarantine(admin: Api) -> None:
    """Put a RoleBinding of a member aside, and bring it back."""
    account = {"kind": "ServiceAccount", "name": "default", "namespace": "used-1"}
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "mine"},
    }
    admin.call("POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/used-1/roles", role).ok()
    admin.create(kinds.ROLE_BINDING, binding(account), "used-1").ok()
    for lockdown, held in (("Quarantined", False), ("None", True)):
        admin.patch(kinds.SECURE_TENANT, "used", {"spec": {"lockdown": lockdown}}).ok()
        wait_to_name(admin, held=held)
    settled(admin, "used")


def wait_to_name(admin: Api, *, held: bool) -> None:
    """Wait until the member's RoleBinding names somebody, or nobody."""
    wait_for(
        lambda: bool(admin.get(kinds.ROLE_BINDING, "mine", "used-1").get("subjects")) is held,
        what=f"the RoleBinding to name somebody: {held}",
        seconds=30,
    )


def wait_to_return(
    admin: Api, kind: kinds.Kind, name: str, before: Any, namespace: str = "used-1"
) -> None:
    def is_back() -> bool:
        body = admin.get(kind, name, namespace)
        return body is not None and ownership.owned(body) == before

    wait_for(is_back, what=f"{kind.name} {name} to be as before", seconds=30)


def wait_to_go(admin: Api, kind: kinds.Kind, name: str, namespace: str) -> None:
    wait_for(lambda: admin.get(kind, name, namespace) is None, what=f"{kind.name} {name} to go")


def impostors(admin: Api, breaker: Api) -> None:
    """Put an object of each kind beside ours that only claims to be ours."""
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    policy = admin.get(kinds.TENANT_POLICY, names.POLICY_NAME, "used-1")
    bodies: list[tuple[kinds.Kind, Any]] = [
        (kinds.NETWORK_POLICY, {"spec": {"podSelector": {}, "ingress": [{}]}}),
        (kinds.RESOURCE_QUOTA, {"spec": {"hard": {"pods": "1"}}}),
        (kinds.LIMIT_RANGE, {"spec": {"limits": []}}),
        (kinds.TENANT_POLICY, {key: policy[key] for key in ("apiVersion", "kind", "spec")}),
        (kinds.ROLE_BINDING, {"roleRef": role, "subjects": []}),
    ]
    for kind, body in bodies:
        body["metadata"] = {"name": "sneaky", "labels": LABELS}
        breaker.create(kind, body, "used-1").ok()
        wait_to_go(admin, kind, "sneaky", "used-1")
    report = {
        "apiVersion": REPORT.api_version,
        "kind": REPORT.name,
        "metadata": {"name": "sneaky", "labels": LABELS},
    }
    admin.create(REPORT, report).ok()
    wait_to_go(admin, REPORT, "sneaky", "")
    breaker.create(FLOW, flow(name="sneaky")).ok()
    wait_to_go(admin, FLOW, "sneaky", "")


def nodes(instance: Instance, admin: Api) -> None:
    """Give a node to a tenant while a pod of somebody else's runs there."""
    kubectl(instance, "label", "node", "node-0", f"{TENANCY}=dedicated")
    wait_for_account(admin, "default")
    body = pod()
    body["spec"]["nodeName"] = "node-0"
    name = admin.create_pod("default", body).ok()["metadata"]["name"]
    asked = {"dedicable": {"matchLabels": {TENANCY: "dedicated"}}}
    asked["shared"] = {"matchLabels": {TENANCY: "shared"}}
    admin.patch(kinds.TENANCY_SETTINGS, "default", {"spec": {"nodes": asked}}).ok()
    # An address for documentation: the token is taken, and nobody answers who could be shown it.
    elsewhere = {"status": {"addresses": [{"type": "InternalIP", "address": "192.0.2.10"}]}}
    path = kinds.NODE.path("", "node-0", "status")
    admin.call("PATCH", path, elsewhere, content_type=MERGE).ok()
    own = {"dedication": "Dedicated", "names": ["node-0"], "podPidsLimit": 1024}
    admin.apply(kinds.SECURE_TENANT, tenant("noded", nodes=own), manager="test").ok()

    def told(type: str) -> str:
        found = conditions(admin.get(kinds.SECURE_TENANT, "noded")).get(type, {})
        return f"{found.get('reason')}: {found.get('message')}"

    wait_for(
        lambda: f"default/{name}" in told("NodesDedicated"), what="the pod to be named", seconds=60
    )
    wait_for(
        lambda: "192.0.2.10" in told("PidsLimited"),
        what=f"the kubelet to be asked: {told('PidsLimited')}",
        seconds=60,
    )


def requested(instance: Instance) -> Iterator[Right]:
    """Yield the rights that requests of the operator needed.

    An apply, or a replacement, that made an object was asked for both verbs.
    """
    named = {(right.group, right.resource) for right in granted() if right.name}
    for event in audit_events(instance):
        if event["user"]["username"] != USER or "objectRef" not in event:
            continue
        what = event["objectRef"]
        resource = "/".join(each for each in (what["resource"], what.get("subresource")) if each)
        kind = (what.get("apiGroup", ""), resource)
        yield Right(*kind, event["verb"], what.get("name", "") if kind in named else "")
        if (
            event["verb"] in ("patch", "update")
            and event.get("responseStatus", {}).get("code") == 201
        ):
            yield Right(*kind, "create", what.get("name", "") if kind in named else "")


def implied(instance: Instance, bound: set[str]) -> Iterator[Right]:
    """Yield the rights that are asked for by no request of their own.

    RBAC wants ``bind`` on a role for a RoleBinding to it, from whoever does not hold all of the
    role. The policies let nobody touch a managed object without ``override``.
    """
    for role in bound:
        yield Right("rbac.authorization.k8s.io", "clusterroles", "bind", role)
    if any(
        event["objectRef"]["name"] == "mine" and event["objectRef"]["resource"] == "rolebindings"
        for event in writes_by_operator(instance)
        if "name" in event["objectRef"]
    ):
        yield Right("rbac.authorization.k8s.io", "roles", "bind")
    if any(
        right.resource == "networkpolicies" and right.verb == "patch"
        for right in requested(instance)
    ):
        yield Right("securetenant.io", "securetenants", "override")


def granted() -> set[Right]:
    """Return the rights of every role that the manifests bind to the operator."""
    objects = [
        each
        for path in sorted((ROOT / "manifests/operator").glob("*.yaml"))
        for each in yaml.safe_load_all(path.read_text(encoding="utf-8"))
    ]
    operator = {"kind": "ServiceAccount", "namespace": OPERATOR[0], "name": OPERATOR[1]}
    bound = {
        (each["roleRef"]["kind"], each["roleRef"]["name"])
        for each in objects
        if operator in each.get("subjects", ())
    }
    return {
        Right(group, resource, verb, name)
        for each in objects
        if (each["kind"], each.get("metadata", {}).get("name")) in bound
        for rule in each["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames", [""])
    }


def test_every_right_is_used(used: set[Right]) -> None:
    assert sorted(granted() - used) == []


def test_nothing_else_is_asked_for(used: set[Right]) -> None:
    assert sorted(used - granted()) == []


def test_nothing_is_refused(audited: Instance, used: set[Right]) -> None:
    refused = [
        (event["verb"], event["requestURI"], event["responseStatus"].get("message"))
        for event in audit_events(audited)
        if event["user"]["username"] == USER
        and event.get("responseStatus", {}).get("code") in (401, 403)
    ]
    assert refused == []
