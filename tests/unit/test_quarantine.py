"""A quarantine: what is written, and how many at a time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import factory
from fleet import Fleet
from securetenant.api import kinds, names
from securetenant.api.objects import Body, Ref

ACCESS = [
    {"name": "a", "role": "Admin", "subjects": [{"kind": "Group", "name": "admins"}]},
    {"name": "d", "role": "Developer", "subjects": [{"kind": "User", "name": "dev"}]},
]
ADMIN = Ref(kinds.ROLE_BINDING.name, "acme-a", names.role_binding("Admin"))
VIEWER = Ref(kinds.ROLE_BINDING.name, "acme-a", names.role_binding("Viewer"))


def run(test: Callable[[Fleet], Awaitable[None]]) -> None:
    async def body() -> None:
        fleet = Fleet()
        await fleet.set()
        try:
            await test(fleet)
        finally:
            await fleet.stop()

    asyncio.run(body())


def policy(name: str, selector: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": "acme-a"},
        "spec": {
            "podSelector": selector,
            "policyTypes": ["Egress"],
            "egress": [{"to": [{"podSelector": {}}]}],
        },
    }


def show(fleet: Fleet, body: dict[str, Any]) -> Ref:
    """Let a member make an object, and the operator see it."""
    ref = Ref(body["kind"], body["metadata"]["namespace"], body["metadata"]["name"])
    made = fleet.cluster.put(body)
    for watch in (each for concern in fleet.engine.concerns for each in concern.watches()):
        if (watch.kind.name, watch.selector) == (ref.kind, names.FOREIGN_SELECTOR):
            watch.seen(ref, made)
    return ref


def spec_of(fleet: Fleet, ref: Ref) -> Body:
    return dict(fleet.cluster.objects[ref]["spec"])


def owned(fleet: Fleet, kind: kinds.Kind) -> dict[Ref, Body]:
    return {ref: body for ref, body in fleet.cluster.objects.items() if ref.kind == kind.name}


def test_network_policies_of_the_operator_are_put_aside_and_brought_back_by_patches() -> None:
    """Each deletion would have the quota counted again, and an apply costs twice as much."""

    async def test(fleet: Fleet) -> None:
        await fleet.add("acme", access=ACCESS)
        before = owned(fleet, kinds.NETWORK_POLICY)
        for lockdown in ("Quarantined", "None"):
            fleet.cluster.writes.clear()
            await fleet.add("acme", access=ACCESS, lockdown=lockdown)
            verbs = {
                each.verb
                for each in fleet.cluster.writes
                if each.ref.kind == kinds.NETWORK_POLICY.name
            }
            assert verbs == {"amend"}
        after = owned(fleet, kinds.NETWORK_POLICY)
        assert {ref: body["spec"] for ref, body in after.items()} == {
            ref: body["spec"] for ref, body in before.items()
        }

    run(test)


def test_a_role_binding_that_is_put_aside_says_who_comes_back() -> None:
    """Also when the grant changes meanwhile: an older list would bring back who was removed."""

    async def test(fleet: Fleet) -> None:
        await fleet.add("acme", access=ACCESS, lockdown="Quarantined")
        await fleet.add("acme", access=ACCESS)
        await fleet.add("acme", access=ACCESS, lockdown="Quarantined")
        body = fleet.cluster.objects[ADMIN]
        assert not body.get("subjects")
        assert body["metadata"]["annotations"] == {names.ASIDE: "Group admins"}
        assert len(fleet.cluster.objects[VIEWER]["subjects"]) == 2
        others = [{**ACCESS[0], "subjects": [{"kind": "Group", "name": "others"}]}]
        await fleet.add("acme", access=others, lockdown="Quarantined")
        body = fleet.cluster.objects[ADMIN]
        assert body["metadata"]["annotations"] == {names.ASIDE: "Group others"}
        await fleet.add("acme", access=others)
        body = fleet.cluster.objects[ADMIN]
        assert [each["name"] for each in body["subjects"]] == ["others"]
        assert names.ASIDE not in (body["metadata"].get("annotations") or {})
        assert VIEWER not in fleet.cluster.objects

    run(test)


def test_what_members_made_is_put_aside_side_by_side() -> None:
    """A hundred objects one after the other took ten seconds."""

    async def test(fleet: Fleet) -> None:
        await fleet.add("acme")
        selectors: list[dict[str, Any]] = [{}, {"matchLabels": {"app": "web"}}]
        selectors.append({"matchExpressions": [{"key": "a", "operator": "Exists"}]})
        refs = [show(fleet, policy(f"p{number}", selectors[number % 3])) for number in range(30)]
        account = {"kind": "ServiceAccount", "name": "ci", "namespace": "acme-a"}
        for number in range(30):
            body = factory.binding(account)
            body["metadata"] = {"name": f"b{number}", "namespace": "acme-a"}
            refs.append(show(fleet, {**body, "kind": "RoleBinding"}))
        await fleet.rest()
        before = {ref: fleet.cluster.objects[ref] for ref in refs}
        at_once, most, amend = 0, 0, fleet.cluster.amend

        async def counted(ref: Ref, patch: list[dict[str, Any]]) -> Body:
            nonlocal at_once, most
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0)
            try:
                return await amend(ref, patch)
            finally:
                at_once -= 1

        fleet.cluster.amend = counted  # type: ignore[method-assign]
        await fleet.add("acme", lockdown="Quarantined")
        for ref in refs:
            body = fleet.cluster.objects[ref]
            if ref.kind == kinds.ROLE_BINDING.name:
                assert not body.get("subjects")
            else:
                expressions = body["spec"]["podSelector"]["matchExpressions"]
                assert [each["operator"] for each in expressions[-2:]] == ["Exists", "DoesNotExist"]
        assert most >= 8
        await fleet.add("acme")
        for ref, body in before.items():
            assert fleet.cluster.objects[ref].get("spec") == body.get("spec")
            assert fleet.cluster.objects[ref].get("subjects") == body.get("subjects")

    run(test)
