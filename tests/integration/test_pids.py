"""Limits of processes on a real API server: kubelets of our own hands, asked as real ones are."""

import asyncio
import contextlib
import itertools
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import factory
import fake_kubelet
from conftest import control_plane, operating
from fake_kubelet import Kubelet, Respond, answering, configz
from harness import MERGE, Api, Operator, conditions, wait_for, wait_for_account
from securetenant.api import kinds, names
from securetenant.api.nodes import PID_BOUNDS
from securetenant.api.tenancysettings import SettingsSpec
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance
from securetenant.sandbox.pki import Authority

POOL = "node-restriction.kubernetes.io/pool"
READER = "system:serviceaccount:securetenant-system:securetenant-node-reader"
_numbers = itertools.count(1)
_boots = itertools.count(1)


def own_address() -> str:
    """Return an address of this machine that is not loopback: no kubelet is asked there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Nothing is sent: this only asks which address would be used.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but loopback, where no kubelet is asked")
        return str(probe.getsockname()[0])


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Instance]:
    """A control plane of its own, whose TenancySettings say which nodes tenants get."""
    with control_plane(f"pids-{os.getpid()}", nodes=1) as instance:
        nodes = {
            "shared": {"matchLabels": {POOL: "shared"}},
            "dedicable": {"matchLabels": {POOL: "own"}},
        }
        admin = Api(instance.admin_kubeconfig)
        admin.patch(kinds.TENANCY_SETTINGS, "default", {"spec": {"nodes": nodes}}).ok()
        yield instance


@pytest.fixture(scope="module")
def admin(sandbox: Instance) -> Api:
    return Api(sandbox.admin_kubeconfig)


@pytest.fixture(scope="module")
def operator(sandbox: Instance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    with operating(sandbox, tmp_path_factory.mktemp("operator") / "log") as process:
        yield process


def webhooks(admin: Api, body: bytes) -> Respond:
    """Return a kubelet that asks the API server who is there and what they may, as all do."""

    def ask(token: str) -> str:
        path = "/apis/authentication.k8s.io/v1/tokenreviews"
        found = admin.call("POST", path, {"spec": {"token": token}}).ok()["status"]
        if not found.get("authenticated"):
            return "401 Unauthorized"
        user = found["user"]
        assert user["username"] == READER
        attributes = {"verb": "get", "resource": "nodes", "subresource": "configz"}
        path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        review: Any = {
            "spec": {
                "user": user["username"],
                "groups": user["groups"],
                "resourceAttributes": attributes,
            }
        }
        allowed = admin.call("POST", path, review).ok()["status"]["allowed"]
        return "200 OK" if allowed else "403 Forbidden"

    async def respond(head: bytes, writer: asyncio.StreamWriter) -> None:
        token = head.partition(b"Authorization: Bearer ")[2].partition(b"\r\n")[0].decode()
        await answering(body, await asyncio.to_thread(ask, token))(head, writer)

    return respond


class Machine:
    """A node, its kubelet, and what may happen to both."""

    def __init__(self, admin: Api, kubelet: Kubelet, name: str) -> None:
        self.name = name
        self.kubelet = kubelet
        self._admin = admin

    def says(self, limit: Any) -> None:
        """Let its kubelet start anew with another limit."""
        self.kubelet.respond = webhooks(self._admin, configz(limit))
        self.restarts()

    def restarts(self, **status: Any) -> None:
        info = {**_INFO, "bootID": f"boot-{next(_boots)}"}
        path = kinds.NODE.path("", self.name, "status")
        change = {"status": {"nodeInfo": info, **status}}
        self._admin.call("PATCH", path, change, content_type=MERGE).ok()

    def moves(self, port: int) -> None:
        """Let its kubelet listen elsewhere."""
        self.restarts(daemonEndpoints={"kubeletEndpoint": {"Port": port}})

    def label(self, **labels: Any) -> None:
        changes = {key.replace("__", "/"): value for key, value in labels.items()}
        self._admin.patch(kinds.NODE, self.name, {"metadata": {"labels": changes}}).ok()

    @property
    def bounds(self) -> set[int]:
        """Return the bounds that its labels say it keeps."""
        labels = self._admin.get(kinds.NODE, self.name)["metadata"]["labels"]
        return {each for each in PID_BOUNDS if labels.get(names.pids_label(each)) == "true"}


_INFO = {
    "architecture": "amd64",
    "containerRuntimeVersion": "fake://1",
    "kernelVersion": "6",
    "kubeProxyVersion": "",
    "kubeletVersion": "v1.37.1",
    "machineID": "m",
    "operatingSystem": "linux",
    "osImage": "fake",
    "systemUUID": "s",
}

Make = Callable[..., Machine]


@pytest.fixture
def machine(sandbox: Instance, admin: Api, tmp_path: Path) -> Iterator[Make]:
    """Make nodes whose kubelets answer on an address of this machine."""
    with contextlib.ExitStack() as stack:
        address = own_address()

        def make(limit: Any, *, pool: str = "own", authority: str = "ca") -> Machine:
            name = f"pids-{next(_numbers)}"
            folder = sandbox.pki if authority == "ca" else tmp_path
            pair = fake_kubelet.serving(folder, name, name, address, authority=authority)
            kubelet = stack.enter_context(
                fake_kubelet.in_the_background(
                    webhooks(admin, configz(limit)), fake_kubelet.context(pair), address
                )
            )
            body = {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {
                    "name": name,
                    "annotations": {"kwok.x-k8s.io/node": "fake"},
                    "labels": {"kubernetes.io/hostname": name, POOL: pool},
                },
                "status": {
                    "addresses": [{"type": "InternalIP", "address": address}],
                    "daemonEndpoints": {"kubeletEndpoint": {"Port": kubelet.port}},
                    "nodeInfo": {**_INFO, "bootID": f"boot-{next(_boots)}"},
                },
            }
            admin.create(kinds.NODE, body).ok()
            stack.callback(admin.delete, kinds.NODE, name)
            return Machine(admin, kubelet, name)

        yield make


def dedicated(*machines: Machine, **nodes: Any) -> dict[str, Any]:
    """Return a tenant whose nodes these are."""
    own = {"dedication": "Dedicated", "names": [each.name for each in machines]}
    return factory.tenant(nodes={**own, **nodes})


def told(admin: Api, tenant: str) -> tuple[str, str, str]:
    """Return the condition PidsLimited."""
    found = conditions(admin.get(kinds.SECURE_TENANT, tenant)).get("PidsLimited", {})
    return found.get("status", ""), found.get("reason", ""), found.get("message", "")


def is_ready(admin: Api, tenant: str) -> bool:
    found = conditions(admin.get(kinds.SECURE_TENANT, tenant))
    return bool(found.get("Ready", {}).get("status") == "True")


def wait_until(admin: Api, tenant: str, status: str, reason: str, words: str = "") -> str:
    """Wait for the condition PidsLimited, with these words in its message; return that."""

    def found() -> str:
        *seen, message = told(admin, tenant)
        return message if seen == [status, reason] and words in message else ""

    return wait_for(
        found,
        what=f"PidsLimited {status} {reason} of {tenant}, told {told(admin, tenant)}",
        seconds=30,
    )


def at_least(bound: int) -> set[int]:
    return {each for each in PID_BOUNDS if each >= bound}


@pytest.fixture
def create(admin: Api, operator: Operator) -> Iterator[Callable[[dict[str, Any]], str]]:
    """Create a tenant that is deleted in the end, so that its nodes are free."""
    made = []

    def make(body: dict[str, Any]) -> str:
        made.append(body["metadata"]["name"])
        admin.create(kinds.SECURE_TENANT, {**body, "spec": {**body["spec"]}}).ok()
        return str(body["metadata"]["name"])

    yield make
    for name in made:
        admin.delete(kinds.SECURE_TENANT, name).ok()


Create = Callable[[dict[str, Any]], str]


def test_nodes_that_keep_the_limit_are_read_labelled_and_told_of(
    admin: Api, machine: Make, create: Create
) -> None:
    """With the cluster's own authority, by a token that the API server knows."""
    one, other = machine(1000), machine(128)
    name = create(dedicated(one, other, podPidsLimit=1024))
    message = "2 nodes limit pods to at most 1024 processes, as the kubelet says"
    assert wait_until(admin, name, "True", "ReportedByKubelet", message) == message
    assert one.bounds == at_least(1024)
    assert other.bounds == at_least(128)
    assert len(one.kubelet.heads) == 1
    wait_for(lambda: is_ready(admin, name), what="the tenant", seconds=30)


def test_a_tenant_that_asks_for_nothing_has_no_condition_and_its_nodes_are_not_read(
    admin: Api, machine: Make, create: Create
) -> None:
    node = machine(1000)
    name = create(dedicated(node))
    wait_for(lambda: is_ready(admin, name), what="the tenant", seconds=30)
    assert told(admin, name) == ("", "", "")
    assert node.kubelet.heads == []
    assert node.bounds == set()


def test_a_kubelet_that_drops_its_limit_is_found_out_when_it_starts_anew(
    admin: Api, machine: Make, create: Create
) -> None:
    one, other = machine(512), machine(512)
    name = create(dedicated(one, other, podPidsLimit=512))
    wait_until(admin, name, "True", "ReportedByKubelet")
    one.says(-1)
    message = wait_until(admin, name, "False", "NotLimited")
    assert message.startswith(f"{one.name} has no limit; the spec asks for 512")
    assert one.bounds == set()
    assert other.bounds == at_least(512)
    # It only reports: pods of a limit that nobody required run on.
    wait_for(lambda: is_ready(admin, name), what="the tenant", seconds=30)
    one.says(256)
    wait_until(admin, name, "True", "ReportedByKubelet")
    assert one.bounds == at_least(256)


def test_a_kubelet_that_cannot_be_verified_is_unread_until_its_authority_is_given(
    admin: Api, machine: Make, create: Create, tmp_path: Path
) -> None:
    """As most clusters come: each kubelet signs its own certificate."""
    node = machine(512, authority="its-own")
    name = create(dedicated(node, podPidsLimit=512))
    message = wait_until(admin, name, "Unknown", "KubeletUnread", "the certificate of ")
    assert message.startswith(f"Not read: {node.name} (the certificate of ")
    assert "is not verified (" in message
    assert node.kubelet.heads == []
    bundle = (tmp_path / "its-own.crt").read_text()
    settings: Any = {"spec": {"kubelets": {"caBundle": bundle}}}
    admin.patch(kinds.TENANCY_SETTINGS, "default", settings).ok()
    try:
        wait_until(admin, name, "True", "ReportedByKubelet")
    finally:
        admin.patch(kinds.TENANCY_SETTINGS, "default", {"spec": {"kubelets": None}}).ok()
    wait_until(admin, name, "True", "ReportedByKubelet")


def test_a_declared_limit_counts_for_less(admin: Api, machine: Make, create: Create) -> None:
    """It is told apart, places no pod, and gives way to what the kubelet says."""
    node = machine(512)
    right = node.kubelet.port
    node.moves(1)
    name = create(dedicated(node, podPidsLimit=512))
    wait_until(admin, name, "Unknown", "KubeletUnread", "refuses connections")
    node.label(**{names.DECLARED_PIDS_LABEL.replace("/", "__"): "512"})
    message = wait_until(admin, name, "True", "Declared")
    assert "by the label node-restriction.kubernetes.io/pod-pids-limit only" in message
    assert node.bounds == set()
    node.says(4096)
    node.moves(right)
    wait_until(admin, name, "False", "NotLimited")
    assert node.bounds == at_least(4096)


def test_required_pods_land_where_the_limit_was_read(
    admin: Api, machine: Make, create: Create
) -> None:
    limited, unlimited = machine(300), machine(-1)
    body = dedicated(limited, unlimited, podPidsLimit=512, pids="Require")
    name = create(body)
    there = f"new pods land only there, and not on {unlimited.name} (no limit)"
    wait_until(admin, name, "True", "ReportedByKubelet", there)
    namespace = body["spec"]["namespaces"][0]["name"]
    wait_for_account(admin, namespace)
    wait_for(lambda: is_ready(admin, name), what="the tenant to be ready", seconds=30)
    for _ in range(4):
        pod = admin.create_pod(namespace, factory.pod()).ok()
        assert pod["spec"]["nodeSelector"][names.pids_label(512)] == "true"
        path = f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}"
        where = wait_for(
            lambda path=path: admin.call("GET", path).ok()["spec"].get("nodeName"),  # type: ignore[misc]
            what="the pod to be placed",
            seconds=30,
        )
        assert where == limited.name


def test_where_none_keeps_a_required_limit_the_tenant_is_not_ready(
    admin: Api, machine: Make, create: Create
) -> None:
    """Its pods would wait, and somebody has to act."""
    node = machine(-1)
    name = create(dedicated(node, podPidsLimit=512, pids="Require"))
    message = wait_until(admin, name, "False", "NotLimited")
    assert message.startswith("New pods land nowhere, since no node was read to keep the limit")
    found = conditions(admin.get(kinds.SECURE_TENANT, name))
    assert found["Ready"]["status"] == "False"
    assert found["Stalled"]["reason"] == "NotLimited"


def test_shared_tenants_are_told_of_the_shared_nodes(
    admin: Api, machine: Make, create: Create
) -> None:
    node = machine(512, pool="shared")
    name = create(factory.tenant(nodes={"podPidsLimit": 512}))
    wait_until(admin, name, "True", "ReportedByKubelet")
    assert node.bounds == at_least(512)
    later = machine(-1, pool="shared")
    message = wait_until(admin, name, "False", "NotLimited")
    assert message.startswith(later.name)


def test_a_label_that_somebody_takes_or_adds_is_put_right(
    sandbox: Instance, admin: Api, machine: Make, create: Create
) -> None:
    """Administrators need to break the glass for it; the operator puts it right at once."""
    node = machine(2048)
    name = create(dedicated(node, podPidsLimit=2048))
    wait_until(admin, name, "True", "ReportedByKubelet")
    refused = admin.patch(
        kinds.NODE, node.name, {"metadata": {"labels": {names.pids_label(128): "true"}}}
    )
    assert refused.status == 403
    groups = ("system:masters", "securetenant:break-glass")
    breaker = Api(kubeconfigs.for_user(sandbox, "breaker", groups))
    labels: dict[str, Any] = {names.pids_label(128): "true", names.pids_label(4096): None}
    breaker.patch(kinds.NODE, node.name, {"metadata": {"labels": labels}}).ok()
    wait_for(lambda: node.bounds == at_least(2048), what="the labels to be right")


def test_a_restart_of_the_operator_writes_nothing(
    admin: Api, machine: Make, create: Create, operator: Operator
) -> None:
    """Neither labels nor a condition that flickers. New nodes are written to by others, too."""
    node, unlimited = machine(2048), machine(-1)
    name = create(dedicated(node, unlimited, podPidsLimit=2048))
    wait_until(admin, name, "False", "NotLimited")
    wait_for(lambda: node.bounds == at_least(2048), what="the labels")
    wait_for(lambda: is_ready(admin, name), what="the tenant", seconds=30)

    before = admin.get(kinds.SECURE_TENANT, name)["metadata"]["resourceVersion"]
    asked = len(node.kubelet.heads)
    operator.stop()
    operator.start()
    wait_for(lambda: len(node.kubelet.heads) > asked, what="the kubelet to be asked", seconds=30)
    wait_for(lambda: len(unlimited.kubelet.heads) > 1, what="the other one too", seconds=30)
    assert 'securetenant_writes_total{kind="Node"' not in operator.asked("metrics")
    assert admin.get(kinds.SECURE_TENANT, name)["metadata"]["resourceVersion"] == before


def test_the_limit_is_one_of_a_few_and_required_with_a_number(admin: Api) -> None:
    """Refused at apply, with what to write instead."""
    for nodes, said in (
        ({"podPidsLimit": 1000}, "Unsupported value: 1000: supported values: "),
        ({"pids": "Require"}, "write podPidsLimit, for example 1024"),
    ):
        answer = admin.create(kinds.SECURE_TENANT, factory.tenant("never", nodes=nodes))
        assert answer.status == 422
        assert said in answer.message


@pytest.mark.parametrize(
    "bundle",
    [
        "",
        "hello",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "# mine\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nAA AA\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nAAAA\n",
    ],
)
def test_a_bundle_that_is_no_pem_is_refused_at_apply(admin: Api, bundle: str) -> None:
    change: Any = {"spec": {"kubelets": {"caBundle": bundle}}}
    answer = admin.patch(kinds.TENANCY_SETTINGS, "default", change, dryRun="All")
    assert answer.status == 422
    assert "caBundle" in answer.message
    with pytest.raises(ValidationError, match=r"caBundle|ca_bundle"):
        SettingsSpec.model_validate(factory.settings(kubelets={"caBundle": bundle})["spec"])


def test_a_bundle_of_many_authorities_is_accepted(admin: Api, tmp_path: Path) -> None:
    """As many as there is room for: the rule about its shape costs the API server little."""
    one = Authority(tmp_path, "one").files.certificate.read_text()
    bundle = one * (65536 // len(one))
    change: Any = {"spec": {"kubelets": {"caBundle": bundle}}}
    admin.patch(kinds.TENANCY_SETTINGS, "default", change, dryRun="All").ok()
    SettingsSpec.model_validate(factory.settings(kubelets={"caBundle": bundle})["spec"])
