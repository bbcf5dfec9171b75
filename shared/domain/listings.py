"""Which rows of listings an email has: derived from what is stored, so that every writer writes and removes the same."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from shared.domain.email import EmailActivity, EmailContent, ListOf, TimelineEntry
from shared.domain.ids import MailboxId, OwnerId


def listed(
    email: EmailActivity, content: EmailContent, mailboxes: Iterable[MailboxId], queues: Iterable[OwnerId] = ()
) -> Iterator[TimelineEntry]:
    """One row for each mailbox that saw it, each record that takes part, each queue whose item it is, and what it is about.

    `queues`: those beside the ones that its content names.
    """
    yield from (entry(email, ListOf.MAILBOX, mailbox_id) for mailbox_id in mailboxes)
    parties = {
        whose_record(each.record_kind, each.record_id) for each in content.parties if each.record_kind and each.record_id
    }
    yield from (entry(email, ListOf.PARTY, record) for record in sorted(parties))
    yield from (entry(email, ListOf.QUEUE, queue) for queue in sorted({*content.queues, *queues}))
    if regarding := regarding_entry(email):
        yield regarding


def regarding_entry(email: EmailActivity) -> TimelineEntry | None:
    """Its row in the list of the record that it is about."""
    if email.regarding is None:
        return None
    return entry(email, ListOf.REGARDING, whose_record(email.regarding.type, email.regarding.id))


def unsent_entry(email: EmailActivity) -> TimelineEntry:
    """The row of an email that is written here and was not sent yet, by when it was created: in the sender's mailbox."""
    return entry(replace(email, received=email.created_on), ListOf.UNSENT, email.receiving_mailbox)


def sent_entry(email: EmailActivity) -> TimelineEntry:
    """The row of an email that was written here, by when it was sent (`received` of the activity since)."""
    return entry(email, ListOf.SENT, email.receiving_mailbox)


def whose_record(kind: str, record_id: str) -> str:
    """Names a list of a user, queue or record: ids of different types may be equal."""
    return f"{kind}:{record_id}"


def entry(email: EmailActivity, list_of: ListOf, whose: str) -> TimelineEntry:
    return TimelineEntry(
        list_of=list_of,
        whose=whose,
        activity_id=email.id,
        time=email.received,
        subject=email.subject,
        sender=email.sender,
        direction=email.direction,
        attachment_count=email.attachment_count,
    )
