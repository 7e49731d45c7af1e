"""The lists of annotations that pass by default, held to keys as charts and tools write them.

E12: what only describes was refused on Services, Ingresses and routes, and passed on Secrets.
"""

import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import documents
from harness import ROOT
from securetenant.checks import annotations

KINDS = ("pods", "services", "ingresses", "routes", "others")


def variable(policy: str, name: str) -> Any:
    """Return the list that a variable of a policy is."""
    (found,) = (
        each["expression"]
        for file in ("annotations", "ingress", "pods", "services")
        for body in documents.read((ROOT / f"manifests/policies/{file}.yaml").read_text("utf-8"))
        if body["kind"] == "ValidatingAdmissionPolicy"
        and body["metadata"]["name"] == f"securetenant-{policy}"
        for each in body["spec"]["variables"]
        if each["name"] == name
    )
    # The list of routes is in the expression that asks it; long texts are put together of two.
    within = re.search(r"&& !\((\[.*?\])\s", found, re.DOTALL)
    (listed,) = documents.read(re.sub(r"'\s*[+]\s*'", "", within[1] if within else found))
    return listed


def is_listed(key: str, listed: list[str]) -> bool:
    """Tell whether a key is in a list of keys, and of beginnings with an asterisk."""
    return any(key.startswith(each[:-1]) if each.endswith("*") else key == each for each in listed)


def passes_on_pods() -> Callable[[str, str], bool]:
    """Return whether a key with a value passes on pods."""
    prefixes, keys = variable("pods", "harmless"), variable("pods", "harmlessKeys")
    narrow = [[first, *rest] for first, *rest in variable("pods", "narrow")]

    def passes(key: str, value: str) -> bool:
        if "/" not in key and "." not in key:
            return True
        prefix, slash, _ = key.partition("/")
        return (
            (slash == "/" and prefix in prefixes)
            or key in keys
            or any(
                re.fullmatch(pattern, key) and re.fullmatch(values, value, re.DOTALL)
                for pattern, values in narrow
            )
        )

    return passes


def passes_elsewhere(policy: str, name: str, marks: str) -> Callable[[str, str], bool]:
    """Return whether a key passes; one without any of the ``marks`` is nobody's."""
    listed = variable(policy, name)
    return lambda key, _: not any(each in key for each in marks) or is_listed(key, listed)


PASSES = {
    "pods": passes_on_pods(),
    "services": passes_elsewhere("services", "harmless", "/"),
    "ingresses": passes_elsewhere("ingress", "harmless", "/"),
    "routes": passes_elsewhere("routes", "unlisted", "/"),
    "others": passes_elsewhere("annotations", "harmless", "/."),
}


def rows() -> Iterator[tuple[str, str, str]]:
    """Yield each key, its value, and the kinds on which it passes."""
    (groups,) = documents.read((ROOT / "tests/annotation_keys.yaml").read_text("utf-8"))
    for group in groups:
        for each in itertools.chain.from_iterable(group["keys"].values()):
            key, _, value = each.partition("=")
            yield key, value or "x", group["kinds"]


ROWS = list(rows())


@pytest.mark.parametrize(("key", "value", "kinds"), ROWS)
def test_a_key_passes_on_the_kinds_on_which_nothing_acts_by_it(
    key: str, value: str, kinds: str
) -> None:
    assert " ".join(each for each in KINDS if PASSES[each](key, value)) == kinds


JUDGES: dict[str, Callable[[dict[str, str]], Iterator[str]]] = {
    "pods": annotations.on_pods,
    "routes": annotations.on_routes,
    "others": annotations.on_others,
}


@pytest.mark.parametrize("kind", JUDGES)
def test_the_second_opinion_has_the_same_lists(kind: str) -> None:
    """What is there already is judged by these; the policies judge what is new."""
    for key, value, _ in ROWS:
        for each in (key, f"x{key}", f"{key}x"):
            refused = [*JUDGES[kind]({each: value})]
            assert (refused == []) == PASSES[kind](each, value), (each, value)


def test_the_lists_of_the_second_opinion_hold_nothing_else() -> None:
    assert sorted(variable("pods", "harmless")) == sorted(annotations.POD_PREFIXES)
    assert sorted(variable("pods", "harmlessKeys")) == sorted(annotations.POD_KEYS)
    narrow = dict(variable("pods", "narrow"))
    assert narrow == dict(annotations.POD_VALUES)
    assert sorted(variable("routes", "unlisted")) == sorted(annotations.ON_ROUTES)
    assert sorted(variable("annotations", "harmless")) == sorted(annotations.ON_OTHERS)


def test_there_are_a_few_hundred_keys_and_none_twice() -> None:
    assert len(ROWS) > 300
    assert len({(key, value) for key, value, _ in ROWS}) == len(ROWS)


@pytest.mark.parametrize("kind", KINDS)
def test_no_key_passes_for_looking_like_another(kind: str) -> None:
    """A domain that somebody else has, and one below which somebody else writes."""
    passing = {key for key, value, _ in ROWS if "/" in key and PASSES[kind](key, value)}
    assert passing
    for key in passing:
        prefix, _, name = key.partition("/")
        for lookalike in (f"x{prefix}/{name}", f"{prefix}.x/{name}", f"x.{prefix}/{name}"):
            assert not PASSES[kind](lookalike, "x"), lookalike
