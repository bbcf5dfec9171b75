"""What sending looks at before an email waits: through which mailbox it goes, what passes by itself, how large it becomes."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.choices import EmailStatus, OwnerKind, Workload
from shared.domain.configuration import Breaker, OwnerRef
from shared.domain.errors import InvalidRecord
from shared.domain.ids import ActivityId, OwnerId, ProfileId
from tests.builders import MONDAY, a_queue
from tests.unit.administration.office import ADMIN
from tests.unit.administration.outgoing.post_room import DORA, PostRoom


def refused(room: PostRoom, email: ActivityId) -> str:
    """The field that keeps it from being sent."""
    with pytest.raises(InvalidRecord) as error:
        room.outgoing.sending.send(email, ADMIN)
    return error.value.field


def test_an_email_waits_for_the_credential_of_the_profile(room: PostRoom) -> None:
    failing = Breaker("authentication_failed", MONDAY, MONDAY + timedelta(hours=1))
    room.stores.profiles.set_breaker(ProfileId("contoso"), Workload.INCOMING, failing, replacing=None)
    room.outgoing.sending.send(draft := room.has_draft(), ADMIN)

    assert room.email(draft).status is EmailStatus.PENDING_SEND
    assert len(room.announced(draft)) == 1


def test_what_was_to_wait_until_yesterday_comes_behind_what_waits_since_then(room: PostRoom) -> None:
    room.outgoing.sending.send(draft := room.has_draft(send_after=MONDAY - timedelta(days=1)), ADMIN)

    assert [each.due for each in room.announced(draft)] == [MONDAY]


def test_a_user_writes_for_a_queue_of_the_same_id_through_the_own_mailbox(room: PostRoom) -> None:
    room.has_settings(delegate_sending=True)
    queue = OwnerRef(OwnerKind.QUEUE, OwnerId("dora"))
    room.administration.queues.put(replace(a_queue("requests"), id=queue.id), ADMIN)
    room.outgoing.sending.send(draft := room.has_draft(sender=queue, submitter="dora"), ADMIN)

    assert [each.activity_id for each in room.outbox(DORA)] == [draft]


def test_who_writes_for_himself_is_told_so_by_the_sender(room: PostRoom) -> None:
    room.has_settings(delegate_sending=True)
    room.changes(room.mailbox(DORA), active=False)

    assert refused(room, room.has_draft(submitter="dora")) == "sender"


def test_the_size_is_that_of_the_message_as_servers_count_it(room: PostRoom) -> None:
    draft = room.has_draft(body_text="x" * 100, body_html="ü" * 100)
    room.has_attachment(draft, b"x" * 5700)
    encoded = 5700 * 4 // 3
    size = 300 + encoded + encoded // 76 * 2
    room.has_settings(largest_message=size - 1)
    assert refused(room, draft) == "attachments"
    room.has_settings(largest_message=size)
    room.outgoing.sending.send(draft, ADMIN)
