"""The decisions of a roll-out, for fleets of every size and every luck."""

from hypothesis import given
from hypothesis import strategies as st

from securetenant.plan import rollout
from securetenant.plan.rollout import Situation

fleets = st.integers(1, 400)


def play(fleet: int, bad: set[int]) -> tuple[list[tuple[str, ...]], set[str], bool]:
    """Roll out to a fleet in which some become unhealthy; return waves, harmed, and the end."""
    waiting = [str(number) for number in range(fleet)]
    harmed: set[str] = set()
    waves: list[tuple[str, ...]] = []
    while waiting:
        turns, halted = rollout.decide(
            Situation(
                fleet=fleet,
                waiting=waiting,
                moved=fleet - len(waiting),
                working=(),
                harmed=harmed,
            )
        )
        if halted:
            return waves, harmed, True
        assert turns, "it neither goes on nor halts"
        waves.append(turns)
        waiting = waiting[len(turns) :]
        harmed |= {name for name in turns if int(name) in bad}
    return waves, harmed, False


@given(fleets)
def test_a_healthy_fleet_follows_to_the_last_tenant(fleet: int) -> None:
    waves, _, halted = play(fleet, set())
    assert not halted
    assert [name for wave in waves for name in wave] == [str(number) for number in range(fleet)]


@given(fleets)
def test_the_first_waves_are_small_and_none_is_more_than_a_tenth(fleet: int) -> None:
    sizes = [len(wave) for wave in play(fleet, set())[0]]
    assert all(size <= 2**number for number, size in enumerate(sizes))
    assert max(sizes) <= max(8, fleet // 10)


@given(fleets, st.sets(st.integers(0, 399)))
def test_no_more_tenants_are_harmed_than_tolerated_and_one_wave(fleet: int, bad: set[int]) -> None:
    waves, harmed, _ = play(fleet, bad)
    before = fleet if not waves else sum(map(len, waves[:-1]))
    last = set(waves[-1])
    assert len(harmed - last) <= rollout.tolerated(before)


@given(fleets)
def test_a_change_that_harms_everybody_harms_one(fleet: int) -> None:
    _, harmed, halted = play(fleet, set(range(fleet)))
    assert len(harmed) == 1
    assert halted == (fleet > 1)


@given(fleets, st.integers(0, 400), st.booleans())
def test_nobody_moves_while_others_are_not_done(fleet: int, moved: int, halted: bool) -> None:
    situation = Situation(
        fleet=fleet, waiting=["a"], moved=moved, working=["b"], harmed=(), halted=halted
    )
    assert rollout.decide(situation) == ((), halted)
