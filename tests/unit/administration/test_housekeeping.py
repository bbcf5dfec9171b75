"""What is removed each night, and when it stops."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from shared.administration.housekeeping import Housekeeping
from shared.domain.errors import Busy
from shared.domain.ids import MailboxId
from shared.domain.ledger import LedgerCommit
from shared.domain.organisation import OrganisationSettings
from shared.domain.records import LoadState
from shared.messages import ChangeItems, ItemTask, Queue, parse
from shared.ports import Stores
from shared.stores.memory import memory_stores
from shared.stores.memory.work import MemoryQueues
from tests.builders import SettableClock
from tests.contracts.records import INCOMING, a_load, a_quarantined, a_run, a_state, an_alert, an_audit_entry, an_id, an_item

DAY = timedelta(days=1)
SETTINGS = OrganisationSettings(keep_runs=2 * DAY, keep_ledger_details=3 * DAY, keep_alerts=4 * DAY, keep_audit=6 * DAY)
ANNA = MailboxId(an_id("anna"))


def with_records(clock: SettableClock) -> Stores:
    """One of everything of each of the last nine days."""
    stores = memory_stores()
    stores.settings.put(SETTINGS, None)
    etag = None
    for days in range(9):
        on = clock() - days * DAY
        stores.runs.put(replace(a_run(days), started_on=on))
        stores.alerts.put(an_alert(f"mailbox:{days}", on))
        stores.audit.put(replace(an_audit_entry(days), changed_on=on))
        load = replace(a_load(days), state=LoadState.COMPLETED, created_on=on - DAY, finished_on=on)
        stores.bulk_loads.create(load)
        stores.blobs.put(f"loads/{load.id}", b"left over")
        item = an_item(days, decided_on=on, detail="words")
        etag = stores.ledger.commit(ANNA, INCOMING, etag, LedgerCommit(a_state(), items=(item,)))
    return stores


def counts(stores: Stores) -> dict[str, int]:
    return {
        "runs": len(stores.runs.list(ANNA).items),
        "alerts": len(stores.alerts.list().items),
        "audit": len(stores.audit.list().items),
        "loads": len(stores.bulk_loads.list().items),
        "details": len([item for item in stores.ledger.items(ANNA, INCOMING) if item.detail]),
    }


KEPT = {"runs": 3, "alerts": 5, "audit": 7, "loads": 3, "details": 4}


def is_there(stores: Stores, blob: str) -> bool:
    try:
        stores.blobs.read(blob)
    except KeyError:
        return False
    return True


def test_each_kind_is_kept_as_long_as_the_settings_say() -> None:
    clock = SettableClock()
    stores = with_records(clock)
    for _ in range(2):
        assert Housekeeping(stores, clock).run()
        assert counts(stores) == KEPT
    assert len(list(stores.ledger.items(ANNA, INCOMING))) == 9


def test_the_file_of_a_load_goes_with_it_even_where_the_load_left_it() -> None:
    clock = SettableClock()
    stores = with_records(clock)
    Housekeeping(stores, clock).run()
    assert [is_there(stores, f"loads/{a_load(days).id}") for days in range(9)] == [True] * 3 + [False] * 6


def test_a_load_that_is_not_finished_stays_however_old_it_is() -> None:
    clock = SettableClock()
    stores = memory_stores()
    stores.bulk_loads.create(replace(a_load(), state=LoadState.RUNNING, created_on=clock() - 1_000 * DAY))
    stores.blobs.put(f"loads/{a_load().id}", b"needed")
    Housekeeping(stores, clock).run()
    assert len(stores.bulk_loads.list().items) == 1
    assert is_there(stores, f"loads/{a_load().id}")


def test_when_its_time_is_spent_it_stops_and_the_next_one_goes_on() -> None:
    clock = SettableClock()
    stores = with_records(clock)
    assert not Housekeeping(stores, clock, longest=timedelta()).run()
    assert counts(stores) == KEPT | {"loads": 8}, "of each kind one part"
    assert Housekeeping(stores, clock).run()
    assert counts(stores) == KEPT


class Slow:
    """Alerts of which each part takes a minute."""

    def __init__(self, clock: SettableClock) -> None:
        self._clock = clock
        self.parts = 0

    def remove_before(self, _: datetime) -> Iterator[int]:
        for _minute in range(60):
            self._clock.now += timedelta(minutes=1)
            self.parts += 1
            yield 1


def test_what_takes_long_leaves_time_for_the_others() -> None:
    clock = SettableClock()
    stores = with_records(clock)
    slow = Slow(clock)
    assert not Housekeeping(replace(stores, alerts=slow), clock, timedelta(minutes=40)).run()  # type: ignore[arg-type]  # asks no more
    assert slow.parts == 10, "a quarter of the time, as there are three more"
    assert counts(stores)["runs"] == 3


class Failing:
    def remove_before(self, _: datetime) -> Iterator[int]:
        yield from ()
        raise Busy("not now")


def test_what_fails_does_not_stop_the_others_and_is_told_in_the_end() -> None:
    clock = SettableClock()
    stores = with_records(clock)
    with pytest.raises(Busy):
        Housekeeping(replace(stores, audit=Failing()), clock).run()  # type: ignore[arg-type]  # asks no more
    assert counts(stores) == KEPT | {"audit": 9}


# ---- after an upgrade


def replays(stores: Stores) -> list[ChangeItems]:
    queues = stores.queues
    assert isinstance(queues, MemoryQueues)
    return [message for text in queues.receive(Queue.CHANGE_ITEMS) if isinstance(message := parse(text), ChangeItems)]


def test_what_another_version_gave_up_is_tried_once_more_by_this_one() -> None:
    clock, stores = SettableClock(), memory_stores()
    for name, version in (("anna", "0.1"), ("ben", "0.2"), ("cleo", "0.1"), ("cleo", "0.2")):
        item = replace(a_quarantined(f"{name} {version}"), mailbox_id=MailboxId(an_id(name)), version=version)
        stores.quarantine.put(item)

    assert Housekeeping(stores, clock, version="0.2").run()

    asked = replays(stores)
    assert {each.mailbox_id for each in asked} == {an_id("anna"), an_id("cleo")}
    assert {(each.task, each.identity, each.tried_by) for each in asked} == {(ItemTask.REPLAY, None, "0.2")}
    assert len(asked) == 2


def test_what_this_version_gave_up_is_left_alone() -> None:
    clock, stores = SettableClock(), memory_stores()
    stores.quarantine.put(replace(a_quarantined(), version="0.2"))
    assert Housekeeping(stores, clock, version="0.2").run()
    assert replays(stores) == []
