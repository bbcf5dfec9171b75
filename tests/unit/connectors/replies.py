"""EWS replies written by hand, as Exchange writes them; each may be checked against Microsoft's schema."""

from functools import cache
from pathlib import Path

from lxml import etree

SCHEMA = Path(__file__).parents[4] / "shared" / "ews-schema" / "messages.xsd"

_NAMESPACES = (
    'xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages"'
    ' xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types"'
)
AUTH_AS = (
    '<t:ExtendedProperty><t:ExtendedFieldURI DistinguishedPropertySetId="InternetHeaders"'
    ' PropertyName="x-ms-exchange-organization-authas" PropertyType="String"/><t:Value>{}</t:Value></t:ExtendedProperty>'
)
SMTP_ADDRESS = (
    '<t:ExtendedProperty><t:ExtendedFieldURI PropertyTag="{}" PropertyType="String"/><t:Value>{}</t:Value></t:ExtendedProperty>'
)
EX_MAILBOX = (
    "<t:Mailbox><t:Name>Carl</t:Name><t:EmailAddress>/O=CONTOSO/OU=FIRST/CN=RECIPIENTS/CN=CARL</t:EmailAddress>"
    "<t:RoutingType>EX</t:RoutingType></t:Mailbox>"
)


def _reply(operation: str, messages: str) -> bytes:
    return (
        '<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Header/>'
        f"<s:Body><m:{operation}Response {_NAMESPACES}><m:ResponseMessages>{messages}</m:ResponseMessages>"
        f"</m:{operation}Response></s:Body></s:Envelope>"
    ).encode()


def a_reply(operation: str, *contents: str) -> bytes:
    """A success with each of these."""
    return _reply(
        operation,
        "".join(
            f'<m:{operation}ResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode>{content}'
            f"</m:{operation}ResponseMessage>"
            for content in contents
        ),
    )


def a_page(changes: str, state: str = "c3RhdGU=", last: str = "true") -> bytes:
    return _reply(
        "SyncFolderItems",
        '<m:SyncFolderItemsResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode>'
        f"<m:SyncState>{state}</m:SyncState><m:IncludesLastItemInRange>{last}</m:IncludesLastItemInRange>"
        f"<m:Changes>{changes}</m:Changes></m:SyncFolderItemsResponseMessage>",
    )


def folders(*found: str, last: str = "true") -> bytes:
    return _reply(
        "FindFolder",
        '<m:FindFolderResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode>'
        f'<m:RootFolder TotalItemsInView="{len(found)}" IncludesLastItemInRange="{last}">'
        f"<t:Folders>{''.join(found)}</t:Folders></m:RootFolder></m:FindFolderResponseMessage>",
    )


def items(*found: str) -> bytes:
    return a_reply("GetItem", *(f"<m:Items>{item}</m:Items>" for item in found))


def an_item_error(code: str, text: str = "", details: str = "") -> bytes:
    return _reply(
        "GetItem",
        f'<m:GetItemResponseMessage ResponseClass="Error"><m:MessageText>{text}</m:MessageText>'
        f"<m:ResponseCode>{code}</m:ResponseCode><m:DescriptiveLinkKey>0</m:DescriptiveLinkKey>"
        f"{details}<m:Items/></m:GetItemResponseMessage>",
    )


@cache
def _schema() -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(SCHEMA))


def assert_valid(envelope: bytes) -> None:
    """The one element of the SOAP body is valid by the schema, where that is beside the repository."""
    if SCHEMA.is_file():
        body = etree.fromstring(envelope).find("{http://schemas.xmlsoap.org/soap/envelope/}Body")
        assert body is not None
        _schema().assertValid(etree.fromstring(etree.tostring(body[0])))
