"""Which items are mail to be judged at all. The rules are tables; that order does not matter is a property."""

from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.choices import Reason
from shared.domain.eligibility import start_date
from shared.domain.email import ChangeKind, ItemRef, ListedItem
from shared.domain.folders import SENT_ITEMS
from shared.sync.listing import oldest_first
from shared.sync.relevance import reason_to_skip
from tests.builders import MONDAY, a_mailbox, a_profile

DAY = timedelta(days=1)
LARGEST = 150_000


def an_item(**columns: Any) -> ListedItem:
    item = ListedItem(
        ref=ItemRef("item-1", "inbox"),
        kind=ChangeKind.CREATED,
        received=MONDAY,
        sender="carol@fabrikam.example",
        message_id="offer@example",
    )
    return replace(item, **columns)


def reason(item: ListedItem, start: datetime | None = MONDAY - DAY) -> Reason | None:
    return reason_to_skip(item, start, LARGEST)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({}, None),
        ({"sender": None, "message_id": None, "received": None}, None),
        ({"item_class": ""}, None),
        ({"item_class": "IPM.Note.SMIME.MultipartSigned"}, None),
        ({"item_class": "ipm.note.rules.ooftemplate.microsoft"}, None),
        ({"item_class": "REPORT.IPM.Note.NDR"}, None),
        ({"item_class": "REPORT.IPM.Schedule.Meeting.Request.NDR"}, None),
        ({"item_class": "IPM.Schedule.Meeting.Request"}, Reason.MEETING_MESSAGE),
        ({"item_class": "IPM.Schedule.Meeting.Resp.Pos"}, Reason.MEETING_MESSAGE),
        ({"item_class": "IPM.Contact"}, Reason.NOT_A_MESSAGE),
        ({"item_class": "IPM.Notebook"}, Reason.NOT_A_MESSAGE),
        ({"item_class": "IPM.Post"}, Reason.NOT_A_MESSAGE),
        ({"is_draft": True}, Reason.DRAFT),
        ({"is_own_copy": True, "sender": "ben@contoso.example"}, Reason.OWN_COPY),
        ({"is_own_copy": True, "ref": ItemRef("item-1", SENT_ITEMS.id)}, None),
        ({"received": MONDAY - DAY}, None),
        ({"received": MONDAY - 2 * DAY, "is_draft": True}, Reason.BEFORE_START_DATE),
        ({"size": 150_000}, None),
        ({"size": 150_001}, Reason.TOO_LARGE),
    ],
)
def test_what_the_listing_decides(columns: dict[str, object], expected: Reason | None) -> None:
    assert reason(an_item(**columns)) == expected


def test_without_a_start_date_no_mail_is_too_old() -> None:
    assert reason(an_item(received=MONDAY - 9999 * DAY), start=None) is None


@pytest.mark.parametrize(
    ("profile", "mailbox", "expected"),
    [
        (None, None, MONDAY),
        (MONDAY - DAY, None, MONDAY - DAY),
        (None, MONDAY - DAY, MONDAY - DAY),
        (MONDAY - 2 * DAY, MONDAY - DAY, MONDAY - DAY),
        (MONDAY + DAY, MONDAY - DAY, MONDAY + DAY),
    ],
)
def test_mail_is_read_from_the_later_date_or_from_when_the_mailbox_was_enabled(
    profile: object, mailbox: object, expected: object
) -> None:
    start = start_date(
        a_profile(process_emails_received_after=profile),
        a_mailbox(process_email_received_after=mailbox, enabled_on=MONDAY),
    )
    assert start == expected


ITEMS = st.lists(
    st.builds(
        lambda number, minutes, kind: ListedItem(
            ItemRef(f"item-{number}", "inbox"),
            kind,
            message_id=f"message-{number % 5}",
            received=None if minutes is None else MONDAY + timedelta(minutes=minutes),
            is_draft=number % 3 == 0,
        ),
        st.integers(0, 20),
        st.none() | st.integers(-5000, 10),
        st.sampled_from(ChangeKind),
    ),
    max_size=30,
    unique_by=lambda item: item.ref,
)


@given(ITEMS, st.randoms())
def test_decisions_do_not_depend_on_the_order_in_which_a_page_comes(items: list[ListedItem], random: Random) -> None:
    shuffled = items[:]
    random.shuffle(shuffled)

    def decided(page: list[ListedItem]) -> list[object]:
        return [(key, reason(item)) for key, item in oldest_first(page)]

    assert decided(items) == decided(shuffled)
