"""Namespaces that are taken with consent: looked through first, cut off from nothing declared."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import factory
from fleet import Fleet
from memory_cluster import Write
from securetenant.api import kinds, names
from securetenant.api.objects import Body, Ref
from securetenant.concerns.bindings.concern import ForeignBindings
from securetenant.reconcile.errors import UnavailableError

NAMESPACE = Ref(kinds.NAMESPACE.name, "", "lived-in")
DENY = Ref(kinds.NETWORK_POLICY.name, "lived-in", names.DEFAULT_DENY)
OPENING = Ref(kinds.NETWORK_POLICY.name, "lived-in", "securetenant-egress-db")
SPEC: dict[str, Any] = {
    "namespaces": [{"name": "lived-in"}],
    "network": {
        "egress": [{"name": "db", "to": [{"cidr": "10.20.0.0/16"}], "ports": [{"port": 5432}]}]
    },
}
STRANGER = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "RoleBinding",
    "metadata": {"name": "old", "namespace": "lived-in"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
    "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "jane"}],
}


def run(test: Callable[[Fleet], Awaitable[None]]) -> None:
    async def body() -> None:
        fleet = Fleet()
        await fleet.set()
        try:
            await test(fleet)
        finally:
            await fleet.stop()

    asyncio.run(body())


def there(fleet: Fleet, owner: str = "", consent: str = "acme", **labels: str) -> None:
    """Have the namespace be there, of somebody or of nobody."""
    annotations = {names.ADOPT_ANNOTATION: consent} if consent else {}
    body = factory.namespace("lived-in", owner, labels=labels, annotations=annotations)
    fleet.engine.object_seen(NAMESPACE, fleet.cluster.put(body))


def ready(fleet: Fleet) -> Body:
    body = fleet.cluster.objects[Ref(kinds.SECURE_TENANT.name, "", "acme")]
    return dict(next(e for e in body["status"]["conditions"] if e["type"] == "Ready"))


def test_nothing_that_is_declared_is_cut_off_while_a_namespace_is_taken() -> None:
    """Its pods run and speak: default-deny comes after every opening."""

    async def test(fleet: Fleet) -> None:
        there(fleet)
        await fleet.add("acme", **SPEC)
        order = [each.ref for each in fleet.cluster.writes]
        assert order.index(OPENING) < order.index(DENY)
        assert order.index(NAMESPACE) < order.index(OPENING)
        labels = fleet.cluster.objects[NAMESPACE]["metadata"]["labels"]
        assert labels[names.TENANT_LABEL] == "acme"
        assert names.ADOPT_ANNOTATION not in (
            fleet.cluster.objects[NAMESPACE]["metadata"].get("annotations") or {}
        )

    run(test)


@pytest.mark.parametrize("consent", ["", "beta"])
def test_without_consent_for_this_tenant_nothing_is_touched(consent: str) -> None:
    async def test(fleet: Fleet) -> None:
        there(fleet, consent=consent)
        await fleet.add("acme", **SPEC)
        assert DENY not in fleet.cluster.objects
        assert names.TENANT_LABEL not in (
            fleet.cluster.objects[NAMESPACE]["metadata"].get("labels") or {}
        )
        told = ready(fleet)
        assert told["reason"] == "Conflict"
        assert "kubectl annotate namespace lived-in securetenant.io/adopt=acme" in told["message"]

    run(test)


@pytest.mark.parametrize("consent", ["", "Acme", "acme,beta"])
def test_a_retained_namespace_is_not_taken_back_by_a_consent_that_names_another(
    consent: str,
) -> None:
    """Bad input: nothing, another spelling, a list; the message says what to write."""

    async def test(fleet: Fleet) -> None:
        there(fleet, "acme", consent, **{names.STATE_LABEL: names.RETAINED})
        await fleet.add("acme", **SPEC)
        told = ready(fleet)
        assert told["reason"] == "ConsentNeeded"
        assert "kubectl annotate namespace lived-in securetenant.io/adopt=acme" in told["message"]
        assert DENY not in fleet.cluster.objects

    run(test)


def test_what_is_against_the_spec_keeps_a_namespace_from_being_taken() -> None:
    """It is named, and nothing is touched; in Audit mode the namespace is taken with it."""

    async def test(fleet: Fleet) -> None:
        there(fleet)
        fleet.cluster.put(STRANGER)
        await fleet.add("acme", **SPEC)
        told = ready(fleet)
        assert told["reason"] == "AdoptionBlocked"
        assert "RoleBinding lived-in/old" in told["message"]
        assert "with spec.enforcement: Audit" in told["message"]
        assert DENY not in fleet.cluster.objects
        await fleet.add("acme", **SPEC, enforcement="Audit")
        assert DENY in fleet.cluster.objects
        assert Ref("RoleBinding", "lived-in", "old") in fleet.cluster.objects

    run(test)


def test_pods_that_take_more_than_the_share_keep_it_from_being_taken_in_both_modes() -> None:
    """They could not be replaced."""

    async def test(fleet: Fleet) -> None:
        there(fleet)
        for number in range(3):
            body = factory.pod()
            body["metadata"] = {"name": f"p{number}", "namespace": "lived-in"}
            fleet.cluster.put({"apiVersion": "v1", "kind": "Pod", **body})
        await fleet.add("acme", **SPEC, enforcement="Audit", quota={"pods": 2})
        told = ready(fleet)
        assert told["reason"] == "AdoptionBlocked"
        assert "its pods take pods 3, and it can have 2 (spec.quota)" in told["message"]
        await fleet.add("acme", **SPEC, enforcement="Audit", quota={"pods": 3})
        assert DENY in fleet.cluster.objects

    run(test)


async def lent(fleet: Fleet) -> None:
    """Have tenant beta let go of the namespace, and acme ask for it."""
    access = [
        {"name": "a", "role": "Admin", "subjects": [{"kind": "User", "name": "former-admin"}]}
    ]
    await fleet.add("beta", namespaces=[{"name": "lived-in"}, {"name": "beta-b"}], access=access)
    await fleet.add("beta", namespaces=[{"name": "beta-b"}], access=access)
    body = fleet.cluster.objects[NAMESPACE]
    assert body["metadata"]["labels"][names.STATE_LABEL] == names.RETAINED
    metadata = {**body["metadata"], "annotations": {names.ADOPT_ANNOTATION: "acme"}}
    given = fleet.cluster.put({**body, "metadata": metadata})
    fleet.engine.object_seen(NAMESPACE, given)
    await fleet.rest()


async def allow(fleet: Fleet) -> None:
    """Say that nobody has a watch of the namespace open any more."""
    ref = Ref(kinds.SECURE_TENANT.name, "", "acme")
    body = fleet.cluster.objects[ref]
    metadata = {**body["metadata"], "annotations": {names.REUSE_ANNOTATION: "lived-in"}}
    fleet.engine.tenant_seen("acme", fleet.cluster.put({**body, "metadata": metadata}))
    await fleet.rest()


def test_a_namespace_moves_to_another_tenant_once_nobody_can_still_watch_it() -> None:
    """Kubernetes authorizes a watch once: consent on the namespace is not enough."""

    async def test(fleet: Fleet) -> None:
        await lent(fleet)
        await fleet.add("acme", **SPEC)
        told = ready(fleet)
        assert told["reason"] == "Conflict"
        assert "can still have a watch open" in told["message"]
        fleet.cluster.writes.clear()
        await allow(fleet)
        labels = fleet.cluster.objects[NAMESPACE]["metadata"]["labels"]
        assert (labels[names.TENANT_LABEL], labels[names.STATE_LABEL]) == ("acme", names.ACTIVE)
        order = [(each.verb, each.ref) for each in fleet.cluster.writes]
        former = Ref("RoleBinding", "lived-in", names.role_binding("Admin"))
        taken = order.index(("apply", NAMESPACE))
        assert order.index(("delete", former)) < taken, "former access goes first"
        policy = fleet.cluster.objects[Ref("TenantPolicy", "lived-in", names.POLICY_NAME)]
        assert policy["spec"]["tenant"] == "acme"
        assert ready(fleet)["reason"] not in ("Conflict", "ConsentNeeded", "AdoptionBlocked")

    run(test)


def test_what_gives_rights_to_accounts_of_a_former_tenant_keeps_it_from_being_taken() -> None:
    async def test(fleet: Fleet) -> None:
        await lent(fleet)
        account = {"kind": "ServiceAccount", "name": "ci", "namespace": "lived-in"}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "mine"}
        fleet.cluster.put({**STRANGER, "roleRef": role, "subjects": [account]})
        await fleet.add("acme", **SPEC, enforcement="Audit")
        await allow(fleet)
        told = ready(fleet)
        assert told["reason"] == "AdoptionBlocked"
        assert "RoleBindings old give rights to ServiceAccounts" in told["message"]

    run(test)


def test_rights_of_its_own_accounts_are_no_obstacle_in_a_namespace_of_nobody() -> None:
    async def test(fleet: Fleet) -> None:
        there(fleet)
        account = {"kind": "ServiceAccount", "name": "ci", "namespace": "lived-in"}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "mine"}
        fleet.cluster.put({**STRANGER, "roleRef": role, "subjects": [account]})
        await fleet.add("acme", **SPEC)
        await allow(fleet)
        assert ready(fleet)["reason"] != "AdoptionBlocked", ready(fleet)

    run(test)


def test_what_is_put_aside_from_before_brings_nobody_in() -> None:
    """An annotation that somebody planted would name those that the operator then binds."""

    async def test(fleet: Fleet) -> None:
        there(fleet)
        body = {key: value for key, value in STRANGER.items() if key != "subjects"}
        body["metadata"] = {
            "name": "sleeper",
            "namespace": "lived-in",
            "annotations": {names.ASIDE: "User jane"},
        }
        body["roleRef"] = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "mine"}
        fleet.cluster.put(body)
        await fleet.add("acme", **SPEC, enforcement="Audit")
        await allow(fleet)
        told = ready(fleet)
        assert told["reason"] == "AdoptionBlocked"
        assert "RoleBindings sleeper hold the names of others" in told["message"]

    run(test)


QUOTA: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ResourceQuota",
    "metadata": {"name": "old", "namespace": "lived-in"},
    "spec": {"hard": {}},
}


@pytest.mark.parametrize(
    ("key", "hard", "used", "more"),
    [
        ("count/networkpolicies.networking.k8s.io", "4", "2", 4),
        ("count/rolebindings.rbac.authorization.k8s.io", "1", "1", 1),
        ("count/tenantpolicies.securetenant.io", "0", "0", 1),
        ("resourcequotas", "1", "1", 1),
    ],
)
def test_a_quota_of_others_that_would_stop_it_halfway_keeps_a_namespace_from_being_taken(
    key: str, hard: str, used: str, more: int
) -> None:
    """It is taken as a whole or not at all, in Audit mode too."""

    async def test(fleet: Fleet) -> None:
        there(fleet)
        body = {**QUOTA, "spec": {"hard": {key: hard}}, "status": {"used": {key: used}}}
        fleet.cluster.put(body)
        await fleet.add("acme", **SPEC, enforcement="Audit")
        told = ready(fleet)
        assert told["reason"] == "AdoptionBlocked"
        assert (
            f"ResourceQuota old allows {key} {hard}, {used} are used, and the operator makes"
            f" {more} more: raise its limit or delete it"
        ) in told["message"]
        assert DENY not in fleet.cluster.objects
        body["spec"] = {"hard": {key: str(int(used) + more)}}
        fleet.cluster.put(body)
        await fleet.add("acme", **SPEC)
        assert DENY in fleet.cluster.objects

    run(test)


def test_objects_beyond_the_share_keep_it_from_being_taken() -> None:
    """No other could be made in their place."""

    async def test(fleet: Fleet) -> None:
        there(fleet)
        for number in range(3):
            metadata = {"name": f"s{number}", "namespace": "lived-in"}
            spec = {"ports": [{"port": 80}]}
            body = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
            fleet.cluster.put(body)
        await fleet.add("acme", **SPEC, enforcement="Audit", quota={"services": 2})
        assert ready(fleet)["reason"] == "AdoptionBlocked"
        assert "it holds services 3, and it can have 2 (spec.quota)" in ready(fleet)["message"]
        await fleet.add("acme", **SPEC, enforcement="Audit", quota={"services": 3})
        assert DENY in fleet.cluster.objects, ready(fleet)

    run(test)


def test_access_of_the_former_tenant_that_would_stay_keeps_it_from_being_taken() -> None:
    """Somebody's finalizer on a RoleBinding is named before anything is touched."""

    async def test(fleet: Fleet) -> None:
        await lent(fleet)
        ref = Ref("RoleBinding", "lived-in", names.role_binding("Admin"))
        body = fleet.cluster.objects[ref]
        metadata = {**body["metadata"], "finalizers": ["example.com/keep"]}
        fleet.cluster.put({**body, "metadata": metadata})
        await fleet.add("acme", **SPEC)
        await allow(fleet)
        told = ready(fleet)
        assert told["reason"] == "AdoptionBlocked"
        assert (
            f"RoleBindings {ref.name} (example.com/keep) could not be deleted: remove these"
            " finalizers first"
        ) in told["message"]
        assert fleet.cluster.objects[NAMESPACE]["metadata"]["labels"][names.TENANT_LABEL] == "beta"

    run(test)


@pytest.mark.parametrize(
    "subject",
    [
        {"kind": "ServiceAccount", "name": "ci", "namespace": "lived-in"},
        {"kind": "User", "name": "system:serviceaccount:lived-in:ci"},
        {"kind": "Group", "name": "system:serviceaccounts:lived-in"},
    ],
)
def test_rights_in_the_whole_cluster_keep_it_from_being_taken_in_enforce_mode(
    subject: dict[str, str],
) -> None:
    """Everybody who may run pods there would have them."""

    async def test(fleet: Fleet) -> None:
        there(fleet)
        binding = {**STRANGER, "kind": "ClusterRoleBinding", "metadata": {"name": "ci-is-root"}}
        fleet.cluster.put({**binding, "subjects": [subject]})
        others = [{"kind": "Group", "name": "system:serviceaccounts"}]
        fleet.cluster.put({**binding, "metadata": {"name": "all"}, "subjects": others})
        await fleet.add("acme", **SPEC)
        told = ready(fleet)
        assert told["reason"] == "AdoptionBlocked"
        assert "ClusterRoleBindings ci-is-root give rights to its" in told["message"]
        assert "with spec.enforcement: Audit it is taken nevertheless" in told["message"]
        await fleet.add("acme", **SPEC, enforcement="Audit")
        assert DENY in fleet.cluster.objects

    run(test)


def test_rights_in_a_namespace_of_the_platform_keep_it_from_being_taken_in_enforce_mode() -> None:
    async def test(fleet: Fleet) -> None:
        there(fleet)
        account = {"kind": "ServiceAccount", "name": "ci", "namespace": "lived-in"}
        metadata = {"name": "deploys", "namespace": "ingress-nginx"}
        fleet.cluster.put(factory.namespace("ingress-nginx", ""))
        body = fleet.cluster.put({**STRANGER, "metadata": metadata, "subjects": [account]})
        (watch,) = (
            each
            for concern in fleet.engine.concerns
            if isinstance(concern, ForeignBindings)
            for each in concern.watches()
        )
        watch.seen(Ref("RoleBinding", "ingress-nginx", "deploys"), body)
        await fleet.add("acme", **SPEC)
        told = ready(fleet)
        assert told["reason"] == "AdoptionBlocked"
        assert "RoleBinding deploys in ingress-nginx give rights to its" in told["message"]
        await fleet.add("acme", **SPEC, enforcement="Audit")
        assert DENY in fleet.cluster.objects

    run(test)


def test_an_opening_that_is_not_made_keeps_it_from_being_taken() -> None:
    """What runs would be cut off from something that is declared."""

    async def test(fleet: Fleet) -> None:
        there(fleet)
        web = {"name": "web", "from": [{"ingressController": "absent"}], "ports": [{"port": 80}]}
        lacking = {**SPEC, "network": {"ingress": [web]}}
        await fleet.add("acme", **lacking, enforcement="Audit")
        told = ready(fleet)
        assert told["reason"] == "AdoptionBlocked"
        assert (
            "TenancySettings do not know ingress controller absent (opening web)"
            in (told["message"])
        )
        assert DENY not in fleet.cluster.objects
        await fleet.add("acme", **SPEC)
        assert DENY in fleet.cluster.objects

    run(test)


async def taken(fleet: Fleet) -> None:
    await fleet.add("acme", **SPEC)
    await allow(fleet)


def test_an_operator_that_ends_at_any_write_leaves_what_the_next_one_completes() -> None:
    """No second consent is needed, and the former tenant has nothing left."""
    wanted: list[Any] = []

    async def whole(fleet: Fleet) -> None:
        await lent(fleet)
        fleet.cluster.writes.clear()
        await taken(fleet)
        wanted.append(len(fleet.cluster.writes))
        wanted.append(inside(fleet))

    run(whole)
    count, expected = wanted
    for last in range(count):

        async def test(fleet: Fleet, last: int = last) -> None:
            await lent(fleet)
            left = last

            def note(_: Write) -> None:
                nonlocal left
                left -= 1

            def fault(verb: str, ref: Ref, sent: Any) -> None:
                if left <= 0:
                    raise UnavailableError("gone")

            fleet.cluster.wrote, fleet.cluster.fault = note, fault
            await taken(fleet)
            fleet.heal()
            fleet.cluster.wrote = lambda _: None
            await fleet.restart()
            await allow(fleet)
            assert inside(fleet) == expected, last

        run(test)


def inside(fleet: Fleet) -> dict[Ref, Any]:
    """Return what is in the namespace, and whose it is."""
    return {
        ref: body.get("spec") or body.get("subjects") or body["metadata"].get("labels")
        for ref, body in fleet.cluster.objects.items()
        if ref.namespace == "lived-in" or ref == NAMESPACE
    }
