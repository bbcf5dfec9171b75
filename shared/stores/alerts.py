"""What becomes of an alert that is raised: one rule for every store."""

from dataclasses import replace
from datetime import datetime

from shared.domain.operations import Alert


def raised(alert: Alert, first_raised_on: datetime | None = None) -> Alert:
    """The alert as it stands from now on: open, whatever the clocks say of who acknowledged it before. `first_raised_on` is
    that of the one it stands in place of."""
    first = first_raised_on or alert.first_raised_on or alert.raised_on
    return replace(alert, first_raised_on=first, acknowledged_by=None, acknowledged_on=None)
