"""Our CRDs in the cluster: whether they keep every field that this version reads."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from factory import seen, settings
from securetenant.plan import schemas
from securetenant.reconcile.platform import Platform

SETTINGS = "tenancysettings.securetenant.io"


def changed(change: Callable[[Any], object], name: str = SETTINGS) -> Any:
    """Return a CRD of ours with its one version changed."""
    body = copy.deepcopy(schemas.expected()[name])
    change(body["spec"]["versions"][0])
    return body


def spec_of(version: Any) -> Any:
    return version["schema"]["openAPIV3Schema"]["properties"]["spec"]


def paths(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of each property of a schema."""
    for name, child in (node.get("properties") or {}).items():
        yield (*path, "properties", name)
        yield from paths(child, (*path, "properties", name))
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            yield from paths(node[key], (*path, key))


@pytest.mark.parametrize("name", schemas.expected())
def test_the_crds_of_this_version_are_right(name: str) -> None:
    assert schemas.problem(name, schemas.expected()[name]) == ""


@pytest.mark.parametrize("name", schemas.expected())
def test_each_field_that_is_missing_anywhere_is_noticed(name: str) -> None:
    """S12: not `bounds` only: any field that the API server would drop without a word."""
    schema = schemas.expected()[name]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    every = list(paths(schema))
    assert len(every) > 10
    for *parents, last in every:

        def cut(version: Any, parents: list[str] = parents, last: str = last) -> None:
            node = version["schema"]["openAPIV3Schema"]
            for key in parents:
                node = node[key]
            del node[last]

        assert last in schemas.problem(name, changed(cut, name)), (*parents, last)


def test_a_crd_without_bounds_is_said_with_the_remedy() -> None:
    """S12: the bounds were off, and nothing said so."""
    body = changed(lambda version: spec_of(version)["properties"].pop("bounds"))
    assert schemas.problem(SETTINGS, body) == (
        "CustomResourceDefinition tenancysettings.securetenant.io does not keep spec.bounds, so"
        " what it leaves out is not known and nothing is changed. Install the CRDs of this"
        " version: kubectl apply -k crds"
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda version: version.update(served=False), "version v1alpha1"),
        (lambda version: version.pop("subresources"), "the subresource status"),
        (lambda version: version.pop("schema"), "type is None, not object"),
        (
            lambda version: spec_of(version)["properties"]["teardownsPerHour"].update(
                type="string"
            ),
            "spec.teardownsPerHour (type is string, not integer)",
        ),
    ],
)
def test_what_else_loses_something_is_noticed(change: Callable[[Any], object], told: str) -> None:
    """S12: each way in which a CRD may keep less."""
    assert told in schemas.problem(SETTINGS, changed(change))


def test_a_crd_that_is_gone_is_noticed() -> None:
    assert "is missing" in schemas.problem(SETTINGS, None)


@pytest.mark.parametrize(
    "change",
    [
        lambda version: spec_of(version)["properties"].update(newer={"type": "object"}),
        lambda version: spec_of(version).update(description="x"),
        lambda version: spec_of(version).pop("required", None),
        lambda version: spec_of(version)["properties"]["protectedNames"].update(maxItems=9999),
        lambda version: version.update(
            schema={
                "openAPIV3Schema": {
                    "type": "object",
                    "x-kubernetes-preserve-unknown-fields": True,
                }
            }
        ),
    ],
)
def test_a_crd_that_knows_more_is_right(change: Callable[[Any], object]) -> None:
    """S12: CRDs are installed before the operator. Each value is checked when it is read."""
    assert schemas.problem(SETTINGS, changed(change)) == ""


def test_without_its_crd_no_settings_are_relied_on_until_all_is_seen_again() -> None:
    """S12: bounds that the API server left out are not the absence of bounds."""
    platform = Platform()
    assert platform.take_settings(seen(settings(bounds={"users": []})))
    assert platform.settings is not None
    lacking = changed(lambda version: spec_of(version)["properties"].pop("bounds"))
    assert platform.take_crd(SETTINGS, lacking)
    assert not platform.take_crd(SETTINGS, lacking), "nothing changed"
    platform.take_settings(seen(settings()))
    assert platform.settings is None
    assert "spec.bounds" in platform.settings_problem
    platform.take_crd(SETTINGS, schemas.expected()[SETTINGS])
    assert platform.settings is None, "what was seen meanwhile may lack a part"
    assert platform.must_begin_again
