"""Emails as drafts: the EWS operations that create, look at and send them, under the server's own names.

A draft carries our id of the email in a property that mail programs do not show, so that it is found again.
"""

from base64 import b64decode, b64encode
from collections.abc import Collection, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from lxml import etree
from lxml.etree import _Element

from shared.connectors.exchange.folders import FindItem
from shared.connectors.exchange.operation import element
from shared.connectors.exchange.records import M
from shared.connectors.exchange.refusals import DeliveryOperation
from shared.connectors.exchange.values import T, time_of
from shared.connectors.exchange.xml import MalformedReply, writable
from shared.connectors.mime.written_addresses import written_address
from shared.domain.choices import Priority
from shared.domain.email import Address, ItemRef
from shared.domain.errors import DraftGone, SyncError
from shared.domain.folders import DRAFTS, SENT_ITEMS
from shared.domain.outgoing import OutgoingAttachment, OutgoingMessage, Receipt

MOST_FOUND = 100
"""Drafts asked for at once."""
MOST_KEYS = 20
"""Terms of one restriction."""
LONGEST_MAKING = timedelta(minutes=15)
"""Nobody makes a draft for so long: whatever changes it afterwards is a person."""

KEY = (
    '<t:ExtendedFieldURI PropertySetId="7f2c6ad1-43b5-4a0e-9d61-2f86c1b7e5d4" PropertyName="SidesyncKey"'
    ' PropertyType="String"/>'
)
_CONVERSATION_INDEX = '<t:ExtendedFieldURI PropertyTag="0x0071" PropertyType="Binary"/>'
"""PidTagConversationIndex ([MS-OXPROPS] 2.644): the element of the message itself cannot be written."""
_EXTENDED = {path: element(f"<t:ExtendedProperty>{path}<t:Value/></t:ExtendedProperty>") for path in (KEY, _CONVERSATION_INDEX)}
_HAS_KEY = element(f'<t:IsEqualTo>{KEY}<t:FieldURIOrConstant><t:Constant Value=""/></t:FieldURIOrConstant></t:IsEqualTo>')
_PRESENT_SHAPE = element(
    '<m:ItemShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties><t:FieldURI FieldURI="item:IsSubmitted"/>'
    '<t:FieldURI FieldURI="item:IsDraft"/></t:AdditionalProperties></m:ItemShape>'
)
_FOUND_SHAPE = element(
    '<m:ItemShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties><t:FieldURI FieldURI="item:IsSubmitted"/>'
    '<t:FieldURI FieldURI="item:IsDraft"/><t:FieldURI FieldURI="item:DateTimeCreated"/>'
    '<t:FieldURI FieldURI="item:LastModifiedTime"/></t:AdditionalProperties></m:ItemShape>'
)
_IMPORTANCE = {Priority.LOW: "Low", Priority.HIGH: "High"}
_INDEX_HEADER, _INDEX_STEP, _MOST_STEPS = 22, 5, 400
"""Bytes of a conversation index: its header, and what each answer adds ([MS-OXOMSG] 2.2.1.3)."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft in the version that is known. Each change of it, an attachment too, gives it a new change key."""

    id: str
    change_key: str

    @property
    def reference(self) -> str:
        return f"{self.id} {self.change_key}"

    @classmethod
    def of(cls, reference: str) -> Self:
        identity, _, change_key = reference.partition(" ")
        return cls(identity, change_key)

    @classmethod
    def in_reply(cls, item: _Element | None) -> Self:
        """Raises MalformedReply."""
        found = item.find(f"{T}ItemId") if item is not None else None
        if found is None or not found.get("Id"):
            raise MalformedReply("the reply has no id of the draft")
        return cls(found.get("Id", ""), found.get("ChangeKey", ""))

    def element(self, name: str) -> _Element:
        version = {"ChangeKey": writable(self.change_key)} if self.change_key else {}
        return etree.Element(name, {"Id": writable(self.id), **version})


@dataclass(frozen=True, slots=True)
class Parcel:
    """An email with those of its attachments that go along with the draft, and those that follow it one by one."""

    message: OutgoingMessage
    along: tuple[tuple[OutgoingAttachment, bytes], ...] = ()
    following: tuple[OutgoingAttachment, ...] = ()


@dataclass(frozen=True, slots=True)
class Created:
    draft: Draft
    attachments: int
    """Those that the server took along."""


class CreateItem(DeliveryOperation):
    """https://learn.microsoft.com/exchange/client-developer/web-service-reference/createitem-operation"""

    SERVICE_NAME = "CreateItem"

    def drafts(self, parcels: Sequence[Parcel]) -> Sequence[Created | SyncError]:
        """For each, in order, the new draft or the error that it has."""
        items = etree.Element(f"{M}Items")
        items.extend(self._message(parcel) for parcel in parcels)
        folder = self.folder_id("SavedItemFolderId", DRAFTS.id)
        messages = self.ask(self.payload(folder, items, MessageDisposition="SaveOnly"))
        with self.errors():
            return [self.refusal(each) or _created(each) for each in as_many(messages, parcels)]

    def _message(self, parcel: Parcel) -> _Element:
        """In the order of the schema."""
        message = parcel.message
        item = etree.Element(f"{T}Message")
        _text(item, "Subject", message.subject)
        is_html = message.body_html is not None
        body = _text(item, "Body", message.body_text if message.body_html is None else message.body_html)
        body.set("BodyType", "HTML" if is_html else "Text")
        if parcel.along:
            attachments = etree.SubElement(item, f"{T}Attachments")
            attachments.extend(file_attachment(each, b64encode(content).decode()) for each, content in parcel.along)
        if importance := _IMPORTANCE.get(message.priority):
            _text(item, "Importance", importance)
        if message.in_reply_to:
            _text(item, "InReplyTo", f"<{message.in_reply_to}>")
        item.append(_property(KEY, message.key))
        if message.conversation_index and _is_index(message.conversation_index):
            item.append(_property(_CONVERSATION_INDEX, message.conversation_index))
        now = frozenset(message.recipients)
        for name, everybody in (("To", message.to), ("Cc", message.cc), ("Bcc", message.bcc)):
            if addresses := [each for each in everybody if each.address in now]:
                etree.SubElement(item, f"{T}{name}Recipients").extend(map(_mailbox, addresses))
        if message.read_receipt:
            _text(item, "IsReadReceiptRequested", "true")
        if message.delivery_receipt:
            _text(item, "IsDeliveryReceiptRequested", "true")
        if self._names_sender(message):
            etree.SubElement(item, f"{T}From").append(_mailbox(message.from_))
        _text(item, "InternetMessageId", f"<{message.message_id}>")
        if message.references:
            _text(item, "References", " ".join(f"<{each}>" for each in message.references))
        return item

    def _names_sender(self, message: OutgoingMessage) -> bool:
        """Without it who signs in sends. Sender is Exchange's own to write, where that one may only send on behalf."""
        mailbox = self.account.primary_smtp_address
        return not self.account.acts_as_mailbox or message.from_.address.lower() != mailbox.lower()


def _created(message: _Element) -> Created:
    item = message.find(f"{M}Items/*")
    taken = len(item.findall(f"{T}Attachments/*/{T}AttachmentId")) if item is not None else 0
    return Created(Draft.in_reply(item), taken)


class SendItem(DeliveryOperation):
    """https://learn.microsoft.com/exchange/client-developer/web-service-reference/senditem-operation"""

    SERVICE_NAME = "SendItem"
    GONE = DraftGone

    def send(self, drafts: Sequence[Draft], *, save_copy: bool) -> Sequence[Receipt | SyncError]:
        """For each, in order, what the server answers."""
        ids = etree.Element(f"{M}ItemIds")
        ids.extend(draft.element(f"{T}ItemId") for draft in drafts)
        # Named even where it is the default: for a delegate that would be the folder of who signed in.
        folder = [self.folder_id("SavedItemFolderId", SENT_ITEMS.id)] if save_copy else []
        messages = self.ask(self.payload(ids, *folder, SaveItemToFolder="true" if save_copy else "false"))
        with self.errors():
            return [self.refusal(each) or Receipt() for each in as_many(messages, drafts)]


class GetDraft(DeliveryOperation):
    """https://learn.microsoft.com/exchange/client-developer/web-service-reference/getitem-operation"""

    SERVICE_NAME = "GetItem"
    GONE = DraftGone

    def present(self, drafts: Sequence[Draft]) -> Sequence[Draft | SyncError | None]:
        """For each, in order, its present version, or the error that it has; None where it is on its way, and so no draft any
        more."""
        ids = etree.Element(f"{M}ItemIds")
        ids.extend(Draft(draft.id, "").element(f"{T}ItemId") for draft in drafts)
        messages = self.ask(self.payload(deepcopy(_PRESENT_SHAPE), ids))
        with self.errors():
            return [self.refusal(each) or _waiting(each.find(f"{M}Items/*")) for each in as_many(messages, drafts)]


def _waiting(item: _Element | None) -> Draft | None:
    return None if item is not None and is_on_its_way(item) else Draft.in_reply(item)


def is_on_its_way(item: _Element) -> bool:
    """Submitted or sent, and so no draft any more."""
    return item.findtext(f"{T}IsSubmitted") == "true" or item.findtext(f"{T}IsDraft") == "false"


class FindDraft(FindItem):
    """Drafts by our id of the email."""

    def of(self, keys: Collection[str]) -> Sequence[ItemRef]:
        """Those that carry one of the keys, are not on their way, and that nobody has worked on, of the first `MOST_FOUND` with
        such a key."""
        items = self.items(DRAFTS.id, MOST_FOUND, carrying(keys), _FOUND_SHAPE)
        with self.errors():
            ours = [each for each in items if not _was_worked_on(each)]
            return [ItemRef(draft.id, DRAFTS.id) for each in ours if (draft := _waiting(each))]


def _was_worked_on(item: _Element) -> bool:
    created, modified = (time_of(item.findtext(f"{T}{name}")) for name in ("DateTimeCreated", "LastModifiedTime"))
    return created is not None and modified is not None and modified - created > LONGEST_MAKING


def carrying(keys: Collection[str]) -> _Element:
    """The restriction to what carries one of the keys."""
    found = etree.Element(f"{M}Restriction")
    tests = [_has_key(key) for key in keys]
    if len(tests) > 1:
        etree.SubElement(found, f"{T}Or").extend(tests)
    else:
        found.extend(tests)
    return found


def as_many[E](messages: Sequence[_Element], asked: Sequence[E]) -> Sequence[_Element]:
    """The response messages. Raises MalformedReply where there are more or fewer than was asked for."""
    if len(messages) != len(asked):
        raise MalformedReply(f"the reply has {len(messages)} response messages instead of {len(asked)}")
    return messages


def file_attachment(attachment: OutgoingAttachment, content: str) -> _Element:
    """`content` is base64, or stands for it."""
    item = etree.Element(f"{T}FileAttachment")
    _text(item, "Name", attachment.name)
    _text(item, "ContentType", attachment.content_type)
    if attachment.content_id:
        _text(item, "ContentId", attachment.content_id)
    _text(item, "IsInline", "true" if attachment.is_inline else "false")
    etree.SubElement(item, f"{T}Content").text = content
    return item


def _text(parent: _Element, name: str, text: str) -> _Element:
    child = etree.SubElement(parent, f"{T}{name}")
    child.text = writable(text)
    return child


def _property(path: str, value: str) -> _Element:
    found = deepcopy(_EXTENDED[path])
    found[1].text = writable(value)
    return found


def _has_key(key: str) -> _Element:
    test = deepcopy(_HAS_KEY)
    test[1][0].set("Value", writable(key))
    return test


def _mailbox(address: Address) -> _Element:
    mailbox = etree.Element(f"{T}Mailbox")
    if address.name:
        _text(mailbox, "Name", address.name)
    _text(mailbox, "EmailAddress", written_address(address.address, utf8=True) or address.address)
    return mailbox


def _is_index(text: str) -> bool:
    """Whether it is one: Exchange would refuse the whole request else."""
    try:
        index = b64decode(text, validate=True)
    except ValueError:
        return False
    steps, rest = divmod(len(index) - _INDEX_HEADER, _INDEX_STEP)
    return index[:1] == b"\1" and rest == 0 and 0 <= steps <= _MOST_STEPS
