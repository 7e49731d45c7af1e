"""Find or make the pinned programs; the first source that has one wins.

Order: ``KUBEBUILDER_ASSETS`` and ``PATH`` (version checked), the cache, the official
release (checked against its published checksum), a build of the committed Go modules.
"""

import contextlib
import errno
import fcntl
import hashlib
import http.client
import json
import os
import platform
import shutil
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from securetenant.sandbox import components, folders, gobuild
from securetenant.sandbox.components import Component
from securetenant.sandbox.errors import SandboxError

Report = Callable[[str], None]
"""Takes one line for the person who waits."""

_KUBERNETES_URL = "https://dl.k8s.io/release/v{version}/bin/{os}/{arch}/{name}"
_ETCD_URL = "https://github.com/etcd-io/etcd/releases/download/v{version}/"
_DOWNLOAD_SECONDS = 5
"""How long to wait for a connection: behind a closed firewall the build must start soon."""


@dataclass(kw_only=True)
class _Search:
    """What was tried for one program, for the sentence that a failure prints."""

    notes: list[str] = field(default_factory=list)


def locate(wanted: tuple[str, ...], report: Report) -> dict[str, Path]:
    """Return a path for each wanted program; fetch or build what is missing.

    Raises :class:`SandboxError` that names each place that was looked at.
    """
    if platform.system() != "Linux":
        raise SandboxError(
            f"The sandbox runs on Linux; this is {platform.system()}.",
            remedy="Use a Linux machine or virtual machine.",
        )
    pinned = [components.pins().component(name) for name in wanted]
    found: dict[str, Path] = {}
    searches = {component.name: _Search() for component in pinned}
    for component in pinned:
        path = _from_assets(component) or _from_path(component, searches[component.name])
        path = path or _from_cache(component, searches[component.name], report)
        if path is not None:
            found[component.name] = path
    missing = [component for component in pinned if component.name not in found]
    if missing:
        with _lock(report):
            found |= _make(missing, searches, report)
    return found


def _make(
    missing: list[Component], searches: dict[str, _Search], report: Report
) -> dict[str, Path]:
    """Download or build what is missing; the caller holds the lock."""
    made: dict[str, Path] = {}
    online = True
    for number, component in enumerate(missing, start=1):
        if len(missing) > 1:
            report(f"{component.name} ({number} of {len(missing)} that are missing)")
        search = searches[component.name]
        # Another run may have made it while this one waited for the lock.
        path = _from_cache(component, search, report)
        if path is None and online:
            try:
                path = _from_download(component, report)
            except _DownloadFailedError as failure:
                search.notes.append(f"official release: {failure}")
                online = not failure.offline
        if path is None:
            path = _from_build(component, search, report)
        made[component.name] = path
    return made


# --- KUBEBUILDER_ASSETS and PATH ------------------------------------------------------------


def _from_assets(component: Component) -> Path | None:
    """Look into KUBEBUILDER_ASSETS: set on purpose, so a wrong version there is an error."""
    folder = os.environ.get("KUBEBUILDER_ASSETS", "")
    path = Path(folder) / component.name
    if not folder or not component.from_path or not path.is_file():
        return None
    version = components.version_of(component.name, path)
    if not _matches(version, component):
        raise SandboxError(
            f"{path} is {component.name} {version or 'of unknown version'};"
            f" {component.minor}.x is needed (KUBEBUILDER_ASSETS is set).",
            remedy="Point KUBEBUILDER_ASSETS at matching binaries, or unset it.",
        )
    return path


def _from_path(component: Component, search: _Search) -> Path | None:
    """Look into PATH; another version there is normal and only noted."""
    if not component.from_path:
        return None
    where = shutil.which(component.name)
    if where is None:
        search.notes.append("PATH: not there")
        return None
    version = components.version_of(component.name, Path(where))
    if not _matches(version, component):
        search.notes.append(
            f"PATH: {where} is {version or 'of unknown version'}, not {component.minor}.x"
        )
        return None
    return Path(where)


def _matches(version: str, component: Component) -> bool:
    return version.rpartition(".")[0] == component.minor


# --- the cache ------------------------------------------------------------------------------


def cached(component: Component) -> Path:
    """Return where the cache keeps a program."""
    machine = f"{platform.system()}-{platform.machine()}".lower()
    return folders.cache() / "bin" / machine / f"{component.name}-{component.version}"


def _from_cache(component: Component, search: _Search, report: Report) -> Path | None:
    """Return the cached program if it is the one that was put there.

    Size and change time decide; only when they differ is the file hashed, since hashing
    300 MB at every start would cost more than starting etcd.
    """
    path = cached(component)
    record_path = path.with_suffix(path.suffix + ".json")
    try:
        record = json.loads(record_path.read_text(encoding="utf-8"))
        stat = path.stat()
        if (stat.st_size, stat.st_mtime_ns) == (record["size"], record["mtime_ns"]):
            return path
        if _sha256(path) == record["sha256"]:
            _record(path, record["sha256"])
            return path
    except FileNotFoundError:
        search.notes.append(f"cache: {path} is not there")
        return None
    except (OSError, ValueError, KeyError, TypeError):
        pass
    report(f"{path} in the cache is damaged; it is made again.")
    search.notes.append(f"cache: {path} was damaged")
    return None


def _record(path: Path, digest: str) -> None:
    stat = path.stat()
    record = {"sha256": digest, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    _replace(path.with_suffix(path.suffix + ".json"), json.dumps(record).encode())


def _replace(path: Path, content: bytes) -> None:
    """Write a file so that no reader ever sees half of it."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as out:
        out.write(content)
    os.replace(out.name, path)


def _store(component: Component, made: Path) -> Path:
    """Move a finished program into the cache, then write its record: never half a program."""
    target = cached(component)
    made.chmod(0o755)
    digest = _sha256(made)
    os.replace(made, target)
    _record(target, digest)
    return target


def _sha256(path: Path) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


@contextlib.contextmanager
def _lock(report: Report) -> Iterator[None]:
    """Hold the cache's lock, so that two runs never build the same thing twice."""
    folder = folders.cache()
    with _disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        handle = (folder / "lock").open("a", encoding="utf-8")
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("Another run is fetching or building the binaries; waiting for it.")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _workspace(component: Component) -> Iterator[Path]:
    """Yield a temporary folder on the cache's file system; it goes away whatever happens."""
    parent = cached(component).parent
    with _disk_errors(parent):
        parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=parent, prefix=".making-") as folder:
            yield Path(folder)


@contextlib.contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    """Turn a full, read-only or forbidden disk into a sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _disk_full(folder) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise SandboxError(
                f"Cannot write to {folder}: {os.strerror(error.errno)}.",
                remedy="Set XDG_CACHE_HOME to a folder that you may write to.",
            ) from error
        raise


def _disk_full(folder: Path) -> SandboxError:
    return SandboxError(
        f"No space left for {folder}.",
        remedy="Free about 5 GB (a build needs it once), or set XDG_CACHE_HOME and GOCACHE to"
        " a larger disk.",
    )


# --- the official release -------------------------------------------------------------------


class _DownloadFailedError(Exception):
    def __init__(self, text: str, *, offline: bool) -> None:
        self.offline = offline
        super().__init__(text)


def _from_download(component: Component, report: Report) -> Path | None:
    """Fetch the official release and check it against the checksum published with it.

    kwok publishes no checksums, and the others are for tests only: these are built.
    """
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine())
    if component.module not in ("etcd", "kubernetes") or machine is None:
        return None
    started = time.monotonic()
    with _workspace(component) as folder:
        target = folder / component.name
        if component.module == "etcd":
            base = _ETCD_URL.format(version=component.version)
            archive = f"etcd-v{component.version}-linux-{machine}.tar.gz"
            sums = _fetch_text(base + "SHA256SUMS")
            expected = next(
                (line.split()[0] for line in sums.splitlines() if line.endswith(archive)), ""
            )
            _fetch(base + archive, folder / archive, expected)
            member = f"{archive.removesuffix('.tar.gz')}/etcd"
            with tarfile.open(folder / archive) as tar, target.open("wb") as out:
                source = tar.extractfile(member)
                if source is None:
                    raise _DownloadFailedError(f"{archive} holds no {member}", offline=False)
                shutil.copyfileobj(source, out)
        else:
            url = _KUBERNETES_URL.format(
                version=component.version, os="linux", arch=machine, name=component.name
            )
            _fetch(url, target, _fetch_text(url + ".sha256").strip())
        path = _store(component, target)
    report(f"Fetched {component.name} {component.version} ({time.monotonic() - started:.0f} s).")
    return path


def _open(url: str) -> http.client.HTTPResponse:
    try:
        response = urllib.request.urlopen(url, timeout=_DOWNLOAD_SECONDS)  # noqa: S310 - https.
    except urllib.error.HTTPError as error:
        raise _DownloadFailedError(f"{url}: HTTP {error.code}", offline=False) from error
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise _DownloadFailedError(f"{url}: {reason}", offline=True) from error
    return cast("http.client.HTTPResponse", response)


def _fetch_text(url: str) -> str:
    with _open(url) as response:
        return str(response.read(1 << 20), "ascii", "replace")


def _fetch(url: str, target: Path, expected: str) -> None:
    with _open(url) as response, target.open("wb") as out:
        try:
            shutil.copyfileobj(response, out, 1 << 20)
        except TimeoutError as error:
            raise _DownloadFailedError(f"{url}: stalled", offline=True) from error
    actual = _sha256(target)
    if actual != expected:
        raise _DownloadFailedError(
            f"{url}: checksum is {actual}, published is {expected or 'missing'}", offline=False
        )


# --- the build ------------------------------------------------------------------------------


def _from_build(component: Component, search: _Search, report: Report) -> Path:
    """Build from the committed Go module; raise with everything that was tried."""
    with _workspace(component) as folder:
        target = folder / component.name
        try:
            gobuild.build(component, target, report)
        except gobuild.BuildFailedError as failure:
            if "no space left on device" in str(failure):
                raise _disk_full(cached(component).parent) from failure
            tried = "; ".join([*search.notes, f"build: {failure}"])
            raise SandboxError(
                f"{component.name} {component.minor}.x was not found and could not be made."
                f" Looked at: {tried}.",
                remedy=failure.remedy,
            ) from failure
        return _store(component, target)
