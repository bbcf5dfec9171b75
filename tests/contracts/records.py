"""Records for the contract suites of the stores: small, valid, different where they need to be."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import NAMESPACE_URL, uuid5

from shared.domain.audit import AuditEntry, ChangeAction, FieldChange
from shared.domain.choices import (
    ActivityState,
    AlertLevel,
    AuthenticationProtocol,
    CorrelationMethod,
    CredentialSource,
    Direction,
    EmailStatus,
    IncomingFilteringMethod,
    OwnerKind,
    ParticipationType,
    Priority,
    Reason,
    ServerType,
    Verdict,
    Workload,
)
from shared.domain.configuration import Credentials, EmailServerProfile, Mailbox, Owner, OwnerRef, SecretRef
from shared.domain.delivery import Attempt, Delivery, OutboxEntry
from shared.domain.email import (
    Address,
    Annotation,
    Attachment,
    CorrelationEntry,
    CorrelationKind,
    EmailActivity,
    EmailContent,
    ItemRef,
    ListOf,
    NewEmail,
    Party,
    RecipientReport,
    Sighting,
    TimelineEntry,
)
from shared.domain.ids import ActivityId, MailboxId, OwnerId, ProfileId, RunId
from shared.domain.judgement import Correlation, CorrelationTry, Judgement, TryOutcome, Vote
from shared.domain.ledger import LedgerItem, RunState, Todo, TodoKind, item_key
from shared.domain.operations import Alert, QuarantinedItem, Run, RunOutcome
from shared.domain.records import AddressBookRecord, BulkLoad, FolderTrackingRule, LoadState, RecordRef

NOW = datetime(2026, 11, 22, 17, 0, 0, 123456, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
INCOMING = Workload.INCOMING


def an_id(name: object) -> str:
    return str(uuid5(NAMESPACE_URL, str(name)))


def a_profile(name: str = "exchange") -> EmailServerProfile:
    return EmailServerProfile(
        id=ProfileId(an_id(name)),
        name=name,
        server_type=ServerType.EXCHANGE_ONLINE,
        incoming_location="https://mail.example.com/EWS/Exchange.asmx",
        authentication=AuthenticationProtocol.OAUTH,
        credential_source=CredentialSource.APPLICATION,
        credentials=Credentials(client_id="app", tenant_id="tenant", secret=SecretRef("profile", "v1")),
        process_emails_received_after=NOW,
        min_polling_interval=timedelta(minutes=2),
    )


def an_owner(name: str = "anna", address: str | None = None, kind: OwnerKind = OwnerKind.USER) -> Owner:
    return Owner(OwnerId(an_id(name)), kind, name, address or f"{name}@contoso.example")


def a_mailbox(name: object = "anna") -> Mailbox:
    return Mailbox(
        id=MailboxId(an_id(name)),
        name=str(name),
        address=f"{name}@contoso.example",
        owner=OwnerRef(OwnerKind.USER, OwnerId(an_id(name))),
        profile_id=ProfileId(an_id("exchange")),
    )


def an_activity(name: object = "email", **changes: object) -> EmailActivity:
    activity = EmailActivity(
        id=ActivityId(an_id(name)),
        fingerprint=f"fingerprint of {name}",
        content_id=ActivityId(an_id(f"content of {name}")),
        direction=Direction.INCOMING,
        state=ActivityState.OPEN,
        status=EmailStatus.RECEIVED,
        subject=f"Subject of {name}",
        sender="bob@fabrikam.example",
        received=NOW,
        created_on=NOW + MINUTE,
        owner=OwnerRef(OwnerKind.USER, OwnerId(an_id("anna"))),
        receiving_mailbox=MailboxId(an_id("anna")),
    )
    return replace(activity, **changes)  # type: ignore[arg-type]  # the caller names fields


def a_content(**changes: object) -> EmailContent:
    content = EmailContent(
        subject="Subject",
        message_id="one@fabrikam.example",
        in_reply_to=None,
        references=("zero@fabrikam.example", "half@fabrikam.example"),
        parties=(
            Party(ParticipationType.SENDER, "bob@fabrikam.example", "Bob"),
            Party(ParticipationType.TO, "anna@contoso.example", "Анна", OwnerKind.USER, OwnerId(an_id("anna"))),
        ),
        sent=None,
        received=NOW,
        priority=Priority.HIGH,
        body_html="<p>hello</p>",
        body_text="hello",
        attachments=(Attachment("a.pdf", "application/pdf", 5_000_000_000, "ab" * 32, "emails/x/ab", is_inline=True),),
        conversation_index="AQ==",
        reply_to=(Address("answers@fabrikam.example", "Ответы"),),
    )
    return replace(content, **changes)  # type: ignore[arg-type]  # the caller names fields


def an_email(name: object = "email", mailbox: str = "anna", **content: object) -> NewEmail:
    return NewEmail(an_activity(name), a_content(**content), a_sighting(name, mailbox))


def a_sighting(name: object = "email", mailbox: str = "anna", item_id: str = "AAMk=") -> Sighting:
    return Sighting(ActivityId(an_id(name)), MailboxId(an_id(mailbox)), NOW, item_id)


def an_entry(
    name: object = "email", age: timedelta = timedelta(), whose: str = "anna", subject: str = "Hello"
) -> TimelineEntry:
    return TimelineEntry(ListOf.MAILBOX, whose, ActivityId(an_id(name)), NOW - age, subject, "bob@fabrikam.example")


def an_item(name: object = "item", **changes: object) -> LedgerItem:
    ref = ItemRef(f"AAMk{name}", "inbox")
    item = LedgerItem(
        key=item_key(f"{name}@fabrikam.example", ref),
        ref=ref,
        message_id=f"{name}@fabrikam.example",
        received=NOW,
        size=1234,
        verdict=Verdict.PROMOTED,
        reason=Reason.RELEVANT,
        decided_on=NOW,
        run_id=RunId("message:1"),
    )
    return replace(item, **changes)  # type: ignore[arg-type]  # the caller names fields


def a_vote(name: object = "anna", reason: Reason = Reason.NO_CORRELATION_MATCH) -> Vote:
    owner = OwnerRef(OwnerKind.USER, OwnerId(an_id(name)))
    return Vote(owner, IncomingFilteringMethod.RESPONSES, reason is Reason.RESPONSE, reason)


def a_judgement(*votes: Vote, **changes: object) -> Judgement:
    judgement = Judgement(
        verdict=Verdict.SKIPPED,
        reason=Reason.NO_CORRELATION_MATCH,
        votes=votes or (a_vote(),),
        correlation=Correlation(
            method=CorrelationMethod.SKIPPED,
            conversation=ActivityId(an_id("conversation")),
            opted_out=True,
            tried=(
                CorrelationTry(CorrelationMethod.IN_REPLY_TO, TryOutcome.ABSENT),
                CorrelationTry(CorrelationMethod.TRACKING_TOKEN, TryOutcome.OPTED_OUT, ActivityId(an_id("email"))),
            ),
        ),
        queues=(OwnerId(an_id("sales")),),
        rule="AAMk/folder==",
    )
    return replace(judgement, **changes)  # type: ignore[arg-type]  # the caller names fields


def an_annotation(about: object = "email", report: object = "report", *recipients: RecipientReport) -> Annotation:
    said = recipients or (RecipientReport("bob@fabrikam.example", "failed", "5.1.1", "smtp; 550 no such user"),)
    return Annotation(ActivityId(an_id(about)), ActivityId(an_id(report)), NOW, said)


def a_correlation(
    name: object = "email", key: str = "base64==", age: timedelta = timedelta(), **changes: object
) -> CorrelationEntry:
    entry = CorrelationEntry(
        CorrelationKind.CONVERSATION, key, ActivityId(an_id(name)), ActivityId(an_id("conversation")), NOW - age, ("hash",)
    )
    return replace(entry, **changes)  # type: ignore[arg-type]  # the caller names fields


def a_todo(name: object = "item", due: datetime = NOW, kind: TodoKind = TodoKind.RETRY) -> Todo:
    return Todo(kind, due, an_item(name, verdict=Verdict.FAILING, reason=Reason.UNREADABLE, attempts=2))


def a_state(nonce: str = "nonce", **changes: object) -> RunState:
    return replace(RunState(nonce), **changes)  # type: ignore[arg-type]  # the caller names fields


def a_quarantined(name: object = "item", age: timedelta = timedelta()) -> QuarantinedItem:
    item = an_item(name)
    return QuarantinedItem(
        mailbox_id=MailboxId(an_id("anna")),
        key=item.key,
        ref=item.ref,
        message_id=item.message_id,
        quarantined_on=NOW - age,
        received=NOW,
        error="item_unreadable",
        detail="the server says no",
        attempts=5,
        version="0.1.0",
        raw_blob=f"quarantine/{name}",
    )


def an_alert(about: str = "mailbox:1", raised_on: datetime = NOW, **parameters: str) -> Alert:
    return Alert(about, "access_denied", AlertLevel.ERROR, "The cause", "The remedy", raised_on, parameters=parameters)


def a_run(name: object = 1, age: timedelta = timedelta()) -> Run:
    return Run(
        id=RunId(f"message/{name}:1"),
        mailbox_id=MailboxId(an_id("anna")),
        workload=INCOMING,
        started_on=NOW - age,
        duration=timedelta(seconds=3, microseconds=7),
        outcome=RunOutcome.COMPLETED,
        seen=3,
        verdicts={"promoted:relevant": 2, "skipped:draft": 1},
        pages=1,
    )


def a_contact(name: str = "bob", *addresses: str, record_type: str = "contact") -> AddressBookRecord:
    return AddressBookRecord(record_type, an_id(name), name, addresses or (f"{name}@fabrikam.example",), an_id("anna"))


def a_rule(folder: str = "AAMk/folder==", mailbox: str = "anna") -> FolderTrackingRule:
    return FolderTrackingRule(MailboxId(an_id(mailbox)), folder, "Projects", RecordRef("account", an_id("fabrikam")))


def a_load(name: object = 1, age: timedelta = timedelta()) -> BulkLoad:
    return BulkLoad(an_id(f"load {name}"), LoadState.UPLOADED, NOW - age, size=1_000)


def an_audit_entry(name: object = 1, age: timedelta = timedelta(), record: str = "profile:1") -> AuditEntry:
    change = FieldChange("name", '"old"', '"new"')
    return AuditEntry(an_id(f"audit {name}"), NOW - age, "anna", ChangeAction.CHANGED, record, (change,))


def an_outgoing(name: object = "letter", status: EmailStatus = EmailStatus.PENDING_SEND, **delivery: object) -> EmailActivity:
    sent_by = Delivery(MailboxId(an_id("anna")), submission="s1", submitted_on=NOW, due=NOW)
    return an_activity(
        name,
        direction=Direction.OUTGOING,
        status=status,
        content_id=ActivityId(an_id(name)),
        sender="anna@contoso.example",
        delivery=replace(sent_by, **delivery),  # type: ignore[arg-type]  # the caller names fields
    )


def a_letter(name: object = "letter", **content: object) -> NewEmail:
    return NewEmail(an_outgoing(name), a_content(**content), a_sighting(name))


def an_attempt(number: int = 1, name: object = "letter", **changes: object) -> Attempt:
    attempt = Attempt(ActivityId(an_id(name)), number, an_id(f"attempt {number}"), NOW + number * MINUTE)
    return replace(attempt, **changes)  # type: ignore[arg-type]  # the caller names fields


def waiting(
    name: object = "letter", due: timedelta = timedelta(), priority: Priority = Priority.NORMAL, mailbox: str = "anna"
) -> OutboxEntry:
    return OutboxEntry(MailboxId(an_id(mailbox)), ActivityId(an_id(name)), "s1", NOW + due, NOW, priority)
