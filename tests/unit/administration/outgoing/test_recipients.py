"""Who is written to is settled when the email is sent: by the address book of that moment."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from shared.domain.drafts import Recipient
from shared.domain.email import Party
from shared.domain.errors import InvalidRecord
from shared.domain.ids import ActivityId
from tests.unit.administration.office import ADMIN
from tests.unit.administration.outgoing.post_room import KIM, PostRoom

NEW = Recipient("new@fabrikam.example")

type Change = Callable[[PostRoom], object]


def has_record(**given: Any) -> Change:
    """Another record, by default with an address of Kim's."""
    lead = replace(KIM, type="lead", name="Kim of the fair", addresses=("kim@fabrikam.example",))
    return lambda room: room.stores.address_book.put(replace(lead, **given))


def kim(**changes: Any) -> Change:
    return lambda room: room.stores.address_book.put(replace(KIM, **changes))


def recipient(room: PostRoom, email: ActivityId) -> Party:
    (found,) = room.content(email).parties[1:]
    return found


def refused(room: PostRoom, email: ActivityId) -> str:
    """The field that keeps it from being sent."""
    before = room.administration.emails.get(email)
    with pytest.raises(InvalidRecord) as error:
        room.outgoing.sending.send(email, ADMIN)
    assert error.value.remedy
    assert (room.administration.emails.get(email), room.outbox()) == (before, [])
    return error.value.field


def test_a_recipient_whose_record_came_after_the_draft_is_that_record(room: PostRoom) -> None:
    room.has_settings(allow_unresolved_recipients=False)
    draft = room.has_draft(to=(NEW,))
    assert refused(room, draft) == "to/0"
    has_record(addresses=("new@fabrikam.example",))(room)
    room.outgoing.sending.send(draft, ADMIN)

    found = recipient(room, draft)
    assert (found.record_kind, found.record_id, found.name) == ("lead", "kim", "Kim of the fair")


def test_a_record_that_came_after_the_draft_may_not_want_it(room: PostRoom) -> None:
    draft = room.has_draft(to=(NEW,))
    has_record(addresses=("new@fabrikam.example",), do_not_email=True)(room)

    assert refused(room, draft) == "to/0"


@pytest.mark.parametrize("active", [True, False])
def test_an_address_of_several_records_is_not_written_to_where_one_of_them_is_not(room: PostRoom, active: bool) -> None:
    has_record(do_not_email=True, active=active)(room)
    kim(active=active)(room)
    draft = room.has_draft()

    assert refused(room, draft) == "to/0"
    named = (Recipient(type="contact", id="kim"),)
    room.outgoing.drafts.edit(draft, lambda email: replace(email, to=named), ADMIN)
    room.outgoing.sending.send(draft, ADMIN)


def test_an_address_that_another_record_has_since_is_not_written_to_where_that_is_not(room: PostRoom) -> None:
    draft = room.has_draft()
    has_record(do_not_email=True)(room)

    assert refused(room, draft) == "to/0"
    room.has_draft("named", to=(Recipient(type="contact", id="kim"),))
    room.outgoing.sending.send(room.has_draft("named"), ADMIN)


def test_who_was_found_by_the_address_is_not_named_because_somebody_else_is_added(room: PostRoom) -> None:
    draft = room.has_draft()
    added = Recipient("carol@fabrikam.example")
    room.outgoing.drafts.edit(draft, lambda email: replace(email, to=(*email.to, added)), ADMIN)
    has_record(do_not_email=True)(room)

    assert refused(room, draft) == "to/0"


@pytest.mark.parametrize("to", [Recipient("kim@fabrikam.example"), Recipient(type="contact", id="kim")])
def test_where_a_record_is_not_there_any_more_its_address_counts(room: PostRoom, to: Recipient) -> None:
    draft = room.has_draft(to=(to,))
    has_record(do_not_email=True)(room)
    room.administration.address_book.delete("contact", "kim", ADMIN)

    assert refused(room, draft) == "to/0"
    has_record()(room)
    room.outgoing.sending.send(draft, ADMIN)
    assert recipient(room, draft).record_kind == "lead"


def test_an_address_of_several_records_is_one_of_the_address_book(room: PostRoom) -> None:
    room.has_settings(allow_unresolved_recipients=False)
    has_record()(room)
    room.outgoing.sending.send(draft := room.has_draft(), ADMIN)

    assert recipient(room, draft).record_id is None


@pytest.mark.parametrize("to", [Recipient("kim@fabrikam.example"), Recipient(type="contact", id="kim")])
def test_nobody_is_written_to_at_an_address_that_the_record_has_no_more(room: PostRoom, to: Recipient) -> None:
    draft = room.has_draft(to=(to,))
    kim(addresses=("kim@new.example",))(room)

    assert refused(room, draft) == "to/0/address"
    named = (Recipient(type="contact", id="kim"),)
    room.outgoing.drafts.edit(draft, lambda email: replace(email, to=named), ADMIN)
    room.outgoing.sending.send(draft, ADMIN)
    assert recipient(room, draft).address == "kim@new.example"


def test_a_user_who_has_another_address_now_is_not_written_to_at_the_former_one(room: PostRoom) -> None:
    room.has_user("anna")
    draft = room.has_draft(to=(Recipient(type="user", id="anna"),))
    room.has_user("anna", address="anna.lee@contoso.example")

    assert refused(room, draft) == "to/0/address"
