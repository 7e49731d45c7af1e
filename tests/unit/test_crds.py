"""The CRDs: hygiene that the API server does not insist on, and the committed files."""

from collections.abc import Iterator
from typing import Any

import pytest

import documents
from harness import ROOT
from securetenant.api import crds

DEFINITIONS = {each["spec"]["names"]["kind"]: each for each in crds.build()}


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from nodes(schema["additionalProperties"], f"{path}{{}}")


SCHEMAS = [
    pytest.param(path, node, id=f"{kind}{path}")
    for kind, definition in DEFINITIONS.items()
    for path, node in nodes(definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
]


@pytest.mark.parametrize(("path", "node"), SCHEMAS)
def test_every_schema_has_a_type_a_limit_and_a_description(path: str, node: dict[str, Any]) -> None:
    """`kubectl explain` is complete, and CEL can estimate what a rule costs."""
    assert "type" in node or node.get("x-kubernetes-int-or-string")
    if not path.endswith(("[]", "{}")):
        assert node.get("description")
    if node.get("type") == "array":
        assert "maxItems" in node
        assert "x-kubernetes-list-type" in node
    if node.get("type") == "string" and "enum" not in node:
        assert "maxLength" in node
    if "additionalProperties" in node:
        assert "maxProperties" in node


@pytest.mark.parametrize(("path", "node"), SCHEMAS)
def test_every_rule_has_a_message_that_says_what_to_write(path: str, node: dict[str, Any]) -> None:
    """A message is a sentence, never the rule itself."""
    for rule in node.get("x-kubernetes-validations", ()):
        assert len(rule["message"]) > 30, path
        assert "self." not in rule["message"]


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_the_committed_file_is_what_the_models_say(kind: str) -> None:
    name = DEFINITIONS[kind]["metadata"]["name"]
    (committed,) = documents.read((ROOT / "crds" / f"{name}.yaml").read_text(encoding="utf-8"))
    assert committed == DEFINITIONS[kind], "run: make crds"


def test_a_status_begins_unseen() -> None:
    """Without it kstatus calls a new object Current before anybody looked at it."""
    schema = DEFINITIONS["SecureTenant"]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert schema["properties"]["status"]["default"] == {"observedGeneration": -1}
