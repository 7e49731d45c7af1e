"""What people and GitOps controllers read."""

import datetime
from typing import Any

import pytest

from factory import settings_facts
from kstatus import compute
from securetenant.api import status
from securetenant.api.objects import Ref
from securetenant.status import settings, tenant
from securetenant.status.outcome import Finding, Outcome
from securetenant.status.settings import Progress, Report
from securetenant.status.tenant import SUSPENDED_NOTE, Subject

NOW = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
LATER = NOW + datetime.timedelta(hours=1)
NAMESPACE = Ref("Namespace", "", "a")
POLICY = Ref("NetworkPolicy", "a", "securetenant-default-deny")
OPEN = frozenset({status.NETWORK_ISOLATED})


def document(*outcomes: Outcome, previous: Any = None, **subject: Any) -> dict[str, Any]:
    now = LATER if previous else NOW
    return tenant.summarize(
        Subject(generation=3, outcomes=outcomes, **subject), previous or {}, now
    )


def judged(*outcomes: Outcome, **subject: Any) -> tuple[str, dict[str, dict[str, Any]]]:
    body = {"metadata": {"generation": 3}, "status": document(*outcomes, **subject)}
    return compute(body), {each["type"]: each for each in body["status"]["conditions"]}


def test_everything_in_place_is_current() -> None:
    word, found = judged(Outcome(namespace="a"), Outcome(namespace="b"))
    assert word == "Current"
    assert {each["status"] for each in found.values()} == {"True"}
    assert status.RECONCILING not in found
    assert status.STALLED not in found


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        (status.PROGRESSING, "InProgress"),
        (status.UNAVAILABLE, "InProgress"),
        (status.CONFLICT, "Failed"),
        (status.NAME_RESTING, "Failed"),
        (status.REFUSED, "Failed"),
    ],
)
def test_each_reason_says_whether_somebody_must_act(reason: str, word: str) -> None:
    outcome = Outcome(namespace="b", pending=(NAMESPACE,), reason=reason, message="because")
    got, found = judged(Outcome(namespace="a"), outcome)
    assert got == word
    assert (found["Ready"]["status"], found["Ready"]["reason"]) == ("False", reason)
    assert found["Ready"]["message"] == "because"


def test_a_refused_spec_is_stalled() -> None:
    finding = Finding(type="Ready", reason=status.SPEC_REFUSED, message="spec.x: no.")
    word, found = judged(Outcome(namespace="a"), findings=(finding,))
    assert word == "Failed"
    assert found["Ready"]["message"] == "spec.x: no."


def test_a_finding_makes_its_aspect_false_and_the_tenant_not_ready() -> None:
    finding = Finding(type="QuotaEnforced", reason=status.QUOTA_OVERCOMMITTED, message="too much")
    word, found = judged(Outcome(namespace="a"), findings=(finding,))
    assert word == "Failed"
    assert (found["QuotaEnforced"]["status"], found["Ready"]["status"]) == ("False", "False")
    assert found["NetworkIsolated"]["status"] == "True"


def test_a_suspended_tenant_says_that_nobody_repairs() -> None:
    """T6, T8: it looked normal, and with something missing as if somebody worked on it."""
    states = [(status.SUSPENDED, "drift is not repaired")]
    word, good = judged(Outcome(namespace="a"), states=states)
    assert word == "Current"
    assert (good["Ready"]["status"], good["Ready"]["reason"]) == ("True", status.SUSPENDED)
    assert "drift is not repaired" in good["Ready"]["message"]
    for reason in ("Progressing", status.CONFLICT):
        outcome = Outcome(namespace="a", pending=(POLICY,), unproved=OPEN, reason=reason)
        word, bad = judged(outcome, states=states)
        assert (bad["Ready"]["reason"], word) == (status.SUSPENDED, "Failed")
        assert status.RECONCILING not in bad, "nobody works on it"


@pytest.mark.parametrize("reason", [status.FROZEN, status.AUDIT_ONLY])
def test_what_the_spec_asks_for_is_realised_and_seen_at_a_glance(reason: str) -> None:
    """T6, T8: a frozen tenant looked normal, and one in Audit mode was Failed for ever."""
    states = [(reason, "as the spec asks for")]
    word, good = judged(Outcome(namespace="a"), states=states)
    assert word == "Current"
    assert (good["Ready"]["status"], good["Ready"]["reason"]) == ("True", reason)
    assert good["Ready"]["message"].endswith("; as the spec asks for")
    outcome = Outcome(namespace="a", pending=(POLICY,), unproved=OPEN, reason=status.REFUSED)
    word, bad = judged(outcome, states=states)
    assert (bad["Ready"]["reason"], word) == (status.REFUSED, "Failed"), "what is wrong goes first"


def test_changed_policies_are_the_platforms_to_put_right_and_fail_no_tenant() -> None:
    """T8: during an upgrade every tenant was Failed at once."""
    told = Finding(
        type=status.POLICIES_IN_FORCE, reason=status.POLICIES_CHANGED, message="Install them."
    )
    word, found = judged(Outcome(namespace="a"), findings=[told])
    assert word == "InProgress"
    assert (found["Ready"]["status"], found["PoliciesInForce"]["status"]) == ("False", "False")


@pytest.mark.parametrize(
    ("reason", "pair"),
    [
        (status.TERMINATING, status.RECONCILING),
        (status.TEARDOWN_DELAYED, status.RECONCILING),
        (status.NAMESPACE_STUCK, status.STALLED),
        (status.SUSPENDED, status.STALLED),
    ],
)
def test_a_tenant_that_is_being_deleted_claims_nothing_any_more(reason: str, pair: str) -> None:
    """T6: it kept the conditions that it had, while its namespaces went."""
    finding = Finding(type=status.READY, reason=reason, message="Waiting.")
    _, found = judged(Outcome(namespace="a"), findings=[finding], deleted=True)
    words = {type: each["status"] for type, each in found.items()}
    assert words == {"Ready": "False", pair: "True"}
    assert {each["reason"] for each in found.values()} == {reason}
    told = document(Outcome(namespace="a"), findings=[finding], deleted=True)
    assert told["namespaces"] == {"desired": 0, "ready": 0, "summary": "0/0"}


@pytest.mark.parametrize(
    ("changes", "word", "reason"),
    [
        pytest.param({}, "Current", status.AS_SPECIFIED, id="all is well"),
        pytest.param(
            {"report": Report(policies_problem="missing")},
            "Failed",
            status.POLICIES_CHANGED,
            id="policies",
        ),
        pytest.param(
            {"progress": Progress(total=3, waiting=1, working=["a"])},
            "InProgress",
            status.ROLLING_OUT,
            id="it goes on by itself",
        ),
        pytest.param(
            {"progress": Progress(total=3, waiting=1, harmed=[("a", "Refused")], halted=True)},
            "Failed",
            status.ROLL_OUT_HALTED,
            id="halted",
        ),
        pytest.param(
            {"progress": Progress(total=3, harmed=[("a", "Refused")])},
            "Failed",
            status.TENANTS_HARMED,
            id="the last wave was harmed",
        ),
        pytest.param(
            {"progress": Progress(total=3, problem="dns names no server")},
            "Failed",
            status.SPEC_REFUSED,
            id="refused",
        ),
        pytest.param(
            {
                "progress": Progress(total=3, waiting=1),
                "report": Report(
                    fairness=Finding(
                        type=status.FAIRNESS_IN_FORCE,
                        reason=status.PRIORITY_LEVEL_MISSING,
                        message="missing",
                    )
                ),
            },
            "Failed",
            status.PRIORITY_LEVEL_MISSING,
            id="a person is needed, though a roll-out goes on",
        ),
    ],
)
def test_settings_that_wait_for_a_person_are_stalled(
    changes: dict[str, Any], word: str, reason: str
) -> None:
    """T8: RollOutHalted and PoliciesChanged were InProgress for ever."""
    told = settings.summarize(**{**settings_facts(NOW), "generation": 3, **changes})
    assert compute({"metadata": {"generation": 3}, "status": told}) == word
    (ready,) = (each for each in told["conditions"] if each["type"] == "Ready")
    assert ready["reason"] == reason


def test_only_the_aspects_that_are_concerned_are_false() -> None:
    _, found = judged(
        Outcome(namespace="a", pending=(POLICY,), unproved=OPEN, reason="Progressing")
    )
    assert found["NetworkIsolated"]["status"] == "False"
    assert found["PodSecurityEnforced"]["status"] == "True"


def test_the_reason_for_baseline_is_shown() -> None:
    _, found = judged(Outcome(namespace="a"), exception_reason="legacy agent")
    assert found["PodSecurityEnforced"]["reason"] == status.EXCEPTION_GRANTED
    assert "legacy agent" in found["PodSecurityEnforced"]["message"]


@pytest.mark.parametrize("reason", ["", "legacy agent"])
def test_pod_security_claims_what_was_seen_and_not_more(reason: str) -> None:
    """T3: beside a privileged pod that ran from before it said that the level is enforced."""
    _, found = judged(Outcome(namespace="a"), exception_reason=reason)
    assert found["PodSecurityEnforced"]["message"].startswith(
        "1 namespace with the Pod Security labels of the specified level and version; pods that"
        " were admitted before these labels are not judged"
    )


def test_a_transition_time_moves_only_with_the_status() -> None:
    before = document(
        Outcome(namespace="a", pending=(POLICY,), unproved=OPEN, reason="Progressing")
    )
    after = document(Outcome(namespace="a", pending=()), previous=before)
    times = {each["type"]: each["lastTransitionTime"] for each in after["conditions"]}
    assert times["PodSecurityEnforced"] == "2026-01-02T03:04:05Z"
    assert times["NetworkIsolated"] == "2026-01-02T04:04:05Z"


def test_the_same_facts_give_the_same_document() -> None:
    before = document(Outcome(namespace="a"))
    assert document(Outcome(namespace="a"), previous=before) == before


def test_a_message_names_three_namespaces_and_counts_the_rest() -> None:
    outcomes = [
        Outcome(namespace=f"n{n}", pending=(POLICY,), unproved=OPEN, reason="Progressing")
        for n in range(9)
    ]
    _, found = judged(*outcomes)
    assert found["NetworkIsolated"]["message"] == (
        "A NetworkPolicy is missing, changed or not wanted in n0, n1, n2 and 6 more"
    )


def test_a_finding_that_informs_leaves_everything_true_and_is_read_there() -> None:
    told = Finding(
        type=status.NETWORK_ISOLATED, reason=status.PEER_MISSING, message="Closed.", informs=True
    )
    word, found = judged(Outcome(namespace="a"), findings=[told])
    assert word == "Current"
    assert found[status.READY]["reason"] == status.AS_SPECIFIED
    isolated = found[status.NETWORK_ISOLATED]
    assert (isolated["status"], isolated["reason"]) == ("True", status.PEER_MISSING)
    assert isolated["message"].startswith("Closed. 1 namespace whose NetworkPolicies")


def test_what_is_wrong_is_told_before_what_only_informs() -> None:
    isolated = status.NETWORK_ISOLATED
    findings = [
        Finding(type=isolated, reason=status.PEER_MISSING, message="Closed.", informs=True),
        Finding(type=isolated, reason=status.NOT_IN_SETTINGS, message="Unknown."),
    ]
    word, found = judged(Outcome(namespace="a"), findings=findings)
    assert word == "Failed"
    assert found[status.NETWORK_ISOLATED]["reason"] == status.NOT_IN_SETTINGS


@pytest.mark.parametrize("reason", ["", status.SPEC_REFUSED, status.BOUND_PASSED])
def test_a_suspended_tenant_says_that_a_lockdown_does_not_take_effect(reason: str) -> None:
    """S6: while a tenant is suspended nothing is taken away, whether its spec is refused or not."""
    findings = (Finding(type=status.READY, reason=reason, message="why"),) if reason else ()
    states = ((status.SUSPENDED, SUSPENDED_NOTE),)
    _, found = judged(Outcome(namespace="a"), findings=findings, states=states)
    assert "a lockdown or withdrawn access takes effect only when" in found["Ready"]["message"]
    assert found["Ready"]["reason"] == (reason or status.SUSPENDED)


def test_a_namespace_that_is_not_the_tenants_lacks_nothing() -> None:
    """AccessScoped said that a RoleBinding was missing in monitoring, which is somebody else's."""
    outcomes = (
        Outcome(
            namespace="beta-web",
            pending=(POLICY,),
            unproved=frozenset({status.ACCESS_SCOPED}),
            reason=status.PROGRESSING,
        ),
        Outcome(
            namespace="monitoring",
            pending=(POLICY,),
            unproved=frozenset({status.ACCESS_SCOPED}),
            reason=status.CONFLICT,
        ),
    )
    _, found = judged(*outcomes)
    assert found[status.ACCESS_SCOPED]["message"] == (
        "A RoleBinding is missing, changed or not wanted in beta-web. Nothing is done in"
        " monitoring, which the tenant does not own"
    )
