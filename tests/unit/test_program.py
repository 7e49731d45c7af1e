"""The program's answers, where no cluster is needed: values in, values out."""

import datetime
import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import factory
from harness import ROOT, environment
from securetenant.answers import (
    built,
    checkup,
    discovered,
    imported,
    markdown,
    needs,
    places,
    planned,
    reach,
    report,
    standing,
    withheld,
)
from securetenant.answers.answer import FINE, FOUND, Answer, Block, Table
from securetenant.answers.built import State
from securetenant.answers.checkup import Line
from securetenant.answers.planned import Change
from securetenant.answers.snapshot import Snapshot
from securetenant.api import kinds, names, status
from securetenant.api.objects import Ref
from securetenant.api.securetenant import TenantSpec
from securetenant.api.tenancysettings import SettingsSpec
from securetenant.checks import filled
from securetenant.checks.posture import Readings, Result
from securetenant.cli import completion
from securetenant.cli.main import main
from securetenant.cli.switches import Switch

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
SETTINGS = factory.settings_spec()
WEB = [{"port": 443}]


def peer(other: str, direction: str, ports: Any = WEB) -> dict[str, Any]:
    return {
        "tenant": other,
        "direction": direction,
        "namespaces": [f"{other}-a"],
        "ports": ports,
    }


def tenants(*bodies: dict[str, Any]) -> dict[str, Any]:
    return {each["metadata"]["name"]: each for each in bodies}


def changed(before: dict[str, Any], after: dict[str, Any], **more: Any) -> Answer:
    """Return what changes between two sets of tenants, without a cluster."""
    return planned.plan(
        Change(
            before=State(settings=SETTINGS, tenants=before),
            after=State(settings=more.pop("settings", SETTINGS), tenants=after),
            snapshot=more.pop("snapshot", Snapshot(tenants=before, settings=SETTINGS)),
            now=NOW,
            **more,
        )
    )


# --- plan -----------------------------------------------------------------------------------


def test_nothing_changes_where_the_specs_are_the_same() -> None:
    same = tenants(factory.tenant("red"), factory.tenant("blue"))
    answer = changed(same, same)
    assert answer.sections == ("Nothing changes.",)
    assert answer.code == FINE


def test_an_opening_between_tenants_is_found_when_the_second_of_them_declares_it() -> None:
    red = factory.tenant("red", network={"peers": [peer("blue", "Egress")]})
    before = tenants(red, factory.tenant("blue"))
    alone = changed(tenants(factory.tenant("red"), factory.tenant("blue")), before)
    assert alone.code == FINE
    both = factory.tenant("blue", network={"peers": [peer("red", "Ingress")]})
    answer = changed(before, tenants(red, both))
    assert answer.code == FOUND
    opened = [
        (each["verb"], each["from"], each["to"])
        for each in answer.data["flows"]
        if each["fromTenant"] and each["toTenant"]
    ]
    assert opened == [("opens", "red-a/*", "blue-a/*")]
    # And closing it again is nothing to stop a merge for.
    assert changed(tenants(red, both), before).code == FINE


def test_access_that_is_lost_or_gained_is_named() -> None:
    def grant(group: str) -> list[Any]:
        subjects = [{"kind": "Group", "name": group}]
        return [{"name": "devs", "role": "Developer", "subjects": subjects}]

    answer = changed(
        tenants(factory.tenant("red", access=grant("old"))),
        tenants(factory.tenant("red", access=grant("new"))),
    )
    assert {
        (each["subject"], each["namespace"], each["verb"]) for each in answer.data["access"]
    } == {
        (f"Group {who}", f"red-{space}", verb)
        for who, verb in (("old", "lost"), ("new", "gained"))
        for space in "ab"
    }


@pytest.mark.parametrize(
    ("policy", "verb"), [pytest.param("Delete", "delete"), pytest.param("Retain", "change")]
)
def test_what_becomes_of_namespaces_that_leave_depends_on_the_deletion_policy(
    policy: str, verb: str
) -> None:
    red = factory.tenant("red", deletionPolicy=policy)
    gone = changed(tenants(red), {})
    assert {each["verb"] for each in gone.data["objects"]} == {verb}
    fewer = factory.tenant("red", deletionPolicy=policy, namespaces=[{"name": "red-a"}])
    left = [
        each
        for each in changed(tenants(red), tenants(fewer)).data["objects"]
        if each["object"] == "Namespace red-b"
    ]
    assert [each["verb"] for each in left] == [verb]


def test_a_spec_that_is_refused_says_so_and_nothing_else() -> None:
    answer = changed(
        tenants(factory.tenant("red")), tenants(factory.tenant("red", quota={"cpu": 1}))
    )
    assert answer.code == FOUND
    assert list(answer.data) == ["refused"]
    assert "ambiguous" in answer.data["refused"]["SecureTenant red"]


def test_a_namespace_that_two_tenants_name_is_had_by_neither_until_one_gives_it_up() -> None:
    red, blue = factory.tenant("red"), factory.tenant("blue")
    greedy = factory.tenant("blue", namespaces=[{"name": "blue-a"}, {"name": "red-a"}])
    answer = changed(tenants(red, blue), tenants(red, greedy))
    assert answer.code == FOUND
    (found,) = answer.data["withheld"]
    assert (found["tenant"], found["namespace"]) == ("blue", "red-a")
    assert "named by red too" in found["message"]
    assert not [each for each in answer.data["objects"] if each["object"] == "Namespace red-a"]
    # Only what is new is reported, and moving a namespace in one change is allowed.
    assert changed(tenants(red, greedy), tenants(red, greedy)).data["withheld"] == []
    left = factory.tenant("red", namespaces=[{"name": "red-b"}])
    assert changed(tenants(red, blue), tenants(left, greedy)).data["withheld"] == []


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        pytest.param({}, "belongs to no tenant", id="nobody's"),
        pytest.param({names.TENANT_LABEL: "green"}, "belongs to tenant green", id="another's"),
    ],
)
def test_a_namespace_that_is_there_is_not_promised(labels: dict[str, str], told: str) -> None:
    there = {"name": "taken", "uid": "1", "resourceVersion": "1", "labels": labels}
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": there}
    red = tenants(factory.tenant("red", namespaces=[{"name": "taken"}]))
    answer = changed({}, red, snapshot=Snapshot(tenants={}, settings=SETTINGS, namespaces=(body,)))
    assert answer.code == FOUND
    assert told in answer.data["withheld"][0]["message"]
    assert answer.data["objects"] == []


@pytest.mark.parametrize("annotations", [{}, {names.REUSE_ANNOTATION: "rests"}], ids=["", "reused"])
def test_a_name_that_rests_is_not_promised_unless_the_platform_gives_it(
    annotations: dict[str, str],
) -> None:
    red = factory.tenant("red", namespaces=[{"name": "rests"}])
    red["metadata"]["annotations"] = annotations
    after = State(settings=SETTINGS, tenants=tenants(red))
    since = (NOW - datetime.timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    former = {"name": "rests", "tenant": "blue", "uid": "1", "since": since}
    gives = withheld.resting({"formerNames": [former]}, after, NOW)
    answer = changed({}, tenants(red), gives=gives)
    assert [each["namespace"] for each in answer.data["withheld"]] == (
        [] if annotations else ["rests"]
    )
    assert answer.code == (FINE if annotations else FOUND)


def test_a_name_that_the_platform_keeps_is_not_promised() -> None:
    red = tenants(factory.tenant("red", namespaces=[{"name": "vault-1"}]))
    settings = SETTINGS.model_copy(update={"protected_names": ("vault-*",)})
    answer = changed({}, red, settings=settings)
    assert answer.code == FOUND
    assert "kept by the platform team" in answer.data["withheld"][0]["message"]


def test_a_field_that_is_misspelt_is_answered_with_the_one_that_is_meant() -> None:
    answer = changed({}, tenants(factory.tenant("red", qouta={"pods": 1})))
    assert "Is quota meant?" in answer.data["refused"]["SecureTenant red"]


def test_pods_that_the_new_rules_refuse_and_use_beyond_the_new_share_are_named() -> None:
    before = tenants(factory.tenant("red", quota=factory.enough(2)))
    stricter = {"registries": ["registry.example/red/"]}
    after = tenants(
        factory.tenant("red", workloads=stricter, quota={**factory.enough(2), "pods": 2})
    )
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "namespace": "red-a"},
        "spec": {"containers": [{"name": "c", "image": "docker.io/library/nginx:1"}]},
    }
    quota = {
        "metadata": {"name": names.QUOTA, "namespace": "red-a"},
        "status": {"used": {"pods": "7"}},
    }
    spaces = (factory.namespace("red-a", "red"), factory.namespace("red-b", "red"))
    snapshot = Snapshot(tenants=before, settings=SETTINGS, namespaces=spaces, pods=(pod,))
    answer = changed(before, after, snapshot=snapshot, quotas=[quota])
    (harm,) = answer.data["pods"]
    assert harm["pod"] == "red-a/web"
    assert "from elsewhere" in harm["what"]
    assert answer.data["overQuota"] == [
        {"namespace": "red-a", "resource": "pods", "used": "7", "limit": "1"}
    ]


PROXY = {"name": "proxy", "to": [{"cidr": "192.0.2.0/24"}], "ports": [{"port": 3128}]}
KEY = "limits.cpu"


def counted(red: dict[str, Any], **cpus: tuple[str, str]) -> dict[str, Any]:
    """Return namespaces of red whose quotas say how many CPUs they have, and how many are used."""
    spaces = tuple(factory.namespace(f"red-{each}", "red") for each in cpus)
    found = built.build(
        State(settings=SETTINGS, tenants=tenants(red)), built.There(spaces), ["red"]
    )["red"]
    quotas = []
    for each, (has, used) in cpus.items():
        body = found.manifests[f"red-{each}"][
            Ref(kinds.RESOURCE_QUOTA.name, f"red-{each}", names.QUOTA)
        ]
        hard = {**body["spec"]["hard"], KEY: has}
        quotas.append(
            {**body, "spec": {"hard": hard}, "status": {"hard": hard, "used": {KEY: used}}}
        )
    snapshot = Snapshot(tenants=tenants(red), settings=SETTINGS, namespaces=spaces)
    return {"snapshot": snapshot, "quotas": quotas}


def cpus(total: int, **spec: Any) -> dict[str, Any]:
    """Return red with so many CPUs."""
    return factory.tenant("red", quota={**factory.enough(2), KEY: total}, **spec)


def of_cpus(answer: Answer) -> list[tuple[str, str, str]]:
    """Return which shares of CPUs change, from what to what."""
    return [
        (each["namespace"], each["before"], each["after"])
        for each in answer.data["shares"]
        if each["resource"] == KEY
    ]


def test_a_pool_has_the_shares_that_are_there_and_no_use_of_them_is_beyond() -> None:
    live = counted(cpus(8), a=("8", "6"), b=("0", "0"))
    answer = changed(tenants(cpus(8)), tenants(cpus(8, lockdown="Frozen")), **live)
    assert answer.data["tenants"] == ["red"]
    assert of_cpus(answer) == []
    assert answer.data["overQuota"] == []


@pytest.mark.parametrize(
    ("after", "lost"),
    [
        pytest.param(
            {"network": {"egress": [{**PROXY, "to": [{"cidr": "192.0.2.0/25"}]}]}},
            ["to 192.0.2.128/25 on TCP 3128"],
            id="half-of-an-opening",
        ),
        pytest.param({"network": {}}, ["to 192.0.2.0/24 on TCP 3128"], id="an-opening"),
        pytest.param({"network": {"egress": [PROXY]}, "quotaMode": "Split"}, [], id="nothing"),
    ],
)
def test_a_pod_that_is_cut_off_is_named_with_what_it_loses(
    after: dict[str, Any], lost: list[str]
) -> None:
    before = tenants(factory.tenant("red", network={"egress": [PROXY]}))
    spaces = (factory.namespace("red-a", "red"), factory.namespace("red-b", "red"))
    owner = {"kind": "ReplicaSet", "name": "web-1", "controller": True}
    metadata = {"name": "web", "namespace": "red-a", "ownerReferences": [owner]}
    pod = {"apiVersion": "v1", "kind": "Pod", **factory.pod(), "metadata": metadata}
    snapshot = Snapshot(tenants=before, settings=SETTINGS, namespaces=spaces, pods=(pod,))
    answer = changed(before, tenants(factory.tenant("red", **after)), snapshot=snapshot)
    expected = [{"pod": "red-a/web", "owner": "ReplicaSet web-1", "flows": tuple(lost)}]
    assert answer.data["cutOff"] == (expected if lost else [])


def test_a_lower_total_of_a_pool_is_taken_from_what_is_idle_and_what_is_used_beyond_is_named() -> (
    None
):
    live = counted(cpus(8), a=("6", "5"), b=("2", "0"))
    answer = changed(tenants(cpus(8)), tenants(cpus(6)), **live)
    after = {namespace: int(after) for namespace, _, after in of_cpus(answer)}
    assert after.get("red-a", 6) >= 5
    assert after.get("red-a", 6) + after.get("red-b", 2) == 6
    assert answer.data["overQuota"] == []
    (over,) = changed(tenants(cpus(8)), tenants(cpus(4)), **live).data["overQuota"]
    assert over == {"namespace": "red-a", "resource": KEY, "used": "5", "limit": "4"}


@pytest.mark.parametrize(
    ("policy", "expected"),
    [pytest.param("Retain", []), pytest.param("Delete", [("red-a", "4", "8")])],
)
def test_a_namespace_that_leaves_keeps_its_share_unless_it_is_deleted(
    policy: str, expected: list[tuple[str, str, str]]
) -> None:
    before = cpus(8, quotaMode="Split", deletionPolicy=policy)
    after = cpus(8, quotaMode="Split", deletionPolicy=policy, namespaces=[{"name": "red-a"}])
    live = counted(before, a=("4", "1"), b=("4", "1"))
    assert of_cpus(changed(tenants(before), tenants(after), **live)) == expected


def test_changed_settings_concern_every_tenant_and_are_followed_in_waves() -> None:
    body = {**SETTINGS.model_dump(by_alias=True, mode="json", exclude_none=True)}
    opened = {"name": "proxy", "to": [{"cidr": "192.0.2.0/24"}], "ports": [{"port": 3128}]}
    body["network"] = {"egress": [opened]}
    fleet = tenants(*(factory.tenant(f"t{number}") for number in range(12)))
    answer = changed(fleet, fleet, settings=SettingsSpec.model_validate(body))
    assert answer.data["tenants"] == sorted(fleet)
    assert sum(answer.data["rollOut"]) == 12
    assert answer.data["rollOut"][:3] == [1, 2, 4]
    assert {each["verb"] for each in answer.data["flows"]} == {"opens"}


SHARING = {
    "shared": {"matchLabels": {"node-restriction.kubernetes.io/a": "shared"}},
    "dedicable": {"matchLabels": {"node-restriction.kubernetes.io/a": "own"}},
}
OWN = {
    "dedication": "Dedicated",
    "selector": {"matchLabels": {"node-restriction.kubernetes.io/a": "own"}},
}


def a_node(name: str, kind: str, owner: str = "") -> dict[str, Any]:
    labels = {"node-restriction.kubernetes.io/a": kind}
    labels |= {names.NODE_LABEL: owner} if owner else {}
    taint = {"key": names.NODE_TAINT, "value": owner, "effect": "NoExecute"}
    is_own = owner not in ("", names.SHARED)
    return {
        "metadata": {"name": name, "uid": name, "labels": labels},
        "spec": {"taints": [taint] if is_own else []},
    }


def a_pod(space: str, node: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": space},
        "spec": {"nodeName": node, "containers": [], **spec},
    }


def fates(before: Any, after: Any, nodes: Any, pods: Any, **spec: Any) -> dict[str, str]:
    """Return what becomes of pods when the nodes of red change, blue being shared."""
    old, new = (factory.tenant("red", nodes=each) for each in (before, after))
    settings = factory.settings_spec(nodes=SHARING)
    spaces = [
        factory.namespace(f"{each}-{space}", each) for each in ("red", "blue") for space in "ab"
    ]
    sides = [
        State(settings=settings, tenants=tenants(each, factory.tenant("blue")))
        for each in (old, new)
    ]
    answer = planned.plan(
        Change(
            before=sides[0],
            after=sides[1],
            snapshot=Snapshot(tenants=sides[0].tenants, namespaces=tuple(spaces)),
            # One that is nobody's: the last one for the platform goes to no tenant.
            nodes=[*nodes, a_node("platform", "none")],
            on_nodes=pods,
            now=NOW,
        )
    )
    return {each["pod"]: f"{each['verb']}: {each['what']}" for each in answer.data["nodes"]}


def test_pods_of_others_leave_a_node_that_becomes_a_tenants_own() -> None:
    everything = {"operator": "Exists"}
    pods = [
        a_pod("default", "n"),
        {**a_pod("logs", "n", tolerations=[everything])},
        {
            **a_pod("kube-system", "n"),
            "metadata": {
                "name": "proxy",
                "namespace": "kube-system",
                "ownerReferences": [{"kind": "DaemonSet", "name": "proxy", "controller": True}],
            },
        },
    ]
    now = fates(None, {**OWN, "eviction": "Evict"}, [a_node("n", "own")], pods)
    assert now == {"default/p": "evicted: the node is red's, with NoExecute and eviction: Evict"}
    waits = fates(None, OWN, [a_node("n", "own")], pods)
    assert waits == {"default/p": "stays: the node is red's; NoExecute waits until it ends"}
    soft = {**OWN, "effects": ["NoSchedule"]}
    assert fates(None, soft, [a_node("n", "own")], pods) == {
        "default/p": "stays: the node is red's"
    }


def test_the_tenants_own_pods_from_before_are_evicted_and_come_back() -> None:
    pods = [a_pod("red-a", "n"), a_pod("red-b", "common"), a_pod("blue-a", "common")]
    places = [a_node("n", "own"), a_node("common", "shared", names.SHARED)]
    found = fates(None, {**OWN, "eviction": "Evict"}, places, pods)
    assert found["red-a/p"].endswith("one like it may come back")
    assert found["red-b/p"] == "stays: new pods of red run on its own"
    assert "blue-a/p" not in found


def test_a_tenant_that_gives_its_nodes_back_moves_when_its_pods_are_made_again() -> None:
    found = fates(OWN, None, [a_node("n", "own", "red")], [a_pod("red-a", "n")])
    assert found == {"red-a/p": "stays: new pods of red run on those for shared tenants"}
    # The same spec moves nobody.
    assert fates(OWN, OWN, [a_node("n", "own", "red")], [a_pod("red-a", "n")]) == {}


def test_a_tenant_whose_nodes_do_not_exist_is_told() -> None:
    red = factory.tenant("red", nodes={"dedication": "Dedicated", "names": ["gone"]})
    answer = changed(
        tenants(factory.tenant("red")), tenants(red), nodes=[a_node("n", "shared", names.SHARED)]
    )
    assert {"tenant": "red", "message": "no node would be its own: its new pods wait for one"} in (
        answer.data["remarks"]
    )


# --- reach ----------------------------------------------------------------------------------


def world(*bodies: dict[str, Any]) -> Snapshot:
    """Return a cluster in which everything is as the specs say."""
    found = tenants(*bodies)
    answer = built.build(State(settings=SETTINGS, tenants=found), built.There(), found)
    spaces = [_space("kube-system", "")]
    policies = []
    for each in answer.values():
        for namespace, manifests in each.manifests.items():
            (owner,) = {each for each in found if namespace.startswith(f"{each}-")}
            spaces.append(_space(namespace, owner))
            policies += [
                body for ref, body in manifests.items() if ref.kind == kinds.NETWORK_POLICY.name
            ]
    return Snapshot(
        tenants=found,
        settings=SETTINGS,
        namespaces=tuple(spaces),
        network_policies=tuple(policies),
    )


def _space(name: str, owner: str) -> dict[str, Any]:
    return factory.namespace(name, owner, labels={names.NAMESPACE_NAME_LABEL: name})


def asked(snapshot: Snapshot, source: str, target: str, port: str | None = None) -> Answer:
    one, other = (places.place(each, snapshot) for each in (source, target))
    wanted = reach.port(port) if port else None
    return reach.between(snapshot, one, other, wanted, expect=None)


def test_what_is_missing_on_each_side_is_shown_as_a_spec_that_opens_it() -> None:
    """Taken as it is shown, by both tenants, the answer is yes."""
    red, blue = factory.tenant("red"), factory.tenant("blue")
    answer = asked(world(red, blue), "red-a", "blue-b", "8000-8100")
    assert answer.data["answer"] == "No"
    declared = [each for each in answer.sections if isinstance(each, Block)]
    assert [each.title for each in declared] == [
        "In the spec of tenant red",
        "In the spec of tenant blue",
    ]
    red, blue = (
        factory.tenant(name, **yaml.safe_load(each.text))
        for name, each in zip(("red", "blue"), declared, strict=True)
    )
    snapshot = world(red, blue)
    assert asked(snapshot, "red-a", "blue-b", "8000-8100").data["answer"] == "Yes"
    assert asked(snapshot, "red-b", "blue-b", "8000-8100").data["answer"] == "No"
    assert asked(snapshot, "blue-b", "red-a", "8000-8100").data["answer"] == "No"


@pytest.mark.parametrize("other", ["kube-system", "10.7.0.0/16", "192.0.2.7", "internet"])
def test_so_is_what_opens_the_platform_and_addresses(other: str) -> None:
    red = factory.tenant("red")
    answer = asked(world(red), "red-a", other, "5432")
    assert answer.data["answer"] == "No"
    (block,) = (each for each in answer.sections if isinstance(each, Block))
    spec = yaml.safe_load(block.text.replace("CHOOSE", "db"))
    assert (
        asked(world(factory.tenant("red", **spec)), "red-a", other, "5432").data["answer"] == "Yes"
    )


def test_addresses_that_are_open_in_part_are_no_yes_for_all_of_them() -> None:
    opening = {"name": "db", "to": [{"cidr": "10.7.0.0/24"}], "ports": [{"port": 5432}]}
    answer = asked(
        world(factory.tenant("red", network={"egress": [opening]})), "red-a", "10.7.0.0/16"
    )
    assert str(answer.sections[0]).startswith("In part: red-a reaches some addresses")


def test_an_expectation_that_is_not_met_has_an_exit_code_of_its_own() -> None:
    snapshot = world(factory.tenant("red"), factory.tenant("blue"))
    one, other = (places.place(each, snapshot) for each in ("red-a", "tenant:blue"))
    assert reach.between(snapshot, one, other, None, expect=False).code == FINE
    assert reach.between(snapshot, one, other, None, expect=True).code == FOUND


def test_a_policy_that_is_not_evaluated_makes_a_no_unknown() -> None:
    snapshot = world(factory.tenant("red"), factory.tenant("blue"))
    open_all = {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumClusterwideNetworkPolicy",
        "metadata": {"name": "open-all"},
        "spec": {"endpointSelector": {}},
    }
    answer = asked(
        Snapshot(
            tenants=snapshot.tenants,
            settings=SETTINGS,
            namespaces=snapshot.namespaces,
            network_policies=snapshot.network_policies,
            foreign_policies=(open_all,),
        ),
        "red-a",
        "blue-a",
    )
    assert answer.data["answer"] == "Unknown"
    assert "open-all" in answer.data["unclear"][0]


@pytest.mark.parametrize("text", ["0", "65536", "9-8", "http", "tcp:", "1-2-3", "-1"])
def test_a_port_that_is_none_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(reach.PortError, match=r"Write a number from 1 to 65535"):
        reach.port(text)


@given(st.text())
def test_no_name_breaks_out_of_a_picture(name: str) -> None:
    flow = {"from": f"a{name}", "to": "b", "ports": [{"protocol": "TCP", "first": 1, "last": 2}]}
    answer = Answer(kind="ReachList", data={"flows": [flow]}, sections=())
    drawn = reach.mermaid(answer)
    assert len(drawn.splitlines()) == 4
    assert drawn.count('"') == 6
    dot = reach.dot(answer)
    assert len(dot.split("\n")) == 6


# --- why ------------------------------------------------------------------------------------


def test_what_one_pod_takes_is_the_larger_of_both_kinds_of_containers() -> None:
    policy = factory.policy_spec(quota={"pods": 10})
    spec = {
        "containers": [
            {"name": "a", "resources": {"requests": {"cpu": "1"}}},
            {"name": "b", "resources": {"limits": {"cpu": "500m"}}},
        ],
        "initContainers": [{"name": "c", "resources": {"requests": {"cpu": "3"}}}],
    }
    quota = {
        "status": {
            "hard": {"requests.cpu": "4", "pods": "1"},
            "used": {"requests.cpu": "2", "pods": "1"},
        }
    }
    found = {each.resource: (each.need, each.left) for each in needs.lacks(spec, policy, quota)}
    assert found == {"requests.cpu": ("3", "2"), "pods": ("1", "0")}


@pytest.mark.parametrize(
    ("mode", "most", "gets"), [("Pool", 5, True), ("Pool", 4, False), ("Split", 5, False)]
)
def test_a_lack_that_the_pool_can_fill_is_one_that_a_controller_waits_out(
    mode: str,
    most: int,
    gets: bool,
) -> None:
    """A pool has room up to the most of the namespace; fixed shares never have."""
    policy = factory.policy_spec(quota={"pods": most}, quotaMode=mode)
    quota = {"status": {"hard": {"pods": "4"}, "used": {"pods": "4"}}}
    (lack,) = needs.lacks({"containers": [{"name": "a"}]}, policy, quota)
    assert lack.gets is gets


def test_what_a_pod_says_is_kept_and_what_it_leaves_out_is_filled_in() -> None:
    policy = factory.policy_spec()
    says = {"runAsNonRoot": False, "seccompProfile": {"type": "Unconfined"}}
    spec = {"securityContext": says, "containers": [{"name": "c", "image": "a.example/b:1"}]}
    found = filled.fill({"spec": spec}, policy, mutates=True)["spec"]
    assert found["securityContext"] == says
    context = found["containers"][0]["securityContext"]
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert spec == {
        "securityContext": says,
        "containers": [{"name": "c", "image": "a.example/b:1"}],
    }
    bare = filled.fill({"spec": spec}, policy, mutates=False)["spec"]
    assert "securityContext" not in bare["containers"][0]
    assert bare["containers"][0]["imagePullPolicy"] == "IfNotPresent"


# --- discover and import --------------------------------------------------------------------


def test_settings_that_nothing_was_seen_for_are_those_that_are_shipped() -> None:
    text = discovered.text(discovered.discover(discovered.Seen()))
    found = yaml.safe_load(text)["spec"]
    shipped = yaml.safe_load((ROOT / "manifests/settings/default.yaml").read_text())["spec"]
    assert found == shipped
    SettingsSpec.model_validate(found)


def test_settings_name_what_was_seen() -> None:
    def node(number: int) -> dict[str, Any]:
        return {
            "metadata": {"name": f"n{number}"},
            "spec": {"providerID": "aws:///x", "podCIDRs": [f"10.244.{number}.0/24"]},
            "status": {"addresses": [{"type": "InternalIP", "address": f"172.16.{number}.9"}]},
        }

    dns = {
        "metadata": {"name": "dns-default", "namespace": "openshift-dns"},
        "spec": {
            "selector": {"dns.operator.openshift.io/daemonset-dns": "default", "on": "yes"},
            "ports": [{"port": 53, "targetPort": 5353}],
        },
    }
    kubernetes = {
        "metadata": {"name": "kubernetes", "namespace": "default"},
        "spec": {"clusterIPs": ["10.96.0.1", "fd00::1"], "ports": [{"port": 443}]},
    }
    traefik = {
        "kind": "Deployment",
        "metadata": {"name": "traefik", "namespace": "edge"},
        "spec": {"template": {"metadata": {"labels": {"app.kubernetes.io/name": "traefik"}}}},
    }
    seen = discovered.Seen(
        services=[dns, kubernetes],
        nodes=[node(1), node(2)],
        workloads=[traefik],
        accounts=[{"metadata": {"namespace": "cert-manager", "name": "cert-manager"}}],
    )
    text = discovered.text(discovered.discover(seen))
    found = yaml.safe_load(text)["spec"]
    SettingsSpec.model_validate(found)
    assert found["dns"]["pods"][0]["podLabels"]["on"] == "yes"
    assert found["dns"]["ports"] == [53, 5353]
    assert found["apiServer"]["addresses"] == ["10.96.0.1/32", "fd00::1/128"]
    assert found["nodeNetworks"] == ["172.16.0.0/22"]
    assert found["podNetworks"] == ["10.244.0.0/22"]
    assert found["ingressControllers"][0]["name"] == "traefik"
    assert found["metadataAddresses"] == ["169.254.169.254/32", "fd00:ec2::254/128"]
    assert "manifests/settings/agents/cert-manager" in text


def test_a_tenant_of_capsule_becomes_a_spec_and_says_what_it_lacks() -> None:
    body = {
        "metadata": {"name": "oil"},
        "spec": {
            "owners": [{"kind": "User", "name": "alice"}],
            "containerRegistries": {"allowed": ["docker.io/oil"], "allowedRegex": "x.*"},
            "resourceQuotas": {"items": [{"hard": {"cpu": 4, "pods": "10"}}]},
            "serviceOptions": {"allowedServices": {"nodePort": False}},
            "forceTenantPrefix": True,
        },
    }
    found = imported.capsule(body, ("oil-prod",))
    spec = TenantSpec.model_validate(found.body["spec"])
    assert [each.role for each in spec.access or ()] == ["Admin"]
    assert found.body["spec"]["quota"] == {"requests.cpu": 4, "pods": "10"}
    assert found.body["spec"]["workloads"] == {
        "registries": ["docker.io/oil/"],
        "serviceTypes": ["ClusterIP", "LoadBalancer"],
    }
    left = [what for what, _ in found.left]
    assert "forceTenantPrefix" in left
    assert "containerRegistries.allowedRegex" in left
    assert yaml.safe_load(imported.text_of(found)) == found.body


# --- what is printed ------------------------------------------------------------------------


@given(st.text())
def test_no_name_formats_anything_in_markdown(name: str) -> None:
    table = Table(columns=("What",), rows=((name,),))
    lines = markdown.render(Answer(kind="X", data={}, sections=(table,))).splitlines()
    assert len(lines) == 3
    # Every bar but the outer two is escaped.
    assert lines[2].replace("\\\\", "").replace("\\|", "").count("|") == 2


def test_a_report_escapes_every_name_and_asks_nobody_for_anything() -> None:
    evil = '<script src="https://evil.example/x">"\'&'
    body = factory.tenant("red")
    condition = {
        "type": "Ready",
        "status": "False",
        "reason": "SpecRefused",
        "message": evil,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    body["status"] = {"conditions": [condition]}
    line = Line("Posture", evil, Result.FAIL, evil, threats="S", sources=evil)
    answer = report.report(
        report.Seen(
            title=evil,
            now=NOW,
            snapshot=Snapshot(tenants={"red": body}, settings=SETTINGS),
            posture=(line,),
        )
    )
    assert answer.code == FOUND
    page = report.page(answer)
    assert page.count("<script") == 1
    assert "src=" not in page.replace("https://evil", "").replace("&lt;script src=", "")
    assert "href" not in page
    assert "default-src &#x27;none&#x27;" in page or "default-src 'none'" in page
    assert json.dumps(answer.document())


def test_a_report_says_what_changed_since_an_earlier_one() -> None:
    def made(status: str, before: Any = None) -> Answer:
        body = factory.tenant("red")
        body["status"] = {
            "conditions": [{"type": "Ready", "status": status, "reason": "X", "message": "y"}]
        }
        snapshot = Snapshot(tenants={"red": body}, settings=SETTINGS)
        return report.report(
            report.Seen(title="x", now=NOW, snapshot=snapshot, posture=(), before=before)
        )

    first = made("True").document()
    assert made("True", first).data["changes"] == []
    assert made("False", first).data["changes"] == ["red: Ready was True, is False"]


def test_a_thousand_tenants_are_a_page_below_ten_megabytes() -> None:
    found = {}
    for number in range(1000):
        body = factory.tenant(f"t{number}")
        body["status"] = {
            "conditions": [
                {"type": type, "status": "True", "reason": "AsSpecified", "message": "x" * 300}
                for type in report._CONDITIONS
            ]
        }
        found[f"t{number}"] = body
    answer = report.report(
        report.Seen(
            title="x", now=NOW, snapshot=Snapshot(tenants=found, settings=SETTINGS), posture=()
        )
    )
    assert len(report.page(answer)) < 10_000_000


def test_a_namespace_that_no_tenant_may_have_is_named_in_the_words_of_its_rule() -> None:
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}}
    found = imported.namespaces("red", [imported.Space(body=body)])
    (refused,) = (told for what, told in found.left if "would be refused" in what)
    assert refused.startswith("this name is protected: default")


# --- the commands ---------------------------------------------------------------------------


@pytest.mark.parametrize("command", sorted(main.list_commands(None)))  # type: ignore[arg-type]  # It looks at none.
def test_every_command_explains_itself(command: str) -> None:
    done = CliRunner().invoke(main, [command, "--help"])
    assert done.exit_code == 0, done.output
    assert done.output.startswith("Usage: ")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(["status", "--kubeconfig", "/nowhere"], "There is no kubeconfig", id="none"),
        pytest.param(["reach", "a"], "Name two ends", id="one end"),
        pytest.param(["reach", "a", "b", "--port", "x"], "is no port", id="no port"),
        pytest.param(["why"], "Name a manifest", id="nothing"),
        pytest.param(["why", "web"], "is no workload", id="no type"),
        pytest.param(["why", "-f", "/nowhere"], "cannot be read", id="no file"),
        pytest.param(["why", "-f", "-"], "is not YAML", id="no YAML"),
        pytest.param(["plan", "-f", "README.md"], "is not YAML", id="no YAML either"),
        pytest.param(["plan", "-f", "pyproject.toml"], "", id="another format"),
        pytest.param(["plan", "-f", "crds"], "There is no SecureTenant", id="other kinds"),
        pytest.param(
            ["plan", "-f", "examples/acme.yaml", "--offline"], "No TenancySettings", id="offline"
        ),
        pytest.param(["import"], "Say what to import", id="import"),
        pytest.param(["freeze", "acme", "--timeout", "5"], "add --wait", id="no wait"),
        pytest.param(["report", "--since", "README.md"], "cannot be read", id="no report"),
    ],
)
def test_bad_input_is_one_line_that_says_what_to_do(arguments: list[str], told: str) -> None:
    done = CliRunner().invoke(main, arguments, input="a: [", catch_exceptions=False)
    assert done.exit_code == 1
    lines = [each for each in done.output.splitlines() if each]
    assert len(lines) == 1, done.output
    assert lines[0].startswith("Error: ")
    assert told in lines[0]


class _Empty(http.server.BaseHTTPRequestHandler):
    """An API server on which SecureTenant is not installed: it has namespaces only."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        known = path in ("/api/v1/namespaces", "/api/v1/namespaces/a", "/api/v1/pods")
        body = {"metadata": {"name": "a", "resourceVersion": "1"}, "items": []}
        answer = json.dumps(body if known else {"message": "the server could not find it"}).encode()
        self.send_response(200 if known else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def uninstalled(tmp_path: Path) -> Iterator[Path]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Empty)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    cluster = {"server": f"http://127.0.0.1:{server.server_port}"}
    login = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "x",
        "clusters": [{"name": "x", "cluster": cluster}],
        "users": [{"name": "x", "user": {"token": "x"}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
    }
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(login), encoding="utf-8")
    yield file
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("status", "acme"),
        ("status", "-n", "a"),
        ("reach", "a", "b"),
        ("reach", "--to", "acme"),
        ("plan", "-f", "examples/acme.yaml"),
        ("why", "pod/x", "-n", "a"),
        ("verify", "acme"),
        ("report",),
        ("adopt", "a", "--tenant", "acme"),
        ("freeze", "acme"),
        ("resume", "acme"),
        ("import", "--capsule"),
    ],
    ids=" ".join,
)
def test_a_cluster_without_securetenant_is_named_in_a_line(
    arguments: tuple[str, ...], uninstalled: Path
) -> None:
    done = CliRunner().invoke(
        main, [*arguments, "--kubeconfig", str(uninstalled)], catch_exceptions=False
    )
    assert done.exit_code == 1, done.output
    lines = [each for each in done.output.splitlines() if not each.startswith("Not seen")]
    assert len(lines) == 1, done.output
    assert lines[0].startswith("Error: ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_completion(shell: str) -> None:
    done = CliRunner().invoke(
        main,
        prog_name="securetenant",
        env={"_SECURETENANT_COMPLETE": f"{shell}_source"},
        catch_exceptions=False,
    )
    assert "securetenant" in done.output
    asked = {"_SECURETENANT_COMPLETE": f"{shell}_complete"}
    asked |= {"COMP_WORDS": "securetenant qu", "COMP_CWORD": "qu" if shell == "fish" else "1"}
    done = CliRunner().invoke(main, prog_name="securetenant", env=asked, catch_exceptions=False)
    assert "quarantine" in done.output
    assert "status" not in done.output


@pytest.mark.parametrize(
    ("words", "found", "files"),
    [
        pytest.param(["qu"], ["quarantine"], False, id="a command"),
        pytest.param(["report", "-o", "h"], ["html"], False, id="a value"),
        pytest.param(["plan", "-f", ""], [], True, id="a file"),
        pytest.param(["nope", "x"], [], True, id="nothing"),
    ],
)
def test_kubectl_completes_the_plugin(
    words: list[str],
    found: list[str],
    files: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["kubectl_complete-securetenant", *words])
    completion.complete()
    *lines, directive = capsys.readouterr().out.splitlines()
    assert [each.partition("\t")[0] for each in lines] == found
    assert directive == (":0" if files else ":4")


# --- check ----------------------------------------------------------------------------------


def platform(answer: str) -> dict[str, Any]:
    """Return TenancySettings that say this of packets."""
    said = {"type": status.PACKETS_FILTERED, "status": answer, "message": "On 3 nodes ..."}
    return {"metadata": {"generation": 1}, "status": {"conditions": [said]}}


@pytest.mark.parametrize(
    ("body", "daemons", "result"),
    [
        pytest.param(platform("True"), [], "Pass", id="the probe saw it"),
        pytest.param(platform("False"), ["calico-node"], "Fail", id="the probe saw the opposite"),
        pytest.param(platform("Unknown"), [], "Unknown", id="the probe says nothing"),
        pytest.param(None, ["calico-node"], "Pass", id="a plugin that enforces them"),
        pytest.param(None, [], "Unknown", id="nothing is known"),
    ],
)
def test_the_packet_probe_decides_whether_the_network_plugin_filters(
    body: dict[str, Any] | None, daemons: list[str], result: str
) -> None:
    seen = checkup.Seen(
        platform=body,
        daemon_sets=[{"metadata": {"name": each}} for each in daemons],
        readings=Readings(),
        now=NOW,
    )
    lines = checkup.check(seen, everything=True).data["checks"]
    (line,) = (each for each in lines if each["name"].startswith("A network plugin"))
    assert line["result"] == result


# --- a program without the packages of the sandbox -------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--help"], 0, "sandbox Needs cryptography"),
        (["sandbox", "up", "--nodes", "2"], 1, "Error: Needs cryptography: pip install"),
        (["why", "--help"], 0, "securetenant why"),
    ],
)
def test_without_the_packages_of_the_sandbox_the_rest_works(
    arguments: list[str], code: int, said: str
) -> None:
    """As `pipx install securetenant-operator[cli]` leaves it: `--help` was a traceback there."""
    program = (
        "import sys; sys.modules['cryptography'] = None;"
        " from securetenant.cli.main import main; main(prog_name='securetenant')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment(COLUMNS="200"),
    )
    assert (done.returncode, "Traceback" in done.stderr) == (code, False)
    assert said in " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize(
    "arguments", [["status", "--nope"], ["nope"], ["--nope"], ["plan"], ["freeze"]], ids=" ".join
)
def test_a_wrong_command_line_has_not_the_exit_code_of_something_found(
    arguments: list[str],
) -> None:
    """A job that stops at 2 would take a misspelt option for an opening between tenants."""
    assert CliRunner().invoke(main, arguments).exit_code == 1


# --- freeze and its like --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seen", "said", "lacks"),
    [
        pytest.param(2, ("True", 2), "", id="in force"),
        pytest.param(1, ("True", 1), "the operator has not seen it", id="not seen"),
        pytest.param(2, ("True", 1), "nothing is said of NamespacesReady yet", id="of before"),
        pytest.param(2, ("False", 2), "NamespacesReady is False: x", id="not yet"),
    ],
)
def test_a_freeze_is_waited_for_until_the_operator_says_so_of_this_very_spec(
    seen: int, said: tuple[str, int], lacks: str
) -> None:
    value, generation = said
    condition = {"type": "NamespacesReady", "status": value, "message": "x"}
    body = {
        "metadata": {"generation": 2},
        "status": {
            "observedGeneration": seen,
            "conditions": [{**condition, "observedGeneration": generation}],
        },
    }
    signs = (status.NAMESPACES_READY,)
    change = Switch(field="lockdown", value="Frozen", effect="", signs=signs)
    assert change.problem(body).startswith(lacks)
    assert bool(change.problem(body)) == bool(lacks)


# --- status ---------------------------------------------------------------------------------


def test_a_status_from_before_the_last_change_is_not_taken_for_one_of_it() -> None:
    """With the operator away, a freeze that was not in force looked as if it held."""
    ready = {"type": "Ready", "status": "True", "reason": "AsSpecified", "message": "as specified"}
    body = {
        "metadata": {"name": "acme", "generation": 3},
        "spec": {},
        "status": {"observedGeneration": 2, "conditions": [ready]},
    }
    listed = standing.tenants({"acme": body})
    one = standing.tenant("acme", body, (), ())
    assert listed.code == one.code == FOUND
    assert "ChangeNotSeen" in str(listed.sections)
    for (data,) in (listed.data["tenants"], [one.data]):
        assert [each["reason"] for each in data["conditions"]] == ["ChangeNotSeen"]
    (line,) = (
        each
        for each in checkup.check(
            checkup.Seen(tenants={"acme": body}, readings=Readings(), now=NOW), everything=True
        ).data["checks"]
        if each["name"] == "Tenants"
    )
    assert line["result"] == "Fail"
    assert "the operator has not seen the last change of the spec" in str(one.sections[0])
    seen = {**body, "status": {**body["status"], "observedGeneration": 3}}
    assert standing.tenants({"acme": seen}).code == FINE
