"""Drafts: created once, edited until they are sent."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.administration.failures import NotPossibleNow, RecordNotFound
from shared.domain.choices import ActivityState, Direction, EmailStatus, ParticipationType, RegardingSource
from shared.domain.drafts import Draft, Recipient
from shared.domain.email import ListOf, Party, StoredActivity
from shared.domain.errors import Changed, InvalidRecord
from shared.domain.ids import ActivityId, OwnerId, email_id
from shared.domain.records import AddressBookRecord, RecordRef
from shared.domain.steps import Step
from tests.builders import MONDAY
from tests.unit.administration.office import ADMIN
from tests.unit.administration.outgoing.post_room import DORA, SALES, PostRoom, a_draft, an_attachment

NOWHERE = ActivityId("00000000-0000-4000-8000-000000000000")
TO, CC = ParticipationType.TO, ParticipationType.CC
KIM = Party(TO, "kim@fabrikam.example", "Kim Abercrombie", "contact", "kim")


def recipients(room: PostRoom, email: ActivityId, role: ParticipationType = TO) -> list[Party]:
    return [each for each in room.content(email).parties if each.type is role]


def renamed(draft: Draft) -> Draft:
    return replace(draft, subject="New offer")


def test_a_draft_is_an_outgoing_email_of_its_sender(room: PostRoom) -> None:
    email = room.email(room.has_draft())

    assert (email.direction, email.state, email.status) == (Direction.OUTGOING, ActivityState.OPEN, EmailStatus.DRAFT)
    assert (email.owner, email.sender, email.receiving_mailbox) == (DORA, "dora@contoso.example", room.mailbox())
    assert email.conversation == email.id
    assert room.listed() == [email.id]
    assert room.listed(EmailStatus.DRAFT) == [email.id]
    assert room.listed(EmailStatus.FAILED) == []


def test_its_message_id_is_fixed_and_names_the_domain_of_the_sender(room: PostRoom) -> None:
    draft = room.has_draft()
    message_id = room.content(draft).message_id or ""
    room.outgoing.drafts.edit(draft, renamed, ADMIN)

    assert message_id.endswith("@contoso.example")
    assert email_id(message_id, Direction.OUTGOING) == draft
    assert room.content(draft).message_id == message_id


def test_the_same_key_again_is_the_same_draft(room: PostRoom) -> None:
    first = room.outgoing.drafts.create(a_draft(), ADMIN, key="offer-1")
    room.clock.advance(timedelta(minutes=1))
    again = room.outgoing.drafts.create(a_draft(subject="Another"), ADMIN, key="offer-1")

    assert (first.created, again.created) == (True, False)
    assert again.stored.record == first.stored.record
    assert room.listed() == [first.stored.record.id]


def test_without_a_key_and_with_other_keys_or_senders_there_are_several_drafts(room: PostRoom) -> None:
    drafts = {
        room.has_draft(None),
        room.has_draft(None),
        room.has_draft("a"),
        room.has_draft("b"),
        room.has_draft("a", sender=SALES),
    }

    assert len(drafts) == 5


def test_a_key_whose_draft_was_deleted_is_used_up(room: PostRoom) -> None:
    room.administration.emails.delete(room.has_draft("a"), ADMIN)

    with pytest.raises(NotPossibleNow):
        room.has_draft("a")


@pytest.mark.parametrize("key", ["", "a b", "a\r\nBcc: eve@evil.example", "x" * 65, "ä", "a@b"])
def test_a_key_is_an_identifier(room: PostRoom, key: str) -> None:
    with pytest.raises(InvalidRecord) as refused:
        room.has_draft(key)
    assert refused.value.field == "key"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (Recipient("Kim@Fabrikam.example"), Party(TO, "Kim@Fabrikam.example", "Kim Abercrombie", "contact", "kim")),
        (Recipient(type="contact", id="kim"), replace(KIM, is_named=True)),
        (
            Recipient("kim@home.example", type="contact", id="kim"),
            replace(KIM, address="kim@home.example", is_named=True),
        ),
        (Recipient("kim@fabrikam.example", "Ms Abercrombie"), replace(KIM, name="Ms Abercrombie")),
        (Recipient(type="queue", id="sales"), Party(TO, "sales@contoso.example", "Sales", "queue", "sales", is_named=True)),
        (Recipient("nobody@fabrikam.example", "Nobody"), Party(TO, "nobody@fabrikam.example", "Nobody")),
    ],
)
def test_recipients_are_records_or_addresses(room: PostRoom, given: Recipient, expected: Party) -> None:
    assert recipients(room, room.has_draft(to=(given,))) == [expected]


def test_an_address_that_several_active_records_have_stays_unresolved(room: PostRoom) -> None:
    twin = AddressBookRecord("lead", "kim", "Kim", ("kim@fabrikam.example",))
    room.stores.address_book.create(twin)
    assert recipients(room, room.has_draft("several")) == [Party(TO, "kim@fabrikam.example")]

    room.stores.address_book.put(replace(twin, active=False))
    assert recipients(room, room.has_draft("active")) == [KIM]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (Recipient(), "cc/1/address"),
        (Recipient(type="contact"), "cc/1/id"),
        (Recipient(id="kim"), "cc/1/type"),
        (Recipient(type="contact", id="nobody"), "cc/1/id"),
        (Recipient(type="user", id="nobody"), "cc/1/id"),
        (Recipient("dora@contoso.example", type="contact", id="kim"), "cc/1/address"),
        (Recipient("x" * 321), "cc/1/address"),
        (Recipient("kim@fabrikam.example", "x" * 201), "cc/1/name"),
    ],
)
def test_a_recipient_who_is_nobody_is_refused_by_the_field(room: PostRoom, given: Recipient, field: str) -> None:
    with pytest.raises(InvalidRecord) as refused:
        room.has_draft(cc=(Recipient("kim@fabrikam.example"), given))
    assert refused.value.field == field


def test_recipients_are_bounded_together(room: PostRoom) -> None:
    many = tuple(Recipient(f"{number}@fabrikam.example") for number in range(251))
    with pytest.raises(InvalidRecord):
        room.has_draft(to=many, bcc=many)


def test_a_sender_who_is_nobody_is_refused(room: PostRoom) -> None:
    with pytest.raises(InvalidRecord) as refused:
        room.has_draft(sender=replace(DORA, id=OwnerId("nobody")))
    assert refused.value.field == "sender"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"subject": "x" * 801}, "subject"),
        ({"body_html": "x" * 2_000_001}, "body_html"),
        ({"body_text": "x" * 2_000_001}, "body_text"),
    ],
)
def test_what_is_too_long_is_refused(room: PostRoom, given: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidRecord) as refused:
        room.has_draft(**given)
    assert refused.value.field == field


# ---- editing


def test_an_edit_changes_what_it_names_and_leaves_recipients_as_they_were_found(room: PostRoom) -> None:
    draft = room.has_draft(cc=(Recipient("carol@fabrikam.example"),), regarding=RecordRef("account", "fabrikam"))
    room.stores.address_book.create(AddressBookRecord("lead", "kim", "Kim", ("kim@fabrikam.example",)))
    room.outgoing.drafts.edit(draft, lambda each: replace(each, subject="Late", cc=(), send_after=MONDAY), ADMIN)

    assert (room.email(draft).subject, room.content(draft).subject) == ("Late", "Late")
    assert (recipients(room, draft), recipients(room, draft, CC)) == ([KIM], [])
    assert room.email(draft).regarding_set_by is RegardingSource.HAND


def test_an_edit_that_changes_nothing_writes_nothing(room: PostRoom) -> None:
    draft = room.has_draft()
    before = room.administration.emails.get(draft)
    given = (Recipient("kim@fabrikam.example"),)

    assert room.outgoing.drafts.edit(draft, lambda each: replace(each, to=given), ADMIN) == before


def test_a_draft_moves_with_its_sender(room: PostRoom) -> None:
    draft = room.has_draft()
    room.outgoing.drafts.edit(draft, lambda each: replace(each, sender=SALES), ADMIN)
    email = room.email(draft)

    assert (email.owner, email.sender, email.receiving_mailbox) == (SALES, "sales@contoso.example", room.mailbox(SALES))
    assert (room.listed(), room.listed(owner=SALES)) == ([], [draft])
    assert room.stores.timeline.list(ListOf.UNSENT, room.mailbox()).items == []
    assert [each.mailbox_id for each in room.stores.activities.sightings(draft)] == [room.mailbox(SALES)]


def meanwhile(room: PostRoom, happening: Callable[[], object]) -> None:
    """Something happens between what a change reads and what it writes."""
    advance = room.stores.activities.advance

    def after_that(steps: Sequence[Step]) -> Sequence[StoredActivity | Changed]:
        room.stores.activities.advance = advance  # type: ignore[method-assign]  # only once
        happening()
        return advance(steps)

    room.stores.activities.advance = after_that  # type: ignore[method-assign]  # put in between


def test_a_draft_that_moves_while_somebody_lists_is_listed_by_its_new_sender(room: PostRoom) -> None:
    draft = room.has_draft()
    room.clock.advance(timedelta(days=1))
    meanwhile(room, lambda: room.listed(owner=SALES))
    room.outgoing.drafts.edit(draft, lambda each: replace(each, sender=SALES), ADMIN)

    assert (room.listed(), room.listed(owner=SALES)) == ([], [draft])


def test_a_draft_that_was_to_move_and_did_not_is_still_seen_in_its_mailbox(room: PostRoom) -> None:
    draft = room.has_draft()
    seen = room.administration.emails.get(draft).etag
    meanwhile(room, lambda: room.outgoing.drafts.edit(draft, renamed, ADMIN))
    with pytest.raises(Changed):
        room.outgoing.drafts.edit(draft, lambda each: replace(each, sender=SALES), ADMIN, seen)

    assert room.mailbox() in [each.mailbox_id for each in room.stores.activities.sightings(draft)]
    assert room.listed() == [draft]


def test_the_sender_stays_once_it_was_tried_to_send_it(room: PostRoom) -> None:
    draft = room.has_draft()
    room.outgoing.sending.send(draft, ADMIN)
    room.outgoing.sending.cancel(draft, ADMIN)

    with pytest.raises(InvalidRecord) as refused:
        room.outgoing.drafts.edit(draft, lambda each: replace(each, sender=SALES), ADMIN)
    assert refused.value.field == "sender"


@pytest.mark.parametrize("status", [EmailStatus.FAILED, EmailStatus.CANCELED])
def test_what_failed_or_was_canceled_is_a_draft_again_once_it_is_changed(room: PostRoom, status: EmailStatus) -> None:
    draft = room.has_draft()
    room.has_status(draft, status, attempts=3, last_attempt=3, error="delivery_refused", status_code="5.1.1", detail="no")
    room.outgoing.drafts.edit(draft, renamed, ADMIN)
    email = room.email(draft)

    assert (email.status, email.state) == (EmailStatus.DRAFT, ActivityState.OPEN)
    assert email.delivery is not None
    assert (email.delivery.error, email.delivery.attempts, email.delivery.last_attempt) == (None, 0, 3)


@pytest.mark.parametrize("status", [EmailStatus.PENDING_SEND, EmailStatus.SENDING, EmailStatus.SENT])
def test_what_waits_or_was_sent_is_not_edited(room: PostRoom, status: EmailStatus) -> None:
    draft = room.has_draft()
    room.has_status(draft, status)

    with pytest.raises(NotPossibleNow):
        room.outgoing.drafts.edit(draft, renamed, ADMIN)


def test_an_edit_of_another_state_is_refused(room: PostRoom) -> None:
    draft = room.has_draft()
    seen = room.administration.emails.get(draft).etag
    room.outgoing.drafts.edit(draft, renamed, ADMIN)

    with pytest.raises(Changed):
        room.outgoing.drafts.edit(draft, lambda each: replace(each, subject="Other"), ADMIN, seen)


def test_a_draft_that_is_not_there_is_not_edited(room: PostRoom) -> None:
    with pytest.raises(RecordNotFound):
        room.outgoing.drafts.edit(NOWHERE, renamed, ADMIN)


def test_the_audit_tells_who_wrote_what_for_whom_and_nothing_that_it_says(room: PostRoom) -> None:
    draft = room.has_draft(subject="Confidential", body_text="Confidential")
    room.clock.advance(timedelta(minutes=1))
    room.outgoing.drafts.edit(draft, renamed, ADMIN)

    entries = room.audited(f"activity:{draft}")
    assert [entry.action for entry in entries] == ["changed", "created"]
    assert "Confidential" not in repr(entries)
    assert "fabrikam" not in repr(entries)


# ---- what else is done to stored emails


@pytest.mark.parametrize("status", [EmailStatus.PENDING_SEND, EmailStatus.SENDING])
def test_what_waits_to_be_sent_is_not_deleted_or_changed_by_hand(room: PostRoom, status: EmailStatus) -> None:
    draft, use = room.has_draft(), room.administration.emails
    room.has_status(draft, status)

    for act in (
        lambda: use.delete(draft, ADMIN),
        lambda: use.set_regarding(draft, RecordRef("account", "fabrikam"), ADMIN),
        lambda: use.reassign(draft, SALES, ADMIN),
    ):
        with pytest.raises(NotPossibleNow):
            act()


def test_a_draft_cannot_be_completed_and_has_no_conversation_to_leave(room: PostRoom) -> None:
    draft, use = room.has_draft(), room.administration.emails

    for act in (use.complete, use.opt_out, use.opt_in):
        with pytest.raises(NotPossibleNow):
            act(draft, ADMIN)


def test_a_draft_stands_in_no_list_of_what_it_is_about_before_it_is_sent(room: PostRoom) -> None:
    draft, fabrikam = room.has_draft(), RecordRef("account", "fabrikam")
    room.administration.emails.set_regarding(draft, fabrikam, ADMIN)

    assert room.administration.activities.of_regarding(fabrikam).items == []
    assert room.email(draft).regarding == fabrikam


def test_a_deleted_draft_leaves_no_rows_and_no_blobs(room: PostRoom) -> None:
    draft = room.has_draft()
    room.has_attachment(draft)
    room.outgoing.uploads.begin(draft, an_attachment(name="logo.png"), ADMIN)
    room.administration.emails.delete(draft, ADMIN)

    assert room.listed() == []
    assert room.stores.timeline.list(ListOf.UNSENT, room.mailbox()).items == []
    assert room.blobs() == []


def test_of_a_deleted_email_that_was_sent_it_stays_known_who_sent_it_and_nothing_that_it_said(room: PostRoom) -> None:
    draft = room.has_draft()
    room.has_status(draft, EmailStatus.SENT, detail="250 queued for kim@fabrikam.example")
    room.administration.emails.delete(draft, ADMIN)
    left = room.stores.activities.get(draft)
    assert left is not None
    assert left.record.delivery is not None

    assert (left.record.sender, left.record.subject, left.record.delivery.detail) == ("dora@contoso.example", "", "")
