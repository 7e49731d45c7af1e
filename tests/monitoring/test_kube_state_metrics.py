"""The configuration of kube-state-metrics asks for nothing that the kinds do not have."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

import documents
from harness import ROOT
from securetenant.telemetry.metrics import Metrics

(CONFIG,) = documents.read(
    (ROOT / "manifests/monitoring/kube-state-metrics.yaml").read_text(encoding="utf-8")
)
RESOURCES = CONFIG["spec"]["resources"]
KINDS = {
    body["spec"]["names"]["kind"]: body
    for body in documents.within(ROOT / "crds")
    if "spec" in body
}


def schema(resource: dict[str, Any]) -> Any:
    """Return the schema of the version that a resource names."""
    wanted = resource["groupVersionKind"]
    definition = KINDS[wanted["kind"]]["spec"]
    assert definition["group"] == wanted["group"]
    (version,) = (each for each in definition["versions"] if each["name"] == wanted["version"])
    return version["schema"]["openAPIV3Schema"]


def at(node: Any, path: Sequence[str]) -> Any:
    """Return the schema below a path; a list is entered, as kube-state-metrics does."""
    for step in path:
        node = node.get("items", node)["properties"][step]
    return node


def each_metric() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for resource in RESOURCES:
        for metric in resource["metrics"]:
            yield resource, metric


METRICS = list(each_metric())
IDS = [f"{resource['groupVersionKind']['kind']} {metric['name']}" for resource, metric in METRICS]


@pytest.mark.parametrize(("resource", "metric"), METRICS, ids=IDS)
def test_each_path_is_in_the_kind(resource: dict[str, Any], metric: dict[str, Any]) -> None:
    how = metric["each"]
    inner = how[how["type"].lower()]
    root = schema(resource)
    found = at(root, inner.get("path", ()))
    for path in inner.get("labelsFromPath", {}).values():
        assert at(found, path)["type"] == "string"
    if how["type"] == "Gauge":
        value = at(found, inner["valueFrom"]) if "valueFrom" in inner else found
        assert value["type"] == "integer" or set(value["enum"]) == {"True", "False", "Unknown"}


@pytest.mark.parametrize(("resource", "metric"), METRICS, ids=IDS)
def test_each_metric_has_a_help_and_a_name_that_the_operator_does_not_use(
    resource: dict[str, Any], metric: dict[str, Any]
) -> None:
    name = f"{resource['metricNamePrefix']}_{metric['name']}"
    assert re.fullmatch(r"[a-z]+(_[a-z]+)+", name)
    assert f" {name} " not in Metrics().exposition().decode()
    assert metric["help"].endswith(".")
    assert resource["labelsFromPath"] == {"name": ["metadata", "name"]}
