"""Health checks for Argo CD, with test data in its own layout, and the layout of a repository."""

from pathlib import Path
from typing import Any

import pytest
import yaml

import argocd
from harness import ROOT

KINDS = ("SecureTenant", "TenancySettings", "TenantPolicy")
GITOPS = ROOT / "examples/gitops"
CASES = [(kind, path, wanted) for kind in KINDS for path, wanted in argocd.cases(kind)]


@pytest.mark.parametrize(
    ("kind", "path", "wanted"), CASES, ids=[f"{kind} {path.stem}" for kind, path, _ in CASES]
)
def test_argo_cd_shows_each_state_as_it_is(kind: str, path: Path, wanted: dict[str, str]) -> None:
    body = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert argocd.health(kind, body) == wanted


def test_each_kind_is_judged_in_the_same_way() -> None:
    """Argo CD reads a file for each kind; only the comment at its top differs."""
    scripts = {
        (argocd.CHECKS / kind / "health.lua").read_text(encoding="utf-8").partition("\n")[2]
        for kind in KINDS
    }
    assert len(scripts) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_every_file_of_test_data_is_expected_to_be_something(kind: str) -> None:
    listed = {path for path, _ in argocd.cases(kind)}
    assert listed == set((argocd.CHECKS / kind / "testdata").glob("*.yaml"))


def test_the_config_map_holds_the_checks_of_all_kinds() -> None:
    text = (ROOT / "manifests/argocd/kustomization.yaml").read_text(encoding="utf-8")
    (made,) = yaml.safe_load(text)["configMapGenerator"]
    assert made["files"] == [
        f"resource.customizations.health.securetenant.io_{kind}=securetenant.io/{kind}/health.lua"
        for kind in KINDS
    ]


def documents(path: Path) -> list[Any]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def test_what_flux_waits_for_is_there() -> None:
    """A name in dependsOn that nobody has would be waited for for ever."""
    found = documents(GITOPS / "flux/platform.yaml")
    made = [each["metadata"]["name"] for each in found]
    for number, each in enumerate(found):
        for other in each["spec"].get("dependsOn", ()):
            assert other["name"] in made[:number], "what is waited for comes first"
        assert each["spec"]["wait"], "what depends on it has to know that it is ready"
    crds = next(each for each in found if each["spec"]["path"] == "./crds")
    assert crds["spec"]["prune"] is False


def test_argo_cd_goes_in_waves_and_ignores_no_difference() -> None:
    found = documents(GITOPS / "argocd/platform.yaml")
    waves = {
        each["metadata"]["name"]: int(
            each["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"]
        )
        for each in found
        if each["kind"] == "Application"
    }
    order = sorted(waves, key=lambda name: waves[name])
    assert order == ["securetenant-crds", "securetenant", "tenants", "acme-prod"]
    assert len(set(waves.values())) == len(waves)
    assert "ignoreDifferences:" not in (GITOPS / "argocd/platform.yaml").read_text(encoding="utf-8")
