"""Where the EWS of a mailbox is, from what its profile says or autodiscover found; and to which hosts its credentials may go.

https://learn.microsoft.com/power-apps/developer/data-platform/reference/entities/emailserverprofile
"""

from urllib.parse import urlsplit, urlunsplit

from shared.connectors.destinations import LocationRefused
from shared.connectors.exchange.sign_in import sign_in_of
from shared.connectors.guarded_http import checked_url
from shared.connectors.tokens import issuer_of
from shared.domain.choices import ServerType
from shared.domain.configuration import Discovered, EmailServerProfile, Mailbox

EWS_PATH = "/EWS/Exchange.asmx"

PUBLIC_ONLINE = "outlook.office365.com"
_ONLINE = {"login.microsoftonline.us": "outlook.office365.us", "login.partner.microsoftonline.cn": "partner.outlook.cn"}
"""Exchange Online of the national clouds, by who issues their tokens."""

_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})


class Outdated(LocationRefused):
    """What autodiscover found before is not where the credentials go now: they or the rule have changed since."""

    calls_for_discovery = True


def endpoint_of(
    profile: EmailServerProfile, mailbox: Mailbox, discovered: Discovered | None, *, allow_local_servers: bool
) -> str:
    """The URL of EWS: the one discovered, where the profile uses autodiscover. Else the location is that URL, or a host name;
    `incoming_port` replaces its port. Without TLS it is asked only where that is allowed. Raises LocationRefused."""
    if profile.use_autodiscover and discovered is not None:
        try:
            return trusted_url(discovered.endpoint, profile, mailbox, allow_local_servers=allow_local_servers)
        except LocationRefused as error:
            raise Outdated(str(error)) from error
    location = (profile.incoming_location or "").strip()
    if not location:
        raise LocationRefused("The profile names no server location.")
    written = location if "://" in location else f"https://{location}"
    checked_url(written, allow_local_servers=allow_local_servers)
    scheme, _, path, query, _ = urlsplit(written)
    host, port = host_and_port(written)
    chosen = scheme if profile.incoming_use_tls else "http"
    netloc = _netloc(host, profile.incoming_port or port)
    url = urlunsplit((chosen, netloc, path if path not in ("", "/") else EWS_PATH, query, ""))
    return checked_url(url, allow_local_servers=allow_local_servers)


def online_host(profile: EmailServerProfile) -> str:
    """Exchange Online is at one place in each cloud: nobody needs to look for it. Raises LocationRefused."""
    issuer, _ = host_and_port(f"https://{issuer_of(profile.credentials)}")
    return _ONLINE.get(issuer, PUBLIC_ONLINE)


def trusted_url(url: str, profile: EmailServerProfile, mailbox: Mailbox, *, allow_local_servers: bool) -> str:
    """A URL that a server named, if the credentials may be sent there: to the domain that goes with them, and
    what is below it. Raises LocationRefused, naming the host."""
    checked_url(url, allow_local_servers=allow_local_servers)
    host, _ = host_and_port(url)
    if any(host == domain or host.endswith(f".{domain}") for domain in domains_of(profile, mailbox)):
        return url
    if allow_local_servers and host in _THIS_MACHINE:
        return url
    raise LocationRefused(
        f"Autodiscover leads to the host {host}, which is outside the domain of the credentials: if that is right, give it as"
        " the server location instead."
    )


def domains_of(profile: EmailServerProfile, mailbox: Mailbox) -> tuple[str, ...]:
    """Where credentials may go; nowhere, where nothing that belongs to them names a domain. Raises LocationRefused,
    AuthenticationFailed where there are none.

    A password goes to the domain of its user name, a token to the tenant's domain, where the profile names the tenant by one.
    An address of a mailbox is no such name: whoever may write it would have the password sent to a domain of his own."""
    if profile.server_type is ServerType.EXCHANGE_ONLINE:
        return (online_host(profile),)
    sign_in = sign_in_of(profile, mailbox)
    who = sign_in.credentials
    domain = domain_of(f"@{who.tenant_id}" if sign_in.is_application else who.username or "")
    return (domain,) if domain else ()


def domain_of(address: str) -> str:
    """Empty where it has none, or one without a dot: nobody's domain in particular."""
    domain = address.rpartition("@")[2].strip().rstrip(".").lower() if "@" in address else ""
    return domain if "." in domain else ""


def host_and_port(url: str) -> tuple[str, int | None]:
    parts = urlsplit(url)
    return (parts.hostname or "").rstrip(".").lower(), parts.port


def _netloc(host: str, port: int | None) -> str:
    name = f"[{host}]" if ":" in host else host
    return name if port is None else f"{name}:{port}"
