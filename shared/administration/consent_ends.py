"""Consents that are about to end: the administrator is told in time, so that nothing stops."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from shared.domain.choices import AlertLevel, ConsentStatus
from shared.domain.consents import Consent, end_of, status_of
from shared.domain.ids import ProfileId
from shared.domain.operations import Alert
from shared.ports import Stores

EXPIRY = "consent_expiry"
"""Code of the alert that says until when a consent lasts."""
SOON = timedelta(days=14)
_PART = 100


def tell_ends(stores: Stores, now: datetime) -> Iterator[int]:
    """Raises an alert for each consent in use that ends within `SOON`; removes requests that nobody answered. Part by part."""
    yield from stores.consents.remove_unanswered(now)
    continuation: str | None = None
    while True:
        part = stores.consents.list(continuation, _PART)
        ending = [each.record for each in part.items if end_of(each.record) - now < SOON and _is_in_use(stores, each.record)]
        for consent in ending:
            stores.alerts.put(end_alert(consent, now))
        yield len(ending)
        if (continuation := part.continuation) is None:
            return


def end_alert(consent: Consent, now: datetime) -> Alert:
    end = end_of(consent)
    unused = "" if end == consent.expires_on else " if nothing uses it"
    return Alert(
        about=f"mailbox:{consent.mailbox_id}",
        code=EXPIRY,
        level=AlertLevel.WARNING,
        cause=f"The consent of the mailbox's owner lasts until {end.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}{unused}.",
        remedy="Ask the owner to consent again before that (`python -m admin consent ask MAILBOX`): from then on the mailbox is"
        " not read.",
        raised_on=now,
    )


def _is_in_use(stores: Stores, consent: Consent) -> bool:
    """What has ended already, or is needed no more, has been told or does not matter."""
    mailbox = stores.mailboxes.get(consent.mailbox_id)
    if mailbox is None or not mailbox.record.active:
        return False
    profile = stores.profiles.get(mailbox.record.profile_id or ProfileId(""))
    return status_of(consent, profile.record if profile else None) is ConsentStatus.GRANTED
