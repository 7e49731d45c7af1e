"""ServiceAccounts of the platform work in tenants' namespaces by spec.access only."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import factory
from attack_harness import Control, Policy, may, verdict
from conftest import settled
from harness import OPERATOR, Api, Operator, conditions, wait_for
from securetenant.api import kinds, names
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance
from stolen_operator import BINDINGS, FENCE

HOME, PLATFORM, ELSEWHERE = "deployed-1", "deploying", "not-deploying"
USER = f"system:serviceaccount:{PLATFORM}:kustomize-controller"
SUBJECT = {"kind": "ServiceAccount", "name": "kustomize-controller", "namespace": PLATFORM}

Listed = Callable[[list[str] | None], None]


@pytest.fixture(scope="module")
def deployed(admin: Api, operator: Operator) -> Iterator[None]:
    """A tenant that names an account of the platform, and its admins.

    Lists that are taken away again harm it, which halts the roll-out of settings while it is there.
    """
    for name in (PLATFORM, ELSEWHERE):
        admin.create(kinds.NAMESPACE, {"metadata": {"name": name}}).ok()
    access = [
        {"name": "gitops", "role": "Developer", "subjects": [SUBJECT]},
        {
            "name": "admins",
            "role": "Admin",
            "subjects": [{"kind": "Group", "name": "deployed-admins"}],
        },
    ]
    body = factory.tenant("deployed", namespaces=[{"name": HOME}], access=access)
    admin.create(kinds.SECURE_TENANT, body).ok()
    # A name that is listed before the tenant has it is never the tenant's.
    wait_for(lambda: admin.get(kinds.NAMESPACE, HOME), what=HOME)
    yield
    for each in admin.list(kinds.SECURE_TENANT):
        if each["metadata"]["name"] in ("deployed", "deploys", "deploy-host"):
            admin.delete(kinds.SECURE_TENANT, each["metadata"]["name"]).ok()
    wait_for(lambda: in_force(admin), what="the settings to be in force for everybody")


def in_force(admin: Api) -> bool:
    settings = admin.get(kinds.TENANCY_SETTINGS, names.SETTINGS_NAME)
    return bool(conditions(settings)["Ready"]["status"] == "True")


@pytest.fixture
def listed(admin: Api, deployed: None) -> Iterator[Listed]:
    """Write the list into TenancySettings; it is absent afterwards."""

    def write(found: list[str] | None) -> None:
        change = {"spec": {"subjectNamespaces": found}}
        admin.patch(kinds.TENANCY_SETTINGS, names.SETTINGS_NAME, change).ok()

    yield write
    write(None)


def holds(admin: Api) -> bool:
    return may(
        admin, user=USER, groups=(), verb="create", resource="apps:deployments", namespace=HOME
    )


def scoped(admin: Api) -> Any:
    return conditions(admin.get(kinds.SECURE_TENANT, "deployed")).get("AccessScoped", {})


def test_an_account_of_the_platform_works_where_the_settings_list_its_namespace(
    admin: Api, listed: Listed
) -> None:
    """E8: Flux and Argo CD could not be subjects, even with the platform's word."""
    wait_for(
        lambda: scoped(admin).get("reason") == "UnknownNamespace", what="the account to be refused"
    )
    assert f"{PLATFORM} (access gitops)" in scoped(admin)["message"]
    assert "TenancySettings, subjectNamespaces" in scoped(admin)["message"]
    assert not holds(admin)
    listed([PLATFORM])
    settled(admin, "deployed")
    assert holds(admin)
    policy = admin.get(kinds.TENANT_POLICY, names.POLICY_NAME, HOME)["spec"]
    assert policy["access"]["serviceAccountNamespaces"] == [HOME]
    listed([ELSEWHERE])
    wait_for(lambda: not holds(admin), what="the grant to end")
    wait_for(lambda: scoped(admin)["status"] == "False", what="the condition to say so")


def test_a_tenants_admin_does_not_bind_accounts_of_the_platform(
    admin: Api, listed: Listed, sandbox: Instance
) -> None:
    """What it leaves behind would be used by somebody who serves every tenant."""
    member = Api(kubeconfigs.for_user(sandbox, "deployed-admin", ("deployed-admins",)))
    listed([PLATFORM])
    settled(admin, "deployed")
    body = factory.binding(SUBJECT, role="securetenant:viewer")
    answer = member.create(kinds.ROLE_BINDING, body, HOME, dryRun="All")
    assert verdict(answer, Policy("securetenant-access")) == "Blocked"


def test_a_stolen_operator_token_binds_accounts_of_listed_namespaces_only(
    admin: Api, listed: Listed, sandbox: Instance
) -> None:
    """H10: its own account, those of other tenants and of the rest of the cluster stay refused."""
    thief = Api(kubeconfigs.for_service_account(sandbox, *OPERATOR))
    listed([PLATFORM])
    settled(admin, "deployed")
    labels = {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.TENANT_LABEL: "deployed"}

    def bound(namespace: str, name: str = "securetenant-x") -> Any:
        body = factory.binding({**SUBJECT, "namespace": namespace}, role="securetenant:viewer")
        body["metadata"] = {"name": name, "labels": labels}
        return thief.call("POST", BINDINGS.format(HOME), body, dryRun="All")

    wait_for(lambda: bound(PLATFORM).status < 300, what="the fence to know the settings")
    for namespace in (ELSEWHERE, "kube-system", names.OPERATOR_NAMESPACE, "default"):
        assert verdict(bound(namespace), FENCE) == "Blocked"
    assert verdict(bound(PLATFORM, names.CANARY), FENCE) == "Blocked"


def test_no_tenant_gets_a_listed_name(admin: Api, listed: Listed) -> None:
    """Its accounts would have access to every tenant that names them."""
    listed([PLATFORM, "deploying-too"])
    body = factory.tenant("deploys", namespaces=[{"name": "deploying-too"}])
    admin.create(kinds.SECURE_TENANT, body).ok()

    def told() -> Any:
        return conditions(admin.get(kinds.SECURE_TENANT, "deploys")).get("Ready", {})

    wait_for(lambda: told().get("reason") == "ProtectedName", what="the name to be refused")
    assert "subjectNamespaces" in told()["message"]
    assert admin.get(kinds.NAMESPACE, "deploying-too") is None
    admin.delete(kinds.SECURE_TENANT, "deploys").ok()


def test_a_listed_namespace_that_belongs_to_a_tenant_lets_nobody_into_another(
    admin: Api, listed: Listed
) -> None:
    """Its members make ServiceAccounts of any name."""
    listed([PLATFORM, HOME])
    settled(admin, "deployed")
    grant = {"name": "guests", "role": "Viewer", "subjects": [{**SUBJECT, "namespace": HOME}]}
    body = factory.tenant("deploy-host", namespaces=[{"name": "deploy-host-1"}], access=[grant])
    admin.create(kinds.SECURE_TENANT, body).ok()

    def told() -> Any:
        return conditions(admin.get(kinds.SECURE_TENANT, "deploy-host")).get("AccessScoped", {})

    wait_for(lambda: told().get("reason") == "UnknownNamespace", what="the guest to be refused")
    assert f"{HOME} (access guests)" in told()["message"]
    assert not may(
        admin,
        user=f"system:serviceaccount:{HOME}:kustomize-controller",
        groups=(),
        verb="get",
        resource="pods",
        namespace="deploy-host-1",
    )


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (["flux-*"], "is the name of one namespace"),
        (["Flux"], "is the name of one namespace"),
        (["kube-system"], "which some policies do not judge"),
        ([names.OPERATOR_NAMESPACE], "which some policies do not judge"),
        ([f"ns-{each}" for each in range(65)], "Too many"),
        (["x" * 64], "Too long"),
    ],
    ids=["a pattern", "capitals", "kube-system", "the operator's", "too many", "too long"],
)
def test_what_is_no_list_of_the_platforms_namespaces_is_refused(
    found: list[str], told: str, admin: Api
) -> None:
    change = {"spec": {"subjectNamespaces": found}}
    answer = admin.patch(kinds.TENANCY_SETTINGS, names.SETTINGS_NAME, change, dryRun="All")
    assert told in answer.message
    assert verdict(answer, Control.CRD) == "Blocked"
