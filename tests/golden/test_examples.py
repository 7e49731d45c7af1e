"""What each example becomes, object by object: a change of the product shows as a change here."""

from pathlib import Path

import pytest
import yaml

from harness import ROOT
from securetenant.api.securetenant import TenantSpec
from securetenant.desired import scope, unit

EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
GOLDEN = Path(__file__).parent


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda each: each.stem)
def test_an_example_becomes_exactly_these_objects(
    example: Path, request: pytest.FixtureRequest
) -> None:
    """Write them anew with `make test ARGS='-k exactly --update-golden'`, and read the diff."""
    body = yaml.safe_load(example.read_text(encoding="utf-8"))
    scopes = scope.scopes(body["metadata"]["name"], TenantSpec.model_validate(body["spec"]))
    text = yaml.safe_dump_all(
        (manifest.body for each in scopes for manifest in unit.build(each)), sort_keys=False
    )
    golden = GOLDEN / f"{example.stem}.yaml"
    if request.config.getoption("--update-golden"):
        golden.write_text(text, encoding="utf-8")
    assert golden.read_text(encoding="utf-8") == text
