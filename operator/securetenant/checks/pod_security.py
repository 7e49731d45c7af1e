"""What a pod violates of the Pod Security Standards, from v1.34 on.

Source: Kubernetes documentation, "Pod Security Standards", and for what depends on the version the
checks of k8s.io/pod-security-admission v0.37. A pod is judged as it is, ephemeral containers
included.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

Body = Mapping[str, Any]

_CAPABILITIES = frozenset(
    {
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    }
)
_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    }
)
_LATER_SYSCTLS = frozenset({"net.ipv4.tcp_notsent_lowat", "net.ipv4.tcp_slow_start_after_idle"})
"""Since v1.37."""
_SELINUX_TYPES = frozenset(
    {"", "container_engine_t", "container_init_t", "container_kvm_t", "container_t"}
)
_VOLUMES = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)
_PROFILES = ("RuntimeDefault", "Localhost")
_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
_VERSION = re.compile(r"v1\.([0-9]{1,4})")
_USER_NAMESPACES, _MORE_SYSCTLS = 35, 37
"""Minor versions: with users of its own a pod may be root there; more sysctls are harmless."""
_NEWEST = 10_000


def violated(pod: Body, level: str, version: str) -> Iterator[str]:
    """Yield what a pod has that the level forbids, or lacks that it demands.

    ``level`` is baseline or restricted; ``version`` is like v1.37, or latest.
    """
    found = _VERSION.fullmatch(version)
    minor = int(found[1]) if found else _NEWEST
    spec = pod["spec"]
    containers = _containers(spec)
    own_users = minor >= _USER_NAMESPACES and spec.get("hostUsers") is False
    yield from _baseline(pod, containers, minor, unmasked=own_users and level == "baseline")
    if level == "restricted":
        yield from _restricted(spec, containers, own_users=own_users)


def _containers(spec: Body) -> list[Body]:
    fields = ("containers", "initContainers", "ephemeralContainers")
    return [each for field in fields for each in spec.get(field) or ()]


def _baseline(pod: Body, containers: list[Body], minor: int, *, unmasked: bool) -> Iterator[str]:
    spec = pod["spec"]
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(field):
            yield field
    for each in spec.get("volumes") or ():
        if "hostPath" in each:
            yield f"hostPath of volume {each['name']}"
    allowed = _SYSCTLS | (_LATER_SYSCTLS if minor >= _MORE_SYSCTLS else frozenset())
    for each in _context(spec).get("sysctls") or ():
        if each["name"] not in allowed:
            yield f"sysctl {each['name']}"
    for each in (spec, *containers):
        yield from _context_of_baseline(_context(each))
    for each in containers:
        yield from _container_of_baseline(each, unmasked=unmasked)
    for key, value in (pod["metadata"].get("annotations") or {}).items():
        is_kept = value in ("", "runtime/default") or value.startswith("localhost/")
        if key.startswith(_APPARMOR) and not is_kept:
            yield "AppArmor profile in an annotation"


def _context_of_baseline(context: Body) -> Iterator[str]:
    if (context.get("windowsOptions") or {}).get("hostProcess"):
        yield "hostProcess"
    if (context.get("appArmorProfile") or {"type": _PROFILES[0]}).get("type") not in _PROFILES:
        yield "appArmorProfile"
    if (context.get("seccompProfile") or {"type": _PROFILES[0]}).get("type") not in _PROFILES:
        yield "seccompProfile"
    options = context.get("seLinuxOptions") or {}
    if options.get("type", "") not in _SELINUX_TYPES:
        yield "seLinuxOptions.type"
    if options.get("user") or options.get("role"):
        yield "seLinuxOptions.user or role"


def _container_of_baseline(container: Body, *, unmasked: bool) -> Iterator[str]:
    context = _context(container)
    if context.get("privileged"):
        yield "privileged"
    for each in (context.get("capabilities") or {}).get("add") or ():
        if each not in _CAPABILITIES:
            yield f"capability {each}"
    if context.get("procMount", "Default") != "Default" and not unmasked:
        yield "procMount"
    if any(each.get("hostPort") for each in container.get("ports") or ()):
        yield "hostPort"
    lifecycle = container.get("lifecycle") or {}
    handlers = [container.get(f"{each}Probe") for each in ("liveness", "readiness", "startup")]
    handlers += [lifecycle.get("postStart"), lifecycle.get("preStop")]
    if any(
        (handler.get(action) or {}).get("host")
        for handler in filter(None, handlers)
        for action in ("httpGet", "tcpSocket")
    ):
        yield "host of a probe or lifecycle hook"


def _restricted(spec: Body, containers: list[Body], *, own_users: bool) -> Iterator[str]:
    is_windows = (spec.get("os") or {}).get("name") == "windows"
    pod = _context(spec)
    for each in spec.get("volumes") or ():
        if not _VOLUMES & each.keys():
            yield f"type of volume {each['name']}"
    if not own_users:
        if pod.get("runAsNonRoot") is False:
            yield "runAsNonRoot"
        if pod.get("runAsUser") == 0:
            yield "runAsUser"
    for each in containers:
        context = _context(each)
        if not own_users:
            if context.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True:
                yield "runAsNonRoot"
            if context.get("runAsUser") == 0:
                yield "runAsUser"
        # Before v1.35 baseline has judged it already.
        if context.get("procMount", "Default") != "Default":
            yield "procMount"
        if is_windows:
            continue
        if context.get("allowPrivilegeEscalation") is not False:
            yield "allowPrivilegeEscalation"
        profile = context.get("seccompProfile") or pod.get("seccompProfile") or {}
        if profile.get("type") not in _PROFILES:
            yield "seccompProfile"
        capabilities = context.get("capabilities") or {}
        if "ALL" not in (capabilities.get("drop") or ()):
            yield "capabilities.drop"
        for added in capabilities.get("add") or ():
            if added != "NET_BIND_SERVICE":
                yield f"capability {added}"


def _context(holder: Body) -> Body:
    found: Body = holder.get("securityContext") or {}
    return found
