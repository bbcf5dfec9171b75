"""The organisation's settings as a process remembers them, and what follows from them wherever alerts are raised."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from shared.domain.choices import AlertLevel
from shared.domain.operations import Alert
from shared.domain.organisation import OrganisationSettings
from shared.ports import Alerts, Clock, OrganisationStore, Slice

SETTINGS_LIFE = timedelta(seconds=30)
"""How long settings that were read count as fresh."""


class RecentSettings:
    """The settings as they stood at most `life` ago. Threads share it: at worst two of them read at once."""

    def __init__(self, settings: OrganisationStore, clock: Clock, life: timedelta = SETTINGS_LIFE) -> None:
        self._settings = settings
        self._clock = clock
        self._life = life
        self._read: tuple[datetime, OrganisationSettings] | None = None

    def __call__(self) -> OrganisationSettings:
        """Raises TransientError."""
        now, read = self._clock(), self._read
        if read is None or now - read[0] >= self._life:
            self._read = read = (now, self._settings.get().record)
        return read[1]


class LevelledAlerts:
    """Alerts of which those below the organisation's level are never raised; otherwise the alerts it is given."""

    def __init__(self, alerts: Alerts, settings: RecentSettings) -> None:
        self._alerts = alerts
        self._settings = settings

    def put(self, alert: Alert) -> None:
        """An error is raised whatever the level, so that it asks for no settings first."""
        if alert.level is AlertLevel.ERROR or alert.level >= self._settings().alert_level:
            self._alerts.put(alert)

    def list(self, about: str | None = None, continuation: str | None = None, limit: int = 50) -> Slice[Alert]:
        return self._alerts.list(about, continuation, limit)

    def acknowledge(self, alert_id: str, by: str, at: datetime) -> Alert | None:
        return self._alerts.acknowledge(alert_id, by, at)

    def remove_before(self, time: datetime) -> Iterator[int]:
        return self._alerts.remove_before(time)
