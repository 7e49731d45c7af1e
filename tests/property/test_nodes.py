"""Whatever happens, in whatever order: nobody's node is another's, and no wall goes too early."""

import asyncio
import itertools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from memory_cluster import MemoryCluster, Write
from securetenant.api import kinds, names
from securetenant.api.nodes import SettingsNodes, TenantNodes
from securetenant.api.objects import Ref
from securetenant.concerns.nodes.nodes import Nodes, Surroundings
from securetenant.plan import nodes
from securetenant.plan.nodes import NodeFacts
from securetenant.reconcile.errors import ConflictError
from securetenant.reconcile.node_book import NodeBook
from silent import Silent

POOL = "node-restriction.kubernetes.io/pool"
TENANTS, NODES = ("red", "blue"), ("n1", "n2")
SETTINGS = SettingsNodes.model_validate(
    {"shared": {"matchLabels": {POOL: "shared"}}, "dedicable": {"matchLabels": {POOL: "own"}}}
)
OTHER = {"key": "other", "effect": "NoSchedule"}


class Cluster(MemoryCluster):
    """Nodes and pods; checks each write of the product."""

    def __init__(self) -> None:
        super().__init__(*TENANTS, "default")
        self.interferes = False
        """Whether somebody writes another taint just before the next patch of the product."""
        self.interfered = False
        self.started = itertools.count()
        self.fault = self._interfere
        self.wrote = self._judge

    @property
    def nodes(self) -> list[str]:
        return [ref.name for ref in self.objects if ref.kind == kinds.NODE.name]

    def register(self, name: str, pool: str) -> None:
        """Register a node, anew if it is there; what ran there ran on the other one."""
        if node(name) in self.objects:
            self.remove(node(name))
        self.clear(name)
        metadata = {"name": name, "labels": {POOL: pool}}
        self.put({"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": {}})

    def facts(self, name: str) -> NodeFacts:
        return nodes.observe(self.objects[node(name)])

    def run(self, namespace: str, where: str) -> None:
        """Let a pod run on a node."""
        metadata = {"namespace": namespace, "name": f"p{next(self.started)}"}
        spec = {"nodeName": where}
        self.put({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})

    def pods(self, where: str = "", namespace: str = "") -> list[Ref]:
        """Return the pods, those of a node or of a namespace."""
        return [
            ref
            for ref, body in self.objects.items()
            if ref.kind == kinds.POD.name
            and where in ("", body["spec"]["nodeName"])
            and namespace in ("", ref.namespace)
        ]

    def clear(self, where: str = "") -> None:
        """Let the pods go, of a node or all."""
        for ref in self.pods(where):
            self.remove(ref)

    def _interfere(self, verb: str, ref: Ref, _: Any) -> None:
        if verb == "amend" and self.interferes:
            self.interferes, self.interfered = False, True
            body = self.objects[ref]
            taints = [*body["spec"].get("taints", ()), OTHER]
            self.put({**body, "spec": {"taints": taints}})

    def _judge(self, write: Write) -> None:
        """Hold what must hold at every moment."""
        assert write.verb in ("apply", "amend"), write
        assert write.before is not None
        before, after = nodes.observe(write.before), nodes.observe(write.after)
        if after.label not in ("", names.SHARED):
            assert any(
                each.value == after.label and each.effect == "NoSchedule"
                for each in after.our_taints
            ), "a label without its taint"
        for taint in set(before.our_taints) - set(after.our_taints):
            there = self.pods(write.ref.name, taint.value)
            assert not there or taint.value == after.label, "a wall that went before the pods"
        others = [each for each in before.taints if each.key != names.NODE_TAINT]
        assert others == [each for each in after.taints if each.key != names.NODE_TAINT]


def node(name: str) -> Ref:
    return Ref(kinds.NODE.name, "", name)


class World:
    """The cluster, and an operator that may be started anew."""

    def __init__(self) -> None:
        self.cluster = Cluster()
        self.asked: dict[str, TenantNodes] = {}
        for name in NODES:
            self.cluster.register(name, "own")
        self.restart()

    def restart(self) -> None:
        around = Surroundings(
            # A tenant has one namespace of its own name.
            owner_of=lambda namespace: namespace if namespace in TENANTS else "",
            is_retained=lambda _: False,
            is_held=lambda _: False,
        )
        self.book = NodeBook()
        # Nobody asks for it, so no other node is the last one of the platform.
        metadata = {"name": "platform", "uid": "platform", "resourceVersion": "1"}
        self.nodes = Nodes(cluster=self.cluster, meter=Silent(), around=around, book=self.book)
        self.book.put({"metadata": metadata, "spec": {}})
        for tenant, asked in self.asked.items():
            self.nodes.ask(tenant, asked)

    def take(self, step: Any) -> None:
        match step:
            case ("register", name, pool):
                self.cluster.register(name, pool)
            case ("ask", tenant, None):
                self.asked.pop(tenant, None)
                self.nodes.ask(tenant, None)
            case ("ask", tenant, wanted):
                found = TenantNodes.model_validate({"dedication": "Dedicated", **wanted})
                self.asked[tenant] = found
                self.nodes.ask(tenant, found)
            case ("run", tenant, name):
                # The scheduler: label and taint allow it.
                if self.cluster.facts(name).label == tenant:
                    self.cluster.run(tenant, name)
            case ("foreign", _, name):
                if not self.cluster.facts(name).our_taints:
                    self.cluster.run("default", name)
            case ("empty", _, name):
                self.cluster.clear(name)
            case ("interfere", _, _):
                self.cluster.interferes = True
            case ("restart", _, _):
                self.restart()

    async def look(self) -> None:
        """See every node, and work on each."""
        for name in self.cluster.nodes:
            self.book.put(self.cluster.objects[node(name)])
            self.cluster.interfered = False
            try:
                await self.nodes.converge(name, SETTINGS)
            except ConflictError:
                assert self.cluster.interfered


wanted = st.one_of(
    st.none(),
    st.just({"selector": {"matchLabels": {POOL: "own"}}}),
    st.builds(
        lambda some, eviction: {"names": sorted(some), "eviction": eviction},
        st.sets(st.sampled_from(NODES), min_size=1),
        st.sampled_from(["Wait", "Evict"]),
    ),
)
steps = st.one_of(
    st.tuples(st.just("register"), st.sampled_from(NODES), st.sampled_from(["own", "shared", "x"])),
    st.tuples(st.just("ask"), st.sampled_from(TENANTS), wanted),
    st.tuples(
        st.sampled_from(["run", "foreign", "empty", "interfere", "restart"]),
        st.sampled_from(TENANTS),
        st.sampled_from(NODES),
    ),
)


chapters = st.one_of(
    st.tuples(st.tuples(steps, st.booleans())),
    # A tenant gets a node, runs there, and gives it back.
    st.builds(
        lambda tenant, name: (
            (("ask", tenant, {"names": [name]}), True),
            (("run", tenant, name), True),
            (("ask", tenant, None), True),
        ),
        st.sampled_from(TENANTS),
        st.sampled_from(NODES),
    ),
)


@given(st.lists(chapters, max_size=15))
def test_walls_stand_at_every_moment_and_in_the_end_each_node_has_whom_the_specs_say(
    story: list[tuple[tuple[Any, bool], ...]],
) -> None:
    world = World()

    async def play() -> None:
        for step, looks in itertools.chain.from_iterable(story):
            world.take(step)
            if looks:
                await world.look()
        # Pods go, the dust settles.
        world.cluster.clear()
        for _ in range(4):
            await world.look()

    asyncio.run(play())
    for name in world.cluster.nodes:
        facts = world.cluster.facts(name)
        asking = {
            tenant
            for tenant, asked in world.asked.items()
            if name in (asked.names or ())
            or (asked.selector is not None and asked.selector.selects(facts.labels))
        }
        pool = facts.labels[POOL]
        if not asking or (pool != "own" and facts.label not in asking):
            expected = {"", names.SHARED} if pool == "shared" and not asking else {""}
            assert facts.label in expected
            assert not facts.our_taints
        elif len(asking) == 1:
            assert {facts.label} == asking
        else:
            assert facts.label in {"", *asking}
        if facts.label in TENANTS:
            assert {(each.value, each.effect) for each in facts.our_taints} == {
                (facts.label, "NoExecute"),
                (facts.label, "NoSchedule"),
            }
