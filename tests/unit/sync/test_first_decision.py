"""The first decision about a message stands: after a crash under other rules, and beside other content with its Message-ID."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.choices import OwnerKind, Reason, Verdict
from shared.domain.configuration import OwnerRef
from shared.domain.email import ListOf
from shared.domain.errors import ItemUnreadable, Unreachable
from shared.domain.ids import OwnerId
from shared.domain.operations import RunOutcome
from tests.builders import MONDAY, a_message
from tests.unit.sync.faults import Fault
from tests.unit.sync.scene import Scene

LONGER_THAN_A_LEASE = timedelta(minutes=10)


# ---- the configuration changes between a crash and the replay


@pytest.mark.parametrize("message_id", ["known@fabrikam.example", None])
@pytest.mark.parametrize("fault", [Fault.DEATH_BEFORE, Fault.FAILURE_BEFORE])
def test_the_first_decision_stands_when_the_rules_changed_between_crash_and_replay(
    message_id: str | None, fault: Fault
) -> None:
    scene = Scene()
    scene.anna.deliver(a_message("Offer", message_id=message_id))
    scene.fail_at_first("timeline.put", fault)
    scene.attempt()

    mailbox = scene.stored_mailbox()
    later = replace(mailbox.record, process_email_received_after=MONDAY + timedelta(days=1), owner=None)
    scene.stores.mailboxes.replace(later, mailbox.etag, {})
    scene.clock.advance(LONGER_THAN_A_LEASE)
    scene.until_idle("anna")

    [activity_id] = scene.activity_ids()
    assert scene.activity(activity_id).record.owner == OwnerRef(OwnerKind.USER, OwnerId("user-anna"))
    [item] = scene.ledger().values()
    assert (item.verdict, item.activity_id) == (Verdict.PROMOTED, activity_id)


def test_listings_after_a_crash_follow_what_was_stored_not_what_would_be_stored_now() -> None:
    scene = Scene()
    scene.anna.deliver(a_message("Offer", cc=["ben@contoso.example"]))
    scene.fail_at_first("timeline.put", Fault.DEATH_BEFORE)
    assert scene.attempt() is None

    ben = scene.stores.owners.get(OwnerKind.USER, OwnerId("user-ben"))
    assert ben is not None
    scene.stores.owners.replace(replace(ben.record, address="benjamin@contoso.example"), ben.etag)
    scene.clock.advance(LONGER_THAN_A_LEASE)
    scene.until_idle("anna")
    [entry] = scene.stores.timeline.list(ListOf.PARTY, "user:user-ben").items
    assert [entry.activity_id] == scene.activity_ids()


def test_the_first_decision_about_a_variant_stands_too() -> None:
    scene = Scene()
    scene.anna.deliver(a_message("Report one", message_id="constant@example"))
    scene.until_idle("anna")
    scene.anna.deliver(a_message("Report two", message_id="constant@example"))
    scene.fail_at_first("activities.mark_variants", Fault.DEATH_BEFORE)
    assert scene.attempt() is None

    mailbox = scene.stored_mailbox()
    later = replace(mailbox.record, process_email_received_after=MONDAY + timedelta(days=1))
    scene.stores.mailboxes.replace(later, mailbox.etag, {})
    scene.clock.advance(LONGER_THAN_A_LEASE)
    scene.until_idle("anna")
    assert scene.subjects() == ["Report one", "Report two"]
    assert all(scene.activity(activity_id).record.has_variants for activity_id in scene.activity_ids())


def test_mail_before_the_start_date_stays_out_after_a_crash_though_its_message_id_is_stored() -> None:
    scene = Scene()
    scene.anna.deliver(a_message("Ancient", message_id="constant@example", received=MONDAY - timedelta(days=99)))
    scene.anna.deliver(a_message("Report", message_id="constant@example"))
    scene.fail_at_first("timeline.put", Fault.DEATH_BEFORE)
    assert scene.attempt() is None
    scene.clock.advance(LONGER_THAN_A_LEASE)
    scene.until_idle("anna")
    assert scene.subjects() == ["Report"]


def test_mail_that_nobody_promoted_before_is_judged_by_the_new_rules_after_a_crash() -> None:
    scene = Scene()
    scene.anna.deliver(a_message("Offer"))
    scene.fail_at_first("activities.create", Fault.DEATH_BEFORE)
    assert scene.attempt() is None

    mailbox = scene.stored_mailbox()
    later = replace(mailbox.record, process_email_received_after=MONDAY + timedelta(days=1))
    scene.stores.mailboxes.replace(later, mailbox.etag, {})
    scene.clock.advance(LONGER_THAN_A_LEASE)
    scene.until_idle("anna")
    assert scene.subjects() == []
    assert scene.ledger() == {}


def test_a_takeover_that_fails_before_the_page_does_not_forget_that_the_page_is_half_done() -> None:
    """The first decision stands even if the run after the crash fails before it reads the page again."""
    scene = Scene()
    bad = scene.anna.deliver(a_message("Bad"))
    scene.anna.unreadable[bad.id] = ItemUnreadable("broken")
    scene.run()
    scene.anna.deliver(a_message("Offer"))
    scene.fail_at_first("timeline.put", Fault.DEATH_BEFORE)
    assert scene.attempt() is None
    scene.clock.advance(timedelta(minutes=15))
    scene.anna.fetching_fails[bad.id] = [Unreachable("while it was retried")]
    assert scene.attempt() is RunOutcome.FAILED

    mailbox = scene.stored_mailbox()
    later = replace(mailbox.record, process_email_received_after=MONDAY + timedelta(days=1))
    scene.stores.mailboxes.replace(later, mailbox.etag, {})
    scene.until_idle("anna")
    assert scene.subjects() == ["Offer"]
    assert scene.verdicts() == sorted([Verdict.FAILING, Verdict.PROMOTED])


# ---- one Message-ID, different content


def test_messages_with_a_constant_message_id_are_kept_apart() -> None:
    scene = Scene()
    for number in range(3):
        scene.anna.deliver(a_message(f"Report {number}", message_id="constant@example"))
    scene.until_idle("anna")
    assert scene.subjects() == ["Report 0", "Report 1", "Report 2"]
    records = [scene.activity(activity_id).record for activity_id in scene.activity_ids()]
    [original] = [record for record in records if record.variant_of is None]
    assert {record.variant_of for record in records} == {None, original.id}
    assert all(record.has_variants for record in records)


@pytest.mark.parametrize("forged_first", [True, False])
def test_a_forged_copy_suppresses_and_replaces_nothing(forged_first: bool) -> None:
    genuine = a_message("Invoice", message_id="invoice@example", body_text="Pay to account 1", attachments=[b"genuine"])
    forged = a_message("Invoice", message_id="invoice@example", body_text="Pay to account 2", attachments=[b"forged"])
    scene = Scene()
    scene.anna.deliver(forged if forged_first else genuine)
    scene.until_idle("anna")
    scene.anna.deliver(genuine if forged_first else forged)
    scene.until_idle("anna")

    contents = [scene.content(activity_id) for activity_id in scene.activity_ids()]
    assert {content.body_text for content in contents} == {"Pay to account 1", "Pay to account 2"}
    for content in contents:
        expected = b"genuine" if content.body_text.endswith("1") else b"forged"
        assert b"".join(scene.stores.blobs.read(content.attachments[0].blob)) == expected
    assert all(scene.activity(activity_id).record.has_variants for activity_id in scene.activity_ids())


def test_the_same_message_twice_in_one_mailbox_is_one_activity_and_two_items() -> None:
    scene = Scene()
    for _ in range(2):
        scene.anna.deliver(a_message("Offer"))
    scene.until_idle("anna")
    assert scene.subjects() == ["Offer"]
    assert [(item.verdict, item.reason) for item in scene.ledger().values()] == [(Verdict.PROMOTED, Reason.RELEVANT)] * 2
    assert len(scene.stores.activities.sightings(scene.activity_ids()[0])) == 1
