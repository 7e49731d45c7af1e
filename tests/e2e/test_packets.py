"""The packet probe sees what the engine of each node does with packets."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e import images, power, world
from harness import Api, conditions, kubectl, wait_for
from securetenant.api import kinds, names, status
from securetenant.sandbox.instances import Instance

_LOOK_SECONDS = 60
"""The senders try every 15 seconds, and the operator looks every 30."""


@pytest.fixture(scope="module")
def probed(tenants: Instance, checkout: Path) -> Iterator[Instance]:
    """The probe, installed by an overlay as docs/controls/network.md says."""
    overlay = checkout / "probe"
    overlay.mkdir()
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": ["../manifests/packets"],
        "images": [{"name": "securetenant-operator", "newName": images.OPERATOR}],
    }
    (overlay / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    kubectl(tenants, "apply", "-k", "probe", folder=checkout)
    yield tenants
    kubectl(tenants, "delete", "-k", "probe", "--timeout=60s", folder=checkout)


def said(instance: Instance) -> Any:
    found = Api(instance.admin_kubeconfig).get(kinds.TENANCY_SETTINGS, names.SETTINGS_NAME)
    return conditions(found).get(status.PACKETS_FILTERED, {})


def answers(instance: Instance, answer: str, text: str, *, seconds: float) -> None:
    wait_for(
        lambda: said(instance).get("status") == answer and text in said(instance)["message"],
        what=f"PacketsFiltered to be {answer}: {text}",
        seconds=seconds,
    )


def test_where_the_engine_runs_packets_are_filtered(probed: Instance) -> None:
    answers(probed, "True", "On 3 nodes packets of the probe arrive where", seconds=120)


def test_a_node_that_lets_everything_through_is_named_and_takes_the_proof(
    probed: Instance,
) -> None:
    answers(probed, "True", "On 3 nodes", seconds=120)
    node = power.node(probed, world.SHARED)
    with power.unfiltered(node):
        answers(probed, "False", f"not filtered on {node.name}.", seconds=4 * _LOOK_SECONDS)
        acme = Api(probed.admin_kubeconfig).get(kinds.SECURE_TENANT, "acme")
        proof = conditions(acme)[status.ISOLATION_VERIFIED]
        assert (proof["status"], proof["reason"]) == ("False", status.PACKETS_NOT_FILTERED)
        began = time.monotonic()
    # The pod that found it may wait for five minutes until it is started again.
    answers(probed, "True", "On 3 nodes", seconds=420)
    assert time.monotonic() - began < 420
    world.agreed(probed, seconds=20)
