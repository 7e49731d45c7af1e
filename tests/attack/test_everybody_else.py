"""What must go on working around the guards."""

import base64
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import denials_guards
import factory
from attack_harness import MANAGED, Policy, verdict
from conftest import settled
from harness import MERGE, Answer, Api, Operator, conditions, wait_for, wait_for_account
from securetenant.api import kinds, names
from securetenant.sandbox.instances import Instance

DEPLOYMENTS = "/apis/apps/v1/namespaces/{}/deployments"
NAMESPACES = Policy("securetenant-namespaces")
SIGN = "all-before-it-are-in-force"
"""A policy that refuses the ConfigMap of its own name, and nothing else."""
SIGN_POLICY = {
    "matchConstraints": {
        "resourceRules": [
            {
                "apiGroups": [""],
                "apiVersions": ["v1"],
                "operations": ["CREATE"],
                "resources": ["configmaps"],
                "resourceNames": [SIGN],
            }
        ]
    },
    "validations": [{"expression": "false"}],
}
SIGN_BINDING = {"policyName": SIGN, "validationActions": ["Deny"]}

pytestmark = pytest.mark.usefixtures("tenants")


def test_objects_that_belong_to_something_gone_are_collected(admin: Api) -> None:
    path = "/api/v1/namespaces/north-1/configmaps"
    owner = admin.call("POST", path, {"metadata": {"name": "owner"}}).ok()
    reference = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": "owner",
        "uid": owner["metadata"]["uid"],
    }
    admin.call("POST", path, {"metadata": {"name": "owned", "ownerReferences": [reference]}}).ok()
    admin.call("DELETE", f"{path}/owner").ok()
    wait_for(
        lambda: admin.call("GET", f"{path}/owned").status == 404,
        what="the garbage collector",
        seconds=30,
    )


def test_jobs_finish_and_pods_are_scheduled(north: Api, admin: Api) -> None:
    """The Job controller takes its finalizers off pods; the scheduler binds."""
    spec = {**factory.pod()["spec"], "restartPolicy": "Never"}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "once"},
        "spec": {"template": {"spec": spec}},
    }
    path = "/apis/batch/v1/namespaces/north-1/jobs"
    wait_for(
        lambda: (
            admin.call("GET", "/api/v1/namespaces/north-1/serviceaccounts/default").status == 200
        ),
        what="the ServiceAccount",
    )
    north.call("POST", path, job).ok()
    wait_for(
        lambda: admin.call("GET", f"{path}/once").ok()["status"].get("succeeded") == 1,
        what="the Job to succeed",
        seconds=60,
    )
    pods = admin.call("GET", "/api/v1/namespaces/north-1/pods").ok()["items"]
    done = [each for each in pods if each["metadata"].get("labels", {}).get("job-name") == "once"]
    wait_for(
        lambda: (
            not admin.call("GET", f"/api/v1/namespaces/north-1/pods/{done[0]['metadata']['name']}")
            .ok()["metadata"]
            .get("finalizers")
        ),
        what="the finalizer to go",
        seconds=30,
    )


def test_with_the_operator_stopped_everything_stays_as_it_was(
    admin: Api, breaker: Api, north: Api, operator: Operator
) -> None:
    """What is enforced stays enforced; what is allowed goes on working."""
    assert operator.stop() == 0
    try:
        north.create_pod("north-1", factory.pod(), dryRun="All").ok()
        north.call(
            "POST", DEPLOYMENTS.format("north-1"), factory.deployment("later"), dryRun="All"
        ).ok()
        path = kinds.NETWORK_POLICY.path("north-1", names.DEFAULT_DENY)
        assert verdict(admin.call("DELETE", path, dryRun="All"), MANAGED) == "Blocked"
        labels = {"metadata": {"labels": {names.TENANT_LABEL: "south"}}}
        answer = admin.patch(kinds.NAMESPACE, "north-1", labels, dryRun="All")
        assert verdict(answer, NAMESPACES) == "Blocked"
        admin.create(kinds.NAMESPACE, {"metadata": {"name": "elsewhere"}}, dryRun="All").ok()
        admin.create(
            kinds.SECURE_TENANT,
            factory.tenant("meanwhile", namespaces=[{"name": "meanwhile-1"}]),
        ).ok()
    finally:
        operator.start()
    settled(admin, "meanwhile")


def test_the_quota_controller_counts_down_again(admin: Api) -> None:
    """It writes the status of a managed object, which nobody else may."""
    inside = "/api/v1/namespaces/south-2/configmaps"

    def used() -> int:
        quota = admin.get(kinds.RESOURCE_QUOTA, names.QUOTA, "south-2")
        return int(quota["status"]["used"]["configmaps"])

    before = used()
    admin.call("POST", inside, {"metadata": {"name": "counted"}}).ok()
    wait_for(lambda: used() == before + 1, what="the API server to count")
    admin.call("DELETE", f"{inside}/counted").ok()
    wait_for(lambda: used() == before, what="the quota controller to count", seconds=30)


def test_a_kubelet_gets_its_certificate_signed(admin: Api, sandbox: Instance) -> None:
    """Approved by somebody who may, signed by the certificate controller."""
    request = signing_request("system:node:new", "system:nodes")
    body = {
        "metadata": {"name": "kubelet"},
        "spec": {
            "request": base64.b64encode(request).decode(),
            "signerName": "kubernetes.io/kube-apiserver-client-kubelet",
            "usages": ["client auth", "digital signature"],
        },
    }
    path = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
    admin.call("POST", path, body).ok()
    approved = {"type": "Approved", "status": "True", "reason": "Test", "message": "x"}
    patch = {"status": {"conditions": [approved]}}
    admin.call("PATCH", f"{path}/kubelet/approval", patch, content_type=MERGE).ok()
    wait_for(
        lambda: admin.call("GET", f"{path}/kubelet").ok()["status"].get("certificate"),
        what="the certificate",
    )
    admin.call("DELETE", f"{path}/kubelet").ok()


def signing_request(name: str, group: str) -> bytes:
    """Return what a kubelet sends to be signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, group),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
    built = x509.CertificateSigningRequestBuilder().subject_name(subject)
    return built.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def test_a_node_renews_its_lease_and_reports(node: Api, admin: Api) -> None:
    path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/node-0"
    held = admin.call("GET", path).ok()
    node.call("PUT", path, held, dryRun="All").ok()


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        pytest.param(
            "/api/v1/namespaces",
            {"metadata": {"name": "restored", "labels": {names.TENANT_LABEL: "north"}}},
            NAMESPACES,
            id="a tenant's namespace",
        ),
        pytest.param(
            "/apis/securetenant.io/v1alpha1/namespaces/north-1/tenantpolicies",
            {
                "apiVersion": names.API_VERSION,
                "kind": "TenantPolicy",
                "metadata": {"name": "effective"},
                "spec": "AS IT WAS",
            },
            MANAGED,
            id="a TenantPolicy",
        ),
        pytest.param(
            "/apis/networking.k8s.io/v1/namespaces/north-1/networkpolicies",
            {
                "metadata": {"name": "older", "labels": {names.MANAGED_BY_LABEL: names.MANAGED_BY}},
                "spec": {"podSelector": {}},
            },
            MANAGED,
            id="a wall",
        ),
    ],
)
def test_a_backup_tool_restores_no_wall_and_is_told_so(
    path: str, body: Any, expected: Policy, admin: Api
) -> None:
    """The operator makes them anew; the tool has every right, and did not break the glass."""
    if body.get("spec") == "AS IT WAS":
        policy = admin.get(kinds.TENANT_POLICY, names.POLICY_NAME, "north-1")
        body = {**body, "spec": policy["spec"]}
    answer = admin.call("POST", path, body, dryRun="All")
    assert verdict(answer, expected) == "Blocked"
    assert "See: kubectl " in answer.message


def test_a_backup_tool_restores_what_is_the_tenants(admin: Api) -> None:
    for path, body in (
        ("/api/v1/namespaces/north-1/configmaps", {"metadata": {"name": "restored"}}),
        ("/api/v1/namespaces/north-1/secrets", {"metadata": {"name": "restored"}}),
        (DEPLOYMENTS.format("north-1"), factory.deployment("restored")),
    ):
        admin.call("POST", path, body, dryRun="All").ok()


def test_storage_version_migration_writes_namespaces_and_tenants(victim: str, admin: Api) -> None:
    """H15, for what no parameter is about."""
    for kind, name in ((kinds.NAMESPACE, victim), (kinds.SECURE_TENANT, victim.partition("-")[0])):
        path = kind.path("", name)
        admin.call("PUT", path, admin.call("GET", path).ok(), dryRun="All").ok()


def sign(admin: Api) -> Answer:
    """Try what the policy of that name refuses."""
    path = "/api/v1/namespaces/default/configmaps"
    return admin.call("POST", path, {"metadata": {"name": SIGN}}, dryRun="All")


def test_two_packs_side_by_side_refuse_nothing_that_one_allows(
    admin: Api, north: Api, operator: Operator
) -> None:
    """An upgrade may install the new policies under new names before it removes the old."""
    packs: dict[str, list[Any]] = {}
    for plural in ("validatingadmissionpolicies", "validatingadmissionpolicybindings"):
        path = f"/apis/admissionregistration.k8s.io/v1/{plural}"
        for body in admin.call("GET", path, labelSelector=names.PACK_SELECTOR).ok()["items"]:
            spec = dict(body["spec"])
            if "policyName" in spec:
                spec["policyName"] = f"old-{spec['policyName']}"
            metadata = {
                "name": f"old-{body['metadata']['name']}",
                "labels": body["metadata"]["labels"],
            }
            packs.setdefault(path, []).append({"metadata": metadata, "spec": spec})
    # The API server takes them up in order: once it refuses by the last, all are in force.
    for copies, last in zip(packs.values(), (SIGN_POLICY, SIGN_BINDING), strict=True):
        copies.append({"metadata": {"name": SIGN}, "spec": last})
    try:
        for path, copies in packs.items():
            for body in copies:
                admin.call("POST", path, body).ok()
        wait_for(
            lambda: f"'{SIGN}' with binding" in sign(admin).message,
            what="the API server to take the copies up",
            seconds=30,
        )
        north.create_pod("north-1", factory.pod(), dryRun="All").ok()
        admin.create(kinds.NAMESPACE, {"metadata": {"name": "elsewhere"}}, dryRun="All").ok()
        body = factory.tenant("doubled", namespaces=[{"name": "doubled-1"}])
        admin.create(kinds.SECURE_TENANT, body).ok()
        made = settled(admin, "doubled")
        assert conditions(made)["PoliciesInForce"]["status"] == "True"
        wait_for_account(admin, "doubled-1")
        admin.create_pod("doubled-1", factory.pod(), dryRun="All").ok()
        answer = admin.delete(kinds.NETWORK_POLICY, names.DEFAULT_DENY, "doubled-1")
        assert "securetenant-managed' with binding" in answer.message
    finally:
        for path, copies in packs.items():
            for body in copies:
                admin.call("DELETE", f"{path}/{body['metadata']['name']}")


def test_every_guard_holds_with_the_operator_stopped(
    attacker: str,
    members: dict[str, Api],
    speakers: dict[str, Api],
    operator: Operator,
    strange: None,
    bystander: None,
) -> None:
    """Every rule that needs no other settings, for each of two tenants."""
    other = {"north": "south", "south": "north"}[attacker]
    uid = speakers["admin"].call("GET", "/api/v1/nodes/node-0").ok()["metadata"]["uid"]
    # The rows are written for north: for south both change places.
    words = {"UID": uid, "south": "THERE", "north": attacker, "THERE": other}
    people = {**speakers, "north": members[attacker]}
    assert operator.stop() == 0
    try:
        judged = {
            rule: verdict(row.sent(people, **words), Policy(rule[0]))
            for rule, row in denials_guards.ROWS.items()
            if not row.settings
        }
    finally:
        operator.start()
    assert {rule: found for rule, found in judged.items() if found != "Blocked"} == {}
