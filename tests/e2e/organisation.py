"""An organisation in one process: stores, the real connector against the local mail server, and the real runs."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from shared.connectors.connect import Connect
from shared.domain.choices import IncomingFilteringMethod, Workload
from shared.domain.configuration import Credentials, EmailServerProfile, Mailbox, WorkloadSchedule
from shared.domain.ids import MailboxId, ProfileId
from shared.domain.operations import RunOutcome
from shared.messages import Queue, SyncMailbox, parse
from shared.ports import Stores
from shared.stores.memory import memory_stores
from shared.sync.enumeration import Enumeration
from shared.sync.incoming import IncomingSync
from tests.builders import a_mailbox, a_profile, an_owner, queues_in_memory

USERNAME = "svc-sidesync"
PASSWORD = "sample password"
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class MovableClock:
    """The time of day, shifted: what waits for an hour need not be waited for."""

    def __init__(self) -> None:
        self._shift = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self._shift

    def advance(self, by: timedelta) -> None:
        self._shift += by


@dataclass
class Organisation:
    stores: Stores
    connect: Connect
    sync: IncomingSync
    enumeration: Enumeration
    clock: MovableClock
    ews_url: str
    mailboxes: dict[str, Mailbox] = field(default_factory=dict)

    def add_profile(self, name: str = "contoso", password: str = PASSWORD, **changes: Any) -> EmailServerProfile:
        secret = self.stores.secrets.set(f"profile-{name}", password)
        profile = a_profile(
            id=ProfileId(name),
            incoming_location=self.ews_url,
            credentials=Credentials(username=USERNAME, secret=secret),
            process_emails_received_after=LONG_AGO,
        )
        return self.stores.profiles.create(replace(profile, **changes)).record

    def add_mailbox(self, name: str, profile: str = "contoso") -> Mailbox:
        """A user who accepts all mail, and their mailbox, due now."""
        self.stores.owners.create(an_owner(name, filtering_method=IncomingFilteringMethod.ALL))
        mailbox = a_mailbox(name, profile_id=ProfileId(profile))
        self.stores.mailboxes.create(mailbox, {Workload.INCOMING: WorkloadSchedule(due=self.clock())})
        self.mailboxes[name] = mailbox
        return mailbox

    def run(self, mailbox: MailboxId) -> RunOutcome:
        return self.sync.run(SyncMailbox(uuid4().hex, mailbox, Workload.INCOMING))

    def work_off(self) -> list[RunOutcome]:
        """Runs what is queued, continuations included, until nothing is (memory stores only)."""
        outcomes = []
        while texts := [text for queue in (Queue.SYNC_INCOMING, Queue.SYNC_BACKFILL) for text in self._receive(queue)]:
            for text in texts:
                message = parse(text)
                assert isinstance(message, SyncMailbox)
                outcomes.append(self.sync.run(message))
        return outcomes

    def _receive(self, queue: Queue) -> list[str]:
        return queues_in_memory(self.stores).receive(queue)


@contextmanager
def an_organisation(ews_url: str, stores: Stores | None = None) -> Iterator[Organisation]:
    with ExitStack() as closing:
        kept = stores or memory_stores()
        clock = MovableClock()
        connect = Connect(kept.secrets, allow_local_servers=True)
        closing.callback(connect.close)
        yield Organisation(kept, connect, IncomingSync(kept, connect, clock), Enumeration(kept, clock), clock, ews_url)
