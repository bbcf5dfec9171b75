"""Whatever call of a store fails in the midst of a change, the same request again completes it, and the audit tells of it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.administration import Administration
from shared.domain.choices import Approval, OwnerKind, Workload
from shared.domain.configuration import Breaker
from shared.domain.eligibility import breaker_stops, credential_version
from shared.domain.errors import TransientError
from shared.domain.ids import OwnerId, ProfileId, mailbox_id_of
from shared.domain.ledger import LedgerCommit, Mark, RunState
from shared.messages import Queue
from shared.stores.memory import snapshot
from tests.builders import MONDAY, a_profile
from tests.unit.administration.office import ADMIN, Office, a_user
from tests.unit.sync.faults import Fault, FaultyWorld
from tests.unit.sync.in_memory_mail import ProcessDied

ANNA = OwnerId("anna")
MAILBOX = mailbox_id_of(OwnerKind.USER, ANNA)
ADDRESS = "anna.berg@contoso.example"

every_fault = pytest.mark.parametrize("fault", list(Fault))

type Request = Callable[[Administration], object]


def completed_after(
    fault: Fault, prepare: Callable[[Office], object], request: Request, then: Request | None = None
) -> Iterator[Office]:
    """For every call that the request makes: an office in which that call failed, and the request was repeated, or another
    one was made `then`."""
    at = 0
    while True:
        at += 1
        office = Office()
        prepare(office)
        world = FaultyWorld(at=at, fault=fault)
        try:
            request(Administration(world.stores(office.stores), office.clock, office.rules))
        except (ProcessDied, TransientError):
            (then or request)(office.administration)
            yield office
        else:
            assert at > 3
            return


def undisturbed(prepare: Callable[[Office], object], request: Request) -> Office:
    office = Office()
    prepare(office)
    request(office.administration)
    return office


def outcome(office: Office) -> object:
    """All that the stores hold; of the audit what it tells, since its ids depend on ETags, and of profiles which there are,
    since versions of secrets are random."""
    told = sorted(repr((entry.record, entry.action, entry.changes)) for entry in office.audited())
    profiles = [stored.record.id for stored in office.administration.profiles.list()]
    return snapshot(office.stores) | {"audit": told, "profiles": profiles}


def being_read(office: Office) -> None:
    office.has_profile()
    office.has_mailbox_being_read()


def nothing(_: Office) -> None:
    pass


def create(administration: Administration) -> None:
    administration.users.put(a_user(), ADMIN)


def rename(administration: Administration) -> None:
    administration.users.put(a_user(address=ADDRESS), ADMIN)


def delete(administration: Administration) -> None:
    administration.users.delete(ANNA, ADMIN)


def readdress_mailbox(administration: Administration) -> None:
    administration.mailboxes.change(MAILBOX, lambda mailbox: replace(mailbox, address=ADDRESS), ADMIN)


def delete_profile(administration: Administration) -> None:
    administration.profiles.delete(ProfileId("contoso"), ADMIN)


def reset(administration: Administration) -> None:
    administration.mailboxes.reset(MAILBOX, MONDAY - timedelta(days=30), ADMIN)


def move(administration: Administration) -> None:
    moved = a_profile(incoming_location="https://mail.contoso.example/other/Exchange.asmx")
    administration.profiles.put(moved, ADMIN)


@every_fault
@pytest.mark.parametrize(
    ("prepare", "request_"),
    [
        (nothing, create),
        (being_read, rename),
        (being_read, delete),
        (being_read, readdress_mailbox),
        (Office.has_profile, delete_profile),
    ],
)
def test_a_change_that_was_cut_short_ends_as_if_it_had_not_been(
    fault: Fault, prepare: Callable[[Office], object], request_: Request
) -> None:
    expected = outcome(undisturbed(prepare, request_))

    for office in completed_after(fault, prepare, request_):
        assert outcome(office) == expected


@every_fault
def test_a_reset_that_was_cut_short_is_completed(fault: Fault) -> None:
    def prepare(office: Office) -> None:
        being_read(office)
        mark = Mark("inbox", "source", "watermark", caught_up=True)
        office.stores.ledger.commit(MAILBOX, Workload.INCOMING, None, LedgerCommit(RunState("1"), marks=(mark,)))

    for office in completed_after(fault, prepare, reset):
        head = office.stores.ledger.head(MAILBOX, Workload.INCOMING, MONDAY)
        assert [(mark.watermark, mark.caught_up) for mark in head.marks] == [(None, False)]
        assert office.mailbox_of("anna").record.process_email_received_after == MONDAY - timedelta(days=30)
        assert office.incoming_of().due == MONDAY
        assert [each for each in office.audited(f"mailbox:{MAILBOX}") if each.action == "watermark_reset"]


@every_fault
def test_a_profile_never_connects_differently_without_releasing_its_mailboxes(fault: Fault) -> None:
    def prepare(office: Office) -> None:
        being_read(office)
        version = credential_version(office.administration.profiles.get(ProfileId("contoso")).record)
        breaker = Breaker("authentication_failed", MONDAY, MONDAY + timedelta(hours=1), credential=version)
        office.has_schedule(due=breaker.probe_after, breaker=breaker)
        office.stores.profiles.set_breaker(ProfileId("contoso"), Workload.INCOMING, breaker, replacing=None)

    for office in completed_after(fault, prepare, move):
        assert not breaker_stops(office.administration.profiles.get(ProfileId("contoso")), Workload.INCOMING)
        assert office.sent(Queue.VISIT_MAILBOXES)
        office.does_visits()
        assert (office.incoming_of().due, office.incoming_of().breaker) == (MONDAY, None)


@every_fault
def test_a_change_of_address_that_was_cut_short_and_given_up_leaves_nothing_that_the_next_change_does_not_mend(
    fault: Fault,
) -> None:
    def rename_only(administration: Administration) -> None:
        administration.users.change(ANNA, lambda owner: replace(owner, name="Anna Berg"), ADMIN)

    for office in completed_after(fault, being_read, readdress_mailbox, rename_only):
        mailbox, owner = office.mailbox_of("anna").record, office.administration.users.get(ANNA).record
        assert (mailbox.name, mailbox.address) == (owner.name, owner.address)
        assert (mailbox.approval is Approval.PENDING) == (owner.address == ADDRESS)
