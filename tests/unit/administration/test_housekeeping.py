"""What is removed each night, and when it stops."""

from dataclasses import replace
from datetime import timedelta

from shared.administration.housekeeping import Housekeeping
from shared.domain.organisation import OrganisationSettings
from shared.ports import Stores
from shared.stores.memory import memory_stores
from tests.builders import SettableClock
from tests.contracts.records import a_run, an_alert, an_audit_entry

DAY = timedelta(days=1)
SETTINGS = OrganisationSettings(keep_runs=2 * DAY, keep_alerts=4 * DAY, keep_audit=6 * DAY)


def with_records(clock: SettableClock) -> Stores:
    """A run, an alert and an audit entry of each of the last nine days."""
    stores = memory_stores()
    stores.settings.put(SETTINGS, None)
    for days in range(9):
        on = clock() - days * DAY
        stores.runs.put(replace(a_run(days), started_on=on))
        stores.alerts.put(an_alert(f"mailbox:{days}", on))
        stores.audit.put(replace(an_audit_entry(days), changed_on=on))
    return stores


def counts(stores: Stores) -> tuple[int, int, int]:
    runs = stores.runs.list(a_run().mailbox_id).items
    return len(runs), len(stores.alerts.list().items), len(stores.audit.list().items)


def test_each_kind_is_kept_as_long_as_the_settings_say() -> None:
    clock = SettableClock()
    stores = with_records(clock)
    assert Housekeeping(stores, clock).run()
    assert counts(stores) == (3, 5, 7)
    assert Housekeeping(stores, clock).run()
    assert counts(stores) == (3, 5, 7)


def test_when_its_time_is_spent_it_stops_and_the_next_one_goes_on() -> None:
    clock = SettableClock()
    stores = with_records(clock)
    assert not Housekeeping(stores, clock, longest=timedelta()).run()
    assert counts(stores) == (9, 9, 7)
    assert Housekeeping(stores, clock).run()
    assert counts(stores) == (3, 5, 7)
