"""A message to five thousand is stored like any other: a run over every store, with the limits that Azure Tables sets."""

from shared.domain.choices import Verdict, Workload
from shared.domain.email import ListOf
from shared.domain.listings import whose_record
from shared.domain.operations import RunOutcome
from shared.domain.records import AddressBookRecord
from shared.ports import Stores
from shared.sync.acceptance import MOST_RECIPIENTS
from shared.sync.incoming import IncomingSync
from tests.builders import SettableClock, a_mailbox, a_message, a_sync_of, with_organisation
from tests.unit.sync.in_memory_mail import InMemoryMail, Servers

MANY = [f"person-{number}@fabrikam.example" for number in range(5_000)]


def test_a_message_to_five_thousand_is_stored_with_all_of_them(stores: Stores) -> None:
    mailbox, mail = a_mailbox(), InMemoryMail()
    with_organisation(stores, mailbox)
    for number in (0, MOST_RECIPIENTS - 1, MOST_RECIPIENTS):
        record = AddressBookRecord("contact", f"person-{number}", f"Person {number}", (MANY[number],))
        stores.address_book.create(record)
    mail.deliver(a_message(to=MANY[:3_000], cc=MANY[3_000:]))

    assert IncomingSync(stores, Servers(anna=mail), SettableClock()).run(a_sync_of(mailbox)) is RunOutcome.COMPLETED

    (row,) = stores.ledger.items(mailbox.id, Workload.INCOMING)
    assert row.verdict is Verdict.PROMOTED
    assert row.judgement is not None
    assert row.judgement.recipients_left_out == len(MANY) - MOST_RECIPIENTS
    assert row.activity_id is not None
    content = stores.activities.content(row.activity_id)
    assert content is not None
    assert [party.address for party in content.parties[1:]] == MANY
    listed = [
        bool(stores.timeline.list(ListOf.PARTY, whose_record("contact", f"person-{number}")).items)
        for number in (0, MOST_RECIPIENTS - 1, MOST_RECIPIENTS)
    ]
    assert listed == [True, True, False]
