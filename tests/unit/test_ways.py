"""Ways in by Services, Ingresses and routes: each names its object, its controller and its pods."""

from typing import Any

import pytest

from factory import settings_spec
from securetenant.checks import live, services
from securetenant.checks.reachability import Namespace

NAME = "kubernetes.io/metadata.name"
SPACES = [Namespace(name=name, labels={NAME: name}) for name in ("ingress-nginx", "red-a")]
SETTINGS = settings_spec(
    ingressControllers=[
        {"name": "nginx", "namespaceLabels": {NAME: "ingress-nginx"}, "podLabels": {"app": "nginx"}}
    ]
)
WHERE = services.controllers(SETTINGS.ingress_controllers or (), SPACES)


def running(name: str, namespace: str = "red-a", **spec: Any) -> dict[str, Any]:
    port = {"name": "http", "containerPort": 8080}
    return {
        "metadata": {"namespace": namespace, "name": name, "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "c", "ports": [port]}], **spec},
        "status": {"phase": "Running", "podIPs": [{"ip": "10.2.0.1"}, {"ip": "fd00::1"}]},
    }


def service(name: str = "web", namespace: str = "red-a", **spec: Any) -> dict[str, Any]:
    ports = [{"name": "main", "port": 80, "targetPort": "http", "protocol": "TCP"}]
    return {
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"selector": {"app": "web"}, "ports": ports, **spec},
    }


def ingress(**spec: Any) -> dict[str, Any]:
    backend = {"service": {"name": "web", "port": {"name": "main"}}}
    rules = [{"host": "red.example", "http": {"paths": [{"path": "/", "backend": backend}]}}]
    return {
        "kind": "Ingress",
        "metadata": {"namespace": "red-a", "name": "shop"},
        "spec": {"ingressClassName": "nginx", "rules": rules, **spec},
    }


def route(kind: str = "HTTPRoute", **backend: Any) -> dict[str, Any]:
    return {
        "kind": kind,
        "metadata": {"namespace": "red-a", "name": "shop"},
        "spec": {
            "parentRefs": [{"namespace": "gateways", "name": "public"}],
            "rules": [{"backendRefs": [{"name": "web", "port": 80, **backend}]}],
        },
    }


PODS = list(live.pods([running("web-1"), running("web-2"), running("web-3", "blue-a")]))


def found(given: Any = (), ingresses: Any = (), routes: Any = ()) -> tuple[services.Way, ...]:
    return services.ways(given, ingresses, routes, PODS, WHERE)


def test_a_cluster_ip_is_no_way_in_and_stands_for_its_pods() -> None:
    assert found([service()]) == ()
    assert [each.name for each in services.backends(service(), PODS)] == ["web-1", "web-2"]
    assert services.backends(service(selector=None), PODS) == ()


@pytest.mark.parametrize(
    ("spec", "by"),
    [
        ({"type": "NodePort"}, ["NodePort 30080"]),
        ({"type": "LoadBalancer"}, ["LoadBalancer", "NodePort 30080"]),
        ({"externalIPs": ["203.0.113.7"]}, ["externalIP 203.0.113.7"]),
    ],
)
def test_a_service_that_answers_for_others_is_named_with_its_pods(spec: Any, by: list[str]) -> None:
    ports = [{"name": "main", "port": 80, "targetPort": "http"}]
    if "type" in spec:
        ports = [{**ports[0], "nodePort": 30080}]
    ways = found([service(ports=ports, **spec)])
    assert [each.by for each in ways] == by
    assert {(each.pods, str(each.ports[0])) for each in ways} == {(("web-1", "web-2"), "TCP 8080")}


def test_the_addresses_of_a_load_balancer_are_named() -> None:
    status = {"loadBalancer": {"ingress": [{"ip": "203.0.113.9"}, {"hostname": "lb.example"}]}}
    (way,) = found([{**service(type="LoadBalancer"), "status": status}])
    assert way.by == "LoadBalancer 203.0.113.9 lb.example"


def test_an_ingress_names_the_namespace_of_its_controller() -> None:
    (way,) = found([service()], [ingress()])
    assert way.sources == ("ingress-nginx",)
    assert str(way) == (
        "Ingress red-a/shop (IngressClass nginx) leads to red-a: web-1, web-2 on TCP 8080"
    )


def test_what_an_ingress_does_not_say_is_remarked() -> None:
    (other,) = found([service()], [ingress(ingressClassName="other")])
    assert other.sources == ()
    assert "no ingress controller of that class" in other.remark
    resource = {"resource": {"kind": "Bucket", "name": "b"}}
    (_, odd) = sorted(
        found([service()], [ingress(defaultBackend=resource)]), key=lambda each: each.remark
    )
    assert "only the controller knows" in odd.remark
    (gone,) = found([], [ingress()])
    assert gone.remark == "there is no Service red-a/web"
    (named,) = found(
        [service(type="ExternalName", externalName="db.blue-a.svc.cluster.local")], [ingress()]
    )
    assert "db.blue-a.svc.cluster.local may be anybody's" in named.remark
    (by_hand,) = found([service(selector=None)], [ingress()])
    assert "EndpointSlices" in by_hand.remark


@pytest.mark.parametrize("kind", ["HTTPRoute", "GRPCRoute", "TLSRoute"])
def test_a_route_names_its_gateway(kind: str) -> None:
    (way,) = found([service()], routes=[route(kind)])
    assert (way.kind, way.by, way.sources) == (kind, "Gateway gateways/public", ("gateways",))
    assert (way.pods, [str(each) for each in way.ports]) == (("web-1", "web-2"), ["TCP 8080"])
    assert not way.crosses


def test_a_route_into_another_namespace_crosses() -> None:
    (way,) = found([service(namespace="blue-a")], routes=[route(namespace="blue-a")])
    assert way.crosses
    assert (way.target, way.pods) == ("blue-a", ("web-3",))


def test_a_mirror_of_a_route_is_a_way_too() -> None:
    mirrored = route()
    mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "copy"}}}
    mirrored["spec"]["rules"][0]["filters"] = [mirror]
    assert [each.service for each in found([service(), service("copy")], routes=[mirrored])] == [
        "red-a/copy",
        "red-a/web",
    ]


def test_pods_are_read_with_every_address_and_name() -> None:
    sidecar = {
        "name": "s",
        "ports": [{"name": "metrics", "containerPort": 9090, "protocol": "UDP"}],
    }
    (pod,) = live.pods([running("web-1", initContainers=[sidecar], hostNetwork=True)])
    assert pod.addresses == ("10.2.0.1", "fd00::1")
    assert pod.ports == {("TCP", "http"): 8080, ("UDP", "metrics"): 9090}
    assert pod.host_network


def test_pods_that_have_ended_are_left_out() -> None:
    ended = running("web-1")
    ended["status"]["phase"] = "Succeeded"
    assert list(live.pods([ended])) == []
