"""What is done to mailboxes: addresses that go both ways, the switch, and reading again from a date on."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest

from shared.domain.choices import Approval, OwnerKind, Workload
from shared.domain.eligibility import Ineligible
from shared.domain.errors import InvalidRecord, LeaseLost
from shared.domain.ids import MailboxId, OwnerId, RunId
from shared.domain.ledger import LedgerCommit, Mark, RunState
from shared.stores.memory import snapshot
from shared.sync.lease import Lease
from tests.builders import MONDAY
from tests.unit.administration.office import ADMIN, Office

LATER = timedelta(minutes=10)


# ---- the address goes both ways


@pytest.mark.parametrize("kind", list(OwnerKind))
def test_a_new_address_of_a_mailbox_goes_to_its_owner(office: Office, kind: OwnerKind) -> None:
    mailbox = office.has_user() if kind is OwnerKind.USER else office.has_queue("anna")
    office.administration.mailboxes.decide(mailbox.record.id, Approval.APPROVED, ADMIN)

    changed = office.changes(mailbox.record.id, address=" anna.berg@contoso.example")

    owner = office.stores.owners.get(kind, OwnerId("anna"))
    assert owner is not None
    assert owner.record.address == changed.record.address == "anna.berg@contoso.example"
    assert changed.record.approval is Approval.PENDING
    assert office.stores.addresses.find(["anna.berg@contoso.example"])["anna.berg@contoso.example"]
    assert office.audited(f"{kind}:anna")[0].record == f"{kind}:anna"


def test_an_address_that_somebody_else_has_is_refused_for_a_mailbox_too(office: Office) -> None:
    office.has_user("bruno")
    mailbox = office.has_user("anna")

    with pytest.raises(InvalidRecord, match="user bruno"):
        office.changes(mailbox.record.id, address="bruno@contoso.example")

    assert office.mailbox_of("anna") == mailbox


def test_threads_that_change_the_address_from_both_sides_leave_both_in_step(office: Office) -> None:
    mailbox_id = office.has_user().record.id
    together = Barrier(8)

    def change(number: int) -> None:
        together.wait()
        address = f"anna{number}@contoso.example"
        if number % 2:
            office.changes(mailbox_id, address=address)
        else:
            office.has_user(address=address)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(change, range(8)))

    assert office.mailbox_of("anna").record.address == office.administration.users.get(OwnerId("anna")).record.address


# ---- switched on and off


def test_a_mailbox_is_switched_off_and_on(office: Office) -> None:
    office.has_profile()
    mailbox_id = office.has_mailbox_being_read().record.id
    use = office.administration.mailboxes

    assert use.deactivate(mailbox_id, ADMIN).held_back[Workload.INCOMING] is Ineligible.MAILBOX_INACTIVE
    assert use.activate(mailbox_id, ADMIN).held_back[Workload.INCOMING] is None


def test_switching_to_the_present_state_changes_nothing(office: Office) -> None:
    mailbox_id = office.has_user().record.id
    before = snapshot(office.stores)

    office.administration.mailboxes.activate(mailbox_id, ADMIN)

    assert snapshot(office.stores) == before


# ---- read again from a date on


def test_a_reset_sets_the_start_date_and_lists_the_folders_again(office: Office) -> None:
    mailbox_id = _read_up_to_now(office)
    office.clock.advance(LATER)

    standing = office.administration.mailboxes.reset(mailbox_id, MONDAY - timedelta(days=30), ADMIN)

    head = office.stores.ledger.head(mailbox_id, Workload.INCOMING, office.clock.now)
    assert [(mark.watermark, mark.caught_up) for mark in head.marks] == [(None, False)]
    assert standing.stored.record.process_email_received_after == MONDAY - timedelta(days=30)
    assert standing.stored.schedule[Workload.INCOMING].due == office.clock.now


def test_a_run_that_is_under_way_loses_its_lease_by_a_reset(office: Office) -> None:
    mailbox_id = _read_up_to_now(office)
    lease = Lease(office.stores.ledger, mailbox_id, Workload.INCOMING, RunId("run:1"), LATER, office.clock)
    lease.take(office.stores.ledger.head(mailbox_id, Workload.INCOMING, MONDAY))

    office.administration.mailboxes.reset(mailbox_id, MONDAY, ADMIN)

    with pytest.raises(LeaseLost):
        lease.commit_page([], Mark("inbox", "source", "newer", caught_up=True))
    state = office.stores.ledger.head(mailbox_id, Workload.INCOMING, MONDAY).state
    assert state is not None
    assert (state.holder, state.takeovers) == (None, 0)


def test_a_date_before_the_profiles_is_refused(office: Office) -> None:
    office.has_profile(process_emails_received_after=MONDAY)
    mailbox_id = office.has_mailbox_being_read().record.id

    with pytest.raises(InvalidRecord, match="2026-11-23") as refused:
        office.administration.mailboxes.reset(mailbox_id, MONDAY - timedelta(days=1), ADMIN)

    assert refused.value.field == "received_after"


def test_a_mailbox_that_was_never_read_can_be_reset(office: Office) -> None:
    mailbox_id = office.has_user().record.id

    standing = office.administration.mailboxes.reset(mailbox_id, MONDAY, ADMIN)

    assert standing.stored.record.process_email_received_after == MONDAY
    assert standing.stored.schedule[Workload.INCOMING].due is None


def _read_up_to_now(office: Office) -> MailboxId:
    office.has_profile()
    mailbox_id = office.has_mailbox_being_read().record.id
    mark = Mark("inbox", "source", "watermark", caught_up=True)
    office.stores.ledger.commit(mailbox_id, Workload.INCOMING, None, LedgerCommit(RunState("1"), marks=(mark,)))
    return mailbox_id


def test_a_mailbox_whose_profile_is_gone_can_still_be_switched(office: Office) -> None:
    profile = office.administration.profiles.get(office.has_profile().id)
    mailbox = office.has_mailbox_being_read()
    office.stores.profiles.delete(profile.record.id, profile.etag)

    assert not office.changes(mailbox.record.id, active=False).record.active
    assert office.changes(mailbox.record.id, profile_id=None).record.profile_id is None
