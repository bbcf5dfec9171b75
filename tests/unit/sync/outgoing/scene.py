"""A scene: Anna's mailbox, what she writes and sends, her mail server, and the means to run what production would run."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from shared.domain.choices import (
    ActivityState,
    CorrelationMethod,
    Direction,
    EmailDeliveryMethod,
    EmailStatus,
    OwnerKind,
    ParticipationType,
    Priority,
    ServerType,
    Workload,
)
from shared.domain.configuration import EmailServerProfile, OwnerRef, WorkloadSchedule
from shared.domain.delivery import Attempt, Delivery, OutboxEntry
from shared.domain.email import Attachment, EmailActivity, EmailContent, ListOf, NewEmail, Party, Sighting, StoredActivity
from shared.domain.errors import TransientError
from shared.domain.ids import ActivityId, OwnerId, RunId, email_id, short_hash
from shared.domain.listings import unsent_entry
from shared.domain.operations import Alert, Run, RunOutcome
from shared.domain.organisation import OrganisationSettings
from shared.domain.steps import Step
from shared.messages import SyncMailbox, SyncReason
from shared.ports import Stores
from shared.stores.memory import memory_stores
from shared.sync.budgets import RunBudget
from shared.sync.outgoing import OutgoingSync
from tests.builders import SettableClock, a_mailbox, a_profile, an_owner, with_organisation
from tests.unit.sync.faults import FaultyWorld
from tests.unit.sync.in_memory_mail import ProcessDied
from tests.unit.sync.outgoing.in_memory_servers import InMemoryDrafting, InMemorySending, Outward, Server

MINUTE = timedelta(minutes=1)
FINAL = (EmailStatus.SENT, EmailStatus.FAILED, EmailStatus.CANCELED)


def by_smtp(world: FaultyWorld | None = None, **changes: Any) -> "OutgoingScene":
    world = world or FaultyWorld()
    return OutgoingScene(InMemorySending(world=world), world, a_profile(server_type=ServerType.IMAP_SMTP, **changes))


def by_exchange(world: FaultyWorld | None = None, **changes: Any) -> "OutgoingScene":
    world = world or FaultyWorld()
    return OutgoingScene(InMemoryDrafting(world=world), world, a_profile(**changes))


@dataclass
class OutgoingScene:
    """All ports are behind `world`, which counts calls and fails where it is told to."""

    server: Server
    world: FaultyWorld
    profile: EmailServerProfile
    clock: SettableClock = field(default_factory=SettableClock)
    budget: RunBudget = field(default_factory=RunBudget)
    stores: Stores = field(default_factory=memory_stores)
    executor: Executor | None = None

    def __post_init__(self) -> None:
        self.mailbox = a_mailbox("anna", outgoing_method=EmailDeliveryMethod.SERVER_SIDE)
        with_organisation(self.stores, self.mailbox, profile=self.profile)
        self.stores.mailboxes.reschedule(self.mailbox.id, Workload.OUTGOING, WorkloadSchedule(due=self.clock()))
        methods = (CorrelationMethod.IN_REPLY_TO, CorrelationMethod.SMART_MATCHING)
        self.stores.settings.put(OrganisationSettings(correlation_methods=methods), None)
        self.outward = Outward(self.server)
        self._numbers = count(1)

    def add_colleagues(self, *names: str) -> None:
        """On the same profile, and due as Anna is."""
        for name in names:
            mailbox = a_mailbox(name, outgoing_method=EmailDeliveryMethod.SERVER_SIDE)
            due = WorkloadSchedule(due=self.clock())
            self.stores.owners.create(an_owner(name))
            self.stores.mailboxes.create(mailbox, {Workload.INCOMING: due, Workload.OUTGOING: due})

    # ---- people write and send

    def everybody_sends(self) -> list[ActivityId]:
        """An email from each mailbox."""
        anna, emails = self.mailbox, []
        for stored in self.stores.mailboxes.list().items:
            self.mailbox = stored.record
            emails.append(self.send(f"Offer of {self.mailbox.name}"))
        self.mailbox = anna
        return emails

    def draft(self, subject: str, **changes: Any) -> ActivityId:
        """As the API creates one."""
        message_id = f"{subject.lower().replace(' ', '-')}@contoso.example"
        activity_id = email_id(message_id, Direction.OUTGOING)
        attachments = tuple(self._attached(each) for each in changes.pop("attachments", ()))
        parties = changes.pop("parties", (Party(ParticipationType.TO, "carol@fabrikam.example", "Carol", "contact", "carol"),))
        content = EmailContent(
            subject=subject,
            message_id=message_id,
            in_reply_to=None,
            references=(),
            parties=(Party(ParticipationType.SENDER, "anna@contoso.example", "Anna", "user", "user-anna"), *parties),
            sent=None,
            received=self.clock(),
            priority=changes.pop("priority", Priority.NORMAL),
            body_html=None,
            body_text=f"About: {subject}",
            attachments=attachments,
            conversation_index=None,
        )
        activity = EmailActivity(
            id=activity_id,
            fingerprint="",
            content_id=activity_id,
            direction=Direction.OUTGOING,
            state=ActivityState.OPEN,
            status=EmailStatus.DRAFT,
            subject=subject,
            sender="anna@contoso.example",
            received=self.clock(),
            created_on=self.clock(),
            owner=OwnerRef(OwnerKind.USER, OwnerId("user-anna")),
            receiving_mailbox=self.mailbox.id,
            conversation=activity_id,
            attachment_count=len(attachments),
            delivery=Delivery(self.mailbox.id, **changes),
        )
        sighting = Sighting(activity_id, self.mailbox.id, self.clock(), "")
        self.stores.activities.create([NewEmail(activity, content, sighting)])
        self.stores.timeline.put([unsent_entry(activity)])
        return activity_id

    def send(self, subject: str, after: timedelta = timedelta(), **changes: Any) -> ActivityId:
        """As the API does it: hint, schedule, activity."""
        activity_id = self.draft(subject, **changes)
        entry = self.hint(activity_id, after)
        self.announce(entry)
        return activity_id

    def hint(self, activity_id: ActivityId, after: timedelta = timedelta()) -> OutboxEntry:
        """The first part of `send`."""
        content = self.stores.activities.content(activity_id)
        assert content is not None
        submission = f"submission-{next(self._numbers)}"
        entry = OutboxEntry(self.mailbox.id, activity_id, submission, self.clock() + after, self.clock(), content.priority)
        self.stores.outbox.put([entry])
        due = self.schedule().due
        if due is not None and due > entry.due:
            self.stores.mailboxes.make_due(self.mailbox.id, Workload.OUTGOING, entry.due)
        return entry

    def announce(self, entry: OutboxEntry) -> None:
        """The second part of `send`."""
        stored = self.stored(entry.activity_id)
        delivery = replace(
            self.delivery(entry.activity_id),
            submission=entry.submission,
            submitted_on=self.clock(),
            due=entry.due,
            attempts=0,
        )
        after = replace(stored.record, state=ActivityState.COMPLETED, status=EmailStatus.PENDING_SEND, delivery=delivery)
        [answer] = self.stores.activities.advance([Step(after, stored.etag)])
        assert isinstance(answer, StoredActivity)

    def cancel(self, activity_id: ActivityId) -> bool:
        """Whether it was still possible."""
        stored = self.stored(activity_id)
        if stored.record.status is not EmailStatus.PENDING_SEND:
            return False
        delivery = replace(self.delivery(activity_id), due=None)
        after = replace(stored.record, state=ActivityState.CANCELED, status=EmailStatus.CANCELED, delivery=delivery)
        [answer] = self.stores.activities.advance([Step(after, stored.etag)])
        return isinstance(answer, StoredActivity)

    def _attached(self, content: bytes) -> Attachment:
        blob = f"emails/written/{short_hash(content.decode())}"
        self.stores.blobs.put(blob, content)
        return Attachment("drawing.txt", "text/plain", len(content), short_hash(content.decode()), blob)

    # ---- runs

    def process(self) -> OutgoingSync:
        """What a process that has just started runs with."""
        stores = self.world.stores(self.stores)
        return OutgoingSync(stores, self.outward, self.clock, self.budget, self.executor)

    def run(self, reason: SyncReason = SyncReason.DUE, message_id: str | None = None) -> RunOutcome:
        message = SyncMailbox(message_id or f"message-{next(self._numbers)}", self.mailbox.id, Workload.OUTGOING, reason)
        return self.process().run(message)

    def attempt(self) -> RunOutcome | None:
        """A run that may die or fail; None if it did not come to an end."""
        try:
            return self.run()
        except (ProcessDied, TransientError):
            self.world.revive()
            return None

    def until_settled(self, patience: int = 80) -> None:
        """Runs whenever the mailbox is due, as the timer does, until nothing waits."""
        for _ in range(patience):
            due = self.schedule().due
            assert due is not None
            if due > self.clock():
                if self.stores.outbox.next_due(self.mailbox.id) is None:
                    return
                self.clock.now = due
            if self.attempt() in (None, RunOutcome.HELD):
                self.clock.advance(3 * MINUTE)
        raise AssertionError("something waits for ever")

    def until_dead(self) -> None:
        """Runs until a process died, or the call passed at which it was to."""
        while self.attempt() is not None and len(self.world.calls) < self.world.at:
            self.clock.now = max(self.clock(), self.schedule().due or self.clock())

    # ---- looking

    def stored(self, activity_id: ActivityId) -> StoredActivity:
        found = self.stores.activities.get(activity_id)
        assert found is not None
        return found

    def status(self, activity_id: ActivityId) -> EmailStatus:
        return self.stored(activity_id).record.status

    def delivery(self, activity_id: ActivityId) -> Delivery:
        delivery = self.stored(activity_id).record.delivery
        assert delivery is not None
        return delivery

    def attempts(self, activity_id: ActivityId) -> Sequence[Attempt]:
        return self.stores.activities.attempts(activity_id)

    def outcomes(self, activity_id: ActivityId) -> list[str]:
        return [attempt.outcome.value for attempt in self.attempts(activity_id)]

    def waiting(self) -> list[OutboxEntry]:
        return list(self.stores.outbox.list(self.mailbox.id, limit=1000).items)

    def listed(self, list_of: ListOf, whose: str | None = None) -> list[str]:
        rows = self.stores.timeline.list(list_of, whose or self.mailbox.id, limit=1000).items
        return sorted(row.subject for row in rows)

    def schedule(self) -> WorkloadSchedule:
        found = self.stores.mailboxes.get(self.mailbox.id)
        assert found is not None
        return found.schedule[Workload.OUTGOING]

    def wait(self) -> timedelta:
        due = self.schedule().due
        assert due is not None
        return due - self.clock()

    def holder(self) -> RunId | None:
        state = self.stores.ledger.head(self.mailbox.id, Workload.OUTGOING, self.clock()).state
        return state.holder if state is not None else None

    def runs(self) -> list[Run]:
        return list(self.stores.runs.list(self.mailbox.id).items)

    def alerts(self) -> list[Alert]:
        return list(self.stores.alerts.list(limit=100).items)


type Build = Callable[..., OutgoingScene]

both_servers = pytest.mark.parametrize("build", [by_smtp, by_exchange])


def sent(scene: OutgoingScene) -> list[str]:
    server = scene.server
    return [message.subject for message in (server.accepted if isinstance(server, InMemorySending) else server.sent)]
