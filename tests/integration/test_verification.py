"""The isolation is tried, by the verifier's own identity, and the condition says what was seen."""

import asyncio
import contextlib
import datetime
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import denials_reports
import factory
from attack_harness import Policy, judge_message, verdict
from conftest import control_plane, operating, settled, verify
from harness import (
    JSON_PATCH,
    MERGE,
    OPERATOR,
    Api,
    Operator,
    conditions,
    kubectl,
    wait_for,
    wait_for_account,
    wait_for_kinds,
)
from securetenant.api import kinds, names
from securetenant.api.access import Grant
from securetenant.api.tenantpolicy import PolicySpec
from securetenant.checks.attacks.objects import Other
from securetenant.checks.attacks.verdicts import Verdict
from securetenant.concerns.verification import trials
from securetenant.concerns.verification.trials import Case
from securetenant.kube import credentials, verifier
from securetenant.kube.client import Client
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance
from securetenant.status import isolation
from securetenant.status.isolation import Trial

RBAC = "rbac.authorization.k8s.io"
POLICIES = kinds.VALIDATING_POLICY.path()
REPORT = kinds.CLUSTER_REPORT
BINDINGS = kinds.VALIDATING_BINDING.path()
CILIUM = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: ciliumclusterwidenetworkpolicies.cilium.io}
spec:
  group: cilium.io
  names: {kind: CiliumClusterwideNetworkPolicy, plural: ciliumclusterwidenetworkpolicies}
  scope: Cluster
  versions:
  - name: v2
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"""
JSON = "application/json"
WEB = {"port": 80}
MODULE = ("blue", "proof", "red")
"""The tenants that several tests use."""
HARMLESS = {"kind": "Group", "name": "harmless-devs"}
ACCESS: list[dict[str, Any]] = [
    {"name": "devs", "role": "Developer", "subjects": [{"kind": "Group", "name": "proof-devs"}]},
    {"name": "lead", "role": "Admin", "subjects": [{"kind": "User", "name": "proof-lead"}]},
]


@pytest.fixture(scope="module")
def plane() -> Iterator[Instance]:
    """One of its own: its policies are changed all the time."""
    with control_plane(f"test-{os.getpid()}-verify", nodes=1) as instance:
        yield instance


@pytest.fixture(scope="module")
def admin(plane: Instance) -> Api:
    return Api(plane.admin_kubeconfig)


@pytest.fixture(scope="module")
def breaker(plane: Instance) -> Api:
    groups = ("system:masters", "securetenant:break-glass")
    return Api(kubeconfigs.for_user(plane, "breaker", groups))


@pytest.fixture(scope="module")
def operator(plane: Instance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    with operating(plane, tmp_path_factory.mktemp("operator") / "log") as process:
        yield process


@pytest.fixture
def proving(admin: Api, operator: Operator) -> Iterator[None]:
    """The operator verifies, while a test wants to see it.

    The tenants of the test go: each later one would wait until they are tried again.
    """
    verify(admin, 3600)
    yield
    verify(admin, 0)
    for each in admin.list(kinds.SECURE_TENANT):
        if each["metadata"]["name"] not in MODULE:
            admin.delete(kinds.SECURE_TENANT, each["metadata"]["name"]).ok()


def told(admin: Api, name: str) -> dict[str, Any]:
    """Return the condition."""
    found = conditions(admin.get(kinds.SECURE_TENANT, name))
    return dict(found.get("IsolationVerified", {"status": "absent"}))


def proved(admin: Api, namespace: str) -> bool:
    """Tell whether the TenantPolicy, which members read, says that the isolation was seen."""
    policy = admin.get(kinds.TENANT_POLICY, names.POLICY_NAME, namespace)
    seen = policy["status"].get("isolation") or {"refused": 0, "tried": -1}
    found = conditions(policy).get("IsolationVerified", {})
    return bool(found.get("status") == "True" and seen["refused"] == seen["tried"])


def wait_until(admin: Api, name: str, status: str, words: str = "") -> dict[str, Any]:
    def found() -> Any:
        seen = told(admin, name)
        return seen if seen["status"] == status and words in seen["message"] else None

    try:
        what = f"IsolationVerified {status} with {words!r} of {name}"
        # The namespaces of all tests of this file are tried one after the other, and after each the
        # operator rests for twice as long as that took: a slow machine is slow thrice.
        return dict(wait_for(found, what=what, seconds=60))
    except AssertionError as error:
        raise AssertionError(f"{error}; it is {told(admin, name)}") from None


# --- through the operator -------------------------------------------------------------------


def test_a_tenant_is_verified_once_it_is_ready(admin: Api, proving: None) -> None:
    body = factory.tenant("seen", access=ACCESS)
    admin.create(kinds.SECURE_TENANT, body).ok()
    found = wait_until(admin, "seen", "True")
    assert found["reason"] == "AttacksRefused"
    tenant = admin.get(kinds.SECURE_TENANT, "seen")
    seen = tenant["status"]["isolation"]
    assert (seen["admitted"], seen["refused"]) == (0, seen["tried"])
    assert 150 < seen["tried"] <= 2 * 120
    assert found["message"].startswith(f"{seen['tried']} attempts in 2 namespaces were ")
    uid = tenant["metadata"]["uid"]

    def announced() -> Any:
        return [
            each["note"]
            for each in admin.list(kinds.EVENT, "default")
            if each["regarding"].get("uid") == uid and each["reason"] == "AttacksRefused"
        ]

    # What is said of traffic may come a moment later.
    (note,) = wait_for(announced, what="the event")
    assert found["message"].startswith(note)
    wait_for(lambda: proved(admin, "seen-a") and proved(admin, "seen-b"), what="both proofs")
    # Nothing of it came into being.
    for plural in ("pods", "services", "persistentvolumeclaims"):
        assert admin.call("GET", f"/api/v1/namespaces/seen-a/{plural}").ok()["items"] == []


def test_a_binding_that_refuses_no_more_is_found(admin: Api, proving: None) -> None:
    admin.create(kinds.SECURE_TENANT, factory.tenant("weakened")).ok()
    wait_until(admin, "weakened", "True")
    path = f"{BINDINGS}/securetenant-services"
    admin.call("PATCH", path, {"spec": {"validationActions": ["Warn"]}}, content_type=MERGE).ok()
    try:
        found = wait_until(admin, "weakened", "False", "an address of others, by externalIPs (E09)")
        assert found["reason"] == "IsolationOpen"
        assert "securetenant-services must refuse it" in found["message"]
        assert "kubectl apply -k manifests/policies" in found["message"]
    finally:
        deny = {"spec": {"validationActions": ["Deny"]}}
        admin.call("PATCH", path, deny, content_type=MERGE).ok()
    wait_until(admin, "weakened", "True")


def test_whom_a_changed_policy_exempts_is_not_tried_and_yet_not_verified(
    admin: Api, proving: None
) -> None:
    """The canary is refused as before; the tenant's own people are not."""
    admin.create(kinds.SECURE_TENANT, factory.tenant("exempted")).ok()
    wait_until(admin, "exempted", "True")
    path = f"{POLICIES}/securetenant-volumes"
    before = admin.call("GET", path).ok()["spec"]["matchConditions"]
    exempt = {
        "name": "friends",
        "expression": "!('friends' in request.userInfo.?groups.orValue([]))",
    }
    change = {"spec": {"matchConditions": [*before, exempt]}}
    admin.call("PATCH", path, change, content_type=MERGE).ok()
    try:
        found = wait_until(admin, "exempted", "False", "securetenant-volumes was changed")
        assert found["reason"] == "PoliciesChanged"
    finally:
        change = {"spec": {"matchConditions": before}}
        admin.call("PATCH", path, change, content_type=MERGE).ok()
    wait_until(admin, "exempted", "True")


def test_changes_that_open_nothing_turn_nothing(
    plane: Instance, admin: Api, breaker: Api, proving: None
) -> None:
    body = factory.tenant("harmless", access=[{**ACCESS[0], "subjects": [HARMLESS]}])
    admin.create(kinds.SECURE_TENANT, body).ok()
    wait_until(admin, "harmless", "True", "only declared traffic")
    wait_for_account(admin, "harmless-a")
    member = Api(kubeconfigs.for_user(plane, "harmless-dev", (HARMLESS["name"],)))
    role = f"/apis/{RBAC}/v1/clusterroles"
    space = "/api/v1/namespaces/harmless-a"
    network = "/apis/networking.k8s.io/v1/namespaces/harmless-a/networkpolicies"
    own = {"from": [{"namespaceSelector": {"matchLabels": {names.TENANT_LABEL: "harmless"}}}]}
    note = {"metadata": {"annotations": {"note.example/by": "somebody"}}}
    reads = _rule("", "services", "list")
    pod = {"metadata": {"name": "plain"}, "spec": factory.pod()["spec"]}
    for api, method, path, change in (
        (breaker, "PATCH", f"{POLICIES}/securetenant-pods", note),
        (breaker, "PATCH", f"{BINDINGS}/securetenant-pods", note),
        (breaker, "PATCH", space, {"metadata": {"labels": {"cost.example/center": "7"}}}),
        (admin, "POST", role, {"metadata": {"name": "harmless-reads"}, "rules": reads}),
        (admin, "POST", "/api/v1/namespaces", {"metadata": {"name": "of-the-platform"}}),
        (
            admin,
            "POST",
            f"/apis/{RBAC}/v1/clusterrolebindings",
            {
                "metadata": {"name": "harmless-reads"},
                "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "harmless-reads"},
                "subjects": [{"kind": "User", "apiGroup": RBAC, "name": "somebody-else"}],
            },
        ),
        (member, "POST", f"{space}/pods", pod),
        (member, "POST", f"{space}/configmaps", {"metadata": {"name": "plain"}}),
        (
            member,
            "POST",
            f"{space}/services",
            {"metadata": {"name": "plain"}, "spec": {"selector": {"a": "b"}, "ports": [WEB]}},
        ),
        (
            admin,
            "POST",
            network,
            {"metadata": {"name": "plain"}, "spec": {"podSelector": {}, "ingress": [own]}},
        ),
    ):
        api.call(method, path, change, content_type=MERGE if method == "PATCH" else JSON).ok()
    before = admin.get(kinds.SECURE_TENANT, "harmless")["status"]["isolation"]["verifiedAt"]

    def verified_again() -> Any:
        found = admin.get(kinds.SECURE_TENANT, "harmless")["status"]["isolation"]
        return found if found["verifiedAt"] > before else None

    found = wait_for(verified_again, what="another verification", seconds=40)
    assert found["admitted"] == 0
    wait_until(admin, "harmless", "True", "only declared traffic")
    assert [
        each["note"]
        for each in admin.list(kinds.EVENT, "default")
        if each["regarding"].get("name") == "harmless" and each["type"] == "Warning"
    ] == []


def versions(admin: Api, tenant: str) -> list[str]:
    bodies = [
        admin.get(kinds.SECURE_TENANT, tenant),
        *(
            admin.get(kinds.TENANT_POLICY, names.POLICY_NAME, f"{tenant}-{each}")
            for each in ("a", "b")
        ),
    ]
    return [each["metadata"]["resourceVersion"] for each in bodies]


def test_a_restart_keeps_what_was_seen(admin: Api, operator: Operator, proving: None) -> None:
    admin.create(kinds.SECURE_TENANT, factory.tenant("kept")).ok()
    wait_until(admin, "kept", "True", "only declared traffic")
    wait_for(lambda: proved(admin, "kept-a") and proved(admin, "kept-b"), what="both proofs")
    before = versions(admin, "kept")
    operator.stop()
    operator.start()
    body = factory.tenant("after-kept", namespaces=[{"name": "after-kept-a"}])
    admin.create(kinds.SECURE_TENANT, body).ok()
    settled(admin, "after-kept")
    assert versions(admin, "kept") == before


def test_where_nothing_may_be_created_nothing_is_known(admin: Api, proving: None) -> None:
    body = factory.tenant("icebound", lockdown="Frozen")
    admin.create(kinds.SECURE_TENANT, body).ok()
    found = wait_until(admin, "icebound", "Unknown", "was refused")
    assert found["reason"] == "TrialRefused"
    assert "securetenant-lockdown" in found["message"]

    def refused(namespace: str) -> bool:
        policy = admin.get(kinds.TENANT_POLICY, names.POLICY_NAME, namespace)
        found = conditions(policy).get("IsolationVerified", {})
        return bool(found.get("reason") == "TrialRefused")

    wait_for(lambda: refused("icebound-a") and refused("icebound-b"), what="both trials")
    before = versions(admin, "icebound")
    # It is tried again, and says the same.
    other = factory.tenant("beside-icebound", namespaces=[{"name": "beside-icebound-a"}])
    admin.create(kinds.SECURE_TENANT, other).ok()
    wait_until(admin, "beside-icebound", "True")
    assert versions(admin, "icebound") == before


def test_nothing_is_said_where_nothing_is_verified(admin: Api, operator: Operator) -> None:
    verify(admin, 0)
    admin.create(kinds.SECURE_TENANT, factory.tenant("untried")).ok()
    assert "IsolationVerified" not in conditions(settled(admin, "untried"))
    try:
        verify(admin, 3600)
        wait_until(admin, "untried", "True")
        verify(admin, 0)
        wait_for(lambda: told(admin, "untried")["status"] == "absent", what="nothing to be said")
        verify(admin, 3600)
        wait_until(admin, "untried", "True")
    finally:
        verify(admin, 0)
        admin.delete(kinds.SECURE_TENANT, "untried")


def test_it_queues_behind_itself(plane: Instance, admin: Api, sabotaged: "Sabotaged") -> None:
    path = kinds.FLOW_SCHEMA.path("", "verification-of-securetenant")
    flow = admin.call("GET", path).ok()["metadata"]["uid"]
    canary = Api(kubeconfigs.for_user(plane, names.CANARY_USER, ()))
    assert canary.create_pod("proof-a", factory.pod(), dryRun="All").flow == flow
    verifier = Api(kubeconfigs.for_service_account(plane, names.OPERATOR_NAMESPACE, names.VERIFIER))
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": "x", "resourceAttributes": {"verb": "get", "resource": "pods"}},
    }
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    assert verifier.call("POST", path, review).flow == flow


# --- who can reach whom ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def pair(admin: Api, operator: Operator) -> tuple[str, str]:
    """Two tenants of which nobody declared that they may speak."""
    for name in ("red", "blue"):
        body = factory.tenant(name, namespaces=[{"name": f"{name}-a"}])
        admin.create(kinds.SECURE_TENANT, body).ok()
        settled(admin, name)
    return "red", "blue"


def test_nothing_flows_but_what_is_declared(
    admin: Api, proving: None, pair: tuple[str, str]
) -> None:
    for name in pair:
        wait_until(admin, name, "True", "only declared traffic")


def test_a_policy_of_the_cluster_that_opens_a_tenant_to_another_is_found(
    plane: Instance, admin: Api, proving: None, pair: tuple[str, str]
) -> None:
    """NetworkPolicies are as specified, and one of a tier above them lets it through."""
    crd = str(Path(__file__).parents[1] / "clusternetworkpolicies.yaml")
    kubectl(plane, "apply", "-f", crd)
    wait_for_kinds(plane, "-f", crd)

    def selected(tenant: str) -> dict[str, Any]:
        return {"namespaces": {"matchLabels": {names.TENANT_LABEL: tenant}}}

    kind = {
        "apiVersion": kinds.CLUSTER_NETWORK_POLICY.api_version,
        "kind": kinds.CLUSTER_NETWORK_POLICY.name,
    }
    body = {
        **kind,
        "metadata": {"name": "bridge"},
        "spec": {
            "tier": "Admin",
            "priority": 0,
            "subject": selected("red"),
            "egress": [{"name": "all", "action": "Accept", "to": [selected("blue")]}],
            "ingress": [{"name": "all", "action": "Accept", "from": [selected("blue")]}],
        },
    }
    back = {
        **kind,
        "metadata": {"name": "bridge-back"},
        "spec": {
            "tier": "Admin",
            "priority": 0,
            "subject": selected("blue"),
            "ingress": [{"name": "all", "action": "Accept", "from": [selected("red")]}],
        },
    }
    try:
        for each in (body, back):
            admin.apply(kinds.CLUSTER_NETWORK_POLICY, each, manager="test").ok()
        found = wait_until(admin, "red", "False", "reaches blue-a/")
        assert found["reason"] == "FlowsNotDeclared"
        assert "ClusterNetworkPolicy bridge" in found["message"]
        assert "Declare it in the spec" in found["message"]
    finally:
        for name in ("bridge", "bridge-back"):
            admin.delete(kinds.CLUSTER_NETWORK_POLICY, name)
    for name in pair:
        wait_until(admin, name, "True")


def test_a_policy_that_is_not_evaluated_leaves_it_open_what_flows(
    plane: Instance, admin: Api, operator: Operator, proving: None, pair: tuple[str, str]
) -> None:
    """Also where an earlier process verified them: then everything is tried again afterwards."""
    for name in pair:
        wait_until(admin, name, "True")
    operator.stop()
    operator.start()
    text = CILIUM
    kubectl(plane, "apply", "-f", "-", stdin=text)
    wait_for_kinds(plane, "crd/ciliumclusterwidenetworkpolicies.cilium.io")
    policy = {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumClusterwideNetworkPolicy",
        "metadata": {"name": "open-all"},
        "spec": {"endpointSelector": {}, "ingress": [{}]},
    }
    path = "/apis/cilium.io/v2/ciliumclusterwidenetworkpolicies"
    wait_for(lambda: admin.call("GET", path).status == 200, what="the kind")
    admin.call("POST", path, policy).ok()
    try:
        # It is seen with the next change.
        admin.patch(kinds.SECURE_TENANT, "red", {"spec": {"network": {"sameTenant": "Deny"}}}).ok()
        found = wait_until(admin, "red", "Unknown", "CiliumClusterwideNetworkPolicy open-all")
        assert found["reason"] == "FlowsUnclear"
    finally:
        admin.call("DELETE", f"{path}/open-all").ok()
        admin.patch(kinds.SECURE_TENANT, "red", {"spec": {"network": None}}).ok()
    for name in pair:
        wait_until(admin, name, "True")


# --- one sabotage at a time, seen in one run ------------------------------------------------


class Sabotaged(NamedTuple):
    """A tenant to which the operator writes nothing, and what tries it."""

    case: Case
    login: Path
    runner: asyncio.Runner

    def run(self) -> Trial:
        """Try everything once, as the operator would."""

        async def body() -> Trial:
            login = await credentials.load(self.login)
            async with Client(login) as client:
                prober = verifier.opener(client, login)()
                try:
                    return await trials.run(self.case, prober, datetime.datetime.now(datetime.UTC))
                finally:
                    await prober.close()

        return self.runner.run(body())


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """One loop for all: a connection takes a moment to close, and more than one is closing."""
    with asyncio.Runner() as running:
        yield running
        running.run(asyncio.sleep(0.2))


@pytest.fixture(scope="module")
def sabotaged(plane: Instance, admin: Api, operator: Operator, runner: asyncio.Runner) -> Sabotaged:
    verify(admin, 0)
    body = factory.tenant("proof", namespaces=[{"name": "proof-a"}], access=ACCESS)
    admin.create(kinds.SECURE_TENANT, body).ok()
    settled(admin, "proof")
    wait_for_account(admin, "proof-a")
    admin.patch(kinds.SECURE_TENANT, "proof", {"spec": {"reconciliation": "Suspended"}}).ok()
    policy = admin.get(kinds.TENANT_POLICY, names.POLICY_NAME, "proof-a")
    case = Case(
        namespace="proof-a",
        policy=PolicySpec.model_validate(policy["spec"]),
        grants=tuple(map(Grant.model_validate, ACCESS)),
        other=Other("rival", "rival-a"),
        turn=0,
    )
    return Sabotaged(case, kubeconfigs.for_service_account(plane, *OPERATOR), runner)


@contextlib.contextmanager
def patched(api: Api, path: str, change: Any, back: Any, kind: str = MERGE) -> Iterator[None]:
    api.call("PATCH", path, change, content_type=kind).ok()
    try:
        yield
    finally:
        api.call("PATCH", path, back, content_type=kind).ok()


@contextlib.contextmanager
def without(api: Api, *paths: str) -> Iterator[None]:
    """Delete objects, and make them again in the end."""
    bodies = [api.call("GET", path).ok() for path in paths]
    for path in paths:
        api.call("DELETE", path).ok()
    try:
        yield
    finally:
        kept = ("name", "namespace", "labels", "annotations")
        for path, body in zip(paths, bodies, strict=True):
            metadata = {key: body["metadata"][key] for key in kept if key in body["metadata"]}
            fresh = {key: each for key, each in body.items() if key not in ("metadata", "status")}
            api.call("POST", path.rpartition("/")[0], {**fresh, "metadata": metadata}).ok()


@contextlib.contextmanager
def given(api: Api, role: str, subject: dict[str, str], rules: Any = None) -> Iterator[None]:
    """Give somebody a ClusterRole in the whole cluster."""
    roles, bindings = (
        f"/apis/{RBAC}/v1/{each}" for each in ("clusterroles", "clusterrolebindings")
    )
    if rules:
        api.call("POST", roles, {"metadata": {"name": role}, "rules": rules}).ok()
    reference = {"apiGroup": RBAC, "kind": "ClusterRole", "name": role}
    body = {"metadata": {"name": "sabotage"}, "roleRef": reference, "subjects": [subject]}
    api.call("POST", bindings, body).ok()
    try:
        yield
    finally:
        api.call("DELETE", f"{bindings}/sabotage").ok()
        if rules:
            api.call("DELETE", f"{roles}/{role}").ok()


def _warns(name: str) -> Callable[[Api], contextlib.AbstractContextManager[None]]:
    return lambda api: patched(
        api,
        f"{BINDINGS}/securetenant-{name}",
        {"spec": {"validationActions": ["Warn"]}},
        {"spec": {"validationActions": ["Deny"]}},
    )


def _labelled(key: str, value: str, back: str) -> Any:
    return lambda api: patched(
        api,
        "/api/v1/namespaces/proof-a",
        {"metadata": {"labels": {key: value}}},
        {"metadata": {"labels": {key: back}}},
    )


def _rule(group: str, resource: str, verb: str) -> list[dict[str, Any]]:
    return [{"apiGroups": [group], "resources": [resource], "verbs": [verb]}]


EVERYBODY = {"kind": "Group", "apiGroup": RBAC, "name": "system:authenticated"}
DEVS = {"kind": "Group", "apiGroup": RBAC, "name": "proof-devs"}
LEAD = {"kind": "User", "apiGroup": RBAC, "name": "proof-lead"}
ROBOT = {"kind": "ServiceAccount", "name": "default", "namespace": "proof-a"}
ENFORCE = "pod-security.kubernetes.io/enforce"

SABOTAGES: dict[str, tuple[Callable[[Api], contextlib.AbstractContextManager[None]], str, str]] = {
    **{
        f"the binding of {name} warns": (_warns(name), row, f"securetenant-{name}")
        for name, row in (
            ("access", "A17"),
            ("finalizers", "D12"),
            ("ingress", "E11"),
            ("managed", "A16"),
            ("network", "E02"),
            ("pods", "C01"),
            ("pods-hardening", "B06"),
            ("services", "E09"),
            ("volumes", "F02"),
        )
    },
    "a binding is gone": (
        lambda api: without(api, f"{BINDINGS}/securetenant-ingress"),
        "E11",
        "securetenant-ingress",
    ),
    "a policy is gone": (
        lambda api: without(api, f"{POLICIES}/securetenant-network"),
        "E02",
        "securetenant-network",
    ),
    "a policy is skipped": (
        lambda api: patched(
            api,
            f"{POLICIES}/securetenant-volumes",
            [
                {
                    "op": "add",
                    "path": "/spec/matchConditions/-",
                    "value": {"name": "never", "expression": "false"},
                }
            ],
            [{"op": "remove", "path": "/spec/matchConditions/3"}],
            JSON_PATCH,
        ),
        "F02",
        "securetenant-volumes",
    ),
    "a binding looks at other namespaces": (
        lambda api: patched(
            api,
            f"{BINDINGS}/securetenant-services",
            {"spec": {"matchResources": {"namespaceSelector": {"matchLabels": {"else": "where"}}}}},
            {"spec": {"matchResources": {"namespaceSelector": None}}},
        ),
        "E09",
        "securetenant-services",
    ),
    "the label of Pod Security says privileged": (
        _labelled(ENFORCE, "privileged", "restricted"),
        "B01",
        "Pod Security",
    ),
    "the label of Pod Security says baseline": (
        _labelled(ENFORCE, "baseline", "restricted"),
        "B05",
        "Pod Security",
    ),
    "the label of the enforcement says Audit": (
        _labelled(names.ENFORCEMENT_LABEL, "Audit", "Enforce"),
        "B06",
        "securetenant-pods-hardening",
    ),
    "nothing counts what is used": (
        lambda api: without(
            api,
            "/api/v1/namespaces/proof-a/limitranges/securetenant",
            "/api/v1/namespaces/proof-a/resourcequotas/securetenant",
        ),
        "D02",
        "LimitRange",
    ),
    "everybody reads Secrets": (
        lambda api: given(api, "reads", EVERYBODY, _rule("", "secrets", "get")),
        "A06",
        "RBAC",
    ),
    "the developers change quotas": (
        lambda api: given(api, "changes", DEVS, _rule("", "resourcequotas", "patch")),
        "A14",
        "RBAC",
    ),
    "the lead is cluster-admin": (
        lambda api: given(api, "cluster-admin", LEAD),
        "A02",
        "RBAC",
    ),
    "a program may be anybody": (
        lambda api: given(api, "acts", ROBOT, _rule("", "users", "impersonate")),
        "A03",
        "RBAC",
    ),
    "the developers change tenants": (
        lambda api: given(api, "rules", DEVS, _rule(names.GROUP, "securetenants", "patch")),
        "A21",
        "RBAC",
    ),
}


@pytest.mark.parametrize("what", SABOTAGES)
def test_each_sabotage_is_found_and_named(
    what: str, breaker: Api, admin: Api, sabotaged: Sabotaged
) -> None:
    do, row, control = SABOTAGES[what]
    with do(breaker):

        def found() -> Any:
            trial = sabotaged.run()
            return trial if _open(trial, row, control) else None

        trial = wait_for(found, what=f"{row} to be found open", seconds=20)
    verdict = isolation.judge((trial,), ())
    assert (verdict.status, verdict.reason) == ("False", "IsolationOpen")
    assert verdict.message.rpartition(". ")[2].startswith(("Install", "Look", "Find"))


def _open(trial: Trial, row: str, control: str) -> bool:
    return any(
        each.verdict is Verdict.OPEN and each.row == row and each.control.startswith(control)
        for each in trial.others
    )


# --- as reports of openreports.io -----------------------------------------------------------


@pytest.fixture(scope="module")
def reported(plane: Instance, admin: Api) -> Api:
    """The kind is served."""
    kubectl(plane, "apply", "-f", denials_reports.CRD)
    wait_for_kinds(plane, "-f", denials_reports.CRD)
    wait_for(lambda: admin.call("GET", REPORT.path()).status == 200, what="the kind")
    return admin


def test_a_report_says_what_the_conditions_say(reported: Api, proving: None) -> None:
    admin = reported
    admin.create(kinds.SECURE_TENANT, factory.tenant("reported")).ok()
    # The flows are computed a moment after the attempts.
    wait_until(admin, "reported", "True", "only declared traffic")
    body = admin.get(kinds.SECURE_TENANT, "reported")
    told = conditions(body)

    def report() -> Any:
        found = admin.get(REPORT, names.report("reported"))
        said = {each["policy"]: each["message"] for each in (found or {}).get("results", [])}
        same = said.get("IsolationVerified") == told["IsolationVerified"]["message"]
        return found if same else None

    found = wait_for(report, what="the report")
    assert found["source"] == "SecureTenant"
    assert found["scope"]["uid"] == body["metadata"]["uid"]
    said = {each["policy"]: each for each in found["results"]}
    assert said.keys() == told.keys() - {"Ready", "Reconciling", "Stalled"}
    assert {each["result"] for each in said.values()} == {"pass"}
    assert found["summary"] == {"pass": len(said), "fail": 0, "warn": 0, "error": 0, "skip": 0}
    for name, each in said.items():
        assert (each["rule"], each["message"]) == (told[name]["reason"], told[name]["message"])

    # Somebody whitewashes it.
    admin.patch(REPORT, names.report("reported"), {"results": []}).ok()
    wait_for(report, what="the report as it was")

    admin.delete(kinds.SECURE_TENANT, "reported").ok()
    wait_for(lambda: admin.get(REPORT, names.report("reported")) is None, what="its end")


@pytest.mark.parametrize(
    "rule", [pytest.param(each, id=f"{each[0]} {each[1]}") for each in denials_reports.ROWS]
)
def test_a_stolen_token_reports_nothing_in_the_name_of_others(
    rule: tuple[str, int], plane: Instance, reported: Api, request: pytest.FixtureRequest
) -> None:
    thief = Api(kubeconfigs.for_service_account(plane, *OPERATOR))
    answer = denials_reports.ROWS[rule].sent({"operator": thief})
    assert verdict(answer, Policy(rule[0])) == "Blocked"
    said = answer.message.partition("denied request: ")[2]
    judge_message(said, rule, update=request.config.getoption("--update-golden"))
