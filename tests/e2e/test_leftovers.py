"""A sandbox with real nodes changes nothing of its machine, and leaves nothing on it."""

import os
import signal
from collections.abc import Iterator

import pytest

from e2e import machine
from harness import kubectl, wait_for
from securetenant.sandbox import control, instances
from securetenant.sandbox.instances import Instance, Options

POD = """
apiVersion: v1
kind: Pod
metadata: {name: one}
spec:
  containers: [{name: main, image: "registry.example/pause:1"}]
"""


@pytest.fixture
def instance(request: pytest.FixtureRequest) -> Iterator[Instance]:
    """A name of the test's own; whatever it starts is ended."""
    each = instances.named(f"e2e-{os.getpid()}-{len(request.node.name)}")
    yield each
    with instances.starting(each):
        instances.stop(each)


def running(instance: Instance) -> machine.Traces:
    """Start one node with one pod, and return all that is there of it."""
    control.up(instance, Options(real_nodes=1), lambda _: None)
    wait_for(
        lambda: "default" in kubectl(instance, "get", "serviceaccounts", "-o", "name"),
        what="the account of pods",
    )
    kubectl(instance, "create", "-f", "-", stdin=POD)
    kubectl(instance, "wait", "--for=condition=Ready", "pod/one", "--timeout=60s")
    found = machine.traces(instance)
    assert any("/pod" in group for group in found.groups), "the pod has a control group"
    assert {kind for kind, _ in found.namespaces} >= {"net", "mnt", "pid", "ipc"}
    return found


def test_after_down_nothing_is_left_of_a_node_and_its_pod(instance: Instance) -> None:
    before = machine.settings(instance)
    traces = running(instance)
    assert machine.settings(instance) == before
    with instances.starting(instance):
        assert instances.stop(instance)
    # What was killed may still be on its way out.
    wait_for(lambda: not machine.left_of(traces), what="everything of it to go", seconds=2)
    assert not instance.folder.exists()
    assert machine.settings(instance) == before


def test_a_killed_supervisor_takes_all_processes_with_it_and_down_removes_the_rest(
    instance: Instance,
) -> None:
    before = machine.settings(instance)
    traces = running(instance)
    os.kill(instance.record()["pid"], signal.SIGKILL)
    wait_for(
        lambda: machine.left_of(traces).keys() <= {"control groups"},
        what="processes and namespaces to go",
    )
    with instances.starting(instance):
        assert instances.stop(instance)
    # What was killed may still be on its way out.
    wait_for(lambda: not machine.left_of(traces), what="everything of it to go", seconds=2)
    assert not instance.folder.exists()
    assert machine.settings(instance) == before
