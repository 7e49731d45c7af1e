"""Programs of the platform, and what each writes into a tenant's namespace: by its source.

``tests/attack/test_platform_agents.py`` plays these requests; the table in
``docs/controls/agents.md`` is made of the same rows. NAME is the tenant's.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import factory
from harness import MERGE

_IMAGE = "registry.example/app:1"
_OWN = {"app": "app"}
_BACKEND = {"service": {"name": "app", "port": {"number": 80}}}


class Request(NamedTuple):
    """One request of an agent."""

    what: str
    path: str
    """Of the collection or of the object, below the API root: ``v1/pods``, ``apps/v1/...``."""
    body: Mapping[str, Any]
    refused: tuple[str, ...] = ()
    """Policies that refuse it to everybody else; none: a tenant's member may do the same, or it
    has no right to."""
    only_warns: bool = False
    """In Audit mode it passes: the rule protects the tenant itself."""
    never: bool = False
    """No entry allows it to the agent either."""

    @property
    def method(self) -> str:
        """Return PATCH for an object that is there and for its status, else POST."""
        return "PATCH" if self.path.endswith(("/app", "/app/status")) else "POST"

    @property
    def content_type(self) -> str:
        """Return that of a merge patch, or of an object."""
        return MERGE if self.method == "PATCH" else "application/json"

    def target(self, namespace: str) -> str:
        """Return the path with its root and namespace."""
        version, _, rest = self.path.partition("/")
        root = f"/api/{version}"
        if version != "v1":
            group, (version, _, rest) = version, rest.partition("/")
            root = f"/apis/{group}/{version}"
        return f"{root}/namespaces/{namespace}/{rest}"


class Agent(NamedTuple):
    """A program of the platform."""

    name: str
    user: str
    writes: str
    why: str
    """What its entry allows, or why it needs none."""
    source: str
    component: str = ""
    """The folder in manifests/settings/agents, where there is one."""
    requests: tuple[Request, ...] = ()
    owners: tuple[str, str] = ("", "")
    """Group and kind of owners, in plural, of which its own role makes it the controller."""


def account(namespace: str, name: str) -> str:
    """Return the user name of a ServiceAccount."""
    return f"system:serviceaccount:{namespace}:{name}"


def groups(user: str) -> tuple[str, ...]:
    """Return the groups that the API server gives to a user."""
    if not user.startswith("system:serviceaccount:"):
        return ()
    return ("system:serviceaccounts", f"system:serviceaccounts:{user.split(':')[2]}")


def owned(api_version: str, kind: str) -> list[dict[str, Any]]:
    """Return the reference to a controller, as metav1.NewControllerRef makes it."""
    return [
        {
            "apiVersion": api_version,
            "kind": kind,
            "name": "app",
            "uid": "05021e20-cfa1-428c-93d6-76ca605408c5",
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]


def annotated(**more: Any) -> dict[str, Any]:
    """Return a patch of annotations, and of finalizers if ``finalizers`` is given."""
    return {"metadata": more}


EXISTING: dict[str, dict[str, Any]] = {
    "v1/pods": {
        "metadata": {"name": "app", "labels": _OWN},
        "spec": {"containers": [{**factory.pod()["spec"]["containers"][0], "image": _IMAGE}]},
    },
    "v1/services": {
        "metadata": {"name": "app"},
        "spec": {"type": "LoadBalancer", "selector": _OWN, "ports": [{"port": 80}]},
    },
    "v1/persistentvolumeclaims": {
        "metadata": {"name": "app"},
        "spec": {
            "storageClassName": "fast",
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    },
    "apps/v1/deployments": {
        "metadata": {"name": "app"},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": _OWN},
            "template": {
                "metadata": {"labels": _OWN},
                "spec": {"containers": [{"name": "c", "image": _IMAGE}]},
            },
        },
    },
    "networking.k8s.io/v1/ingresses": {
        "metadata": {"name": "app"},
        "spec": {
            "ingressClassName": "nginx",
            "rules": [
                {
                    "host": "app.NAME.example",
                    "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": _BACKEND}]},
                }
            ],
        },
    },
}
"""What the tenant has: agents write on it."""

_SOLVER = {"acme.cert-manager.io/http01-solver": "true"}
_CHALLENGE = owned("acme.cert-manager.io/v1", "Challenge")
_PROOF = "nufTXaKqVDCe9wDU4-TzCpU8rHQ6ahqtQUGOfWEUhd4"
_SOLVER_POD = {
    "metadata": {
        "generateName": "cm-acme-http-solver-",
        "labels": _SOLVER,
        "annotations": {
            "cluster-autoscaler.kubernetes.io/safe-to-evict": "true",
            "sidecar.istio.io/inject": "false",
        },
        "ownerReferences": _CHALLENGE,
    },
    "spec": {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "restartPolicy": "OnFailure",
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "securityContext": {
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "acmesolver",
                "image": "quay.io/jetstack/cert-manager-acmesolver:v1.16.2",
                "imagePullPolicy": "IfNotPresent",
                "args": [
                    "--listen-port=8089",
                    "--domain=app.NAME.example",
                    f"--token={_PROOF}",
                    f"--key={_PROOF}.key",
                ],
                "ports": [{"name": "http", "containerPort": 8089}],
                "resources": {
                    "limits": {"cpu": "100m", "memory": "64Mi"},
                    "requests": {"cpu": "10m", "memory": "64Mi"},
                },
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
        ],
    },
}
_SOLVER_SERVICE = {
    "metadata": {
        "generateName": "cm-acme-http-solver-",
        "labels": _SOLVER,
        "annotations": {"auth.istio.io/8089": "NONE"},
        "ownerReferences": _CHALLENGE,
    },
    "spec": {
        "type": "NodePort",
        "selector": _SOLVER,
        "ports": [{"name": "http", "port": 8089, "targetPort": 8089}],
    },
}
_SOLVER_INGRESS = {
    "metadata": {
        "generateName": "cm-acme-http-solver-",
        "labels": _SOLVER,
        "annotations": {"nginx.ingress.kubernetes.io/whitelist-source-range": "0.0.0.0/0,::/0"},
        "ownerReferences": _CHALLENGE,
    },
    "spec": {
        "ingressClassName": "nginx",
        "rules": [
            {
                "host": "app.NAME.example",
                "http": {
                    "paths": [
                        {
                            "path": f"/.well-known/acme-challenge/{_PROOF}",
                            "pathType": "ImplementationSpecific",
                            "backend": {"service": {"name": "app", "port": {"number": 8089}}},
                        }
                    ]
                },
            }
        ],
    },
}
_INGRESS = "networking.k8s.io/v1/ingresses/app"
_ADDRESS = {"status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}}}
_INGRESS_STATUS = Request("status of an Ingress", f"{_INGRESS}/status", _ADDRESS)
_SERVICE_STATUS = Request("status of a Service", "v1/services/app/status", _ADDRESS)
_RESTORED = {"velero.io/backup-name": "nightly", "velero.io/restore-name": "nightly-1"}

AGENTS = (
    Agent(
        "cert-manager",
        account("cert-manager", "cert-manager"),
        "For HTTP-01 a pod (image, `cluster-autoscaler.kubernetes.io/safe-to-evict`), a Service of"
        " type NodePort (`auth.istio.io/8089`) and an Ingress or HTTPRoute; Secrets with"
        " `cert-manager.io/*`",
        "image, NodePort, `auth.istio.io/8089`. Its chart's role makes it the controller of"
        " Challenges",
        "cert-manager 038260f, `pkg/issuer/acme/http/*.go`, the chart's `rbac.yaml`",
        "cert-manager",
        (
            Request("pod", "v1/pods", _SOLVER_POD, ("pods", "pods-hardening", "owners")),
            Request("Service", "v1/services", _SOLVER_SERVICE, ("services", "owners")),
            Request("Ingress", "networking.k8s.io/v1/ingresses", _SOLVER_INGRESS, ("owners",)),
            Request(
                "Secret",
                "v1/secrets",
                {
                    "metadata": {
                        "name": "new",
                        "annotations": {
                            "cert-manager.io/alt-names": "app.NAME.example",
                            "cert-manager.io/certificate-name": "app",
                            "cert-manager.io/issuer-name": "letsencrypt",
                        },
                        "labels": {"controller.cert-manager.io/fao": "true"},
                    }
                },
            ),
        ),
        ("acme.cert-manager.io", "challenges"),
    ),
    Agent(
        "external-dns",
        account("external-dns", "external-dns"),
        "Nothing but the status of its own DNSEndpoints",
        "reads Services, Ingresses and routes only",
        "external-dns 0491b82, `charts/external-dns/templates/clusterrole.yaml`",
    ),
    Agent(
        "ingress-nginx",
        account("ingress-nginx", "ingress-nginx"),
        "The status of Ingresses",
        "status is no annotation",
        "ingress-nginx, `internal/ingress/status/status.go`",
        requests=(_INGRESS_STATUS,),
    ),
    Agent(
        "Traefik",
        account("traefik", "traefik"),
        "The status of Ingresses and routes",
        "status is no annotation",
        "traefik 02d04f0, `pkg/provider/kubernetes/ingress/client.go`",
        requests=(_INGRESS_STATUS,),
    ),
    Agent(
        "Envoy Gateway, and other Gateway controllers",
        account("envoy-gateway-system", "envoy-gateway"),
        "The status of routes. Proxies are made in its own namespace or in that of the Gateway",
        "Gateways are the platform's, in its namespaces: a tenant's namespace has none",
        "gateway 325815b, `internal/infrastructure/kubernetes/infra_resource.go`",
    ),
    Agent(
        "AWS Load Balancer Controller",
        account("kube-system", "aws-load-balancer-controller"),
        "Finalizers `ingress.k8s.aws/resources`, `group.ingress.k8s.aws/*` and"
        " `service.k8s.aws/resources`; status; its TargetGroupBindings",
        "runs in kube-system, whose ServiceAccounts set finalizers. Elsewhere: a ClusterRole as"
        " above, with the names of your groups",
        "aws-load-balancer-controller 012e132, `pkg/ingress/finalizer.go`",
        requests=(
            Request(
                "finalizer of an Ingress",
                _INGRESS,
                annotated(finalizers=["group.ingress.k8s.aws/NAME"]),
                ("finalizers",),
            ),
            Request(
                "finalizer of a Service",
                "v1/services/app",
                annotated(finalizers=["service.k8s.aws/resources"]),
                ("finalizers",),
            ),
            _SERVICE_STATUS,
        ),
    ),
    Agent(
        "GKE, Ingresses",
        "system:l7-lb-controller",
        "`ingress.kubernetes.io/*` and a finalizer on Ingresses",
        "the annotations, which may be JSON; a ClusterRole with the finalizers. The users"
        " `system:controller:glbc`, `system:l7-lb-controller-neg` and `system:l4-lb-controller` are"
        " in the same component",
        "ingress-gce b3a66b5, `pkg/annotations/ingress.go`",
        "gke",
        (
            Request(
                "annotations of an Ingress",
                _INGRESS,
                annotated(
                    annotations={
                        "ingress.kubernetes.io/backends": '{"k8s1-a":"HEALTHY"}',
                        "ingress.kubernetes.io/forwarding-rule": "k8s2-fr-a",
                        "ingress.kubernetes.io/url-map": "k8s2-um-a",
                    }
                ),
                ("ingress",),
            ),
            Request(
                "finalizer of an Ingress",
                _INGRESS,
                annotated(finalizers=["networking.gke.io/ingress-finalizer-V2"]),
                ("finalizers",),
            ),
            _INGRESS_STATUS,
        ),
    ),
    Agent(
        "GKE, endpoint groups",
        "system:l7-lb-controller-neg",
        "`cloud.google.com/neg-status` on Services. (The admission webhook adds"
        " `cloud.google.com/neg` to what a tenant creates: list it in `workloads.annotations`)",
        "the annotation",
        "ingress-gce b1a7452, `pkg/annotations/service.go`",
        "gke",
        (
            Request(
                "annotation of a Service",
                "v1/services/app",
                annotated(annotations={"cloud.google.com/neg-status": '{"zones":["a"]}'}),
                ("services",),
            ),
        ),
    ),
    Agent(
        "GKE, Services",
        "system:l4-lb-controller",
        "`service.kubernetes.io/*` and a finalizer on Services of type LoadBalancer",
        "the annotations; a ClusterRole with the finalizers",
        "ingress-gce b1a7452, `pkg/annotations/service.go`; ffd5b5d,"
        " `pkg/utils/common/finalizer.go`",
        "gke",
        (
            Request(
                "annotations of a Service",
                "v1/services/app",
                annotated(
                    annotations={
                        "service.kubernetes.io/backend-service": "k8s2-a",
                        "service.kubernetes.io/tcp-forwarding-rule": "k8s2-tcp-a",
                    }
                ),
                ("services",),
            ),
            Request(
                "finalizer of a Service",
                "v1/services/app",
                annotated(finalizers=["gke.networking.io/l4-netlb-v2"]),
                ("finalizers",),
            ),
        ),
    ),
    Agent(
        "AKS, and other cloud controller managers",
        account("kube-system", "service-controller"),
        "Finalizer `service.kubernetes.io/load-balancer-cleanup` and status of Services",
        "runs as a ServiceAccount of kube-system with `--use-service-account-credentials`. As"
        " another user: a ClusterRole as above",
        "cloud-provider, `controllers/service/controller.go`",
        requests=(
            Request(
                "finalizer of a Service",
                "v1/services/app",
                annotated(finalizers=["service.kubernetes.io/load-balancer-cleanup"]),
                ("finalizers",),
            ),
            _SERVICE_STATUS,
        ),
    ),
    Agent(
        "AKS, Application Gateway",
        account("kube-system", "ingress-appgw-sa"),
        "The status of Ingresses",
        "status is no annotation",
        "application-gateway-kubernetes-ingress, `pkg/k8scontext/context.go`",
        requests=(_INGRESS_STATUS,),
    ),
    Agent(
        "MetalLB",
        account("metallb-system", "controller"),
        "`metallb.io/ip-allocated-from-pool` and the status of Services",
        "the annotation",
        "metallb 009c6a6, `controller/service.go`",
        "metallb",
        (
            Request(
                "annotation of a Service",
                "v1/services/app",
                annotated(annotations={"metallb.io/ip-allocated-from-pool": "public"}),
                ("services",),
            ),
            _SERVICE_STATUS,
        ),
    ),
    Agent(
        "Rancher",
        account("cattle-system", "cattle"),
        "`field.cattle.io/publicEndpoints` on Ingresses and Services; Services for the ports of"
        " workloads (`field.cattle.io/targetWorkloadIds`, `workload.cattle.io/*`)",
        "the annotations, to the server and to the agent of a cluster",
        "rancher 71ba47d, `pkg/controllers/managementagent/endpoints`; 54a9242, `.../workload`",
        "rancher",
        (
            Request(
                "annotation of an Ingress",
                _INGRESS,
                annotated(annotations={"field.cattle.io/publicEndpoints": '[{"port":80}]'}),
                ("ingress",),
            ),
            Request(
                "annotation of a Service",
                "v1/services/app",
                annotated(annotations={"field.cattle.io/publicEndpoints": '[{"port":80}]'}),
                ("services",),
            ),
            Request(
                "Service of a workload",
                "v1/services",
                {
                    "metadata": {
                        "name": "new",
                        "annotations": {
                            "field.cattle.io/targetWorkloadIds": '["deployment:NAME-1:app"]',
                            "workload.cattle.io/targetWorkloadIdNoop": "true",
                            "workload.cattle.io/workloadPortBased": "true",
                        },
                    },
                    "spec": {"selector": _OWN, "ports": [{"port": 80}]},
                },
                ("services",),
            ),
        ),
    ),
    Agent(
        "CSI snapshot controller",
        account("kube-system", "snapshot-controller"),
        "Finalizer `snapshot.storage.kubernetes.io/pvc-as-source-protection` on claims; finalizers"
        " and status of its own kinds",
        "runs in kube-system, whose ServiceAccounts set finalizers. Elsewhere: a ClusterRole as"
        " above",
        "external-snapshotter 7c8516f, `pkg/utils/util.go`",
        requests=(
            Request(
                "finalizer of a claim",
                "v1/persistentvolumeclaims/app",
                annotated(
                    finalizers=[
                        "kubernetes.io/pvc-protection",
                        "snapshot.storage.kubernetes.io/pvc-as-source-protection",
                    ]
                ),
                ("finalizers",),
            ),
        ),
    ),
    Agent(
        "Velero",
        account("velero", "velero"),
        "What it restores, with labels `velero.io/*`; a container of its own image in pods whose"
        " volumes were backed up from the file system",
        "its image, and what MetalLB and Rancher wrote. No entry allows a claim that chooses its"
        " volume (CSI snapshots, data mover): restore from backups of the file system",
        "velero e58cb32, f79b825, `pkg/restore/actions`",
        "velero",
        (
            Request(
                "pod",
                "v1/pods",
                {
                    "metadata": {
                        "name": "new",
                        "labels": _RESTORED,
                        "annotations": {"backup.velero.io/backup-volumes": "data"},
                    },
                    "spec": {
                        "automountServiceAccountToken": False,
                        "volumes": [
                            {"name": "data", "persistentVolumeClaim": {"claimName": "app"}}
                        ],
                        "containers": EXISTING["v1/pods"]["spec"]["containers"],
                        "initContainers": [
                            {
                                "name": "restore-wait",
                                "image": "docker.io/velero/velero:v1.17.0",
                                "command": ["/velero-restore-helper"],
                                "args": ["05021e20-cfa1-428c-93d6-76ca605408c5"],
                                "resources": {
                                    "limits": {"cpu": "100m", "memory": "128Mi"},
                                    "requests": {"cpu": "100m", "memory": "128Mi"},
                                },
                                "securityContext": {
                                    "allowPrivilegeEscalation": False,
                                    "capabilities": {"drop": ["ALL"]},
                                    "runAsNonRoot": True,
                                    "runAsUser": 1000,
                                    "seccompProfile": {"type": "RuntimeDefault"},
                                },
                                "volumeMounts": [{"name": "data", "mountPath": "/restores/data"}],
                            }
                        ],
                    },
                },
                ("pods-hardening",),
                only_warns=True,
            ),
            Request(
                "claim",
                "v1/persistentvolumeclaims",
                {
                    "metadata": {"name": "new", "labels": _RESTORED},
                    "spec": EXISTING["v1/persistentvolumeclaims"]["spec"],
                },
            ),
            Request(
                "Service that MetalLB served",
                "v1/services",
                {
                    "metadata": {
                        "name": "new",
                        "labels": _RESTORED,
                        "annotations": {"metallb.io/ip-allocated-from-pool": "public"},
                    },
                    "spec": EXISTING["v1/services"]["spec"],
                },
                ("services",),
            ),
            Request(
                "claim that waits for the data mover",
                "v1/persistentvolumeclaims",
                {
                    "metadata": {"name": "new", "labels": _RESTORED},
                    "spec": {
                        **EXISTING["v1/persistentvolumeclaims"]["spec"],
                        "selector": {"matchLabels": {"velero.io/dynamic-pv-restore": "a.b.c"}},
                    },
                },
                ("volumes",),
                never=True,
            ),
        ),
    ),
    Agent(
        "Karpenter",
        account("kube-system", "karpenter"),
        "Evictions and events; labels and taints of nodes that it registers",
        "an eviction is no write to an object. For nodes of tenants: the right `register`"
        " ([nodes](nodes.md))",
        "karpenter 2a2e870, `pkg/controllers/node/termination/terminator/eviction.go`",
        requests=(
            Request(
                "eviction",
                "v1/pods/app/eviction",
                {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "app"}},
            ),
        ),
    ),
    Agent(
        "Argo CD, as its controller",
        account("argocd", "argocd-application-controller"),
        "What the repository holds, with `argocd.argoproj.io/*`; finalizer"
        " `argocd.argoproj.io/hook-finalizer` on hooks",
        "a ClusterRole with the finalizer, where it is no administrator of the cluster. What it"
        " applies is judged as the tenant's",
        "argo-cd, `gitops-engine/pkg/sync/hook/hook.go`",
        "argocd",
        (
            Request(
                "hook",
                "batch/v1/jobs",
                {
                    "metadata": {
                        "name": "new",
                        "annotations": {
                            "argocd.argoproj.io/hook": "PreSync",
                            "argocd.argoproj.io/tracking-id": "NAME:batch/Job:NAME-1/new",
                        },
                        "finalizers": ["argocd.argoproj.io/hook-finalizer"],
                    },
                    "spec": {
                        "template": {
                            "spec": {
                                "restartPolicy": "Never",
                                "containers": [{"name": "c", "image": _IMAGE}],
                            }
                        }
                    },
                },
                ("finalizers",),
            ),
            Request(
                "Service",
                "v1/services",
                {
                    "metadata": {
                        "name": "new",
                        "annotations": {
                            "argocd.argoproj.io/tracking-id": "NAME:/Service:NAME-1/new"
                        },
                    },
                    "spec": {"selector": _OWN, "ports": [{"port": 80}]},
                },
            ),
        ),
    ),
    Agent(
        "Argo CD, by impersonation",
        account("NAME-1", "deployer"),
        "The same, as a ServiceAccount that the AppProject names",
        "none is possible for a ServiceAccount of a tenant's namespace: hooks are refused to it."
        " Name one of a protected namespace, and add it to the component's binding",
        "argo-cd, `docs/operator-manual/app-sync-using-impersonation.md`",
        requests=(
            Request(
                "hook",
                "v1/configmaps",
                {
                    "metadata": {
                        "name": "new",
                        "finalizers": ["argocd.argoproj.io/hook-finalizer"],
                    }
                },
                ("finalizers",),
                never=True,
            ),
        ),
    ),
    Agent(
        "Flux, kustomize-controller",
        account("flux-system", "kustomize-controller"),
        "What the repository holds, with labels `kustomize.toolkit.fluxcd.io/*`; finalizers on its"
        " own kinds",
        "labels are the tenant's. What it applies is judged as the tenant's",
        "kustomize-controller, `internal/controller/kustomization_controller.go`",
        requests=(
            Request(
                "Service",
                "v1/services",
                {
                    "metadata": {
                        "name": "new",
                        "labels": {"kustomize.toolkit.fluxcd.io/name": "NAME"},
                        "annotations": {"kustomize.toolkit.fluxcd.io/prune": "disabled"},
                    },
                    "spec": {"selector": _OWN, "ports": [{"port": 80}]},
                },
            ),
        ),
    ),
    Agent(
        "Flux, helm-controller",
        account("flux-system", "helm-controller"),
        "What the chart holds, with `meta.helm.sh/*`; Secrets of type `helm.sh/release.v1`",
        "`meta.helm.sh/*` describes. What it applies is judged as the tenant's",
        "helm-controller, `internal/action`",
        requests=(
            Request(
                "release",
                "v1/secrets",
                {
                    "metadata": {
                        "name": "sh.helm.release.v1.app.v1",
                        "labels": {"owner": "helm", "name": "app", "version": "1"},
                    },
                    "type": "helm.sh/release.v1",
                },
            ),
            Request(
                "ServiceAccount",
                "v1/serviceaccounts",
                {
                    "metadata": {
                        "name": "new",
                        "annotations": {
                            "meta.helm.sh/release-name": "app",
                            "meta.helm.sh/release-namespace": "NAME-1",
                        },
                    }
                },
            ),
        ),
    ),
    Agent(
        "Istio, sidecars",
        account("istio-system", "istiod"),
        "ConfigMap `istio-ca-root-cert`. Sidecars come by a webhook, in the request that makes"
        " the pod",
        "the ConfigMap is plain. For sidecars the tenant needs"
        " `workloads.registries: [docker.io/istio/]`, `serviceAccountTokens.audiences: [istio-ca]`"
        " and Istio's CNI plugin",
        "istio 15cc361, `security/pkg/k8s/configutil.go`",
        requests=(
            Request(
                "ConfigMap",
                "v1/configmaps",
                {
                    "metadata": {
                        "name": "istio-ca-root-cert",
                        "labels": {"istio.io/config": "true"},
                    },
                    "data": {"root-cert.pem": "-----BEGIN CERTIFICATE-----"},
                },
            ),
        ),
    ),
    Agent(
        "Istio, ambient",
        account("istio-system", "istio-cni"),
        "`ambient.istio.io/redirection` on pods, by `pods/status`",
        "members cannot write `pods/status`, so no rule looks there. Waypoints are Gateways: put"
        " them into a namespace of the platform (`istio.io/use-waypoint-namespace`)",
        "istio c327af2, `cni/pkg/util/podutil.go`",
        requests=(
            Request(
                "annotation of a pod",
                "v1/pods/app/status",
                annotated(annotations={"ambient.istio.io/redirection": "enabled"}),
            ),
        ),
    ),
    Agent(
        "Linkerd",
        account("linkerd", "linkerd-proxy-injector"),
        "Nothing of its own: proxies come by a webhook, in the request that makes the pod",
        "the tenant needs the proxy's image in `workloads.registries`, `identity.l5d.io` in"
        " `serviceAccountTokens.audiences` and Linkerd's CNI plugin. Mirrored Services have no"
        " selector: keep them in a namespace of the platform",
        "linkerd2, `controller/proxy-injector/webhook.go`",
    ),
    Agent(
        "Prometheus operator",
        account("monitoring", "prometheus-operator"),
        "Nothing, but where a Prometheus is in the namespace: a StatefulSet, Secrets and a headless"
        " Service that belong to it",
        "its own role makes it the controller of Prometheuses",
        "prometheus-operator, `pkg/prometheus/server/operator.go`",
        requests=(
            Request(
                "Secret",
                "v1/secrets",
                {
                    "metadata": {
                        "name": "prometheus-app",
                        "labels": {"managed-by": "prometheus-operator"},
                        "ownerReferences": owned("monitoring.coreos.com/v1", "Prometheus"),
                    }
                },
                ("owners",),
            ),
            Request(
                "Service",
                "v1/services",
                {
                    "metadata": {
                        "name": "prometheus-operated",
                        "labels": {"managed-by": "prometheus-operator"},
                        "ownerReferences": owned("monitoring.coreos.com/v1", "Prometheus"),
                    },
                    "spec": {
                        "clusterIP": "None",
                        "selector": {"app.kubernetes.io/name": "prometheus"},
                        "ports": [{"name": "web", "port": 9090, "targetPort": "web"}],
                    },
                },
                ("owners",),
            ),
        ),
        owners=("monitoring.coreos.com", "prometheuses"),
    ),
    Agent(
        "Reloader",
        account("reloader", "reloader-reloader"),
        "In templates of workloads an environment variable, or"
        " `reloader.stakater.com/last-reloaded-from`",
        "a member may write both",
        "Reloader, `internal/pkg/handler/upgrade.go`",
        requests=(
            Request(
                "annotation of a template",
                "apps/v1/deployments/app",
                {
                    "spec": {
                        "template": {
                            "metadata": {
                                "annotations": {"reloader.stakater.com/last-reloaded-from": "{}"}
                            }
                        }
                    }
                },
            ),
        ),
    ),
    Agent(
        "External Secrets",
        account("external-secrets", "external-secrets"),
        "Secrets with `reconcile.external-secrets.io/*` that belong to an ExternalSecret",
        "the annotation describes. Its chart's role makes it the controller of ExternalSecrets",
        "external-secrets 00e58aa, the chart's `rbac.yaml`; dc71c28,"
        " `pkg/controllers/externalsecret/externalsecret_controller.go`",
        requests=(
            Request(
                "Secret",
                "v1/secrets",
                {
                    "metadata": {
                        "name": "new",
                        "labels": {"reconcile.external-secrets.io/managed": "true"},
                        "annotations": {"reconcile.external-secrets.io/data-hash": "cf5e81eb"},
                        "ownerReferences": owned("external-secrets.io/v1", "ExternalSecret"),
                    }
                },
                ("owners",),
            ),
        ),
        owners=("external-secrets.io", "externalsecrets"),
    ),
)

COMPONENTS = tuple(sorted({each.component for each in AGENTS if each.component}))


def table() -> str:
    """Return the table of the page."""
    lines = [
        "| Agent | What it writes in a tenant's namespace | Entry | Source |",
        "|---|---|---|---|",
    ]
    for each in AGENTS:
        entry = (
            f"[{each.component}](../../manifests/settings/agents/{each.component}/"
            f"kustomization.yaml): {each.why}"
            if each.component
            else f"none: {each.why}"
        )
        lines.append(f"| {each.name} | {each.writes} | {entry} | {each.source} |")
    return "\n".join(lines) + "\n"
