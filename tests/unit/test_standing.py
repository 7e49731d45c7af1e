"""What is already there, judged by the rules of today: predicates, order, bounds and words."""

import asyncio
import copy
import datetime
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

import factory
from attack_harness import mutate
from fleet import Fleet
from memory_cluster import MemoryCluster
from securetenant.answers import advice
from securetenant.api import kinds, names, status
from securetenant.api.kinds import Kind
from securetenant.api.objects import Page, Ref
from securetenant.api.tenantpolicy import PolicySpec
from securetenant.checks import annotations, standing
from securetenant.checks.objects import is_pattern
from securetenant.checks.standing import Rules, Violation
from securetenant.concerns.standing import look
from securetenant.concerns.standing.concern import Standing
from securetenant.concerns.standing.look import Served
from securetenant.reconcile.errors import MissingError, RefusedError, UnavailableError
from securetenant.status.outcome import Finding

NOW = datetime.datetime(2026, 11, 25, tzinfo=datetime.UTC)
SPACE = "old-a"
MADE = "2026-11-13T12:00:00Z"


def rules(platform: tuple[str, ...] = (), **spec: Any) -> Rules:
    body = factory.policy_body(factory.tenant("old", **spec), SPACE)
    return standing.today(SPACE, PolicySpec.model_validate(body["spec"]), NOW, platform)


def there(kind: Kind, name: str = "x", *, by: str = "kubectl", **fields: Any) -> dict[str, Any]:
    """Return an object as the API server would give it."""
    metadata = {
        "name": name,
        "namespace": SPACE,
        "creationTimestamp": MADE,
        "managedFields": [
            {"manager": "later", "time": "2026-11-20T00:00:00Z"},
            {"manager": by, "time": MADE},
            {"manager": "kubelet", "time": "2020-01-01T00:00:00Z", "subresource": "status"},
        ],
        **fields.pop("metadata", {}),
    }
    return {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata, **fields}


def running(name: str = "x", **metadata: Any) -> dict[str, Any]:
    """Return a pod that runs where every rule holds."""
    spec = copy.deepcopy(factory.pod()["spec"])
    spec["containers"][0]["imagePullPolicy"] = "Always"
    spec["nodeName"] = "node-0"
    spec["tolerations"] = [{"key": "node.kubernetes.io/not-ready", "operator": "Exists"}]
    return there(kinds.POD, name, spec=spec, metadata=metadata, status={"phase": "Running"})


def broken(kind: Kind, body: Any, found: Rules) -> list[tuple[str, str]]:
    return [(each.rule, each.what) for each in standing.judge(kind, body, found)]


BASELINE: dict[str, Any] = {
    "podSecurity": {"level": "baseline", "exceptionReason": "an old program"}
}
ROOT = mutate(running(), "spec.containers.0.securityContext.runAsNonRoot", None)
LEVEL = "spec.containers.0.securityContext.seLinuxOptions"
DAEMON = [{"kind": "DaemonSet", "name": "agent", "controller": True}]
CLAIM = {"storageClassName": "fast", "accessModes": ["ReadWriteOnce"], "volumeName": "pv-1"}
BINDER = "pv.kubernetes.io/bound-by-controller"
SERVICE = {"selector": {"a": "b"}, "ports": [{"port": 80}]}
ACCOUNT = {"kind": "ServiceAccount", "name": "robot", "namespace": "elsewhere"}
ROLE = {"kind": "ClusterRole", "name": "view"}
ROUTE = {
    "hostnames": ["shop.old.example"],
    "parentRefs": [{"namespace": "gateways", "name": "public"}],
    "rules": [{"backendRefs": [{"name": "web", "port": 80}]}],
}
SERVED: dict[str, Any] = {
    "workloads": {
        "hostnames": [".old.example"],
        "gateways": [{"namespace": "gateways", "name": "public"}],
    }
}


def toleration(key: str, **more: Any) -> dict[str, Any]:
    found = [{"key": key, "operator": "Exists", **more}]
    return dict(mutate(running(), "spec.tolerations", found))


CASES: dict[str, tuple[Kind, Any, Rules, list[tuple[str, str]]]] = {
    "an ordinary pod": (kinds.POD, running(), rules(), []),
    "a pod that may be root": (
        kinds.POD,
        ROOT,
        rules(),
        [("Pod Security restricted", "runAsNonRoot")],
    ),
    "the same where that is an exception": (kinds.POD, ROOT, rules(**BASELINE), []),
    "a pod that came to its end": (
        kinds.POD,
        {**ROOT, "status": {"phase": "Succeeded"}},
        rules(),
        [],
    ),
    "an ephemeral container": (
        kinds.POD,
        mutate(running(), "spec.ephemeralContainers", [{"name": "e", "image": "a:1"}]),
        rules(**BASELINE),
        [],
    ),
    "a privileged ephemeral container": (
        kinds.POD,
        mutate(
            running(),
            "spec.ephemeralContainers",
            [{"name": "e", "image": "a:1", "securityContext": {"privileged": True}}],
        ),
        rules(**BASELINE),
        [("Pod Security baseline", "privileged")],
    ),
    "group root in an ephemeral container": (
        kinds.POD,
        mutate(
            running(),
            "spec.ephemeralContainers",
            [{"name": "e", "image": "a:1", "securityContext": {"runAsGroup": 0}}],
        ),
        rules(**BASELINE),
        [("securetenant-pods-hardening", "root group")],
    ),
    "devices, in the order of their names": (
        kinds.POD,
        mutate(
            running(),
            "spec.containers.0.resources",
            {"limits": {f"{each}.test/gpu": "1" for each in "fbdaec"}},
        ),
        rules(),
        [("securetenant-pods", f"{each}.test/gpu") for each in "abcdef"],
    ),
    "every taint": (
        kinds.POD,
        toleration(""),
        rules(),
        [("securetenant-pods", "tolerations")],
    ),
    "the taint of nodes of another": (
        kinds.POD,
        toleration(names.NODE_TAINT, operator="Equal", value="other"),
        rules(nodes={"dedication": "Dedicated", "names": ["n"]}),
        [
            ("securetenant-pods", "tolerations"),
            ("securetenant-pods", f"nodeSelector without {names.NODE_LABEL}=old"),
        ],
    ),
    "a node that is being drained, for a DaemonSet": (
        kinds.POD,
        mutate(toleration("node.kubernetes.io/unschedulable"), "metadata.ownerReferences", DAEMON),
        rules(),
        [],
    ),
    "a node that is being drained": (
        kinds.POD,
        toleration("node.kubernetes.io/unschedulable"),
        rules(),
        [("securetenant-pods", "tolerations")],
    ),
    "another network": (
        kinds.POD,
        running(annotations={"k8s.v1.cni.cncf.io/networks": "lan"}),
        rules(),
        [("securetenant-pods", "annotation k8s.v1.cni.cncf.io/networks")],
    ),
    "what a network plugin wrote down": (
        kinds.POD,
        running(annotations={"cni.projectcalico.org/podIP": "10.0.0.1/32", "note": "x"}),
        rules(),
        [],
    ),
    "the cache of a node": (
        kinds.POD,
        mutate(running(), "spec.containers.0.imagePullPolicy", "Never"),
        rules(),
        [("securetenant-pods-hardening", "image app:1 from the cache")],
    ),
    "the cache of a node, in Audit mode": (
        kinds.POD,
        mutate(running(), "spec.containers.0.imagePullPolicy", "Never"),
        rules(enforcement="Audit"),
        [("securetenant-pods-shared", "image app:1 from the cache")],
    ),
    "another's SELinux level, in Audit mode": (
        kinds.POD,
        mutate(running(), LEVEL, {"level": "s0:c1,c2"}),
        rules(enforcement="Audit"),
        [("securetenant-pods-shared", "seLinuxOptions.level")],
    ),
    "group root": (
        kinds.POD,
        mutate(running(), "spec.securityContext", {"fsGroup": 0}),
        rules(),
        [("securetenant-pods-hardening", "root group")],
    ),
    "group root, in Audit mode": (
        kinds.POD,
        mutate(running(), "spec.securityContext", {"fsGroup": 0}),
        rules(enforcement="Audit"),
        [],
    ),
    "an image from elsewhere": (
        kinds.POD,
        mutate(running(), "spec.containers.0.image", "docker.io/x:1"),
        rules(workloads={"registries": ["registry.old.example/"]}),
        [("securetenant-pods-hardening", "image docker.io/x:1 from elsewhere")],
    ),
    "a Service": (kinds.SERVICE, there(kinds.SERVICE, spec=SERVICE), rules(), []),
    "addresses of others": (
        kinds.SERVICE,
        there(kinds.SERVICE, spec={**SERVICE, "externalIPs": ["203.0.113.7"]}),
        rules(),
        [("securetenant-services", "externalIPs")],
    ),
    "a type": (
        kinds.SERVICE,
        there(kinds.SERVICE, spec={**SERVICE, "type": "NodePort"}),
        rules(),
        [("securetenant-services", "type")],
    ),
    "an Ingress": (
        kinds.INGRESS,
        there(kinds.INGRESS, spec={"ingressClassName": "nginx", "rules": [{"host": "other.test"}]}),
        rules(workloads={"ingressClasses": ["nginx"], "hostnames": [".old.example"]}),
        [("securetenant-ingress", "host")],
    ),
    "a claim that the cluster bound": (
        kinds.CLAIM,
        there(kinds.CLAIM, spec=CLAIM, metadata={"annotations": {BINDER: "yes"}}),
        rules(),
        [],
    ),
    "a claim that chose its volume": (
        kinds.CLAIM,
        there(kinds.CLAIM, spec=CLAIM),
        rules(),
        [("securetenant-volumes", "volumeName")],
    ),
    "a claim with orders": (
        kinds.CLAIM,
        there(
            kinds.CLAIM,
            spec=CLAIM,
            metadata={"annotations": {BINDER: "yes", "nfs.io/storage-path": "/"}},
        ),
        rules(),
        [("securetenant-annotations", "annotation nfs.io/storage-path")],
    ),
    "everybody": (
        kinds.NETWORK_POLICY,
        there(kinds.NETWORK_POLICY, spec={"podSelector": {}, "ingress": [{}]}),
        rules(),
        [("securetenant-network", "everybody")],
    ),
    "the tenant": (
        kinds.NETWORK_POLICY,
        there(kinds.NETWORK_POLICY, spec={"ingress": [{"from": [{"podSelector": {}}]}]}),
        rules(),
        [],
    ),
    "people": (
        kinds.ROLE_BINDING,
        there(kinds.ROLE_BINDING, roleRef=ROLE, subjects=[{"kind": "Group", "name": "all"}]),
        rules(),
        [("securetenant-access", "Group all"), ("securetenant-access", "ClusterRole view")],
    ),
    "a program of others": (
        kinds.ROLE_BINDING,
        there(kinds.ROLE_BINDING, roleRef=ROLE, subjects=[ACCOUNT]),
        rules(),
        [
            ("securetenant-access", "ServiceAccount robot"),
            ("securetenant-access", "ClusterRole view"),
        ],
    ),
    "a program of the platform": (
        kinds.ROLE_BINDING,
        there(kinds.ROLE_BINDING, roleRef=ROLE, subjects=[ACCOUNT]),
        rules(("elsewhere",)),
        [],
    ),
    "the platform's role for an own program": (
        kinds.ROLE_BINDING,
        there(
            kinds.ROLE_BINDING,
            roleRef=ROLE,
            subjects=[ACCOUNT, {"kind": "ServiceAccount", "name": "own"}],
        ),
        rules(("elsewhere",)),
        [("securetenant-access", "ClusterRole view")],
    ),
    "a route": (kinds.HTTP_ROUTE, there(kinds.HTTP_ROUTE, spec=ROUTE), rules(**SERVED), []),
    "every host": (
        kinds.HTTP_ROUTE,
        there(kinds.HTTP_ROUTE, spec={**ROUTE, "hostnames": []}),
        rules(**SERVED),
        [("securetenant-routes", "hostnames")],
    ),
    "a host of others": (
        kinds.TLS_ROUTE,
        there(kinds.TLS_ROUTE, spec={**ROUTE, "hostnames": ["shop.other.example"]}),
        rules(**SERVED),
        [("securetenant-routes", "hostname shop.other.example")],
    ),
    "a Gateway that is not listed": (
        kinds.GRPC_ROUTE,
        there(kinds.GRPC_ROUTE, spec={**ROUTE, "parentRefs": [{"name": "mine"}]}),
        rules(**SERVED),
        [("securetenant-routes", "parent old-a/mine")],
    ),
    "a backend elsewhere": (
        kinds.HTTP_ROUTE,
        there(
            kinds.HTTP_ROUTE,
            spec={**ROUTE, "rules": [{"backendRefs": [{"name": "w", "namespace": "other"}]}]},
        ),
        rules(**SERVED),
        [("securetenant-routes", "backend other/w")],
    ),
    "a mirror of its traffic": (
        kinds.HTTP_ROUTE,
        there(
            kinds.HTTP_ROUTE,
            spec={
                **ROUTE,
                "rules": [
                    {
                        "filters": [
                            {"requestMirror": {"backendRef": {"kind": "Hostname", "name": "h"}}},
                            {"extensionRef": {"kind": "Lua", "name": "l"}},
                        ]
                    }
                ],
            },
        ),
        rules(**SERVED),
        [
            ("securetenant-routes", "backend of kind Hostname"),
            ("securetenant-routes", "filter Lua"),
        ],
    ),
    "an annotation of a route": (
        kinds.HTTP_ROUTE,
        there(kinds.HTTP_ROUTE, spec=ROUTE, metadata={"annotations": {"x.test/y": "z"}}),
        rules(**SERVED),
        [("securetenant-routes", "annotation x.test/y")],
    ),
}


@pytest.mark.parametrize("what", CASES)
def test_an_object_is_judged_by_the_rules_of_today(what: str) -> None:
    kind, body, found, expected = CASES[what]
    assert broken(kind, body, found) == expected


@pytest.mark.parametrize("what", CASES)
def test_there_is_advice_for_everything_that_is_violated(what: str) -> None:
    """A device that no quota counts has no name of its own: the advice is about the quota."""
    kind, _, found, expected = CASES[what]
    for _, violated in expected:
        hint = advice.about(kind.name, violated, found.policy)
        assert hint.word
        is_device = "/" in violated and " " not in violated and kind is kinds.POD
        assert (hint.field == "resources of a container") == is_device, violated
        assert hint.field != "the manifest", violated


def test_what_an_agent_may_write_is_allowed_whoever_wrote_it() -> None:
    policy = rules().policy.model_dump(by_alias=True)
    policy["agents"] = [
        {
            "user": "system:serviceaccount:lb:lb",
            "annotations": ["lb.test/*", "ingress.kubernetes.io/backends"],
            "serviceTypes": ["LoadBalancer"],
            "registries": ["registry.lb.test/"],
        }
    ]
    policy["workloads"]["registries"] = ["registry.old.example/"]
    policy["workloads"]["ingressClasses"] = ["nginx"]
    found = standing.today(SPACE, PolicySpec.model_validate(policy), NOW)
    service = there(
        kinds.SERVICE,
        spec={**SERVICE, "type": "LoadBalancer"},
        metadata={"annotations": {"lb.test/id": "1"}},
    )
    assert broken(kinds.SERVICE, service, found) == []
    carried = {"ingress.kubernetes.io/backends": '{"a":"b"}'}
    ingress = there(
        kinds.INGRESS,
        spec={"ingressClassName": "nginx", "rules": []},
        metadata={"annotations": carried},
    )
    assert broken(kinds.INGRESS, ingress, found) == []
    pod = mutate(running(), "spec.containers.0.image", "registry.lb.test/solver:1")
    assert broken(kinds.POD, pod, found) == []
    # What no entry lists is a violation still.
    pod = mutate(running(), "spec.containers.0.image", "registry.evil.test/solver:1")
    assert len(broken(kinds.POD, pod, found)) == 1


@pytest.mark.parametrize(("lockdown", "count"), [("Quarantined", 0), ("None", 1)])
def test_what_a_quarantine_put_aside_is_no_violation_until_it_ends(
    lockdown: str, count: int
) -> None:
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "mine"}
    annotations = {names.ASIDE: "ServiceAccount old-a/ci"}
    body = there(kinds.ROLE_BINDING, roleRef=role, metadata={"annotations": annotations})
    assert len(broken(kinds.ROLE_BINDING, body, rules(lockdown=lockdown))) == count


def test_an_object_with_very_much_in_it_is_not_looked_into() -> None:
    pod = running()
    pod["spec"]["volumes"] = [{"name": f"v{n}", "hostPath": {"path": "/"}} for n in range(101)]
    assert broken(kinds.POD, pod, rules()) == [("securetenant-pods", "more than 100 volumes")]
    carried = {f"x.test/{n}": "y" for n in range(101)}
    assert broken(kinds.POD, running(annotations=carried), rules()) == [
        ("securetenant-pods", "more than 100 annotations")
    ]
    paths = [{"path": f"/{'x' * 100}", "backend": {}} for _ in range(301)]
    ingress = there(kinds.INGRESS, spec={"rules": [{"http": {"paths": paths}}]})
    assert broken(kinds.INGRESS, ingress, rules()) == [
        ("securetenant-ingress", "more than 1000 paths, or 30000 characters of them")
    ]
    subjects = [{"kind": "User", "name": str(n)} for n in range(201)]
    binding = there(kinds.ROLE_BINDING, roleRef=ROLE, subjects=subjects)
    assert broken(kinds.ROLE_BINDING, binding, rules()) == [
        ("securetenant-access", "more than 200 subjects")
    ]


def test_of_one_object_a_few_rules_are_named_each_in_few_words() -> None:
    pod = running()
    pod["spec"]["volumes"] = [
        {"name": f"{n}" + "v" * 500, "hostPath": {"path": "/"}} for n in range(100)
    ]
    found = standing.judge(kinds.POD, pod, rules())
    assert len(found) <= 8
    assert max(len(each.what) for each in found) <= 120


@pytest.mark.parametrize("text", ["/[" + "0-9" * 300, "/[" + "a-z" * 300, "/[" + "A-Z" * 300])
def test_no_path_of_an_ingress_takes_long_to_judge(text: str) -> None:
    """Two ways to match each part would take two to the power of the parts."""
    assert not is_pattern(text)


def test_the_owner_is_the_controller_else_the_program_that_made_it() -> None:
    pod = mutate(ROOT, "metadata.ownerReferences", [{**DAEMON[0], "kind": "ReplicaSet"}])
    (found,) = standing.judge(kinds.POD, pod, rules())
    assert found == Violation(
        "Pod", SPACE, "x", "Pod Security restricted", "runAsNonRoot", "ReplicaSet agent", 11
    )
    (found,) = standing.judge(kinds.POD, ROOT, rules())
    assert found.owner == "kubectl"


def test_keys_that_network_plugins_read_are_not_among_those_that_they_write() -> None:
    for key in ("cni.projectcalico.org/ipAddrs", "k8s.v1.cni.cncf.io/networks"):
        assert [*annotations.on_pods({key: "x"}, annotations.BY_NODES)] == [key]


# --- one look -------------------------------------------------------------------------------


class Listed(MemoryCluster):
    """Remembers what was listed; some kinds are not served."""

    def __init__(self, *absent: Kind) -> None:
        super().__init__(SPACE)
        self.absent = absent
        self.asked: list[Kind] = []

    async def pages(
        self, kind: Kind, *, take: Callable[[dict[str, Any]], Any], **options: Any
    ) -> AsyncIterator[Page[Any]]:
        self.asked.append(kind)
        if kind in self.absent:
            raise MissingError("the server could not find the requested resource")
        async for page in super().pages(kind, take=take, **options):
            yield page


def looked(cluster: Listed, served: Served | None = None) -> look.Found:
    served = served or Served(lambda: 0.0, 600)
    return asyncio.run(look.through(cluster, rules(), lambda ref: ref.name == "ours", served))


def test_the_first_few_are_remembered_in_order_and_the_others_counted() -> None:
    cluster = Listed()
    for name in ("d", "b", "c", "a"):
        cluster.put(mutate(ROOT, "metadata.name", name))
    cluster.put(there(kinds.SERVICE, "s", spec={**SERVICE, "type": "NodePort"}))
    found = looked(cluster)
    assert found.total == 5
    assert [each.first.name for each in found.worst] == ["a", "b", "c"]


def test_what_the_operator_made_is_passed_over_and_only_of_kinds_that_it_makes() -> None:
    cluster = Listed()
    for name in ("ours", "theirs"):
        cluster.put(there(kinds.NETWORK_POLICY, name, spec={"podSelector": {}, "ingress": [{}]}))
    cluster.put(there(kinds.SERVICE, "ours", spec={**SERVICE, "type": "NodePort"}))
    assert [(each.first.kind, each.first.name) for each in looked(cluster).worst] == [
        ("Service", "ours"),
        ("NetworkPolicy", "theirs"),
    ]


def test_a_kind_that_is_not_served_is_asked_for_again_later() -> None:
    now = [0.0]
    served = Served(lambda: now[0], 600)
    cluster = Listed(kinds.HTTP_ROUTE, kinds.GRPC_ROUTE, *kinds.TLS_ROUTES)
    for at, count in ((0, 5), (599, 0), (600, 5)):
        cluster.asked.clear()
        now[0] = at
        looked(cluster, served)
        assert len([each for each in cluster.asked if "Route" in each.name]) == count, at


def test_tls_routes_are_read_at_the_newest_version_that_is_served() -> None:
    cluster = Listed(kinds.TLS_ROUTES[0])
    looked(cluster)
    asked = [each.version for each in cluster.asked if each.name == "TLSRoute"]
    assert asked == ["v1", "v1alpha3"]


def test_an_object_that_nobody_expected_hides_no_other() -> None:
    cluster = Listed()
    cluster.put(there(kinds.POD, "a", spec={"containers": "none"}))
    cluster.put(mutate(ROOT, "metadata.name", "b"))
    found = looked(cluster)
    assert [each.first.name for each in found.worst] == ["b"]
    assert found.problem.startswith("Pod a could not be judged")


# --- the concern ----------------------------------------------------------------------------


class Watched(Fleet):
    """Its operator looks at what is there whenever it is asked to."""

    @property
    def standing(self) -> Standing:
        (found,) = (each for each in self.engine.concerns if isinstance(each, Standing))
        return found

    async def look(self) -> None:
        """Look at everything that is due, and what is due later too."""
        await self.rest()
        concern = self.standing
        for tenant, spaces in concern._spaces.items():
            for namespace in spaces:
                await concern._look(tenant, namespace)
        await self.rest()

    def found(self, name: str) -> list[Any]:
        record = self.engine.machine.tenants.get(name)
        assert record is not None
        return [*self.standing.statements(name, record)]


def fleet(test: Callable[[Watched], Any]) -> None:
    async def body() -> None:
        watched = Watched()
        try:
            await watched.set(verifyEverySeconds=3600)
            await watched.add("old")
            await test(watched)
        finally:
            await watched.stop()

    asyncio.run(body())


def said(statements: list[Any]) -> str:
    (found,) = statements
    assert isinstance(found, Finding)
    assert (found.type, found.reason, found.informs) == (
        status.ISOLATION_VERIFIED,
        status.STANDING_VIOLATIONS,
        True,
    )
    return found.message


def test_what_is_wrong_is_named_with_its_owner_its_age_and_what_to_do() -> None:
    async def test(watched: Watched) -> None:
        assert watched.found("old") == []
        watched.cluster.put(ROOT)
        for name in ("p", "q", "r"):
            watched.cluster.put(there(kinds.SERVICE, name, spec={**SERVICE, "type": "NodePort"}))
        await watched.look()
        assert said(watched.found("old")) == (
            "4 objects that are already there would be refused today: Pod old-a/x (by kubectl, 11"
            " days old) violates Pod Security restricted (runAsNonRoot); Service old-a/p (by"
            " kubectl, 11 days old) violates securetenant-services (type); Service old-a/q (by"
            " kubectl, 11 days old) violates securetenant-services (type); and 1 more. The"
            " operator deletes nothing. Delete them, or change them or the SecureTenant; what a"
            " program of the platform wrote, allow to it in spec.agents of TenancySettings"
        )
        for name in ("p", "q", "r"):
            watched.cluster.remove(Ref("Service", SPACE, name))
        watched.cluster.remove(Ref("Pod", SPACE, "x"))
        await watched.look()
        assert watched.found("old") == []

    fleet(test)


def test_nothing_is_said_or_looked_at_where_nothing_is_verified() -> None:
    async def test(watched: Watched) -> None:
        watched.cluster.put(ROOT)
        await watched.look()
        assert watched.found("old")
        await watched.set(verifyEverySeconds=0)
        assert watched.found("old") == []
        await watched.set(verifyEverySeconds=60)
        await watched.look()
        assert watched.found("old")

    fleet(test)


def test_a_changed_spec_and_a_request_are_reasons_to_look_again_and_nothing_else_is() -> None:
    async def test(watched: Watched) -> None:
        def asked() -> int | None:
            watched.found("old")
            return watched.standing._spaces["old"][SPACE].asked

        first = asked()
        assert first is not None
        assert asked() == first
        await watched.add("old", enforcement="Audit")
        second = asked()
        assert second != first
        record = watched.engine.machine.tenants.get("old")
        assert record is not None
        metadata = {**record.body["metadata"], "annotations": {names.REQUESTED_ANNOTATION: "1"}}
        record.body = {**record.body, "metadata": metadata}
        assert asked() != second

    fleet(test)


def test_a_look_that_fails_takes_nothing_back_and_says_so() -> None:
    async def test(watched: Watched) -> None:
        watched.cluster.put(ROOT)
        await watched.look()
        before = watched.found("old")

        def fault(verb: str, ref: Ref, sent: Any) -> None:
            if (verb, ref.kind) == ("list", "Service"):
                raise RefusedError("services is forbidden")

        watched.cluster.fault = fault
        # What may be read is judged all the same, and what was found there is not taken back.
        for gone in (False, True):
            if gone:
                watched.cluster.remove(Ref("Pod", SPACE, "x"))
            await watched.look()
            finding, remark = watched.found("old")
            assert [finding] == before
            assert "services is forbidden" in remark.message
        watched.heal()
        await watched.look()
        assert watched.found("old") == []

    fleet(test)


def test_an_outage_takes_nothing_back_and_is_tried_again() -> None:
    async def test(watched: Watched) -> None:
        watched.cluster.put(ROOT)
        await watched.look()
        before = watched.found("old")

        def fault(verb: str, ref: Ref, sent: Any) -> None:
            if verb == "list":
                raise UnavailableError("no answer")

        watched.cluster.fault = fault
        with pytest.raises(UnavailableError):
            await watched.look()
        assert watched.found("old") == before
        watched.standing._spaces["old"][SPACE].found = None
        with pytest.raises(UnavailableError):
            await watched.look()
        (remark,) = watched.found("old")
        assert "no answer" in remark.message

    fleet(test)


def test_a_restart_keeps_what_was_said_until_everything_was_looked_at_again() -> None:
    async def test(watched: Watched) -> None:
        record = watched.engine.machine.tenants.get("old")
        assert record is not None
        condition = {
            "type": status.ISOLATION_VERIFIED,
            "status": "False",
            "reason": status.STANDING_VIOLATIONS,
            "message": "as it was",
            "observedGeneration": 1,
        }
        record.status = {"conditions": [condition]}
        assert said(watched.found("old")) == "as it was"
        await watched.look()
        record.status = {"conditions": [condition]}
        assert watched.found("old") == []

    fleet(test)


def test_what_was_verified_before_a_restart_is_looked_at_in_its_time() -> None:
    """Else every namespace of a fleet would be due at once."""

    async def test(watched: Watched) -> None:
        concern = watched.standing
        good = {"type": status.ISOLATION_VERIFIED, "status": "True", "observedGeneration": 7}

        def rest(generation: int, **condition: Any) -> float:
            record = SimpleNamespace(
                body={"metadata": {"generation": generation}},
                status={"conditions": [{**good, **condition}]},
            )
            return concern._rest(cast(Any, record))

        waits = [rest(7) for _ in range(200)]
        assert min(waits) < 720
        assert max(waits) > 2880
        assert rest(8) == 0
        assert rest(7, status="False") == 0

    fleet(test)
