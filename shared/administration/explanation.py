"""What became of a message in a mailbox, and why: the ledger, the activity and the mailbox's own state, told in plain words.

Where there is no trace of the message, it names what can be the cause, the certain ones first.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from shared.administration.failures import RecordNotFound
from shared.administration.standing import remedy, standing
from shared.domain import words
from shared.domain.choices import Direction, Reason, RegardingSource, Verdict, Workload
from shared.domain.configuration import Mailbox, OwnerRef, StoredMailbox, StoredProfile
from shared.domain.conversations import path_of
from shared.domain.eligibility import start_date
from shared.domain.email import EmailActivity, Sighting
from shared.domain.ids import ActivityId, MailboxId, OwnerId, RunId, email_id, normalised_message_id, short_hash
from shared.domain.judgement import Judgement
from shared.domain.ledger import LedgerHead, LedgerItem, TodoKind
from shared.domain.records import RecordRef
from shared.ports import Clock, Stores

WORKLOAD = Workload.INCOMING

_FOREVER = datetime(9999, 1, 1, tzinfo=UTC)
"""Every todo is due by then."""


@dataclass(frozen=True, slots=True)
class TodoExplanation:
    """What remains to be done with a message."""

    kind: TodoKind
    due: datetime
    """A run does it at that time or soon after."""


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
    """When something is done with it next: it is tried or judged again, joined to a conversation, or marked in the mailbox."""
    activity_id: ActivityId | None
    votes: Sequence[str] = ()
    """What each user and queue that it reached said to it, a sentence each."""
    correlation: Sequence[str] = ()
    """What was tried to find the conversation that it continues, a sentence each."""
    continues: ActivityId | None = None
    """The email that it continues."""
    accepted_by: OwnerRef | None = None
    """The user or queue whose filter accepted it."""
    queues: Sequence[OwnerId] = ()
    """Queues whose item it became."""
    rule: str | None = None
    """Id of the folder whose tracking rule decided."""
    todos: Sequence[TodoExplanation] = ()
    """What remains to be done with it."""
    quarantine: str | None = None
    """Its id in quarantine, where it can be looked at, replayed and given up."""
    story: Sequence[str] = ()
    """All of this in plain words."""


@dataclass(frozen=True, slots=True)
class ActivityExplanation:
    """An activity that the message became, here or through another mailbox."""

    id: ActivityId
    variant_of: ActivityId | None
    """Set where other content came first with the same Message-ID."""
    has_variants: bool
    receiving_mailbox: MailboxId
    sightings: Sequence[Sighting]
    direction: Direction = Direction.INCOMING
    owner: OwnerRef | None = None
    accepted_by: OwnerRef | None = None
    regarding: RecordRef | None = None
    regarding_set_by: RegardingSource | None = None
    conversation: ActivityId | None = None
    opted_out_on: datetime | None = None
    """Since when its conversation is not tracked any more."""
    deleted_on: datetime | None = None


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
        ids = [email_id(normalised, direction) for direction in Direction]
        return self._explained(mailbox, normalised, short_hash(normalised), ids)

    def of_activity(self, mailbox_id: MailboxId, activity_id: ActivityId) -> Explanation:
        """Explains the copies in this mailbox of an activity, not those of its variants. Raises RecordNotFound."""
        mailbox = self._mailbox(mailbox_id)
        content = self._stores.activities.content(activity_id)
        if content is None:
            raise RecordNotFound(f"there is no activity {activity_id}")
        identity = content.message_id or self._item_id(mailbox_id, activity_id)
        return self._explained(mailbox, content.message_id, short_hash(identity), [activity_id], variants=False)

    def _item_id(self, mailbox_id: MailboxId, activity_id: ActivityId) -> str:
        """The server's id of the copy in this mailbox: what identifies a message without a Message-ID."""
        sightings = self._stores.activities.sightings(activity_id)
        return next((each.item_id for each in sightings if each.mailbox_id == mailbox_id), "")

    def _explained(
        self,
        mailbox: StoredMailbox,
        message_id: str | None,
        identity: str,
        ids: Sequence[ActivityId],
        *,
        variants: bool = True,
    ) -> Explanation:
        mailbox_id = mailbox.record.id
        head = self._stores.ledger.head(mailbox_id, WORKLOAD, _FOREVER)
        rows = self._stores.ledger.find(mailbox_id, WORKLOAD, identity) or self._forwards(mailbox.record, ids)
        found = sorted(rows, key=lambda item: item.decided_on)
        meant = [item for item in found if variants or item.activity_id is None or not set(ids).isdisjoint(item.activity_ids)]
        items = tuple(self._item(mailbox_id, item, head) for item in meant)
        activities = self._activities([*ids, *(each for item in meant for each in item.activity_ids)])
        causes = () if items else tuple(self._causes(mailbox, head, activities))
        return Explanation(mailbox_id, message_id, _summary(items), items, activities, causes)

    def _forwards(self, mailbox: Mailbox, ids: Sequence[ActivityId]) -> Sequence[LedgerItem]:
        """The items of a forward mailbox that brought one of these emails: their rows go by the Message-IDs of the forwards, so
        all are looked through, once it is certain that it was one of them."""
        is_forward = mailbox.owner is None
        if not is_forward or not any(self._item_id(mailbox.id, each) for each in ids):
            return ()
        items = self._stores.ledger.items(mailbox.id, WORKLOAD)
        return [item for item in items if not set(ids).isdisjoint(item.activity_ids)]

    def _item(self, mailbox_id: MailboxId, item: LedgerItem, head: LedgerHead) -> ItemExplanation:
        judgement = item.judgement or Judgement(item.verdict, item.reason)
        todos = [todo for todo in head.todos if todo.item.key == item.key]
        explained = ItemExplanation(
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
            next_attempt=min((todo.due for todo in todos), default=None),
            activity_id=item.activity_id,
            votes=tuple(words.told(vote) for vote in judgement.votes),
            correlation=tuple(words.told_try(attempt) for attempt in judgement.correlation.tried),
            continues=judgement.correlation.activity_id,
            accepted_by=judgement.accepted_by,
            queues=judgement.queues,
            rule=judgement.rule,
            todos=tuple(TodoExplanation(todo.kind, todo.due) for todo in todos),
            quarantine=str(item.key) if item.verdict is Verdict.QUARANTINED else None,
        )
        return replace(explained, story=tuple(self._story(mailbox_id, item, explained)))

    def _story(self, mailbox_id: MailboxId, item: LedgerItem, explained: ItemExplanation) -> Iterator[str]:
        yield explained.words
        if item.others:
            yield f"{len(item.activity_ids)} messages that it forwarded are activities; what follows is about the first."
        yield from explained.votes
        if item.judgement is not None and item.judgement.votes_left_out:
            yield f"{item.judgement.votes_left_out} more users and queues were asked; there is no room for their answers."
        if item.judgement is not None and item.judgement.recipients_left_out:
            yield f"{item.judgement.recipients_left_out} more recipients were not looked up: it was judged by the first ones."
        yield from explained.correlation
        yield from _of_joining(item)
        yield from self._of_rule(mailbox_id, explained.rule)
        yield from _of_acceptance(explained)
        yield from self._of_conversation(item)
        yield from self._of_quarantine(mailbox_id, item)
        yield from (f"{words.TODOS[todo.kind]} with the first run after {_rfc3339(todo.due)}." for todo in explained.todos)
        if item.judgement is None and _was_judged(item):
            yield "How it was judged is not kept; the decision is."

    def _of_rule(self, mailbox_id: MailboxId, folder_id: str | None) -> Iterator[str]:
        if folder_id is None:
            return
        stored = self._stores.tracking_rules.get(mailbox_id, folder_id)
        if stored is None:
            yield "The tracking rule that decided does not exist any more."
        else:
            yield f"The tracking rule of the folder {stored.record.folder_name} decided."

    def _of_conversation(self, item: LedgerItem) -> Iterator[str]:
        conversation = None if item.judgement is None else item.judgement.correlation.conversation
        opted_out = None if conversation is None else self._stores.correlations.opted_out([conversation]).get(conversation)
        if opted_out is not None:
            yield f"{opted_out.by} said on {_rfc3339(opted_out.opted_out_on)} that this conversation is not tracked any more."

    def _of_quarantine(self, mailbox_id: MailboxId, item: LedgerItem) -> Iterator[str]:
        kept = self._stores.quarantine.get(mailbox_id, item.key) if item.verdict is Verdict.QUARANTINED else None
        if kept is not None:
            raw = "its raw form is kept" if kept.raw_blob is not None else "its raw form is not kept"
            yield (
                f"{words.cause_of(kept.error)} Version {kept.version or 'unknown'} of Sidesync gave it up on"
                f" {_rfc3339(kept.quarantined_on)} after {kept.attempts} attempts; {raw}. {kept.detail}".strip()
            )

    def _mailbox(self, mailbox_id: MailboxId) -> StoredMailbox:
        stored = self._stores.mailboxes.get(mailbox_id)
        if stored is None:
            raise RecordNotFound(f"there is no mailbox {mailbox_id}")
        return stored

    def _activities(self, ids: Sequence[ActivityId]) -> Sequence[ActivityExplanation]:
        found = [stored.record for each in dict.fromkeys(ids) if (stored := self._stores.activities.get(each)) is not None]
        paths = {record.id: self._path(record) for record in found}
        conversations = {conversation for path in paths.values() for conversation in path}
        opted_out = self._stores.correlations.opted_out(conversations) if conversations else {}
        return tuple(
            ActivityExplanation(
                id=record.id,
                variant_of=record.variant_of,
                has_variants=record.has_variants,
                receiving_mailbox=record.receiving_mailbox,
                sightings=self._stores.activities.sightings(record.id),
                direction=record.direction,
                owner=record.owner,
                accepted_by=record.accepted_by,
                regarding=record.regarding,
                regarding_set_by=record.regarding_set_by,
                conversation=paths[record.id][-1],
                opted_out_on=next((opted_out[each].opted_out_on for each in paths[record.id] if each in opted_out), None),
                deleted_on=record.deleted_on,
            )
            for record in found
        )

    def _path(self, email: EmailActivity) -> Sequence[ActivityId]:
        """The conversation that it belongs to, behind those that were joined to it since."""
        return path_of(email.conversation or email.id, self._known, is_fragment=email.is_fragment)

    def _known(self, activity_id: ActivityId) -> EmailActivity | None:
        stored = self._stores.activities.get(activity_id)
        return None if stored is None else stored.record

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


def _of_joining(item: LedgerItem) -> Iterator[str]:
    found = None if item.judgement is None else item.judgement.correlation
    if found is None or not found.afterwards:
        return
    if found.opted_out:
        yield "The email that it answers was stored later; that belongs to a conversation that is not tracked any more."
    else:
        yield f"It was joined to its conversation afterwards: it continues email {found.activity_id}, found by" + (
            f" {words.METHODS[found.method]}."
        )


def _of_acceptance(explained: ItemExplanation) -> Iterator[str]:
    if explained.accepted_by is not None:
        yield f"It was accepted for {explained.accepted_by.kind.value} {explained.accepted_by.id}."
    if explained.queues:
        which = "the queue" if len(explained.queues) == 1 else "the queues"
        yield f"It became an item of {which} {', '.join(explained.queues)}."


def _was_judged(item: LedgerItem) -> bool:
    return item.verdict in (Verdict.PROMOTED, Verdict.SKIPPED) and item.reason not in _WITHOUT_JUDGEMENT


_WITHOUT_JUDGEMENT = frozenset(
    {
        Reason.DRAFT,
        Reason.OWN_COPY,
        Reason.MEETING_MESSAGE,
        Reason.BEFORE_START_DATE,
        Reason.TOO_LARGE,
        Reason.NOT_A_MESSAGE,
        Reason.UNTRACKED,
        Reason.DELETED,
        Reason.DISCARDED,
    }
)
"""Reasons that the listing gives, or a person gave."""


def _summary(items: Sequence[ItemExplanation]) -> str:
    if not items:
        return "There is no trace of this message in this mailbox."
    if len({item.activity_id for item in items} - {None}) > 1:
        others = f" This mailbox has had {len(items)} messages with this Message-ID, of different content; this is the latest."
    else:
        others = f" This mailbox has had {len(items)} copies of it; this is the latest decision." if len(items) > 1 else ""
    return f"{items[-1].words}{others}"


_NEVER_SEEN = (
    "Only the Inbox, folders with a tracking rule and, where the organisation says so, Sent Items are read: a message that was"
    " moved or deleted before it was read, or that a server rule put into another folder, leaves no trace. So does one that"
    " never arrived, or that has another Message-ID."
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
