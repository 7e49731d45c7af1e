"""Two judges, one verdict: the policies in the API server and the predicates in ``checks``.

Without the mutating half, as on Kubernetes 1.34: so it is also shown that the validating half
refuses alone.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import factory
import validating_half
from harness import Answer, Api, wait_for
from securetenant.api import kinds, names
from securetenant.api.tenantpolicy import PolicySpec
from securetenant.checks import annotations as keys
from securetenant.checks import bindings, objects, pods
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance

POLICIES = validating_half.policies()
DIGEST = "@sha256:" + "a" * 64
RBAC = "rbac.authorization.k8s.io"
NETWORKING = "/apis/networking.k8s.io/v1/namespaces/{}"

agreement = hypothesis_settings(suppress_health_check=list(HealthCheck))


def refusing(answer: Answer) -> str:
    """Return the policy that refused, or nothing; an answer of anybody else is no example."""
    if answer.status < 300:
        return ""
    assert answer.status < 500, answer.body
    found = re.search(r"ValidatingAdmissionPolicy 'securetenant-([a-z-]+)' with", answer.message)
    assume(found is not None)
    assert found is not None
    assert "securetenant: " in answer.message
    assert "failed expression" not in answer.message, answer.message
    return found[1]


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


namespaces = st.sampled_from(sorted(POLICIES))
groups = st.sampled_from([0, 1, 2000])
profiles = st.sampled_from(
    [{"type": "RuntimeDefault"}, {"type": "Localhost", "localhostProfile": "p.json"}]
)
images = st.one_of(
    st.sampled_from(
        [
            "app",
            "registry.example/app" + DIGEST,
            "registry.example/app:1",
            "registry.example/team/app:1" + DIGEST,
            "registry.example:5000/team/app" + DIGEST,
            "registry.example:5000/other/app" + DIGEST,
            "registry.example.evil.test/app" + DIGEST,
            "registry.example/../evil/app" + DIGEST,
            "registry.example//app" + DIGEST,
            "REGISTRY.example/app" + DIGEST,
            "registry.example/app@sha256:" + "A" * 64,
            "registry.example/app" + DIGEST + "x",
            "registry.example/ä" + DIGEST,
            "user@registry.example/app" + DIGEST,
        ]
    ),
    st.from_regex(
        r"registry\.example(:5000)?/[a-zA-Z0-9._/:@-]{1,20}(@sha256:[0-9a-f]{63,65})?",
        fullmatch=True,
    ),
)
contexts = st.builds(
    lambda more: {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
        "readOnlyRootFilesystem": True,
        **more,
    },
    optional(
        runAsGroup=groups,
        runAsNonRoot=st.booleans(),
        runAsUser=st.sampled_from([0, 7]),
        seccompProfile=profiles,
        seLinuxOptions=st.sampled_from([{}, {"level": "s0:c1,c2"}]),
        readOnlyRootFilesystem=st.booleans(),
    ),
)
mounts = st.lists(
    optional(mountPropagation=st.sampled_from(["None", "HostToContainer"])).map(
        lambda more: {"name": "v", "mountPath": "/v", **more}
    ),
    max_size=1,
)
containers = st.builds(
    lambda image, context, mounted, pull, resources: {
        "image": image,
        "imagePullPolicy": pull,
        "securityContext": context,
        "volumeMounts": mounted,
        "resources": resources,
    },
    st.one_of(st.just("registry.example/app" + DIGEST), images),
    contexts,
    mounts,
    st.sampled_from(["Always", "Always", "Always", "IfNotPresent", "Never"]),
    st.sampled_from(
        [
            {},
            {"limits": {"cpu": "1", "memory": "1Gi"}},
            {"limits": {"example.com/gpu": "1"}},
            {"limits": {"example.com/counted": "1"}},
            {"limits": {"hugepages-2Mi": "2Mi", "memory": "1Gi"}},
        ]
    ),
)
sources = st.one_of(
    st.builds(
        lambda more: {"serviceAccountToken": {"path": "t", "expirationSeconds": 3600, **more}},
        optional(
            audience=st.sampled_from(["", "vault", "elsewhere"]),
            expirationSeconds=st.sampled_from([600, 3607, 7200, 7201, 90000]),
        ),
    ),
    st.just({"configMap": {"name": "c"}}),
)
# Image volumes came later than 1.34, where the API server drops them.
volumes = st.one_of(
    st.just({"emptyDir": {}}),
    st.just({"configMap": {"name": "c"}}),
    st.builds(lambda each: {"projected": {"sources": [each]}}, sources),
    st.builds(
        lambda driver: {"csi": {"driver": driver}},
        st.sampled_from(["secrets-store.csi.k8s.io", "evil.csi.example"]),
    ),
    st.just({"nfs": {"server": "s", "path": "/"}}),
    st.just({"iscsi": {"targetPortal": "t", "iqn": "iqn.2001-04.com.example:x", "lun": 0}}),
)
terms = st.builds(
    lambda more: {"topologyKey": "kubernetes.io/hostname", "labelSelector": {}, **more},
    optional(
        namespaces=st.lists(st.just("other"), max_size=1),
        namespaceSelector=st.sampled_from([{}, {"matchLabels": {"a": "b"}}]),
    ),
)
affinities = st.one_of(
    st.builds(
        lambda field, term: {field: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}},
        st.sampled_from(["podAffinity", "podAntiAffinity"]),
        terms,
    ),
    st.builds(
        lambda field, term: {
            field: {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {"weight": 1, "podAffinityTerm": term}
                ]
            }
        },
        st.sampled_from(["podAffinity", "podAntiAffinity"]),
        terms,
    ),
)
tolerations = st.lists(
    st.sampled_from(
        [
            {"operator": "Exists"},
            {"key": "node.kubernetes.io/not-ready", "operator": "Exists"},
            {"key": "securetenant.io/tenant", "operator": "Exists"},
            {"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"},
            {"key": "node.kubernetes.io.evil/x", "operator": "Exists"},
            {"key": "node.kubernetes.io/unschedulable", "operator": "Exists"},
            {"key": "node.kubernetes.io/memory-pressure", "operator": "Exists"},
            {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
            {"key": "corp.example/spot", "operator": "Exists"},
            {"key": "corp.example/spot", "value": "yes"},
            {"key": "corp.example/spot", "value": "no"},
            {"key": "corp.example/arch", "operator": "Exists"},
            {"key": "corp.example/arch", "operator": "Exists", "effect": "NoExecute"},
            {"key": "corp.example/arch", "value": "arm", "effect": "NoSchedule"},
        ]
    ),
    max_size=2,
)
OPTIONS: dict[str, st.SearchStrategy[Any]] = {
    "nodeName": st.sampled_from(["", "node-0"]),
    "tolerations": tolerations,
    "schedulerName": st.sampled_from(["default-scheduler", "mine"]),
    "affinity": affinities,
    "terminationGracePeriodSeconds": st.sampled_from([0, 30, 3600, 3601, 999999]),
    "automountServiceAccountToken": st.booleans(),
    "hostUsers": st.booleans(),
    "resourceClaims": st.just([{"name": "gpu", "resourceClaimName": "gpu"}]),
    "securityContext": optional(
        runAsGroup=groups,
        fsGroup=groups,
        supplementalGroups=st.lists(groups, max_size=2, unique=True),
        appArmorProfile=profiles,
        runAsUser=st.sampled_from([0, 7]),
    ),
}
specs = st.builds(
    lambda many, init, volume, name, more: {
        "serviceAccountName": "quiet",
        "containers": [{"name": f"c{index}", **each} for index, each in enumerate(many)],
        "initContainers": [{"name": f"i{index}", **each} for index, each in enumerate(init)],
        "volumes": [{"name": "v", "emptyDir": {}}, {"name": name, **volume}],
        **more,
    },
    st.lists(containers, min_size=1, max_size=2),
    st.lists(containers, max_size=1),
    volumes,
    st.sampled_from(["w", "kube-api-access-w"]),
    optional(**OPTIONS),
)


PLAIN = {
    "image": "registry.example/app" + DIGEST,
    "imagePullPolicy": "Always",
    "securityContext": {**factory.RESTRICTED, "readOnlyRootFilesystem": True},
}
"""A container that is admitted everywhere."""


def _pod(container: dict[str, Any] = PLAIN, **more: Any) -> dict[str, Any]:
    return {"serviceAccountName": "quiet", "containers": [{"name": "c", **container}], **more}


mutants = st.one_of(
    st.sampled_from(sorted(OPTIONS)).flatmap(
        lambda field: OPTIONS[field].map(lambda value: _pod(**{field: value}))
    ),
    containers.map(_pod),
    containers.map(lambda each: _pod(initContainers=[{"name": "i", **each}])),
    volumes.map(lambda each: _pod(volumes=[{"name": "w", **each}])),
)
"""A pod that is admitted everywhere, with one thing generated."""
annotation_keys = st.sampled_from(
    [
        "note",
        "checksum/config",
        "k8s.v1.cni.cncf.io/networks",
        "io.katacontainers.config.x",
        "run.oci.handler",
    ]
)


def expected_for_pods(spec: Any, policy: PolicySpec) -> set[str]:
    """Return the policies that have something against a pod."""
    found = {
        "pods": (pods.misplaced, pods.far_volumes),
        "pods-hardening": (pods.soft, pods.foreign_images, pods.token_wishes),
    }
    return {
        name
        for name, rules in found.items()
        if any(True for rule in rules for _ in rule(spec, policy))
    }


@agreement
@given(namespaces, specs)
def test_both_judges_agree_about_pods(half_server: Api, namespace: str, spec: Any) -> None:
    body = {"metadata": {"generateName": "p-"}, "spec": spec}
    refused = refusing(half_server.create_pod(namespace, body, dryRun="All"))
    expected = expected_for_pods(spec, POLICIES[namespace])
    assert refused in expected if expected else refused == ""


@agreement
@given(namespaces, mutants, st.dictionaries(annotation_keys, st.just("x"), max_size=2))
def test_no_condition_of_a_policy_for_pods_skips_a_rule(
    half_server: Api, namespace: str, spec: Any, annotations: dict[str, str]
) -> None:
    """A copy of the policy without its conditions only warns: it has nothing to warn of."""
    body = {"metadata": {"generateName": "p-", "annotations": annotations}, "spec": spec}
    answer = half_server.create_pod(namespace, body, dryRun="All")
    if answer.status < 300:
        assert validating_half.UNCONDITIONAL not in answer.warnings


peers = st.one_of(
    st.sampled_from(["10.0.0.0/8", "0.0.0.0/0", "169.254.169.254/32"]).map(
        lambda each: {"ipBlock": {"cidr": each}}
    ),
    st.sampled_from(["plain", "other"]).map(
        lambda each: {"namespaceSelector": {"matchLabels": {names.TENANT_LABEL: each}}}
    ),
)
subjects = st.one_of(
    st.builds(
        lambda kind, name: {"apiGroup": RBAC, "kind": kind, "name": name},
        st.sampled_from(["Group", "User"]),
        st.sampled_from(["plain-devs", "others", "securetenant:canary"]),
    ),
    st.builds(
        lambda name, namespace: {"kind": "ServiceAccount", "name": name, "namespace": namespace},
        st.sampled_from(["default", "securetenant-plain"]),
        st.sampled_from(["plain-a", "tight-a", "nowhere"]),
    ),
)
roles = st.builds(
    lambda kind, name: {"apiGroup": RBAC, "kind": kind, "name": name},
    st.sampled_from(["ClusterRole", "Role"]),
    st.sampled_from(
        ["securetenant:admin", "securetenant:viewer", "securetenant:canary", "cluster-admin"]
    ),
)
walls = st.one_of(
    st.lists(st.lists(peers, max_size=2), max_size=2).map(
        lambda rules: (
            kinds.NETWORK_POLICY,
            "securetenant-x",
            {"spec": {"podSelector": {}, "egress": [{"to": each} for each in rules]}},
        )
    ),
    st.lists(st.lists(peers, max_size=2), max_size=2).map(
        lambda rules: (
            kinds.NETWORK_POLICY,
            "securetenant-x",
            {"spec": {"podSelector": {}, "ingress": [{"from": each} for each in rules]}},
        )
    ),
    st.builds(
        lambda name, role, named: (kinds.ROLE_BINDING, name, {"roleRef": role, "subjects": named}),
        st.sampled_from(["securetenant-x", "securetenant-canary"]),
        roles,
        st.lists(subjects, max_size=2),
    ),
    st.dictionaries(st.sampled_from(["pods", "secrets"]), st.sampled_from(["1", "20000"])).map(
        lambda hard: (kinds.RESOURCE_QUOTA, names.QUOTA, {"spec": {"hard": hard}})
    ),
)
"""What the operator might write: its kind, name and content."""
BOUNDS: list[dict[str, Any]] = [
    {},
    {"quota": {"secrets": 10000}},
    {"groups": ["plain-*"]},
    {"users": ["nobody"]},
    {"roles": ["Viewer"]},
    {"peers": ["plain"]},
    {"cidrs": ["10.0.0.0/8"]},
]


@pytest.fixture(params=BOUNDS, ids=lambda each: next(iter(each), "none"))
def bounded(half_server: Api, request: pytest.FixtureRequest) -> Iterator[None]:
    """Bounds for what the operator may write, one at a time."""
    admin = half_server
    admin.patch(kinds.TENANCY_SETTINGS, "default", {"spec": {"bounds": request.param}}).ok()
    yield
    admin.patch(kinds.TENANCY_SETTINGS, "default", {"spec": {"bounds": None}}).ok()


@pytest.mark.usefixtures("bounded")
@agreement
@given(walls)
def test_no_condition_of_a_policy_for_the_operator_skips_a_rule(
    half_operator: Api, wall: tuple[kinds.Kind, str, dict[str, Any]]
) -> None:
    kind, name, content = wall
    labels = {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.TENANT_LABEL: "plain"}
    body = {"metadata": {"name": name, "labels": labels}, **content}
    answer = half_operator.call("POST", kind.path("plain-a"), body, dryRun="All")
    if answer.status < 300:
        assert validating_half.UNCONDITIONAL not in answer.warnings


services = st.builds(
    lambda annotations, more: {
        "metadata": {"generateName": "s-", "annotations": annotations},
        "spec": {"selector": {"app": "a"}, "ports": [{"port": 80}], **more},
    },
    st.dictionaries(
        st.sampled_from(
            ["note", "prometheus.io/scrape", "external-dns.alpha.kubernetes.io/hostname", "x.y/z"]
        ),
        st.just("x"),
        max_size=1,
    ),
    optional(
        type=st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"]),
        externalIPs=st.lists(st.just("203.0.113.7"), max_size=1),
        loadBalancerIP=st.sampled_from(["", "203.0.113.7"]),
        selector=st.sampled_from([{}, {"app": "a"}]),
        externalName=st.just("db.blue.svc"),
    ),
)


@agreement
@given(namespaces, services)
def test_both_judges_agree_about_services(half_server: Api, namespace: str, body: Any) -> None:
    answer = half_server.call(
        "POST", f"/api/v1/namespaces/{namespace}/services", body, dryRun="All"
    )
    expected = any(True for _ in objects.exposed(body, POLICIES[namespace]))
    assert (refusing(answer) == "services") == expected


hosts = st.sampled_from(
    [
        "a.tight.example",
        "tight.example",
        "evil-tight.example",
        "*.tight.example",
        "shop.example.org",
        "a.shop.example.org",
        "*.a.tight.example",
        "other.test",
    ]
)
backend = {"service": {"name": "s", "port": {"number": 80}}}
ingresses = st.builds(
    lambda host, klass, path, target, annotations, more: {
        "metadata": {"generateName": "i-", "annotations": annotations},
        "spec": {
            "rules": [
                {
                    **({"host": each} if each else {}),
                    "http": {"paths": [{"path": path, "pathType": "Prefix", "backend": target}]},
                }
                for each in host
            ],
            **({"ingressClassName": klass} if klass else {}),
            **more,
        },
    },
    st.lists(st.one_of(hosts, st.just("")), min_size=1, max_size=2),
    st.sampled_from(["nginx", "nginx", "internal", ""]),
    st.one_of(
        st.sampled_from(["/", "/", "/", "/a/../b", "/..", "/x`) || Host(`evil`)", "/a b", "/{x}"]),
        st.from_regex(r"/[ -~]{0,6}", fullmatch=True),
    ),
    st.sampled_from([backend, backend, {"resource": {"kind": "Bucket", "name": "b"}}]),
    st.dictionaries(
        st.sampled_from(
            [
                "nginx.ingress.kubernetes.io/configuration-snippet",
                "nginx.ingress.kubernetes.io/server-alias",
                "nginx.ingress.kubernetes.io/rewrite-target",
                "nginx.ingress.kubernetes.io/auth-tls-secret",
                "alb.ingress.kubernetes.io/actions.evil",
                "kubernetes.io/ingress.class",
                "nginx.ingress.kubernetes.io/cors-allow-origin",
                "konghq.com/host-aliases",
                "note",
            ]
        ),
        st.one_of(
            st.sampled_from(["x", "kube-system/x", "a;b", "}\nserver {", "a`b", "$2", "a, b"]),
            st.from_regex(r"[ -~]{0,4}", fullmatch=True),
        ),
        max_size=1,
    ),
    optional(
        tls=st.lists(
            st.one_of(st.builds(lambda each: {"hosts": [each]}, hosts), st.just({})), max_size=1
        ),
        defaultBackend=st.just(backend),
    ),
)


@agreement
@given(namespaces, ingresses)
def test_both_judges_agree_about_ingresses(half_server: Api, namespace: str, body: Any) -> None:
    answer = half_server.call(
        "POST", NETWORKING.format(namespace) + "/ingresses", body, dryRun="All"
    )
    expected = any(True for _ in objects.claims_hosts(body, POLICIES[namespace]))
    assert (refusing(answer) == "ingress") == expected


labels = st.dictionaries(
    st.sampled_from(["securetenant.io/tenant", "kubernetes.io/metadata.name", "app"]),
    st.sampled_from(["plain", "tight", "plain-a", "tight-a", "plain-b", "tight-b", "kube-system"]),
    max_size=2,
)
expressions = st.lists(
    st.builds(
        lambda key, operator, values: {
            "key": key,
            "operator": operator,
            **({"values": values} if operator in ("In", "NotIn") else {}),
        },
        st.sampled_from(["securetenant.io/tenant", "kubernetes.io/metadata.name", "app"]),
        st.sampled_from(["In", "In", "NotIn", "Exists", "DoesNotExist"]),
        st.lists(
            st.sampled_from(["plain", "tight", "plain-a", "tight-a", "blue"]),
            min_size=1,
            max_size=2,
            unique=True,
        ),
    ),
    max_size=2,
)
selectors = st.builds(
    lambda found, demanded: {"matchLabels": found, "matchExpressions": demanded},
    labels,
    expressions,
)
peers = st.one_of(
    st.just({"podSelector": {}}),
    st.just({"ipBlock": {"cidr": "0.0.0.0/0"}}),
    st.just({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}),
    st.builds(lambda each: {"namespaceSelector": each}, selectors),
    st.builds(lambda each: {"namespaceSelector": each, "podSelector": {}}, selectors),
)
rules = st.lists(
    st.builds(
        lambda found, ports: (found, {"ports": [{"port": 80}]} if ports else {}),
        st.one_of(st.none(), st.lists(peers, max_size=2)),
        st.booleans(),
    ),
    max_size=2,
)
network_policies = st.builds(
    lambda ingress, egress: {
        "metadata": {"generateName": "n-"},
        "spec": {
            "podSelector": {},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{**({"from": each} if each else {}), **more} for each, more in ingress],
            "egress": [{**({"to": each} if each else {}), **more} for each, more in egress],
        },
    },
    rules,
    rules,
)


@agreement
@given(namespaces, network_policies)
def test_both_judges_agree_about_network_policies(
    half_server: Api, namespace: str, body: Any
) -> None:
    path = NETWORKING.format(namespace) + "/networkpolicies"
    answer = half_server.call("POST", path, body, dryRun="All")
    expected = any(True for _ in objects.opens(body, namespace, POLICIES[namespace]))
    assert (refusing(answer) == "network") == expected


claims = st.builds(
    lambda annotations, more: {
        "metadata": {"generateName": "c-", "annotations": annotations},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": "fast",
            **more,
        },
    },
    st.dictionaries(
        st.sampled_from(
            [
                "volume.beta.kubernetes.io/storage-class",
                "volume.kubernetes.io/selected-node",
                "pv.kubernetes.io/bind-completed",
                "note",
            ]
        ),
        st.sampled_from(["fast", "slow", ""]),
        max_size=1,
    ),
    optional(
        storageClassName=st.sampled_from(["", "fast", "slow"]),
        volumeName=st.sampled_from(["", "pv-of-blue"]),
        selector=st.sampled_from([{}, {"matchLabels": {"a": "b"}}]),
        dataSource=st.sampled_from(
            [
                {"kind": "PersistentVolumeClaim", "name": "c"},
                {"kind": "VolumeSnapshot", "name": "s", "apiGroup": "snapshot.storage.k8s.io"},
            ]
        ),
        dataSourceRef=st.sampled_from(
            [
                {"kind": "Populator", "name": "p", "apiGroup": "x.example"},
                {"kind": "VolumeSnapshot", "name": "s", "apiGroup": "x.example"},
            ]
        ),
        volumeAttributesClassName=st.just("gold"),
    ),
)


@agreement
@given(namespaces, claims)
def test_both_judges_agree_about_claims(half_member: Api, namespace: str, body: Any) -> None:
    path = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims"
    answer = half_member.call("POST", path, body, dryRun="All")
    expected = any(True for _ in objects.chooses_volume(body, POLICIES[namespace]))
    assert (refusing(answer) == "volumes") == expected


budgets = st.builds(
    lambda finalizers, spec: {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"generateName": "b-", "finalizers": finalizers},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, **spec},
    },
    st.lists(
        st.sampled_from(["orphan", "foregroundDeletion", "example.com/mine", "kubernetes.io/x"]),
        max_size=1,
    ),
    st.one_of(
        st.builds(
            lambda each: {"maxUnavailable": each},
            st.sampled_from([0, 1, "0%", "00%", "10%", "100%"]),
        ),
        st.builds(
            lambda each: {"minAvailable": each},
            st.sampled_from([0, 1, "50%", "89%", "99%", "0100%"]),
        ),
        st.just({}),
    ),
)


@agreement
@given(namespaces, budgets)
def test_both_judges_agree_about_what_stalls(half_member: Api, namespace: str, body: Any) -> None:
    path = f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets"
    answer = half_member.call("POST", path, body, dryRun="All")
    assert (refusing(answer) == "finalizers") == any(True for _ in objects.stalls(body))


RBAC = "rbac.authorization.k8s.io"


@pytest.fixture(scope="module")
def binder(half: Instance, half_server: Api) -> Api:
    """Somebody who may bind any role, and only in namespaces: the policy judges nobody else."""
    rules = [
        {"apiGroups": [RBAC], "resources": ["rolebindings"], "verbs": ["create"]},
        {"apiGroups": [RBAC], "resources": ["clusterroles", "roles"], "verbs": ["bind"]},
    ]
    root = f"/apis/{RBAC}/v1"
    role = {"metadata": {"name": "binder"}, "rules": rules}
    half_server.call("POST", f"{root}/clusterroles", role).ok()
    user = {"kind": "User", "apiGroup": RBAC, "name": "binder"}
    binding = {
        "metadata": {"name": "binder"},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "binder"},
        "subjects": [user],
    }
    half_server.call("POST", f"{root}/clusterrolebindings", binding).ok()
    api = Api(kubeconfigs.for_user(half, "binder", ()))
    # RBAC knows of it a moment later.
    body = {**factory.binding(), "metadata": {"generateName": "b-"}}
    path = f"{root}/namespaces/plain-a/rolebindings"
    wait_for(lambda: api.call("POST", path, body, dryRun="All").status == 201, what="the right")
    return api


subjects = st.lists(
    st.one_of(
        st.builds(
            lambda kind, name: {"kind": kind, "name": name, "apiGroup": RBAC},
            st.sampled_from(["User", "Group"]),
            st.sampled_from(["friend", "system:serviceaccount:plain-a:robot"]),
        ),
        st.builds(
            lambda home: {"kind": "ServiceAccount", "name": "robot", "namespace": home},
            st.sampled_from(["plain-a", "tight-a", "kube-system"]),
        ),
    ),
    max_size=2,
)


@agreement
@given(
    namespaces,
    subjects,
    st.sampled_from(["", "view", "securetenant:viewer", "securetenant:other"]),
    st.dictionaries(
        st.sampled_from(["note", "helm.sh/hook", "reflector.v1.k8s.emberstack.com/x"]),
        st.just("x"),
        max_size=1,
    ),
)
def test_both_judges_agree_about_bindings(
    binder: Api, namespace: str, subjects: Any, role: str, carried: dict[str, str]
) -> None:
    body = factory.binding(*subjects, role=role)
    body["metadata"] = {"generateName": "b-", "annotations": carried}
    path = f"/apis/{RBAC}/v1/namespaces/{namespace}/rolebindings"
    answer = binder.call("POST", path, body, dryRun="All")
    policy = POLICIES[namespace]
    expected = set()
    if [*bindings.grants_beyond(body, namespace, policy)]:
        expected.add("access")
    if [*keys.on_others(carried, policy.workloads.annotations)]:
        expected.add("annotations")
    refused = refusing(answer)
    assert refused in expected if expected else refused == ""
