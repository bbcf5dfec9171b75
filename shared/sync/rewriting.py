"""Writes a changed email together with the list of what it is about: a crash anywhere leaves what repeating it completes."""

from collections.abc import Callable

from shared.domain.email import EmailActivity, StoredActivity
from shared.domain.errors import Busy, Changed
from shared.domain.listings import regarding_entry
from shared.ports import Activities, Timeline

_ATTEMPTS = 5


def rewrite(
    activities: Activities, timeline: Timeline, stored: StoredActivity, change: Callable[[EmailActivity], EmailActivity]
) -> StoredActivity:
    """Writes the changed email, after the lists that show it: whoever repeats this after a crash finds the email as it was, and
    so knows which rows have to go. `change` is asked again where somebody else wrote the email. Raises TransientError."""
    for _ in range(_ATTEMPTS):
        email = change(stored.record)
        if email == stored.record:
            return stored
        _list(timeline, email, instead_of=stored.record)
        try:
            return activities.replace(email, stored.etag)
        except Changed:
            present = activities.get(stored.record.id)
            if present is None:
                return stored
            _list(timeline, present.record, instead_of=email)
            stored = present
    raise Busy("the email is being changed all the time")


def _list(timeline: Timeline, email: EmailActivity, *, instead_of: EmailActivity) -> None:
    """Its row in the list of what it is about, and no other."""
    listed, former = regarding_entry(email), regarding_entry(instead_of)
    if listed is not None:
        timeline.put([listed])
    if former is not None and former != listed:
        timeline.remove([former])
