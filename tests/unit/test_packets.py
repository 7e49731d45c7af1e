"""What is concluded from the pods of the packet probe, and what is said of it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from factory import settings_facts
from harness import ROOT
from securetenant.api import names, probe, status
from securetenant.plan import packets
from securetenant.plan.packets import Packets, ProbePod
from securetenant.status import packets as told
from securetenant.status import settings
from securetenant.status.settings import Report

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
LONG_AGO = "2026-11-30T11:00:00Z"
METADATA = {
    "name": "a",
    "namespace": names.SENDERS,
    "labels": {"app.kubernetes.io/name": names.SENDERS},
    "creationTimestamp": LONG_AGO,
}


def pod(node: str, address: str, *, ready: bool = True, **status_: Any) -> ProbePod:
    word = "True" if ready else "False"
    since = {"type": "Ready", "status": word, "lastTransitionTime": LONG_AGO}
    body = {
        "metadata": METADATA,
        "spec": {"nodeName": node},
        "status": {
            "conditions": [since],
            "podIPs": [{"ip": address}],
            "containerStatuses": [{"containerID": "containerd://1"}],
            **status_,
        },
    }
    found = packets.observe(body)
    assert found is not None
    return found


def ended(node: str, *arrived: str, state: str = "lastState", code: int = 3) -> ProbePod:
    end = {"terminated": {"exitCode": code, "message": "\n".join(arrived)}}
    return pod(node, "10.0.0.1", ready=False, containerStatuses=[{state: end}])


RECEIVERS = [pod("node-1", "10.0.1.1"), pod("node-2", "10.0.2.1")]


def test_senders_that_are_ready_say_that_their_nodes_filter() -> None:
    senders = [pod("node-2", "10.0.2.2"), pod("node-1", "10.0.1.2")]
    assert packets.judge(senders, RECEIVERS, NOW) == Packets(filtered=("node-1", "node-2"))


@pytest.mark.parametrize(
    ("arrived", "blamed"),
    [
        pytest.param("TCP 10.0.2.1 8081", ("node-2",), id="the receiver's side let it in"),
        pytest.param("UDP 10.0.2.1 8082", ("node-1",), id="the sender's side let it out"),
        pytest.param("TCP 10.0.2.1 8083", ("node-1", "node-2"), id="both sides did"),
        pytest.param("TCP 10.0.9.9 8081", ("node-1",), id="a receiver that is gone"),
        pytest.param("TCP fd00::1 8081", ("node-1",), id="by IPv6"),
        pytest.param("Traceback; rm -rf", ("node-1",), id="no words that are known"),
    ],
)
def test_a_port_tells_which_node_did_not_filter(arrived: str, blamed: tuple[str, ...]) -> None:
    senders = [ended("node-1", arrived), pod("node-2", "10.0.2.2")]
    assert packets.judge(senders, RECEIVERS, NOW).unfiltered == blamed


@pytest.mark.parametrize("state", ["state", "lastState"])
def test_it_counts_while_the_container_waits_to_be_started_again(state: str) -> None:
    found = packets.judge([ended("node-1", "UDP 10.0.2.1 8082", state=state)], RECEIVERS, NOW)
    assert found == Packets(unfiltered=("node-1",))


def test_once_a_sender_is_ready_again_what_it_ended_with_counts_no_more() -> None:
    end = {"terminated": {"exitCode": 3, "message": "UDP 10.0.2.1 8082"}}
    container = {"containerID": "containerd://2", "lastState": end}
    sender = pod("node-1", "10.0.1.2", containerStatuses=[container])
    assert packets.judge([sender], RECEIVERS, NOW) == Packets(filtered=("node-1",))


def test_a_node_that_another_one_finds_open_does_not_filter() -> None:
    senders = [ended("node-1", "TCP 10.0.2.1 8081"), pod("node-2", "10.0.2.2")]
    assert packets.judge(senders, RECEIVERS, NOW) == Packets(unfiltered=("node-2",))


@pytest.mark.parametrize(
    ("minutes", "silent"), [(4, ()), (6, ("node-1",))], ids=["it just started", "for minutes"]
)
def test_a_sender_that_says_nothing_is_silent_after_minutes(
    minutes: int, silent: tuple[str, ...]
) -> None:
    sender = pod("node-1", "10.0.1.2", ready=False)
    since = (NOW - timedelta(minutes=minutes)).isoformat()
    assert packets.judge([sender._replace(since=since)], RECEIVERS, NOW) == Packets(silent=silent)


def test_a_container_that_ended_otherwise_says_nothing() -> None:
    assert packets.judge([ended("node-1", "killed", code=137)], (), NOW) == Packets(
        silent=("node-1",)
    )


def test_a_fake_node_that_calls_its_pod_ready_says_nothing() -> None:
    """In the sandbox every pod is ready, and none runs."""
    sender = pod("node-1", "10.0.1.2", containerStatuses=[{"ready": True}])
    assert packets.judge([sender], RECEIVERS, NOW) == Packets(silent=("node-1",))


def test_a_pod_that_waits_for_a_node_or_is_deleted_says_nothing_good() -> None:
    waiting = packets.observe({"metadata": METADATA})
    assert waiting is not None
    assert packets.judge([waiting], (), NOW) == Packets()
    conditions = [{"type": "Ready", "status": "True", "lastTransitionTime": LONG_AGO}]
    leaving = packets.observe(
        {
            "metadata": {**METADATA, "deletionTimestamp": LONG_AGO},
            "spec": {"nodeName": "node-1"},
            "status": {"conditions": conditions},
        }
    )
    assert leaving is not None
    assert packets.judge([leaving], (), NOW).filtered == ()


def test_an_administrators_pod_in_a_namespace_of_the_probe_says_nothing() -> None:
    for labels in ({}, {"run": "shell"}, {"app.kubernetes.io/name": names.RECEIVERS}):
        assert packets.observe({"metadata": {**METADATA, "labels": labels}}) is None


# --- what is said ---------------------------------------------------------------------------

FILTERED = Packets(filtered=("node-1", "node-2"))
OPEN = Packets(filtered=("node-1",), unfiltered=("node-2",))
PARTLY = Packets(filtered=("node-1",), silent=("node-2",))


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (Packets(), "whether packets are filtered depends on the network plugin"),
        (FILTERED, "packets of the probe arrive where they are allowed, and nowhere else"),
        (PARTLY, "as far as its pods say: condition PacketsFiltered of TenancySettings"),
        (Packets(silent=("node-1",)), "depends on the network plugin"),
    ],
)
def test_a_tenant_that_is_verified_says_what_is_known_of_packets(found: Packets, text: str) -> None:
    remark = told.statement(found, ())
    assert text in remark.message
    before = [{"type": status.ISOLATION_VERIFIED, "message": f"tried; {remark.message}; closed"}]
    assert told.statement(None, before) == remark, "a restart says the same"


def test_before_anything_was_said_nothing_is_claimed() -> None:
    assert "depends on the network plugin" in told.statement(None, ()).message


def test_no_tenant_is_verified_while_something_arrives_that_is_refused() -> None:
    found = told.finding(OPEN)
    assert found == told.statement(OPEN, ())
    assert found is not None
    assert (found.type, found.reason) == (status.ISOLATION_VERIFIED, status.PACKETS_NOT_FILTERED)
    assert found.message.startswith(
        "Packets that NetworkPolicies refuse arrive: not filtered on node-2."
    )


@pytest.mark.parametrize(
    ("found", "answer", "ready"),
    [
        pytest.param(None, None, "True", id="not looked yet"),
        pytest.param(Packets(), None, "True", id="there is no probe"),
        pytest.param(FILTERED, ("True", status.AS_SPECIFIED), "True", id="filtered"),
        pytest.param(PARTLY, ("Unknown", status.PROBE_SILENT), "True", id="a node says nothing"),
        pytest.param(OPEN, ("False", status.PACKETS_NOT_FILTERED), "False", id="not filtered"),
    ],
)
def test_the_platform_says_on_which_nodes(
    found: Packets | None, answer: tuple[str, str] | None, ready: str
) -> None:
    said = settings.summarize(**{**settings_facts(NOW), "report": Report(packets=found)})
    by_type = {each["type"]: each for each in said["conditions"]}
    one = by_type.get(status.PACKETS_FILTERED)
    assert (one and (one["status"], one["reason"])) == answer
    assert by_type[status.READY]["status"] == ready


def test_a_restart_takes_back_nothing_of_what_the_platform_says() -> None:
    facts = {**settings_facts(NOW), "report": Report(packets=OPEN)}
    before = settings.summarize(**facts)
    after = settings.summarize(**{**facts, "report": Report(), "previous": before})
    assert after == before


# --- the manifests --------------------------------------------------------------------------


def documents(name: str) -> list[Any]:
    text = (ROOT / "manifests/packets" / name).read_text(encoding="utf-8")
    return list(yaml.safe_load_all(text))


def opened(namespace: str, direction: str) -> set[int]:
    """Return the ports of the probe that a namespace's NetworkPolicies let through."""
    rules = [
        rule
        for each in documents("network.yaml")
        if each["metadata"]["namespace"] == namespace
        for rule in each["spec"].get(direction, ())
    ]
    ports = {port["port"] for rule in rules for port in rule["ports"]}
    return ports & {probe.ALLOWED, *probe.REFUSED}


def test_each_port_is_refused_by_the_side_that_it_is_for() -> None:
    assert opened(names.SENDERS, "egress") == {probe.ALLOWED, probe.INGRESS}
    assert opened(names.RECEIVERS, "ingress") == {probe.ALLOWED, probe.EGRESS}
    assert opened(names.SENDERS, "ingress") | opened(names.RECEIVERS, "egress") == set()


@pytest.mark.parametrize("name", ["senders", "receivers"])
def test_its_pods_run_on_every_node_and_have_no_token(name: str) -> None:
    (body,) = documents(f"{name}.yaml")
    spec = body["spec"]["template"]["spec"]
    assert body["kind"] == "DaemonSet"
    assert spec["tolerations"] == [{"operator": "Exists"}]
    assert spec["automountServiceAccountToken"] is False
