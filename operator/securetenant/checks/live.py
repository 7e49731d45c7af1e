"""Namespaces and pods of the evaluator, read from objects as the API server gives them."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from securetenant.checks.population import Namespace, Pod

_ENDED = ("Succeeded", "Failed")


def namespace(body: Mapping[str, Any]) -> Namespace:
    """Return a Namespace."""
    metadata = body["metadata"]
    return Namespace(name=metadata["name"], labels=metadata.get("labels") or {})


def pods(bodies: Iterable[Mapping[str, Any]]) -> Iterator[Pod]:
    """Yield the pods that may have traffic: one that has ended has given its address back."""
    for each in bodies:
        if (each.get("status") or {}).get("phase") not in _ENDED:
            yield pod(each)


def pod(body: Mapping[str, Any]) -> Pod:
    """Return a Pod; where two containers give a port the same name, the first one's counts.

    Source: Kubernetes API, a Service's named targetPort, which is looked up in the same order.
    """
    metadata, spec, status = body["metadata"], body["spec"], body.get("status") or {}
    containers = (*(spec.get("containers") or ()), *(spec.get("initContainers") or ()))
    given = [each.get("ip") for each in status.get("podIPs") or ()] or [status.get("podIP")]
    return Pod(
        namespace=metadata["namespace"],
        name=metadata["name"],
        labels=metadata.get("labels") or {},
        addresses=tuple(each for each in given if each),
        ports={
            (port.get("protocol") or "TCP", port["name"]): port["containerPort"]
            for container in reversed(containers)
            for port in reversed(container.get("ports") or ())
            if port.get("name")
        },
        host_network=bool(spec.get("hostNetwork")),
    )
