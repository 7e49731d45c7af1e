"""Host names: no two tenants ever have overlapping ones, whatever comes in whatever order."""

from hypothesis import given
from hypothesis import strategies as st

from securetenant.plan.hostnames import Claim, Hostnames

labels = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3)
ends = labels.map(lambda found: "." + ".".join(found))
claims = st.one_of(
    st.none(),
    st.builds(
        Claim,
        st.sampled_from(["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"]),
        st.lists(ends, max_size=3, unique=True).map(tuple),
    ),
)
histories = st.lists(st.tuples(st.sampled_from(["red", "blue", "green"]), claims), max_size=12)


def overlap(one: str, other: str) -> bool:
    return one.endswith(other) or other.endswith(one)


@given(histories)
def test_no_two_tenants_have_overlapping_ends(history: list[tuple[str, Claim | None]]) -> None:
    """And nobody gives way but to an older claim that overlaps."""
    index, last = Hostnames(), dict[str, Claim]()
    for tenant, claim in history:
        index.put(tenant, claim)
        last.pop(tenant, None)
        if claim is not None:
            last[tenant] = claim
    had = {tenant: set(claim.ends) - index.taken(tenant).keys() for tenant, claim in last.items()}
    for tenant, mine in had.items():
        for other, theirs in had.items():
            assert tenant == other or not any(overlap(a, b) for a in mine for b in theirs)
        for end, owner in index.taken(tenant).items():
            assert (last[owner].created, owner) < (last[tenant].created, tenant)
            assert any(overlap(end, each) for each in last[owner].ends)


@given(histories, st.sampled_from(["red", "blue", "green"]), claims)
def test_whoever_gains_or_loses_by_a_claim_is_told(
    history: list[tuple[str, Claim | None]], tenant: str, claim: Claim | None
) -> None:
    index = Hostnames()
    for each, earlier in history:
        index.put(each, earlier)
    before = {each: index.taken(each) for each in ("red", "blue", "green")}
    concerned = index.put(tenant, claim)
    for each, had in before.items():
        assert each == tenant or each in concerned or index.taken(each) == had
