"""The steps that are computed are the writes that are made, in that order."""

import asyncio
import datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from factory import seen, settings_spec, tenant
from memory_cluster import MemoryCluster
from securetenant.api import kinds, names
from securetenant.api.objects import Ref
from securetenant.desired import unit
from securetenant.desired.scope import Scope
from securetenant.plan import expected, ownership, steps
from securetenant.plan.steps import Step, Verb
from securetenant.reconcile.store import Store
from securetenant.reconcile.tenants import Tenants
from securetenant.reconcile.unit import Task, Writer
from silent import Silent

GRANT: dict[str, Any] = {
    "name": "admins",
    "role": "Admin",
    "subjects": [{"kind": "Group", "name": "acme"}],
}
NAMESPACE = Ref(kinds.NAMESPACE.name, "", "acme-a")
STRAY = {
    "apiVersion": kinds.NETWORK_POLICY.api_version,
    "kind": kinds.NETWORK_POLICY.name,
    "metadata": {
        "name": "securetenant-withdrawn",
        "namespace": "acme-a",
        "labels": {names.MANAGED_BY_LABEL: names.MANAGED_BY},
    },
    "spec": {"podSelector": {}},
}


def scope_of(name: str) -> Scope:
    tenants = Tenants()
    body = tenant(name, namespaces=[{"name": f"{name}-a"}], access=[GRANT])
    tenants.see(name, seen(body))
    tenants.read(name, settings_spec(), Store())
    return tenants.records[name].units[f"{name}-a"].scope


SCOPE = scope_of("acme")
WANTED = expected.expect(unit.build(SCOPE))


class World:
    """A cluster and what a writer has seen of it."""

    def __init__(self) -> None:
        self.cluster, self.store = MemoryCluster(), Store()
        self.writer = Writer(
            cluster=self.cluster,
            store=self.store,
            meter=Silent(),
            announcer=Silent(),
            now=lambda: datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
        )

    def converge(self) -> None:
        task = Task(scope=SCOPE, wanted=WANTED, settled=True, was_ready=False)
        asyncio.run(self.writer.converge(task))
        self.look()

    def look(self) -> None:
        """See all there is, as informers would."""
        for ref, body in self.cluster.objects.items():
            self.store.put(ref, ownership.observe(body))

    def lose(self, ref: Ref) -> None:
        gone = self.cluster.remove(ref)
        self.store.drop(ref, int(gone["metadata"]["resourceVersion"]))

    def change(self, ref: Ref) -> None:
        body = self.cluster.objects[ref]
        wrong = {"metadata": {**body["metadata"], "labels": {names.MANAGED_BY_LABEL: "x"}}}
        self.cluster.put({**body, **wrong})


def made(world: World) -> list[Step]:
    """Return the writes as steps; what an apply needs beside itself belongs to it."""
    found: list[Step] = []
    for verb, ref, _, after in world.cluster.writes:
        ready = names.READY_FOR_LABEL in (after["metadata"].get("labels") or {})
        word = {"create": Verb.CREATE, "delete": Verb.WITHDRAW}.get(verb, Verb.APPLY)
        if ref == NAMESPACE and word is Verb.APPLY:
            word = Verb.OPEN if ready else Verb.MARK
        step = Step(word, ref)
        if step not in found:
            found.append(step)
    return found


def test_a_new_namespace_has_its_walls_before_it_has_access_and_pods() -> None:
    world = World()
    planned = steps.steps(WANTED, world.store.inside("acme-a"))
    world.converge()
    assert [each for each in made(world) if each.verb is not Verb.MARK] == list(planned)
    refs = [each.ref for each in planned]
    grants = [place for place, ref in enumerate(refs) if ref.kind == kinds.ROLE_BINDING.name]
    assert planned[0] == Step(Verb.CREATE, NAMESPACE)
    assert planned[-1] == Step(Verb.OPEN, NAMESPACE)
    assert min(grants) > refs.index(WANTED.quota)


@given(
    st.sets(st.sampled_from(sorted(WANTED.digests))),
    st.sets(st.sampled_from(sorted(WANTED.digests))),
    st.booleans(),
)
def test_what_is_repaired_is_what_was_planned_in_that_order(
    lost: set[Ref], changed: set[Ref], is_added: bool
) -> None:
    world = World()
    world.converge()
    for ref in lost:
        world.lose(ref)
    for ref in changed - lost:
        world.change(ref)
    if is_added:
        world.cluster.put(STRAY)
    world.look()
    world.cluster.writes.clear()
    planned = steps.steps(WANTED, world.store.inside("acme-a"))
    world.converge()
    assert made(world) == list(planned)
    assert steps.steps(WANTED, world.store.inside("acme-a")) == ()
