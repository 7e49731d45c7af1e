"""What a pod could ask for: the trial pod with one thing changed, for each thing.

Rows B to F of the catalogue that a pod decides. What a stricter setting refuses is tried only where
it holds; what a tenant protects only itself from is not tried in Audit mode, which admits it with a
warning.
"""

from collections.abc import Iterator
from typing import Any

from securetenant.api import kinds, names
from securetenant.api.objects import Body
from securetenant.api.tenantpolicy import PolicySpec
from securetenant.checks.attacks import trial
from securetenant.checks.attacks.verdicts import (
    BASELINE,
    LIMITS,
    QUOTA,
    RESTRICTED,
    Attempt,
    Control,
    Held,
    policy,
)

PLACE = policy("pods")
OWN = policy("pods-hardening")
SHARED = policy("pods-hardening", "pods-shared")
"""In Audit mode the second repeats those rules of the first that protect others."""
ROOT = Control(f"{RESTRICTED.name} or {OWN.name}", f"{RESTRICTED.pattern}|{OWN.pattern}")
"""Behind a user namespace Pod Security admits root, and our rule does not."""
SIZE = Control(f"{LIMITS.name} or {QUOTA.name}", f"{LIMITS.pattern}|{QUOTA.pattern}")

_NODE_FILES = {"nfs": {"server": "192.0.2.1", "path": "/"}}
_TERM = {"topologyKey": "kubernetes.io/hostname", "namespaceSelector": {}}
_AFFINITY = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [_TERM]}}
_SYSCTL = {"sysctls": [{"name": "kernel.msgmax", "value": "65536"}]}
_HOST_PROCESS = {"windowsOptions": {"hostProcess": True}}
_HUGE = "10000"
_DEVICE = "example.com/device"
_EXPIRES = 31_536_000


def attempts(spec: PolicySpec, other: str) -> Iterator[Attempt]:
    """Yield every attempt with a pod in a namespace with this TenantPolicy.

    ``other`` is another tenant.
    """
    tried = _Tried(spec)
    yield from _host(tried)
    yield from _privileges(tried)
    yield from _placement(tried, other)
    yield from _size(tried)
    yield from _identity(tried)
    if spec.enforcement != "Audit":
        yield from _own(tried)
    if spec.workloads.image_pull_policy == "Always":
        # The defaults of pods set it right, where the API server knows such policies.
        yield tried.container(
            "F01",
            "an image from the node's cache",
            SHARED,
            critical=True,
            held=_pulls,
            imagePullPolicy="Never",
        )


class _Tried:
    """Makes attempts of the trial pod and a change."""

    def __init__(self, spec: PolicySpec) -> None:
        self.spec = spec

    def pod(
        self, row: str, what: str, control: Control, *, critical: bool = False, **fields: Any
    ) -> Attempt:
        """Return the pod with other fields of its spec."""
        return self._attempt(
            row, what, control, {**trial.pod_spec(self.spec), **fields}, critical=critical
        )

    def container(
        self,
        row: str,
        what: str,
        control: Control,
        *,
        critical: bool = False,
        held: Held | None = None,
        **fields: Any,
    ) -> Attempt:
        """Return the pod with other fields of its container."""
        changed = trial.container(self.spec, **fields)
        spec = {**trial.pod_spec(self.spec), "containers": [changed]}
        return self._attempt(row, what, control, spec, critical=critical, held=held)

    def context(
        self, row: str, what: str, control: Control, *, critical: bool = False, **fields: Any
    ) -> Attempt:
        """Return the pod with another security context of its container."""
        return self.container(
            row,
            what,
            control,
            critical=critical,
            securityContext={**trial.context(), **fields},
        )

    def volume(
        self,
        row: str,
        what: str,
        control: Control,
        source: Body,
        *,
        critical: bool = False,
        held: Held | None = None,
    ) -> Attempt:
        """Return the pod with a volume."""
        spec = {**trial.pod_spec(self.spec), "volumes": [{"name": "trial", **source}]}
        return self._attempt(row, what, control, spec, critical=critical, held=held)

    def _attempt(
        self,
        row: str,
        what: str,
        control: Control,
        spec: Body,
        *,
        critical: bool,
        held: Held | None = None,
    ) -> Attempt:
        return Attempt(
            row=row,
            what=what,
            kind=kinds.POD,
            body=trial.body(kinds.POD, spec),
            control=control,
            critical=critical,
            held=held,
        )


def _host(tried: _Tried) -> Iterator[Attempt]:
    """What belongs to the node (Pod Security Standards, baseline)."""
    yield tried.context(
        "B01",
        "a privileged container",
        BASELINE,
        critical=True,
        privileged=True,
        allowPrivilegeEscalation=True,
    )
    for field, what in (
        ("hostPID", "the node's processes"),
        ("hostIPC", "the node's shared memory"),
        ("hostNetwork", "the node's network"),
    ):
        # Without hostUsers it would not be valid, where the trial pod has a user namespace.
        yield tried.pod("B02", what, BASELINE, critical=True, hostUsers=True, **{field: True})
    yield tried.container(
        "B02",
        "a port of the node",
        BASELINE,
        critical=True,
        ports=[{"containerPort": 8086, "hostPort": 8086}],
    )
    for path in ("/", "/run/containerd/containerd.sock"):
        yield tried.volume(
            "B03", f"{path} of the node", BASELINE, {"hostPath": {"path": path}}, critical=True
        )
    yield tried.context(
        "B08", "a type of SELinux", BASELINE, critical=True, seLinuxOptions={"type": "spc_t"}
    )
    yield tried.context(
        "B08",
        "no AppArmor profile",
        BASELINE,
        critical=True,
        appArmorProfile={"type": "Unconfined"},
    )
    yield tried.context(
        "B07", "no seccomp profile", BASELINE, critical=True, seccompProfile={"type": "Unconfined"}
    )
    yield tried.pod("B08", "a sysctl of the node", BASELINE, critical=True, securityContext=_SYSCTL)
    yield tried.pod(
        "B12",
        "a privileged init container",
        BASELINE,
        critical=True,
        initContainers=[
            trial.container(
                tried.spec,
                name="first",
                securityContext={
                    **trial.context(),
                    "privileged": True,
                    "allowPrivilegeEscalation": True,
                },
            )
        ],
    )
    # Pod Security of level restricted refuses it first, else our rule.
    files = RESTRICTED if tried.spec.pod_security.level == "restricted" else PLACE
    yield tried.volume("B09", "a volume by the node's own hands", files, _NODE_FILES, critical=True)


def _privileges(tried: _Tried) -> Iterator[Attempt]:
    yield tried.context(
        "B04",
        "the capability SYS_ADMIN",
        BASELINE,
        critical=True,
        allowPrivilegeEscalation=True,
        capabilities={"drop": ["ALL"], "add": ["SYS_ADMIN"]},
    )
    if tried.spec.pod_security.level != "restricted":
        return
    yield tried.context(
        "B04",
        "the capability NET_RAW",
        RESTRICTED,
        critical=True,
        capabilities={"drop": ["ALL"], "add": ["NET_RAW"]},
    )
    yield tried.context(
        "B05", "more privileges later", RESTRICTED, critical=True, allowPrivilegeEscalation=True
    )
    yield tried.context("B06", "user root", ROOT, critical=True, runAsUser=0)
    yield tried.context("B06", "any user, root too", ROOT, critical=True, runAsNonRoot=False)


def _placement(tried: _Tried, other: str) -> Iterator[Attempt]:
    everything = [{"operator": "Exists"}]
    theirs = [{"key": names.NODE_TAINT, "operator": "Equal", "value": other}]
    control_plane = [{"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"}]
    yield tried.pod("C01", "nodes with any taint", PLACE, critical=True, tolerations=everything)
    yield tried.pod("C01", "nodes of another tenant", PLACE, critical=True, tolerations=theirs)
    yield tried.pod(
        "C01", "nodes of the control plane", PLACE, critical=True, tolerations=control_plane
    )
    if tried.spec.nodes.selector:
        key = min(tried.spec.nodes.selector)
        elsewhere = {**tried.spec.nodes.selector, key: other}
        yield tried.pod(
            "C02", "nodes of others, by label", PLACE, critical=True, nodeSelector=elsewhere
        )
    yield tried.pod("C03", "a node by its name", PLACE, critical=True, nodeName="trial")
    yield tried.pod("C03", "another scheduler", PLACE, critical=True, schedulerName="trial")
    yield tried.pod(
        "C05",
        "a priority that evicts others",
        PLACE,
        critical=True,
        priorityClassName="system-cluster-critical",
    )
    yield tried.pod("E01", "affinity to pods of others", PLACE, affinity=_AFFINITY)
    yield tried.pod("D12", "a drain that waits", PLACE, terminationGracePeriodSeconds=_EXPIRES)
    yield tried.pod(
        "H13",
        "a claim of devices",
        PLACE,
        resourceClaims=[{"name": "trial", "resourceClaimName": "trial"}],
    )
    yield tried.volume("B09", "a driver on the node", PLACE, {"csi": {"driver": "trial.example"}})


def _size(tried: _Tried) -> Iterator[Attempt]:
    spec = tried.spec
    sizes = {"limits": {"cpu": "0", "memory": "0"}, "requests": {"cpu": "0", "memory": "0"}}
    yield tried.container(
        "D01", "no limit, written as zero", SIZE, critical=True, held=_is_limited, resources=sizes
    )
    huge = {**spec.container_limits.default, "cpu": _HUGE, "memory": f"{_HUGE}Gi"}
    whole = {"limits": huge, "requests": huge}
    yield tried.container("D02", "a container larger than a node", SIZE, resources=whole)
    devices = {**spec.container_limits.default, _DEVICE: "1"}
    counted = f"requests.{_DEVICE}" in spec.quota
    if not counted:
        yield tried.container(
            "D08", "a device that no quota counts", PLACE, resources={"limits": devices}
        )


def _identity(tried: _Tried) -> Iterator[Attempt]:
    audience = {"serviceAccountToken": {"path": "token", "audience": "trial.example"}}
    yield tried.volume(
        "F04",
        "a token for somebody else",
        SHARED,
        {"projected": {"sources": [audience]}},
        critical=True,
    )
    certificate = {
        "podCertificate": {
            "signerName": "trial.example/signer",
            "keyType": "ED25519",
            "credentialBundlePath": "bundle",
        }
    }
    # Older API servers do not know the field, and leave it out.
    yield tried.volume(
        "H13",
        "a certificate of the cluster",
        SHARED,
        {"projected": {"sources": [certificate]}},
        critical=True,
        held=_has_no_certificate,
    )
    local = {"type": "Localhost", "localhostProfile": "trial.json"}
    yield tried.context("B07", "a profile of the node", SHARED, seccompProfile=local)
    yield tried.context(
        "B08",
        "another's SELinux level",
        SHARED,
        critical=True,
        seLinuxOptions={"level": "s0:c0.c1023"},
    )
    finalizers = {"finalizers": ["trial.example/stays"]}
    stays = trial.body(kinds.POD, trial.pod_spec(tried.spec), metadata=finalizers)
    yield Attempt(
        row="D12",
        what="a pod that cannot be deleted",
        kind=kinds.POD,
        body=stays,
        control=policy("finalizers"),
    )
    networks = {"annotations": {"k8s.v1.cni.cncf.io/networks": "trial"}}
    yield Attempt(
        row="E01",
        what="another network, by annotation",
        kind=kinds.POD,
        body=trial.body(kinds.POD, trial.pod_spec(tried.spec), metadata=networks),
        control=PLACE,
        critical=True,
    )


def _own(tried: _Tried) -> Iterator[Attempt]:
    """What a tenant protects itself from; others are safe from it by other rules."""
    spec = tried.spec
    yield tried.context("B06", "group root", OWN, runAsGroup=0)
    if spec.tokens.automount == "Deny":
        yield tried.pod("E05", "a token in every pod", OWN, automountServiceAccountToken=True)
    long = {"serviceAccountToken": {"path": "token", "expirationSeconds": 2**31 - 1}}
    yield tried.volume("H11", "a token for decades", OWN, {"projected": {"sources": [long]}})
    if spec.workloads.root_filesystem == "ReadOnly":
        yield tried.context("B14", "a writable image", OWN, readOnlyRootFilesystem=False)
    if spec.workloads.images == "Digest":
        tagged = trial.image(spec).partition("@")[0] + ":tag"
        yield tried.container("B14", "an image by its tag", OWN, image=tagged)
    if "*" not in spec.workloads.registries:
        foreign = "trial.example/" + trial.image(spec).rpartition("/")[2]
        yield tried.container("B14", "an image from elsewhere", OWN, image=foreign)


def _has_no_certificate(pod: Body) -> bool:
    sources = (
        source
        for volume in (pod.get("spec") or {}).get("volumes") or ()
        for source in (volume.get("projected") or {}).get("sources") or ()
    )
    return not any("podCertificate" in each for each in sources)


def _pulls(pod: Body) -> bool:
    return all(each.get("imagePullPolicy") == "Always" for each in _containers(pod))


def _is_limited(pod: Body) -> bool:
    """Tell whether each container came back with a limit of memory above zero."""
    return all(
        _above_zero((each.get("resources") or {}).get("limits", {}).get("memory", "0"))
        for each in _containers(pod)
    )


def _above_zero(quantity: Any) -> bool:
    return any(digit in "123456789" for digit in str(quantity))


def _containers(pod: Body) -> list[Body]:
    found: list[Body] = list((pod.get("spec") or {}).get("containers") or ())
    return found
