"""Folder-level tracking rules: the model's limits, and what lifts them."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from threading import Barrier
from typing import Any

import pytest

from shared.administration import Administration
from shared.administration.failures import NotPossibleNow, RecordNotFound
from shared.domain.choices import AuthenticationProtocol, CredentialSource, OwnerKind, ServerType
from shared.domain.configuration import Credentials
from shared.domain.errors import Changed, InvalidRecord
from shared.domain.ids import MailboxId, OwnerId, ProfileId, mailbox_id_of
from shared.domain.records import FolderTrackingRule, RecordRef
from shared.messages import Queue, RelinkFolder, parse
from shared.stores.memory import snapshot
from tests.builders import queues_in_memory
from tests.unit.administration.office import ADMIN, Office
from tests.unit.administration.test_crashes import completed_after, every_fault
from tests.unit.sync.faults import Fault

CONTOSO, FABRIKAM = RecordRef("account", "contoso"), RecordRef("account", "fabrikam")


def a_rule(office: Office, folder_id: str = "AAMkAD=", **changes: Any) -> FolderTrackingRule:
    return replace(FolderTrackingRule(office.has_user().record.id, folder_id, "Projects"), **changes)


def test_a_rule_is_stored_and_listed_with_its_mailbox(office: Office) -> None:
    rule = a_rule(office, regarding=CONTOSO, include_subfolders=True)

    put = office.administration.tracking_rules.put(rule, ADMIN)

    assert put.created
    assert [stored.record for stored in office.administration.tracking_rules.list(rule.mailbox_id)] == [rule]
    assert office.audited(f"rule:{rule.mailbox_id}:AAMkAD=")


def test_the_same_rule_again_changes_nothing(office: Office) -> None:
    rule = a_rule(office)
    office.administration.tracking_rules.put(rule, ADMIN)
    before = snapshot(office.stores)

    assert not office.administration.tracking_rules.put(rule, ADMIN).created
    assert snapshot(office.stores) == before


def test_a_mailbox_has_25_rules_at_most_and_each_can_still_be_changed(office: Office) -> None:
    use = office.administration.tracking_rules
    for number in range(25):
        use.put(a_rule(office, f"folder-{number}"), ADMIN)

    with pytest.raises(NotPossibleNow, match="25 rules"):
        use.put(a_rule(office, "folder-25"), ADMIN)

    assert use.put(a_rule(office, "folder-0", regarding=CONTOSO), ADMIN).stored.record.regarding == CONTOSO
    use.delete(a_rule(office).mailbox_id, "folder-1", ADMIN)
    assert use.put(a_rule(office, "folder-25"), ADMIN).created


def test_rules_that_are_created_together_never_exceed_the_limit(office: Office) -> None:
    use, together = office.administration.tracking_rules, Barrier(10)
    rules = [a_rule(office, f"folder-{number}") for number in range(30)]
    for rule in rules[:20]:
        use.put(rule, ADMIN)

    def create(rule: FolderTrackingRule) -> None:
        together.wait()
        with suppress(NotPossibleNow):
            use.put(rule, ADMIN)

    with ThreadPoolExecutor(10) as threads:
        list(threads.map(create, rules[20:]))

    assert len(use.list(rules[0].mailbox_id)) <= 25


def test_folders_of_a_queue_are_tracked_only_where_the_rule_says_so(office: Office) -> None:
    queue = office.has_queue().record.id

    with pytest.raises(InvalidRecord) as refused:
        office.administration.tracking_rules.put(a_rule(office, mailbox_id=queue), ADMIN)

    assert refused.value.field == "for_queue"
    assert office.administration.tracking_rules.put(a_rule(office, mailbox_id=queue, for_queue=True), ADMIN).created


def test_folders_are_tracked_on_exchange_only(office: Office) -> None:
    office.has_profile(
        secret=None,
        server_type=ServerType.IMAP_SMTP,
        incoming_location="imap.contoso.example",
        authentication=AuthenticationProtocol.BASIC,
        credential_source=CredentialSource.MAILBOX,
        credentials=Credentials(),
    )
    office.has_settings(default_profile_id=ProfileId("contoso"))

    with pytest.raises(NotPossibleNow, match="Exchange"):
        office.administration.tracking_rules.put(a_rule(office), ADMIN)


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("folder_id", {"folder_id": ""}),
        ("folder_id", {"folder_id": "x" * 1025}),
        ("folder_name", {"folder_name": " "}),
        ("folder_name", {"folder_name": "x" * 257}),
        ("regarding/type", {"regarding": RecordRef("Account!", "contoso")}),
        ("regarding/id", {"regarding": RecordRef("account", "../contoso")}),
    ],
)
def test_what_is_wrong_is_named(office: Office, field: str, wrong: dict[str, str]) -> None:
    with pytest.raises(InvalidRecord) as refused:
        office.administration.tracking_rules.put(a_rule(office, **wrong), ADMIN)

    assert refused.value.field == field


def test_a_rule_is_edited_in_the_state_that_was_seen(office: Office) -> None:
    use = office.administration.tracking_rules
    seen = use.put(a_rule(office), ADMIN).stored.etag
    use.put(a_rule(office, folder_name="Renamed"), ADMIN)

    with pytest.raises(Changed):
        use.put(a_rule(office, folder_name="Late"), ADMIN, seen)
    with pytest.raises(Changed):
        use.delete(a_rule(office).mailbox_id, "AAMkAD=", ADMIN, seen)

    assert use.get(a_rule(office).mailbox_id, "AAMkAD=").record.folder_name == "Renamed"


def test_a_rule_of_no_mailbox_is_not_found(office: Office) -> None:
    nowhere = MailboxId("00000000-0000-4000-8000-000000000000")
    with pytest.raises(RecordNotFound):
        office.administration.tracking_rules.put(a_rule(office, mailbox_id=nowhere), ADMIN)
    with pytest.raises(RecordNotFound):
        office.administration.tracking_rules.list(nowhere)


# ---- mail that lies in the folder already


def announced(office: Office) -> list[RelinkFolder]:
    messages = [parse(text) for text in office.sent(Queue.RELINK_FOLDER)]
    return [message for message in messages if isinstance(message, RelinkFolder)]


def test_a_rule_that_comes_to_say_what_its_mail_is_about_is_announced_with_it(office: Office) -> None:
    use = office.administration.tracking_rules
    use.put(a_rule(office), ADMIN)
    assert announced(office) == [], "it says nothing"

    use.put(a_rule(office, regarding=CONTOSO), ADMIN)
    use.put(a_rule(office, regarding=FABRIKAM), ADMIN)
    assert [(each.folder_id, each.regarding_id) for each in announced(office)] == [
        ("AAMkAD=", "contoso"),
        ("AAMkAD=", "fabrikam"),
    ]


def test_the_same_rule_again_another_name_or_no_regarding_announces_nothing_more(office: Office) -> None:
    use = office.administration.tracking_rules
    use.put(a_rule(office, regarding=CONTOSO), ADMIN)
    use.put(a_rule(office, regarding=CONTOSO), ADMIN)
    use.put(a_rule(office, regarding=CONTOSO, folder_name="Renamed"), ADMIN)
    use.put(a_rule(office), ADMIN)
    assert len(announced(office)) == 1


@pytest.mark.parametrize("changes", [{"from_now_on": True}, {"active": False}])
def test_a_rule_from_now_on_and_an_inactive_one_leave_what_lies_there_alone(office: Office, changes: dict[str, Any]) -> None:
    office.administration.tracking_rules.put(a_rule(office, regarding=CONTOSO, **changes), ADMIN)
    assert announced(office) == []


@pytest.mark.parametrize("before", [{"active": False}, {"include_subfolders": False}])
def test_a_rule_that_becomes_active_or_wider_is_announced(office: Office, before: dict[str, Any]) -> None:
    use = office.administration.tracking_rules
    use.put(a_rule(office, regarding=CONTOSO, **before), ADMIN)
    count = len(announced(office))
    use.put(a_rule(office, regarding=CONTOSO, include_subfolders=True), ADMIN)
    assert len(announced(office)) == count + 1


@every_fault
def test_a_rule_is_never_written_without_its_mail_being_linked_anew(fault: Fault) -> None:
    def prepare(office: Office) -> None:
        office.administration.tracking_rules.put(a_rule(office, regarding=CONTOSO), ADMIN)
        queues_in_memory(office.stores).receive(Queue.RELINK_FOLDER)

    mailbox_id = mailbox_id_of(OwnerKind.USER, OwnerId("anna"))

    def request(administration: Administration) -> None:
        administration.tracking_rules.put(FolderTrackingRule(mailbox_id, "AAMkAD=", "Projects", FABRIKAM), ADMIN)

    def nothing(_: Administration) -> None:
        """Whoever asked gives up."""

    for office in completed_after(fault, prepare, request, nothing):
        stored = office.stores.tracking_rules.get(mailbox_id, "AAMkAD=")
        assert stored is not None
        if stored.record.regarding == FABRIKAM:
            assert [each.regarding_id for each in announced(office)] == ["fabrikam"]
