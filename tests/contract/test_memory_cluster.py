"""The cluster in memory and the real API server: each claim holds for both."""

import asyncio
import contextlib
import functools
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

import pytest

from harness import PATIENCE
from memory_cluster import MemoryCluster
from securetenant.api import kinds, objects
from securetenant.api.objects import Body, Manifest, Ref
from securetenant.kube import credentials
from securetenant.kube.client import Client
from securetenant.plan import ownership
from securetenant.reconcile.errors import ConflictError, MissingError, RefusedError
from securetenant.reconcile.ports import Cluster

HOME = "memory-cluster"
KEPT = "memory-cluster.example/kept"


class Sides(NamedTuple):
    """We, and somebody else who creates and replaces objects, or applies them as ``other``."""

    us: Cluster
    put: Callable[[Body], Coroutine[Any, Any, Body]]
    apply: Callable[[Manifest], Coroutine[Any, Any, Body]]


Claim = Callable[[Sides], Coroutine[Any, Any, None]]
Hold = Callable[[Claim], None]


async def in_memory(claim: Claim) -> None:
    cluster = MemoryCluster(HOME)

    async def put(body: Body) -> Body:
        return cluster.put(body)

    async def apply(manifest: Manifest) -> Body:
        return cluster.apply_as("other", manifest)

    await claim(Sides(cluster, put, apply))


async def for_real(claim: Claim, login: credentials.Credentials) -> None:
    async with Client(login) as client:

        async def put(body: Body) -> Body:
            ref = ownership.ref_of(body)
            is_new = await client.read(ref) is None
            kind = kinds.BY_NAME[ref.kind]
            return await client.request(
                "POST" if is_new else "PUT",
                kind.path(ref.namespace) if is_new else ref.path,
                params={"fieldManager": "somebody"},
                body=body,
                content_type="application/json",
            )

        async def apply(manifest: Manifest) -> Body:
            return await client.request(
                "PATCH",
                manifest.ref.path,
                params={"fieldManager": "other", "force": "true"},
                body=manifest.body,
                content_type="application/apply-patch+yaml",
            )

        home = objects.manifest(kinds.NAMESPACE, name=HOME, labels={})
        await client.apply(home)
        await claim(Sides(client, put, apply))
    # TLS connections that broke close a moment after their session (aiohttp).
    await asyncio.sleep(0.1)


@pytest.fixture(params=["memory", pytest.param("API server", marks=pytest.mark.plane)])
def hold(request: pytest.FixtureRequest) -> Hold:
    """Hold a claim against one of the two."""
    if request.param == "memory":
        return lambda claim: asyncio.run(in_memory(claim))
    sandbox = request.getfixturevalue("sandbox")

    async def body(claim: Claim) -> None:
        await for_real(claim, await credentials.load(sandbox.admin_kubeconfig))

    return lambda claim: asyncio.run(body(claim))


def ingress(name: str, *, port: int = 80, home: str = HOME, **metadata: Any) -> Manifest:
    """Return an object whose status nobody else writes."""
    kind = kinds.INGRESS
    backend = {"service": {"name": "web", "port": {"number": port}}}
    body = {
        "apiVersion": kind.api_version,
        "kind": kind.name,
        "metadata": {"name": name, "namespace": home, **metadata},
        "spec": {"defaultBackend": backend},
    }
    return Manifest(Ref(kind.name, home, name), body)


def quota(name: str, **hard: str) -> Manifest:
    labels = {"a": "b"}
    return objects.manifest(
        kinds.RESOURCE_QUOTA, name=name, namespace=HOME, labels=labels, spec={"hard": hard}
    )


def labels(body: Body | None) -> dict[str, str]:
    assert body is not None
    return dict(body["metadata"].get("labels", {}))


def version(body: Body) -> int:
    return int(body["metadata"]["resourceVersion"])


def uid(body: Body) -> str:
    return str(body["metadata"]["uid"])


async def until(sides: Sides, ref: Ref, holds: Callable[[Body | None], Any]) -> None:
    """Wait for what controllers do."""
    async with asyncio.timeout(20 * PATIENCE):
        while not holds(await sides.us.read(ref)):  # noqa: ASYNC110 - as a client does.
            await asyncio.sleep(0.02)


async def past_its_status(write: Callable[[], Coroutine[Any, Any, Body]]) -> Body:
    """Write again where a controller wrote the object's status in between."""
    async with asyncio.timeout(20 * PATIENCE):
        while True:
            with contextlib.suppress(ConflictError):
                return await write()


def test_creating_what_exists_is_a_conflict(hold: Hold) -> None:
    async def claim(sides: Sides) -> None:
        made = await sides.us.create(ingress("created"))
        with pytest.raises(ConflictError):
            await sides.us.create(ingress("created", port=81))
        assert await sides.us.read(ownership.ref_of(made)) == made

    hold(claim)


def test_in_a_namespace_that_is_not_there_nothing_is_made(hold: Hold) -> None:
    async def claim(sides: Sides) -> None:
        for write in (sides.us.create, sides.us.apply):
            with pytest.raises(MissingError):
                await write(ingress("x", home="memory-cluster-nowhere"))

    hold(claim)


def test_what_is_not_there_is_nothing_to_read_and_missing_to_write(hold: Hold) -> None:
    async def claim(sides: Sides) -> None:
        ref = ingress("nothing").ref
        assert await sides.us.read(ref) is None
        await sides.us.delete(ref, "uid")
        with pytest.raises(MissingError):
            await sides.us.amend(ref, [{"op": "add", "path": "/metadata/labels", "value": {}}])
        with pytest.raises(MissingError):
            await sides.us.apply_status(ref, {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}})

    hold(claim)


def test_an_object_is_deleted_by_its_uid_alone_and_its_successor_has_another(hold: Hold) -> None:
    async def claim(sides: Sides) -> None:
        made = await sides.us.apply(ingress("deleted"))
        ref = ownership.ref_of(made)
        with pytest.raises(ConflictError):
            await sides.us.delete(ref, "00000000-0000-0000-0000-000000000000")
        assert await sides.us.read(ref) is not None
        await sides.us.delete(ref, uid(made))
        assert await sides.us.read(ref) is None
        again = await sides.us.apply(ingress("deleted"))
        assert uid(again) != uid(made)
        assert again["metadata"]["generation"] == 1
        assert version(again) > version(made)

    hold(claim)


def test_an_apply_with_the_uid_of_another_object_does_nothing(hold: Hold) -> None:
    async def claim(sides: Sides) -> None:
        other = "00000000-0000-0000-0000-000000000000"
        with pytest.raises(ConflictError):
            await sides.us.apply(ingress("identified", uid=other))
        made = await sides.us.apply(ingress("identified"))
        with pytest.raises(RefusedError, match="immutable"):
            await sides.us.apply(ingress("identified", uid=other, labels={"a": "b"}))
        assert await sides.us.read(ownership.ref_of(made)) == made
        same = await sides.us.apply(ingress("identified", uid=uid(made), labels={"a": "b"}))
        assert labels(same) == {"a": "b"}

    hold(claim)


def test_versions_grow_with_each_change_and_with_nothing_else(hold: Hold) -> None:
    async def claim(sides: Sides) -> None:
        first = await sides.us.apply(ingress("versions"))
        assert version(await sides.us.apply(ingress("versions"))) == version(first)
        other = await sides.us.apply(ingress("versions-2"))
        second = await sides.us.apply(ingress("versions", labels={"a": "b"}))
        assert version(first) < version(other) < version(second)

    hold(claim)


def test_the_generation_grows_with_the_spec_and_with_nothing_else(hold: Hold) -> None:
    async def claim(sides: Sides) -> None:
        made = await sides.us.apply(ingress("generations"))
        assert made["metadata"]["generation"] == 1
        made = await sides.us.apply(ingress("generations", labels={"a": "b"}))
        assert made["metadata"]["generation"] == 1
        status = {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}
        made = await sides.us.apply_status(ownership.ref_of(made), status)
        assert made["metadata"]["generation"] == 1
        made = await sides.us.apply(ingress("generations", port=81))
        assert made["metadata"]["generation"] == 2
        assert made["status"] == status

    hold(claim)


def test_a_namespace_has_no_generation(hold: Hold) -> None:
    async def claim(sides: Sides) -> None:
        home = await sides.us.read(Ref("Namespace", "", HOME))
        assert home is not None
        assert "generation" not in home["metadata"]

    hold(claim)


def test_a_status_is_written_by_itself_alone(hold: Hold) -> None:
    """And what an apply says of it does nothing."""

    async def claim(sides: Sides) -> None:
        ref, body = ingress("status")
        status = {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}
        made = await sides.us.apply(Manifest(ref, {**body, "status": status}))
        assert made.get("status", {}).get("loadBalancer", {}) == {}
        told = await sides.us.apply_status(ref, status)
        assert (told["status"], told["spec"]) == (status, made["spec"])
        assert version(told) > version(made)
        assert version(await sides.us.apply_status(ref, status)) == version(told)
        other = {"loadBalancer": {"ingress": [{"ip": "10.0.0.2"}]}}
        assert (await sides.us.apply_status(ref, other))["status"] == other
        kept = await sides.put({**body, "spec": made["spec"]})
        assert kept["status"] == other

    hold(claim)


def test_what_we_applied_and_apply_no_more_goes(hold: Hold) -> None:
    async def claim(sides: Sides) -> None:
        await sides.us.apply(ingress("fewer", labels={"a": "b", "c": "d"}))
        made = await sides.us.apply(ingress("fewer", labels={"a": "b"}))
        assert labels(made) == {"a": "b"}
        made = await sides.us.apply(ingress("fewer"))
        assert "labels" not in made["metadata"]

    hold(claim)


def test_what_another_applies_too_stays_without_us(hold: Hold) -> None:
    async def claim(sides: Sides) -> None:
        await sides.us.apply(ingress("shared", labels={"a": "b", "c": "d"}))
        await sides.apply(ingress("shared", labels={"a": "b"}))
        made = await sides.us.apply(ingress("shared"))
        assert labels(made) == {"a": "b"}
        made = await sides.apply(ingress("shared"))
        assert labels(made) == {}

    hold(claim)


def test_what_another_changes_is_ours_again_by_force(hold: Hold) -> None:
    async def claim(sides: Sides) -> None:
        for number, write in enumerate((lambda each: sides.put(each.body), sides.apply)):
            name = f"changed-{number}"
            await sides.us.apply(ingress(name, labels={"a": "b"}))
            await write(ingress(name, labels={"a": "x"}, port=81))
            made = await sides.us.apply(ingress(name, labels={"a": "b"}))
            assert labels(made) == {"a": "b"}
            assert made["spec"]["defaultBackend"]["service"]["port"] == {"number": 80}
            assert labels(await sides.us.apply(ingress(name))) == {}

    hold(claim)


def test_what_another_adds_is_left_alone_and_a_patch_removes_it(hold: Hold) -> None:
    """A key of a map, such as one of a quota."""

    async def claim(sides: Sides) -> None:
        wanted = quota("added", pods="5")
        await sides.us.apply(wanted)
        await sides.put(quota("added", pods="5", services="7").body)

        async def removed() -> Body:
            made = await sides.us.apply(wanted)
            assert made["spec"]["hard"] == {"pods": "5", "services": "7"}
            patch = [
                {"op": "test", "path": "/metadata/resourceVersion", "value": str(version(made))},
                {"op": "remove", "path": "/spec/hard/services"},
            ]
            return await sides.us.amend(wanted.ref, patch)

        made = await past_its_status(removed)
        assert made["spec"]["hard"] == {"pods": "5"}

    hold(claim)


def test_a_list_is_one_value(hold: Hold) -> None:
    async def claim(sides: Sides) -> None:
        def wall(*ports: int) -> Manifest:
            spec = {
                "podSelector": {},
                "policyTypes": ["Ingress"],
                "ingress": [{"ports": [{"port": each, "protocol": "TCP"}]} for each in ports],
            }
            return objects.manifest(
                kinds.NETWORK_POLICY, name="listed", namespace=HOME, labels={}, spec=spec
            )

        await sides.us.apply(wall(80))
        await sides.put(wall(80, 81).body)
        made = await sides.us.apply(wall(80))
        assert made["spec"] == wall(80).body["spec"]

    hold(claim)


def test_what_was_created_or_patched_is_not_taken_away_by_an_apply(hold: Hold) -> None:
    """Under the same name another field manager: who updates is not who applies."""

    async def claim(sides: Sides) -> None:
        made = await sides.us.create(ingress("updated", labels={"a": "b"}))
        made = await sides.us.apply(ingress("updated", labels={"c": "d"}))
        assert labels(made) == {"a": "b", "c": "d"}
        patch = [{"op": "add", "path": "/metadata/labels/c", "value": "e"}]
        await sides.us.amend(ownership.ref_of(made), patch)
        assert labels(await sides.us.apply(ingress("updated"))) == {"a": "b", "c": "e"}

    hold(claim)


@pytest.mark.parametrize(
    "step",
    [
        {"op": "test", "path": "/metadata/resourceVersion", "value": "1"},
        {"op": "test", "path": "/metadata/uid", "value": "another"},
        {"op": "test", "path": "/metadata/labels/a~1b", "value": "x"},
        {"op": "test", "path": "/metadata/labels/none", "value": "x"},
        {"op": "remove", "path": "/metadata/labels/none"},
    ],
    ids=lambda step: f"{step['op']} {step['path']}",
)
def test_a_patch_of_which_a_step_fails_is_a_conflict_and_does_nothing(
    hold: Hold, step: dict[str, Any]
) -> None:
    async def claim(sides: Sides) -> None:
        made = await sides.us.apply(ingress("patched", labels={"a/b": "c"}))
        patch = [{"op": "remove", "path": "/metadata/labels/a~1b"}, step]
        with pytest.raises(ConflictError):
            await sides.us.amend(ownership.ref_of(made), patch[::-1])
        with pytest.raises(ConflictError):
            await sides.us.amend(ownership.ref_of(made), patch)
        assert await sides.us.read(ownership.ref_of(made)) == made

    hold(claim)


def test_a_patch_does_what_it_says(hold: Hold) -> None:
    async def claim(sides: Sides) -> None:
        made = await sides.us.apply(ingress("steps", labels={"a": "b", "c/d": "e", "f": "g"}))
        patch = [
            {"op": "test", "path": "/metadata/resourceVersion", "value": str(version(made))},
            {"op": "test", "path": "/metadata/uid", "value": uid(made)},
            {"op": "add", "path": "/metadata/labels/new", "value": "x"},
            {"op": "replace", "path": "/metadata/labels/a", "value": "y"},
            {"op": "replace", "path": "/metadata/labels/none", "value": "z"},
            {"op": "remove", "path": "/metadata/labels/c~1d"},
        ]
        amended = await sides.us.amend(ownership.ref_of(made), patch)
        assert labels(amended) == {"a": "y", "f": "g", "new": "x", "none": "z"}
        assert version(amended) > version(made)
        assert amended == await sides.us.read(ownership.ref_of(made))

    hold(claim)


def test_what_has_a_finalizer_is_being_deleted_until_that_is_gone(hold: Hold) -> None:
    async def claim(sides: Sides) -> None:
        made = await sides.us.apply(ingress("final", finalizers=[KEPT]))
        ref = ownership.ref_of(made)
        left = await sides.us.delete(ref, uid(made))
        going = await sides.us.read(ref)
        assert going is not None
        assert left == going
        assert going["metadata"]["deletionTimestamp"]
        assert going["metadata"]["generation"] == 2
        await sides.us.delete(ref, uid(made))
        assert await sides.us.read(ref) == going
        with pytest.raises(ConflictError):
            await sides.us.create(ingress("final"))
        patch = [
            {"op": "test", "path": "/metadata/finalizers/0", "value": KEPT},
            {"op": "remove", "path": "/metadata/finalizers/0"},
        ]
        await sides.us.amend(ref, patch)
        assert await sides.us.read(ref) is None

    hold(claim)


def test_finalizers_of_several_managers_stand_side_by_side(hold: Hold) -> None:
    async def claim(sides: Sides) -> None:
        theirs = "memory-cluster.example/theirs"
        await sides.apply(ingress("finals", finalizers=[theirs]))
        made = await sides.us.apply(ingress("finals", finalizers=[KEPT]))
        assert sorted(made["metadata"]["finalizers"]) == [KEPT, theirs]
        made = await sides.us.apply(ingress("finals"))
        assert made["metadata"]["finalizers"] == [theirs]
        made = await sides.apply(ingress("finals"))
        assert "finalizers" not in made["metadata"]

    hold(claim)


def test_a_namespace_takes_nothing_new_while_it_goes_and_takes_all_with_it(hold: Hold) -> None:
    async def claim(sides: Sides) -> None:
        home = "memory-cluster-going"
        space = await sides.us.create(objects.manifest(kinds.NAMESPACE, name=home, labels={}))
        made = await sides.us.apply(ingress("left", home=home, finalizers=[KEPT]))
        other = await sides.us.apply(ingress("right", home=home))
        await sides.us.delete(ownership.ref_of(space), uid(space))
        with pytest.raises(RefusedError):
            await sides.us.create(ingress("late", home=home))
        left = ownership.ref_of(made)
        await until(sides, left, lambda body: body and "deletionTimestamp" in body["metadata"])
        await until(sides, ownership.ref_of(other), lambda body: body is None)
        await until(sides, ownership.ref_of(space), lambda body: body is not None)
        await sides.us.amend(left, [{"op": "remove", "path": "/metadata/finalizers"}])
        await until(sides, ownership.ref_of(space), lambda body: body is None)
        assert await sides.us.read(left) is None

    hold(claim)


def is_counted(body: Body | None, pods: str) -> bool:
    return body is not None and body.get("status", {}).get("hard") == {"pods": pods}


def test_a_quota_is_counted(hold: Hold) -> None:
    """By the controller-manager, in a moment; in memory with the write itself."""

    async def claim(sides: Sides) -> None:
        for pods in ("5", "6"):
            wanted = quota("counted", pods=pods)
            await sides.us.apply(wanted)
            await until(sides, wanted.ref, functools.partial(is_counted, pods=pods))

    hold(claim)


def test_a_list_has_each_object_once_in_pages(hold: Hold) -> None:
    async def claim(sides: Sides) -> None:
        home = "memory-cluster-pages"
        await sides.us.apply(objects.manifest(kinds.NAMESPACE, name=home, labels={}))
        for number in (2, 0, 1):
            await sides.us.apply(ingress(f"page-{number}", home=home))
        await sides.us.apply(ingress("page-0"))

        async def pages(**options: Any) -> list[list[str]]:
            take: Callable[[dict[str, Any]], str] = lambda each: each["metadata"]["name"]  # noqa: E731
            found = sides.us.pages(kinds.INGRESS, take=take, **options)
            return [page.items async for page in found]

        assert await pages(namespace=home, size=2) == [["page-0", "page-1"], ["page-2"]]
        assert await pages(namespace=home, fields="metadata.name=page-1") == [["page-1"]]
        assert await pages(namespace="memory-cluster-nowhere") == [[]]
        every = [name for page in await pages() for name in page]
        assert every.count("page-0") == 2

    hold(claim)
