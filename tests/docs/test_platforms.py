"""The YAML of docs/platforms.md is what the models take."""

import re
from typing import Any

import pytest
import yaml

import factory
from harness import ROOT
from securetenant.api.securetenant import TenantSpec
from securetenant.api.tenancysettings import SettingsSpec

PAGE = (ROOT / "docs/platforms.md").read_text(encoding="utf-8")
BLOCKS: list[Any] = [
    yaml.safe_load(each) for each in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
]


def test_what_is_to_be_copied_is_accepted() -> None:
    settings, spec = BLOCKS
    found = SettingsSpec.model_validate(factory.settings(**settings)["spec"])
    assert found.dns.ports == (5353,)
    TenantSpec.model_validate(factory.tenant("any", **spec)["spec"])


def test_the_resolver_of_cloud_dns_is_refused_as_the_page_says() -> None:
    dns = {"pods": [], "addresses": ["169.254.169.254/32"], "ports": [53]}
    body = factory.settings(dns=dns, metadataAddresses=["169.254.169.254/32"])
    with pytest.raises(ValueError, match="metadata"):
        SettingsSpec.model_validate(body["spec"])
