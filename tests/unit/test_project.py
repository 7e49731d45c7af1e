"""Facts about the project's own files that nothing else would notice."""

import operator
import re
import subprocess
import sys
import tomllib

import pytest
import yaml

from harness import ROOT
from securetenant.sandbox import components


def test_the_source_root_does_not_shadow_the_standard_library() -> None:
    """`operator/` is a folder beside the standard library's module of that name."""
    assert not (ROOT / "operator" / "__init__.py").exists()
    assert operator.__file__.startswith(sys.base_prefix)


_PINS = components.pins()
# Those that are built of a source that lies here are tools of no module.
PINNED = tuple(
    each
    for each in (*_PINS.components, *_PINS.tools, *_PINS.nodes)
    if each.package != "." and not each.patched
)


@pytest.mark.parametrize("component", PINNED, ids=lambda each: each.name)
def test_the_go_modules_build_the_pinned_versions(component: components.Component) -> None:
    """pins.toml is the one place of versions; go.mod must not say another."""
    text = (components.modules() / component.module / "go.mod").read_text(encoding="utf-8")
    module = re.split("/cmd/|/plugins/(?:main|ipam)/", component.package)[0]
    pinned = rf"(require |\t){re.escape(module)} v{re.escape(component.version)}\b"
    assert re.search(pinned, text)
    tools = re.findall(r"^(?:tool |\t)(\S+)$", text, re.MULTILINE)
    assert component.package in tools


def test_what_is_built_of_a_source_here_has_the_pinned_version_too() -> None:
    version = _PINS.component("coredns").version
    text = (components.modules() / "coredns/go.mod").read_text(encoding="utf-8")
    assert f"require github.com/coredns/coredns v{version}\n" in text


def test_the_locks_name_no_address() -> None:
    """A lock is hashes; where packages come from is each user's own business."""
    for lock in ROOT.glob("requirements*.lock"):
        text = lock.read_text(encoding="utf-8")
        assert "://" not in text
        assert "--index-url" not in text
        assert "sha256:" in text


def test_production_ships_no_client_that_kopf_would_prefer() -> None:
    """Kopf logs in by any client library that it finds, pykube-ng first."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert not re.search(r"^(pykube-ng|pytest|rich|cryptography)==", text, re.MULTILINE)


@pytest.mark.parametrize("folder", ["operator", "packets"])
def test_its_pods_ask_for_the_image_of_this_version(folder: str) -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    version = tomllib.loads(text)["project"]["version"]
    text = (ROOT / f"manifests/{folder}/kustomization.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(text)["images"] == [{"name": "securetenant-operator", "newTag": version}]


def test_a_command_imports_only_what_it_needs() -> None:
    """The operator and its libraries take a second to import, and most commands need neither."""
    code = "import sys, securetenant.cli.main; sys.exit('kopf' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


AVOIDED = (
    r"[Tt]ake note",
    r"\banew\b",
    r"\b(?:is|are) (?:no )?news\b",
    r"\b(?:is|are|was|were) told\b",
    r"[Ww]hoever",
    r"\bof (?:ours|yours)\b",
    r"\byours\b",
    r"\bwhom\b",
    r"\b[Bb]eside\b",
    r"\balone\b",
    r"\ball the same\b",
    r"\bmend(?:s|ed)?\b",
    r"\bstands? in\b",
)
"""Words that readers stumble over. Each has a plainer one: only, again, in addition, anyone."""
READ = (
    "*.md",
    "crds/*.yaml",
    "docs/*.md",
    "docs/controls/*.md",
    "examples/**/*.yaml",
    "manifests/**/*.md",
    "manifests/**/*.yaml",
    "operator/**/*.html",
    "operator/**/*.py",
)
"""What people read, except decisions and benchmarks, which are records of their day."""


@pytest.mark.parametrize("word", AVOIDED)
def test_nobody_has_to_read_words_that_readers_stumble_over(word: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for pattern in READ
        for path in sorted(ROOT.glob(pattern))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(word, line)
    ]
    assert found == []
