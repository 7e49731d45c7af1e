"""Nodes of tenants on a real API server with fake nodes: given, kept, taken back."""

import itertools
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import CliRunner

import denials_nodes
from attack_harness import Policy, judge_message, verdict
from conftest import control_plane, operating, settled
from factory import deployment, pod, tenant
from harness import (
    JSON_PATCH,
    MERGE,
    OPERATOR,
    Api,
    Operator,
    conditions,
    settle,
    wait_for,
    wait_for_account,
    writes_by_operator,
)
from securetenant.api import kinds, names
from securetenant.cli.main import main
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance

POOL = "node-restriction.kubernetes.io/pool"
TENANCY = "node-restriction.kubernetes.io/tenancy"
SETTINGS = {
    "shared": {"matchLabels": {TENANCY: "shared"}},
    "dedicable": {"matchLabels": {TENANCY: "dedicated"}},
}
TOLD_SECONDS = 120
"""Ten times what it takes until pods are looked at again."""
BOTH = {("securetenant.io/tenant", "NoExecute"), ("securetenant.io/tenant", "NoSchedule")}
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def noded() -> Iterator[Instance]:
    """A control plane of its own, whose TenancySettings say which nodes tenants get."""
    # One node, so that there is somebody who runs the pods of the others that tests add.
    with control_plane(f"test-{os.getpid()}-nodes", audit=True, nodes=1) as instance:
        api = Api(instance.admin_kubeconfig)
        api.patch(kinds.TENANCY_SETTINGS, "default", {"spec": {"nodes": SETTINGS}}).ok()
        yield instance


@pytest.fixture(scope="module")
def admin(noded: Instance) -> Api:
    """Its administrator."""
    return Api(noded.admin_kubeconfig)


@pytest.fixture(scope="module")
def breaker(noded: Instance) -> Api:
    """An administrator who breaks the glass."""
    groups = ("system:masters", "securetenant:break-glass")
    return Api(kubeconfigs.for_user(noded, "breaker", groups))


@pytest.fixture(scope="module")
def operator(noded: Instance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """The operator of that control plane."""
    with operating(noded, tmp_path_factory.mktemp("operator") / "log") as process:
        yield process


Register = Callable[..., str]


@pytest.fixture
def register(admin: Api) -> Iterator[Register]:
    """Add nodes that kwok runs; they are taken away after the test."""
    made: list[str] = []

    def add(pool: str = "", *, tenancy: str = "dedicated", name: str = "") -> str:
        name = name or f"n-{next(_numbers)}"
        labels = {"kubernetes.io/hostname": name}
        labels |= {POOL: pool} if pool else {}
        labels |= {TENANCY: tenancy} if tenancy else {}
        body = {
            "metadata": {
                "name": name,
                "labels": labels,
                "annotations": {"kwok.x-k8s.io/node": "fake"},
            }
        }
        admin.create(kinds.NODE, body).ok()
        made.append(name)
        wait_for(lambda: conditions(admin.get(kinds.NODE, name)).get("Ready"), what=name)
        return name

    yield add
    for name in made:
        admin.delete(kinds.NODE, name)


def dedicated(name: str, **nodes: Any) -> dict[str, Any]:
    """Return a tenant with the nodes of the pool of its name, and one namespace."""
    asked: dict[str, Any] = {"dedication": "Dedicated", **nodes}
    if "names" not in asked:
        asked.setdefault("selector", {"matchLabels": {POOL: name}})
    return tenant(name, namespaces=[{"name": f"{name}-1"}], nodes=asked)


def make(admin: Api, body: dict[str, Any]) -> dict[str, Any]:
    """Apply a tenant and wait until it is ready, and may run pods."""
    admin.apply(kinds.SECURE_TENANT, body, manager="test").ok()
    found = settled(admin, body["metadata"]["name"])
    for each in body["spec"]["namespaces"]:
        wait_for_account(admin, each["name"])
    return found


def label(admin: Api, node: str) -> str:
    return str(admin.get(kinds.NODE, node)["metadata"]["labels"].get(names.NODE_LABEL, ""))


def taints(admin: Api, node: str) -> set[tuple[str, str]]:
    found = admin.get(kinds.NODE, node)["spec"].get("taints", ())
    return {
        (each["key"], each["effect"]) for each in found if each["key"].startswith("securetenant.io")
    }


def is_whose(admin: Api, node: str, owner: str) -> bool:
    return label(admin, node) == owner and taints(admin, node) == (
        set() if owner == "Shared" else BOTH
    )


def wait_for_owner(admin: Api, node: str, owner: str) -> None:
    wait_for(lambda: is_whose(admin, node, owner), what=f"node {node} to be {owner}'s", seconds=30)


def told(admin: Api, name: str) -> Any:
    return conditions(admin.get(kinds.SECURE_TENANT, name)).get("NodesDedicated", {})


def wait_to_be_told(admin: Api, name: str, reason: str, text: str = "") -> Any:
    deadline = time.monotonic() + TOLD_SECONDS
    while True:
        found = told(admin, name)
        if found.get("reason") == reason and text in found["message"]:
            return found
        assert time.monotonic() < deadline, f"{reason} ({text}) is not told: {found}"
        time.sleep(0.05)


def runs(admin: Api, namespace: str, name: str) -> str:
    """Wait until a pod has a node; return it."""
    return str(
        wait_for(
            lambda: admin.get(kinds.POD, name, namespace)["spec"].get("nodeName"),
            what=f"a node for {namespace}/{name}",
        )
    )


def test_nodes_get_label_and_taint_and_what_others_put_there_stays(
    admin: Api, operator: Operator, register: Register
) -> None:
    first, second = register("north"), register("north")
    other = {"key": "cloud.example/gpu", "value": "a", "effect": "NoSchedule"}
    admin.patch(kinds.NODE, first, {"spec": {"taints": [other]}}).ok()
    body = make(admin, dedicated("north"))
    for node in (first, second):
        wait_for_owner(admin, node, "north")
    assert other in admin.get(kinds.NODE, first)["spec"]["taints"]
    assert admin.get(kinds.NODE, first)["metadata"]["labels"][POOL] == "north"
    found = wait_to_be_told(admin, body["metadata"]["name"], "AsSpecified", "2 nodes")
    assert found["status"] == "True"
    both = ", ".join(sorted((first, second)))
    assert f"({both}) with label and taint (NoSchedule, NoExecute)" in found["message"]


def test_who_writes_taints_at_the_same_moment_loses_nothing(
    admin: Api, operator: Operator, register: Register
) -> None:
    """``spec.taints`` is one list: each of both writes all of it."""
    nodes = [register("busy") for _ in range(4)]
    wanted = {f"other.example/{number}" for number in range(12)}

    def add(node: str) -> None:
        for key in sorted(wanted):
            while True:
                body = admin.get(kinds.NODE, node)
                after = [*body["spec"].get("taints", ()), {"key": key, "effect": "NoSchedule"}]
                body["spec"]["taints"] = after
                answer = admin.call("PUT", kinds.NODE.path("", node), body)
                if answer.status != 409:
                    answer.ok()
                    break

    writers = [threading.Thread(target=add, args=(node,)) for node in nodes]
    for each in writers:
        each.start()
    admin.apply(kinds.SECURE_TENANT, dedicated("busy"), manager="test").ok()
    for each in writers:
        each.join()
    for node in nodes:
        wait_for_owner(admin, node, "busy")
        found = {each["key"] for each in admin.get(kinds.NODE, node)["spec"]["taints"]}
        assert wanted <= found


def test_a_node_that_two_tenants_ask_for_goes_to_neither_until_one_lets_go(
    admin: Api, operator: Operator, register: Register
) -> None:
    node = register("both")
    selector = {"matchLabels": {POOL: "both"}}
    for name in ("left", "right"):
        body = dedicated(name, selector=selector)
        body["spec"]["reconciliation"] = "Suspended"
        admin.apply(kinds.SECURE_TENANT, body, manager="test").ok()
    for name in ("left", "right"):
        admin.patch(
            kinds.SECURE_TENANT, name, {"spec": {"reconciliation": "Active"}}, content_type=MERGE
        ).ok()
    found = wait_to_be_told(admin, "left", "NodeConflict", f"{node} (right)")
    assert found["status"] == "False"
    wait_to_be_told(admin, "right", "NodeConflict", f"{node} (left)")
    assert (label(admin, node), taints(admin, node)) == ("", set())
    assert settled(admin, "left", expected="Failed")
    admin.apply(kinds.SECURE_TENANT, tenant("right", nodes=None), manager="test").ok()
    wait_for_owner(admin, node, "left")
    wait_to_be_told(admin, "left", "AsSpecified", node)


def test_who_has_a_node_keeps_it_when_another_asks(
    admin: Api, operator: Operator, register: Register
) -> None:
    node = register("first")
    make(admin, dedicated("first"))
    wait_for_owner(admin, node, "first")
    admin.apply(kinds.SECURE_TENANT, dedicated("late", names=[node]), manager="test").ok()
    wait_to_be_told(admin, "late", "NodeConflict", f"{node} (it belongs to first)")
    assert is_whose(admin, node, "first")
    assert told(admin, "first")["status"] == "True"


def test_a_node_that_the_platform_does_not_give_is_not_touched(
    admin: Api, operator: Operator, register: Register
) -> None:
    node = register("greedy", tenancy="")
    admin.apply(kinds.SECURE_TENANT, dedicated("greedy"), manager="test").ok()
    wait_to_be_told(admin, "greedy", "NotInSettings", f"Not to be dedicated: {node}")
    assert (label(admin, node), taints(admin, node)) == ("", set())


def test_a_name_of_no_node_is_told_and_taken_when_it_registers(
    admin: Api, operator: Operator, register: Register
) -> None:
    admin.apply(kinds.SECURE_TENANT, dedicated("named", names=["n-later"]), manager="test").ok()
    wait_to_be_told(admin, "named", "UnknownNode", "No such node: n-later")
    register(name="n-later")
    wait_for_owner(admin, "n-later", "named")
    assert settled(admin, "named")


def test_a_node_that_registers_anew_takes_no_pod_of_a_tenant_before_it_is_given_again(
    admin: Api, operator: Operator, register: Register
) -> None:
    """Without label and taint it is nobody's, also to tenants that share."""
    node = register("again")
    make(admin, dedicated("again"))
    wait_for_owner(admin, node, "again")
    admin.delete(kinds.NODE, node).ok()
    register("again", name=node, tenancy="")
    wait_to_be_told(admin, "again", "NotInSettings", node)
    make(admin, tenant("sharing", namespaces=[{"name": "sharing-1"}]))
    name = admin.create_pod("sharing-1", pod()).ok()["metadata"]["name"]
    waits: Any = wait_for(
        lambda: conditions(admin.get(kinds.POD, name, "sharing-1")).get("PodScheduled"),
        what="the scheduler",
    )
    assert waits["reason"] == "Unschedulable"
    admin.patch(kinds.NODE, node, {"metadata": {"labels": {TENANCY: "dedicated"}}}).ok()
    wait_for_owner(admin, node, "again")


KARPENTER = "system:serviceaccount:kube-system:karpenter"
UNREGISTERED = {"key": "karpenter.sh/unregistered", "effect": "NoExecute"}


@pytest.fixture(scope="module")
def karpenter(noded: Instance, admin: Api) -> Api:
    """Karpenter, with the rights of its chart and the one to register nodes of tenants."""
    root = "/apis/rbac.authorization.k8s.io/v1"
    rules = [
        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["patch", "update", "get"]},
        {"apiGroups": ["securetenant.io"], "resources": ["nodes"], "verbs": ["register"]},
    ]
    role = {"metadata": {"name": "karpenter"}, "rules": rules}
    admin.call("POST", f"{root}/clusterroles", role).ok()
    binding = {
        "metadata": {"name": "karpenter"},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "karpenter",
        },
        "subjects": [{"kind": "User", "name": KARPENTER}],
    }
    admin.call("POST", f"{root}/clusterrolebindings", binding).ok()
    return Api(kubeconfigs.for_user(noded, KARPENTER, ()))


def arriving(noded: Instance, admin: Api, name: str, tenant: str) -> None:
    """Let a kubelet register a node as the user data of a NodePool says: with taints, no labels."""
    ours = {"key": names.NODE_TAINT, "value": tenant, "effect": "NoSchedule"}
    body = {
        "metadata": {
            "name": name,
            "labels": {"kubernetes.io/hostname": name},
            "annotations": {"kwok.x-k8s.io/node": "fake"},
        },
        "spec": {"taints": [UNREGISTERED, ours]},
    }
    kubelet = Api(kubeconfigs.for_user(noded, f"system:node:{name}", ("system:nodes",)))
    kubelet.create(kinds.NODE, body).ok()


def registration(name: str, tenant: str, taint: str) -> dict[str, Any]:
    """Return what Karpenter writes when it registers a node."""
    ours = [{"key": names.NODE_TAINT, "value": taint, "effect": "NoSchedule"}] if taint else []
    labels = {POOL: name, TENANCY: "dedicated", names.NODE_LABEL: tenant}
    return {"metadata": {"labels": labels}, "spec": {"taints": ours}}


def test_e2_a_node_that_karpenter_registers_is_its_tenants_at_once(
    noded: Instance, admin: Api, karpenter: Api, operator: Operator
) -> None:
    """The label was refused to Karpenter, and the taint that the kubelet brought was taken off."""
    make(admin, dedicated("scaled"))

    def told() -> str:
        found = conditions(admin.get(kinds.SECURE_TENANT, "scaled"))["NodesDedicated"]
        return str(found["message"])

    arriving(noded, admin, "karpenter-1", "scaled")
    bystander = "karpenter-2"
    admin.create(kinds.NODE, {"metadata": {"name": bystander, "labels": {POOL: "scaled"}}}).ok()
    wait_for(lambda: bystander in told(), what="the one after it to be seen", seconds=TOLD_SECONDS)
    assert taints(admin, "karpenter-1") == {(names.NODE_TAINT, "NoSchedule")}, "left as it came"
    node = f"{kinds.NODE.path()}/karpenter-1"
    body = registration("scaled", "scaled", "scaled")
    karpenter.call("PATCH", node, body, content_type=MERGE).ok()
    wait_for(lambda: taints(admin, "karpenter-1") == BOTH, what="both taints", seconds=TOLD_SECONDS)
    wait_for(lambda: label(admin, "karpenter-1") == "scaled", what="the label")
    wait_for(lambda: "karpenter-1" in told(), what="the node to be named", seconds=TOLD_SECONDS)
    for name in ("karpenter-1", bystander):
        admin.delete(kinds.NODE, name).ok()


def test_e2_a_node_that_lies_is_refused(
    noded: Instance, admin: Api, karpenter: Api, operator: Operator, register: Register
) -> None:
    arriving(noded, admin, "liar-1", "scaled")
    node = f"{kinds.NODE.path()}/liar-1"
    itself = Api(kubeconfigs.for_user(noded, "system:node:liar-1", ("system:nodes",)))
    registered = register("scaled")
    other = f"{kinds.NODE.path()}/{registered}"
    for who, path, body in (
        (karpenter, node, registration("x", "another", "scaled")),
        (karpenter, node, registration("x", "Shared", "scaled")),
        (karpenter, node, registration("x", "scaled", "")),
        (karpenter, node, registration("x", "scaled", "another")),
        (karpenter, other, registration("x", "another", "another")),
        (itself, f"{node}/status", {"metadata": {"labels": {names.NODE_LABEL: "scaled"}}}),
    ):
        answer = who.call("PATCH", path, body, content_type=MERGE, dryRun="All")
        assert answer.status == 403, body
        assert "only the operator sets it" in answer.message or who is itself, answer
    admin.delete(kinds.NODE, "liar-1").ok()


def test_tenants_without_nodes_of_their_own_run_on_shared_nodes_alone(
    admin: Api, operator: Operator, register: Register
) -> None:
    register("elsewhere")
    node = register(tenancy="shared")
    wait_for_owner(admin, node, "Shared")
    make(admin, tenant("sharer", namespaces=[{"name": "sharer-1"}]))
    name = admin.create_pod("sharer-1", pod()).ok()["metadata"]["name"]
    assert label(admin, runs(admin, "sharer-1", name)) == "Shared"
    assert told(admin, "sharer")["message"].startswith("Pods run only on the nodes for shared")


def test_pods_of_a_shared_tenant_on_the_node_of_another_are_told(
    admin: Api, operator: Operator, register: Register
) -> None:
    """Their tenant's condition said that they run on the nodes for shared tenants alone."""
    node = register(tenancy="shared")
    wait_for_owner(admin, node, "Shared")
    make(admin, tenant("lodger", namespaces=[{"name": "lodger-1"}]))
    body = pod()
    body["spec"]["nodeSelector"] = {"kubernetes.io/hostname": node}
    name = admin.create_pod("lodger-1", body).ok()["metadata"]["name"]
    assert runs(admin, "lodger-1", name) == node
    labels = {TENANCY: "dedicated", POOL: "landlord"}
    admin.patch(kinds.NODE, node, {"metadata": {"labels": labels}}).ok()
    admin.apply(kinds.SECURE_TENANT, dedicated("landlord"), manager="test").ok()
    found = wait_to_be_told(admin, "lodger", "PodsElsewhere", f"lodger-1/{name} on {node}")
    assert found["status"] == "False"
    # Whose node it is, is not theirs to read.
    assert "landlord" not in found["message"]
    admin.delete(kinds.POD, name, "lodger-1").ok()
    wait_to_be_told(admin, "lodger", "AsSpecified", "Pods run only on the nodes for shared")
    settled(admin, "lodger")


def foreign(admin: Api, node: str, **spec: Any) -> str:
    """Run a pod of nobody's on a node; return its name."""
    body = pod()
    body["spec"] |= {"nodeName": node, **spec}
    name: str = admin.create_pod("default", body).ok()["metadata"]["name"]
    return name


def test_noexecute_waits_for_pods_of_others_and_says_which(
    admin: Api, operator: Operator, register: Register
) -> None:
    wait_for_account(admin, "default")
    node = register("polite")
    name = foreign(admin, node)
    stays = foreign(admin, node, tolerations=[{"operator": "Exists"}])
    admin.apply(kinds.SECURE_TENANT, dedicated("polite"), manager="test").ok()
    found = wait_to_be_told(admin, "polite", "EvictionWaiting", f"{node} (default/{name})")
    assert stays not in found["message"].partition("Move them")[0]
    only = {("securetenant.io/tenant", "NoSchedule")}
    wait_for(lambda: taints(admin, node) == only, what="the taint that evicts nobody")
    admin.delete(kinds.POD, name, "default").ok()
    wait_for_owner(admin, node, "polite")
    wait_to_be_told(admin, "polite", "ForeignPods", f"default/{stays}")
    assert told(admin, "polite")["status"] == "True"
    admin.delete(kinds.POD, stays, "default").ok()


def test_noexecute_waits_for_the_tenants_own_pods_from_before_too(
    admin: Api, operator: Operator, register: Register
) -> None:
    """They carry no toleration, and are no less lost."""
    node = register(tenancy="shared")
    wait_for_owner(admin, node, "Shared")
    make(admin, tenant("settler", namespaces=[{"name": "settler-1"}]))
    body = pod()
    body["spec"]["nodeSelector"] = {"kubernetes.io/hostname": node}
    name = admin.create_pod("settler-1", body).ok()["metadata"]["name"]
    assert runs(admin, "settler-1", name) == node
    # Pods that other tests left waiting for a shared node.
    for each in admin.list(kinds.POD, fieldSelector=f"spec.nodeName={node}"):
        if each["metadata"]["namespace"] != "settler-1":
            admin.delete(kinds.POD, each["metadata"]["name"], each["metadata"]["namespace"]).ok()
    labels = {TENANCY: "dedicated", POOL: "settler"}
    admin.patch(kinds.NODE, node, {"metadata": {"labels": labels}}).ok()
    admin.apply(kinds.SECURE_TENANT, dedicated("settler"), manager="test").ok()
    wait_to_be_told(admin, "settler", "EvictionWaiting", f"{node} (settler-1/{name})")
    assert admin.get(kinds.POD, name, "settler-1") is not None
    admin.delete(kinds.POD, name, "settler-1").ok()
    wait_for_owner(admin, node, "settler")


def test_eviction_is_at_once_where_it_is_asked_for(
    admin: Api, operator: Operator, register: Register
) -> None:
    wait_for_account(admin, "default")
    node = register("rude")
    name = foreign(admin, node)
    make(admin, dedicated("rude", eviction="Evict"))
    wait_for_owner(admin, node, "rude")
    wait_for(lambda: admin.get(kinds.POD, name, "default") is None, what="the eviction", seconds=30)


def test_effects_are_those_of_the_spec_and_follow_it(
    admin: Api, operator: Operator, register: Register
) -> None:
    node = register("mild")
    make(admin, dedicated("mild", effects=["NoSchedule"]))
    mild = {("securetenant.io/tenant", "NoSchedule")}
    wait_for(lambda: (label(admin, node), taints(admin, node)) == ("mild", mild), what="the node")
    wait_to_be_told(admin, "mild", "AsSpecified", "with label and taint (NoSchedule)")
    make(admin, dedicated("mild"))
    wait_for_owner(admin, node, "mild")
    make(admin, dedicated("mild", effects=["NoSchedule"]))
    wait_for(lambda: taints(admin, node) == mild, what="NoExecute to go")


def test_the_taint_goes_last_when_a_node_is_given_back(
    admin: Api, operator: Operator, register: Register
) -> None:
    node = register("leaver")
    make(admin, dedicated("leaver"))
    wait_for_owner(admin, node, "leaver")
    name = admin.create_pod("leaver-1", pod()).ok()["metadata"]["name"]
    assert runs(admin, "leaver-1", name) == node
    # Another asks for the node, and has to wait too.
    admin.apply(kinds.SECURE_TENANT, dedicated("heir", names=[node]), manager="test").ok()
    selector = {"matchLabels": {POOL: "no-such-pool"}}
    admin.apply(kinds.SECURE_TENANT, dedicated("leaver", selector=selector), manager="test").ok()
    wait_for(lambda: label(admin, node) == "", what="the label to go")
    wait_to_be_told(admin, "heir", "NodeInUse", f"{node} (leaver-1/{name})")
    assert taints(admin, node) == BOTH
    admin.delete(kinds.POD, name, "leaver-1").ok()
    wait_for_owner(admin, node, "heir")
    found = admin.get(kinds.NODE, node)["spec"]["taints"]
    assert {each["value"] for each in found if each["key"] == names.NODE_TAINT} == {"heir"}


def test_a_retained_tenant_keeps_its_nodes_until_its_namespaces_are_gone(
    admin: Api, breaker: Api, operator: Operator, register: Register
) -> None:
    node = register("kept")
    make(admin, dedicated("kept"))
    wait_for_owner(admin, node, "kept")
    admin.delete(kinds.SECURE_TENANT, "kept").ok()
    wait_for(lambda: admin.get(kinds.SECURE_TENANT, "kept") is None, what="the deletion")
    settle_nodes(admin, node, "kept")
    breaker.delete(kinds.NAMESPACE, "kept-1").ok()
    wait_for(
        lambda: (label(admin, node), taints(admin, node)) == ("", set()),
        what="the node to be nobody's",
        seconds=30,
    )


def settle_nodes(admin: Api, node: str, owner: str) -> None:
    """Hold that a node stays whose it is while the operator looks at it again."""
    admin.patch(kinds.NODE, node, {"metadata": {"labels": {"looked": "at"}}}).ok()
    assert is_whose(admin, node, owner)


def test_marks_that_somebody_takes_away_come_back_and_it_is_told(
    admin: Api, breaker: Api, operator: Operator, register: Register
) -> None:
    node = register("robbed")
    make(admin, dedicated("robbed"))
    wait_for_owner(admin, node, "robbed")
    wait_to_be_told(admin, "robbed", "AsSpecified", node)
    for patch in (
        {"spec": {"taints": None}},
        {"metadata": {"labels": {names.NODE_LABEL: None}}},
        {"metadata": {"labels": {names.NODE_LABEL: "rude"}}},
    ):
        assert admin.patch(kinds.NODE, node, patch).status == 403
        breaker.patch(kinds.NODE, node, patch).ok()
        wait_for_owner(admin, node, "robbed")

    def repairs() -> list[str]:
        return [
            each["note"]
            for each in admin.list(kinds.EVENT, "default")
            if each["regarding"].get("name") == "robbed" and each["reason"] == "DriftRepaired"
        ]

    note = wait_for(repairs, what="the event")[0]
    assert note == f"Label or taint of Node {node} was changed; it is put back"


def test_nothing_is_written_after_a_restart(
    noded: Instance, admin: Api, operator: Operator, register: Register
) -> None:
    """Contested, shared and dedicated nodes: all stay as they are."""
    own, both, shared = register("calm"), register("calms"), register(tenancy="shared")
    make(admin, dedicated("calm"))
    for name in ("calms-a", "calms-b"):
        body = dedicated(name, selector={"matchLabels": {POOL: "calms"}})
        body["spec"]["reconciliation"] = "Suspended"
        admin.apply(kinds.SECURE_TENANT, body, manager="test").ok()
    for name in ("calms-a", "calms-b"):
        admin.patch(kinds.SECURE_TENANT, name, {"spec": {"reconciliation": "Active"}}).ok()
    wait_to_be_told(admin, "calms-b", "NodeConflict", both)
    wait_for_owner(admin, own, "calm")
    wait_for_owner(admin, shared, "Shared")
    before = settle(noded)
    assert operator.stop() == 0
    operator.start()
    settle(noded)
    late = writes_by_operator(noded)[before:]
    assert [each["objectRef"] for each in late if each["objectRef"]["resource"] == "nodes"] == []


# --- pods -----------------------------------------------------------------------------------


def test_every_workload_controller_lands_its_pods_on_the_nodes_of_the_tenant(
    admin: Api, operator: Operator, register: Register
) -> None:
    """None of them knows of label or taint."""
    nodes = {register("apps"), register("apps")}
    register(tenancy="shared")
    make(admin, dedicated("apps"))
    for node in nodes:
        wait_for_owner(admin, node, "apps")
    template = {"metadata": {"labels": {"app": "x"}}, "spec": pod()["spec"]}
    selector = {"matchLabels": {"app": "x"}}
    again = {**template, "spec": {**template["spec"], "restartPolicy": "Never"}}
    job = {"template": again}
    for path, spec in (
        ("apps/v1/namespaces/apps-1/deployments", {"selector": selector, "template": template}),
        (
            "apps/v1/namespaces/apps-1/statefulsets",
            {"selector": selector, "template": template, "serviceName": "x"},
        ),
        ("apps/v1/namespaces/apps-1/daemonsets", {"selector": selector, "template": template}),
        ("batch/v1/namespaces/apps-1/jobs", job),
    ):
        kind = path.rpartition("/")[2]
        admin.call("POST", f"/apis/{path}", {"metadata": {"name": kind}, "spec": spec}).ok()

    def where() -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for each in admin.list(kinds.POD, "apps-1"):
            owner = each["metadata"]["name"].partition("-")[0]
            found.setdefault(owner, set()).add(each["spec"].get("nodeName", ""))
        return found

    wait_for(
        lambda: len(where()) == 4 and where()["daemonsets"] == nodes and "" not in _all(where()),
        what=f"every pod to have a node: {where()}",
        seconds=30,
    )
    assert _all(where()) <= nodes


def _all(found: dict[str, set[str]]) -> set[str]:
    return set().union(*found.values())


INTRUSIONS = [
    pytest.param({"nodeName": "NODE"}, "nodeName is NODE", id="by name"),
    pytest.param(
        {"nodeSelector": {names.NODE_LABEL: "fort"}},
        f"nodeSelector {names.NODE_LABEL} is fort; intruder-1 allows Shared",
        id="by selector",
    ),
    pytest.param(
        {"tolerations": [{"key": names.NODE_TAINT, "value": "fort", "effect": "NoSchedule"}]},
        "a toleration is for securetenant.io/tenant",
        id="by toleration",
    ),
    pytest.param(
        {"tolerations": [{"key": names.NODE_TAINT, "operator": "Exists"}]},
        "a toleration is for securetenant.io/tenant",
        id="by toleration of any tenant",
    ),
    pytest.param(
        {"tolerations": [{"operator": "Exists"}]},
        "a toleration is for every taint",
        id="by toleration of everything",
    ),
]


@pytest.fixture(scope="module")
def fort(admin: Api, operator: Operator) -> Iterator[str]:
    """A node of tenant fort, beside a shared tenant who wants to get there."""
    body = {
        "metadata": {
            "name": denials_nodes.NODE,
            "labels": {POOL: "fort", TENANCY: "dedicated"},
            "annotations": {"kwok.x-k8s.io/node": "fake"},
        }
    }
    admin.create(kinds.NODE, body).ok()
    make(admin, dedicated("fort"))
    make(admin, tenant("intruder", namespaces=[{"name": "intruder-1"}]))
    wait_for_owner(admin, denials_nodes.NODE, "fort")
    yield denials_nodes.NODE
    admin.delete(kinds.NODE, denials_nodes.NODE)


@pytest.mark.parametrize(("change", "message"), INTRUSIONS)
def test_no_other_tenant_gets_a_pod_onto_the_node(
    change: dict[str, Any], message: str, admin: Api, fort: str
) -> None:
    change = {key: fort if value == "NODE" else value for key, value in change.items()}
    body = pod()
    body["spec"] |= change
    answer = admin.create_pod("intruder-1", body)
    assert answer.status == 403
    assert f"securetenant: {message.replace('NODE', fort)}" in answer.message


@pytest.mark.parametrize(
    "change",
    [
        pytest.param([{"key": names.NODE_TAINT, "value": "fort"}], id="of the tenant"),
        pytest.param([{"key": names.NODE_TAINT, "operator": "Exists"}], id="of any"),
    ],
)
def test_no_other_tenant_gets_there_by_an_update(
    change: list[dict[str, str]], admin: Api, fort: str
) -> None:
    """Tolerations may be added to a pod that is there."""
    name = admin.create_pod("intruder-1", pod()).ok()["metadata"]["name"]
    before = admin.get(kinds.POD, name, "intruder-1")["spec"]["tolerations"]
    answer = admin.patch(
        kinds.POD, name, {"spec": {"tolerations": [*before, *change]}}, "intruder-1"
    )
    assert answer.status == 403
    assert "a toleration is for securetenant.io/tenant" in answer.message


def test_a_pod_that_is_held_back_does_not_get_there_later(admin: Api, fort: str) -> None:
    """With scheduling gates a pod's selector and tolerations may still be changed."""
    body = pod()
    body["spec"]["schedulingGates"] = [{"name": "example.com/wait"}]
    name = admin.create_pod("intruder-1", body).ok()["metadata"]["name"]
    selector = {"spec": {"nodeSelector": {names.NODE_LABEL: "fort"}}}
    answer = admin.patch(kinds.POD, name, selector, "intruder-1")
    assert answer.status == 422
    assert "only additions to spec.nodeSelector are allowed" in answer.message
    there = {"key": names.NODE_TAINT, "value": "fort"}
    patch = [{"op": "add", "path": "/spec/tolerations/-", "value": there}]
    path = kinds.POD.path("intruder-1", name)
    answer = admin.call("PATCH", path, patch, content_type=JSON_PATCH)
    assert answer.status == 403
    assert "a toleration is for securetenant.io/tenant" in answer.message


def test_placement_holds_in_audit_mode_too(
    admin: Api, fort: str, operator: Operator, register: Register
) -> None:
    """Audit is for rules by which a tenant protects itself; this one protects others."""
    register(tenancy="shared")
    body = tenant("lax", namespaces=[{"name": "lax-1"}], enforcement="Audit")
    admin.apply(kinds.SECURE_TENANT, body, manager="test").ok()
    wait_for_account(admin, "lax-1")
    wait_for(
        lambda: names.READY_FOR_LABEL in admin.get(kinds.NAMESPACE, "lax-1")["metadata"]["labels"],
        what="the gate to open",
    )
    intruder = pod()
    intruder["spec"]["nodeSelector"] = {names.NODE_LABEL: "fort"}
    answer = admin.create_pod("lax-1", intruder)
    assert answer.status == 403
    assert "lax-1 allows Shared" in answer.message
    name = admin.create_pod("lax-1", pod()).ok()["metadata"]["name"]
    assert label(admin, runs(admin, "lax-1", name)) == "Shared"


def test_the_tenant_itself_gets_nowhere_else(admin: Api, fort: str) -> None:
    for selector in ({names.NODE_LABEL: "Shared"}, {names.NODE_LABEL: "polite"}):
        body = pod()
        body["spec"]["nodeSelector"] = selector
        answer = admin.create_pod("fort-1", body)
        assert answer.status == 403
        assert f"nodeSelector {names.NODE_LABEL} is" in answer.message
        assert "fort-1 allows fort" in answer.message


def test_its_toleration_is_for_its_own_taint(admin: Api, fort: str) -> None:
    body = pod()
    body["spec"]["tolerations"] = [{"key": names.NODE_TAINT, "value": "fort"}]
    name = admin.create_pod("fort-1", body).ok()["metadata"]["name"]
    assert runs(admin, "fort-1", name) == fort
    body["spec"]["tolerations"] = [{"key": names.NODE_TAINT, "operator": "Exists"}]
    answer = admin.create_pod("fort-1", body)
    assert answer.status == 403
    assert "and securetenant.io/tenant with the value fort" in answer.message


def test_the_node_itself_gets_no_other_tenant(noded: Instance, admin: Api, fort: str) -> None:
    """Whoever stole a node's credential does not choose whose pods it gets."""
    node = Api(kubeconfigs.for_user(noded, f"system:node:{fort}", ("system:nodes",)))
    for patch in (
        {"metadata": {"labels": {names.NODE_LABEL: "intruder"}}},
        {"metadata": {"labels": {names.NODE_LABEL: None}}},
        {"metadata": {"labels": {POOL: "rude"}}},
        {"metadata": {"labels": {TENANCY: "shared"}}},
        {"spec": {"taints": None}},
    ):
        for path in (f"/api/v1/nodes/{fort}", f"/api/v1/nodes/{fort}/status"):
            answer = node.call("PATCH", path, patch, content_type=MERGE)
            assert answer.status == 403 or "status" in path, (patch, answer)
    for path in ("/api/v1/nodes/node-0", "/api/v1/nodes/node-0/status"):
        patch = {"metadata": {"labels": {"a": "b"}}}
        assert node.call("PATCH", path, patch, content_type=MERGE).status == 403
    assert is_whose(admin, fort, "fort")
    assert admin.get(kinds.NODE, fort)["metadata"]["labels"][TENANCY] == "dedicated"
    assert node.call("GET", "/api/v1/namespaces/intruder-1/secrets").status == 403
    assert node.call("GET", "/api/v1/secrets").status == 403


def test_the_operators_token_takes_no_wall_off_a_node(
    noded: Instance, admin: Api, fort: str, request: pytest.FixtureRequest
) -> None:
    """Whoever stole it: where the label stands, the taint does too."""
    ((policy, index),) = denials_nodes.ROWS
    thief = Api(kubeconfigs.for_service_account(noded, *OPERATOR))
    answer = denials_nodes.ROWS[policy, index].sent({"operator": thief})
    assert verdict(answer, Policy(policy)) == "Blocked"
    said = answer.message.partition("denied request: ")[2]
    judge_message(said, (policy, index), update=request.config.getoption("--update-golden"))


def test_pods_that_wait_for_a_node_are_told_with_the_reason(admin: Api, operator: Operator) -> None:
    make(admin, dedicated("homeless"))
    assert told(admin, "homeless")["reason"] == "NoNodes"
    name = admin.create_pod("homeless-1", pod()).ok()["metadata"]["name"]
    found = wait_to_be_told(admin, "homeless", "PodsPending", f"homeless-1/{name} (0/")
    assert found["status"] == "True"
    assert "didn't match Pod's node affinity/selector" in found["message"]


def test_pods_from_before_are_told_where_they_run_elsewhere(
    admin: Api, operator: Operator, register: Register
) -> None:
    register(tenancy="shared")
    make(admin, tenant("moving", namespaces=[{"name": "moving-1"}]))
    name = admin.create_pod("moving-1", pod()).ok()["metadata"]["name"]
    runs(admin, "moving-1", name)
    register("moving")
    admin.apply(kinds.SECURE_TENANT, dedicated("moving"), manager="test").ok()
    wait_to_be_told(admin, "moving", "PodsElsewhere", f"moving-1/{name}")
    admin.delete(kinds.POD, name, "moving-1").ok()
    wait_to_be_told(admin, "moving", "AsSpecified")


def test_daemonsets_of_the_platform_that_the_taint_keeps_out_are_told(
    admin: Api, operator: Operator, register: Register
) -> None:
    for name, tolerations in (("agent", []), ("tough", [{"operator": "Exists"}])):
        body = {
            "metadata": {"name": name},
            "spec": {
                "selector": {"matchLabels": {"app": name}},
                "template": {
                    "metadata": {"labels": {"app": name}},
                    "spec": {**pod()["spec"], "tolerations": tolerations},
                },
            },
        }
        admin.call("POST", "/apis/apps/v1/namespaces/kube-system/daemonsets", body).ok()
    register("watched")
    make(admin, dedicated("watched"))
    found = wait_to_be_told(admin, "watched", "DaemonSetsKeptOut", "kube-system/agent")
    assert "kube-system/tough" not in found["message"]
    for name in ("agent", "tough"):
        admin.call("DELETE", f"/apis/apps/v1/namespaces/kube-system/daemonsets/{name}").ok()


def test_without_a_word_of_nodes_in_the_settings_none_is_dedicated(
    admin: Api, operator: Operator, register: Register
) -> None:
    """And the tenant's pods wait: unknown means no."""
    node = register("early")
    try:
        patch = [{"op": "remove", "path": "/spec/nodes"}]
        path = kinds.TENANCY_SETTINGS.path("", "default")
        admin.call("PATCH", path, patch, content_type=JSON_PATCH).ok()
        admin.apply(kinds.SECURE_TENANT, dedicated("early"), manager="test").ok()
        wait_to_be_told(admin, "early", "NotInSettings", "TenancySettings say nothing of nodes")
        assert (label(admin, node), taints(admin, node)) == ("", set())
        policy: Any = wait_for(
            lambda: admin.get(kinds.TENANT_POLICY, "effective", "early-1"), what="the policy"
        )
        assert policy["spec"]["nodes"]["selector"] == {names.NODE_LABEL: "early"}
    finally:
        body = admin.patch(kinds.TENANCY_SETTINGS, "default", {"spec": {"nodes": SETTINGS}}).ok()
    wait_for_owner(admin, node, "early")
    # Until every tenant follows them again, other tests' pods would be let go anywhere.
    wait_for(
        lambda: _rolled_out(admin) == ("True", body["metadata"]["generation"]),
        what="every tenant to follow the settings",
        seconds=120,
    )


DEPLOYMENTS = "/apis/apps/v1/namespaces/{}/deployments"


def deploy(admin: Api, namespace: str, name: str, **spec: Any) -> tuple[str, str]:
    """Deploy one pod; return its name, and its node."""
    body = deployment(name)
    body["spec"]["template"]["spec"] |= spec
    admin.call("POST", DEPLOYMENTS.format(namespace), body).ok()

    def placed() -> tuple[str, str] | None:
        for each in admin.list(kinds.POD, namespace):
            if each["metadata"].get("labels", {}).get("app") == name and (
                node := each["spec"].get("nodeName")
            ):
                return each["metadata"]["name"], node
        return None

    found: Any = wait_for(placed, what=f"a node for {name}")
    return str(found[0]), str(found[1])


def planned(noded: Instance, body: dict[str, Any], part: str) -> list[dict[str, Any]]:
    """Return a part of what the program says that a spec would do."""
    done = CliRunner().invoke(
        main,
        ["plan", "-f", "-", "-o", "json"],
        env={"KUBECONFIG": str(noded.admin_kubeconfig)},
        input=json.dumps(body),
        catch_exceptions=False,
    )
    assert done.exit_code == 0, done.output
    found: list[dict[str, Any]] = json.loads(done.stdout)[part]
    return found


def test_plan_names_pods_that_nodes_would_evict_or_not_take_back(
    noded: Instance, admin: Api, operator: Operator, register: Register
) -> None:
    """And what it says comes true."""
    own, common = register("planned"), register(tenancy="shared")
    gpu = {"key": "gpu.example/a", "value": "yes", "effect": "NoSchedule"}
    spaces = [{"name": "planned-1"}]
    shared = tenant("planned", namespaces=spaces, workloads={"tolerations": [gpu]})
    make(admin, shared)
    wait_for_owner(admin, common, "Shared")
    tool, where = deploy(admin, "default", "tool", nodeSelector={"kubernetes.io/hostname": own})
    web, at = deploy(admin, "planned-1", "web", tolerations=[gpu])
    assert (where, at) == (own, common)

    def fates(body: dict[str, Any]) -> dict[str, tuple[str, str]]:
        found = planned(noded, body, "nodes")
        assert all(each["owner"].startswith("ReplicaSet ") for each in found)
        return {each["pod"]: (each["verb"], each["node"]) for each in found}

    assert fates(shared) == {}
    asked = {"dedication": "Dedicated", "selector": {"matchLabels": {POOL: "planned"}}}
    waits = tenant("planned", namespaces=spaces, workloads={"tolerations": [gpu]}, nodes=asked)
    stays = {f"default/{tool}": ("stays", own), f"planned-1/{web}": ("stays", common)}
    assert fates(waits) == stays
    now = tenant(
        "planned",
        namespaces=spaces,
        workloads={"tolerations": [gpu]},
        nodes={**asked, "eviction": "Evict"},
    )
    assert fates(now) == {**stays, f"default/{tool}": ("evicted", own)}
    # Made again it would get the new selector by itself.
    assert planned(noded, now, "pods") == []
    (harm,) = planned(noded, tenant("planned", namespaces=spaces), "pods")
    assert (harm["pod"], harm["what"]) == (f"planned-1/{web}", "tolerations")
    assert harm["owner"].startswith("ReplicaSet web-")

    admin.apply(kinds.SECURE_TENANT, now, manager="test").ok()
    wait_for_owner(admin, own, "planned")
    wait_for(lambda: admin.get(kinds.POD, tool, "default") is None, what="the eviction", seconds=60)
    assert admin.get(kinds.POD, web, "planned-1")["spec"]["nodeName"] == common
    assert fates(now) == {}
    admin.call("DELETE", f"{DEPLOYMENTS.format('default')}/tool").ok()


def _rolled_out(admin: Api) -> tuple[str, int]:
    found = conditions(admin.get(kinds.TENANCY_SETTINGS, "default"))["RolledOut"]
    return found["status"], found["observedGeneration"]


def _nodes(**fields: Any) -> dict[str, Any]:
    return {"dedication": "Dedicated", "selector": {"matchLabels": {POOL: "x"}}, **fields}


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (_nodes(selector={"matchLabels": {}}), "an empty selector would be every node"),
        (
            _nodes(selector={"matchLabels": {"pool": "x"}}),
            "keys are under node-restriction.kubernetes.io",
        ),
        (
            _nodes(selector={"matchLabels": {"kubernetes.io/hostname": "x"}}),
            "keys are under node-restriction.kubernetes.io",
        ),
        (
            _nodes(selector={"matchLabels": {names.NODE_LABEL: "x"}}),
            "keys are under node-restriction.kubernetes.io",
        ),
        (_nodes(selector={"matchLabels": {POOL: "-"}}), "a value has up to 63 letters"),
        (_nodes(effects=["PreferNoSchedule"]), 'supported values: "NoSchedule", "NoExecute"'),
        (_nodes(effects=["NoExecute"]), "effects hold NoSchedule"),
        (_nodes(effects=[]), "should have at least 1 items"),
        (
            _nodes(effects=["NoSchedule"], eviction="Evict"),
            "eviction is about NoExecute, which effects leave out",
        ),
        (_nodes(names=["n"]), "name the nodes by selector or by names, not by both"),
        ({"dedication": "Dedicated"}, "dedication: Dedicated and the nodes go together"),
        ({"names": ["n"]}, "dedication: Dedicated and the nodes go together"),
        ({"eviction": "Evict"}, "effects and eviction are about dedicated nodes"),
        ({"dedication": "Dedicated", "names": ["N_1"]}, "a node's name has lower-case letters"),
        ({"podPidsLimit": 1000}, 'supported values: "128", "256"'),
        ({"pids": "Require"}, "pids: Require needs the limit that is required"),
        (_nodes(eviction="Now"), 'supported values: "Wait", "Evict"'),
    ],
)
def test_a_wrong_value_is_refused_with_what_to_write(
    nodes: dict[str, Any], message: str, admin: Api
) -> None:
    body = tenant(nodes=nodes)
    answer = admin.create(kinds.SECURE_TENANT, body, dryRun="All")
    assert answer.status == 422
    assert message in answer.message


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ({"shared": SETTINGS["shared"]}, "spec.nodes.dedicable: Required value"),
        (
            {**SETTINGS, "shared": {"matchLabels": {"a": "b"}}},
            "keys are under node-restriction.kubernetes.io",
        ),
        ({**SETTINGS, "dedicable": {"matchLabels": {}}}, "an empty selector would be every node"),
    ],
)
def test_wrong_settings_are_refused_with_what_to_write(
    nodes: dict[str, Any], message: str, admin: Api
) -> None:
    patch = [{"op": "replace", "path": "/spec/nodes", "value": nodes}]
    path = kinds.TENANCY_SETTINGS.path("", "default")
    answer = admin.call("PATCH", path, patch, content_type=JSON_PATCH, dryRun="All")
    assert answer.status == 422
    assert message in answer.message
