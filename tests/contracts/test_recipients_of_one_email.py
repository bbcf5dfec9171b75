"""An email to five hundred: who they are is found out in few requests, several at once, whether they are named or only written
to."""

from threading import get_ident

import pytest

from shared.domain.drafts import Recipient
from shared.domain.email import Party
from shared.domain.ids import ActivityId
from shared.domain.organisation import DoNotEmail
from shared.domain.records import AddressBookRecord
from shared.ports import Stores
from tests.contracts.gateways import Asked, WatchedGateway
from tests.unit.administration.office import ADMIN
from tests.unit.administration.outgoing.post_room import PostRoom

PEOPLE = 500
_AROUND = 30
"""Requests that have nothing to do with recipients, or that a test beside this one would explain."""


@pytest.fixture
def room(on_watched: Stores) -> PostRoom:
    on_watched.address_book.put_many(
        [
            AddressBookRecord("contact", f"c-{number}", f"C {number}", (f"c{number}@fabrikam.example",))
            for number in range(PEOPLE)
        ]
    )
    return PostRoom(stores=on_watched)


@pytest.mark.parametrize(
    ("recipients", "requests"),
    [
        ([Recipient(None, "", "contact", f"c-{number}") for number in range(PEOPLE)], PEOPLE),
        ([Recipient(f"nobody{number}@fabrikam.example") for number in range(PEOPLE)], PEOPLE),
    ],
    ids=["named", "unknown"],
)
def test_five_hundred_recipients_take_a_request_each_and_several_at_once(
    room: PostRoom, watched: WatchedGateway, recipients: list[Recipient], requests: int
) -> None:
    draft = room.has_draft(to=tuple(recipients))
    before, threads = watched.requests, list[int]()

    def note(_: Asked) -> None:
        threads.append(get_ident())

    watched.before = note
    room.outgoing.sending.send(draft, ADMIN)

    assert watched.requests - before < requests + _AROUND
    assert threads.count(get_ident()) < _AROUND, "few of them one after another"
    assert len(parties(room, draft)) == PEOPLE


def test_who_is_found_by_the_address_is_not_asked_for_once_more(room: PostRoom, watched: WatchedGateway) -> None:
    room.has_settings(do_not_email=DoNotEmail.LEAVE_OUT)
    new = [Recipient(f"new{number}@fabrikam.example") for number in range(50)]
    draft = room.has_draft(to=tuple(new))
    for number in range(50):
        unwanted = number == 7
        record = AddressBookRecord("lead", f"l-{number}", "L", (f"new{number}@fabrikam.example",), do_not_email=unwanted)
        room.stores.address_book.create(record)
    before = watched.requests
    room.outgoing.sending.send(draft, ADMIN)

    assert watched.requests - before < 2 * len(new) + _AROUND
    assert [each.record_id for each in parties(room, draft)] == [f"l-{number}" for number in range(50)]
    assert [each.record_id for each in parties(room, draft) if each.is_left_out] == ["l-7"]


def parties(room: PostRoom, draft: ActivityId) -> list[Party]:
    return list(room.content(draft).parties[1:])
