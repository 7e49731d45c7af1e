"""The Pod Security Standards said once more: for each case the API server says the same."""

from collections.abc import Iterator
from typing import Any

import pytest

import factory
from attack_harness import mutate
from harness import Api, wait_for_account
from securetenant.api import kinds
from securetenant.checks import pod_security
from securetenant.sandbox.instances import Instance

BAD = 300
VERSIONS = ("v1.34", "v1.37")
LEVELS = ("baseline", "restricted")
_CONTAINER = "spec.containers.0"
_CONTEXT = f"{_CONTAINER}.securityContext"
HOST = {"port": 80, "host": "127.0.0.1"}

CASES: dict[str, dict[str, Any]] = {
    "nothing special": {},
    "hostNetwork": {"spec.hostNetwork": True},
    "hostPID": {"spec.hostPID": True},
    "hostIPC": {"spec.hostIPC": True},
    "hostPath": {"spec.volumes": [{"name": "v", "hostPath": {"path": "/"}}]},
    "a harmless sysctl": {
        "spec.securityContext": {"sysctls": [{"name": "net.ipv4.tcp_rmem", "value": "1"}]}
    },
    "a sysctl that later versions allow": {
        "spec.securityContext": {"sysctls": [{"name": "net.ipv4.tcp_notsent_lowat", "value": "1"}]}
    },
    "another sysctl": {"spec.securityContext": {"sysctls": [{"name": "kernel.msgmax"}]}},
    "hostProcess": {
        "spec.hostNetwork": True,
        "spec.securityContext": {"windowsOptions": {"hostProcess": True}},
    },
    "privileged": {f"{_CONTEXT}.privileged": True, f"{_CONTEXT}.allowPrivilegeEscalation": None},
    "a capability of the node": {f"{_CONTEXT}.capabilities": {"drop": ["ALL"], "add": ["BPF"]}},
    "a default capability": {f"{_CONTEXT}.capabilities": {"drop": ["ALL"], "add": ["CHOWN"]}},
    "low ports": {f"{_CONTEXT}.capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}},
    "capabilities kept": {f"{_CONTEXT}.capabilities": {}},
    "capabilities dropped in part": {f"{_CONTEXT}.capabilities": {"drop": ["CHOWN"]}},
    "hostPort": {f"{_CONTAINER}.ports": [{"containerPort": 80, "hostPort": 80}]},
    "no hostPort": {f"{_CONTAINER}.ports": [{"containerPort": 80, "hostPort": 0}]},
    "AppArmor off": {f"{_CONTEXT}.appArmorProfile": {"type": "Unconfined"}},
    "AppArmor off for the pod": {
        "spec.securityContext": {"appArmorProfile": {"type": "Unconfined"}}
    },
    "a profile of the node": {
        f"{_CONTEXT}.appArmorProfile": {"type": "Localhost", "localhostProfile": "p"}
    },
    "AppArmor off by annotation": {
        "metadata.annotations": {"container.apparmor.security.beta.kubernetes.io/c": "unconfined"}
    },
    "AppArmor by annotation": {
        "metadata.annotations": {
            "container.apparmor.security.beta.kubernetes.io/c": "runtime/default"
        }
    },
    "an SELinux type": {f"{_CONTEXT}.seLinuxOptions": {"type": "spc_t"}},
    "an SELinux type for containers": {f"{_CONTEXT}.seLinuxOptions": {"type": "container_t"}},
    "an SELinux user": {f"{_CONTEXT}.seLinuxOptions": {"user": "u"}},
    "an SELinux role of the pod": {"spec.securityContext": {"seLinuxOptions": {"role": "r"}}},
    "seccomp off": {f"{_CONTEXT}.seccompProfile": {"type": "Unconfined"}},
    "no seccomp": {f"{_CONTEXT}.seccompProfile": None},
    "seccomp of the pod": {
        f"{_CONTEXT}.seccompProfile": None,
        "spec.securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
    },
    "seccomp off for the pod": {"spec.securityContext": {"seccompProfile": {"type": "Unconfined"}}},
    "procMount": {"spec.hostUsers": False, f"{_CONTEXT}.procMount": "Unmasked"},
    "a probe of another host": {f"{_CONTAINER}.livenessProbe": {"httpGet": HOST}},
    "a probe": {f"{_CONTAINER}.livenessProbe": {"tcpSocket": {"port": 80}}},
    "a hook to another host": {f"{_CONTAINER}.lifecycle": {"preStop": {"tcpSocket": HOST}}},
    "nfs": {"spec.volumes": [{"name": "v", "nfs": {"server": "s", "path": "/"}}]},
    "an image as a volume": {"spec.volumes": [{"name": "v", "image": {"reference": "a:1"}}]},
    "an empty directory": {"spec.volumes": [{"name": "v", "emptyDir": {}}]},
    "more privileges": {f"{_CONTEXT}.allowPrivilegeEscalation": True},
    "privileges not said": {f"{_CONTEXT}.allowPrivilegeEscalation": None},
    "any user": {f"{_CONTEXT}.runAsNonRoot": None},
    "root": {f"{_CONTEXT}.runAsNonRoot": False},
    "no root by the pod": {
        f"{_CONTEXT}.runAsNonRoot": None,
        "spec.securityContext": {"runAsNonRoot": True},
    },
    "root by the pod": {"spec.securityContext": {"runAsNonRoot": False}},
    "user 0": {f"{_CONTEXT}.runAsUser": 0},
    "user 0 of the pod": {"spec.securityContext": {"runAsUser": 0}},
    "root with users of its own": {
        "spec.hostUsers": False,
        f"{_CONTEXT}.runAsNonRoot": False,
        f"{_CONTEXT}.runAsUser": 0,
    },
    "an init container": {
        "spec.initContainers": [{"name": "i", "image": "app:1", "securityContext": {}}]
    },
    "Windows": {
        "spec.os": {"name": "windows"},
        _CONTEXT: {"runAsNonRoot": True},
    },
}
"""What differs from a pod that is admitted everywhere; None takes a field away."""


@pytest.fixture(scope="module")
def spaces(admin: Api) -> Iterator[dict[tuple[str, str], str]]:
    """A namespace for each level and version, which is no tenant's."""
    found = {}
    for level in LEVELS:
        for version in VERSIONS:
            name = f"pss-{level}-{version.replace('.', '-')}"
            labels = {
                "pod-security.kubernetes.io/enforce": level,
                "pod-security.kubernetes.io/enforce-version": version,
            }
            admin.create(kinds.NAMESPACE, {"metadata": {"name": name, "labels": labels}}).ok()
            found[level, version] = name
    for name in found.values():
        wait_for_account(admin, name)
    yield found
    for name in found.values():
        admin.delete(kinds.NAMESPACE, name).ok()


@pytest.mark.parametrize("what", CASES)
def test_the_api_server_says_the_same(
    what: str, admin: Api, spaces: dict[tuple[str, str], str], sandbox: Instance
) -> None:
    body = factory.pod()
    for path, value in CASES[what].items():
        body = mutate(body, path, value)
    body = {**body, "spec": {**body["spec"], "containers": [*map(_whole, _containers(body))]}}
    for (level, version), namespace in spaces.items():
        answer = admin.create_pod(namespace, body, dryRun="All")
        refused = answer.status >= BAD
        assert not refused or "violates PodSecurity" in answer.message, answer.message
        found = [*pod_security.violated(body, level, version)]
        assert bool(found) == refused, (level, version, found, answer.message)


def _containers(body: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = body["spec"]["containers"]
    return found


def _whole(container: dict[str, Any]) -> dict[str, Any]:
    context = {k: v for k, v in container["securityContext"].items() if v is not None}
    return {**container, "securityContext": context}
