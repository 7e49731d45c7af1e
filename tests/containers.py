"""Images and one container, without a daemon: what a builder and a kubelet would do."""

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


class Images:
    """A store of images in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._policy = folder / "policy.json"
        self._policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        self._scratch = folder / "Dockerfile"
        self._scratch.write_text("FROM scratch\nCOPY . /\n")

    def pack(self, root: Path, name: str) -> str:
        """Make an image of a folder; return its name."""
        return self._build(root, name, "--file", str(self._scratch))

    def build(self, context: Path, name: str, **arguments: str) -> str:
        """Build the Dockerfile of a folder; return the image's name."""
        given = [f"--build-arg={key}={value}" for key, value in arguments.items()]
        return self._build(context, name, *given)

    def _build(self, context: Path, name: str, *options: str) -> str:
        policy = f"--signature-policy={self._policy}"
        self._call("bud", policy, f"--tag=localhost/{name}", *options, str(context))
        return f"localhost/{name}"

    def save(self, image: str, name: str, target: Path) -> None:
        """Write an image into an archive, under a name that it is pulled by."""
        policy = f"--signature-policy={self._policy}"
        self._call("push", policy, image, f"docker-archive:{target}:{name}")

    def configuration(self, image: str) -> dict[str, Any]:
        """Return what an image says of itself."""
        found = json.loads(self._call("inspect", "--type=image", image))
        configuration: dict[str, Any] = found["OCIv1"]["config"]
        return configuration

    @contextlib.contextmanager
    def mounted(self, image: str) -> Iterator[Path]:
        """Yield the files of an image."""
        container = self._call("from", f"--signature-policy={self._policy}", image).strip()
        try:
            yield Path(self._call("mount", container).strip())
        finally:
            self._call("rm", container)

    def _call(self, *arguments: str) -> str:
        done = subprocess.run(
            [
                "buildah",
                f"--root={self._folder / 'store'}",
                f"--runroot={self._folder / 'run'}",
                "--storage-driver=vfs",
                *arguments,
            ],
            env={**os.environ, "BUILDAH_ISOLATION": "chroot"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout[-4000:]}{done.stderr[-4000:]}"
        return done.stdout


def specification(
    pod: dict[str, Any], image: dict[str, Any], *, root: Path, account: Path, env: dict[str, str]
) -> dict[str, Any]:
    """Return what a runtime is told about the first container of a pod.

    As a kubelet would say it, but for two things: the network is the machine's, and a runtime
    alone has no seccomp profile of its own. ``account`` holds the files of the pod's token, ``env``
    what a kubelet would know.
    """
    (container,) = pod["containers"]
    user, limits = pod["securityContext"], container["securityContext"]
    (mount,) = container["volumeMounts"]
    assert mount["mountPath"] == _ACCOUNT
    assert limits["capabilities"] == {"drop": ["ALL"]}
    assert container["resources"]["limits"] == {"memory": "512Mi"}
    known = {
        each["name"]: env[each["valueFrom"]["fieldRef"]["fieldPath"]] for each in container["env"]
    }
    known |= {key: value for key, value in env.items() if key.isupper()}
    return {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": user["runAsUser"], "gid": user["runAsGroup"]},
            "args": [*image["Entrypoint"], *container.get("args", ())],
            "env": [*image["Env"], *(f"{key}={value}" for key, value in known.items())],
            "cwd": image["WorkingDir"],
            "noNewPrivileges": not limits["allowPrivilegeEscalation"],
            "capabilities": {},
        },
        "root": {"path": str(root), "readonly": limits["readOnlyRootFilesystem"]},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {
                "destination": "/dev",
                "type": "tmpfs",
                "source": "tmpfs",
                "options": ["nosuid", "mode=755", "size=64k"],
            },
            {
                "destination": _ACCOUNT,
                "type": "bind",
                "source": str(account),
                "options": ["bind", "ro"],
            },
        ],
        "linux": {
            "namespaces": [{"type": each} for each in ("ipc", "mount", "pid", "uts")],
            "resources": {"memory": {"limit": 512 * 2**20}},
        },
    }
