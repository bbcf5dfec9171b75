"""Explain: every message has an answer, also one that left no trace."""

from datetime import timedelta
from typing import Any

import pytest

from shared.administration.explanation import Explanation
from shared.administration.failures import RecordNotFound
from shared.domain import words
from shared.domain.choices import (
    CorrelationMethod,
    Direction,
    IncomingFilteringMethod,
    OwnerKind,
    Reason,
    Verdict,
    Workload,
)
from shared.domain.configuration import Breaker, OwnerRef, StoredMailbox
from shared.domain.email import ItemRef, OptOut
from shared.domain.ids import ActivityId, MailboxId, OwnerId, RunId, email_id, variant_id
from shared.domain.judgement import Correlation, CorrelationTry, Judgement, TryOutcome, Vote
from shared.domain.ledger import LedgerCommit, LedgerItem, Mark, RunState, Todo, TodoKind, item_key
from shared.domain.operations import QuarantinedItem
from shared.domain.records import FolderTrackingRule
from tests.builders import MONDAY
from tests.unit.administration.emails import MESSAGE_ID, an_email
from tests.unit.administration.office import Office


@pytest.fixture
def mailbox(office: Office) -> StoredMailbox:
    office.has_profile(process_emails_received_after=MONDAY - timedelta(days=7))
    return office.has_mailbox_being_read()


def test_a_promoted_message_is_told_with_its_activity_and_the_mailboxes_that_saw_it(
    office: Office, mailbox: StoredMailbox
) -> None:
    activity_id = _stored(office, mailbox.record.id)
    _decided(office, mailbox, Verdict.PROMOTED, Reason.RELEVANT, activity_id=activity_id)

    explanation = office.administration.explanations.of_message(mailbox.record.id, f" <{MESSAGE_ID}> ")

    (item,) = explanation.items
    assert (item.verdict, item.reason, item.activity_id, item.run_id) == (
        Verdict.PROMOTED,
        Reason.RELEVANT,
        activity_id,
        RunId("run-1"),
    )
    assert explanation.summary == words.explain(Verdict.PROMOTED, Reason.RELEVANT)
    assert [each.id for each in explanation.activities] == [activity_id]
    assert [each.mailbox_id for each in explanation.activities[0].sightings] == [mailbox.record.id]
    assert explanation.causes == ()


def test_an_activity_is_explained_by_its_own_id_too(office: Office, mailbox: StoredMailbox) -> None:
    activity_id = _stored(office, mailbox.record.id)
    _decided(office, mailbox, Verdict.PROMOTED, Reason.RELEVANT, activity_id=activity_id)

    by_activity = office.administration.explanations.of_activity(mailbox.record.id, activity_id)

    assert by_activity == office.administration.explanations.of_message(mailbox.record.id, MESSAGE_ID)


def test_a_message_without_message_id_is_found_by_its_activity(office: Office, mailbox: StoredMailbox) -> None:
    activity_id = _stored(office, mailbox.record.id, message_id=None)
    _decided(office, mailbox, Verdict.PROMOTED, Reason.RELEVANT, activity_id=activity_id, message_id=None)

    explanation = office.administration.explanations.of_activity(mailbox.record.id, activity_id)

    assert [item.activity_id for item in explanation.items] == [activity_id]


@pytest.mark.parametrize("reason", [Reason.MEETING_MESSAGE, Reason.INTERNAL_SENDER, Reason.TOO_LARGE, Reason.DRAFT])
def test_a_skipped_message_is_told_with_the_reason(office: Office, mailbox: StoredMailbox, reason: Reason) -> None:
    _decided(office, mailbox, Verdict.SKIPPED, reason)

    explanation = _explained(office, mailbox)

    assert words.REASONS[reason] in explanation.summary
    assert explanation.activities == ()


def test_a_failing_message_is_told_with_its_error_and_its_next_attempt(office: Office, mailbox: StoredMailbox) -> None:
    _decided(office, mailbox, Verdict.FAILING, Reason.UNREADABLE, attempts=2, error="item_unreadable", retry=True)

    (item,) = _explained(office, mailbox).items

    assert (item.attempts, item.error, item.next_attempt) == (2, "item_unreadable", MONDAY + timedelta(minutes=15))


def test_copies_of_a_message_are_all_told_latest_last(office: Office, mailbox: StoredMailbox) -> None:
    etag = _decided(office, mailbox, Verdict.PROMOTED, Reason.RELEVANT)
    _decided(office, mailbox, Verdict.SKIPPED, Reason.TOO_LARGE, server_id="copy", minutes=5, etag=etag)

    explanation = _explained(office, mailbox)

    assert [item.verdict for item in explanation.items] == [Verdict.PROMOTED, Verdict.SKIPPED]
    assert "2 copies" in explanation.summary


def test_messages_of_different_content_are_no_copies_and_each_is_explained_by_its_activity(
    office: Office, mailbox: StoredMailbox
) -> None:
    first, variant = _stored(office, mailbox.record.id), variant_id(MESSAGE_ID, Direction.INCOMING, "other content")
    office.stores.activities.create([an_email(variant, mailbox.record.id)])
    etag = _decided(office, mailbox, Verdict.PROMOTED, Reason.RELEVANT, activity_id=first)
    _decided(
        office,
        mailbox,
        Verdict.PROMOTED,
        Reason.SENDER_CLAIMS_OWN_ADDRESS,
        activity_id=variant,
        server_id="copy",
        minutes=5,
        etag=etag,
    )

    by_activity = office.administration.explanations.of_activity(mailbox.record.id, first)

    assert "different content" in _explained(office, mailbox).summary
    assert [item.activity_id for item in by_activity.items] == [first]
    assert by_activity.summary == words.explain(Verdict.PROMOTED, Reason.RELEVANT)


def test_a_message_that_came_through_another_mailbox_only_is_told_so(office: Office, mailbox: StoredMailbox) -> None:
    other = office.has_user("bruno").record.id
    activity_id = _stored(office, other)

    explanation = _explained(office, mailbox)

    assert explanation.items == ()
    assert [each.id for each in explanation.activities] == [activity_id]
    assert any("another mailbox" in cause for cause in explanation.causes)


def test_without_a_trace_the_start_date_is_a_cause(office: Office, mailbox: StoredMailbox) -> None:
    assert any("Mail received before 2026-11-16T08:00:00Z is not read" in cause for cause in _explained(office, mailbox).causes)


def test_without_a_start_date_the_day_it_was_enabled_is_a_cause(office: Office) -> None:
    office.has_profile()
    mailbox = office.has_mailbox_being_read()

    assert any("before 2026-11-23T08:00:00Z" in cause for cause in _explained(office, mailbox).causes)


def test_a_mailbox_that_was_never_read_is_a_cause(office: Office, mailbox: StoredMailbox) -> None:
    causes = _explained(office, mailbox).causes

    assert any("has not been read yet" in cause for cause in causes)
    assert any("is read next at 2026-11-23T08:00:00Z" in cause for cause in causes)


def test_a_first_listing_that_is_still_going_on_is_a_cause(office: Office, mailbox: StoredMailbox) -> None:
    office.has_schedule(last_run_on=MONDAY)
    mark = Mark("inbox", "source", "watermark", caught_up=False)
    office.stores.ledger.commit(mailbox.record.id, Workload.INCOMING, None, LedgerCommit(RunState("1"), marks=(mark,)))

    assert any("older mail is still to come" in cause for cause in _explained(office, mailbox).causes)


def test_a_mailbox_that_has_caught_up_is_no_cause(office: Office, mailbox: StoredMailbox) -> None:
    office.has_schedule(last_run_on=MONDAY)
    mark = Mark("inbox", "source", "watermark", caught_up=True)
    office.stores.ledger.commit(mailbox.record.id, Workload.INCOMING, None, LedgerCommit(RunState("1"), marks=(mark,)))

    causes = _explained(office, mailbox).causes

    assert not any("first time" in cause or "not been read yet" in cause for cause in causes)
    assert "Only the Inbox, folders with a tracking rule" in causes[-1]


def test_a_mailbox_that_may_not_run_is_the_first_cause_with_its_remedy(office: Office, mailbox: StoredMailbox) -> None:
    office.changes(mailbox.record.id, active=False)

    first = _explained(office, mailbox).causes[0]

    assert words.INELIGIBLE["mailbox_inactive"] in first  # type: ignore[index]  # a StrEnum's value is its key
    assert "Activate the mailbox" in first


def test_a_failed_run_is_a_cause(office: Office, mailbox: StoredMailbox) -> None:
    breaker = Breaker("access_denied", MONDAY, MONDAY + timedelta(hours=1))
    office.has_schedule(due=breaker.probe_after, breaker=breaker, last_run_on=MONDAY, last_error="access_denied")

    causes = _explained(office, mailbox).causes

    assert any(words.cause_of("access_denied") in cause for cause in causes)


def test_what_is_not_there_is_not_found(office: Office, mailbox: StoredMailbox) -> None:
    nowhere = "00000000-0000-4000-8000-000000000000"
    with pytest.raises(RecordNotFound, match="mailbox"):
        office.administration.explanations.of_message(MailboxId(nowhere), MESSAGE_ID)
    with pytest.raises(RecordNotFound, match="activity"):
        office.administration.explanations.of_activity(mailbox.record.id, ActivityId(nowhere))


def test_every_reason_and_verdict_has_words() -> None:
    assert all(words.explain(verdict, reason) for verdict in Verdict for reason in Reason)


# ---- how it was judged

ANNA = OwnerRef(OwnerKind.USER, OwnerId("anna"))
ORIGINAL = ActivityId("0a" * 16)


def test_votes_correlation_acceptance_and_queues_are_told_in_sentences(office: Office, mailbox: StoredMailbox) -> None:
    vote = Vote(ANNA, IncomingFilteringMethod.RESPONSES, accepts=True, reason=Reason.RESPONSE)
    attempt = CorrelationTry(CorrelationMethod.IN_REPLY_TO, TryOutcome.MATCHED, ORIGINAL)
    correlation = Correlation(CorrelationMethod.IN_REPLY_TO, ORIGINAL, ORIGINAL, tried=(attempt,))
    judgement = Judgement(
        Verdict.PROMOTED,
        Reason.RESPONSE,
        (vote,),
        correlation,
        ANNA,
        (OwnerId("support"),),
        votes_left_out=3,
        recipients_left_out=41,
    )
    _decided(office, mailbox, Verdict.PROMOTED, Reason.RESPONSE, judgement=judgement)

    (item,) = _explained(office, mailbox).items

    assert (item.votes, item.correlation) == ((words.told(vote),), (words.told_try(attempt),))
    assert (item.continues, item.accepted_by, item.queues) == (ORIGINAL, ANNA, ("support",))
    assert item.story == (
        words.explain(Verdict.PROMOTED, Reason.RESPONSE),
        "User anna accepts answers to emails that are activities: yes. It answers an email that is an activity already.",
        "3 more users and queues were asked; there is no room for their answers.",
        "41 more recipients were not looked up: it was judged by the first ones.",
        words.told_try(attempt),
        "It was accepted for user anna.",
        "It became an item of the queue support.",
    )


@pytest.mark.parametrize("is_there", [True, False])
def test_the_rule_that_decided_is_told_by_the_name_of_its_folder(
    office: Office, mailbox: StoredMailbox, is_there: bool
) -> None:
    if is_there:
        office.stores.tracking_rules.put(FolderTrackingRule(mailbox.record.id, "AAMk=", "Projects"), None)
    judgement = Judgement(Verdict.PROMOTED, Reason.FOLDER_RULE, rule="AAMk=")
    _decided(office, mailbox, Verdict.PROMOTED, Reason.FOLDER_RULE, judgement=judgement)

    (item,) = _explained(office, mailbox).items

    assert item.rule == "AAMk="
    assert ("The tracking rule of the folder Projects decided." in item.story) == is_there
    assert ("The tracking rule that decided does not exist any more." in item.story) != is_there


def test_a_conversation_that_was_left_out_is_told_with_who_said_so(office: Office, mailbox: StoredMailbox) -> None:
    office.stores.correlations.opt_out(OptOut(ORIGINAL, "ada@contoso.example", MONDAY))
    correlation = Correlation(CorrelationMethod.SKIPPED, None, ORIGINAL, opted_out=True)
    judgement = Judgement(Verdict.SKIPPED, Reason.OPTED_OUT, correlation=correlation)
    _decided(office, mailbox, Verdict.SKIPPED, Reason.OPTED_OUT, judgement=judgement)

    (item,) = _explained(office, mailbox).items

    assert "ada@contoso.example said on 2026-11-23T08:00:00Z that this conversation is not tracked any more." in item.story


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (
            Correlation(CorrelationMethod.IN_REPLY_TO, ORIGINAL, ORIGINAL, afterwards=True),
            f"It was joined to its conversation afterwards: it continues email {ORIGINAL}, found by what it names as answered"
            " (In-Reply-To, References).",
        ),
        (
            Correlation(CorrelationMethod.SKIPPED, None, ORIGINAL, opted_out=True, afterwards=True),
            "The email that it answers was stored later; that belongs to a conversation that is not tracked any more.",
        ),
    ],
)
def test_what_was_found_only_afterwards_is_told_so(
    office: Office, mailbox: StoredMailbox, found: Correlation, told: str
) -> None:
    judgement = Judgement(Verdict.PROMOTED, Reason.RELEVANT, correlation=found)
    _decided(office, mailbox, Verdict.PROMOTED, Reason.RELEVANT, judgement=judgement)
    (item,) = _explained(office, mailbox).items
    assert told in item.story
    assert item.continues == found.activity_id


def test_what_remains_to_be_done_is_told_with_its_time(office: Office, mailbox: StoredMailbox) -> None:
    _decided(office, mailbox, Verdict.FAILING, Reason.UNREADABLE, attempts=1, retry=True)

    (item,) = _explained(office, mailbox).items

    assert [(todo.kind, todo.due) for todo in item.todos] == [(TodoKind.RETRY, MONDAY + timedelta(minutes=15))]
    assert item.story[-1] == "It is read again with the first run after 2026-11-23T08:15:00Z."


def test_what_is_in_quarantine_is_told_with_its_error_and_the_version_that_gave_up(
    office: Office, mailbox: StoredMailbox
) -> None:
    _decided(office, mailbox, Verdict.QUARANTINED, Reason.UNREADABLE, attempts=5, error="item_unreadable")
    ref = ItemRef("item-1", "inbox")
    key = item_key(MESSAGE_ID, ref)
    office.stores.quarantine.put(
        QuarantinedItem(
            mailbox.record.id, key, ref, MESSAGE_ID, MONDAY, None, "item_unreadable", "no such part", 5, "0.1.0", "raw"
        )
    )

    (item,) = _explained(office, mailbox).items

    assert item.quarantine == str(key)
    assert item.story[-1] == (
        "The message cannot be read. Version 0.1.0 of Sidesync gave it up on 2026-11-23T08:00:00Z after 5 attempts;"
        " its raw form is kept. no such part"
    )


@pytest.mark.parametrize(
    ("verdict", "reason", "was_judged"),
    [
        (Verdict.PROMOTED, Reason.RELEVANT, True),
        (Verdict.SKIPPED, Reason.NO_SENDER_MATCH, True),
        (Verdict.SKIPPED, Reason.UNTRACKED, False),
        (Verdict.SKIPPED, Reason.DRAFT, False),
        (Verdict.GONE, Reason.REMOVED_BEFORE_READ, False),
    ],
)
def test_a_decision_whose_judgement_was_removed_is_told_without_it(
    office: Office, mailbox: StoredMailbox, verdict: Verdict, reason: Reason, was_judged: bool
) -> None:
    _decided(office, mailbox, verdict, reason)

    (item,) = _explained(office, mailbox).items

    assert item.story[0] == words.explain(verdict, reason)
    assert ("How it was judged is not kept; the decision is." in item.story) == was_judged


def test_a_message_that_became_an_outgoing_activity_is_found_too(office: Office, mailbox: StoredMailbox) -> None:
    activity_id = email_id(MESSAGE_ID, Direction.OUTGOING)
    office.stores.activities.create([an_email(activity_id, mailbox.record.id)])
    office.stores.correlations.opt_out(OptOut(activity_id, "ada", MONDAY))

    (activity,) = _explained(office, mailbox).activities

    assert (activity.id, activity.opted_out_on) == (activity_id, MONDAY)


def _explained(office: Office, mailbox: StoredMailbox) -> Explanation:
    return office.administration.explanations.of_message(mailbox.record.id, MESSAGE_ID)


def _decided(
    office: Office,
    mailbox: StoredMailbox,
    verdict: Verdict,
    reason: Reason,
    *,
    message_id: str | None = MESSAGE_ID,
    server_id: str = "item-1",
    minutes: int = 0,
    retry: bool = False,
    etag: str | None = None,
    **fields: Any,
) -> str:
    """A run decided about the message."""
    ref = ItemRef(server_id, "inbox")
    item = LedgerItem(
        key=item_key(message_id, ref),
        ref=ref,
        message_id=message_id,
        received=MONDAY - timedelta(hours=1),
        size=2000,
        verdict=verdict,
        reason=reason,
        decided_on=MONDAY + timedelta(minutes=minutes),
        run_id=RunId("run-1"),
        **fields,
    )
    todos = (Todo(TodoKind.RETRY, MONDAY + timedelta(minutes=15), item),) if retry else ()
    commit = LedgerCommit(RunState("nonce"), items=(item,), todos=todos)
    return office.stores.ledger.commit(mailbox.record.id, Workload.INCOMING, etag, commit)


def _stored(office: Office, mailbox_id: MailboxId, message_id: str | None = MESSAGE_ID) -> ActivityId:
    """The message is an activity that came through this mailbox."""
    activity_id = email_id(message_id or "fingerprint", Direction.INCOMING)
    office.stores.activities.create([an_email(activity_id, mailbox_id, message_id=message_id)])
    return activity_id
