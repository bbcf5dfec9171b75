"""Folder-level tracking rules: the model's limits, and what lifts them."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier

import pytest

from shared.administration.failures import NotPossibleNow, RecordNotFound
from shared.domain.choices import AuthenticationProtocol, CredentialSource, ServerType
from shared.domain.configuration import Credentials
from shared.domain.errors import Changed, InvalidRecord
from shared.domain.ids import MailboxId, ProfileId
from shared.domain.records import FolderTrackingRule, RecordRef
from shared.stores.memory import snapshot
from tests.unit.administration.office import ADMIN, Office

CONTOSO = RecordRef("account", "contoso")


def a_rule(office: Office, folder_id: str = "AAMkAD=", **changes: object) -> FolderTrackingRule:
    given = {"mailbox_id": office.has_user().record.id, "folder_name": "Projects"} | changes
    return FolderTrackingRule(folder_id=folder_id, **given)  # type: ignore[arg-type]  # fields by name


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
