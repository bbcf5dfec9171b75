"""The password that a mailbox has of its own goes to no other host than it was given for, whoever changes what."""

from dataclasses import replace
from typing import Any

import pytest

from shared.domain.choices import AuthenticationProtocol, CredentialSource
from shared.domain.configuration import Credentials
from shared.domain.errors import InvalidRecord
from shared.domain.ids import MailboxId, ProfileId
from tests.builders import a_profile
from tests.unit.administration.office import ADMIN, PASSWORD, Office

HOME = "https://mail.contoso.example/EWS/Exchange.asmx"
ELSEWHERE = "https://mail.fabrikam.example/EWS/Exchange.asmx"
OWN = {
    "credential_source": CredentialSource.MAILBOX,
    "authentication": AuthenticationProtocol.BASIC,
    "credentials": Credentials(),
    "use_impersonation": False,
}


@pytest.fixture
def anna(office: Office) -> MailboxId:
    """Her mailbox signs in at home with a password of its own."""
    office.has_profile(None, incoming_location=HOME, **OWN)
    mailbox_id = office.has_user().record.id
    moves(office, mailbox_id, "contoso", {"credentials/secret": PASSWORD})
    return mailbox_id


def moves(office: Office, mailbox_id: MailboxId, profile: str | None, secrets: dict[str, str | None] | None = None) -> None:
    own = Credentials(username="anna")
    office.administration.mailboxes.change(
        mailbox_id,
        lambda mailbox: replace(mailbox, profile_id=ProfileId(profile) if profile else None, credentials=own),
        ADMIN,
        secrets or {},
    )


def secret_of(office: Office) -> object:
    return office.mailbox_of("anna").record.credentials.secret


def test_a_mailbox_does_not_take_its_password_to_a_profile_of_another_host(office: Office, anna: MailboxId) -> None:
    office.has_profile(None, id=ProfileId("other"), incoming_location=ELSEWHERE, **OWN)

    with pytest.raises(InvalidRecord, match="another host") as refused:
        moves(office, anna, "other")

    assert refused.value.field == "credentials/secret"
    assert office.mailbox_of("anna").record.profile_id == "contoso"


def test_neither_does_it_by_way_of_no_profile_at_all(office: Office, anna: MailboxId) -> None:
    office.has_profile(None, id=ProfileId("other"), incoming_location=ELSEWHERE, **OWN)
    moves(office, anna, None)

    with pytest.raises(InvalidRecord, match="another host"):
        moves(office, anna, "other")


def test_with_its_password_given_again_it_moves(office: Office, anna: MailboxId) -> None:
    office.has_profile(None, id=ProfileId("other"), incoming_location=ELSEWHERE, **OWN)

    moves(office, anna, "other", {"credentials/secret": PASSWORD})

    assert office.mailbox_of("anna").record.profile_id == "other"


def test_another_profile_of_the_same_host_keeps_the_password(office: Office, anna: MailboxId) -> None:
    kept = secret_of(office)
    office.has_profile(None, id=ProfileId("other"), incoming_location=HOME, **OWN)

    moves(office, anna, "other")

    assert secret_of(office) == kept


def test_a_profile_does_not_lead_the_passwords_of_its_mailboxes_elsewhere(office: Office, anna: MailboxId) -> None:
    with pytest.raises(InvalidRecord, match=anna) as refused:
        office.administration.profiles.put(a_profile(incoming_location=ELSEWHERE, **OWN), ADMIN)

    assert refused.value.field == "incoming_location"


def test_neither_does_it_with_credentials_of_its_own_in_between(office: Office, anna: MailboxId) -> None:
    with pytest.raises(InvalidRecord, match=anna):
        office.has_profile(incoming_location=ELSEWHERE)


def test_a_profile_whose_mailboxes_have_no_passwords_any_more_moves(office: Office, anna: MailboxId) -> None:
    moves(office, anna, None, {"credentials/secret": None})

    office.has_profile(None, incoming_location=ELSEWHERE, **OWN)


def test_a_searched_server_is_that_of_the_user_name_which_takes_no_password_along(office: Office) -> None:
    searched: dict[str, Any] = {"use_autodiscover": True, "incoming_location": None}
    office.has_profile(credentials=Credentials(username="sync@contoso.example"), **searched)

    with pytest.raises(InvalidRecord, match="another host") as refused:
        office.has_profile(None, credentials=Credentials(username="sync@fabrikam.example"), **searched)

    assert refused.value.field == "credentials/secret"
    office.has_profile(None, credentials=Credentials(username="other@contoso.example"), **searched)


def test_a_new_profile_of_a_former_id_gets_no_passwords_of_mailboxes_that_still_name_it(
    office: Office, anna: MailboxId
) -> None:
    former = office.administration.profiles.get(ProfileId("contoso"))
    office.stores.profiles.delete(former.record.id, former.etag)  # somebody else, while the mailbox came to it

    with pytest.raises(InvalidRecord) as refused:
        office.has_profile(None, incoming_location=ELSEWHERE, **OWN)

    assert refused.value.field == "incoming_location"
    assert anna in str(refused.value)
    assert list(office.stores.profiles.list()) == []
