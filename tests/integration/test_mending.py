"""What the mutating half does to pods and ServiceAccounts, and what it leaves alone."""

from typing import Any

import pytest

import factory
from attack_harness import Control, Policy, verdict
from conftest import Ready, settled
from harness import (
    JSON_PATCH,
    MERGE,
    Api,
    Operator,
    conditions,
    kubectl,
    wait_for,
    wait_for_account,
)
from securetenant.api import kinds
from securetenant.sandbox.instances import Instance

IMAGES = Policy("securetenant-pods-hardening")
TOKENS = Policy("securetenant-pods-hardening")


def plain(*, init: bool = False, **container: Any) -> dict[str, Any]:
    """Return a pod as people write one: nothing but a name and an image."""
    each = {"name": "c", "image": "nginx", **container}
    spec: dict[str, Any] = {"containers": [each]}
    if init:
        spec["initContainers"] = [{**each, "name": "i"}]
    return {"metadata": {"generateName": "p-"}, "spec": spec}


def furnished(admin: Api, ready: Ready, **spec: Any) -> str:
    """Make a tenant with one namespace that is ready for pods; return the namespace."""
    body = factory.tenant(**spec)
    name = f"{body['metadata']['name']}-a"
    ready({**body, "spec": {**body["spec"], "namespaces": [{"name": name}]}})
    wait_for_account(admin, name)
    return name


def test_e3_a_default_limit_is_raised_to_the_request(admin: Api, ready: Ready) -> None:
    """``requests: {cpu: 1}`` was refused, "must be less than or equal to cpu limit of 500m"."""
    namespace = furnished(admin, ready, quota={"limits.cpu": 20, "limits.memory": "20Gi"})
    asked = {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "16Mi"}
    pod = plain(init=True, resources={"requests": asked})
    made = admin.create_pod(namespace, pod, dryRun="All").ok()["spec"]
    for each in (*made["containers"], *made["initContainers"]):
        assert each["resources"] == {
            "requests": asked,
            "limits": {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "1Gi"},
        }
    resources = {"requests": {"cpu": "1"}, "limits": {"cpu": "600m"}}
    answer = admin.create_pod(namespace, plain(resources=resources), dryRun="All")
    assert "must be less than or equal to cpu limit of 600m" in answer.message


_TOKEN = {"projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}


@pytest.mark.parametrize(
    ("spec", "warns"),
    [
        pytest.param({"serviceAccountName": "leader"}, True, id="an account of its own"),
        pytest.param({}, False, id="none"),
        pytest.param({"serviceAccountName": "default"}, False, id="that of everybody"),
        pytest.param(
            {"serviceAccountName": "leader", "automountServiceAccountToken": False},
            False,
            id="no token wanted",
        ),
        pytest.param(
            {"serviceAccountName": "leader", "volumes": [{"name": "t", **_TOKEN}]},
            False,
            id="a token by a volume",
        ),
    ],
)
def test_e12_a_workload_that_gets_no_token_says_so(
    spec: dict[str, Any], warns: bool, admin: Api, ready: Ready
) -> None:
    """It started without one, and nothing said why it failed later."""
    namespace = furnished(admin, ready)
    body = factory.deployment("x")
    pod = {**body["spec"]["template"]["spec"], **spec}
    template = {**body["spec"]["template"], "spec": pod}
    made = {"metadata": {"name": "x"}, "spec": {**body["spec"], "template": template}}
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    answer = admin.call("POST", path, made, dryRun="All")
    assert answer.status == 201, answer
    assert ("no token of ServiceAccount leader is mounted" in answer.warnings) == warns


def test_e3_a_request_above_the_maximum_is_refused(admin: Api, ready: Ready) -> None:
    limits = {"max": {"cpu": 2}}
    namespace = furnished(admin, ready, quota={"limits.cpu": 20}, containerLimits=limits)
    answer = admin.create_pod(namespace, plain(resources={"requests": {"cpu": "3"}}), dryRun="All")
    assert verdict(answer, Control.LIMITS) == "Blocked"


def test_e3_a_tenant_may_run_without_cpu_limits(admin: Api, ready: Ready) -> None:
    """Memory keeps its limit, and what is requested is counted, above zero."""
    namespace = furnished(admin, ready, containerLimits={"cpuLimit": "None"})
    name = namespace.removesuffix("-a")
    found = conditions(admin.get(kinds.SECURE_TENANT, name))["QuotaEnforced"]
    assert (found["status"], found["reason"]) == ("True", "NoCpuLimits")
    hard = admin.get(kinds.RESOURCE_QUOTA, "securetenant", namespace)["spec"]["hard"]
    assert "limits.cpu" not in hard
    assert "requests.cpu" in hard
    for limits in ({}, {"cpu": "0"}):
        pod = plain(init=True, resources={"requests": {"cpu": "100m"}, "limits": limits})
        made = admin.create_pod(namespace, pod, dryRun="All").ok()["spec"]
        for each in (*made["containers"], *made["initContainers"]):
            assert set(each["resources"]["limits"]) == {"memory", "ephemeral-storage"}
            assert each["resources"]["requests"]["cpu"] == "100m"
    pod = plain(resources={"limits": {"cpu": "4"}})
    made = admin.create_pod(namespace, pod, dryRun="All").ok()["spec"]["containers"][0]
    assert made["resources"]["limits"]["cpu"] == "4"
    asked = admin.create_pod(namespace, plain(), dryRun="All").ok()["spec"]["containers"][0]
    assert asked["resources"]["requests"]["cpu"] == "50m"


def test_e4_a_huge_page_is_given_by_the_key_that_the_refusal_names(
    admin: Api, ready: Ready
) -> None:
    pages = {"hugepages-2Mi": "4Mi", "cpu": "10m", "memory": "16Mi"}
    pod = plain(resources={"requests": pages, "limits": pages})
    answer = admin.create_pod(furnished(admin, ready), pod, dryRun="All")
    assert "its quota counts (requests.hugepages-2Mi)" in answer.message
    namespace = furnished(admin, ready, quota={"requests.hugepages-2Mi": "4Mi"})
    admin.create_pod(namespace, pod, dryRun="All").ok()


def test_a_plain_pod_is_made_safe(admin: Api, ready: Ready) -> None:
    namespace = furnished(admin, ready)
    made = admin.create_pod(namespace, plain(init=True), dryRun="All").ok()["spec"]
    assert made["securityContext"] == {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    for each in (*made["containers"], *made["initContainers"]):
        assert each["imagePullPolicy"] == "Always"
        assert each["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }
    assert not [each for each in made.get("volumes", ()) if "projected" in each]
    assert not made.get("automountServiceAccountToken")


def test_what_a_pod_says_is_left_alone(admin: Api, ready: Ready) -> None:
    namespace = furnished(admin, ready)
    context = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
        "runAsUser": 7,
        "runAsGroup": 8,
        "readOnlyRootFilesystem": True,
    }
    made = admin.create_pod(namespace, plain(securityContext=context), dryRun="All").ok()
    assert made["spec"]["containers"][0]["securityContext"] == context


@pytest.mark.parametrize(
    ("context", "control"),
    [
        ({"privileged": True}, Control.PSA_BASELINE),
        ({"capabilities": {"add": ["SYS_ADMIN"]}}, Control.PSA_BASELINE),
        ({"allowPrivilegeEscalation": True}, Control.PSA_RESTRICTED),
        ({"runAsNonRoot": False}, Control.PSA_RESTRICTED),
        ({"runAsUser": 0}, Control.PSA_RESTRICTED),
        ({"seccompProfile": {"type": "Unconfined"}}, Control.PSA_BASELINE),
        ({"runAsGroup": 0}, Policy("securetenant-pods-hardening")),
    ],
    ids=str,
)
def test_what_a_pod_says_against_the_rules_is_refused_and_not_mended(
    context: Any, control: Any, admin: Api, ready: Ready
) -> None:
    namespace = furnished(admin, ready)
    answer = admin.create_pod(namespace, plain(init=True, securityContext=context), dryRun="All")
    assert verdict(answer, control) == "Blocked"


@pytest.mark.parametrize(
    ("context", "control"),
    [
        ({"runAsNonRoot": False}, Control.PSA_RESTRICTED),
        ({"seccompProfile": {"type": "Unconfined"}}, Control.PSA_BASELINE),
        (
            {"seccompProfile": {"type": "Localhost", "localhostProfile": "p"}},
            Policy("securetenant-pods-hardening"),
        ),
    ],
    ids=str,
)
def test_what_is_said_for_the_whole_pod_against_the_rules_is_refused_and_not_mended(
    context: Any, control: Any, admin: Api, ready: Ready
) -> None:
    namespace = furnished(admin, ready)
    body = plain()
    body["spec"]["securityContext"] = context
    assert verdict(admin.create_pod(namespace, body, dryRun="All"), control) == "Blocked"


def test_the_uid_that_a_pod_names_is_not_replaced(admin: Api, ready: Ready) -> None:
    """The program's files belong to it."""
    namespace = furnished(admin, ready, workloads={"runAsUser": 1234})
    for context in ({"runAsUser": 7}, {"runAsUser": 7, "runAsGroup": 8, "fsGroup": 9}):
        body = plain()
        body["spec"]["securityContext"] = context
        made = admin.create_pod(namespace, body, dryRun="All").ok()["spec"]["securityContext"]
        assert context.items() <= made.items()


def test_capabilities_that_a_pod_drops_are_kept(admin: Api, ready: Ready) -> None:
    namespace = furnished(admin, ready)
    for dropped, expected in (
        ({"drop": ["NET_RAW"]}, {"drop": ["NET_RAW", "ALL"]}),
        ({"add": ["NET_BIND_SERVICE"]}, {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]}),
        ({}, {"drop": ["ALL"]}),
    ):
        body = plain(securityContext={"capabilities": dropped})
        made = admin.create_pod(namespace, body, dryRun="All").ok()["spec"]["containers"][0]
        assert made["securityContext"]["capabilities"] == expected


def test_what_the_tenant_asks_for_is_set_where_pods_say_nothing(admin: Api, ready: Ready) -> None:
    namespace = furnished(
        admin,
        ready,
        workloads={"rootFilesystem": "ReadOnly", "userNamespaces": "Required", "runAsUser": 1234},
    )
    made = admin.create_pod(namespace, plain(init=True), dryRun="All").ok()["spec"]
    assert made["hostUsers"] is False
    assert made["securityContext"]["runAsUser"] == 1234
    assert made["securityContext"]["runAsGroup"] == 1234
    for each in (*made["containers"], *made["initContainers"]):
        assert each["securityContext"]["readOnlyRootFilesystem"] is True
    for change, message in (
        ({"hostUsers": True}, "hostUsers is not false"),
        (
            {
                "containers": [
                    {
                        "name": "c",
                        "image": "x",
                        "securityContext": {"readOnlyRootFilesystem": False},
                    }
                ]
            },
            "readOnlyRootFilesystem of container c is not true",
        ),
    ):
        body = plain()
        body["spec"].update(change)
        answer = admin.create_pod(namespace, body, dryRun="All")
        assert verdict(answer, Policy("securetenant-pods-hardening")) == "Blocked"
        assert message in answer.message


def test_a_tenant_by_exception_is_not_made_restricted(admin: Api, ready: Ready) -> None:
    """Baseline is for programs that need root; they would not start with our defaults."""
    namespace = furnished(
        admin, ready, podSecurity={"level": "baseline", "exceptionReason": "an old program"}
    )
    made = admin.create_pod(namespace, plain(), dryRun="All").ok()["spec"]
    assert made["securityContext"] == {"seccompProfile": {"type": "RuntimeDefault"}}
    assert "capabilities" not in made["containers"][0].get("securityContext", {})


def test_a_pod_for_windows_is_given_nothing_that_it_does_not_have(admin: Api, ready: Ready) -> None:
    namespace = furnished(admin, ready)
    body = plain()
    body["spec"]["os"] = {"name": "windows"}
    made = admin.create_pod(namespace, body, dryRun="All").ok()["spec"]
    assert made["securityContext"] == {"runAsNonRoot": True}


def test_accounts_mount_no_token_and_pods_that_ask_get_one(admin: Api, ready: Ready) -> None:
    namespace = furnished(admin, ready)
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    assert admin.call("GET", f"{path}/default").ok()["automountServiceAccountToken"] is False
    made = admin.call("POST", path, {"metadata": {"name": "app"}}).ok()
    assert made["automountServiceAccountToken"] is False
    token = {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}}
    body = plain()
    body["spec"]["volumes"] = [{"name": "token", "projected": {"sources": [token]}}]
    admin.create_pod(namespace, body, dryRun="All").ok()


def test_where_tokens_are_mounted_pods_have_them(admin: Api, ready: Ready) -> None:
    tokens = {"automount": "Allow", "maxSeconds": 600}
    namespace = furnished(admin, ready, workloads={"serviceAccountTokens": tokens})
    made = admin.create_pod(namespace, plain(), dryRun="All").ok()["spec"]
    assert [each["name"] for each in made["volumes"] if each["name"].startswith("kube-api-access")]


def test_an_account_older_than_the_rule_is_told_what_to_set(
    admin: Api, breaker: Api, ready: Ready
) -> None:
    """Its pods would get a token by themselves: refused, with the field to set."""
    loose = {"serviceAccountTokens": {"automount": "Allow"}}
    body = factory.tenant(workloads=loose)
    name = body["metadata"]["name"]
    ready(body)
    path = f"/api/v1/namespaces/{name}-a/serviceaccounts"
    admin.call("POST", path, {"metadata": {"name": "old"}}).ok()
    strict = {"serviceAccountTokens": {"automount": "Deny"}}
    ready({**body, "spec": {**body["spec"], "workloads": strict}})
    pod = plain()
    pod["spec"]["serviceAccountName"] = "old"
    answer = admin.create_pod(f"{name}-a", pod, dryRun="All")
    assert verdict(answer, TOKENS) == "Blocked"
    assert "set automountServiceAccountToken: false in the pod or its ServiceAccount" in (
        answer.message
    )


def test_audit_warns_about_what_a_tenant_does_to_itself_and_refuses_the_rest(
    admin: Api, operator: Operator
) -> None:
    """H09: in Audit mode a tenant is no danger to others."""
    body = factory.tenant(enforcement="Audit", workloads={"registries": ["registry.example/"]})
    name = body["metadata"]["name"]
    admin.create(kinds.SECURE_TENANT, body).ok()
    namespace = f"{name}-a"
    wait_for_account(admin, namespace)
    pod = factory.pod()
    wait_for(
        lambda: admin.create_pod(namespace, pod, dryRun="All").status == 201, what="the namespace"
    )
    found = conditions(settled(admin, name))
    assert (found["Ready"]["status"], found["Ready"]["reason"]) == ("True", "AuditOnly")
    assert found["PoliciesInForce"]["reason"] == "AuditOnly"
    # An image on the node may be another tenant's, so this one is set in Audit mode too.
    pod["spec"]["containers"][0]["imagePullPolicy"] = "Never"
    made = admin.create_pod(namespace, pod, dryRun="All").ok()
    assert made["spec"]["containers"][0]["imagePullPolicy"] == "Always"
    pod["spec"]["containers"][0]["image"] = "evil.test/a"
    answer = admin.create_pod(namespace, pod, dryRun="All")
    assert answer.status == 201
    assert "securetenant: image is evil.test/a" in answer.warnings
    for field, value, control in (
        ("tolerations", [{"operator": "Exists"}], Policy("securetenant-pods")),
        ("volumes", [{"name": "v", "csi": {"driver": "x.y"}}], Policy("securetenant-pods")),
        ("hostNetwork", True, Control.PSA_BASELINE),
    ):
        mutant = factory.pod()
        mutant["spec"][field] = value
        assert verdict(admin.create_pod(namespace, mutant, dryRun="All"), control) == "Blocked"
    zero = factory.pod(limits={"cpu": "0", "memory": "0"})
    answer = admin.create_pod(namespace, zero, dryRun="All")
    assert verdict(answer, Control.LIMITS) == "Blocked"
    service = {"metadata": {"name": "s"}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}}
    answer = admin.call("POST", f"/api/v1/namespaces/{namespace}/services", service, dryRun="All")
    assert verdict(answer, Policy("securetenant-services")) == "Blocked"


def test_h14_a_pod_older_than_a_rule_still_ends(admin: Api, breaker: Api, ready: Ready) -> None:
    """Labels, finalizers and deletion of what is there are not judged by today's rules."""
    body = factory.tenant(workloads={"registries": ["old.example/"]})
    name = body["metadata"]["name"]
    ready(body)
    namespace = f"{name}-a"
    wait_for_account(admin, namespace)
    pod = plain(image="old.example/a")
    pod["metadata"] = {"name": "old", "finalizers": ["example.com/hold"]}
    path = f"/api/v1/namespaces/{namespace}/pods"
    admin.call("POST", path, pod).ok()
    ready({**body, "spec": {**body["spec"], "workloads": {"registries": ["new.example/"]}}})
    answer = admin.create_pod(namespace, plain(image="old.example/a"), dryRun="All")
    assert verdict(answer, IMAGES) == "Blocked"
    label = {"metadata": {"labels": {"a": "b"}}}
    admin.call("PATCH", f"{path}/old", label, content_type=MERGE).ok()
    deadline = {"spec": {"activeDeadlineSeconds": 600}}
    admin.call("PATCH", f"{path}/old", deadline, content_type=MERGE).ok()
    admin.call("DELETE", f"{path}/old").ok()
    release = [{"op": "remove", "path": "/metadata/finalizers"}]
    admin.call("PATCH", f"{path}/old", release, content_type=JSON_PATCH).ok()
    wait_for(
        lambda: admin.call("GET", f"{path}/old").status == 404, what="the pod to end", seconds=60
    )


@pytest.mark.parametrize("size", ["a megabyte", "500 containers", "every script"])
def test_a_monstrous_pod_is_answered_clearly(size: str, admin: Api, ready: Ready) -> None:
    """A clear refusal or an admission; never an error of the server's own."""
    quota = {"pods": 10, "limits.cpu": "10k", "limits.memory": "1Pi", "requests.cpu": "10k"}
    quota |= {"requests.memory": "1Pi", "limits.ephemeral-storage": "1Pi"}
    quota |= {"requests.ephemeral-storage": "1Pi"}
    namespace = furnished(admin, ready, quota=quota)
    body = plain()
    container = body["spec"]["containers"][0]
    match size:
        case "a megabyte":
            container["env"] = [{"name": f"E{index}", "value": "x" * 1000} for index in range(1000)]
        case "500 containers":
            body["spec"]["containers"] = [{**container, "name": f"c{i}"} for i in range(500)]
        case _:
            container["args"] = ["Ünïcödé 漢字 🐙 \u202e\u0000 'quotes' \"and\" ${braces} {{more}}"]
            body["metadata"]["annotations"] = {"note": "漢字 🐙 " * 100}
    made = admin.create_pod(namespace, body, dryRun="All")
    assert made.status in (201, 403, 413, 422), made.body
    if made.status == 201:
        for each in made.body["spec"]["containers"]:
            assert each["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    container["image"] = "漢字 ' ${x}"
    answer = admin.create_pod(namespace, body, dryRun="All")
    assert answer.status < 500, answer.body


def test_kubectl_debug_works_with_its_restricted_profile(
    admin: Api, ready: Ready, sandbox: Instance
) -> None:
    namespace = furnished(admin, ready)
    pod = plain()
    pod["metadata"] = {"name": "app"}
    path = f"/api/v1/namespaces/{namespace}/pods/app"
    admin.create_pod(namespace, pod).ok()
    debug = ("debug", "app", "-n", namespace, "--profile=restricted", "--image=busybox:1", "-c")
    for name in ("one", "two"):
        kubectl(sandbox, *debug, name, "--attach=false")
    found = admin.call("GET", path).ok()["spec"]["ephemeralContainers"]
    assert [each["imagePullPolicy"] for each in found] == ["Always", "Always"]
