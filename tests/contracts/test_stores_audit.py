"""The contract of the audit, and of acknowledging alerts."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta, timezone

import pytest

from shared.domain.audit import AuditEntry, FieldChange
from shared.domain.choices import AlertLevel
from shared.domain.errors import InvalidRecord
from shared.domain.operations import Alert
from shared.ports import Slice, Stores
from tests.contracts.records import MINUTE, NOW, an_alert, an_audit_entry

DAY = timedelta(days=1)


def everything(part: Callable[[str | None], Slice[AuditEntry]]) -> list[AuditEntry]:
    found, at = list[AuditEntry](), None
    while True:
        answer = part(at)
        found += answer.items
        if (at := answer.continuation) is None:
            return found


def only(stores: Stores) -> Alert:
    (found,) = stores.alerts.list().items
    return found


# ---- audit


def test_entries_are_listed_newest_first_across_days(stores: Stores) -> None:
    ages = [timedelta(), MINUTE, 20 * 60 * MINUTE, DAY, DAY + MINUTE, 40 * DAY, 400 * DAY]
    entries = [an_audit_entry(number, age) for number, age in enumerate(ages)]
    for entry in reversed(entries):
        stores.audit.put(entry)
    assert everything(lambda at: stores.audit.list(None, at, limit=2)) == entries
    assert list(stores.audit.list().items) == entries


def test_entries_of_one_record_are_listed_apart(stores: Stores) -> None:
    ours = [an_audit_entry(number, number * DAY, "rule:m:it's a 'folder' & more") for number in range(5)]
    others = [an_audit_entry(f"other {number}", number * DAY) for number in range(5)]
    for entry in [*ours, *others]:
        stores.audit.put(entry)
    assert everything(lambda at: stores.audit.list(ours[0].record, at, limit=2)) == ours
    assert list(stores.audit.list("profile:2").items) == []


def test_an_entry_that_is_written_again_on_the_same_day_stays_as_it_was(stores: Stores) -> None:
    stores.audit.put(an_audit_entry())
    stores.audit.put(an_audit_entry())
    stores.audit.put(replace(an_audit_entry(), changed_on=NOW + MINUTE))
    assert list(stores.audit.list().items) == [an_audit_entry()]


def test_a_day_is_a_day_in_utc(stores: Stores) -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=13)))
    stores.audit.put(an_audit_entry())
    stores.audit.put(replace(an_audit_entry(), changed_on=elsewhere))
    assert len(stores.audit.list().items) == 1


def test_long_values_are_shortened_until_they_fit_together(stores: Stores) -> None:
    changes = tuple(FieldChange(f"field {number}", '"' * 4_000, "日" * 4_000) for number in range(60))
    stores.audit.put(replace(an_audit_entry(), changes=changes, caller="c" * 9_000, record="r" * 9_000))
    (found,) = stores.audit.list("r" * 9_000).items
    assert [each.field for each in found.changes] == [each.field for each in changes]
    assert all(each.old.startswith('""""') and each.new.startswith("日日日日") for each in found.changes)


def test_an_id_of_an_entry_is_a_key(stores: Stores) -> None:
    with pytest.raises(InvalidRecord):
        stores.audit.put(replace(an_audit_entry(), id="a/b"))


# ---- alerts


def test_an_alert_is_acknowledged_by_its_id(stores: Stores) -> None:
    stores.alerts.put(an_alert(folder="x" * 2_000))
    stores.alerts.put(an_alert("queue:other"))
    raised = next(each for each in stores.alerts.list().items if each.parameters)
    acknowledged = stores.alerts.acknowledge(raised.id, "anna", NOW + MINUTE)
    assert acknowledged == replace(raised, acknowledged_by="anna", acknowledged_on=NOW + MINUTE)
    assert {each.about: each.acknowledged_by for each in stores.alerts.list().items} == {
        "mailbox:1": "anna",
        "queue:other": None,
    }


@pytest.mark.parametrize("alert_id", ["0" * 32, "a/b", "", "x" * 3_000])
def test_an_alert_that_is_not_there_cannot_be_acknowledged(stores: Stores, alert_id: str) -> None:
    assert stores.alerts.acknowledge(alert_id, "anna", NOW) is None


@pytest.mark.parametrize("ahead", [-5 * MINUTE, 0 * MINUTE, 5 * MINUTE])
def test_an_alert_that_is_raised_again_is_open_again_whatever_the_clock_of_the_one_that_saw_it(
    stores: Stores, ahead: timedelta
) -> None:
    stores.alerts.put(an_alert())
    stores.alerts.acknowledge(only(stores).id, "anna", NOW + MINUTE + ahead)
    assert only(stores).acknowledged_by == "anna"
    stores.alerts.put(replace(an_alert(raised_on=NOW + 2 * MINUTE), level=AlertLevel.WARNING))
    assert only(stores) == replace(an_alert(raised_on=NOW + 2 * MINUTE), level=AlertLevel.WARNING, first_raised_on=NOW)
    again = stores.alerts.acknowledge(only(stores).id, "bert", NOW + 3 * MINUTE + ahead)
    assert again == only(stores)
    assert (only(stores).acknowledged_by, only(stores).acknowledged_on) == ("bert", NOW + 3 * MINUTE + ahead)


def test_an_alert_is_raised_open_whatever_it_says_itself(stores: Stores) -> None:
    for _ in range(2):
        stores.alerts.put(replace(an_alert(), acknowledged_by="anna", acknowledged_on=NOW))
        assert only(stores) == replace(an_alert(), first_raised_on=NOW)
