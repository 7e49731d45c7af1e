"""Ends of a flow as people write them: a namespace, a pod, a tenant, addresses, the internet."""

import ipaddress
from dataclasses import dataclass

from securetenant.answers.snapshot import Snapshot
from securetenant.checks import blocks
from securetenant.checks.blocks import Ranges

INTERNET = "internet"
NOT_PUBLIC = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "224.0.0.0/3",
)
"""IANA, "IPv4 Special-Purpose Address Registry"; of IPv6, 2000::/3 is public."""
_PUBLIC = blocks.union(
    (
        *blocks.without(
            (blocks.cidr("0.0.0.0/0"),), blocks.union(blocks.cidr(each) for each in NOT_PUBLIC)
        ),
        blocks.cidr("2000::/3"),
    )
)
_TENANT = "tenant:"


class UnknownPlaceError(Exception):
    """There is no such place; the message says what to write."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """One end of a question."""

    text: str
    """As it was written."""
    namespaces: tuple[str, ...] = ()
    """None for addresses."""
    pod: str = ""
    """One pod of the one namespace; otherwise all of them, and all that could be made."""
    addresses: Ranges = ()


def place(text: str, snapshot: Snapshot) -> Place:
    """Return what is meant; raises :class:`UnknownPlaceError`.

    A name is a namespace, and a tenant where there is no namespace of that name; ``tenant:acme`` is
    a tenant.
    """
    if text == INTERNET:
        return Place(text=text, addresses=_PUBLIC)
    if addresses := _addresses(text):
        return Place(text=text, addresses=addresses)
    owners = snapshot.owners
    name, slash, pod = text.partition("/")
    if name in owners and not text.startswith(_TENANT):
        known = {
            each["metadata"]["name"]
            for each in snapshot.pods
            if each["metadata"]["namespace"] == name
        }
        if slash and pod not in known:
            there = ", ".join(sorted(known)[:5]) or "none"
            raise UnknownPlaceError(
                f"There is no pod {pod} in {name}. Its pods are: {there}. Leave /{pod} out to ask"
                " about every pod that could be made there"
            )
        return Place(text=text, namespaces=(name,), pod=pod)
    spaces = snapshot.of_tenant(text.removeprefix(_TENANT))
    if spaces and not slash:
        return Place(text=text, namespaces=spaces)
    raise UnknownPlaceError(
        f"There is no namespace and no tenant {text.removeprefix(_TENANT)}, or you may not see it."
        " Write a namespace, namespace/pod, tenant:NAME, an address, a network such as"
        " 10.0.0.0/8, or internet"
    )


def may_be_a_namespace(text: str) -> bool:
    """Tell whether somebody may mean a namespace, or a pod in one."""
    return not (text == INTERNET or text.startswith(_TENANT) or _addresses(text))


def _addresses(text: str) -> Ranges:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return ()
    return (blocks.network(network),)
