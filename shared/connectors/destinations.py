"""Which addresses a connection may go to, and whom it trusts there, whatever protocol is spoken.

Never this machine (unless local servers are allowed) nor its platform's metadata service. Private networks are allowed: mail
servers stand in them. Whoever connects checks the address that is really connected, before a byte is sent.
"""

import ipaddress
import socket
import ssl
from functools import cache

from shared.domain.errors import MailboxError

_METADATA_SERVICES = frozenset(
    ipaddress.ip_address(address)
    for address in (
        "168.63.129.16",  # Azure's host
        "100.100.100.200",
        "192.0.0.192",
        "fd00:ec2::23",
        "fd00:ec2::254",
        "fd20:ce::254",
    )
)
"""Besides those on the link, which are refused as such: 169.254.169.254 of every cloud, and App Service's own."""
_TRANSLATED = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "::/96")))
"""NAT64, and what came before it: the last 32 bits are an IPv4 address."""

KEPT_ALIVE = (
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *((socket.IPPROTO_TCP, getattr(socket, name), 60) for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL") if hasattr(socket, name)),
)
"""Options of a socket; seconds. Between two requests may lie minutes, and Azure's outbound address translation forgets a silent
connection after four without telling: the next request would wait for its whole timeout."""


class LocationRefused(MailboxError):
    """The server location, or what its name resolves to, is not one that credentials may be sent to."""

    code = "location_refused"
    remedy = (
        "Give the server location as an https:// URL with a name that resolves to the mail server;"
        " local servers and plain http are only for a set-up that allows local servers."
    )


def is_refused(address: str, *, allow_local_servers: bool) -> bool:
    """Whether `address` is its platform's metadata service, its link, nobody's, or (unless allowed) this machine."""
    ip = _meant(ipaddress.ip_address(address.partition("%")[0]))
    if ip.is_loopback:
        return not allow_local_servers
    return (
        ip.is_link_local
        or ip.is_unspecified
        or ip.is_multicast
        or (ip.is_reserved and isinstance(ip, ipaddress.IPv4Address))
        or ip in _METADATA_SERVICES
    )


def _meant(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The IPv4 address that an IPv6 one stands for, where it does."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if not ip.is_loopback and not ip.is_unspecified and any(ip in network for network in _TRANSLATED):
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


@cache
def tls_context() -> ssl.SSLContext:
    """The machine's own trusted authorities: a company has its own, which no library knows."""
    return ssl.create_default_context()
