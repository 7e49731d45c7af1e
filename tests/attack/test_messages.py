"""What a denial says: the rule, the value found, what is allowed, the command that shows more."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

import denials_fairness
import denials_guards
import denials_nodes
import denials_reports
import denials_tier
import denials_workloads
import documents
from attack_harness import GOLDEN, Policy, judge_message, verdict
from harness import ROOT, Api, wait_for
from securetenant.api import kinds

ROWS = {**denials_fairness.ROWS, **denials_guards.ROWS, **denials_workloads.ROWS}
"""Each group of policies has a table of its own; they meet here."""
RULES = {
    (body["metadata"]["name"], index): rule
    for body in documents.within(ROOT / "manifests" / "policies")
    if body["kind"] == "ValidatingAdmissionPolicy"
    for index, rule in enumerate(body["spec"]["validations"])
}

pytestmark = pytest.mark.usefixtures("tenants", "bystander", "classes")


def test_every_rule_of_every_policy_has_a_message_that_is_looked_at() -> None:
    assert sorted(
        [
            *ROWS,
            *denials_tier.ROWS,
            *denials_reports.ROWS,
            *denials_nodes.ROWS,
            *denials_workloads.ELSEWHERE,
        ]
    ) == sorted(RULES)


def test_no_message_is_kept_of_a_rule_that_is_gone() -> None:
    (golden,) = documents.read(GOLDEN.read_text(encoding="utf-8"))
    kept = {(policy, index) for policy, messages in golden.items() for index in messages}
    assert kept <= RULES.keys()


@pytest.fixture
def settings(admin: Api, rule: tuple[str, int]) -> Iterator[None]:
    """Let other TenancySettings hold meanwhile."""
    wanted = ROWS[rule].settings
    before = admin.get(kinds.TENANCY_SETTINGS, "default")["spec"]
    if wanted:
        admin.patch(kinds.TENANCY_SETTINGS, "default", {"spec": wanted}).ok()
    yield
    if wanted:
        back = {"spec": {key: before.get(key) for key in wanted}}
        admin.patch(kinds.TENANCY_SETTINGS, "default", back).ok()


@pytest.mark.parametrize(
    "rule", [pytest.param(each, id=f"{each[0]} {each[1]}") for each in sorted(ROWS)]
)
def test_a_denial_names_rule_value_remedy_and_command(
    rule: tuple[str, int],
    speakers: dict[str, Api],
    settings: None,
    strange: None,
    request: pytest.FixtureRequest,
) -> None:
    """Written anew by `make test ARGS='-k denial --update-golden'`; read the diff."""
    policy, _ = rule
    row = ROWS[rule]
    admin = speakers["admin"]
    uid = admin.call("GET", "/api/v1/nodes/node-0").ok()["metadata"]["uid"]
    tenant = admin.get(kinds.SECURE_TENANT, "strict")["metadata"]["uid"]

    def refused() -> Any:
        found = row.sent(speakers, UID=uid, TENANT=tenant)
        blocked = verdict(found, Policy(policy)) == "Blocked"
        # Settings reach the API server's policies a moment later.
        assert blocked or row.settings, found
        return found if blocked and opening(rule) in found.message else None

    message = wait_for(refused, what=f"{rule} to refuse").message
    said = message.partition("denied request: ")[2]
    assert said.startswith("securetenant: "), "the rule"
    assert ";" in said or ":" in said.removeprefix("securetenant: "), "what is allowed"
    assert re.search(r": kubectl ", said), "the command"
    judge_message(said, rule, update=request.config.getoption("--update-golden"))


def opening(rule: tuple[str, int]) -> str:
    """Return the words by which the message of this rule begins: no other rule answered."""
    text = RULES[rule].get("messageExpression", "") or f"'{RULES[rule]['message']}'"
    found = re.match(r"'([^']*)'", text)
    assert found, text
    return found[1]
