"""ClusterRoles that the platform adds to the roles of tenants: what no member may hold by them."""

from collections.abc import Iterator
from typing import Any

import pytest

import documents
from attack_harness import Control, Policy, may, mutate, verdict
from harness import MERGE, ROOT, Api, wait_for
from securetenant.api import kinds
from securetenant.plan import roles
from stolen_operator import RBAC

GUARD = Policy("securetenant-cluster-roles")
PATH = kinds.CLUSTER_ROLE.path()
LABELS = roles.SOURCES["securetenant:admin"]
CONTROLLER = "system:serviceaccount:kube-system:clusterrole-aggregation-controller"
HARMLESS = {"apiGroups": ["example.com"], "resources": ["widgets"], "verbs": ["get", "create"]}
ADDONS = [
    body
    for body in documents.within(ROOT / "manifests" / "roles" / "addons")
    if body["kind"] == "ClusterRole"
]

pytestmark = pytest.mark.usefixtures("tenants")


def rule(resource: str, *verbs: str, group: str = "", **more: Any) -> dict[str, Any]:
    return {"apiGroups": [group], "resources": [resource], "verbs": list(verbs), **more}


def cluster_role(*rules: Any, name: str = "added", label: str = LABELS[0]) -> dict[str, Any]:
    labels = {label: "true"} if label else {}
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name, "labels": labels},
        "rules": list(rules),
    }


FORBIDDEN: dict[str, dict[str, Any]] = {
    "A01 every verb": rule("configmaps", "*"),
    "A01 every resource": rule("*", "get"),
    "A01 every subresource": rule("*/scale", "get", group="apps"),
    "A01 every group": rule("widgets", "get", group="*"),
    "A02 escalate": rule("roles", "escalate", group=RBAC),
    "A02 bind": rule("clusterroles", "bind", group=RBAC),
    "A02 bind one": rule("clusterroles", "bind", group=RBAC, resourceNames=["cluster-admin"]),
    "A03 impersonate": rule("serviceaccounts", "impersonate"),
    "A03 impersonate in part": rule(
        "users", "impersonate:user-info", group="authentication.k8s.io"
    ),
    "A04 tokens": rule("serviceaccounts/token", "create"),
    "A08 pods by proxy": rule("pods/proxy", "get"),
    "A08 services by proxy": rule("services/proxy", "create"),
    "A08 place a pod": rule("pods/binding", "create"),
    "A08 place any pod": rule("bindings", "create"),
    "A08 status of pods": rule("pods/status", "patch"),
    "A08 status of services": rule("services/status", "update"),
    "A09 nodes": rule("nodes", "get"),
    "A09 nodes by proxy": rule("nodes/proxy", "get"),
    "A10 namespaces": rule("namespaces", "patch"),
    "A10 ends of namespaces": rule("namespaces/finalize", "update"),
    "A10 volumes": rule("persistentvolumes", "create"),
    "A10 classes": rule("storageclasses", "create", group="storage.k8s.io"),
    "A10 kinds": rule("customresourcedefinitions", "create", group="apiextensions.k8s.io"),
    "A14 quotas": rule("resourcequotas", "update"),
    "A14 limits": rule("limitranges", "create"),
    "A18 certificates": rule(
        "certificatesigningrequests/approval", "update", group="certificates.k8s.io"
    ),
    "A19 webhooks": rule(
        "mutatingwebhookconfigurations", "create", group="admissionregistration.k8s.io"
    ),
    "A19 policies": rule(
        "validatingadmissionpolicybindings", "delete", group="admissionregistration.k8s.io"
    ),
    "A19 flows": rule("flowschemas", "create", group="flowcontrol.apiserver.k8s.io"),
    "A19 roles of the cluster": rule("clusterroles", "update", group=RBAC),
    "A19 bindings of the cluster": rule("clusterrolebindings", "create", group=RBAC),
    "A21 our kinds": rule("securetenants", "patch", group="securetenant.io"),
    "A21 parameters": rule("tenantpolicies", "update", group="securetenant.io"),
    "A21 override": rule("securetenants", "override", group="securetenant.io"),
    "A21 belong": rule("tenantpolicies", "belong", group="securetenant.io"),
    "E addresses": rule("endpoints", "patch"),
    "E slices of them": rule("endpointslices", "create", group="discovery.k8s.io"),
    "E gateways": rule("gateways", "create", group="gateway.networking.k8s.io"),
    "E grants": rule("referencegrants", "create", group="gateway.networking.k8s.io"),
    "E contents of snapshots": rule(
        "volumesnapshotcontents", "create", group="snapshot.storage.k8s.io"
    ),
    "E a network plugin": rule("ciliumnetworkpolicies", "create", group="cilium.io"),
    "G01 Events that go": rule("events", "delete", group="events.k8s.io"),
    "finalizers of others": rule("widgets/finalizers", "update", group="example.com"),
    "status of others": rule("widgets/status", "patch", group="example.com"),
    "a path": {"nonResourceURLs": ["/metrics"], "verbs": ["get"]},
}


@pytest.fixture(scope="module")
def unlabelled(admin: Api) -> Iterator[dict[str, dict[str, Any]]]:
    """A ClusterRole with each rule that carries no label: those are nobody's."""
    made = {}
    for number, (title, each) in enumerate(FORBIDDEN.items()):
        body = cluster_role(HARMLESS, each, name=f"unlabelled-{number}", label="")
        admin.call("POST", PATH, body).ok()
        made[title] = body
    yield made
    for body in made.values():
        admin.call("DELETE", f"{PATH}/{body['metadata']['name']}").ok()


def test_an_ordinary_one_is_admitted(admin: Api) -> None:
    """Else every refusal below would prove nothing."""
    for label in LABELS:
        admin.call("POST", PATH, cluster_role(HARMLESS, label=label), dryRun="All").ok()


@pytest.mark.parametrize("title", FORBIDDEN)
def test_one_that_breaks_isolation_is_refused_however_it_gets_there(
    title: str, admin: Api, unlabelled: dict[str, dict[str, Any]]
) -> None:
    """As a new one, by its label, by a new rule, and in the role that members hold."""
    each = FORBIDDEN[title]
    for label in LABELS:
        answer = admin.call("POST", PATH, cluster_role(HARMLESS, each, label=label), dryRun="All")
        assert verdict(answer, GUARD) == "Blocked"
        path = f"{PATH}/{unlabelled[title]['metadata']['name']}"
        change: dict[str, Any] = {"metadata": {"labels": {label: "true"}}}
        answer = admin.call("PATCH", path, change, content_type=MERGE, dryRun="All")
        assert verdict(answer, GUARD) == "Blocked"
    for name in (*roles.SOURCES, *roles.BASE):
        path = f"{PATH}/{name}"
        rules = admin.call("GET", path).ok()["rules"]
        change = {"rules": [*rules, each]}
        answer = admin.call("PATCH", path, change, content_type=MERGE, dryRun="All")
        assert verdict(answer, GUARD) == "Blocked"


def test_what_was_labelled_before_the_guard_is_refused_to_the_controller(
    admin: Api, sandbox: Any
) -> None:
    """It fills in the roles of members, and nobody is exempt."""
    controller = Api(
        sandbox.admin_kubeconfig, speaking_as=CONTROLLER, group="system:serviceaccounts"
    )
    path = f"{PATH}/securetenant:viewer"
    rules = admin.call("GET", path).ok()["rules"]
    for each, expected in ((HARMLESS, "Open"), (FORBIDDEN["A08 pods by proxy"], "Blocked")):
        change = {"rules": [*rules, each]}
        answer = controller.call("PATCH", path, change, content_type=MERGE, dryRun="All")
        assert verdict(answer, GUARD) == expected


SELECTORS: dict[str, Any] = {
    "everything": {},
    "another label": {"matchLabels": {"rbac.authorization.k8s.io/aggregate-to-edit": "true"}},
    "another value": {"matchLabels": {"securetenant.io/aggregate-to-viewer": "yes"}},
    "an expression": {
        "matchExpressions": [{"key": "securetenant.io/aggregate-to-viewer", "operator": "Exists"}]
    },
}


@pytest.mark.parametrize("title", SELECTORS)
def test_a_role_of_members_gathers_by_our_labels_only(title: str, admin: Api) -> None:
    selector = SELECTORS[title]
    for name in roles.SOURCES:
        path = f"{PATH}/{name}"
        known = admin.call("GET", path).ok()["aggregationRule"]["clusterRoleSelectors"]
        change = {"aggregationRule": {"clusterRoleSelectors": [*known, selector]}}
        answer = admin.call("PATCH", path, change, content_type=MERGE, dryRun="All")
        assert verdict(answer, GUARD) == "Blocked"
    body = {**cluster_role(), "aggregationRule": {"clusterRoleSelectors": [selector]}}
    assert verdict(admin.call("POST", PATH, body, dryRun="All"), GUARD) == "Blocked"


def test_a_viewer_does_not_gather_what_an_admin_has(admin: Api) -> None:
    for name, label in (("viewer", LABELS[1]), ("viewer", LABELS[0]), ("developer", LABELS[0])):
        change = {"aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {label: "true"}}]}}
        path = f"{PATH}/securetenant:{name}"
        answer = admin.call("PATCH", path, change, content_type=MERGE, dryRun="All")
        assert verdict(answer, GUARD) == "Blocked"


@pytest.mark.parametrize("number", [257, 5000])
def test_one_that_is_too_long_to_look_at_is_refused(number: int, admin: Api) -> None:
    answer = admin.call("POST", PATH, cluster_role(*[HARMLESS] * number), dryRun="All")
    assert verdict(answer, GUARD) == "Blocked"
    many = {**HARMLESS, "resources": [f"r{each}" for each in range(number * 10)]}
    assert verdict(admin.call("POST", PATH, cluster_role(many), dryRun="All"), GUARD) == "Blocked"


def test_as_many_rules_as_are_allowed_are_looked_at(admin: Api) -> None:
    """The last of them too: what the API server could not afford would be refused as well."""
    many = [rule(f"r{each}", "get", group="example.com") for each in range(255)]
    admin.call("POST", PATH, cluster_role(*many), dryRun="All").ok()
    names = [f"r{each}" for each in range(1000)]
    wide = {"apiGroups": ["apps", "example.com"], "resources": names, "verbs": ["get"]}
    admin.call("POST", PATH, cluster_role(wide), dryRun="All").ok()
    answer = admin.call("POST", PATH, cluster_role(*many, rule("nodes", "get")), dryRun="All")
    assert "resource is nodes" in answer.message


@pytest.mark.parametrize("body", ADDONS, ids=lambda each: str(each["metadata"]["name"]))
def test_each_that_is_shipped_is_admitted(body: Any, admin: Api) -> None:
    admin.call("POST", PATH, body, dryRun="All").ok()


def test_one_without_a_label_is_not_judged(admin: Api) -> None:
    body = cluster_role(rule("nodes/proxy", "*"), label="")
    admin.call("POST", PATH, body, dryRun="All").ok()
    labelled = mutate(body, "metadata", {"name": "x", "labels": {"example.com/a": "b"}})
    admin.call("POST", PATH, labelled, dryRun="All").ok()


def test_a_tenant_adds_no_rights_to_itself(
    attacker: str, members: dict[str, Api], admin: Api
) -> None:
    """It may write no ClusterRole, so it can neither label one nor change one that is labelled."""
    member = members[attacker]
    body = cluster_role(HARMLESS)
    assert verdict(member.call("POST", PATH, body, dryRun="All"), Control.RBAC) == "Blocked"
    path = f"{PATH}/securetenant:aggregate-to-viewer"
    change = {"metadata": {"labels": {LABELS[0]: "true"}}}
    answer = member.call("PATCH", path, change, content_type=MERGE, dryRun="All")
    assert verdict(answer, Control.RBAC) == "Blocked"
    for verb in ("create", "update", "patch", "delete", "bind", "escalate"):
        assert not may(
            admin,
            user=f"{attacker}-admin",
            groups=(f"{attacker}-admins",),
            verb=verb,
            resource=f"{RBAC}:clusterroles",
        )


def test_rights_that_the_platform_adds_hold_in_the_tenants_own_namespaces_only(
    attacker: str, admin: Api, victim: str
) -> None:
    """Both tenants' admins hold them, each at home."""
    body = cluster_role(rule("widgets", "get", group="tools.example"), name=f"tools-{attacker}")
    admin.call("POST", PATH, body).ok()

    def holds(namespace: str) -> bool:
        return may(
            admin,
            user=f"{attacker}-admin",
            groups=(f"{attacker}-admins",),
            verb="get",
            resource="tools.example:widgets",
            namespace=namespace,
        )

    try:
        wait_for(lambda: holds(f"{attacker}-1"), what="the right to be aggregated")
        assert holds(victim) == victim.startswith(attacker)
        assert not holds("")
        assert not holds("kube-system")
    finally:
        admin.call("DELETE", f"{PATH}/tools-{attacker}").ok()
    wait_for(lambda: not holds(f"{attacker}-1"), what="the right to go")
