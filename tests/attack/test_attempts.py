"""What the operator tries itself: each is refused by the control that is meant, and no other.

By the operator's identities on 1.37; with the validating half alone on 1.34.
"""

from collections.abc import Iterator
from typing import Any

import pytest

import factory
from conftest import Ready
from harness import Api, wait_for_account
from securetenant.api import kinds, names
from securetenant.api.tenantpolicy import PolicySpec
from securetenant.checks.attacks import objects, pods, trial, verdicts
from securetenant.checks.attacks.objects import Other
from securetenant.checks.attacks.verdicts import Answer, Attempt, Seen, Verdict

OTHER = Other("another", "another-a")
TENANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "audit": {"enforcement": "Audit"},
    "lenient": {"podSecurity": {"level": "baseline", "exceptionReason": "an old program"}},
    "strict": {
        "workloads": {
            "registries": ["registry.example/"],
            "images": "Digest",
            "rootFilesystem": "ReadOnly",
            "userNamespaces": "Required",
            "hostnames": [".tried.example"],
            "ingressClasses": ["nginx"],
            "serviceTypes": ["ClusterIP", "NodePort"],
            "storageClasses": ["fast"],
        }
    },
    "lax": {
        "workloads": {
            "imagePullPolicy": "Any",
            "serviceAccountTokens": {"automount": "Allow"},
            "serviceTypes": ["ClusterIP", "NodePort", "LoadBalancer"],
        }
    },
    "unlimited": {"containerLimits": {"cpuLimit": "None"}},
}


def tried(api: Api, namespace: str, policy: PolicySpec) -> Iterator[tuple[Attempt, Seen]]:
    """Try everything in a namespace; the trial pod is admitted there."""

    def send(kind: kinds.Kind, body: Any) -> Answer:
        answer = api.call("POST", kind.path(namespace), body, dryRun="All")
        return Answer(answer.status, answer.message, answer.body)

    first = send(kinds.POD, trial.pod(policy))
    assert first.status == 201, first.message
    every = (
        *pods.attempts(policy, OTHER.tenant),
        *objects.attempts(policy, namespace, OTHER),
    )
    for attempt in every:
        yield attempt, verdicts.judge(attempt, send(attempt.kind, attempt.body), clean=True)


def policy_of(api: Api, namespace: str) -> PolicySpec:
    body = api.get(kinds.TENANT_POLICY, names.POLICY_NAME, namespace)
    return PolicySpec.model_validate(body["spec"])


@pytest.mark.parametrize("kind", TENANTS)
def test_each_is_refused_by_the_control_that_is_meant(
    kind: str, admin: Api, canary: Api, ready: Ready
) -> None:
    body = factory.tenant(f"tried-{kind}", **TENANTS[kind])
    ready(body)
    namespace = f"tried-{kind}-a"
    wait_for_account(admin, namespace)
    found = list(tried(canary, namespace, policy_of(admin, namespace)))
    assert [str(seen) for _, seen in found if seen.verdict is not Verdict.BLOCKED] == []
    assert len(found) > 60


@pytest.mark.parametrize("namespace", ["plain-a", "tight-a", "roomy-a", "loose-a"])
def test_the_validating_half_refuses_each_without_the_mutating_one(
    namespace: str, half_server: Api, half_member: Api
) -> None:
    policy = policy_of(half_server, namespace)
    # Who is admin there does not hold what the canary's role gives, so RBAC refuses RoleBindings.
    found = [
        (attempt, seen)
        for attempt, seen in tried(half_member, namespace, policy)
        if attempt.control.name.startswith("securetenant-")
        and attempt.kind is not kinds.ROLE_BINDING
    ]
    assert [str(seen) for _, seen in found if seen.verdict is not Verdict.BLOCKED] == []
    assert len(found) > 40
