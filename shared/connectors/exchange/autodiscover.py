"""Finds out where a mailbox is: SOAP Autodiscover (GetUserSettings), over the same guarded connections as EWS.

exchangelib builds the request. Its own search is not used: it asks over plain HTTP, believes DNS records and redirects that
anybody may have written, and cannot be told where not to go. Here credentials go only to hosts within the domain that belongs
to them (`locations.domains_of`), over TLS, and a refused credential is not taken to the next host.

https://learn.microsoft.com/exchange/client-developer/exchange-web-services/autodiscover-for-exchange
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from exchangelib.services import GetUserSettings
from exchangelib.util import ANS, SOAPNS
from lxml.etree import _Element

from shared.connectors.exchange.answers import Redirected
from shared.connectors.exchange.errors import mapped
from shared.connectors.exchange.locations import EWS_PATH, domains_of, online_host, trusted_url
from shared.connectors.exchange.session import Pools
from shared.connectors.exchange.xml import NoEws, parsed
from shared.domain.choices import AuthenticationProtocol, ServerType
from shared.domain.configuration import Discovered, EmailServerProfile, Mailbox
from shared.domain.errors import (
    AccessDenied,
    Busy,
    MailboxError,
    MailboxNotFound,
    SyncError,
    Throttled,
    TransientError,
    Unreachable,
)

PATH = "/autodiscover/autodiscover.svc"
MOST_STEPS = 5
"""Redirects that are followed, and hosts that are asked."""
LONGEST_QUESTION = timedelta(seconds=10)
"""Where nothing answers, the next host is asked soon."""

_A = f"{{{ANS}}}"
_SETTINGS = {"external_ews_url": "ExternalEwsUrl", "internal_ews_url": "InternalEwsUrl"}


class NotDiscovered(MailboxError):
    """Autodiscover is not offered for the domain, or does not know where the mailbox is."""

    code = "not_discovered"
    remedy = (
        "Check the mailbox's email address, and that https://autodiscover.<domain of who signs in> answers with a valid"
        " certificate;"
        " or switch autodiscover off and give the server location."
    )


class NoDomain(NotDiscovered):
    """There is no domain that the credentials may be sent to."""

    remedy = (
        "Write the user name as user@domain, or the tenant of an application as one of its domain names: autodiscover is asked"
        " there only. Or switch autodiscover off and give the server location."
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """What an autodiscover service says: where EWS is, or where else to ask."""

    endpoint: str | None
    version: str
    redirect: str | None = None


class Discovery:
    """`ports.Discover` for Exchange."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools

    def __call__(self, profile: EmailServerProfile, mailbox: Mailbox, now: datetime) -> Discovered:
        """Raises NotDiscovered, LocationRefused, AuthenticationFailed, MailboxNotFound, TransientError."""
        if profile.server_type is ServerType.EXCHANGE_ONLINE:
            return Discovered(f"https://{online_host(profile)}{EWS_PATH}", "", AuthenticationProtocol.OAUTH, now)
        answer = self._found(profile, mailbox)
        endpoint = self._trusted(answer.endpoint or "", profile, mailbox)
        return Discovered(endpoint, answer.version, self._pools.authentication_of(profile, mailbox, endpoint), now)

    def _found(self, profile: EmailServerProfile, mailbox: Mailbox) -> Answer:
        """The answer of the first host that has one. Raises what kept the last one from answering where none has."""
        failure: SyncError | None = None
        waiting, asked = list(places(profile, mailbox)), set[str]()
        while waiting and len(asked) < MOST_STEPS:
            url = waiting.pop(0)
            if url in asked:
                continue
            asked.add(url)
            try:
                answer = self._ask(url, profile, mailbox)
            except (Unreachable, AccessDenied) as error:  # a web server that is no Exchange may refuse us as well
                failure = failure or error
                continue
            if answer.redirect is None:
                return answer
            waiting.insert(0, self._trusted(answer.redirect, profile, mailbox))
        if failure is not None:
            raise failure
        raise NotDiscovered("Autodiscover leads from one place to the next and to none that answers.")

    def _trusted(self, url: str, profile: EmailServerProfile, mailbox: Mailbox) -> str:
        return trusted_url(url, profile, mailbox, allow_local_servers=self._pools.allow_local_servers)

    def _ask(self, url: str, profile: EmailServerProfile, mailbox: Mailbox) -> Answer:
        session = self._pools.session_beside(url, profile, mailbox, LONGEST_QUESTION)
        service = GetUserSettings(protocol=session.protocol)
        payload = service.get_payload(users=[mailbox.address], settings=list(_SETTINGS))
        try:
            return read(session.reply(service.wrap(payload, "Exchange2010"), {}))
        except Redirected as error:
            if not error.location:
                raise
            return Answer(None, "", redirect=error.location)
        except SyncError:
            raise
        except Exception as error:
            raise mapped(error, "Autodiscover", profile_wide=session.protocol.profile_wide) from error


def places(profile: EmailServerProfile, mailbox: Mailbox) -> Iterator[str]:
    """Where autodiscover is offered to who signs in for the mailbox. The web server of the domain itself comes
    last: it is seldom Exchange. Raises NoDomain."""
    domain = next(iter(domains_of(profile, mailbox)), None)
    if domain is None:
        raise NoDomain("Nothing that belongs to the credentials names a domain that autodiscover could be asked in.")
    at = "" if profile.incoming_port is None else f":{profile.incoming_port}"
    yield f"https://autodiscover.{domain}{at}{PATH}"
    yield f"https://{domain}{at}{PATH}"


def read(reply: bytes) -> Answer:
    """The answer that a reply is. Raises NoEws, NotDiscovered, MailboxNotFound, TransientError."""
    root = parsed(reply)
    response = root.find(f"{{{SOAPNS}}}Body/{_A}GetUserSettingsResponseMessage/{_A}Response")
    if response is None:
        raise NoEws("What answers at this location is no autodiscover service.")
    _check(response)
    user = response.find(f"{_A}UserResponses/{_A}UserResponse")
    if user is None:
        raise NoEws("The answer of autodiscover is about nobody.")
    match user.findtext(f"{_A}ErrorCode"):
        case "RedirectUrl":
            return Answer(None, "", redirect=user.findtext(f"{_A}RedirectTarget") or "")
        case "RedirectAddress":
            raise NotDiscovered("Autodiscover knows the mailbox under another address: use that one as the mailbox's address.")
    _check(user)
    found = {
        each.findtext(f"{_A}Name"): each.findtext(f"{_A}Value") for each in user.iterfind(f"{_A}UserSettings/{_A}UserSetting")
    }
    endpoint = next((url for name in _SETTINGS.values() if (url := found.get(name))), None)
    if endpoint is None:
        raise NotDiscovered("Autodiscover names no EWS for the mailbox.")
    return Answer(endpoint, _version(root))


def _check(element: _Element) -> None:
    """The error codes of a response as a whole, and of one user in it."""
    match element.findtext(f"{_A}ErrorCode"):
        case "NoError":
            return
        case "InvalidUser":
            raise MailboxNotFound("Autodiscover: InvalidUser")
        case "ServerBusy":
            raise Throttled("Autodiscover: ServerBusy")
        case "InternalServerError":
            raise Busy("Autodiscover: InternalServerError")
        case "InvalidDomain" | "NotFederated" | "SettingIsNotAvailable" as code:
            raise NotDiscovered(f"Autodiscover: {code}")
        case code:
            raise TransientError(f"Autodiscover: {code or 'no error code'}")


def _version(root: _Element) -> str:
    """Build of the server as its header names it, such as 15.2.2562.17; empty where it does not."""
    info = root.find(f"{{{SOAPNS}}}Header/{_A}ServerVersionInfo")
    names = ("MajorVersion", "MinorVersion", "MajorBuildNumber", "MinorBuildNumber")
    numbers = [info.findtext(f"{_A}{name}") or "" for name in names] if info is not None else []
    return ".".join(numbers) if numbers and all(number.isdecimal() for number in numbers) else ""
