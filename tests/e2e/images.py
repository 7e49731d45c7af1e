"""The images that run on the nodes: the operator's, of its Dockerfile, and that of the probes."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import debian_base
from containers import Images
from harness import ROOT
from securetenant.sandbox import folders, gobuild
from securetenant.sandbox.realnodes import archives, layout

OPERATOR = f"{layout.REGISTRY}/securetenant-operator"
VERSION = "0.1.0"
PROBE = f"{layout.REGISTRY}/probe:1"
_LEFT_OUT = ROOT / "operator/securetenant/sandbox"
"""Files that the image has not (.dockerignore)."""
_SOURCES = (".dockerignore", "Dockerfile", "LICENSE", "requirements.lock", "operator/securetenant")


def build_operator(folder: Path) -> Path:
    """Return an archive of the operator's image; the last one is kept while its sources are."""
    kept = folders.cache() / "images"
    archive = kept / f"operator-{_digest()}.tar"
    if archive.exists():
        return archive
    images = Images(folder)
    debian_base.make_runtime(folder / "runtime")
    debian_base.make_build(folder / "build")
    image = images.build(
        ROOT,
        "operator",
        BUILD_BASE=images.pack(folder / "build", "build"),
        RUNTIME_BASE=images.pack(folder / "runtime", "runtime"),
    )
    made = folder / "operator.tar"
    images.save(image, f"{OPERATOR}:{VERSION}", made)
    kept.mkdir(parents=True, exist_ok=True)
    for older in kept.glob("operator-*.tar"):
        older.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=kept) as making:
        shutil.copyfile(made, Path(making, "operator.tar"))
        os.replace(Path(making, "operator.tar"), archive)
    return archive


def build_probe(target: Path) -> None:
    """Write an archive of the probes' image."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "probe")
        compile_probe(program)
        archives.pack(program, PROBE, target)


def compile_probe(target: Path) -> None:
    """Build the probes' program."""
    go = str(gobuild.toolchain(lambda _: None))
    subprocess.run(
        [go, "build", "-trimpath", "-buildvcs=false", f"-o={target}", "."],
        cwd=Path(__file__).parent / "probe",
        env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GOTOOLCHAIN": "local"},
        check=True,
    )


def _digest() -> str:
    """Return a digest of everything that the image is made of, but for packages of Debian."""
    found = hashlib.sha256()
    for source in _SOURCES:
        path = ROOT / source
        every = sorted(path.rglob("*")) if path.is_dir() else [path]
        for each in every:
            if each.is_file() and each.suffix != ".pyc" and _LEFT_OUT not in each.parents:
                found.update(str(each.relative_to(ROOT)).encode() + b"\0" + each.read_bytes())
    return found.hexdigest()[:20]
