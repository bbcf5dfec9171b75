"""What became of a message in a mailbox, and why: the ledger, the activity and the mailbox's own state, told in plain words.

Where there is no trace of the message, it names what can be the cause, the certain ones first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from shared.administration.failures import RecordNotFound
from shared.administration.standing import remedy, standing
from shared.domain import words
from shared.domain.choices import Direction, Reason, Verdict, Workload
from shared.domain.configuration import StoredMailbox, StoredProfile
from shared.domain.eligibility import start_date
from shared.domain.email import Sighting
from shared.domain.ids import ActivityId, MailboxId, RunId, email_id, normalised_message_id, short_hash
from shared.domain.ledger import LedgerHead, LedgerItem
from shared.ports import Clock, Stores

WORKLOAD = Workload.INCOMING

_FOREVER = datetime(9999, 1, 1, tzinfo=UTC)
"""Every todo is due by then."""


@dataclass(frozen=True, slots=True)
class ItemExplanation:
    """One copy of the message in the mailbox, and what became of it."""

    verdict: Verdict
    reason: Reason
    words: str
    """Both in plain words."""
    decided_on: datetime
    run_id: RunId
    """The run that decided."""
    received: datetime | None
    folder: str
    attempts: int
    error: str | None
    """Code of the error that it failed with."""
    detail: str
    next_attempt: datetime | None
    """When a failing item is tried again."""
    activity_id: ActivityId | None


@dataclass(frozen=True, slots=True)
class ActivityExplanation:
    """An activity that the message became, here or through another mailbox."""

    id: ActivityId
    variant_of: ActivityId | None
    """Set where other content came first with the same Message-ID."""
    has_variants: bool
    receiving_mailbox: MailboxId
    sightings: Sequence[Sighting]


@dataclass(frozen=True, slots=True)
class Explanation:
    mailbox_id: MailboxId
    message_id: str | None
    summary: str
    items: Sequence[ItemExplanation]
    activities: Sequence[ActivityExplanation]
    causes: Sequence[str]
    """Why there is no trace of the message in this mailbox, or why there may be none. Empty where there is one."""


class Explanations:
    def __init__(self, stores: Stores, clock: Clock) -> None:
        self._stores = stores
        self._clock = clock

    def of_message(self, mailbox_id: MailboxId, message_id: str) -> Explanation:
        """Explains a message by its Message-ID, with or without angle brackets. Raises RecordNotFound."""
        mailbox = self._mailbox(mailbox_id)
        normalised = normalised_message_id(message_id) or message_id
        return self._explained(mailbox, normalised, short_hash(normalised), email_id(normalised, Direction.INCOMING))

    def of_activity(self, mailbox_id: MailboxId, activity_id: ActivityId) -> Explanation:
        """Explains the copies in this mailbox of an activity, not those of its variants. Raises RecordNotFound."""
        mailbox = self._mailbox(mailbox_id)
        content = self._stores.activities.content(activity_id)
        if content is None:
            raise RecordNotFound(f"there is no activity {activity_id}")
        identity = content.message_id or self._item_id(mailbox_id, activity_id)
        return self._explained(mailbox, content.message_id, short_hash(identity), activity_id, variants=False)

    def _item_id(self, mailbox_id: MailboxId, activity_id: ActivityId) -> str:
        """The server's id of the copy in this mailbox: what identifies a message without a Message-ID."""
        sightings = self._stores.activities.sightings(activity_id)
        return next((each.item_id for each in sightings if each.mailbox_id == mailbox_id), "")

    def _explained(
        self, mailbox: StoredMailbox, message_id: str | None, identity: str, activity_id: ActivityId, *, variants: bool = True
    ) -> Explanation:
        mailbox_id = mailbox.record.id
        head = self._stores.ledger.head(mailbox_id, WORKLOAD, _FOREVER)
        found = sorted(self._stores.ledger.find(mailbox_id, WORKLOAD, identity), key=lambda item: item.decided_on)
        meant = [item for item in found if variants or item.activity_id in (None, activity_id)]
        items = tuple(_item_explanation(item, head) for item in meant)
        activities = self._activities([activity_id, *(item.activity_id for item in items if item.activity_id)])
        causes = () if items else tuple(self._causes(mailbox, head, activities))
        return Explanation(mailbox_id, message_id, _summary(items), items, activities, causes)

    def _mailbox(self, mailbox_id: MailboxId) -> StoredMailbox:
        stored = self._stores.mailboxes.get(mailbox_id)
        if stored is None:
            raise RecordNotFound(f"there is no mailbox {mailbox_id}")
        return stored

    def _activities(self, ids: Sequence[ActivityId]) -> Sequence[ActivityExplanation]:
        found = (self._stores.activities.get(each) for each in dict.fromkeys(ids))
        return tuple(
            ActivityExplanation(
                id=stored.record.id,
                variant_of=stored.record.variant_of,
                has_variants=stored.record.has_variants,
                receiving_mailbox=stored.record.receiving_mailbox,
                sightings=self._stores.activities.sightings(stored.record.id),
            )
            for stored in found
            if stored is not None
        )

    def _causes(self, mailbox: StoredMailbox, head: LedgerHead, activities: Sequence[ActivityExplanation]) -> Sequence[str]:
        profile_id = mailbox.record.profile_id
        profile = None if profile_id is None else self._stores.profiles.get(profile_id)
        causes = [*self._held_back(mailbox, profile), *_progress(mailbox, head), *_start(mailbox, profile)]
        if activities:
            causes.append("The message is stored, but came through another mailbox; no copy of it was seen in this one.")
        return [*causes, _NEVER_SEEN]

    def _held_back(self, mailbox: StoredMailbox, profile: StoredProfile | None) -> Sequence[str]:
        reason = standing(mailbox, profile, self._clock()).held_back[WORKLOAD]
        return [] if reason is None else [f"The mailbox is not being read. {words.INELIGIBLE[reason]} {remedy(reason)}"]


def _item_explanation(item: LedgerItem, head: LedgerHead) -> ItemExplanation:
    return ItemExplanation(
        verdict=item.verdict,
        reason=item.reason,
        words=words.explain(item.verdict, item.reason),
        decided_on=item.decided_on,
        run_id=item.run_id,
        received=item.received,
        folder=item.ref.folder,
        attempts=item.attempts,
        error=item.error,
        detail=item.detail,
        next_attempt=next((todo.due for todo in head.todos if todo.item.key == item.key), None),
        activity_id=item.activity_id,
    )


def _summary(items: Sequence[ItemExplanation]) -> str:
    if not items:
        return "There is no trace of this message in this mailbox."
    if len({item.activity_id for item in items} - {None}) > 1:
        others = f" This mailbox has had {len(items)} messages with this Message-ID, of different content; this is the latest."
    else:
        others = f" This mailbox has had {len(items)} copies of it; this is the latest decision." if len(items) > 1 else ""
    return f"{items[-1].words}{others}"


_NEVER_SEEN = (
    "Only the Inbox is read: a message that was moved or deleted before it was read, or that a server rule put into another"
    " folder, leaves no trace. So does one that never arrived, or that has another Message-ID."
)


def _progress(mailbox: StoredMailbox, head: LedgerHead) -> Sequence[str]:
    schedule = mailbox.schedule.get(WORKLOAD)
    told: list[str] = []
    if schedule is None or schedule.last_run_on is None:
        told.append("The mailbox has not been read yet.")
    elif not head.marks or not all(mark.caught_up for mark in head.marks):
        told.append("The mailbox is being read for the first time, newest mail first; older mail is still to come.")
    if schedule is not None and schedule.last_error is not None:
        told.append(
            f"The last run failed. {words.cause_of(schedule.last_error)} What arrived since then waits for the next run."
        )
    if schedule is not None and schedule.due is not None:
        told.append(
            f"The mailbox is read next at {_rfc3339(schedule.due)}; a message that arrived since the last time waits for then."
        )
    return told


def _start(mailbox: StoredMailbox, profile: StoredProfile | None) -> Sequence[str]:
    start = mailbox.record.enabled_on if profile is None else start_date(profile.record, mailbox.record)
    if start is None:
        return []
    return [f"Mail received before {_rfc3339(start)} is not read: its start date, or when it was enabled."]


def _rfc3339(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
