"""Whatever call of a store fails while an email is written or handed over: the same request again completes it, there is one
email, and nothing that was promised is lost."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest

from shared.administration import Administration
from shared.domain.choices import EmailStatus, ParticipationType, Workload
from shared.domain.drafts import Answered, AnswerKind, Draft
from shared.domain.email import Attachment, Party
from shared.domain.errors import InvalidRecord, TransientError
from shared.domain.ids import ActivityId, MailboxId
from tests.builders import MONDAY
from tests.unit.administration.emails import an_email
from tests.unit.administration.office import ADMIN
from tests.unit.administration.outgoing.post_room import DORA, SALES, PostRoom, a_draft, an_attachment
from tests.unit.administration.test_crashes import every_fault, outcome
from tests.unit.sync.faults import Fault, FaultyWorld
from tests.unit.sync.in_memory_mail import ProcessDied

ORIGINAL = ActivityId("0a" * 16)
TERMS = Attachment("terms.txt", "text/plain", 5, "ab" * 32, f"emails/{ORIGINAL}/{'ab' * 32}")

type Request = Callable[[Administration, ActivityId], object]


@dataclass
class Cut:
    """A request that was cut short, and may be repeated."""

    room: PostRoom
    draft: ActivityId
    request: Request

    def repeat(self) -> None:
        self.room.clock.advance(timedelta(minutes=1))
        self.request(self.room.administration, self.draft)


def cut_short(fault: Fault, prepare: Callable[[PostRoom], ActivityId], request: Request) -> Iterator[Cut]:
    """For every call that the request makes: a room in which that call failed."""
    at = 0
    while True:
        at += 1
        room = PostRoom()
        draft = prepare(room)
        world = FaultyWorld(at=at, fault=fault)
        try:
            request(Administration(world.stores(room.stores), room.clock, room.rules), draft)
        except (ProcessDied, TransientError):
            yield Cut(room, draft, request)
        else:
            assert at > 4
            return


def undisturbed(prepare: Callable[[PostRoom], ActivityId], request: Request) -> PostRoom:
    room = PostRoom()
    draft = prepare(room)
    request(room.administration, draft)
    return room


# ---- creating


def a_message_to_forward(room: PostRoom) -> ActivityId:
    sender = Party(ParticipationType.SENDER, "kim@fabrikam.example", "Kim")
    room.stores.activities.create([an_email(ORIGINAL, MailboxId("anna"), parties=(sender,), attachments=(TERMS,))])
    room.stores.blobs.put(TERMS.blob, b"terms")
    return ORIGINAL


def create(administration: Administration, _: ActivityId) -> None:
    administration.outgoing.drafts.create(a_draft(), ADMIN, key="offer")


def forward(administration: Administration, original: ActivityId) -> None:
    administration.outgoing.drafts.create(a_draft(), ADMIN, Answered(original, AnswerKind.FORWARD), "forward")


@every_fault
@pytest.mark.parametrize("request_", [create, forward])
def test_a_creation_that_was_cut_short_is_one_draft_when_it_is_repeated(fault: Fault, request_: Request) -> None:
    for cut in cut_short(fault, a_message_to_forward, request_):
        cut.repeat()
        [draft] = cut.room.listed()

        assert cut.room.email(draft).status is EmailStatus.DRAFT
        cut.room.clock.advance(timedelta(hours=2))
        assert cut.room.listed() == [draft]
        if request_ is forward:
            assert b"".join(cut.room.administration.activities.attachment(draft, 0)[1]) == b"terms"


@every_fault
def test_a_creation_that_was_cut_short_and_given_up_shows_nothing_that_is_not_there(fault: Fault) -> None:
    for cut in cut_short(fault, a_message_to_forward, create):
        for draft in cut.room.listed():
            assert cut.room.content(draft).body_text == "Our offer"


def forward_without_key(administration: Administration, original: ActivityId) -> None:
    administration.outgoing.drafts.create(a_draft(), ADMIN, Answered(original, AnswerKind.FORWARD))


@every_fault
@pytest.mark.parametrize("request_", [forward, forward_without_key])
def test_what_a_forward_that_was_given_up_has_copied_goes_with_its_draft(fault: Fault, request_: Request) -> None:
    for cut in cut_short(fault, a_message_to_forward, request_):
        for draft in cut.room.listed():
            cut.room.administration.emails.delete(draft, ADMIN)
        assert cut.room.blobs() == [TERMS.blob]


@every_fault
def test_a_forward_that_was_cut_short_is_not_sent_without_its_attachments(fault: Fault) -> None:
    for cut in cut_short(fault, a_message_to_forward, forward_without_key):
        for draft in cut.room.listed():
            [attachment] = cut.room.content(draft).attachments
            if attachment.upload is not None:
                with pytest.raises(InvalidRecord):
                    cut.room.outgoing.sending.send(draft, ADMIN)
                cut.room.outgoing.uploads.remove(draft, 0, ADMIN)
            cut.room.outgoing.sending.send(draft, ADMIN)


# ---- editing


def written(room: PostRoom) -> ActivityId:
    return room.has_draft()


def edit(administration: Administration, draft: ActivityId) -> None:
    def changed(each: Draft) -> Draft:
        return replace(each, subject="Late", priority=each.priority)

    administration.outgoing.drafts.edit(draft, changed, ADMIN)


def give_away(administration: Administration, draft: ActivityId) -> None:
    administration.outgoing.drafts.edit(draft, lambda each: replace(each, sender=SALES), ADMIN)


@every_fault
def test_an_edit_that_was_cut_short_is_completed(fault: Fault) -> None:
    expected = outcome(undisturbed(written, edit))
    for cut in cut_short(fault, written, edit):
        cut.request(cut.room.administration, cut.draft)
        assert outcome(cut.room) == expected


@every_fault
def test_a_draft_that_moves_to_another_sender_is_never_listed_nowhere_or_twice(fault: Fault) -> None:
    for cut in cut_short(fault, written, give_away):
        assert cut.room.listed(owner=DORA) + cut.room.listed(owner=SALES) == [cut.draft]
        cut.repeat()
        assert (cut.room.listed(owner=DORA), cut.room.listed(owner=SALES)) == ([], [cut.draft])


# ---- attachments


def uploaded(room: PostRoom) -> ActivityId:
    """An upload all of whose parts are there."""
    draft = room.has_draft()
    uploading, _ = room.outgoing.uploads.begin(draft, an_attachment(), ADMIN, "terms")
    room.outgoing.uploads.put_part(draft, uploading.upload, 0, b"terms", ADMIN)
    return draft


def complete(administration: Administration, draft: ActivityId) -> None:
    use = administration.outgoing.uploads
    uploading, _ = use.begin(draft, an_attachment(), ADMIN, "terms")
    use.complete(draft, uploading.upload, ADMIN)


def upload(administration: Administration, draft: ActivityId) -> None:
    use = administration.outgoing.uploads
    uploading, _ = use.begin(draft, an_attachment(), ADMIN, "terms")
    if uploading.attachment.upload is not None:
        use.put_part(draft, uploading.upload, 0, b"terms", ADMIN)
    use.complete(draft, uploading.upload, ADMIN)


@every_fault
@pytest.mark.parametrize(("prepare", "request_"), [(uploaded, complete), (written, upload)])
def test_an_upload_that_was_cut_short_is_one_whole_attachment_when_it_is_repeated(
    fault: Fault, prepare: Callable[[PostRoom], ActivityId], request_: Request
) -> None:
    for cut in cut_short(fault, prepare, request_):
        cut.repeat()
        [attachment] = cut.room.content(cut.draft).attachments

        assert attachment.upload is None
        assert cut.room.blobs() == [attachment.blob]
        assert b"".join(cut.room.administration.activities.attachment(cut.draft, 0)[1]) == b"terms"


def attached(room: PostRoom) -> ActivityId:
    draft = room.has_draft()
    room.has_attachment(draft)
    return draft


def completed(room: PostRoom) -> ActivityId:
    draft = uploaded(room)
    complete(room.administration, draft)
    return draft


def remove(administration: Administration, draft: ActivityId) -> None:
    while administration.activities.content(draft).attachments:
        administration.outgoing.uploads.remove(draft, 0, ADMIN)


@every_fault
@pytest.mark.parametrize(
    ("prepare", "request_"),
    [(attached, remove), (uploaded, remove), (written, upload), (uploaded, complete)],
    ids=["removing", "removing an upload", "uploading", "completing"],
)
def test_an_attachment_that_is_removed_after_something_was_cut_short_leaves_nothing(
    fault: Fault, prepare: Callable[[PostRoom], ActivityId], request_: Request
) -> None:
    for cut in cut_short(fault, prepare, request_):
        remove(cut.room.administration, cut.draft)

        assert cut.room.content(cut.draft).attachments == ()
        assert cut.room.email(cut.draft).attachment_count == 0
        assert cut.room.blobs() == []


@every_fault
def test_what_is_uploaded_anew_by_its_key_after_a_removal_was_cut_short_outlives_the_removal(fault: Fault) -> None:
    for cut in cut_short(fault, completed, remove):
        upload(cut.room.administration, cut.draft)
        for number, each in enumerate(cut.room.content(cut.draft).attachments):
            if each.upload is not None:
                cut.room.outgoing.uploads.remove(cut.draft, number, ADMIN)

        [attachment] = cut.room.content(cut.draft).attachments
        assert cut.room.blobs() == [attachment.blob]
        cut.room.outgoing.sending.send(cut.draft, ADMIN)


@every_fault
def test_what_is_sent_after_its_upload_was_cut_short_is_stored_once(fault: Fault) -> None:
    for cut in cut_short(fault, uploaded, complete):
        [attachment] = cut.room.content(cut.draft).attachments
        if attachment.upload is None:
            cut.room.outgoing.sending.send(cut.draft, ADMIN)
            assert cut.room.blobs() == [attachment.blob]


@every_fault
def test_an_email_is_not_sent_while_one_of_its_attachments_is_half_removed(fault: Fault) -> None:
    for cut in cut_short(fault, attached, remove):
        with suppress(InvalidRecord):
            cut.room.outgoing.sending.send(cut.draft, ADMIN)
        for number, _ in enumerate(cut.room.content(cut.draft).attachments):
            if cut.room.email(cut.draft).status is EmailStatus.PENDING_SEND:
                assert b"".join(cut.room.administration.activities.attachment(cut.draft, number)[1]) == b"terms"


# ---- sending


def send(administration: Administration, draft: ActivityId) -> None:
    administration.outgoing.sending.send(draft, ADMIN)


def is_promised(room: PostRoom, draft: ActivityId) -> bool:
    """Who waits to be sent is in the outbox of a mailbox that is due."""
    due = room.due()
    [_] = room.announced(draft)
    return isinstance(due, datetime) and due <= room.clock()


def idle(room: PostRoom) -> ActivityId:
    """A draft of a mailbox that has nothing to do for a day."""
    mailbox = room.mailbox_of("dora")
    schedule = replace(mailbox.schedule[Workload.OUTGOING], due=MONDAY + timedelta(days=1))
    room.stores.mailboxes.reschedule(mailbox.record.id, Workload.OUTGOING, schedule)
    return room.has_draft()


@every_fault
def test_an_email_that_waits_to_be_sent_is_announced_whatever_fails_and_once(fault: Fault) -> None:
    for cut in cut_short(fault, idle, send):
        status = cut.room.email(cut.draft).status
        assert status in (EmailStatus.DRAFT, EmailStatus.PENDING_SEND)
        assert status is EmailStatus.DRAFT or is_promised(cut.room, cut.draft)
        cut.repeat()
        assert cut.room.email(cut.draft).status is EmailStatus.PENDING_SEND
        assert is_promised(cut.room, cut.draft)
        assert cut.room.listed(EmailStatus.PENDING_SEND) == [cut.draft]


def sent(room: PostRoom) -> ActivityId:
    draft = room.has_draft()
    send(room.administration, draft)
    return draft


def cancel(administration: Administration, draft: ActivityId) -> None:
    administration.outgoing.sending.cancel(draft, ADMIN)


@every_fault
def test_a_cancel_that_was_cut_short_either_took_place_or_did_not(fault: Fault) -> None:
    for cut in cut_short(fault, sent, cancel):
        status = cut.room.email(cut.draft).status
        assert status is EmailStatus.CANCELED or is_promised(cut.room, cut.draft)
        cut.repeat()
        assert cut.room.email(cut.draft).status is EmailStatus.CANCELED
        assert cut.room.outbox() == []


def delete(administration: Administration, draft: ActivityId) -> None:
    administration.emails.delete(draft, ADMIN)


@every_fault
def test_a_draft_that_is_deleted_in_several_goes_is_gone(fault: Fault) -> None:
    expected = outcome(undisturbed(uploaded, delete))
    for cut in cut_short(fault, uploaded, delete):
        cut.request(cut.room.administration, cut.draft)
        assert outcome(cut.room) == expected
        assert cut.room.blobs() == []
