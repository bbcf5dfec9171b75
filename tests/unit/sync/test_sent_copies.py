"""Copies of what was sent from here come back through mailboxes: each is the email itself, and no other one."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.choices import (
    ActivityState,
    CorrelationMethod,
    Direction,
    EmailStatus,
    OwnerKind,
    ParticipationType,
    Priority,
    SenderOrigin,
    Verdict,
)
from shared.domain.configuration import OwnerRef
from shared.domain.delivery import Delivery
from shared.domain.email import EmailActivity, EmailContent, IncomingMessage, NewEmail, Party, Sighting
from shared.domain.folders import SENT_ITEMS
from shared.domain.ids import OwnerId, email_id
from shared.domain.organisation import InternalMail, OrganisationSettings
from shared.sync.correlation import entries_of
from tests.builders import MONDAY, a_mailbox, a_message
from tests.unit.sync.scene import Scene

MESSAGE_ID = "offer-from-here@contoso.example"
ACTIVITY = email_id(MESSAGE_ID, Direction.OUTGOING)
SENT_ON = MONDAY - timedelta(minutes=5)


def sent_from_here(status: EmailStatus = EmailStatus.SENT) -> NewEmail:
    anna = a_mailbox("anna")
    parties = (
        Party(ParticipationType.SENDER, anna.address, anna.name),
        Party(ParticipationType.TO, "carol@fabrikam.example"),
        Party(ParticipationType.TO, "ben@contoso.example"),
    )
    activity = EmailActivity(
        id=ACTIVITY,
        fingerprint="",
        content_id=ACTIVITY,
        direction=Direction.OUTGOING,
        state=ActivityState.COMPLETED,
        status=status,
        subject="Offer",
        sender=anna.address,
        received=SENT_ON,
        created_on=SENT_ON,
        owner=OwnerRef(OwnerKind.USER, OwnerId("user-anna")),
        receiving_mailbox=anna.id,
        conversation=ACTIVITY,
        delivery=Delivery(anna.id, sent_on=SENT_ON),
    )
    content = EmailContent(
        "Offer", MESSAGE_ID, None, (), parties, None, SENT_ON, Priority.NORMAL, "<p>As we said.</p>", "", (), None
    )
    return NewEmail(activity, content, Sighting(ACTIVITY, anna.id, SENT_ON, ""))


def a_copy(**changes: Any) -> IncomingMessage:
    """As servers hand it out: with a text of their own making, and the Date of its transport."""
    how: dict[str, Any] = {"message_id": MESSAGE_ID, "sender": "anna@contoso.example", "body_text": "As we said."}
    return a_message("Offer", **how, to=["carol@fabrikam.example", "ben@contoso.example"], **changes)


def a_scene(*, status: EmailStatus = EmailStatus.SENT, internal_mail: InternalMail = InternalMail.SKIP) -> Scene:
    scene = Scene()
    scene.stores.settings.put(OrganisationSettings(track_sent_items=True, internal_mail=internal_mail), None)
    scene.stores.activities.create([sent_from_here(status)])
    return scene


def test_the_copy_in_sent_items_is_the_email_itself() -> None:
    scene = a_scene()
    scene.anna.deliver(a_copy(), SENT_ITEMS, is_own_copy=False)
    scene.until_idle("anna")
    [item] = scene.ledger().values()
    assert (item.verdict, item.activity_id) == (Verdict.PROMOTED, ACTIVITY)
    stored = scene.activity(ACTIVITY).record
    assert (stored.status, stored.has_variants) == (EmailStatus.SENT, False)
    assert scene.activity_ids() == [ACTIVITY]
    assert scene.content(ACTIVITY).body_html == "<p>As we said.</p>"


def test_a_colleagues_copy_is_the_email_itself_where_internal_mail_is_one_activity() -> None:
    scene = a_scene(internal_mail=InternalMail.ONE_ACTIVITY)
    scene.ben.deliver(a_copy(sender_origin=SenderOrigin.INTERNAL))
    scene.until_idle("ben")
    assert scene.activity_ids("ben") == [ACTIVITY]
    assert not scene.activity(ACTIVITY).record.has_variants


def test_what_somebody_else_sends_under_the_same_message_id_is_another_email() -> None:
    scene = a_scene(internal_mail=InternalMail.ONE_ACTIVITY)
    scene.anna.deliver(replace(a_copy(), sender=None), SENT_ITEMS, is_own_copy=False)
    scene.until_idle("anna")
    [item] = scene.ledger().values()
    assert item.activity_id != ACTIVITY


@pytest.mark.parametrize("status", [EmailStatus.PENDING_SEND, EmailStatus.SENDING])
def test_a_copy_that_comes_before_the_receipt_is_read_again_after_it(status: EmailStatus) -> None:
    scene = a_scene(status=status)
    scene.anna.deliver(a_copy(), SENT_ITEMS, is_own_copy=False)
    scene.until_idle("anna")
    [item] = scene.ledger().values()
    assert (item.verdict, item.error) == (Verdict.FAILING, "being_sent")
    assert scene.activity_ids() == []

    stored = scene.activity(ACTIVITY)
    scene.stores.activities.replace(replace(stored.record, status=EmailStatus.SENT), stored.etag)
    scene.until_nothing_is_left()
    [item] = scene.ledger().values()
    assert (item.verdict, item.activity_id) == (Verdict.PROMOTED, ACTIVITY)
    assert scene.activity_ids() == [ACTIVITY]


def test_a_copy_waits_as_long_as_the_email_is_put_off_and_is_never_given_up_for_it() -> None:
    scene = a_scene(status=EmailStatus.PENDING_SEND)
    scene.anna.deliver(a_copy(), SENT_ITEMS, is_own_copy=False)
    for _ in range(40):
        scene.until_idle("anna")
        scene.clock.advance(timedelta(minutes=15))
    [item] = scene.ledger().values()
    assert (item.verdict, item.error) == (Verdict.FAILING, "being_sent")

    stored = scene.activity(ACTIVITY)
    scene.stores.activities.replace(replace(stored.record, status=EmailStatus.SENT), stored.etag)
    scene.until_nothing_is_left()
    [item] = scene.ledger().values()
    assert (item.verdict, item.activity_id) == (Verdict.PROMOTED, ACTIVITY)


@pytest.mark.parametrize(("behind", "method"), [(1, CorrelationMethod.TRACKING_TOKEN), (600, CorrelationMethod.NONE)])
def test_an_answer_is_found_by_its_token_though_its_servers_clock_is_behind(behind: int, method: CorrelationMethod) -> None:
    scene = a_scene()
    subject = "Offer SYNC:0000042"
    email = sent_from_here()
    content = replace(email.content, subject=subject)
    scene.stores.correlations.put(entries_of(email.activity, content, OrganisationSettings()))
    received = SENT_ON - timedelta(seconds=behind)
    scene.anna.deliver(a_message(f"RE: {subject}", received=received))
    scene.until_idle("anna")
    [answer] = [scene.activity(each).record for each in scene.activity_ids() if each != ACTIVITY]
    assert answer.correlation_method is method


def test_an_answer_continues_what_was_sent_from_here() -> None:
    scene = a_scene()
    scene.anna.deliver(a_message("RE: Offer", in_reply_to=MESSAGE_ID))
    scene.until_idle("anna")
    [answer] = [scene.activity(each).record for each in scene.activity_ids() if each != ACTIVITY]
    assert (answer.correlated_to, answer.conversation) == (ACTIVITY, ACTIVITY)
