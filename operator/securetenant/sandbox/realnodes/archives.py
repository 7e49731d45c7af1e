"""Image archives of one static program: what a builder would make of a two-line Dockerfile."""

import hashlib
import io
import json
import platform
import tarfile
from pathlib import Path

_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def pack(program: Path, image: str, target: Path, *, user: str = "65532:65532") -> None:
    """Write an archive of an image that holds and starts one static program."""
    content = program.read_bytes()
    layer = _tar({program.name.partition("-")[0]: (0o755, content)})
    digest = hashlib.sha256(layer).hexdigest()
    config = {
        "architecture": _MACHINES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {"Entrypoint": [f"/{program.name.partition('-')[0]}"], "User": user},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [image], "Layers": ["layer.tar"]}]
    making = target.with_suffix(".making")
    making.write_bytes(
        _tar(
            {
                "config.json": (0o644, json.dumps(config).encode()),
                "layer.tar": (0o644, layer),
                "manifest.json": (0o644, json.dumps(manifest).encode()),
            }
        )
    )
    making.rename(target)


def _tar(files: dict[str, tuple[int, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, (mode, content) in files.items():
            member = tarfile.TarInfo(name)
            member.mode, member.size = mode, len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
