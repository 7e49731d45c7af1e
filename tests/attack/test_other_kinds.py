"""Rules about kinds that the API server does not serve by itself: routes, Gateways, snapshots.

And the rule about pull policies, which the mutating half mends before it is asked. All in a control
plane without that half, where the kinds are installed by a schema that accepts everything.
"""

from typing import Any

import pytest

from attack_harness import Policy, verdict
from harness import Api, wait_for
from securetenant.api.kinds import Kind

GATEWAY = "gateway.networking.k8s.io"
SNAPSHOT = "snapshot.storage.k8s.io"
KINDS = tuple(
    Kind(name=name, group=group, version="v1", plural=name.lower() + "s", namespaced=True)
    for group, names in (
        (GATEWAY, ("Gateway", "HTTPRoute", "ReferenceGrant")),
        (SNAPSHOT, ("VolumeSnapshot",)),
    )
    for name in names
)
SEE = "See: kubectl describe tenantpolicy effective -n tight-a"
HOSTS = "tight-a allows names that end with .example.org or .tight.example"


@pytest.fixture(scope="module")
def server(half_server: Api) -> Api:
    """The API server with those kinds."""
    for kind in KINDS:
        schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        body = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {
                "name": f"{kind.plural}.{kind.group}",
                "annotations": {"api-approved.kubernetes.io": "unapproved, a test"},
            },
            "spec": {
                "group": kind.group,
                "scope": "Namespaced",
                "names": {
                    "kind": kind.name,
                    "plural": kind.plural,
                    "singular": kind.name.lower(),
                    "listKind": f"{kind.name}List",
                },
                "versions": [
                    {
                        "name": "v1",
                        "served": True,
                        "storage": True,
                        "schema": {"openAPIV3Schema": schema},
                    }
                ],
            },
        }
        half_server.call("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", body)
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

    return wait_for(answered, what=f"{kind} to be known", seconds=30)


@pytest.mark.parametrize(
    ("kind", "spec", "policy", "said"),
    [
        (
            "Gateway",
            {"gatewayClassName": "shared"},
            "securetenant-routes",
            f"allows routes alone: Gateways and grants are the platform's. {SEE}",
        ),
        (
            "ReferenceGrant",
            {"from": [], "to": []},
            "securetenant-routes",
            "securetenant: kind is ReferenceGrant; tight-a allows routes alone",
        ),
        (
            "HTTPRoute",
            {"rules": []},
            "securetenant-routes",
            f"securetenant: hostnames is empty, which means every host; {HOSTS}. {SEE}",
        ),
        (
            "HTTPRoute",
            {"hostnames": ["www.other.example"]},
            "securetenant-routes",
            f"securetenant: a hostname is www.other.example; {HOSTS}. {SEE}",
        ),
        (
            "HTTPRoute",
            {"hostnames": ["*.tight.example"]},
            "securetenant-routes",
            f"securetenant: a hostname is *.tight.example; {HOSTS}. {SEE}",
        ),
        (
            "HTTPRoute",
            {
                "hostnames": ["www.tight.example"],
                "parentRefs": [{"group": "", "kind": "Service", "name": "s", "namespace": "b"}],
            },
            "securetenant-routes",
            "securetenant: a parent is a Service of group ; tight-a allows Gateways of",
        ),
        (
            "HTTPRoute",
            {
                "hostnames": ["www.tight.example"],
                "rules": [{"backendRefs": [{"name": "s", "namespace": "plain-a"}]}],
            },
            "securetenant-routes",
            f"securetenant: a backend is in namespace plain-a; tight-a allows its own. {SEE}",
        ),
        (
            "HTTPRoute",
            {
                "hostnames": ["www.tight.example"],
                "rules": [
                    {
                        "filters": [
                            {
                                "type": "RequestMirror",
                                "requestMirror": {
                                    "backendRef": {"name": "s", "namespace": "plain-a"}
                                },
                            }
                        ]
                    }
                ],
            },
            "securetenant-routes",
            "securetenant: a backend is in namespace plain-a; tight-a allows its own",
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
        (
            "HTTPRoute",
            {
                "hostnames": ["www.tight.example"],
                "parentRefs": [{"name": "shared", "namespace": "gateways"}],
                "rules": [{"backendRefs": [{"name": "s", "port": 80}]}],
            },
        ),
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
    answer = attempt(server, "HTTPRoute", {"hostnames": ["www.tight.example"]}, annotations)
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


@pytest.mark.parametrize("character", ["\u0007", "\u000b", "<", "\u0001"])
def test_s4_a_custom_resource_is_counted_as_it_is_stored(server: Api, character: str) -> None:
    """As JSON, where some characters take six bytes: one was filled past what can be deleted."""
    spec = {"hostnames": ["www.tight.example"], "note": character * 255_000}
    answer = attempt(server, "HTTPRoute", spec)
    assert "securetenant-bytes' with binding" in answer.message, answer
    spec["note"] = "x" * 255_000
    assert "securetenant-bytes" not in attempt(server, "HTTPRoute", spec).message
