"""What the local mail server says, and what exchangelib asks it, is valid by Microsoft's own schemas."""

from collections.abc import Iterator
from itertools import batched
from pathlib import Path

import pytest
from exchangelib import BASIC, IMPERSONATION, Account, Configuration, Credentials, EWSTimeZone
from exchangelib.protocol import close_connections
from exchangelib.version import EXCHANGE_2019, Version
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from lxml import etree

from local.mailserver import FaultKind, MailServer
from local.mailserver.web import Reply, Request
from tests.unit.mailserver import soap_sending as writing
from tests.unit.mailserver.messages import a_draft, a_file, a_message, a_report, an_attached_message, with_attachments
from tests.unit.mailserver.soap import (
    INBOX,
    NAMES,
    Answer,
    SoapClient,
    by_id,
    categories_field,
    create_folder,
    delete_field,
    delete_folder,
    field_uri,
    find_folders,
    find_items,
    header_property,
    indexed_view,
    item_shape,
    move_folder,
    move_items,
    named,
    read_flag_field,
    rename_folder,
    sync_folders,
    sync_items,
    tag_property,
    update_item,
    well_known,
)
from tests.unit.mailserver.soap_sending import create_items, send_items

SHARED = Path(__file__).parents[2] / ".." / "shared"
SCHEMA = SHARED / "ews-schema" / "messages.xsd"
CORPUS = SHARED / "mail-corpus"
ANNA = "anna@contoso.example"

pytestmark = pytest.mark.skipif(not SCHEMA.exists(), reason="Microsoft's schemas are not here")

EVERYTHING = (
    header_property("X-MS-Exchange-Organization-AuthAs") + tag_property("0x7d") + field_uri("item:TextBody", "item:UniqueBody")
)
MIME = "<t:IncludeMimeContent>true</t:IncludeMimeContent>"
SIGNED = 'MIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; smime-type=enveloped-data; name="smime.p7m"\r\n'
FOLDER_SHAPE = "<m:FolderShape><t:BaseShape>AllProperties</t:BaseShape></m:FolderShape>"
INVITATION = 'MIME-Version: 1.0\r\nContent-Type: text/calendar; method="{}"\r\n'

BROKEN = (
    *(bytes([each]) for each in b'\r\n\t\0 "<>@,;:=%&\xff'),
    *(b"a", b"]]>", b"\xed\xa0\x80", b"--b", b"--", b"From x 1:2\n", b"From: ", b"To: ", b"Sender: ", b"Subject: "),
    *(b"Date: ", b"Mon, 1 Jan 99999 00:00:00 +9999", b"Message-ID: <a@b>", b"Thread-Index: ", b"QUFB", b"=?utf-8?B?", b"?="),
    *(b"Content-Type: ", b"multipart/mixed; boundary=b", b"multipart/report; boundary=b", b"message/rfc822", b"text/html"),
    *(b"message/delivery-status", b"text/calendar", b"; charset=", b"utf-16", b"unicode_escape", b"hex", b"punycode"),
    *(b"Content-Transfer-Encoding: ", b"base64", b"quoted-printable", b"x-uuencode", b"Content-ID: <x>", b"Reply-To: "),
    b"Content-Disposition: attachment; filename*0*=utf-8''%41",
)
"""What broken mail is made of."""


@pytest.fixture(scope="module")
def schema() -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(SCHEMA))


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as server:
        server.add_mailbox(ANNA, "Anna", password="pw")
        server.add_account("service", "pw", impersonation=True)
        yield server


@pytest.fixture
def anna(server: MailServer) -> Iterator[SoapClient]:
    client = SoapClient(server, ANNA, "pw")
    yield client
    client.close()


def assert_valid(answer: Answer, schema: etree.XMLSchema) -> None:
    assert answer.status == 200, answer.content
    assert_valid_body(answer.content, schema)


def assert_valid_body(envelope: bytes, schema: etree.XMLSchema) -> None:
    body = etree.fromstring(envelope, etree.XMLParser(huge_tree=True)).find("s:Body", NAMES)
    assert body is not None
    alone = etree.fromstring(etree.tostring(body[0]), etree.XMLParser(huge_tree=True))
    assert schema.validate(alone), schema.error_log


def deliver_all_kinds(server: MailServer) -> None:
    server.deliver(a_message("a & b < c > d \" ' \x01 ]]>", headers="X-Odd: \x02 <&>\r\nReply-To: r@x.example\r\n"), [ANNA])
    server.deliver(b"", [ANNA])
    server.deliver(b"From: ,,;\r\nTo: <>\r\nCc: undisclosed-recipients:;\r\nSender: @\r\n\r\n\xff\xfe\x00", [ANNA])
    parts = a_file("ä & <b>.bin", b"x"), a_file("large.bin", bytes(500_000)), an_attached_message(a_message("Inner"))
    server.deliver(with_attachments(*parts), [ANNA], internal=True)
    for method in ("REQUEST", "CANCEL", "REPLY"):
        server.deliver(a_message(text="BEGIN:VCALENDAR", headers=INVITATION.format(method)), [ANNA])
    server.put(a_message(), ANNA, "inbox", draft=True)
    server.put(a_message(), ANNA, "inbox", from_me=True)
    for action, kind in (("failed", "delivery-status"), ("delayed", "delivery-status"), ("", "disposition-notification")):
        server.deliver(a_report(action=action, kind=kind), [ANNA])
    server.deliver(a_message(headers=SIGNED), [ANNA])
    server.deliver(a_message("Automatic reply"), [ANNA], internal=True, item_class="IPM.Note.Rules.OofTemplate.Microsoft")
    (answered,) = server.deliver(a_message(), [ANNA])
    server.categorize(ANNA, answered, ["Tracked", "Rot & <Grün>"])
    server.move(ANNA, server.send(a_draft("x@y.example", headers=f"Bcc: {ANNA}\r\n"), ANNA, answers=answered), "inbox")


OPERATIONS = {
    "SyncFolderItems of all": sync_items(base="AllProperties", properties=EVERYTHING),
    "SyncFolderItems of ids": sync_items(limit=2),
    "SyncFolderItems refused": sync_items("junk"),
    "SyncFolderItems elsewhere": sync_items(folder='<t:FolderId Id="junk"/>'),
    "SyncFolderHierarchy": f"<m:SyncFolderHierarchy>{FOLDER_SHAPE}</m:SyncFolderHierarchy>",
    "SyncFolderHierarchy refused": f"<m:SyncFolderHierarchy>{FOLDER_SHAPE}<m:SyncState>x</m:SyncState></m:SyncFolderHierarchy>",
    "GetFolder": (
        f'<m:GetFolder>{FOLDER_SHAPE}<m:FolderIds>{INBOX}<t:DistinguishedFolderId Id="root"/><t:FolderId Id="junk"/>'
        '<t:DistinguishedFolderId Id="inbox"><t:Mailbox><t:EmailAddress>no@where.example</t:EmailAddress></t:Mailbox>'
        "</t:DistinguishedFolderId></m:FolderIds></m:GetFolder>"
    ),
    "FindFolder": (
        f'<m:FindFolder Traversal="Deep">{FOLDER_SHAPE}<m:ParentFolderIds><t:DistinguishedFolderId Id="root"/>'
        '<t:FolderId Id="junk"/></m:ParentFolderIds></m:FindFolder>'
    ),
    "FindItem": (
        f'<m:FindItem Traversal="Shallow">{item_shape(EVERYTHING, "AllProperties")}'
        f'<m:IndexedPageItemView MaxEntriesReturned="3" Offset="1" BasePoint="Beginning"/><m:ParentFolderIds>{INBOX}'
        '<t:FolderId Id="junk"/></m:ParentFolderIds></m:FindItem>'
    ),
    "FindItem sorted": find_items(
        EVERYTHING,
        view=indexed_view(2, 1, "End"),
        sort=f'<m:SortOrder><t:FieldOrder Order="Descending">{field_uri("item:DateTimeReceived")}</t:FieldOrder></m:SortOrder>',
    ),
    "FindFolder by pages": find_folders(view=indexed_view(1, of="Folder"), restriction=named("Inbox"), base="AllProperties"),
    "FindFolder beyond": find_folders(view=indexed_view(0, of="Folder")),
    "SyncFolderHierarchy of a part": sync_folders(folder=INBOX, base="IdOnly"),
    "CreateFolder": create_folder("New"),
    "CreateFolder refused": create_folder("New", '<t:FolderId Id="junk"/>'),
    "UpdateFolder of nothing": rename_folder("junk", None, "New"),
    "MoveFolder of nothing": move_folder('<t:FolderId Id="junk"/>', INBOX),
    "DeleteFolder of nothing": delete_folder(INBOX, "MoveToDeletedItems"),
    "UpdateItem of nothing": update_item("junk", "k", categories_field("Tracked")),
    "UpdateItem of nothing, to nothing": update_item("junk", None, delete_field("item:Categories"), "AlwaysOverwrite"),
    "UpdateItem of the flag of nothing": update_item("junk", None, read_flag_field(True), "AutoResolve"),
    "MoveItem of nothing": move_items("junk"),
    "CopyItem of nothing": move_items("junk", operation="CopyItem", with_ids=False),
    "GetItem of nothing": f'<m:GetItem>{item_shape()}<m:ItemIds><t:ItemId Id="junk"/></m:ItemIds></m:GetItem>',
    "GetAttachment of none": '<m:GetAttachment><m:AttachmentIds><t:AttachmentId Id="j"/></m:AttachmentIds></m:GetAttachment>',
    "DeleteItem of none": '<m:DeleteItem DeleteType="HardDelete"><m:ItemIds><t:ItemId Id="j"/></m:ItemIds></m:DeleteItem>',
    "CreateItem refused": create_items(
        writing.a_draft(more=writing.to(ANNA, field="From")),
        writing.a_draft(before=writing.with_property(writing.LIST, "a", "b")),
        how="SendAndSaveCopy",
    ),
    "SendItem of nothing": send_items(("junk", "k"), folder=well_known("archive")),
    "CreateAttachment to nothing": writing.attach("junk", writing.a_file("a.txt")),
    "ConvertId": (
        '<m:ConvertId DestinationFormat="EntryId"><m:SourceIds><t:AlternateId Id="junk" Format="EwsId" Mailbox="m"/>'
        "</m:SourceIds></m:ConvertId>"
    ),
}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_requests_of_these_tests_and_their_replies_are_valid(
    server: MailServer, anna: SoapClient, schema: etree.XMLSchema, operation: str
) -> None:
    deliver_all_kinds(server)
    names = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMES.items())
    assert_valid_body(f"<s:Envelope {names}><s:Body>{operation}</s:Body></s:Envelope>".encode(), schema)
    assert_valid(anna.ask(operation), schema)


def test_items_attachments_and_changes_are_valid(server: MailServer, anna: SoapClient, schema: etree.XMLSchema) -> None:
    deliver_all_kinds(server)
    ids = server.items(ANNA)
    for base in ("IdOnly", "Default", "AllProperties"):
        answer = anna.get(*ids, base=base, properties=EVERYTHING, options=MIME)
        assert_valid(answer, schema)
        assert set(answer.codes) == {"NoError"}
    attachments = anna.get(*ids, base="AllProperties").ids("t:AttachmentId")
    assert_valid(anna.attachments(*attachments, "junk"), schema)
    assert_valid(anna.attachments(*attachments, shape=f"<m:AttachmentShape>{MIME}</m:AttachmentShape>"), schema)
    state = anna.sync().sync_state
    server.mark_read(ANNA, ids[0])
    server.touch(ANNA, ids[1])
    delete = f'<m:DeleteItem DeleteType="MoveToDeletedItems"><m:ItemIds><t:ItemId Id="{ids[2]}"/></m:ItemIds></m:DeleteItem>'
    assert_valid(anna.ask(delete), schema)
    changes = anna.sync(state)
    assert_valid(changes, schema)
    assert [kind for kind, _ in changes.changes()] == ["ReadFlagChange", "Update", "Delete"]


def test_what_changes_items_and_folders_is_answered_validly(
    server: MailServer, anna: SoapClient, schema: etree.XMLSchema
) -> None:
    deliver_all_kinds(server)
    server.add_folder(ANNA, "Meetings", "inbox", "IPF.Appointment")
    server.add_folder(ANNA, "People", "inbox", "IPF.Contact")
    server.add_folder(ANNA, "Tasks", "inbox", "IPF.Task")

    def answered(operation: str) -> Answer:
        names = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMES.items())
        assert_valid_body(f"<s:Envelope {names}><s:Body>{operation}</s:Body></s:Envelope>".encode(), schema)
        answer = anna.ask(operation)
        assert_valid(answer, schema)
        assert answer.codes == ["NoError"]
        return answer

    state, tree = anna.sync().sync_state, anna.ask(sync_folders()).sync_state
    for item in server.items(ANNA):
        answered(update_item(item, anna.get(item).change_key, categories_field("Tracked") + read_flag_field(True)))
        answered(update_item(item, None, delete_field("item:Categories"), "AlwaysOverwrite"))
        answered(move_items(item, operation="CopyItem"))
        answered(move_items(item))
    (folder,) = answered(create_folder("New")).ids("t:FolderId")
    found = answered(find_folders(base="AllProperties", deep=True))
    assert found.ids("t:FolderId")[-1] == folder
    key = found.xml.findall(".//t:FolderId", NAMES)[-1].get("ChangeKey")
    answered(rename_folder(folder, key, "Renamed"))
    answered(move_folder(by_id(folder), well_known("junkemail")))
    answered(sync_folders(tree, base="AllProperties"))
    answered(delete_folder(by_id(folder), "MoveToDeletedItems"))
    answered(delete_folder(by_id(folder)))
    answered(sync_folders(tree, base="AllProperties"))
    answered(sync_items(state, base="AllProperties"))


def test_what_drafts_and_sends_is_answered_validly(anna: SoapClient, schema: etree.XMLSchema) -> None:
    def answered(operation: str) -> Answer:
        names = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMES.items())
        assert_valid_body(f"<s:Envelope {names}><s:Body>{operation}</s:Body></s:Envelope>".encode(), schema)
        answer = anna.ask(operation)
        assert_valid(answer, schema)
        assert set(answer.codes) == {"NoError"}
        return answer

    own = writing.with_property(writing.OWN, "k-1") + writing.with_property(writing.LIST, "a", "b")
    ids = answered(create_items(*(writing.a_draft("a &amp; b", before=own) for _ in range(2)))).ids()
    inner = f"<t:ItemAttachment><t:Name>Inner</t:Name>{writing.a_draft('Inner')}</t:ItemAttachment>"
    answered(writing.attach(ids[0], writing.a_file("a.txt"), inner))
    shown = anna.get(*ids, base="AllProperties", properties=EVERYTHING + writing.OWN + writing.LIST, options=MIME)
    assert_valid(shown, schema)
    assert shown.texts("t:ExtendedProperty/t:Value") == ["k-1"] * 2
    current = [(item, anna.get(item).change_key) for item in ids]
    answered(send_items(current[0], folder=well_known("archive")))
    answered(send_items(current[1], saves="false"))
    answered(create_items(writing.a_draft(), how="SendOnly"))
    assert_valid(anna.find_items(writing.OWN + writing.LIST, folder=well_known("archive")), schema)


def test_errors_on_request_are_valid(server: MailServer, anna: SoapClient, schema: etree.XMLSchema) -> None:
    (item,) = server.deliver(with_attachments(a_file("a", b"a")), [ANNA])
    server.faults.add(FaultKind.UNREADABLE_ITEM, ANNA, item=item, code="ErrorContentConversionFailed")
    assert_valid(anna.get(item), schema)
    server.faults.add(FaultKind.INVALID_SYNC_STATE, ANNA, count=1)
    assert_valid(anna.sync(), schema)
    server.faults.add(FaultKind.FOLDER_GONE, ANNA, count=1)
    assert_valid(anna.sync(), schema)
    server.faults.add(FaultKind.ERROR, ANNA, code="ErrorMailboxStoreUnavailable", count=1)
    assert_valid(anna.sync(), schema)


@pytest.mark.skipif(not CORPUS.exists(), reason="the mail corpus is not here")
def test_every_file_of_the_corpus_is_listed_and_readable(server: MailServer, anna: SoapClient, schema: etree.XMLSchema) -> None:
    files = sorted(CORPUS.rglob("*.eml"))
    delivered = {server.deliver(file.read_bytes(), [ANNA])[0] for file in files}
    listed = anna.sync(properties=EVERYTHING)
    assert_valid(listed, schema)
    assert {each for _, each in listed.changes()} == delivered
    for some in batched(sorted(delivered), 100, strict=False):
        answer = anna.get(*some, base="AllProperties", properties=EVERYTHING, options=MIME)
        assert_valid(answer, schema)
        assert set(answer.codes) == {"NoError"}
        attachments = answer.ids("t:AttachmentId")
        read = anna.attachments(*attachments, shape=f"<m:AttachmentShape>{MIME}</m:AttachmentShape>")
        assert_valid(read, schema)
        assert set(read.codes) == {"NoError"}


@example(raw=b"From: \x00")
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.one_of(st.binary(max_size=200), st.lists(st.sampled_from(BROKEN), max_size=50).map(b"".join)))
def test_whatever_arrives_is_answered_with_valid_xml(
    server: MailServer, anna: SoapClient, schema: etree.XMLSchema, raw: bytes
) -> None:
    ids = server.deliver(raw, [ANNA]) + server.deliver(raw, [ANNA], internal=None)
    answer = anna.get(*ids, base="AllProperties", properties=EVERYTHING, options=MIME)
    assert_valid(answer, schema)
    assert answer.codes == ["NoError", "NoError"]
    assert "Anonymous" in answer.texts("t:Value")


def test_what_exchangelib_asks_is_valid(server: MailServer, schema: etree.XMLSchema, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []
    handle = server._ews.handle

    def listen(request: Request) -> Reply:
        asked.append(request.body)
        return handle(request)

    monkeypatch.setattr(server._ews, "handle", listen)
    deliver_all_kinds(server)
    configuration = Configuration(
        service_endpoint=server.ews_url,
        credentials=Credentials("service", "pw"),
        auth_type=BASIC,
        version=Version(EXCHANGE_2019),
    )
    account = Account(
        ANNA, config=configuration, autodiscover=False, access_type=IMPERSONATION, default_timezone=EWSTimeZone("UTC")
    )
    items = [item for _, item in account.inbox.sync_items()]
    fetched = list(account.fetch(items))
    assert len(list(account.inbox.all())) == len(fetched) == 17
    assert all(attachment.content for item in fetched for attachment in item.attachments if hasattr(attachment, "content"))
    close_connections()
    for body in asked:
        assert_valid_body(body, schema)
