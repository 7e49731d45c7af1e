"""What a quarantine puts aside comes back as it was, whatever it was."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from memory_cluster import patched
from securetenant.api import names
from securetenant.plan import aside

NAMES = st.text(st.characters(codec="ascii"), min_size=1, max_size=12)
PEOPLE = st.fixed_dictionaries(
    {
        "apiGroup": st.just("rbac.authorization.k8s.io"),
        "kind": st.sampled_from(["User", "Group"]),
        "name": NAMES,
    }
)
ACCOUNTS = st.fixed_dictionaries(
    {
        "kind": st.just("ServiceAccount"),
        "name": st.from_regex("[a-z][a-z.-]{0,8}", fullmatch=True),
    },
    optional={"namespace": st.from_regex("[a-z][a-z-]{0,8}", fullmatch=True)},
)
METADATA = st.fixed_dictionaries(
    {"name": st.just("x"), "resourceVersion": st.just("1")},
    optional={"annotations": st.dictionaries(st.sampled_from(["a", "b"]), NAMES)},
)
BINDINGS = st.fixed_dictionaries(
    {
        "kind": st.just("RoleBinding"),
        "metadata": METADATA,
        "roleRef": st.fixed_dictionaries(
            {
                "kind": st.sampled_from(["Role", "ClusterRole"]),
                "name": st.sampled_from(["securetenant:developer", "edit"]),
            }
        ),
    },
    optional={"subjects": st.lists(st.one_of(PEOPLE, ACCOUNTS), max_size=4)},
)
FIRST = {"key": "a", "operator": "Exists"}
SECOND = {"key": "b", "operator": "In", "values": ["c"]}
THIRD = {"key": names.ASIDE, "operator": "Exists"}
POLICIES = st.fixed_dictionaries(
    {
        "kind": st.just("NetworkPolicy"),
        "metadata": METADATA,
        "spec": st.fixed_dictionaries(
            {
                "podSelector": st.fixed_dictionaries(
                    {},
                    optional={
                        "matchLabels": st.just({"app": "web"}),
                        "matchExpressions": st.sampled_from(
                            [[FIRST], [SECOND, THIRD], [THIRD, SECOND]]
                        ),
                    },
                ),
                "ingress": st.just([{}]),
            }
        ),
    }
)


def normal(body: Any) -> Any:
    """Return an object as the API server stores it: nothing empty where it may be absent."""
    found = {**body, "metadata": dict(body["metadata"])}
    if not found["metadata"].get("annotations", True):
        del found["metadata"]["annotations"]
    if not found.get("subjects", True):
        del found["subjects"]
    return found


@given(st.one_of(BINDINGS, POLICIES))
def test_what_is_put_aside_opens_nothing_and_comes_back_as_it_was(body: Any) -> None:
    closed = patched(body, aside.close(body))
    assert not aside.observe(closed).is_open
    assert aside.close(closed) == []
    assert normal(patched(closed, aside.reopen(closed))) == normal(body)


@given(BINDINGS, st.lists(ACCOUNTS, min_size=1, max_size=2))
def test_who_is_added_meanwhile_is_put_aside_beside_the_others(body: Any, added: list[Any]) -> None:
    before = list(body.get("subjects") or [])
    closed = patched(body, aside.close(body))
    if not aside.observe(closed).is_aside:
        return
    again = {**closed, "subjects": added}
    closed = patched(again, aside.close(again))
    assert not closed.get("subjects")
    assert patched(closed, aside.reopen(closed))["subjects"] == before + added


def test_a_binding_to_a_cluster_role_of_the_platform_is_not_the_operators_to_touch() -> None:
    body = {
        "kind": "RoleBinding",
        "metadata": {"name": "x", "resourceVersion": "1"},
        "roleRef": {"kind": "ClusterRole", "name": "edit"},
        "subjects": [{"kind": "User", "name": "jane"}],
    }
    assert aside.close(body) == []
    assert names.ASIDE not in str(aside.reopen(body))
