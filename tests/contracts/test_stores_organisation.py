"""The contract of the organisation's settings, and of tracking rules."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.choices import AlertLevel, CorrelationMethod, IncomingFilteringMethod, Workload
from shared.domain.configuration import WorkloadSchedule
from shared.domain.errors import AlreadyExists, Changed, InvalidRecord
from shared.domain.ids import MailboxId, ProfileId
from shared.domain.organisation import InternalMail, OrganisationSettings, StoredSettings
from shared.ports import Stores
from tests.contracts.records import NOW, a_mailbox, a_rule, an_id

EVERYTHING = OrganisationSettings(
    default_profile_id=ProfileId("p"),
    require_approval_for_users=False,
    filter_ceiling=IncomingFilteringMethod.ALL,
    exclude=("a@b.example", "ü.example"),
    internal_mail=InternalMail.TWO_ACTIVITIES,
    correlation_methods=(CorrelationMethod.SMART_MATCHING, CorrelationMethod.IN_REPLY_TO),
    largest_message=5_000_000_000,
    blocked_attachments=("exe", "js"),
    alert_level=AlertLevel.ERROR,
    keep_audit=timedelta(days=36_500),
)
ANNA = MailboxId(an_id("anna"))


def test_settings_that_were_never_written_are_the_defaults(stores: Stores) -> None:
    assert stores.settings.get() == StoredSettings(OrganisationSettings(), None)


def test_settings_read_as_they_were_written(stores: Stores) -> None:
    written = stores.settings.put(EVERYTHING, None)
    assert written.record == EVERYTHING
    assert stores.settings.get() == written


def test_an_empty_list_is_not_the_default_list(stores: Stores) -> None:
    stores.settings.put(replace(EVERYTHING, correlation_methods=(), filter_ceiling=None), None)
    assert stores.settings.get().record.correlation_methods == ()
    assert stores.settings.get().record.filter_ceiling is None


def test_settings_are_written_only_as_they_were_read(stores: Stores) -> None:
    with pytest.raises(Changed):
        stores.settings.put(EVERYTHING, 'W/"1"')
    first = stores.settings.put(EVERYTHING, None)
    with pytest.raises(Changed):
        stores.settings.put(OrganisationSettings(), None)
    second = stores.settings.put(OrganisationSettings(), first.etag)
    with pytest.raises(Changed):
        stores.settings.put(EVERYTHING, first.etag)
    assert stores.settings.get() == second


def test_a_mailbox_says_that_it_has_rules_and_its_record_and_schedule_stay_as_they_are(stores: Stores) -> None:
    """So that a poll of a mailbox without rules asks for none."""
    created = stores.mailboxes.create(a_mailbox(), {Workload.INCOMING: WorkloadSchedule(due=NOW)})
    assert not created.has_rules
    stores.tracking_rules.put(a_rule(), None)
    assert stores.mailboxes.get(a_mailbox().id) == replace(created, has_rules=True)
    stores.mailboxes.reschedule(a_mailbox().id, Workload.INCOMING, WorkloadSchedule())
    [listed] = stores.mailboxes.list().items
    assert listed.has_rules


def test_a_rule_reads_as_it_was_written(stores: Stores) -> None:
    written = stores.tracking_rules.put(a_rule(), None)
    assert written.record == a_rule()
    assert stores.tracking_rules.get(ANNA, a_rule().folder_id) == written
    assert list(stores.tracking_rules.list(ANNA)) == [written]


def test_rules_are_apart_by_mailbox_and_folder(stores: Stores) -> None:
    for rule in (a_rule("one"), a_rule("two"), a_rule("one", "bert")):
        stores.tracking_rules.put(rule, None)
    assert {each.record.folder_id for each in stores.tracking_rules.list(ANNA)} == {"one", "two"}
    assert stores.tracking_rules.get(ANNA, "three") is None
    assert list(stores.tracking_rules.list(MailboxId(an_id("nobody")))) == []


def test_a_rule_is_created_once_and_replaced_as_it_was_read(stores: Stores) -> None:
    first = stores.tracking_rules.put(a_rule(), None)
    with pytest.raises(AlreadyExists):
        stores.tracking_rules.put(a_rule(), None)
    second = stores.tracking_rules.put(replace(a_rule(), regarding=None, include_subfolders=True), first.etag)
    with pytest.raises(Changed):
        stores.tracking_rules.put(a_rule(), first.etag)
    assert stores.tracking_rules.get(ANNA, a_rule().folder_id) == second
    with pytest.raises(Changed):
        stores.tracking_rules.put(a_rule("another"), first.etag)


def test_a_rule_is_deleted_as_it_was_read(stores: Stores) -> None:
    first = stores.tracking_rules.put(a_rule(), None)
    second = stores.tracking_rules.put(replace(a_rule(), active=False), first.etag)
    with pytest.raises(Changed):
        stores.tracking_rules.delete(ANNA, a_rule().folder_id, first.etag)
    stores.tracking_rules.delete(ANNA, a_rule().folder_id, second.etag)
    stores.tracking_rules.delete(ANNA, a_rule().folder_id, second.etag)
    assert list(stores.tracking_rules.list(ANNA)) == []
    assert stores.tracking_rules.put(a_rule(), None).record == a_rule()


def test_a_folder_may_have_any_id_and_a_mailbox_may_not(stores: Stores) -> None:
    odd = a_rule("/\\#?" + "x" * 3_000 + "日本")
    assert stores.tracking_rules.get(ANNA, stores.tracking_rules.put(odd, None).record.folder_id) is not None
    with pytest.raises(InvalidRecord) as caught:
        stores.tracking_rules.put(replace(odd, mailbox_id=MailboxId("a/b")), None)
    assert caught.value.field == "mailbox_id"
    assert stores.tracking_rules.get(MailboxId("a/b"), "x") is None
    stores.tracking_rules.delete(MailboxId("a/b"), "x", "etag")
