"""Rules about kinds that the API server does not serve by itself: routes, Gateways, snapshots.

And the rule about pull policies, which the mutating half mends before it is asked. All in a control
plane without that half.
"""

import datetime
from typing import Any

import pytest

import documents
import validating_half
from attack_harness import Policy, verdict
from harness import ROOT, Api, wait_for
from securetenant.api.kinds import Kind
from securetenant.checks import standing

GATEWAY = "gateway.networking.k8s.io"
KINDS = tuple(
    Kind(name=name, group=group, version=version, plural=name.lower() + "s", namespaced=True)
    for group, version, names in (
        (GATEWAY, "v1", ("GRPCRoute", "Gateway", "HTTPRoute")),
        (GATEWAY, "v1beta1", ("ReferenceGrant",)),
        ("snapshot.storage.k8s.io", "v1", ("VolumeSnapshot",)),
    )
    for name in names
)
SEE = "See: kubectl describe tenantpolicy effective -n tight-a"
HOSTS = "tight-a allows .tight.example, shop.example.org (with a dot in front: each name below it)"
GATEWAYS = "tight-a allows the Gateways gateways/shared of gateway.networking.k8s.io"
PATTERN = "/(a+)+b"
OWN = {"name": "s", "port": 80}
FOREIGN = {**OWN, "namespace": "plain-a"}
MIRROR = {"type": "RequestMirror", "requestMirror": {"backendRef": FOREIGN}}


def route(host: str = "www.tight.example", **more: Any) -> dict[str, Any]:
    """Return the spec of a route for one host."""
    return {"hostnames": [host], **more}


def parent(name: str = "shared", **more: Any) -> dict[str, Any]:
    """Return the spec of a route with one parent."""
    return route(parentRefs=[{"name": name, "namespace": "gateways", **more}])


@pytest.fixture(scope="module")
def server(half_server: Api) -> Api:
    """The API server with those kinds: the Gateway API's own, and one of any schema."""
    definitions = documents.read((ROOT / "tests/gateway_api.yaml").read_text(encoding="utf-8"))
    (snapshots,) = (each for each in KINDS if each.name == "VolumeSnapshot")
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    definitions.append(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {
                "name": f"{snapshots.plural}.{snapshots.group}",
                "annotations": {"api-approved.kubernetes.io": "unapproved, a test"},
            },
            "spec": {
                "group": snapshots.group,
                "scope": "Namespaced",
                "names": {
                    "kind": snapshots.name,
                    "plural": snapshots.plural,
                    "singular": snapshots.name.lower(),
                    "listKind": f"{snapshots.name}List",
                },
                "versions": [version],
            },
        }
    )
    for body in definitions:
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        half_server.call("POST", path, body).ok()
    return half_server


def attempt(server: Api, kind: str, spec: Any, annotations: dict[str, str] | None = None) -> Any:
    """Try to create one in tenant tight's namespace, once the API server knows its schema."""
    (found,) = (each for each in KINDS if each.name == kind)
    body = {
        "apiVersion": found.api_version,
        "kind": kind,
        "metadata": {"name": "new", "annotations": annotations or {}},
        "spec": spec,
    }

    def answered() -> Any:
        answer = server.call("POST", found.path("tight-a"), body, dryRun="All")
        return answer if answer.status not in (404, 503) else None

    answer = wait_for(answered, what=f"{kind} to be known", seconds=30)
    if kind.endswith("Route"):
        # The second opinion, by which what is already there is judged, says the same.
        policy = validating_half.policies()["tight-a"]
        now = datetime.datetime.now(datetime.UTC)
        said = standing.judge(found, body, standing.today("tight-a", policy, now))
        assert bool(said) == (answer.status == 403), (said, answer.message)
    return answer


@pytest.mark.parametrize(
    ("kind", "spec", "policy", "said"),
    [
        (
            "Gateway",
            {
                "gatewayClassName": "shared",
                "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}],
            },
            "securetenant-routes",
            f"allows only routes: Gateways and grants are the platform's. {SEE}",
        ),
        (
            "ReferenceGrant",
            {
                "from": [{"group": GATEWAY, "kind": "HTTPRoute", "namespace": "plain-a"}],
                "to": [{"group": "", "kind": "Service"}],
            },
            "securetenant-routes",
            "securetenant: kind is ReferenceGrant; tight-a allows only routes",
        ),
        (
            "HTTPRoute",
            {"rules": [{}]},
            "securetenant-routes",
            f"securetenant: hostnames is empty, which means every host; {HOSTS}. {SEE}",
        ),
        *(
            (kind, route(host), "securetenant-routes", f"a hostname is {host}; {HOSTS}. {SEE}")
            for kind in ("HTTPRoute", "GRPCRoute")
            for host in (
                "www.other.example",
                "tight.example",
                "*.example.org",
                "x.shop.example.org",
                "evilshop.example.org",
            )
        ),
        *(
            (
                kind,
                parent(name, **more),
                "securetenant-routes",
                f"securetenant: a parent is {said}; {GATEWAYS}. {SEE}",
            )
            for kind in ("HTTPRoute", "GRPCRoute")
            for name, more, said in (
                (
                    "s",
                    {"group": "", "kind": "Service", "namespace": "b"},
                    "Service b/s of group ",
                ),
                ("private", {}, f"Gateway gateways/private of group {GATEWAY}"),
                (
                    "shared",
                    {"namespace": "tight-a"},
                    f"Gateway tight-a/shared of group {GATEWAY}",
                ),
            )
        ),
        *(
            (
                "HTTPRoute",
                route(rules=[rule]),
                "securetenant-routes",
                f"securetenant: a backend is in namespace plain-a; tight-a allows its own. {SEE}",
            )
            for rule in (
                {"backendRefs": [FOREIGN]},
                {"filters": [MIRROR]},
                {"backendRefs": [{**OWN, "filters": [MIRROR]}]},
            )
        ),
        *(
            (
                kind,
                route(rules=[rule]),
                "securetenant-routes",
                f"a backend or a filter names {said}; tight-a allows Services, since other kinds",
            )
            for kind in ("HTTPRoute", "GRPCRoute")
            for rule, said in (
                (
                    {"backendRefs": [{**OWN, "group": "networking.istio.io", "kind": "Hostname"}]},
                    "Hostname s of group networking.istio.io",
                ),
                (
                    {"backendRefs": [{**OWN, "group": "traefik.io", "kind": "TraefikService"}]},
                    "TraefikService s of group traefik.io",
                ),
                (
                    {
                        "filters": [
                            {
                                "type": "RequestMirror",
                                "requestMirror": {"backendRef": {**OWN, "kind": "Backend"}},
                            }
                        ]
                    },
                    "Backend s of group ",
                ),
                (
                    {
                        "filters": [
                            {
                                "type": "ExtensionRef",
                                "extensionRef": {"group": "a.io", "kind": "Filter", "name": "f"},
                            }
                        ]
                    },
                    "Filter f of group a.io",
                ),
            )
        ),
        *(
            (
                kind,
                route(rules=[{"matches": [match]}]),
                "securetenant-routes",
                f"a match is no plain regular expression, {PATTERN}; tight-a allows 1024",
            )
            for kind, match in (
                ("HTTPRoute", {"path": {"type": "RegularExpression", "value": PATTERN}}),
                (
                    "HTTPRoute",
                    {"headers": [{"type": "RegularExpression", "name": "a", "value": PATTERN}]},
                ),
                (
                    "HTTPRoute",
                    {"queryParams": [{"type": "RegularExpression", "name": "a", "value": PATTERN}]},
                ),
                (
                    "GRPCRoute",
                    {"headers": [{"type": "RegularExpression", "name": "a", "value": PATTERN}]},
                ),
                (
                    "GRPCRoute",
                    {"method": {"type": "RegularExpression", "service": "a", "method": PATTERN}},
                ),
            )
        ),
        (
            "VolumeSnapshot",
            {"source": {"volumeSnapshotContentName": "of-another"}},
            "securetenant-snapshots",
            f"Name is of-another; tight-a allows snapshots of its own claims. {SEE}",
        ),
    ],
)
def test_a_kind_that_reaches_beyond_the_tenant_is_refused(
    kind: str, spec: Any, policy: str, said: str, server: Api
) -> None:
    answer = attempt(server, kind, spec)
    assert verdict(answer, Policy(policy)) == "Blocked"
    assert said in answer.message


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("HTTPRoute", {**parent(), "rules": [{"backendRefs": [OWN]}]}),
        ("GRPCRoute", {**parent(), "rules": [{"backendRefs": [OWN]}]}),
        (
            "HTTPRoute",
            route(
                rules=[
                    {
                        "matches": [
                            {
                                "path": {"type": "RegularExpression", "value": "/a(/|$)(.*)"},
                                "headers": [{"name": "x", "value": "(a+)+"}],
                            }
                        ],
                        "filters": [
                            {"type": "RequestMirror", "requestMirror": {"backendRef": OWN}}
                        ],
                        "backendRefs": [{**OWN, "group": "", "kind": "Service"}],
                    }
                ]
            ),
        ),
        ("HTTPRoute", route("*.tight.example")),
        ("HTTPRoute", route("shop.example.org")),
        ("VolumeSnapshot", {"source": {"persistentVolumeClaimName": "mine"}}),
    ],
)
def test_what_stays_within_the_tenant_is_admitted(kind: str, spec: Any, server: Api) -> None:
    attempt(server, kind, spec).ok()


@pytest.mark.parametrize(
    ("annotations", "said"),
    [
        (
            {"external-dns.alpha.kubernetes.io/hostname": "www.other.example"},
            "annotation external-dns.alpha.kubernetes.io/hostname is set; tight-a allows",
        ),
        ({f"a{number}": "x" for number in range(101)}, "101 annotations are set; tight-a allows"),
    ],
)
def test_s14_annotations_of_routes_are_judged(
    annotations: dict[str, str], said: str, server: Api
) -> None:
    answer = attempt(server, "HTTPRoute", route(), annotations)
    assert verdict(answer, Policy("securetenant-routes")) == "Blocked"
    assert said in answer.message


def test_f01_without_mending_a_pod_that_runs_what_is_cached_is_told_what_to_set(
    half_server: Api,
) -> None:
    container = {
        "name": "c",
        "image": "app:1",
        "imagePullPolicy": "Never",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    spec = {"serviceAccountName": "quiet", "containers": [container]}
    body = {"metadata": {"name": "new"}, "spec": spec}
    answer = half_server.create_pod("plain-a", body, dryRun="All")
    assert verdict(answer, Policy("securetenant-pods-hardening")) == "Blocked"
    assert (
        "securetenant: imagePullPolicy of image app:1 is not Always; plain-a allows Always"
        in answer.message
    )


def test_a_finalizer_of_a_route_is_refused(server: Api, half_member: Api) -> None:
    """Nobody would take it off, and the namespace would stay."""
    root = "/apis/rbac.authorization.k8s.io/v1"
    rule = {"apiGroups": [GATEWAY], "resources": ["*"], "verbs": ["create"]}
    server.call("POST", f"{root}/clusterroles", {"metadata": {"name": "r"}, "rules": [rule]}).ok()
    rbac = "rbac.authorization.k8s.io"
    binding = {
        "metadata": {"name": "routers"},
        "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "r"},
        "subjects": [{"apiGroup": rbac, "kind": "Group", "name": validating_half.MEMBERS}],
    }
    server.call("POST", f"{root}/clusterrolebindings", binding).ok()
    (kind,) = (each for each in KINDS if each.name == "HTTPRoute")
    metadata = {"name": "held", "finalizers": ["example.com/never"]}
    body = {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata}
    body["spec"] = route()
    answer = half_member.call("POST", kind.path("tight-a"), body, dryRun="All")
    assert verdict(answer, Policy("securetenant-finalizers")) == "Blocked"


@pytest.mark.parametrize("character", ["\u0007", "\u000b", "<", "\u0001"])
def test_s4_a_custom_resource_is_counted_as_it_is_stored(server: Api, character: str) -> None:
    """As JSON, where some characters take six bytes: one was filled past what can be deleted."""
    spec = {"source": {"persistentVolumeClaimName": "mine"}, "note": character * 255_000}
    answer = attempt(server, "VolumeSnapshot", spec)
    assert "securetenant-bytes' with binding" in answer.message, answer
    spec["note"] = "x" * 255_000
    assert "securetenant-bytes" not in attempt(server, "VolumeSnapshot", spec).message
