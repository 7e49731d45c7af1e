"""Catalogue row H01: what whoever stole the verification identity is refused."""

import pytest

import factory
from attack_harness import Policy, verdict
from harness import MERGE, Api

CANARY = Policy("securetenant-canary")

pytestmark = pytest.mark.usefixtures("tenants")


def test_the_canary_may_try_to_create(canary: Api) -> None:
    canary.create_pod("north-1", factory.pod(), dryRun="All").ok()


def test_the_canary_creates_nothing(canary: Api) -> None:
    assert verdict(canary.create_pod("north-1", factory.pod()), CANARY) == "Blocked"


def test_the_canary_sees_nothing(canary: Api, admin: Api) -> None:
    """H01: every verb on a planted Secret, dry-run and not; its content is in no answer."""
    secret = {
        "metadata": {"name": "planted"},
        "stringData": {"key": "very-secret-content"},
    }
    admin.call("POST", "/api/v1/namespaces/north-1/secrets", secret).ok()
    path = "/api/v1/namespaces/north-1/secrets"
    for method, where, body in (
        ("GET", f"{path}/planted", None),
        ("GET", path, None),
        ("POST", path, {"metadata": {"name": "x"}}),
        ("PUT", f"{path}/planted", secret),
        ("PATCH", f"{path}/planted", {"metadata": {"labels": {"a": "b"}}}),
        ("DELETE", f"{path}/planted", None),
        ("DELETE", path, None),
    ):
        for params in ({}, {"dryRun": "All"}):
            answer = canary.call(
                method,
                where,
                body,
                content_type=MERGE if method == "PATCH" else "application/json",
                **params,
            )
            assert answer.status == 403
            assert "very-secret-content" not in str(answer.body)
            assert "dmVyeS1zZWNyZXQtY29udGVudA" not in str(answer.body)
    token = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    answer = canary.call(
        "POST", "/api/v1/namespaces/north-1/serviceaccounts/default/token", token, dryRun="All"
    )
    assert answer.status == 403
