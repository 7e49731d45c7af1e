"""docs/controls/openings.md: the specs to copy are good specs."""

import re

import pytest
import yaml

from factory import seen, settings, settings_spec, tenant
from harness import ROOT
from securetenant.reconcile.store import Store
from securetenant.reconcile.tenants import Tenants

PAGE = (ROOT / "docs" / "controls" / "openings.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n# (\w+)\n(.*?)```", PAGE, re.DOTALL)
SETTINGS = yaml.safe_load(next(text for kind, text in BLOCKS if kind == "TenancySettings"))
SPECS = [yaml.safe_load(text) for kind, text in BLOCKS if kind == "SecureTenant"]


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_a_spec_to_copy_is_accepted_and_nothing_in_it_is_unknown(spec: dict[str, object]) -> None:
    platform = {key: value for key, value in SETTINGS.items() if key != "bounds"}
    spaces = [{"name": "acme-prod"}]
    known = Tenants()
    known.see("copied", seen(tenant("copied", namespaces=spaces, **spec)))
    known.read("copied", settings_spec(**platform), Store())
    record = known.get("copied")
    assert record is not None
    assert not record.is_refused, record.findings
    assert {finding.reason for finding in record.findings} <= {"PeerMissing"}


def test_the_settings_to_copy_are_accepted() -> None:
    assert settings(**SETTINGS)["spec"]["bounds"] == SETTINGS["bounds"]
    settings_spec(**SETTINGS)
