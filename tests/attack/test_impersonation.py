"""Speaking as somebody else: who may, and that it opens nothing by itself."""

from pathlib import Path
from typing import Any

import pytest

from attack_harness import Control, verdict
from harness import Api
from securetenant.api import kinds, names
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance
from stolen_operator import FENCE

OPERATOR_USER = "system:serviceaccount:securetenant-system:securetenant-operator"
BREAK_GLASS = "securetenant:break-glass"

pytestmark = pytest.mark.usefixtures("tenants", "bystander")


@pytest.fixture(scope="module")
def logins(sandbox: Instance, tenants: None) -> dict[str, Path]:
    """The credentials of those who might want to be somebody else."""
    return {
        "a tenant's admin": kubeconfigs.for_user(sandbox, "north-admin", ("north-admins",)),
        "the operator": kubeconfigs.for_service_account(
            sandbox, names.OPERATOR_NAMESPACE, "securetenant-operator"
        ),
        "a node": kubeconfigs.for_user(sandbox, "system:node:node-0", ("system:nodes",)),
        "the verifier": kubeconfigs.for_service_account(
            sandbox, names.OPERATOR_NAMESPACE, "securetenant-verifier"
        ),
    }


@pytest.mark.parametrize(
    ("who", "speaking_as", "group"),
    [
        ("a tenant's admin", "north-admin", BREAK_GLASS),
        ("a tenant's admin", OPERATOR_USER, ""),
        ("a tenant's admin", "south-admin", ""),
        ("a node", OPERATOR_USER, ""),
        ("the operator", names.CANARY_USER, ""),
        ("the verifier", OPERATOR_USER, ""),
        ("the verifier", names.CANARY_USER, BREAK_GLASS),
        ("the verifier", names.CANARY_USER, "system:masters"),
    ],
)
def test_nobody_speaks_as_somebody_more_powerful(
    who: str, speaking_as: str, group: str, victim: str, logins: dict[str, Path]
) -> None:
    api = Api(logins[who], speaking_as=speaking_as, group=group)
    answer = api.delete(kinds.NETWORK_POLICY, names.DEFAULT_DENY, victim)
    assert verdict(answer, Control.RBAC) == "Blocked"
    assert "cannot impersonate" in answer.message


def test_the_verifier_speaks_as_the_canary(logins: dict[str, Path], victim: str) -> None:
    policy = {"metadata": {"name": "x"}, "spec": {"podSelector": {}}}
    api = Api(logins["the verifier"], speaking_as=names.CANARY_USER)
    api.create(kinds.NETWORK_POLICY, policy, victim, dryRun="All").ok()


def test_an_administrator_who_speaks_as_the_operator_meets_the_fence(
    sandbox: Instance, victim: str
) -> None:
    """Whoever may impersonate everybody is the operator, and no more than that."""
    api = Api(sandbox.admin_kubeconfig, speaking_as=OPERATOR_USER)
    opened: dict[str, Any] = {"spec": {"podSelector": {}, "ingress": [{}]}}
    answer = api.patch(kinds.NETWORK_POLICY, names.DEFAULT_DENY, opened, victim, dryRun="All")
    assert verdict(answer, FENCE) == "Blocked"


def test_to_carry_the_groups_name_is_not_enough_without_its_binding(
    sandbox: Instance, victim: str
) -> None:
    """The group holds the verb override by its own binding; a like-named one holds nothing."""
    api = Api(sandbox.admin_kubeconfig, speaking_as="admin", group=f"{BREAK_GLASS}-not")
    answer = api.delete(kinds.NETWORK_POLICY, names.DEFAULT_DENY, victim)
    assert verdict(answer, Control.RBAC) == "Blocked"


def test_an_administrator_breaks_the_glass_by_impersonation(sandbox: Instance, victim: str) -> None:
    api = Api(sandbox.admin_kubeconfig, speaking_as="admin", group=BREAK_GLASS)
    path = kinds.NETWORK_POLICY.path(victim, names.DEFAULT_DENY)
    api.call("DELETE", path, dryRun="All").ok()
