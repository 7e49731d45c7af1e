"""docs/reference.md: every field, condition and reason, from the models and their words."""

import ast
import inspect
import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from harness import ROOT
from securetenant.api import crds, status

REFERENCE = ROOT / "docs" / "reference.md"
HEADER = """# Reference

Written by `make test ARGS='-k reference --update-golden'` from the models; the same words as
`kubectl explain`.
"""


def fields(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, str, str]]:
    for name, child in schema.get("properties", {}).items():
        where = f"{path}.{name}" if path else name
        kind = child.get("type", "integer or string")
        if "enum" in child:
            kind = " or ".join(map(str, child["enum"]))
        inner = child
        if kind == "array":
            inner = child["items"]
            kind = f"list of {inner.get('type')}, at most {child['maxItems']}"
        elif "additionalProperties" in child:
            kind = f"map of {child['additionalProperties'].get('type', 'integer or string')}"
        must = ", required" if name in schema.get("required", ()) else ""
        yield f"{where}{'[]' if inner is not child else ''}", kind + must, child["description"]
        yield from fields(inner, f"{where}{'[]' if inner is not child else ''}")


def words(prefix: str) -> Iterator[tuple[str, str]]:
    """Yield (value, docstring) of the constants below the comment that begins with prefix."""
    source = inspect.getsource(status)
    body = ast.parse(source).body
    start = source[: source.index(f"# {prefix}")].count("\n")
    for statement, following in itertools.pairwise(body):
        if statement.lineno < start or not isinstance(statement, ast.Assign):
            continue
        if prefix == "Condition" and statement.lineno > source[: source.index("# Reasons")].count(
            "\n"
        ):
            return
        value = str(ast.literal_eval(statement.value))
        assert isinstance(following, ast.Expr), f"{value} has no description"
        assert isinstance(following.value, ast.Constant), f"{value} has no description"
        yield value, " ".join(str(following.value.value).split())


def document() -> str:
    parts = [HEADER]
    for definition in crds.build():
        kind = definition["spec"]["names"]["kind"]
        schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        parts += [f"\n## {kind}\n\n{schema['description']}\n\n| Field | Type | |\n|---|---|---|\n"]
        parts += [f"| `{path}` | {type_} | {text} |\n" for path, type_, text in fields(schema)]
    for title, prefix in (("Conditions", "Condition types"), ("Reasons", "Reasons")):
        parts += [f"\n## {title}\n\n| | |\n|---|---|\n"]
        parts += [f"| `{value}` | {text} |\n" for value, text in words(prefix.split()[0])]
    return "".join(parts)


def test_the_reference_is_what_the_models_say(request: pytest.FixtureRequest) -> None:
    text = document()
    if request.config.getoption("--update-golden"):
        REFERENCE.write_text(text, encoding="utf-8")
    assert REFERENCE.read_text(encoding="utf-8") == text


ON_SETTINGS = (
    status.OVERRIDE_HELD,
    status.FAIRNESS_IN_FORCE,
    status.PACKETS_FILTERED,
    status.ROLLED_OUT,
)


@pytest.mark.parametrize("type_", [value for value, _ in words("Condition")])
def test_the_page_says_from_what_each_condition_is_concluded(type_: str) -> None:
    """T1: a condition whose facts are written nowhere claims whatever its reader hopes."""
    kind = "TenancySettings" if type_ in ON_SETTINGS else "a SecureTenant"
    page = (ROOT / "docs" / "concepts.md").read_text(encoding="utf-8")
    _, _, table = page.partition(f"| Condition of {kind} | True was concluded from |")
    rows = [line.split("|")[1:3] for line in table.partition("\n\n")[0].splitlines() if line]
    found = [facts.strip() for names, facts in rows if f"`{type_}`" in names]
    assert len(found) == 1
    assert len(found[0]) > len(type_)
