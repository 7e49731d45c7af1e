"""What each example becomes, object by object: a change of the product shows as a change here."""

from pathlib import Path

import pytest
import yaml

from factory import seen
from harness import ROOT
from securetenant.api.tenancysettings import SettingsSpec
from securetenant.desired import unit
from securetenant.reconcile.store import Store
from securetenant.reconcile.tenants import Tenants

EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
GOLDEN = Path(__file__).parent
SETTINGS = SettingsSpec.model_validate(
    yaml.safe_load((ROOT / "manifests/settings/default.yaml").read_text(encoding="utf-8"))["spec"]
)
"""The examples are shown as the installed defaults make them."""


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda each: each.stem)
def test_an_example_becomes_exactly_these_objects(
    example: Path, request: pytest.FixtureRequest
) -> None:
    """Write them anew with `make test ARGS='-k exactly --update-golden'`, and read the diff."""
    body = yaml.safe_load(example.read_text(encoding="utf-8"))
    known = Tenants()
    known.see(body["metadata"]["name"], seen(body))
    known.read(body["metadata"]["name"], SETTINGS, Store())
    record = known.get(body["metadata"]["name"])
    assert record is not None
    text = yaml.safe_dump_all(
        (
            manifest.body
            for _, each in sorted(record.units.items())
            for manifest in unit.build(each.scope)
        ),
        sort_keys=False,
    )
    golden = GOLDEN / f"{example.stem}.yaml"
    if request.config.getoption("--update-golden"):
        golden.write_text(text, encoding="utf-8")
    assert golden.read_text(encoding="utf-8") == text
