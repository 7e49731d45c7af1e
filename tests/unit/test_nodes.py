"""Whose node it is, which marks it gets, and what the condition says."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from memory_cluster import MemoryCluster
from securetenant.api import kinds, names
from securetenant.api.nodes import Effect, SettingsNodes, TenantNodes
from securetenant.api.objects import Ref
from securetenant.concerns.nodes import census
from securetenant.concerns.nodes.nodes import Nodes, Surroundings
from securetenant.plan import nodes, pods
from securetenant.plan.nodes import Marks, NodeRequests, Standing, Taint
from securetenant.reconcile.errors import ConflictError, RefusedError
from securetenant.reconcile.node_book import NodeBook
from securetenant.status import placement, user_namespaces
from securetenant.status.placement import Place, Placement

POOL = "node-restriction.kubernetes.io/pool"
SETTINGS = SettingsNodes.model_validate(
    {"shared": {"matchLabels": {POOL: "shared"}}, "dedicable": {"matchLabels": {POOL: "own"}}}
)
BOTH: tuple[Effect, ...] = ("NoSchedule", "NoExecute")


def node(*, pool: str = "own", owner: str = "", taints: Any = ()) -> dict[str, Any]:
    """Return a Node with a label of ours and these taints: (value, effect), or whole ones."""
    labels = {POOL: pool, **({names.NODE_LABEL: owner} if owner else {})}
    spelled = [
        each
        if isinstance(each, dict)
        else {"key": names.NODE_TAINT, "value": each[0], "effect": each[1]}
        for each in taints
    ]
    metadata = {"name": "n", "uid": "u", "resourceVersion": "7", "labels": labels}
    return {"metadata": metadata, "spec": {"taints": spelled} if spelled else {}}


def watching(
    cluster: MemoryCluster, owner_of: Callable[[str], str] = lambda _: "acme"
) -> tuple[Nodes, NodeBook]:
    """Return the nodes of a cluster, by default all namespaces acme's, and how they are seen."""
    around = Surroundings(owner_of=owner_of, is_retained=lambda _: False, is_held=lambda _: False)
    meter = cast("Any", SimpleNamespace(wrote=lambda *_: None))
    book = NodeBook()
    known = Nodes(cluster=cluster, meter=meter, around=around, book=book)
    book.put(empty("platform", pool="none"))
    return known, book


def empty(name: str, *, pool: str = "own", version: int = 1) -> dict[str, Any]:
    """Return a node without any mark."""
    metadata = {"name": name, "uid": name, "resourceVersion": str(version), "labels": {POOL: pool}}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": {}}


def judge(
    body: dict[str, Any], *claimants: str, retained: Any = (), settings: Any = SETTINGS
) -> nodes.Assignment:
    return nodes.judge(nodes.observe(body), claimants, retained, settings)


def test_who_asks_alone_gets_it() -> None:
    assert judge(node(), "acme") == (Standing.OWN, "acme", (), ())


def test_two_who_ask_get_nothing() -> None:
    assert judge(node(), "beta", "acme") == (Standing.CONTESTED, "", ("acme", "beta"), ())


def test_who_has_it_keeps_it() -> None:
    found = judge(node(owner="beta", taints=[("beta", "NoSchedule")]), "acme", "beta")
    assert found == (Standing.OWN, "beta", ("acme",), ())


def test_who_has_it_keeps_it_when_the_settings_change_their_mind() -> None:
    assert judge(node(pool="other", owner="acme"), "acme").owner == "acme"
    assert judge(node(owner="acme"), "acme", settings=None).owner == "acme"


def test_what_may_not_be_dedicated_goes_to_nobody() -> None:
    assert judge(node(pool="other"), "acme") == (Standing.KEPT, "", ("acme",), ())
    assert judge(node(), "acme", settings=None) == (Standing.KEPT, "", ("acme",), ())


def test_a_taint_alone_gives_nobody_a_right() -> None:
    """A node may register with any taint (NodeRestriction lets it)."""
    body = node(taints=[("beta", "NoSchedule")])
    assert judge(body, "acme", "beta").standing is Standing.CONTESTED
    assert judge(body, "acme") == (Standing.OWN, "acme", (), ("beta",))


def test_a_retained_tenant_keeps_it_and_another_waits() -> None:
    found = judge(node(owner="gone"), "acme", retained=("gone",))
    assert found == (Standing.OWN, "gone", ("acme",), ())


def test_shared_nodes_are_those_that_nobody_asks_for() -> None:
    assert judge(node(pool="shared")).owner == names.SHARED
    assert judge(node(pool="shared"), "acme").standing is Standing.KEPT
    assert judge(node(pool="other")).standing is Standing.NOBODYS


def marks(body: dict[str, Any], *claimants: str, left: bool = True, clear: bool = True) -> Marks:
    facts = nodes.observe(body)
    return nodes.marks(judge(body, *claimants), facts, BOTH, vacated=left, clear=clear)


def test_noexecute_waits_until_it_is_clear_and_is_not_taken_off_again() -> None:
    first = Taint(names.NODE_TAINT, "acme", "NoSchedule")
    both = (Taint(names.NODE_TAINT, "acme", "NoExecute"), first)
    assert marks(node(), "acme", clear=False) == Marks("acme", (first,))
    assert marks(node(), "acme") == Marks("acme", both)
    stands = node(owner="acme", taints=[("acme", effect) for effect in BOTH])
    assert marks(stands, "acme", clear=False) == Marks("acme", both)


def test_the_former_tenants_taint_stays_while_its_pods_do() -> None:
    body = node(owner="beta", taints=[("beta", "NoSchedule")])
    stays = (Taint(names.NODE_TAINT, "beta", "NoSchedule"),)
    assert marks(body, "acme", left=False) == Marks("", stays)
    assert marks(body, left=False) == Marks("", stays)
    assert marks(body) == Marks("", ())
    assert {each.value for each in marks(body, "acme").taints} == {"acme"}


def test_the_patch_keeps_the_taints_of_others_and_the_time_of_ours() -> None:
    other = {"key": "cloud", "effect": "NoExecute", "timeAdded": "t"}
    ours = {"key": names.NODE_TAINT, "value": "acme", "effect": "NoExecute", "timeAdded": "t"}
    old = {"key": names.NODE_TAINT, "value": "beta", "effect": "NoSchedule"}
    body = node(owner="acme", taints=[other, old, ours])
    test, change = nodes.taints_patch(marks(body, "acme"), body)
    assert test == {"op": "test", "path": "/metadata/resourceVersion", "value": "7"}
    new = {"key": names.NODE_TAINT, "value": "acme", "effect": "NoSchedule"}
    assert change == {"op": "add", "path": "/spec/taints", "value": [other, ours, new]}


def test_the_patch_takes_the_list_away_with_its_last_taint() -> None:
    body = node(owner="acme", taints=[("acme", "NoSchedule")])
    assert nodes.taints_patch(Marks("", ()), body)[1] == {"op": "remove", "path": "/spec/taints"}


def asked(**fields: Any) -> TenantNodes:
    return TenantNodes.model_validate({"dedication": "Dedicated", **fields})


def test_claims_are_found_by_name_and_by_labels_and_forgotten() -> None:
    claims = NodeRequests()
    by_label = asked(selector={"matchLabels": {POOL: "own"}})
    assert claims.put("acme", by_label)
    assert not claims.put("acme", by_label)
    assert claims.put("beta", asked(names=["n", "m"]))
    assert claims.of("n", {POOL: "own"}) == {"acme", "beta"}
    assert claims.of("m", {}) == {"beta"}
    assert claims.put("acme", TenantNodes())
    assert claims.put("beta", None)
    assert claims.of("n", {POOL: "own"}) == frozenset()
    assert not claims.tenants


@pytest.mark.parametrize(
    ("toleration", "tolerated"),
    [
        ({"operator": "Exists"}, True),
        ({"key": names.NODE_TAINT, "operator": "Exists"}, True),
        ({"key": names.NODE_TAINT, "value": "acme"}, True),
        ({"key": names.NODE_TAINT, "value": "acme", "effect": "NoExecute"}, True),
        ({"key": names.NODE_TAINT, "value": "acme", "effect": "NoSchedule"}, False),
        ({"key": names.NODE_TAINT, "value": "beta"}, False),
        ({"key": "other", "operator": "Exists"}, False),
        ({"key": names.NODE_TAINT, "operator": "Exists", "tolerationSeconds": 60}, False),
    ],
)
def test_tolerations_are_read_as_kubernetes_does(
    toleration: dict[str, Any], tolerated: bool
) -> None:
    assert pods.tolerates([toleration], "acme", "NoExecute") is tolerated


def test_the_condition_tells_the_worst_first_and_everything() -> None:
    found = placement.judge(
        Placement(
            dedicated=True,
            effects=BOTH,
            nodes=("a",),
            contested=(Place("b", ("beta",)),),
            waiting=(Place("a", ("default/x",)),),
        )
    )
    assert (found.status, found.reason) == ("False", "NodeConflict")
    assert "b (beta)" in found.message
    assert "a (default/x)" in found.message
    assert found.message.endswith("1 node (a) with label and taint (NoSchedule)")


def test_what_is_worth_knowing_keeps_the_condition_true() -> None:
    found = placement.judge(
        Placement(dedicated=True, effects=BOTH, nodes=("a",), daemons=("kube-system/agent",))
    )
    assert (found.status, found.reason) == ("True", "DaemonSetsKeptOut")
    assert found.finding.informs


def test_a_shared_tenant_is_told_of_nodes_that_its_pods_have_not_left() -> None:
    found = placement.judge(Placement(dedicated=False, leaving=(Place("a", ("acme-1/x",)),)))
    assert (found.status, found.reason) == ("True", "NodeInUse")
    assert found.message.endswith("Given back once the tenant's pods are gone: a (acme-1/x)")


def test_a_shared_tenant_is_told_of_its_pods_on_nodes_of_others() -> None:
    """It was said that they run only on the nodes for shared tenants."""
    found = placement.judge(Placement(dedicated=False, elsewhere=("acme-1/web on node-1",)))
    assert (found.status, found.reason) == ("False", "PodsElsewhere")
    assert found.message == (
        "Pods of the tenant on nodes of others, from before: acme-1/web on node-1. Delete them, and"
        " they come back where they belong; New pods run only on the nodes for shared tenants"
        " (TenancySettings, nodes.shared)"
    )


def test_a_node_that_registers_again_between_read_and_write_is_read_again() -> None:
    """The refusal of the uid was shown as the problem of the node until it was seen again."""
    cluster = MemoryCluster()
    ref = Ref(kinds.NODE.name, "", "n")
    metadata = {"name": "n", "labels": {POOL: "shared"}}
    body = {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": {}}
    known, book = watching(cluster)
    book.put(cluster.put(body))

    def register_again(verb: str, *_: Any) -> None:
        if verb == "apply":
            cluster.fault = lambda *_: None
            cluster.remove(ref)
            cluster.put(body)

    cluster.fault = register_again
    with pytest.raises(ConflictError, match="registered again"):
        asyncio.run(known.converge("n", SETTINGS))
    book.put(cluster.objects[ref])
    asyncio.run(known.converge("n", SETTINGS))
    assert cluster.objects[ref]["metadata"]["labels"][names.NODE_LABEL] == names.SHARED

    def refuse(verb: str, *_: Any) -> None:
        if verb == "amend":
            raise RefusedError("no")

    # A refusal of the node that was judged is still its problem.
    cluster.fault = refuse
    marked = {POOL: "other", names.NODE_LABEL: names.SHARED}
    book.put(cluster.put({**body, "metadata": {**metadata, "labels": marked}}))
    asyncio.run(known.converge("n", SETTINGS))
    assert known._known["n"].problem == "no"


def test_a_node_that_goes_while_its_pods_are_listed_concerns_nobody() -> None:
    """Its tenant got no status any more: what was kept of the node named one that is gone."""
    cluster = MemoryCluster("acme-1")
    metadata = {"name": "n", "labels": {POOL: "own"}}
    body = {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": {}}
    known, book = watching(cluster)
    asked = TenantNodes.model_validate({"dedication": "Dedicated", "names": ["n"]})
    known.ask("acme", asked)
    book.put(cluster.put(body))

    def go(verb: str, *_: Any) -> None:
        if verb == "list":
            book.drop("n", 10_000)

    cluster.fault = go
    asyncio.run(known.converge("n", SETTINGS))
    assert known.of("acme") == set()
    assert known.placement("acme", asked, SETTINGS).unknown == ("n",)


@pytest.mark.parametrize(
    "taints",
    [
        {"effects": ["NoSchedule"]},
        {"effects": ["NoSchedule", "NoExecute"], "eviction": "Evict"},
    ],
)
def test_a_pod_of_others_that_no_taint_drives_away_keeps_a_node_from_being_dedicated(
    taints: dict[str, Any],
) -> None:
    """An eviction that the API server cannot store leaves it there."""
    cluster = MemoryCluster("beta", "acme", "kube-system")
    owners = {"beta": "beta", "acme": "acme"}
    known, book = watching(cluster, owner_of=lambda namespace: owners.get(namespace, ""))
    asked = TenantNodes.model_validate({"dedication": "Dedicated", "names": ["n"], **taints})
    known.ask("acme", asked)
    metadata = {"name": "n", "labels": {POOL: "own"}}
    body = {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": {}}
    book.put(cluster.put(body))
    owner = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "u"}
    for namespace in ("beta", "acme", "kube-system"):
        spec = {"nodeName": "n", "containers": []}
        pod = {"apiVersion": "v1", "kind": "Pod", "spec": spec}
        # Anybody may say that a DaemonSet made it; only those of the platform are set aside.
        named = {"name": "fat", "namespace": namespace}
        cluster.put({**pod, "metadata": {**named, "ownerReferences": [owner]}})
    for _ in range(2):
        asyncio.run(known.converge("n", SETTINGS))
    found = placement.judge(known.placement("acme", asked, SETTINGS))
    assert (found.status, found.reason) == ("False", "NodeInUse")
    assert found.message.startswith("Pods of others still run on: n (beta/fat). What NoExecute")
    cluster.remove(Ref(kinds.POD.name, "beta", "fat"))
    asyncio.run(known.converge("n", SETTINGS))
    assert placement.judge(known.placement("acme", asked, SETTINGS)).status == "True"


def test_the_last_node_for_pods_of_the_platform_is_nobodys() -> None:
    """N1: a selector that took every node left DNS and the operator without one."""
    cluster = MemoryCluster("acme")
    known, book = watching(cluster, owner_of=lambda _: "")
    asked = TenantNodes.model_validate(
        {"dedication": "Dedicated", "selector": {"matchLabels": {POOL: "own"}}}
    )
    known.ask("acme", asked)
    book.drop("platform", 10)
    for name in ("n", "m"):
        book.put(cluster.put({**empty(name), "metadata": {"name": name, "labels": {POOL: "own"}}}))
    for name in ("n", "m", "n", "m"):
        asyncio.run(known.converge(name, SETTINGS))
    found = placement.judge(known.placement("acme", asked, SETTINGS))
    assert (found.status, found.reason) == ("False", "LastNode")
    assert found.message.startswith("Not taken: m. It is the last node for pods of the platform")
    assert "1 node (n) with label and taint" in found.message
    book.put(empty("added", pool="none", version=100))
    asyncio.run(known.converge("m", SETTINGS))
    assert placement.judge(known.placement("acme", asked, SETTINGS)).status == "True"


def test_one_that_was_the_last_is_looked_at_when_another_comes() -> None:
    woken: list[str] = []
    cluster = MemoryCluster("acme")
    around = Surroundings(
        owner_of=lambda _: "", is_retained=lambda _: False, is_held=lambda _: False
    )
    book = NodeBook()
    meter = cast("Any", SimpleNamespace(wrote=lambda *_: None))
    known = Nodes(cluster=cluster, meter=meter, around=around, book=book, woken=woken.append)
    known.ask("acme", TenantNodes.model_validate({"dedication": "Dedicated", "names": ["n"]}))
    book.put(empty("n"))
    asyncio.run(known.converge("n", SETTINGS))
    woken.clear()
    book.put(empty("added"))
    assert set(woken) == {"added", "n"}


@pytest.mark.parametrize(
    ("taints", "takes"),
    [
        ([], True),
        ([{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}], True),
        ([{"key": "any", "effect": "PreferNoSchedule"}], True),
        ([{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}], False),
        ([{"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"}], False),
        ([("acme", "NoSchedule")], False),
    ],
)
def test_which_nodes_take_pods_of_the_platform(taints: Any, takes: bool) -> None:
    assert nodes.observe(node(taints=taints)).takes_the_platform == takes
    assert not nodes.observe(node(owner="acme", taints=taints)).takes_the_platform


def test_the_operator_never_evicts_itself() -> None:
    """N1: with eviction Evict it sent itself away for good, and all went on reading Ready."""
    cluster = MemoryCluster("acme", names.OPERATOR_NAMESPACE)
    known, book = watching(cluster, owner_of=lambda _: "")
    asked = TenantNodes.model_validate(
        {"dedication": "Dedicated", "names": ["n"], "eviction": "Evict"}
    )
    known.ask("acme", asked)
    book.put(cluster.put({**empty("n"), "metadata": {"name": "n", "labels": {POOL: "own"}}}))
    named = {"name": "securetenant-operator-0", "namespace": names.OPERATOR_NAMESPACE}
    spec = {"nodeName": "n", "containers": []}
    cluster.put({"apiVersion": "v1", "kind": "Pod", "metadata": named, "spec": spec})

    def effects() -> set[str]:
        body = cluster.objects[Ref(kinds.NODE.name, "", "n")]
        return {each["effect"] for each in body["spec"]["taints"]}

    for _ in range(2):
        asyncio.run(known.converge("n", SETTINGS))
    assert effects() == {"NoSchedule"}
    found = placement.judge(known.placement("acme", asked, SETTINGS))
    assert (found.status, found.reason) == ("False", "EvictionWaiting")
    assert found.message == (
        "NoExecute waits for the operator, which never evicts itself: n"
        " (securetenant-system/securetenant-operator-0). Move it: kubectl rollout restart"
        " deployment/securetenant-operator -n securetenant-system; 1 node (n) with label and taint"
        " (NoSchedule)"
    )
    cluster.remove(Ref(kinds.POD.name, names.OPERATOR_NAMESPACE, "securetenant-operator-0"))
    asyncio.run(known.converge("n", SETTINGS))
    assert effects() == {"NoSchedule", "NoExecute"}


def handlers(**features: Any) -> dict[str, Any]:
    """Return the status of a node whose runtime has these features."""
    return {"runtimeHandlers": [{"name": "gvisor"}, {"name": "", "features": features}]}


def test_nodes_without_user_namespaces_are_counted_by_whose_they_are() -> None:
    book, changes = NodeBook(), list[str]()
    found = census.Census(book, changes.append)
    bodies = {
        "silent": node(owner="acme"),
        "able": {**node(owner="acme"), "status": handlers(userNamespaces=True)},
        "lacking": {**node(owner="acme"), "status": handlers(userNamespaces=False)},
    }
    for name, body in bodies.items():
        body["metadata"]["name"] = name
        book.put(body)
    assert found.lacking("acme") == ("lacking",)
    assert not found.lacks_everywhere("acme")
    assert changes == ["acme", "acme"], "a second node that has them is no news"
    for name in ("silent", "able"):
        book.drop(name, 8)
    assert found.lacks_everywhere("acme")
    book.drop("lacking", 8)
    assert not found.has_any("acme")
    assert not found.lacks_everywhere("acme")


def test_a_node_of_the_control_plane_is_no_node_of_tenants() -> None:
    book = NodeBook()
    found = census.Census(book, lambda _: None)
    taint = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}
    book.put(node(taints=[taint]))
    assert not found.has_any("")


def test_a_tenant_hears_which_nodes_start_none_of_its_pods() -> None:
    some = user_namespaces.judge(("a",), everywhere=False)
    assert some.informs
    assert some.message.startswith("Pods do not start on nodes that have no user namespaces: a. ")
    every = user_namespaces.judge(("a", "b"), everywhere=True)
    assert not every.informs
    assert (every.type, every.reason) == ("PodSecurityEnforced", "UserNamespacesUnsupported")
    assert "No node on which the tenant's pods may run has user namespaces: a, b" in every.message


def test_tenants_run_on_nodes_of_their_own_of_all_or_of_nobody() -> None:
    owner = census.owner_of_nodes
    assert owner("acme", is_dedicated=True, is_settled=True) == "acme"
    assert owner("acme", is_dedicated=False, is_settled=True) == names.SHARED
    assert owner("acme", is_dedicated=False, is_settled=False) == ""


def test_a_shared_tenant_hears_that_no_node_is_there_for_it() -> None:
    found = placement.judge(Placement(dedicated=False, without=True))
    assert (found.status, found.reason) == ("True", "NoNodes")
    assert "no node is labelled for shared tenants, so their new pods wait" in found.message
