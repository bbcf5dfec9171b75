"""The contract of single quarantined items, and of finding those that another version gave up."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from shared.domain.ids import MailboxId
from shared.domain.operations import QuarantinedItem
from shared.ports import Stores
from shared.stores.entities import VERSIONS
from shared.stores.tables.gateway import Operation, Verb
from tests.contracts.gateways import Asked, WatchedGateway, quietly
from tests.contracts.records import MINUTE, NOW, a_quarantined, an_id

ANNA = MailboxId(an_id("anna"))


class Crash(Exception):
    """The process ends here."""


def given_up(version: str, mailbox: str = "anna", name: object = "item") -> QuarantinedItem:
    return replace(a_quarantined(name), mailbox_id=MailboxId(an_id(mailbox)), version=version)


def mailboxes(stores: Stores, version: str = "2.0.0") -> list[MailboxId]:
    return [each for part in stores.quarantine.mailboxes_of_other_versions(version) for each in part]


def test_an_item_is_found_by_mailbox_and_key_as_it_was_put_last(stores: Stores) -> None:
    stores.quarantine.put(a_quarantined(age=MINUTE))
    stores.quarantine.put(a_quarantined("other"))
    stores.quarantine.put(replace(a_quarantined(), attempts=7))
    assert stores.quarantine.get(ANNA, a_quarantined().key) == replace(a_quarantined(), attempts=7)
    assert stores.quarantine.get(MailboxId(an_id("bert")), a_quarantined().key) is None
    assert stores.quarantine.get(ANNA, a_quarantined("nothing").key) is None


def test_an_item_that_was_removed_is_gone_and_may_come_again(stores: Stores) -> None:
    stores.quarantine.put(a_quarantined())
    stores.quarantine.put(a_quarantined("other"))
    for _ in range(2):
        stores.quarantine.remove(ANNA, a_quarantined().key)
    stores.quarantine.remove(MailboxId(an_id("bert")), a_quarantined("other").key)
    assert stores.quarantine.get(ANNA, a_quarantined().key) is None
    assert stores.quarantine.list(ANNA).items == [a_quarantined("other")]
    stores.quarantine.put(replace(a_quarantined(), quarantined_on=NOW + MINUTE))
    assert len(stores.quarantine.list(ANNA).items) == 2


def test_mailboxes_with_items_of_other_versions_are_found_each_once(stores: Stores) -> None:
    for version, mailbox in (("1.0.0", "anna"), ("1.1.0", "anna"), ("3.0.0", "bert"), ("2.0.0", "carl"), ("2.0.0", "anna")):
        stores.quarantine.put(given_up(version, mailbox, name=f"{version} {mailbox}"))
    assert sorted(mailboxes(stores)) == sorted([ANNA, MailboxId(an_id("bert"))])
    assert sorted(mailboxes(stores, "4.0.0+build/1")) == sorted(MailboxId(an_id(name)) for name in ("anna", "bert", "carl"))


def test_a_mailbox_is_found_until_its_last_item_of_another_version_is_gone(stores: Stores) -> None:
    for name in ("one", "two"):
        stores.quarantine.put(given_up("1.0.0", name=name))
    stores.quarantine.put(given_up("2.0.0", name="one"))
    assert mailboxes(stores) == [ANNA]
    stores.quarantine.remove(ANNA, a_quarantined("two").key)
    assert mailboxes(stores) == []
    assert mailboxes(stores, "1.0.0") == [ANNA]
    stores.quarantine.put(given_up("1.0.0", name="three"))
    assert mailboxes(stores) == [ANNA]


def test_where_nothing_is_quarantined_no_mailbox_is_found(stores: Stores) -> None:
    assert mailboxes(stores) == []


def test_all_mailboxes_of_a_bad_version_are_found(stores: Stores) -> None:
    for number in range(60):
        stores.quarantine.put(given_up("1.0.0", f"mailbox {number}"))
    assert sorted(mailboxes(stores)) == sorted(MailboxId(an_id(f"mailbox {number}")) for number in range(60))


def test_a_mailbox_that_quarantines_while_it_is_looked_at_is_found_next_time(
    on_watched: Stores, watched: WatchedGateway
) -> None:
    on_watched.quarantine.put(given_up("1.0.0"))
    on_watched.quarantine.remove(ANNA, a_quarantined().key)

    def put_meanwhile() -> None:
        on_watched.quarantine.put(given_up("1.0.0", name="late"))

    watched.before = _before_the_hint_goes(watched, put_meanwhile)
    assert mailboxes(on_watched) == []
    assert mailboxes(on_watched) == [ANNA]


def test_a_hint_that_is_true_no_more_is_looked_at_once(on_watched: Stores, watched: WatchedGateway) -> None:
    on_watched.quarantine.put(given_up("1.0.0"))
    on_watched.quarantine.remove(ANNA, a_quarantined().key)
    assert mailboxes(on_watched) == []
    before = watched.requests
    assert mailboxes(on_watched) == []
    assert watched.requests - before == 2, "the versions before the own one, and those after it"


@pytest.mark.parametrize("requests", [1, 2])
def test_an_item_whose_put_was_ended_by_a_crash_is_found_once_it_is_put_again(
    on_watched: Stores, watched: WatchedGateway, requests: int
) -> None:
    sent: list[Asked] = []

    def crash(asked: Asked) -> None:
        sent.append(asked)
        if len(sent) > requests:
            raise Crash

    watched.before = crash
    with pytest.raises(Crash):
        on_watched.quarantine.put(given_up("1.0.0"))
    watched.before = quietly
    on_watched.quarantine.put(given_up("1.0.0"))
    assert mailboxes(on_watched) == [ANNA]
    assert on_watched.quarantine.list(ANNA).items == [given_up("1.0.0")]


def _before_the_hint_goes(watched: WatchedGateway, act: Callable[[], None]) -> Callable[[Asked], None]:
    def before(asked: Asked) -> None:
        if isinstance(asked, Operation) and asked.verb is Verb.DELETE and asked.partition == VERSIONS:
            watched.before = quietly
            act()

    return before
