"""The contract of removing what is kept no longer."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from shared.domain.ids import MailboxId
from shared.ports import Stores
from shared.stores.tables.gateway import TRANSACTION_ROWS
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


def test_an_alert_goes_when_it_was_not_raised_again_acknowledged_or_not(stores: Stores) -> None:
    forgotten, seen, again = (an_alert(f"mailbox:{name}", NOW - DAY) for name in ("forgotten", "seen", "again"))
    for alert in (forgotten, seen, again, replace(again, raised_on=NOW)):
        stores.alerts.put(alert)
    stores.alerts.acknowledge(seen.id, "anna", NOW)
    assert sum(stores.alerts.remove_before(NOW)) == 2
    assert [alert.about for alert in stores.alerts.list().items] == [again.about]


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
    stores.runs.put(a_run("old", DAY))
    parts: Iterator[int] = stores.runs.remove_before(NOW)
    assert runs(stores) == {a_run("old").id}, "nothing happens before the first part is asked for"
    next(parts)
    assert runs(stores) == set()
