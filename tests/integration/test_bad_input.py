"""A thousand SecureTenants, good and broken: the API server and the models agree about each.

What neither refuses is applied for real, and the operator lives through it.
"""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bad_input import broken, good, judgement, named
from harness import Api, Operator, conditions, wait_for
from securetenant.api import kinds


# The same each time: what one of them finds is found again while it is being fixed.
@settings(derandomize=True)
@given(spec=st.one_of(good, broken()), number=st.integers(0, 9))
def test_the_api_server_and_the_models_agree(
    spec: Any, number: int, admin: Api, operator: Operator
) -> None:
    """What both take is applied for real, over what was there before."""
    body = named(spec, f"input-{number}")
    answer = admin.create(kinds.SECURE_TENANT, _probe(body), dryRun="All")
    refused = judgement(body)
    if answer.status >= 300:
        assert answer.status in (400, 422), answer
        assert answer.message
        return
    stored = answer.body["spec"]
    # Unknown fields are pruned by the API server before anybody sees them.
    if refused and stored != body["spec"]:
        refused = judgement({**body, "spec": stored})
    assert not refused, f"the API server takes it, the models say: {refused}"
    path = kinds.SECURE_TENANT.path("", body["metadata"]["name"])
    before = admin.call("GET", path)
    if before.status == 404:
        admin.create(kinds.SECURE_TENANT, body).ok()
    else:
        version = before.ok()["metadata"]["resourceVersion"]
        body["metadata"]["resourceVersion"] = version
        changed = admin.call("PUT", path, body)
        # Our own status write may come between, and a name in use may not become another's.
        assert changed.status in (200, 409, 422), changed


def _probe(body: Any) -> Any:
    """Return it under another name, since the one may be there."""
    probe = f"probe-{body['metadata']['name']}"
    return {**body, "metadata": {"name": probe}}


@pytest.fixture(scope="module", autouse=True)
def _digested(admin: Api, operator: Operator) -> Any:
    """After all of it every tenant has a condition, and the operator works for others."""
    yield
    bodies = [
        each
        for each in admin.list(kinds.SECURE_TENANT)
        if each["metadata"]["name"].startswith("input-")
    ]
    for body in bodies:
        name = body["metadata"]["name"]

        def told(name: str = name) -> bool:
            found = admin.get(kinds.SECURE_TENANT, name)
            generation = found["metadata"]["generation"]
            return bool(
                conditions(found).get("Ready")
                and found["status"]["observedGeneration"] == generation
            )

        wait_for(told, what=f"a condition of {name}", seconds=60)
    for body in bodies:
        admin.delete(kinds.SECURE_TENANT, body["metadata"]["name"])
