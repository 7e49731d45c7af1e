"""The program against a real API server, with the rights of different people."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

import factory
from conftest import control_plane, operating, settled, verify
from harness import APPLY, MERGE, Api, Operator, conditions, wait_for, wait_for_account
from securetenant.api import kinds, names
from securetenant.api.kinds import Kind
from securetenant.cli.main import main
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance

ACCESS = [
    {
        "name": "devs",
        "role": "Developer",
        "subjects": [{"kind": "Group", "name": "asked-devs"}],
    }
]
RBAC = "rbac.authorization.k8s.io"
PEER = {"direction": "Both", "ports": [{"port": 443}]}

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def plane() -> Iterator[Instance]:
    """One of its own: what it says of all tenants is about those of this file."""
    with control_plane(f"test-{os.getpid()}-program", nodes=1) as instance:
        yield instance


@pytest.fixture(scope="module")
def admin(plane: Instance) -> Api:
    return Api(plane.admin_kubeconfig)


@pytest.fixture(scope="module")
def operator(plane: Instance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    with operating(plane, tmp_path_factory.mktemp("operator") / "log") as process:
        yield process


@pytest.fixture(scope="module")
def asked(admin: Api, operator: Operator) -> str:
    """Two tenants that are peers, verified; returns the first one's name."""
    for name, other in (("asked", "answered"), ("answered", "asked")):
        network = {"peers": [{**PEER, "tenant": other, "namespaces": [f"{other}-a"]}]}
        access = ACCESS if name == "asked" else None
        body = factory.tenant(
            name,
            namespaces=[{"name": f"{name}-a"}],
            network=network,
            access=access,
            quota={"pods": 4, "requests.cpu": 4, "limits.cpu": 8, "requests.memory": "8Gi"},
        )
        admin.create(kinds.SECURE_TENANT, body).ok()
    for name in ("asked", "answered"):
        settled(admin, name)
        wait_for_account(admin, f"{name}-a")
    return "asked"


@pytest.fixture
def run(plane: Instance) -> Run:
    """Runs the program as the administrator, or as ``who``."""

    def call(*arguments: str, who: Path | None = None, stdin: str = "", code: int = 0) -> Result:
        login = who or plane.admin_kubeconfig
        done = CliRunner().invoke(
            main, arguments, env={"KUBECONFIG": str(login)}, input=stdin, catch_exceptions=False
        )
        assert done.exit_code == code, done.output
        return done

    return call


@pytest.fixture(scope="module")
def member(plane: Instance, asked: str) -> Path:
    return kubeconfigs.for_user(plane, "dana", ("asked-devs",))


def data(done: Result) -> dict[str, Any]:
    """Return an answer for programs."""
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["apiVersion"] == "cli.securetenant.io/v1alpha1"
    return found


# --- status ---------------------------------------------------------------------------------


def test_status_says_how_tenants_stand(run: Run, asked: str) -> None:
    lines = run("status").stdout.splitlines()
    told = [line.split()[:2] for line in lines[1:]]
    assert [each for each in told if each[0] in ("asked", "answered")] == [
        ["answered", "True"],
        ["asked", "True"],
    ]
    one = run("status", asked).stdout
    assert "NetworkIsolated" in one
    assert "0/4" in one


def test_a_member_sees_the_own_namespace_and_is_told_what_not(run: Run, member: Path) -> None:
    def seen() -> Any:
        return data(run("status", "-n", "asked-a", "-o", "json", who=member))

    assert seen()["tenant"] == "asked"
    # A pod of another test may be counted for a while after it is gone.
    wait_for(lambda: seen()["quota"]["pods"] == {"used": "0", "hard": "4"}, what="the quota")
    done = run("status", code=1, who=member)
    assert "You may not list SecureTenants. For members" in done.output


def test_a_tenant_that_is_not_there_is_one_line_with_those_that_are(run: Run, asked: str) -> None:
    done = run("status", "nobody", code=1)
    assert done.output.count("\n") == 1
    assert "You see: answered, asked" in done.output


# --- reach ----------------------------------------------------------------------------------


def test_reach_names_the_policies_of_both_sides(run: Run, asked: str) -> None:
    found = data(run("reach", "asked-a", "answered-a", "--port", "443", "-o", "json"))
    assert found["answer"] == "Yes"
    (flow,) = found["flows"]
    assert "asked-a/securetenant-peer-answered" in flow["egressBy"]
    assert "answered-a/securetenant-peer-asked" in flow["ingressBy"]
    run("reach", "asked-a", "answered-a", "--port", "444", "--expect", "no")
    run("reach", "asked-a", "answered-a", "--port", "443", "--expect", "no", code=2)


def test_reach_lists_everybody_and_draws_them(run: Run, asked: str) -> None:
    listed = run("reach", "--to", "asked").stdout
    assert "answered-a/*" in listed
    drawn = run("reach", "--from", "asked", "-o", "mermaid").stdout
    assert drawn.startswith("flowchart LR")
    assert "answered-a" in drawn
    assert run("reach", "--from", "asked", "-o", "dot").stdout.startswith("digraph")


def test_reach_answers_a_member_about_what_the_own_policies_say(
    run: Run, asked: str, member: Path
) -> None:
    done = run("reach", f"{asked}-a", "internet", who=member)
    assert done.stdout.startswith(f"No: {asked}-a does not reach internet.")
    assert "Not seen: namespaces: you may not list them" in done.stderr
    done = run("reach", "--from", f"{asked}-a", who=member)
    assert "Without other namespaces, which you may not list: addresses only." in done.stdout
    done = run("reach", f"{asked}-a", "answered-a", who=member, code=1)
    assert "There is no namespace and no tenant answered-a, or you may not see it" in done.stderr


def test_reach_knows_pods_by_name(run: Run, admin: Api, asked: str) -> None:
    admin.create_pod("asked-a", {**factory.pod(), "metadata": {"name": "web"}}).ok()
    try:
        assert run("reach", "asked-a/web", "answered-a", "--port", "443").stdout.startswith("Yes")
        done = run("reach", "asked-a/nope", "answered-a", code=1)
        assert "Its pods are: web" in done.output
    finally:
        admin.delete(kinds.POD, "web", "asked-a")


# --- why ------------------------------------------------------------------------------------

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      hostNetwork: true
      tolerations: [{operator: Exists}]
      containers:
      - name: c
        image: docker.io/library/nginx:1.29
        resources: {limits: {cpu: "99"}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80}], externalIPs: [192.0.2.1]}
"""


def test_every_reason_is_named_at_once_for_a_member_too(run: Run, member: Path) -> None:
    done = run(
        "why", "-f", "-", "-n", "asked-a", "-o", "json", who=member, stdin=DEPLOYMENT, code=2
    )
    found = {each["name"]: each["reasons"] for each in data(done)["objects"]}
    words = " ".join(each["found"] for each in found["Deployment web"])
    for what in ("hostNetwork", "tolerations", "limits.cpu"):
        assert what in words
    words = " ".join(each["found"] for each in found["Service web"])
    assert "type is" in words
    assert "externalIPs is" in words
    for reasons in found.values():
        assert all(each["change"] and each["rule"] for each in reasons)


@pytest.mark.parametrize("who", ["member", "admin"])
def test_what_the_api_server_admits_has_no_reason(
    who: str, run: Run, member: Path, request: pytest.FixtureRequest
) -> None:
    """What a manifest leaves out is filled in, by the policies and in what is judged here."""
    plain = json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "x"},
            "spec": {"containers": [{"name": "c", "image": "docker.io/library/nginx:1"}]},
        }
    )
    login = member if who == "member" else None
    done = run("why", "-f", "-", "-n", "asked-a", who=login, stdin=plain)
    assert done.stdout == "Pod x: the API server admits it.\n"


def test_what_only_the_api_server_knows_is_said_too(run: Run, member: Path) -> None:
    role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: x}\nrules: []"
    found = data(
        run("why", "-f", "-", "-n", "asked-a", "-o", "json", who=member, stdin=role, code=2)
    )
    (reason,) = found["objects"][0]["reasons"]
    assert "cannot create resource" in reason["found"]
    assert "spec.access" in reason["word"]


def test_a_workload_that_does_not_run_says_why(run: Run, admin: Api, asked: str) -> None:
    (body, _) = yaml.safe_load_all(DEPLOYMENT)
    path = "/apis/apps/v1/namespaces/asked-a/deployments"
    admin.call("POST", path, body).ok()

    def failed() -> bool:
        found = admin.call("GET", f"{path}/web").ok()
        return bool(conditions(found).get("ReplicaFailure", {}).get("status") == "True")

    wait_for(failed, what="the ReplicaSet to fail")
    done = run("why", "deployment/web", "-n", "asked-a", code=2)
    assert "hostNetwork" in done.stdout
    assert run("why", "deploy/nope", "-n", "asked-a", code=1).output.startswith(
        "Error: There is no"
    )
    admin.call("DELETE", f"{path}/web").ok()


# --- plan -----------------------------------------------------------------------------------


def spec_of(admin: Api, name: str) -> dict[str, Any]:
    body = admin.get(kinds.SECURE_TENANT, name)
    return {
        "apiVersion": body["apiVersion"],
        "kind": body["kind"],
        "metadata": {"name": name},
        "spec": body["spec"],
    }


def test_plan_says_nothing_of_a_spec_that_is_there(run: Run, admin: Api, asked: str) -> None:
    done = run("plan", "-f", "-", stdin=json.dumps(spec_of(admin, asked)))
    assert done.stdout == "Nothing changes.\n"


def test_plan_finds_what_opens_between_tenants(run: Run, admin: Api, asked: str) -> None:
    files = []
    for name in ("asked", "answered"):
        body = spec_of(admin, name)
        body["spec"]["network"]["peers"][0]["ports"] = [{"port": 443}, {"port": 5432}]
        files.append(json.dumps(body))
    alone = data(run("plan", "-f", "-", "-o", "json", stdin=files[0]))
    assert [each for each in alone["flows"] if each["verb"] == "opens"] == []
    both = run("plan", "-f", "-", "-o", "markdown", stdin="\n---\n".join(files), code=2)
    assert "**Opens between tenants**" in both.stdout
    assert "5432" in both.stdout


def test_plan_says_what_the_api_server_says(run: Run, admin: Api, asked: str) -> None:
    body = spec_of(admin, asked)
    body["spec"]["quota"] = {"cpu": 4}
    done = run("plan", "-f", "-", "-o", "json", stdin=json.dumps(body), code=2)
    assert (
        "cpu and memory by themselves are ambiguous" in data(done)["refused"]["SecureTenant asked"]
    )


def test_plan_with_all_shows_who_would_go(run: Run, admin: Api, asked: str) -> None:
    done = run("plan", "--all", "-f", "-", "-o", "json", stdin=json.dumps(spec_of(admin, asked)))
    gone = [each for each in data(done)["objects"] if each["tenant"] == "answered"]
    assert [each["object"] for each in gone] == ["Namespace answered-a"]


# --- check, verify, report ------------------------------------------------------------------


def test_check_finds_an_installation_whole_and_what_is_missing(
    run: Run, plane: Instance, admin: Api, asked: str
) -> None:
    # Its pods are scheduled some time after there is a node.
    path = f"/apis/apps/v1/namespaces/{names.OPERATOR_NAMESPACE}/deployments/securetenant-operator"
    wait_for(
        lambda: conditions(admin.call("GET", path).ok())["Available"]["status"] == "True",
        what="the Deployment to be available",
        seconds=30,
    )
    found = {each["name"]: each["result"] for each in data(run("check", "-o", "json"))["checks"]}
    for name in ("Version of Kubernetes", "CustomResourceDefinitions", "Admission policies"):
        assert found[name] == "Pass"
    assert found["The operator is at work"] == "Pass"
    path = kinds.VALIDATING_BINDING.path("", "securetenant-services")
    before = admin.call("GET", path).ok()["spec"]["validationActions"]
    admin.call("PATCH", path, {"spec": {"validationActions": ["Warn"]}}, content_type=MERGE).ok()
    try:
        done = run("check", code=2)
        assert "securetenant-services" in done.stdout
        # The API server takes a moment to go by it, and to go back.
        wait_for(lambda: controls(plane, asked) == {"securetenant-services"}, what="it to be open")
    finally:
        back = {"spec": {"validationActions": before}}
        admin.call("PATCH", path, back, content_type=MERGE).ok()
        wait_for(lambda: controls(plane, asked) == set(), what="it to be closed again")


def controls(plane: Instance, tenant: str) -> set[str]:
    """Return whose part it is to refuse what is open."""
    login = {"KUBECONFIG": str(plane.admin_kubeconfig)}
    done = CliRunner().invoke(main, ["verify", tenant, "-o", "json"], env=login)
    return {each["control"] for space in data(done)["namespaces"] for each in space["others"]}


def test_the_posture_of_a_verified_tenant_rests_on_what_was_tried(
    run: Run, admin: Api, asked: str
) -> None:
    verify(admin, 3600)

    def verified() -> bool:
        found = conditions(admin.get(kinds.SECURE_TENANT, asked))
        return bool(found.get("IsolationVerified", {}).get("status") == "True")

    wait_for(verified, what="the verification", seconds=40)
    lines = {each["name"]: each for each in data(run("check", asked, "-o", "json"))["checks"]}
    verify(admin, 0)
    assert lines["No privileged containers"]["result"] == "Pass"
    assert lines["NetworkPolicies are enforced"]["result"] == "Unknown"


def test_verify_tries_everything_now(run: Run, asked: str, member: Path) -> None:
    found = data(run("verify", asked, "-o", "json"))
    assert found["verified"] == "True"
    (space,) = found["namespaces"]
    assert space["tried"] == space["refused"] > 80
    assert "or you may not read it" in run("verify", asked, who=member, code=1).output


def test_the_report_is_a_page_and_a_document(run: Run, asked: str, tmp_path: Path) -> None:
    page = run("report", "-o", "html").stdout
    assert "<!doctype html>" in page
    assert "answered" in page
    earlier = tmp_path / "earlier.json"
    earlier.write_text(run("report", "-o", "json").stdout, encoding="utf-8")
    compared = data(run("report", "--since", str(earlier), "-o", "json"))
    assert compared["changes"] == []
    ends = {(each["from"], each["to"]) for each in compared["flows"]}
    assert {("asked", "answered"), ("answered", "asked")} <= ends


# --- discover, import, adopt, switches ------------------------------------------------------


def assert_accepted(admin: Api, kind: Kind, body: dict[str, Any]) -> None:
    path = kind.path("", body["metadata"]["name"])
    params = {"dryRun": "All", "fieldManager": "test", "force": "true"}
    admin.call("PATCH", path, body, content_type=APPLY, **params).ok()


def test_discovered_settings_are_accepted(run: Run, admin: Api, asked: str) -> None:
    found = yaml.safe_load(run("discover").stdout)
    assert found["spec"]["apiServer"]["addresses"]
    assert_accepted(admin, kinds.TENANCY_SETTINGS, found)


def test_namespaces_become_a_spec_that_is_accepted(run: Run, admin: Api, asked: str) -> None:
    admin.call("POST", "/api/v1/namespaces", {"metadata": {"name": "legacy"}}).ok()
    binding = factory.binding(
        {"kind": "Group", "name": "old", "apiGroup": "rbac.authorization.k8s.io"}, role="edit"
    )
    admin.create(kinds.ROLE_BINDING, binding, "legacy").ok()
    made = run("import", "--tenant", "legacy", "--namespaces", "legacy", code=2).stdout
    body = yaml.safe_load(made)
    assert body["spec"]["access"][0]["role"] == "Developer"
    assert_accepted(admin, kinds.SECURE_TENANT, body)


def test_a_namespace_is_looked_at_before_it_is_taken_back(run: Run, admin: Api, asked: str) -> None:
    spaces = [{"name": "kept-a"}, {"name": "kept-b"}]
    admin.create(kinds.SECURE_TENANT, factory.tenant("kept", namespaces=spaces)).ok()
    settled(admin, "kept")
    admin.patch(kinds.SECURE_TENANT, "kept", {"spec": {"namespaces": spaces[:1]}}).ok()

    def label() -> Any:
        return admin.get(kinds.NAMESPACE, "kept-b")["metadata"]["labels"][names.STATE_LABEL]

    wait_for(lambda: label() == "retained", what="the namespace to be retained")
    admin.patch(kinds.SECURE_TENANT, "kept", {"spec": {"namespaces": spaces}}).ok()
    done = run("adopt", "kept-b", "--tenant", "kept")
    assert "Give the consent by --yes" in done.stdout
    assert label() == "retained"
    run("adopt", "kept-b", "--tenant", "kept", "--yes")
    wait_for(lambda: label() == "active", what="the namespace to be the tenant's")
    already = run("adopt", "kept-b", "--tenant", "kept", code=1).output
    assert "is a namespace of kept already" in already


def test_a_namespace_that_is_there_is_looked_through_before_consent(
    run: Run, admin: Api, asked: str
) -> None:
    """What keeps it from being taken is listed, tokens without end beside it."""
    admin.create(kinds.NAMESPACE, {"metadata": {"name": "lived"}}).ok()
    wait_for_account(admin, "lived")
    jane = {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "jane"}
    admin.create(kinds.ROLE_BINDING, factory.binding(jane, role="edit"), "lived").ok()
    token = {
        "metadata": {
            "name": "forever",
            "annotations": {"kubernetes.io/service-account.name": "default"},
        },
        "type": "kubernetes.io/service-account-token",
    }
    admin.create(kinds.SECRET, token, "lived").ok()
    service = {
        "metadata": {"name": "web"},
        "spec": {"ports": [{"port": 80}], "externalIPs": ["192.0.2.9"]},
    }
    admin.create(kinds.SERVICE, service, "lived").ok()
    account = {"kind": "User", "apiGroup": RBAC, "name": "system:serviceaccount:lived:default"}
    far = {**factory.binding(account, role="view"), "metadata": {"name": "far"}}
    admin.create(kinds.ROLE_BINDING, far, "default").ok()
    hard = {"count/networkpolicies.networking.k8s.io": "1"}
    theirs = {"metadata": {"name": "theirs"}, "spec": {"hard": hard}}
    admin.create(kinds.RESOURCE_QUOTA, theirs, "lived").ok()

    def is_counted() -> bool:
        return "used" in (admin.get(kinds.RESOURCE_QUOTA, "theirs", "lived").get("status") or {})

    wait_for(is_counted, what="the quota to be counted")
    # TenancySettings name no ingress controller.
    ingress = [{"name": "web", "from": [{"ingressController": "nginx"}], "ports": [{"port": 80}]}]
    body = factory.tenant("asker", namespaces=[{"name": "lived"}], network={"ingress": ingress})
    admin.create(kinds.SECURE_TENANT, body).ok()
    told = run("adopt", "lived", "--tenant", "asker", code=2).stdout
    assert "would not make it a namespace of asker (reason AdoptionBlocked)" in told
    assert "RoleBinding mine" in told
    assert "Service web" in told
    assert "externalIPs" in told
    assert "Secrets forever hold tokens that never end" in told
    assert "RoleBinding far in default gives rights to ServiceAccounts of lived" in told
    assert "Give the consent by --yes" in told
    assert "ResourceQuota theirs allows count/networkpolicies" in told
    assert "what an opening of the SecureTenant is for would be cut off" in told
    admin.delete(kinds.RESOURCE_QUOTA, "theirs", "lived").ok()
    none: Any = {"spec": {"network": {"ingress": []}}}
    admin.patch(kinds.SECURE_TENANT, "asker", none, content_type=MERGE).ok()
    # In Audit mode these keep nothing from being taken; what would bring people in still does.
    admin.patch(kinds.SECURE_TENANT, "asker", {"spec": {"enforcement": "Audit"}}).ok()
    found = data(run("adopt", "lived", "--tenant", "asker", "-o", "json", code=2))
    assert not found["blocked"], found
    planted = {"metadata": {"annotations": {names.ASIDE: "[]"}}}
    admin.patch(kinds.ROLE_BINDING, "mine", planted, "lived").ok()
    found = data(run("adopt", "lived", "--tenant", "asker", "-o", "json", code=2))
    assert found["blocked"]
    (obstacle,) = found["obstacles"]
    assert obstacle.startswith("RoleBindings mine hold the names of others")
    assert names.ASIDE in obstacle
    annotations = admin.get(kinds.NAMESPACE, "lived")["metadata"].get("annotations") or {}
    assert names.ADOPT_ANNOTATION not in annotations
    admin.delete(kinds.SECURE_TENANT, "asker").ok()
    wait_for(lambda: admin.get(kinds.SECURE_TENANT, "asker") is None, what="the end")


def test_one_field_is_changed_at_once(run: Run, admin: Api, asked: str) -> None:
    def spec() -> Any:
        return admin.get(kinds.SECURE_TENANT, asked)["spec"]

    assert "NamespacesReady is True" in run("freeze", asked).stdout
    assert spec()["lockdown"] == "Frozen"
    told = run("quarantine", asked, "--wait").stdout
    assert told.endswith(
        "spec.lockdown of SecureTenant asked is now Quarantined. It is in force.\n"
    )
    assert holds(admin, asked, "NamespacesReady", "NetworkIsolated", "AccessScoped")
    assert spec()["lockdown"] == "Quarantined"
    told = run("thaw", asked).stdout
    assert "NamespacesReady, NetworkIsolated and AccessScoped are True" in told
    assert spec()["lockdown"] == "None"
    run("suspend", asked)
    assert spec()["reconciliation"] == "Suspended"
    for lock in ("freeze", "quarantine", "thaw"):
        told = run(lock, asked, code=2).stdout
        assert "is suspended: nothing of it happens until it is resumed" in told
        assert "in force" not in told
    assert data(run("freeze", asked, "--wait", "-o", "json", code=2))["inForce"] is None
    run("thaw", asked, code=2)
    run("resume", asked)
    assert spec()["reconciliation"] == "Active"
    # The quarantine took the members' roles: other tests speak as one of them.
    wait_for(
        lambda: admin.get(kinds.ROLE_BINDING, names.role_binding("Developer"), f"{asked}-a"),
        what="the members to have their roles again",
    )
    wait_for(
        lambda: admin.create_pod(f"{asked}-a", factory.pod(), dryRun="All").status < 300,
        what="pods to be admitted again",
    )


def holds(admin: Api, tenant: str, *types: str) -> bool:
    """Tell whether conditions are True of the spec as it now is."""
    body = admin.get(kinds.SECURE_TENANT, tenant)
    found = conditions(body)
    now = body["metadata"]["generation"]
    return all(
        (found[each]["status"], found[each]["observedGeneration"]) == ("True", now)
        for each in types
    )


# --- with less ------------------------------------------------------------------------------


def test_without_rights_each_command_says_so_in_a_line(
    run: Run, plane: Instance, asked: str
) -> None:
    nobody = kubeconfigs.for_user(plane, "nobody", ())
    for arguments in (
        ("status", asked),
        ("status", "-n", "asked-a"),
        ("why", "pod/x", "-n", "asked-a"),
        ("verify", asked),
        ("freeze", asked),
        ("quarantine", asked),
        ("plan", "-f", "examples/beta.yaml"),
        ("reach", "asked-a", "answered-a"),
    ):
        done = run(*arguments, who=nobody, code=1)
        errors = [each for each in done.stderr.splitlines() if not each.startswith("Not seen")]
        assert len(errors) == 1, done.output
        assert errors[0].startswith("Error: ")
    assert "You may read nothing of what is checked" in run("check", who=nobody, code=1).output


def test_what_may_be_asked_with_less_is_answered_and_says_what_it_lacks(
    run: Run, plane: Instance, admin: Api, asked: str
) -> None:
    role = {"metadata": {"name": "reads-settings"}}
    rules = [{"apiGroups": [names.GROUP], "resources": ["tenancysettings"], "verbs": ["get"]}]
    admin.create(kinds.CLUSTER_ROLE, {**role, "rules": rules}).ok()
    binding = {
        **role,
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "reads-settings"},
        "subjects": [{"apiGroup": RBAC, "kind": "User", "name": "reader"}],
    }
    admin.create(kinds.CLUSTER_ROLE_BINDING, binding).ok()
    reader = kubeconfigs.for_user(plane, "reader", ())
    done = run("check", "--all", who=reader)
    assert "Not seen: securetenants: you may not list them" in done.stderr
    passed = [each for each in done.stdout.splitlines() if " Pass " in each]
    assert [each for each in passed if each.startswith("TenancySettings")]


def test_a_cluster_without_us_and_one_that_is_away_are_named(
    run: Run, plane: Instance, tmp_path: Path
) -> None:
    login = yaml.safe_load(plane.admin_kubeconfig.read_text(encoding="utf-8"))
    login["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    away = tmp_path / "away"
    away.write_text(yaml.safe_dump(login), encoding="utf-8")
    assert "The API server does not answer" in run("status", who=away, code=1).output
    told = run("status", "--context", "nope", code=1).output
    (known,) = (each["name"] for each in login["contexts"])
    assert f"there is no context nope; its contexts are {known}." in told
