"""Where the EWS of a mailbox is, from what its profile says: the one place that reads location, port and TLS.

https://learn.microsoft.com/power-apps/developer/data-platform/reference/entities/emailserverprofile
"""

from urllib.parse import urlsplit, urlunsplit

from shared.connectors.exchange.destination import LocationRefused, checked_url
from shared.domain.configuration import Discovered, EmailServerProfile

EWS_PATH = "/EWS/Exchange.asmx"


def endpoint_of(profile: EmailServerProfile, discovered: Discovered | None, *, allow_local_servers: bool) -> str:
    """The URL of EWS: the one discovered, where the profile uses autodiscover. Else the location is that URL, or a host name;
    `incoming_port` replaces its port. Without TLS it is asked only where that is allowed. Raises LocationRefused."""
    if profile.use_autodiscover and discovered is not None:
        return checked_url(discovered.endpoint, allow_local_servers=allow_local_servers)
    location = (profile.incoming_location or "").strip()
    if not location:
        raise LocationRefused("The profile names no server location.")
    written = location if "://" in location else f"https://{location}"
    checked_url(written, allow_local_servers=allow_local_servers)
    scheme, _, path, query, _ = urlsplit(written)
    host, port = host_and_port(written)
    return checked_url(
        urlunsplit(
            (
                scheme if profile.incoming_use_tls else "http",
                _netloc(host, profile.incoming_port or port),
                path if path not in ("", "/") else EWS_PATH,
                query,
                "",
            )
        ),
        allow_local_servers=allow_local_servers,
    )


def host_and_port(url: str) -> tuple[str, int | None]:
    parts = urlsplit(url)
    return (parts.hostname or "").lower(), parts.port


def _netloc(host: str, port: int | None) -> str:
    name = f"[{host}]" if ":" in host else host
    return name if port is None else f"{name}:{port}"
