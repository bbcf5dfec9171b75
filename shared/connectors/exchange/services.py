"""The EWS operations that read and delete items, one class each, under the server's own names."""

from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from lxml import etree
from lxml.etree import _Element

from shared.connectors.exchange.operation import Operation, element, item_ids, of_folder, only
from shared.connectors.exchange.records import (
    AUTH_AS,
    FROM_SMTP_ADDRESS,
    SENDER_SMTP_ADDRESS,
    Embedded,
    Fetched,
    M,
    embedded,
    envelope,
    fetched,
    listed_item,
)
from shared.connectors.exchange.values import T
from shared.connectors.exchange.xml import MalformedReply, writable
from shared.domain.email import JUDGED_HEADERS, Envelope, ItemRef, Page
from shared.domain.errors import ItemError, ItemGone, ItemUnreadable, SyncError
from shared.domain.folders import Folder


def _properties(*paths: str) -> str:
    fields = "".join(path if path.startswith("<") else f'<t:FieldURI FieldURI="{path}"/>' for path in paths)
    return f"<t:AdditionalProperties>{fields}</t:AdditionalProperties>"


def _header(name: str) -> str:
    return f'<t:ExtendedFieldURI DistinguishedPropertySetId="InternetHeaders" PropertyName="{name}" PropertyType="String"/>'


_AUTH_AS = _header(AUTH_AS)
_FROM_SMTP = f'<t:ExtendedFieldURI PropertyTag="{FROM_SMTP_ADDRESS:#06x}" PropertyType="String"/>'
_SENDER_SMTP = f'<t:ExtendedFieldURI PropertyTag="{SENDER_SMTP_ADDRESS:#06x}" PropertyType="String"/>'

_LISTED = (
    "item:ItemClass item:DateTimeReceived item:Size item:Categories item:IsDraft item:IsFromMe"
    " message:InternetMessageId message:From"
)
_JUDGED = (
    "item:ItemClass item:Subject item:DateTimeReceived item:DateTimeSent item:Size item:Categories item:InReplyTo"
    " message:InternetMessageId message:References message:ConversationIndex"
    " message:From message:Sender message:ToRecipients message:CcRecipients message:BccRecipients"
)
_CONTENT = "item:Body item:Attachments item:Importance message:ReplyTo"
_JUDGED_EXTENDED = (_AUTH_AS, _FROM_SMTP, _SENDER_SMTP, *(_header(name) for name in JUDGED_HEADERS))

LISTED_SHAPE = element(
    f"<m:ItemShape><t:BaseShape>IdOnly</t:BaseShape>{_properties(*_LISTED.split(), _AUTH_AS, _FROM_SMTP)}</m:ItemShape>"
)
ENVELOPE_SHAPE = element(
    f"<m:ItemShape><t:BaseShape>IdOnly</t:BaseShape>{_properties(*_JUDGED.split(), *_JUDGED_EXTENDED)}</m:ItemShape>"
)
FETCHED_SHAPE = element(
    "<m:ItemShape><t:BaseShape>IdOnly</t:BaseShape><t:BodyType>Best</t:BodyType>"
    "<t:FilterHtmlContent>false</t:FilterHtmlContent>"
    f"{_properties(*_JUDGED.split(), *_CONTENT.split(), *_JUDGED_EXTENDED)}</m:ItemShape>"
)
_ID_SHAPE = element("<m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape>")
_MIME_SHAPE = element(
    "<m:ItemShape><t:BaseShape>IdOnly</t:BaseShape><t:IncludeMimeContent>true</t:IncludeMimeContent></m:ItemShape>"
)
_IDENTITY = _properties("item:Subject", "item:DateTimeSent", "message:InternetMessageId", "message:From", "message:Sender")
_EMBEDDED_SHAPE = element(f"<m:AttachmentShape><t:BodyType>Text</t:BodyType>{_IDENTITY}</m:AttachmentShape>")
_EMBEDDED_MIME_SHAPE = element(
    f"<m:AttachmentShape><t:IncludeMimeContent>true</t:IncludeMimeContent><t:BodyType>Text</t:BodyType>{_IDENTITY}"
    "</m:AttachmentShape>"
)
_EMBEDDED_STREAM_SHAPE = element(
    "<m:AttachmentShape><t:IncludeMimeContent>true</t:IncludeMimeContent><t:BodyType>Text</t:BodyType></m:AttachmentShape>"
)

MIME_CONTENT = f"{T}MimeContent"
FILE_CONTENT = f"{T}Content"


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
            raise of_folder(error) from error

    def read(self, messages: Sequence[_Element], folder: Folder, watermark: str | None) -> Page:
        """The page that the only response message is."""
        message = only(messages)
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
        children = [deepcopy(LISTED_SHAPE), self.folder_id("SyncFolderId", folder.id)]
        if watermark:
            state = etree.Element(f"{M}SyncState")
            state.text = writable(watermark)
            children.append(state)
        most = etree.Element(f"{M}MaxChangesReturned")
        most.text = str(limit)
        return self.payload(*children, most)


class GetItem(Operation):
    """https://learn.microsoft.com/exchange/client-developer/web-service-reference/getitem-operation"""

    SERVICE_NAME = "GetItem"

    def fetch(self, refs: Sequence[ItemRef]) -> Sequence[Fetched | SyncError]:
        """One outcome for each of `refs` in their order, or of the first of them where the server stopped."""
        return self.read(self.ask(self.payload(deepcopy(FETCHED_SHAPE), item_ids(refs))), refs)

    def envelopes(self, refs: Sequence[ItemRef]) -> Sequence[Envelope | SyncError]:
        """As `fetch`, of what is outside of the messages."""
        messages = self.ask(self.payload(deepcopy(ENVELOPE_SHAPE), item_ids(refs)))
        with self.errors():
            return [self._outcome(message, ref, envelope) for message, ref in zip(messages, refs, strict=False)]

    def read(self, messages: Sequence[_Element], refs: Sequence[ItemRef]) -> Sequence[Fetched | SyncError]:
        with self.errors():
            return [self._outcome(message, ref, fetched) for message, ref in zip(messages, refs, strict=False)]

    def _outcome[R](self, message: _Element, ref: ItemRef, record: Callable[[_Element, ItemRef], R]) -> R | SyncError:
        if error := self.error(message):
            return error
        items = message.find(f"{M}Items")
        if items is None or not len(items):
            return ItemUnreadable(f"{self.SERVICE_NAME}: the reply has no item")
        try:
            return record(items[0], ref)
        except ItemUnreadable as error:
            return error

    def exists(self, ref: ItemRef) -> bool:
        """Whether the server still has the item: the smallest question there is."""
        error = self.error(only(self.ask(self.payload(deepcopy(_ID_SHAPE), item_ids([ref])))))
        if isinstance(error, ItemGone):
            return False
        if error:
            raise error
        return True

    def mime(self, ref: ItemRef) -> Iterator[bytes]:
        """The MIME form, streamed."""
        return self.stream(self.payload(deepcopy(_MIME_SHAPE), item_ids([ref])), [MIME_CONTENT])


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
        return self.payload(*([] if shape is None else [deepcopy(shape)]), attachment_ids)


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

    def delete(self, refs: Sequence[ItemRef], how: str = "HardDelete") -> Sequence[ItemError | None]:
        """Removes the items; for each the error that the server has for it. `how`: for good, or by SoftDelete so that a person
        can recover them."""
        attributes: dict[str, Any] = {
            "DeleteType": how,
            "SendMeetingCancellations": "SendToNone",
            "AffectedTaskOccurrences": "AllOccurrences",
            "SuppressReadReceipts": "true",
        }
        messages = self.ask(self.payload(item_ids(refs), **attributes))
        if len(messages) != len(refs):
            raise MalformedReply(f"the reply has {len(messages)} response messages instead of {len(refs)}")
        return [self._item_error(message) for message in messages]

    def _item_error(self, message: _Element) -> ItemError | None:
        error = self.error(message)
        if error is None or isinstance(error, ItemError):
            return error
        raise error
