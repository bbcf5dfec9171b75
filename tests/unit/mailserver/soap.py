"""A client of EWS that knows nothing: sends what it is given and hands back the reply as it came. For tests of the server."""

from dataclasses import dataclass, field

import requests
from lxml import etree

from local.mailserver import MailServer

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
M = "http://schemas.microsoft.com/exchange/services/2006/messages"
T = "http://schemas.microsoft.com/exchange/services/2006/types"
E = "http://schemas.microsoft.com/exchange/services/2006/errors"
NAMES = {"s": SOAP, "m": M, "t": T, "e": E}

INBOX = '<t:DistinguishedFolderId Id="inbox"/>'


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def xml(self) -> etree._Element:
        return etree.fromstring(self.content, etree.XMLParser(huge_tree=True))

    @property
    def body(self) -> etree._Element:
        found = self.xml.find("s:Body", NAMES)
        assert found is not None
        assert len(found) == 1
        return found[0]

    @property
    def codes(self) -> list[str]:
        """Of each response message, in order."""
        return [element.text or "" for element in self.xml.iterfind(".//m:ResponseCode", NAMES)]

    @property
    def fault_code(self) -> str | None:
        return self.xml.findtext("s:Body/s:Fault/detail/e:ResponseCode", None, NAMES)

    def text(self, path: str) -> str | None:
        return self.xml.findtext(f".//{path}", None, NAMES)

    def texts(self, path: str) -> list[str]:
        return [element.text or "" for element in self.xml.iterfind(f".//{path}", NAMES)]

    def ids(self, path: str = "t:ItemId") -> list[str]:
        return [element.get("Id", "") for element in self.xml.iterfind(f".//{path}", NAMES)]

    @property
    def change_key(self) -> str:
        """Of the only item."""
        (key,) = {element.get("ChangeKey", "") for element in self.xml.iterfind(".//t:ItemId", NAMES)}
        return key

    @property
    def sync_state(self) -> str:
        return self.text("m:SyncState") or ""

    @property
    def is_last(self) -> bool:
        return self.text("m:IncludesLastItemInRange") == "true"

    def changes(self) -> list[tuple[str, str]]:
        """Kind and item id of each change, in order."""
        changes = self.xml.find(".//m:Changes", NAMES)
        assert changes is not None
        found = []
        for change in changes:
            identity = change.find(".//t:ItemId", NAMES)
            assert identity is not None
            found.append((etree.QName(change).localname, identity.get("Id", "")))
        return found


@dataclass
class SoapClient:
    server: MailServer
    username: str
    password: str
    impersonating: str | None = None
    session: requests.Session = field(default_factory=requests.Session)

    def close(self) -> None:
        self.session.close()

    def ask(self, operation: str) -> Answer:
        """Sends one operation element."""
        header = ""
        if self.impersonating is not None:
            sid = f"<t:ConnectingSID><t:PrimarySmtpAddress>{self.impersonating}</t:PrimarySmtpAddress></t:ConnectingSID>"
            header = f"<s:Header><t:ExchangeImpersonation>{sid}</t:ExchangeImpersonation></s:Header>"
        names = f'xmlns:s="{SOAP}" xmlns:m="{M}" xmlns:t="{T}"'
        return self.send(f"<s:Envelope {names}>{header}<s:Body>{operation}</s:Body></s:Envelope>".encode())

    def send(self, body: bytes) -> Answer:
        reply = self.session.post(
            self.server.ews_url,
            data=body,
            auth=(self.username, self.password),
            headers={"Content-Type": "text/xml; charset=utf-8"},
            timeout=20,
        )
        return Answer(reply.status_code, dict(reply.headers), reply.content)

    def sync(self, state: str = "", limit: int = 512, properties: str = "", folder: str = INBOX) -> Answer:
        return self.ask(sync_items(state, limit, properties, folder))

    def get(self, *ids: str, properties: str = "", base: str = "IdOnly", options: str = "") -> Answer:
        return self.ask(get_items(ids, properties, base, options))

    def find_items(self, properties: str = "", *, folder: str = INBOX, view: str = "", sort: str = "") -> Answer:
        return self.ask(find_items(properties, folder, view, sort))

    def attachments(self, *ids: str, shape: str = "") -> Answer:
        wanted = "".join(f'<t:AttachmentId Id="{each}"/>' for each in ids)
        return self.ask(f"<m:GetAttachment>{shape}<m:AttachmentIds>{wanted}</m:AttachmentIds></m:GetAttachment>")

    def attachment_ids(self, item_id: str) -> list[str]:
        return self.get(item_id, properties=field_uri("item:Attachments")).ids("t:AttachmentId")


def field_uri(*names: str) -> str:
    return "".join(f'<t:FieldURI FieldURI="{name}"/>' for name in names)


def header_property(name: str) -> str:
    return f'<t:ExtendedFieldURI DistinguishedPropertySetId="InternetHeaders" PropertyName="{name}" PropertyType="String"/>'


def tag_property(tag: str, kind: str = "String") -> str:
    return f'<t:ExtendedFieldURI PropertyTag="{tag}" PropertyType="{kind}"/>'


def item_shape(properties: str = "", base: str = "IdOnly", options: str = "") -> str:
    more = f"<t:AdditionalProperties>{properties}</t:AdditionalProperties>" if properties else ""
    return f"<m:ItemShape><t:BaseShape>{base}</t:BaseShape>{options}{more}</m:ItemShape>"


def sync_items(state: str = "", limit: int = 512, properties: str = "", folder: str = INBOX, base: str = "IdOnly") -> str:
    sync_state = f"<m:SyncState>{state}</m:SyncState>" if state else ""
    return (
        f"<m:SyncFolderItems>{item_shape(properties, base)}<m:SyncFolderId>{folder}</m:SyncFolderId>{sync_state}"
        f"<m:MaxChangesReturned>{limit}</m:MaxChangesReturned></m:SyncFolderItems>"
    )


def get_items(ids: tuple[str, ...], properties: str = "", base: str = "IdOnly", options: str = "") -> str:
    wanted = "".join(f'<t:ItemId Id="{each}"/>' for each in ids)
    return f"<m:GetItem>{item_shape(properties, base, options)}<m:ItemIds>{wanted}</m:ItemIds></m:GetItem>"


def find_items(properties: str = "", folder: str = INBOX, view: str = "", sort: str = "") -> str:
    where = f"<m:ParentFolderIds>{folder}</m:ParentFolderIds>"
    return f'<m:FindItem Traversal="Shallow">{item_shape(properties)}{view}{sort}{where}</m:FindItem>'


def indexed_view(limit: int, offset: int = 0, base_point: str = "Beginning", of: str = "Item") -> str:
    return f'<m:IndexedPage{of}View MaxEntriesReturned="{limit}" Offset="{offset}" BasePoint="{base_point}"/>'


def update_item(item: str, key: str | None, updates: str, resolution: str = "NeverOverwrite") -> str:
    knows = f' ChangeKey="{key}"' if key is not None else ""
    change = f'<t:ItemChange><t:ItemId Id="{item}"{knows}/><t:Updates>{updates}</t:Updates></t:ItemChange>'
    return (
        f'<m:UpdateItem ConflictResolution="{resolution}" MessageDisposition="SaveOnly">'
        f"<m:ItemChanges>{change}</m:ItemChanges></m:UpdateItem>"
    )


def set_field(path: str, content: str) -> str:
    return f"<t:SetItemField>{field_uri(path)}<t:Message>{content}</t:Message></t:SetItemField>"


def categories_field(*names: str, path: str = "item:Categories") -> str:
    strings = "".join(f"<t:String>{name.replace('&', '&amp;')}</t:String>" for name in names)
    return set_field(path, f"<t:Categories>{strings}</t:Categories>")


def read_flag_field(is_read: bool) -> str:
    return set_field("message:IsRead", f"<t:IsRead>{str(is_read).lower()}</t:IsRead>")


def delete_field(path: str) -> str:
    return f"<t:DeleteItemField>{field_uri(path)}</t:DeleteItemField>"


def move_items(
    *ids: str, to: str = '<t:DistinguishedFolderId Id="deleteditems"/>', with_ids: bool = True, operation: str = "MoveItem"
) -> str:
    wanted = "".join(f'<t:ItemId Id="{each}"/>' for each in ids)
    new_ids = "" if with_ids else "<m:ReturnNewItemIds>false</m:ReturnNewItemIds>"
    return f"<m:{operation}><m:ToFolderId>{to}</m:ToFolderId><m:ItemIds>{wanted}</m:ItemIds>{new_ids}</m:{operation}>"


def folder_shape(base: str = "IdOnly", properties: str = "") -> str:
    more = f"<t:AdditionalProperties>{properties}</t:AdditionalProperties>" if properties else ""
    return f"<m:FolderShape><t:BaseShape>{base}</t:BaseShape>{more}</m:FolderShape>"


def by_id(folder: str) -> str:
    return f'<t:FolderId Id="{folder}"/>'


def well_known(name: str) -> str:
    return f'<t:DistinguishedFolderId Id="{name}"/>'


def find_folders(
    parent: str = INBOX, *, deep: bool = False, base: str = "Default", view: str = "", restriction: str = ""
) -> str:
    where = f"<m:ParentFolderIds>{parent}</m:ParentFolderIds>"
    traversal = "Deep" if deep else "Shallow"
    return f'<m:FindFolder Traversal="{traversal}">{folder_shape(base)}{view}{restriction}{where}</m:FindFolder>'


def named(name: str) -> str:
    """A restriction to folders of that name."""
    constant = f'<t:FieldURIOrConstant><t:Constant Value="{name}"/></t:FieldURIOrConstant>'
    return f"<m:Restriction><t:IsEqualTo>{field_uri('folder:DisplayName')}{constant}</t:IsEqualTo></m:Restriction>"


def create_folder(name: str, parent: str = INBOX, kind: str = "IPF.Note") -> str:
    folder = f"<t:Folder><t:FolderClass>{kind}</t:FolderClass><t:DisplayName>{name}</t:DisplayName></t:Folder>"
    return f"<m:CreateFolder><m:ParentFolderId>{parent}</m:ParentFolderId><m:Folders>{folder}</m:Folders></m:CreateFolder>"


def rename_folder(folder: str, key: str | None, name: str) -> str:
    knows = f' ChangeKey="{key}"' if key is not None else ""
    new = f"<t:Folder><t:DisplayName>{name}</t:DisplayName></t:Folder>"
    update = f"<t:SetFolderField>{field_uri('folder:DisplayName')}{new}</t:SetFolderField>"
    change = f'<t:FolderChange><t:FolderId Id="{folder}"{knows}/><t:Updates>{update}</t:Updates></t:FolderChange>'
    return f"<m:UpdateFolder><m:FolderChanges>{change}</m:FolderChanges></m:UpdateFolder>"


def move_folder(folder: str, to: str) -> str:
    return f"<m:MoveFolder><m:ToFolderId>{to}</m:ToFolderId><m:FolderIds>{folder}</m:FolderIds></m:MoveFolder>"


def delete_folder(folder: str, disposal: str = "HardDelete") -> str:
    return f'<m:DeleteFolder DeleteType="{disposal}"><m:FolderIds>{folder}</m:FolderIds></m:DeleteFolder>'


def sync_folders(state: str = "", folder: str = "", base: str = "Default") -> str:
    root = f"<m:SyncFolderId>{folder}</m:SyncFolderId>" if folder else ""
    known = f"<m:SyncState>{state}</m:SyncState>" if state else ""
    return f"<m:SyncFolderHierarchy>{folder_shape(base)}{root}{known}</m:SyncFolderHierarchy>"
