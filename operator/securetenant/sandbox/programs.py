"""The command lines of a control plane: TLS on every port, RBAC, Node authorizer."""

from dataclasses import dataclass
from pathlib import Path

from securetenant.sandbox import kubeconfigs, pki
from securetenant.sandbox.instances import Instance, Options

_SERVICE_NETWORK = "10.96.0.0/16"
STORE = "unix://etcd.socket:0"
"""Where etcd listens: a file, ``etcd.socket:0``, in the folder that the programs are started in."""
_PEERS = "unix://etcd-peers.socket:0"
_ETCD_QUOTA_BYTES = 8 * 1024**3


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """The key pairs that the programs need, each on disk."""

    authority: pki.KeyPair
    server: pki.KeyPair
    kubelet_client: pki.KeyPair
    admin: pki.KeyPair
    tokens: pki.KeyPair
    users: dict[str, Path]
    """Kubeconfig by program."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the API server listens, for those on the same host and for everybody else."""

    server: str
    """The URL for the administrator and everybody outside."""
    inside: str
    """The URL for the other programs of the control plane."""
    bind: str = "127.0.0.1"
    advertise: str = ""
    """The address that pods reach it by; none where there are no pods that run."""


def make_credentials(instance: Instance, place: Place) -> Credentials:
    """Issue every certificate; write the kubeconfigs of the programs and the administrator."""
    instance.pki.mkdir()
    authority = pki.Authority(instance.pki, "ca")
    admin = authority.issue("admin", name="admin", groups=("system:masters",))
    users = {"admin": instance.admin_kubeconfig}
    ca = authority.files.certificate
    kubeconfigs.by_certificate(users["admin"], server=place.server, authority=ca, pair=admin)
    for program, name, groups in (
        ("kube-controller-manager", "system:kube-controller-manager", ()),
        ("kube-scheduler", "system:kube-scheduler", ()),
        # kwok plays every kubelet at once, which no single node credential may.
        ("kwok", "kwok", ("system:masters",)),
    ):
        pair = authority.issue(program, name=name, groups=groups)
        users[program] = kubeconfigs.by_certificate(
            instance.folder / f"{program}.kubeconfig",
            server=place.inside,
            authority=ca,
            pair=pair,
        )
    return Credentials(
        authority=authority.files,
        server=authority.issue(
            "kube-apiserver",
            name="kube-apiserver",
            server_names=(
                "localhost",
                "kubernetes",
                "kubernetes.default",
                "kubernetes.default.svc",
                "127.0.0.1",
                "10.96.0.1",
                *((place.advertise,) if place.advertise else ()),
            ),
        ),
        kubelet_client=authority.issue(
            "kubelet-client", name="kube-apiserver-kubelet-client", groups=("system:masters",)
        ),
        admin=admin,
        tokens=pki.signing_key(instance.pki, "service-accounts"),
        users=users,
    )


def etcd(instance: Instance, binary: Path, options: Options) -> list[str]:
    """Return etcd's command line.

    It listens on no port: no user of the cluster reaches the store, with whatever certificate, and
    of this machine only those who may write in the instance's folder.
    """
    return [
        str(binary),
        f"--data-dir={instance.etcd}",
        f"--listen-client-urls={STORE}",
        f"--advertise-client-urls={STORE}",
        f"--listen-peer-urls={_PEERS}",
        f"--initial-advertise-peer-urls={_PEERS}",
        f"--initial-cluster=default={_PEERS}",
        f"--quota-backend-bytes={_ETCD_QUOTA_BYTES}",
        "--log-level=warn",
        # A sandbox is thrown away: only kill tests want each write on the disk.
        *([] if options.fsync else ["--unsafe-no-fsync"]),
    ]


def api_server(
    instance: Instance,
    binary: Path,
    keys: Credentials,
    port: int,
    options: Options,
    place: Place,
) -> list[str]:
    """Return the API server's command line."""
    command = [
        str(binary),
        f"--bind-address={place.bind}",
        f"--secure-port={port}",
        f"--etcd-servers={STORE}",
        f"--tls-cert-file={keys.server.certificate}",
        f"--tls-private-key-file={keys.server.key}",
        f"--client-ca-file={keys.authority.certificate}",
        "--anonymous-auth=false",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-signing-key-file={keys.tokens.key}",
        f"--service-account-key-file={keys.tokens.certificate}",
        f"--service-cluster-ip-range={_SERVICE_NETWORK}",
        f"--kubelet-client-certificate={keys.kubelet_client.certificate}",
        f"--kubelet-client-key={keys.kubelet_client.key}",
        f"--kubelet-certificate-authority={keys.authority.certificate}",
        "--kubelet-preferred-address-types=InternalIP",
        "--allow-privileged=true",
        "--shutdown-delay-duration=0s",
    ]
    if place.advertise:
        command.append(f"--advertise-address={place.advertise}")
    else:
        # No pod runs that would ask for the endpoints of the Service.
        command.append("--endpoint-reconciler-type=none")
    if options.in_flight:
        # The server adds both up and shares the sum among its priority levels.
        mutating = options.in_flight // 3
        command += [
            f"--max-requests-inflight={options.in_flight - mutating}",
            f"--max-mutating-requests-inflight={mutating}",
        ]
    if options.emulated_version:
        command.append(f"--emulated-version=kube={options.emulated_version}")
    if options.audit:
        policy = instance.folder / "audit-policy.yaml"
        policy.write_text(
            "apiVersion: audit.k8s.io/v1\nkind: Policy\n"
            "omitStages: [RequestReceived]\nrules: [{level: Metadata}]\n",
            encoding="utf-8",
        )
        command += [
            f"--audit-policy-file={policy}",
            f"--audit-log-path={instance.audit_log}",
            # One file, never rotated: a test reads it from the start.
            "--audit-log-maxsize=10000",
            "--audit-log-mode=blocking",
        ]
    return command


def controller_manager(binary: Path, keys: Credentials, options: Options) -> list[str]:
    """Return the controller-manager's command line, with raised client limits.

    At its default of 20 requests a second it fills about 20 quota statuses a second, which
    would bound whatever is tested or measured here.
    """
    kubeconfig = keys.users["kube-controller-manager"]
    command = [
        str(binary),
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--use-service-account-credentials",
        f"--service-account-private-key-file={keys.tokens.key}",
        f"--root-ca-file={keys.authority.certificate}",
        f"--cluster-signing-cert-file={keys.authority.certificate}",
        f"--cluster-signing-key-file={keys.authority.key}",
        "--leader-elect=false",
        "--secure-port=0",
    ]
    if options.emulated_version:
        command.append(f"--emulated-version=kube={options.emulated_version}")
    if not options.type_checks:
        command.append("--controllers=*,-validatingadmissionpolicy-status-controller")
    if not options.default_rates:
        command += [
            "--kube-api-qps=1000",
            "--kube-api-burst=2000",
            "--concurrent-resource-quota-syncs=16",
            "--concurrent-namespace-syncs=32",
            "--concurrent-serviceaccount-token-syncs=16",
        ]
    return command


def scheduler(binary: Path, keys: Credentials, options: Options) -> list[str]:
    """Return the scheduler's command line."""
    command = [
        str(binary),
        f"--kubeconfig={keys.users['kube-scheduler']}",
        "--leader-elect=false",
        "--secure-port=0",
    ]
    if options.emulated_version:
        command.append(f"--emulated-version=kube={options.emulated_version}")
    return command


def kwok(binary: Path, keys: Credentials, stages: Path) -> list[str]:
    """Return kwok's command line: it plays the nodes that carry its annotation, no others."""
    return [
        str(binary),
        f"--kubeconfig={keys.users['kwok']}",
        f"--config={stages}",
        "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
        "--node-lease-duration-seconds=40",
        "--node-ip=127.0.0.1",
    ]
