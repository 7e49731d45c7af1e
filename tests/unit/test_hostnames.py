"""Host names: a name has one owner at a time, whatever comes in whatever order."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securetenant.api.workloads import serves
from securetenant.plan.hostnames import Hostnames, NameRequest

TENANTS = ["red", "blue", "green"]
OLD, NEW = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"

labels = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3)
ends = st.builds(lambda dot, found: dot + ".".join(found), st.sampled_from(["", "."]), labels)
claims = st.one_of(
    st.none(),
    st.builds(
        NameRequest,
        st.sampled_from([OLD, NEW]),
        st.lists(ends, max_size=3, unique=True).map(tuple),
    ),
)
histories = st.lists(st.tuples(st.sampled_from(TENANTS), claims), max_size=12)


def overlap(one: str, other: str) -> bool:
    """Tell whether a host can be served by both."""
    if one.startswith(".") and other.startswith("."):
        return one.endswith(other) or other.endswith(one)
    return serves([one], other) or serves([other], one)


def overlapping(some: Iterable[str], others: Iterable[str]) -> bool:
    theirs = list(others)
    return any(overlap(one, other) for one in some for other in theirs)


@given(histories)
def test_no_two_tenants_have_overlapping_ends(
    history: list[tuple[str, NameRequest | None]],
) -> None:
    """And while nobody has anything in force, nobody gives way but to an older claim."""
    index, last = Hostnames(), dict[str, NameRequest]()
    for tenant, claim in history:
        index.put(tenant, claim)
        last.pop(tenant, None)
        if claim is not None:
            last[tenant] = claim
    had = {
        tenant: set(claim.ends) - index.taken(tenant, claim.ends).keys()
        for tenant, claim in last.items()
    }
    for tenant, mine in had.items():
        for other, theirs in had.items():
            assert tenant == other or not overlapping(mine, theirs)
        for end, owner in index.taken(tenant, last[tenant].ends).items():
            assert (last[owner].created, owner) < (last[tenant].created, tenant)
            assert any(overlap(end, each) for each in last[owner].ends)


@given(histories, st.sampled_from(TENANTS), claims)
def test_whoever_gains_or_loses_by_a_claim_is_told(
    history: list[tuple[str, NameRequest | None]], tenant: str, claim: NameRequest | None
) -> None:
    index, last = Hostnames(), dict[str, NameRequest | None]()
    for each, earlier in history:
        index.put(each, earlier)
        last[each] = earlier

    def taken(each: str) -> dict[str, str]:
        found = last.get(each)
        return index.taken(each, found.ends if found else ())

    before = {each: taken(each) for each in TENANTS}
    concerned = index.put(tenant, claim)
    for each, had in before.items():
        assert each == tenant or each in concerned or taken(each) == had


class World:
    """A cluster with TenantPolicies, and an operator that writes them and may be restarted."""

    def __init__(self) -> None:
        self.names = Hostnames()
        self.claims: dict[str, NameRequest] = {}
        self.policies: dict[tuple[str, str], frozenset[str]] = {}
        self.scopes: dict[str, frozenset[str]] = {}
        self.flying: list[tuple[str, str, frozenset[str]]] = []
        """Writes that are under way, each by the scope of its time."""

    def ask(self, tenant: str, claim: NameRequest) -> None:
        self.claims[tenant] = claim
        self.names.put(tenant, claim)

    def change(self, tenant: str, claim: NameRequest) -> None:
        """Change a spec, have it read, and begin to write."""
        self.ask(tenant, claim)
        self.read(tenant)
        self.write(tenant, "one")

    def read(self, tenant: str) -> set[str]:
        """Read a tenant; return whom that concerns."""
        if tenant not in self.claims:
            return set()
        asked = self.claims[tenant].ends
        got = frozenset(set(asked) - self.names.taken(tenant, asked).keys())
        concerned = self.names.give(tenant, got)
        self.scopes[tenant] = got
        self.settle(tenant)
        return concerned

    def write(self, tenant: str, namespace: str) -> None:
        if tenant in self.scopes:
            self.flying.append((tenant, namespace, self.scopes[tenant]))

    def land(self, number: int) -> None:
        """Let a write reach the API server; none overtakes an earlier one of the same object."""
        if self.flying:
            tenant, namespace, got = self.flying.pop(number % len(self.flying))
            self.put(tenant, namespace, got)

    def put(self, tenant: str, namespace: str, got: frozenset[str]) -> None:
        before = self.policies.get((tenant, namespace), frozenset())
        self.policies[tenant, namespace] = got
        self.names.observe(tenant, before, got)
        self.settle(tenant)

    def settle(self, tenant: str) -> None:
        wanted = self.scopes.get(tenant, frozenset())
        writing = any(each[0] == tenant for each in self.flying)
        if not writing and all(
            self.policies.get((tenant, each)) == wanted for each in ("one", "two")
        ):
            self.names.settle(tenant)

    def remove(self, tenant: str, namespace: str) -> None:
        before = self.policies.pop((tenant, namespace), frozenset())
        self.names.observe(tenant, before, ())

    def gone(self, tenant: str) -> None:
        """Delete a SecureTenant: what it had is retained."""
        self.flying = [each for each in self.flying if each[0] != tenant]
        self.claims.pop(tenant, None)
        self.scopes.pop(tenant, None)
        self.names.forget(tenant)

    def restart(self) -> None:
        self.flying, self.scopes, self.names = [], {}, Hostnames()
        for (tenant, _), got in self.policies.items():
            self.names.observe(tenant, (), got)
        for tenant, claim in self.claims.items():
            self.names.put(tenant, claim)

    def do(self, step: str, tenant: str, claim: NameRequest, namespace: str, number: int) -> None:
        match step:
            case "change":
                self.change(tenant, claim)
            case "ask":
                self.ask(tenant, claim)
            case "read":
                self.read(tenant)
            case "write":
                self.write(tenant, namespace)
            case "land":
                self.land(number)
            case "remove":
                self.remove(tenant, namespace)
            case "gone":
                self.gone(tenant)
            case _:
                self.restart()

    def check(self) -> None:
        for (one, _), mine in self.policies.items():
            for (other, _), theirs in self.policies.items():
                assert one == other or not overlapping(mine, theirs)


few = st.lists(st.sampled_from([".a", ".x.a", ".b"]), max_size=2, unique=True).map(tuple)
KINDS = ["change"] * 4 + ["land"] * 4 + ["read", "write", "ask", "remove", "gone", "restart"]
steps = st.lists(
    st.tuples(
        st.sampled_from(KINDS),
        st.sampled_from(TENANTS[:2]),
        st.builds(NameRequest, st.sampled_from([OLD, NEW]), few),
        st.sampled_from(["one", "two"]),
        st.integers(0, 2),
    ),
    min_size=12,
    max_size=40,
)


@given(steps)
def test_at_no_moment_do_two_tenants_have_overlapping_names_in_force(
    history: list[tuple[str, str, NameRequest, str, int]],
) -> None:
    """S5: age took names away from a tenant that had them in force, retained ones too."""
    world = World()
    for step, tenant, claim, namespace, number in history:
        world.do(step, tenant, claim, namespace, number)
        world.check()


@given(st.permutations(TENANTS), st.lists(st.sampled_from(TENANTS), min_size=3, max_size=9))
def test_a_name_that_is_in_force_stays_where_it_is_over_a_restart(
    order: list[str], reads: list[str]
) -> None:
    """S5: whoever has it in force keeps it, however old the others are."""
    world = World()
    first, *others = order
    world.ask(first, NameRequest(NEW, (".a",)))
    world.read(first)
    world.put(first, "one", world.scopes[first])
    for each in others:
        world.ask(each, NameRequest(OLD, (".x.a",)))
    for each in (*reads, *order):
        world.read(each)
        assert world.names.taken(first, [".a"]) == {}
        world.restart()
    assert [world.names.taken(each, [".x.a"]) for each in others] == [{".x.a": first}] * 2


def test_a_retained_name_is_free_when_its_last_tenant_policy_is_gone() -> None:
    """S5: a deleted SecureTenant loses its names to the next one that asks."""
    world = World()
    world.ask("red", NameRequest(OLD, (".a",)))
    world.read("red")
    for each in ("one", "two"):
        world.put("red", each, world.scopes["red"])
    world.gone("red")
    world.ask("blue", NameRequest(NEW, (".b.a",)))
    world.read("blue")
    assert world.names.taken("blue", [".b.a"]) == {".b.a": "red"}
    world.remove("red", "one")
    assert world.names.taken("blue", [".b.a"]) == {".b.a": "red"}
    assert world.names.observe("red", {".a"}, ()) == {"blue"}, "it is told"
    assert world.names.taken("blue", [".b.a"]) == {}


def test_a_name_is_handed_over_when_nothing_of_it_can_be_written_any_more() -> None:
    """S5: a write that is under way may land after the name was given up."""
    world = World()
    world.ask("red", NameRequest(OLD, (".a",)))
    world.read("red")
    world.write("red", "one")
    world.ask("red", NameRequest(OLD, ()))
    world.read("red")
    world.ask("blue", NameRequest(NEW, (".a",)))
    world.read("blue")
    assert world.scopes["blue"] == frozenset()
    world.land(0)
    for each in ("one", "two"):
        world.put("red", each, frozenset())
    world.read("blue")
    assert world.scopes["blue"] == {".a"}


@pytest.mark.parametrize("end", [".a", ".x.a"])
def test_of_two_that_have_a_name_from_before_one_gives_way(end: str) -> None:
    """Retained ones cannot; between two SecureTenants the older keeps it."""
    names = Hostnames()
    names.observe("red", (), [".a"])
    names.observe("blue", (), [end])
    names.put("red", NameRequest(NEW, (".a",)))
    names.put("blue", NameRequest(OLD, (end,)))
    assert names.taken("red", [".a"]) == {".a": "blue"}
    assert names.taken("blue", [end]) == {}
    names.forget("red")
    assert names.taken("blue", [end]) == {end: "red"}


def test_a_narrower_part_of_what_a_tenant_has_is_its_own() -> None:
    """Nobody older can come between."""
    names = Hostnames()
    names.observe("red", (), [".a"])
    names.put("blue", NameRequest(OLD, (".x.a",)))
    names.put("red", NameRequest(NEW, (".x.a",)))
    assert names.taken("red", [".x.a"]) == {}
    assert names.taken("blue", [".x.a"]) == {".x.a": "red"}


def test_a_name_that_somebody_wrote_into_a_retained_namespace_takes_it_from_nobody() -> None:
    """Age decided between two that have one name, so an older tenant's copy of it won."""
    names = Hostnames()
    names.put("red", NameRequest(NEW, (".a",)))
    names.put("blue", NameRequest(OLD, ()))
    names.give("red", [".a"])
    names.observe("red", (), [".a"])
    names.observe("blue", (), [".x.a", ".b"])
    assert names.taken("red", [".a"]) == {}
    assert names.stray("blue", [".x.a", ".b"]) == {".x.a"}
    assert names.stray("red", [".a"]) == set()
    # What was retained with a name that nobody else was given keeps it.
    names.observe("blue", (), [".c"])
    names.put("red", NameRequest(NEW, (".a", ".c")))
    assert names.taken("red", [".c"]) == {".c": "blue"}
    assert names.stray("blue", [".c"]) == set()
