"""The contract of deleting profiles, owners and mailboxes, and of what autodiscover found."""

from dataclasses import replace

import pytest

from shared.domain.choices import AuthenticationProtocol, OwnerKind, Workload
from shared.domain.configuration import Breaker, Discovered, StoredMailbox, WorkloadSchedule
from shared.domain.errors import Changed
from shared.domain.ids import MailboxId, OwnerId, ProfileId
from shared.domain.organisation import OrganisationSettings
from shared.ports import Stores
from tests.contracts.records import (
    INCOMING,
    MINUTE,
    NOW,
    a_contact,
    a_load,
    a_mailbox,
    a_profile,
    a_rule,
    an_id,
    an_owner,
)

DUE = WorkloadSchedule(due=NOW)
FOUND = Discovered("https://ews.contoso.example/EWS/Exchange.asmx", "15.2.2562.17", AuthenticationProtocol.NTLM, NOW)


def test_a_profile_is_deleted_with_its_breakers_as_it_was_read(stores: Stores) -> None:
    first = stores.profiles.create(a_profile())
    for workload in (Workload.INCOMING, Workload.OUTGOING):
        stores.profiles.set_breaker(a_profile().id, workload, Breaker("x", NOW, NOW + MINUTE), replacing=None)
    second = stores.profiles.replace(replace(a_profile(), name="second"), first.etag)
    with pytest.raises(Changed):
        stores.profiles.delete(a_profile().id, first.etag)
    assert stores.profiles.get(a_profile().id) == second
    stores.profiles.delete(a_profile().id, second.etag)
    stores.profiles.delete(a_profile().id, second.etag)
    assert list(stores.profiles.list()) == []
    assert stores.profiles.create(a_profile()).breakers == {}


def test_an_owner_is_deleted_as_it_was_read_and_found_no_more(stores: Stores) -> None:
    first = stores.owners.create(an_owner())
    second = stores.owners.replace(replace(an_owner(), name="Anna"), first.etag)
    with pytest.raises(Changed):
        stores.owners.delete(OwnerKind.USER, an_owner().id, first.etag)
    assert len(stores.addresses.find(["anna@contoso.example"])["anna@contoso.example"]) == 1
    stores.owners.delete(OwnerKind.QUEUE, an_owner().id, second.etag)
    stores.owners.delete(OwnerKind.USER, an_owner().id, second.etag)
    stores.owners.delete(OwnerKind.USER, an_owner().id, second.etag)
    assert stores.owners.get(OwnerKind.USER, an_owner().id) is None
    assert stores.addresses.find(["anna@contoso.example"]) == {"anna@contoso.example": []}
    stores.owners.create(an_owner())
    assert len(stores.addresses.find(["anna@contoso.example"])["anna@contoso.example"]) == 1


def test_a_mailbox_is_deleted_with_its_schedule_as_it_was_read(stores: Stores) -> None:
    first = stores.mailboxes.create(a_mailbox(), {INCOMING: DUE})
    stores.mailboxes.create(a_mailbox("bert"), {})
    stores.mailboxes.set_discovered(a_mailbox().id, FOUND)
    second = stores.mailboxes.replace(replace(a_mailbox(), name="Anna"), first.etag, {})
    with pytest.raises(Changed):
        stores.mailboxes.delete(a_mailbox().id, first.etag)
    stores.mailboxes.delete(a_mailbox().id, second.etag)
    stores.mailboxes.delete(a_mailbox().id, second.etag)
    assert stores.mailboxes.get(a_mailbox().id) is None
    assert [each.record.name for each in stores.mailboxes.list().items] == ["bert"]
    assert list(stores.mailboxes.due(INCOMING, NOW, 0, 255)) == []
    with pytest.raises(Changed):
        stores.mailboxes.reschedule(a_mailbox().id, INCOMING, DUE)
    again = stores.mailboxes.create(a_mailbox(), {Workload.ACT: DUE})
    assert again == StoredMailbox(a_mailbox(), again.etag, {Workload.ACT: DUE})


@pytest.mark.parametrize("name", ["a/b", "\ud800", "", "x" * 2000, an_id("nobody")])
def test_what_is_not_there_counts_as_deleted(stores: Stores, name: str) -> None:
    stores.profiles.delete(ProfileId(name), "etag")
    stores.owners.delete(OwnerKind.USER, OwnerId(name), "etag")
    stores.mailboxes.delete(MailboxId(name), "etag")


def test_what_autodiscover_found_stands_beside_the_record_and_leaves_its_etag_alone(stores: Stores) -> None:
    created = stores.mailboxes.create(a_mailbox(), {INCOMING: DUE})
    stores.mailboxes.set_discovered(a_mailbox().id, FOUND)
    assert stores.mailboxes.get(a_mailbox().id) == replace(created, discovered=FOUND)
    assert list(stores.mailboxes.list().items) == [replace(created, discovered=FOUND)]
    replaced = stores.mailboxes.replace(replace(a_mailbox(), name="Anna"), created.etag, {INCOMING: WorkloadSchedule()})
    assert replaced.discovered == FOUND
    stores.mailboxes.reschedule(a_mailbox().id, INCOMING, DUE)
    assert stores.mailboxes.get(a_mailbox().id) == replace(replaced, schedule={INCOMING: DUE})
    stores.mailboxes.set_discovered(a_mailbox().id, None)
    assert stores.mailboxes.get(a_mailbox().id) == replace(replaced, schedule={INCOMING: DUE}, discovered=None)


def test_nothing_is_discovered_of_a_mailbox_that_is_not_there(stores: Stores) -> None:
    with pytest.raises(Changed):
        stores.mailboxes.set_discovered(a_mailbox().id, FOUND)
    assert stores.mailboxes.get(a_mailbox().id) is None


@pytest.mark.parametrize("etag", ["*", "", "etag", 'W/"1\r\nX: y"', "W/\"datetime'2020-01-01T00%3A00%3A00.0000000Z'\""])
def test_what_is_no_etag_of_a_record_matches_none(stores: Stores, etag: str) -> None:
    profile = stores.profiles.create(a_profile())
    owner = stores.owners.create(an_owner())
    rule = stores.tracking_rules.put(a_rule(), None)
    mailbox = stores.mailboxes.create(a_mailbox(), {INCOMING: DUE})
    settings = stores.settings.put(OrganisationSettings(), None)
    contact = stores.address_book.put(a_contact())
    load = stores.bulk_loads.create(a_load())
    for write in (
        lambda: stores.profiles.replace(profile.record, etag),
        lambda: stores.profiles.delete(profile.record.id, etag),
        lambda: stores.owners.replace(owner.record, etag),
        lambda: stores.owners.delete(OwnerKind.USER, owner.record.id, etag),
        lambda: stores.mailboxes.replace(mailbox.record, etag, {}),
        lambda: stores.mailboxes.delete(mailbox.record.id, etag),
        lambda: stores.settings.put(settings.record, etag),
        lambda: stores.address_book.put(contact.record, etag),
        lambda: stores.address_book.delete("contact", contact.record.id, etag),
        lambda: stores.tracking_rules.put(rule.record, etag),
        lambda: stores.tracking_rules.delete(a_mailbox().id, rule.record.folder_id, etag),
        lambda: stores.bulk_loads.commit(load.record, etag, []),
    ):
        with pytest.raises(Changed):
            write()
    assert stores.profiles.get(profile.record.id) == profile
    assert stores.mailboxes.get(mailbox.record.id) == mailbox
    assert stores.settings.get() == settings
