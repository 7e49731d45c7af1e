"""Ways into namespaces by Services, Ingresses and Gateway API routes, each with the pods behind it.

A Service's ClusterIP is no wall and no way of its own: traffic to it is traffic to the pods that
:func:`backends` returns, on their ports, and network policies judge it as such. What lets traffic
in from outside is named here, object by object, declared or not: whether packets pass is for the
policies at the pods to decide.

    where = controllers(settings.ingress_controllers or (), namespaces)
    for way in ways(services, ingresses, routes, pods, where):
        print(way)
    # Ingress acme-a/shop (IngressClass nginx) leads to acme-a: web-1 on TCP 8080

A route may name a Service of another namespace (:attr:`Way.crosses`); whether a ReferenceGrant
there allows it is not looked at.

Sources: Kubernetes API, core/v1 Service and networking/v1 Ingress; Gateway API v1, HTTPRoute,
GRPCRoute, TLSRoute.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from securetenant.checks import selectors
from securetenant.checks.population import Namespace, Pod
from securetenant.checks.ports import Span

Body = Mapping[str, Any]

_CLASS_ANNOTATION = "kubernetes.io/ingress.class"


class Way(NamedTuple):
    """One way that leads to pods of a namespace."""

    kind: str
    """Of the object that opens it: Service, Ingress, HTTPRoute, GRPCRoute, TLSRoute or another."""
    namespace: str
    name: str
    by: str
    """How: NodePort 30080, LoadBalancer, externalIP 203.0.113.7, an IngressClass or a Gateway."""
    sources: tuple[str, ...]
    """Namespaces of the controller or Gateway that sends the traffic; empty: addresses."""
    service: str
    """namespace/name of the Service behind it; a host name for one of type ExternalName."""
    target: str
    """The namespace of the pods."""
    pods: tuple[str, ...]
    """Their names; none where nothing says which they are."""
    ports: tuple[Span, ...]
    """At the pods; empty where they are not known."""
    remark: str = ""
    """What is not known about it."""

    @property
    def crosses(self) -> bool:
        """Tell whether it leads to another namespace than its own."""
        return self.namespace != self.target

    def __str__(self) -> str:
        pods = ", ".join(self.pods) or "pods that are not known"
        on = ", ".join(map(str, self.ports)) or "ports that are not known"
        told = f"{self.kind} {self.namespace}/{self.name} ({self.by}) leads to {self.target}: "
        return f"{told}{pods} on {on}" + (f"; {self.remark}" if self.remark else "")


class Controllers(NamedTuple):
    """Where ingress controllers run."""

    by_class: Mapping[str, tuple[str, ...]]
    """Namespaces by IngressClass."""


def controllers(named: Iterable[Any], namespaces: Iterable[Namespace]) -> Controllers:
    """Return where the ``ingressControllers`` of TenancySettings run; a name is that of a class."""
    spaces = list(namespaces)
    return Controllers(
        {
            each.name: tuple(
                sorted(
                    space.name
                    for space in spaces
                    if all(
                        space.labels.get(key) == value
                        for key, value in each.namespace_labels.items()
                    )
                )
            )
            for each in named
        }
    )


def backends(service: Body, pods: Iterable[Pod]) -> tuple[Pod, ...]:
    """Return the pods behind a Service, sorted by name; none without a selector."""
    selector = service["spec"].get("selector")
    if not selector or service["spec"].get("type") == "ExternalName":
        return ()
    wanted = selectors.compiled({"matchLabels": selector})
    home = service["metadata"]["namespace"]
    found = [
        each for each in pods if each.namespace == home and selectors.matches(wanted, each.labels)
    ]
    return tuple(sorted(found, key=lambda each: each.name))


def ways(
    services: Iterable[Body],
    ingresses: Iterable[Body],
    routes: Iterable[Body],
    pods: Iterable[Pod],
    where: Controllers,
) -> tuple[Way, ...]:
    """Return every way in from outside of the cluster, sorted."""
    book = _Book(services, pods)
    found = [way for each in book.services() for way in _service(each, book)]
    found += [way for each in ingresses for way in _ingress(each, book, where)]
    found += [way for each in routes for way in _route(each, book)]
    return tuple(sorted(found))


class _Book:
    """Services and pods by namespace."""

    def __init__(self, services: Iterable[Body], pods: Iterable[Pod]) -> None:
        self._services = {
            (each["metadata"]["namespace"], each["metadata"]["name"]): each for each in services
        }
        self._pods: dict[str, list[Pod]] = {}
        for pod in pods:
            self._pods.setdefault(pod.namespace, []).append(pod)

    def services(self) -> Iterator[Body]:
        yield from self._services.values()

    def end(self, namespace: str, name: str, port: int | str | None) -> dict[str, Any]:
        """Return what is behind a port of a Service; nothing names every port."""
        service = self._services.get((namespace, name))
        whole = {"service": f"{namespace}/{name}", "target": namespace, "pods": (), "ports": ()}
        if service is None:
            return {**whole, "remark": f"there is no Service {namespace}/{name}"}
        if service["spec"].get("type") == "ExternalName":
            host = service["spec"].get("externalName", "")
            remark = f"the name {host} may be anybody's, also a Service of another namespace"
            return {**whole, "service": host, "remark": remark}
        if not service["spec"].get("selector"):
            return {**whole, "remark": "its EndpointSlices say where it leads, not a selector"}
        behind = backends(service, self._pods.get(namespace, ()))
        spans = {
            span
            for each in service["spec"].get("ports") or ()
            if port in (None, each.get("port"), each.get("name"))
            for span in _target(each, behind)
        }
        return {
            **whole,
            "pods": tuple(each.name for each in behind),
            "ports": tuple(sorted(spans)),
        }


def _target(port: Body, pods: Iterable[Pod]) -> Iterator[Span]:
    """Yield a Service's port at its pods."""
    protocol = port.get("protocol") or "TCP"
    target = port.get("targetPort") or port["port"]
    if isinstance(target, int):
        yield Span(protocol, target, target)
        return
    for pod in pods:
        if (number := pod.ports.get((protocol, target))) is not None:
            yield Span(protocol, number, number)


def _service(service: Body, book: _Book) -> Iterator[Way]:
    spec, metadata = service["spec"], service["metadata"]
    home, name = metadata["namespace"], metadata["name"]
    by = [f"externalIP {each}" for each in spec.get("externalIPs") or ()]
    kind = spec.get("type") or "ClusterIP"
    if kind == "LoadBalancer":
        given = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
        told = [each.get("ip") or each.get("hostname") or "" for each in given]
        by.append(" ".join(["LoadBalancer", *told]))
    if kind in ("NodePort", "LoadBalancer"):
        by += [
            f"NodePort {each['nodePort']}"
            for each in spec.get("ports") or ()
            if each.get("nodePort")
        ]
    node_ports = {each.get("nodePort"): each.get("port") for each in spec.get("ports") or ()}
    for each in by:
        number = each.removeprefix("NodePort ")
        port = node_ports.get(int(number)) if number.isdecimal() else None
        yield Way("Service", home, name, each, (), **book.end(home, name, port))


def _ingress(ingress: Body, book: _Book, where: Controllers) -> Iterator[Way]:
    spec, metadata = ingress["spec"], ingress["metadata"]
    home, name = metadata["namespace"], metadata["name"]
    chosen = spec.get("ingressClassName") or (metadata.get("annotations") or {}).get(
        _CLASS_ANNOTATION, ""
    )
    by = f"IngressClass {chosen}" if chosen else "the default IngressClass"
    found = [spec["defaultBackend"]] if "defaultBackend" in spec else []
    found += [
        path["backend"]
        for rule in spec.get("rules") or ()
        for path in (rule.get("http") or {}).get("paths") or ()
    ]
    ends = set()
    for backend in found:
        service = backend.get("service")
        if service is None:
            ends.add(("", None))
            continue
        port = service.get("port") or {}
        ends.add((service["name"], port.get("number") or port.get("name")))
    sources = where.by_class.get(chosen, ())
    for service, port in sorted(ends, key=str):
        if not service:
            remark = "its backend is a resource, and only the controller knows where that leads"
            yield Way("Ingress", home, name, by, sources, "", home, (), (), remark)
            continue
        way = Way("Ingress", home, name, by, sources, **book.end(home, service, port))
        if not sources and not way.remark:
            way = way._replace(remark="TenancySettings name no ingress controller of that class")
        yield way


def _route(route: Body, book: _Book) -> Iterator[Way]:
    spec, metadata = route["spec"], route["metadata"]
    home, name = metadata["namespace"], metadata["name"]
    kind = str(route.get("kind") or "route")
    parents = sorted(
        {
            (str(each.get("kind") or "Gateway"), str(each.get("namespace") or home), each["name"])
            for each in spec.get("parentRefs") or ()
        }
    )
    found = [
        backend
        for rule in spec.get("rules") or ()
        for backend in (
            *(rule.get("backendRefs") or ()),
            *(
                each["requestMirror"]["backendRef"]
                for each in rule.get("filters") or ()
                if "requestMirror" in each
            ),
        )
    ]
    ends = {
        (
            str(each.get("kind") or "Service"),
            str(each.get("namespace") or home),
            each["name"],
            each.get("port"),
        )
        for each in found
    }
    for parent, where, gateway in parents:
        by = f"{parent} {where}/{gateway}"
        sources = (where,) if parent == "Gateway" else ()
        for backend, namespace, service, port in sorted(ends, key=str):
            if backend != "Service":
                remark = f"only the controller knows where {backend} {service} leads"
                yield Way(kind, home, name, by, sources, "", namespace, (), (), remark)
                continue
            yield Way(kind, home, name, by, sources, **book.end(namespace, service, port))
