"""Limits of processes: what counts for a node, its labels, the condition, and who is asked when."""

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import factory
from memory_cluster import MemoryCluster
from securetenant.api import kinds, names, status
from securetenant.api.nodes import PID_BOUNDS, SettingsNodes, TenantNodes
from securetenant.api.objects import Ref
from securetenant.api.tenancysettings import SettingsSpec
from securetenant.concerns.pids.pids import GRACE_SECONDS, INTERVAL_SECONDS, UNKEPT_SECONDS, Pids
from securetenant.plan import kubelets, pids
from securetenant.plan.pids import UNLIMITED, Asked, Kubelet, Limit, Reading, Source
from securetenant.reconcile.errors import ConflictError
from securetenant.reconcile.node_book import NodeBook
from securetenant.status import process_limits
from silent import Silent

OURS = "securetenant.node-restriction.kubernetes.io/pids-at-most-"
READ = Limit(Source.READ, 1024)
_beats = itertools.count(1)


def node(
    name: str = "node-a", *, boot: str = "1", owner: str = "red", **labels: str
) -> dict[str, Any]:
    """Return a Node as its kubelet now tells it; ``labels`` are bounds that it carries."""
    metadata: dict[str, Any] = {
        "name": name,
        "uid": f"uid-of-{name}",
        "labels": {names.NODE_LABEL: owner, **labels},
    }
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": "then"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": metadata,
        "status": {
            "addresses": [
                {"type": "Hostname", "address": name},
                {"type": "InternalIP", "address": "10.0.0.1"},
                {"type": "InternalIP", "address": "fd00::1"},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10251}},
            "nodeInfo": {"bootID": boot, "operatingSystem": "linux"},
            "conditions": [{**ready, "lastHeartbeatTime": str(next(_beats))}],
        },
    }


def bounds(lowest: int) -> dict[str, str]:
    return {f"{OURS}{bound}": "true" for bound in PID_BOUNDS if bound >= lowest}


# --- what counts ----------------------------------------------------------------------------


@given(st.integers(1, 40_000), st.sampled_from(PID_BOUNDS))
def test_a_node_carries_each_bound_that_it_keeps(limit: int, bound: int) -> None:
    """And no other: a pod that asks for a bound lands where no pod exceeds it."""
    labels = pids.at_most_labels(Limit(Source.READ, limit))
    assert (f"{OURS}{bound}" in labels) == (limit <= bound)
    assert set(labels.values()) <= {"true"}


@pytest.mark.parametrize(
    "found",
    [
        Limit(Source.READ, UNLIMITED),
        Limit(Source.DECLARED, 128),
        Limit(Source.UNREAD, problem="x"),
        Limit(Source.READ, 16385),
    ],
)
def test_what_was_not_read_to_be_limited_has_no_label(found: Limit) -> None:
    assert pids.at_most_labels(found) == {}


@pytest.mark.parametrize(
    ("declared", "last", "fresh", "counts"),
    [
        pytest.param("512", None, False, Limit(Source.DECLARED, 512, "why"), id="nobody looked"),
        pytest.param("512", 256, True, Limit(Source.READ, 256), id="read wins, lower"),
        pytest.param("512", 2048, True, Limit(Source.READ, 2048), id="read wins, higher"),
        pytest.param("512", UNLIMITED, True, Limit(Source.READ, UNLIMITED), id="read: unlimited"),
        pytest.param("512", 2048, False, Limit(Source.UNREAD, 0, "why"), id="disproved"),
        pytest.param("512", UNLIMITED, False, Limit(Source.UNREAD, 0, "why"), id="disproved too"),
        pytest.param("512", 256, False, Limit(Source.DECLARED, 512, "why"), id="not disproved"),
        pytest.param("", 256, False, Limit(Source.UNREAD, 0, "why"), id="nothing left"),
        *(
            pytest.param(text, None, False, Limit(Source.UNREAD, 0, "why"), id=f"declares {text}")
            for text in ("0", "-1", "many", "5.5", "\u0665", "0x10")
        ),
    ],
)
def test_the_kubelet_counts_before_the_label(
    declared: str, last: int | None, fresh: bool, counts: Limit
) -> None:
    labels = {names.DECLARED_PIDS_LABEL: declared} if declared else {}
    assert pids.judge(labels, last, fresh=fresh, problem="why") == counts


def test_a_node_is_looked_at_for_its_kubelet() -> None:
    found = pids.look(node(**bounds(8192), **{names.DECLARED_PIDS_LABEL: "5"}))
    assert found.kubelet[:3] == ("node-a", "10.0.0.1", 10251)
    assert found.labels == {**bounds(8192), names.DECLARED_PIDS_LABEL: "5"}
    assert found.keeps_limits
    assert pids.look({"metadata": {"name": "x", "uid": "u"}}).kubelet[:3] == ("x", "", 10250)
    windows = node()
    windows["status"]["nodeInfo"]["operatingSystem"] = "windows"
    assert not pids.look(windows).keeps_limits


def test_a_kubelet_that_starts_anew_is_another() -> None:
    first, second = node(), node(boot="2")
    assert pids.look(first).kubelet != pids.look(second).kubelet
    third = node()
    third["status"]["conditions"][0]["lastTransitionTime"] = "now"
    assert pids.look(first).kubelet != pids.look(third).kubelet


@given(
    st.dictionaries(st.sampled_from([f"{OURS}{each}" for each in (*PID_BOUNDS, "x")]), st.text()),
    st.sampled_from([0, *PID_BOUNDS]),
)
def test_a_patch_leaves_exactly_the_labels_that_should_be(
    standing: dict[str, str], limit: int
) -> None:
    """Also what somebody else added, and nothing of what is not ours."""
    wanted = pids.at_most_labels(Limit(Source.READ, limit))
    labels = {"other": "kept", **standing}
    steps = pids.patch(pids.look(node(**standing)), wanted)
    for step in steps:
        key = step["path"].removeprefix("/metadata/labels/").replace("~1", "/")
        match step["op"], step["path"]:
            case "test", "/metadata/uid":
                assert step["value"] == "uid-of-node-a"
            case "test", _:
                assert labels[key] == step["value"]
            case "add", _:
                labels[key] = step["value"]
            case "remove", _:
                del labels[key]
    assert labels == {"other": "kept", **wanted}
    assert bool(steps) == (standing != wanted)


# --- where kubelets are asked ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "port", "said"),
    [
        ("10.0.0.1", 10250, ""),
        ("fd00::1", 10250, ""),
        ("192.0.2.10", 10250, ""),
        ("", 10250, "no InternalIP"),
        ("node-a.example", 10250, "no InternalIP"),
        ("10.0.0.1", 0, "port 0"),
        ("10.0.0.1", 65536, "port 65536"),
        ("127.0.0.1", 10250, "no address of a node"),
        ("127.9.9.9", 10250, "no address of a node"),
        ("::1", 10250, "no address of a node"),
        ("::ffff:127.0.0.1", 10250, "no address of a node"),
        ("0.0.0.0", 10250, "no address of a node"),  # noqa: S104 - refused here.
        ("::", 10250, "no address of a node"),
        ("169.254.1.1", 10250, "no address of a node"),
        ("fe80::1", 10250, "no address of a node"),
        ("fe80::1%eth0", 10250, "no address of a node"),
        ("224.0.0.1", 10250, "no address of a node"),
        ("ff02::1", 10250, "no address of a node"),
        ("168.63.129.16", 10250, "credentials"),
        ("::ffff:168.63.129.16", 10250, "credentials"),
        ("fd00:ec2::254", 80, "credentials"),
        ("64:ff9b::a9fe:a9fe", 10250, "credentials"),
        ("100.100.100.200", 10250, "credentials"),
        ("10.96.0.1", 443, "the API server is"),
        ("192.0.2.10", 6443, "the API server is"),
        ("192.0.2.20", 8443, "the API server is"),
    ],
)
def test_no_token_goes_to_an_address_that_is_no_nodes(address: str, port: int, said: str) -> None:
    """A kubelet writes the address of its own Node. On the API server's machine runs one too."""
    settings = SettingsSpec.model_validate(
        factory.settings(
            metadataAddresses=["100.100.100.200/32"],
            apiServer={"addresses": ["10.96.0.1/32", "192.0.2.10/32"], "ports": [443, 6443]},
        )["spec"]
    )
    found = kubelets.refusal(address, port, settings=settings, server="https://192.0.2.20:8443")
    assert said in found
    assert bool(said) == bool(found)


def test_where_the_networks_of_nodes_are_known_it_goes_nowhere_else() -> None:
    settings = SettingsSpec.model_validate(factory.settings(nodeNetworks=["10.0.0.0/24"])["spec"])
    ask = {"settings": settings, "server": "https://10.96.0.1"}
    assert kubelets.refusal("10.0.0.7", 10250, **ask) == ""  # type: ignore[arg-type]
    assert "nodeNetworks" in kubelets.refusal("10.0.1.7", 10250, **ask)  # type: ignore[arg-type]


# --- the condition --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nodes", "required", "state", "reason", "said"),
    [
        pytest.param(
            {"a": READ, "b": Limit(Source.READ, 128)},
            False,
            "True",
            status.REPORTED_BY_KUBELET,
            "2 nodes limit pods to at most 1024 processes, as the kubelet says",
            id="all read",
        ),
        pytest.param(
            {"a": READ, "b": Limit(Source.DECLARED, 128, "no answer")},
            False,
            "True",
            status.DECLARED,
            "which nobody checked: b (no answer)",
            id="one declared",
        ),
        pytest.param(
            {
                "a": Limit(Source.READ, UNLIMITED),
                "b": Limit(Source.READ, 2048),
                "c": Limit(Source.DECLARED, 4096, "x"),
                "d": Limit(Source.UNREAD, 0, "x"),
            },
            False,
            "False",
            status.NOT_LIMITED,
            "a has no limit, b allows 2048, c allows 4096 by its label; the spec asks for 1024",
            id="known to be above comes first",
        ),
        pytest.param(
            {name: Limit(Source.UNREAD, 0, "no answer") for name in "abcde"} | {"f": READ},
            False,
            "Unknown",
            status.KUBELET_UNREAD,
            "Not read: a (no answer), b (no answer), c (no answer) and 2 more",
            id="unread",
        ),
        pytest.param({}, False, "Unknown", status.NO_NODES, "No node", id="no node"),
        pytest.param(
            {
                "a": READ,
                "b": Limit(Source.READ, UNLIMITED),
                "c": Limit(Source.UNREAD, 0, "no answer"),
                "d": Limit(Source.DECLARED, 128, "no answer"),
            },
            True,
            "True",
            status.REPORTED_BY_KUBELET,
            "1 node limits pods to at most 1024 processes, as the kubelet says; new pods land"
            " only there, and not on b (no limit), c (not read: no answer),"
            " d (declared, not read: no answer)",
            id="required, one will do",
        ),
        pytest.param(
            {"b": Limit(Source.READ, 2048), "d": Limit(Source.DECLARED, 128, "no answer")},
            True,
            "False",
            status.NOT_LIMITED,
            "New pods land nowhere, since no node was read to keep the limit: b (2048)",
            id="required, none will do",
        ),
    ],
)
def test_the_condition_says_of_each_node_what_is_known(
    nodes: dict[str, Limit], required: bool, state: str, reason: str, said: str
) -> None:
    found = process_limits.judge(1024, nodes, required=required)
    assert (found.type, found.status, found.reason) == ("PidsLimited", state, reason)
    assert said in found.message


def test_required_and_unread_is_unknown() -> None:
    """Nobody need act yet: a kubelet may only be restarting."""
    found = process_limits.judge(128, {"a": Limit(Source.UNREAD, 0, "no answer")}, required=True)
    assert (found.status, found.reason) == ("Unknown", status.KUBELET_UNREAD)
    assert found.message.startswith("New pods land nowhere")


def test_without_a_bound_any_limit_will_do() -> None:
    nodes = {"a": Limit(Source.READ, 4096), "b": Limit(Source.READ, 100_000)}
    assert "at most 100000 processes" in process_limits.judge(None, nodes, required=False).message
    nodes["c"] = Limit(Source.READ, UNLIMITED)
    assert "asks for any limit" in process_limits.judge(None, nodes, required=False).message


# --- who is asked when ----------------------------------------------------------------------


class World:
    """Kubelets, the API server and the clock, as the reader of kubelets sees them."""

    def __init__(self) -> None:
        self.now = 0.0
        self.answers: dict[str, Reading] = {}
        self.asked: list[str] = []
        self.stuck: set[str] = set()
        self.unstuck = asyncio.Event()
        self.cluster = MemoryCluster()
        self.changes: list[str] = []
        self.book = NodeBook()
        self.pids = Pids(
            kubelets=self,
            cluster=self.cluster,
            meter=Silent(),
            book=self.book,
            changed=self.changes.append,
            clock=lambda: self.now,
        )
        self.pids.take_settings(SettingsSpec.model_validate(factory.settings()["spec"]))

    async def read(
        self,
        kubelet: Kubelet,
        settings: SettingsSpec,  # noqa: ARG002 - the port's.
    ) -> Reading:
        self.asked.append(kubelet.node)
        if kubelet.node in self.stuck:
            await self.unstuck.wait()
        return self.answers.get(kubelet.node, Reading(limit=1024))

    def see(self, body: dict[str, Any]) -> None:
        """Let a Node be so."""
        self.book.put(self.cluster.put(body))

    def standing(self, name: str = "node-a") -> dict[str, str]:
        """Return the labels about processes that a node carries, if it is there."""
        return self.pids_labels(name) if ref_of(name) in self.cluster.objects else {}

    def pids_labels(self, name: str = "node-a") -> dict[str, str]:
        labels = self.cluster.objects[ref_of(name)]["metadata"]["labels"]
        return {key: value for key, value in labels.items() if key.startswith(OURS)}

    def ask(self, *owners: str) -> None:
        """Let a tenant ask about the nodes of these owners, or of nobody."""
        asked = Asked(frozenset(owners), 1024, required=False)
        self.pids.ask("red", asked if owners else None)

    def limit(self, name: str = "node-a") -> Limit:
        return self.pids.limits({"red"})[name]

    async def settle(self) -> None:
        """Let everything happen that is due at this time."""
        for _ in range(200):
            await asyncio.sleep(0)

    async def pass_time(self, seconds: float) -> None:
        """Let time pass in steps; a word about another node wakes the queue, as it does in life."""
        until = self.now + seconds
        while self.now < until:
            self.now = min(self.now + 30, until)
            self.see(node("waker", owner="blue", boot=str(self.now)))
            await self.settle()


def ref_of(name: str) -> Ref:
    return Ref(kinds.NODE.name, "", name)


def live(work: Callable[[World], Coroutine[Any, Any, None]]) -> None:
    async def body() -> None:
        world = World()
        running = asyncio.create_task(world.pids.run())
        try:
            await work(world)
            assert {each.verb for each in world.cluster.writes} <= {"amend"}
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(body())


def test_a_node_that_appears_is_read_and_labelled_once() -> None:
    """Its own echo is no news, and nothing is written that stands there."""

    async def work(world: World) -> None:
        world.ask("red")
        world.see(node())
        await world.settle()
        assert world.asked == ["node-a"]
        assert world.pids_labels() == bounds(1024)
        assert world.limit() == READ
        world.see(node(**bounds(1024)))
        await world.settle()
        assert world.asked == ["node-a"]
        assert len(world.cluster.writes) == 1
        assert set(world.changes) == {"red"}

    live(work)


def test_a_node_that_nobody_asks_about_is_not_read() -> None:
    """No token is shown without need."""

    async def work(world: World) -> None:
        world.see(node())
        world.ask("blue")
        await world.settle()
        assert world.asked == []
        world.ask("red", "blue")
        await world.settle()
        assert world.pids_labels() == bounds(1024)

    live(work)


def test_labels_stay_true_when_nobody_asks_any_more() -> None:
    """Retained namespaces may place pods by them, and a start knows late who asks."""

    async def work(world: World) -> None:
        world.see(node(**bounds(512)))
        await world.settle()
        assert world.asked == ["node-a"]
        assert world.pids_labels() == bounds(1024)
        world.ask("red")
        world.ask()
        world.answers["node-a"] = Reading(limit=UNLIMITED)
        await world.pass_time(INTERVAL_SECONDS)
        assert world.pids_labels() == {}
        asked = len(world.asked)
        await world.pass_time(INTERVAL_SECONDS)
        assert len(world.asked) == asked

    live(work)


def test_a_node_of_the_control_plane_is_not_read() -> None:
    """Its taint keeps tenants away, and it would spoil the condition of those without own nodes."""

    async def work(world: World) -> None:
        body = node()
        body["metadata"]["labels"] |= bounds(512)
        body["spec"] = {
            "taints": [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]
        }
        world.ask("red")
        world.see(body)
        await world.settle()
        assert world.asked == []
        assert world.pids.limits({"red"}) == {}
        assert world.pids.judge("red")[0].reason == status.NO_NODES
        assert world.pids_labels() == {}

    live(work)


def test_whose_a_node_becomes_hears_of_it() -> None:
    async def work(world: World) -> None:
        world.ask("red")
        world.see(node(owner="blue"))
        await world.settle()
        assert world.asked == []
        world.changes.clear()
        world.see(node(owner="red"))
        assert world.pids.is_under_way("red")
        await world.settle()
        assert not world.pids.is_under_way("red")
        assert set(world.changes) == {"red", "blue"}
        assert world.pids.limits({"red", "blue"}) == {"node-a": READ}
        (found,) = world.pids.judge("red")
        assert found.status == "True"
        assert world.pids.asking("red") == ["red"]
        assert world.pids.asking("blue") == []
        gone = world.cluster.remove(ref_of("node-a"))
        world.book.drop("node-a", int(gone["metadata"]["resourceVersion"]))
        (found,) = world.pids.judge("red")
        assert found.reason == status.NO_NODES
        assert world.pids.judge("blue") == ()

    live(work)


def test_a_declaration_counts_at_once() -> None:
    """And is taken back at once, without another look at the kubelet."""

    async def work(world: World) -> None:
        world.answers["node-a"] = Reading(problem="no answer")
        world.ask("red")
        world.see(node())
        await world.settle()
        assert world.limit().source is Source.UNREAD
        world.see(node(**{names.DECLARED_PIDS_LABEL: "512"}))
        await world.settle()
        assert world.limit() == Limit(Source.DECLARED, 512, "no answer")
        assert world.pids_labels() == {}
        world.see(node())
        await world.settle()
        assert world.limit().source is Source.UNREAD

    live(work)


def test_tenants_run_on_their_own_nodes_or_on_the_shared_ones() -> None:
    own = TenantNodes.model_validate({"dedication": "Dedicated", "names": ["a"]})
    marks = SettingsNodes.model_validate(
        {
            "shared": {"matchLabels": {"node-restriction.kubernetes.io/pool": "shared"}},
            "dedicable": {"matchLabels": {"node-restriction.kubernetes.io/pool": "own"}},
        }
    )
    for nodes, settings, owners in (
        (own, marks, {"red"}),
        (TenantNodes(), marks, {names.SHARED}),
        (TenantNodes(), None, {names.SHARED, ""}),
    ):
        asking = nodes.model_copy(update={"pod_pids_limit": 512, "pids": "Require"})
        assert pids.asked("red", asking, settings) == Asked(frozenset(owners), 512, required=True)
        assert pids.asked("red", nodes, settings) is None


def test_a_kubelet_is_read_again_when_it_starts_anew_and_every_few_minutes() -> None:
    async def work(world: World) -> None:
        world.ask("red")
        world.see(node())
        await world.settle()
        world.answers["node-a"] = Reading(limit=512)
        world.see(node(boot="2", **bounds(1024)))
        await world.settle()
        assert world.asked == ["node-a"] * 2
        assert world.pids_labels() == bounds(512)
        await world.pass_time(INTERVAL_SECONDS)
        assert len(world.asked) in (3, 4)

    live(work)


def test_a_kubelet_that_keeps_too_little_is_read_again_within_half_a_minute() -> None:
    """What the condition asks for is a restart of the kubelet, and nothing shows one."""

    async def work(world: World) -> None:
        world.ask("red")
        world.answers["node-a"] = Reading(limit=UNLIMITED)
        world.see(node())
        await world.settle()
        assert world.asked == ["node-a"]
        world.answers["node-a"] = Reading(limit=1024)
        await world.pass_time(UNKEPT_SECONDS)
        assert world.limit() == READ
        now = len(world.asked)
        await world.pass_time(INTERVAL_SECONDS / 3)
        assert len(world.asked) == now, "what is kept is read as seldom as before"
        # A lower bound is not kept.
        world.pids.ask("red", Asked(frozenset({"red"}), 512, required=False))
        world.answers["node-a"] = Reading(limit=512)
        await world.pass_time(UNKEPT_SECONDS)
        assert world.limit() == Limit(Source.READ, 512)

    live(work)


def test_a_kubelet_is_read_at_once_when_somebody_asks_to_look_again() -> None:
    async def work(world: World) -> None:
        world.ask("red")
        world.see(node())
        await world.settle()
        world.answers["node-a"] = Reading(limit=UNLIMITED)
        world.pids.look_again("blue")
        await world.settle()
        assert world.limit() == READ
        world.pids.look_again("red")
        await world.settle()
        assert world.limit() == Limit(Source.READ, UNLIMITED)

    live(work)


def test_a_limit_that_is_gone_takes_the_labels_away() -> None:
    async def work(world: World) -> None:
        world.ask("red")
        world.see(node())
        await world.settle()
        world.answers["node-a"] = Reading(limit=UNLIMITED)
        await world.pass_time(INTERVAL_SECONDS)
        assert world.pids_labels() == {}
        assert world.limit() == Limit(Source.READ, UNLIMITED)

    live(work)


def test_a_silent_kubelet_is_believed_for_a_while_and_then_no_more() -> None:
    """Fail closed, and not at every fault of a network."""

    async def work(world: World) -> None:
        world.ask("red")
        world.see(node())
        await world.settle()
        world.answers["node-a"] = Reading(problem="no answer")
        await world.pass_time(GRACE_SECONDS - 60)
        assert world.pids_labels() == bounds(1024)
        assert world.limit() == READ
        await world.pass_time(INTERVAL_SECONDS)
        assert world.pids_labels() == {}
        assert world.limit() == Limit(Source.UNREAD, 0, "no answer")
        world.answers["node-a"] = Reading(limit=512)
        await world.pass_time(INTERVAL_SECONDS)
        assert world.pids_labels() == bounds(512)

    live(work)


def test_a_restart_of_the_operator_keeps_what_was_read_for_a_while() -> None:
    """The labels are the memory: what they say is believed as long as a reading of now."""

    async def work(world: World) -> None:
        world.answers["node-a"] = Reading(problem="no answer")
        world.ask("red")
        world.see(node(**bounds(256)))
        await world.settle()
        assert world.pids_labels() == bounds(256)
        await world.pass_time(GRACE_SECONDS + INTERVAL_SECONDS)
        assert world.pids_labels() == {}

    live(work)


def test_a_node_that_is_made_anew_inherits_nothing() -> None:
    async def work(world: World) -> None:
        world.ask("red")
        world.see(node())
        await world.settle()
        world.answers["node-a"] = Reading(problem="no answer")
        world.cluster.remove(ref_of("node-a"))
        world.see(node())
        await world.settle()
        assert world.pids_labels() == {}
        assert world.limit().source is Source.UNREAD

    live(work)


def test_stuck_kubelets_hold_up_no_other() -> None:
    """Fewer than there are readers: each is bounded in time by the reader itself."""

    async def work(world: World) -> None:
        slow = [f"slow-{number}" for number in range(15)]
        world.stuck.update(slow)
        world.ask("red")
        for name in (*slow, "node-a"):
            world.see(node(name))
        await world.settle()
        assert world.pids_labels() == bounds(1024)
        assert len(world.asked) == 16

    live(work)


def test_an_answer_that_comes_after_a_restart_is_thrown_away() -> None:
    """It is about a kubelet that is no more."""

    async def work(world: World) -> None:
        world.stuck.add("node-a")
        world.ask("red")
        world.see(node())
        await world.settle()
        world.answers["node-a"] = Reading(limit=128)
        world.see(node(boot="2"))
        world.stuck.clear()
        world.unstuck.set()
        asked = len(world.asked)
        await world.settle()
        assert len(world.asked) == asked + 1

    live(work)


def test_a_kubelet_that_starts_anew_all_the_time_keeps_nobody_busy() -> None:
    """It says so itself: a hostile one could have everybody told of it at each breath."""

    async def work(world: World) -> None:
        world.ask("red")
        for number in range(50):
            world.answers["node-a"] = Reading(limit=128 if number % 2 else UNLIMITED)
            world.see(node(boot=str(number), **world.standing()))
            await world.settle()
        assert len(world.asked) == 6
        assert len(world.cluster.writes) <= 6

    live(work)


def test_a_kubelet_does_not_prolong_its_grace_by_starting_anew() -> None:
    """Answers that come too late are thrown away, however many; labels go in time all the same."""

    async def work(world: World) -> None:
        world.ask("red")
        world.see(node())
        await world.settle()
        world.stuck.add("node-a")
        until = world.now + GRACE_SECONDS + 60
        while world.now < until:
            world.now += 30
            world.see(node(boot=str(world.now), **world.standing()))
            await world.settle()
            world.unstuck.set()
            world.see(node(boot=f"again {world.now}", **world.standing()))
            world.unstuck = asyncio.Event()
            await world.settle()
        world.stuck.clear()
        world.answers["node-a"] = Reading(problem="no answer")
        world.unstuck.set()
        await world.pass_time(INTERVAL_SECONDS)
        assert world.pids_labels() == {}

    live(work)


def test_labels_that_somebody_adds_or_takes_are_put_right() -> None:
    """Without asking the kubelet again."""

    async def work(world: World) -> None:
        world.ask("red")
        world.see(node())
        await world.settle()
        world.see(node(**bounds(128)))
        await world.settle()
        assert world.pids_labels() == bounds(1024)
        world.see(node())
        await world.settle()
        assert world.pids_labels() == bounds(1024)
        assert world.asked == ["node-a"]

    live(work)


def test_a_write_that_meets_another_is_tried_again() -> None:
    async def work(world: World) -> None:
        conflicts = iter([ConflictError("it was changed meanwhile")])

        def fault(*_: Any) -> None:
            for each in conflicts:
                raise each

        world.cluster.fault = fault
        world.ask("red")
        world.see(node())
        await world.settle()
        assert world.pids_labels() == {}
        await world.pass_time(60)
        assert world.pids_labels() == bounds(1024)

    live(work)


def test_windows_keeps_no_limit() -> None:
    async def work(world: World) -> None:
        body = node()
        body["status"]["nodeInfo"]["operatingSystem"] = "windows"
        world.ask("red")
        world.see(body)
        await world.settle()
        assert world.asked == []
        assert world.limit() == Limit(Source.READ, UNLIMITED)

    live(work)


def test_changed_settings_ask_everybody_again() -> None:
    """Another authority may make a kubelet readable, or not any more."""

    async def work(world: World) -> None:
        world.ask("red")
        world.see(node())
        await world.settle()
        changed = factory.settings(teardownsPerHour=7)["spec"]
        world.pids.take_settings(SettingsSpec.model_validate(changed))
        await world.settle()
        assert world.asked == ["node-a"] * 2

    live(work)
