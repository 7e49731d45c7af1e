"""Names and addresses: the same in every sandbox, since each has networks of its own."""

from dataclasses import dataclass
from pathlib import Path

from securetenant.sandbox import nodes
from securetenant.sandbox.instances import Instance
from securetenant.sandbox.realnodes import cgroups

HUB = "172.31.74.1"
"""The address of the control plane, on the bridge of the nodes."""
NETWORK_BITS = 24
BRIDGE = "nodes"
SERVER_PORT = 6443
REGISTRY = "registry.example"
"""The name under which images are pulled."""
REGISTRY_PORT = 5000
PODS = "10.244.0.0/16"
DNS = "10.96.0.10"
PAUSE = f"{REGISTRY}/pause:1"
COREDNS = f"{REGISTRY}/coredns:1"
MOST_NODES = 50


@dataclass(frozen=True, kw_only=True)
class RealNode:
    """One node; making this value touches nothing."""

    instance: Instance
    index: int

    @property
    def name(self) -> str:
        """Return the name of the Node."""
        return nodes.name(self.index)

    @property
    def address(self) -> str:
        """Return its address on the bridge."""
        return f"172.31.74.{self.index + 11}"

    @property
    def pods(self) -> str:
        """Return the network of its pods."""
        return f"10.244.{self.index}.0/24"

    @property
    def group(self) -> str:
        """Return its control group."""
        return f"{cgroups.of_instance(self.instance.name)}/{self.name}"

    @property
    def folder(self) -> Path:
        """Return the folder of its files."""
        return self.instance.folder / "nodes" / self.name

    @property
    def log(self) -> Path:
        """Return the folder of the logs of its own programs."""
        return self.folder / "programs"

    @property
    def hold(self) -> Path:
        """Return the folder in which a file keeps the program of that name from running."""
        return self.folder / "hold"

    @property
    def state(self) -> Path:
        """Return the file in which the node says what runs: process ids by program."""
        return self.folder / "state.json"

    @property
    def veth(self) -> str:
        """Return the name of the hub's end of its cable."""
        return f"to-{self.name}"


def of_instance(instance: Instance, count: int) -> tuple[RealNode, ...]:
    """Return the nodes of an instance."""
    return tuple(RealNode(instance=instance, index=index) for index in range(count))


def images(instance: Instance) -> Path:
    """Return the folder of image archives that the registry serves."""
    return instance.folder / "images"
