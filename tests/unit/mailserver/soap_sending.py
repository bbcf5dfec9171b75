"""Requests that write and send mail over EWS, as text. For tests of the server."""

import base64

from tests.unit.mailserver.conftest import BEN

OWN = '<t:ExtendedFieldURI PropertySetId="00020329-0000-0000-C000-000000000046" PropertyName="Key" PropertyType="String"/>'
SAME = '<t:ExtendedFieldURI DistinguishedPropertySetId="PublicStrings" PropertyName="Key" PropertyType="String"/>'
LIST = '<t:ExtendedFieldURI DistinguishedPropertySetId="Common" PropertyId="34144" PropertyType="StringArray"/>'


def to(*addresses: str, field: str = "ToRecipients") -> str:
    boxes = "".join(f"<t:Mailbox><t:EmailAddress>{each}</t:EmailAddress></t:Mailbox>" for each in addresses)
    return f"<t:{field}>{boxes}</t:{field}>"


def a_draft(subject: str = "Offer", more: str = "", *, recipients: str | None = None, before: str = "") -> str:
    content = f'<t:Subject>{subject}</t:Subject><t:Body BodyType="Text">Good morning</t:Body>{before}'
    return f"<t:Message>{content}{to(BEN) if recipients is None else recipients}{more}</t:Message>"


def with_property(path: str, *values: str) -> str:
    content = "".join(f"<t:Value>{value}</t:Value>" for value in values)
    content = f"<t:Values>{content}</t:Values>" if "Array" in path else content
    return f"<t:ExtendedProperty>{path}{content}</t:ExtendedProperty>"


def a_file(name: str, content: bytes = b"content") -> str:
    encoded = base64.b64encode(content).decode()
    return f"<t:FileAttachment><t:Name>{name}</t:Name><t:Content>{encoded}</t:Content></t:FileAttachment>"


def create_items(*items: str, how: str = "SaveOnly", folder: str = "") -> str:
    where = f"<m:SavedItemFolderId>{folder}</m:SavedItemFolderId>" if folder else ""
    return f'<m:CreateItem MessageDisposition="{how}">{where}<m:Items>{"".join(items)}</m:Items></m:CreateItem>'


def send_items(*items: tuple[str, str | None], saves: str = "true", folder: str = "") -> str:
    """Ids with change keys."""
    ids = "".join(f'<t:ItemId Id="{item}"' + (f' ChangeKey="{key}"/>' if key else "/>") for item, key in items)
    where = f"<m:SavedItemFolderId>{folder}</m:SavedItemFolderId>" if folder else ""
    return f'<m:SendItem SaveItemToFolder="{saves}"><m:ItemIds>{ids}</m:ItemIds>{where}</m:SendItem>'


def attach(item: str, *contents: str) -> str:
    attached = f"<m:Attachments>{''.join(contents)}</m:Attachments>"
    return f'<m:CreateAttachment><m:ParentItemId Id="{item}"/>{attached}</m:CreateAttachment>'
