"""Where a mail server may be: the rules for server locations and token authorities, as far as their text tells.

The connector checks the address that a name resolves to when it connects; this module resolves nothing.
"""

import ipaddress
from urllib.parse import SplitResult, urlsplit

from shared.administration.rules import Rules, is_host_name
from shared.domain.errors import InvalidRecord

_METADATA_SERVICES = tuple(map(ipaddress.ip_address, ("169.254.169.254", "168.63.129.16", "100.100.100.200", "fd00:ec2::254")))
"""They hand out credentials of the platform: no mail server, whatever is allowed."""

LONGEST_LOCATION = 2084
"""emailserverprofile.incomingserverlocation."""


def server_location(field: str, value: str, rules: Rules) -> str:
    """The URL of a mail server."""
    trimmed = value.strip()
    if not 0 < len(trimmed) <= LONGEST_LOCATION or not trimmed.isprintable() or " " in trimmed or "\\" in trimmed:
        raise InvalidRecord(field, f"{field} is not a URL", _EXAMPLE)
    url = _parsed(field, trimmed)
    _check_scheme(field, url, rules)
    if url.username is not None or url.password is not None:
        raise InvalidRecord(
            field,
            f"{field} contains a user name or password",
            "Remove what stands before the @; credentials have their own fields.",
        )
    if "#" in trimmed or "?" in trimmed:
        raise InvalidRecord(field, f"{field} has a query or a fragment", "Remove the part from the ? or # on.")
    _check_host(field, url.hostname or "", rules)
    return trimmed


def host_name(field: str, value: str, rules: Rules) -> str:
    """The host of a POP3, IMAP or SMTP server: its name or address alone, its port stands beside it."""
    trimmed = value.strip()
    if "://" in trimmed or "/" in trimmed or (":" in trimmed and not _is_address(trimmed)):
        raise InvalidRecord(
            field, f"{field} is no host name", "Write the host alone, such as mail.contoso.com; the port has its own field."
        )
    _check_host(field, trimmed, rules)
    return trimmed


def authority(field: str, value: str, rules: Rules) -> str:
    """The host that issues tokens: a host name, with a port if it needs one."""
    trimmed = value.strip()
    if "/" in trimmed:
        raise InvalidRecord(
            field, f"{field} is no host", "Write the host alone, such as login.microsoftonline.us, without https:// and path."
        )
    server_location(field, f"https://{trimmed}", rules)
    return trimmed


def host_of(location: str) -> str:
    """The host that a stored location names, in lower case; empty where it names none."""
    bracketed = f"[{location}]" if _is_address(location) and ":" in location else location
    url = urlsplit(location if "://" in location else f"https://{bracketed}")
    return (url.hostname or "").lower()


_EXAMPLE = "Write the full URL, such as https://mail.contoso.com/EWS/Exchange.asmx."


def _parsed(field: str, value: str) -> SplitResult:
    try:
        url = urlsplit(value)
        _ = url.port
    except ValueError as error:
        raise InvalidRecord(field, f"{field} is not a URL", _EXAMPLE) from error
    if not url.hostname or url.port == 0:
        raise InvalidRecord(field, f"{field} names no server", _EXAMPLE)
    return url


def _check_scheme(field: str, url: SplitResult, rules: Rules) -> None:
    if url.scheme == "https" or (url.scheme == "http" and rules.allow_local_servers):
        return
    raise InvalidRecord(
        field, f"{field} does not use TLS", "Begin it with https://. Mail and credentials never travel unencrypted."
    )


def _check_host(field: str, host: str, rules: Rules) -> None:
    if not _is_address(host):
        _check_name(field, host, rules)
        return
    written = ipaddress.ip_address(host)
    address = getattr(written, "ipv4_mapped", None) or written
    if address in _METADATA_SERVICES:
        raise InvalidRecord(field, f"{field} is an address of the cloud platform itself", "Write the name of the mail server.")
    if _is_local(address) and not rules.allow_local_servers:
        raise InvalidRecord(field, f"{field} is an address of this machine or network link", _NOT_LOCAL)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_local(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """This machine, its link, or nobody. Private networks are none of that: Exchange Server stands in them."""
    return address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast


def _check_name(field: str, host: str, rules: Rules) -> None:
    if not is_host_name(host):
        raise InvalidRecord(field, f"{field} names no server", _EXAMPLE)
    if (host == "localhost" or host.endswith(".localhost")) and not rules.allow_local_servers:
        raise InvalidRecord(field, f"{field} is an address of this machine or network link", _NOT_LOCAL)


_NOT_LOCAL = (
    "Write the name of the mail server. Local servers are allowed by the organisation setting allow_insecure_servers, or by"
    " the setting SIDESYNC_ALLOW_LOCAL_SERVERS."
)
