"""What a run does with a mailbox, from one message to the next due time."""

from shared.domain.choices import Verdict, Workload
from shared.domain.email import ListOf
from shared.domain.operations import RunOutcome
from shared.stores.memory import memory_stores
from shared.sync.incoming import IncomingSync
from tests.builders import SettableClock, a_mailbox, a_message, a_sync_of, with_organisation
from tests.unit.sync.in_memory_mail import InMemoryMail, Servers


def test_mail_becomes_activities_and_is_listed_under_the_mailbox() -> None:
    anna, clock, mail = a_mailbox("anna"), SettableClock(), InMemoryMail()
    stores = with_organisation(memory_stores(), anna)
    for number in range(3):
        mail.deliver(a_message(f"Offer {number}", attachments=[b"x" * number]))
    sync = IncomingSync(stores, Servers(anna=mail), clock)

    assert sync.run(a_sync_of(anna)) is RunOutcome.COMPLETED
    listed = stores.timeline.list(ListOf.MAILBOX, anna.id).items
    assert {entry.subject for entry in listed} == {"Offer 0", "Offer 1", "Offer 2"}
    assert [item.verdict for item in stores.ledger.items(anna.id, Workload.INCOMING)] == [Verdict.PROMOTED] * 3
    assert sync.run(a_sync_of(anna)) is RunOutcome.IDLE
