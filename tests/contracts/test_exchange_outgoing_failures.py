"""What Exchange can answer instead of sending, whose affair that is, and that no failure sends an email twice or never."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta

import pytest

from shared.connectors.connect import Connect
from shared.connectors.exchange.errors import QUOTA_WAIT, SendingBlocked
from shared.domain.errors import (
    AccessDenied,
    AuthenticationFailed,
    Busy,
    DeliveryError,
    DeliveryPostponed,
    DeliveryRefused,
    DeliveryUnknown,
    EmailTooLarge,
    MailboxNotFound,
    NotGiven,
    RecipientsRefused,
    SendAsDenied,
    SendingQuotaSpent,
    SyncError,
    Throttled,
    TransientError,
    Unreachable,
)
from shared.domain.outgoing import Receipt
from tests.contracts.exchange_mailboxes import ServedByExchange, Symptoms, a_profile, failure
from tests.contracts.exchange_outgoing import Outbound, opened
from tests.unit.connectors.outgoing_messages import an_attachment


@pytest.fixture
def outbound(connect: Connect, served: ServedByExchange) -> Iterator[Outbound]:
    with opened(connect, served, a_profile(served.server.ews_url)) as found:
        yield found


def id_of(number: int) -> str:
    return f"<k{number}@contoso.example>"


OF_ONE_EMAIL: list[tuple[str, type[DeliveryError], timedelta | None]] = [
    ("ErrorSendAsDenied", SendAsDenied, None),
    ("ErrorInvalidRecipients", RecipientsRefused, None),
    ("ErrorMissingRecipients", RecipientsRefused, None),
    ("ErrorMessageSizeExceeded", EmailTooLarge, None),
    ("ErrorAttachmentSizeLimitExceeded", EmailTooLarge, None),
    ("ErrorQuotaExceeded", DeliveryPostponed, QUOTA_WAIT),
    ("ErrorInternalServerError", DeliveryPostponed, None),
    ("ErrorItemSave", DeliveryPostponed, None),
    ("ErrorAccessDenied", DeliveryRefused, None),
    ("ErrorCorruptData", DeliveryRefused, None),
    ("ErrorInvalidRequest", DeliveryRefused, None),
    ("ErrorSubmissionQuotaExceeded", DeliveryPostponed, QUOTA_WAIT),
    ("ErrorMessageSubmissionBlocked", DeliveryPostponed, None),
    ("ErrorOfTheNextVersion", DeliveryRefused, None),
]


@pytest.mark.parametrize(("code", "expected", "wait"), OF_ONE_EMAIL)
@pytest.mark.parametrize("operation", ["CreateItem", "SendItem"])
def test_what_is_wrong_with_one_email_costs_the_others_nothing(
    outbound: Outbound, operation: str, code: str, expected: type[DeliveryError], wait: timedelta | None
) -> None:
    outbound.fault("unwritable_item", operation=operation, item=id_of(2), code=code, text="in the server's  own words")
    outcomes: list[object] = list(outbound.drafting.prepare(outbound.messages(5)))
    good = [outcome for outcome in outcomes if isinstance(outcome, str)]
    if operation == "SendItem":
        outcomes = list(outbound.drafting.submit(good, save_copy=True))
    assert [place for place, outcome in enumerate(outcomes) if isinstance(outcome, DeliveryError)] == [2]
    error = outcomes[2]
    assert type(error) is expected
    assert code in str(error)
    if isinstance(error, DeliveryRefused) and code != "ErrorAccessDenied":
        assert "in the server's own words" in str(error)
    if isinstance(error, DeliveryPostponed):
        assert error.retry_after == wait


@pytest.mark.parametrize(("code", "expected"), [each[:2] for each in OF_ONE_EMAIL[:-3]])
def test_an_email_that_is_alone_in_its_request_is_no_affair_of_the_mailbox(
    outbound: Outbound, code: str, expected: type[DeliveryError]
) -> None:
    outbound.fault("unwritable_item", operation="SendItem", code=code)
    (error,) = outbound.drafting.submit(outbound.prepared(outbound.messages(1)), save_copy=True)
    assert type(error) is expected


OF_EVERYBODY: list[tuple[str, type[SyncError], timedelta | None]] = [
    ("ErrorServerBusy", Throttled, None),
    ("ErrorSubmissionQuotaExceeded", SendingQuotaSpent, QUOTA_WAIT),
    ("ErrorExceededMessageLimit", SendingQuotaSpent, QUOTA_WAIT),
    ("ErrorMessageSubmissionBlocked", SendingBlocked, None),
]


@pytest.mark.parametrize(("code", "expected", "wait"), OF_EVERYBODY)
@pytest.mark.parametrize("operation", ["CreateItem", "SendItem"])
@pytest.mark.parametrize("count", [1, 3])
def test_what_every_email_would_be_told_is_no_emails_error(
    outbound: Outbound, operation: str, code: str, expected: type[SyncError], wait: timedelta | None, count: int
) -> None:
    outbound.fault("unwritable_item", operation=operation, code=code)
    error = failure(lambda: outbound.drafting.submit(outbound.prepared(outbound.messages(count)), save_copy=True))
    assert type(error) is expected
    if isinstance(error, TransientError):
        assert error.retry_after == wait
    assert outbound.accepted() == []


@pytest.mark.parametrize(
    ("code", "expected"),
    [("ErrorMailboxStoreUnavailable", Busy), ("ErrorAccessDenied", AccessDenied), ("ErrorNonExistentMailbox", MailboxNotFound)],
)
@pytest.mark.parametrize("operation", ["CreateItem", "SendItem"])
def test_a_mailbox_that_is_closed_altogether_is_no_emails_error(
    outbound: Outbound, operation: str, code: str, expected: type[SyncError]
) -> None:
    outbound.fault("error", operation=operation, code=code)
    outbound.fault("error", operation="GetFolder", code=code)
    error = failure(lambda: outbound.drafting.submit(outbound.prepared(outbound.messages(3)), save_copy=True))
    assert isinstance(error, expected)


@pytest.mark.parametrize("operation", ["CreateItem", "SendItem"])
def test_what_several_are_denied_alike_is_no_emails_error(outbound: Outbound, operation: str) -> None:
    outbound.fault("unwritable_item", operation=operation, code="ErrorAccessDenied")
    error = failure(lambda: outbound.drafting.submit(outbound.prepared(outbound.messages(3)), save_copy=True))
    assert isinstance(error, AccessDenied)


@pytest.mark.parametrize("operation", ["CreateItem", "SendItem"])
def test_a_folder_that_is_not_there_or_not_shown_is_no_emails_error(outbound: Outbound, operation: str) -> None:
    drafts = outbound.prepared(outbound.messages(1)) if operation == "SendItem" else []
    outbound.fault("folder_gone", operation=operation)
    error = failure(lambda: outbound.drafting.submit(drafts or outbound.prepared(outbound.messages(1)), save_copy=True))
    assert isinstance(error, AccessDenied)


WHOLE_REQUESTS: list[tuple[str, Symptoms, type[SyncError], float | None]] = [
    ("server_busy", {"seconds": 297.7}, Throttled, 297.7),
    ("soap_fault", {"code": "ErrorSubmissionQuotaExceeded"}, SendingQuotaSpent, 3600),
    ("too_many_requests", {"seconds": 30}, Throttled, 30),
    ("unavailable", {}, Busy, None),
    ("unauthorized", {}, AuthenticationFailed, None),
    ("forbidden", {}, AccessDenied, None),
    ("connection_reset", {}, Unreachable, None),
    ("reply_lost", {}, Unreachable, None),
    ("truncated_reply", {}, Unreachable, None),
    ("nonsense_reply", {}, Unreachable, None),
]


def given(outcomes: Sequence[object]) -> None:
    """Raises why the server was given nothing, where it says so email by email."""
    for outcome in outcomes:
        if isinstance(outcome, NotGiven) and outcome.__cause__ is not None:
            raise outcome.__cause__


@pytest.mark.parametrize(("kind", "how", "expected", "wait"), WHOLE_REQUESTS)
@pytest.mark.parametrize("call", ["prepare", "submit", "find", "withdraw", "check"])
def test_a_failed_request_says_what_the_run_does_next(
    outbound: Outbound, call: str, kind: str, how: Symptoms, expected: type[SyncError], wait: float | None
) -> None:
    drafts = outbound.prepared(outbound.messages(2))
    calls: dict[str, Callable[[], object]] = {
        "prepare": lambda: outbound.drafting.prepare(outbound.messages(2)),
        "submit": lambda: given(outbound.drafting.submit(drafts, save_copy=True)),
        "find": lambda: outbound.drafting.find(drafts),
        "withdraw": lambda: outbound.drafting.withdraw(["k0"]),
        "check": outbound.drafting.check,
    }
    before = len(outbound.asked())
    outbound.fault(kind, **how)
    error = failure(calls[call])
    assert isinstance(error, expected)
    assert len(outbound.asked()) <= before + 1, "a failure is not repeated"
    if isinstance(error, TransientError):
        assert error.retry_after == (None if wait is None else timedelta(seconds=wait))


# ---- nothing twice, nothing lost


def test_a_reply_that_is_lost_after_sending_is_settled_by_looking(outbound: Outbound) -> None:
    drafts = outbound.prepared(outbound.messages(3))
    outbound.fault("reply_lost", operation="SendItem", count=1)
    assert isinstance(failure(lambda: outbound.drafting.submit(drafts, save_copy=True)), TransientError)
    assert outbound.drafting.find(drafts) == [None, None, None]
    assert len(outbound.accepted()) == 3


def test_a_connection_that_breaks_between_two_is_settled_by_looking(outbound: Outbound) -> None:
    drafts = outbound.prepared(outbound.messages(4))
    outbound.fault("breaks_off", operation="SendItem", item=id_of(2), count=1)
    assert isinstance(failure(lambda: outbound.drafting.submit(drafts, save_copy=True)), TransientError)
    present = outbound.drafting.find(drafts)
    assert present == [None, None, drafts[2], drafts[3]]
    outbound.drafting.submit([each for each in present if each], save_copy=True)
    assert outbound.accepted() == [f"k{number}@contoso.example" for number in range(4)]
    assert (outbound.drafts, outbound.copies) == (0, 4)


@pytest.mark.parametrize("kind", ["reply_lost", "breaks_off", "truncated_reply"])
def test_drafts_that_nobody_knows_are_withdrawn_and_made_anew(outbound: Outbound, kind: str) -> None:
    messages = outbound.messages(4)
    outbound.fault(kind, operation="CreateItem", count=1, item=id_of(2) if kind == "breaks_off" else None)
    assert isinstance(failure(lambda: outbound.drafting.prepare(messages)), TransientError)
    assert outbound.drafts > 0
    outbound.drafting.withdraw([message.key for message in messages])
    assert outbound.drafts == 0
    outbound.send(*messages)
    assert outbound.accepted() == [message.message_id for message in messages]


@pytest.mark.parametrize("operation", ["CreateItem", "SendItem"])
def test_a_server_that_stops_within_a_request_is_asked_for_the_rest(outbound: Outbound, operation: str) -> None:
    outbound.fault("unwritable_item", operation=operation, item=id_of(2), code="ErrorBatchProcessingStopped", count=1)
    outbound.send(*outbound.messages(5))
    assert outbound.asked().count(operation) == 2
    assert sorted(outbound.accepted()) == [f"k{number}@contoso.example" for number in range(5)]
    assert outbound.drafts == 0


def test_what_a_server_leaves_out_because_of_the_quota_is_not_asked_again(outbound: Outbound) -> None:
    drafts = outbound.prepared(outbound.messages(5))
    outbound.fault("unwritable_item", operation="SendItem", item=id_of(1), code="ErrorSubmissionQuotaExceeded")
    for number in range(2, 5):
        outbound.fault("unwritable_item", operation="SendItem", item=id_of(number), code="ErrorBatchProcessingStopped")
    outcomes = outbound.drafting.submit(drafts, save_copy=True)
    assert outcomes[0] == Receipt()
    assert [outcome.retry_after for outcome in outcomes[1:] if isinstance(outcome, DeliveryPostponed)] == [QUOTA_WAIT] * 4
    assert outbound.asked() == ["CreateItem", "SendItem"]


def test_a_server_that_stops_at_the_first_has_done_nothing(outbound: Outbound) -> None:
    outbound.fault("unwritable_item", operation="SendItem", item=id_of(0), code="ErrorBatchProcessingStopped")
    error = failure(lambda: outbound.drafting.submit(outbound.prepared(outbound.messages(1)), save_copy=True))
    assert isinstance(error, Busy)


def test_what_was_sent_before_the_quota_was_spent_has_its_receipt(outbound: Outbound) -> None:
    drafts = outbound.prepared(outbound.messages(4))
    outbound.fault("unwritable_item", operation="SendItem", code="ErrorSubmissionQuotaExceeded", after=2)
    outcomes = outbound.drafting.submit(drafts, save_copy=True)
    assert outcomes[:2] == [Receipt(), Receipt()]
    assert [type(outcome) for outcome in outcomes[2:]] == [DeliveryPostponed, DeliveryPostponed]
    assert len(outbound.accepted()) == 2


@pytest.mark.parametrize("code", ["ErrorSchemaValidation", "ErrorInvalidRequest", "ErrorMessageSizeExceeded"])
@pytest.mark.parametrize("operation", ["CreateItem", "SendItem"])
def test_a_request_that_is_refused_as_a_whole_is_asked_email_by_email(outbound: Outbound, operation: str, code: str) -> None:
    outbound.fault("soap_fault", operation=operation, code=code, count=1)
    outbound.send(*outbound.messages(3))
    assert outbound.asked().count(operation) == 4
    assert len(outbound.accepted()) == 3


@pytest.mark.parametrize(
    ("code", "expected"),
    [("ErrorSchemaValidation", DeliveryRefused), ("ErrorMessageSizeExceeded", EmailTooLarge)],
)
def test_a_request_about_one_email_that_is_refused_is_that_emails_refusal(
    outbound: Outbound, code: str, expected: type[DeliveryError]
) -> None:
    outbound.fault("soap_fault", operation="CreateItem", code=code, after=1)
    first, second = outbound.drafting.prepare(outbound.messages(1)), outbound.drafting.prepare(outbound.messages(1))
    assert isinstance(first[0], str)
    assert type(second[0]) is expected


# ---- drafts that changed or went


@pytest.mark.parametrize(
    "code", ["ErrorStaleObject", "ErrorIrresolvableConflict", "ErrorInvalidChangeKey", "ErrorChangeKeyRequired"]
)
def test_a_version_that_the_server_calls_stale_is_looked_up_once(outbound: Outbound, code: str) -> None:
    drafts = outbound.prepared(outbound.messages(3))
    outbound.fault("unwritable_item", operation="SendItem", item=id_of(1), code=code, count=1)
    assert outbound.drafting.submit(drafts, save_copy=True) == [Receipt()] * 3
    assert outbound.asked() == ["CreateItem", "SendItem", "GetItem", "SendItem"]


def test_a_version_that_stays_stale_postpones_that_email(outbound: Outbound) -> None:
    drafts = outbound.prepared(outbound.messages(3))
    outbound.fault("unwritable_item", operation="SendItem", item=id_of(1), code="ErrorStaleObject")
    outcomes = outbound.drafting.submit(drafts, save_copy=True)
    assert [isinstance(outcome, DeliveryPostponed) for outcome in outcomes] == [False, True, False]


def test_a_draft_that_turns_out_gone_when_its_version_is_looked_up_is_not_sent_again(outbound: Outbound) -> None:
    drafts = outbound.prepared(outbound.messages(2))
    outbound.fault("unwritable_item", operation="SendItem", item=id_of(0), code="ErrorStaleObject", count=1)
    outbound.fault("unreadable_item", operation="GetItem", code="ErrorItemNotFound", count=1)
    gone, receipt = outbound.drafting.submit(drafts, save_copy=True)
    assert isinstance(gone, DeliveryUnknown)
    assert receipt == Receipt()


def test_a_draft_that_cannot_be_looked_at_keeps_its_reference(outbound: Outbound) -> None:
    drafts = outbound.prepared(outbound.messages(3))
    outbound.fault("unreadable_item", operation="GetItem", item=drafts[1].split()[0], code="ErrorCorruptData")
    assert outbound.drafting.find(drafts) == drafts


@pytest.mark.parametrize("code", ["ErrorMailboxStoreUnavailable", "ErrorInternalServerTransientError", "ErrorTimeoutExpired"])
def test_a_draft_that_the_server_cannot_look_at_now_is_neither_there_nor_gone(outbound: Outbound, code: str) -> None:
    drafts = outbound.prepared(outbound.messages(3))
    outbound.fault("unreadable_item", operation="GetItem", item=drafts[1].split()[0], code=code)
    first, unknown, last = outbound.drafting.find(drafts)
    assert (first, last) == (drafts[0], drafts[2])
    assert isinstance(unknown, DeliveryPostponed)


def test_what_may_have_been_sent_and_cannot_be_looked_at_is_unknown(outbound: Outbound) -> None:
    drafts = outbound.prepared(outbound.messages(2))
    item = drafts[0].split()[0]
    outbound.fault("unwritable_item", operation="SendItem", item=item, code="ErrorMailboxStoreUnavailable")
    outbound.fault("unreadable_item", operation="GetItem", item=item, code="ErrorMailboxStoreUnavailable")
    unknown, receipt = outbound.drafting.submit(drafts, save_copy=True)
    assert isinstance(unknown, DeliveryUnknown)
    assert receipt == Receipt()


@pytest.mark.parametrize("reference", ["", "nonsense", "AAMk\x00 CQAA", "a b c"])
def test_a_reference_that_is_none_is_that_emails_error(outbound: Outbound, reference: str) -> None:
    (draft,) = outbound.prepared(outbound.messages(1))
    assert outbound.drafting.find([reference, draft])[1] == draft
    error, receipt = outbound.drafting.submit([reference, draft], save_copy=True)
    assert isinstance(error, DeliveryError)
    assert receipt == Receipt()


def test_a_draft_that_cannot_be_removed_ends_no_run(outbound: Outbound) -> None:
    outbound.prepared(outbound.messages(3))
    outbound.fault("unwritable_item", operation="DeleteItem", item=id_of(1), code="ErrorCorruptData")
    outbound.drafting.withdraw(["k0", "k1", "k2"])
    assert outbound.drafts == 1


def test_no_failure_leaves_a_draft_of_an_email_that_was_refused(outbound: Outbound) -> None:
    outbound.fault("error", operation="CreateAttachment", code="ErrorAttachmentSizeLimitExceeded")
    large = an_attachment(bytes(600 << 10))
    (outcome,) = outbound.drafting.prepare([outbound.message(attachments=(large,))])
    assert isinstance(outcome, EmailTooLarge)
    assert outbound.drafts == 0
