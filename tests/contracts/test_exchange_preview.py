"""The dry run over a real mailbox: asks the server to read only, and leaves the mailbox and the stores as they were."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from local.mailserver import MailServer
from shared.connectors.connect import Connect
from shared.domain.choices import IncomingFilteringMethod, Reason
from shared.domain.ids import ProfileId
from shared.domain.organisation import OrganisationSettings
from shared.domain.records import FolderTrackingRule, RecordRef
from shared.stores.memory import memory_stores, snapshot
from shared.sync.folders import Folders
from shared.sync.preview import ChangedConfiguration, Preview
from tests.builders import SettableClock, with_organisation
from tests.builders import a_mailbox as a_users_mailbox
from tests.contracts.exchange_mailboxes import PASSWORD, SERVICE, KnownSecrets, ServedByExchange, a_new_mailbox, a_profile
from tests.contracts.incoming_email import NOON, a_message

READING = {"FindItem", "GetItem", "FindFolder", "GetFolder", "SyncFolderItems"}


@pytest.fixture(scope="module")
def server() -> Iterator[MailServer]:
    with MailServer() as running:
        running.add_account(SERVICE, PASSWORD, impersonation=True, full_access=["*"])
        yield running


@pytest.fixture
def served(server: MailServer) -> ServedByExchange:
    return a_new_mailbox(server)


def test_a_dry_run_only_reads(server: MailServer, served: ServedByExchange) -> None:
    projects = served.add_folder("Projects")
    for number in range(5):
        served.deliver(
            a_message(f"{number}@fabrikam.example", Subject=f"Offer {number}").as_bytes(), NOON + timedelta(minutes=number)
        )
    served.move_to("3@fabrikam.example", projects)
    mailbox = replace(a_users_mailbox(), address=served.address, profile_id=ProfileId("profile"))
    narrow = IncomingFilteringMethod.RESPONSES
    stores = with_organisation(memory_stores(), mailbox, profile=a_profile(server.ews_url), accepting=narrow)
    connect = Connect(KnownSecrets(), allow_local_servers=True)
    clock = SettableClock()
    before, held = snapshot(stores), contents(server, served)
    server.requests.clear()

    rule = FolderTrackingRule(mailbox.id, projects, "Projects", RecordRef("account", "contoso"))
    result = Preview(stores, connect, clock).run(
        mailbox.id,
        3,
        ChangedConfiguration(
            IncomingFilteringMethod.ALL, OrganisationSettings(stamp_categories=True, track_sent_items=True), (rule,)
        ),
    )

    assert [(each.subject, each.after.reason) for each in result.messages] == [
        ("Offer 4", Reason.RELEVANT),
        ("Offer 3", Reason.FOLDER_RULE),
        ("Offer 2", Reason.RELEVANT),
    ]
    assert (result.tracked_before, result.newly_tracked, result.unreadable, result.is_complete) == (0, 3, 0, True)
    assert {asked.operation for asked in server.requests} <= READING
    assert (snapshot(stores), contents(server, served)) == (before, held)

    tree = Folders(stores, connect, clock).below_inbox(mailbox.id)
    assert [(folder.id, folder.name) for folder in tree.folders] == [(projects, "Projects")]
    connect.close()


def contents(server: MailServer, served: ServedByExchange) -> object:
    """Every item of the mailbox, with its categories and its version."""
    folders = server.store.mailbox(served.address).folders.values()
    return {
        folder.id: {item.id: (item.changed, item.is_read, item.categories) for item in folder.items.values()}
        for folder in folders
    }
