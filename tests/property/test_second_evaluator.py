"""Reachability against a second evaluator, pair by pair and address by address."""

import itertools

from hypothesis import given

from second_evaluator import Host, SecondEvaluator
from securetenant.checks import blocks
from securetenant.checks.reachability import World
from worlds import PORTS, PROTOCOLS, TENANT, Generated, owner, worlds

TRIED = (*itertools.product(PROTOCOLS, (*PORTS, 2, 444)), ("other", 0))
"""Ports, and one protocol that has none."""
OUTSIDE = ("10.0.0.1", "10.0.0.2", "10.0.0.5", "fd00::1", "203.0.113.7", "2001:db8::1")


@given(drawn=worlds)
def test_two_evaluators_say_the_same_of_every_pair_and_every_address(drawn: Generated) -> None:
    hosts = [
        Host(each.name, each.namespace, each.labels, each.addresses, each.ports, each.host_network)
        for each in drawn.pods
    ]
    hosts += [Host(each, None, {}, (each,), {}, False) for each in OUTSIDE]
    second = SecondEvaluator(drawn.labels, hosts, TRIED, drawn.policies, drawn.cluster)
    world = World(
        drawn.namespaces,
        drawn.pods,
        drawn.policies,
        drawn.cluster,
        tenant_label=TENANT,
        imagine=False,
    )
    number = {each.name: at for at, each in enumerate(hosts)}
    first = {
        (number[source], number[target], protocol, port)
        for one, other in itertools.product(drawn.labels, repeat=2)
        for flow in world.flows(one, other)
        for source, target in itertools.product(flow.source.pods, flow.target.pods)
        for protocol, port in TRIED
        if any(each.protocol == protocol and each.first <= port <= each.last for each in flow.ports)
    }
    for each in world.outside():
        for pod, address in itertools.product(each.end.pods, OUTSIDE):
            ends = (number[pod], number[address])
            if blocks.holds(each.addresses, blocks.address(address)):
                first.update(
                    (*(ends if each.direction == "Egress" else reversed(ends)), protocol, port)
                    for protocol, port in TRIED
                    if any(
                        span.protocol == protocol and span.first <= port <= span.last
                        for span in each.ports
                    )
                )
    pods = len(drawn.pods)
    for sender, receiver in itertools.product(range(len(hosts)), repeat=2):
        inside = [at for at in (sender, receiver) if at < pods]
        # Of addresses, World.outside speaks where the pod is a tenant's.
        if len(inside) == 2 or (inside and owner(drawn.pods[inside[0]].namespace)):
            for protocol, port in TRIED:
                asked = (sender, receiver, protocol, port)
                assert (asked in first) == second.allows(*asked), (
                    hosts[sender],
                    hosts[receiver],
                    protocol,
                    port,
                )
