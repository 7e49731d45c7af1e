"""Imagined pods find what any pods could reach: held to a world with every labelling there is."""

import itertools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from securetenant.checks import imagined, selectors
from securetenant.checks.reachability import Namespace, Pod, World

TENANT = "t"
KEYS, VALUES = ("k", "m"), ("x", "y", "z")
SPACES = [
    Namespace(name=name, labels={TENANT: owner, "name": name})
    for name, owner in (("a1", "a"), ("a2", "a"), ("b1", "b"))
]

expressions = st.one_of(
    st.builds(
        lambda key, operator, values: {"key": key, "operator": operator, "values": values},
        st.sampled_from(KEYS),
        st.sampled_from(("In", "NotIn")),
        st.lists(st.sampled_from(VALUES), min_size=1, max_size=2),
    ),
    st.builds(
        lambda key, operator: {"key": key, "operator": operator},
        st.sampled_from(KEYS),
        st.sampled_from(("Exists", "DoesNotExist")),
    ),
)
pod_selectors = st.builds(
    lambda found: {"matchExpressions": found}, st.lists(expressions, max_size=2)
)
peers = st.fixed_dictionaries(
    {
        "namespaceSelector": st.sampled_from(
            [{}, {"matchLabels": {TENANT: "a"}}, {"matchLabels": {"name": "b1"}}]
        )
    },
    optional={"podSelector": pod_selectors},
)


def _rules(side: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(
        st.builds(lambda found: {side: found}, st.lists(peers, min_size=1, max_size=2)), max_size=1
    )


openings = st.lists(
    st.builds(
        lambda namespace, spec: {"namespace": namespace, "spec": spec},
        st.sampled_from([each.name for each in SPACES]),
        st.fixed_dictionaries(
            {
                "podSelector": pod_selectors,
                "policyTypes": st.just(["Ingress", "Egress"]),
                "ingress": _rules("from"),
                "egress": _rules("to"),
            }
        ),
    ),
    max_size=5,
)


spaces = st.sampled_from([{}, {"matchLabels": {TENANT: "a"}}, {"matchLabels": {"name": "b1"}}])
some = st.builds(
    lambda where, who: {"pods": {"namespaceSelector": where, "podSelector": who}},
    spaces,
    pod_selectors,
)
whole = st.builds(lambda where: {"namespaces": where}, spaces)


def _tier(
    action: str, subject: st.SearchStrategy[Any], peer: st.SearchStrategy[Any]
) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda tier, priority, about, source, target: {
            "tier": tier,
            "priority": priority,
            "subject": about,
            "ingress": [{"action": action, "from": [source]}],
            "egress": [{"action": action, "to": [target]}],
        },
        st.sampled_from(["Admin", "Baseline"]),
        st.integers(0, 2),
        subject,
        peer,
        peer,
    )


tiers = st.lists(
    st.one_of(
        _tier("Accept", some, some), _tier("Accept", whole, some), _tier("Deny", whole, whole)
    ),
    max_size=2,
)


def crossings(
    pods: list[Pod], policies: list[dict[str, Any]], cluster: Any = ()
) -> set[tuple[Any, ...]]:
    """Return what opens what, whichever pods show it; without any, the world imagines them."""
    world = World(SPACES, pods, policies, cluster, tenant_label=TENANT)
    return {
        (each.source.namespace, each.target.namespace, each.egress, each.ingress)
        for each in world.crossings()
    }


@given(openings, tiers)
def test_imagined_pods_show_every_pair_of_rules_that_any_pods_could_use(
    found: Any, specs: Any
) -> None:
    deny = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    policies = [
        {"metadata": {"namespace": each["namespace"], "name": f"p{number}"}, "spec": each["spec"]}
        for number, each in enumerate(found)
    ] + [{"metadata": {"namespace": each.name, "name": "deny"}, "spec": deny} for each in SPACES]
    labellings = [
        {key: value for key, value in zip(KEYS, values, strict=True) if value}
        for values in itertools.product(("", *VALUES, "other"), repeat=len(KEYS))
    ]
    every = [
        Pod(namespace=space.name, name=str(number), labels=labels)
        for space in SPACES
        for number, labels in enumerate(labellings)
    ]
    chosen = list(imagined.pods(SPACES, policies))
    assert crossings(chosen, policies) == crossings(every, policies)
    cluster = [
        {"metadata": {"name": f"c{number}"}, "spec": spec} for number, spec in enumerate(specs)
    ]
    # Which of several rules accepts takes a third selector: to miss the one before.
    ends = [
        {(source, target) for source, target, *_ in crossings(pods, policies, cluster)}
        for pods in ([], every)
    ]
    assert ends[0] == ends[1]


@given(st.lists(expressions, max_size=4))
def test_a_witness_fulfils_what_can_be_fulfilled(found: Any) -> None:
    selector = selectors.compiled({"matchExpressions": found})
    labels = imagined.witness(selector)
    possible = any(
        selectors.matches(
            selector, {key: value for key, value in zip(KEYS, values, strict=True) if value}
        )
        for values in itertools.product(("", *VALUES, "other"), repeat=len(KEYS))
    )
    assert (labels is not None) == possible
    assert labels is None or selectors.matches(selector, labels)
