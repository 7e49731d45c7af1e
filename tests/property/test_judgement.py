"""The judgement: the same after a change as for a new world, and never less than what is open."""

import dataclasses
import itertools
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from factory import settings_spec
from securetenant.api.securetenant import TenantSpec
from securetenant.checks.declared import Declared
from securetenant.checks.findings import Opening
from securetenant.checks.judgement import Judge, judge
from securetenant.checks.reachability import Namespace, World
from worlds import SPACES, TENANT, Generated, owner, worlds

NETWORKS: tuple[dict[str, Any], ...] = (
    {},
    {"sameTenant": "Deny"},
    {
        "egress": [
            {"name": "x", "to": [{"cidr": "10.0.0.0/30"}], "ports": [{"port": 80, "endPort": 443}]}
        ],
        "ingress": [
            {
                "name": "y",
                "from": [{"namespaceLabels": {"k": "x"}, "podLabels": {"m": "y"}}],
                "ports": [{"port": "web"}, {"port": 1}],
                "podSelector": {"matchLabels": {"k": "x"}},
            }
        ],
    },
)
PEERS = [{"direction": "Both", "ports": [{"port": 80, "endPort": 443}]}]
SETTINGS = settings_spec()


def specs(networks: tuple[int, int], *, is_agreed: bool) -> dict[str, TenantSpec]:
    found = {}
    for name, other, number in (("a", "b", networks[0]), ("b", "a", networks[1])):
        network = dict(NETWORKS[number])
        if is_agreed:
            network["peers"] = [{**PEERS[0], "tenant": other, "namespaces": [f"{other}-1"]}]
        spaces = [{"name": each} for each in SPACES if owner(each) == name]
        found[name] = TenantSpec.model_validate({"namespaces": spaces, "network": network})
    return found


def world_of(
    drawn: Generated, *, without: frozenset[str] = frozenset(), imagine: bool = True
) -> World:
    return World(
        [each for each in drawn.namespaces if each.name not in without],
        drawn.pods,
        drawn.policies,
        drawn.cluster,
        tenant_label=TENANT,
        imagine=imagine,
    )


declared = st.builds(
    lambda one, other, agreed: specs((one, other), is_agreed=agreed),
    st.sampled_from(range(len(NETWORKS))),
    st.sampled_from(range(len(NETWORKS))),
    st.booleans(),
)


# Two worlds and a dozen judgements an example.
@settings(max_examples=settings.get_profile("securetenant").max_examples // 3)
@given(
    before=worlds,
    after=worlds,
    found=declared,
    order=st.permutations(SPACES),
    gone=st.frozensets(st.sampled_from(SPACES), max_size=2),
    back=st.booleans(),
    stay=st.frozensets(st.sampled_from(SPACES)),
    foggy=st.frozensets(st.sampled_from(SPACES), max_size=2),
    fog=st.frozensets(st.sampled_from(SPACES), max_size=2),
)
def test_after_a_change_the_answer_is_that_of_a_new_world(
    before: Generated,
    after: Generated,
    found: dict[str, TenantSpec],
    order: list[str],
    gone: frozenset[str],
    back: bool,
    stay: frozenset[str],
    foggy: frozenset[str],
    fog: frozenset[str],
) -> None:
    """One namespace after the other becomes what it is in another world; some go, or come back.

    Some keep their policies, so that what is remembered of those is asked again.
    """
    after = dataclasses.replace(
        after,
        policies=tuple(
            each
            for drawn, keeps in ((before, True), (after, False))
            for each in drawn.policies
            if (each["metadata"]["namespace"] in stay) == keeps
        ),
        cluster=before.cluster if SPACES[0] in stay else after.cluster,
    )
    world = world_of(before)
    asked = Declared(found, SETTINGS)
    kept = Judge(world, asked, dict.fromkeys(foggy, ("a policy",)))
    changed = {each["metadata"]["name"]: None for each in before.cluster}
    changed |= {each["metadata"]["name"]: each for each in after.cluster}
    kept.look_again(world.change_cluster(changed))
    for name in (*order, *(sorted(gone) if back else ())):
        if name in gone:
            world.remove(name)
            kept.look_again([name])
        if name not in gone or back:
            world.put(
                Namespace(name=name, labels=after.labels[name]),
                [each for each in after.pods if each.namespace == name],
                [each for each in after.policies if each["metadata"]["namespace"] == name],
            )
            kept.look_again([name])
    new = world_of(after, without=frozenset() if back else gone)
    kept.look_again(SPACES[:2], dict.fromkeys(fog, ("a policy",)))
    kept.look_again(SPACES[2:], dict.fromkeys(fog, ("a policy",)))
    expected = Judge(new, asked, dict.fromkeys(fog, ("a policy",)))
    assert kept.openings() == expected.openings()
    assert kept.verdicts() == expected.verdicts()
    assert list(world.crossings()) == list(new.crossings())
    assert list(world.outside()) == list(new.outside())


@given(drawn=worlds, found=declared)
def test_without_declarations_every_crossing_is_an_opening(
    drawn: Generated, found: dict[str, TenantSpec]
) -> None:
    world = world_of(drawn, imagine=False)
    every = judge(world, Declared({}, None))
    between = {
        (each.source.namespace, each.target.namespace, each.egress, each.ingress, each.ports)
        for each in every
        if each.source and each.target
    }
    assert between == {
        (flow.source.namespace, flow.target.namespace, flow.egress, flow.ingress, flow.ports)
        for flow in world.crossings()
    }
    addresses = [each for each in every if not (each.source and each.target)]
    assert len(addresses) == len(list(world.outside()))
    declared_too = judge(world, Declared(found, SETTINGS))
    assert all(_is_covered(each, every) or _is_inside(each) for each in declared_too)


def _is_inside(opening: Opening) -> bool:
    """Tell whether it is between namespaces of a tenant that closes them."""
    ends = (opening.source, opening.target)
    return all(ends) and len({each.tenant for each in ends if each}) == 1


def _is_covered(opening: Opening, every: tuple[Opening, ...]) -> bool:
    """Tell whether an opening is part of one that is there without declarations."""
    return any(
        (one.egress, one.ingress) == (opening.egress, opening.ingress)
        and all(
            any(
                span.protocol == wide.protocol
                and wide.first <= span.first <= span.last <= wide.last
                for wide in one.ports
            )
            for span in opening.ports
        )
        for one in every
    )


@given(drawn=worlds)
def test_too_many_openings_are_cut_and_none_is_called_closed(drawn: Generated) -> None:
    world = world_of(drawn, imagine=False)
    nothing = Declared({}, None)
    every, few = Judge(world, nothing), Judge(world, nothing, plenty=0)
    pairs = [each for each in every.openings() if each.source and each.target]
    states = {name: each.state for name, each in few.verdicts().items()}
    assert states == {name: each.state for name, each in every.verdicts().items()}
    assert set(few.openings()) <= set(every.openings())
    ends = {end.namespace for each in pairs for end in (each.source, each.target) if end}
    named = {
        end.namespace
        for each in few.openings()
        for end in (each.source, each.target)
        if end and each.source and each.target
    }
    assert named == ends, list(itertools.islice(pairs, 3))
