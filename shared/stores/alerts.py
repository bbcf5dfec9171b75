"""What becomes of an alert that is raised again: one rule for every store."""

from dataclasses import replace

from shared.domain.operations import Alert


def raised_over(alert: Alert, before: Alert | None) -> Alert:
    """The alert as it is kept: the time it was raised first and its acknowledgement stay."""
    if before is None:
        return replace(alert, first_raised_on=alert.first_raised_on or alert.raised_on)
    return replace(
        alert,
        first_raised_on=before.first_raised_on or alert.first_raised_on or alert.raised_on,
        acknowledged_by=before.acknowledged_by,
        acknowledged_on=before.acknowledged_on,
    )


def as_it_stands(alert: Alert) -> Alert:
    """The alert as it is read: raised after it was acknowledged, it is open again."""
    if alert.acknowledged_on is None or alert.raised_on <= alert.acknowledged_on:
        return alert
    return replace(alert, acknowledged_by=None, acknowledged_on=None)
