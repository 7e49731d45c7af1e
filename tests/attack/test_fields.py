"""Completeness by machine: no field of what tenants write is unclassified.

A new Kubernetes version shows here what is new, before a tenant finds it.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

import documents
from harness import ROOT, Api
from securetenant.api.workloads import HARMLESS_ANNOTATIONS

PREFIX = "io.k8s.api."
ROOTS = (
    "io.k8s.api.core.v1.PodSpec",
    "io.k8s.api.core.v1.ServiceSpec",
    "io.k8s.api.core.v1.PersistentVolumeClaimSpec",
    "io.k8s.api.networking.v1.IngressSpec",
)
(DOCUMENT,) = documents.read((ROOT / "tests/attack/fields.yaml").read_text(encoding="utf-8"))
CLASSIFIED: dict[str, dict[str, str]] = {
    schema: {
        field: verdict
        for verdict, reasons in verdicts.items()
        for fields in reasons.values()
        for field in fields
    }
    for schema, verdicts in DOCUMENT.items()
}


@pytest.fixture(scope="module")
def served(admin: Api) -> dict[str, set[str]]:
    """Return the fields of every schema that a tenant's objects lead to, refused ones aside."""
    schemas: dict[str, Any] = {}
    for path in ("api/v1", "apis/networking.k8s.io/v1"):
        document = admin.call("GET", f"/openapi/v3/{path}").ok()
        schemas |= document["components"]["schemas"]
    found: defaultdict[str, set[str]] = defaultdict(set)
    waiting, seen = list(ROOTS), set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen or not name.startswith(PREFIX):
            continue
        seen.add(name)
        short = name.rpartition(".")[2]
        for field, schema in schemas[name].get("properties", {}).items():
            found[short].add(field)
            if CLASSIFIED.get(short, {}).get(field) != "refuse":
                waiting.extend(_references(schema))
    return dict(found)


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"].rpartition("/")[2]
        for each in node.values():
            yield from _references(each)
    elif isinstance(node, list):
        for each in node:
            yield from _references(each)


def test_every_field_is_classified(served: dict[str, set[str]]) -> None:
    """Add a new field to fields.yaml: allowed, checked or refused, with the reason."""
    missing = {
        schema: sorted(fields - CLASSIFIED.get(schema, {}).keys())
        for schema, fields in served.items()
        if fields - CLASSIFIED.get(schema, {}).keys()
    }
    assert missing == {}


def test_nothing_is_classified_that_is_not_there(served: dict[str, set[str]]) -> None:
    gone = {
        schema: sorted(fields.keys() - served.get(schema, set()))
        for schema, fields in CLASSIFIED.items()
        if fields.keys() - served.get(schema, set())
    }
    assert gone == {}


def test_a_field_has_one_verdict_and_a_rule_that_exists() -> None:
    policies = {
        body["metadata"]["name"]
        for body in documents.within(ROOT / "manifests/policies")
        if body["kind"] == "ValidatingAdmissionPolicy"
    }
    for schema, verdicts in DOCUMENT.items():
        assert verdicts.keys() <= {"allow", "check", "refuse"}, schema
        fields = [
            field for reasons in verdicts.values() for named in reasons.values() for field in named
        ]
        assert len(fields) == len(set(fields)), schema
        for verdict in ("check", "refuse"):
            for reason in verdicts.get(verdict, {}):
                if reason.startswith("policy "):
                    name = reason.removeprefix("policy ").partition(":")[0]
                    assert f"securetenant-{name}" in policies, reason


@pytest.mark.parametrize("file", ["ingress", "services"])
def test_the_policies_and_the_model_call_the_same_annotations_harmless(file: str) -> None:
    text = (ROOT / f"manifests/policies/{file}.yaml").read_text(encoding="utf-8")
    (found,) = (
        each["expression"]
        for body in documents.read(text)
        for each in body["spec"].get("variables", ())
        if each["name"] == "harmless"
    )
    (listed,) = documents.read(found)
    assert tuple(listed) == HARMLESS_ANNOTATIONS
