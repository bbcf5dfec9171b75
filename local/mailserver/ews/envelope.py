"""SOAP envelopes: what a request asks and as whom, and how replies and faults are wrapped. Knows no operation."""

from dataclasses import dataclass

from lxml import etree

from local.mailserver.ews.errors import ResponseError, SoapFault
from local.mailserver.ews.text import attribute, escaped
from local.mailserver.web import Body, Stream

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
M = "http://schemas.microsoft.com/exchange/services/2006/messages"
T = "http://schemas.microsoft.com/exchange/services/2006/types"
NAMES = {"s": SOAP, "m": M, "t": T}

_VERSION = b'<h:ServerVersionInfo MajorVersion="15" MinorVersion="2" MajorBuildNumber="1544" MinorBuildNumber="4" Version="V2017_07_11" xmlns:h="http://schemas.microsoft.com/exchange/services/2006/types" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"/>'  # noqa: E501  # one element
_OPEN = b'<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="%b"><s:Header>%b</s:Header><s:Body>' % (
    SOAP.encode(),
    _VERSION,
)
_CLOSE = b"</s:Body></s:Envelope>"


@dataclass(frozen=True, slots=True)
class Envelope:
    """A request: the element of its operation, and whose mailbox it wants to act in."""

    operation: str
    element: etree._Element
    impersonated: tuple[str, str] | None
    """Kind (PrimarySmtpAddress, SmtpAddress, PrincipalName, SID) and value."""


def read_envelope(body: bytes) -> Envelope:
    """Raises SoapFault where the body is no request of EWS."""
    try:
        parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True, remove_comments=True)
        root = etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:
        raise SoapFault("ErrorInvalidRequest", f"The request could not be read as XML: {error}") from error
    soap_body = root.find(f"{{{SOAP}}}Body")
    if root.tag != f"{{{SOAP}}}Envelope" or soap_body is None or len(soap_body) != 1:
        raise SoapFault("ErrorSchemaValidation", "The request is no SOAP envelope with one operation.")
    name = etree.QName(soap_body[0])
    if name.namespace != M:
        raise SoapFault("ErrorSchemaValidation", f"Element {name.localname} does not belong to namespace {M}.")
    return Envelope(name.localname, soap_body[0], _impersonated(root))


def _impersonated(root: etree._Element) -> tuple[str, str] | None:
    connecting = root.find("s:Header/t:ExchangeImpersonation/t:ConnectingSID", NAMES)
    if connecting is None:
        return None
    if len(connecting) != 1:
        raise SoapFault("ErrorSchemaValidation", "ConnectingSID holds exactly one identity.")
    return etree.QName(connecting[0]).localname, (connecting[0].text or "").strip()


def reply(operation: str, messages: list[bytes | Stream]) -> Body:
    """The reply of an operation whose response messages are these pieces."""
    name = operation.encode()
    head = b'%b<m:%bResponse xmlns:m="%b" xmlns:t="%b"><m:ResponseMessages>' % (_OPEN, name, M.encode(), T.encode())
    return joined([head, *messages, b"</m:ResponseMessages></m:%bResponse>%b" % (name, _CLOSE)])


def joined(pieces: list[bytes | Stream]) -> Body:
    """The same pieces, neighbouring bytes in one."""
    body: list[bytes | Stream] = []
    waiting: list[bytes] = []
    for piece in pieces:
        if isinstance(piece, bytes):
            waiting.append(piece)
            continue
        body += [b"".join(waiting), piece]
        waiting = []
    return [*body, b"".join(waiting)]


def success(operation: str, *content: bytes | Stream) -> list[bytes | Stream]:
    """One response message."""
    name = operation.encode()
    head = b'<m:%bResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode>' % name
    return [head, *content, b"</m:%bResponseMessage>" % name]


def failure(operation: str, error: ResponseError, rest: bytes = b"") -> list[bytes | Stream]:
    """One response message that is an error; `rest` is what the schema wants of the operation all the same."""
    name = operation.encode()
    text = (
        b'<m:%bResponseMessage ResponseClass="Error"><m:MessageText>%b</m:MessageText><m:ResponseCode>%b</m:ResponseCode>'
        b"<m:DescriptiveLinkKey>0</m:DescriptiveLinkKey>%b</m:%bResponseMessage>"
    )
    return [text % (name, escaped(error.text), error.code.encode(), rest, name)]


def fault(error: SoapFault) -> bytes:
    """A SOAP fault as Exchange writes it; goes with HTTP 500."""
    values = b"".join(b'<t:Value Name="%b">%b</t:Value>' % (attribute(name), escaped(value)) for name, value in error.values)
    extra = b'<t:MessageXml xmlns:t="%b">%b</t:MessageXml>' % (T.encode(), values) if values else b""
    return (
        b'<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="%(soap)b"><s:Body><s:Fault>'
        b'<faultcode xmlns:a="%(types)b">a:%(code)b</faultcode><faultstring xml:lang="en-US">%(text)b</faultstring><detail>'
        b'<e:ResponseCode xmlns:e="http://schemas.microsoft.com/exchange/services/2006/errors">%(code)b</e:ResponseCode>'
        b'<e:Message xmlns:e="http://schemas.microsoft.com/exchange/services/2006/errors">%(text)b</e:Message>%(extra)b'
        b"</detail></s:Fault></s:Body></s:Envelope>"
    ) % {
        b"soap": SOAP.encode(),
        b"types": T.encode(),
        b"code": error.code.encode(),
        b"text": escaped(error.text),
        b"extra": extra,
    }
