"""FlowSchemas on a real API server: who queues where, kept, repaired, let go of.

On a control plane of its own: other tests make more tenants than there are flows.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from attack_harness import Policy, verdict
from conftest import control_plane, operating, settled
from factory import tenant
from harness import (
    Api,
    Operator,
    conditions,
    kubectl,
    settle,
    wait_for,
    wait_for_account,
    writes_by_operator,
)
from securetenant.api import kinds, names
from securetenant.desired import fairness
from securetenant.plan import ownership
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance
from stolen_operator import flow

KIND = kinds.FLOW_SCHEMA
MANAGED = Policy("securetenant-managed")
ACCOUNTS = "/api/v1/namespaces/{}/serviceaccounts"


@pytest.fixture(scope="module")
def plane() -> Iterator[Instance]:
    """A control plane with few tenants."""
    with control_plane(f"test-{os.getpid()}-fair", audit=True) as instance:
        yield instance


@pytest.fixture(scope="module")
def admin(plane: Instance) -> Api:
    """Its administrator."""
    return Api(plane.admin_kubeconfig)


@pytest.fixture(scope="module")
def breaker(plane: Instance) -> Api:
    """An administrator who breaks the glass, with no right but those of that group."""
    return Api(kubeconfigs.for_user(plane, "breaker", ("securetenant:break-glass",)))


@pytest.fixture(scope="module")
def operator(plane: Instance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """The operator of that control plane."""
    with operating(plane, tmp_path_factory.mktemp("operator") / "log") as process:
        yield process


@pytest.fixture(scope="module")
def north(admin: Api, operator: Operator) -> Any:
    """A tenant whose FlowSchema is attacked; each attack leaves it as it was."""
    body = tenant("north", namespaces=[{"name": "north-1"}], access=granted("north-devs"))
    made(admin, body)
    return wait_for(lambda: found(admin, "north-1"), what="its FlowSchema")


def granted(*groups: str) -> list[dict[str, Any]]:
    subjects = [{"kind": "Group", "name": each} for each in groups]
    return [{"name": "devs", "role": "Developer", "subjects": subjects}]


def made(admin: Api, body: dict[str, Any]) -> dict[str, Any]:
    admin.apply(kinds.SECURE_TENANT, body, manager="test").ok()
    return settled(admin, body["metadata"]["name"])


def subjects(body: Any) -> list[str]:
    (rule,) = body["spec"]["rules"]
    return [(each.get("group") or each["user"])["name"] for each in rule["subjects"]]


def found(admin: Api, namespace: str) -> Any:
    """Return the managed FlowSchema in which the namespace's ServiceAccounts are, or None."""
    every = admin.list(KIND, labelSelector=names.MANAGED_SELECTOR)
    holding = [each for each in every if f"system:serviceaccounts:{namespace}" in subjects(each)]
    assert len(holding) <= 1
    return holding[0] if holding else None


def as_account(admin: Api, plane: Instance, namespace: str, name: str = "default") -> Api:
    wait_for_account(admin, namespace)
    return Api(kubeconfigs.for_service_account(plane, namespace, name))


def queued(api: Api, path: str) -> str:
    return api.call("GET", path).flow


def wait_for_flow(admin: Api, api: Api, namespace: str, path: str) -> None:
    """The API server takes a FlowSchema in a moment after it was written."""
    wait_for(
        lambda: queued(api, path) == found(admin, namespace)["metadata"]["uid"],
        what=f"{path} to queue in the flow of {namespace}",
    )


def test_each_tenants_requests_queue_in_a_flow_of_its_own(
    plane: Instance, admin: Api, north: Any
) -> None:
    """For its own namespace, for all of them, and for the API's description."""
    made(admin, tenant("south", namespaces=[{"name": "south-1"}]))
    south = wait_for(lambda: found(admin, "south-1"), what="its FlowSchema")
    assert south["metadata"]["name"] != north["metadata"]["name"]
    for namespace in ("north-1", "south-1"):
        pod = as_account(admin, plane, namespace)
        for path in (ACCOUNTS.format(namespace), "/api/v1/pods", "/openapi/v3"):
            wait_for_flow(admin, pod, namespace, path)


def test_more_service_accounts_gain_nothing(plane: Instance, admin: Api, north: Any) -> None:
    for number in range(3):
        body = {"metadata": {"name": f"more-{number}"}}
        admin.call("POST", ACCOUNTS.format("north-1"), body).ok()
        pod = as_account(admin, plane, "north-1", f"more-{number}")
        wait_for_flow(admin, pod, "north-1", ACCOUNTS.format("north-1"))
    assert "distinguisherMethod" not in found(admin, "north-1")["spec"]


def test_a_tenants_people_queue_with_it(plane: Instance, admin: Api, north: Any) -> None:
    person = Api(kubeconfigs.for_user(plane, "north-dev", ("north-devs",)))
    wait_for_flow(admin, person, "north-1", ACCOUNTS.format("north-1"))


def test_nobody_else_does(plane: Instance, admin: Api, north: Any) -> None:
    ours = {
        each["metadata"]["uid"]
        for each in admin.list(KIND, labelSelector="app.kubernetes.io/managed-by")
    }
    admin.create(kinds.NAMESPACE, {"metadata": {"name": "of-the-platform"}}).ok()
    others = [
        as_account(admin, plane, "of-the-platform"),
        as_account(admin, plane, "kube-system"),
        as_account(admin, plane, "securetenant-system", "securetenant-operator"),
        Api(kubeconfigs.for_user(plane, "somebody", ("others",))),
    ]
    flows = {queued(each, ACCOUNTS.format("north-1")) for each in others}
    assert "" not in flows
    assert not flows & ours


def _patch(spec: Any) -> Callable[[Api, str], Any]:
    return lambda breaker, name: breaker.patch(KIND, name, {"spec": spec}).ok()


def _takeover(breaker: Api, name: str) -> None:
    body = flow(name=name, rules=[])
    body["metadata"]["labels"] = {"extra": "label"}
    breaker.apply(KIND, body, manager="somebody").ok()


@pytest.mark.parametrize(
    "attack",
    [
        pytest.param(lambda breaker, name: breaker.delete(KIND, name).ok(), id="delete it"),
        pytest.param(
            _patch({"priorityLevelConfiguration": {"name": "workload-high"}}), id="another level"
        ),
        pytest.param(_patch({"matchingPrecedence": 9500}), id="behind all ServiceAccounts"),
        pytest.param(_patch({"distinguisherMethod": {"type": "ByUser"}}), id="one line per user"),
        pytest.param(_patch({"rules": []}), id="about nobody"),
        pytest.param(
            _patch({"rules": fairness.build(0, ["kube-system"], ()).body["spec"]["rules"]}),
            id="about others",
        ),
        pytest.param(
            lambda breaker, name: breaker.patch(
                KIND, name, {"metadata": {"labels": {names.MANAGED_BY_LABEL: None}}}
            ).ok(),
            id="strip the label by which it is watched",
        ),
        pytest.param(_takeover, id="take it over as another field manager"),
    ],
)
def test_whatever_is_done_to_it_is_undone(
    attack: Callable[[Api, str], Any], admin: Api, breaker: Api, north: Any
) -> None:
    name = north["metadata"]["name"]
    before = ownership.owned(admin.get(KIND, name))
    attack(breaker, name)

    def back() -> bool:
        body = admin.get(KIND, name)
        return body is not None and ownership.owned(body) == before

    wait_for(back, what="the FlowSchema to be as before")


def test_its_repair_is_announced(admin: Api, breaker: Api, north: Any) -> None:
    name = north["metadata"]["name"]
    breaker.delete(KIND, name).ok()

    def told() -> bool:
        return any(
            event["note"] == f"FlowSchema {name} was deleted; it is back"
            for event in admin.list(kinds.EVENT, "default")
            if event["reason"] == "DriftRepaired" and event["regarding"]["name"] == "north"
        )

    wait_for(lambda: admin.get(KIND, name), what="it to be back")
    wait_for(told, what="the event")


@pytest.mark.parametrize("name", ["sneaky", "securetenant-flow-63", "securetenant-flow-64"])
def test_one_that_only_claims_to_be_ours_is_removed(
    name: str, admin: Api, breaker: Api, north: Any
) -> None:
    breaker.create(KIND, flow(name=name)).ok()
    wait_for(lambda: admin.get(KIND, name) is None, what="the impostor to go")


def test_others_may_write_their_own_and_not_ours(admin: Api, north: Any) -> None:
    body = flow(name="of-others")
    body["metadata"].pop("labels")
    admin.create(KIND, body, dryRun="All").ok()
    name = north["metadata"]["name"]
    prepared = flow(name="securetenant-flow-50")
    prepared["metadata"].pop("labels")
    for answer in (
        admin.patch(KIND, name, {"spec": {"matchingPrecedence": 2}}, dryRun="All"),
        admin.patch(
            KIND, name, {"metadata": {"labels": {names.MANAGED_BY_LABEL: None}}}, dryRun="All"
        ),
        admin.call("DELETE", KIND.path("", name), dryRun="All"),
        admin.call("DELETE", KIND.path(), dryRun="All", labelSelector=names.MANAGED_SELECTOR),
        admin.create(KIND, prepared, dryRun="All"),
    ):
        assert verdict(answer, MANAGED) == "Blocked"
        assert answer.message.endswith("See: kubectl describe securetenants")


def test_storage_version_migration_writes_it(admin: Api, north: Any) -> None:
    name = north["metadata"]["name"]
    admin.call("PUT", KIND.path("", name), admin.get(KIND, name)).ok()


def test_a_namespace_and_a_grant_come_and_go(admin: Api, operator: Operator) -> None:
    body = tenant("moves", namespaces=[{"name": "moves-1"}])
    made(admin, body)
    uid = wait_for(lambda: found(admin, "moves-1"), what="its FlowSchema")["metadata"]["uid"]
    body["spec"] = {
        "namespaces": [{"name": "moves-1"}, {"name": "moves-2"}],
        "access": granted("moves-devs"),
    }
    admin.apply(kinds.SECURE_TENANT, body, manager="test").ok()
    wanted = ["moves-devs", "system:serviceaccounts:moves-1", "system:serviceaccounts:moves-2"]
    wait_for(
        lambda: subjects(found(admin, "moves-1")) == wanted, what="the namespace and the group"
    )
    assert found(admin, "moves-2")["metadata"]["uid"] == uid
    admin.patch(kinds.SECURE_TENANT, "moves", {"spec": {"access": None}}).ok()
    wait_for(lambda: subjects(found(admin, "moves-1")) == wanted[1:], what="the group to leave")


def test_a_group_that_new_bounds_refuse_leaves_and_the_flow_is_still_kept(
    admin: Api, breaker: Api, operator: Operator
) -> None:
    made(admin, tenant("bound", namespaces=[{"name": "bound-1"}], access=granted("strangers")))
    name = wait_for(lambda: found(admin, "bound-1"), what="its FlowSchema")["metadata"]["name"]
    spec = {"spec": {"bounds": {"groups": ["bound-*", "north-*"]}}}
    admin.patch(kinds.TENANCY_SETTINGS, "default", spec).ok()
    try:
        wait_for(
            lambda: subjects(admin.get(KIND, name)) == ["system:serviceaccounts:bound-1"],
            what="the group to leave",
        )
        breaker.delete(KIND, name).ok()
        wait_for(lambda: found(admin, "bound-1"), what="it to be back")
    finally:
        admin.patch(kinds.TENANCY_SETTINGS, "default", {"spec": {"bounds": None}}).ok()
    settled(admin, "bound")
    wait_for(lambda: "strangers" in subjects(found(admin, "bound-1")), what="the group")


def in_force(admin: Api) -> dict[str, Any]:
    body = admin.get(kinds.TENANCY_SETTINGS, "default")
    return dict(conditions(body).get("FairnessInForce", {}))


def test_without_the_level_the_settings_say_so_and_all_else_works(
    plane: Instance, admin: Api, north: Any
) -> None:
    pod = as_account(admin, plane, "north-1")
    wait_for(lambda: in_force(admin).get("status") == "True", what="the condition")
    admin.delete(kinds.PRIORITY_LEVEL, names.PRIORITY_LEVEL).ok()
    try:
        wait_for(lambda: in_force(admin)["status"] == "False", what="the condition to be False")
        assert in_force(admin)["reason"] == "PriorityLevelMissing"
        assert in_force(admin)["message"].endswith("kubectl apply -k manifests/fairness")
        made(admin, tenant("levelless", namespaces=[{"name": "levelless-1"}]))
        wait_for(
            lambda: (
                queued(pod, ACCOUNTS.format("north-1"))
                not in ("", found(admin, "north-1")["metadata"]["uid"])
            ),
            what="the API server to pass over it",
        )
    finally:
        kubectl(plane, "apply", "-k", "manifests/fairness")
    wait_for(lambda: in_force(admin)["status"] == "True", what="the condition to be True")
    wait_for_flow(admin, pod, "north-1", ACCOUNTS.format("north-1"))


@contextlib.contextmanager
def lacking(admin: Api, verbs: set[str]) -> Iterator[None]:
    """Take rights on FlowSchemas from the operator for a while."""
    role = admin.get(kinds.CLUSTER_ROLE, "securetenant-operator")
    rules = [
        {**rule, "verbs": [each for each in rule["verbs"] if each not in verbs]}
        if rule["resources"] == ["flowschemas"]
        else rule
        for rule in role["rules"]
    ]
    admin.patch(kinds.CLUSTER_ROLE, "securetenant-operator", {"rules": rules}).ok()
    try:
        yield
    finally:
        back = {"rules": role["rules"]}
        admin.patch(kinds.CLUSTER_ROLE, "securetenant-operator", back).ok()


def test_a_tenant_whose_flow_cannot_be_written_says_so(admin: Api, operator: Operator) -> None:
    with lacking(admin, {"create", "patch"}):
        body = tenant("mute", namespaces=[{"name": "mute-1"}])
        admin.apply(kinds.SECURE_TENANT, body, manager="test").ok()

        def told() -> Any:
            every = conditions(admin.get(kinds.SECURE_TENANT, "mute"))
            return every if every.get("Ready", {}).get("reason") == "Refused" else None

        every = wait_for(told, what="the tenant to say so")
        assert "FlowSchema securetenant-flow-" in every["Ready"]["message"]
        assert every["NetworkIsolated"]["status"] == "True"
        assert admin.get(kinds.NAMESPACE, "mute-1")["metadata"]["labels"][names.READY_FOR_LABEL]
    settled(admin, "mute")
    assert found(admin, "mute-1")


def test_what_is_retained_stays_in_its_flow_until_its_last_namespace_goes(
    admin: Api, breaker: Api, operator: Operator
) -> None:
    body = tenant("kept", namespaces=[{"name": "kept-1"}], access=granted("kept-devs"))
    made(admin, body)
    wait_for(lambda: found(admin, "kept-1"), what="its FlowSchema")
    admin.delete(kinds.SECURE_TENANT, "kept").ok()
    wait_for(lambda: admin.get(kinds.SECURE_TENANT, "kept") is None, what="the tenant to go")
    wait_for(
        lambda: subjects(found(admin, "kept-1")) == ["system:serviceaccounts:kept-1"],
        what="its people to leave",
    )
    name = found(admin, "kept-1")["metadata"]["name"]
    breaker.delete(kinds.NAMESPACE, "kept-1").ok()
    wait_for(lambda: admin.get(kinds.NAMESPACE, "kept-1") is None, what="the namespace", seconds=60)
    wait_for(lambda: admin.get(KIND, name) is None, what="the FlowSchema to go", seconds=20)


def test_deleting_a_tenant_takes_its_flow_away(admin: Api, operator: Operator) -> None:
    body = tenant("gone", namespaces=[{"name": "gone-1"}], deletionPolicy="Delete")
    made(admin, body)
    name = wait_for(lambda: found(admin, "gone-1"), what="its FlowSchema")["metadata"]["name"]
    admin.delete(kinds.SECURE_TENANT, "gone").ok()
    wait_for(
        lambda: admin.get(kinds.SECURE_TENANT, "gone") is None, what="the tenant to go", seconds=60
    )
    wait_for(lambda: admin.get(KIND, name) is None, what="the FlowSchema to go", seconds=20)


def test_suspended_it_stays_and_is_not_repaired(
    admin: Api, breaker: Api, operator: Operator
) -> None:
    made(admin, tenant("idle", namespaces=[{"name": "idle-1"}]))
    name = wait_for(lambda: found(admin, "idle-1"), what="its FlowSchema")["metadata"]["name"]

    def reconciliation(word: str) -> None:
        admin.patch(kinds.SECURE_TENANT, "idle", {"spec": {"reconciliation": word}}).ok()

    reconciliation("Suspended")
    wait_for(
        lambda: (
            conditions(admin.get(kinds.SECURE_TENANT, "idle"))["Ready"]["reason"] == "Suspended"
        ),
        what="the operator to be suspended",
    )
    assert found(admin, "idle-1")
    breaker.patch(KIND, name, {"spec": {"matchingPrecedence": 8500}}).ok()
    made(admin, tenant("meanwhile", namespaces=[{"name": "meanwhile-1"}]))
    wait_for(lambda: found(admin, "meanwhile-1"), what="the flow of another tenant")
    assert admin.get(KIND, name)["spec"]["matchingPrecedence"] == 8500
    reconciliation("Active")
    wait_for(lambda: admin.get(KIND, name)["spec"]["matchingPrecedence"] == 8000, what="its repair")


def test_a_restart_writes_nothing(plane: Instance, north: Any, operator: Operator) -> None:
    seen = settle(plane)
    assert operator.stop() == 0
    operator.start()
    settle(plane)
    assert [each["requestURI"] for each in writes_by_operator(plane)[seen:]] == []


def test_without_the_right_to_see_flows_everything_else_works(
    admin: Api, north: Any, operator: Operator
) -> None:
    """As when the operator is upgraded before its rights."""
    assert operator.stop() == 0
    with lacking(admin, {"list", "watch"}):
        operator.start()
        wait_for(lambda: in_force(admin)["status"] == "False", what="the condition", seconds=30)
        assert in_force(admin)["message"].endswith("apply the manifests of this version again")
        made(admin, tenant("blind", namespaces=[{"name": "blind-1"}]))
        assert found(admin, "blind-1") is None
    wait_for(lambda: found(admin, "blind-1"), what="its FlowSchema", seconds=60)
    wait_for(lambda: in_force(admin)["status"] == "True", what="the condition")
