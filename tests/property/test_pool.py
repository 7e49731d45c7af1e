"""The pool, for one resource, against what must hold of every decision and an optimal allocator."""

from hypothesis import given
from hypothesis import strategies as st

from securetenant.plan import pool
from securetenant.plan.pool import Member

NAMES = ("aaa", "bbb", "ccc", "ddd", "eee")


@st.composite
def members(draw: st.DrawFn) -> tuple[int, dict[str, Member]]:
    """Return a total and namespaces whose guaranteed parts fit into it."""
    total = draw(st.integers(0, 200))
    left = total
    found = {}
    for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True)):
        guaranteed = draw(st.integers(0, left)) if draw(st.booleans()) else 0
        left -= guaranteed
        held = draw(st.one_of(st.none(), st.integers(0, 120)))
        found[name] = Member(
            weight=draw(st.integers(1, 5)),
            guaranteed=guaranteed,
            most=draw(st.one_of(st.just(total), st.integers(guaranteed, total))),
            held=held,
            # Before a namespace has a quota nothing is counted, and nothing refused.
            used=0 if held is None else draw(st.integers(0, 60)),
            wanted=0 if held is None else draw(st.one_of(st.just(0), st.integers(0, 100))),
            piece=draw(st.integers(1, 10)),
        )
    return total, found


worlds = members()
needs = st.integers(1, 20)
steps = st.sampled_from([1, 4])


@given(worlds, needs, steps)
def test_the_sum_is_never_above_the_total(
    world: tuple[int, dict[str, Member]], need: int, step: int
) -> None:
    total, found = world
    assert sum(pool.allot(total, found, need=need, step=step).values()) <= total


@given(worlds, needs)
def test_what_is_guaranteed_is_there_and_the_most_is_kept(
    world: tuple[int, dict[str, Member]], need: int
) -> None:
    total, found = world
    shares = pool.allot(total, found, need=need, step=1)
    for name, each in found.items():
        assert each.guaranteed <= shares[name] <= each.most


@given(worlds, needs, steps)
def test_a_second_decision_changes_nothing(
    world: tuple[int, dict[str, Member]], need: int, step: int
) -> None:
    """Where all that is used fits: else it is taken back, and the order of that may change."""
    total, found = world
    in_use = sum(max(each.guaranteed, min(each.used, each.most)) for each in found.values())
    if in_use > total or any(each.held is None for each in found.values()):
        return
    shares = pool.allot(total, found, need=need, step=step)
    again = {name: each._replace(held=shares[name]) for name, each in found.items()}
    assert pool.allot(total, again, need=need, step=step) == shares


@given(worlds, needs)
def test_nobody_is_refused_while_an_optimal_allocator_would_have_room(
    world: tuple[int, dict[str, Member]], need: int
) -> None:
    """Where all that is used, guaranteed and asked for fits, all of it is given.

    Not to who can never get a single piece.
    """
    total, found = world
    goals = {
        name: max(each.guaranteed, min(max(each.used, each.wanted), each.most))
        for name, each in found.items()
        if each.held is not None
    }
    if len(goals) < len(found) or sum(goals.values()) > total:
        return
    shares = pool.allot(total, found, need=need, step=1)
    for name, each in found.items():
        if each.used + each.piece <= each.most:
            assert shares[name] >= min(each.wanted, each.most)


@given(worlds, needs)
def test_what_somebody_uses_is_taken_by_nobody(
    world: tuple[int, dict[str, Member]], need: int
) -> None:
    """A share shrinks below what is used there only where all guaranteed parts need it."""
    total, found = world
    floors = sum(max(each.guaranteed, min(each.used, each.most)) for each in found.values())
    if floors > total:
        return
    shares = pool.allot(total, found, need=need, step=1)
    for name, each in found.items():
        assert shares[name] >= min(each.held or 0, each.used, each.most)


def idle(held: int | None, **changes: int) -> Member:
    """Return a namespace of weight 1 that uses nothing."""
    return Member(1, 0, 1000, held, 0)._replace(**changes)


def test_new_namespaces_begin_with_their_part_by_weight() -> None:
    found = {"a": idle(None, weight=3), "b": idle(None), "c": idle(None)}
    assert pool.allot(7, found, need=1, step=1) == {"a": 4, "b": 2, "c": 1}


def test_a_small_total_gives_as_many_as_it_can_what_one_pod_takes() -> None:
    """Twenty parts of 400 would hold no pod of 500; sixteen of 500 hold one each."""
    found = {f"n{number:02}": idle(None) for number in range(20)}
    shares = pool.allot(8000, found, need=500, step=1)
    assert sorted(shares.values()) == [0] * 4 + [500] * 16


def test_nothing_moves_while_nothing_is_asked_for() -> None:
    """Also where weights changed, or a little is free."""
    found = {"a": idle(30, weight=9), "b": idle(30)}
    assert pool.allot(63, found, need=1, step=1) == {"a": 30, "b": 30}


def test_what_a_higher_total_gives_is_shared_by_weight() -> None:
    found = {"a": idle(30, weight=3), "b": idle(30)}
    assert pool.allot(100, found, need=1, step=1) == {"a": 60, "b": 40}


def test_what_is_asked_for_comes_from_what_nobody_has_first() -> None:
    found = {"a": idle(300, used=298, wanted=305, piece=5), "b": idle(300, used=290)}
    assert pool.allot(605, found, need=1, step=1) == {"a": 305, "b": 300}


def test_one_gpu_goes_to_who_asks_and_is_idle_elsewhere() -> None:
    found = {"a": idle(1), "b": idle(0, wanted=1, piece=1), "c": idle(0)}
    assert pool.allot(1, found, need=1, step=1) == {"a": 0, "b": 1, "c": 0}


def test_one_gpu_that_is_in_use_stays() -> None:
    found = {"a": idle(1, used=1), "b": idle(0, wanted=1, piece=1)}
    assert pool.allot(1, found, need=1, step=1) == {"a": 1, "b": 0}


def test_room_is_taken_from_few() -> None:
    """One write for the namespace that asks, and one for who has the most to spare."""
    found = {f"n{number}": idle(10 + number) for number in range(9)}
    found["zz"] = idle(0, wanted=12, piece=12)
    before = {name: each.held for name, each in found.items()}
    shares = pool.allot(sum(each.held or 0 for each in found.values()), found, need=1, step=1)
    assert {name for name in shares if shares[name] != before[name]} == {"n8", "zz"}


def test_what_does_not_do_for_all_goes_to_who_has_the_least_in_whole_pieces() -> None:
    """One piece for each comes first."""
    found = {
        "big": idle(60, used=60, wanted=90, piece=10),
        "small": idle(20, used=20, wanted=50, piece=10),
        "huge": idle(0, used=0, wanted=500, piece=500),
    }
    assert pool.allot(100, found, need=1, step=1) == {"big": 70, "small": 30, "huge": 0}
    assert pool.allot(120, found, need=1, step=1) == {"big": 70, "small": 50, "huge": 0}


def test_who_has_nothing_left_gets_some_of_what_others_have_left() -> None:
    """Objects that are made by hand: nobody hears of it when one is refused."""
    found = {"a": idle(10, used=6), "b": idle(4, used=4), "c": idle(4, used=1)}
    assert pool.allot(18, found, need=1, step=1) == {"a": 8, "b": 6, "c": 4}
