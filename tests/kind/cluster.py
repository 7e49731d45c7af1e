"""What differs on kind: nodes, images, addresses, and how its login is written."""

import base64
import dataclasses
import subprocess
from pathlib import Path
from typing import Any

import yaml

from e2e import installed, world
from harness import kubectl
from securetenant.sandbox.instances import Instance

CLUSTER = "pytest-kind"
"""As pytest-kind calls it by default."""
_WORKERS = {world.PLATFORM: f"{CLUSTER}-worker", world.SHARED: f"{CLUSTER}-worker2"}
CAST = world.Cast(
    probes=tuple(
        dataclasses.replace(each, node=_WORKERS.get(each.node, each.node)) for each in world.PROBES
    ),
    # What addresses of nodes and of the API server are to a policy differs by network plugin.
    outside=(),
)


def docker(*arguments: str) -> None:
    """Run Docker's own program."""
    subprocess.run(["docker", *arguments], check=True)


def write_kubeconfig(instance: Instance, given: Path) -> None:
    """Write the login of kind with files in the place of what is in it."""
    document = yaml.safe_load(given.read_text(encoding="utf-8"))
    wanted = document["current-context"]
    (context,) = (each["context"] for each in document["contexts"] if each["name"] == wanted)
    (cluster,) = (each for each in document["clusters"] if each["name"] == context["cluster"])
    (user,) = (each for each in document["users"] if each["name"] == context["user"])
    for part, name in (
        (cluster["cluster"], "certificate-authority"),
        (user["user"], "client-certificate"),
        (user["user"], "client-key"),
    ):
        file = instance.folder / name
        file.touch(mode=0o600)
        file.write_bytes(base64.b64decode(part.pop(f"{name}-data")))
        part[name] = str(file)
    document |= {"clusters": [cluster], "users": [user]}
    instance.admin_kubeconfig.write_text(yaml.safe_dump(document), encoding="utf-8")


def settings(instance: Instance) -> dict[str, Any]:
    """Return the settings of the overlay; images are in the nodes and in no registry."""
    path = '{.items[*].status.addresses[?(@.type=="InternalIP")].address}'
    found = kubectl(instance, "get", "nodes", "-o", f"jsonpath={path}").split()
    nodes = [f"{each}/32" for each in found if ":" not in each]
    spec = {
        "apiServer": {"addresses": ["10.96.0.1/32", *nodes], "ports": [443, 6443]},
        "nodeNetworks": nodes,
        "podNetworks": ["10.244.0.0/16"],
        "workloads": {"imagePullPolicy": "Any"},
    }
    return {**installed.SETTINGS, "spec": spec}
