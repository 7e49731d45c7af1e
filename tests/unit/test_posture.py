"""The posture: what passes, what fails, and that nothing is guessed."""

from typing import Any

import pytest

from securetenant.api import status
from securetenant.checks import posture
from securetenant.checks.attacks.verdicts import Verdict
from securetenant.checks.posture import Binding, Kubelet, Node, Readings, Result

GOOD_KUBELET = Kubelet(False, "Webhook", 0, True)
NODE = Node("n1", "v1.37.1", "Linux", is_control_plane=False, is_kept_free=False)
CONTROL = Node("c1", "v1.36.0", "Linux", is_control_plane=True, is_kept_free=True)
DEVS = ("Group", "devs", "")
ROBOT = ("ServiceAccount", "robot", "acme-a")
EVERYBODY = ("Group", "system:authenticated", "")
READS = ({"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]},)
ROLES: dict[str, Any] = {
    "cluster-admin": ({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},),
    "reads": READS,
    "views": ({"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},),
    "proxies": ({"apiGroups": [""], "resources": ["*/proxy"], "verbs": ["get"]},),
    "makes": ({"apiGroups": [""], "resources": ["pods"], "verbs": ["create"]},),
    "asks": ({"nonResourceURLs": ["/healthz"], "verbs": ["get"]},),
}


def found(name: str, **readings: Any) -> posture.Found:
    given = Readings(
        **{"subjects": frozenset({DEVS}), "namespaces": frozenset({"acme-a"}), **readings}
    )
    (line,) = (each for each in posture.assess(given) if each.check.name == name)
    return line.found


def bound(role: str, *subjects: tuple[str, str, str], namespace: str = "") -> dict[str, Any]:
    return {"bindings": (Binding(role, subjects, namespace),), "roles": ROLES}


def test_where_nothing_was_read_everything_is_unknown_and_says_what_would_show_it() -> None:
    for line in posture.assess(Readings()):
        assert line.found.result is Result.UNKNOWN, line.check.name
        assert line.found.evidence, line.check.name


def test_each_check_has_a_name_of_its_own_a_source_and_a_threat() -> None:
    names = [each.name for each in posture.CHECKS]
    assert len(names) == len(set(names)) > 50
    for each in posture.CHECKS:
        assert each.threats, each.name
        assert each.sources, each.name
        assert all(source.startswith(("CIS ", "NSA")) for source in each.sources)


def test_every_check_of_section_5_is_there() -> None:
    """But for 5.4.2 and 5.6 each has its number; 5.3.1 and 5.1.7 are never known."""
    sources = {source for each in posture.CHECKS for source in each.sources}
    expected = {f"CIS 5.1.{n}" for n in range(1, 14)}
    expected |= {f"CIS 5.2.{n}" for n in range(1, 13)}
    expected |= {"CIS 5.3.1", "CIS 5.3.2", "CIS 5.4.1", "CIS 5.4.2", "CIS 5.5.1"}
    expected |= {f"CIS 5.6.{n}" for n in range(1, 5)}
    assert expected <= sources


CASES: list[tuple[str, dict[str, Any], Result]] = [
    ("quota", {"conditions": {status.QUOTA_ENFORCED: "True"}}, Result.PASS),
    ("quota", {"conditions": {status.QUOTA_ENFORCED: "False"}}, Result.FAIL),
    ("quota", {"conditions": {status.QUOTA_ENFORCED: "Unknown"}}, Result.UNKNOWN),
    ("quota", {"conditions": {}}, Result.UNKNOWN),
    ("privileged", {"attacks": {"B01": [Verdict.BLOCKED]}}, Result.PASS),
    ("privileged", {"attacks": {"B01": [Verdict.BLOCKED, Verdict.OPEN]}}, Result.FAIL),
    ("privileged", {"attacks": {"B01": [Verdict.BLOCKED_BY_OTHER]}}, Result.UNKNOWN),
    ("privileged", {"attacks": {"B02": [Verdict.BLOCKED]}}, Result.UNKNOWN),
    ("escalate", {"attacks": {"A02": [Verdict.BLOCKED]}}, Result.UNKNOWN),
    ("violators", {"violators": 0}, Result.PASS),
    ("violators", {"violators": 2}, Result.FAIL),
    ("secrets-as-variables", {"secrets_in_environment": 0}, Result.PASS),
    ("secrets-as-variables", {"secrets_in_environment": 1}, Result.FAIL),
    ("exposed", {"exposed": ()}, Result.PASS),
    ("exposed", {"exposed": ("acme-a/edge",)}, Result.FAIL),
    ("vulnerabilities", {"vulnerabilities": (0, 0)}, Result.PASS),
    ("vulnerabilities", {"vulnerabilities": (0, 1)}, Result.FAIL),
    # Kinds show that a program is there; that they are absent shows nothing.
    ("signatures", {"kinds": {"clusterimagepolicies.policy.sigstore.dev"}}, Result.PASS),
    ("signatures", {"kinds": {"pods."}}, Result.UNKNOWN),
    # Kubelets.
    ("kubelet-anonymous", {"kubelets": {"n1": GOOD_KUBELET}}, Result.PASS),
    ("kubelet-anonymous", {"kubelets": {"n1": GOOD_KUBELET, "n2": None}}, Result.UNKNOWN),
    (
        "kubelet-anonymous",
        {"kubelets": {"n1": GOOD_KUBELET}, "nodes": (NODE, CONTROL)},
        Result.UNKNOWN,
    ),
    (
        "kubelet-anonymous",
        {"kubelets": {"n1": GOOD_KUBELET._replace(anonymous=True), "n2": None}},
        Result.FAIL,
    ),
    (
        "kubelet-anonymous",
        {"kubelets": {"n1": GOOD_KUBELET._replace(anonymous=None)}},
        Result.UNKNOWN,
    ),
    (
        "kubelet-authorization",
        {"kubelets": {"n1": GOOD_KUBELET._replace(authorization="AlwaysAllow")}},
        Result.FAIL,
    ),
    (
        "kubelet-read-only",
        {"kubelets": {"n1": GOOD_KUBELET._replace(read_only_port=10255)}},
        Result.FAIL,
    ),
    ("kubelet-rotation", {"kubelets": {"n1": GOOD_KUBELET}}, Result.PASS),
    ("versions", {"server": "v1.37.1", "nodes": (NODE, CONTROL)}, Result.PASS),
    ("versions", {"server": "v1.40.0", "nodes": (NODE, CONTROL)}, Result.FAIL),
    ("versions", {"server": "v1.36.0", "nodes": (NODE,)}, Result.FAIL),
    ("versions", {"nodes": (NODE,)}, Result.UNKNOWN),
    ("versions", {"server": "v1.37.1", "nodes": (NODE._replace(kubelet="?"),)}, Result.UNKNOWN),
    ("control-plane", {"nodes": (NODE, CONTROL)}, Result.PASS),
    ("control-plane", {"nodes": (CONTROL._replace(is_kept_free=False),)}, Result.FAIL),
    ("control-plane", {"nodes": (NODE,)}, Result.UNKNOWN),
    # Rights.
    ("cluster-admin", bound("cluster-admin", ("Group", "platform", "")), Result.PASS),
    ("cluster-admin", bound("cluster-admin", DEVS), Result.FAIL),
    ("cluster-admin", bound("cluster-admin", ROBOT), Result.FAIL),
    ("cluster-admin", bound("cluster-admin", EVERYBODY), Result.FAIL),
    (
        "cluster-admin",
        bound("cluster-admin", ("User", "system:serviceaccount:acme-a:x", "")),
        Result.FAIL,
    ),
    (
        "cluster-admin",
        bound("cluster-admin", ("Group", "system:serviceaccounts:acme-a", "")),
        Result.FAIL,
    ),
    (
        "cluster-admin",
        bound("cluster-admin", ("ServiceAccount", "robot", "other-a")),
        Result.PASS,
    ),
    ("secrets", bound("reads", DEVS), Result.FAIL),
    ("secrets", bound("cluster-admin", ROBOT), Result.FAIL),
    ("secrets", bound("views", DEVS), Result.PASS),
    ("secrets", bound("asks", EVERYBODY), Result.PASS),
    ("secrets", bound("reads", DEVS, namespace="acme-a"), Result.PASS),
    ("secrets", bound("gone", DEVS), Result.UNKNOWN),
    ("kubelet-api", bound("proxies", DEVS), Result.FAIL),
    ("pods-by-anybody", bound("makes", DEVS), Result.PASS),
    ("pods-by-anybody", bound("makes", EVERYBODY), Result.FAIL),
    ("pods-by-anybody", bound("makes", EVERYBODY, namespace="acme-a"), Result.FAIL),
    ("wildcards", bound("cluster-admin", DEVS), Result.FAIL),
    ("wildcards", bound("views", DEVS), Result.UNKNOWN),
]


@pytest.mark.parametrize(("name", "readings", "result"), CASES)
def test_a_check_says_what_was_read(name: str, readings: dict[str, Any], result: Result) -> None:
    if "kinds" in readings:
        readings = {"kinds": frozenset(readings["kinds"])}
    assert found(name, **readings).result is result


def test_what_is_wrong_is_named_a_few_at_a_time() -> None:
    nodes = {f"n{number}": GOOD_KUBELET._replace(anonymous=True) for number in range(5)}
    assert found("kubelet-anonymous", kubelets=nodes).evidence == (
        "authentication.anonymous.enabled of n0, n1, n2 and 2 more"
    )
    assert found("cluster-admin", **bound("cluster-admin", ROBOT)).evidence == (
        "cluster-admin: ServiceAccount acme-a/robot"
    )


def test_a_kubelet_is_read_by_what_it_says_and_leaves_out() -> None:
    config = {
        "kubeletconfig": {
            "authentication": {"anonymous": {"enabled": False}},
            "authorization": {"mode": "Webhook"},
            "rotateCertificates": True,
        }
    }
    assert posture.kubelet(config) == GOOD_KUBELET
    assert posture.kubelet({"kubeletconfig": {}}) == Kubelet(None, None, 0, False)
    assert posture.kubelet({}) == Kubelet(None, None, None, None)
