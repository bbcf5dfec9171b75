"""The contract of quarantine, alerts and runs."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from shared.domain.errors import InvalidRecord
from shared.domain.ids import MailboxId
from shared.ports import Slice, Stores
from tests.contracts.records import MINUTE, NOW, a_quarantined, a_run, an_alert, an_id

ANNA = MailboxId(an_id("anna"))


def everything[T](part: Callable[[str | None], Slice[T]]) -> list[T]:
    found, at = list[T](), None
    while True:
        answer = part(at)
        found += answer.items
        if (at := answer.continuation) is None:
            return found


def test_nothing_is_listed_of_a_mailbox_that_had_no_trouble(stores: Stores) -> None:
    assert list(stores.quarantine.list(ANNA).items) == []
    assert list(stores.alerts.list().items) == []
    assert list(stores.runs.list(ANNA).items) == []


def test_quarantined_items_are_listed_newest_first_in_slices(stores: Stores) -> None:
    items = [a_quarantined(number, age=number * MINUTE) for number in range(7)]
    for item in reversed(items):
        stores.quarantine.put(item)
    assert everything(lambda at: stores.quarantine.list(ANNA, at, limit=3)) == items


def test_an_item_is_quarantined_once_however_often_it_is_put(stores: Stores) -> None:
    stores.quarantine.put(a_quarantined(age=MINUTE))
    stores.quarantine.put(a_quarantined("other"))
    stores.quarantine.put(replace(a_quarantined(), attempts=6))
    stores.quarantine.put(replace(a_quarantined(), attempts=7, raw_blob=None))
    found = {item.ref.id: item for item in stores.quarantine.list(ANNA).items}
    assert len(stores.quarantine.list(ANNA).items) == 2
    assert found["AAMkitem"] == replace(a_quarantined(), attempts=7, raw_blob=None)


def test_a_quarantined_item_says_as_much_as_fits(stores: Stores) -> None:
    stores.quarantine.put(replace(a_quarantined(), detail="\ud800" * 100_000, message_id="m" * 100_000))
    (found,) = stores.quarantine.list(ANNA).items
    assert found.detail == "\ufffd" * 30_000


def test_an_alert_that_is_raised_again_keeps_its_first_time(stores: Stores) -> None:
    stores.alerts.put(an_alert(raised_on=NOW))
    stores.alerts.put(an_alert(raised_on=NOW + MINUTE))
    stores.alerts.put(replace(an_alert(raised_on=NOW + 2 * MINUTE), cause="Another cause"))
    (found,) = stores.alerts.list().items
    assert found == replace(an_alert(raised_on=NOW + 2 * MINUTE), first_raised_on=NOW, cause="Another cause")


def test_one_cause_that_many_mailboxes_meet_at_once_is_one_alert(stores: Stores) -> None:
    with ThreadPoolExecutor(12) as threads:
        list(threads.map(lambda _: stores.alerts.put(an_alert("profile:1")), range(60)))
    assert len(stores.alerts.list("profile:1").items) == 1


def test_alerts_are_apart_by_what_they_are_about_and_their_parameters(stores: Stores) -> None:
    stores.alerts.put(an_alert("mailbox:1", folder="one", server="a"))
    stores.alerts.put(an_alert("mailbox:1", server="a", folder="one"))
    stores.alerts.put(an_alert("mailbox:1", folder="two", server="a"))
    stores.alerts.put(an_alert("queue:sync-incoming"))
    assert len(stores.alerts.list("mailbox:1").items) == 2
    assert len(stores.alerts.list().items) == 3
    assert len(everything(lambda at: stores.alerts.list(None, at, limit=1))) == 3
    assert list(stores.alerts.list("mailbox:2").items) == []


def test_runs_are_listed_newest_first_in_slices(stores: Stores) -> None:
    runs = [a_run(number, age=number * MINUTE) for number in range(7)]
    for run in runs:
        stores.runs.put(run)
    stores.runs.put(runs[3])
    stores.runs.put(replace(a_run(), mailbox_id=MailboxId(an_id("bert"))))
    assert everything(lambda at: stores.runs.list(ANNA, at, limit=3)) == runs


@pytest.mark.parametrize("limit", [0, -1])
def test_a_list_of_nothing_is_refused(stores: Stores, limit: int) -> None:
    with pytest.raises(InvalidRecord) as caught:
        stores.runs.list(ANNA, limit=limit)
    assert caught.value.field == "limit"
