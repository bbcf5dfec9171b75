"""GetItem, GetAttachment, DeleteItem, GetFolder, FindItem and ConvertId over HTTP."""

import base64

import pytest

from local.mailserver import FaultKind, MailServer
from tests.unit.mailserver.conftest import ANNA, BEN
from tests.unit.mailserver.messages import a_file, a_message, an_attached_message, with_attachments
from tests.unit.mailserver.soap import NAMES, Answer, SoapClient, field_uri, item_shape, tag_property

HTML = "MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n"


def deliver(server: MailServer, raw: bytes) -> str:
    (item_id,) = server.deliver(raw, [ANNA])
    return item_id


def body(answer: Answer) -> tuple[str | None, str | None]:
    element = answer.xml.find(".//t:Body", NAMES)
    return (element.get("BodyType"), element.text) if element is not None else (None, None)


@pytest.mark.parametrize(
    ("headers", "asked", "kind", "content"),
    [
        (HTML, "", "HTML", "<p>a &amp; b</p>\r\n"),
        (HTML, "Text", "Text", "a & b"),
        ("", "", "Text", "<p>a &amp; b</p>\r\n"),
        ("", "HTML", "HTML", "<html><body><pre>&lt;p&gt;a &amp;amp; b&lt;/p&gt;\r\n</pre></body></html>"),
    ],
)
def test_the_body_comes_as_it_is_or_converted(
    server: MailServer, anna: SoapClient, headers: str, asked: str, kind: str, content: str
) -> None:
    item = deliver(server, a_message(text="<p>a &amp; b</p>", headers=headers))
    options = f"<t:BodyType>{asked}</t:BodyType>" if asked else ""
    assert body(anna.get(item, properties=field_uri("item:Body"), options=options)) == (kind, content)


def test_what_xml_cannot_carry_is_left_out(server: MailServer, anna: SoapClient) -> None:
    item = deliver(server, a_message(subject="a\x00b\x0bc\ufffe", text="x\x08y\U0001f600"))
    answer = anna.get(item, properties=field_uri("item:Subject", "item:Body"))
    assert (answer.text("t:Subject"), body(answer)[1]) == ("abc", "xy\U0001f600\r\n")


def test_people_are_mailboxes(server: MailServer, anna: SoapClient) -> None:
    item = deliver(server, a_message(to=f"Anna <{ANNA}>, someone@else.example", headers="Cc: not an address\r\n"))
    fields = "message:From", "message:ToRecipients", "message:CcRecipients"
    answer = anna.get(item, properties=field_uri(*fields))
    assert answer.texts("t:From/t:Mailbox/t:EmailAddress") == ["carla@supplier.example"]
    assert answer.texts("t:ToRecipients/t:Mailbox/t:EmailAddress") == [ANNA, "someone@else.example"]
    assert answer.texts("t:CcRecipients/t:Mailbox/t:Name") != []


def test_the_message_comes_as_it_arrived(server: MailServer, anna: SoapClient) -> None:
    raw = a_message()
    item = deliver(server, raw)
    content = anna.get(item, options="<t:IncludeMimeContent>true</t:IncludeMimeContent>").text("t:MimeContent")
    assert content is not None
    assert base64.b64decode(content).endswith(raw)


def test_errors_are_told_item_by_item(server: MailServer, anna: SoapClient) -> None:
    good, bad = deliver(server, a_message()), deliver(server, a_message())
    server.faults.add(FaultKind.UNREADABLE_ITEM, ANNA, item=bad, code="ErrorMimeContentConversionFailed")
    gone = deliver(server, a_message())
    server.remove(ANNA, gone)
    answer = anna.get(good, bad, gone, "junk", good)
    assert answer.codes == [
        "NoError", "ErrorMimeContentConversionFailed", "ErrorItemNotFound", "ErrorInvalidIdMalformed", "NoError",
    ]  # fmt: skip
    assert anna.sync(properties=field_uri("item:Subject")).codes == ["NoError"]


def test_ids_tell_cases_apart(server: MailServer, anna: SoapClient) -> None:
    item = deliver(server, a_message())
    assert anna.get(item.swapcase()).codes != ["NoError"]


def test_somebody_elses_item_is_out_of_reach(server: MailServer, anna: SoapClient) -> None:
    (theirs,) = server.deliver(a_message(), [BEN])
    assert anna.get(theirs).codes == ["ErrorAccessDenied"]


def test_flags_are_a_property(server: MailServer, anna: SoapClient) -> None:
    item = server.put(a_message(), ANNA, "drafts", draft=True)
    answer = anna.get(item, properties=field_uri("item:IsDraft", "message:IsRead") + tag_property("0x0E07", "Integer"))
    assert (answer.text("t:IsDraft"), answer.text("t:IsRead"), answer.text("t:Value")) == ("true", "true", "9")


def test_a_file_comes_back_as_it_was_sent(server: MailServer, anna: SoapClient) -> None:
    small, large = bytes(range(256)), bytes(range(256)) * 4096
    item = deliver(server, with_attachments(a_file("small.bin", small), a_file("large.bin", large)))
    answer = anna.attachments(*anna.attachment_ids(item))
    assert [base64.b64decode(each) for each in answer.texts("t:Content")] == [small, large]
    assert answer.texts("t:Size") == [str(len(small)), str(len(large))]


def test_a_large_file_that_is_no_clean_base64_still_comes(server: MailServer, anna: SoapClient) -> None:
    content = base64.encodebytes(bytes(600_000)).replace(b"\n", b"\r\n") + b"-- \r\nlist footer!\r\n"
    part = b"Content-Disposition: attachment; filename=a.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n" + content
    item = deliver(server, with_attachments(part))
    (encoded,) = anna.attachments(*anna.attachment_ids(item)).texts("t:Content")
    assert base64.b64decode(encoded, validate=True).startswith(bytes(600_000))


def test_an_attached_message_is_an_item_with_its_own_attachments(server: MailServer, anna: SoapClient) -> None:
    inner = with_attachments(a_file("deep.txt", b"deep"), boundary="inner")
    item = deliver(server, with_attachments(an_attached_message(inner)))
    (outer_id,) = anna.attachment_ids(item)
    shape = "<m:AttachmentShape><t:IncludeMimeContent>true</t:IncludeMimeContent></m:AttachmentShape>"
    message = anna.attachments(outer_id, shape=shape)
    assert base64.b64decode(message.text("t:MimeContent") or "").rstrip() == inner.rstrip()
    (inner_id,) = message.ids("t:Message/t:Attachments/t:FileAttachment/t:AttachmentId")
    assert base64.b64decode(anna.attachments(inner_id).text("t:Content") or "") == b"deep"


def test_attachment_errors_are_told_one_by_one(server: MailServer, anna: SoapClient) -> None:
    item = deliver(server, with_attachments(a_file("a.txt", b"a")))
    (good,) = anna.attachment_ids(item)
    assert anna.attachments(good, "junk", good[:-4] + "AAAJ").codes == [
        "NoError", "ErrorInvalidAttachmentId", "ErrorItemNotFound",
    ]  # fmt: skip
    server.faults.add(FaultKind.UNREADABLE_ATTACHMENT, ANNA, item=item, count=1)
    assert anna.attachments(good).codes == ["ErrorCorruptData"]


def test_deleting_removes_or_moves_to_deleted_items(server: MailServer, anna: SoapClient) -> None:
    first, second = deliver(server, a_message()), deliver(server, a_message())
    delete = '<m:DeleteItem DeleteType="{}"><m:ItemIds><t:ItemId Id="{}"/></m:ItemIds></m:DeleteItem>'
    assert anna.ask(delete.format("HardDelete", first)).codes == ["NoError"]
    assert anna.ask(delete.format("MoveToDeletedItems", second)).codes == ["NoError"]
    assert anna.ask(delete.format("HardDelete", first)).codes == ["ErrorItemNotFound"]
    assert server.items(ANNA) == []
    assert len(server.items(ANNA, "deleteditems")) == 1


def test_folders_are_found_by_name_by_id_and_in_other_mailboxes(
    server: MailServer, anna: SoapClient, service: SoapClient
) -> None:
    def get(client: SoapClient, folder: str) -> Answer:
        shape = "<m:FolderShape><t:BaseShape>Default</t:BaseShape></m:FolderShape>"
        return client.ask(f"<m:GetFolder>{shape}<m:FolderIds>{folder}</m:FolderIds></m:GetFolder>")

    whose = "<t:Mailbox><t:EmailAddress>{}</t:EmailAddress></t:Mailbox>"
    named = f'<t:DistinguishedFolderId Id="inbox">{whose}</t:DistinguishedFolderId>'
    inbox = get(anna, '<t:DistinguishedFolderId Id="inbox"/>')
    assert inbox.text("t:DisplayName") == "Inbox"
    (inbox_id,) = inbox.ids("t:FolderId")
    assert get(anna, f'<t:FolderId Id="{inbox_id}"/>').text("t:DisplayName") == "Inbox"
    assert get(anna, named.format(BEN)).codes == ["ErrorAccessDenied"]
    assert get(service, named.format("nobody@contoso.example")).codes == ["ErrorNonExistentMailbox"]
    assert get(anna, '<t:DistinguishedFolderId Id="voicemail"/>').codes == ["ErrorFolderNotFound"]
    server.add_account("delegate", "pw", full_access=[BEN])
    delegate = SoapClient(server, "delegate", "pw")
    assert get(delegate, named.format(BEN)).codes == ["NoError"]
    assert get(delegate, named.format(ANNA)).codes == ["ErrorAccessDenied"]
    delegate.close()


def test_unknown_operations_and_no_operation_are_faults(anna: SoapClient) -> None:
    assert anna.ask("<m:ArchiveItem/>").fault_code == "ErrorInvalidRequest"
    for broken in (b"", b"<not xml", b"<a/>", b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"):
        answer = anna.send(broken)
        assert (answer.status, answer.fault_code in ("ErrorInvalidRequest", "ErrorSchemaValidation")) == (500, True)


def test_every_reply_tells_the_version(anna: SoapClient) -> None:
    version = anna.sync().xml.find(".//t:ServerVersionInfo", NAMES)
    assert version is not None
    assert (version.get("MajorVersion"), version.get("MinorVersion")) == ("15", "2")


@pytest.mark.parametrize(
    "shape",
    [
        item_shape(base="Everything"),
        item_shape(options="<t:BodyType>Markdown</t:BodyType>"),
        item_shape(tag_property("subject")),
        "",
    ],
)
def test_a_shape_that_the_schema_does_not_know_is_refused(anna: SoapClient, shape: str) -> None:
    answer = anna.ask(f'<m:GetItem>{shape}<m:ItemIds><t:ItemId Id="junk"/></m:ItemIds></m:GetItem>')
    assert (answer.status, answer.fault_code) == (500, "ErrorSchemaValidation")


def test_replies_are_compressed_for_those_who_like_it() -> None:
    with MailServer(compress=True) as server:
        server.add_mailbox(ANNA, password="pw")
        server.deliver(a_message(text="word " * 5000), [ANNA])
        client = SoapClient(server, ANNA, "pw")
        answer = client.get(*server.items(ANNA), properties=field_uri("item:Body"))
        client.close()
    assert answer.headers["Content-Encoding"] == "gzip"
    assert int(answer.headers["Content-Length"]) < 5000
    assert body(answer)[1] == "word " * 5000 + "\r\n"
