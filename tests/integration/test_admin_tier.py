"""ClusterNetworkPolicies on a real API server that serves them: made, kept, opened, let go of."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import denials_tier
from attack_harness import Policy, judge_message, verdict
from conftest import control_plane, operating, settled
from denials_tier import accept, tier
from factory import tenant
from harness import (
    MERGE,
    OPERATOR,
    Api,
    Operator,
    conditions,
    kubectl,
    settle,
    wait_for,
    wait_for_kinds,
    writes_by_operator,
)
from securetenant.api import kinds, names
from securetenant.plan import ownership
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance
from stolen_operator import FENCE

CRD = "tests/clusternetworkpolicies.yaml"
KIND = kinds.CLUSTER_NETWORK_POLICY
TOLD = (
    "and with a ClusterNetworkPolicy that no NetworkPolicy overrides, against other tenants and"
    " metadata addresses"
)
MANAGED = Policy("securetenant-managed")


@pytest.fixture(scope="module")
def tiered() -> Iterator[Instance]:
    """A control plane of its own with the CRD of ClusterNetworkPolicies."""
    with control_plane(f"test-{os.getpid()}-tier", audit=True) as instance:
        install_crd(instance)
        yield instance


def install_crd(instance: Instance) -> None:
    kubectl(instance, "apply", "-f", CRD)
    wait_for_kinds(instance, "-f", CRD)
    api = Api(instance.admin_kubeconfig)
    wait_for(lambda: api.call("GET", KIND.path()).status == 200, what="the kind to be served")


@pytest.fixture(scope="module")
def admin(tiered: Instance) -> Api:
    """Its administrator."""
    return Api(tiered.admin_kubeconfig)


@pytest.fixture(scope="module")
def breaker(tiered: Instance) -> Api:
    """An administrator who breaks the glass, with no right but those of that group."""
    return Api(kubeconfigs.for_user(tiered, "breaker", ("securetenant:break-glass",)))


@pytest.fixture(scope="module")
def operator(tiered: Instance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """The operator of that control plane."""
    with operating(tiered, tmp_path_factory.mktemp("operator") / "log") as process:
        yield process


@pytest.fixture(scope="module")
def north(admin: Api, operator: Operator) -> dict[str, Any]:
    """A tenant whose ClusterNetworkPolicy is attacked; each attack leaves it as it was."""
    return made(admin, tenant("north", namespaces=[{"name": "north-1"}]))


def made(admin: Api, body: dict[str, Any]) -> dict[str, Any]:
    admin.apply(kinds.SECURE_TENANT, body, manager="test").ok()
    return settled(admin, body["metadata"]["name"])


def found(admin: Api, name: str) -> Any:
    return admin.get(KIND, names.admin_tier(name))


def isolated(admin: Api, name: str) -> str:
    """Return what the condition says while it is True, or nothing."""
    condition = conditions(admin.get(kinds.SECURE_TENANT, name)).get("NetworkIsolated", {})
    return str(condition["message"]) if condition.get("status") == "True" else ""


def test_it_appears_with_its_tenant_and_the_condition_says_so(
    admin: Api, operator: Operator
) -> None:
    made(admin, tenant("appears"))
    body = found(admin, "appears")
    assert body["spec"]["tier"] == "Admin"
    assert body["metadata"]["labels"] == {
        names.MANAGED_BY_LABEL: names.MANAGED_BY,
        names.TENANT_LABEL: "appears",
    }
    assert isolated(admin, "appears").endswith(f"; {TOLD}")


def test_it_comes_before_workloads_may(tiered: Instance, admin: Api, operator: Operator) -> None:
    """A namespace is labelled ready by the last write to it."""
    made(admin, tenant("early", namespaces=[{"name": "early-a"}]))
    written = [event["objectRef"] for event in writes_by_operator(tiered)]
    tiers = [n for n, each in enumerate(written) if each.get("name") == names.admin_tier("early")]
    spaces = [n for n, each in enumerate(written) if each.get("name") == "early-a"]
    assert tiers[0] < spaces[-1]


def _patch(body: Any) -> Callable[[Api], Any]:
    return lambda breaker: breaker.patch(KIND, names.admin_tier("north"), body).ok()


def _takeover(breaker: Api) -> None:
    body = tier(**accept("Accept")["spec"])
    body["metadata"]["labels"] = {"extra": "label"}
    breaker.apply(KIND, body, manager="somebody").ok()


@pytest.mark.parametrize(
    "attack",
    [
        pytest.param(
            lambda breaker: breaker.delete(KIND, names.admin_tier("north")).ok(), id="delete it"
        ),
        pytest.param(_patch(accept("Accept")), id="let somebody in"),
        pytest.param(_patch({"spec": {"egress": []}}), id="empty one direction"),
        pytest.param(_patch({"spec": {"tier": "Baseline"}}), id="move it behind NetworkPolicies"),
        pytest.param(
            _patch({"spec": {"subject": {"namespaces": {"matchLabels": {"none": "such"}}}}}),
            id="let it select no pod",
        ),
        pytest.param(
            _patch({"metadata": {"labels": {names.MANAGED_BY_LABEL: None}}}),
            id="strip the label by which it is watched",
        ),
        pytest.param(_takeover, id="take it over as another field manager"),
    ],
)
def test_whatever_is_done_to_it_is_undone(
    attack: Callable[[Api], Any], admin: Api, breaker: Api, north: Any
) -> None:
    before = ownership.owned(found(admin, "north"))
    attack(breaker)

    def back() -> bool:
        body = found(admin, "north")
        return body is not None and ownership.owned(body) == before

    wait_for(back, what="the ClusterNetworkPolicy to be as before")


def test_its_repair_is_announced(admin: Api, breaker: Api, north: Any) -> None:
    breaker.delete(KIND, names.admin_tier("north")).ok()

    def told() -> bool:
        return any(
            "ClusterNetworkPolicy securetenant-north was deleted; it is back" in event["note"]
            for event in admin.list(kinds.EVENT, "default")
            if event["reason"] == "DriftRepaired"
        )

    wait_for(lambda: found(admin, "north"), what="it to be back")
    wait_for(told, what="the event")


@pytest.mark.parametrize("name", ["sneaky", "securetenant-nobody"])
def test_one_that_only_claims_to_be_ours_is_removed(
    name: str, admin: Api, breaker: Api, operator: Operator
) -> None:
    breaker.create(KIND, tier(name, **accept("Accept")["spec"])).ok()
    wait_for(lambda: admin.get(KIND, name) is None, what="the impostor to go")


def test_others_may_write_their_own_and_not_ours(admin: Api, north: Any) -> None:
    """The policy has a selector of namespaces; it leaves out nothing that is in none."""
    body = tier("of-the-platform", **accept("Accept")["spec"])
    body["metadata"].pop("labels")
    admin.create(KIND, body, dryRun="All").ok()
    name = names.admin_tier("north")
    prepared = tier("securetenant-later")
    prepared["metadata"].pop("labels")
    for answer in (
        admin.patch(KIND, name, accept("Accept"), dryRun="All"),
        admin.patch(
            KIND, name, {"metadata": {"labels": {names.MANAGED_BY_LABEL: None}}}, dryRun="All"
        ),
        admin.call("DELETE", KIND.path("", name), dryRun="All"),
        admin.call("DELETE", KIND.path(), dryRun="All"),
        admin.create(KIND, prepared, dryRun="All"),
    ):
        assert verdict(answer, MANAGED) == "Blocked"
        assert answer.message.endswith("See: kubectl describe securetenants")


def test_storage_version_migration_writes_it(admin: Api, north: Any) -> None:
    body = found(admin, "north")
    admin.call("PUT", KIND.path("", names.admin_tier("north")), body).ok()


@pytest.mark.parametrize(
    "rule", [pytest.param(each, id=f"{each[0]} {each[1]}") for each in sorted(denials_tier.ROWS)]
)
def test_a_denial_names_rule_value_remedy_and_command(
    rule: tuple[str, int], tiered: Instance, north: Any, request: pytest.FixtureRequest
) -> None:
    """Written anew by `make test ARGS='-k denial --update-golden'`; read the diff."""
    policy, _ = rule
    thief = Api(kubeconfigs.for_service_account(tiered, *OPERATOR))
    answer = denials_tier.ROWS[rule].sent({"operator": thief})
    assert verdict(answer, Policy(policy)) == "Blocked"
    said = answer.message.partition("denied request: ")[2]
    judge_message(said, rule, update=request.config.getoption("--update-golden"))


@pytest.mark.parametrize(
    ("method", "name", "body"),
    [
        pytest.param("PATCH", denials_tier.NAME, accept("Pass"), id="hand on who may come in"),
        pytest.param(
            "PATCH",
            denials_tier.NAME,
            {"spec": {"subject": denials_tier.SOUTH}},
            id="cut another tenant off",
        ),
        pytest.param(
            "PATCH", denials_tier.NAME, {"spec": {"tier": "Baseline"}}, id="behind NetworkPolicies"
        ),
        pytest.param("DELETE", "of-others", None, id="delete somebody else's"),
    ],
)
def test_a_stolen_operator_token_opens_nothing_by_it(
    method: str, name: str, body: Any, tiered: Instance, admin: Api, north: Any
) -> None:
    """RBAC allows each of these; the fence refuses it."""
    others = tier("of-others")
    others["metadata"].pop("labels")
    admin.create(KIND, others)
    thief = Api(kubeconfigs.for_service_account(tiered, *OPERATOR))
    answer = thief.call(method, KIND.path("", name), body, content_type=MERGE, dryRun="All")
    assert verdict(answer, FENCE) == "Blocked"


def peer(other: str, direction: str) -> dict[str, Any]:
    entry = {
        "tenant": other,
        "direction": direction,
        "namespaces": [f"{other}-a"],
        "ports": [{"port": 443}],
    }
    return {"spec": {"network": {"peers": [entry]}}}


def test_a_peer_is_left_out_only_while_both_declare_it(admin: Api, operator: Operator) -> None:
    for name in ("alpha", "beta"):
        made(admin, tenant(name))

    def lets(side: str, name: str, other: str) -> bool:
        rules = found(admin, name)["spec"][side]
        return other in str(rules)

    admin.patch(kinds.SECURE_TENANT, "alpha", peer("beta", "Egress")).ok()
    settled(admin, "alpha")
    assert not lets("egress", "alpha", "beta")
    admin.patch(kinds.SECURE_TENANT, "beta", peer("alpha", "Ingress")).ok()
    wait_for(lambda: lets("egress", "alpha", "beta"), what="alpha's side to open")
    wait_for(lambda: lets("ingress", "beta", "alpha"), what="beta's side to open")
    assert not lets("ingress", "alpha", "beta")
    admin.patch(kinds.SECURE_TENANT, "beta", {"spec": {"network": None}}).ok()
    wait_for(lambda: not lets("egress", "alpha", "beta"), what="alpha's side to close")
    wait_for(lambda: not lets("ingress", "beta", "alpha"), what="beta's side to close")


def test_what_is_retained_keeps_it_until_its_last_namespace_goes(
    admin: Api, breaker: Api, operator: Operator
) -> None:
    made(admin, tenant("kept", namespaces=[{"name": "kept-a"}]))
    uid = found(admin, "kept")["metadata"]["uid"]
    admin.delete(kinds.SECURE_TENANT, "kept").ok()
    wait_for(lambda: admin.get(kinds.SECURE_TENANT, "kept") is None, what="the tenant to go")
    assert found(admin, "kept")["metadata"]["uid"] == uid
    breaker.delete(kinds.NAMESPACE, "kept-a").ok()
    wait_for(lambda: admin.get(kinds.NAMESPACE, "kept-a") is None, what="the namespace", seconds=60)
    wait_for(lambda: found(admin, "kept") is None, what="the ClusterNetworkPolicy to go")


def test_deleting_a_tenant_takes_it_away_after_its_namespaces(
    tiered: Instance, admin: Api, operator: Operator
) -> None:
    made(admin, tenant("gone", namespaces=[{"name": "gone-a"}], deletionPolicy="Delete"))
    admin.delete(kinds.SECURE_TENANT, "gone").ok()
    wait_for(
        lambda: admin.get(kinds.SECURE_TENANT, "gone") is None, what="the tenant to go", seconds=60
    )
    assert found(admin, "gone") is None
    deleted = [
        event["objectRef"]["name"]
        for event in writes_by_operator(tiered)
        if event["verb"] == "delete"
        and event["objectRef"]["name"] in ("gone-a", names.admin_tier("gone"))
    ]
    assert deleted == ["gone-a", names.admin_tier("gone")]


def test_suspended_it_is_not_repaired_and_the_condition_says_so(
    admin: Api, breaker: Api, operator: Operator
) -> None:
    made(admin, tenant("idle", namespaces=[{"name": "idle-a"}]))

    def reconciliation(word: str) -> None:
        admin.patch(kinds.SECURE_TENANT, "idle", {"spec": {"reconciliation": word}}).ok()

    reconciliation("Suspended")
    wait_for(
        lambda: (
            conditions(admin.get(kinds.SECURE_TENANT, "idle"))["Ready"]["reason"] == "Suspended"
        ),
        what="the operator to be suspended",
    )
    breaker.delete(KIND, names.admin_tier("idle")).ok()
    wait_for(lambda: not isolated(admin, "idle"), what="the condition to be False")
    assert found(admin, "idle") is None
    reconciliation("Active")
    settled(admin, "idle")
    assert found(admin, "idle")


def test_a_restart_writes_nothing(tiered: Instance, north: Any, operator: Operator) -> None:
    seen = settle(tiered)
    assert operator.stop() == 0
    operator.start()
    settle(tiered)
    assert [each["requestURI"] for each in writes_by_operator(tiered)[seen:]] == []


def test_it_goes_with_its_kind_and_comes_back_with_it(
    tiered: Instance, admin: Api, north: Any, operator: Operator
) -> None:
    """The CRD is somebody else's; meanwhile NetworkPolicies are alone, as the condition says."""
    kubectl(tiered, "delete", "-f", CRD)
    try:
        wait_for(
            lambda: isolated(admin, "north") and TOLD not in isolated(admin, "north"),
            what="the condition not to speak of it",
            seconds=40,
        )
        settled(admin, "north")
        assert operator.asked("readyz")
        made(admin, tenant("meanwhile", namespaces=[{"name": "meanwhile-a"}]))
        seen = settle(tiered)
    finally:
        install_crd(tiered)
    wait_for(lambda: found(admin, "north"), what="it to be back", seconds=90)
    wait_for(lambda: TOLD in isolated(admin, "north"), what="the condition to speak of it")
    wait_for(lambda: found(admin, "meanwhile"), what="that of a tenant made meanwhile")
    assert len(writes_by_operator(tiered)) > seen
