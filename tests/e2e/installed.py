"""The product, installed as docs/operations.md says: an overlay, and kubectl."""

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from harness import ROOT, kubectl
from securetenant.sandbox.instances import Instance
from securetenant.sandbox.realnodes import layout

NAMESPACE = "securetenant-system"

_MUTATING = 36
"""The minor version of Kubernetes from which on there are mutating policies."""

SETTINGS: dict[str, Any] = {
    "apiVersion": "securetenant.io/v1alpha1",
    "kind": "TenancySettings",
    "metadata": {"name": "default"},
    "spec": {
        "apiServer": {"addresses": ["10.96.0.1/32", f"{layout.HUB}/32"], "ports": [443, 6443]},
        "nodeNetworks": ["172.31.74.0/24"],
        "podNetworks": [layout.PODS],
        "nodes": {
            "shared": {"matchLabels": {"node-restriction.kubernetes.io/tenancy": "shared"}},
            "dedicable": {"matchLabels": {"node-restriction.kubernetes.io/tenancy": "dedicated"}},
        },
    },
}


def commands() -> list[list[str]]:
    """Return the commands of the page that install, in their order, without ``kubectl``."""
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    block = page.partition("**Installing.**")[2].partition("Without an image")[0]
    lines = re.findall(r"^    kubectl ([^#\n]+)", block, re.MULTILINE)
    return [line.split() for line in lines]


def install(
    instance: Instance,
    folder: Path,
    image: str,
    settings: Mapping[str, Any] = SETTINGS,
    *,
    node: str = "",
) -> None:
    """Run these commands, in a folder that has what the page says to put into it.

    ``node`` is the platform's, to which the page says how to hold the operator.
    """
    for name in ("crds", "examples", "manifests"):
        shutil.copytree(ROOT / name, folder / name)
    overlay = folder / "overlay"
    overlay.mkdir()
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": ["../manifests" if _is_new(instance) else "../manifests/kubernetes-1.34"],
        "images": [{"name": "securetenant-operator", "newName": image}],
        "patches": [{"path": "settings.yaml"}],
    }
    if node:
        kustomization["patches"] = [{"path": "settings.yaml"}, {"path": "place.yaml"}]
        (overlay / "place.yaml").write_text(yaml.safe_dump(_place(node)))
    (overlay / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    (overlay / "settings.yaml").write_text(yaml.safe_dump(dict(settings)))
    for command in commands():
        # kubectl waits for 30 seconds, which a busy machine may need more of.
        patience = ("--timeout=180s",) if command[0] == "wait" else ()
        kubectl(instance, *command, *patience, folder=folder)


def _place(node: str) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "securetenant-operator", "namespace": NAMESPACE},
        "spec": {"template": {"spec": {"nodeSelector": {"kubernetes.io/hostname": node}}}},
    }


def _is_new(instance: Instance) -> bool:
    version = json.loads(kubectl(instance, "version", "-o", "json"))["serverVersion"]
    return int(re.sub(r"\D", "", version["minor"])) >= _MUTATING
