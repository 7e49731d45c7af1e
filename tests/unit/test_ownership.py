"""What is ours of an object, and how its digest tells a difference."""

from typing import Any

import pytest

from securetenant.api import names
from securetenant.plan import drift, ownership
from securetenant.plan.drift import NamespaceMarks
from securetenant.plan.ownership import NamespaceFacts


def wall(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {
            "name": "n",
            "namespace": "a",
            "labels": {"ours": "yes"},
            "resourceVersion": "7",
        },
        "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [], **spec},
    }


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"ingress": [{}]}, id="a rule that allows everybody"),
        pytest.param({"egress": [{}]}, id="a rule in a list that was absent"),
        pytest.param({"policyTypes": ["Ingress"]}, id="a direction dropped"),
        pytest.param({"podSelector": {"matchLabels": {"a": "b"}}}, id="fewer pods selected"),
    ],
)
def test_a_changed_wall_has_another_digest(spec: dict[str, Any]) -> None:
    """Every change that opens a wall is a difference."""
    assert ownership.digest(wall(**spec)) != ownership.digest(wall())


def test_an_empty_list_equals_an_absent_one() -> None:
    """The API server leaves out empty lists, which must not look like drift."""
    assert ownership.digest(wall(ingress=[], egress=[])) == ownership.digest(wall(ingress=None))


def test_empty_selectors_inside_rules_are_not_dropped() -> None:
    """One namespace's pods and everybody are different peers, though both look empty."""
    own = wall(ingress=[{"from": [{"podSelector": {}}]}])
    everybody = wall(ingress=[{"from": []}])
    assert ownership.digest(own) != ownership.digest(everybody)


def test_a_foreign_label_on_a_wall_is_a_difference() -> None:
    """Walls are owned whole, labels too: a tracking label would make others prune them."""
    changed = wall()
    changed["metadata"]["labels"]["argocd.argoproj.io/instance"] = "x"
    assert ownership.digest(changed) != ownership.digest(wall())
    assert drift.surplus(wall(), changed) == [
        {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
        {"op": "remove", "path": "/metadata/labels/argocd.argoproj.io~1instance"},
    ]


def test_surplus_is_empty_when_only_values_differ() -> None:
    """A changed value is set by the apply; only what was added has to be removed by name."""
    assert drift.surplus(wall(ingress=[{}], egress=[]), wall(ingress=[{"from": []}])) == []


def test_differences_name_the_fields_in_order() -> None:
    """People read which fields were changed."""
    assert drift.differences(wall(), wall(ingress=[{}], policyTypes=[])) == (
        "spec.ingress",
        "spec.policyTypes",
    )


@pytest.mark.parametrize(
    ("observed", "differs"),
    [
        pytest.param({"securetenant.io/tenant": "t", "team": "x"}, False, id="a label of others"),
        pytest.param({"team": "x"}, True, id="our label missing"),
        pytest.param({"securetenant.io/tenant": "u"}, True, id="our label changed"),
        pytest.param(
            {"securetenant.io/tenant": "t", "securetenant.io/evil": "1"},
            True,
            id="a label under our prefix that we did not set",
        ),
        pytest.param(
            {"securetenant.io/tenant": "t", "pod-security.kubernetes.io/enforce": "privileged"},
            True,
            id="a Pod Security label that we did not set",
        ),
    ],
)
def test_only_our_keys_of_a_namespace_are_compared(observed: dict[str, str], differs: bool) -> None:
    """Other tools may label namespaces, but not with our keys."""
    wanted = NamespaceMarks({"securetenant.io/tenant": "t"}, {})
    assert drift.namespace_differs(wanted, NamespaceFacts(observed, {}, False)) is differs


def test_consent_that_was_used_is_removed() -> None:
    """Left on the namespace it would be consent to the next taker."""
    wanted = NamespaceMarks({}, {})
    assert drift.namespace_differs(wanted, NamespaceFacts({}, {names.ADOPT_ANNOTATION: "t"}, False))
    body = {
        "kind": "Namespace",
        "metadata": {
            "name": "a",
            "resourceVersion": "7",
            "labels": {},
            "annotations": {names.ADOPT_ANNOTATION: "t", "other": "stays"},
        },
    }
    desired = {"kind": "Namespace", "metadata": {"name": "a", "labels": {}}}
    assert [each["path"] for each in drift.surplus(desired, body)[1:]] == [
        "/metadata/annotations/securetenant.io~1adopt"
    ]


@pytest.mark.parametrize(
    ("manager", "told"),
    [
        ("kubectl-edit", "kubectl-edit"),
        ("argocd.argoproj.io/controller", "argocd.argoproj.io/controller"),
        ("kubectl; everything as specified", '"kubectl; everything as specified"'),
        ('a "b"', '"a \\"b\\""'),
        (names.FIELD_MANAGER, ""),
    ],
)
def test_who_changed_an_object_is_named_so_that_no_name_reads_as_ours(
    manager: str, told: str
) -> None:
    """Anybody chooses the name of the own field manager."""
    body = wall()
    body["metadata"]["managedFields"] = [{"manager": manager, "time": "2026-01-01T00:00:00Z"}]
    assert drift.last_author(body) == told


@pytest.mark.parametrize("spec", [{"scopes": ["Terminating"]}, {"scopeSelector": {"x": []}}])
def test_a_quota_that_somebody_made_for_some_pods_only_has_to_be_made_again(spec: Any) -> None:
    """Kubernetes lets nobody change that field."""
    desired = {"kind": "ResourceQuota", "spec": {"hard": {"pods": "1"}}}
    assert not drift.is_fixed(desired, {"spec": {"hard": {"pods": "2"}}})
    assert drift.is_fixed(desired, {"spec": {"hard": {"pods": "1"}, **spec}})
