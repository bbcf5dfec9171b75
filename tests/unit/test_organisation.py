"""What the settings of the organisation do wherever alerts are raised."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.choices import AlertLevel
from shared.domain.organisation import OrganisationSettings, StoredSettings
from shared.organisation import LevelledAlerts, RecentSettings
from shared.ports import Stores
from shared.stores.memory import memory_stores
from tests.builders import SettableClock
from tests.contracts.records import an_alert


class CountedSettings:
    """Settings that count how often they are read."""

    def __init__(self, record: OrganisationSettings) -> None:
        self.record = record
        self.reads = 0

    def get(self) -> StoredSettings:
        self.reads += 1
        return StoredSettings(self.record, None)

    def put(self, settings: OrganisationSettings, etag: str | None) -> StoredSettings:  # noqa: ARG002 - there is one
        self.record = settings
        return self.get()


@pytest.fixture
def stores() -> Stores:
    return memory_stores()


def raised(stores: Stores, lowest: AlertLevel) -> set[AlertLevel]:
    alerts = LevelledAlerts(
        stores.alerts, RecentSettings(CountedSettings(OrganisationSettings(alert_level=lowest)), SettableClock())
    )
    for level in AlertLevel:
        alerts.put(replace(an_alert(), level=level, parameters={"level": level.name}))
    assert alerts.list() == stores.alerts.list()
    return {alert.level for alert in alerts.list().items}


@pytest.mark.parametrize("lowest", AlertLevel)
def test_alerts_below_the_level_are_not_raised(stores: Stores, lowest: AlertLevel) -> None:
    assert raised(stores, lowest) == {level for level in AlertLevel if level >= lowest}


def test_settings_are_read_once_in_half_a_minute() -> None:
    settings, clock = CountedSettings(OrganisationSettings(largest_message=1)), SettableClock()
    recent = RecentSettings(settings, clock)
    assert recent().largest_message == 1
    settings.put(OrganisationSettings(largest_message=2), None)
    before = settings.reads
    clock.advance(timedelta(seconds=29))
    assert recent().largest_message == 1
    assert settings.reads == before
    clock.advance(timedelta(seconds=1))
    assert recent().largest_message == 2


def test_an_alert_above_the_level_is_acknowledged_as_ever(stores: Stores) -> None:
    alerts = LevelledAlerts(stores.alerts, RecentSettings(stores.settings, SettableClock()))
    alert = an_alert()
    alerts.put(alert)
    acknowledged = alerts.acknowledge(alert.id, "admin", alert.raised_on)
    assert acknowledged is not None
    assert acknowledged.acknowledged_by == "admin"
