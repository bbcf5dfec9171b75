"""One EWS operation: asks once, reads the response messages, and maps what fails. Its subclasses carry the server's own names.

exchangelib builds the envelope, knows the faults and the versions; requests are written and replies are read here. An
operation is asked once: what fails is raised, mapped, and whoever called decides.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta

from exchangelib.errors import (
    ErrorIncorrectSchemaVersion,
    ErrorInvalidSchemaVersionForMailboxVersion,
    ErrorInvalidServerVersion,
    ResponseMessageError,
)
from exchangelib.services.common import EWSAccountService
from exchangelib.util import SOAPNS
from exchangelib.version import Version
from lxml import etree
from lxml.etree import _Element

from shared.connectors.exchange.errors import InvalidId, back_off, error_of, mapped
from shared.connectors.exchange.pool import RequestBody
from shared.connectors.exchange.records import M
from shared.connectors.exchange.session import Session
from shared.connectors.exchange.values import T
from shared.connectors.exchange.xml import ContentAbsent, MalformedReply, NoEws, content, parsed, writable
from shared.domain.email import ItemRef
from shared.domain.errors import Busy, FolderNotFound, ItemError, ItemGone, ItemUnreadable, SyncError
from shared.domain.folders import DRAFTS, INBOX, SENT_ITEMS

_NAMESPACES = {"m": M.strip("{}"), "t": T.strip("{}")}
_TOO_OLD = (ErrorInvalidServerVersion, ErrorIncorrectSchemaVersion, ErrorInvalidSchemaVersionForMailboxVersion)
_DISTINGUISHED = frozenset({INBOX.id, DRAFTS.id, SENT_ITEMS.id, "deleteditems", "msgfolderroot", "outbox"})
"""Folders that go by their distinguished name, so that nobody has to ask for their ids first."""


def element(xml: str) -> _Element:
    """A part of a request, written with the prefixes m and t."""
    declarations = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in _NAMESPACES.items())
    name, _, rest = xml.partition(">")
    if name.endswith("/"):
        name, rest = name[:-1], "/>"
        return etree.fromstring(f"{name} {declarations}{rest}".encode())
    return etree.fromstring(f"{name} {declarations}>{rest}".encode())


class NoContent(ItemUnreadable):
    """The server gives the item or attachment, but nothing in it."""


class Operation(EWSAccountService):  # type: ignore[misc] # exchangelib has no types
    """One EWS operation for one mailbox. Raises SyncError only."""

    account: Session

    def __init__(self, session: Session) -> None:
        super().__init__(account=session)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Foreign exceptions end here."""
        try:
            yield
        except SyncError:
            raise
        except Exception as error:  # whatever exchangelib, requests and lxml raise
            raise mapped(error, self.SERVICE_NAME, profile_wide=self.protocol.profile_wide) from error

    def ask(self, payload: _Element, body: Callable[[bytes], RequestBody] = bytes) -> Sequence[_Element]:
        """The response messages, in the server's order. `body` makes of the envelope what is sent; as it is, without one."""
        with self.errors():
            for api_version in self._api_versions_to_try():
                try:
                    reply = self.account.reply(body(self.wrap(payload, api_version)), self._extra_headers())
                    messages = self.messages(reply)
                except _TOO_OLD:
                    continue
                self._remember(api_version)
                return messages
            raise self._speaks_no_version()

    def messages(self, reply: bytes) -> Sequence[_Element]:
        """The response messages of a reply. Raises MalformedReply, or exchangelib's exception for a SOAP fault."""
        body = parsed(reply).find(f"{{{SOAPNS}}}Body")
        if body is None:
            raise NoEws(f"{self.SERVICE_NAME}: the reply is no SOAP envelope")
        messages: Sequence[_Element] = self._get_soap_messages(body=body)
        return messages

    def stream(self, payload: _Element, elements: Collection[str]) -> Iterator[bytes]:
        """The decoded content of the first of `elements`. Raises NoContent after a success without any."""
        with self.errors():
            for api_version in self._api_versions_to_try():
                body = self.wrap(payload, api_version)
                try:
                    yield from content(self.account.chunks(body, self._extra_headers()), elements)
                except ContentAbsent as absent:
                    with suppress(*_TOO_OLD):
                        self._check_all(absent.reply)
                        raise NoContent(f"{self.SERVICE_NAME}: the server gives no content") from absent
                except ValueError as error:
                    raise ItemUnreadable(f"{self.SERVICE_NAME}: the content is not base64") from error
                else:
                    return
            raise self._speaks_no_version()

    def _check_all(self, reply: bytes) -> None:
        for message in self.messages(reply):
            self.check(message)

    def _speaks_no_version(self) -> SyncError:
        return MalformedReply(f"{self.SERVICE_NAME}: the server accepts no version of EWS that is known.")

    def error(self, message: _Element) -> SyncError | None:
        """The error that a response message stands for; None for a success."""
        code = message.findtext(f"{M}ResponseCode")
        if code == "NoError":
            return None
        details = message.find(f"{M}MessageXml")
        wait = _back_off_of(details)
        original = self._get_exception(code, message.findtext(f"{M}MessageText") or "", details)
        named = type(original).__name__ if isinstance(original, ResponseMessageError) else code or "no response code"
        error = error_of(
            named,
            self.SERVICE_NAME,
            wait,
            profile_wide=self.protocol.profile_wide,
            as_delegate=not self.account.acts_as_mailbox,
        )
        error.__cause__ = original
        return error

    def check(self, message: _Element) -> None:
        if error := self.error(message):
            raise error

    def _remember(self, api_version: str) -> None:
        if api_version != self.account.version.api_version:
            self.account.version = self.protocol.config.version = Version(build=None, api_version=api_version)

    def _extra_headers(self) -> dict[str, bytes]:
        # Addresses may be written in any alphabet; http.client would insist on Latin-1.
        return {name: value.encode() for name, value in super()._extra_headers().items()}

    def payload(self, *children: _Element, **attributes: str) -> _Element:
        payload = etree.Element(f"{M}{self.SERVICE_NAME}", attributes, _NAMESPACES)
        payload.extend(children)
        return payload

    def folder_id(self, name: str, folder: str) -> _Element:
        """An element of that name with the id of a folder."""
        parent = etree.Element(f"{M}{name}")
        if folder not in _DISTINGUISHED:
            etree.SubElement(parent, f"{T}FolderId", Id=writable(folder))
            return parent
        distinguished = etree.SubElement(parent, f"{T}DistinguishedFolderId", Id=folder)
        if not self.account.acts_as_mailbox:
            mailbox = etree.SubElement(distinguished, f"{T}Mailbox")
            etree.SubElement(mailbox, f"{T}EmailAddress").text = self.account.primary_smtp_address
        return parent


def _back_off_of(details: _Element | None) -> timedelta | None:
    for value in details if details is not None else ():
        if value.get("Name") == "BackOffMilliseconds":
            return back_off(value.text)
    return None


def item_ids(refs: Sequence[ItemRef]) -> _Element:
    ids = etree.Element(f"{M}ItemIds")
    for ref in refs:
        etree.SubElement(ids, f"{T}ItemId", Id=writable(ref.id))
    return ids


def of_folder(error: ItemError) -> SyncError:
    """An item error of a folder: it is gone or never was, or the server cannot list it now."""
    return FolderNotFound(str(error)) if isinstance(error, ItemGone | InvalidId) else Busy(str(error))


def only(messages: Sequence[_Element]) -> _Element:
    if len(messages) != 1:
        raise MalformedReply(f"the reply has {len(messages)} response messages instead of one")
    return messages[0]
