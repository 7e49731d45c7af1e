"""Kubeconfigs: for the administrator, for any user name, for a ServiceAccount."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from securetenant.sandbox import pki
from securetenant.sandbox.errors import SandboxError
from securetenant.sandbox.instances import Instance

TOKEN_SECONDS = 3600
"""How long a ServiceAccount token lives; the supervisor renews it at half of that."""


def write(path: Path, *, server: str, authority: Path, user: dict[str, Any]) -> Path:
    """Write a kubeconfig with one cluster, one user and one context, all called sandbox."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "sandbox",
                "cluster": {"server": server, "certificate-authority": str(authority)},
            }
        ],
        "users": [{"name": "sandbox", "user": user}],
        "contexts": [{"name": "sandbox", "context": {"cluster": "sandbox", "user": "sandbox"}}],
        "current-context": "sandbox",
    }
    pki.write_private(path, yaml.safe_dump(document, sort_keys=False).encode())
    return path


def by_certificate(path: Path, *, server: str, authority: Path, pair: pki.KeyPair) -> Path:
    """Write a kubeconfig for the holder of a client certificate."""
    user = {"client-certificate": str(pair.certificate), "client-key": str(pair.key)}
    return write(path, server=server, authority=authority, user=user)


def for_admin(instance: Instance) -> Path:
    """Return the administrator's kubeconfig."""
    _require_running(instance)
    return instance.admin_kubeconfig


def for_user(instance: Instance, name: str, groups: tuple[str, ...]) -> Path:
    """Sign a certificate for any user name and write a kubeconfig for it.

    ``system:node:<name>`` with group ``system:nodes`` gives the credential of a node.
    """
    _require_running(instance)
    authority = pki.Authority(instance.pki, "ca")
    file = "user-" + "".join(letter if letter.isalnum() else "-" for letter in name)
    pair = authority.issue(file, name=name, groups=groups)
    return by_certificate(
        instance.folder / f"{file}.kubeconfig",
        server=instance.server(),
        authority=authority.files.certificate,
        pair=pair,
    )


def for_service_account(instance: Instance, namespace: str, name: str) -> Path:
    """Write a kubeconfig whose token file the supervisor renews for as long as it runs."""
    _require_running(instance)
    instance.tokens.mkdir(exist_ok=True)
    token = instance.tokens / f"{namespace}.{name}"
    if not renew(instance, token):
        raise SandboxError(
            f"No token for ServiceAccount {namespace}/{name} in sandbox {instance.name}.",
            remedy="Create the ServiceAccount first (`kubectl get serviceaccounts -A` lists them).",
        )
    return write(
        instance.folder / f"{namespace}.{name}.kubeconfig",
        server=instance.server(),
        authority=instance.pki / "ca.crt",
        user={"tokenFile": str(token)},
    )


def renew(instance: Instance, token: Path) -> bool:
    """Replace a token file with a fresh token; say whether it worked."""
    namespace, _, name = token.name.partition(".")
    try:
        done = subprocess.run(
            [
                instance.record()["binaries"]["kubectl"],
                f"--kubeconfig={instance.admin_kubeconfig}",
                "create",
                "token",
                name,
                f"--namespace={namespace}",
                f"--duration={TOKEN_SECONDS}s",
            ],
            capture_output=True,
            timeout=15,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return False
    if done.returncode != 0:
        return False
    pki.write_private(token, done.stdout.strip())
    return True


def stale(instance: Instance) -> Iterator[Path]:
    """Yield the token files that have lived for half of their time."""
    if not instance.tokens.is_dir():
        return
    for token in sorted(instance.tokens.iterdir()):
        if token.suffix != ".new" and time.time() - token.stat().st_mtime > TOKEN_SECONDS / 2:
            yield token


def _require_running(instance: Instance) -> None:
    phase = instance.phase()
    if phase != "running":
        raise SandboxError(
            f"Sandbox {instance.name} is {phase}.",
            remedy="Start it with `securetenant sandbox up`.",
        )
