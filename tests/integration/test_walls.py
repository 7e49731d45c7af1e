"""The walls of a tenant as its members meet them: quota, limits, access, the gate."""

import itertools
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import factory
from attack_harness import may
from conftest import Ready, settled
from factory import tenant
from harness import Api, Operator, conditions, wait_for, wait_for_account
from securetenant.api import kinds, names
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance

As = Callable[..., Api]


@pytest.fixture(scope="module")
def walls(admin: Api, operator: Operator) -> str:
    """One namespace with everything, for the tests that only look."""
    body = tenant(
        "fort",
        namespaces=[{"name": "fort-a"}, {"name": "fort-b"}],
        quota={"requests.cpu": 4, "pods": 20},
        access=[
            _grant("Developer", "devs"),
            _grant("Admin", "admins"),
            _grant("Viewer", "viewers", namespaces=["fort-a"]),
        ],
    )
    admin.create(kinds.SECURE_TENANT, body).ok()

    def ready() -> bool:
        found = conditions(admin.get(kinds.SECURE_TENANT, "fort")).get("Ready", {})
        account = admin.call("GET", "/api/v1/namespaces/fort-a/serviceaccounts/default")
        return found.get("status") == "True" and account.status == 200

    wait_for(ready, what="the tenant")
    return "fort-a"


def _grant(role: str, group: str, **more: Any) -> dict[str, Any]:
    return {"name": group, "role": role, "subjects": [{"kind": "Group", "name": group}], **more}


@pytest.fixture(scope="module")
def member(sandbox: Instance) -> As:
    """Make somebody who is in one group."""

    def make(group: str) -> Api:
        return Api(kubeconfigs.for_user(sandbox, f"somebody-in-{group}", (group,)))

    return make


def test_a_pod_that_names_nothing_gets_limits_and_fits(admin: Api, walls: str) -> None:
    made = admin.create_pod(walls, factory.pod(), dryRun="All").ok()
    resources = made["spec"]["containers"][0]["resources"]
    assert resources["limits"] == {"cpu": "500m", "memory": "512Mi", "ephemeral-storage": "1Gi"}


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        pytest.param(
            {"limits": {"memory": "1Mi"}},
            "minimum memory usage per Container is 4Mi",
            id="D01 memory",
        ),
        pytest.param(
            {"limits": {"ephemeral-storage": "1Ki"}},
            "minimum ephemeral-storage usage per Container is 1Mi",
            id="D01 storage",
        ),
        pytest.param(
            {"requests": {"cpu": "3"}, "limits": {"cpu": "3"}}, "exceeded quota", id="D02 too much"
        ),
    ],
)
def test_what_exceeds_a_wall_is_refused_by_that_wall(
    resources: dict[str, Any], message: str, admin: Api, walls: str
) -> None:
    answer = admin.create_pod(walls, factory.pod(**resources), dryRun="All")
    assert (answer.status, message in answer.message) == (403, True), answer.message


@pytest.mark.parametrize(
    ("group", "verb", "resource", "allowed"),
    [
        ("viewers", "list", "pods", True),
        ("viewers", "get", "securetenant.io:tenantpolicies", True),
        ("viewers", "get", "secrets", False),
        ("viewers", "create", "pods/exec", False),
        ("viewers", "create", "configmaps", False),
        ("devs", "create", "apps:deployments", True),
        ("devs", "patch", "apps:deployments/scale", True),
        ("devs", "get", "secrets", True),
        ("devs", "create", "pods/exec", True),
        ("devs", "delete", "networking.k8s.io:ingresses", True),
        ("devs", "create", "authorization.k8s.io:localsubjectaccessreviews", False),
        ("admins", "create", "authorization.k8s.io:localsubjectaccessreviews", True),
    ],
)
def test_each_role_may_do_its_work(
    group: str, verb: str, resource: str, allowed: bool, walls: str, admin: Api
) -> None:
    """What none of them may do is in the attack suite."""
    found = may(
        admin, user="somebody", groups=(group,), verb=verb, resource=resource, namespace=walls
    )
    assert found is allowed


def test_a_grant_ends_at_its_namespaces(walls: str, member: As) -> None:
    viewer, stranger = member("viewers"), member("strangers")
    assert viewer.call("GET", "/api/v1/namespaces/fort-a/pods").status == 200
    assert viewer.call("GET", "/api/v1/namespaces/fort-b/pods").status == 403
    assert viewer.call("GET", "/api/v1/namespaces/default/pods").status == 403
    assert stranger.call("GET", "/api/v1/namespaces/fort-a/pods").status == 403


def test_a_grant_that_is_withdrawn_ends_at_once(admin: Api, ready: Ready, member: As) -> None:
    grants = [_grant("Viewer", "leavers")]
    ready(tenant("revoke", namespaces=[{"name": "revoke-a"}], access=grants))
    viewer = member("leavers")
    assert viewer.call("GET", "/api/v1/namespaces/revoke-a/pods").status == 200
    ready(tenant("revoke", namespaces=[{"name": "revoke-a"}], access=[]))
    wait_for(
        lambda: viewer.call("GET", "/api/v1/namespaces/revoke-a/pods").status == 403,
        what="the grant to end",
    )


def test_a_member_reads_what_holds_here(walls: str, member: As) -> None:
    policy = member("viewers").get(kinds.TENANT_POLICY, "effective", walls)
    assert policy["spec"]["quota"]["pods"] == "20", "the most that it can get of the pool"
    assert conditions(policy)["Ready"]["status"] == "True"


MANAGED = [
    (kinds.TENANT_POLICY, names.POLICY_NAME),
    (kinds.NETWORK_POLICY, names.DEFAULT_DENY),
    (kinds.NETWORK_POLICY, names.DNS),
    (kinds.RESOURCE_QUOTA, names.QUOTA),
    (kinds.LIMIT_RANGE, names.LIMITS),
    (kinds.ROLE_BINDING, names.role_binding("Admin")),
]


@pytest.mark.parametrize(("kind", "name"), MANAGED, ids=lambda each: getattr(each, "name", each))
def test_an_administrator_does_not_change_a_wall_by_accident(
    kind: kinds.Kind, name: str, admin: Api, walls: str
) -> None:
    """Delete, edit, delete a collection, and take a label off: A15, H05."""
    label = {"metadata": {"labels": {names.MANAGED_BY_LABEL: None}}}
    for answer in (
        admin.delete(kind, name, walls),
        admin.patch(kind, name, label, walls),
        admin.patch(kind, name, {"metadata": {"annotations": {"a": "b"}}}, walls),
        admin.call("DELETE", kind.path(walls)),
    ):
        assert answer.status == 403, answer.message
        # The TenantPolicy of a namespace that stays is deleted by nobody at all.
        assert re.search("[Cc]hange the SecureTenant instead", answer.message)
    assert admin.get(kind, name, walls)


def test_an_administrator_who_breaks_the_glass_may(breaker: Api, admin: Api, walls: str) -> None:
    """Nobody is locked out; the operator puts back what the spec asks for."""
    uid = admin.get(kinds.NETWORK_POLICY, names.DNS, walls)["metadata"]["uid"]
    breaker.delete(kinds.NETWORK_POLICY, names.DNS, walls).ok()
    wait_for(
        lambda: (
            (admin.get(kinds.NETWORK_POLICY, names.DNS, walls) or {"metadata": {"uid": uid}})[
                "metadata"
            ]["uid"]
            != uid
        ),
        what="another NetworkPolicy",
    )


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("securetenant-mine", {}),
        ("mine", {names.MANAGED_BY_LABEL: names.MANAGED_BY}),
    ],
)
def test_nobody_takes_our_names_or_our_label(
    name: str, labels: dict[str, str], admin: Api, walls: str
) -> None:
    """A16: by name before the operator needs it, or by label to hide among our own."""
    body = {"metadata": {"name": name, "labels": labels}, "spec": {"podSelector": {}}}
    answer = admin.create(kinds.NETWORK_POLICY, body, walls)
    assert (answer.status, "is managed" in answer.message) == (403, True)


def test_objects_of_others_are_left_alone(admin: Api, walls: str) -> None:
    body = {"metadata": {"name": "theirs"}, "spec": {"podSelector": {"matchLabels": {"a": "b"}}}}
    admin.create(kinds.NETWORK_POLICY, body, walls).ok()
    admin.patch(kinds.NETWORK_POLICY, "theirs", {"metadata": {"labels": {"x": "y"}}}, walls).ok()
    admin.delete(kinds.NETWORK_POLICY, "theirs", walls).ok()


def test_until_the_quota_is_counted_there_is_no_access_and_no_workload(
    sandbox: Instance, admin: Api, operator: Operator
) -> None:
    """A quota whose status is empty enforces nothing; the controller-manager is stopped to see."""
    manager = sandbox.record()["programs"]["kube-controller-manager"]
    body = tenant("early", namespaces=[{"name": "early-a"}], access=[_grant("Admin", "admins")])
    os.kill(manager, signal.SIGSTOP)
    try:
        admin.create(kinds.SECURE_TENANT, body).ok()
        wait_for(lambda: admin.get(kinds.RESOURCE_QUOTA, names.QUOTA, "early-a"), what="the quota")
        wait_for(
            lambda: (
                conditions(admin.get(kinds.SECURE_TENANT, "early")).get("Ready", {}).get("reason")
                == "WaitingForQuota"
            ),
            what="the condition",
        )
        found = conditions(admin.get(kinds.SECURE_TENANT, "early"))
        words = {type: each["status"] for type, each in found.items()}
        assert words["QuotaEnforced"] == "False", "T1: status.hard is empty"
        assert words["PodSecurityEnforced"] == "True", "T1: all labels are there"
        assert words["NetworkIsolated"] == "True"
        assert "status.hard" in found["QuotaEnforced"]["message"]
        assert admin.list(kinds.ROLE_BINDING, "early-a") == []
        labels = admin.get(kinds.NAMESPACE, "early-a")["metadata"]["labels"]
        assert names.READY_FOR_LABEL not in labels
        answer = admin.create_pod("early-a", factory.pod(requests={"cpu": "1m"}), dryRun="All")
        assert answer.status == 403
    finally:
        os.kill(manager, signal.SIGCONT)
    wait_for(
        lambda: conditions(admin.get(kinds.SECURE_TENANT, "early"))["Ready"]["status"] == "True",
        what="the tenant to be ready",
        seconds=30,
    )
    assert [each["metadata"]["name"] for each in admin.list(kinds.ROLE_BINDING, "early-a")] == [
        "securetenant-admin",
        "securetenant-canary",
    ]


def test_a_quota_that_is_not_counted_any_more_is_said_and_shuts_the_namespace(
    sandbox: Instance, admin: Api, breaker: Api, ready: Ready
) -> None:
    """T1: a quota that was made again while the controller-manager is stopped enforces nothing."""
    ready(tenant("uncounted", namespaces=[{"name": "uncounted-a"}]))
    manager = sandbox.record()["programs"]["kube-controller-manager"]

    def words() -> dict[str, str]:
        found = conditions(admin.get(kinds.SECURE_TENANT, "uncounted"))
        return {type: each["status"] for type, each in found.items()}

    def label() -> Any:
        labels = admin.get(kinds.NAMESPACE, "uncounted-a")["metadata"]["labels"]
        return labels.get(names.READY_FOR_LABEL)

    os.kill(manager, signal.SIGSTOP)
    try:
        breaker.delete(kinds.RESOURCE_QUOTA, names.QUOTA, "uncounted-a").ok()
        wait_for(lambda: words()["QuotaEnforced"] == "False", what="the condition")
        assert words()["Ready"] == "False"
        assert words()["PodSecurityEnforced"] == "True"
        assert words()["NetworkIsolated"] == "True"
        wait_for(lambda: label() is None, what="the namespace to be shut")
        answer = admin.create_pod("uncounted-a", factory.pod(), dryRun="All")
        assert (answer.status, "is not ready for workloads" in answer.message) == (403, True)
    finally:
        os.kill(manager, signal.SIGCONT)
    wait_for(lambda: words()["Ready"] == "True", what="the tenant to be ready", seconds=30)
    assert label() is not None


def _policy(number: int) -> dict[str, Any]:
    return {
        "metadata": {"name": f"mine-{number}"},
        "spec": {"podSelector": {"matchLabels": {"n": str(number)}}, "policyTypes": ["Ingress"]},
    }


_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_ROLE = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "mine"}


def _binding(number: int) -> dict[str, Any]:
    return {**factory.binding(), "roleRef": _ROLE, "metadata": {"name": f"mine-{number}"}}


@pytest.fixture
def crowded(admin: Api, ready: Ready, member: As) -> Iterator[str]:
    """A namespace whose members fill the count of NetworkPolicies, and go on trying."""
    name = "crowded"
    ready(tenant(name, namespaces=[{"name": "crowded-a"}], access=[_grant("Admin", "crowd")]))
    alice = member("crowd")
    full = threading.Event()
    done = threading.Event()

    def fill() -> None:
        number = 0
        while not done.is_set():
            answer = alice.create(kinds.NETWORK_POLICY, _policy(number), "crowded-a")
            if answer.status == 403 and "exceeded quota" in answer.message:
                full.set()
            number += 1

    thread = threading.Thread(target=fill)
    thread.start()
    try:
        assert full.wait(60), "the count is never full"
        yield "crowded-a"
    finally:
        done.set()
        thread.join()
        admin.delete(kinds.SECURE_TENANT, name)


def test_a_tenant_that_fills_its_count_does_not_keep_a_deleted_default_deny_away(
    sandbox: Instance, admin: Api, breaker: Api, crowded: str
) -> None:
    """S8: while it goes on filling the count, the operator's own object is put back."""
    wanted = admin.get(kinds.RESOURCE_QUOTA, names.QUOTA, crowded)["spec"]["hard"]
    manager = sandbox.record()["programs"]["kube-controller-manager"]

    def label() -> Any:
        labels = admin.get(kinds.NAMESPACE, crowded)["metadata"]["labels"]
        return labels.get(names.READY_FOR_LABEL)

    def word() -> str:
        found = conditions(admin.get(kinds.SECURE_TENANT, "crowded"))
        return f"{found['Ready']['status']} {found['NetworkIsolated']['status']}"

    # Nobody takes note of the deletion, nor of the room that the operator makes.
    os.kill(manager, signal.SIGSTOP)
    try:
        breaker.delete(kinds.NETWORK_POLICY, names.DEFAULT_DENY, crowded).ok()
        wait_for(lambda: label() is None, what="the namespace to be shut")
        wait_for(lambda: word() == "False False", what="the conditions")
        message = conditions(admin.get(kinds.SECURE_TENANT, "crowded"))["Ready"]["message"]
        assert f"NetworkPolicy {names.DEFAULT_DENY} in {crowded} is missing" in message
        assert admin.create_pod(crowded, factory.pod(), dryRun="All").status == 403
    finally:
        os.kill(manager, signal.SIGCONT)
    wait_for(
        lambda: admin.get(kinds.NETWORK_POLICY, names.DEFAULT_DENY, crowded),
        what="the default-deny",
        seconds=60,
    )

    def counted() -> bool:
        quota = admin.get(kinds.RESOURCE_QUOTA, names.QUOTA, crowded)
        return bool(quota["spec"]["hard"] == wanted == quota["status"].get("hard"))

    wait_for(counted, what="the limit to be there again", seconds=60)
    wait_for(lambda: word() == "True True", what="the tenant to be ready", seconds=60)
    assert label()
    # An event reports the repair, although it took several attempts; the quota was ours to change.
    repairs = [
        each["note"]
        for each in admin.list(kinds.EVENT, "default")
        if each["reason"] == "DriftRepaired" and crowded in each["note"]
    ]
    deleted = f"NetworkPolicy {names.DEFAULT_DENY} in {crowded} was deleted; it is back"
    assert deleted in repairs
    assert not any(each.startswith("ResourceQuota") for each in repairs)
    # The same with everything at work.
    breaker.delete(kinds.NETWORK_POLICY, names.DEFAULT_DENY, crowded).ok()
    wait_for(
        lambda: admin.get(kinds.NETWORK_POLICY, names.DEFAULT_DENY, crowded) and counted(),
        what="the default-deny, a second time",
        seconds=60,
    )


def test_a_tenant_that_fills_its_count_does_not_keep_the_operators_bindings_away(
    admin: Api, breaker: Api, ready: Ready, member: As
) -> None:
    """S8: RoleBindings are counted too, and the operator's own have to come back."""
    spaces = [{"name": "bindings-a"}]
    ready(tenant("bindings", namespaces=spaces, access=[_grant("Admin", "binders")]))
    alice = member("binders")
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
    role = {"metadata": {"name": "mine"}, "rules": rules}
    alice.call("POST", f"{_RBAC}/namespaces/bindings-a/roles", role).ok()
    made = [alice.create(kinds.ROLE_BINDING, _binding(n), "bindings-a") for n in range(60)]
    assert "exceeded quota" in made[-1].message
    wanted = admin.get(kinds.RESOURCE_QUOTA, names.QUOTA, "bindings-a")["spec"]["hard"]
    breaker.delete(kinds.ROLE_BINDING, "securetenant-canary", "bindings-a").ok()
    alice.create(kinds.ROLE_BINDING, _binding(60), "bindings-a")
    # A grant that is new meets the same limit.
    access = [_grant("Admin", "binders"), _grant("Viewer", "lookers")]
    ready(tenant("bindings", namespaces=spaces, access=access))
    for name in ("securetenant-canary", "securetenant-viewer"):
        assert admin.get(kinds.ROLE_BINDING, name, "bindings-a"), name
    # A quarantine reduces access to Viewer, so its RoleBinding was counted before.
    hard = admin.get(kinds.RESOURCE_QUOTA, names.QUOTA, "bindings-a")["spec"]["hard"]
    assert hard == wanted


def test_what_the_cluster_puts_into_every_namespace_comes_with_a_share_of_zero(
    admin: Api, ready: Ready
) -> None:
    """T2: where the share was zero there was no kube-root-ca.crt and no ServiceAccount default."""
    quota = {"configmaps": 1, "count/configmaps": 1, "count/serviceaccounts": 1}
    spaces = [{"name": f"nothing-{each}"} for each in "abc"]
    ready(tenant("nothing", namespaces=spaces, quota=quota))
    hard = admin.get(kinds.RESOURCE_QUOTA, names.QUOTA, "nothing-c")["spec"]["hard"]
    assert {key: hard[key] for key in quota} == dict.fromkeys(quota, "1")
    paths = [
        f"/api/v1/namespaces/nothing-c/{each}"
        for each in ("serviceaccounts/default", "configmaps/kube-root-ca.crt")
    ]

    def uids() -> list[str]:
        answers = [admin.call("GET", path) for path in paths]
        return [each.body["metadata"]["uid"] for each in answers if each.status == 200]

    wait_for(lambda: len(uids()) == 2, what="what the cluster makes")
    before = uids()
    for path in paths:
        admin.call("DELETE", path).ok()
    attempts = itertools.count()

    def again() -> bool:
        # The controller-manager counts after a deletion and forgets one that comes before it knows
        # the limits. After a refusal it waits twice as long, or until the namespace changes.
        secrets = "/api/v1/namespaces/nothing-c/secrets"
        admin.call("POST", secrets, {"metadata": {"name": "counted"}})
        admin.call("DELETE", f"{secrets}/counted")
        changed = {"metadata": {"annotations": {"example.com/attempt": str(next(attempts))}}}
        admin.patch(kinds.NAMESPACE, "nothing-c", changed).ok()
        return len(uids()) == 2 and not {*uids()} & {*before}

    wait_for(again, what="what the cluster makes, a second time", seconds=30)


def test_a_share_in_which_no_pod_fits_is_said_and_not_ready(admin: Api, operator: Operator) -> None:
    """T2: twenty namespaces with fixed shares were Ready, and no default pod fitted anywhere."""
    body = tenant(
        "many",
        namespaces=[{"name": f"many-{number:02}"} for number in range(20)],
        quotaMode="Split",
        quota={"limits.cpu": 8, "limits.memory": "8Gi"},
    )
    admin.create(kinds.SECURE_TENANT, body).ok()
    made = settled(admin, "many", expected="Failed")
    found = conditions(made)
    assert (found["QuotaEnforced"]["status"], found["Ready"]["reason"]) == (
        "False",
        "ShareTooSmall",
    )
    assert "limits.cpu is 400m and it takes 500m" in found["Ready"]["message"]
    assert "limits.cpu: 10," in found["Ready"]["message"]
    wait_for(
        lambda: (
            admin.get(kinds.SECURE_TENANT, "many")["status"]["namespaces"]["summary"] == "20/20"
        ),
        what="the namespaces",
    )
    wait_for_account(admin, "many-00")
    refused = admin.create_pod("many-00", factory.pod(), dryRun="All")
    assert "exceeded quota" in refused.message
    small = {"cpu": "150m", "memory": "64Mi", "ephemeral-storage": "64Mi"}
    admin.create_pod("many-00", factory.pod(limits=small), dryRun="All").ok()
    enough = {"limits.cpu": 10, "limits.memory": "10Gi"}
    body["spec"]["quota"] = enough
    admin.apply(kinds.SECURE_TENANT, body, manager="test").ok()
    settled(admin, "many")
    wait_for(
        lambda: admin.create_pod("many-00", factory.pod(), dryRun="All").status == 201,
        what="a pod of default size",
    )


def test_the_gate_opens_only_for_the_policy_that_lies_there(
    admin: Api, breaker: Api, walls: str
) -> None:
    """H06, H19: no TenantPolicy, another one, a forged label: no pod."""
    assert admin.create_pod(walls, factory.pod(), dryRun="All").status == 201
    for label in ("", "forged"):
        body = {
            "metadata": {
                "name": f"gated{label}",
                "labels": {names.TENANT_LABEL: "nobody", names.READY_FOR_LABEL: label},
            }
        }
        breaker.create(kinds.NAMESPACE, body).ok()
        # Not even a ServiceAccount is made there, so a pod is refused before any policy is asked.
        assert admin.create_pod(f"gated{label}", factory.pod(), dryRun="All").status == 403
        service = {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}
        path = f"/api/v1/namespaces/gated{label}/services"
        assert "no params found" in admin.call("POST", path, service, dryRun="All").message
        policy = {
            "apiVersion": names.API_VERSION,
            "kind": "TenantPolicy",
            "metadata": {"name": names.POLICY_NAME, "namespace": f"gated{label}"},
            "spec": admin.get(kinds.TENANT_POLICY, names.POLICY_NAME, walls)["spec"],
        }
        breaker.create(kinds.TENANT_POLICY, policy, f"gated{label}").ok()

        def refused(name: str = f"gated{label}") -> bool:
            return (
                "is not ready for workloads yet"
                in admin.create_pod(name, factory.pod(), dryRun="All").message
            )

        wait_for(refused, what="the gate's own words")
        breaker.delete(kinds.NAMESPACE, f"gated{label}").ok()


def test_shares_move_and_the_sum_never_exceeds_the_total(admin: Api, ready: Ready) -> None:
    """Looked at in every version of every quota that the API server ever had."""

    def spec(weight: int) -> dict[str, Any]:
        entries = [{"name": "share-a", "quota": {"weight": weight}}, {"name": "share-b"}]
        return tenant("share", namespaces=entries, quota={"pods": 100}, quotaMode="Split")

    ready(spec(1))
    start = admin.call("GET", kinds.RESOURCE_QUOTA.path()).ok()["metadata"]["resourceVersion"]
    for weight in (4, 9, 1):
        ready(spec(weight))
    held = {"share-a": {"spec": 50, "status": 50}, "share-b": {"spec": 50, "status": 50}}
    events = admin.history(kinds.RESOURCE_QUOTA, start)
    looked = 0
    for event in events:
        body = event["object"]
        namespace = body["metadata"]["namespace"]
        if namespace not in held:
            continue
        looked += 1
        held[namespace] = {
            "spec": int(body["spec"]["hard"]["pods"]),
            "status": int(body["status"]["hard"]["pods"]),
        }
        for part in ("spec", "status"):
            assert sum(each[part] for each in held.values()) <= 100, held
    assert looked >= 10
    assert held["share-a"] == {"spec": 50, "status": 50}


def test_a_quota_that_does_not_fit_is_stalled_and_changes_no_share(
    admin: Api, ready: Ready
) -> None:
    ready(tenant("over", quota={"pods": 10}))
    parts = [{"name": f"over-{each}", "quota": {"hard": {"pods": 6}}} for each in "ab"]
    admin.apply(
        kinds.SECURE_TENANT, tenant("over", quota={"pods": 10}, namespaces=parts), manager="test"
    ).ok()

    def stalled() -> Any:
        found = conditions(admin.get(kinds.SECURE_TENANT, "over"))
        return found["QuotaEnforced"] if "Stalled" in found else None

    condition = wait_for(stalled, what="the condition")
    assert condition["reason"] == "QuotaOvercommitted"
    assert "pods: 12 in fixed parts, 10 in total" in condition["message"]
    for namespace in ("over-a", "over-b"):
        quota = admin.get(kinds.RESOURCE_QUOTA, names.QUOTA, namespace)
        assert quota["spec"]["hard"]["pods"] == "5"


def test_the_tenant_ends_where_its_namespaces_end(admin: Api, walls: str) -> None:
    """The peers of the same-tenant policy are chosen by a label that the operator alone sets."""
    policy = admin.get(kinds.NETWORK_POLICY, names.SAME_TENANT, walls)
    peers = [{"namespaceSelector": {"matchLabels": {names.TENANT_LABEL: "fort"}}}]
    assert policy["spec"]["ingress"] == [{"from": peers}]
    assert policy["spec"]["egress"] == [{"to": peers}]
