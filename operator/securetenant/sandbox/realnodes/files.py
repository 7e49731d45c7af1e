"""What lies in the folder of a node: settings of its programs, and what its first process reads."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from securetenant.sandbox import kubeconfigs, pki
from securetenant.sandbox.realnodes import layout
from securetenant.sandbox.realnodes.layout import RealNode

SYSCTLS = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
"""Settings of the whole machine that a kubelet changes: each node gets files in their place."""

ENGINES = ("network-policies", "cluster-network-policies")
"""The two engines for NetworkPolicies; the second waits for the CRD of ClusterNetworkPolicies."""

_LINKS = ("containerd-shim-runc-v2", "runc", "ptp", "loopback", "host-local")
"""Programs that others find by their bare names."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What the nodes of a sandbox have in common."""

    binaries: dict[str, Path]
    authority: pki.Authority
    proxy_mode: str
    pids: int
    """How many processes a pod can have."""


def write(node: RealNode, others: tuple[RealNode, ...], setting: Setting) -> Path:
    """Write all files of a node; return the one that its first process reads."""
    for folder in ("bin", "lib", "log", "sysctls", "keys", "cni", "certs.d", "hold"):
        (node.folder / folder).mkdir(parents=True, exist_ok=True)
    node.log.mkdir(exist_ok=True)
    (node.hold / ENGINES[1]).touch()
    for name in _LINKS:
        (node.folder / "bin" / name).symlink_to(setting.binaries[name])
    for name in SYSCTLS:
        copy = node.folder / "sysctls" / name.replace("/", ".")
        copy.write_bytes(Path("/proc/sys", name).read_bytes())
    keys = _credentials(node, setting)
    _write_yaml(node.folder / "kubelet.yaml", _kubelet(node, keys["server"], setting))
    (node.folder / "containerd.toml").write_text(_containerd(node), encoding="utf-8")
    (node.folder / "resolv.conf").write_text(f"nameserver {layout.DNS}\n", encoding="ascii")
    (node.folder / "cni/pods.conflist").write_text(json.dumps(_cni(node)), encoding="utf-8")
    registry = node.folder / "certs.d" / layout.REGISTRY
    registry.mkdir()
    address = f"http://{layout.HUB}:{layout.REGISTRY_PORT}"
    (registry / "hosts.toml").write_text(
        f'server = "{address}"\n[host."{address}"]\ncapabilities = ["pull", "resolve"]\n',
        encoding="utf-8",
    )
    file = node.folder / "node.json"
    file.write_text(json.dumps(_first_process(node, others, setting), indent=1), encoding="utf-8")
    return file


def dns() -> str:
    """Return the objects of the cluster's DNS."""
    text = Path(__file__).with_name("dns.yaml").read_text(encoding="utf-8")
    return text.replace("IMAGE", layout.COREDNS).replace("ADDRESS", layout.DNS)


def _credentials(node: RealNode, setting: Setting) -> dict[str, pki.KeyPair]:
    """Issue what the programs of a node log in with, and the kubelet's own certificate."""
    issue = setting.authority.issue
    pairs = {
        "kubelet": issue(
            f"{node.name}-kubelet", name=f"system:node:{node.name}", groups=("system:nodes",)
        ),
        "kube-proxy": issue(f"{node.name}-kube-proxy", name="system:kube-proxy"),
        # It reads namespaces, pods and policies, for which no role is there in a fresh cluster.
        "engine": issue(f"{node.name}-engine", name="network-policies", groups=("system:masters",)),
    }
    for user, pair in pairs.items():
        kubeconfigs.by_certificate(
            node.folder / f"{user}.kubeconfig",
            server=f"https://{layout.HUB}:{layout.SERVER_PORT}",
            authority=setting.authority.files.certificate,
            pair=pair,
        )
    names = (node.name, node.address, "127.0.0.1")
    pairs["server"] = issue(f"{node.name}-server", name=node.name, server_names=names)
    return pairs


def _kubelet(node: RealNode, server: pki.KeyPair, setting: Setting) -> dict[str, Any]:
    seconds = "5s"
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": "0.0.0.0",  # noqa: S104 - of a network namespace that holds one node.
        "port": 10250,
        "readOnlyPort": 0,
        "healthzBindAddress": "127.0.0.1",
        "tlsCertFile": str(server.certificate),
        "tlsPrivateKeyFile": str(server.key),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True, "cacheTTL": seconds},
            "x509": {"clientCAFile": str(setting.authority.files.certificate)},
        },
        "authorization": {
            "mode": "Webhook",
            "webhook": {"cacheAuthorizedTTL": seconds, "cacheUnauthorizedTTL": seconds},
        },
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": node.group,
        "failCgroupV1": False,
        "failSwapOn": False,
        "enforceNodeAllocatable": ["pods"],
        "podPidsLimit": setting.pids,
        "oomScoreAdj": 0,
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "volumePluginDir": str(node.folder / "volume-plugins"),
        "clusterDomain": "cluster.local",
        "clusterDNS": [layout.DNS],
        "resolvConf": str(node.folder / "resolv.conf"),
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "imagefs.available": "1%",
            "nodefs.inodesFree": "1%",
        },
        "imageGCHighThresholdPercent": 100,
        "nodeStatusUpdateFrequency": seconds,
        "syncFrequency": "10s",
        "registerNode": True,
    }


def _containerd(node: RealNode) -> str:
    """Return the settings of containerd: constants, and paths in the folder of the node."""
    return f"""\
version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.snapshotter.v1.blockfile",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.erofs",
  "io.containerd.snapshotter.v1.zfs",
  "io.containerd.tracing.processor.v1.otlp",
]
[grpc]
address = "/run/containerd/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
path = "{node.folder}/opt"
[plugins."io.containerd.nri.v1.nri"]
plugin_path = "{node.folder}/nri/plugins"
plugin_config_path = "{node.folder}/nri/settings"
[plugins."io.containerd.cri.v1.images"]
snapshotter = "overlayfs"
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{layout.PAUSE}"
[plugins."io.containerd.cri.v1.images".registry]
config_path = "{node.folder}/certs.d"
[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true
disable_apparmor = true
cdi_spec_dirs = []
[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["{node.folder}/bin"]
conf_dir = "{node.folder}/cni"
[plugins."io.containerd.cri.v1.runtime".containerd]
default_runtime_name = "runc"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
BinaryName = "{node.folder}/bin/runc"
SystemdCgroup = false
"""


def _cni(node: RealNode) -> dict[str, Any]:
    """Return the network of pods: a cable to the node for each, and its address on it."""
    return {
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [
            {
                "type": "ptp",
                "ipMasq": False,
                "mtu": 1500,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": node.pods}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            }
        ],
    }


def _first_process(
    node: RealNode, others: tuple[RealNode, ...], setting: Setting
) -> dict[str, Any]:
    binary = {name: str(path) for name, path in setting.binaries.items()}
    login = {user: f"{node.folder}/{user}.kubeconfig" for user in ("kube-proxy", "engine")}
    return {
        "name": node.name,
        "group": node.group,
        "hold": str(node.hold),
        "state": str(node.state),
        "logs": str(node.log),
        "path": f"{node.folder}/bin",
        "binds": [
            [f"{node.folder}/lib", "/var/lib"],
            [f"{node.folder}/log", "/var/log"],
            *(
                [f"{node.folder}/sysctls/{name.replace('/', '.')}", f"/proc/sys/{name}"]
                for name in SYSCTLS
            ),
        ],
        "network": [
            "link set lo up",
            f"address add {node.address}/{layout.NETWORK_BITS} dev eth0",
            "link set eth0 up",
            f"route add default via {layout.HUB}",
            *(f"route add {each.pods} via {each.address}" for each in others if each != node),
        ],
        "socket": "/run/containerd/containerd.sock",
        "programs": {
            "containerd": [binary["containerd"], f"--config={node.folder}/containerd.toml"],
            "kubelet": [
                binary["kubelet"],
                f"--config={node.folder}/kubelet.yaml",
                f"--kubeconfig={node.folder}/kubelet.kubeconfig",
                f"--hostname-override={node.name}",
                f"--node-ip={node.address}",
            ],
            "kube-proxy": [
                binary["kube-proxy"],
                f"--kubeconfig={login['kube-proxy']}",
                f"--hostname-override={node.name}",
                f"--proxy-mode={setting.proxy_mode}",
                f"--cluster-cidr={layout.PODS}",
                # The limits of connections belong to the whole machine.
                "--conntrack-max-per-core=0",
                "--conntrack-tcp-timeout-established=0",
                "--conntrack-tcp-timeout-close-wait=0",
                "--metrics-bind-address=127.0.0.1:10249",
                "--healthz-bind-address=127.0.0.1:10256",
            ],
            **{
                engine: [
                    binary[engine],
                    f"--kubeconfig={login['engine']}",
                    f"--hostname-override={node.name}",
                    "--fail-open=false",
                    "--netfilter-bug-1766-fix=false",
                    "--metrics-bind-address=127.0.0.1:9080",
                    "-v=2",
                ]
                for engine in ENGINES
            },
        },
    }


def _write_yaml(path: Path, document: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
