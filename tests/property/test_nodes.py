"""Whatever happens, in whatever order: nobody's node is another's, and no wall goes too early."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

from hypothesis import given
from hypothesis import strategies as st

from securetenant.api import kinds, names
from securetenant.api.kinds import Kind
from securetenant.api.nodes import SettingsNodes, TenantNodes
from securetenant.api.objects import Body, Manifest, Page, Ref
from securetenant.plan import nodes
from securetenant.plan.nodes import NodeFacts
from securetenant.reconcile.errors import ConflictError, MissingError
from securetenant.reconcile.nodes import Nodes, Surroundings

T = TypeVar("T")
POOL = "node-restriction.kubernetes.io/pool"
TENANTS, NODES = ("red", "blue"), ("n1", "n2")
SETTINGS = SettingsNodes.model_validate(
    {"shared": {"matchLabels": {POOL: "shared"}}, "dedicable": {"matchLabels": {POOL: "own"}}}
)
OTHER = {"key": "other", "effect": "NoSchedule"}


class Cluster:
    """Nodes and pods; refuses a write that was made of an older node, and looks at each."""

    def __init__(self) -> None:
        self.bodies: dict[str, dict[str, Any]] = {}
        self.pods: set[tuple[str, str, str]] = set()
        """Namespace, name, node."""
        self.version = 0
        self.interferes = False
        """Whether somebody writes a taint of theirs just before the next write of ours."""

    def register(self, name: str, pool: str) -> None:
        self.version += 1
        metadata = {"name": name, "uid": f"{name}-{self.version}", "labels": {POOL: pool}}
        self.bodies[name] = {"metadata": metadata, "spec": {}}
        self.touch(name)

    def touch(self, name: str) -> None:
        self.version += 1
        body = self.bodies[name]
        metadata = {**body["metadata"], "resourceVersion": str(self.version)}
        self.bodies[name] = {**body, "metadata": metadata}

    def facts(self, name: str) -> NodeFacts:
        return nodes.observe(self.bodies[name])

    async def read(self, ref: Ref) -> Body | None:
        return self.bodies.get(ref.name)

    async def apply(self, manifest: Manifest) -> Body:
        name, wanted = manifest.ref.name, manifest.body["metadata"]
        if name not in self.bodies or self.bodies[name]["metadata"]["uid"] != wanted["uid"]:
            raise ConflictError("another uid")
        self._write(name, labels=wanted["labels"])
        return self.bodies[name]

    async def amend(self, ref: Ref, patch: list[dict[str, Any]]) -> Body:
        if ref.name not in self.bodies:
            raise MissingError("gone")
        if self.interferes:
            self.interferes = False
            spec = self.bodies[ref.name]["spec"]
            spec["taints"] = [*spec.get("taints", ()), OTHER]
            self.touch(ref.name)
        metadata = self.bodies[ref.name]["metadata"]
        test, change = patch
        if test["path"] == "/metadata/resourceVersion":
            if test["value"] != metadata["resourceVersion"]:
                raise ConflictError("changed meanwhile")
            self._write(ref.name, taints=change.get("value", ()))
        else:
            assert metadata["labels"].get(names.NODE_LABEL) == test["value"]
            self._write(ref.name, labels={names.NODE_LABEL: None})
        return self.bodies[ref.name]

    async def pages(
        self,
        kind: Kind,
        *,
        take: Callable[[dict[str, Any]], T],
        namespace: str = "",
        fields: str = "",
        size: int = 500,
    ) -> AsyncIterator[Page[T]]:
        assert (kind, namespace) == (kinds.POD, "")
        assert size > 0
        node = fields.partition("=")[2]
        bodies = (
            {"metadata": {"namespace": space, "name": name}, "spec": {"nodeName": where}}
            for space, name, where in sorted(self.pods)
            if where == node
        )
        yield Page("1", [take(each) for each in bodies])

    def _write(self, name: str, *, labels: Any = None, taints: Any = None) -> None:
        """Write to a node, and hold what must hold at every moment."""
        before, body = self.facts(name), self.bodies[name]
        if labels is not None:
            both = {**body["metadata"]["labels"], **labels}
            kept = {key: value for key, value in both.items() if value is not None}
            body["metadata"] = {**body["metadata"], "labels": kept}
        if taints is not None:
            body["spec"] = {"taints": list(taints)} if taints else {}
        self.touch(name)
        after = self.facts(name)
        if after.label not in ("", names.SHARED):
            assert any(
                each.value == after.label and each.effect == "NoSchedule"
                for each in after.our_taints
            ), "a label without its taint"
        for taint in set(before.our_taints) - set(after.our_taints):
            there = [each for each in self.pods if each[2] == name and each[0] == taint.value]
            assert not there or taint.value == after.label, "a wall that went before the pods"
        others = [each for each in before.taints if each.key != names.NODE_TAINT]
        assert others == [each for each in after.taints if each.key != names.NODE_TAINT]

    async def unused(self, *_: Any) -> Any:
        raise AssertionError

    create = delete = apply_status = unused


class Silent:
    def wrote(self, verb: str, kind: str) -> None: ...
    def policies_in_force(self, yes: bool) -> None: ...
    def rolled_out(self, followed: int, total: int, *, halted: bool) -> None: ...
    def drifted(self, kind: str) -> None: ...
    def reconciled(self, kind: str, seconds: float, *, failed: bool) -> None: ...


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
        self.nodes = Nodes(cluster=self.cluster, meter=Silent(), around=around)
        for tenant, asked in self.asked.items():
            self.nodes.ask(tenant, asked)

    def take(self, step: Any) -> None:
        match step:
            case ("register", name, pool):
                self.cluster.register(name, pool)
                # What ran there ran on the other one.
                self.cluster.pods = {each for each in self.cluster.pods if each[2] != name}
            case ("ask", tenant, None):
                self.asked.pop(tenant, None)
                self.nodes.ask(tenant, None)
            case ("ask", tenant, wanted):
                found = TenantNodes.model_validate({"dedication": "Dedicated", **wanted})
                self.asked[tenant] = found
                self.nodes.ask(tenant, found)
            case ("run", tenant, name):
                # The scheduler: label and taint allow it.
                if name in self.cluster.bodies and self.cluster.facts(name).label == tenant:
                    self.cluster.pods.add((tenant, f"p{len(self.cluster.pods)}", name))
            case ("foreign", _, name):
                if name in self.cluster.bodies and not self.cluster.facts(name).our_taints:
                    self.cluster.pods.add(("default", "x", name))
            case ("empty", _, name):
                self.cluster.pods = {each for each in self.cluster.pods if each[2] != name}
            case ("interfere", _, _):
                self.cluster.interferes = True
            case ("restart", _, _):
                self.restart()

    async def look(self) -> None:
        """See every node, and work on each."""
        for name, body in list(self.cluster.bodies.items()):
            self.nodes.seen(name, body)
            try:
                await self.nodes.converge(name, SETTINGS)
            except ConflictError:
                continue


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
        world.cluster.pods.clear()
        for _ in range(4):
            await world.look()

    asyncio.run(play())
    for name in world.cluster.bodies:
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
