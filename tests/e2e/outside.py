"""What lies outside of the cluster: addresses of the hub, with something that answers there."""

import subprocess
from pathlib import Path

from e2e import images
from securetenant.sandbox import control
from securetenant.sandbox.instances import Instance
from securetenant.sandbox.realnodes import hub, layout

METADATA = "169.254.169.254"
"""Plays the metadata service of a cloud."""
ADDRESS = "203.0.113.10"
"""Plays the internet."""
PORTS = (("tcp", 8080), ("tcp", 8081), ("udp", 8080))


def add(instance: Instance, program: Path) -> None:
    """Give the hub the addresses of what lies outside, with something that answers there."""
    images.compile_probe(program)
    inside = hub.inside(instance.record()["programs"]["hub"])
    addresses = (METADATA, ADDRESS)
    for each in addresses:
        add = ["ip", "address", "add", f"{each}/32", "dev", layout.BRIDGE]
        subprocess.run([*inside, *add], check=True)
    # One that listens on every address would answer from another one.
    listening = [
        f"{protocol}/{address}/{port}" for address in addresses for protocol, port in PORTS
    ]
    control.attach(instance, "outside", [*inside, str(program), "serve", *listening])
