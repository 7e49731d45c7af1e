"""The packet probe on the real API server, with nodes that only look like nodes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import control_plane, settled, verify
from factory import tenant
from harness import ROOT, Api, Operator, conditions, kubectl, wait_for
from securetenant.api import kinds, names, status
from securetenant.sandbox.instances import Instance

TENANT = "packets"


@pytest.fixture(scope="module")
def plane() -> Iterator[Instance]:
    """A cluster of two fake nodes."""
    with control_plane("packets", nodes=2) as instance:
        yield instance


@pytest.fixture
def probe(plane: Instance, admin: Api) -> Iterator[None]:
    """The probe, whose pods are ready; that they ran, nobody says yet."""
    folder = str(ROOT / "manifests/packets")
    kubectl(plane, "apply", "-k", folder)
    wait_for(
        lambda: are_ready(admin, names.SENDERS) and are_ready(admin, names.RECEIVERS),
        what="its pods",
    )
    yield
    kubectl(plane, "delete", "-k", folder, "--timeout=60s")


def are_ready(admin: Api, namespace: str) -> bool:
    """Tell whether both pods of a namespace are ready, and stay."""
    pods = admin.list(kinds.POD, namespace)
    return len(pods) == 2 and all(
        conditions(each).get("Ready", {}).get("status") == "True"
        and "deletionTimestamp" not in each["metadata"]
        for each in pods
    )


def run(admin: Api) -> None:
    """Give every sender what a container runtime gives: a fake node does not."""
    for sender in admin.list(kinds.POD, names.SENDERS):
        (container,) = sender["status"]["containerStatuses"]
        ran = {"containerStatuses": [{**container, "containerID": "containerd://1"}]}
        path = f"{sender['metadata']['name']}/status"
        admin.patch(kinds.POD, path, {"status": ran}, names.SENDERS).ok()


@pytest.fixture(scope="module")
def admin(plane: Instance) -> Api:
    api = Api(plane.admin_kubeconfig)
    verify(api, 3600)
    api.create(kinds.SECURE_TENANT, tenant(TENANT)).ok()
    return api


@pytest.fixture
def looking(plane: Instance, admin: Api, tmp_path: Path) -> Iterator[Operator]:
    """An operator that was just started: it looks at once."""
    process = Operator(plane, tmp_path / "operator.log")
    process.start()
    settled(admin, TENANT)
    yield process
    assert process.stop() == 0


def platform(admin: Api) -> Any:
    found = admin.get(kinds.TENANCY_SETTINGS, names.SETTINGS_NAME)
    return conditions(found).get(status.PACKETS_FILTERED, {})


def verified(admin: Api) -> Any:
    return conditions(admin.get(kinds.SECURE_TENANT, TENANT)).get(status.ISOLATION_VERIFIED, {})


def told(admin: Api, text: str) -> None:
    wait_for(
        lambda: text in verified(admin).get("message", ""),
        what=f"the tenant to say {text}",
        seconds=60,
    )


def test_nodes_whose_probe_is_ready_filter_packets(
    admin: Api, probe: None, looking: Operator
) -> None:
    # No container ran.
    wait_for(lambda: not platform(admin), what="the platform to say nothing of it")
    run(admin)
    wait_for(lambda: platform(admin), what="the platform to say so", seconds=90)
    assert platform(admin)["status"] == "True"
    assert platform(admin)["message"].startswith("On 2 nodes packets of the probe arrive where")
    told(admin, "; packets of the probe arrive where they are allowed, and nowhere else")
    assert verified(admin)["status"] == "True"


def test_what_arrives_and_is_refused_takes_every_tenants_proof(
    admin: Api, probe: None, request: pytest.FixtureRequest
) -> None:
    """The node is named whose side had to refuse it, and it passes once the pod is ready again."""
    (receiver, _) = sorted(
        admin.list(kinds.POD, names.RECEIVERS), key=lambda each: each["spec"]["nodeName"]
    )
    sender = next(
        each
        for each in admin.list(kinds.POD, names.SENDERS)
        if each["spec"]["nodeName"] != receiver["spec"]["nodeName"]
    )
    (container,) = sender["status"]["containerStatuses"]
    end = {"exitCode": 3, "message": f"TCP {receiver['status']['podIP']} 8081\n"}
    ended = {**container, "ready": False, "lastState": {"terminated": end}}
    conditions_ = [{**each, "status": "False"} for each in sender["status"]["conditions"]]
    admin.patch(
        kinds.POD,
        f"{sender['metadata']['name']}/status",
        {"status": {"containerStatuses": [ended], "conditions": conditions_}},
        names.SENDERS,
    ).ok()
    request.getfixturevalue("looking")
    node = receiver["spec"]["nodeName"]
    told(admin, f"Packets that NetworkPolicies refuse arrive: not filtered on {node}.")
    assert verified(admin)["status"] == "False"
    assert verified(admin)["reason"] == status.PACKETS_NOT_FILTERED
    assert platform(admin)["status"] == "False"
    ready = conditions(admin.get(kinds.TENANCY_SETTINGS, names.SETTINGS_NAME))["Ready"]
    assert (ready["status"], ready["reason"]) == ("False", status.PACKETS_NOT_FILTERED)
    assert conditions(admin.get(kinds.SECURE_TENANT, TENANT))["Ready"]["status"] == "True"

    admin.delete(kinds.POD, sender["metadata"]["name"], names.SENDERS).ok()
    wait_for(lambda: are_ready(admin, names.SENDERS), what="another sender")
    run(admin)
    told(admin, "; packets of the probe arrive where they are allowed, and nowhere else")
    assert verified(admin)["status"] == "True"
    wait_for(lambda: platform(admin)["status"] == "True", what="the platform to say so")


def test_without_the_probe_nothing_is_claimed_of_packets(admin: Api, looking: Operator) -> None:
    told(admin, "; whether packets are filtered depends on the network plugin")
    wait_for(lambda: not platform(admin), what="the platform to say nothing of it")
