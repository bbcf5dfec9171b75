"""What happens to a mailbox and its emails while one of them is handed over or taken back: at whatever call it happens, nothing
that was promised is forgotten."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import timedelta
from itertools import count

import pytest

from shared.administration import Administration
from shared.domain.choices import EmailStatus, Workload
from shared.domain.configuration import WorkloadSchedule
from shared.domain.ids import ActivityId
from shared.messages import SyncMailbox
from shared.sync.outgoing import OutgoingSync
from tests.unit.administration.office import ADMIN
from tests.unit.administration.outgoing.post_room import PostRoom
from tests.unit.sync.faults import FaultyWorld

HOUR = timedelta(hours=1)

type Meanwhile = Callable[[PostRoom], object]
type Request = Callable[[Administration, ActivityId], object]


def at_every_call(prepare: Callable[[PostRoom], ActivityId], request: Request, meanwhile: Meanwhile) -> Iterator[PostRoom]:
    """For every call that the request makes: a room in which something else happened before it."""
    for at in count(1):
        room, world = PostRoom(), FaultyWorld()
        draft = prepare(room)

        def watch(_: str, room: PostRoom = room, world: FaultyWorld = world, at: int = at) -> None:
            if len(world.calls) == at:
                meanwhile(room)

        world.watch = watch
        request(Administration(world.stores(room.stores), room.clock, room.rules), draft)
        if len(world.calls) < at:
            assert at > 2
            return
        yield room


def send(administration: Administration, email: ActivityId) -> None:
    administration.outgoing.sending.send(email, ADMIN)


def cancel(administration: Administration, email: ActivityId) -> None:
    administration.outgoing.sending.cancel(email, ADMIN)


# ---- when the mailbox is due


def looked_at_soon(room: PostRoom) -> None:
    """A run is about to look into the outbox: the mailbox need not be made due for that."""
    schedule = WorkloadSchedule(due=room.clock(), queued_until=room.clock() + timedelta(minutes=15))
    room.stores.mailboxes.reschedule(room.mailbox(), Workload.OUTGOING, schedule)


def one_for_later(room: PostRoom) -> ActivityId:
    looked_at_soon(room)
    return room.has_draft(send_after=room.clock() + 5 * HOUR)


def one_for_now(room: PostRoom) -> ActivityId:
    looked_at_soon(room)
    return room.has_draft()


def a_run_ends(room: PostRoom) -> None:
    sync = OutgoingSync(room.stores, lambda *_: nullcontext(None), room.clock)  # type: ignore[arg-type]  # it sends nothing
    sync.run(SyncMailbox("run", room.mailbox(), Workload.OUTGOING))


def another_is_sent_earlier(room: PostRoom) -> None:
    send(room.administration, room.has_draft("earlier", send_after=room.clock() + HOUR))


def waits_for_nothing(room: PostRoom) -> None:
    room.stores.mailboxes.reschedule(room.mailbox(), Workload.OUTGOING, WorkloadSchedule(due=room.clock() + 24 * HOUR))


def test_an_email_for_later_is_looked_for_in_time_whenever_a_run_ends_meanwhile() -> None:
    for room in at_every_call(one_for_later, send, a_run_ends):
        due = room.mailbox_of("dora").schedule[Workload.OUTGOING].due
        assert due is not None
        assert due <= room.clock() + 5 * HOUR


def test_an_email_for_now_is_looked_for_at_once_whenever_a_run_ends_meanwhile() -> None:
    for room in at_every_call(one_for_now, send, a_run_ends):
        due = room.mailbox_of("dora").schedule[Workload.OUTGOING].due
        assert due is not None
        assert due <= room.clock() + timedelta(minutes=1)


def test_of_two_that_are_sent_at_once_for_later_the_earlier_counts() -> None:
    def prepare(room: PostRoom) -> ActivityId:
        waits_for_nothing(room)
        return room.has_draft(send_after=room.clock() + 5 * HOUR)

    for room in at_every_call(prepare, send, another_is_sent_earlier):
        due = room.mailbox_of("dora").schedule[Workload.OUTGOING].due
        assert due == room.clock() + HOUR


# ---- what stands in the outbox


@pytest.mark.parametrize("status", [EmailStatus.PENDING_SEND, EmailStatus.CANCELED])
def test_what_is_sent_again_while_it_is_taken_back_stays_announced(status: EmailStatus) -> None:
    """Both name the same time; taking back may be asked for twice."""
    drafts: list[ActivityId] = []

    def prepare(room: PostRoom) -> ActivityId:
        draft = room.has_draft(send_after=room.clock() + HOUR)
        send(room.administration, draft)
        if status is EmailStatus.CANCELED:
            cancel(room.administration, draft)
        drafts.append(draft)
        return draft

    sent_again = 0
    for room in at_every_call(prepare, cancel, lambda room: send(room.administration, drafts[-1])):
        if room.email(drafts[-1]).status is EmailStatus.PENDING_SEND:
            sent_again += 1
            assert len(room.announced(drafts[-1])) == 1
    assert sent_again
