"""SOAP Autodiscover (GetUserSettings): tells where the EWS of a mailbox is. Where that is, and where else to ask, can be set.

https://learn.microsoft.com/exchange/client-developer/web-service-reference/getusersettings-operation-soap
"""

from collections.abc import Collection
from dataclasses import dataclass

from lxml import etree

from local.mailserver.accounts import Account, Accounts
from local.mailserver.ews.authentication import authenticate
from local.mailserver.ews.text import escaped
from local.mailserver.faults import FaultKind, Faults
from local.mailserver.journal import Asked, Journal
from local.mailserver.listener import Disconnect
from local.mailserver.model import MailStore, NoSuchMailbox
from local.mailserver.web import Reply, Request

AUTODISCOVER_PATH = "/autodiscover/autodiscover.svc"
OPERATION = "GetUserSettings"
_A = "http://schemas.microsoft.com/exchange/2010/Autodiscover"
_SOAP = "http://schemas.xmlsoap.org/soap/envelope/"


@dataclass(slots=True)
class Whereabouts:
    """What the service answers; by default that this server has the mailbox."""

    ews_url: str | None = None
    """None is this server's own."""
    redirect_url: str | None = None
    """In the answer: ask there instead."""
    redirect_address: str | None = None
    location: str | None = None
    """HTTP redirects to there."""


class AutodiscoverEndpoint:
    def __init__(
        self, store: MailStore, accounts: Accounts, faults: Faults, journal: Journal, schemes: Collection[str]
    ) -> None:
        self.whereabouts = Whereabouts()
        self._store = store
        self._accounts = accounts
        self._faults = faults
        self._journal = journal
        self._schemes = schemes

    def handle(self, request: Request, ews_url: str) -> Reply:
        signed_in = authenticate(request, self._accounts, self._schemes)
        if not isinstance(signed_in, Account):
            self._record(None, signed_in.reply.status, "", None)
            return signed_in.reply
        asked = _mailbox_of(request.body)
        reply, code = self._answer(asked, ews_url)
        self._record(asked, reply.status, code, signed_in.username)
        return reply

    def _record(self, mailbox: str | None, status: int, code: str, username: str | None) -> None:
        self._journal.record(Asked("autodiscover", OPERATION, mailbox, status, code, username))

    def _answer(self, asked: str | None, ews_url: str) -> tuple[Reply, str]:
        where, faults = self.whereabouts, self._faults
        if faults.hit(FaultKind.CONNECTION_RESET, asked, OPERATION) is not None:
            raise Disconnect
        if faults.hit(FaultKind.UNAVAILABLE, asked, OPERATION) is not None:
            return Reply(503), ""
        if (nonsense := faults.hit(FaultKind.NONSENSE_REPLY, asked, OPERATION)) is not None:
            return Reply(200, [(nonsense.text or "<html></html>").encode()], "text/html"), ""
        if where.location is not None:
            return Reply(302, headers=[("Location", where.location)]), ""
        if (error := faults.hit(FaultKind.ERROR, asked, OPERATION)) is not None:
            return _reply(error.code, ""), error.code
        if where.redirect_url is not None:
            return _reply("RedirectUrl", _element("RedirectTarget", where.redirect_url)), "RedirectUrl"
        if where.redirect_address is not None:
            return _reply("RedirectAddress", _element("RedirectTarget", where.redirect_address)), "RedirectAddress"
        try:
            self._store.mailbox(asked or "")
        except NoSuchMailbox:
            return _reply("InvalidUser", ""), "InvalidUser"
        return _reply("NoError", _setting("ExternalEwsUrl", where.ews_url or ews_url)), "NoError"


def _mailbox_of(body: bytes) -> str | None:
    try:
        root = etree.fromstring(body, etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError:
        return None
    return root.findtext(f".//{{{_A}}}User/{{{_A}}}Mailbox")


def _element(name: str, text: str) -> str:
    return f"<{name}>{escaped(text).decode()}</{name}>"


def _setting(name: str, value: str) -> str:
    return f"<UserSettings><UserSetting>{_element('Name', name)}{_element('Value', value)}</UserSetting></UserSettings>"


def _reply(code: str, content: str) -> Reply:
    version = "".join(
        _element(name, number)
        for name, number in (
            ("MajorVersion", "15"),
            ("MinorVersion", "2"),
            ("MajorBuildNumber", "1544"),
            ("MinorBuildNumber", "4"),
            ("Version", "Exchange2013"),
        )
    )
    user = f"<UserResponse>{_element('ErrorCode', code)}{_element('ErrorMessage', '')}{content}</UserResponse>"
    text = (
        f'<s:Envelope xmlns:s="{_SOAP}"><s:Header><ServerVersionInfo xmlns="{_A}">{version}</ServerVersionInfo></s:Header>'
        f'<s:Body><GetUserSettingsResponseMessage xmlns="{_A}"><Response>{_element("ErrorCode", "NoError")}<ErrorMessage/>'
        f"<UserResponses>{user}</UserResponses></Response></GetUserSettingsResponseMessage></s:Body></s:Envelope>"
    )
    return Reply(200, [text.encode()], "text/xml; charset=utf-8")
