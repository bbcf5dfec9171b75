"""SyncFolderItems and SyncFolderHierarchy over HTTP."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from local.mailserver import FaultKind, MailServer
from tests.unit.mailserver.conftest import ANNA, BEN
from tests.unit.mailserver.messages import a_message
from tests.unit.mailserver.soap import SoapClient, field_uri, header_property, tag_property

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)


def deliver(server: MailServer, number: int, start: datetime = NOON) -> list[str]:
    """Ids, oldest first."""
    ids = []
    for each in range(number):
        raw = a_message(f"Number {each}", message_id=f"<{each}@supplier.example>")
        ids += server.deliver(raw, [ANNA], received=start + timedelta(minutes=each))
    return ids


def test_the_first_listing_comes_newest_first_in_pages(server: MailServer, anna: SoapClient) -> None:
    ids = deliver(server, 7)
    seen: list[str] = []
    state, is_last = "", False
    pages = 0
    while not is_last:
        page = anna.sync(state, limit=3)
        assert all(kind == "Create" for kind, _ in page.changes())
        seen += [each for _, each in page.changes()]
        state, is_last = page.sync_state, page.is_last
        pages += 1
    assert seen == ids[::-1]
    assert pages == 3


def test_what_arrives_during_the_first_listing_comes_after_it_and_once(server: MailServer, anna: SoapClient) -> None:
    deliver(server, 4)
    first = anna.sync(limit=2)
    (late,) = server.deliver(a_message("Late"), [ANNA], received=NOON - timedelta(days=1))
    second = anna.sync(first.sync_state, limit=2)
    third = anna.sync(second.sync_state)
    assert late not in {each for _, each in first.changes() + second.changes()}
    assert third.changes() == [("Create", late)]


def test_an_idle_poll_brings_nothing(server: MailServer, anna: SoapClient) -> None:
    deliver(server, 1)
    caught_up = anna.sync()
    assert caught_up.is_last
    idle = anna.sync(caught_up.sync_state)
    assert (idle.changes(), idle.is_last) == ([], True)


def test_every_kind_of_change_is_told(server: MailServer, anna: SoapClient) -> None:
    removed, moved, changed, read = deliver(server, 4)
    state = anna.sync().sync_state
    server.remove(ANNA, removed)
    server.move(ANNA, moved, "archive")
    server.touch(ANNA, changed)
    server.mark_read(ANNA, read)
    (new,) = server.deliver(a_message("New"), [ANNA])
    changes = anna.sync(state).changes()
    assert changes == [("Delete", removed), ("Delete", moved), ("Update", changed), ("ReadFlagChange", read), ("Create", new)]


def test_mail_that_came_and_went_between_two_polls_is_not_told(server: MailServer, anna: SoapClient) -> None:
    state = anna.sync().sync_state
    (brief,) = server.deliver(a_message(), [ANNA])
    server.remove(ANNA, brief)
    assert anna.sync(state).changes() == []


def test_the_change_key_changes_with_the_item(server: MailServer, anna: SoapClient) -> None:
    deliver(server, 1)

    def change_key() -> str:
        item = anna.sync().xml.find(".//{*}ItemId")
        assert item is not None
        return item.get("ChangeKey", "")

    before = change_key()
    assert change_key() == before
    server.touch(ANNA, server.items(ANNA)[0])
    assert change_key() != before


def test_only_what_was_asked_for_is_shown(server: MailServer, anna: SoapClient) -> None:
    deliver(server, 1)
    plain, more = anna.sync(), anna.sync(properties=field_uri("item:Subject", "message:InternetMessageId"))
    assert plain.text("t:Subject") is None
    assert (more.text("t:Subject"), more.text("t:InternetMessageId")) == ("Number 0", "<0@supplier.example>")
    assert more.text("t:Size") is None


def test_bodies_and_attachments_are_never_listed(server: MailServer, anna: SoapClient) -> None:
    deliver(server, 1)
    listed = anna.sync(properties=field_uri("item:Body", "item:Attachments", "item:MimeContent"))
    assert listed.text("t:Body") is None
    assert listed.text("t:MimeContent") is None


def test_headers_are_named_properties_whatever_their_case(server: MailServer, anna: SoapClient) -> None:
    server.deliver(a_message(headers="X-Tracking: T-1\r\n"), [ANNA])
    assert anna.sync(properties=header_property("x-tracking")).text("t:Value") == "T-1"
    assert anna.sync(properties=header_property("X-Absent")).text("t:Value") is None


@pytest.mark.parametrize(("internal", "origin"), [(False, "Anonymous"), (True, "Internal"), (None, None)])
def test_transport_says_whether_the_sender_was_signed_in(
    server: MailServer, anna: SoapClient, internal: bool | None, origin: str | None
) -> None:
    server.deliver(a_message(), [ANNA], internal=internal)
    listed = anna.sync(properties=header_property("X-MS-Exchange-Organization-AuthAs"))
    assert listed.text("t:Value") == origin


def test_the_transport_headers_are_a_property(server: MailServer, anna: SoapClient) -> None:
    server.deliver(a_message(headers="X-Tracking: T-1\r\n"), [ANNA])
    headers = anna.sync(properties=tag_property("0x007D")).text("t:Value")
    assert headers is not None
    assert "X-Tracking: T-1\r\n" in headers
    assert headers.startswith("Received: ")


def test_what_a_client_stored_itself_never_went_through_transport(server: MailServer, anna: SoapClient) -> None:
    server.put(a_message(sender=f"Anna <{ANNA}>"), ANNA, "inbox", from_me=True)
    listed = anna.sync(properties=field_uri("item:IsFromMe") + header_property("X-MS-Exchange-Organization-AuthAs"))
    assert listed.text("t:IsFromMe") == "true"
    assert listed.text("t:Value") is None


def test_a_state_is_bound_to_its_folder(anna: SoapClient) -> None:
    state = anna.sync().sync_state
    refused = anna.sync(state, folder='<t:DistinguishedFolderId Id="archive"/>')
    assert refused.codes == ["ErrorInvalidSyncStateData"]


@pytest.mark.parametrize("state", ["junk", "AAAA", "bm9uc2Vuc2U="])
def test_a_state_that_nobody_issued_is_refused(anna: SoapClient, state: str) -> None:
    assert anna.sync(state).codes == ["ErrorInvalidSyncStateData"]


def test_invalidation_refuses_old_states_and_accepts_new_ones(server: MailServer, anna: SoapClient) -> None:
    deliver(server, 2)
    state = anna.sync().sync_state
    server.invalidate_sync_states(ANNA)
    assert anna.sync(state).codes == ["ErrorInvalidSyncStateData"]
    again = anna.sync()
    assert len(again.changes()) == 2
    assert anna.sync(again.sync_state).codes == ["NoError"]


@pytest.mark.parametrize("limit", [0, 513])
def test_a_page_has_from_1_to_512_changes(anna: SoapClient, limit: int) -> None:
    refused = anna.sync(limit=limit)
    assert (refused.status, refused.fault_code) == (500, "ErrorSchemaValidation")


def test_a_removed_folder_cannot_be_synchronized(server: MailServer, anna: SoapClient) -> None:
    folder = server.add_folder(ANNA, "Project")
    element = f'<t:FolderId Id="{folder}"/>'
    assert anna.sync(folder=element).codes == ["NoError"]
    server.remove_folder(ANNA, folder)
    assert anna.sync(folder=element).codes == ["ErrorSyncFolderNotFound"]


def test_the_hierarchy_tells_new_and_removed_folders(server: MailServer, anna: SoapClient) -> None:
    ask = "<m:SyncFolderHierarchy><m:FolderShape><t:BaseShape>Default</t:BaseShape></m:FolderShape>{}</m:SyncFolderHierarchy>"
    first = anna.ask(ask.format(""))
    assert "Inbox" in first.texts("t:DisplayName")
    folder = server.add_folder(ANNA, "Project", parent="inbox")
    second = anna.ask(ask.format(f"<m:SyncState>{first.sync_state}</m:SyncState>"))
    assert second.texts("t:DisplayName") == ["Project"]
    server.remove_folder(ANNA, folder)
    third = anna.ask(ask.format(f"<m:SyncState>{second.sync_state}</m:SyncState>"))
    assert third.ids("t:Delete/t:FolderId") == [folder]


def test_ignored_items_are_left_out(server: MailServer, anna: SoapClient) -> None:
    ids = deliver(server, 2)
    folder = '<m:SyncFolderId><t:DistinguishedFolderId Id="inbox"/></m:SyncFolderId>'
    ignore = f'<m:Ignore><t:ItemId Id="{ids[0]}"/></m:Ignore><m:MaxChangesReturned>10</m:MaxChangesReturned>'
    shape = "<m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape>"
    answer = anna.ask(f"<m:SyncFolderItems>{shape}{folder}{ignore}</m:SyncFolderItems>")
    assert answer.changes() == [("Create", ids[1])]


def test_the_service_sees_whom_it_impersonates(server: MailServer, service: SoapClient) -> None:
    server.deliver(a_message(), [ANNA, BEN])
    assert len(service.sync().changes()) == 1
    service.impersonating = BEN
    assert service.sync().ids() == server.items(BEN)


def test_faults_of_synchronizing(server: MailServer, anna: SoapClient) -> None:
    state = anna.sync().sync_state
    server.faults.add(FaultKind.INVALID_SYNC_STATE, ANNA, count=1)
    assert anna.sync(state).codes == ["ErrorInvalidSyncStateData"]
    server.faults.add(FaultKind.ERROR_WITHOUT_SYNC_STATE, ANNA, count=1)
    bare = anna.sync("junk")
    assert bare.codes == ["ErrorInvalidSyncStateData"]
    assert bare.text("m:SyncState") is None
    server.faults.add(FaultKind.FOLDER_GONE, ANNA, count=1)
    assert anna.sync(state).codes == ["ErrorSyncFolderNotFound"]
    assert anna.sync(state).codes == ["NoError"]


def test_nothing_is_missed_or_doubled_while_mail_keeps_coming(server: MailServer, anna: SoapClient) -> None:
    delivered: list[str] = []
    senders = [threading.Thread(target=lambda: delivered.extend(deliver(server, 40))) for _ in range(3)]
    for sender in senders:
        sender.start()
    created: list[str] = []
    state, is_last = "", False
    while any(sender.is_alive() for sender in senders) or not is_last:
        page = anna.sync(state, limit=7)
        state, is_last = page.sync_state, page.is_last
        created += [each for kind, each in page.changes() if kind == "Create"]
    created += [each for _, each in anna.sync(state).changes()]
    assert sorted(created) == sorted(delivered)


def test_a_fault_finds_its_mailbox_under_every_name(server: MailServer, service: SoapClient) -> None:
    server.add_mailbox(ANNA, aliases=["a.adler@contoso.example"])
    server.faults.add(FaultKind.FORBIDDEN, ANNA)
    service.impersonating = "A.Adler@contoso.example"
    assert service.sync().status == 403
