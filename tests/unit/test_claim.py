"""Whose namespace it is: the table of all cases."""

import datetime

import pytest

from securetenant.api import names
from securetenant.plan import claim
from securetenant.plan.claim import Claim
from securetenant.plan.ownership import NamespaceFacts, Observed, PolicyFacts
from securetenant.plan.resting import Rest

OURS = {names.TENANT_LABEL: "acme", names.STATE_LABEL: names.ACTIVE}
RETAINED = {names.TENANT_LABEL: "acme", names.STATE_LABEL: names.RETAINED}
CONSENT = {names.ADOPT_ANNOTATION: "acme"}
LET_GO = {names.TENANT_LABEL: "other", names.STATE_LABEL: names.RETAINED}


def policy(tenant: str = "acme", uid: str = "uid") -> PolicyFacts:
    return PolicyFacts(tenant, uid, 1, b"", ())


@pytest.mark.parametrize(
    ("labels", "annotations", "held", "expected"),
    [
        pytest.param({}, {}, None, Claim.FOREIGN, id="no label: somebody's"),
        pytest.param({}, CONSENT, None, Claim.ADOPTABLE, id="nobody's, consented"),
        pytest.param({}, {}, policy(), Claim.OWN, id="the label was stripped"),
        pytest.param({}, {}, policy("other"), Claim.FOREIGN, id="another's label was stripped"),
        pytest.param(OURS, {}, None, Claim.OWN, id="ours, nothing in it yet"),
        pytest.param(OURS, {}, policy(), Claim.OWN, id="ours"),
        pytest.param(OURS, {}, policy(uid="old"), Claim.RETAINED, id="an earlier SecureTenant's"),
        pytest.param(OURS, CONSENT, policy(uid="old"), Claim.OWN, id="an earlier one's, consented"),
        pytest.param(RETAINED, {}, policy(), Claim.RETAINED, id="retained"),
        pytest.param(RETAINED, CONSENT, policy(), Claim.OWN, id="retained, consented"),
        pytest.param(
            RETAINED,
            {names.ADOPT_ANNOTATION: "other"},
            policy(),
            Claim.RETAINED,
            id="consent for another tenant",
        ),
        pytest.param({names.TENANT_LABEL: "other"}, CONSENT, None, Claim.FOREIGN, id="another's"),
        pytest.param(LET_GO, {}, policy("other"), Claim.FOREIGN, id="another let go of it"),
        pytest.param(
            LET_GO, CONSENT, policy("other"), Claim.ADOPTABLE, id="another let go, consented"
        ),
        pytest.param({}, CONSENT, policy("other"), Claim.FOREIGN, id="stripped, consented"),
    ],
)
def test_whose_namespace_it_is(
    labels: dict[str, str],
    annotations: dict[str, str],
    held: PolicyFacts | None,
    expected: Claim,
) -> None:
    observed = Observed(1, "u", b"", NamespaceFacts(labels, annotations, False))
    verdict = claim.judge("acme", "uid", "space", observed, held)
    assert verdict.claim is expected
    is_told = expected not in (Claim.OWN, Claim.ADOPTABLE)
    assert bool(verdict.message) == is_told, "people are told what to do"


def test_a_namespace_that_does_not_exist_may_be_made() -> None:
    assert claim.judge("acme", "uid", "space", None, None).claim is Claim.ABSENT


def test_a_namespace_on_its_way_out_is_waited_for() -> None:
    observed = Observed(1, "u", b"", NamespaceFacts(OURS, {}, True))
    assert claim.judge("acme", "uid", "space", observed, policy()).claim is Claim.TERMINATING


@pytest.mark.parametrize(
    ("labels", "terminating", "told"),
    [
        pytest.param(
            {names.TENANT_LABEL: "mova", names.STATE_LABEL: names.ACTIVE},
            False,
            "Namespace space belongs to tenant mova. Choose another name, or remove it from"
            " SecureTenant mova; where spec.deletionPolicy of that is Retain, then delete it with"
            " all it holds, after which its name rests (TenancySettings, namesRestDays): kubectl"
            ' --as "$USER" --as-group securetenant:break-glass delete namespace space',
            id="in its spec",
        ),
        pytest.param(
            {names.TENANT_LABEL: "mova", names.STATE_LABEL: names.RETAINED},
            False,
            "Namespace space belongs to tenant mova, which let go of it, and was retained. Choose"
            " another name; or have it taken with all it holds: kubectl annotate namespace space"
            " securetenant.io/adopt=acme; or delete it with all it holds, after which its name"
            ' rests (TenancySettings, namesRestDays): kubectl --as "$USER" --as-group'
            " securetenant:break-glass delete namespace space",
            id="removed already",
        ),
        pytest.param(
            {names.TENANT_LABEL: "mova", names.STATE_LABEL: names.RETAINED},
            True,
            "Namespace space belongs to tenant mova and is being deleted. It is created once it is"
            " gone.",
            id="another's, on its way out",
        ),
        pytest.param(
            {},
            True,
            "Namespace space belongs to no tenant and is being deleted. It is created once it is"
            " gone.",
            id="nobody's, on its way out",
        ),
    ],
)
def test_nothing_is_advised_that_was_done_already(
    labels: dict[str, str], terminating: bool, told: str
) -> None:
    """E11: "remove it from SecureTenant mova first" was said of what had been removed."""
    observed = Observed(1, "u", b"", NamespaceFacts(labels, {}, terminating))
    assert claim.judge("acme", "uid", "space", observed, None).message == told


GONE = datetime.datetime(2026, 11, 29, 12, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("former", "told"),
    [("beta", "tenant beta"), ("acme", "an earlier SecureTenant acme")],
)
def test_a_name_that_rests_is_not_given_and_not_the_tenants_own(former: str, told: str) -> None:
    """F11: who had access to the former namespace reads the new one by a watch that is open."""
    verdict = claim.judge("acme", "uid", "space", None, None, Rest(former, 30, GONE))
    assert verdict.claim is Claim.RESTING
    assert not claim.is_owned(verdict, is_protected=False)
    assert verdict.message == (
        f"Namespace space belonged to {told} and was gone at 2026-11-29T12:00:00Z. Its name rests,"
        " because anyone who had access to it can still have a watch open. Choose another name,"
        " wait until 2026-12-29T12:00:00Z, or, once every API server was restarted after"
        " 2026-11-29T12:10:00Z: kubectl annotate securetenant acme --overwrite"
        " securetenant.io/reuse-names=space"
    )


def test_it_is_not_promised_that_a_name_is_given_once_its_namespace_is_gone() -> None:
    labels = {names.TENANT_LABEL: "beta"}
    observed = Observed(1, "u", b"", NamespaceFacts(labels, {}, True))
    verdict = claim.judge("acme", "uid", "space", observed, None, Rest("beta", 7, None))
    assert verdict.claim is Claim.FOREIGN
    assert verdict.message == (
        "Namespace space belongs to tenant beta and is being deleted. Its name rests for 7 days"
        " from then on. Choose another name, or, once nobody can still have a watch of it open:"
        " kubectl annotate securetenant acme --overwrite securetenant.io/reuse-names=space"
    )
    made_by_hand = Observed(1, "u", b"", NamespaceFacts({}, {}, True))
    verdict = claim.judge("acme", "uid", "space", made_by_hand, None, Rest("beta", 7, GONE))
    assert "Its name rests until 2026-12-06T12:00:00Z." in verdict.message
