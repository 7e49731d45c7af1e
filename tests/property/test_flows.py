"""Which tenant queues in which flow, whoever comes and goes."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from securetenant.api import names
from securetenant.plan import flows

steps = st.lists(st.tuples(st.booleans(), st.integers(0, 200)), max_size=300)


def spaces(tenants: set[int]) -> dict[str, set[str]]:
    return {f"t{each}": {f"t{each}-a", f"t{each}-b"} for each in tenants}


def inside(placed: dict[str, int]) -> dict[int, set[str]]:
    """Return what the FlowSchemas hold when every tenant is in its own."""
    found: dict[int, set[str]] = {}
    for tenant, number in placed.items():
        found.setdefault(number, set()).update({f"{tenant}-a", f"{tenant}-b"})
    return found


def play(changes: list[tuple[bool, int]]) -> list[tuple[dict[str, int], dict[str, int]]]:
    """Let tenants come and go one by one; return who was where before and after each."""
    present: set[int] = set()
    placed: dict[str, int] = {}
    history = []
    for comes, number in changes:
        present = present | {number} if comes else present - {number}
        before = placed
        kept = {tenant: where for tenant, where in placed.items() if tenant in spaces(present)}
        new = {each: held for each, held in spaces(present).items() if each not in kept}
        placed = {**kept, **flows.place(new, {}, Counter(kept.values()))}
        history.append((before, placed))
    return history


@given(steps)
def test_every_tenant_is_in_one_of_at_most_64_flows(changes: list[tuple[bool, int]]) -> None:
    for _, placed in play(changes):
        assert all(0 <= number < names.FLOWS for number in placed.values())
    if changes:
        present: set[int] = set()
        for comes, number in changes:
            present = present | {number} if comes else present - {number}
        assert placed.keys() == spaces(present).keys()


@given(steps)
def test_nobody_is_moved_when_others_come_and_go(changes: list[tuple[bool, int]]) -> None:
    for before, after in play(changes):
        assert all(after[tenant] == before[tenant] for tenant in before.keys() & after.keys())


@given(steps)
def test_a_restart_finds_everybody_where_he_was(changes: list[tuple[bool, int]]) -> None:
    history = play(changes)
    placed = history[-1][1] if history else {}
    tenants = spaces({int(each[1:]) for each in placed})
    assert flows.place(tenants, inside(placed), {}) == placed


@given(st.sets(st.integers(0, 500), max_size=names.FLOWS))
def test_the_first_tenants_have_a_flow_of_their_own(tenants: set[int]) -> None:
    placed = flows.place(spaces(tenants), {}, {})
    assert len(set(placed.values())) == len(tenants)


@given(st.sets(st.integers(0, 500)))
def test_the_others_are_spread_evenly(tenants: set[int]) -> None:
    count = Counter(flows.place(spaces(tenants), {}, {}).values())
    assert max(count.values(), default=0) <= -(-len(tenants) // names.FLOWS)


@given(steps, st.integers(201, 300))
def test_a_new_tenant_shares_only_when_no_flow_is_empty(
    changes: list[tuple[bool, int]], newcomer: int
) -> None:
    history = play(changes)
    placed = history[-1][1] if history else {}
    tenants = {int(each[1:]) for each in placed} | {newcomer}
    new = {each: held for each, held in spaces(tenants).items() if each not in placed}
    number = flows.place(new, {}, Counter(placed.values()))[f"t{newcomer}"]
    taken = set(placed.values())
    assert number not in taken or len(taken) == names.FLOWS
