"""What people do to stored emails by hand, repeated and interrupted."""

import base64
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from shared.administration import Administration
from shared.administration.failures import NotPossibleNow, RecordNotFound
from shared.domain.choices import (
    ActivityState,
    CorrelationMethod,
    Direction,
    EmailStatus,
    OwnerKind,
    ParticipationType,
    RegardingSource,
)
from shared.domain.configuration import OwnerRef
from shared.domain.email import (
    Attachment,
    CorrelationEntry,
    CorrelationKind,
    EmailActivity,
    EmailContent,
    ListOf,
    OptOut,
    Party,
    StoredActivity,
    TimelineEntry,
)
from shared.domain.errors import Changed, InvalidRecord
from shared.domain.ids import ActivityId, MailboxId, OwnerId, short_hash
from shared.domain.listings import entry, listed
from shared.domain.organisation import OrganisationSettings
from shared.domain.records import FolderTrackingRule, RecordRef
from shared.ports import Slice
from shared.sync.correlation import entries_of
from tests.builders import MONDAY
from tests.unit.administration.emails import an_email
from tests.unit.administration.office import ADMIN, Office
from tests.unit.administration.test_crashes import completed_after, every_fault, outcome, undisturbed
from tests.unit.sync.faults import Fault

EMAIL = ActivityId("0a" * 16)
CONTOSO, FABRIKAM = RecordRef("account", "contoso"), RecordRef("account", "fabrikam")
CAROL = Party(ParticipationType.SENDER, "carol@fabrikam.example", "Carol", "contact", "carol")
THREAD = base64.b64encode(bytes([1, *range(21)])).decode()
TERMS = Attachment("terms.pdf", "application/pdf", 5, "ab" * 32, f"emails/{EMAIL}/{'ab' * 32}")


def has_email(office: Office, **changes: Any) -> MailboxId:
    """An email of a contact, with an attachment, in the mailbox of a user and in the list of a queue."""
    mailbox_id = office.has_user().record.id
    email = an_email(EMAIL, mailbox_id, parties=(CAROL,), attachments=(TERMS,), queues=(OwnerId("support"),))
    email = replace(email, activity=replace(email.activity, **changes))
    office.stores.blobs.put(TERMS.blob, b"terms")
    office.stores.activities.create([email])
    office.stores.timeline.put(list(listed(email.activity, email.content, [mailbox_id])))
    return mailbox_id


def stored(office: Office) -> StoredActivity:
    found = office.stores.activities.get(EMAIL)
    assert found is not None
    return found


def about(office: Office, record: RecordRef) -> list[ActivityId]:
    return [entry.activity_id for entry in office.administration.activities.of_regarding(record).items]


def test_an_email_moves_from_the_list_of_one_record_to_that_of_another(office: Office) -> None:
    has_email(office)
    use = office.administration.emails

    use.set_regarding(EMAIL, CONTOSO, ADMIN)
    assert (about(office, CONTOSO), stored(office).record.regarding_set_by) == ([EMAIL], RegardingSource.HAND)

    use.set_regarding(EMAIL, FABRIKAM, ADMIN)
    assert (about(office, CONTOSO), about(office, FABRIKAM)) == ([], [EMAIL])

    use.set_regarding(EMAIL, None, ADMIN)
    assert (about(office, FABRIKAM), stored(office).record.regarding_set_by) == ([], RegardingSource.HAND)
    assert len(office.audited(f"activity:{EMAIL}")) == 3


def test_records_of_different_types_with_one_id_have_lists_of_their_own(office: Office) -> None:
    has_email(office)
    office.administration.emails.set_regarding(EMAIL, CONTOSO, ADMIN)
    assert about(office, RecordRef("lead", "contoso")) == []


def test_parties_of_different_types_with_one_id_have_lists_of_their_own(office: Office) -> None:
    has_email(office)
    lists = office.administration.activities
    assert [entry.activity_id for entry in lists.of_party(RecordRef("contact", "carol")).items] == [EMAIL]
    assert lists.of_party(RecordRef("user", "carol")).items == []


def test_a_row_that_an_interrupted_change_left_behind_is_not_shown(office: Office) -> None:
    mailbox_id = has_email(office)
    claimed = replace(stored(office).record, regarding=CONTOSO)
    content = office.administration.activities.content(EMAIL)
    office.stores.timeline.put(list(listed(claimed, content, [mailbox_id])))
    assert about(office, CONTOSO) == []


@every_fault
def test_whatever_fails_while_the_regarding_is_set_the_same_again_completes_it(fault: Fault) -> None:
    def prepare(office: Office) -> None:
        has_email(office)
        office.administration.emails.set_regarding(EMAIL, CONTOSO, ADMIN)

    def request(administration: Administration) -> None:
        administration.emails.set_regarding(EMAIL, FABRIKAM, ADMIN)

    for office in completed_after(fault, prepare, request):
        assert about(office, FABRIKAM) == [EMAIL]
        assert about(office, CONTOSO) == []
        assert stored(office).record.regarding == FABRIKAM


def test_what_a_folder_rule_says_is_not_changed_by_hand_until_the_rule_is_gone(office: Office) -> None:
    mailbox_id = has_email(office)
    has_rule = FolderTrackingRule(mailbox_id, "AAMk=", "Projects", CONTOSO)
    office.administration.tracking_rules.put(has_rule, ADMIN)
    by_rule = replace(stored(office).record, regarding=CONTOSO, regarding_rule=f"{mailbox_id}:{short_hash('AAMk=')}")
    office.stores.activities.replace(by_rule, stored(office).etag)
    use = office.administration.emails

    with pytest.raises(NotPossibleNow, match="Projects"):
        use.set_regarding(EMAIL, FABRIKAM, ADMIN)
    assert use.set_regarding(EMAIL, CONTOSO, ADMIN).record.regarding == CONTOSO, "what it is already, it may be"

    office.administration.tracking_rules.delete(mailbox_id, "AAMk=", ADMIN)
    assert use.set_regarding(EMAIL, FABRIKAM, ADMIN).record.regarding_rule is None


def test_an_email_is_completed_and_given_to_somebody_else(office: Office) -> None:
    has_email(office)
    office.has_queue("support")
    use = office.administration.emails

    completed = use.complete(EMAIL, ADMIN).record
    assert (completed.state, completed.status) == (ActivityState.COMPLETED, EmailStatus.COMPLETED)
    support = OwnerRef(OwnerKind.QUEUE, OwnerId("support"))
    assert use.reassign(EMAIL, support, ADMIN).record.owner == support

    with pytest.raises(InvalidRecord, match="there is no user zoe"):
        use.reassign(EMAIL, OwnerRef(OwnerKind.USER, OwnerId("zoe")), ADMIN)


def test_who_has_seen_an_older_state_changes_nothing(office: Office) -> None:
    has_email(office)
    seen = stored(office).etag
    office.administration.emails.complete(EMAIL, ADMIN)
    with pytest.raises(Changed):
        office.administration.emails.set_regarding(EMAIL, CONTOSO, ADMIN, seen)
    with pytest.raises(Changed):
        office.administration.emails.delete(EMAIL, ADMIN, seen)
    assert stored(office).record.deleted_on is None


# ---- deleting


def test_of_a_deleted_email_nothing_is_left_but_a_tombstone(office: Office) -> None:
    mailbox_id = has_email(office)
    office.administration.emails.set_regarding(EMAIL, CONTOSO, ADMIN)
    office.administration.emails.delete(EMAIL, ADMIN)

    lists = [
        (ListOf.MAILBOX, mailbox_id),
        (ListOf.PARTY, "contact:carol"),
        (ListOf.QUEUE, "support"),
        (ListOf.REGARDING, "account:contoso"),
    ]
    assert [office.stores.timeline.list(list_of, whose).items for list_of, whose in lists] == [[], [], [], []]
    assert office.stores.activities.content(EMAIL) is None
    assert not office.stores.activities.sightings(EMAIL)
    with pytest.raises(KeyError):
        next(iter(office.stores.blobs.read(TERMS.blob)))
    tombstone = stored(office).record
    assert (tombstone.subject, tombstone.sender, tombstone.deleted_on) == ("", "", office.clock())
    with pytest.raises(RecordNotFound):
        office.administration.activities.get(EMAIL)
    office.administration.emails.delete(EMAIL, ADMIN)


def test_what_a_run_wrote_of_an_email_that_was_just_deleted_is_not_listed_and_goes(office: Office) -> None:
    mailbox_id = has_email(office)
    office.has_queue("support")
    activities = office.administration.activities
    lists: dict[ListOf, tuple[str, Callable[[], Slice[TimelineEntry]]]] = {
        ListOf.MAILBOX: (mailbox_id, lambda: activities.of_mailbox(mailbox_id)),
        ListOf.QUEUE: ("support", lambda: activities.of_queue(OwnerId("support"))),
        ListOf.PARTY: ("contact:carol", lambda: activities.of_party(RecordRef("contact", "carol"))),
    }
    record = stored(office).record
    rows = [entry(record, list_of, whose) for list_of, (whose, _) in lists.items()]
    office.stores.timeline.put(rows)
    assert [[each.activity_id for each in read().items] for _, read in lists.values()] == [[EMAIL]] * 3

    office.administration.emails.delete(EMAIL, ADMIN)
    office.stores.timeline.put(rows)

    assert [list(read().items) for _, read in lists.values()] == [[]] * 3
    assert [list(office.stores.timeline.list(list_of, whose).items) for list_of, (whose, _) in lists.items()] == [[]] * 3


def test_a_deleted_email_leaves_no_blob_that_another_copy_of_it_brought(office: Office) -> None:
    has_email(office)
    other = f"emails/{EMAIL}/{'cd' * 32}.html"
    office.stores.blobs.put(other, b"another rendering of its body")
    office.administration.emails.delete(EMAIL, ADMIN)
    with pytest.raises(KeyError):
        next(iter(office.stores.blobs.read(other)))


def test_a_deleted_email_leaves_no_hash_of_its_words_and_addresses(office: Office) -> None:
    has_email(office, direction=Direction.OUTGOING)
    email = office.administration.activities.get(EMAIL)
    content = replace(email.content, subject="Offer for Contoso SYNC:0001234", conversation_index=THREAD)
    settings = replace(OrganisationSettings(), correlation_methods=tuple(CorrelationMethod))
    entries = entries_of(email.activity, content, settings)
    assert {entry.kind for entry in entries} == {CorrelationKind.CONVERSATION, CorrelationKind.TOKEN, CorrelationKind.WORDS}
    office.stores.correlations.put(entries)

    def found_by(email: EmailActivity, _: EmailContent, settings: OrganisationSettings) -> Sequence[CorrelationEntry]:
        return entries_of(email, content, settings)

    Administration(office.stores, office.clock, office.rules, found_by=found_by).emails.delete(EMAIL, ADMIN)
    left = [entry.kind for entry in entries if office.stores.correlations.find(entry.kind, [entry.key])[entry.key]]
    assert left == [CorrelationKind.CONVERSATION]


def test_a_queue_loses_a_deleted_email_that_its_own_mailbox_brought_second(office: Office) -> None:
    has_email(office)
    queue = office.has_queue("sales").record
    email = office.administration.activities.get(EMAIL)
    sighting = replace(email.sightings[0], mailbox_id=queue.id)
    office.stores.activities.sight([sighting])
    office.stores.timeline.put(list(listed(email.activity, email.content, [queue.id], [OwnerId("sales")])))
    office.administration.emails.delete(EMAIL, ADMIN)
    assert office.stores.timeline.list(ListOf.QUEUE, "sales").items == []


@every_fault
def test_whatever_fails_while_an_email_is_deleted_the_same_again_completes_it(fault: Fault) -> None:
    def request(administration: Administration) -> None:
        administration.emails.delete(EMAIL, ADMIN)

    wanted = outcome(undisturbed(has_email, request))
    for office in completed_after(fault, has_email, request):
        assert outcome(office) == wanted


# ---- conversations


def test_a_conversation_is_opted_out_for_all_its_emails_and_in_again(office: Office) -> None:
    has_email(office, conversation=ActivityId("11" * 16))
    use = office.administration.emails
    opted_out = use.opt_out(EMAIL, ADMIN)
    assert use.opt_out(EMAIL, ADMIN) == opted_out
    assert list(office.stores.correlations.opted_out([ActivityId("11" * 16), EMAIL])) == [ActivityId("11" * 16)]
    assert len(office.audited(f"conversation:{ActivityId('11' * 16)}")) == 1

    use.opt_in(EMAIL, ADMIN)
    use.opt_in(EMAIL, ADMIN)
    assert not office.stores.correlations.opted_out([ActivityId("11" * 16)])


def test_an_email_of_a_fragment_speaks_for_the_conversation_that_this_was_joined_to(office: Office) -> None:
    answer, original = ActivityId("11" * 16), ActivityId("22" * 16)
    mailbox_id = has_email(office, conversation=answer, is_fragment=True)
    joined = an_email(answer, mailbox_id)
    joined = replace(joined, activity=replace(joined.activity, conversation=original, correlated_to=original))
    office.stores.activities.create([joined])
    use = office.administration.emails

    assert use.opt_out(EMAIL, ADMIN).conversation == original
    office.stores.correlations.opt_out(OptOut(answer, "somebody who said so just before", MONDAY))
    use.opt_in(EMAIL, ADMIN)
    assert not office.stores.correlations.opted_out([original, answer])
