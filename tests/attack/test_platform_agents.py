"""Programs of platforms, by the requests that their sources send.

The entries are those that ship (manifests/settings/agents), put together as a platform does it.
Two tenants, one of them in Audit mode: what an agent writes is refused to a program without the
entry and to a member, wherever it opens anything.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import platform_agents
import standing
from attack_harness import Policy, verdict
from harness import ROOT, Answer, Api, Operator, kubectl, wait_for
from platform_agents import AGENTS, COMPONENTS, EXISTING, Request
from securetenant.api import kinds
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance

MODES = {"catered": "Enforce", "rehearsed": "Audit"}
STRANGER = platform_agents.account("platform-strangers", "other")
ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
_REQUESTS = {
    f"{agent.name}: {request.what}": (agent, request)
    for agent in AGENTS
    for request in agent.requests
}
GUARDED = [title for title, (_, request) in _REQUESTS.items() if request.refused]
ADMITTED = [title for title, (_, request) in _REQUESTS.items() if not request.never]
NEVER = [title for title, (_, request) in _REQUESTS.items() if request.never]


def shipped(sandbox: Instance, folder: Path) -> list[Any]:
    """Return what an overlay with every component makes of the settings."""
    overlay = {
        "resources": [os.path.relpath(ROOT / "manifests" / "settings", folder)],
        "components": [
            os.path.relpath(ROOT / "manifests" / "settings" / "agents" / each, folder)
            for each in COMPONENTS
        ],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    return list(yaml.safe_load_all(kubectl(sandbox, "kustomize", str(folder))))


def bind(admin: Api, name: str, rules: list[Any], users: list[str]) -> None:
    """Give rights to users, as each program's own chart does."""
    admin.call("POST", ROLES, {"metadata": {"name": name}, "rules": rules}).ok()
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    subjects = [{"kind": "User", "name": each} for each in users]
    body = {"metadata": {"name": name}, "roleRef": role, "subjects": subjects}
    admin.call("POST", BINDINGS, body).ok()


@pytest.fixture(scope="module")
def two(
    admin: Api, operator: Operator, sandbox: Instance, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Two tenants with something of each kind, the entries, and the programs' own rights."""
    made = shipped(sandbox, tmp_path_factory.mktemp("overlay"))
    before = admin.get(kinds.TENANCY_SETTINGS, "default")["spec"]
    (settings,) = (each for each in made if each["kind"] == "TenancySettings")
    rights = [each for each in made if each["kind"] != "TenancySettings"]
    kubectl(sandbox, "apply", "-f", "-", stdin=yaml.safe_dump_all(rights))
    entries = {key: settings["spec"][key] for key in ("agents", "protectedNames")}
    admin.patch(kinds.TENANCY_SETTINGS, "default", {"spec": entries}).ok()
    users = [each.user for each in AGENTS if "NAME" not in each.user]
    users += [platform_agents.account(f"{name}-1", "deployer") for name in MODES]
    anything = {
        "apiGroups": ["", "apps", "batch", "networking.k8s.io"],
        "resources": ["*"],
        "verbs": ["create", "get", "patch", "update"],
    }
    bind(admin, "platform-agents", [anything], [*users, STRANGER])
    for number, agent in enumerate(each for each in AGENTS if each.owners[0]):
        group, plural = agent.owners
        rule = {"apiGroups": [group], "resources": [f"{plural}/finalizers"], "verbs": ["update"]}
        bind(admin, f"platform-agents-{number}", [rule], [agent.user])
    workloads = {
        "registries": ["registry.example/"],
        "hostnames": [".NAME.example"],
        "ingressClasses": ["nginx"],
        "serviceTypes": ["ClusterIP", "LoadBalancer"],
        "storageClasses": ["fast"],
    }
    quota = {"services.nodeports": 5, "services.loadbalancers": 5}
    with standing.tenants(admin, MODES, role="Admin", workloads=workloads, quota=quota):
        for name in MODES:
            member = standing.member(sandbox, name)
            for path, body in EXISTING.items():
                answer = send(member, name, Request("", path, body), dry=False)
                answer.ok()
        yield
    undone = {"protectedNames": before["protectedNames"], "agents": before.get("agents")}
    admin.patch(kinds.TENANCY_SETTINGS, "default", {"spec": undone}).ok()
    kubectl(sandbox, "delete", "-f", "-", stdin=yaml.safe_dump_all(rights))


@pytest.fixture(params=MODES)
def tenant(request: pytest.FixtureRequest, two: None, admin: Api) -> str:
    """Each of the tenants, once the entries are in force."""
    name = str(request.param)

    def is_in_force() -> bool:
        policy = admin.get(kinds.TENANT_POLICY, "effective", f"{name}-1")
        return len(policy["spec"].get("agents", ())) >= len(COMPONENTS)

    wait_for(is_in_force, what="the entries in TenantPolicy", seconds=60)
    return name


def send(api: Api, tenant: str, request: Request, *, dry: bool = True) -> Answer:
    """Send a request about the tenant's namespace."""
    body = json.loads(json.dumps(request.body).replace("NAME", tenant))
    return api.call(
        request.method,
        request.target(f"{tenant}-1"),
        body,
        content_type=request.content_type,
        **({"dryRun": "All"} if dry else {}),
    )


def as_user(sandbox: Instance, user: str) -> Api:
    """Return a client that is this user, with the groups that the API server gives it."""
    return Api(kubeconfigs.for_user(sandbox, user, platform_agents.groups(user)))


def expect_refused(answer: Answer, request: Request, tenant: str) -> None:
    """See it refused, or warned of where a rule protects the tenant itself."""
    if request.only_warns and MODES[tenant] == "Audit":
        assert answer.status < 300
        assert "securetenant: image is " in answer.warnings
        return
    first, *others = (f"securetenant-{each}" for each in request.refused)
    assert verdict(answer, Policy(first, also=tuple(others))) == "Blocked"


@pytest.mark.parametrize("title", ADMITTED)
def test_an_agent_of_a_platform_does_its_work(title: str, tenant: str, sandbox: Instance) -> None:
    agent, played = _REQUESTS[title]
    answer = send(as_user(sandbox, agent.user), tenant, played)
    answer.ok()
    assert "securetenant:" not in answer.warnings


@pytest.mark.parametrize("title", GUARDED)
def test_a_program_without_an_entry_does_not(title: str, tenant: str, sandbox: Instance) -> None:
    _, played = _REQUESTS[title]
    expect_refused(send(as_user(sandbox, STRANGER), tenant, played), played, tenant)


@pytest.mark.parametrize("title", GUARDED)
def test_a_member_does_not(title: str, tenant: str, sandbox: Instance) -> None:
    _, played = _REQUESTS[title]
    expect_refused(send(standing.member(sandbox, tenant), tenant, played), played, tenant)


@pytest.mark.parametrize("title", NEVER)
def test_what_no_entry_allows_is_refused_to_the_agent_too(
    title: str, tenant: str, sandbox: Instance
) -> None:
    agent, played = _REQUESTS[title]
    user = agent.user.replace("NAME", tenant)
    expect_refused(send(as_user(sandbox, user), tenant, played), played, tenant)


def test_every_component_that_ships_is_played() -> None:
    folder = ROOT / "manifests" / "settings" / "agents"
    assert tuple(sorted(each.name for each in folder.iterdir())) == COMPONENTS
