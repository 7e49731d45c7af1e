"""The documentation as a site with search: `make release-dry-run` builds it in dist/site.

The pages are those that are read in the repository, and stay where they are, so each link holds in
both. The source folder of Sphinx is the repository. A link to another file, such as a manifest,
offers that file for download.
"""

import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

project = "SecureTenant"
release = version = _PROJECT["version"]
html_title = f"{project} {version}"
extensions = ["myst_parser"]
root_doc = "README"
include_patterns = [
    "*.md",
    "docs/**.md",
    "manifests/charts/*/README.md",
]
exclude_patterns = [".*", "dist", "operator", "tests"]
# The headings get the same anchors as in the repository.
myst_heading_anchors = 4
html_theme = "furo"
html_extra_path = ["root"]
html_copy_source = False
html_show_sphinx = False
# An output of a program is no program.
highlight_language = "none"

CONTENTS = {
    "Start": ("docs/quickstart", "docs/demo", "docs/concepts", "docs/comparison", "docs/faq"),
    "Platform teams": (
        "docs/operations",
        "docs/platforms",
        "docs/gitops",
        "docs/migration",
        "docs/adoption",
        "docs/incidents",
        "docs/runbooks",
        "docs/program",
        "manifests/charts/*/README",
    ),
    "Members of tenants": ("docs/members", "docs/applications"),
    "Controls": ("docs/controls/*",),
    "Security reviewers": ("docs/threat-model", "docs/credentials", "docs/proof", "SECURITY"),
    "Reference": ("docs/reference", "CHANGELOG"),
    "Contributors": (
        "CONTRIBUTING",
        "docs/architecture",
        "docs/e2e",
        "docs/decisions/*",
        "docs/benchmarks/*",
        "CODE_OF_CONDUCT",
    ),
}
"""What the side of each page lists: a part for each reader."""
_LISTED = {page for pages in CONTENTS.values() for page in pages}
_LEFT = sorted({f"docs/{page.stem}" for page in (ROOT / "docs").glob("*.md")} - _LISTED)


def contents() -> str:
    """Return the table of contents as the generator reads it."""
    parts = [
        "\n".join((f"```{{toctree}}\n:hidden:\n:caption: {caption}\n:glob:\n", *pages, "```"))
        for caption, pages in {**CONTENTS, "More": _LEFT}.items()
        if pages
    ]
    return "\n\n" + "\n\n".join(parts) + "\n"


def _list_pages(_: Any, page: str, text: list[str]) -> None:
    """Add the contents to the first page, which readers of the repository need not see."""
    if page == root_doc:
        text[0] += contents()


def setup(app: Any) -> None:
    """Take part in the reading of pages."""
    app.connect("source-read", _list_pages)
