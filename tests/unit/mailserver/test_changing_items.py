"""UpdateItem, MoveItem and CopyItem over HTTP, and how others see what they did."""

import base64
from datetime import UTC, datetime, timedelta

import pytest

from local.mailserver import FaultKind, MailServer
from tests.unit.mailserver.conftest import ANNA, BEN
from tests.unit.mailserver.messages import a_message, a_report
from tests.unit.mailserver.soap import (
    Answer,
    SoapClient,
    by_id,
    categories_field,
    delete_field,
    field_uri,
    header_property,
    indexed_view,
    move_items,
    read_flag_field,
    update_item,
)

MIME = "<t:IncludeMimeContent>true</t:IncludeMimeContent>"


@pytest.fixture
def item(server: MailServer) -> str:
    (item,) = server.deliver(a_message(), [ANNA])
    return item


def key(anna: SoapClient, item: str) -> str:
    return anna.get(item).change_key


def test_categories_are_set_and_seen_by_whoever_asks(server: MailServer, anna: SoapClient, item: str) -> None:
    before = anna.sync()
    answer = anna.ask(update_item(item, key(anna, item), categories_field("Tracked", "Rot & Grün", "tracked")))
    assert answer.codes == ["NoError"]
    expected = ["Tracked", "Rot & Grün"]
    assert server.categories(ANNA, item) == expected
    assert anna.get(item, properties=field_uri("item:Categories")).texts("t:Categories/t:String") == expected
    news = anna.sync(before.sync_state, properties=field_uri("item:Categories"))
    assert news.changes() == [("Update", item)]
    assert news.texts("t:Categories/t:String") == expected
    assert news.change_key == answer.change_key
    assert anna.find_items(properties=field_uri("item:Categories")).texts("t:Categories/t:String") == expected


def test_categories_are_taken_away(server: MailServer, anna: SoapClient, item: str) -> None:
    server.categorize(ANNA, item, ["Tracked"])
    anna.ask(update_item(item, key(anna, item), delete_field("item:Categories")))
    assert server.categories(ANNA, item) == []
    assert anna.get(item, base="AllProperties").text("t:Categories") is None


def test_an_item_without_changes_keeps_its_key_and_one_with_changes_gets_another(anna: SoapClient, item: str) -> None:
    first = key(anna, item)
    assert key(anna, item) == first
    answer = anna.ask(update_item(item, first, categories_field("Tracked")))
    assert answer.change_key == key(anna, item) != first


@pytest.mark.parametrize(
    ("resolution", "knows", "code"),
    [
        ("NeverOverwrite", "current", "NoError"),
        ("NeverOverwrite", "stale", "ErrorIrresolvableConflict"),
        ("NeverOverwrite", "nothing", "ErrorChangeKeyRequiredForWriteOperations"),
        ("NeverOverwrite", "nonsense", "ErrorInvalidChangeKey"),
        ("AutoResolve", "stale", "NoError"),
        ("AutoResolve", "nothing", "ErrorChangeKeyRequiredForWriteOperations"),
        ("AlwaysOverwrite", "stale", "NoError"),
        ("AlwaysOverwrite", "nothing", "NoError"),
        ("AlwaysOverwrite", "nonsense", "ErrorInvalidChangeKey"),
    ],
)
def test_conflicts_are_resolved_as_asked(
    server: MailServer, anna: SoapClient, item: str, resolution: str, knows: str, code: str
) -> None:
    stale = key(anna, item)
    server.categorize(ANNA, item, ["Mine"])
    keys = {"current": key(anna, item), "stale": stale, "nothing": None, "nonsense": "bm9uc2Vuc2U="}
    answer = anna.ask(update_item(item, keys[knows], categories_field("Tracked"), resolution=resolution))
    assert answer.codes == [code]
    assert server.categories(ANNA, item) == (["Tracked"] if code == "NoError" else ["Mine"])


def test_the_read_flag_alone_is_a_change_of_the_read_flag(anna: SoapClient, item: str) -> None:
    before = anna.sync().sync_state
    anna.ask(update_item(item, key(anna, item), read_flag_field(True)))
    assert anna.sync(before).changes() == [("ReadFlagChange", item)]


@pytest.mark.parametrize(
    ("update", "code"),
    [
        (delete_field("message:IsRead"), "ErrorInvalidPropertyDelete"),
        (categories_field("x", path="item:Subject"), "ErrorInvalidPropertySet"),
        (categories_field("x", path="message:IsRead"), "ErrorUpdatePropertyMismatch"),
    ],
)
def test_what_cannot_be_written_is_refused_and_nothing_is_done(
    server: MailServer, anna: SoapClient, item: str, update: str, code: str
) -> None:
    answer = anna.ask(update_item(item, None, categories_field("Tracked") + update, resolution="AlwaysOverwrite"))
    assert answer.codes == [code]
    assert server.categories(ANNA, item) == []


def test_a_message_needs_a_disposition(anna: SoapClient, item: str) -> None:
    asked = update_item(item, None, categories_field("x"), resolution="AlwaysOverwrite")
    assert anna.ask(asked.replace(' MessageDisposition="SaveOnly"', "")).fault_code == "ErrorMessageDispositionRequired"


def moved(answer: Answer) -> str:
    assert answer.codes == ["NoError"]
    (new,) = answer.ids()
    return new


def test_an_item_that_moves_is_gone_here_and_new_there(server: MailServer, anna: SoapClient, item: str) -> None:
    project = server.add_folder(ANNA, "Project", "inbox")
    there = f'<t:FolderId Id="{project}"/>'
    server.categorize(ANNA, item, ["Tracked"])
    inbox, folder = anna.sync(), anna.sync(folder=there)
    new = moved(anna.ask(move_items(item, to=there)))
    assert new != item
    assert anna.sync(inbox.sync_state).changes() == [("Delete", item)]
    assert anna.sync(folder.sync_state, folder=there).changes() == [("Create", new)]
    assert anna.get(item).codes == ["ErrorItemNotFound"]
    assert server.categories(ANNA, new) == ["Tracked"]


def test_a_copy_has_an_id_of_its_own_and_leaves_the_item_alone(server: MailServer, anna: SoapClient, item: str) -> None:
    before = anna.sync().sync_state
    archive = '<t:DistinguishedFolderId Id="junkemail"/>'
    copy = moved(anna.ask(move_items(item, to=archive, operation="CopyItem")))
    assert server.items(ANNA, "junkemail") == [copy] != [item]
    assert anna.sync(before).changes() == []


def test_whoever_asks_for_no_ids_gets_none(anna: SoapClient, item: str) -> None:
    answer = anna.ask(move_items(item, with_ids=False))
    assert (answer.codes, answer.ids()) == (["NoError"], [])


def test_each_move_is_answered_for_itself(server: MailServer, anna: SoapClient, item: str) -> None:
    gone = anna.ask(move_items(item)).ids()[0]
    server.remove(ANNA, gone)
    (other,) = server.deliver(a_message(), [ANNA])
    assert anna.ask(move_items(gone, item, "junk", other)).codes == [
        "ErrorItemNotFound", "ErrorItemNotFound", "ErrorInvalidIdMalformed", "NoError",
    ]  # fmt: skip


def test_there_is_no_moving_to_nowhere_or_to_somebody_else(server: MailServer, service: SoapClient, item: str) -> None:
    folder = server.add_folder(ANNA, "Project")
    server.remove_folder(ANNA, folder)
    assert service.ask(move_items(item, to=f'<t:FolderId Id="{folder}"/>')).codes == ["ErrorToFolderNotFound"]
    other = server.store.mailbox(BEN).folder("inbox").id
    assert service.ask(move_items(item, to=f'<t:FolderId Id="{other}"/>')).codes == ["ErrorAccessDenied"]
    server.add_account("all", "pw", full_access=["*"])
    everyone = SoapClient(server, "all", "pw")
    assert everyone.ask(move_items(item, to=f'<t:FolderId Id="{other}"/>')).codes == ["ErrorCrossMailboxMoveCopy"]
    everyone.close()


def test_a_lost_reply_leaves_the_work_done(server: MailServer, anna: SoapClient, item: str) -> None:
    server.faults.add(FaultKind.REPLY_LOST, ANNA, operation="MoveItem", count=1)
    with pytest.raises(OSError):  # noqa: PT011  # whatever the client makes of a broken connection
        anna.ask(move_items(item))
    assert server.items(ANNA) == []
    assert len(server.items(ANNA, "deleteditems")) == 1
    assert [asked.code for asked in server.requests.of("MoveItem", ANNA)] == ["Disconnect"]


def test_errors_on_request_change_nothing(server: MailServer, anna: SoapClient, item: str) -> None:
    server.faults.add(FaultKind.ERROR, ANNA, operation="UpdateItem", code="ErrorMailboxStoreUnavailable", count=1)
    asked = update_item(item, None, categories_field("Tracked"), resolution="AlwaysOverwrite")
    assert anna.ask(asked).codes == ["ErrorMailboxStoreUnavailable"]
    assert server.categories(ANNA, item) == []
    assert anna.ask(asked).codes == ["NoError"]


def test_an_item_that_cannot_be_changed_leaves_the_others_alone(server: MailServer, anna: SoapClient, item: str) -> None:
    (other,) = server.deliver(a_message(), [ANNA])
    server.faults.add(FaultKind.UNWRITABLE_ITEM, ANNA, item=item, code="ErrorItemCorrupt", count=2)
    asked = update_item(item, None, categories_field("Tracked"), resolution="AlwaysOverwrite")
    assert anna.ask(asked).codes == ["ErrorItemCorrupt"]
    assert anna.ask(move_items(other, item)).codes == ["NoError", "ErrorItemCorrupt"]
    assert (server.items(ANNA), server.categories(ANNA, item)) == ([item], [])
    assert anna.ask(asked).codes == ["NoError"]


def test_lists_have_no_recipients_and_getting_an_item_has(anna: SoapClient, item: str) -> None:
    fields = field_uri(
        "message:ToRecipients", "message:CcRecipients", "message:BccRecipients", "message:ReplyTo", "item:Subject"
    )
    for listed in (anna.sync(properties=fields), anna.find_items(properties=fields)):
        assert listed.texts("t:Subject") == ["Offer"]
        assert listed.texts("t:ToRecipients") == []
    assert anna.get(item, properties=fields).texts("t:ToRecipients/t:Mailbox/t:EmailAddress") == [ANNA]


def test_any_folder_is_listed_newest_first_page_by_page(server: MailServer, anna: SoapClient) -> None:
    folder = server.add_folder(ANNA, "Project", "inbox")
    start = datetime(2026, 11, 2, tzinfo=UTC)
    hours = (3, 1, 5, 2, 4)
    ids = {hour: server.deliver(a_message(), [ANNA], start + timedelta(hours=hour), folder=folder)[0] for hour in hours}
    path = field_uri("item:DateTimeReceived")
    sort = f'<m:SortOrder><t:FieldOrder Order="Descending">{path}</t:FieldOrder></m:SortOrder>'
    pages = [anna.find_items(folder=by_id(folder), view=indexed_view(2, offset), sort=sort).ids() for offset in (0, 2, 4)]
    assert pages == [[ids[5], ids[4]], [ids[3], ids[2]], [ids[1]]]
    assert anna.find_items(folder=by_id(folder), view=indexed_view(2, 1, "End"), sort=sort).ids() == [ids[3], ids[2]]


def test_a_delivery_report_is_an_item_of_its_class_and_its_mime_form_says_what_happened(
    server: MailServer, anna: SoapClient
) -> None:
    (report,) = server.deliver(a_report(), [ANNA])
    headers = header_property("auto-submitted") + header_property("Content-Type")
    answer = anna.get(report, base="AllProperties", properties=headers, options=MIME)
    assert answer.text("t:ItemClass") == "REPORT.IPM.Note.NDR"
    assert answer.texts("t:Value")[0] == "auto-replied"
    assert answer.texts("t:Attachments/t:ItemAttachment/t:Name") == ["Offer"]
    assert answer.texts("t:Attachments/t:FileAttachment/t:Name") == []
    assert b"Final-Recipient: rfc822; nobody@supplier.example" in base64.b64decode(answer.text("t:MimeContent") or "")


def test_an_automatic_reply_within_the_organisation_has_its_class(server: MailServer, anna: SoapClient) -> None:
    oof = "IPM.Note.Rules.OofTemplate.Microsoft"
    (reply,) = server.deliver(a_message("Automatic reply: Offer"), [ANNA], internal=True, item_class=oof)
    assert anna.get(reply, base="AllProperties").text("t:ItemClass") == oof
    assert anna.find_items(field_uri("item:ItemClass")).texts("t:ItemClass") == [oof]
