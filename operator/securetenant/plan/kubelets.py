"""To which addresses the node reader's token may be shown: a kubelet names its own address.

Anyone who writes a Node's status could name any other: the cloud's metadata service, the API
server, something on the operator's own machine.
"""

import ipaddress
from urllib.parse import urlsplit

from securetenant.api import addresses
from securetenant.api.tenancysettings import SettingsSpec

_API_SERVER_PORT = 443
"""Of a URL that names none."""
_HIGHEST_PORT = 65535


def refusal(address: str, port: int, *, settings: SettingsSpec, server: str) -> str:
    """Say why no kubelet is asked there, or nothing. ``server`` is the API server's URL."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return "the Node has no InternalIP in its status"
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    if not 0 < port <= _HIGHEST_PORT:
        return f"the Node names port {port} for its kubelet"
    where = f"the Node names {address} as its InternalIP"
    if found.is_loopback or found.is_link_local or found.is_multicast or found.is_unspecified:
        return f"{where}, which is no address of a node"
    if any(found in each for each in settings.credential_networks):
        return f"{where}, where the cloud hands out credentials"
    if _is_api_server(found, port, settings, server):
        return f"{where} and port {port}, where the API server is"
    if settings.node_networks is not None and not _lies_in(found, settings.node_networks):
        return f"{where}, which is not in nodeNetworks of TenancySettings"
    return ""


def _is_api_server(
    found: ipaddress.IPv4Address | ipaddress.IPv6Address,
    port: int,
    settings: SettingsSpec,
    server: str,
) -> bool:
    """Tell whether it is the API server; its machine may have a kubelet at another port."""
    url = urlsplit(server)
    if url.hostname == str(found) and (url.port or _API_SERVER_PORT) == port:
        return True
    stated = settings.api_server
    return stated is not None and port in stated.ports and _lies_in(found, stated.addresses)


def _lies_in(
    found: ipaddress.IPv4Address | ipaddress.IPv6Address, networks: tuple[str, ...]
) -> bool:
    return any(
        network is not None and found in network for network in map(addresses.network, networks)
    )
