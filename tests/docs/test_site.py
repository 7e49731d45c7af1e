"""The documentation as a site: built of the same pages, searched and read in a real browser."""

import functools
import http.server
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import browser as browsers
from harness import ROOT

PAGES = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / "manifests/charts").glob("*/README.md"),
]
ELSEWHERE = re.compile(r"<(?:script|img|link|iframe)\b[^>]*\b(?:src|href)=\"(?:https?:)?//")
COMPLAINT = re.compile(r"^.*CONSOLE.*$|^.*(?:ERR_[A-Z_]+).*$", re.MULTILINE)


def build(folder: Path, dist: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Build the site of a tree as `make release-dry-run` does."""
    return subprocess.run(
        [
            "make",
            f"--file={ROOT / 'Makefile'}",
            f"{dist}/site",
            "--old-file=.venv/ready",
            f"BIN={Path(sys.executable).parent}",
            f"DIST={dist}",
            *options,
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def site(dist: Path) -> Path:
    return dist / "site"


def test_every_page_is_in_it_and_asks_nothing_of_anybody_else(site: Path) -> None:
    assert len(PAGES) > 50
    for page in PAGES:
        built = site / page.relative_to(ROOT).with_suffix(".html")
        text = built.read_text(encoding="utf-8")
        assert not ELSEWHERE.search(text), built
    assert 'url=README.html"' in (site / "index.html").read_text(encoding="utf-8")


FAULTS = {
    "docs/none.md": "[a page that is not there](docs/none.md)",
    "nowhere": "[a heading that is not there](docs/faq.md#nowhere)",
    "manifests/none.yaml": "[a file that is not there](manifests/none.yaml)",
    "none.svg": "![a picture that is not there](docs/images/none.svg)",
}


@pytest.fixture(scope="module")
def complaint(site: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What is said of a tree with faults, for which the generator is installed already."""
    assert site.exists()
    folder = tmp_path_factory.mktemp("faulty")
    tree = a_tree(folder)
    text = "\n\n".join(("# First", *FAULTS.values(), "[a page that is there](docs/faq.md#faq)"))
    (tree / "README.md").write_text(text, encoding="utf-8")
    done = build(tree, folder / "dist", "--old-file=.venv/docs/ready")
    assert done.returncode != 0
    return done.stderr


@pytest.mark.parametrize("told", FAULTS)
def test_a_link_that_leads_nowhere_is_an_error(told: str, complaint: str) -> None:
    assert told in complaint


def test_a_page_that_is_there_is_no_error(complaint: str) -> None:
    assert complaint.count("WARNING") == len(FAULTS)


def a_tree(folder: Path) -> Path:
    """Return a repository with every page that the contents name, each of one line."""
    tree = folder / "tree"
    (tree / "docs/site").mkdir(parents=True)
    (tree / ".venv").symlink_to(ROOT / ".venv")
    for name in ("pyproject.toml", "docs/site/conf.py"):
        (tree / name).write_bytes((ROOT / name).read_bytes())
    (tree / "docs/site/root").symlink_to(ROOT / "docs/site/root")
    for page in PAGES:
        copy = tree / page.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(f"# {page.stem}\n", encoding="utf-8")
    return tree


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Tests print nothing."""


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Serve the site on loopback, as pages are published."""
    handler = functools.partial(_Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("page", "shown"),
    [
        ("README.html", "It is for platform teams"),
        ("docs/reference.html", "Reference"),
        ("search.html?q=quarantine", "Incidents"),
    ],
)
def test_a_browser_shows_it_without_a_complaint_and_finds_words(
    page: str, shown: str, address: str, tmp_path: Path
) -> None:
    done = browsers.opened(
        browsers.program(),
        f"{address}/{page}",
        tmp_path,
        "--virtual-time-budget=20000",
        "--dump-dom",
    )
    body = done.stdout.partition("<main")[2] or done.stdout.partition("<body")[2]
    assert shown in body
    assert COMPLAINT.findall(done.stderr) == []
