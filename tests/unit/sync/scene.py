"""A scene: an organisation in memory, its mail server, and the means to run what production would run."""

from dataclasses import dataclass, field
from datetime import timedelta

from shared.domain.choices import Verdict, Workload
from shared.domain.configuration import EmailServerProfile, Mailbox, StoredMailbox, WorkloadSchedule
from shared.domain.email import EmailContent, ListOf, StoredActivity
from shared.domain.errors import TransientError
from shared.domain.ids import ActivityId
from shared.domain.ledger import ItemKey, LedgerHead, LedgerItem
from shared.domain.operations import Alert, Run, RunOutcome
from shared.messages import Message, Queue, SyncReason, parse
from shared.ports import Discover, Stores
from shared.stores.memory import memory_stores
from shared.stores.memory.work import MemoryQueues
from shared.sync.budgets import ItemLimits, RunBudget
from shared.sync.incoming import IncomingSync
from tests.builders import SettableClock, a_mailbox, a_sync_of, with_organisation
from tests.unit.sync.faults import Fault, FaultyWorld
from tests.unit.sync.in_memory_mail import InMemoryMail, ProcessDied, Servers


@dataclass
class Scene:
    """Mailboxes of Anna and Ben. All ports are behind `world`, which counts calls and fails where it is told to."""

    anna: InMemoryMail = field(default_factory=lambda: InMemoryMail("server/anna"))
    ben: InMemoryMail = field(default_factory=lambda: InMemoryMail("server/ben"))
    world: FaultyWorld = field(default_factory=FaultyWorld)
    clock: SettableClock = field(default_factory=SettableClock)
    budget: RunBudget = field(default_factory=RunBudget)
    limits: ItemLimits = field(default_factory=ItemLimits)
    mailboxes: dict[str, Mailbox] = field(default_factory=lambda: {name: a_mailbox(name) for name in ("anna", "ben")})
    profile: EmailServerProfile | None = None
    stores: Stores = field(default_factory=memory_stores)
    messages: int = 0
    discover: Discover | None = None

    def __post_init__(self) -> None:
        with_organisation(self.stores, *self.mailboxes.values(), profile=self.profile)
        self.servers = Servers(anna=self.anna, ben=self.ben)

    # ---- acting

    def process(self) -> IncomingSync:
        """What a process that has just started runs with."""
        return IncomingSync(
            self.world.stores(self.stores),
            self.world.opener(self.servers),
            self.clock,
            self.budget,
            self.limits,
            discover=self.discover,
        )

    def run(
        self, name: str = "anna", reason: SyncReason = SyncReason.DUE, message_id: str | None = None, dequeue_count: int = 1
    ) -> RunOutcome:
        self.messages += 1
        message = a_sync_of(self.mailboxes[name], reason, message_id or f"message-{self.messages}")
        return self.process().run(message, dequeue_count)

    def attempt(self, name: str = "anna") -> RunOutcome | None:
        """A run that may die or fail; None if it did not come to an end."""
        try:
            return self.run(name, self._reason())
        except (ProcessDied, TransientError):
            self.world.revive()
            return None

    def until_idle(self, *names: str, patience: int = 40) -> None:
        """Runs as often as it takes, moving on where a lease has to be waited out."""
        for name in names or ("anna", "ben"):
            for _ in range(patience):
                outcome = self.attempt(name)
                if outcome is RunOutcome.IDLE:
                    break
                if outcome in (None, RunOutcome.FAILED, RunOutcome.HELD):
                    self.clock.advance(timedelta(minutes=10))
            else:
                raise AssertionError(f"{name} is never idle")

    def until_nothing_is_left(self) -> None:
        """Idle, and every retry of an item came to its end."""
        self.until_idle()
        for _ in range(6):
            self.clock.advance(timedelta(minutes=20))
            self.until_idle()

    def _reason(self) -> SyncReason:
        """A continuation where one is queued."""
        waiting = [*self.queued(Queue.SYNC_INCOMING), *self.queued(Queue.SYNC_BACKFILL)]
        return SyncReason.CONTINUATION if waiting else SyncReason.DUE

    def fail_at_first(self, call: str, fault: Fault) -> None:
        """The first call of that name, from now on, has `fault`."""

        def watch(name: str) -> None:
            if name == call and not self.world.at:
                self.world.at = len(self.world.calls)

        self.world.fault, self.world.watch = fault, watch

    # ---- looking

    def queued(self, queue: Queue) -> list[Message]:
        """Takes what waits in a queue."""
        queues = self.stores.queues
        assert isinstance(queues, MemoryQueues)
        return [parse(text) for text in queues.receive(queue)]

    def subjects(self, name: str = "anna") -> list[str]:
        """Of the emails listed under a mailbox, sorted."""
        listed = self.stores.timeline.list(ListOf.MAILBOX, self.mailboxes[name].id, limit=1000)
        return sorted(entry.subject for entry in listed.items)

    def activity_ids(self, name: str = "anna") -> list[ActivityId]:
        listed = self.stores.timeline.list(ListOf.MAILBOX, self.mailboxes[name].id, limit=1000)
        return [entry.activity_id for entry in listed.items]

    def activity(self, activity_id: ActivityId) -> StoredActivity:
        found = self.stores.activities.get(activity_id)
        assert found is not None
        return found

    def content(self, activity_id: ActivityId) -> EmailContent:
        found = self.stores.activities.content(activity_id)
        assert found is not None
        return found

    def ledger(self, name: str = "anna") -> dict[ItemKey, LedgerItem]:
        return {item.key: item for item in self.stores.ledger.items(self.mailboxes[name].id, Workload.INCOMING)}

    def verdicts(self, name: str = "anna") -> list[Verdict]:
        return sorted(item.verdict for item in self.ledger(name).values())

    def head(self, name: str = "anna") -> LedgerHead:
        return self.stores.ledger.head(self.mailboxes[name].id, Workload.INCOMING, self.clock())

    def stored_mailbox(self, name: str = "anna") -> StoredMailbox:
        found = self.stores.mailboxes.get(self.mailboxes[name].id)
        assert found is not None
        return found

    def schedule(self, name: str = "anna") -> WorkloadSchedule:
        return self.stored_mailbox(name).schedule[Workload.INCOMING]

    def wait(self, name: str = "anna") -> timedelta:
        """How long until the mailbox is due."""
        due = self.schedule(name).due
        assert due is not None
        return due - self.clock()

    def alerts(self) -> list[Alert]:
        return list(self.stores.alerts.list(limit=100).items)

    def runs(self, name: str = "anna") -> list[Run]:
        return list(self.stores.runs.list(self.mailboxes[name].id).items)
