"""The programs of a control plane: version, Go package, official download, version output."""

import json
import re
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

_KUBERNETES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
_OF_NODES = ("kubelet", "kube-proxy")


@dataclass(frozen=True, kw_only=True)
class Component:
    """One program at one pinned version."""

    name: str
    version: str
    """Without the leading ``v``, for example ``1.37.1``."""
    module: str
    """The folder under ``modules/`` whose go.mod pins it."""
    package: str
    """The Go package of its ``main``."""
    ldflags: str = "-s -w"
    tags: str = ""
    """Build tags; a program with tags is built with C."""
    from_path: bool = True
    """Whether one of the same name in PATH can be used; common names can be anything."""
    patched: bool = False
    """Whether its source is changed before it is built, as :mod:`patches` says."""

    @property
    def minor(self) -> str:
        """Major and minor version, for example ``1.37``: what a binary from PATH must match."""
        return ".".join(self.version.split(".")[:2])


@dataclass(frozen=True, kw_only=True)
class Pins:
    """All that ``pins.toml`` says."""

    components: tuple[Component, ...]
    tools: tuple[Component, ...]
    """What only tests need."""
    nodes: tuple[Component, ...]
    """What only real nodes need."""
    go_minimum: str
    go_wheel: str

    def component(self, name: str) -> Component:
        """Return the component of that name."""
        every = (*self.components, *self.tools, *self.nodes)
        return next(each for each in every if each.name == name)


@cache
def pins() -> Pins:
    """Read ``pins.toml``."""
    text = resources.files(__package__).joinpath("pins.toml").read_text(encoding="utf-8")
    raw = tomllib.loads(text)
    kubernetes, etcd, kwok = (raw[key] for key in ("kubernetes", "etcd", "kwok"))
    version = kubernetes["version"]
    major, minor, _ = version.split(".")
    stamp = "k8s.io/component-base/version"
    ldflags = (
        f"-s -w -X {stamp}.gitVersion=v{version}"
        f" -X {stamp}.gitMajor={major} -X {stamp}.gitMinor={minor}"
    )
    return Pins(
        components=(
            Component(name="etcd", version=etcd["version"], module="etcd", package=etcd["module"]),
            *(
                Component(
                    name=name,
                    version=version,
                    module="kubernetes",
                    package=f"{kubernetes['module']}/cmd/{name}",
                    ldflags=ldflags,
                )
                for name in _KUBERNETES
            ),
            Component(
                name="kwok",
                version=kwok["version"],
                module="kwok",
                package=f"{kwok['module']}/cmd/kwok",
                ldflags=f"-s -w -X sigs.k8s.io/kwok/pkg/consts.Version=v{kwok['version']}",
            ),
        ),
        tools=(
            _tool(raw, "helm", "helm", "{module}/internal/version.version=v"),
            _tool(raw, "promtool", "prometheus", "github.com/prometheus/common/version.Version="),
            _tool(raw, "actionlint", "actionlint", "{module}.version="),
            _tool(raw, "krew", "krew", "{module}/internal/version.gitTag=v"),
        ),
        nodes=(
            *(
                Component(
                    name=name,
                    version=version,
                    module="kubernetes",
                    package=f"{kubernetes['module']}/cmd/{name}",
                    ldflags=ldflags,
                )
                for name in _OF_NODES
            ),
            *_of_nodes(raw),
        ),
        go_minimum=raw["go"]["minimum"],
        go_wheel=raw["go"]["wheel"],
    )


def _tool(raw: dict[str, dict[str, str]], name: str, key: str, variable: str) -> Component:
    """Return a program of the tests; ``variable`` is what its build sets to the version."""
    module, version = raw[key]["module"], raw[key]["version"]
    return Component(
        name=name,
        version=version,
        module=key,
        package=f"{module}/cmd/{name}",
        ldflags=f"-s -w -X {variable.format(module=module)}{version}",
    )


def _of_nodes(raw: dict[str, dict[str, str]]) -> Iterator[Component]:
    """Yield what runs and connects containers."""
    containerd, runc, cni, policies = (
        raw[key] for key in ("containerd", "runc", "cni", "network-policies")
    )
    for name in ("containerd", "containerd-shim-runc-v2"):
        yield Component(
            name=name,
            version=containerd["version"],
            module="containerd",
            package=f"{containerd['module']}/cmd/{name}",
            ldflags=f"-s -w -X {containerd['module']}/version.Version=v{containerd['version']}",
        )
    yield Component(
        name="runc",
        version=runc["version"],
        module="runc",
        package=runc["module"],
        ldflags=f"-s -w -X main.version={runc['version']}",
        tags="seccomp",
    )
    for folder, name in (("main", "ptp"), ("main", "loopback"), ("ipam", "host-local")):
        yield Component(
            name=name,
            version=cni["version"],
            module="cni",
            package=f"{cni['module']}/plugins/{folder}/{name}",
            from_path=False,
        )
    for name, variant in (
        ("network-policies", "standard"),
        # It serves ClusterNetworkPolicies too, and nothing before their CRD is there.
        ("cluster-network-policies", "npa-v1alpha2"),
    ):
        yield Component(
            name=name,
            version=policies["version"],
            module="network-policies",
            package=f"{policies['module']}/cmd/kube-network-policies/{variant}",
            from_path=False,
        )
        yield Component(
            name=f"{name}-xt",
            version=policies["version"],
            module="network-policies",
            package=f"{policies['module']}/cmd/kube-network-policies/{variant}",
            from_path=False,
            patched=True,
        )
    yield Component(
        name="coredns",
        version=raw["coredns"]["version"],
        module="coredns",
        package=".",
    )
    yield Component(name="pause", version="1.0.0", module="pause", package=".", from_path=False)


def modules() -> Path:
    """Return the folder of the committed Go modules."""
    return Path(str(resources.files(__package__))) / "modules"


_ARGUMENTS = {
    "kubectl": ["version", "--client", "-o", "json"],
    "helm": ["version", "--short"],
    "krew": ["version"],
    "containerd-shim-runc-v2": ["-v"],
}


def version_of(name: str, path: Path) -> str:
    """Ask a binary for its version; an empty string when it does not answer like that program."""
    arguments = _ARGUMENTS.get(name, ["--version"])
    try:
        done = subprocess.run(
            [str(path), *arguments],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    if done.returncode != 0:
        return ""
    text = done.stdout
    if name == "kubectl":
        try:
            text = json.loads(text)["clientVersion"]["gitVersion"]
        except (ValueError, KeyError, TypeError):
            return ""
    found = re.search(r"v?(\d+\.\d+\.\d+)", text)
    return found.group(1) if found else ""
