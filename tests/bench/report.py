"""The report in a browser: ten tenants beside a thousand, and how long it takes to make."""

import datetime
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import factory
from bench.cluster import table
from securetenant.answers import built, report
from securetenant.answers.answer import Answer
from securetenant.answers.built import State
from securetenant.answers.snapshot import Snapshot
from securetenant.api import kinds, names

_ROUNDS = 5


def run(sizes: tuple[int, ...]) -> str:
    """Measure reports of so many tenants; return a Markdown table."""
    browser = shutil.which("chromium")
    rows = [["Tenants", "read and computed", "page made", "size", "opened by a browser"]]
    for size in sizes:
        began = time.process_time()
        answer = _answer(size)
        computed = time.process_time() - began
        began = time.process_time()
        text = report.page(answer)
        made = time.process_time() - began
        opened = _opened(browser, text) if browser else None
        rows.append(
            [
                f"{size:,}",
                f"{computed:.1f} s",
                f"{made:.2f} s",
                f"{len(text.encode()) / 1e6:.2f} MB",
                "no browser" if opened is None else f"{opened:.0f} ms",
            ]
        )
    return table(rows)


def _answer(size: int) -> Answer:
    """Return the report about tenants of two namespaces; each tenth has a peer."""
    bodies: dict[str, Any] = {}
    for number in range(size):
        name, other = f"t{number}", f"t{number ^ 1}"
        peer = {
            "tenant": other,
            "direction": "Both",
            "namespaces": [f"{other}-a"],
            "ports": [{"port": 443}],
        }
        body = factory.tenant(name, network={"peers": [peer]} if number % 20 < 2 else None)
        body["status"] = {
            "conditions": [
                {"type": type, "status": "True", "reason": "AsSpecified", "message": "x" * 150}
                for type in report._CONDITIONS
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
    snapshot = Snapshot(
        tenants=bodies,
        settings=settings,
        namespaces=tuple(spaces),
        network_policies=tuple(policies),
    )
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    return report.report(report.Seen(title="bench", now=now, snapshot=snapshot, posture=()))


def _opened(browser: str, text: str) -> float:
    """Return the milliseconds until the browser has opened the page, run it and printed it.

    Its own start included: something is painted before that.
    """
    times = []
    for _ in range(_ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "report.html"
            file.write_text(text, encoding="utf-8")
            command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
            began = time.monotonic()
            subprocess.run(
                [*command, f"--user-data-dir={folder}/profile", file.as_uri()],
                capture_output=True,
                check=True,
            )
            times.append((time.monotonic() - began) * 1000)
    return statistics.median(times)
