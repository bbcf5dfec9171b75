"""Which email server profiles may be deleted, and who holds the others."""

import pytest

from shared.administration.failures import NotPossibleNow, RecordNotFound
from shared.domain.audit import ChangeAction
from shared.domain.choices import Workload
from shared.domain.eligibility import Ineligible
from shared.domain.errors import Changed
from shared.domain.ids import OwnerId, ProfileId
from tests.unit.administration.office import ADMIN, Office


def test_a_profile_that_nothing_uses_is_deleted(office: Office) -> None:
    office.has_profile()

    office.administration.profiles.delete(ProfileId("contoso"), ADMIN)
    office.administration.profiles.delete(ProfileId("contoso"), ADMIN)

    assert office.administration.profiles.list() == []
    assert [entry.action for entry in office.audited("profile:contoso")].count(ChangeAction.DELETED) == 1


def test_a_profile_in_use_is_not_deleted_and_the_refusal_names_ten_mailboxes(office: Office) -> None:
    office.has_settings(default_profile_id=office.has_profile().id)
    for number in range(12):
        office.has_user(f"user{number:02}")

    with pytest.raises(NotPossibleNow) as refused:
        office.administration.profiles.delete(ProfileId("contoso"), ADMIN)

    assert str(refused.value).count("@contoso.example") == 10
    assert "as the default" in str(refused.value)
    assert office.administration.profiles.get(ProfileId("contoso"))


def test_a_mailbox_whose_owner_was_deleted_does_not_hold_its_profile(office: Office) -> None:
    office.has_settings(default_profile_id=office.has_profile().id)
    office.has_user("anna")
    office.has_user("ben")
    office.has_settings(default_profile_id=None)
    office.administration.users.delete(OwnerId("anna"), ADMIN)

    with pytest.raises(NotPossibleNow) as refused:
        office.administration.profiles.delete(ProfileId("contoso"), ADMIN)
    assert "ben@contoso.example" in str(refused.value)
    assert "anna@contoso.example" not in str(refused.value)
    assert "policy apply" in refused.value.remedy
    office.administration.users.delete(OwnerId("ben"), ADMIN)
    office.administration.profiles.delete(ProfileId("contoso"), ADMIN)

    office.has_user("anna")
    held_back = office.administration.mailboxes.get(office.mailbox_of("anna").record.id).held_back[Workload.INCOMING]
    assert held_back is Ineligible.MAILBOX_INACTIVE
    with pytest.raises(RecordNotFound):
        office.administration.profiles.get(ProfileId("contoso"))


def test_a_profile_of_another_state_is_not_deleted(office: Office) -> None:
    office.has_profile()
    seen = office.administration.profiles.get(ProfileId("contoso")).etag
    office.has_profile(name="Meanwhile")

    with pytest.raises(Changed):
        office.administration.profiles.delete(ProfileId("contoso"), ADMIN, seen)
