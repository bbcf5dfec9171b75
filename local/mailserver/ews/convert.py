"""ConvertId: the operation that clients use to see which version answers ([MS-OXWSCVTID])."""

from lxml import etree

from local.mailserver.ews import envelope
from local.mailserver.ews.call import Call
from local.mailserver.ews.errors import ResponseError
from local.mailserver.ews.text import attribute
from local.mailserver.web import Stream


def convert_id(call: Call) -> list[bytes | Stream]:
    """EWS ids stay what they are; other formats are not kept here."""
    out: list[bytes | Stream] = []
    for source in call.required("m:SourceIds"):
        try:
            converted = _converted(call, source)
        except ResponseError as error:
            call.codes.append(error.code)
            out += envelope.failure(call.operation, error)
        else:
            call.codes.append("NoError")
            out += envelope.success(call.operation, converted)
    return out


def _converted(call: Call, source: etree._Element) -> bytes:
    item = call.item(source.get("Id", ""))
    values = attribute(item.id), attribute(call.element.get("DestinationFormat", "EwsId")), attribute(source.get("Mailbox", ""))
    return (
        b'<m:AlternateId xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="t:AlternateIdType"'
        b' Id="%b" Format="%b" Mailbox="%b"/>' % values
    )
