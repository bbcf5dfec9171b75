"""The contract of profiles, owners and addresses."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest

from shared.domain.choices import OwnerKind, Workload
from shared.domain.configuration import Breaker
from shared.domain.email import ListOf
from shared.domain.errors import AlreadyExists, Changed, InvalidRecord
from shared.domain.ids import ActivityId, MailboxId, OwnerId, ProfileId
from shared.domain.ledger import LedgerHead
from shared.ports import Slice, Stores
from shared.stores.entities import PROFILES
from shared.stores.tables.gateway import Verb, operation
from shared.stores.tables.table import columns_of
from tests.contracts.gateways import WatchedGateway
from tests.contracts.records import MINUTE, NOW, a_profile, an_id, an_owner

BREAKER = Breaker("authentication_failed", NOW, NOW + 60 * MINUTE, openings=2, credential="v1")
each_sign_in = pytest.mark.parametrize("workload", [Workload.INCOMING, Workload.OUTGOING])


def test_what_was_never_written_is_not_there(stores: Stores) -> None:
    assert stores.profiles.get(ProfileId(an_id("nobody"))) is None
    assert list(stores.profiles.list()) == []
    assert stores.owners.get(OwnerKind.USER, OwnerId(an_id("nobody"))) is None
    assert list(stores.owners.list(OwnerKind.USER).items) == []
    assert stores.addresses.find(["nobody@contoso.example"]) == {"nobody@contoso.example": []}


def test_a_profile_reads_as_it_was_written(stores: Stores) -> None:
    created = stores.profiles.create(a_profile())
    assert created.record == a_profile()
    assert stores.profiles.get(a_profile().id) == created
    assert list(stores.profiles.list()) == [created]


def test_a_profile_is_created_once(stores: Stores) -> None:
    stores.profiles.create(a_profile())
    with pytest.raises(AlreadyExists):
        stores.profiles.create(replace(a_profile(), name="other"))
    assert [each.record.name for each in stores.profiles.list()] == ["exchange"]


def test_a_profile_is_replaced_only_as_it_was_read(stores: Stores) -> None:
    first = stores.profiles.create(a_profile())
    second = stores.profiles.replace(replace(a_profile(), name="second", process_emails_received_after=None), first.etag)
    assert second.etag != first.etag
    with pytest.raises(Changed):
        stores.profiles.replace(replace(a_profile(), name="third"), first.etag)
    assert stores.profiles.get(a_profile().id) == second
    assert second.record.process_emails_received_after is None


def test_a_profile_that_is_not_there_cannot_be_replaced(stores: Stores) -> None:
    etag = stores.profiles.create(a_profile("one")).etag
    with pytest.raises(Changed):
        stores.profiles.replace(a_profile("two"), etag)


@each_sign_in
def test_a_breaker_stands_beside_its_profile_and_leaves_its_etag_alone(stores: Stores, workload: Workload) -> None:
    created = stores.profiles.create(a_profile())
    other = stores.profiles.create(a_profile("other"))
    assert stores.profiles.set_breaker(a_profile().id, workload, BREAKER, replacing=None)
    found = stores.profiles.get(a_profile().id)
    assert found == replace(created, breakers={workload: BREAKER})
    assert {each.record.id: each.breakers for each in stores.profiles.list()} == {
        created.record.id: {workload: BREAKER},
        other.record.id: {},
    }
    assert stores.profiles.replace(a_profile(), created.etag).breakers == {workload: BREAKER}
    assert stores.profiles.set_breaker(a_profile().id, workload, None, replacing=BREAKER)
    assert stores.profiles.set_breaker(a_profile().id, workload, None, replacing=None)
    assert [each.breakers for each in stores.profiles.list()] == [{}, {}]


def test_the_breakers_of_reading_and_sending_know_nothing_of_one_another(stores: Stores) -> None:
    profile_id = stores.profiles.create(a_profile()).record.id
    stores.profiles.create(replace(a_profile(), id=ProfileId(f"{profile_id}-2")))
    sending = replace(BREAKER, openings=3)
    assert stores.profiles.set_breaker(profile_id, Workload.INCOMING, BREAKER, replacing=None)
    assert not stores.profiles.set_breaker(profile_id, Workload.OUTGOING, sending, replacing=BREAKER)
    assert stores.profiles.set_breaker(profile_id, Workload.OUTGOING, sending, replacing=None)
    both = {Workload.INCOMING: BREAKER, Workload.OUTGOING: sending}
    found = stores.profiles.get(profile_id)
    assert found is not None
    assert found.breakers == both
    assert [each.breakers for each in stores.profiles.list()] == [both, {}]
    assert stores.profiles.set_breaker(profile_id, Workload.INCOMING, None, replacing=BREAKER)
    assert [each.breakers for each in stores.profiles.list()] == [{Workload.OUTGOING: sending}, {}]


def test_a_profile_that_comes_again_has_none_of_the_breakers_of_the_one_that_was_deleted(stores: Stores) -> None:
    created = stores.profiles.create(a_profile())
    for workload in (Workload.INCOMING, Workload.OUTGOING):
        assert stores.profiles.set_breaker(created.record.id, workload, BREAKER, replacing=None)
    stores.profiles.delete(created.record.id, created.etag)
    assert stores.profiles.create(a_profile()).breakers == {}


def test_a_breaker_from_before_there_were_two_is_that_of_reading(
    on_watched: Stores, watched: WatchedGateway, prefix: str
) -> None:
    profile_id = on_watched.profiles.create(a_profile()).record.id
    row = operation(Verb.INSERT, PROFILES, f"{profile_id}:breaker", columns_of(BREAKER))
    watched.write(f"{prefix}Profiles", row)
    found = on_watched.profiles.get(profile_id)
    assert found is not None
    assert found.breakers == {Workload.INCOMING: BREAKER}
    assert on_watched.profiles.set_breaker(profile_id, Workload.INCOMING, None, replacing=BREAKER)
    assert next(on_watched.profiles.list()).breakers == {}


def test_profiles_are_read_with_their_breakers_in_one_request(on_watched: Stores, watched: WatchedGateway) -> None:
    for name in ("one", "two"):
        on_watched.profiles.create(a_profile(name))
        for workload in (Workload.INCOMING, Workload.OUTGOING):
            on_watched.profiles.set_breaker(a_profile(name).id, workload, BREAKER, replacing=None)
    before = watched.requests
    assert [len(each.breakers) for each in on_watched.profiles.list()] == [2, 2]
    assert watched.requests - before == 1
    on_watched.profiles.get(a_profile("one").id)
    assert watched.requests - before == 2


@each_sign_in
@pytest.mark.parametrize("present", [None, BREAKER])
@pytest.mark.parametrize("following", [None, replace(BREAKER, openings=3)])
def test_a_breaker_is_replaced_only_by_who_has_seen_it(
    stores: Stores, workload: Workload, present: Breaker | None, following: Breaker | None
) -> None:
    profile_id = stores.profiles.create(a_profile()).record.id
    assert stores.profiles.set_breaker(profile_id, workload, present, replacing=None)
    for seen in {None, BREAKER, replace(BREAKER, probe="message")} - {present}:
        assert not stores.profiles.set_breaker(profile_id, workload, following, replacing=seen)
    assert next(stores.profiles.list()).breakers.get(workload) == present
    assert stores.profiles.set_breaker(profile_id, workload, following, replacing=present)
    assert next(stores.profiles.list()).breakers.get(workload) == following


@pytest.mark.parametrize("present", [None, BREAKER])
def test_of_many_that_replace_a_breaker_at_once_one_does(stores: Stores, present: Breaker | None) -> None:
    profile_id = stores.profiles.create(a_profile()).record.id
    stores.profiles.set_breaker(profile_id, Workload.INCOMING, present, replacing=None)
    together = Barrier(8)

    def one(number: int) -> int | None:
        claim = replace(BREAKER, openings=10 + number)
        together.wait()
        return claim.openings if stores.profiles.set_breaker(profile_id, Workload.INCOMING, claim, replacing=present) else None

    with ThreadPoolExecutor(8) as threads:
        winners = [number for number in threads.map(one, range(8)) if number is not None]
    breaker = next(stores.profiles.list()).breakers.get(Workload.INCOMING)
    assert breaker is not None
    assert winners == [breaker.openings]


@pytest.mark.parametrize("name", ["a/b", "a\\b", "a#b", "a?b", "a\nb", "", "x" * 2000])
def test_an_id_that_cannot_be_a_key_is_refused(stores: Stores, name: str) -> None:
    with pytest.raises(InvalidRecord) as caught:
        stores.profiles.create(replace(a_profile(), id=ProfileId(name)))
    assert caught.value.field == "id"
    with pytest.raises(InvalidRecord):
        stores.owners.create(replace(an_owner(), id=OwnerId(name)))


@pytest.mark.parametrize("name", ["a/b", "a\\b", "a#b", "a?b", "a\x00b", "\ud800", "", "x" * 2000, "' or 1 eq 1 or '"])
def test_an_id_that_cannot_be_a_key_names_nothing(stores: Stores, name: str) -> None:
    stores.profiles.create(a_profile())
    stores.owners.create(an_owner())
    mailbox_id, activity_id = MailboxId(name), ActivityId(name)
    assert stores.profiles.get(ProfileId(name)) is None
    assert stores.owners.get(OwnerKind.USER, OwnerId(name)) is None
    assert stores.mailboxes.get(mailbox_id) is None
    assert stores.activities.get(activity_id) is None
    assert stores.activities.content(activity_id) is None
    assert stores.activities.sightings(activity_id) == []
    stores.activities.mark_variants([activity_id])
    assert stores.ledger.head(mailbox_id, Workload.INCOMING, NOW) == LedgerHead(None, None)
    assert list(stores.ledger.items(mailbox_id, Workload.INCOMING)) == []
    assert stores.ledger.find(mailbox_id, Workload.INCOMING, name) == []
    assert list(stores.runs.list(mailbox_id).items) == []
    assert list(stores.quarantine.list(mailbox_id).items) == []
    assert list(stores.alerts.list(name).items) == []
    assert list(stores.timeline.list(ListOf.PARTY, name).items) == []


@pytest.mark.parametrize("name", ["it's", "100%", "ü & 日本", "a b+c", "semi;colon,comma(1)"])
def test_an_id_may_have_any_other_character(stores: Stores, name: str) -> None:
    created = stores.profiles.create(replace(a_profile(), id=ProfileId(name)))
    assert stores.profiles.get(ProfileId(name)) == created
    owner = stores.owners.create(replace(an_owner(), id=OwnerId(name)))
    assert stores.owners.get(OwnerKind.USER, OwnerId(name)) == owner
    assert stores.owners.replace(replace(owner.record, name="new"), owner.etag).record.name == "new"


def test_an_owner_is_created_once_and_replaced_as_it_was_read(stores: Stores) -> None:
    created = stores.owners.create(an_owner())
    with pytest.raises(AlreadyExists):
        stores.owners.create(an_owner())
    replaced = stores.owners.replace(replace(an_owner(), name="Anna"), created.etag)
    with pytest.raises(Changed):
        stores.owners.replace(replace(an_owner(), name="Annika"), created.etag)
    assert stores.owners.get(OwnerKind.USER, an_owner().id) == replaced


def test_users_and_queues_are_listed_apart_in_slices(stores: Stores) -> None:
    users = {stores.owners.create(an_owner(f"user{number}")).record.id for number in range(7)}
    stores.owners.create(an_owner("queue", kind=OwnerKind.QUEUE))
    listed = _all(lambda at: stores.owners.list(OwnerKind.USER, at, limit=3))
    assert sorted(each.record.id for each in listed) == sorted(users)
    assert [each.record.name for each in stores.owners.list(OwnerKind.QUEUE).items] == ["queue"]


@pytest.mark.parametrize("continuation", ["nonsense", "W10=", "e30=", "WzEsMl0=", "WyJcdWQ4MDAiLCAieCJd", "ü"])
def test_a_continuation_that_is_none_is_refused(stores: Stores, continuation: str) -> None:
    stores.owners.create(an_owner())
    with pytest.raises(InvalidRecord) as caught:
        stores.owners.list(OwnerKind.USER, continuation)
    assert caught.value.field == "continuation"


def test_an_address_finds_the_owners_that_have_it_now(stores: Stores) -> None:
    anna = stores.owners.create(an_owner("anna", "Anna@Contoso.example "))
    stores.owners.create(an_owner("sales", "anna@contoso.example", OwnerKind.QUEUE))
    found = stores.addresses.find(["anna@contoso.example", "bob@contoso.example"])
    assert [(each.kind, each.name) for each in found["anna@contoso.example"]] == [
        (OwnerKind.QUEUE, "sales"),
        (OwnerKind.USER, "anna"),
    ]
    assert found["bob@contoso.example"] == []
    stores.owners.replace(replace(anna.record, address="bob@contoso.example", active=False), anna.etag)
    found = stores.addresses.find(["anna@contoso.example", "bob@contoso.example"])
    assert [each.name for each in found["anna@contoso.example"]] == ["sales"]
    assert [(each.name, each.active) for each in found["bob@contoso.example"]] == [("anna", False)]


def test_an_owner_that_gets_its_old_address_back_is_found(stores: Stores) -> None:
    first = stores.owners.create(an_owner("anna", "one@contoso.example"))
    second = stores.owners.replace(replace(first.record, address="two@contoso.example"), first.etag)
    stores.owners.replace(first.record, second.etag)
    found = stores.addresses.find(["one@contoso.example", "two@contoso.example"])
    assert {address: len(matches) for address, matches in found.items()} == {
        "one@contoso.example": 1,
        "two@contoso.example": 0,
    }


def test_a_refused_replacement_leaves_the_address_book_as_it_was(stores: Stores) -> None:
    first = stores.owners.create(an_owner("anna", "one@contoso.example"))
    stores.owners.replace(replace(first.record, name="Anna"), first.etag)
    with pytest.raises(Changed):
        stores.owners.replace(replace(first.record, address="two@contoso.example"), first.etag)
    found = stores.addresses.find(["one@contoso.example", "two@contoso.example"])
    assert [len(matches) for matches in found.values()] == [1, 0]


def test_addresses_of_any_kind_are_looked_up(stores: Stores) -> None:
    odd = ["a/b#c?d\\e@x", "", "x" * 5000 + "@x", "ü@日本.example", "'or'1@x"]
    stores.owners.create(an_owner("odd", "a/b#c?d\\e@x"))
    found = stores.addresses.find(odd)
    assert {address for address, matches in found.items() if matches} == {"a/b#c?d\\e@x"}
    assert set(found) == set(odd)


def _all[T](part: Callable[[str | None], Slice[T]]) -> list[T]:
    found, at = list[T](), None
    while True:
        answer = part(at)
        found += answer.items
        at = answer.continuation
        if at is None:
            return found
