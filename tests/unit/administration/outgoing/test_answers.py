"""Answers and forwards of emails that are stored."""

import base64
from dataclasses import replace

import pytest

from shared.domain.answering import new_index
from shared.domain.choices import CorrelationMethod, EmailStatus, ParticipationType, RegardingSource
from shared.domain.drafts import Answered, AnswerKind, Recipient
from shared.domain.email import Address, Attachment, Party
from shared.domain.errors import InvalidRecord, TransientError
from shared.domain.ids import ActivityId, MailboxId
from shared.domain.records import RecordRef
from shared.stores.memory.work import MemoryBlobs
from tests.builders import MONDAY
from tests.unit.administration.emails import an_email
from tests.unit.administration.office import ADMIN
from tests.unit.administration.outgoing.post_room import DORA, PostRoom, a_draft

ORIGINAL, BEGINNING, ELSEWHERE = ActivityId("0a" * 16), ActivityId("0b" * 16), ActivityId("0c" * 16)
FABRIKAM = RecordRef("account", "fabrikam")
PARTIES = (
    Party(ParticipationType.SENDER, "kim@fabrikam.example", "Kim", "contact", "kim"),
    Party(ParticipationType.TO, "dora@contoso.example", "Dora", "user", "dora"),
    Party(ParticipationType.CC, "carol@fabrikam.example", "Carol", "contact", "carol"),
)
TERMS = Attachment("te\r\nrms.txt", "text/plain", 5, "ab" * 32, f"emails/{ORIGINAL}/{'ab' * 32}")


@pytest.fixture
def room() -> PostRoom:
    """With an email from Kim to Dora that continues a conversation."""
    room = PostRoom()
    email = an_email(
        ORIGINAL,
        MailboxId("anna"),
        parties=PARTIES,
        attachments=(TERMS,),
        references=("first@fabrikam.example",),
        conversation_index=new_index(BEGINNING, MONDAY),
    )
    activity = replace(email.activity, regarding=FABRIKAM, conversation=BEGINNING, parent=BEGINNING)
    room.stores.activities.create([replace(email, activity=activity)])
    room.stores.blobs.put(TERMS.blob, b"terms")
    return room


def answered(room: PostRoom, kind: AnswerKind, key: str | None = None, **given: object) -> ActivityId:
    draft = a_draft(**{"to": (), "subject": "", **given})
    return room.outgoing.drafts.create(draft, ADMIN, Answered(ORIGINAL, kind), key).stored.record.id


def addresses(room: PostRoom, email: ActivityId) -> list[str]:
    return [each.address for each in room.content(email).parties if each.type is not ParticipationType.SENDER]


def test_a_reply_continues_the_conversation(room: PostRoom) -> None:
    reply = answered(room, AnswerKind.REPLY)
    email, content = room.email(reply), room.content(reply)

    assert (email.conversation, email.correlated_to, email.parent) == (BEGINNING, ORIGINAL, ORIGINAL)
    assert email.correlation_method is CorrelationMethod.IN_REPLY_TO
    assert (email.regarding, email.regarding_set_by) == (FABRIKAM, RegardingSource.CORRELATION)
    assert content.in_reply_to == "offer@fabrikam.example"
    assert content.references == ("first@fabrikam.example", "offer@fabrikam.example")
    assert len(base64.b64decode(content.conversation_index or "")) == 27
    assert (content.subject, addresses(room, reply)) == ("Re: Offer", ["kim@fabrikam.example"])
    assert content.parties[1].record_id == "kim"
    assert content.attachments == ()
    assert content.body_text == "Our offer", "nothing is quoted that was not given"


def test_a_reply_to_all_is_not_for_who_answers(room: PostRoom) -> None:
    assert addresses(room, answered(room, AnswerKind.REPLY_ALL)) == ["kim@fabrikam.example", "carol@fabrikam.example"]


@pytest.mark.parametrize(
    ("reply_to", "expected"),
    [
        (["list@fabrikam.example", "kim@fabrikam.example"], ["list@fabrikam.example", "kim@fabrikam.example"]),
        (["list@fabrikam.example", "answers wanted"], ["list@fabrikam.example"]),
        (["answers wanted", "<>", "a@b@fabrikam.example", "eve@evil.example\r\nBcc: x@evil.example"], ["kim@fabrikam.example"]),
        (["DORA@contoso.example"], ["kim@fabrikam.example"]),
    ],
)
def test_a_reply_goes_where_the_sender_wants_it_if_it_can(room: PostRoom, reply_to: list[str], expected: list[str]) -> None:
    given = tuple(Address(each, "Answers\r\nhere") for each in reply_to)
    room.stores.activities.create([an_email(BEGINNING, MailboxId("anna"), parties=PARTIES, reply_to=given)])
    draft = a_draft(to=(), subject="")
    reply = room.outgoing.drafts.create(draft, ADMIN, Answered(BEGINNING, AnswerKind.REPLY)).stored.record.id

    assert addresses(room, reply) == expected
    assert room.content(reply).reply_to == (), "who is answered decides nothing for us"
    room.outgoing.sending.send(reply, ADMIN)


def test_an_address_that_stands_for_the_name_is_no_name(room: PostRoom) -> None:
    carol = Party(ParticipationType.CC, "new@fabrikam.example", "New@fabrikam.example")
    room.stores.activities.create([an_email(ELSEWHERE, MailboxId("anna"), parties=(*PARTIES[:2], carol))])
    draft = a_draft(to=(), subject="")
    reply = room.outgoing.drafts.create(draft, ADMIN, Answered(ELSEWHERE, AnswerKind.REPLY_ALL)).stored.record.id

    assert [(each.address, each.name) for each in room.content(reply).parties if each.type is ParticipationType.CC] == [
        ("new@fabrikam.example", "")
    ]


def test_what_is_given_is_not_replaced(room: PostRoom) -> None:
    carol, contoso = Recipient("carol@fabrikam.example"), RecordRef("account", "contoso")
    reply = answered(room, AnswerKind.REPLY, cc=(carol,), subject="Other", regarding=contoso)

    assert (addresses(room, reply), room.content(reply).subject) == (["carol@fabrikam.example"], "Other")
    assert (room.email(reply).regarding, room.email(reply).regarding_set_by) == (
        RecordRef("account", "contoso"),
        RegardingSource.HAND,
    )


def test_what_is_just_being_deleted_is_not_answered(room: PostRoom) -> None:
    stored = room.administration.emails.get(ORIGINAL)
    room.stores.activities.replace(replace(stored.record, deleted_on=MONDAY), stored.etag)

    with pytest.raises(InvalidRecord) as refused:
        answered(room, AnswerKind.REPLY)
    assert refused.value.field == "answers/activity_id"


def test_an_answer_to_what_began_with_an_answer_may_be_joined_with_it(room: PostRoom) -> None:
    email = an_email(BEGINNING, MailboxId("anna"), parties=PARTIES)
    fragment = replace(email.activity, conversation=BEGINNING, is_fragment=True)
    room.stores.activities.create([replace(email, activity=fragment)])
    for kind, expected in ((AnswerKind.REPLY, True), (AnswerKind.FORWARD, False)):
        answer = room.outgoing.drafts.create(a_draft(), ADMIN, Answered(BEGINNING, kind)).stored.record.id
        assert room.email(answer).is_fragment is expected


def test_a_forward_has_each_of_several_attachments_with_its_own_content(room: PostRoom) -> None:
    others = [replace(TERMS, name=f"{each}.txt", sha256=each * 64, blob=f"emails/{ELSEWHERE}/{each * 64}") for each in "cd"]
    parts = (TERMS, *others, replace(TERMS, name="again.txt"))
    room.stores.activities.create([an_email(ELSEWHERE, MailboxId("anna"), parties=PARTIES, attachments=parts)])
    for each in others:
        room.stores.blobs.put(each.blob, each.name.encode())
    put = room.outgoing.drafts.create(a_draft(), ADMIN, Answered(ELSEWHERE, AnswerKind.FORWARD))
    room.outgoing.uploads.remove(put.stored.record.id, 0, ADMIN)

    names = [each.name for each in room.content(put.stored.record.id).attachments]
    assert names == ["c.txt", "d.txt", "again.txt"]
    assert [
        b"".join(room.administration.activities.attachment(put.stored.record.id, number)[1]) for number, _ in enumerate(names)
    ] == [b"c.txt", b"d.txt", b"terms"]


def test_a_forward_that_was_cut_short_takes_nothing_of_another_email_that_its_key_is_used_for(room: PostRoom) -> None:
    other = replace(TERMS, name="salaries.txt", blob=f"emails/{ELSEWHERE}/{'cd' * 32}", sha256="cd" * 32)
    room.stores.activities.create([an_email(ELSEWHERE, MailboxId("anna"), parties=PARTIES, attachments=(other,))])
    room.stores.blobs.put(other.blob, b"12345")

    class Full(MemoryBlobs):
        def write(self, name: str, chunks: object) -> int:  # noqa: ARG002 - the form of the port
            raise TransientError("full")

    whole, full = room.stores.blobs, Full()
    full.put(TERMS.blob, b"terms")
    object.__setattr__(room.stores, "blobs", full)
    with pytest.raises(TransientError):
        answered(room, AnswerKind.FORWARD, "forward")
    object.__setattr__(room.stores, "blobs", whole)
    draft = a_draft(to=(), subject="")
    put = room.outgoing.drafts.create(draft, ADMIN, Answered(ELSEWHERE, AnswerKind.FORWARD), "forward")

    [attachment] = room.content(put.stored.record.id).attachments
    assert (attachment.name, attachment.sha256) == ("te rms.txt", "")
    assert answered(room, AnswerKind.FORWARD, "forward") == put.stored.record.id
    assert b"".join(room.administration.activities.attachment(put.stored.record.id, 0)[1]) == b"terms"


def test_a_forward_begins_a_conversation_and_has_copies_of_the_attachments(room: PostRoom) -> None:
    forward = answered(room, AnswerKind.FORWARD)
    email, content = room.email(forward), room.content(forward)
    room.administration.emails.delete(ORIGINAL, ADMIN)

    assert (email.conversation, email.parent, email.regarding) == (forward, None, FABRIKAM)
    assert (content.in_reply_to, content.references, content.subject) == (None, (), "Fw: Offer")
    assert (addresses(room, forward), email.attachment_count) == ([], 1)
    assert content.attachments[0].name == "te rms.txt"
    assert b"".join(room.administration.activities.attachment(forward, 0)[1]) == b"terms"


@pytest.mark.parametrize(("given", "kept"), [("logo@fabrikam.example", True), ("logo>\r\nBcc: <eve@evil.example", False)])
def test_a_forward_takes_over_no_content_id_that_cannot_be_written(room: PostRoom, given: str, kept: bool) -> None:
    logo = replace(TERMS, content_id=given, is_inline=True)
    room.stores.activities.create([an_email(BEGINNING, MailboxId("anna"), parties=PARTIES, attachments=(logo,))])
    forward = room.outgoing.drafts.create(a_draft(), ADMIN, Answered(BEGINNING, AnswerKind.FORWARD)).stored.record.id

    (attached,) = room.content(forward).attachments
    assert (attached.content_id, attached.is_inline) == ((given, True) if kept else (None, False))
    room.outgoing.sending.send(forward, ADMIN)


def test_a_forward_of_what_is_not_there_any_more_is_refused(room: PostRoom) -> None:
    room.stores.blobs.delete(TERMS.blob)
    with pytest.raises(InvalidRecord) as refused:
        answered(room, AnswerKind.FORWARD)
    assert refused.value.field == "answers/activity_id"
    assert room.listed() == []


def test_a_subject_of_a_stranger_becomes_one_line(room: PostRoom) -> None:
    email = an_email(BEGINNING, MailboxId("anna"), subject="Offer\r\nBcc: eve@evil.example", parties=PARTIES)
    room.stores.activities.create([email])
    draft = a_draft(to=(), subject="")
    stored = room.outgoing.drafts.create(draft, ADMIN, Answered(BEGINNING, AnswerKind.REPLY)).stored.record

    assert stored.subject == "Re: Offer Bcc: eve@evil.example"


def test_an_answer_to_what_was_sent_goes_to_its_recipients_and_names_it_as_others_know_it(room: PostRoom) -> None:
    sent = room.has_draft(to=(Recipient("carol@fabrikam.example"),))
    room.has_status(sent, EmailStatus.SENT, server_message_id="given@server.example")
    draft = a_draft(to=(), subject="")
    reply = room.outgoing.drafts.create(draft, ADMIN, Answered(sent, AnswerKind.REPLY_ALL)).stored.record.id

    assert addresses(room, reply) == ["carol@fabrikam.example"]
    assert room.content(reply).in_reply_to == "given@server.example"
    assert room.email(reply).conversation == sent


@pytest.mark.parametrize("original", [ActivityId("0c" * 16), "draft", "deleted"])
def test_what_is_not_there_or_not_sent_is_not_answered(room: PostRoom, original: str) -> None:
    if original == "draft":
        original = room.has_draft()
    if original == "deleted":
        room.administration.emails.delete(ORIGINAL, ADMIN)
        original = ORIGINAL
    with pytest.raises(InvalidRecord) as refused:
        room.outgoing.drafts.create(a_draft(), ADMIN, Answered(ActivityId(original), AnswerKind.REPLY))
    assert refused.value.field == "answers/activity_id"


def test_an_answer_keeps_the_token_of_the_subject_and_another_gets_that_of_its_conversation(room: PostRoom) -> None:
    room.has_settings(token_in_subject=True)
    first, second = room.has_draft("first"), room.has_draft("second", subject="Re: Offer SYNC:0001234")
    reply = answered(room, AnswerKind.REPLY)
    again = answered(room, AnswerKind.REPLY)
    for each in (first, second, reply, again):
        room.outgoing.sending.send(each, ADMIN)

    assert room.content(second).subject == "Re: Offer SYNC:0001234"
    assert room.content(reply).subject == room.content(again).subject
    assert room.content(reply).subject.rpartition(" ")[2] != room.content(first).subject.rpartition(" ")[2]
    assert room.email(first).subject == room.content(first).subject


def test_the_sender_answers_as_somebody_else_than_the_receiver_too(room: PostRoom) -> None:
    assert room.email(answered(room, AnswerKind.REPLY)).owner == DORA


@pytest.mark.parametrize("kind", AnswerKind)
def test_what_has_the_longest_subject_there_is_can_be_answered(room: PostRoom, kind: AnswerKind) -> None:
    room.stores.activities.create([an_email(BEGINNING, MailboxId("anna"), parties=PARTIES, subject="x" * 1000)])
    draft = a_draft(to=(Recipient("kim@fabrikam.example"),), subject="")
    answer = room.outgoing.drafts.create(draft, ADMIN, Answered(BEGINNING, kind)).stored.record.id

    assert room.content(answer).subject[4:] == "x" * 796
