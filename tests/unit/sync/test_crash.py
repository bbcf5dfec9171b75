"""A sync that fails at any external call, in any way, ends as if it had never failed.

The scenario has everything that writes: replies, attachments, the same message in two mailboxes, a constant Message-ID with
different content, one without a Message-ID, items that are skipped, one that fails twice and one that always fails.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.choices import SenderOrigin
from shared.domain.configuration import Mailbox
from shared.domain.email import IncomingMessage
from shared.domain.errors import ItemUnreadable, TransientError
from shared.domain.operations import RunOutcome
from shared.messages import Queue, SyncMailbox, SyncReason, parse
from shared.ports import Stores
from shared.stores.memory import memory_stores
from shared.stores.memory.work import MemoryQueues
from shared.sync.budgets import RunBudget
from shared.sync.incoming import IncomingSync
from tests.builders import MONDAY, SettableClock, a_mailbox, a_message, a_sync_of, with_organisation
from tests.unit.sync.faults import Fault, FaultyWorld
from tests.unit.sync.in_memory_mail import InMemoryMail, ProcessDied, Servers
from tests.unit.sync.snapshots import outcome_of

BUDGET = RunBudget(batch_items=2)


@dataclass
class Scene:
    """Two mailboxes and their server, behind ports that fail where they are told to."""

    world: FaultyWorld = field(default_factory=FaultyWorld)
    clock: SettableClock = field(default_factory=SettableClock)
    stores: Stores = field(default_factory=memory_stores)
    anna: InMemoryMail = field(default_factory=lambda: InMemoryMail("server/anna", page_items=4))
    ben: InMemoryMail = field(default_factory=lambda: InMemoryMail("server/ben", page_items=4))
    messages: int = 0

    def __post_init__(self) -> None:
        with_organisation(self.stores, a_mailbox("anna"), a_mailbox("ben"))
        self._fill()

    def _fill(self) -> None:
        shared = a_message("Shared", to=["anna@contoso.example", "ben@contoso.example"], attachments=[b"drawing"])
        self.anna.deliver(_at(5, a_message("First", attachments=[b"one", b"two"])))
        self.anna.deliver(_at(6, a_message("Reply", in_reply_to="first@fabrikam.example")))
        self.anna.deliver(_at(7, a_message("Constant one", message_id="constant@example")))
        self.anna.deliver(_at(8, a_message("Constant two", message_id="constant@example", attachments=[b"three"])))
        self.anna.deliver(_at(9, a_message("Nameless", message_id=None)))
        broken = self.anna.deliver(_at(10, a_message("Broken")))
        self.anna.unreadable[broken.id] = ItemUnreadable("the server cannot convert it")
        self.anna.deliver(_at(11, a_message("A draft")), is_draft=True)
        self.anna.deliver(_at(12, shared))
        self.anna.deliver(_at(13, a_message("Old", received=MONDAY - timedelta(days=90))))
        self.anna.deliver(_at(14, a_message("Internal", sender="ben@contoso.example", sender_origin=SenderOrigin.INTERNAL)))
        self.ben.deliver(_at(6, a_message("Constant one", message_id="constant@example")))
        self.ben.deliver(_at(12, shared))
        self.ben.deliver(_at(12, shared))
        self.ben.deliver(_at(15, a_message("Forged", sender="anna@contoso.example", to=["ben@contoso.example"])))

    def synchronize(self) -> None:
        """Until nothing is left to do: as the enumerator and the queues would, each run in a process of its own."""
        for mailbox in (a_mailbox("anna"), a_mailbox("ben")):
            self._until_idle(mailbox)
        for _ in range(6):
            self.clock.advance(timedelta(minutes=20))
            for mailbox in (a_mailbox("anna"), a_mailbox("ben")):
                self._until_idle(mailbox)

    def _until_idle(self, mailbox: Mailbox) -> None:
        for _ in range(30):
            self.messages += 1
            if self._run(a_sync_of(mailbox, self._reason(), f"message-{self.messages}")) is RunOutcome.IDLE:
                return
        raise AssertionError("it never ends")

    def _run(self, message: SyncMailbox) -> RunOutcome | None:
        sync = IncomingSync(
            self.world.stores(self.stores),
            self.world.opener(Servers(anna=self.anna, ben=self.ben)),
            self.clock,
            BUDGET,
        )
        try:
            outcome = sync.run(message)
        except (ProcessDied, TransientError):
            outcome = None
            self.world.revive()
        if outcome in (None, RunOutcome.FAILED, RunOutcome.HELD):
            self.clock.advance(timedelta(minutes=10))
        return outcome

    def _reason(self) -> SyncReason:
        """A continuation where one is queued."""
        queues = self.stores.queues
        assert isinstance(queues, MemoryQueues)
        waiting = [parse(text) for queue in (Queue.SYNC_INCOMING, Queue.SYNC_BACKFILL) for text in queues.receive(queue)]
        return SyncReason.CONTINUATION if waiting else SyncReason.DUE


def _at(hour: int, message: IncomingMessage) -> IncomingMessage:
    from dataclasses import replace

    return message if message.subject == "Old" else replace(message, received=MONDAY - timedelta(days=1) + timedelta(hours=hour))


UNDISTURBED = Scene()
UNDISTURBED.synchronize()
CALLS = len(UNDISTURBED.world.calls)
EXPECTED = outcome_of(UNDISTURBED.stores)


def test_the_undisturbed_sync_has_everything_in_it() -> None:
    assert len(EXPECTED["activities"]["activities"]) == 7
    assert len(EXPECTED["quarantine"]) == 1


@pytest.mark.parametrize("fault", list(Fault))
def test_failing_at_any_call_changes_nothing_in_the_end(fault: Fault) -> None:
    for at in range(1, CALLS + 1):
        scene = Scene(world=FaultyWorld(at=at, fault=fault))
        scene.synchronize()
        assert outcome_of(scene.stores) == EXPECTED, f"{fault} at call {at}, {scene.world.calls[at - 1]}"
