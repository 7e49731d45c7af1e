"""A hostile kubelet is shown the node reader's token: what it can do with it, and who gets one."""

from typing import Any

import pytest

from attack_harness import Control, Policy, verdict
from harness import Api
from securetenant.sandbox.instances import Instance

ACCOUNTS = "/api/v1/namespaces/{}/serviceaccounts/{}/token"
MINUTES: dict[str, Any] = {"spec": {"expirationSeconds": 600}}

pytestmark = pytest.mark.usefixtures("tenants")


@pytest.fixture(scope="module")
def token(as_operator: Api) -> str:
    """The very token that kubelets are shown, taken as the operator takes it."""
    path = ACCOUNTS.format("securetenant-system", "securetenant-node-reader")
    answer = as_operator.call("POST", path, MINUTES).ok()
    assert answer["spec"]["expirationSeconds"] == 600
    return str(answer["status"]["token"])


@pytest.fixture(scope="module")
def hostile(sandbox: Instance, token: str) -> Api:
    """A kubelet that replays it against the API server."""
    return Api(sandbox.admin_kubeconfig, token=token)


def test_the_token_may_read_the_configuration_of_kubelets_and_nothing_else(hostile: Api) -> None:
    """By the API server's own list of rules, in namespaces of all sorts."""
    for namespace in ("north-1", "kube-system", "securetenant-system", "default"):
        path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
        answer = hostile.call("POST", path, {"spec": {"namespace": namespace}}).ok()["status"]
        beyond = [
            rule
            for rule in answer["resourceRules"]
            if not set(rule["resources"])
            <= {
                "selfsubjectaccessreviews",
                "selfsubjectreviews",
                "selfsubjectrulesreviews",
                # Certificates by which a cluster is recognised, for everybody to read.
                "clustertrustbundles",
            }
        ]
        assert beyond == [{"apiGroups": [""], "resources": ["nodes/configz"], "verbs": ["get"]}]
        assert all(set(rule["verbs"]) <= {"get"} for rule in answer["nonResourceRules"])


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/nodes",
        "/api/v1/nodes/node-0",
        "/api/v1/nodes/node-0/status",
        "/api/v1/nodes/node-0/proxy/configz",
        "/api/v1/nodes/node-0/proxy/pods",
        "/api/v1/secrets",
        "/api/v1/namespaces/securetenant-system/secrets/x",
        "/api/v1/pods",
        "/api/v1/namespaces/north-1/pods/x",
        "/api/v1/namespaces/north-1/pods/x/exec",
        "/api/v1/namespaces/north-1/configmaps",
        "/api/v1/namespaces",
        ACCOUNTS.format("securetenant-system", "securetenant-node-reader"),
        ACCOUNTS.format("securetenant-system", "securetenant-operator"),
        "/apis/apps/v1/namespaces/north-1/deployments",
        "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
        "/apis/certificates.k8s.io/v1/certificatesigningrequests",
        "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/node-0",
        "/apis/securetenant.io/v1alpha1/securetenants/north",
        "/apis/securetenant.io/v1alpha1/tenancysettings/default",
        "/metrics",
        "/logs",
        "/debug/pprof/profile",
    ],
)
def test_a_replayed_token_opens_nothing(method: str, path: str, hostile: Api) -> None:
    body = None if method in ("GET", "DELETE") else {"metadata": {"name": "x"}}
    type = "application/merge-patch+json" if method == "PATCH" else "application/json"
    answer = hostile.call(method, path, body, content_type=type)
    assert answer.status == 403, answer
    assert 'User "system:serviceaccount:securetenant-system:securetenant-node-reader" cannot' in (
        answer.message
    )


@pytest.mark.parametrize(
    "account",
    [
        ("securetenant-system", "securetenant-operator"),
        ("kube-system", "default"),
        ("north-1", "default"),
        ("north-1", "securetenant-node-reader"),
        ("north-1", "securetenant-verifier"),
    ],
)
def test_a_stolen_operator_token_buys_no_other(account: tuple[str, str], as_operator: Api) -> None:
    """A role of its own namespace names the two accounts."""
    answer = as_operator.call("POST", ACCOUNTS.format(*account), MINUTES)
    assert verdict(answer, Control.RBAC) == "Blocked"


def test_a_token_of_the_verifier_is_for_minutes(as_operator: Api) -> None:
    """It may be the canary, which creates in dry-run alone (test_canary.py), and ask for rights."""
    path = ACCOUNTS.format("securetenant-system", "securetenant-verifier")
    assert as_operator.call("POST", path, MINUTES).status == 201
    longer = {"spec": {"expirationSeconds": 86400}}
    answer = as_operator.call("POST", path, longer)
    assert verdict(answer, Policy("securetenant-operator-fence")) == "Blocked"
