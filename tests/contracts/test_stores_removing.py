"""The contract of removing what is kept no longer."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

from shared.domain.ids import MailboxId
from shared.ports import Stores
from shared.stores.account import StorageConnection, account_of
from shared.stores.azure import azure_stores, fast_gateway
from shared.stores.tables.gateway import TRANSACTION_ROWS, Gateway, Operation, Query, Verb
from tests.contracts.conftest import SECRETS_KEY
from tests.contracts.records import MINUTE, NOW, a_run, an_alert, an_audit_entry, an_id

ANNA = MailboxId(an_id("anna"))
BEN = MailboxId(an_id("ben"))
DAY = timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)


def runs(stores: Stores, mailbox_id: MailboxId = ANNA) -> set[str]:
    return {run.id for run in stores.runs.list(mailbox_id, limit=1000).items}


def test_where_nothing_is_kept_nothing_is_removed(stores: Stores) -> None:
    assert sum(stores.runs.remove_before(NOW)) == 0
    assert sum(stores.alerts.remove_before(NOW)) == 0
    assert sum(stores.audit.remove_before(NOW)) == 0


def test_runs_that_started_before_are_removed_of_every_mailbox(stores: Stores) -> None:
    new, old = a_run("new"), a_run("old", MICROSECOND)
    for run in (new, old, replace(old, mailbox_id=BEN)):
        stores.runs.put(run)
    assert sum(stores.runs.remove_before(NOW)) == 2
    assert (runs(stores), runs(stores, BEN)) == ({new.id}, set())
    assert sum(stores.runs.remove_before(NOW)) == 0


def test_more_runs_of_a_mailbox_than_a_transaction_holds_are_removed(stores: Stores) -> None:
    for number in range(TRANSACTION_ROWS + 1):
        stores.runs.put(a_run(number, number * MINUTE))
    assert sum(stores.runs.remove_before(NOW + MINUTE)) == TRANSACTION_ROWS + 1
    assert runs(stores) == set()


def test_runs_of_mailboxes_with_any_id_are_removed(stores: Stores) -> None:
    ids = [MailboxId(f"{first}{second}-mailbox") for first in "0123456789abcdefAZz~" for second in "07f"]
    for mailbox_id in ids:
        stores.runs.put(replace(a_run("old", MICROSECOND), mailbox_id=mailbox_id))
    assert sum(stores.runs.remove_before(NOW)) == len(ids)
    assert [runs(stores, mailbox_id) for mailbox_id in ids] == [set()] * len(ids)


def test_each_day_begins_with_mailboxes_that_the_days_before_did_not_reach(on_azurite: Stores) -> None:
    """However short the time: days that stop after the first part, an eighth of all, have reached all of them after 13."""
    ids = [MailboxId(f"{number:02x}-mailbox") for number in range(0, 256, 4)]
    for mailbox_id in ids:
        on_azurite.runs.put(replace(a_run("old", DAY), mailbox_id=mailbox_id))
    left = [len(ids)]
    for day in range(13):
        next(on_azurite.runs.remove_before(NOW + day * DAY))
        left.append(sum(len(runs(on_azurite, mailbox_id)) for mailbox_id in ids))
    assert left[1:5] == [56, 48, 40, 32]
    assert left[-1] == 0


def test_an_alert_goes_when_it_was_not_raised_again_acknowledged_or_not(stores: Stores) -> None:
    forgotten, seen, again = (an_alert(f"mailbox:{name}", NOW - DAY) for name in ("forgotten", "seen", "again"))
    for alert in (forgotten, seen, again, replace(again, raised_on=NOW)):
        stores.alerts.put(alert)
    stores.alerts.acknowledge(seen.id, "anna", NOW)
    assert sum(stores.alerts.remove_before(NOW)) == 2
    assert [alert.about for alert in stores.alerts.list().items] == [again.about]


def test_nothing_is_left_of_an_alert_that_was_removed(on_azurite: Stores, connection: StorageConnection, prefix: str) -> None:
    on_azurite.alerts.put(an_alert("mailbox:old", NOW - DAY))
    on_azurite.alerts.put(an_alert("mailbox:new", NOW))
    assert sum(on_azurite.alerts.remove_before(NOW)) == 1
    ids, _ = fast_gateway(account_of(connection)).page(f"{prefix}AlertIds", Query())
    assert [row.row for row in ids] == [an_alert("mailbox:new").id]


def test_an_alert_that_is_raised_while_it_is_removed_can_be_acknowledged(
    on_azurite: Stores, connection: StorageConnection, prefix: str
) -> None:
    """Raised between the removal of the alert and that of its id."""

    class Raising:
        def __init__(self, gateway: Gateway) -> None:
            self._gateway = gateway

        def write(self, table: str, operation: Operation) -> str:
            if table.endswith("AlertIds") and operation.verb is Verb.DELETE:
                on_azurite.alerts.put(an_alert(raised_on=NOW))
            return self._gateway.write(table, operation)

        def transact(self, table: str, operations: Sequence[Operation]) -> Sequence[str]:
            return [self.write(table, each) for each in operations]

        def __getattr__(self, name: str) -> object:
            return getattr(self._gateway, name)

    on_azurite.alerts.put(an_alert(raised_on=NOW - DAY))
    removing = azure_stores(
        connection,
        secrets_key=SECRETS_KEY,
        prefix=prefix,
        gateway=lambda account: Raising(fast_gateway(account)),  # type: ignore[arg-type,return-value]  # __getattr__ gives the rest
    )
    assert sum(removing.alerts.remove_before(NOW)) == 1
    assert [alert.raised_on for alert in on_azurite.alerts.list().items] == [NOW]
    assert on_azurite.alerts.acknowledge(an_alert().id, "anna", NOW) is not None


def test_an_alert_that_was_removed_can_be_raised_and_acknowledged_again(stores: Stores) -> None:
    stores.alerts.put(an_alert(raised_on=NOW - DAY))
    assert sum(stores.alerts.remove_before(NOW)) == 1
    assert stores.alerts.acknowledge(an_alert().id, "anna", NOW) is None
    stores.alerts.put(an_alert(raised_on=NOW))
    acknowledged = stores.alerts.acknowledge(an_alert().id, "anna", NOW)
    assert acknowledged is not None
    assert acknowledged.first_raised_on == NOW


def test_audit_entries_go_by_whole_days(stores: Stores) -> None:
    same_day = an_audit_entry("same day")
    for entry in (same_day, an_audit_entry("day before", DAY), an_audit_entry("long ago", 400 * DAY)):
        stores.audit.put(entry)
    list(stores.audit.remove_before(NOW))
    assert [entry.id for entry in stores.audit.list().items] == [same_day.id]
    list(stores.audit.remove_before(NOW + DAY))
    assert list(stores.audit.list().items) == []


def test_whoever_stops_reading_ends_the_removal(stores: Stores) -> None:
    stores.alerts.put(an_alert(raised_on=NOW - DAY))
    parts: Iterator[int] = stores.alerts.remove_before(NOW)
    assert len(stores.alerts.list().items) == 1, "nothing happens before the first part is asked for"
    next(parts)
    assert list(stores.alerts.list().items) == []
