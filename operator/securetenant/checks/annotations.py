"""Which annotations pods, routes, claims and RoleBindings may carry, by key and by value.

The lists of the policies, said once more; ``tests/unit/test_annotation_lists.py`` compares them.
Those of Services and Ingresses are in :mod:`securetenant.checks.objects`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

MOST = 100
"""How many an object may carry: of one with more nothing else is looked at."""

POD_PREFIXES = frozenset(
    {
        "admission.datadoghq.com",
        "app.kubernetes.io",
        "argo-cd.argoproj.io",
        "argocd.argoproj.io",
        "azure.workload.identity",
        "backstage.io",
        "backup.velero.io",
        "batch.kubernetes.io",
        "cattle.io",
        "checksum",
        "cnpg.io",
        "config.k8s.io",
        "config.kubernetes.io",
        "config.linkerd.io",
        "container.apparmor.security.beta.kubernetes.io",
        "controller.kubernetes.io",
        "dapr.io",
        "data-ingest.dynatrace.com",
        "fluentbit.io",
        "helm.sh",
        "helm.toolkit.fluxcd.io",
        "internal.config.kubernetes.io",
        "istio.io",
        "k8s.grafana.com",
        "kapp.k14s.io",
        "keda.sh",
        "kompose.io",
        "kubectl.kubernetes.io",
        "kustomize.config.k8s.io",
        "kustomize.toolkit.fluxcd.io",
        "linkerd.io",
        "meta.helm.sh",
        "objectset.rio.cattle.io",
        "oneagent.dynatrace.com",
        "org.opencontainers.image",
        "prometheus.io",
        "proxy.istio.io",
        "pulumi.com",
        "reloader.stakater.com",
        "resources.gardener.cloud",
        "results.tekton.dev",
        "rollouts.argoproj.io",
        "seccomp.security.alpha.kubernetes.io",
        "sidecar.istio.io",
        "strimzi.io",
        "tekton.dev",
        "traffic.sidecar.istio.io",
        "vault.hashicorp.com",
        "viz.linkerd.io",
        "workflows.argoproj.io",
    }
)
"""Of the keys that pods may carry, the part in front of the slash."""
POD_KEYS = frozenset(
    {
        "kompose.cmd",
        "kompose.version",
        "kubernetes.io/change-cause",
        "kubernetes.io/description",
        "kubernetes.io/egress-bandwidth",
        "kubernetes.io/ingress-bandwidth",
        "kubernetes.io/limit-ranger",
        "openshift.io/scc",
    }
)
"""Whole keys that pods may carry."""
POD_VALUES = (
    (r"ad[.]datadoghq[.]com/([-a-z0-9]+[.])?tags", r".*"),
    (r"ad[.]datadoghq[.]com/([-a-z0-9]+[.])?(exclude|logs_exclude|metrics_exclude)", r"true|false"),
    (r"cluster-autoscaler[.]kubernetes[.]io/safe-to-evict", r"true"),
    (r"co[.]elastic[.](logs|metrics)/enabled", r"true|false"),
    (r"co[.]elastic[.]logs/((multiline|json)[.][a-z_.]+|include_lines|exclude_lines)", r".*"),
    (r"co[.]elastic[.]logs/(module|fileset([.](stdout|stderr))?)", r"[a-z0-9_]+"),
    (r"consul[.]hashicorp[.]com/(connect-inject|transparent-proxy|enable-metrics)", r"true|false"),
    (
        (
            r"consul[.]hashicorp[.]com/(connect-inject-status|connect-service-port"
            r"|consul-k8s-version|original-pod|transparent-proxy-[a-z-]+"
            r"|sidecar-proxy-[a-z-]+|enable-metrics-merging|merged-metrics-port"
            r"|redirect-traffic-config)"
        ),
        r".*",
    ),
    (r"instrumentation[.]opentelemetry[.]io/inject-[a-z-]+", r"[-a-z0-9.]*"),
    (r"instrumentation[.]opentelemetry[.]io/([a-z]+-)?container-names", r"[-a-z0-9,]*"),
    (r"kuma[.]io/mesh", r"default"),
    (
        (
            r"kuma[.]io/(builtin-?dns[a-z-]*|envoy-admin-port"
            r"|service-account-token-volume|sidecar-[a-z-]+"
            r"|transparent-proxying[a-z0-9-]*|virtual-probes[a-z-]*"
            r"|wait-for-dataplane-ready)"
        ),
        r"[-a-z0-9.,]*",
    ),
    (
        r"(pre|post)[.]hook[.](backup|restore)[.]velero[.]io/(exec-|wait-)?timeout",
        r"[0-9]{1,3}s|[0-9]{1,2}m",
    ),
    (
        (
            r"(pre|post)[.]hook[.](backup|restore)[.]velero[.]io/(command|container"
            r"|on-error|wait-for-ready)"
        ),
        r".*",
    ),
    (r"sidecar[.]jaegertracing[.]io/inject", r"true|false"),
    (r"sidecar[.]opentelemetry[.]io/inject", r"[-a-z0-9.]*"),
)
"""Patterns of keys that pods may carry with certain values, and of these values."""
ON_ROUTES = (
    "app.kubernetes.io/*",
    "argocd.argoproj.io/*",
    "backstage.io/*",
    "checksum/*",
    "cnpg.io/*",
    "config.k8s.io/*",
    "config.kubernetes.io/*",
    "helm.sh/*",
    "helm.toolkit.fluxcd.io/*",
    "internal.config.kubernetes.io/*",
    "kapp.k14s.io/*",
    "kubectl.kubernetes.io/*",
    "kubernetes.io/change-cause",
    "kubernetes.io/description",
    "kustomize.config.k8s.io/*",
    "kustomize.toolkit.fluxcd.io/*",
    "meta.helm.sh/*",
    "objectset.rio.cattle.io/*",
    "pulumi.com/*",
    "reloader.stakater.com/*",
    "strimzi.io/*",
)
"""What routes may carry: keys, and beginnings with an asterisk."""
ON_OTHERS = (
    "app.kubernetes.io/*",
    "argo-cd.argoproj.io/*",
    "argocd.argoproj.io/*",
    "autoscaling.alpha.kubernetes.io/*",
    "autoscaling.keda.sh/*",
    "backstage.io/*",
    "backup.velero.io/*",
    "cattle.io/*",
    "cert-manager.io/*",
    "checksum/*",
    "cnpg.io/*",
    "config.k8s.io/*",
    "config.kubernetes.io/*",
    "control-plane.alpha.kubernetes.io/leader",
    "external-secrets.io/*",
    "field.cattle.io/creatorId",
    "field.cattle.io/description",
    "helm.sh/*",
    "helm.toolkit.fluxcd.io/*",
    "internal.config.kubernetes.io/*",
    "jenkins.io/credentials-description",
    "jenkins.io/credentials-keybinding-*",
    "kapp.k14s.io/*",
    "kompose.cmd",
    "kompose.io/*",
    "kompose.version",
    "kubectl.kubernetes.io/*",
    "kubernetes.io/change-cause",
    "kubernetes.io/description",
    "kubernetes.io/enforce-mountable-secrets",
    "kubernetes.io/service-account.name",
    "kubernetes.io/service-account.uid",
    "kustomize.config.k8s.io/*",
    "kustomize.toolkit.fluxcd.io/*",
    "meta.helm.sh/*",
    "objectset.rio.cattle.io/*",
    "pulumi.com/*",
    "pv.kubernetes.io/*",
    "rbac.authorization.kubernetes.io/autoupdate",
    "reconcile.external-secrets.io/*",
    "reloader.stakater.com/*",
    "scaledobject.keda.sh/*",
    "sealedsecrets.bitnami.com/*",
    "strimzi.io/*",
    "tekton.dev/*",
    "validations.keda.sh/*",
    "velero.io/backup-name",
    "velero.io/csi-driver-name",
    "velero.io/restore-name",
    "velero.io/volume-snapshot-name",
    "volume.beta.kubernetes.io/*",
    "volume.kubernetes.io/*",
    "volumehealth.storage.kubernetes.io/*",
)
"""What claims and RoleBindings may carry."""

BY_NODES = (
    "cni.projectcalico.org/containerID",
    "cni.projectcalico.org/podIP",
    "cni.projectcalico.org/podIPs",
    "k8s.ovn.org/pod-networks",
    "k8s.v1.cni.cncf.io/network-status",
    "k8s.v1.cni.cncf.io/networks-status",
    "vpc.amazonaws.com/pod-eni",
    "vpc.amazonaws.com/pod-ips",
)
"""What network plugins write down on pods that run. On a pod that is there it is their result.
(Sources: Calico, libcalico-go/lib/backend/k8s/conversion/constants.go; Multus, "Quickstart Guide";
OVN-Kubernetes, go-controller/pkg/util/pod_annotation.go; amazon-vpc-resource-controller-k8s,
pkg/config/type.go.)"""


def on_pods(annotations: Mapping[str, str], allowed: Iterable[str] = ()) -> Iterator[str]:
    """Yield the keys that a new pod may not carry, or not with that value."""
    listed = tuple(allowed)
    for key, value in annotations.items():
        prefix, slash, _ = key.partition("/")
        if (
            ("/" in key or "." in key)
            and not (slash and prefix in POD_PREFIXES)
            and key not in POD_KEYS
            and not is_listed(key, listed)
            and not any(
                re.fullmatch(pattern, key) and re.fullmatch(values, value, re.DOTALL)
                for pattern, values in POD_VALUES
            )
        ):
            yield key


def on_routes(annotations: Mapping[str, str], allowed: Iterable[str] = ()) -> Iterator[str]:
    """Yield the keys that a new route may not carry."""
    listed = (*ON_ROUTES, *allowed)
    yield from (key for key in annotations if "/" in key and not is_listed(key, listed))


def on_others(annotations: Mapping[str, str], allowed: Iterable[str] = ()) -> Iterator[str]:
    """Yield the keys that a new claim or RoleBinding may not carry."""
    listed = (*ON_OTHERS, *allowed)
    yield from (
        key for key in annotations if ("/" in key or "." in key) and not is_listed(key, listed)
    )


def is_listed(key: str, listed: Iterable[str]) -> bool:
    """Tell whether a key is among keys, and beginnings with an asterisk."""
    return any(key.startswith(each[:-1]) if each.endswith("*") else key == each for each in listed)
