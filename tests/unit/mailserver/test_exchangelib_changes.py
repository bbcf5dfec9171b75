"""Stock exchangelib changes items and folders, as a mail client or another program would."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from exchangelib import DELEGATE, Account, Folder
from exchangelib import errors as ews
from exchangelib.protocol import close_connections

from local.mailserver import MailServer
from tests.unit.mailserver.conftest import ANNA
from tests.unit.mailserver.messages import a_draft, a_message
from tests.unit.mailserver.test_exchangelib import account


@pytest.fixture
def mailbox(server: MailServer) -> Iterator[Account]:
    yield account(server, ANNA, "anna's password", access=DELEGATE)
    close_connections()


def test_it_makes_renames_moves_and_deletes_folders(server: MailServer, mailbox: Account) -> None:
    customers = Folder(parent=mailbox.inbox, name="Customers").save()
    contoso = Folder(parent=customers, name="Contoso").save()
    assert [folder.name for folder in mailbox.inbox.walk()] == ["Customers", "Contoso"]
    customers.name = "Kunden"
    customers.save(update_fields=["name"])
    contoso.move(mailbox.inbox)
    found = server.store.mailbox(ANNA)
    assert [folder.name for folder in found.descendants(found.folder("inbox"))] == ["Kunden", "Contoso"]
    with pytest.raises(ews.ErrorFolderExists):
        Folder(parent=mailbox.inbox, name="kunden").save()
    contoso.delete()
    assert [folder.name for folder in found.descendants(found.folder("inbox"))] == ["Kunden"]


def test_it_follows_the_tree(server: MailServer, mailbox: Account) -> None:
    inbox = mailbox.inbox
    assert list(inbox.sync_hierarchy()) == []
    folder = server.add_folder(ANNA, "Project", "inbox")
    ((kind, told),) = inbox.sync_hierarchy()
    assert (kind, told.name, told.id) == ("create", "Project", folder)
    server.remove_folder(ANNA, folder, to_deleted_items=True)
    ((kind, _),) = inbox.sync_hierarchy()
    assert kind == "delete"


def test_it_sets_categories_and_the_read_flag(server: MailServer, mailbox: Account) -> None:
    (item_id,) = server.deliver(a_message(), [ANNA])
    (item,) = mailbox.inbox.all()
    item.categories, item.is_read = ["Tracked", "Rot"], True
    item.save(update_fields=["categories", "is_read"])
    assert server.categories(ANNA, item_id) == ["Tracked", "Rot"]
    assert server.store.mailbox(ANNA).item(item_id).is_read
    (listed,) = mailbox.inbox.all().only("categories")
    assert listed.categories == ["Tracked", "Rot"]
    item.categories = None
    item.save(update_fields=["categories"])
    assert server.categories(ANNA, item_id) == []


def test_it_is_told_that_somebody_else_was_faster(server: MailServer, mailbox: Account) -> None:
    (item_id,) = server.deliver(a_message(), [ANNA])
    (item,) = mailbox.inbox.all()
    server.categorize(ANNA, item_id, ["Mine"])
    item.categories = ["Tracked"]
    with pytest.raises(ews.ErrorIrresolvableConflict):
        item.save(update_fields=["categories"], conflict_resolution="NeverOverwrite")
    assert server.categories(ANNA, item_id) == ["Mine"]


def test_it_moves_and_copies_items(server: MailServer, mailbox: Account) -> None:
    (before,) = server.deliver(a_message(), [ANNA])
    folder = Folder(parent=mailbox.inbox, name="Project").save()
    (item,) = mailbox.inbox.all()
    item.move(folder)
    assert server.items(ANNA, folder.id) == [item.id] != [before]
    item.copy(mailbox.junk)
    assert len(server.items(ANNA, "junkemail")) == 1
    assert mailbox.bulk_move([(before, None)], folder)[0].args[0].startswith("The specified object was not found")


def test_it_reads_sent_items_newest_first(server: MailServer, mailbox: Account) -> None:
    start = datetime(2026, 11, 2, tzinfo=UTC)
    for hour in (2, 0, 1):
        draft = a_draft("x@supplier.example", f"Number {hour}", headers="Bcc: y@supplier.example\r\n")
        server.send(draft, ANNA, start + timedelta(hours=hour))
    items = list(mailbox.sent.all().order_by("-datetime_received")[:2])
    assert [item.subject for item in items] == ["Number 2", "Number 1"]
    assert [recipient.email_address for recipient in items[0].bcc_recipients] == ["y@supplier.example"]
    assert items[0].is_from_me
