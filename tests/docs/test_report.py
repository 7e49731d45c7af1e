"""The report in a real browser: no error, no request to anywhere, readable for everybody."""

import datetime
import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import browser as browsers
import factory
from harness import ROOT
from securetenant.answers import built, report
from securetenant.answers.built import State
from securetenant.answers.checkup import Line
from securetenant.answers.snapshot import Snapshot
from securetenant.api import kinds, names
from securetenant.checks.posture import Result

PICTURE = ROOT / "docs" / "images" / "report.png"
AXE = "axe-core@4.14.1"
ASKING = """
<script>{axe}</script>
<script>
"use strict";
const errors = [];
addEventListener("error", event => errors.push(String(event.message)));
addEventListener("securitypolicyviolation", event => errors.push(event.violatedDirective));
addEventListener("load", async () => {{
  const found = await axe.run(document, {{resultTypes: ["violations"]}});
  document.title = JSON.stringify({{
    errors,
    requests: performance.getEntriesByType("resource").map(each => each.name),
    dark: matchMedia("(prefers-color-scheme: dark)").matches,
    violations: found.violations.map(each => each.id + ": " + each.nodes[0].html),
    checked: found.passes.length,
  }});
}});
</script>
"""


@pytest.fixture(scope="module")
def browser() -> str:
    return browsers.program()


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The checker of accessibility, from npm."""
    folder = tmp_path_factory.mktemp("axe")
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("there is no npm here, which brings axe-core")
    done = subprocess.run(
        [npm, "pack", "--silent", AXE], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"axe-core cannot be had: {done.stderr[:200]}")
    archive = next(folder.glob("*.tgz"))
    shutil.unpack_archive(archive, folder, filter="data")
    return (folder / "package" / "axe.min.js").read_text(encoding="utf-8")


def page() -> str:
    """Return the report about four tenants, one of them with a fault."""
    ports = [{"port": 443}]
    bodies = {}
    for name, other in (("acme", "beta"), ("beta", "acme"), ("gamma", ""), ("delta", "")):
        peers = [
            {"tenant": other, "direction": "Both", "namespaces": [f"{other}-a"], "ports": ports}
        ]
        body = factory.tenant(name, network={"peers": peers} if other else None)
        status = "False" if name == "gamma" else "True"
        body["status"] = {
            "conditions": [
                {"type": type, "status": status, "reason": "AsSpecified", "message": "as specified"}
                for type in report._CONDITIONS[:7]
            ]
        }
        bodies[name] = body
    settings = factory.settings_spec()
    spaces = [factory.namespace("kube-system", labels={names.NAMESPACE_NAME_LABEL: "kube-system"})]
    policies: list[Any] = []
    for name, found in built.build(
        State(settings=settings, tenants=bodies), built.There(), bodies
    ).items():
        for namespace, manifests in found.manifests.items():
            labels = {names.NAMESPACE_NAME_LABEL: namespace}
            spaces.append(factory.namespace(namespace, name, labels=labels))
            policies += [
                body for ref, body in manifests.items() if ref.kind == kinds.NETWORK_POLICY.name
            ]
    lines = [
        Line("Posture", "No privileged containers", Result.PASS, "tried", "", "E", "CIS 5.2.2"),
        Line(
            "Posture", "Nothing else on the control plane", Result.FAIL, "node-2", "", "TE", "NSA"
        ),
        Line(
            "Posture", "Secrets are encrypted", Result.UNKNOWN, "its provider", "", "I", "CIS 1.2"
        ),
    ]
    seen = report.Seen(
        title="https://api.cluster.example",
        now=datetime.datetime(2026, 11, 22, 12, tzinfo=datetime.UTC),
        snapshot=Snapshot(
            tenants=bodies,
            settings=settings,
            namespaces=tuple(spaces),
            network_policies=tuple(policies),
        ),
        posture=lines,
    )
    return report.page(report.report(seen))


def opened(browser: str, file: Path, *options: str) -> str:
    return browsers.opened(browser, file.as_uri(), file.parent / "profile", *options).stdout


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_and_people_who_need_help_can_read_it(
    scheme: str, browser: str, axe: str, tmp_path: Path
) -> None:
    file = tmp_path / "report.html"
    file.write_text(page().replace("<script>", ASKING.format(axe=axe) + "<script>", 1), "utf-8")
    prefers = f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}"
    printed = opened(browser, file, prefers, "--virtual-time-budget=20000", "--dump-dom")
    title = re.search(r"<title>(.*?)</title>", printed, re.DOTALL)
    assert title is not None
    found = json.loads(html.unescape(title[1]))
    assert found["dark"] == (scheme == "dark")
    assert found["errors"] == []
    assert found["requests"] == []
    assert found["violations"] == []
    assert found["checked"] > 10


def test_the_picture_in_the_documentation_is_of_this_report(
    browser: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Pixels differ from browser to browser, so it is written only when that is asked for."""
    file = tmp_path / "report.html"
    file.write_text(page(), encoding="utf-8")
    shot = tmp_path / "shot.png"
    opened(browser, file, "--window-size=1300,1250", f"--screenshot={shot}")
    assert shot.stat().st_size > 20_000
    if request.config.getoption("--update-golden"):
        shutil.copy(shot, PICTURE)
    assert PICTURE.exists()
