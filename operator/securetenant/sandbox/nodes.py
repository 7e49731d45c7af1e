"""Fake nodes for kwok: what the scheduler and the node controllers need, and labels."""

import json

import yaml

from securetenant.sandbox.errors import SandboxError


def name(index: int) -> str:
    """Return the name of the n-th node, counted from 0."""
    return f"node-{index}"


def manifests(count: int, labels: tuple[str, ...]) -> str:
    """Return the Node objects as YAML.

    A label is ``key=value`` for every node or ``<index>:key=value`` for one of them.
    """
    return yaml.safe_dump_all(_node(index, labels_of(index, labels)) for index in range(count))


def is_ready(body: bytes) -> bool:
    """Tell whether a Node, as the API server returned it, has the condition Ready."""
    if not body:
        return False
    conditions = json.loads(body).get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def check_labels(count: int, labels: tuple[str, ...]) -> None:
    """Raise when a label cannot be read or names a node that will not exist."""
    for text in labels:
        index, _, rest = text.rpartition(":")
        key, equals, _ = rest.partition("=")
        if not key or not equals or (index and not index.isdecimal()):
            raise SandboxError(
                f"{text!r} is not a node label.",
                remedy="Write key=value for every node, or 0:key=value for the first.",
            )
        if index and int(index) >= count:
            raise SandboxError(
                f"{text!r} names node {index}, but there are {count} nodes, counted from 0.",
                remedy="Raise --nodes or correct the number.",
            )


def labels_of(index: int, labels: tuple[str, ...]) -> dict[str, str]:
    """Return the labels that are for the n-th node."""
    result = {}
    for text in labels:
        which, _, rest = text.rpartition(":")
        if not which or int(which) == index:
            key, _, value = rest.partition("=")
            result[key] = value
    return result


def _node(index: int, labels: dict[str, str]) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name(index),
            "annotations": {"kwok.x-k8s.io/node": "fake"},
            "labels": {
                "kubernetes.io/hostname": name(index),
                "kubernetes.io/os": "linux",
                "type": "kwok",
                **labels,
            },
        },
    }
