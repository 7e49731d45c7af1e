"""A read-only registry over plain HTTP that serves the image archives of one folder.

Run as ``python -m securetenant.sandbox.realnodes.registry ADDRESS PORT FOLDER``. An archive is
what ``docker save`` and ``buildah push docker-archive:`` write; its image is served under the
name that is in it, whatever the host part of that name is. Only the nodes reach this registry.
"""

import hashlib
import json
import socketserver
import sys
import tarfile
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_CHUNK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class _Blob:
    """Some bytes of an archive."""

    archive: Path
    offset: int
    size: int


@dataclass(kw_only=True)
class _Store:
    """What the archives of a folder hold; each is read when it is first seen."""

    folder: Path
    manifests: dict[str, bytes] = field(default_factory=dict)
    """By ``repository:tag`` and by ``repository@digest``."""
    blobs: dict[str, _Blob] = field(default_factory=dict)
    _seen: dict[Path, int] = field(default_factory=dict)

    def read(self) -> None:
        """Read the archives that are new or changed."""
        for archive in sorted(self.folder.glob("*.tar")):
            changed = archive.stat().st_mtime_ns
            if self._seen.get(archive) != changed:
                self._add(archive)
                self._seen[archive] = changed

    def _add(self, archive: Path) -> None:
        with tarfile.open(archive) as tar:
            (described,) = json.loads(_content(tar, "manifest.json"))
            manifest = {
                "schemaVersion": 2,
                "mediaType": _MANIFEST,
                "config": {"mediaType": _CONFIG, **self._blob(archive, tar, described["Config"])},
                "layers": [
                    {"mediaType": _LAYER, **self._blob(archive, tar, layer)}
                    for layer in described["Layers"]
                ],
            }
        body = json.dumps(manifest).encode()
        for name in described["RepoTags"]:
            repository, _, tag = name.partition("/")[2].rpartition(":")
            self.manifests[f"{repository}:{tag}"] = body
            self.manifests[f"{repository}@{_digest(body)}"] = body

    def _blob(self, archive: Path, tar: tarfile.TarFile, name: str) -> dict[str, Any]:
        member = tar.getmember(name)
        # Layers that are equal are links to the first.
        while member.issym() or member.islnk():
            folder = name.rpartition("/")[0] if member.issym() else ""
            name = str(Path(folder, member.linkname))
            member = tar.getmember(name)
        digest = _digest(_content(tar, name))
        self.blobs[digest] = _Blob(archive=archive, offset=member.offset_data, size=member.size)
        return {"digest": digest, "size": member.size}


def _content(tar: tarfile.TarFile, name: str) -> bytes:
    source = tar.extractfile(name)
    if source is None:
        raise ValueError(f"{name} is no file in the archive")
    return source.read()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class _Handler(BaseHTTPRequestHandler):
    """Answers the part of the distribution API that a pull needs."""

    protocol_version = "HTTP/1.1"
    store: _Store

    def do_GET(self) -> None:
        """Answer a GET."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Answer a HEAD."""
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        path = self.path.partition("?")[0].removeprefix("/v2/")
        if path in ("", "/v2"):
            self._send(b"{}", "application/json", with_body=with_body)
            return
        where, _, name = path.rpartition("/")
        repository, _, kind = where.rpartition("/")
        if kind == "blobs" and name in self.store.blobs:
            self._send_blob(name, with_body=with_body)
            return
        self.store.read()
        key = f"{repository}@{name}" if name.startswith("sha256:") else f"{repository}:{name}"
        if kind == "manifests" and key in self.store.manifests:
            self._send(self.store.manifests[key], _MANIFEST, with_body=with_body)
            return
        self.send_response(HTTPStatus.NOT_FOUND)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, body: bytes, kind: str, *, with_body: bool) -> None:
        self._head(kind, len(body), _digest(body))
        if with_body:
            self.wfile.write(body)

    def _send_blob(self, digest: str, *, with_body: bool) -> None:
        blob = self.store.blobs[digest]
        self._head("application/octet-stream", blob.size, digest)
        if with_body:
            with blob.archive.open("rb") as source:
                source.seek(blob.offset)
                left = blob.size
                while left and (chunk := source.read(min(left, _CHUNK))):
                    self.wfile.write(chunk)
                    left -= len(chunk)

    def _head(self, kind: str, size: int, digest: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(size))
        self.send_header("Docker-Content-Digest", digest)
        self.end_headers()


class _Server(ThreadingHTTPServer):
    """One that asks no DNS for the name of its own address."""

    daemon_threads = True

    def server_bind(self) -> None:
        """Bind, and take the address for the name."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]


def main() -> None:
    """Serve until ended."""
    _Handler.store = _Store(folder=Path(sys.argv[3]))
    _Handler.store.read()
    _Server((sys.argv[1], int(sys.argv[2])), _Handler).serve_forever()


if __name__ == "__main__":
    main()
