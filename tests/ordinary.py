"""Ordinary applications: what a chart renders, what a tenant needs to run it, and the page of them.

The objects are in ``tests/applications``. Which of the three verdicts holds is tried by
``tests/integration/test_applications.py``, and ``docs/applications.md`` shows it.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

import documents
from attack_harness import mutate
from harness import ROOT

FOLDER = ROOT / "tests" / "applications"


@dataclass(frozen=True)
class Change:
    """What is written differently in an object of an application; without a path it is left out."""

    kind: str
    path: str = ""
    value: Any = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Application:
    """One application, and what it takes until it runs, in this order: a change, rights, fields."""

    file: str
    title: str
    needs: str
    pods: int
    """How many of them run, or have run to their end, on a cluster of three nodes."""
    change: str = ""
    """What people who own it have to do; nothing in a SecureTenant makes it run as it is."""
    changes: tuple[Change, ...] = ()
    """The same in its objects; none where it has no place in a tenant."""
    addons: tuple[str, ...] = ()
    """Add-ons of the roles that the platform has to install."""
    fields: tuple[dict[str, Any], ...] = ()
    """Of the SecureTenant's spec, one after the other."""
    lacks: Callable[[Any], str] = field(default=lambda _: "")
    """What an admitted pod lacks, in words; empty if nothing."""

    @property
    def namespace(self) -> str:
        """Return the namespace of the tenant, which has the same name."""
        return f"app-{self.file}"

    @property
    def runs(self) -> bool:
        """Tell whether it runs in the end."""
        return not self.change or bool(self.changes)

    def __str__(self) -> str:
        return self.file

    def objects(self) -> list[Any]:
        """Return its objects, as the chart renders them."""
        return documents.read((FOLDER / f"{self.file}.yaml").read_text(encoding="utf-8"))

    def changed(self) -> list[Any]:
        """Return its objects with all changes."""
        found = self.objects()
        for each in self.changes:
            others = [body for body in found if body["kind"] != each.kind]
            those = [body for body in found if body["kind"] == each.kind]
            assert those, each
            found = others + (
                [mutate(body, each.path, each.value) for body in those] if each.path else []
            )
        return found


@dataclass(frozen=True)
class Refusal:
    """An object or a pod that is not admitted, or lacks something."""

    what: str
    message: str


@dataclass(frozen=True)
class Outcome:
    """What became of an application."""

    objects: int
    refusals: tuple[tuple[Refusal, ...], ...]
    """At first, and after each step but the last."""


def pod_of(body: Any) -> Any:
    """Return the pod that a controller makes of a workload; None of anything else.

    Of a StatefulSet with the volumes of its claims, as the controller adds them.
    """
    spec = body.get("spec", {})
    template = spec.get("jobTemplate", {}).get("spec", spec).get("template")
    if template is None:
        return None
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**template.get("metadata", {}), "name": f"{body['metadata']['name']}-0"},
        "spec": template["spec"],
    }
    claims = [
        {
            "name": each["metadata"]["name"],
            "persistentVolumeClaim": {"claimName": f"{each['metadata']['name']}-0"},
        }
        for each in spec.get("volumeClaimTemplates", ())
    ]
    volumes = [*template["spec"].get("volumes", ()), *claims]
    return mutate(pod, "spec.volumes", volumes) if claims else pod


def collection(body: Any, namespace: str) -> str:
    """Return the path at which such an object is created."""
    plural = body["kind"].lower()
    plural = (
        f"{plural[:-1]}ies" if plural.endswith("y") else f"{plural}{'e' * plural.endswith('s')}s"
    )
    root = "api" if "/" not in body["apiVersion"] else "apis"
    return f"/{root}/{body['apiVersion']}/namespaces/{namespace}/{plural}"


def _no_token(pod: Any) -> str:
    volumes = pod["spec"].get("volumes", ())
    has_one = any(each["name"].startswith("kube-api-access-") for each in volumes)
    return "" if has_one else "admitted without a token of its ServiceAccount"


def _no_user(pod: Any) -> str:
    if "runAsUser" in pod["spec"]["securityContext"]:
        return ""
    return (
        "admitted with `runAsNonRoot: true` and without a user: a kubelet does not start an image"
        " made for root"
    )


_TOKENS = {"workloads": {"serviceAccountTokens": {"automount": "Allow"}}}
_AUDIENCE = {"workloads": {"serviceAccountTokens": {"audiences": ["istio-ca"]}}}
_TEMPLATE = "spec.template.spec"

APPLICATIONS = (
    Application(
        file="web",
        title="Web application with Ingress and autoscaler",
        needs="a host name; an ingress class; a budget of one disruption",
        pods=2,
        fields=(
            {"workloads": {"hostnames": [".apps.example"]}},
            {"workloads": {"ingressClasses": ["nginx"]}},
        ),
    ),
    Application(
        file="gateway",
        title="Web application with HTTPRoute and Certificate",
        needs="rights for kinds of Gateway API and cert-manager; a host name; a Gateway",
        pods=2,
        addons=("gateway-api", "cert-manager"),
        fields=(
            {"workloads": {"hostnames": ["shop.app.example"]}},
            {"workloads": {"gateways": [{"namespace": "gateways", "name": "public"}]}},
        ),
    ),
    Application(
        file="database",
        title="PostgreSQL as a StatefulSet, with a sidecar of metrics",
        needs="claims; a Role of its own; a token that it mounts itself",
        pods=2,
    ),
    Application(
        file="redis",
        title="Redis with a replica",
        needs="claims; a user and a group of its own; scripts for probes",
        pods=2,
    ),
    Application(
        file="kafka",
        title="Brokers like Kafka, with a Lease",
        needs="claims; Leases; the token that Kubernetes mounts by itself; the API server",
        pods=3,
        fields=(_TOKENS,),
        lacks=_no_token,
    ),
    Application(
        file="gpu",
        title="Training on a GPU",
        needs="a device; a node with a taint; shared memory",
        pods=1,
        fields=(
            {"workloads": {"tolerations": [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}]}},
            {"quota": {"requests.nvidia.com/gpu": 1}},
        ),
    ),
    Application(
        file="reports",
        title="CronJobs with a history, and a Job of one by hand",
        needs="finished Jobs that stay",
        pods=1,
    ),
    Application(
        file="jobs",
        title="Migration before the installation, and a job every minute",
        needs="Jobs",
        pods=1,
    ),
    Application(
        file="operator",
        title="Operator of one namespace, with leader election",
        needs="Roles; Leases; Events; a token; the API server",
        pods=2,
        addons=("events",),
        fields=(_TOKENS,),
    ),
    Application(
        file="mesh",
        title="Sidecar of Istio, with its CNI plugin",
        needs="a token for another audience; istiod",
        pods=1,
        fields=(_AUDIENCE,),
    ),
    Application(
        file="mesh-init",
        title="Sidecar of Istio, without its CNI plugin",
        needs="a container that changes the network of the pod as root",
        pods=1,
        change="the platform installs the mesh's CNI plugin, and the container goes",
        changes=(Change("Deployment", f"{_TEMPLATE}.initContainers", []),),
        fields=(_AUDIENCE,),
    ),
    Application(
        file="hooks",
        title="Chart with hooks of Helm",
        needs="Jobs, rights and a pod with annotations of Helm",
        pods=4,
    ),
    Application(
        file="open-network",
        title="Chart with a NetworkPolicy that is open to everybody (as Bitnami's)",
        needs="traffic from everywhere to its ports, and to everywhere",
        pods=1,
        change="the NetworkPolicy goes (in Bitnami's charts `networkPolicy.enabled: false`);"
        " traffic beyond the tenant is written in `spec.network.ingress` and `spec.network.egress`",
        changes=(Change("NetworkPolicy"),),
    ),
    Application(
        file="own-network",
        title="The same with a NetworkPolicy within the tenant",
        needs="traffic between its own pods and namespaces",
        pods=1,
    ),
    Application(
        file="budget",
        title="Single instance with a budget of no disruption",
        needs="a pod that no drain evicts",
        pods=1,
        change="the budget lets one pod go (`maxUnavailable: 1`), since a node is drained for all"
        " tenants",
        changes=(Change("PodDisruptionBudget", "spec.maxUnavailable", 1),),
    ),
    Application(
        file="writable",
        title="Program that writes into its image",
        needs="a root file system that is not read-only",
        pods=1,
    ),
    Application(
        file="root",
        title="Program that wants root, and says so",
        needs="user 0; capabilities",
        pods=1,
        fields=(
            {"podSecurity": {"level": "baseline", "exceptionReason": "The mail server is root"}},
        ),
    ),
    Application(
        file="root-image",
        title="Image made for root, in a chart that says nothing",
        needs="a user",
        pods=1,
        fields=({"workloads": {"runAsUser": 10001}},),
        lacks=_no_user,
    ),
    Application(
        file="balancer",
        title="Broker for devices, with a load balancer",
        needs="a Service of type LoadBalancer",
        pods=1,
        fields=(
            {"workloads": {"serviceTypes": ["ClusterIP", "LoadBalancer"]}},
            {"quota": {"services.loadbalancers": 1}},
        ),
    ),
    Application(
        file="search",
        title="Search engine that sets a parameter of the kernel",
        needs="a privileged container",
        pods=1,
        change="the platform sets `vm.max_map_count` on nodes, and the container goes",
        changes=(Change("StatefulSet", f"{_TEMPLATE}.initContainers", []),),
    ),
    Application(
        file="agent",
        title="Agent on every node that takes nothing of the node",
        needs="a DaemonSet",
        pods=3,
    ),
    Application(
        file="logs",
        title="Agent that reads the logs of the node",
        needs="a host path",
        pods=0,
        change="it reads the logs of all tenants, so the platform runs it in a namespace"
        " of its own",
    ),
)


def table(outcomes: Sequence[tuple[Application, Outcome]]) -> str:
    """Return what the page shows: each application, what each message asks for, every refusal."""
    rows = [
        "| Application | What it needs | Verdict |\n|---|---|---|\n",
        *(f"| {_link(app)} | {app.needs} | {_verdict(app)} |\n" for app, _ in outcomes),
    ]
    rows += [
        "\n## What to ask for, by message\n\n| The message says | Ask for |\n|---|---|\n",
        *sorted({f"| `{said}` | {step} |\n" for each in outcomes for said, step in _asked(*each)}),
        "\n## Every refusal\n",
    ]
    return "".join([*rows, *(_details(*each) for each in outcomes if each[1].refusals)])


def _asked(app: Application, outcome: Outcome) -> Iterator[tuple[str, str]]:
    """Yield what the first refusal before a step says in short, and that step."""
    for refusals, step in zip(outcome.refusals, _steps(app), strict=True):
        found = _SHORT.search(refusals[0].message)
        if found and step != _CHANGE:
            yield found[0].replace(f"; {app.namespace} allows", "; ... allows"), step


_SHORT = re.compile(
    r"(securetenant: .*?(?=\. |; if )|violates PodSecurity .*?(?= \()|exceeded quota: .*?(?=, used)"
    r"|cannot create resource .*?(?= in the namespace)|attempting to grant RBAC permissions.*)"
)
"""A message without what differs from namespace to namespace, and without the command."""
_CHANGE = "the change"


def _steps(app: Application) -> list[str]:
    return [*([_CHANGE] if app.change else []), *_addons(app), *map(written, app.fields)]


def _link(app: Application) -> str:
    return f"[{app.title}](../tests/applications/{app.file}.yaml)"


def _verdict(app: Application) -> str:
    steps = ", and ".join(each for each in _steps(app) if each != _CHANGE)
    if app.change:
        return f"must change: {app.change}" + (f". Then it runs after {steps}" if steps else "")
    return f"runs after {steps}" if steps else "runs unchanged"


def _addons(app: Application) -> list[str]:
    names = " and ".join(f"`{each}`" for each in app.addons)
    return [f"the add-on{'s' * (len(app.addons) > 1)} {names} of the roles"] if names else []


def written(spec: Any) -> str:
    """Return a field as people write it: its path, and its value in one line."""
    path = "spec"
    while isinstance(spec, dict) and len(spec) == 1 and "." not in (key := next(iter(spec))):
        path, spec = f"{path}.{key}", spec[key]
    # A scalar is dumped as a document, with its end.
    value = yaml.safe_dump(spec, default_flow_style=True, width=1000, sort_keys=False)
    return f"`{path}: {value.strip().removesuffix('...').strip()}`"


def _details(app: Application, outcome: Outcome) -> str:
    steps = _steps(app)
    parts = [f"\n### {app.title}\n"]
    for index, refusals in enumerate(outcome.refusals):
        passed = outcome.objects - len({each.what for each in refusals})
        when = "As it is" if index == 0 else f"After {steps[index - 1]}"
        parts.append(f"\n{when}, {passed} of {outcome.objects} objects and pods pass.\n\n")
        parts += [f"- {each.what}: {_quoted(each.message)}\n" for each in refusals]
    return "".join(parts)


def _quoted(message: str) -> str:
    return message if message.startswith("admitted") else f"`{message}`"
