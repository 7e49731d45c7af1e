"""The jobs of examples/ci, step by step as a forge runs them, with the real program.

What only a forge has is a small program in PATH that writes down how it was called, or a server
that keeps what it was sent. Nothing here is GitHub or GitLab.
"""

import http.server
import json
import os
import re
import stat
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import ROOT, environment
from securetenant.sandbox import binaries

CI = ROOT / "examples" / "ci"
WHEEL = "https://wheels.example/securetenant_operator.whl"
SETTINGS = (ROOT / "manifests/settings/default.yaml").read_text(encoding="utf-8")


def spec(name: str, peer: str = "", **more: Any) -> str:
    """Return a SecureTenant, with a peer on port 443 if one is named."""
    body: dict[str, Any] = {
        "apiVersion": "securetenant.io/v1alpha1",
        "kind": "SecureTenant",
        "metadata": {"name": name},
        "spec": {"namespaces": [{"name": f"{name}-a"}], **more},
    }
    if peer:
        ends = {"tenant": peer, "namespaces": [f"{peer}-a"], "ports": [{"port": 443}]}
        body["spec"]["network"] = {"peers": [{**ends, "direction": "Both"}]}
    return yaml.safe_dump(body)


CLOSED = {"one.yaml": spec("forge-one", "forge-two"), "two.yaml": spec("forge-two")}
CHANGES = {
    "opens": ({**CLOSED, "two.yaml": spec("forge-two", "forge-one")}, 2, "Opens between tenants"),
    "harmless": ({**CLOSED, "two.yaml": spec("forge-two", deletionPolicy="Delete")}, 0, "Nothing"),
    "refused": ({**CLOSED, "two.yaml": spec("forge-two", quota={"cpu": 1})}, 2, "Refused"),
    "broken": ({**CLOSED, "two.yaml": "a: ["}, 1, ""),
}
"""What a request changes, the exit code of the job, and what its comment says."""


def write(folder: Path, tenants: Mapping[str, str]) -> None:
    """Write a repository as the examples lay it out."""
    for name, files in {"platform": {"settings.yaml": SETTINGS}, "tenants": tenants}.items():
        part = folder / name
        part.mkdir(parents=True, exist_ok=True)
        listed = {"kustomization.yaml": f"resources: {json.dumps(sorted(files))}\n"}
        for file, text in {**files, **listed}.items():
            (part / file).write_text(text, encoding="utf-8")


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder for PATH: the program as installed, and what a forge's image would have."""
    folder = tmp_path / "bin"
    folder.mkdir()
    made = {
        "securetenant": f'exec "{sys.executable}" -m securetenant "$@"',
        **{
            name: f'printf "%s\\n" "$*" >> "{tmp_path}/{name}.called"'
            for name in ("pipx", "pip", "apt-get")
        },
        # The comment, as gh would read it.
        "gh": f'printf "%s\\n" "$*" >> "{tmp_path}/gh.called"\ncp plan.md "{tmp_path}/comment.md"',
    }
    for name, text in made.items():
        path = folder / name
        path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    (folder / "kubectl").symlink_to(binaries.locate(("kubectl",), lambda _: None)["kubectl"])
    return folder


def shell(script: str, where: Path, programs: Path, **variables: str) -> int:
    """Run a script as a runner does: in bash, until the first command that fails."""
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=where,
        env={**environment(PATH=path), "PYTHONPATH": str(ROOT / "operator"), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    sys.stdout.write(done.stdout)
    sys.stderr.write(done.stderr)
    return done.returncode


class Job:
    """A job of a GitHub workflow: its steps, and the expressions that they use."""

    def __init__(self, file: str, job: str, known: Mapping[str, str]) -> None:
        body = yaml.safe_load((CI / file).read_text(encoding="utf-8"))
        self.steps = [each for each in body["jobs"][job]["steps"] if "run" in each]
        self.known = dict(known)

    def run(self, where: Path, programs: Path, **variables: str) -> int:
        """Run the steps until one fails; return its exit code."""
        for step in self.steps:
            output, summary = where / "output", where / "summary"
            output.write_text("", encoding="utf-8")
            given = {
                name: self.filled(str(value)) for name, value in (step.get("env") or {}).items()
            }
            files = {"GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(summary)}
            code = shell(self.filled(step["run"]), where, programs, **variables, **files, **given)
            if code:
                return code
            for line in output.read_text(encoding="utf-8").splitlines():
                name, _, value = line.partition("=")
                self.known[f"steps.{step['id']}.outputs.{name}"] = value
        return 0

    def filled(self, text: str) -> str:
        """Return a text with the values of its expressions; an unknown one fails."""
        return re.sub(r"\$\{\{ *(.+?) *\}\}", lambda found: self.known[found[1]], text)


@pytest.mark.parametrize("change", CHANGES)
def test_the_github_action_comments_the_plan_and_fails_where_something_opens(
    change: str, tmp_path: Path, programs: Path
) -> None:
    after, code, told = CHANGES[change]
    work = tmp_path / "work"
    write(work / "base", CLOSED)
    write(work / "change", after)
    known = {
        "vars.SECURETENANT": WHEEL,
        "github.token": "t",
        "github.repository": "o/r",
        "github.event.number": "7",
    }
    assert Job("github.yaml", "plan", known).run(work, programs) == code
    installed = (tmp_path / "pipx.called").read_text(encoding="utf-8")
    assert installed == f"install securetenant-operator[cli] @ {WHEEL}\n"
    comment = tmp_path / "comment.md"
    assert comment.exists() == (code != 1), "an empty comment would hide the last one"
    if code == 1:
        return
    assert told in comment.read_text(encoding="utf-8")
    assert (work / "summary").read_bytes() == comment.read_bytes()
    called = (tmp_path / "gh.called").read_text(encoding="utf-8")
    assert called == "pr comment 7 --body-file plan.md --edit-last --create-if-none\n"


class Notes(http.server.ThreadingHTTPServer):
    """GitLab's notes: keeps what is posted."""

    def __init__(self) -> None:
        self.posted: list[tuple[str, str, str]] = []
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Notes)
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        body = urllib.parse.parse_qs(text, strict_parsing=True)["body"][0]
        server.posted.append((self.path, self.headers["PRIVATE-TOKEN"], body))
        self.send_response(201)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def notes() -> Iterator[Notes]:
    server = Notes()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def git(where: Path, *arguments: str) -> None:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *who, *arguments], cwd=where, check=True, capture_output=True)


@pytest.mark.parametrize("change", CHANGES)
def test_the_gitlab_job_posts_the_plan_and_fails_where_something_opens(
    change: str, tmp_path: Path, programs: Path, notes: Notes
) -> None:
    """The branch is fetched from a repository, and the note is sent to a server."""
    after, code, told = CHANGES[change]
    origin, work = tmp_path / "origin", tmp_path / "work"
    origin.mkdir()
    git(origin, "init")
    write(origin, CLOSED)
    git(origin, "add", ".")
    git(origin, "commit", "-m", "base")
    git(tmp_path, "clone", str(origin), str(work))
    write(work, after)
    job = yaml.safe_load((CI / "gitlab.yaml").read_text(encoding="utf-8"))["plan"]
    variables = {
        "SECURETENANT": WHEEL,
        "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
        "CI_API_V4_URL": f"http://127.0.0.1:{notes.server_port}/api/v4",
        "CI_PROJECT_ID": "5",
        "CI_MERGE_REQUEST_IID": "7",
        "NOTES_TOKEN": "t",
        "no_proxy": "127.0.0.1",
    }
    script = "\n".join([*job["before_script"], *job["script"]])
    assert shell(f"set -o pipefail\n{script}", work, programs, **variables) == code
    installed = (tmp_path / "pip.called").read_text(encoding="utf-8")
    assert installed == f"install securetenant-operator[cli] @ {WHEEL}\n"
    if code == 1:
        assert notes.posted == []
        return
    plan = (work / "plan.md").read_text(encoding="utf-8")
    assert told in plan
    assert notes.posted == [("/api/v4/projects/5/merge_requests/7/notes", "t", plan)]


@pytest.mark.parametrize("is_good", [True, False])
def test_the_dry_run_tries_tenants_on_an_api_server_with_the_policies(
    is_good: bool, tmp_path: Path, programs: Path
) -> None:
    """It starts a control plane of its own, as in a runner."""
    work = tmp_path / "work"
    (work / "platform").mkdir(parents=True)
    for name, source in (("crds", "crds"), ("manifests", "manifests")):
        (work / "platform" / name).symlink_to(ROOT / source)
    (work / "platform/kustomization.yaml").write_text("resources: [manifests]\n", encoding="utf-8")
    more: dict[str, Any] = {} if is_good else {"quota": {"cpu": 1}}
    tenant = spec("forge-tried", **more)
    files = {"tried.yaml": tenant, "kustomization.yaml": "resources: [tried.yaml]\n"}
    (work / "tenants").mkdir()
    for name, text in files.items():
        (work / "tenants" / name).write_text(text, encoding="utf-8")
    job = Job("tenants.yaml", "dry-run", {"vars.SECURETENANT": WHEEL})
    name = f"test-{os.getpid()}-ci"
    for step in job.steps:
        step["run"] = step["run"].replace("--name ci", f"--name {name}")
    try:
        code = job.run(work, programs)
    finally:
        down = f"securetenant sandbox down --name {name}"
        assert shell(down, work, programs) == 0
    assert (code == 0) == is_good
