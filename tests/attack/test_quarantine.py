"""A quarantined tenant: nothing flows, nothing starts, nobody writes; it comes back as it was."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

import factory
from attack_harness import Control, Policy, verdict
from conftest import Ready, settled
from harness import JSON_PATCH, MERGE, Api, Operator, conditions, settle, wait_for, wait_for_account
from securetenant.api import kinds, names
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance
from stolen_operator import FENCE, RBAC

QUARANTINE = Policy("securetenant-quarantine", also=("securetenant-lockdown",))
POLICY, BINDING = kinds.NETWORK_POLICY, kinds.ROLE_BINDING
ACCOUNT = {"kind": "ServiceAccount", "name": "default", "namespace": "{}"}
OPENING = {"name": "web", "from": [{"cidr": "10.30.0.0/16"}], "ports": [{"port": 80}]}
OWN_POLICY = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "own"},
    "spec": {
        "podSelector": {"matchLabels": {"app": "web"}},
        "policyTypes": ["Egress"],
        "egress": [{"to": [{"podSelector": {}}]}],
    },
}


def patient(name: str) -> dict[str, Any]:
    """Return a tenant with an opening, an admin and a developer."""
    subjects = {role: [{"kind": "Group", "name": f"{name}-{role}s"}] for role in ("admin", "dev")}
    return factory.tenant(
        name,
        namespaces=[{"name": f"{name}-1"}],
        access=[
            {"name": "admins", "role": "Admin", "subjects": subjects["admin"]},
            {"name": "devs", "role": "Developer", "subjects": subjects["dev"]},
        ],
        network={"ingress": [OPENING]},
    )


def furnish(admin: Api, member: Api, namespace: str) -> None:
    """Have a member make what opens something: traffic, and rights of a ServiceAccount."""
    wait_for_account(admin, namespace)
    account = {**ACCOUNT, "namespace": namespace}
    member.create(POLICY, OWN_POLICY, namespace).ok()
    role = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "Role",
        "metadata": {"name": "mine"},
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}],
    }
    member.call("POST", f"/apis/{RBAC}/v1/namespaces/{namespace}/roles", role).ok()
    member.create(BINDING, factory.binding(account), namespace).ok()
    broad = factory.binding(account, role="securetenant:developer")
    broad["metadata"] = {"name": "broad", "annotations": {"backstage.io/owner": "team"}}
    member.create(BINDING, broad, namespace).ok()


def lock(admin: Api, name: str, how: str) -> None:
    admin.patch(kinds.SECURE_TENANT, name, {"spec": {"lockdown": how}}).ok()


def names_of(admin: Api, kind: kinds.Kind, namespace: str) -> set[str]:
    return {each["metadata"]["name"] for each in admin.list(kind, namespace)}


def stored(admin: Api, namespace: str) -> dict[str, Any]:
    """Return what is in the objects of members, and how ours are called."""
    found: dict[str, Any] = {}
    for kind in (POLICY, BINDING):
        for each in admin.list(kind, namespace):
            name = each["metadata"]["name"]
            content = {key: each.get(key) for key in ("spec", "roleRef", "subjects")}
            content["annotations"] = each["metadata"].get("annotations")
            found[f"{kind.name} {name}"] = "" if name.startswith("securetenant-") else content
    return found


def is_cut(admin: Api, namespace: str) -> bool:
    """Tell whether everything that opens something is aside."""
    return selecting(admin, namespace) == {names.DEFAULT_DENY} and naming(admin, namespace) == {
        names.CANARY,
        names.role_binding("Viewer"),
    }


def selecting(admin: Api, namespace: str) -> set[str]:
    """Return the NetworkPolicies that select pods."""
    return {
        each["metadata"]["name"]
        for each in admin.list(POLICY, namespace)
        if len(each["spec"]["podSelector"].get("matchExpressions", ())) != 2
    }


def naming(admin: Api, namespace: str) -> set[str]:
    """Return the RoleBindings that name somebody."""
    return {
        each["metadata"]["name"] for each in admin.list(BINDING, namespace) if each.get("subjects")
    }


@pytest.fixture(scope="module")
def ill(admin: Api, sandbox: Instance, operator: Operator) -> Iterator[Api]:
    """The admin of a quarantined tenant with something running in it."""
    admin.create(kinds.SECURE_TENANT, patient("ill")).ok()
    settled(admin, "ill")
    member = Api(kubeconfigs.for_user(sandbox, "ill-admin", ("ill-admins",)))
    furnish(admin, member, "ill-1")
    path = "/apis/apps/v1/namespaces/ill-1/deployments"
    web = factory.deployment("web")
    # A kubelet may ask for the tokens of its pods alone, and for those that they mount.
    token = {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}}
    web["spec"]["template"]["spec"]["volumes"] = [
        {"name": "token", "projected": {"sources": [token]}}
    ]
    member.call("POST", path, web).ok()
    wait_for(lambda: pods(admin), what="the pod to run", seconds=30)
    lock(admin, "ill", "Quarantined")
    wait_for(lambda: is_cut(admin, "ill-1"), what="the quarantine", seconds=20)
    yield member
    lock(admin, "ill", "None")
    wait_for(lambda: names.DNS in selecting(admin, "ill-1"), what="the end of it", seconds=20)


def pods(admin: Api) -> list[Any]:
    found = admin.call("GET", "/api/v1/namespaces/ill-1/pods").ok()["items"]
    return [each for each in found if each["status"].get("phase") == "Running"]


TOKEN = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}


@pytest.mark.parametrize(
    ("user", "group", "path", "body"),
    [
        pytest.param(
            "system:serviceaccount:kube-system:replicaset-controller",
            "system:serviceaccounts:kube-system",
            "pods",
            factory.pod(),
            id="a pod that a controller replaces",
        ),
        pytest.param(
            "system:kube-controller-manager",
            "system:masters",
            "pods",
            factory.pod(),
            id="the same, where controllers have one identity",
        ),
        pytest.param(
            "ill-admin", "ill-admins", "serviceaccounts/default/token", TOKEN, id="a token"
        ),
        pytest.param(
            "system:kube-scheduler",
            "system:authenticated",
            "pods/{}/binding",
            {
                "apiVersion": "v1",
                "kind": "Binding",
                "metadata": {"name": "{}"},
                "target": {"kind": "Node", "name": "node-0"},
            },
            id="a pod that waited for a node",
        ),
    ],
)
def test_nothing_starts_and_nobody_gets_a_token_in_quarantine(
    user: str, group: str, path: str, body: Any, admin: Api, ill: Api, sandbox: Instance
) -> None:
    (pod,) = pods(admin)
    name = pod["metadata"]["name"]
    if "target" in body:
        body = {**body, "metadata": {"name": name}}
    speaker = Api(sandbox.admin_kubeconfig, speaking_as=user, group=group)
    answer = speaker.call(
        "POST", f"/api/v1/namespaces/ill-1/{path.format(name)}", body, dryRun="All"
    )
    expected = Control.RBAC if "token" in path else QUARANTINE
    assert verdict(answer, expected) == "Blocked", answer.message


def test_a_kubelet_renews_no_token_in_quarantine(admin: Api, ill: Api, sandbox: Instance) -> None:
    (pod,) = pods(admin)
    bound = {
        "kind": "Pod",
        "apiVersion": "v1",
        "name": pod["metadata"]["name"],
        "uid": pod["metadata"]["uid"],
    }
    where = pod["spec"]["nodeName"]
    kubelet = Api(kubeconfigs.for_user(sandbox, f"system:node:{where}", ("system:nodes",)))
    request = {**TOKEN, "spec": {"boundObjectRef": bound, "expirationSeconds": 3607}}
    path = "/api/v1/namespaces/ill-1/serviceaccounts/default/token"
    for speaker in (admin, kubelet):
        answer = speaker.call("POST", path, request)
        assert verdict(answer, QUARANTINE) == "Blocked", answer.message


def test_its_people_may_look_and_do_nothing_else(admin: Api, ill: Api, sandbox: Instance) -> None:
    """Access is reduced to Viewer, and what a member gave to a ServiceAccount is aside."""
    ill.call("GET", "/api/v1/namespaces/ill-1/pods").ok()
    for path in ("configmaps", "secrets"):
        answer = ill.call("POST", f"/api/v1/namespaces/ill-1/{path}", {"metadata": {"name": "x"}})
        assert verdict(answer, Control.RBAC) == "Blocked"
    assert ill.call("GET", "/api/v1/namespaces/ill-1/secrets").status == 403
    robot = Api(
        sandbox.admin_kubeconfig,
        speaking_as="system:serviceaccount:ill-1:default",
        group="system:serviceaccounts:ill-1",
    )
    for path in ("configmaps/x", "pods"):
        assert robot.call("GET", f"/api/v1/namespaces/ill-1/{path}").status == 403


def test_break_glass_looks_into_what_happened(admin: Api, breaker: Api, ill: Api) -> None:
    """Evidence is taken by somebody: break-glass passes the lockdown and the quarantine."""
    (pod,) = pods(admin)
    name = pod["metadata"]["name"]
    body = {**pod["spec"], "ephemeralContainers": [{"name": "look", "image": "app:1"}]}
    path = f"/api/v1/namespaces/ill-1/pods/{name}/ephemeralcontainers"
    answer = breaker.call("PATCH", path, {"spec": body}, content_type=MERGE, dryRun="All")
    assert "securetenant-lockdown" not in answer.message
    assert "securetenant-quarantine" not in answer.message
    breaker.create_pod("ill-1", factory.pod(), dryRun="All").ok()


def test_a_quarantine_is_seen_in_the_status(admin: Api, ill: Api) -> None:
    """What other tests of this file added is counted too."""

    def told() -> bool:
        found = conditions(admin.get(kinds.SECURE_TENANT, "ill"))
        return (
            found["Ready"]["reason"] == "Quarantined"
            and found["Ready"]["status"] == "True"
            and bool(re.search(r"made: NetworkPolicy \([1-9]", found["NetworkIsolated"]["message"]))
            and bool(re.search(r"made: RoleBinding \([2-9]", found["AccessScoped"]["message"]))
        )

    wait_for(told, what="the status", seconds=20)


def test_what_is_added_during_a_quarantine_is_put_aside_too(
    admin: Api, breaker: Api, ill: Api
) -> None:
    """A platform's own tool with break-glass opens nothing by mistake."""
    late = {**OWN_POLICY, "metadata": {"name": "late"}}
    breaker.create(POLICY, late, "ill-1").ok()

    def is_aside() -> bool:
        body = admin.get(POLICY, "late", "ill-1")
        return len(body["spec"]["podSelector"].get("matchExpressions", ())) == 2

    wait_for(is_aside, what="it to be put aside")
    breaker.delete(POLICY, "late", "ill-1").ok()


def test_the_end_of_a_quarantine_brings_everything_back_as_it_was(
    admin: Api, ready: Ready, sandbox: Instance, operator: Operator
) -> None:
    """Also over a restart; and then nothing is written any more."""
    ready(patient("well"))
    member = Api(kubeconfigs.for_user(sandbox, "well-admin", ("well-admins",)))
    furnish(admin, member, "well-1")
    before = stored(admin, "well-1")
    lock(admin, "well", "Quarantined")
    wait_for(lambda: is_cut(admin, "well-1"), what="the quarantine", seconds=20)
    assert operator.stop() == 0
    operator.start()
    seen = settle(sandbox)
    assert is_cut(admin, "well-1")
    lock(admin, "well", "None")
    wait_for(lambda: stored(admin, "well-1") == before, what="it to be as before", seconds=20)
    assert seen < settle(sandbox)
    member.call("GET", "/api/v1/namespaces/well-1/secrets").ok()


def test_a_retained_namespace_is_quarantined_and_released_with_its_tenant(
    admin: Api, ready: Ready, sandbox: Instance
) -> None:
    """Nobody keeps it, and what takes away reaches it."""
    body = patient("kept")
    both = [{"name": "kept-1"}, {"name": "kept-2"}]
    body["spec"]["namespaces"] = both
    ready(body)
    member = Api(kubeconfigs.for_user(sandbox, "kept-admin", ("kept-admins",)))
    furnish(admin, member, "kept-1")
    before = stored(admin, "kept-1")
    admin.patch(kinds.SECURE_TENANT, "kept", {"spec": {"namespaces": both[1:]}}).ok()
    wait_for(
        lambda: (
            admin.get(kinds.NAMESPACE, "kept-1")["metadata"]["labels"][names.STATE_LABEL]
            == names.RETAINED
        ),
        what="the namespace to be retained",
    )
    lock(admin, "kept", "Quarantined")
    wait_for(
        lambda: selecting(admin, "kept-1") == {names.DEFAULT_DENY},
        what="traffic to be cut",
        seconds=20,
    )
    wait_for(
        lambda: naming(admin, "kept-1") == {names.CANARY}, what="access to be taken", seconds=20
    )
    lock(admin, "kept", "None")
    wait_for(lambda: stored(admin, "kept-1") == before, what="it to be as before", seconds=20)


def whole(admin: Api, namespace: str) -> dict[str, Any]:
    """Return everything that a quarantine touches, made by anybody."""
    return {
        f"{kind.name} {each['metadata']['name']}": {
            **{key: each.get(key) for key in ("spec", "roleRef", "subjects")},
            "annotations": each["metadata"].get("annotations"),
        }
        for kind in (POLICY, BINDING)
        for each in admin.list(kind, namespace)
    }


def test_a_namespace_that_leaves_its_tenant_in_quarantine_comes_back_with_its_end(
    admin: Api, ready: Ready, sandbox: Instance
) -> None:
    """Nobody makes anything there any more: what the operator made is brought back in place."""
    body = patient("gone")
    both = [{"name": "gone-1"}, {"name": "gone-2"}]
    body["spec"]["namespaces"] = both
    ready(body)
    member = Api(kubeconfigs.for_user(sandbox, "gone-admin", ("gone-admins",)))
    furnish(admin, member, "gone-1")
    before = whole(admin, "gone-1")
    lock(admin, "gone", "Quarantined")
    wait_for(lambda: is_cut(admin, "gone-1"), what="the quarantine", seconds=20)
    admin.patch(kinds.SECURE_TENANT, "gone", {"spec": {"namespaces": both[1:]}}).ok()
    wait_for(
        lambda: (
            admin.get(kinds.NAMESPACE, "gone-1")["metadata"]["labels"][names.STATE_LABEL]
            == names.RETAINED
        ),
        what="the namespace to be retained",
    )
    assert selecting(admin, "gone-1") == {names.DEFAULT_DENY}
    assert naming(admin, "gone-1") <= {names.CANARY, names.role_binding("Viewer")}
    lock(admin, "gone", "None")
    wait_for(lambda: whole(admin, "gone-1") == before, what="it to be as before", seconds=20)
    member.call("GET", "/api/v1/namespaces/gone-1/secrets").ok()


def test_what_a_member_fills_to_the_brim_is_put_aside_too(
    admin: Api, sandbox: Instance, operator: Operator
) -> None:
    """The policies leave room for what the operator adds; else the object would stay in force."""
    admin.create(kinds.SECURE_TENANT, patient("brim")).ok()
    settled(admin, "brim")
    member = Api(kubeconfigs.for_user(sandbox, "brim-admin", ("brim-admins",)))
    furnish(admin, member, "brim-1")
    before = stored(admin, "brim-1")

    def policy(name: str, selector: Any, note: str, peers: int) -> dict[str, Any]:
        labels = {f"k{number}": "v" * 60 for number in range(12)}
        peer = {"podSelector": {"matchLabels": labels}}
        return {
            **OWN_POLICY,
            "metadata": {"name": name, "annotations": {"note": note}},
            "spec": {"podSelector": selector, "ingress": [{"from": [peer] * peers}]},
        }

    wanted = [{"key": f"k{n}", "operator": "NotIn", "values": ["a"]} for n in range(500)]
    many = policy("many", {"matchExpressions": wanted}, "", 1)
    member.create(POLICY, many, "brim-1").ok()
    ours = [{"key": names.ASIDE, "operator": "In", "values": ["x"]}]
    member.create(POLICY, policy("ours", {"matchExpressions": ours}, "", 1), "brim-1").ok()
    account = {"kind": "ServiceAccount", "name": "ci"}
    named = [{**account, "name": f"{n}-{'a' * 240}"} for n in range(199)]
    full = factory.binding(account)
    full["subjects"] = [account, *named]

    def largest(kind: kinds.Kind, body: dict[str, Any], most: int) -> None:
        """Create an object whose annotation is as long as the API server lets it be."""
        low, high = 0, most
        while high - low > 1:
            size = (low + high) // 2
            body["metadata"]["annotations"] = {"note": "x" * size}
            refused = member.create(kind, body, "brim-1", dryRun="All").status >= 400
            low, high = (low, size) if refused else (size, high)
        body["metadata"]["annotations"] = {"note": "x" * low}
        member.create(kind, body, "brim-1").ok()

    full["metadata"] = {"name": "full"}
    largest(BINDING, full, 262_144)
    largest(POLICY, policy("heavy", {}, "", 900), 262_144)
    filled = stored(admin, "brim-1")
    assert filled.keys() - before.keys() == {
        "NetworkPolicy many",
        "NetworkPolicy ours",
        "NetworkPolicy heavy",
        "RoleBinding full",
    }

    def in_force() -> set[str]:
        policies = {
            each["metadata"]["name"]
            for each in admin.list(POLICY, "brim-1")
            if len(each["spec"]["podSelector"].get("matchExpressions", ())) % 500 < 2
        }
        people = {
            each["metadata"]["name"]
            for each in admin.list(BINDING, "brim-1")
            if each.get("subjects")
        }
        return policies | people

    lock(admin, "brim", "Quarantined")
    own = {names.DEFAULT_DENY, names.CANARY, names.role_binding("Viewer")}
    wait_for(lambda: in_force() == own, what="everything to be put aside", seconds=20)
    lock(admin, "brim", "None")
    wait_for(lambda: stored(admin, "brim-1") == filled, what="it to be as before", seconds=20)


@pytest.mark.parametrize("value", ["Sealed", "quarantined", ""])
def test_a_lockdown_that_is_none_is_refused_with_those_that_are(value: str, admin: Api) -> None:
    body = factory.tenant("odd", lockdown=value)
    answer = admin.create(kinds.SECURE_TENANT, body, dryRun="All")
    assert answer.status == 422
    assert 'supported values: "None", "Frozen", "Quarantined"' in answer.message


ASIDE = "/metadata/annotations/securetenant.io~1set-aside"
MALLORY = {"kind": "User", "apiGroup": RBAC, "name": "mallory"}
OWN = {"kind": "ServiceAccount", "name": "default", "namespace": "ill-1"}
FORGET = {"op": "remove", "path": "/metadata/annotations"}


def add(path: str, value: Any) -> dict[str, Any]:
    return {"op": "add", "path": path, "value": value}


@pytest.mark.parametrize(
    ("kind", "name", "patch"),
    [
        pytest.param(POLICY, "own", [add("/spec/podSelector", {})], id="another selector"),
        pytest.param(POLICY, "own", [add("/spec/egress", [{}])], id="another rule"),
        pytest.param(BINDING, "mine", [add("/subjects", [MALLORY]), FORGET], id="somebody else"),
        pytest.param(BINDING, "mine", [add("/subjects", [OWN])], id="twice"),
        pytest.param(BINDING, "mine", [add("/subjects", [OWN, MALLORY]), FORGET], id="one more"),
        pytest.param(BINDING, "mine", [add(ASIDE, "User mallory")], id="another annotation"),
        pytest.param(BINDING, "mine", [FORGET], id="no annotation"),
        pytest.param(POLICY, "own", [add("/metadata/annotations", {"a/b": "c"})], id="a note"),
        pytest.param(
            BINDING, "broad", [add("/metadata/annotations/a~1b", "c")], id="one more note"
        ),
        pytest.param(
            BINDING,
            "mine",
            [
                add("/subjects", [OWN]),
                FORGET,
                add("/metadata/labels", {names.MANAGED_BY_LABEL: "x"}),
            ],
            id="a label",
        ),
    ],
)
def test_a_stolen_operator_token_changes_nothing_by_putting_aside(
    kind: kinds.Kind, name: str, patch: list[Any], as_operator: Api, ill: Api
) -> None:
    """H10: the operator may put aside what others made and bring it back, and nothing else."""
    answer = as_operator.call(
        "PATCH", kind.path("ill-1", name), patch, content_type=JSON_PATCH, dryRun="All"
    )
    assert verdict(answer, FENCE) == "Blocked", answer.message


def test_a_stolen_operator_token_brings_nobody_in_by_an_annotation_of_its_own(
    admin: Api, as_operator: Api, ready: Ready
) -> None:
    """It could make a binding that names nobody, and then bring back what it wrote down."""
    ready(factory.tenant("planted", namespaces=[{"name": "planted-web"}]))
    # The operator would delete the binding at once.
    suspend = {"spec": {"reconciliation": "Suspended"}}
    admin.patch(kinds.SECURE_TENANT, "planted", suspend).ok()
    wait_for(
        lambda: (
            conditions(admin.get(kinds.SECURE_TENANT, "planted"))["Ready"]["reason"] == "Suspended"
        ),
        what="the operator to leave it alone",
        seconds=20,
    )
    body = factory.binding(role=names.cluster_role("Admin"))
    body["metadata"] = {
        "name": "securetenant-planted",
        "labels": {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.TENANT_LABEL: "planted"},
        "annotations": {names.ASIDE: "Group system:authenticated"},
    }
    as_operator.create(BINDING, body, "planted-web").ok()
    everybody = {"kind": "Group", "apiGroup": RBAC, "name": "system:authenticated"}
    answer = as_operator.call(
        "PATCH",
        BINDING.path("planted-web", "securetenant-planted"),
        [add("/subjects", [everybody]), FORGET],
        content_type=JSON_PATCH,
    )
    assert verdict(answer, FENCE) == "Blocked", answer.message
    admin.delete(BINDING, "securetenant-planted", "planted-web")
