"""What becomes of an alert that is raised again: one rule for every store."""

from dataclasses import replace

from shared.domain.operations import Alert


def raised_over(alert: Alert, before: Alert | None) -> Alert:
    """The alert as it is kept: the time it was raised first stays. Raised after it was acknowledged, it is open again."""
    if before is None:
        return replace(alert, first_raised_on=alert.first_raised_on or alert.raised_on)
    kept = replace(alert, first_raised_on=before.first_raised_on or alert.first_raised_on or alert.raised_on)
    if before.acknowledged_on is None or alert.raised_on > before.acknowledged_on:
        return kept
    return replace(kept, acknowledged_by=before.acknowledged_by, acknowledged_on=before.acknowledged_on)
