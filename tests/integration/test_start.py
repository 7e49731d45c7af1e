"""``securetenant run``: what it says when it cannot start, and whose rights it takes."""

import asyncio
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from harness import OPERATOR, wait_for
from securetenant.kube import credentials
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance


def environment(kubeconfig: Path | None) -> dict[str, str]:
    """Return ours outside of a cluster, with that kubeconfig as the default."""
    found = {key: value for key, value in os.environ.items() if key != "KUBERNETES_SERVICE_HOST"}
    found.pop("KUBECONFIG", None)
    return found if kubeconfig is None else {**found, "KUBECONFIG": str(kubeconfig)}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "securetenant", "run", "--port=0", *arguments]


def refused(
    *arguments: str, kubeconfig: Path | None = None, more: Mapping[str, str] | None = None
) -> str:
    """Run it until it ends by itself; return the one line that it says."""
    found = subprocess.run(
        command(*arguments),
        env={**environment(kubeconfig), **(more or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert found.returncode == 1, found
    (line,) = found.stderr.splitlines()
    assert line.startswith("Error: ")
    return line


@pytest.fixture
def running() -> Iterator[list[subprocess.Popen[str]]]:
    """Those that were started, ended."""
    found: list[subprocess.Popen[str]] = []
    yield found
    for each in found:
        each.terminate()
        each.wait(20)


def starts(
    log: Path, running: list[subprocess.Popen[str]], *arguments: str, kubeconfig: Path
) -> None:
    """Start it and wait until it serves health, which comes after all refusals."""
    with log.open("w") as out:
        process = subprocess.Popen(
            command(*arguments), env=environment(kubeconfig), stdout=out, stderr=out, text=True
        )
    running.append(process)

    def serves() -> bool:
        assert process.poll() is None, log.read_text()
        return "Serving metrics and health" in log.read_text()

    wait_for(serves, what="it to start", seconds=30)


def test_a_kubeconfig_that_is_missing_is_named_in_one_line(tmp_path: Path) -> None:
    """O5: it was a traceback."""
    line = refused(kubeconfig=tmp_path / "none")
    assert f"There is no kubeconfig {tmp_path}/none" in line
    assert "--kubeconfig FILE" in line


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a: [",
        "[]",
        "contexts: []\nusers: []\ncurrent-context: x\n",
        "apiVersion: v1\nkind: Config\ncurrent-context: a\nclusters: []\ncontexts: []\nusers: []\n",
    ],
    ids=["empty", "no YAML", "a list", "no clusters", "no context"],
)
def test_a_kubeconfig_that_is_none_is_named_in_one_line(text: str, tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text(text)
    with pytest.raises(credentials.MissingLoginError) as found:
        asyncio.run(credentials.load(file))
    line = str(found.value)
    assert f"Kubeconfig {file} cannot be used: " in line
    assert "\n" not in line


def test_the_program_ends_with_that_line(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text("")
    for line in (refused(kubeconfig=file), refused(f"--kubeconfig={file}")):
        assert f"Kubeconfig {file} cannot be used: " in line


def test_a_pod_without_a_token_says_so_in_one_line() -> None:
    more = {"KUBERNETES_SERVICE_HOST": "192.0.2.1", "KUBERNETES_SERVICE_PORT": "443"}
    assert "a pod without the token of a ServiceAccount" in refused(more=more)


def test_a_port_that_is_taken_is_named_in_one_line(sandbox: Instance) -> None:
    """O5: it was a traceback."""
    login = kubeconfigs.for_service_account(sandbox, *OPERATOR)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refused(f"--kubeconfig={login}", f"--port={port}")
    assert f"Health cannot be served at 127.0.0.1, port {port}: " in line
    assert "Name another by --port" in line


def test_by_the_default_kubeconfig_it_runs_as_itself_only(
    sandbox: Instance, tmp_path: Path, running: list[subprocess.Popen[str]]
) -> None:
    """O5: it ran as the administrator without a word, and no fence held it."""
    line = refused(kubeconfig=sandbox.admin_kubeconfig)
    assert re.search(
        r"The default kubeconfig is of \S+, not of the operator"
        r" \(system:serviceaccount:securetenant-system:securetenant-operator\)",
        line,
    )
    assert "say --any-identity" in line
    own = kubeconfigs.for_service_account(sandbox, *OPERATOR)
    starts(tmp_path / "own", running, kubeconfig=own)


def test_as_somebody_else_it_runs_where_somebody_says_so(
    sandbox: Instance, tmp_path: Path, running: list[subprocess.Popen[str]]
) -> None:
    """By the flag, or by the name of a kubeconfig. Neither may do anything here."""
    nobody = kubeconfigs.for_user(sandbox, "nobody-in-particular", ())
    starts(tmp_path / "flag", running, "--any-identity", kubeconfig=nobody)
    starts(tmp_path / "named", running, f"--kubeconfig={nobody}", kubeconfig=nobody)


def test_an_api_server_that_does_not_answer_is_no_consent(
    tmp_path: Path, sandbox: Instance
) -> None:
    """Who it is was not seen, so it does not run."""
    text = kubeconfigs.for_user(sandbox, "nobody-in-particular", ()).read_text()
    file = tmp_path / "config"
    file.write_text(re.sub(r"server: .*", "server: https://127.0.0.1:1", text))
    assert "Who the default kubeconfig is, is not known" in refused(kubeconfig=file)
