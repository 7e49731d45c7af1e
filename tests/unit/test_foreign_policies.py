"""Policies of other kinds: where they may select pods, and what is not understood selects all."""

from typing import Any

import pytest

from securetenant.checks import calico, foreign
from securetenant.checks.reachability import Namespace

SPACES = [
    Namespace(name="red-a", labels={"securetenant.io/tenant": "red"}),
    Namespace(name="blue-a", labels={"securetenant.io/tenant": "blue"}),
]
BOTH = ["blue-a", "red-a"]


def body(kind: str, group: str, spec: Any = None, **more: Any) -> dict[str, Any]:
    metadata = {"name": "p", **more.pop("metadata", {})}
    found = {"apiVersion": f"{group}/v1", "kind": kind, "metadata": metadata, **more}
    return found if spec is None else {**found, "spec": spec}


RED = {"k8s:io.kubernetes.pod.namespace": "red-a"}
RED_BY_LABEL = {"io.cilium.k8s.namespace.labels.securetenant.io/tenant": "red"}
NOT_RED = {"key": "io.kubernetes.pod.namespace", "operator": "NotIn", "values": ["red-a"]}
CALICO = "crd.projectcalico.org"


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (body("CiliumNetworkPolicy", "cilium.io", {}, metadata={"namespace": "red-a"}), ["red-a"]),
        (body("NetworkPolicy", CALICO, {}, metadata={"namespace": "blue-a"}), ["blue-a"]),
        (body("Unheard", "example.com", {}, metadata={"namespace": "red-a"}), ["red-a"]),
        (body("Unheard", "example.com", {}), BOTH),
        (body("StagedGlobalNetworkPolicy", "projectcalico.org", {}), []),
        (body("Tier", "projectcalico.org", {"order": 1}), []),
    ],
    ids=["Cilium", "Calico", "unheard of", "unheard of, of the cluster", "staged", "a tier"],
)
def test_a_policy_counts_in_its_namespace_or_everywhere(policy: Any, expected: list[str]) -> None:
    assert sorted(foreign.selecting([policy], SPACES)) == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"endpointSelector": {}}, BOTH),
        ({"endpointSelector": {"matchLabels": RED}}, ["red-a"]),
        ({"endpointSelector": {"matchLabels": {**RED, "k8s:app": "web"}}}, ["red-a"]),
        ({"endpointSelector": {"matchLabels": RED_BY_LABEL}}, ["red-a"]),
        ({"endpointSelector": {"matchLabels": {"any:app": "web"}}}, BOTH),
        ({"endpointSelector": {"matchExpressions": [NOT_RED]}}, ["blue-a"]),
        ({"endpointSelector": {"matchExpressions": [{"key": "x", "operator": "Near"}]}}, BOTH),
        ({"endpointSelector": ["odd"]}, BOTH),
        ({"nodeSelector": {}}, []),
        ({}, BOTH),
        (None, BOTH),
    ],
)
def test_cilium_of_the_whole_cluster_selects_by_namespace(spec: Any, expected: list[str]) -> None:
    policy = body("CiliumClusterwideNetworkPolicy", "cilium.io", spec)
    assert sorted(foreign.selecting([policy], SPACES)) == expected


def test_each_of_several_specs_of_cilium_counts() -> None:
    specs = [{"nodeSelector": {}}, {"endpointSelector": {"matchLabels": RED}}]
    policy = body("CiliumClusterwideNetworkPolicy", "cilium.io", specs=specs)
    assert sorted(foreign.selecting([policy], SPACES)) == ["red-a"]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, BOTH),
        ({"selector": "all()"}, BOTH),
        ({"selector": "app == 'web'"}, BOTH),
        ({"selector": "app != 'web'"}, BOTH),
        ({"selector": "!has(app)"}, BOTH),
        ({"namespaceSelector": "global()"}, []),
        ({"namespaceSelector": 'projectcalico.org/name == "red-a"'}, ["red-a"]),
        ({"namespaceSelector": "securetenant.io/tenant in {'red', 'green'}"}, ["red-a"]),
        ({"namespaceSelector": "securetenant.io/tenant not in {'red'}"}, ["blue-a"]),
        ({"namespaceSelector": "has(securetenant.io/tenant) && !(all())"}, []),
        (
            {"namespaceSelector": "has(absent) || securetenant.io/tenant starts with 'bl'"},
            ["blue-a"],
        ),
        ({"namespaceSelector": "securetenant.io/tenant ends with 'd'"}, ["red-a"]),
        ({"namespaceSelector": "securetenant.io/tenant contains 'lu'"}, ["blue-a"]),
        ({"selector": "projectcalico.org/namespace == 'red-a' && app == 'web'"}, ["red-a"]),
        ({"selector": "projectcalico.org/namespace == 'red-a' || app == 'web'"}, BOTH),
        ({"selector": "!(projectcalico.org/namespace == 'red-a')"}, ["blue-a"]),
        ({"selector": "pcns.securetenant.io/tenant == 'red'"}, ["red-a"]),
        ({"namespaceSelector": "tenant ~ 'red'"}, BOTH),
        ({"namespaceSelector": "has(tenant"}, BOTH),
        ({"namespaceSelector": "(" * 5000}, BOTH),
        ({"namespaceSelector": 5}, BOTH),
        (None, BOTH),
    ],
)
def test_calico_of_the_whole_cluster_selects_by_namespace(spec: Any, expected: list[str]) -> None:
    for group in (CALICO, "projectcalico.org"):
        policy = body("GlobalNetworkPolicy", group, spec)
        assert sorted(foreign.selecting([policy], SPACES)) == expected


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ({"namespaces": {"matchLabels": {"securetenant.io/tenant": "red"}}}, ["red-a"]),
        (
            {
                "pods": {
                    "namespaceSelector": {"matchLabels": {"securetenant.io/tenant": "blue"}},
                    "podSelector": {},
                }
            },
            ["blue-a"],
        ),
        ({"future": {}}, BOTH),
    ],
)
def test_the_former_admin_policies_select_by_namespace(subject: Any, expected: list[str]) -> None:
    for kind in ("AdminNetworkPolicy", "BaselineAdminNetworkPolicy"):
        policy = body(kind, "policy.networking.k8s.io", {"subject": subject})
        assert sorted(foreign.selecting([policy], SPACES)) == expected


def test_kind_object_and_group_are_named() -> None:
    found = foreign.selecting(
        [
            body("CiliumNetworkPolicy", "cilium.io", {}, metadata={"namespace": "red-a"}),
            body("GlobalNetworkPolicy", CALICO, {}),
        ],
        SPACES,
    )
    assert found["red-a"] == (
        "CiliumNetworkPolicy red-a/p (cilium.io)",
        "GlobalNetworkPolicy p (crd.projectcalico.org)",
    )


def test_what_is_not_known_of_a_label_stays_unknown() -> None:
    assert calico.holds("a == 'x'", {}, is_whole=False) is None
    assert calico.holds("!(a == 'x')", {}, is_whole=False) is None
    assert calico.holds("a == 'x' && b == 'y'", {"b": "z"}, is_whole=False) is False
    assert calico.holds("a == 'x' || b == 'y'", {"b": "y"}, is_whole=False) is True
    assert calico.holds("a == 'x'", {}, is_whole=True) is False
