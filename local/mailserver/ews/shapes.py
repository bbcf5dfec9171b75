"""What a request wants to see of items: its ItemShape made into a list of renderers in the order of the schema."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from lxml import etree

from local.mailserver.contents import Item
from local.mailserver.ews import extended, fields
from local.mailserver.ews.envelope import NAMES
from local.mailserver.ews.errors import SoapFault
from local.mailserver.ews.fields import EXTENDED_AFTER, ITEM_FIELDS, MESSAGE_FIELDS, Renderer
from local.mailserver.web import Stream

NOT_IN_LISTS = frozenset(
    "item:Body item:UniqueBody item:TextBody item:Attachments item:MimeContent item:InternetMessageHeaders"  # noqa: SIM905 - words, not quotes
    " message:ToRecipients message:CcRecipients message:BccRecipients message:ReplyTo".split()
)
"""Not served by SyncFolderItems and FindItem: asking for them there gives nothing."""

_DEFAULT = tuple(
    "item:Subject item:Sensitivity item:Body item:Attachments item:Size item:DateTimeSent item:DateTimeCreated"  # noqa: SIM905 - words, not quotes
    " item:HasAttachments message:From message:ToRecipients message:CcRecipients message:BccRecipients"
    " message:InternetMessageId message:IsRead message:References message:IsReadReceiptRequested"
    " message:IsDeliveryReceiptRequested message:IsResponseRequested".split()
)
"""What BaseShape Default shows of a message."""
_NOT_IN_ALL = frozenset({"item:MimeContent", "item:UniqueBody", "item:TextBody", "item:Preview"})
_TAGS = {
    "IPM.Schedule.Meeting.Request": b"MeetingRequest",
    "IPM.Schedule.Meeting.Canceled": b"MeetingCancellation",
    "IPM.Schedule.Meeting.Resp.Pos": b"MeetingResponse",
    "IPM.Schedule.Meeting.Resp.Neg": b"MeetingResponse",
    "IPM.Schedule.Meeting.Resp.Tent": b"MeetingResponse",
}


def item_tag(item: Item) -> bytes:
    """The element that an item of this class is written as."""
    return _TAGS.get(item.item_class, b"Message")


@dataclass(frozen=True, slots=True)
class Shape:
    """The renderers of a request."""

    renderers: Sequence[Renderer]

    def render(self, item: Item, out: list[bytes | Stream]) -> None:
        tag = item_tag(item)
        out.append(b"<t:%b>" % tag)
        for renderer in self.renderers:
            rendered = renderer(item)
            if isinstance(rendered, bytes):
                out.append(rendered)
            else:
                out.extend(rendered)
        out.append(b"</t:%b>" % tag)


def read_shape(element: etree._Element | None, *, in_list: bool = False, with_id: bool = True) -> Shape:
    """The shape that an ItemShape or AttachmentShape element asks for. Raises SoapFault."""
    return _shape(etree.tostring(element, with_tail=False) if element is not None else b"", in_list, with_id)


@lru_cache(maxsize=256)
def _shape(serialized: bytes, in_list: bool, with_id: bool) -> Shape:
    element = etree.fromstring(serialized) if serialized else etree.Element("none")
    base = element.findtext("t:BaseShape", "Default" if not with_id else "IdOnly", NAMES)
    wanted = set(_base_fields(base))
    wanted |= {path.get("FieldURI", "") for path in element.iterfind("t:AdditionalProperties/t:FieldURI", NAMES)}
    if element.findtext("t:IncludeMimeContent", "false", NAMES) in ("true", "1"):
        wanted.add("item:MimeContent")
    if with_id:
        wanted.add("item:ItemId")
    else:
        wanted -= {"item:ItemId", "item:ParentFolderId"}
    if in_list:
        wanted -= NOT_IN_LISTS
    paths = element.findall("t:AdditionalProperties/t:ExtendedFieldURI", NAMES)
    return Shape(tuple(_renderers(wanted, element, paths)))


def _base_fields(base: str) -> Iterable[str]:
    if base == "IdOnly":
        return ()
    if base == "Default":
        return _DEFAULT
    if base == "AllProperties":
        return [uri for uri in (*ITEM_FIELDS, *MESSAGE_FIELDS) if uri not in _NOT_IN_ALL]
    raise SoapFault("ErrorSchemaValidation", f"BaseShape {base} is none of IdOnly, Default, AllProperties.")


def _renderers(wanted: set[str], element: etree._Element, paths: list[etree._Element]) -> Iterable[Renderer]:
    body_type = _body_type(element, "BodyType", "Best")
    special = {
        "item:Body": fields.body(body_type),
        "item:UniqueBody": fields.unique_body(_body_type(element, "UniqueBodyType", body_type)),
    }
    for uri, renderer in ITEM_FIELDS.items():
        if uri in wanted:
            yield special.get(uri, renderer)
        if uri == EXTENDED_AFTER:
            yield from map(extended.renderer_of, paths)
    for uri, renderer in MESSAGE_FIELDS.items():
        if uri in wanted:
            yield renderer


def _body_type(element: etree._Element, name: str, default: str) -> str:
    value = element.findtext(f"t:{name}", default, NAMES)
    if value not in ("Best", "HTML", "Text"):
        raise SoapFault("ErrorSchemaValidation", f"{name} {value} is none of Best, HTML, Text.")
    return value
