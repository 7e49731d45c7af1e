"""What is tried to break the isolation, and what an answer says about a control."""

import datetime
from typing import Any

import pytest

import factory
from securetenant.api import kinds, status
from securetenant.api.access import Grant
from securetenant.checks.attacks import access, objects, pods, verdicts
from securetenant.checks.attacks.objects import Other
from securetenant.checks.attacks.verdicts import Answer, Attempt, Seen, Verdict
from securetenant.status import isolation
from securetenant.status.conditions import Condition
from securetenant.status.isolation import Trial
from securetenant.status.outcome import Finding

OTHER = Other("another", "another-a")
MOST = 120
"""How many requests one namespace costs at most."""
WIDEST = {
    "registries": ["registry.example/"],
    "images": "Digest",
    "rootFilesystem": "ReadOnly",
    "userNamespaces": "Required",
}
PLACED = {"dedication": "Dedicated", "names": ["node-0"]}


def attempts(**spec: Any) -> list[Attempt]:
    policy = factory.policy_spec(**spec)
    return [
        *pods.attempts(policy, OTHER.tenant),
        *objects.attempts(policy, "tenant-a", OTHER),
    ]


def grants() -> tuple[Grant, ...]:
    return tuple(
        Grant.model_validate(
            {
                "name": role.lower(),
                "role": role,
                "subjects": [
                    {"kind": "Group", "name": f"{role}-people"},
                    {"kind": "User", "name": f"{role}-one"},
                ],
            }
        )
        for role in ("Admin", "Developer", "Viewer")
    )


def test_one_namespace_costs_no_more_than_is_promised() -> None:
    questions = [
        question
        for who in access.asked_about(grants(), "tenant-a", 0)
        for question in access.questions(who, "tenant-a", OTHER, 0)
    ]
    tried = attempts(workloads=WIDEST, nodes=PLACED)
    assert 1 + len(tried) + len(questions) <= MOST


def test_each_of_our_policies_is_tried_in_three_ways() -> None:
    """Spread over new connections: K equal answers before a policy counts as in force."""
    counts: dict[str, int] = {}
    for each in attempts():
        counts[each.control.name] = counts.get(each.control.name, 0) + 1
    ours = {name: count for name, count in counts.items() if name.startswith("securetenant-")}
    assert {name: count for name, count in ours.items() if count < 3} == {}
    assert len(ours) >= 9


def test_each_subject_and_each_question_has_its_turn() -> None:
    asked, whose = set(), set()
    for turn in range(6):
        for who in access.asked_about(grants(), "tenant-a", turn):
            whose.add(who.told)
            asked |= {each.what for each in access.questions(who, "tenant-a", OTHER, turn)}
    assert {f"Group {role}-people" for role in ("Admin", "Developer", "Viewer")} <= whose
    assert {f"User {role}-one" for role in ("Admin", "Developer", "Viewer")} <= whose
    assert "ServiceAccount tenant-a/default" in whose
    assert len({each.partition(": ")[2] for each in asked}) == 12


def test_a_grant_for_other_namespaces_is_not_asked_about() -> None:
    elsewhere = grants()[0].model_copy(update={"namespaces": ("tenant-b",)})
    told = [who.told for who in access.asked_about((elsewhere,), "tenant-a", 0)]
    assert told == ["ServiceAccount tenant-a/default", "anybody who is logged in"]


def attempt(**fields: Any) -> Attempt:
    return Attempt(
        row="E09",
        what="an address",
        kind=kinds.SERVICE,
        body={},
        control=verdicts.policy("services"),
        **fields,
    )


REFUSED = "ValidatingAdmissionPolicy 'securetenant-services' with binding 'x' denied request: no"


@pytest.mark.parametrize(
    ("answer", "clean", "verdict"),
    [
        (Answer(403, REFUSED), True, Verdict.BLOCKED),
        (Answer(403, REFUSED), False, Verdict.INCONCLUSIVE),
        (Answer(422, "exceeded quota: x"), True, Verdict.BLOCKED_BY_OTHER),
        (Answer(403, 'admission webhook "w" denied the request'), True, Verdict.BLOCKED_BY_OTHER),
        (Answer(201, "", {}), True, Verdict.OPEN),
        (Answer(201, "", {}), False, Verdict.OPEN),
        (Answer(0, "TimeoutError"), True, Verdict.INCONCLUSIVE),
        (Answer(429, "too many"), True, Verdict.INCONCLUSIVE),
        (Answer(503, REFUSED), True, Verdict.INCONCLUSIVE),
        (Answer(403, "no params found for policy binding"), True, Verdict.INCONCLUSIVE),
        (Answer(403, 'User "x" cannot create resource "pods"'), True, Verdict.INCONCLUSIVE),
        (
            Answer(403, 'User "x" cannot impersonate resource "users"'),
            True,
            Verdict.INCONCLUSIVE,
        ),
    ],
)
def test_a_refusal_counts_for_the_control_that_made_it_only(
    answer: Answer, clean: bool, verdict: Verdict
) -> None:
    assert verdicts.judge(attempt(), answer, clean=clean).verdict is verdict


def test_what_comes_back_corrected_is_held() -> None:
    held = attempt(held=lambda body: body.get("kind") == "Corrected")
    corrected = Answer(201, "", {"kind": "Corrected"})
    assert verdicts.judge(held, corrected, clean=True).verdict is Verdict.BLOCKED
    assert verdicts.judge(held, Answer(201, "", {}), clean=True).verdict is Verdict.OPEN


@pytest.mark.parametrize(
    ("allowed", "verdict"),
    [(None, Verdict.INCONCLUSIVE), (True, Verdict.OPEN), (False, Verdict.BLOCKED)],
)
def test_a_question_without_an_answer_says_nothing(allowed: bool | None, verdict: Verdict) -> None:
    who = access.anybody()
    question = next(access.questions(who, "tenant-a", OTHER, 0))
    assert verdicts.answered(question, allowed).verdict is verdict


def test_a_full_quota_does_not_keep_the_trial_pod_from_counting() -> None:
    """It is asked last: every other control had let the pod pass."""
    assert verdicts.passes(Answer(403, "exceeded quota: securetenant, requested: pods=1"))
    assert not verdicts.passes(Answer(403, REFUSED))


# --- the condition --------------------------------------------------------------------------

AT = datetime.datetime(2026, 11, 29, 12, tzinfo=datetime.UTC)


def seen(verdict: Verdict, row: str = "E09", *, critical: bool = True) -> Seen:
    return Seen(row, f"what {row} is", "securetenant-services", critical, verdict, "said")


def trial(namespace: str, *others: Seen, **fields: Any) -> Trial:
    return Trial(namespace, AT, 50, isolation.sort(others), **fields)


@pytest.mark.parametrize(
    ("trials", "missing", "expected"),
    [
        ((trial("a-1"), trial("a-2")), (), ("True", status.ATTACKS_REFUSED)),
        ((trial("a-1"),), ("a-2",), ("Unknown", status.NOT_VERIFIED)),
        ((), (), ("Unknown", status.NOT_VERIFIED)),
        ((trial("a-1", seen(Verdict.OPEN)),), ("a-2",), ("False", status.ISOLATION_OPEN)),
        (
            (trial("a-1", seen(Verdict.OPEN, critical=False)), trial("a-2")),
            (),
            ("False", status.ISOLATION_OPEN),
        ),
        (
            (trial("a-1", seen(Verdict.BLOCKED_BY_OTHER)),),
            (),
            ("Unknown", status.REFUSED_BY_OTHERS),
        ),
        (
            (trial("a-1", seen(Verdict.BLOCKED_BY_OTHER), seen(Verdict.OPEN)),),
            (),
            ("False", status.ISOLATION_OPEN),
        ),
        ((trial("a-1", seen(Verdict.INCONCLUSIVE)),), (), ("Unknown", status.NOT_VERIFIED)),
        ((trial("a-1", problem="no"), trial("a-2")), (), ("Unknown", status.TRIAL_REFUSED)),
        ((trial("a-1", unanswered="no"), trial("a-2")), (), ("Unknown", status.NOT_VERIFIED)),
    ],
)
def test_only_what_was_refused_everywhere_is_verified(
    trials: tuple[Trial, ...], missing: tuple[str, ...], expected: tuple[str, str]
) -> None:
    verdict = isolation.judge(trials, missing)
    assert (verdict.status, verdict.reason) == expected


def test_the_message_names_what_is_open_where_and_what_to_do() -> None:
    open_ = [seen(Verdict.OPEN, row) for row in ("E10", "E09", "E11", "E12")]
    message = isolation.judge((trial("a-1", *open_), trial("a-2", *open_)), ()).message
    assert message.startswith(
        "what E09 is (E09): admitted in a-1, a-2, and securetenant-services must refuse it; "
    )
    assert message.endswith(
        "; and 1 more. Install the policies: kubectl apply -k manifests/policies"
    )


def test_the_record_counts_and_has_the_time_of_the_oldest() -> None:
    older = trial("a-2", seen(Verdict.OPEN))._replace(at=AT - datetime.timedelta(hours=1))
    assert isolation.record((trial("a-1"), older)) == {
        "verifiedAt": "2026-11-29T11:00:00Z",
        "tried": 101,
        "refused": 100,
        "admitted": 1,
    }


# --- beside the other conditions ------------------------------------------------------------

VERIFIED = isolation.judge((trial("a-1"),), ())


def other(type_: str, answer: str, reason: str = status.POLICIES_CHANGED) -> Condition:
    return Condition(type_, answer, reason, "said why")


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ((other(status.POLICIES_IN_FORCE, "True"),), ("True", status.ATTACKS_REFUSED)),
        *(
            ((other(type_, "False"),), ("False", status.POLICIES_CHANGED))
            for type_ in (
                status.ACCESS_SCOPED,
                status.NETWORK_ISOLATED,
                status.NODES_DEDICATED,
                status.PIDS_LIMITED,
                status.POD_SECURITY_ENFORCED,
                status.POLICIES_IN_FORCE,
                status.QUOTA_ENFORCED,
            )
        ),
        (
            (other(status.PIDS_LIMITED, "Unknown", status.KUBELET_UNREAD),),
            ("Unknown", status.KUBELET_UNREAD),
        ),
        (
            (other(status.QUOTA_ENFORCED, "False", status.WAITING_FOR_QUOTA),),
            ("Unknown", status.WAITING_FOR_QUOTA),
        ),
        # Ready says it of everything, and nothing about the isolation.
        ((other(status.READY, "False"),), ("True", status.ATTACKS_REFUSED)),
    ],
)
def test_nothing_is_verified_beside_a_condition_that_does_not_hold(
    others: tuple[Condition, ...], expected: tuple[str, str]
) -> None:
    found = isolation.proved(VERIFIED, others, ())
    assert (found.status, found.reason) == expected


def test_what_else_was_found_makes_it_false() -> None:
    found = isolation.proved(
        VERIFIED,
        (),
        (Finding(type=status.ISOLATION_VERIFIED, reason="Found", message="a pod", informs=True),),
    )
    assert (found.status, found.reason, found.message) == ("False", "Found", "a pod")


def test_what_is_not_known_does_not_hide_what_was_found() -> None:
    reasons = (status.FLOWS_UNCLEAR, status.STANDING_VIOLATIONS)
    findings = [
        Finding(type=status.ISOLATION_VERIFIED, reason=each, message="", informs=True)
        for each in reasons
    ]
    found = isolation.proved(VERIFIED, (), findings)
    assert (found.status, found.reason) == ("False", status.STANDING_VIOLATIONS)


def test_what_is_open_is_said_before_all_else() -> None:
    open_ = isolation.judge((trial("a-1", seen(Verdict.OPEN)),), ())
    others = (other(status.POLICIES_IN_FORCE, "False"),)
    assert isolation.proved(open_, others, ()) == open_
