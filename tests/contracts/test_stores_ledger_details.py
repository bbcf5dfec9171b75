"""The contract of what the ledger forgets: the words about an item, never the decision."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.choices import Reason, Verdict, Workload
from shared.domain.ids import MailboxId
from shared.domain.ledger import LedgerCommit, LedgerItem
from shared.ports import LEDGER_COMMIT_ROWS, Stores
from shared.stores.account import StorageConnection
from shared.stores.azure import azure_stores, fast_gateway
from shared.stores.tables.gateway import Entity, Operation, Query, Verb
from tests.contracts.conftest import SECRETS_KEY
from tests.contracts.gateways import WatchedGateway
from tests.contracts.records import INCOMING, MINUTE, NOW, a_judgement, a_state, a_todo, an_id, an_item

ANNA = MailboxId(an_id("anna"))
BERT = MailboxId(an_id("bert"))
MICROSECOND = timedelta(microseconds=1)


def a_worded(name: object = "item", age: timedelta = MINUTE, **changes: object) -> LedgerItem:
    return an_item(name, decided_on=NOW - age, detail=f"what was said about {name}", error="code", **changes)


def commit(
    stores: Stores, *items: LedgerItem, mailbox_id: MailboxId = ANNA, workload: Workload = INCOMING, etag: str | None = None
) -> str:
    return stores.ledger.commit(mailbox_id, workload, etag, LedgerCommit(a_state(), items=items))


def details(stores: Stores, mailbox_id: MailboxId = ANNA, workload: Workload = INCOMING) -> Mapping[str, str]:
    return {item.ref.id: item.detail for item in stores.ledger.items(mailbox_id, workload)}


def test_where_nothing_was_decided_nothing_is_removed(stores: Stores) -> None:
    assert sum(stores.ledger.remove_details_before(NOW)) == 0


def test_an_item_decided_before_loses_its_details_and_nothing_else(stores: Stores) -> None:
    commit(stores, a_worded("old", MICROSECOND), a_worded("new", timedelta()), an_item("plain", decided_on=NOW - MINUTE))
    assert sum(stores.ledger.remove_details_before(NOW)) == 1
    found = {item.ref.id: item for item in stores.ledger.items(ANNA, INCOMING)}
    assert found["AAMkold"] == replace(a_worded("old", MICROSECOND), detail="")
    assert found["AAMknew"] == a_worded("new", timedelta())
    assert found["AAMkplain"] == an_item("plain", decided_on=NOW - MINUTE)


def test_how_an_item_was_judged_goes_with_its_details(stores: Stores) -> None:
    commit(stores, an_item(decided_on=NOW - MINUTE, judgement=a_judgement()))
    assert sum(stores.ledger.remove_details_before(NOW)) == 1
    assert list(stores.ledger.items(ANNA, INCOMING)) == [an_item(decided_on=NOW - MINUTE)]
    assert sum(stores.ledger.remove_details_before(NOW)) == 0


def test_what_lost_its_details_is_left_alone_from_then_on(stores: Stores) -> None:
    commit(stores, *(a_worded(number) for number in range(LEDGER_COMMIT_ROWS)))
    assert sum(stores.ledger.remove_details_before(NOW)) == LEDGER_COMMIT_ROWS
    assert sum(stores.ledger.remove_details_before(NOW + 1000 * MINUTE)) == 0


def test_details_go_from_every_mailbox_and_workload(stores: Stores) -> None:
    places = [(ANNA, INCOMING), (BERT, INCOMING), (ANNA, Workload.ACT), (MailboxId("~forward"), INCOMING)]
    for mailbox_id, workload in places:
        commit(stores, a_worded(), mailbox_id=mailbox_id, workload=workload)
    assert sum(stores.ledger.remove_details_before(NOW)) == len(places)
    assert [set(details(stores, *place).values()) for place in places] == [{""}] * len(places)


@pytest.mark.parametrize("verdict", [Verdict.FAILING, Verdict.QUARANTINED])
def test_an_item_that_is_not_settled_keeps_its_details_until_it_is(stores: Stores, verdict: Verdict) -> None:
    etag = commit(stores, a_worded(verdict=verdict, reason=Reason.UNREADABLE))
    assert sum(stores.ledger.remove_details_before(NOW)) == 0
    commit(stores, a_worded(), etag=etag)
    assert sum(stores.ledger.remove_details_before(NOW)) == 1
    assert details(stores) == {"AAMkitem": ""}


def test_removing_details_takes_no_lease_and_touches_no_todo(stores: Stores) -> None:
    before = stores.ledger.commit(ANNA, INCOMING, None, LedgerCommit(a_state(), items=(a_worded(),), todos=(a_todo("other"),)))
    assert sum(stores.ledger.remove_details_before(NOW)) == 1
    assert stores.ledger.head(ANNA, INCOMING, NOW).todos == (a_todo("other"),)
    commit(stores, etag=before)


def test_an_item_that_a_run_decides_again_meanwhile_stays_as_the_run_wrote_it(
    on_azurite: Stores, connection: StorageConnection, prefix: str
) -> None:
    etag = commit(on_azurite, a_worded("one"), a_worded("two"))
    again = a_worded("one", verdict=Verdict.FAILING, reason=Reason.UNREADABLE, attempts=1)

    class Overtaken(WatchedGateway):
        """A run commits before the first row is written."""

        run = True

        def transact(self, table: str, operations: Sequence[Operation]) -> Sequence[str]:
            if self.run and any(each.verb is Verb.MERGE for each in operations):
                self.run = False
                commit(on_azurite, again, etag=etag)
            return super().transact(table, operations)

    removing = azure_stores(
        connection,
        secrets_key=SECRETS_KEY,
        prefix=prefix,
        gateway=lambda account: Overtaken(fast_gateway(account)),
    )
    assert sum(removing.ledger.remove_details_before(NOW)) == 1
    found = {item.ref.id: item for item in on_azurite.ledger.items(ANNA, INCOMING)}
    assert found["AAMkone"] == again
    assert found["AAMktwo"].detail == ""


def test_rows_that_have_no_details_are_not_even_read(on_azurite: Stores, connection: StorageConnection, prefix: str) -> None:
    etag = None
    for page in range(11):
        items = (an_item(f"{page}-{number}", decided_on=NOW - MINUTE) for number in range(LEDGER_COMMIT_ROWS))
        etag = commit(on_azurite, *items, etag=etag)
    read: list[object] = []

    class Counting(WatchedGateway):
        def page(
            self, table: str, query: Query, limit: int | None = None, after: tuple[str, str] | None = None
        ) -> tuple[Sequence[Entity], tuple[str, str] | None]:
            found = super().page(table, query, limit, after)
            read.extend(found[0])
            return found

    counting = azure_stores(
        connection,
        secrets_key=SECRETS_KEY,
        prefix=prefix,
        gateway=lambda account: Counting(fast_gateway(account)),
    )
    assert sum(counting.ledger.remove_details_before(NOW)) == 0
    assert read == []
