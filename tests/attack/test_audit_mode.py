"""Audit mode weakens only rules by which a tenant protects itself.

What protects others refuses there too: caches of others, levels and accounts of others, tokens and
certificates by which others are spoken to.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

import factory
import standing
from attack_harness import Policy, mutate, verdict
from harness import JSON_PATCH, ROOT, Api, Operator
from securetenant.sandbox.instances import Instance

SHARED = Policy("securetenant-pods-shared")
NAMESPACE = "watching-1"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
CONTAINER = "spec.containers.0"
CONTEXT = f"{CONTAINER}.securityContext"


@pytest.fixture(scope="module")
def member(admin: Api, operator: Operator, sandbox: Instance) -> Iterator[Api]:
    """A developer of a tenant in Audit mode."""
    with standing.tenants(admin, {"watching": "Audit"}, role="Developer"):
        yield standing.member(sandbox, "watching")


def _projected(**source: Any) -> list[Any]:
    return [{"name": "v", "projected": {"sources": [source]}}]


CERTIFICATE = {
    "signerName": "example.com/s",
    "keyType": "ED25519",
    "credentialBundlePath": "c",
}
OTHERS: dict[str, tuple[str, Any]] = {
    "seccomp profile of the node": (
        f"{CONTEXT}.seccompProfile",
        {"type": "Localhost", "localhostProfile": "p.json"},
    ),
    "SELinux level of another pod": (f"{CONTEXT}.seLinuxOptions", {"level": "s0:c1,c2"}),
    "another's account of the domain": (
        f"{CONTEXT}.windowsOptions",
        {"gmsaCredentialSpecName": "another"},
    ),
    "token for others": (
        "spec.volumes",
        _projected(serviceAccountToken={"path": "t", "audience": "vault"}),
    ),
    "certificate of the cluster": ("spec.volumes", _projected(podCertificate=CERTIFICATE)),
}
OWN: dict[str, tuple[str, Any]] = {
    "root group": (f"{CONTEXT}.runAsGroup", 0),
    "token that mounts itself": ("spec.automountServiceAccountToken", True),
    "long token": (
        "spec.volumes",
        _projected(serviceAccountToken={"path": "t", "expirationSeconds": 999_999}),
    ),
}


@pytest.mark.parametrize("row", [pytest.param(row, id=title) for title, row in OTHERS.items()])
def test_what_protects_others_is_refused_in_audit_mode(row: tuple[str, Any], member: Api) -> None:
    answer = member.call("POST", PODS, mutate(factory.pod(), *row), dryRun="All")
    assert verdict(answer, SHARED) == "Blocked"


@pytest.mark.parametrize("row", [pytest.param(row, id=title) for title, row in OWN.items()])
def test_what_protects_the_tenant_itself_warns_in_audit_mode(
    row: tuple[str, Any], member: Api
) -> None:
    answer = member.call("POST", PODS, mutate(factory.pod(), *row), dryRun="All")
    answer.ok()
    assert "securetenant: " in str(answer.warnings)


def test_a_token_without_end_is_refused_in_audit_mode(member: Api) -> None:
    """It outlives the access of the person who made it."""
    noted = {"name": "t", "annotations": {"kubernetes.io/service-account.name": "default"}}
    body = {"metadata": noted, "type": "kubernetes.io/service-account-token"}
    answer = member.call("POST", f"/api/v1/namespaces/{NAMESPACE}/secrets", body, dryRun="All")
    assert verdict(answer, Policy("securetenant-tokens")) == "Blocked"
    account = {"metadata": {"name": "mounting"}, "automountServiceAccountToken": True}
    path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts"
    answer = member.call("POST", path, account, dryRun="All")
    answer.ok()
    assert "securetenant: automountServiceAccountToken is true" in str(answer.warnings)


def test_f01_what_a_node_has_cached_is_pulled_again_in_audit_mode(member: Api) -> None:
    """For containers, init containers, image volumes and those that are added to debug."""
    for policy in ("IfNotPresent", "Never"):
        body = mutate(factory.pod(), f"{CONTAINER}.imagePullPolicy", policy)
        body["spec"]["initContainers"] = [{**body["spec"]["containers"][0], "name": "i"}]
        image = {"reference": "data:1", "pullPolicy": policy}
        body["spec"]["volumes"] = [{"name": "v", "image": image}]
        made = member.call("POST", PODS, body, dryRun="All").ok()["spec"]
        for where in ("containers", "initContainers"):
            assert [each["imagePullPolicy"] for each in made[where]] == ["Always"]
        assert made["volumes"][0]["image"]["pullPolicy"] == "Always"
    body = mutate(factory.pod(), "metadata", {"name": "watched"})
    member.call("POST", PODS, body).ok()
    debug = {
        "name": "d",
        "image": "app:1",
        "imagePullPolicy": "Never",
        "securityContext": factory.RESTRICTED,
    }
    patch = [{"op": "add", "path": "/spec/ephemeralContainers", "value": [debug]}]
    made = member.call(
        "PATCH",
        f"{PODS}/watched/ephemeralcontainers",
        patch,
        content_type=JSON_PATCH,
        dryRun="All",
    ).ok()
    assert made["spec"]["ephemeralContainers"][0]["imagePullPolicy"] == "Always"
    member.call("DELETE", f"{PODS}/watched").ok()


def test_a_pod_in_audit_mode_is_changed_in_nothing_else(member: Api) -> None:
    body = mutate(factory.pod(), "metadata", {"name": "plain"})
    made = member.call("POST", PODS, body, dryRun="All").ok()["spec"]["containers"][0]
    assert made["securityContext"] == factory.RESTRICTED


def test_the_rules_that_hold_in_audit_mode_are_those_of_enforce_mode() -> None:
    """Word for word: a rule that is changed in one file is changed in both."""
    found = []
    for name in ("pods-shared", "pods-hardening"):
        text = (ROOT / f"manifests/policies/{name}.yaml").read_text(encoding="utf-8")
        spec = next(iter(yaml.safe_load_all(text)))["spec"]
        parts = {
            **{each["name"]: each["expression"] for each in spec["variables"]},
            **{each["expression"]: each["messageExpression"] for each in spec["validations"]},
        }
        found.append((parts, spec["matchConditions"], spec["matchConstraints"]))
    (shared, *rest), (hardening, *same) = found
    assert shared.items() <= hardening.items()
    assert rest == same
