"""Catalogue rows B to F that a control plane decides: what tenants' workloads may ask for.

Two tenants, each attacks the other as the admin of its own; everything runs with all policies, so a
mutant is refused even after all mending.
"""

from typing import Any

import pytest

import factory
from attack_harness import Control, Expected, Policy, mutate, verdict
from conftest import settled
from harness import JSON_PATCH, MERGE, Api, Operator, wait_for, wait_for_account
from securetenant.api import kinds, names
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance

PAIRS = (("east", "west"), ("west", "east"))
DIGEST = "@sha256:" + "a" * 64
SCHEDULING = POD_VOLUMES = ANNOTATIONS = Policy("securetenant-pods")
HARDENING = IMAGES = TOKENS = Policy("securetenant-pods-hardening")
VOLUMES = Policy("securetenant-volumes")
SERVICES, ENDPOINTS = Policy("securetenant-services"), Policy("securetenant-endpoints")
INGRESS, NETWORK = Policy("securetenant-ingress"), Policy("securetenant-network")
FINALIZERS, BINDINGS = Policy("securetenant-finalizers"), Policy("securetenant-bindings-pods")
DELETION = Policy("securetenant-pods-deletion")
SECRETS = Policy("securetenant-tokens")
CONTAINER = "spec.containers.0"


def workloads(name: str) -> dict[str, Any]:
    """Return what one of the tenants may ask for."""
    return {
        "registries": [f"registry.{name}.example/"],
        "priorityClasses": [],
        "tolerations": [
            {"key": f"corp.example/{name}"},
            {"key": "corp.example/spot", "value": "yes", "effect": "NoSchedule"},
        ],
        "storageClasses": ["fast"],
        "ingressClasses": ["nginx"],
        "hostnames": [f".{name}.example", f"{name}.corp.example"],
    }


@pytest.fixture(scope="module", autouse=True)
def two(admin: Api, operator: Operator, classes: None) -> None:
    """Two tenants that may ask for different things."""
    for name in ("east", "west"):
        grant = {
            "name": "admins",
            "role": "Admin",
            "subjects": [{"kind": "Group", "name": f"{name}-admins"}],
        }
        body = factory.tenant(
            name,
            namespaces=[{"name": f"{name}-1"}, {"name": f"{name}-2"}],
            access=[grant],
            workloads=workloads(name),
        )
        admin.create(kinds.SECURE_TENANT, body).ok()
    for name in ("east", "west"):
        settled(admin, name)
        wait_for_account(admin, f"{name}-1")


@pytest.fixture(scope="module")
def admins(sandbox: Instance) -> dict[str, Api]:
    """The admins of the two tenants."""
    return {
        name: Api(kubeconfigs.for_user(sandbox, f"{name}-admin", (f"{name}-admins",)))
        for name in ("east", "west")
    }


class Attack:
    """One tenant's admin against another tenant."""

    def __init__(self, api: Api, attacker: str, victim: str) -> None:
        self.api = api
        self.own, self.other = attacker, victim
        self.namespace = f"{attacker}-1"

    def p0(self) -> dict[str, Any]:
        """Return the control pod."""
        image = f"registry.{self.own}.example/app{DIGEST}"
        size = {"cpu": "10m", "memory": "16Mi", "ephemeral-storage": "16Mi"}
        container = {
            "name": "c",
            "image": image,
            "imagePullPolicy": "Always",
            "securityContext": factory.RESTRICTED,
            "resources": {"requests": size, "limits": size},
        }
        spec = {"automountServiceAccountToken": False, "containers": [container]}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p0"}, "spec": spec}

    def post(self, path: str, body: Any) -> Any:
        """Try to create something in a namespace of its own."""
        group, _, plural = path.rpartition("/")
        root = f"/apis/{group}" if group else "/api/v1"
        where = f"{root}/namespaces/{self.namespace}/{plural}"
        return self.api.call("POST", where, self.filled(body), dryRun="All")

    def filled(self, value: Any) -> Any:
        """Replace OWN and OTHER by the names of attacker and victim."""
        if isinstance(value, str):
            return value.replace("OWN", self.own).replace("OTHER", self.other)
        if isinstance(value, dict):
            return {self.filled(key): self.filled(each) for key, each in value.items()}
        return [self.filled(each) for each in value] if isinstance(value, list) else value


@pytest.fixture(params=PAIRS, ids=lambda pair: f"{pair[0]} against {pair[1]}")
def attack(request: pytest.FixtureRequest, admins: dict[str, Api]) -> Attack:
    """Who attacks whom."""
    attacker, victim = request.param
    return Attack(admins[attacker], attacker, victim)


def test_the_control_pod_is_admitted_as_it_is(attack: Attack) -> None:
    made = attack.post("pods", attack.p0()).ok()
    for field in ("securityContext", "image", "imagePullPolicy", "resources"):
        assert made["spec"]["containers"][0][field] == attack.p0()["spec"]["containers"][0][field]


def _projected(**source: Any) -> list[Any]:
    return [{"name": "v", "projected": {"sources": [source]}}]


def _init(**container: Any) -> list[Any]:
    whole = {"name": "i", "image": f"registry.OWN.example/app{DIGEST}", **container}
    return [whole, {**whole, "name": "s", "restartPolicy": "Always"}]


TERM = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {}}
PODS: list[tuple[str, str, Any, Expected]] = [
    ("B06 root group", f"{CONTAINER}.securityContext.runAsGroup", 0, HARDENING),
    ("B06 pod's root group", "spec.securityContext", {"runAsGroup": 0}, HARDENING),
    ("B06 fsGroup", "spec.securityContext", {"fsGroup": 0}, HARDENING),
    ("B06 supplemental", "spec.securityContext", {"supplementalGroups": [5, 0]}, HARDENING),
    (
        "B07 seccomp of the node",
        f"{CONTAINER}.securityContext.seccompProfile",
        {"type": "Localhost", "localhostProfile": "p.json"},
        HARDENING,
    ),
    (
        "B08 SELinux level of another pod",
        f"{CONTAINER}.securityContext.seLinuxOptions",
        {"level": "s0:c0.c1023"},
        HARDENING,
    ),
    (
        "B08 AppArmor of the node",
        f"{CONTAINER}.securityContext.appArmorProfile",
        {"type": "Localhost", "localhostProfile": "p"},
        HARDENING,
    ),
    (
        "B12 init and sidecar",
        "spec.initContainers",
        _init(securityContext={"runAsGroup": 0}),
        HARDENING,
    ),
    ("B14 foreign registry", f"{CONTAINER}.image", f"registry.OTHER.example/app{DIGEST}", IMAGES),
    ("B14 short name", f"{CONTAINER}.image", "nginx", IMAGES),
    ("B14 host as a prefix", f"{CONTAINER}.image", "registry.OWN.example.evil.test/a", IMAGES),
    ("B14 path upwards", f"{CONTAINER}.image", "registry.OWN.example/../evil/a", IMAGES),
    ("B14 upper case", f"{CONTAINER}.image", "registry.OWN.example/APP", IMAGES),
    ("B14 a port more", f"{CONTAINER}.image", "registry.OWN.example:5000/app", IMAGES),
    ("B14 init", "spec.initContainers", [{"name": "i", "image": "evil.test/a"}], IMAGES),
    (
        "H13 image volume",
        "spec.volumes",
        [{"name": "v", "image": {"reference": "evil.test/a", "pullPolicy": "Always"}}],
        IMAGES,
    ),
    ("C01 every taint", "spec.tolerations", [{"operator": "Exists"}], SCHEDULING),
    (
        "C01 another tenant's taint",
        "spec.tolerations",
        [{"key": "securetenant.io/tenant", "value": "OTHER"}],
        SCHEDULING,
    ),
    (
        "C01 the taint of a group of nodes that another may use",
        "spec.tolerations",
        [{"key": "corp.example/OTHER", "operator": "Exists"}],
        SCHEDULING,
    ),
    (
        "C01 a taint with another value",
        "spec.tolerations",
        [{"key": "corp.example/spot", "value": "no"}],
        SCHEDULING,
    ),
    (
        "C01 a taint with any value",
        "spec.tolerations",
        [{"key": "corp.example/spot", "operator": "Exists"}],
        SCHEDULING,
    ),
    (
        "C01 a taint with any effect",
        "spec.tolerations",
        [{"key": "corp.example/spot", "value": "yes"}],
        SCHEDULING,
    ),
    (
        "C01 control plane",
        "spec.tolerations",
        [{"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"}],
        SCHEDULING,
    ),
    (
        "C01 a node that is drained",
        "spec.tolerations",
        [{"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}],
        SCHEDULING,
    ),
    (
        "C01 a taint that looks like a condition",
        "spec.tolerations",
        [{"key": "node.kubernetes.io/tenant-OTHER", "operator": "Exists"}],
        SCHEDULING,
    ),
    (
        "D08 a device that no quota counts",
        f"{CONTAINER}.resources.limits",
        {"cpu": "10m", "memory": "16Mi", "ephemeral-storage": "16Mi", "example.com/gpu": "1"},
        SCHEDULING,
    ),
    (
        "D08 huge pages",
        f"{CONTAINER}.resources.limits",
        {"cpu": "10m", "memory": "16Mi", "ephemeral-storage": "16Mi", "hugepages-2Mi": "2Mi"},
        SCHEDULING,
    ),
    *(
        (f"E01 annotation {key}", "metadata.annotations", {key: "x"}, ANNOTATIONS)
        for key in (
            "v1.multus-cni.io/default-network",
            "k8s.v1.cni.cncf.io/networks",
            "cni.projectcalico.org/ipAddrsNoIpam",
            "ipam.antrea.io/ippools",
            "ipam.cilium.io/ip-pool",
            "ipam.spidernet.io/ippool",
            "io.kubernetes.cri-o.Devices",
            "io.katacontainers.config.hypervisor.path",
            "k8s.ovn.org/pod-networks",
            # S14: of more network plugins, clouds and runtimes, and of nobody knows whom.
            "acl.ovn.kubernetes.io/allow",
            "networking.gke.io/interfaces",
            "vpc.amazonaws.com/pod-ips",
            "k8s.aliyun.com/eni",
            "iam.amazonaws.com/role",
            "run.oci.handler",
            "io.containerd.x",
            "of-nobody.example/x",
            "cluster-autoscaler.kubernetes.io/safe-to-evict",
            "karpenter.sh/do-not-disrupt",
        )
    ),
    (
        "another's account of the domain",
        f"{CONTAINER}.securityContext.windowsOptions",
        {"gmsaCredentialSpecName": "OTHER"},
        HARDENING,
    ),
    ("C03 node by name", "spec.nodeName", "node-0", SCHEDULING),
    ("C03 scheduler", "spec.schedulerName", "evil", SCHEDULING),
    ("C05 system class", "spec.priorityClassName", "system-cluster-critical", SCHEDULING),
    ("C05 any class", "spec.priorityClassName", "not-for-tenants", SCHEDULING),
    ("runtime class", "spec.runtimeClassName", "not-for-tenants", SCHEDULING),
    (
        "affinity across namespaces",
        "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution",
        [{**TERM, "namespaces": ["OTHER-1"]}],
        SCHEDULING,
    ),
    (
        "affinity by selector",
        "spec.affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution",
        [{"weight": 1, "podAffinityTerm": {**TERM, "namespaceSelector": {}}}],
        SCHEDULING,
    ),
    ("a drain that waits for days", "spec.terminationGracePeriodSeconds", 999999, SCHEDULING),
    (
        "H13 devices",
        "spec.resourceClaims",
        [{"name": "gpu", "resourceClaimName": "gpu"}],
        SCHEDULING,
    ),
    ("E05 automount", "spec.automountServiceAccountToken", True, TOKENS),
    (
        "E05 audience",
        "spec.volumes",
        _projected(serviceAccountToken={"path": "t", "audience": "vault"}),
        TOKENS,
    ),
    (
        "H11 long token",
        "spec.volumes",
        _projected(serviceAccountToken={"path": "t", "expirationSeconds": 31536000}),
        TOKENS,
    ),
    (
        "H13 certificate",
        "spec.volumes",
        _projected(
            podCertificate={
                "signerName": "example.com/s",
                "keyType": "ED25519",
                "credentialBundlePath": "c",
            }
        ),
        TOKENS,
    ),
    (
        "B09 CSI driver",
        "spec.volumes",
        [{"name": "v", "csi": {"driver": "evil.csi.example"}}],
        POD_VOLUMES,
    ),
]


@pytest.mark.parametrize(
    ("path", "value", "expected"), [pytest.param(*row[1:], id=row[0]) for row in PODS]
)
def test_a_mutant_of_the_control_pod_is_refused(
    path: str, value: Any, expected: Expected, attack: Attack
) -> None:
    body = mutate(attack.p0(), path, value)
    assert verdict(attack.post("pods", body), expected) == "Blocked"


@pytest.mark.parametrize(
    "key",
    [
        "note",
        "checksum/config",
        "prometheus.io/scrape",
        "kubectl.kubernetes.io/restartedAt",
        "sidecar.istio.io/inject",
        "linkerd.io/inject",
        "vault.hashicorp.com/agent-inject",
        "kubernetes.io/ingress-bandwidth",
        "cnpg.io/podSpec",
        "config.kubernetes.io/origin",
        "kompose.cmd",
        "strimzi.io/revision",
    ],
)
def test_s14_a_harmless_annotation_of_a_pod_is_admitted(key: str, attack: Attack) -> None:
    attack.post("pods", mutate(attack.p0(), "metadata.annotations", {key: "x"})).ok()


def test_a_pod_says_that_it_can_be_moved_and_not_that_it_cannot(attack: Attack) -> None:
    """To the cluster autoscaler, which else keeps a shared node for it."""
    key = "cluster-autoscaler.kubernetes.io/safe-to-evict"
    for value, admitted in (("true", True), ("false", False), ("true\n", False)):
        answer = attack.post("pods", mutate(attack.p0(), "metadata.annotations", {key: value}))
        assert (verdict(answer, ANNOTATIONS) == "Blocked") != admitted, value


def test_h13_root_behind_a_user_namespace_is_refused(attack: Attack) -> None:
    """Pod Security asks for nothing there: root of a user namespace is not root of the node."""
    body = mutate(attack.p0(), "spec.hostUsers", False)
    attack.post("pods", body).ok()
    for field, value in (("runAsUser", 0), ("runAsNonRoot", False)):
        mutant = mutate(body, f"{CONTAINER}.securityContext.{field}", value)
        assert verdict(attack.post("pods", mutant), HARDENING) == "Blocked"


BACKEND = {"service": {"name": "s", "port": {"number": 80}}}


def _service(**spec: Any) -> dict[str, Any]:
    fields = {"selector": {"app": "a"}, "ports": [{"port": 80}], **spec}
    return {"metadata": {"name": "s"}, "spec": fields}


def _annotated(key: str, value: str) -> dict[str, Any]:
    return {"name": "new", "annotations": {key: value}}


def _ingress(host: str, annotations: Any = None, path: str = "/", **spec: Any) -> dict[str, Any]:
    http = {"paths": [{"path": path, "pathType": "Prefix", "backend": BACKEND}]}
    rule = {"host": host, "http": http} if host else {"http": http}
    return {
        "metadata": {"name": "i", "annotations": annotations or {}},
        "spec": {"ingressClassName": "nginx", "rules": [rule], **spec},
    }


def _opening(peer: Any = None, **rule: Any) -> dict[str, Any]:
    peers = {} if peer is None else {"from": [peer]}
    spec = {"podSelector": {}, "ingress": [{**peers, **rule}]}
    return {"metadata": {"name": "n"}, "spec": spec}


def _way_out(peer: Any) -> dict[str, Any]:
    spec = {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"to": [peer]}]}
    return {"metadata": {"name": "n"}, "spec": spec}


def _claim(**spec: Any) -> dict[str, Any]:
    fields = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        "storageClassName": "fast",
        **spec,
    }
    return {"metadata": {"name": "c"}, "spec": fields}


def _selected(**selector: Any) -> dict[str, Any]:
    return {"namespaceSelector": selector}


def _expression(operator: str, *values: str, key: str = "securetenant.io/tenant") -> dict[str, Any]:
    found = {"key": key, "operator": operator, **({"values": list(values)} if values else {})}
    return _selected(matchExpressions=[found])


NETWORKING = "networking.k8s.io/v1"
INGRESSES, POLICIES = f"{NETWORKING}/ingresses", f"{NETWORKING}/networkpolicies"
CLAIMS = "persistentvolumeclaims"
OBJECTS: list[tuple[str, str, Any, Expected]] = [
    (
        "A05",
        "secrets",
        {
            "metadata": {
                "name": "t",
                "annotations": {"kubernetes.io/service-account.name": "default"},
            },
            "type": "kubernetes.io/service-account-token",
        },
        SECRETS,
    ),
    (
        "E05 account",
        "serviceaccounts",
        {"metadata": {"name": "a"}, "automountServiceAccountToken": True},
        SECRETS,
    ),
    ("D06 class", CLAIMS, _claim(storageClassName="gold"), VOLUMES),
    ("F02 by name", CLAIMS, _claim(volumeName="pv-of-OTHER"), VOLUMES),
    ("F02 by selector", CLAIMS, _claim(selector={"matchLabels": {"of": "OTHER"}}), VOLUMES),
    ("F02 without class", CLAIMS, _claim(storageClassName=""), VOLUMES),
    (
        "F02 class by annotation",
        CLAIMS,
        {
            **_claim(),
            "metadata": {
                "name": "c",
                "annotations": {"volume.beta.kubernetes.io/storage-class": "gold"},
            },
        },
        VOLUMES,
    ),
    ("E02 everybody", POLICIES, _opening(), NETWORK),
    ("E02 ports without peers", POLICIES, _opening(ports=[{"port": 80}]), NETWORK),
    ("E02 every namespace", POLICIES, _opening(_selected()), NETWORK),
    (
        "E02 another tenant",
        POLICIES,
        _opening(_selected(matchLabels={"securetenant.io/tenant": "OTHER"})),
        NETWORK,
    ),
    (
        "E02 by name",
        POLICIES,
        _opening(_selected(matchLabels={"kubernetes.io/metadata.name": "OTHER-1"})),
        NETWORK,
    ),
    ("E02 NotIn", POLICIES, _opening(_expression("NotIn", "OWN")), NETWORK),
    ("E02 Exists", POLICIES, _opening(_expression("Exists")), NETWORK),
    ("E02 DoesNotExist", POLICIES, _opening(_expression("DoesNotExist", key="x")), NETWORK),
    ("E02 In with more", POLICIES, _opening(_expression("In", "OWN", "OTHER")), NETWORK),
    ("E02 by another label", POLICIES, _opening(_selected(matchLabels={"env": "prod"})), NETWORK),
    ("E02 addresses", POLICIES, _opening({"ipBlock": {"cidr": "0.0.0.0/0"}}), NETWORK),
    ("E02 out", POLICIES, _way_out({"ipBlock": {"cidr": "169.254.169.254/32"}}), NETWORK),
    ("E02 out to others", POLICIES, _way_out(_selected()), NETWORK),
    ("E09", "services", _service(externalIPs=["203.0.113.7"]), SERVICES),
    ("E10 node port", "services", _service(type="NodePort"), SERVICES),
    ("E10 load balancer", "services", _service(type="LoadBalancer"), SERVICES),
    ("E10 address", "services", _service(loadBalancerIP="203.0.113.7"), SERVICES),
    ("E10 name", "services", _service(type="ExternalName", externalName="s.OTHER-1.svc"), SERVICES),
    ("E10 no selector", "services", _service(selector={}), SERVICES),
    ("E11 every host", INGRESSES, _ingress(""), INGRESS),
    ("E11 wildcard of another", INGRESSES, _ingress("*.OTHER.example"), INGRESS),
    ("E11 wildcard of all", INGRESSES, _ingress("*.example"), INGRESS),
    ("E11 wildcard around one name", INGRESSES, _ingress("*.corp.example"), INGRESS),
    ("E11 below one name", INGRESSES, _ingress("www.OWN.corp.example"), INGRESS),
    ("E11 another's one name", INGRESSES, _ingress("OTHER.corp.example"), INGRESS),
    ("E11 an end itself", INGRESSES, _ingress("OWN.example"), INGRESS),
    ("E11 another tenant", INGRESSES, _ingress("www.OTHER.example"), INGRESS),
    ("E11 not a suffix", INGRESSES, _ingress("evil-OWN.example"), INGRESS),
    ("E11 class", INGRESSES, _ingress("www.OWN.example", ingressClassName="internal"), INGRESS),
    (
        "E11 default backend",
        INGRESSES,
        _ingress("www.OWN.example", defaultBackend=BACKEND),
        INGRESS,
    ),
    (
        "E11 tls",
        INGRESSES,
        _ingress("www.OWN.example", tls=[{"hosts": ["www.OTHER.example"]}]),
        INGRESS,
    ),
    (
        "E11 snippet",
        INGRESSES,
        _ingress("www.OWN.example", {"nginx.ingress.kubernetes.io/server-snippet": "x"}),
        INGRESS,
    ),
    (
        "E11 alias",
        INGRESSES,
        _ingress(
            "www.OWN.example", {"nginx.ingress.kubernetes.io/server-alias": "www.OTHER.example"}
        ),
        INGRESS,
    ),
    (
        "E11 another's Secret",
        INGRESSES,
        _ingress("www.OWN.example", {"nginx.ingress.kubernetes.io/auth-tls-secret": "OTHER-1/s"}),
        INGRESS,
    ),
    (
        "F02 class by an empty annotation",
        CLAIMS,
        {**_claim(), "metadata": _annotated("volume.beta.kubernetes.io/storage-class", "")},
        VOLUMES,
    ),
    (
        "F02 a chosen node",
        CLAIMS,
        {**_claim(), "metadata": _annotated("volume.kubernetes.io/selected-node", "node-0")},
        VOLUMES,
    ),
    (
        "F02 a stranger's snapshot",
        CLAIMS,
        _claim(dataSourceRef={"kind": "VolumeSnapshot", "apiGroup": "x.example", "name": "s"}),
        VOLUMES,
    ),
    (
        "E10 a name in DNS",
        "services",
        {
            **_service(),
            "metadata": _annotated("external-dns.alpha.kubernetes.io/hostname", "OTHER.example"),
        },
        SERVICES,
    ),
    *(
        (f"E11 {key}", INGRESSES, _ingress("www.OWN.example", {key: value}), INGRESS)
        for key, value in (
            ("external-dns.alpha.kubernetes.io/hostname", "www.OTHER.example"),
            ("konghq.com/host-aliases", "www.OTHER.example"),
            ("haproxy.org/backend-config-snippet", "x"),
            ("getambassador.io/config", "x"),
            ("alb.ingress.kubernetes.io/group.name", "shared"),
            ("traefik.ingress.kubernetes.io/router.middlewares", "OTHER-x@kubernetescrd"),
            ("nginx.ingress.kubernetes.io/auth-url", "http://s.OTHER-1.svc"),
            ("nginx.ingress.kubernetes.io/rewrite-target", "/;}\nserver {"),
            ("cert-manager.io/alt-names", "www.OTHER.example"),
        )
    ),
    (
        "E11 a path that ends the rule",
        INGRESSES,
        _ingress("www.OWN.example", path="/x`) || Host(`www.OTHER.example"),
        INGRESS,
    ),
    ("E11 tls for every host", INGRESSES, _ingress("www.OWN.example", tls=[{}]), INGRESS),
    (
        "finalizer on a NetworkPolicy",
        POLICIES,
        {
            "metadata": {"name": "n", "finalizers": ["example.com/never"]},
            "spec": {"podSelector": {}},
        },
        FINALIZERS,
    ),
    (
        "budget in other words",
        "policy/v1/poddisruptionbudgets",
        {"metadata": {"name": "b"}, "spec": {"maxUnavailable": "00%"}},
        FINALIZERS,
    ),
    (
        "budget of nearly all",
        "policy/v1/poddisruptionbudgets",
        {"metadata": {"name": "b"}, "spec": {"minAvailable": "99%"}},
        FINALIZERS,
    ),
    (
        "finalizer",
        "configmaps",
        {"metadata": {"name": "c", "finalizers": ["example.com/never"]}},
        FINALIZERS,
    ),
    (
        "finalizer of nobody",
        "configmaps",
        {"metadata": {"name": "c", "finalizers": ["kubernetes.io/never"]}},
        FINALIZERS,
    ),
    (
        "budget",
        "policy/v1/poddisruptionbudgets",
        {
            "metadata": {"name": "b"},
            "spec": {"maxUnavailable": 0, "selector": {"matchLabels": {"a": "b"}}},
        },
        FINALIZERS,
    ),
]


@pytest.mark.parametrize(
    "toleration",
    [
        {"key": "corp.example/OWN", "operator": "Exists"},
        {"key": "corp.example/OWN", "value": "x", "effect": "NoExecute"},
        {"key": "corp.example/spot", "value": "yes", "effect": "NoSchedule"},
    ],
)
def test_a_taint_that_is_listed_is_tolerated(toleration: Any, attack: Attack) -> None:
    attack.post("pods", mutate(attack.p0(), "spec.tolerations", [toleration])).ok()


@pytest.mark.parametrize(
    ("path", "body", "expected"), [pytest.param(*row[1:], id=row[0]) for row in OBJECTS]
)
def test_an_object_that_reaches_beyond_the_tenant_is_refused(
    path: str, body: Any, expected: Expected, attack: Attack
) -> None:
    answer = attack.post(path, body)
    assert verdict(answer, expected) == "Blocked"
    assert f"kubectl describe tenantpolicy effective -n {attack.namespace}" in answer.message


ALLOWED: list[tuple[str, str, Any]] = [
    ("own wildcard", INGRESSES, _ingress("*.OWN.example", tls=[{"hosts": ["*.OWN.example"]}])),
    ("own name", INGRESSES, _ingress("OWN.corp.example")),
    ("own Ingress", INGRESSES, _ingress("www.OWN.example", tls=[{"hosts": ["www.OWN.example"]}])),
    (
        "harmless annotations",
        INGRESSES,
        _ingress(
            "www.OWN.example",
            {
                "nginx.ingress.kubernetes.io/ssl-redirect": "true",
                "a": "b",
                "backstage.io/kubernetes-id": "shop",
                "kapp.k14s.io/original": '{"kind":"Ingress"}',
                "pulumi.com/skipAwait": "true",
            },
        ),
    ),
    ("a path with a pattern", INGRESSES, _ingress("www.OWN.example", path="/a(/|$)(.*)")),
    ("Service", "services", _service()),
    ("headless Service", "services", _service(clusterIP="None")),
    ("claim", CLAIMS, _claim()),
    (
        "claim from an own one",
        CLAIMS,
        _claim(dataSource={"kind": "PersistentVolumeClaim", "name": "b"}),
    ),
    ("pods of the namespace", POLICIES, _opening({"podSelector": {"matchLabels": {"app": "a"}}})),
    ("own tenant", POLICIES, _opening(_selected(matchLabels={"securetenant.io/tenant": "OWN"}))),
    (
        "own namespace by name",
        POLICIES,
        _opening(_expression("In", "OWN-1", "OWN-2", key="kubernetes.io/metadata.name")),
    ),
    ("nothing at all", POLICIES, {"metadata": {"name": "n"}, "spec": {"podSelector": {}}}),
    (
        "budget",
        "policy/v1/poddisruptionbudgets",
        {
            "metadata": {"name": "b"},
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"a": "b"}}},
        },
    ),
    ("Secret", "secrets", {"metadata": {"name": "s"}, "stringData": {"a": "b"}}),
]


@pytest.mark.parametrize(("path", "body"), [pytest.param(*row[1:], id=row[0]) for row in ALLOWED])
def test_what_stays_within_the_tenant_is_admitted(path: str, body: Any, attack: Attack) -> None:
    attack.post(path, body).ok()


_NGINX = "nginx.ingress.kubernetes.io"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rewrite-target", '/"; x'),
        ("rewrite-target", "/a b"),
        ("rewrite-target", "/$1$http_host"),
        ("rewrite-target", "/$"),
        ("rewrite-target", "/${host}"),
        ("rewrite-target", "/a\\"),
        ("rewrite-target", "/'a"),
        ("cors-allow-origin", "https://a.example always"),
        ("cors-allow-origin", "$http_origin"),
        ("session-cookie-path", '/" x'),
        ("proxy-body-size", "8m #"),
        ("session-cookie-name", " a"),
        ("cors-allow-headers", "a\nb"),
    ],
)
def test_e11_a_value_that_is_not_plain_is_refused(name: str, value: str, attack: Attack) -> None:
    """The controller writes it into its configuration, where a variable or a quote is more."""
    body = _ingress("www.OWN.example", {f"{_NGINX}/{name}": value})
    answer = attack.post(INGRESSES, body)
    assert verdict(answer, INGRESS) == "Blocked"
    assert f"annotation {_NGINX}/{name} holds a control character, a quote" in answer.message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rewrite-target", "/$1"),
        ("rewrite-target", "/api/$1/$2"),
        ("cors-allow-methods", "PUT, GET,  POST"),
        ("cors-allow-headers", "DNT,Keep-Alive,X-Requested-With"),
        ("cors-allow-origin", "https://a.example:8443, https://*.b.example"),
        ("cors-expose-headers", "*, X-Custom"),
        ("whitelist-source-range", "10.0.0.0/8, 2001:db8::/32"),
        ("proxy-body-size", "8m"),
        ("session-cookie-samesite", "None"),
        ("backend-protocol", "GRPCS"),
    ],
)
def test_e11_an_ordinary_value_is_admitted(name: str, value: str, attack: Attack) -> None:
    attack.post(INGRESSES, _ingress("www.OWN.example", {f"{_NGINX}/{name}": value})).ok()


_LONG = "a" * 1024


@pytest.mark.parametrize(
    ("annotations", "path"),
    [
        ({f"{_NGINX}/cors-allow-headers": f"{_LONG}a"}, "/"),
        ({f"{_NGINX}/rewrite-target": f"/{_LONG}"}, "/"),
        ({}, f"/{_LONG}"),
        ({}, "/" + "(a)" * 1400),
    ],
    ids=["headers", "target", "path", "pattern"],
)
def test_a_value_longer_than_nginx_reads_is_refused(
    annotations: dict[str, str], path: str, attack: Attack
) -> None:
    """F6: nginx takes no configuration with one, of nobody."""
    answer = attack.post(INGRESSES, _ingress("www.OWN.example", annotations, path=path))
    assert verdict(answer, INGRESS) == "Blocked"
    assert "has more than 1024 characters; " in answer.message


def test_a_long_list_of_networks_is_admitted(attack: Attack) -> None:
    networks = ", ".join(f"10.{number}.0.0/16" for number in range(200))
    annotations = {f"{_NGINX}/whitelist-source-range": networks}
    attack.post(INGRESSES, _ingress("www.OWN.example", annotations, path=f"/{_LONG[1:]}")).ok()


@pytest.mark.parametrize("path", ["/a\\", "/a\\.b", '/a"', "/a'"])
def test_e11_a_path_that_escapes_the_quote_behind_it_is_refused(path: str, attack: Attack) -> None:
    answer = attack.post(INGRESSES, _ingress("www.OWN.example", path=path))
    assert verdict(answer, INGRESS) == "Blocked"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("proxy-buffers-number", "1"),
        ("proxy-buffers-number", "2"),
        ("proxy-buffers-number", "65"),
        ("proxy-buffer-size", "1000k"),
        ("proxy-buffer-size", "0k"),
        ("client-body-buffer-size", "1000g"),
        ("proxy-body-size", "99999999999g"),
        ("proxy-http-version", "9"),
        ("proxy-read-timeout", "1x"),
        ("limit-rps", "many"),
        ("limit-connections", "65536"),
        # What follows is the memory of a controller that all share.
        ("proxy-buffers-number", "17"),
        ("proxy-buffer-size", "99m"),
        ("client-body-buffer-size", "99m"),
        ("rewrite-target", "/a, b"),
        ("proxy-buffering", "yes"),
    ],
)
def test_e11_a_value_that_nginx_refuses_for_everybody_is_refused(
    name: str, value: str, attack: Attack
) -> None:
    answer = attack.post(INGRESSES, _ingress("www.OWN.example", {f"{_NGINX}/{name}": value}))
    assert verdict(answer, INGRESS) == "Blocked"
    assert f"annotation {_NGINX}/{name} is {value}; " in answer.message


@pytest.mark.parametrize("more", [{}, {"pathType": "ImplementationSpecific"}], ids=str)
def test_two_paths_that_nginx_writes_as_one_are_refused(
    more: dict[str, str], attack: Attack
) -> None:
    """A location that is there twice stops all configuration, of everybody."""
    body = _ingress("www.OWN.example", path="/foo")
    (first,) = body["spec"]["rules"][0]["http"]["paths"]
    exact = {**first, "path": "/foo/", "pathType": "Exact"}
    body["spec"]["rules"][0]["http"]["paths"] = [first, {**first, "path": "/foo/", **more}]
    answer = attack.post(INGRESSES, body)
    assert verdict(answer, INGRESS) == "Blocked"
    assert "path is /foo/ and another one is the same without the slash" in answer.message
    body["spec"]["rules"][0]["http"]["paths"] = [first, exact, {**first, "path": "/foo/bar/"}]
    attack.post(INGRESSES, body).ok()


@pytest.mark.parametrize(
    "path",
    [
        *("/((x", "/[x", "/**", "/x)", "/a++", "/(*)", "/[z-a]", "/[:a:]", "/[.a.]", "/(?<n", "/]"),
        # These take a worker that all share a second for each request.
        *("/(a+)+b", "/((a*)*)*b", "/(a|a)*b", "/(.*)(.*)(.*)(.*)(.*)x", "/a*b+c*d+e*"),
    ],
)
def test_e11_a_path_that_is_no_pattern_is_refused(path: str, attack: Attack) -> None:
    """Another Ingress of the host makes patterns of all its paths, whatever their type."""
    answer = attack.post(INGRESSES, _ingress("www.OWN.example", path=path))
    assert verdict(answer, INGRESS) == "Blocked"
    assert f"path is no plain regular expression, {path}; " in answer.message


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/*",
        "/api(/|$)(.*)",
        "/foo/?(.*)",
        "/(v1|v2)/users/([a-zA-Z0-9_-]+)/?$",
        "/(?!api)(.*)",
        "/(?i)images/(.*)[.](png|jpe?g)$",
        "/((a|b(c|d)?)?)/[^/]+",
        "/.well-known/acme-challenge/abc_DEF-1",
        "/a%20b/~x/@y:z,w=1&2",
    ],
)
def test_e11_an_ordinary_path_is_admitted(path: str, attack: Attack) -> None:
    attack.post(INGRESSES, _ingress("www.OWN.example", path=path)).ok()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("proxy-buffers-number", "4"),
        ("proxy-buffers-number", "16"),
        ("proxy-buffer-size", "128k"),
        ("client-body-buffer-size", "1m"),
        ("proxy-body-size", "0"),
        ("proxy-body-size", "10G"),
        ("proxy-read-timeout", "3600"),
        ("proxy-http-version", "1.1"),
        ("proxy-buffering", "off"),
    ],
)
def test_e11_an_ordinary_number_or_size_is_admitted(name: str, value: str, attack: Attack) -> None:
    attack.post(INGRESSES, _ingress("www.OWN.example", {f"{_NGINX}/{name}": value})).ok()


REACHING = (
    ("ad.datadoghq.com/c.checks", '{"directory": {"instances": [{"directory": "/etc"}]}}'),
    ("ad.datadoghq.com/c.logs", '[{"type": "file", "path": "/var/log/pods/*"}]'),
    ("ad.datadoghq.com/c.instances", '[{"url": "http://s.OTHER-1.svc"}]'),
    ("co.elastic.logs/raw", '[{"paths": ["/var/log/containers/*"]}]'),
    ("co.elastic.logs/processors.1.script.file", "/etc/x.js"),
    ("co.elastic.logs/module", "../x"),
    ("co.elastic.logs/pipeline", "of-OTHER"),
    ("co.elastic.metrics/hosts", "10.0.0.1:80"),
    ("co.elastic.metrics/module", "redis"),
    ("co.elastic.metrics/raw", "[]"),
    ("consul.hashicorp.com/connect-service", "web-of-OTHER"),
    ("consul.hashicorp.com/service-tags", "of-OTHER"),
    ("injector.tailscale.com/x", "true"),
    ("instrumentation.opentelemetry.io/inject-java", "OTHER-1/x"),
    ("kuma.io/gateway", "enabled"),
    ("kuma.io/ingress", "enabled"),
    ("kuma.io/mesh", "of-OTHER"),
    ("post.hook.backup.velero.io/timeout", "999h"),
    ("post.hook.restore.velero.io/exec-timeout", "999h"),
    ("pre.hook.backup.velero.io/timeout", "999h"),
    ("sidecar.jaegertracing.io/inject", "of-OTHER"),
    ("sidecar.opentelemetry.io/inject", "OTHER-1/x"),
    ("sidecar.opentelemetry.io/inject", "true\nOTHER-1/x"),
)
"""Annotations by which an agent of a node, or an operator, reads what is another tenant's."""
REACHED = (
    ("ad.datadoghq.com/c.tags", '{"team": "a"}'),
    ("ad.datadoghq.com/tags", '{"team": "a"}'),
    ("ad.datadoghq.com/c.logs_exclude", "true"),
    ("co.elastic.logs/enabled", "true"),
    ("co.elastic.logs/multiline.pattern", "^[[:space:]]"),
    ("co.elastic.logs/json.message_key", "log"),
    ("co.elastic.logs/module", "nginx"),
    ("consul.hashicorp.com/connect-inject", "true"),
    ("instrumentation.opentelemetry.io/inject-java", "true"),
    ("instrumentation.opentelemetry.io/inject-python", "my-instrumentation"),
    ("instrumentation.opentelemetry.io/container-names", "a,b"),
    ("kuma.io/sidecar-injected", "true"),
    ("kuma.io/mesh", "default"),
    ("linkerd.io/inject", "enabled"),
    ("pre.hook.backup.velero.io/command", '["/bin/sh", "-c", "pg_dump"]'),
    ("pre.hook.backup.velero.io/timeout", "10m"),
    ("prometheus.io/scrape", "true"),
    ("sidecar.istio.io/inject", "true"),
    ("sidecar.jaegertracing.io/inject", "true"),
    ("sidecar.opentelemetry.io/inject", "my-collector"),
    ("vault.hashicorp.com/agent-inject", "true"),
)


@pytest.mark.parametrize(("key", "value"), REACHING)
def test_an_annotation_by_which_an_agent_reaches_others_is_refused(
    key: str, value: str, attack: Attack
) -> None:
    body = mutate(attack.p0(), "metadata.annotations", {key: value})
    answer = attack.post("pods", body)
    assert verdict(answer, ANNOTATIONS) == "Blocked"
    assert f"securetenant: annotation {key} is set" in answer.message


@pytest.mark.parametrize(("key", "value"), REACHED)
def test_what_charts_tell_agents_of_their_own_pod_is_admitted(
    key: str, value: str, attack: Attack
) -> None:
    attack.post("pods", mutate(attack.p0(), "metadata.annotations", {key: value})).ok()


@pytest.mark.parametrize(
    ("template", "kind"),
    [("Deployment", "deployments"), ("Job", "jobs"), ("DaemonSet", "daemonsets")],
)
def test_b12_controllers_make_no_pod_that_a_tenant_could_not(
    template: str, kind: str, attack: Attack, admin: Api
) -> None:
    """Templates are not judged; the pods that come of them are, whoever creates them."""
    group = "batch/v1" if kind == "jobs" else "apps/v1"
    name = f"evil-{kind}"
    spec = mutate(attack.p0(), "spec.tolerations", [{"operator": "Exists"}])["spec"]
    labels = {"matchLabels": {"app": name}}
    body: dict[str, Any] = {
        "apiVersion": group,
        "kind": template,
        "metadata": {"name": name},
        "spec": {"template": {"metadata": {"labels": {"app": name}}, "spec": spec}},
    }
    if kind == "jobs":
        spec["restartPolicy"] = "Never"
    else:
        body["spec"]["selector"] = labels
    path = f"/apis/{group}/namespaces/{attack.namespace}/{kind}"
    attack.api.call("POST", path, body).ok()
    events = f"/api/v1/namespaces/{attack.namespace}/events"

    def refused() -> bool:
        found = admin.call("GET", events, fieldSelector="reason=FailedCreate").ok()["items"]
        return any(
            each["involvedObject"]["name"].startswith(name)
            and "a toleration is for every taint" in each["message"]
            for each in found
        )

    wait_for(refused, what="the controller to be refused", seconds=30)
    pods = admin.call("GET", f"/api/v1/namespaces/{attack.namespace}/pods").ok()["items"]
    assert not [each for each in pods if each["metadata"].get("labels", {}).get("app") == name]
    attack.api.call("DELETE", f"{path}/{name}", propagationPolicy="Background").ok()


def test_h12_a_claim_is_not_moved_to_another_volume_later(attack: Attack, admin: Api) -> None:
    path = f"/api/v1/namespaces/{attack.namespace}/{CLAIMS}"
    # A name of its own: a claim that is deleted stays for a moment.
    attack.api.call("POST", path, {**_claim(), "metadata": {"name": "moved"}}).ok()
    steal = {"spec": {"volumeName": f"pv-of-{attack.other}"}}
    for thief in (attack.api, admin):
        answer = thief.call("PATCH", f"{path}/moved", steal, content_type=MERGE, dryRun="All")
        assert verdict(answer, VOLUMES) == "Blocked"
    attack.api.call("DELETE", f"{path}/moved").ok()


def test_e10_a_service_does_not_change_its_type_later(attack: Attack) -> None:
    path = f"/api/v1/namespaces/{attack.namespace}/services"
    attack.api.call("POST", path, _service()).ok()
    for change in (
        {"spec": {"type": "NodePort"}},
        {"spec": {"externalIPs": ["203.0.113.7"]}},
        {"spec": {"type": "ExternalName", "externalName": "x", "clusterIP": None}},
    ):
        answer = attack.api.call("PATCH", f"{path}/s", change, content_type=MERGE, dryRun="All")
        assert verdict(answer, SERVICES) == "Blocked"
    ordinary = {"spec": {"sessionAffinity": "ClientIP"}}
    attack.api.call("PATCH", f"{path}/s", ordinary, content_type=MERGE, dryRun="All").ok()
    attack.api.call("DELETE", f"{path}/s").ok()


def test_b12_a_running_pod_gets_neither_another_image_nor_a_toleration(
    attack: Attack, admin: Api
) -> None:
    path = f"/api/v1/namespaces/{attack.namespace}/pods"
    attack.api.call("POST", path, mutate(attack.p0(), "metadata.name", "later")).ok()
    image = [{"op": "replace", "path": "/spec/containers/0/image", "value": "evil.test/a"}]
    toleration = [{"op": "add", "path": "/spec/tolerations/-", "value": {"operator": "Exists"}}]
    debug = {"name": "d", "image": "evil.test/a", "securityContext": factory.RESTRICTED}
    root = {
        **debug,
        "image": f"registry.{attack.own}.example/app",
        "imagePullPolicy": "Always",
        "securityContext": {**factory.RESTRICTED, "runAsGroup": 0},
    }
    for subresource, patch, expected in (
        ("", image, IMAGES),
        ("", toleration, SCHEDULING),
        (
            "/ephemeralcontainers",
            [{"op": "add", "path": "/spec/ephemeralContainers", "value": [debug]}],
            IMAGES,
        ),
        (
            "/ephemeralcontainers",
            [{"op": "add", "path": "/spec/ephemeralContainers", "value": [root]}],
            HARDENING,
        ),
        (
            "/ephemeralcontainers",
            [
                {
                    "op": "add",
                    "path": "/spec/ephemeralContainers",
                    "value": [{**root, "securityContext": {"privileged": True}}],
                }
            ],
            Control.PSA_BASELINE,
        ),
    ):
        for thief in (attack.api, admin):
            answer = thief.call(
                "PATCH", f"{path}/later{subresource}", patch, content_type=JSON_PATCH, dryRun="All"
            )
            assert verdict(answer, expected) == "Blocked"
    own = [
        {
            "op": "replace",
            "path": "/spec/containers/0/image",
            "value": f"registry.{attack.own}.example/b:2",
        }
    ]
    attack.api.call("PATCH", f"{path}/later", own, content_type=JSON_PATCH, dryRun="All").ok()
    attack.api.call("DELETE", f"{path}/later").ok()


def test_a_pod_is_not_kept_by_its_own_deletion(attack: Attack) -> None:
    path = f"/api/v1/namespaces/{attack.namespace}/pods"
    attack.api.call("POST", path, mutate(attack.p0(), "metadata.name", "kept")).ok()
    # A pod that is on no node yet goes at once, whatever it is told.
    wait_for(lambda: _is_scheduled(attack.api, f"{path}/kept"), what="the pod to be scheduled")
    long = {"gracePeriodSeconds": 1_000_000}
    answer = attack.api.call("DELETE", f"{path}/kept", long, dryRun="All")
    assert verdict(answer, DELETION) == "Blocked"
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": "kept"},
        "deleteOptions": long,
    }
    answer = attack.api.call("POST", f"{path}/kept/eviction", eviction, dryRun="All")
    assert verdict(answer, DELETION) == "Blocked"
    attack.api.call("DELETE", f"{path}/kept", {"gracePeriodSeconds": 30}).ok()


def _is_scheduled(api: Api, path: str) -> bool:
    return bool(api.call("GET", path).ok()["spec"].get("nodeName"))


def test_e01_a_running_pod_is_not_attached_to_another_network(attack: Attack, admin: Api) -> None:
    """The tenant writes no such annotation later either; the platform's agents do."""
    path = f"/api/v1/namespaces/{attack.namespace}/pods"
    attack.api.call("POST", path, mutate(attack.p0(), "metadata.name", "plain")).ok()
    change = {"metadata": {"annotations": {"k8s.v1.cni.cncf.io/networks": "kube-system/x"}}}
    answer = attack.api.call("PATCH", f"{path}/plain", change, content_type=MERGE, dryRun="All")
    assert verdict(answer, ANNOTATIONS) == "Blocked"
    label = {"metadata": {"annotations": {"note": "x"}}}
    attack.api.call("PATCH", f"{path}/plain", label, content_type=MERGE, dryRun="All").ok()
    attack.api.call("DELETE", f"{path}/plain").ok()


def test_s07_an_agent_is_of_the_cluster_and_not_of_any_namespace(
    attack: Attack, admin: Api, breaker: Api, bystander: None, sandbox: Instance
) -> None:
    """An account of a namespace that left the tenant annotated a pod that waited for its node."""
    body = mutate(attack.p0(), "spec.schedulingGates", [{"name": "example.com/wait"}])
    path = f"/api/v1/namespaces/{attack.namespace}/pods"
    attack.api.call("POST", path, mutate(body, "metadata.name", "waiting")).ok()
    where = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{attack.namespace}"
    rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["patch"]}
    admin.call("POST", f"{where}/roles", {"metadata": {"name": "mine"}, "rules": [rule]}).ok()
    homes = ("bystander", "kube-system")
    agents = [{"kind": "ServiceAccount", "name": "agent", "namespace": each} for each in homes]
    admin.call("POST", f"{where}/rolebindings", factory.binding(*agents)).ok()
    change = {"metadata": {"annotations": {"k8s.v1.cni.cncf.io/networks": "kube-system/x"}}}

    def answers(home: str) -> Any:
        api = Api(
            sandbox.admin_kubeconfig,
            speaking_as=f"system:serviceaccount:{home}:agent",
            group=f"system:serviceaccounts:{home}",
        )
        return api.call("PATCH", f"{path}/waiting", change, content_type=MERGE, dryRun="All")

    wait_for(lambda: answers("kube-system").status == 200, what="the cluster's agent to annotate")
    assert verdict(answers("bystander"), ANNOTATIONS) == "Blocked"
    admin.call("DELETE", f"{where}/rolebindings/mine").ok()
    admin.call("DELETE", f"{where}/roles/mine").ok()
    attack.api.call("DELETE", f"{path}/waiting").ok()


def test_a_pod_that_waited_is_placed_by_the_rules_of_the_day_on_which_it_is_let_go(
    half: Instance, half_member: Api
) -> None:
    """Its namespace went to another tenant meanwhile: it ran on a node of the former one."""
    groups = ("system:masters", "securetenant:break-glass")
    breaker = Api(kubeconfigs.for_user(half, "breaker", groups))
    policy = kinds.TENANT_POLICY, "effective"

    def nodes(dedication: str) -> None:
        breaker.patch(*policy, {"spec": {"nodes": {"dedication": dedication}}}, "roomy-a").ok()

    nodes("Dedicated")
    body = factory.pod()
    own = {"key": names.NODE_TAINT, "value": "roomy", "effect": "NoSchedule"}
    body["metadata"] = {"name": "waited"}
    body["spec"]["containers"][0]["imagePullPolicy"] = "Always"
    body["spec"] = {
        **body["spec"],
        "serviceAccountName": "quiet",
        "schedulingGates": [{"name": "example.com/wait"}],
        "tolerations": [own],
    }
    wait_for(
        lambda: half_member.create_pod("roomy-a", body).status in {201, 409}, what="the gated pod"
    )
    free = {"spec": {"schedulingGates": None}}

    def let_go() -> Any:
        return half_member.patch(kinds.POD, "waited", free, "roomy-a", dryRun="All")

    assert let_go().status == 200
    nodes("Shared")
    wait_for(lambda: let_go().status == 403, what="the policy to see the TenantPolicy")
    assert verdict(let_go(), Policy("securetenant-pods")) == "Blocked"
    labels = {"metadata": {"labels": {"still": "mine"}}}
    half_member.patch(kinds.POD, "waited", labels, "roomy-a").ok()
    half_member.delete(kinds.POD, "waited", "roomy-a").ok()


def test_a08_nobody_but_the_scheduler_binds_pods(attack: Attack, admin: Api) -> None:
    body = mutate(attack.p0(), "spec.schedulingGates", [{"name": "example.com/wait"}])
    path = f"/api/v1/namespaces/{attack.namespace}/pods"
    attack.api.call("POST", path, mutate(body, "metadata.name", "gated")).ok()
    binding = {"metadata": {"name": "gated"}, "target": {"kind": "Node", "name": "node-0"}}
    for where in (f"{path}/gated/binding", f"/api/v1/namespaces/{attack.namespace}/bindings"):
        assert verdict(admin.call("POST", where, binding, dryRun="All"), BINDINGS) == "Blocked"
    attack.api.call("DELETE", f"{path}/gated").ok()


def test_e13_nobody_but_the_cluster_writes_endpoints(attack: Attack, admin: Api) -> None:
    """By a left-over right: tenants hold none."""
    found = {
        "metadata": {"name": "x", "labels": {"kubernetes.io/service-name": "s"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.1.2.3"]}],
    }
    where = f"/apis/discovery.k8s.io/v1/namespaces/{attack.namespace}/endpointslices"
    assert verdict(admin.call("POST", where, found, dryRun="All"), ENDPOINTS) == "Blocked"
    body = {"metadata": {"name": "x"}, "subsets": [{"addresses": [{"ip": "10.1.2.3"}]}]}
    where = f"/api/v1/namespaces/{attack.namespace}/endpoints"
    assert verdict(admin.call("POST", where, body, dryRun="All"), ENDPOINTS) == "Blocked"


def test_d01_zero_limits_become_limits(attack: Attack) -> None:
    """A container with limits of zero runs without any, and is charged nothing."""
    for where in ("containers", "initContainers"):
        body = attack.p0()
        zero = {**body["spec"]["containers"][0], "name": "z"}
        zero["resources"] = {"limits": {"cpu": "0", "memory": 0, "ephemeral-storage": "0Mi"}}
        body["spec"][where] = [*body["spec"].get(where, []), zero]
        made = attack.post("pods", body).ok()["spec"][where][-1]["resources"]
        assert made == {
            "limits": {"cpu": "500m", "memory": "512Mi", "ephemeral-storage": "1Gi"},
            "requests": {"cpu": "50m", "memory": "128Mi", "ephemeral-storage": "64Mi"},
        }


def test_f01_what_a_node_has_cached_is_pulled_again(attack: Attack) -> None:
    for policy in ("IfNotPresent", "Never"):
        body = mutate(attack.p0(), f"{CONTAINER}.imagePullPolicy", policy)
        image = {"reference": f"registry.{attack.own}.example/data", "pullPolicy": policy}
        body["spec"]["volumes"] = [{"name": "v", "image": image}]
        made = attack.post("pods", body).ok()["spec"]
        assert made["containers"][0]["imagePullPolicy"] == "Always"
        assert made["volumes"][0]["image"]["pullPolicy"] == "Always"
