"""The EWS operations that the connector calls, one class each, under the server's own names.

exchangelib builds the envelope, knows the faults and the versions; requests are written and replies are read here. An
operation is asked once: what fails is raised, mapped, and whoever called decides.
"""

from base64 import b64decode
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

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

from shared.connectors.exchange.errors import back_off, error_of, mapped
from shared.connectors.exchange.records import (
    AUTH_AS,
    FROM_SMTP_ADDRESS,
    SENDER_SMTP_ADDRESS,
    Embedded,
    Fetched,
    M,
    T,
    embedded,
    fetched,
    listed_item,
)
from shared.connectors.exchange.session import Session
from shared.connectors.exchange.xml import ContentAbsent, MalformedReply, NoEws, content, parsed, writable
from shared.domain.email import INBOX, Folder, ItemRef, Page
from shared.domain.errors import Busy, FolderNotFound, ItemError, ItemGone, ItemUnreadable, SyncError

_NAMESPACES = {"m": M.strip("{}"), "t": T.strip("{}")}
_TOO_OLD = (ErrorInvalidServerVersion, ErrorIncorrectSchemaVersion, ErrorInvalidSchemaVersionForMailboxVersion)


def _element(xml: str) -> _Element:
    declarations = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in _NAMESPACES.items())
    name, _, rest = xml.partition(">")
    return etree.fromstring(f"{name} {declarations}>{rest}".encode())


def _properties(*paths: str) -> str:
    fields = "".join(path if path.startswith("<") else f'<t:FieldURI FieldURI="{path}"/>' for path in paths)
    return f"<t:AdditionalProperties>{fields}</t:AdditionalProperties>"


_AUTH_AS = f'<t:ExtendedFieldURI DistinguishedPropertySetId="InternetHeaders" PropertyName="{AUTH_AS}" PropertyType="String"/>'
_FROM_SMTP = f'<t:ExtendedFieldURI PropertyTag="{FROM_SMTP_ADDRESS:#06x}" PropertyType="String"/>'
_SENDER_SMTP = f'<t:ExtendedFieldURI PropertyTag="{SENDER_SMTP_ADDRESS:#06x}" PropertyType="String"/>'

_LISTED = "item:ItemClass item:DateTimeReceived item:Size item:IsDraft item:IsFromMe message:InternetMessageId message:From"
_FETCHED = (
    "item:Subject item:Body item:Attachments item:DateTimeReceived item:DateTimeSent item:Size item:Importance item:InReplyTo"
    " message:InternetMessageId message:References message:ConversationIndex"
    " message:From message:Sender message:ToRecipients message:CcRecipients"
)
LISTED_SHAPE = _element(
    f"<m:ItemShape><t:BaseShape>IdOnly</t:BaseShape>{_properties(*_LISTED.split(), _AUTH_AS, _FROM_SMTP)}</m:ItemShape>"
)
FETCHED_SHAPE = _element(
    "<m:ItemShape><t:BaseShape>IdOnly</t:BaseShape><t:BodyType>Best</t:BodyType>"
    "<t:FilterHtmlContent>false</t:FilterHtmlContent>"
    f"{_properties(*_FETCHED.split(), _AUTH_AS, _FROM_SMTP, _SENDER_SMTP)}</m:ItemShape>"
)
_ID_SHAPE = _element("<m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape>")
_MIME_SHAPE = _element(
    "<m:ItemShape><t:BaseShape>IdOnly</t:BaseShape><t:IncludeMimeContent>true</t:IncludeMimeContent></m:ItemShape>"
)
_IDENTITY = _properties("item:Subject", "item:DateTimeSent", "message:InternetMessageId", "message:From", "message:Sender")
_EMBEDDED_SHAPE = _element(f"<m:AttachmentShape><t:BodyType>Text</t:BodyType>{_IDENTITY}</m:AttachmentShape>")
_EMBEDDED_MIME_SHAPE = _element(
    f"<m:AttachmentShape><t:IncludeMimeContent>true</t:IncludeMimeContent><t:BodyType>Text</t:BodyType>{_IDENTITY}"
    "</m:AttachmentShape>"
)
_EMBEDDED_STREAM_SHAPE = _element(
    "<m:AttachmentShape><t:IncludeMimeContent>true</t:IncludeMimeContent><t:BodyType>Text</t:BodyType></m:AttachmentShape>"
)

MIME_CONTENT = f"{T}MimeContent"
FILE_CONTENT = f"{T}Content"


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
        except Exception as error:
            raise mapped(error, self.SERVICE_NAME, profile_wide=self.protocol.profile_wide) from error

    def ask(self, payload: _Element) -> Sequence[_Element]:
        """The response messages, in the server's order."""
        with self.errors():
            for api_version in self._api_versions_to_try():
                try:
                    reply = self.account.reply(self.wrap(payload, api_version), self._extra_headers())
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

    def _payload(self, *children: _Element, **attributes: str) -> _Element:
        payload = etree.Element(f"{M}{self.SERVICE_NAME}", attributes, _NAMESPACES)
        payload.extend(children)
        return payload


def _back_off_of(details: _Element | None) -> timedelta | None:
    for value in details if details is not None else ():
        if value.get("Name") == "BackOffMilliseconds":
            return back_off(value.text)
    return None


def _item_ids(refs: Sequence[ItemRef]) -> _Element:
    ids = etree.Element(f"{M}ItemIds")
    for ref in refs:
        etree.SubElement(ids, f"{T}ItemId", Id=writable(ref.id))
    return ids


class SyncFolderItems(Operation):
    """https://learn.microsoft.com/exchange/client-developer/web-service-reference/syncfolderitems-operation"""

    SERVICE_NAME = "SyncFolderItems"

    def page(self, folder: Folder, watermark: str | None, limit: int) -> Page:
        """Raises WatermarkExpired, FolderNotFound."""
        try:
            messages = self.ask(self._request(folder, watermark, limit))
            with self.errors():
                return self.read(messages, folder, watermark)
        except ItemError as error:
            raise _of_folder(error) from error

    def read(self, messages: Sequence[_Element], folder: Folder, watermark: str | None) -> Page:
        """The page that the only response message is."""
        message = _only(messages)
        self.check(message)  # first of all: an error may come without a SyncState, which exchangelib stumbles over
        state = message.findtext(f"{M}SyncState")
        changes = message.find(f"{M}Changes")
        if not state or changes is None:
            raise MalformedReply(f"{self.SERVICE_NAME}: the reply has no SyncState or no Changes")
        last = message.findtext(f"{M}IncludesLastItemInRange") != "false"
        try:
            items = tuple(listed_item(change, folder.id) for change in changes)
        except (LookupError, TypeError) as error:
            raise MalformedReply(f"{self.SERVICE_NAME}: an item is not what the schema says") from error
        return Page(items, state, more=not last and (bool(items) or state != watermark))

    def _request(self, folder: Folder, watermark: str | None, limit: int) -> _Element:
        children = [deepcopy(LISTED_SHAPE), self._folder(folder)]
        if watermark:
            state = etree.Element(f"{M}SyncState")
            state.text = writable(watermark)
            children.append(state)
        most = etree.Element(f"{M}MaxChangesReturned")
        most.text = str(limit)
        return self._payload(*children, most)

    def _folder(self, folder: Folder) -> _Element:
        """By its distinguished name, so that nobody has to ask for its id first."""
        element = etree.Element(f"{M}SyncFolderId")
        if folder.id != INBOX.id:
            etree.SubElement(element, f"{T}FolderId", Id=writable(folder.id))
            return element
        inbox = etree.SubElement(element, f"{T}DistinguishedFolderId", Id="inbox")
        if not self.account.acts_as_mailbox:
            mailbox = etree.SubElement(inbox, f"{T}Mailbox")
            etree.SubElement(mailbox, f"{T}EmailAddress").text = self.account.primary_smtp_address
        return element


def _of_folder(error: ItemError) -> SyncError:
    """An item error of a folder: it is gone, or the server cannot list it now."""
    return FolderNotFound(str(error)) if isinstance(error, ItemGone) else Busy(str(error))


def _only(messages: Sequence[_Element]) -> _Element:
    if len(messages) != 1:
        raise MalformedReply(f"the reply has {len(messages)} response messages instead of one")
    return messages[0]


class GetItem(Operation):
    """https://learn.microsoft.com/exchange/client-developer/web-service-reference/getitem-operation"""

    SERVICE_NAME = "GetItem"

    def fetch(self, refs: Sequence[ItemRef]) -> Sequence[Fetched | SyncError]:
        """One outcome for each of `refs` in their order, or of the first of them where the server stopped."""
        return self.read(self.ask(self._payload(deepcopy(FETCHED_SHAPE), _item_ids(refs))), refs)

    def read(self, messages: Sequence[_Element], refs: Sequence[ItemRef]) -> Sequence[Fetched | SyncError]:
        with self.errors():
            return [self._outcome(message, ref) for message, ref in zip(messages, refs, strict=False)]

    def _outcome(self, message: _Element, ref: ItemRef) -> Fetched | SyncError:
        if error := self.error(message):
            return error
        items = message.find(f"{M}Items")
        if items is None or not len(items):
            return ItemUnreadable(f"{self.SERVICE_NAME}: the reply has no item")
        try:
            return fetched(items[0], ref)
        except ItemUnreadable as error:
            return error

    def exists(self, ref: ItemRef) -> bool:
        """Whether the server still has the item: the smallest question there is."""
        error = self.error(_only(self.ask(self._payload(deepcopy(_ID_SHAPE), _item_ids([ref])))))
        if isinstance(error, ItemGone):
            return False
        if error:
            raise error
        return True

    def mime(self, ref: ItemRef) -> Iterator[bytes]:
        """The MIME form, streamed."""
        return self.stream(self._payload(deepcopy(_MIME_SHAPE), _item_ids([ref])), [MIME_CONTENT])


@dataclass(frozen=True, slots=True)
class AttachedItem:
    """An attached item: what it is, and its MIME form where that was asked for and given."""

    item: Embedded
    mime: bytes | None


class GetAttachment(Operation):
    """https://learn.microsoft.com/exchange/client-developer/web-service-reference/getattachment-operation"""

    SERVICE_NAME = "GetAttachment"

    def files(self, ids: Sequence[str]) -> dict[str, bytes]:
        """The content of those of the files that the server gives."""
        found: dict[str, bytes] = {}
        for attachment_id, attachment in self._given(ids, None):
            element = attachment.find(FILE_CONTENT)
            if element is not None and (decoded := _decoded(element.text)) is not None:
                found[attachment_id] = decoded
        return found

    def items(self, ids: Sequence[str], *, with_mime: bool) -> dict[str, AttachedItem]:
        """Those of the attached items that the server gives."""
        found: dict[str, AttachedItem] = {}
        for attachment_id, attachment in self._given(ids, _EMBEDDED_MIME_SHAPE if with_mime else _EMBEDDED_SHAPE):
            with self.errors():
                item = attachment[-1]
                found[attachment_id] = AttachedItem(embedded(item), _decoded(item.findtext(MIME_CONTENT)))
        return found

    def content(self, attachment_id: str, *, of_item: bool) -> Iterator[bytes]:
        """The content of a file, or the MIME form of an item, streamed."""
        shape = _EMBEDDED_STREAM_SHAPE if of_item else None
        return self.stream(self._request([attachment_id], shape), [MIME_CONTENT if of_item else FILE_CONTENT])

    def _given(self, ids: Sequence[str], shape: _Element | None) -> Iterator[tuple[str, _Element]]:
        messages = self.ask(self._request(ids, shape))
        for attachment_id, message in zip(ids, messages, strict=False):
            attachments = message.find(f"{M}Attachments")
            if self.error(message) is None and attachments is not None and len(attachments):
                yield attachment_id, attachments[0]

    def _request(self, ids: Sequence[str], shape: _Element | None) -> _Element:
        attachment_ids = etree.Element(f"{M}AttachmentIds")
        for each in ids:
            etree.SubElement(attachment_ids, f"{T}AttachmentId", Id=each)
        return self._payload(*([] if shape is None else [deepcopy(shape)]), attachment_ids)


def _decoded(text: str | None) -> bytes | None:
    """None where it is absent or not base64."""
    if text is None:
        return None
    try:
        return b64decode(text)
    except ValueError:
        return None


class DeleteItem(Operation):
    """https://learn.microsoft.com/exchange/client-developer/web-service-reference/deleteitem-operation"""

    SERVICE_NAME = "DeleteItem"

    def delete(self, ref: ItemRef) -> None:
        """Removes the item for good. Raises ItemGone where it is not there."""
        how: dict[str, Any] = {
            "DeleteType": "HardDelete",
            "SendMeetingCancellations": "SendToNone",
            "AffectedTaskOccurrences": "AllOccurrences",
            "SuppressReadReceipts": "true",
        }
        self.check(_only(self.ask(self._payload(_item_ids([ref]), **how))))
