"""docs/platforms.md: its YAML is taken, and each component is what it says."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

import documents
import factory
from harness import ROOT
from securetenant.api.securetenant import TenantSpec
from securetenant.api.tenancysettings import SettingsSpec
from securetenant.sandbox import binaries

PAGE = (ROOT / "docs/platforms.md").read_text(encoding="utf-8")
BLOCKS: list[Any] = [
    yaml.safe_load(each) for each in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
]
FOLDER = ROOT / "manifests/settings/platforms"
PLATFORMS = sorted(each.name for each in FOLDER.iterdir())
GOLDEN = ROOT / "tests/golden/platforms.yaml"
DEFAULT = documents.read((ROOT / "manifests/settings/default.yaml").read_text(encoding="utf-8"))


def settings(folder: Path, *components: str) -> dict[str, Any]:
    """Return what kustomize makes of the settings with components."""
    relative = os.path.relpath(ROOT / "manifests/settings", folder)
    overlay = {
        "resources": [relative],
        "components": [f"{relative}/{each}" for each in components],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(overlay), encoding="utf-8")
    program = binaries.locate(("kubectl",), lambda _: None)["kubectl"]
    done = subprocess.run(
        [program, "kustomize", folder], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (body,) = (each for each in documents.read(done.stdout) if each["kind"] == "TenancySettings")
    SettingsSpec.model_validate(body["spec"])
    return dict(body["spec"])


def test_each_platform_changes_exactly_this(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Write it again with `make test ARGS='-k exactly_this --update-golden'`; read the diff."""
    before = DEFAULT[0]["spec"]
    found = {}
    for platform in PLATFORMS:
        folder = tmp_path / platform
        folder.mkdir()
        after = settings(folder, f"platforms/{platform}")
        found[platform] = {key: after[key] for key in after if after[key] != before.get(key)}
    text = yaml.safe_dump(found)
    if request.config.getoption("--update-golden"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert GOLDEN.read_text(encoding="utf-8") == text


def test_a_platform_and_its_agents_add_up(tmp_path: Path) -> None:
    found = settings(tmp_path, "platforms/gke", "agents/gke", "agents/cert-manager")
    assert {"gke-*", "gmp-*", "cert-manager"} <= set(found["protectedNames"])
    assert {"gke-ingress", "cert-manager"} <= {each["name"] for each in found["agents"]}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_each_platform_names_its_sources_and_is_on_the_page(platform: str) -> None:
    text = (FOLDER / platform / "kustomization.yaml").read_text(encoding="utf-8")
    head = text.partition("apiVersion")[0]
    assert "# Source: " in head
    assert "# Not tried" in head or platform == "kubeadm"
    assert f"manifests/settings/platforms/{platform}/kustomization.yaml" in PAGE


def test_what_is_to_be_copied_is_accepted() -> None:
    overlay, spec = BLOCKS
    (component,) = overlay["components"]
    assert (ROOT / "manifests" / component.removeprefix("../manifests/")).is_dir()
    TenantSpec.model_validate(factory.tenant("any", **spec)["spec"])


def test_the_resolver_of_cloud_dns_is_refused_as_the_page_says() -> None:
    dns = {"pods": [], "addresses": ["169.254.169.254/32"], "ports": [53]}
    body = factory.settings(dns=dns, metadataAddresses=["169.254.169.254/32"])
    with pytest.raises(ValueError, match="metadata"):
        SettingsSpec.model_validate(body["spec"])
