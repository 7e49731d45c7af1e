"""``python -m securetenant.cli.probe``: the packet probe, in the image of the operator.

Not a command of ``securetenant``: it is of use in the pods of manifests/packets only.
"""

import asyncio
import sys

import click

from securetenant.api.probe import NOT_FILTERED
from securetenant.probe import receiver
from securetenant.probe.sender import Sender, resolve


@click.group()
def probe() -> None:
    """Try whether packets are filtered as NetworkPolicies say."""


@probe.command()
@click.option("--address", required=True, help="The pod's own.")
def answer(address: str) -> None:
    """Answer on every port of the probe."""
    asyncio.run(receiver.serve(address))


@probe.command("try")
@click.option("--address", required=True, help="The pod's own, where the kubelet asks.")
@click.option("--receivers", required=True, help="The name behind which those are that answer.")
@click.option("--seconds", default=15.0, show_default=True, help="From one round to the next.")
def try_(address: str, receivers: str, seconds: float) -> None:
    """Try what is allowed and what is refused; end when something arrives that is refused."""
    reached = asyncio.run(_try(address, receivers, seconds))
    # The kubelet puts the last lines into the status of the pod.
    click.echo("\n".join(reached))
    sys.exit(NOT_FILTERED)


async def _try(address: str, receivers: str, seconds: float) -> tuple[str, ...]:
    sender = Sender(lambda: resolve(receivers), seconds)
    async with await sender.serve_health(address):
        return await sender.run()


if __name__ == "__main__":
    probe()
