"""Handing emails over to be sent, taking them back, and what keeps them from being sent."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.administration.failures import NotPossibleNow
from shared.administration.outgoing.checks import check_address, check_line
from shared.domain.choices import (
    ActivityState,
    Approval,
    EmailDeliveryMethod,
    EmailStatus,
    OwnerKind,
    Priority,
    Workload,
)
from shared.domain.configuration import Breaker, OwnerRef
from shared.domain.drafts import Recipient
from shared.domain.errors import Changed, InvalidRecord
from shared.domain.ids import ActivityId, OwnerId, ProfileId
from shared.domain.organisation import DoNotEmail
from shared.messages import SyncMailbox, SyncReason, parse
from tests.builders import MONDAY
from tests.unit.administration.office import ADMIN, a_user
from tests.unit.administration.outgoing.post_room import CAROL, DORA, KIM, SALES, PostRoom, an_attachment

HOUR = timedelta(hours=1)
ANNA = OwnerRef(OwnerKind.USER, OwnerId("anna"))


def send(room: PostRoom, email: ActivityId) -> None:
    room.outgoing.sending.send(email, ADMIN)


def has_schedule(room: PostRoom, **changes: Any) -> None:
    schedule = room.mailbox_of("dora").schedule[Workload.OUTGOING]
    room.stores.mailboxes.reschedule(room.mailbox(), Workload.OUTGOING, replace(schedule, **changes))


def test_an_email_that_is_sent_waits_in_the_outbox_of_its_mailbox_which_is_due(room: PostRoom) -> None:
    has_schedule(room, due=MONDAY + HOUR)
    draft = room.has_draft(priority=Priority.HIGH)
    room.clock.advance(timedelta(minutes=1))
    send(room, draft)
    email, [entry] = room.email(draft), room.outbox()

    assert (email.status, email.state) == (EmailStatus.PENDING_SEND, ActivityState.COMPLETED)
    assert email.delivery is not None
    assert email.delivery.submitted_on == email.delivery.due == room.clock.now
    assert (entry.activity_id, entry.submission, entry.due) == (draft, email.delivery.submission, room.clock.now)
    assert entry.priority is Priority.HIGH
    assert room.due() == room.clock.now
    assert room.listed(EmailStatus.PENDING_SEND) == room.listed() == [draft]


def test_a_message_has_the_mailbox_sent_for_at_once(room: PostRoom) -> None:
    send(room, room.has_draft())

    [message] = [parse(text) for text in room.messages()]
    assert isinstance(message, SyncMailbox)
    assert (message.mailbox_id, message.workload, message.reason) == (
        room.mailbox(),
        Workload.OUTGOING,
        SyncReason.REQUESTED,
    )


def test_no_message_is_sent_while_one_is_under_way_or_the_breaker_is_open_or_it_is_too_early(room: PostRoom) -> None:
    has_schedule(room, due=None, queued_until=MONDAY + HOUR)
    send(room, room.has_draft("under-way"))
    assert (room.messages(), room.due()) == ([], MONDAY)

    has_schedule(room, due=MONDAY + HOUR, queued_until=None, breaker=Breaker("busy", MONDAY, MONDAY + HOUR))
    send(room, room.has_draft("open"))
    assert (room.messages(), room.due()) == ([], MONDAY + HOUR)

    has_schedule(room, due=None, breaker=None)
    send(room, room.has_draft("later", send_after=MONDAY + HOUR))
    assert (room.messages(), room.due()) == ([], MONDAY + HOUR)


def test_an_earlier_due_time_stays(room: PostRoom) -> None:
    has_schedule(room, due=MONDAY - HOUR)
    send(room, room.has_draft())

    assert room.due() == MONDAY - HOUR


def test_sending_again_what_waits_changes_nothing(room: PostRoom) -> None:
    draft = room.has_draft()
    send(room, draft)
    before = room.administration.emails.get(draft), room.outbox(), room.messages()
    send(room, draft)

    assert (room.administration.emails.get(draft), room.outbox(), room.messages()) == before


@pytest.mark.parametrize("status", [EmailStatus.FAILED, EmailStatus.CANCELED])
def test_what_failed_or_was_canceled_is_sent_again_as_a_new_submission(room: PostRoom, status: EmailStatus) -> None:
    draft = room.has_draft()
    send(room, draft)
    first = room.email(draft).delivery
    assert first is not None
    room.has_status(
        draft, status, attempts=2, last_attempt=2, refused=1, error="x", status_code="5.1.1", detail="no", may_be_twice=True
    )
    send(room, draft)
    delivery = room.email(draft).delivery
    assert delivery is not None

    assert delivery.submission != first.submission
    assert (delivery.attempts, delivery.last_attempt, delivery.refused) == (0, 2, 0)
    assert (delivery.error, delivery.status_code, delivery.detail) == (None, "", "")
    assert delivery.may_be_twice, "that stays true"
    assert len(room.announced(draft)) == 1


def test_what_was_sent_is_not_sent_again(room: PostRoom) -> None:
    draft = room.has_draft()
    room.has_status(draft, EmailStatus.SENT)

    with pytest.raises(NotPossibleNow):
        send(room, draft)


def test_a_send_of_another_state_is_refused(room: PostRoom) -> None:
    draft = room.has_draft()
    with pytest.raises(Changed):
        room.outgoing.sending.send(draft, ADMIN, "another")
    assert room.outbox() == []


# ---- canceling


def test_what_waits_is_taken_back_and_can_be_sent_again(room: PostRoom) -> None:
    draft = room.has_draft()
    send(room, draft)
    room.outgoing.sending.cancel(draft, ADMIN)
    room.outgoing.sending.cancel(draft, ADMIN)

    assert (room.email(draft).status, room.email(draft).state) == (EmailStatus.CANCELED, ActivityState.CANCELED)
    assert (room.outbox(), room.listed(EmailStatus.CANCELED)) == ([], [draft])
    send(room, draft)
    assert room.email(draft).status is EmailStatus.PENDING_SEND


@pytest.mark.parametrize(
    ("status", "instead"),
    [
        (EmailStatus.DRAFT, "Change or delete it"),
        (EmailStatus.FAILED, "Change or delete it"),
        (EmailStatus.SENDING, "Wait"),
        (EmailStatus.SENT, "Write another one"),
    ],
)
def test_what_does_not_wait_is_not_taken_back_and_says_what_to_do_instead(
    room: PostRoom, status: EmailStatus, instead: str
) -> None:
    draft = room.has_draft()
    room.has_status(draft, status)

    with pytest.raises(NotPossibleNow) as refused:
        room.outgoing.sending.cancel(draft, ADMIN)
    assert refused.value.remedy.startswith(instead)


def test_what_may_be_on_the_server_already_is_not_taken_back(room: PostRoom) -> None:
    draft = room.has_draft()
    send(room, draft)
    room.has_status(draft, EmailStatus.PENDING_SEND, attempt="1")

    with pytest.raises(NotPossibleNow):
        room.outgoing.sending.cancel(draft, ADMIN)
    assert len(room.outbox()) == 1


# ---- what keeps an email from being sent


type Prepare = Callable[[PostRoom], object]


def changes(**changes: Any) -> Prepare:
    return lambda room: room.changes(room.mailbox(), **changes)


def settings(**changes: Any) -> Prepare:
    return lambda room: room.has_settings(**changes)


def has_user(name: str, **given: Any) -> Prepare:
    return lambda room: room.has_user(name, **given)


def is_not_written_to(room: PostRoom) -> None:
    room.stores.address_book.put(replace(KIM, do_not_email=True))


def nothing(_: PostRoom) -> None:
    pass


def profile_is_inactive(room: PostRoom) -> None:
    room.administration.profiles.change(ProfileId("contoso"), lambda profile: replace(profile, active=False), ADMIN)


@pytest.mark.parametrize(
    ("prepare", "given", "field"),
    [
        (nothing, {"to": ()}, "to"),
        (changes(outgoing_method=EmailDeliveryMethod.NONE), {}, "sender"),
        (changes(active=False), {}, "sender"),
        (changes(profile_id=None), {}, "sender"),
        (profile_is_inactive, {}, "sender"),
        (lambda room: room.administration.mailboxes.decide(room.mailbox(), Approval.REJECTED, ADMIN), {}, "sender"),
        (lambda room: room.administration.users.put(a_user("dora", active=False), ADMIN), {}, "sender"),
        (lambda room: room.administration.users.delete(OwnerId("dora"), ADMIN), {}, "sender"),
        (nothing, {"submitter": "anna"}, "submitter"),
        (has_user("anna"), {"submitter": "anna"}, "submitter"),
        (has_user("anna", active=False), {"submitter": "anna", "sender": SALES}, "submitter"),
        (nothing, {"to": (Recipient("kim"),)}, "to/0/address"),
        (nothing, {"cc": (Recipient("kim@fabrikam.example"), Recipient("kim@@x"))}, "cc/1/address"),
        (nothing, {"bcc": (Recipient("k@x.example\r\nBcc: eve@evil.example"),)}, "bcc/0/address"),
        (nothing, {"to": (Recipient("Kim <kim@fabrikam.example>"),)}, "to/0/address"),
        (nothing, {"to": (Recipient("kim@fabrikam.example, eve@evil.example"),)}, "to/0/address"),
        (nothing, {"to": (Recipient("kim@fabrikam.example", "Kim\r\nBcc: eve@evil.example"),)}, "to/0/name"),
        (nothing, {"to": (Recipient("kim@fabrikam.example", "Kim\x00"),)}, "to/0/name"),
        (nothing, {"subject": "Offer\r\nBcc: eve@evil.example"}, "subject"),
        (nothing, {"subject": "Offer\u2028Bcc: eve@evil.example"}, "subject"),
        (settings(allow_unresolved_recipients=False), {"cc": (Recipient("new@fabrikam.example"),)}, "cc/0"),
        (is_not_written_to, {}, "to/0"),
    ],
)
def test_what_keeps_an_email_from_being_sent_is_told_by_its_field_and_nothing_changes(
    room: PostRoom, prepare: Prepare, given: dict[str, Any], field: str
) -> None:
    draft = room.has_draft(**given)
    prepare(room)
    before = room.administration.emails.get(draft)

    with pytest.raises(InvalidRecord) as refused:
        send(room, draft)

    assert refused.value.field == field
    assert refused.value.remedy
    assert room.administration.emails.get(draft) == before
    assert (room.messages(), room.stores.outbox.list(before.record.receiving_mailbox).items) == ([], [])


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"blocked_attachments": ("txt",)}, "attachments/1"),
        ({"largest_attachment": 5}, "attachments/1"),
        ({"largest_message": 12}, "attachments"),
    ],
)
def test_attachments_are_looked_at_by_the_settings_of_now(room: PostRoom, changed: dict[str, Any], field: str) -> None:
    draft = room.has_draft()
    room.has_attachment(draft, b"logo", name="logo.png")
    room.has_attachment(draft, b"terms.", name="terms.txt")
    room.has_settings(**changed)

    with pytest.raises(InvalidRecord) as refused:
        send(room, draft)
    assert refused.value.field == field


def test_an_attachment_that_is_not_complete_keeps_the_email_from_being_sent(room: PostRoom) -> None:
    draft = room.has_draft()
    room.has_attachment(draft)
    room.outgoing.uploads.begin(draft, an_attachment(), ADMIN)

    with pytest.raises(InvalidRecord) as refused:
        send(room, draft)
    assert refused.value.field == "attachments/1"
    room.outgoing.uploads.remove(draft, 1, ADMIN)
    send(room, draft)


# ---- who is written to


def left_out(room: PostRoom, email: ActivityId) -> list[str]:
    return [each.address for each in room.content(email).parties if each.is_left_out]


def test_who_is_not_to_be_written_to_is_left_out_where_the_settings_say_so(room: PostRoom) -> None:
    room.has_settings(do_not_email=DoNotEmail.LEAVE_OUT)
    is_not_written_to(room)
    draft = room.has_draft(cc=(Recipient("carol@fabrikam.example"),))
    send(room, draft)
    assert left_out(room, draft) == ["kim@fabrikam.example"]

    alone = room.has_draft("alone")
    with pytest.raises(InvalidRecord) as refused:
        send(room, alone)
    assert refused.value.field == "to"


def test_who_may_be_written_to_again_is_not_left_out_any_more(room: PostRoom) -> None:
    room.has_settings(do_not_email=DoNotEmail.LEAVE_OUT)
    room.stores.address_book.put(replace(CAROL, do_not_email=True))
    draft = room.has_draft(cc=(Recipient("carol@fabrikam.example"),))
    send(room, draft)
    room.outgoing.sending.cancel(draft, ADMIN)
    room.stores.address_book.put(CAROL)
    send(room, draft)

    assert left_out(room, draft) == []


def test_the_sender_is_written_as_he_is_called_now(room: PostRoom) -> None:
    draft = room.has_draft()
    room.administration.users.put(a_user("dora", name="Dora Lee", address="dora.lee@contoso.example"), ADMIN)
    room.administration.mailboxes.decide(room.mailbox(), Approval.APPROVED, ADMIN)
    send(room, draft)

    assert room.email(draft).sender == "dora.lee@contoso.example"
    assert (room.content(draft).parties[0].address, room.content(draft).parties[0].name) == (
        "dora.lee@contoso.example",
        "Dora Lee",
    )


def test_who_was_given_the_email_keeps_it(room: PostRoom) -> None:
    draft = room.has_draft()
    room.administration.emails.reassign(draft, SALES, ADMIN)
    send(room, draft)

    assert room.email(draft).owner == SALES


# ---- for whom


def test_another_user_writes_for_a_user_who_allows_it_and_for_every_queue(room: PostRoom) -> None:
    room.has_sender(ANNA)
    room.administration.users.change(OwnerId("dora"), lambda owner: replace(owner, send_as_allowed=True), ADMIN)
    for key, sender in (("user", DORA), ("queue", SALES)):
        draft = room.has_draft(key, sender=sender, submitter="anna")
        send(room, draft)
        delivery = room.email(draft).delivery
        assert delivery is not None
        assert (delivery.submitter, delivery.mailbox) == ("anna", room.mailbox(sender))


def test_with_delegation_it_goes_through_the_mailbox_of_who_writes_and_stands_in_the_lists_of_the_sender(
    room: PostRoom,
) -> None:
    room.has_settings(delegate_sending=True)
    room.has_sender(ANNA)
    draft = room.has_draft(sender=SALES, submitter="anna")
    send(room, draft)
    email = room.email(draft)
    assert email.delivery is not None

    assert (email.delivery.mailbox, email.receiving_mailbox) == (room.mailbox(ANNA), room.mailbox(SALES))
    assert [each.activity_id for each in room.outbox(ANNA)] == [draft]
    assert room.listed(owner=SALES) == [draft]
    assert email.sender == "sales@contoso.example"

    room.changes(room.mailbox(ANNA), outgoing_method=EmailDeliveryMethod.NONE)
    with pytest.raises(InvalidRecord) as refused:
        send(room, room.has_draft("other", sender=SALES, submitter="anna"))
    assert refused.value.field == "submitter"


# ---- addresses and lines


@pytest.mark.parametrize(
    "address",
    ["kim@fabrikam.com", "kim@contoso.test", "kim@mail.contoso.local", "jörg@münchen.example", "用户@例え.jp", "a+b@x.example"],
)
def test_addresses_of_all_scripts_and_inner_domains_are_fine(address: str) -> None:
    check_address("to/0/address", address)


@pytest.mark.parametrize(
    "address", ["kim@localhost", "kim@[127.0.0.1]", '"a b"@x.example', "a..b@x.example", "@x.example", "k@x"]
)
def test_other_addresses_are_refused(address: str) -> None:
    with pytest.raises(InvalidRecord):
        check_address("to/0/address", address)


def test_a_line_may_be_of_any_script() -> None:
    check_line("subject", "Angebot für 木村 👩‍🔬 \u200fשלום")
