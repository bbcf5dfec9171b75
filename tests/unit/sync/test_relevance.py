"""Which items become activities. The rules are tables; that order does not matter is a property."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.choices import Reason, SenderOrigin, Verdict
from shared.domain.eligibility import start_date
from shared.domain.email import ChangeKind, ItemRef, ListedItem
from shared.sync.listing import oldest_first
from shared.sync.relevance import Facts, judge
from tests.builders import MONDAY, a_mailbox, a_profile

DAY = timedelta(days=1)
FACTS = Facts(start=MONDAY - DAY, own_addresses={"ben@contoso.example"}, largest_message=150_000)


def an_item(**columns: object) -> ListedItem:
    defaults: dict[str, object] = {"received": MONDAY, "sender": "carol@fabrikam.example", "message_id": "offer@example"}
    return ListedItem(ItemRef("item-1", "inbox"), ChangeKind.CREATED, **{**defaults, **columns})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("columns", "verdict", "reason"),
    [
        ({}, Verdict.PROMOTED, Reason.RELEVANT),
        ({"sender": None, "message_id": None, "received": None}, Verdict.PROMOTED, Reason.RELEVANT),
        ({"item_class": ""}, Verdict.PROMOTED, Reason.RELEVANT),
        ({"item_class": "IPM.Note.SMIME.MultipartSigned"}, Verdict.PROMOTED, Reason.RELEVANT),
        ({"item_class": "ipm.note.rules.ooftemplate.microsoft"}, Verdict.PROMOTED, Reason.RELEVANT),
        ({"item_class": "REPORT.IPM.Note.NDR"}, Verdict.PROMOTED, Reason.RELEVANT),
        ({"item_class": "REPORT.IPM.Schedule.Meeting.Request.NDR"}, Verdict.PROMOTED, Reason.RELEVANT),
        ({"item_class": "IPM.Schedule.Meeting.Request"}, Verdict.SKIPPED, Reason.MEETING_MESSAGE),
        ({"item_class": "IPM.Schedule.Meeting.Resp.Pos"}, Verdict.SKIPPED, Reason.MEETING_MESSAGE),
        ({"item_class": "IPM.Contact"}, Verdict.SKIPPED, Reason.NOT_A_MESSAGE),
        ({"item_class": "IPM.Notebook"}, Verdict.SKIPPED, Reason.NOT_A_MESSAGE),
        ({"item_class": "IPM.Post"}, Verdict.SKIPPED, Reason.NOT_A_MESSAGE),
        ({"is_draft": True}, Verdict.SKIPPED, Reason.DRAFT),
        ({"is_own_copy": True, "sender": "ben@contoso.example"}, Verdict.SKIPPED, Reason.OWN_COPY),
        ({"received": MONDAY - DAY}, Verdict.PROMOTED, Reason.RELEVANT),
        ({"received": MONDAY - 2 * DAY, "is_draft": True}, Verdict.SKIPPED, Reason.BEFORE_START_DATE),
        ({"size": 150_000}, Verdict.PROMOTED, Reason.RELEVANT),
        ({"size": 150_001}, Verdict.SKIPPED, Reason.TOO_LARGE),
        ({"sender_origin": SenderOrigin.INTERNAL}, Verdict.PROMOTED, Reason.RELEVANT),
        ({"sender": "ben@contoso.example"}, Verdict.PROMOTED, Reason.SENDER_CLAIMS_OWN_ADDRESS),
        (
            {"sender": "ben@contoso.example", "sender_origin": SenderOrigin.EXTERNAL},
            Verdict.PROMOTED,
            Reason.SENDER_CLAIMS_OWN_ADDRESS,
        ),
        (
            {"sender": "ben@contoso.example", "sender_origin": SenderOrigin.INTERNAL},
            Verdict.SKIPPED,
            Reason.INTERNAL_SENDER,
        ),
    ],
)
def test_the_rules(columns: dict[str, object], verdict: Verdict, reason: Reason) -> None:
    assert judge(an_item(**columns), FACTS) == (verdict, reason)


def test_without_a_start_date_no_mail_is_too_old() -> None:
    ancient = an_item(received=MONDAY - 9999 * DAY)
    assert judge(ancient, replace(FACTS, start=None)) == (Verdict.PROMOTED, Reason.RELEVANT)


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
def test_decisions_do_not_depend_on_the_order_in_which_a_page_comes(items: list[ListedItem], random: object) -> None:
    shuffled = items[:]
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    def decided(page: list[ListedItem]) -> list[object]:
        return [(key, judge(item, FACTS)) for key, item in oldest_first(page)]

    assert decided(items) == decided(shuffled)
