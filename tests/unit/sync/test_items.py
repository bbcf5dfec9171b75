"""What becomes of the items of a mailbox: stored, skipped, gone, failing, given up."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, BinaryIO

import pytest

from shared.domain.choices import (
    Notifications,
    Reason,
    SenderOrigin,
    Verdict,
)
from shared.domain.email import IncomingAttachment, NewEmail, StoredActivity
from shared.domain.errors import ItemRejected, ItemTooLarge, ItemUnreadable
from shared.domain.operations import RunOutcome
from shared.domain.organisation import OrganisationSettings
from shared.stores.memory.work import MemoryBlobs
from shared.sync.budgets import ItemLimits
from tests.builders import MONDAY, a_message
from tests.unit.sync.scene import Scene

MINUTE = timedelta(minutes=1)

# ---- what it stores


def test_mail_becomes_activities_with_their_attachments() -> None:
    scene = Scene()
    scene.anna.deliver(a_message("Offer", attachments=[b"drawing", b"prices"]))
    assert scene.run() is RunOutcome.COMPLETED
    [activity_id] = scene.activity_ids()
    attachments = scene.content(activity_id).attachments
    assert [b"".join(scene.stores.blobs.read(each.blob)) for each in attachments] == [b"drawing", b"prices"]
    assert scene.activity(activity_id).record.receiving_mailbox == scene.mailboxes["anna"].id


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"is_draft": True}, Reason.DRAFT),
        ({"is_own_copy": True}, Reason.OWN_COPY),
        ({"item_class": "IPM.Schedule.Meeting.Request"}, Reason.MEETING_MESSAGE),
        ({"item_class": "IPM.Appointment"}, Reason.NOT_A_MESSAGE),
        ({"size": 200_000_000}, Reason.TOO_LARGE),
    ],
)
def test_what_is_not_relevant_is_left_in_the_mailbox_and_the_ledger_says_why(columns: dict[str, Any], reason: Reason) -> None:
    scene = Scene()
    scene.anna.deliver(a_message("Offer"), **columns)
    scene.run()
    assert scene.subjects() == []
    assert scene.anna.fetched == []
    assert [(item.verdict, item.reason) for item in scene.ledger().values()] == [(Verdict.SKIPPED, reason)]


def test_mail_of_another_user_is_left_in_the_mailbox() -> None:
    scene = Scene()
    scene.anna.deliver(a_message("Lunch", sender="ben@contoso.example", sender_origin=SenderOrigin.INTERNAL))
    scene.run()
    assert scene.subjects() == []
    assert [(item.verdict, item.reason) for item in scene.ledger().values()] == [(Verdict.SKIPPED, Reason.INTERNAL_SENDER)]


def test_the_organisation_says_how_large_a_message_may_be() -> None:
    scene = Scene()
    scene.stores.settings.put(OrganisationSettings(largest_message=5_000), None)
    scene.anna.deliver(a_message("Small"), size=5_000)
    scene.anna.deliver(a_message("Large"), size=5_001)
    scene.run()
    assert scene.subjects() == ["Small"]
    assert Reason.TOO_LARGE in {item.reason for item in scene.ledger().values()}


def test_attachments_that_are_left_out_are_not_kept_anywhere_and_the_others_can_be_read() -> None:
    scene = Scene()
    scene.stores.settings.put(OrganisationSettings(largest_attachment=6), None)
    scene.anna.deliver(a_message("Offer", attachments=[b"drawing", b"prices", b"prices"]))
    scene.run()
    content = scene.content(scene.activity_ids()[0])
    assert content.notifications is Notifications.ATTACHMENTS_LEFT_OUT
    assert [b"".join(scene.stores.blobs.read(each.blob)) for each in content.attachments] == [b"prices", b"prices"]
    blobs = scene.stores.blobs
    assert isinstance(blobs, MemoryBlobs)
    assert len(blobs.snapshot()) == 1


def test_mail_before_the_start_date_is_counted_and_leaves_no_row() -> None:
    scene = Scene()
    scene.anna.deliver(a_message("Ancient", received=MONDAY - timedelta(days=31)))
    scene.run()
    assert scene.ledger() == {}
    assert scene.runs()[0].verdicts == {"skipped:before_start_date": 1}


def test_a_sender_who_claims_an_own_address_from_outside_is_stored_and_marked() -> None:
    scene = Scene()
    scene.anna.deliver(a_message("Forged", sender="Ben@contoso.example"))
    scene.run()
    [activity_id] = scene.activity_ids()
    assert scene.content(activity_id).sender_claims_own_address
    assert [item.reason for item in scene.ledger().values()] == [Reason.SENDER_CLAIMS_OWN_ADDRESS]


def test_a_draft_that_became_real_mail_is_stored() -> None:
    scene = Scene()
    ref = scene.anna.deliver(a_message("Offer"), is_draft=True)
    scene.run()
    scene.anna.change(ref, is_draft=False)
    scene.run()
    assert scene.subjects() == ["Offer"]
    assert scene.verdicts() == [Verdict.PROMOTED]


def test_changes_of_what_is_stored_change_nothing() -> None:
    scene = Scene()
    ref = scene.anna.deliver(a_message("Offer"))
    scene.run()
    before = scene.ledger()
    scene.anna.mark_read(ref)
    scene.anna.change(ref)
    assert scene.run() is RunOutcome.COMPLETED
    scene.anna.remove(ref)
    assert scene.run() is RunOutcome.COMPLETED
    assert scene.run() is RunOutcome.IDLE
    assert scene.ledger() == before
    assert scene.anna.fetched == [ref.id]


def test_mail_that_is_gone_before_it_was_read_is_recorded_as_gone() -> None:
    scene = Scene()
    ref = scene.anna.deliver(a_message("Offer"))
    scene.world.watch = lambda name: scene.anna.remove(ref) if name == "mail.fetch" else None
    scene.run()
    assert [(item.verdict, item.reason) for item in scene.ledger().values()] == [(Verdict.GONE, Reason.REMOVED_BEFORE_READ)]


# ---- items that fail


def test_a_failing_item_is_tried_five_times_and_then_quarantined_with_its_raw_form() -> None:
    scene = Scene()
    bad = scene.anna.deliver(a_message("Bad"))
    scene.anna.deliver(a_message("Good"))
    scene.anna.unreadable[bad.id] = ItemUnreadable("cannot be converted")
    scene.run()
    assert scene.subjects() == ["Good"]
    assert Verdict.FAILING in scene.verdicts()
    for attempt in range(2, 6):
        scene.clock.advance(timedelta(minutes=15))
        assert scene.run() is RunOutcome.COMPLETED
        [item] = [item for item in scene.ledger().values() if item.message_id == "bad@fabrikam.example"]
        assert item.attempts == attempt
    assert item.verdict is Verdict.QUARANTINED
    [kept] = scene.stores.quarantine.list(scene.mailboxes["anna"].id).items
    assert kept.raw_blob is not None
    assert b"".join(scene.stores.blobs.read(kept.raw_blob)) == f"raw form of {bad.id}".encode()
    assert (kept.attempts, kept.error, kept.detail) == (5, "item_unreadable", "cannot be converted")
    assert [alert.code for alert in scene.alerts()] == ["item_quarantined"]
    scene.clock.advance(timedelta(hours=1))
    assert scene.run() is RunOutcome.IDLE


def test_a_failing_item_that_recovers_is_stored_and_its_retry_is_done() -> None:
    scene = Scene()
    bad = scene.anna.deliver(a_message("Bad"))
    scene.anna.unreadable[bad.id] = ItemTooLarge("too large for the moment")
    scene.run()
    scene.anna.unreadable.clear()
    scene.clock.advance(timedelta(minutes=15))
    scene.run()
    assert scene.subjects() == ["Bad"]
    assert scene.verdicts() == [Verdict.PROMOTED]
    scene.clock.advance(timedelta(days=1))
    assert scene.head().todos == ()


def test_the_mailbox_is_due_when_a_retry_is() -> None:
    scene = Scene(profile=None)
    bad = scene.anna.deliver(a_message("Bad"))
    scene.anna.unreadable[bad.id] = ItemUnreadable("cannot be converted")
    scene.limits = ItemLimits(retry_after=timedelta(seconds=20))
    scene.run()
    assert scene.wait() == timedelta(seconds=20)


def test_a_raw_form_that_cannot_be_read_is_noted() -> None:
    scene = Scene(limits=ItemLimits(attempts=1))
    bad = scene.anna.deliver(a_message("Bad"))
    scene.anna.unreadable[bad.id] = ItemUnreadable("cannot be converted")
    scene.anna.raw_fails[bad.id] = ItemUnreadable("no MIME either")
    scene.run()
    [kept] = scene.stores.quarantine.list(scene.mailboxes["anna"].id).items
    assert kept.raw_blob is None
    assert "no MIME either" in kept.detail


def test_an_attachment_that_cannot_be_read_fails_its_own_message_only() -> None:
    def chunks() -> Iterator[bytes]:
        raise ItemUnreadable("the attachment is corrupt")

    corrupt = IncomingAttachment("a.bin", "application/octet-stream", 3, chunks)
    scene = Scene()
    scene.anna.deliver(a_message("Bad", attachments=[b"fine", corrupt]))
    scene.anna.deliver(a_message("Good"))
    scene.run()
    assert scene.subjects() == ["Good"]
    assert scene.verdicts() == sorted([Verdict.FAILING, Verdict.PROMOTED])


def test_an_email_that_the_store_rejects_does_not_keep_the_others_out() -> None:
    scene = Scene()
    for subject in ("One", "Bad", "Two"):
        scene.anna.deliver(a_message(subject))
    create = scene.stores.activities.create

    def rejecting(emails: Sequence[NewEmail]) -> Sequence[StoredActivity]:
        if any(email.activity.subject == "Bad" for email in emails):
            raise ItemRejected("too many recipients")
        return create(emails)

    scene.stores.activities.create = rejecting  # type: ignore[method-assign]  # put in between
    assert scene.run() is RunOutcome.COMPLETED
    assert scene.subjects() == ["One", "Two"]
    [bad] = [item for item in scene.ledger().values() if item.verdict is Verdict.FAILING]
    assert bad.reason is Reason.REJECTED


def test_an_attachment_that_the_store_rejects_keeps_its_own_message_out_only() -> None:
    scene = Scene()
    scene.anna.deliver(a_message("Bad", attachments=[b"refused"]))
    scene.anna.deliver(a_message("Good", attachments=[b"accepted"]))
    put = scene.stores.blobs.put

    def refusing(name: str, content: BinaryIO | bytes) -> None:
        assert not isinstance(content, bytes)
        if content.read() == b"refused":
            raise ItemRejected("malware")
        content.seek(0)
        put(name, content)

    scene.stores.blobs.put = refusing  # type: ignore[method-assign]  # put in between
    assert scene.run() is RunOutcome.COMPLETED
    assert scene.subjects() == ["Good"]
    assert [item.reason for item in scene.ledger().values() if item.verdict is Verdict.FAILING] == [Reason.REJECTED]


def test_an_item_that_the_server_passes_over_is_not_lost() -> None:
    scene = Scene()
    refs = [scene.anna.deliver(a_message(f"Offer {number}")) for number in range(3)]
    fetch = scene.anna.fetch
    scene.anna.fetch = lambda wanted: fetch([ref for ref in wanted if ref != refs[1]])  # type: ignore[method-assign,assignment]  # put in between
    scene.run()
    assert scene.verdicts() == sorted([Verdict.FAILING, Verdict.PROMOTED, Verdict.PROMOTED])
