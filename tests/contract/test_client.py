"""The client against the real API server: every refusal gets the name of who must act."""

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import structlog

from securetenant.api import kinds, objects
from securetenant.api.objects import Manifest, Ref
from securetenant.kube import credentials
from securetenant.kube import informer as informer_module
from securetenant.kube.client import Client, ExpiredError
from securetenant.kube.informer import Informer
from securetenant.plan import ownership
from securetenant.plan.ownership import Observed
from securetenant.reconcile.errors import (
    ConflictError,
    MissingError,
    RefusedError,
    UnavailableError,
)
from securetenant.reconcile.store import Store
from securetenant.sandbox import pki
from securetenant.sandbox.instances import Instance

Use = Callable[[Client], Coroutine[Any, Any, Any]]


def finish(work: Coroutine[Any, Any, Any]) -> Any:
    """Run it in a loop that ends when every connection is closed."""
    selector = selectors.DefaultSelector()

    async def body() -> Any:
        try:
            return await work
        finally:
            # TLS connections that broke close a moment after their session (aiohttp): what is left
            # is the loop's own.
            async with asyncio.timeout(10):
                while len(selector.get_map()) > 1:  # noqa: ASYNC110 - nothing tells of it.
                    await asyncio.sleep(0.01)

    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        return runner.run(body())


def use(sandbox: Instance, what: Use) -> Any:
    async def body() -> Any:
        login = await credentials.load(sandbox.admin_kubeconfig)
        async with Client(login) as client:
            return await what(client)

    return finish(body())


async def until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110 - the store has no event, and the caller has a deadline.
        await asyncio.sleep(0.01)


def namespace(name: str) -> Manifest:
    return objects.manifest(kinds.NAMESPACE, name=name, labels={"contract": "yes"})


def policy(name: str, **spec: Any) -> Manifest:
    return objects.manifest(
        kinds.NETWORK_POLICY, name=name, namespace="default", labels={}, spec=spec
    )


def test_creating_what_exists_is_a_conflict(sandbox: Instance) -> None:
    with pytest.raises(ConflictError, match="already exists"):
        use(sandbox, lambda client: client.create(namespace("default")))


def test_a_wrong_value_is_refused_with_the_api_servers_words(sandbox: Instance) -> None:
    with pytest.raises(RefusedError, match="policyTypes"):
        use(sandbox, lambda client: client.apply(policy("x", policyTypes=["Sideways"])))


def test_an_object_in_no_namespace_is_missing(sandbox: Instance) -> None:
    wall = objects.manifest(
        kinds.NETWORK_POLICY, name="x", namespace="nowhere", labels={}, spec={"podSelector": {}}
    )
    with pytest.raises(MissingError, match="nowhere"):
        use(sandbox, lambda client: client.apply(wall))


def test_reading_what_is_not_there_gives_nothing(sandbox: Instance) -> None:
    assert use(sandbox, lambda client: client.read(Ref("Namespace", "", "nowhere"))) is None


def test_deleting_what_is_gone_is_no_error_and_another_uid_is_a_conflict(sandbox: Instance) -> None:
    async def body(client: Client) -> None:
        await client.delete(Ref("NetworkPolicy", "default", "gone"), "uid")
        made = await client.apply(policy("kept", podSelector={}))
        with pytest.raises(ConflictError):
            await client.delete(ownership.ref_of(made), "00000000-0000-0000-0000-000000000000")
        await client.delete(ownership.ref_of(made), made["metadata"]["uid"])
        assert await client.read(ownership.ref_of(made)) is None

    use(sandbox, body)


def test_a_patch_that_tests_an_old_version_does_nothing(sandbox: Instance) -> None:
    async def body(client: Client) -> None:
        made = await client.apply(policy("tested", podSelector={}))
        patch: list[dict[str, Any]] = [
            {"op": "test", "path": "/metadata/resourceVersion", "value": "1"},
            {"op": "add", "path": "/metadata/labels", "value": {"a": "b"}},
        ]
        with pytest.raises(ConflictError, match="changed meanwhile"):
            await client.amend(ownership.ref_of(made), patch)
        await client.delete(ownership.ref_of(made), made["metadata"]["uid"])

    use(sandbox, body)


def test_a_dead_server_is_unavailable(sandbox: Instance) -> None:
    async def body() -> None:
        login = await credentials.load(sandbox.admin_kubeconfig)
        dead = credentials.Credentials(**{**vars(login), "server": "https://127.0.0.1:1"})
        async with Client(dead) as client:
            await client.read(Ref("Namespace", "", "default"))

    with pytest.raises(UnavailableError):
        finish(body())


def test_a_server_with_another_authority_is_not_trusted(sandbox: Instance, tmp_path: Path) -> None:
    other = pki.Authority(tmp_path, "other").files.certificate

    async def body() -> None:
        login = await credentials.load(sandbox.admin_kubeconfig)
        wrong = {**vars(login), "certificate_authority": other}
        async with Client(credentials.Credentials(**wrong)) as client:
            await client.read(Ref("Namespace", "", "default"))

    with pytest.raises(UnavailableError, match=r"(?i)certificate"):
        finish(body())


def test_pages_hold_everything_once(sandbox: Instance) -> None:
    async def body(client: Client) -> list[str]:
        pages = client.pages(
            kinds.NAMESPACE, size=2, take=lambda item: str(item["metadata"]["name"])
        )
        return [name async for page in pages for name in page.items]

    found = use(sandbox, body)
    assert len(found) == len(set(found))
    assert {"default", "kube-system", "securetenant-system"} <= set(found)


def test_a_watch_from_a_version_that_is_too_old_is_expired_or_refused(sandbox: Instance) -> None:
    """A version from the future of another cluster, or long compacted, must not hang."""

    async def body(client: Client) -> None:
        async with client.watch(
            kinds.NAMESPACE, selector="", version="-1", seconds=5, silence=5
        ) as events:
            async for _ in events:
                pass

    with pytest.raises((ExpiredError, RefusedError, UnavailableError)):
        use(sandbox, body)


def test_a_page_is_reduced_in_turns_with_what_else_there_is_to_do(sandbox: Instance) -> None:
    """While ten thousand namespaces are read, a probe is answered and the Lease renewed."""

    async def body(client: Client) -> list[int]:
        taken = [0]

        def take(_: Any) -> None:
            taken[-1] += 1

        async def take_turns() -> None:
            while True:
                taken.append(0)
                await asyncio.sleep(0)

        other = asyncio.create_task(take_turns())
        async for _ in client.pages(kinds.CLUSTER_ROLE, take=take):
            pass
        other.cancel()
        return taken

    taken = use(sandbox, body)
    assert sum(taken) > 2 * 25
    assert max(taken) <= 25


def test_silence_ends_a_watch_without_an_error(sandbox: Instance) -> None:
    """Of a kind of which nothing changes the API server may send not even bookmarks."""

    async def body(client: Client) -> list[Any]:
        async for page in client.pages(kinds.NAMESPACE, take=lambda _: None, size=1):
            version = page.version
        async with client.watch(
            kinds.NAMESPACE, selector="silent=yes", version=version, seconds=60, silence=0.2
        ) as events:
            return [each async for each in events]

    assert use(sandbox, body) == []


def _is_later(informer: Informer, heard: float) -> bool:
    return informer.heard_at > heard


def test_a_quiet_kind_is_no_failure(sandbox: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    """A warning a minute, and /readyz failed until the next event."""
    monkeypatch.setattr(informer_module, "_SILENCE_SECONDS", 0.2)

    async def body(client: Client) -> None:
        informer = Informer(
            client,
            kinds.NAMESPACE,
            selector="silent=yes",
            seen=lambda *_: None,
            gone=lambda *_: None,
            known=lambda _: [],
        )
        task = asyncio.create_task(informer.run())
        async with asyncio.timeout(20):
            await informer.synced.wait()
            for _ in range(3):
                heard = informer.heard_at
                await until(functools.partial(_is_later, informer, heard))
                assert informer.failure == ""
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    with structlog.testing.capture_logs() as lines:
        use(sandbox, body)
    assert lines == []


def test_an_informer_lists_follows_and_sweeps(sandbox: Instance) -> None:
    """What is there is reported, what changes follows, and what a list lacks is gone."""

    async def body(client: Client) -> None:
        store = Store()
        ghost = Ref("Namespace", "", "ghost")
        store.put(ghost, Observed(1, "uid", b"", None))
        informer = Informer(
            client,
            kinds.NAMESPACE,
            selector="contract=yes",
            seen=lambda ref, body: store.put(ref, ownership.observe(body)),
            gone=store.drop,
            known=store.refs,
        )
        first, second = Ref("Namespace", "", "informed-1"), Ref("Namespace", "", "informed-2")
        await client.create(namespace("informed-1"))
        task = asyncio.create_task(informer.run())
        async with asyncio.timeout(10):
            await informer.synced.wait()
            assert store.get(first) is not None
            assert store.get(ghost) is None, "it was not in the list"
            made = await client.create(namespace("informed-2"))
            await until(lambda: store.get(second) is not None)
            for ref in (first, second):
                await client.delete(ref, (await client.read(ref) or made)["metadata"]["uid"])
            await until(lambda: store.get(first) is None and store.get(second) is None)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    use(sandbox, body)


@pytest.mark.parametrize(
    "name",
    [
        "x?dryRun=All",
        ".?a",
        "#y",
        "a b",
        "a+b",
        "new\nline",
        "tab\tand \"quote'",
        "a;b&c=d",
        "ä",
        "m🙂",
    ],
)
def test_an_object_is_found_and_deleted_whatever_its_name(name: str, sandbox: Instance) -> None:
    """S3: in a URL such a name was a dry run, another object, or the whole collection."""
    ref = Ref(kinds.ROLE_BINDING.name, "default", name)
    body = {
        "apiVersion": kinds.ROLE_BINDING.api_version,
        "kind": ref.kind,
        "metadata": {"name": name, "namespace": "default"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
    }

    async def what(client: Client) -> tuple[Any, Any, Any]:
        made = await client.create(Manifest(ref, body))
        found = await client.read(ref)
        await client.delete(ref, made["metadata"]["uid"])
        return made, found, await client.read(ref)

    made, found, left = use(sandbox, what)
    assert found is not None
    assert found["metadata"]["uid"] == made["metadata"]["uid"]
    assert left is None


def test_text_of_any_characters_is_applied_as_it_is(sandbox: Instance) -> None:
    """A tenant's names are in our messages, and an apply is read as YAML."""
    text = 'm🙂 ä \x7f \x85 \x9f \u2028 \ufeff \ufffe \t \n " \\ \\ud83d'
    wanted = policy("any-text", podSelector={})
    wanted.body["metadata"]["annotations"] = {"text": text}

    async def what(client: Client) -> Any:
        made = await client.apply(wanted)
        await client.delete(wanted.ref, made["metadata"]["uid"])
        return made

    assert use(sandbox, what)["metadata"]["annotations"]["text"] == text
