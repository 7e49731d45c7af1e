"""Base images out of Debian's own packages: without a registry, a daemon, or a shell in them.

They stand in for the two that the Dockerfile names, so that it is built for real where neither can
be pulled. The packages are those of the same Debian release, taken apart without running anything
of them, and are kept in the cache.
"""

import os
import shutil
import subprocess
from pathlib import Path

from securetenant.sandbox import folders

_RELEASE = "trixie"
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_RUNTIME = (
    "libbz2-1.0",
    "libc6",
    "libexpat1",
    "libffi8",
    "libgcc-s1",
    "liblzma5",
    "libpython3.13-minimal",
    "libpython3.13-stdlib",
    "libssl3t64",
    "libstdc++6",
    "libzstd1",
    "netbase",
    "python3-minimal",
    "python3.13-minimal",
    "zlib1g",
)
_BUILD = ("python3-pip",)
"""What the stage that installs packages has beyond the other."""
_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
_PIP_CONFIGURATION = Path("/etc/pip.conf")


def missing() -> str:
    """Say what this machine lacks for images, and what would help; an empty string if nothing."""
    programs = ("apt-get", "buildah", "dpkg-deb", "runc")
    absent = [name for name in programs if not shutil.which(name)]
    if not _KEYRING.exists():
        absent.append(str(_KEYRING))
    if absent:
        return f"no {', '.join(absent)} here. On Debian, as root: apt-get install buildah runc"
    if not _mirror():
        return "apt knows no mirror of Debian here. Name one in its sources"
    if os.geteuid() != 0:
        return "only root can build and run an image. Run these tests as root"
    return ""


def _mirror() -> str:
    """Return where this machine's apt finds Debian, or nothing; another release lies beside it."""
    asked = ["apt-get", "indextargets", "--format", "$(SITE) $(RELEASE)", "Created-By: Packages"]
    told = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    # Updates of security have a mirror of their own, and further sources another end.
    sites = (line.split()[0] for line in told.splitlines() if line)
    return next((each for each in sites if each.rstrip("/").endswith("/debian")), "")


def make_runtime(root: Path) -> None:
    """Make a root file system with Python and nothing to install or to type into."""
    for folder in ("dev", "etc", "proc", "sys", "usr/bin", "usr/lib", "usr/lib64", "usr/sbin"):
        (root / folder).mkdir(parents=True)
    for name in ("bin", "lib", "lib64", "sbin"):
        (root / name).symlink_to(f"usr/{name}")
    (root / "etc/passwd").write_text(
        "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n"
    )
    _unpack(_RUNTIME, root)


def make_build(root: Path) -> None:
    """Make the same with pip, and with this machine's way to a package index."""
    make_runtime(root)
    _unpack(_BUILD, root)
    for file in (_AUTHORITIES, _PIP_CONFIGURATION):
        if file.exists():
            copy = root / file.relative_to("/")
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)


def _unpack(packages: tuple[str, ...], root: Path) -> None:
    cache = folders.cache() / "debian" / _RELEASE
    absent = [name for name in packages if not list(cache.glob(f"{name}_*.deb"))]
    if absent:
        _fetch(absent, cache)
    for name in packages:
        (archive,) = cache.glob(f"{name}_*.deb")
        with subprocess.Popen(
            ["dpkg-deb", "--fsys-tarfile", str(archive)], stdout=subprocess.PIPE
        ) as opened:
            subprocess.run(
                ["tar", "-x", "--keep-directory-symlink", "-C", str(root)],
                stdin=opened.stdout,
                check=True,
            )
        assert opened.returncode == 0, archive


def _fetch(packages: list[str], cache: Path) -> None:
    """Download packages, with the signature verified, by an apt that knows nothing else."""
    state = cache / f"apt-{os.getpid()}"
    for folder in ("lists/partial", "archives/partial", "debs"):
        (state / folder).mkdir(parents=True)
    (state / "sources.list").write_text(f"deb [signed-by={_KEYRING}] {_mirror()} {_RELEASE} main\n")
    (state / "status").touch()
    options = {
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "root",
        "Dir::Cache": state,
        "Dir::Etc::SourceList": state / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State": state,
        "Dir::State::Lists": state / "lists",
        "Dir::State::status": state / "status",
    }
    apt = ["apt-get", "-qq", *(f"-o{key}={value}" for key, value in options.items())]
    try:
        for command in (["update"], ["download", *packages]):
            done = subprocess.run(
                [*apt, *command], cwd=state / "debs", capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
        for archive in (state / "debs").iterdir():
            archive.rename(cache / archive.name)
    finally:
        shutil.rmtree(state)
