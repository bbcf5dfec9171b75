"""What is handed over here is what a run sends, and what a run leaves is what is shown here."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import pytest

from shared.domain.choices import EmailStatus
from shared.domain.configuration import Discovered, EmailServerProfile, Mailbox
from shared.domain.delivery import AttemptOutcome
from shared.domain.drafts import Answered, AnswerKind
from shared.domain.errors import DeliveryUnknown, RecipientsRefused
from shared.domain.outgoing import OutgoingMessage, Receipt
from shared.domain.records import RecordRef
from shared.messages import Queue, SyncMailbox, parse
from shared.sync.outgoing import OutgoingSync
from tests.builders import queues_in_memory
from tests.unit.administration.office import ADMIN
from tests.unit.administration.outgoing.post_room import PostRoom, a_draft


@dataclass
class Server:
    """Takes what is not called bad."""

    sent: list[OutgoingMessage] = field(default_factory=list)

    def check(self) -> None:
        """Whoever asks may send."""

    def send(self, message: OutgoingMessage) -> Receipt:
        if message.subject == "bad":
            raise RecipientsRefused("nobody of that name", status_code="5.1.1")
        self.sent.append(message)
        if message.subject == "lost" and len(self.sent) == 1:
            raise DeliveryUnknown("the connection broke after the last dot")
        return Receipt("queued as 1")


@pytest.fixture
def server() -> Server:
    return Server()


def works(room: PostRoom, server: Server) -> None:
    """Runs what the queue asks for."""

    @contextmanager
    def opened(profile: EmailServerProfile, mailbox: Mailbox, discovered: Discovered | None = None) -> Iterator[Server]:  # noqa: ARG001  # as the port has it
        yield server

    sync = OutgoingSync(room.stores, opened, room.clock)
    for text in queues_in_memory(room.stores).receive(Queue.SYNC_OUTGOING):
        message = parse(text)
        assert isinstance(message, SyncMailbox)
        sync.run(message)


def test_a_draft_with_an_attachment_is_sent_and_listed(room: PostRoom, server: Server) -> None:
    draft = room.has_draft()
    room.has_attachment(draft)
    room.outgoing.sending.send(draft, ADMIN)
    works(room, server)

    [message] = server.sent
    assert (message.message_id, message.from_.address) == (room.content(draft).message_id, "dora@contoso.example")
    assert [b"".join(each.chunks()) for each in message.attachments] == [b"terms"]
    assert (room.listed(), room.listed(EmailStatus.SENT), room.outbox()) == ([], [draft], [])
    about_kim = room.administration.activities.of_party(RecordRef("contact", "kim")).items
    assert [each.activity_id for each in about_kim] == [draft]


def test_what_failed_is_corrected_and_sent_with_its_history(room: PostRoom, server: Server) -> None:
    draft = room.has_draft(subject="bad")
    room.outgoing.sending.send(draft, ADMIN)
    works(room, server)
    assert room.listed(EmailStatus.FAILED) == [draft]

    room.outgoing.drafts.edit(draft, lambda each: replace(each, subject="good"), ADMIN)
    room.outgoing.sending.send(draft, ADMIN)
    works(room, server)
    outcomes = [each.outcome for each in room.outgoing.lists.attempts(draft)]

    assert outcomes == [AttemptOutcome.REFUSED, AttemptOutcome.ACCEPTED]
    assert (room.email(draft).status, [each.subject for each in server.sent]) == (EmailStatus.SENT, ["good"])


@pytest.mark.parametrize("is_changed", [False, True])
def test_what_failed_and_may_have_arrived_all_the_same_says_so_when_it_is_sent_again(
    room: PostRoom, server: Server, is_changed: bool
) -> None:
    room.has_profile(delivery_attempts=1)
    draft = room.has_draft(subject="lost")
    room.outgoing.sending.send(draft, ADMIN)
    works(room, server)
    assert room.listed(EmailStatus.FAILED) == [draft]

    if is_changed:
        room.outgoing.drafts.edit(draft, lambda each: replace(each, subject="found"), ADMIN)
    room.outgoing.sending.send(draft, ADMIN)
    works(room, server)

    assert len({message.message_id for message in server.sent}) == 1
    delivery = room.email(draft).delivery
    assert delivery is not None
    assert (room.email(draft).status, delivery.may_be_twice, delivery.error) == (EmailStatus.SENT, True, None)


def test_an_answer_to_what_was_sent_names_it(room: PostRoom, server: Server) -> None:
    draft = room.has_draft()
    room.outgoing.sending.send(draft, ADMIN)
    works(room, server)
    answer = room.outgoing.drafts.create(a_draft(to=(), subject=""), ADMIN, Answered(draft, AnswerKind.REPLY)).stored.record
    room.outgoing.sending.send(answer.id, ADMIN)
    works(room, server)

    first, second = server.sent
    assert (second.in_reply_to, second.references) == (first.message_id, (first.message_id,))
    assert second.recipients == first.recipients
    assert second.conversation_index is not None
    assert first.conversation_index is not None
    assert len(second.conversation_index) > len(first.conversation_index)


def test_what_was_taken_back_is_not_sent(room: PostRoom, server: Server) -> None:
    draft = room.has_draft()
    room.outgoing.sending.send(draft, ADMIN)
    room.outgoing.sending.cancel(draft, ADMIN)
    works(room, server)

    assert server.sent == []


def test_a_deleted_email_that_was_sent_leaves_no_rows_and_no_blobs(room: PostRoom, server: Server) -> None:
    draft = room.has_draft()
    room.has_attachment(draft)
    room.outgoing.sending.send(draft, ADMIN)
    works(room, server)
    room.administration.emails.delete(draft, ADMIN)

    assert (room.listed(EmailStatus.SENT), room.blobs()) == ([], [])
    assert room.administration.activities.of_mailbox(room.mailbox()).items == []
    assert room.administration.activities.of_party(RecordRef("contact", "kim")).items == []
