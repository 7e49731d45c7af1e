"""The roll-out of TenancySettings: the engine with a cluster that lives in memory."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from factory import seen, settings, settings_spec
from fleet import SETTINGS, Fleet
from memory_cluster import Write
from securetenant.api import kinds, names, status
from securetenant.api.objects import Manifest, Ref
from securetenant.plan import rollout
from securetenant.reconcile import keys
from securetenant.reconcile.errors import RefusedError, UnavailableError
from securetenant.reconcile.platform import Platform

OTHER_DNS = {**settings()["spec"]["dns"], "addresses": ["10.96.0.10/32"]}
NGINX = {
    "name": "nginx",
    "namespaceLabels": {"kubernetes.io/metadata.name": "ingress-nginx"},
    "podLabels": {"app": "nginx"},
}
WEB = {
    "ingress": [{"name": "web", "from": [{"ingressController": "nginx"}], "ports": [{"port": 1}]}]
}


def run(test: Callable[[Fleet], Coroutine[Any, Any, None]], **platform: Any) -> None:
    async def body() -> None:
        fleet = Fleet()
        await fleet.set(**platform)
        for number in range(1, 11):
            await fleet.add(f"t{number:02}")
        try:
            await test(fleet)
            assert not [each for each in fleet.cluster.writes if each.verb == "amend"]
        finally:
            await fleet.stop()

    asyncio.run(body())


def refusing(address: str, *, but: str = "") -> Callable[[Manifest], bool]:
    """Refuse DNS policies with an address, as a policy of the platform might."""
    return lambda manifest: address in str(manifest.body) and manifest.ref.namespace != but


def test_a_good_change_reaches_every_tenant() -> None:
    async def test(fleet: Fleet) -> None:
        await fleet.set(dns=OTHER_DNS)
        assert len(fleet.following("10.96.0.10")) == 10
        assert fleet.condition["message"] == "Every tenant follows generation 2"
        assert fleet.told.rolled == (10, 10, False)

    run(test)


def test_a_change_that_harms_the_first_tenant_reaches_no_second_one() -> None:
    async def test(fleet: Fleet) -> None:
        fleet.refuse(refusing("10.96.0.10"))
        await fleet.set(dns=OTHER_DNS)
        assert fleet.told.rolled == (1, 10, True)
        found = fleet.condition
        assert (found["status"], found["reason"]) == ("False", "RollOutHalted")
        assert found["message"] == (
            "1 of 10 tenants follow generation 2; halted, since they made unhealthy: t01 (Refused)."
            " Correct the settings, or go on: kubectl annotate tenancysettings default --overwrite"
            ' securetenant.io/requested-at="$(date -Is)"'
        )
        assert fleet.reasons("t02") == []

    run(test)


def harming(name: str) -> Callable[[Manifest], bool]:
    """Refuse the other DNS server to one tenant only."""
    return lambda manifest: (
        manifest.ref.namespace == f"{name}-a" and "10.96.0.10" in str(manifest.body)
    )


def test_a_change_that_breaks_a_tenant_of_the_last_wave_is_not_rolled_out() -> None:
    """T4: nobody waits any more, and RolledOut was True."""

    async def test(fleet: Fleet) -> None:
        fleet.refuse(harming("t10"))
        await fleet.set(dns=OTHER_DNS)
        found = fleet.condition
        assert (found["status"], found["reason"]) == ("False", "TenantsHarmed")
        assert found["message"] == (
            "Every tenant had its turn with generation 2, and these became unhealthy: t10"
            " (Refused). Correct the settings, or take it as it is: kubectl annotate"
            " tenancysettings default --overwrite"
            ' securetenant.io/requested-at="$(date -Is)"'
        )
        await fleet.restart()
        assert fleet.condition["reason"] == "TenantsHarmed", "a restart forgets no harm"
        fleet.heal()
        await fleet.set(dns={**OTHER_DNS, "addresses": ["10.96.0.11/32"]})
        assert fleet.condition["status"] == "True"

    run(test)


def test_a_tenant_of_the_last_wave_that_recovers_makes_it_rolled_out() -> None:
    """T4: and so does somebody who takes it as it is."""

    async def test(fleet: Fleet) -> None:
        fleet.refuse(harming("t10"))
        await fleet.set(dns=OTHER_DNS)
        fleet.heal()
        fleet.engine.machine.queue.add(keys.unit("t10", "t10-a"))
        await fleet.rest()
        assert fleet.condition["status"] == "True"
        fleet.refuse(
            lambda manifest: (
                manifest.ref.namespace == "t09-a" and "10.96.0.11" in str(manifest.body)
            )
        )
        await fleet.set(dns={**OTHER_DNS, "addresses": ["10.96.0.11/32"]})
        assert fleet.condition["status"] == "False"
        await fleet.poke()
        assert fleet.condition["status"] == "True"

    run(test)


def test_what_befalls_a_tenant_after_a_roll_out_is_none_of_its_doing() -> None:
    """T4: harm counts until every tenant is done, and not hours later."""

    async def test(fleet: Fleet) -> None:
        await fleet.set(dns=OTHER_DNS)
        fleet.refuse(harming("t10"))
        ref = Ref(kinds.NETWORK_POLICY.name, "t10-a", names.DNS)
        fleet.lose(ref)
        await fleet.rest()
        assert fleet.reasons("t10") == ["Refused"]
        assert fleet.condition["status"] == "True"

    run(test)


def test_stored_settings_without_a_dns_server_change_nothing_and_say_so() -> None:
    """T5: they took DNS away from every tenant, and read Ready."""

    async def test(fleet: Fleet) -> None:
        fleet.cluster.writes.clear()
        await fleet.set(dns={"pods": [], "addresses": [], "ports": [53]})
        assert not [ref for ref in fleet.made if ref.kind != kinds.SECURE_TENANT.name]
        assert fleet.condition["status"] == "False"
        assert "dns names no server" in fleet.condition["message"]
        tenant_status = fleet.cluster.objects[Ref(kinds.SECURE_TENANT.name, "", "t01")]["status"]
        (ready,) = (each for each in tenant_status["conditions"] if each["type"] == "Ready")
        assert (ready["status"], ready["reason"]) == ("False", "SettingsMissing")
        assert "dns names no server" in ready["message"]

    run(test)


def test_a_correction_is_for_the_harmed_tenant_and_then_for_all() -> None:
    async def test(fleet: Fleet) -> None:
        fleet.refuse(refusing("10.96.0.10"))
        await fleet.set(dns=OTHER_DNS)
        await fleet.set(dns={**OTHER_DNS, "addresses": ["10.96.0.11/32"]})
        assert len(fleet.following("10.96.0.11")) == 10
        assert fleet.condition["status"] == "True"
        assert fleet.reasons("t01") == []

    run(test)


def test_who_was_harmed_once_and_recovered_is_not_the_first_for_ever() -> None:
    async def test(fleet: Fleet) -> None:
        fleet.refuse(
            lambda manifest: (
                manifest.ref.namespace == "t03-a" and "10.96.0.10" in str(manifest.body)
            )
        )
        await fleet.set(dns=OTHER_DNS)
        assert "unhealthy: t03 (Refused)" in fleet.condition["message"]
        await fleet.set(dns={**OTHER_DNS, "addresses": ["10.96.0.11/32"]})
        fleet.refuse(refusing("10.96.0.12"))
        await fleet.set(dns={**OTHER_DNS, "addresses": ["10.96.0.12/32"]})
        assert "unhealthy: t01 (Refused)" in fleet.condition["message"]

    run(test)


def test_taking_a_change_back_concerns_those_that_followed_it() -> None:
    async def test(fleet: Fleet) -> None:
        fleet.refuse(refusing("10.96.0.10"))
        await fleet.set(dns=OTHER_DNS)
        fleet.cluster.writes.clear()
        await fleet.set()
        assert fleet.condition["status"] == "True"
        assert {ref.namespace for ref in fleet.made} <= {"", "t01-a"}

    run(test)


def test_a_poke_lets_it_go_on_until_the_next_harm() -> None:
    async def test(fleet: Fleet) -> None:
        fleet.refuse(refusing("10.96.0.10"))
        await fleet.set(dns=OTHER_DNS)
        await fleet.poke()
        assert fleet.told.rolled == (3, 10, True), "the next wave is of two"
        fleet.heal()
        await fleet.poke()
        assert fleet.told.rolled == (10, 10, False)

    run(test)


def test_drift_of_a_tenant_that_waits_is_repaired_by_the_settings_that_it_follows() -> None:
    async def test(fleet: Fleet) -> None:
        fleet.refuse(refusing("10.96.0.10"))
        await fleet.set(dns=OTHER_DNS)
        ref = Ref(kinds.NETWORK_POLICY.name, "t05-a", names.DNS)
        gone = fleet.lose(ref)
        await fleet.rest()
        assert fleet.cluster.objects[ref]["spec"] == gone["spec"]

    run(test)


def test_who_changes_a_spec_gets_the_newest_settings_at_once() -> None:
    async def test(fleet: Fleet) -> None:
        fleet.refuse(refusing("10.96.0.10", but="t05-a"))
        await fleet.set(dns=OTHER_DNS)
        await fleet.add("t05", lockdown="Frozen")
        assert fleet.following("10.96.0.10") == ["t05"]
        assert fleet.told.rolled == (2, 10, True)

    run(test)


def test_a_new_bound_is_judged_at_once() -> None:
    """The admission policies hold everybody to it from the first moment too."""

    async def test(fleet: Fleet) -> None:
        await fleet.add("t09", quota={"pods": 40})
        fleet.refuse(refusing("10.96.0.10"))
        bounds = {"quota": {"pods": 30}}
        await fleet.set(dns=OTHER_DNS, bounds=bounds, defaultQuota={"pods": 20, "requests.cpu": 4})
        assert fleet.told.rolled == (1, 10, True)
        assert fleet.reasons("t09") == ["BoundPassed"]
        assert fleet.reasons("t08") == [], "its quota is the default's, old or new"

    run(test)


def test_what_only_a_bound_names_is_counted_at_once() -> None:
    """The operator itself is held to the bound, so it could repair no quota without the key."""

    async def test(fleet: Fleet) -> None:
        fleet.refuse(refusing("10.96.0.10"))
        await fleet.set(dns=OTHER_DNS, bounds={"quota": {"configmaps": 7}})
        assert fleet.told.rolled == (1, 10, True)
        hard = [
            body["spec"]["hard"].get("configmaps")
            for ref, body in fleet.cluster.objects.items()
            if ref.kind == "ResourceQuota"
        ]
        assert set(hard) == {"7"}

    run(test)


def test_settings_that_only_refuse_have_no_roll_out() -> None:
    async def test(fleet: Fleet) -> None:
        fleet.cluster.writes.clear()
        fleet.show(protectedNames=["monitoring-*"], bounds={"users": []})
        assert not fleet.engine.machine.rollout.is_under_way
        await fleet.rest()
        assert fleet.condition["message"] == "Every tenant follows generation 2"
        assert [(each.verb, each.ref) for each in fleet.cluster.writes] == [("status", SETTINGS)]

    run(test)


def test_what_settings_lack_for_a_tenant_halts_them_too() -> None:
    """No write fails: the tenant asks for what is not there any more."""

    async def test(fleet: Fleet) -> None:
        for name in ("t01", "t02", "t03"):
            await fleet.add(name, network=WEB)
        await fleet.set()
        assert "t01 (NotInSettings)" in fleet.condition["message"]
        assert fleet.reasons("t02") == []

    run(test, ingressControllers=[NGINX])


def test_settings_that_change_twice_are_still_halted() -> None:
    """The second change finds a tenant at work, and knows that it was healthy before."""

    async def test(fleet: Fleet) -> None:
        fleet.fail(UnavailableError("later"), lambda _: True)
        await fleet.set(dns={**OTHER_DNS, "addresses": ["10.96.0.9/32"]})
        assert fleet.condition["message"] == (
            "1 of 10 tenants follow generation 2; the next wait for t01"
        )
        fleet.refuse(
            lambda manifest: (
                manifest.ref.namespace == "t01-a" and "10.96.0.10" in str(manifest.body)
            )
        )
        await fleet.set(dns=OTHER_DNS)
        assert fleet.told.rolled == (1, 10, True)

    run(test)


def test_a_restart_in_the_middle_goes_no_further() -> None:
    async def test(fleet: Fleet) -> None:
        fleet.refuse(refusing("10.96.0.10"))
        await fleet.set(dns=OTHER_DNS)
        fleet.heal()
        await fleet.restart()
        assert fleet.told.rolled == (0, 10, True)
        assert fleet.condition["reason"] == "RollOutHalted"
        assert fleet.following("10.96.0.10") == []
        await fleet.poke()
        assert len(fleet.following("10.96.0.10")) == 10

    run(test)


def test_what_was_never_followed_is_not_what_a_tenant_is_kept_by() -> None:
    """After a restart tenants were read by settings whose turn never came."""

    async def test(fleet: Fleet) -> None:
        fleet.refuse(refusing("10.96.0.10"))
        await fleet.set(dns=OTHER_DNS)
        await fleet.restart()
        fleet.refuse(refusing("10.96.0.11"))
        await fleet.set(dns={**OTHER_DNS, "addresses": ["10.96.0.11/32"]})
        assert fleet.following("10.96.0.10") == []
        assert fleet.condition["reason"] == "RollOutHalted"

    run(test)


def test_settings_that_change_while_nobody_works_are_rolled_out_in_waves() -> None:
    async def test(fleet: Fleet) -> None:
        fleet.refuse(refusing("10.96.0.10"))
        await fleet.restart(meanwhile={"dns": OTHER_DNS})
        assert fleet.told.rolled == (1, 10, True)

    run(test)


def test_a_tenant_in_a_conflict_is_not_harmed_by_settings() -> None:
    """The namespace that it asks for is another tenant's, and ready for that one."""

    async def test(fleet: Fleet) -> None:
        await fleet.add("rival", namespaces=[{"name": "t01-a"}])
        assert fleet.reasons("rival") == ["Conflict"]
        await fleet.restart(meanwhile={"dns": OTHER_DNS})
        assert fleet.told.rolled == (11, 11, False)

    run(test)


def test_drift_from_before_a_restart_is_repaired_at_once_where_no_roll_out_was_under_way() -> None:
    """In waves, the first tenant whose repair is refused would keep the others unprotected."""

    async def test(fleet: Fleet) -> None:
        walls = [ref for ref in fleet.cluster.objects if ref.name == names.DEFAULT_DENY]
        for ref in walls:
            fleet.cluster.remove(ref)
        fleet.refuse(lambda manifest: manifest.ref == walls[0])
        await fleet.restart()
        assert set(walls) - fleet.cluster.objects.keys() == {walls[0]}

    run(test)


def test_a_restart_in_peace_writes_nothing() -> None:
    async def test(fleet: Fleet) -> None:
        await fleet.restart()
        assert fleet.cluster.writes == []
        assert fleet.told.rolled == (10, 10, False)

    run(test)


def test_a_status_never_names_a_generation_that_was_not_seen() -> None:
    """The answer to a status write shows a newer one before the watch does."""
    platform = Platform()
    old, new = seen(settings(), 1), seen(settings(), 2)
    platform.take_settings(old)
    platform.take_status({**new, "status": {"observedGeneration": 1}})
    assert platform.settings_body == {**old, "status": {"observedGeneration": 1}}


def test_an_older_body_of_the_settings_brings_no_older_status() -> None:
    """A change that comes during a status write has the status of before."""
    platform = Platform()
    platform.take_settings(seen(settings(), 1))
    platform.take_status({**seen(settings(), 3), "status": {"observedGeneration": 1}})
    platform.take_settings({**seen(settings(), 2), "status": {}})
    assert platform.settings_body is not None
    assert platform.settings_body["status"] == {"observedGeneration": 1}
    platform.take_settings({**seen(settings(), 4), "status": {}})
    assert platform.settings_body["status"] == {}, "somebody took it"


def test_a_tenant_whose_finalizer_fails_at_first_is_made_by_the_next_try() -> None:
    async def test(fleet: Fleet) -> None:
        fleet.refuse(lambda manifest: manifest.ref.kind == kinds.SECURE_TENANT.name)
        await fleet.add("late", held=False)
        fleet.heal()
        fleet.engine.machine.queue.add(keys.tenant("late"))
        await fleet.rest()
        assert Ref(kinds.NAMESPACE.name, "", "late-a") in fleet.cluster.objects

    run(test)


def test_a_deletion_that_is_seen_during_the_work_on_a_tenant_is_told_as_one() -> None:
    """What is found while its namespaces are kept says nothing about its deletion."""

    async def test(fleet: Fleet) -> None:
        def ask_for_deletion(write: Write) -> None:
            if write.ref.kind == binding["kind"]:
                fleet.engine.tenant_seen("brief", fleet.cluster.remove(ref))

        await fleet.add("brief")
        ref = Ref(kinds.SECURE_TENANT.name, "", "brief")
        stranger = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "old", "namespace": "brief-a"},
            "roleRef": {"kind": "Role", "name": "any"},
            "subjects": [{"kind": "ServiceAccount", "name": "ci", "namespace": "t01-a"}],
        }
        binding = fleet.cluster.put(stranger)
        fleet.cluster.wrote = ask_for_deletion
        fleet.cluster.writes.clear()
        seen = Ref(binding["kind"], "brief-a", "old")
        for each in fleet.engine.watches():
            if (each.kind, each.selector) == (kinds.ROLE_BINDING, names.FOREIGN_SELECTOR):
                each.seen(seen, binding)
        await fleet.rest()
        assert ref not in fleet.cluster.objects
        told = [
            each.after["status"]
            for each in fleet.cluster.writes
            # That of TenancySettings tells that the name of its namespace rests.
            if each.verb == "status" and each.ref == ref
        ]
        assert [each["conditions"][0]["reason"] for each in told] == [status.TERMINATING]
        fleet.cluster.writes.clear()

    run(test)


def test_nothing_is_said_of_a_new_secure_tenant_by_the_spec_of_one_whose_end_was_not_seen() -> None:
    """The watch may tell of the new one alone."""

    async def test(fleet: Fleet) -> None:
        await fleet.add("heir", held=False, enforcement="Audit")
        ref = Ref(kinds.SECURE_TENANT.name, "", "heir")
        fleet.cluster.objects.pop(ref)
        await fleet.add("heir", namespaces=[{"name": "heir-b"}])
        told = fleet.cluster.objects[ref]["status"]["conditions"][0]
        assert told["reason"] == status.CONSENT_NEEDED
        assert "Audit" not in told["message"]
        fleet.cluster.writes.clear()

    run(test)


def test_namespaces_that_cannot_be_let_go_of_are_named_with_the_reason() -> None:
    """Ready was True while the former members went on in them: the list of names was full."""

    async def test(fleet: Fleet) -> None:
        both = [{"name": "parting-a"}, {"name": "parting-b"}]
        await fleet.add("parting", namespaces=both)

        def refuse(verb: str, ref: Ref, _: Any) -> None:
            if (verb, ref) == ("status", SETTINGS):
                raise RefusedError("Too many: 2001")

        fleet.cluster.fault = refuse
        await fleet.add("parting", namespaces=both[:1])
        ref = Ref(kinds.SECURE_TENANT.name, "", "parting")

        def told() -> dict[str, Any]:
            found: dict[str, Any] = fleet.cluster.objects[ref]["status"]["conditions"][0]
            return found

        assert (told()["status"], told()["reason"]) == ("False", status.REFUSED)
        assert told()["message"].startswith("Not let go of yet: parting-b. Who had a name")
        assert "is refused: Too many: 2001. See: kubectl get tenancy" in told()["message"]
        fleet.heal()
        fleet.engine.machine.tell_settings()
        await fleet.rest()
        # Nothing is installed in memory, so this is what is left to say.
        assert told()["reason"] == status.POLICIES_CHANGED
        fleet.cluster.writes.clear()

    run(test)


def test_who_adds_something_again_and_again_does_not_keep_a_wall_from_coming_back() -> None:
    """What is not wanted is deleted ahead of all other work once, and then beside it."""

    async def test(fleet: Fleet) -> None:
        wall = Ref(kinds.NETWORK_POLICY.name, "t01-a", names.DEFAULT_DENY)
        seen = Ref(kinds.NETWORK_POLICY.name, "t01-a", names.DNS)
        deletions: list[int] = []

        def add() -> None:
            like = fleet.cluster.objects[seen]
            impostor = Ref(seen.kind, seen.namespace, f"sneaky-{len(deletions)}")
            body = {**like, "metadata": {**like["metadata"], "name": impostor.name}}
            fleet.engine.object_seen(impostor, fleet.cluster.put(body))

        def again(write: Write) -> None:
            if write.verb != "delete":
                return
            deletions.append(len(fleet.made))
            if len(deletions) < 20:
                add()

        fleet.cluster.wrote = again
        fleet.lose(wall)
        before = len(fleet.made)
        add()
        await fleet.rest()
        assert fleet.made[before] == wall
        assert sum(count == before for count in deletions) <= 2

    run(test)


def test_a_namespace_is_shut_while_its_default_deny_cannot_be_put_back() -> None:
    """S8: whatever refuses it, no new pod comes without it."""

    async def test(fleet: Fleet) -> None:
        home = Ref(kinds.NAMESPACE.name, "", "t05-a")
        deny = Ref(kinds.NETWORK_POLICY.name, "t05-a", names.DEFAULT_DENY)

        def label() -> str | None:
            labels = fleet.cluster.objects[home]["metadata"]["labels"]
            return dict(labels).get(names.READY_FOR_LABEL)

        assert label()
        fleet.refuse(lambda manifest: manifest.ref == deny)
        fleet.lose(deny)
        await fleet.rest()
        assert label() is None
        assert fleet.reasons("t05") == ["Refused"]
        fleet.heal()
        fleet.engine.machine.queue.add(keys.unit("t05", "t05-a"))
        await fleet.rest()
        assert deny in fleet.cluster.objects
        assert label()

    run(test)


def test_what_refuses_is_never_held_back() -> None:
    old = settings_spec()
    new = settings_spec(
        bounds={"users": []}, protectedNames=["a"], teardownsPerHour=0, dns=OTHER_DNS
    )
    held = rollout.held(old, new)
    assert (held.bounds, held.protected_names, held.teardowns_per_hour) == (
        new.bounds,
        new.protected_names,
        0,
    )
    assert held.dns == old.dns
