"""CreateItem, CreateAttachment and SendItem as they are on the wire: what they answer, and what they refuse."""

import base64
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from local.mailserver import FaultKind, MailServer
from local.mailserver.message import Message
from tests.unit.mailserver.conftest import ANNA, BEN
from tests.unit.mailserver.messages import a_message
from tests.unit.mailserver.soap import Answer, SoapClient, field_uri, header_property, tag_property, well_known
from tests.unit.mailserver.soap_sending import (
    LIST,
    OWN,
    SAME,
    a_draft,
    a_file,
    attach,
    create_items,
    send_items,
    to,
    with_property,
)

CUSTOMER = "carla@supplier.example"


def create(client: SoapClient, *items: str, how: str = "SaveOnly", folder: str = "") -> Answer:
    return client.ask(create_items(*items, how=how, folder=folder))


def send(client: SoapClient, *items: tuple[str, str | None], saves: str = "true", folder: str = "") -> Answer:
    return client.ask(send_items(*items, saves=saves, folder=folder))


def keys(answer: Answer) -> list[tuple[str, str]]:
    found = answer.xml.iterfind(".//{*}ItemId")
    return [(each.get("Id", ""), each.get("ChangeKey", "")) for each in found]


def test_a_draft_is_in_drafts_and_not_sent(server: MailServer, anna: SoapClient) -> None:
    answer = create(anna, a_draft(), a_draft("Second"))
    assert answer.codes == ["NoError"] * 2
    first, second = answer.ids()
    assert server.items(ANNA, "drafts") == [second, first]
    shown = anna.get(first, properties=field_uri("item:IsDraft", "item:ParentFolderId", "item:IsSubmitted", "message:IsRead"))
    assert [shown.text(f"t:{name}") for name in ("IsDraft", "IsSubmitted", "IsRead")] == ["true", "false", "true"]
    folder = anna.ask(
        f"<m:GetFolder><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape></m:FolderShape><m:FolderIds>{well_known('drafts')}"
        "</m:FolderIds></m:GetFolder>"
    )
    assert shown.ids("t:ParentFolderId") == folder.ids("t:FolderId")
    assert int(anna.get(first, properties=tag_property("0xE07", "Integer")).text("t:Value") or 0) & 8, "unsent"
    assert server.items(BEN) == []
    assert server.accepted() == []


def test_what_a_client_says_of_a_draft_is_what_it_is(anna: SoapClient) -> None:
    said = (
        "<t:Categories><t:String>Blue</t:String></t:Categories><t:Importance>Low</t:Importance>"
        + with_property(header_property("X-Own"), "Köln")
        + with_property(tag_property("0x0071", "Binary"), base64.b64encode(bytes(22)).decode())
        + with_property(LIST, "a", "b")
    )
    more = (
        to("Cc@x.example", field="CcRecipients")
        + "<t:IsReadReceiptRequested>true</t:IsReadReceiptRequested>"
        + "<t:IsDeliveryReceiptRequested>1</t:IsDeliveryReceiptRequested>"
        + "<t:InternetMessageId>&lt;1@contoso.example&gt;</t:InternetMessageId>"
        + "<t:References>&lt;0@a&gt; &lt;00@b&gt;</t:References>"
    )
    (item,) = create(anna, a_draft("Grüße\nX-Injected: yes", more, before=said)).ids()
    names = (
        "item:Importance item:Categories item:Subject message:IsReadReceiptRequested message:IsDeliveryReceiptRequested"
        " message:InternetMessageId message:References message:ConversationIndex message:CcRecipients"
    )
    shown = anna.get(item, properties=field_uri(*names.split()) + header_property("X-Own") + LIST)
    assert shown.text("t:Subject") == "Grüße X-Injected: yes"
    assert [shown.text(f"t:{name}") for name in ("Importance", "InternetMessageId", "References")] == [
        "Low",
        "<1@contoso.example>",
        "<0@a> <00@b>",
    ]
    assert shown.text("t:Categories/t:String") == "Blue"
    assert shown.text("t:ConversationIndex") == base64.b64encode(bytes(22)).decode()
    assert shown.texts("t:ExtendedProperty/t:Value") == ["Köln"]
    assert shown.texts("t:ExtendedProperty/t:Values/t:Value") == ["a", "b"]
    assert shown.texts("t:CcRecipients/t:Mailbox/t:EmailAddress") == ["Cc@x.example"]
    assert [shown.text(f"t:Is{each}ReceiptRequested") for each in ("Read", "Delivery")] == ["true", "true"]


def test_own_properties_find_items_by_whatever_name_of_their_set(server: MailServer, anna: SoapClient) -> None:
    answer = create(anna, *(a_draft(before=with_property(OWN, key)) for key in ("k-1", "k-2", "k-3")))

    def found(folder: str, path: str, *values: str) -> list[str]:
        tests = "".join(
            f'<t:IsEqualTo>{path}<t:FieldURIOrConstant><t:Constant Value="{value}"/></t:FieldURIOrConstant></t:IsEqualTo>'
            for value in values
        )
        restriction = f"<m:Restriction>{f'<t:Or>{tests}</t:Or>' if len(values) > 1 else tests}</m:Restriction>"
        return anna.find_items(folder=well_known(folder), view=restriction).ids()

    assert found("drafts", SAME, "k-2") == [answer.ids()[1]]
    assert found("drafts", OWN, "k-1", "k-3", "k-4") == [answer.ids()[2], answer.ids()[0]]
    send(anna, keys(answer)[0])
    assert found("drafts", OWN, "k-1") == []
    assert found("sentitems", OWN, "k-1") == server.items(ANNA, "sentitems")
    assert anna.get(*server.items(ANNA, "sentitems"), properties=SAME).text("t:Value") == "k-1"


def test_sending_needs_the_change_key_that_the_item_has_now(server: MailServer, anna: SoapClient) -> None:
    ((item, key),) = keys(create(anna, a_draft()))
    answer = anna.ask(attach(item, a_file("a.txt")))
    (identity,) = answer.xml.iterfind(".//{*}AttachmentId")
    assert identity.get("RootItemId") == item
    assert identity.get("RootItemChangeKey") not in (None, key)
    assert send(anna, (item, None)).codes == ["ErrorChangeKeyRequiredForWriteOperations"]
    assert send(anna, (item, "junk")).codes == ["ErrorInvalidChangeKey"]
    assert send(anna, (item, key)).codes == ["ErrorStaleObject"]
    assert server.items(BEN) == []
    assert send(anna, (item, identity.get("RootItemChangeKey"))).codes == ["NoError"]
    assert send(anna, (item, identity.get("RootItemChangeKey"))).codes == ["ErrorItemNotFound"]
    assert len(server.items(BEN)) == 1


def test_what_was_sent_is_complete_and_its_copy_is_another_item(server: MailServer, anna: SoapClient) -> None:
    mixed = to("Bert@supplier.example", field="BccRecipients")
    drafted = keys(create(anna, a_draft(more=mixed)))
    assert send(anna, *drafted).codes == ["NoError"]
    (copy,) = server.items(ANNA, "sentitems")
    assert copy != drafted[0][0]
    assert server.items(ANNA, "drafts") == []
    (accepted,) = server.accepted()
    assert (accepted.head, accepted.sender, accepted.recipients) == ("ews", ANNA, (BEN, "Bert@supplier.example"))
    mailed = Message(accepted.octets)
    assert mailed.header("From") == "Anna Adler <anna@contoso.example>"
    assert mailed.sent is not None
    assert (mailed.message_id or "").endswith("@contoso.example>")
    assert mailed.header("Bcc") is None
    assert server.accepted(mailed.message_id) == [accepted]
    flags = anna.get(copy, properties=field_uri("item:IsDraft", "item:IsFromMe", "message:InternetMessageId"))
    assert [flags.text(f"t:{name}") for name in ("IsDraft", "IsFromMe")] == ["false", "true"]
    assert flags.text("t:InternetMessageId") == mailed.message_id
    assert send(anna, (copy, flags.change_key)).codes == ["ErrorInvalidItemForOperationSendItem"]


def test_the_copy_goes_where_it_is_wanted_or_nowhere(server: MailServer, anna: SoapClient) -> None:
    first, second, third = keys(create(anna, a_draft(), a_draft(), a_draft()))
    assert send(anna, first, folder=well_known("archive")).codes == ["NoError"]
    assert send(anna, second, saves="false").codes == ["NoError"]
    assert send(anna, third, saves="false", folder=well_known("archive")).fault_code == "ErrorInvalidSendItemSaveSettings"
    assert send(anna, third, saves="perhaps").fault_code == "ErrorSchemaValidation"
    assert send(anna, third, folder='<t:DistinguishedFolderId Id="nowhere"/>').codes == ["ErrorFolderNotFound"]
    assert [len(server.items(ANNA, folder)) for folder in ("archive", "sentitems", "drafts")] == [1, 0, 1]
    assert len(server.items(BEN)) == 2


@pytest.mark.parametrize(("how", "copies"), [("SendOnly", 0), ("SendAndSaveCopy", 1)])
def test_items_are_sent_as_they_are_created(server: MailServer, anna: SoapClient, how: str, copies: int) -> None:
    answer = create(anna, a_draft(before=f"<t:Attachments>{a_file('a.txt')}</t:Attachments>"), a_draft(), how=how)
    assert answer.codes == ["NoError"] * 2
    assert answer.ids() == []
    assert len(server.items(BEN)) == 2
    assert len(server.items(ANNA, "sentitems")) == copies * 2
    assert server.items(ANNA, "drafts") == []
    attached = [server.store.mailbox(BEN).item(item).message.attachments for item in server.items(BEN)]
    assert [[each.name for each in one] for one in attached] == [[], ["a.txt"]]


def test_a_mime_message_is_a_draft_too(server: MailServer, anna: SoapClient) -> None:
    raw = base64.b64encode(a_message("Of old", sender=ANNA, to=BEN, message_id="<9@contoso.example>")).decode()
    ((item, _),) = keys(create(anna, f"<t:Message><t:MimeContent>{raw}</t:MimeContent><t:Subject>Anew</t:Subject></t:Message>"))
    anna.ask(attach(item, a_file("a.txt"), a_file("b.txt", bytes(300))))
    shown = anna.get(item, properties=field_uri("item:Attachments"))
    assert shown.texts("t:FileAttachment/t:Name") == ["a.txt", "b.txt"]
    content = anna.attachments(*shown.ids("t:AttachmentId")).texts("t:Content")
    assert [base64.b64decode(each) for each in content] == [b"content", bytes(300)]
    assert send(anna, (item, shown.change_key)).codes == ["NoError"]
    mailed = Message(server.accepted("<9@contoso.example>")[0].octets)
    assert (mailed.subject, mailed.bodies.as_text()) == ("Anew", "Good morning\r\n")


def test_a_message_is_attached(server: MailServer, anna: SoapClient) -> None:
    ((item, _),) = keys(create(anna, a_draft()))
    inner = f"<t:ItemAttachment><t:Name>Inner</t:Name>{a_draft('Inner', recipients=to(CUSTOMER))}</t:ItemAttachment>"
    assert anna.ask(attach(item, inner)).codes == ["NoError"]
    (attachment,) = server.store.mailbox(ANNA).item(item).message.attachments
    assert attachment.is_message
    assert attachment.name == "Inner"


@pytest.mark.parametrize(
    ("draft", "code"),
    [
        (a_draft(recipients=""), "ErrorMissingRecipients"),
        (a_draft(recipients=to("nobody")), "ErrorInvalidRecipients"),
        (a_draft(more=to(BEN, field="From")), "ErrorSendAsDenied"),
        (a_draft(more=to(CUSTOMER, field="From")), "ErrorSendAsDenied"),
        (a_draft("x" * 5000), "ErrorMessageSizeExceeded"),
        ("<t:Task><t:Subject>no mail</t:Subject></t:Task>", "ErrorInvalidOperation"),
        ("<t:Message><t:Size>3</t:Size></t:Message>", "ErrorInvalidPropertySet"),
        ("<t:Message><t:MimeContent>!</t:MimeContent></t:Message>", "ErrorInvalidRequest"),
        (a_draft(before=with_property(tag_property("0x71", "Binary"), "!")), "ErrorInvalidExtendedPropertyValue"),
    ],
)
def test_what_cannot_be_sent_is_said_and_harms_nothing_else(
    server: MailServer, anna: SoapClient, draft: str, code: str
) -> None:
    server.set_limits(largest_message=4000)
    assert create(anna, draft, a_draft(), how="SendAndSaveCopy").codes == [code, "NoError"]
    assert len(server.items(BEN)) == len(server.items(ANNA, "sentitems")) == len(server.accepted()) == 1


def test_a_draft_that_cannot_be_sent_stays(server: MailServer, anna: SoapClient) -> None:
    bad, good = keys(create(anna, a_draft(recipients=""), a_draft()))
    assert send(anna, bad, good).codes == ["ErrorMissingRecipients", "NoError"]
    assert server.items(ANNA, "drafts") == [bad[0]]
    server.set_limits(largest_message=4000)
    assert anna.ask(attach(bad[0], a_file("large", bytes(5000)))).codes == ["ErrorMessageSizeExceeded"]
    assert server.store.mailbox(ANNA).item(bad[0]).message.attachments == ()


def test_requests_out_of_form_are_faults(anna: SoapClient) -> None:
    assert (
        anna.ask(f"<m:CreateItem><m:Items>{a_draft()}</m:Items></m:CreateItem>").fault_code == "ErrorMessageDispositionRequired"
    )
    assert create(anna, a_draft(), how="Maybe").fault_code == "ErrorSchemaValidation"
    assert (
        create(anna, f"<t:Message>{to(BEN)}<t:Subject>too late</t:Subject></t:Message>").fault_code == "ErrorSchemaValidation"
    )
    nameless = '<t:ExtendedFieldURI PropertySetId="00020329-0000-0000-C000-000000000046" PropertyType="String"/>'
    assert create(anna, a_draft(before=with_property(nameless, "x"))).fault_code == "ErrorInvalidExtendedProperty"


def test_nobody_writes_in_anothers_mailbox(server: MailServer, anna: SoapClient) -> None:
    of_ben = f"<t:Mailbox><t:EmailAddress>{BEN}</t:EmailAddress></t:Mailbox>"
    there = f'<t:DistinguishedFolderId Id="drafts">{of_ben}</t:DistinguishedFolderId>'
    assert create(anna, a_draft(), folder=there).codes == ["ErrorAccessDenied"]
    server.add_account("delegate", "pw", full_access=[BEN])
    delegate = SoapClient(server, "delegate", "pw")
    drafted = keys(create(delegate, a_draft(recipients=to(ANNA)), folder=there))
    assert send(delegate, *drafted, saves="false").codes == ["ErrorSendAsDenied"], "full access is no right to send"
    server.grant_sending(BEN, "delegate")
    assert send(delegate, *drafted, saves="false").codes == ["NoError"]
    delegate.close()
    assert server.accepted()[0].sender == BEN


def test_who_is_not_here_comes_back_as_a_report(server: MailServer, anna: SoapClient) -> None:
    more = (
        to("nobody@contoso.example", CUSTOMER, field="CcRecipients")
        + "<t:InternetMessageId>&lt;5@contoso.example&gt;</t:InternetMessageId>"
    )
    create(anna, a_draft(more=more), how="SendOnly")
    (item,) = server.items(ANNA)
    shown = anna.get(item, properties=field_uri("item:ItemClass", "item:Subject", "item:InReplyTo"))
    assert [shown.text(f"t:{name}") for name in ("ItemClass", "Subject", "InReplyTo")] == [
        "REPORT.IPM.Note.NDR",
        "Undeliverable: Offer",
        "<5@contoso.example>",
    ]
    report = server.store.mailbox(ANNA).item(item).message.root.parts[1].content()
    assert b"Final-Recipient: rfc822;nobody@contoso.example\r\nAction: failed\r\nStatus: 5.1.10\r\n" in report
    assert report.count(b"Final-Recipient") == 1, "who is elsewhere is nobody's concern"


def test_a_recipient_elsewhere_bounces_as_wanted(server: MailServer, anna: SoapClient) -> None:
    server.faults.add(FaultKind.BOUNCES, CUSTOMER, code="552 5.2.2", text="Mailbox full")
    create(anna, a_draft(recipients=to(CUSTOMER, BEN)), how="SendOnly")
    (item,) = server.items(ANNA)
    report = server.store.mailbox(ANNA).item(item).message.root.parts[1].content()
    assert b"Status: 5.2.2\r\nDiagnostic-Code: smtp;552 5.2.2 Mailbox full\r\n" in report
    assert len(server.items(BEN)) == 1


def test_success_is_reported_where_it_was_asked_for(server: MailServer, anna: SoapClient) -> None:
    create(anna, a_draft(more="<t:IsDeliveryReceiptRequested>true</t:IsDeliveryReceiptRequested>"), how="SendOnly")
    (item,) = server.items(ANNA)
    assert anna.get(item, properties=field_uri("item:ItemClass")).text("t:ItemClass") == "REPORT.IPM.Note.DR"


def test_the_connection_breaks_before_or_after_sending(server: MailServer, anna: SoapClient) -> None:
    drafted = keys(create(anna, a_draft(), a_draft(), a_draft(), a_draft()))
    server.faults.add(FaultKind.CONNECTION_RESET, ANNA, operation="SendItem", count=1)
    with pytest.raises(requests.ConnectionError):
        send(anna, drafted[0])
    assert len(server.accepted()) == 0
    server.faults.add(FaultKind.REPLY_LOST, ANNA, operation="SendItem", count=1)
    with pytest.raises(requests.ConnectionError):
        send(anna, drafted[0])
    assert len(server.accepted()) == 1
    server.faults.add(FaultKind.BREAKS_OFF, ANNA, operation="SendItem", item=drafted[2][0], count=1)
    with pytest.raises(requests.ConnectionError):
        send(anna, *drafted[1:])
    assert len(server.accepted()) == 2
    assert server.items(ANNA, "drafts") == [drafted[3][0], drafted[2][0]]
    assert [asked.code for asked in server.requests.of("SendItem")] == ["Disconnect"] * 3


def test_one_item_of_a_request_has_an_error(server: MailServer, anna: SoapClient) -> None:
    named = [f"<t:InternetMessageId>&lt;{number}@contoso.example&gt;</t:InternetMessageId>" for number in range(3)]
    server.faults.add(
        FaultKind.UNWRITABLE_ITEM, ANNA, operation="CreateItem", item="<1@contoso.example>", code="ErrorQuotaExceeded", count=1
    )
    answer = create(anna, *(a_draft(more=each) for each in named))
    assert answer.codes == ["NoError", "ErrorQuotaExceeded", "NoError"]
    server.faults.add(FaultKind.UNWRITABLE_ITEM, ANNA, operation="SendItem", code="ErrorSubmissionQuotaExceeded", after=1)
    assert send(anna, *keys(answer)).codes == ["NoError", "ErrorSubmissionQuotaExceeded"]
    assert len(server.items(ANNA, "drafts")) == 1


def test_two_who_write_to_each_other_at_once_do_not_wait_for_each_other(server: MailServer) -> None:
    def write(own: str, other: str) -> list[str]:
        client = SoapClient(server, "service", "secret", impersonating=own)
        drafted = keys(create(client, *[a_draft(recipients=to(other))] * 60))
        codes = send(client, *drafted).codes
        client.close()
        return codes

    with ThreadPoolExecutor() as threads:
        outcomes = [threads.submit(write, *pair) for pair in ((ANNA, BEN), (BEN, ANNA))]
        assert [set(outcome.result(timeout=20)) for outcome in outcomes] == [{"NoError"}, {"NoError"}]
    assert len(server.items(ANNA)) == len(server.items(BEN)) == 60


def test_a_draft_that_two_send_at_once_is_sent_once(server: MailServer, anna: SoapClient) -> None:
    drafted = keys(create(anna, *[a_draft()] * 40))

    def send_all() -> list[str]:
        client = SoapClient(server, "service", "secret", impersonating=ANNA)
        codes = send(client, *drafted).codes
        client.close()
        return codes

    with ThreadPoolExecutor() as threads:
        first, second = (outcome.result(timeout=20) for outcome in [threads.submit(send_all) for _ in range(2)])
    assert [sorted(pair) for pair in zip(first, second, strict=True)] == [["ErrorItemNotFound", "NoError"]] * 40
    assert len(server.items(BEN)) == len(server.accepted()) == 40
